/* src/data/elements.c - the types of numbers that arrays are stored in. */
#include "data/array.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "stored numbers are turned to this order");

static const struct {
    const char *name;
    char kind;
    int bytes;
} elements[SG_ELEMENT_COUNT] = {
    {"bool", 'b', 1},  {"uint8", 'u', 1},   {"int8", 'i', 1},    {"uint16", 'u', 2},
    {"int16", 'i', 2}, {"uint32", 'u', 4},  {"int32", 'i', 4},   {"uint64", 'u', 8},
    {"int64", 'i', 8}, {"float16", 'f', 2}, {"float32", 'f', 4}, {"float64", 'f', 8},
};

const char *sg_element_name(enum sg_element type) {
    return elements[type].name;
}

int64_t sg_element_bytes(enum sg_element type) {
    return elements[type].bytes;
}

int sg_element_is_whole(enum sg_element type) {
    return elements[type].kind == 'u' || elements[type].kind == 'i';
}

enum sg_element sg_element_find(char kind, int64_t bytes) {
    int i = 0;

    while (i < SG_ELEMENT_COUNT && (elements[i].kind != kind || elements[i].bytes != bytes)) {
        i++;
    }
    return (enum sg_element)i;
}

/* The stored bytes as a number of up to 64 bits. */
static uint64_t load(const unsigned char *bytes, int n, int is_big_endian) {
    uint64_t v = 0;

    for (int i = 0; i < n; i++) {
        v |= (uint64_t)bytes[is_big_endian ? n - 1 - i : i] << (8 * i);
    }
    return v;
}

/* IEEE 754 half precision: all of its numbers are floats. */
static float half_to_float(uint16_t h) {
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    const uint32_t exponent = h >> 10 & 31;
    const uint32_t fraction = h & 1023;
    uint32_t bits;
    float f;

    if (exponent == 0) { /* zero and the numbers below 2^-14 */
        f = (float)fraction * 0x1p-24f;
        return sign != 0 ? -f : f;
    }
    bits = sign | (exponent == 31 ? 0x7f800000U : (exponent + 112) << 23) | fraction << 13;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static float number_to_float(enum sg_element type, uint64_t v) {
    float f;
    double d;
    uint32_t bits;

    switch (type) {
    case SG_ELEMENT_I8:
        return (float)(int8_t)v;
    case SG_ELEMENT_I16:
        return (float)(int16_t)v;
    case SG_ELEMENT_I32:
        return (float)(int32_t)v;
    case SG_ELEMENT_I64:
        return (float)(int64_t)v;
    case SG_ELEMENT_F16:
        return half_to_float((uint16_t)v);
    case SG_ELEMENT_F32:
        bits = (uint32_t)v;
        memcpy(&f, &bits, sizeof f);
        return f;
    case SG_ELEMENT_F64:
        memcpy(&d, &v, sizeof d);
        return (float)d;
    case SG_ELEMENT_BOOL:
        return v != 0 ? 1.0f : 0.0f;
    default: /* unsigned */
        return (float)v;
    }
}

void sg_elements_to_float(enum sg_element type, int is_big_endian, const unsigned char *bytes,
                          int64_t n, float *out) {
    const int size = elements[type].bytes;

    if (type == SG_ELEMENT_F32 && !is_big_endian) {
        memcpy(out, bytes, (size_t)n * sizeof *out);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        out[i] = number_to_float(type, load(bytes + i * size, size, is_big_endian));
    }
}

/* Class numbers fit into 32 bits; -1 says that an item has none. */
static int to_label(enum sg_element type, uint64_t v, int32_t *out) {
    const int bits = 8 * elements[type].bytes;
    /* The sign bit of a signed number goes up to bit 63. */
    const int64_t number =
        elements[type].kind == 'i' ? (int64_t)(v << (64 - bits)) >> (64 - bits) : (int64_t)v;

    *out = (int32_t)number;
    return number >= -1 && number <= INT32_MAX && (elements[type].kind == 'i' || v <= INT32_MAX);
}

sg_status sg_elements_to_labels(enum sg_element type, int is_big_endian, const unsigned char *bytes,
                                int64_t n, int64_t first, int32_t *out) {
    sg_status status = SG_OK;
    const int size = elements[type].bytes;

    for (int64_t i = 0; i < n; i++) {
        const uint64_t v = load(bytes + i * size, size, is_big_endian);

        SG_CHECK(to_label(type, v, &out[i]), SG_E_JOB,
                 "label number %lld is no class number: they are 0 to 2147483647, or -1 for none",
                 (long long)(first + i));
    }
done:
    return status;
}
