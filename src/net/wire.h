/* src/net/wire.h - protobuf's wire format, field by field, over bytes that nobody vouches for. */
#ifndef NET_WIRE_H
#define NET_WIRE_H

#include "net/onnx.h"

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

struct wire_reader {
    const uint8_t *at;
    const uint8_t *end;
};

struct wire_field {
    uint32_t number;
    enum wire_type type;
    uint64_t value; /* of a varint or a fixed-width field */
    struct onnx_span bytes;
};

static inline struct wire_reader wire_over(struct onnx_span s) {
    return (struct wire_reader){.at = s.data, .end = s.n > 0 ? s.data + s.n : s.data};
}

/* Reads a varint; 0 if it is cut off or longer than 10 bytes. */
int wire_varint(struct wire_reader *r, uint64_t *out);

/* Reads the next field: 1 if there is one, 0 at the end, -1 if the bytes are damaged (cut, a length
 * past the end, a group, field number 0). */
int wire_next(struct wire_reader *r, struct wire_field *f);

/* Numbers of a repeated numeric field, packed or not: how many this field holds, or -1. */
int64_t wire_count_numbers(const struct wire_field *f, enum wire_type element);

/* Writes them to out (as many as were counted), as raw 64-bit values. */
void wire_numbers(const struct wire_field *f, enum wire_type element, uint64_t *out);

#endif
