/* src/data/idx.c - IDX files (the format of MNIST): images and labels.
 *
 * Big-endian: two zero bytes, the type (8: unsigned byte), the number of axes, one 32-bit length an
 * axis, then the values. */
#include "data/array.h"

enum { MAX_AXES = 4, TYPE_UBYTE = 8 };

static int64_t big_endian(const unsigned char *b) {
    return (int64_t)((uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3]);
}

sg_status sg_idx_head(struct sg_stream *s, struct sg_array *out) {
    sg_status status = SG_OK;
    struct sg_array a = {.type = SG_ELEMENT_U8};
    unsigned char b[4 + 4 * MAX_AXES];

    status = sg_stream_read(s, 0, b, 4);
    SG_CHECK(status == SG_OK, status, "has no IDX header: %s", sg_trace_message());
    SG_CHECK(b[0] == 0 && b[1] == 0 && b[3] >= 1 && b[3] <= MAX_AXES, SG_E_INPUT,
             "is not an IDX file");
    SG_CHECK(b[2] == TYPE_UBYTE, SG_E_INPUT,
             "holds values of type 0x%02x, only unsigned bytes (0x08) are read", b[2]);
    status = sg_stream_read(s, 4, b + 4, 4U * b[3]);
    SG_CHECK(status == SG_OK, status, "its header: %s", sg_trace_message());
    for (int i = 0; i < b[3]; i++) {
        const int64_t length = big_endian(b + 4 + 4 * i);

        SG_CHECK(length > 0, SG_E_INPUT, "is empty: axis %d has length 0", i);
        SG_CHECK(sg_array_add_axis(&a, length), SG_E_INPUT,
                 "claims to hold more than 2^40 numbers");
    }
    a.data_at = 4 + 4 * b[3];
    *out = a;
done:
    return status;
}
