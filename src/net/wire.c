/* src/net/wire.c - every length is compared with what is left before it is believed. */
#include "net/wire.h"

#include <string.h>

int wire_varint(struct wire_reader *r, uint64_t *out) {
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 70 && r->at < r->end; shift += 7) {
        const uint8_t byte = *r->at++;

        if (shift < 64) {
            v |= (uint64_t)(byte & 0x7f) << shift;
        }
        if ((byte & 0x80) == 0) {
            *out = v;
            return 1;
        }
    }
    return 0;
}

static int fixed(struct wire_reader *r, size_t width, uint64_t *out) {
    *out = 0;
    if ((size_t)(r->end - r->at) < width) {
        return 0;
    }
    for (size_t i = 0; i < width; i++) {
        *out |= (uint64_t)r->at[i] << (8 * i);
    }
    r->at += width;
    return 1;
}

static int bytes(struct wire_reader *r, struct onnx_span *out) {
    uint64_t n;

    if (!wire_varint(r, &n) || n > (uint64_t)(r->end - r->at)) {
        return 0;
    }
    *out = (struct onnx_span){.data = r->at, .n = (size_t)n};
    r->at += n;
    return 1;
}

int wire_next(struct wire_reader *r, struct wire_field *f) {
    uint64_t key;
    int ok = 0;

    if (r->at == r->end) {
        return 0;
    }
    if (!wire_varint(r, &key) || key >> 3 == 0 || key >> 3 > 0x1fffffff) {
        return -1;
    }
    *f = (struct wire_field){.number = (uint32_t)(key >> 3), .type = (enum wire_type)(key & 7)};
    if (f->type == WIRE_VARINT) {
        ok = wire_varint(r, &f->value);
    } else if (f->type == WIRE_BYTES) {
        ok = bytes(r, &f->bytes);
    } else if (f->type == WIRE_FIXED32) {
        ok = fixed(r, 4, &f->value);
    } else if (f->type == WIRE_FIXED64) {
        ok = fixed(r, 8, &f->value);
    }
    return ok ? 1 : -1;
}

static int take(struct wire_reader *r, enum wire_type element, uint64_t *v) {
    return element == WIRE_VARINT ? wire_varint(r, v) : fixed(r, element == WIRE_FIXED32 ? 4 : 8, v);
}

int64_t wire_count_numbers(const struct wire_field *f, enum wire_type element) {
    struct wire_reader r = wire_over(f->bytes);
    int64_t n = 0;
    uint64_t v;

    if (f->type == element) {
        return 1;
    }
    if (f->type != WIRE_BYTES) {
        return -1;
    }
    while (r.at < r.end) {
        if (!take(&r, element, &v)) {
            return -1;
        }
        n++;
    }
    return n;
}

void wire_numbers(const struct wire_field *f, enum wire_type element, uint64_t *out) {
    struct wire_reader r = wire_over(f->bytes);

    if (f->type == element) {
        *out = f->value;
        return;
    }
    while (r.at < r.end && take(&r, element, out)) {
        out++;
    }
}
