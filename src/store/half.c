/* src/store/half.c - float16 (IEEE 754 binary16) from float32 and back, by integers: the same bits
 * on every machine, with and without instructions for it. */
#include "store/store_impl.h"

#include <math.h>
#include <string.h>

enum {
    SCALED_EXPONENT = 15, /* the largest value of a part comes to lie in 2^14 .. 2^15, of 65504 */
    LEAST_EXPONENT = -126 /* the scale and its inverse are normal float32, so products with them
                             are exact */
};

float sg_half_scale(const float *v, int64_t n) {
    float largest = 0;
    int exponent;

    for (int64_t i = 0; i < n; i++) {
        const float size = fabsf(v[i]);

        largest = isfinite(size) && size > largest ? size : largest;
    }
    if (largest == 0) {
        return 1;
    }
    (void)frexpf(largest, &exponent);
    exponent -= SCALED_EXPONENT;
    return ldexpf(1, exponent > LEAST_EXPONENT ? exponent : LEAST_EXPONENT);
}

/* Shifts right by `shift` (1 to 31), to the nearest, ties to even. */
static uint32_t round_shift(uint32_t m, unsigned shift) {
    const uint32_t half = UINT32_C(1) << (shift - 1);
    const uint32_t rest = m & (2 * half - 1);
    const uint32_t kept = m >> shift;

    return kept + (rest > half || (rest == half && (kept & 1) != 0));
}

static uint16_t encode(float v) {
    uint32_t bits;
    uint32_t sign;
    uint32_t size;

    memcpy(&bits, &v, sizeof bits);
    sign = (bits >> 16) & 0x8000;
    size = bits & 0x7fffffff;
    if (size > 0x7f800000) { /* NaN */
        return (uint16_t)(sign | 0x7e00);
    }
    if (size >= 0x47800000) { /* 2^16 and above, infinity; what rounds up to it does so below */
        return (uint16_t)(sign | 0x7c00);
    }
    if (size >= 0x38800000) { /* 2^-14: a carry out of the fraction is the next exponent */
        return (uint16_t)(sign | round_shift(size - 0x38000000, 13));
    }
    if (size < 0x33000000) { /* below 2^-25, half of the least number */
        return (uint16_t)sign;
    }
    return (uint16_t)(sign |
                      round_shift((size & 0x7fffff) | 0x800000, 126 - (unsigned)(size >> 23)));
}

static float decode(uint16_t h) {
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    const uint32_t size = h & 0x7fff;
    uint32_t bits;
    float v;

    if (size >= 0x7c00) { /* infinity, NaN */
        bits = sign | 0x7f800000 | (size & 0x3ff) << 13;
    } else if (size >= 0x400) {
        bits = sign | ((size << 13) + 0x38000000);
    } else {
        v = (float)size * 0x1p-24F;
        memcpy(&bits, &v, sizeof bits);
        bits |= sign;
    }
    memcpy(&v, &bits, sizeof v);
    return v;
}

void sg_half_encode(const float *v, int64_t n, float scale, uint16_t *out) {
    const float inverse = 1 / scale;

    for (int64_t i = 0; i < n; i++) {
        out[i] = encode(v[i] * inverse);
    }
}

/* `in` may be the upper half of `out`: a number is read before what is written reaches it. */
void sg_half_decode(const void *in, int64_t n, float scale, void *out) {
    for (int64_t i = 0; i < n; i++) {
        uint16_t h;
        float v;

        memcpy(&h, (const char *)in + 2 * i, sizeof h);
        v = decode(h) * scale;
        memcpy((char *)out + 4 * i, &v, sizeof v);
    }
}
