/* src/net/onnx_numbers.c - the numbers of a TensorProto: raw bytes, or one of the typed fields. */
#include "net/onnx.h"
#include "net/single.h"
#include "net/wire.h"

#include <string.h>

static const int64_t max_elements = (int64_t)1 << 40;

/* A readable type: its class, the width of its raw form, the typed field it comes in otherwise. */
struct type_row {
    int64_t type;
    int class; /* 1 floating, 2 whole */
    size_t width;
    uint32_t field;
    enum wire_type element;
};

static const struct type_row type_rows[] = {
    {ONNX_FLOAT, 1, 4, 4, WIRE_FIXED32},  {ONNX_DOUBLE, 1, 8, 10, WIRE_FIXED64},
    {ONNX_FLOAT16, 1, 2, 5, WIRE_VARINT}, {ONNX_INT64, 2, 8, 7, WIRE_VARINT},
    {ONNX_INT32, 2, 4, 5, WIRE_VARINT},   {ONNX_INT8, 2, 1, 5, WIRE_VARINT},
    {ONNX_UINT8, 2, 1, 5, WIRE_VARINT},   {ONNX_BOOL, 2, 1, 5, WIRE_VARINT},
};

static const struct type_row *row_of(int64_t type) {
    for (size_t i = 0; i < sizeof type_rows / sizeof type_rows[0]; i++) {
        if (type_rows[i].type == type) {
            return &type_rows[i];
        }
    }
    return NULL;
}

int onnx_type_class(int64_t type) {
    const struct type_row *row = row_of(type);

    return row != NULL ? row->class : 0;
}

size_t onnx_type_width(int64_t type) {
    const struct type_row *row = row_of(type);

    return row != NULL ? row->width : 0;
}

int64_t onnx_tensor_count(const struct onnx_tensor *t) {
    int64_t n = 1; /* without the axes of length 0, so that parts of the product stay small too */
    int is_empty = 0;

    for (int i = 0; i < t->n_axes; i++) {
        is_empty = is_empty || t->axes[i] == 0;
        if (t->axes[i] < 0 || __builtin_mul_overflow(n, t->axes[i] > 0 ? t->axes[i] : 1, &n) ||
            n > max_elements) {
            return -1;
        }
    }
    return is_empty ? 0 : n;
}

float onnx_half_to_float(uint16_t h) {
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    const uint32_t exponent = (h >> 10) & 0x1f;
    const uint32_t fraction = h & 0x3ff;
    uint32_t bits;

    if (exponent == 0) { /* zero and subnormals: fraction * 2^-24 is exact */
        const float magnitude = (float)fraction * 0x1p-24f;
        return sign != 0 ? -magnitude : magnitude;
    }
    bits = exponent == 31 ? sign | 0x7f800000u | fraction << 13
                          : sign | (exponent + 112) << 23 | fraction << 13;
    return (float)onnx_single(bits);
}

static double double_of(int64_t type, uint64_t bits) {
    double d;

    if (type == ONNX_FLOAT16) {
        return (double)onnx_half_to_float((uint16_t)bits);
    }
    if (type == ONNX_DOUBLE) {
        memcpy(&d, &bits, sizeof d);
        return d;
    }
    return onnx_single((uint32_t)bits);
}

static int64_t int_of(int64_t type, uint64_t bits) {
    switch (type) {
    case ONNX_INT32:
        return (int32_t)(uint32_t)bits;
    case ONNX_INT8:
        return (int8_t)(uint8_t)bits;
    case ONNX_UINT8:
    case ONNX_BOOL:
        return (uint8_t)bits;
    default:
        return (int64_t)bits;
    }
}

static void put(int64_t type, uint64_t bits, int64_t i, float *floats, int64_t *ints) {
    if (floats != NULL) {
        floats[i] = (float)double_of(type, bits);
    } else {
        ints[i] = int_of(type, bits);
    }
}

static uint64_t little_endian(const uint8_t *p, size_t width) {
    uint64_t v = 0;

    for (size_t i = 0; i < width; i++) {
        v |= (uint64_t)p[i] << (8 * i);
    }
    return v;
}

/* The typed field, from all its occurrences; -1 if there are not n numbers. */
static int read_typed(const struct onnx_tensor *t, const struct type_row *row, int64_t n,
                      float *floats, int64_t *ints) {
    struct wire_reader r = wire_over(t->body);
    struct wire_field f;
    int64_t at = 0;

    while (wire_next(&r, &f) > 0) {
        struct wire_reader packed = wire_over(f.bytes);
        const int64_t more = f.number == row->field ? wire_count_numbers(&f, row->element) : 0;

        if (more < 0 || at + more > n) {
            return -1;
        }
        for (int64_t i = 0; i < more; i++) {
            struct wire_field one = {.type = row->element, .value = f.value};

            if (f.type == WIRE_BYTES && row->element == WIRE_VARINT) {
                (void)wire_varint(&packed, &one.value);
            } else if (f.type == WIRE_BYTES) {
                one.value = little_endian(packed.at, row->element == WIRE_FIXED32 ? 4 : 8);
                packed.at += row->element == WIRE_FIXED32 ? 4 : 8;
            }
            put(t->type, one.value, at++, floats, ints);
        }
    }
    return at == n ? 0 : -1;
}

static void read_raw(const struct onnx_tensor *t, size_t width, int64_t n, float *floats,
                     int64_t *ints) {
    if (t->raw.n == (size_t)n * sizeof *floats && t->type == ONNX_FLOAT &&
        __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && n > 0) {
        memcpy(floats, t->raw.data, t->raw.n); /* as they are, only not aligned */
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        put(t->type, little_endian(t->raw.data + (size_t)i * width, width), i, floats, ints);
    }
}

static sg_status read(const struct onnx_tensor *t, const char *file, int64_t n, float *floats,
                      int64_t *ints) {
    sg_status status = SG_OK;
    const struct type_row *row = row_of(t->type);

    SG_CHECK(!t->is_external, SG_E_MODEL, "%s: tensor '%s' keeps its data in another file", file,
             t->name);
    SG_CHECK(row != NULL && row->class == (floats != NULL ? 1 : 2), SG_E_MODEL,
             "%s: tensor '%s' has the data type %lld, which is not supported here", file, t->name,
             (long long)t->type);
    if (t->has_raw) {
        SG_CHECK(t->raw.n == (size_t)n * row->width, SG_E_MODEL,
                 "%s: tensor '%s' holds %zu bytes, but its shape needs %zu", file, t->name,
                 t->raw.n, (size_t)n * row->width);
        read_raw(t, row->width, n, floats, ints);
    } else {
        SG_CHECK(read_typed(t, row, n, floats, ints) == 0, SG_E_MODEL,
                 "%s: tensor '%s' does not hold the %lld numbers that its shape needs", file,
                 t->name, (long long)n);
    }
done:
    return status;
}

sg_status onnx_read_floats(const struct onnx_tensor *t, const char *file, int64_t n, float *out) {
    return read(t, file, n, out, NULL);
}

sg_status onnx_read_ints(const struct onnx_tensor *t, const char *file, int64_t n, int64_t *out) {
    return read(t, file, n, NULL, out);
}

const float *onnx_floats_in_place(const struct onnx_tensor *t, int64_t n) {
    const int usable = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && t->type == ONNX_FLOAT &&
                       t->has_raw && !t->is_external && t->raw.n == (size_t)n * sizeof(float) &&
                       (uintptr_t)t->raw.data % sizeof(float) == 0;

    return usable ? (const float *)(const void *)t->raw.data : NULL;
}
