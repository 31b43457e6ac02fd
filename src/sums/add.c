/* src/sums/add.c - the adding loop.
 *
 * A value becomes q by adding 1.5 * 2^52 to v * scale in double: round to nearest even, by the
 * addition itself, the same on every machine. Powers 1 and 2 are integer vector code; |q| < 2^40 is
 * cut into halves of 20 bits, so that all products fit. Powers 3 and 4 go through 128 bits. */
#include "sums/sums_impl.h"

#include <math.h>
#include <string.h>

enum {
    CHUNK = 64,  /* samples that are looked at before they are added */
    TILE = 1024, /* features whose limbs stay in the nearest cache meanwhile */
    HALF_BITS = 20
};

#define HALF_MASK     UINT64_C(0xFFFFF)
#define ABS_MASK      INT32_C(0x7FFFFFFF)
#define BITS_INFINITY INT32_C(0x7F800000)

/* 1.5 * 2^52: a number of at most 51 bits that is added to it ends up in its lowest bits. */
static const double magic = 0x1.8p52;

/* The largest |v| as bits, which order as the values do; NaN is above infinity. */
SG_CLONES
static int32_t max_bits(int64_t n, const float *v) {
    int32_t most = 0;

    for (int64_t i = 0; i < n; i++) {
        int32_t b;

        memcpy(&b, v + i, sizeof b);
        b &= ABS_MASK;
        most = b > most ? b : most;
    }
    return most;
}

/* The bits of the smallest positive float that is off the grid. */
static int32_t grid_bits(int exponent) {
    const float end = exponent > 127 ? INFINITY : (float)ldexp(1.0, exponent);
    int32_t b;

    memcpy(&b, &end, sizeof b);
    return b > 0 ? b : 1; /* below the finest float only zero is on the grid */
}

static inline int64_t grid_value(float v, double scale) {
    const double base = magic;
    const double sum = (double)v * scale + base;
    int64_t a;
    int64_t b;

    memcpy(&a, &sum, sizeof a);
    memcpy(&b, &base, sizeof b);
    return a - b;
}

SG_CLONES
static void add_power_1(int64_t n, const float *restrict v, double scale, int64_t *restrict s1) {
    for (int64_t i = 0; i < n; i++) {
        s1[i] += grid_value(v[i], scale);
    }
}

/* q^2 = (a + b 2^20)^2: what is below 2^32 of a^2 + 2 a b 2^20 goes to the first limb, the rest and
 * b^2 2^40 to the second; both grow by less than 2^49. */
SG_CLONES
static void add_powers_12(int64_t n, const float *restrict v, double scale, int64_t *restrict s1,
                          int64_t *restrict low, int64_t *restrict high) {
    for (int64_t i = 0; i < n; i++) {
        const int64_t q = grid_value(v[i], scale);
        const uint64_t size = (uint64_t)(q < 0 ? -q : q);
        const uint64_t a = size & HALF_MASK;
        const uint64_t b = size >> HALF_BITS;
        const uint64_t cross = 2 * a * b;

        s1[i] += q;
        low[i] += (int64_t)(a * a + ((cross & 0xFFF) << HALF_BITS));
        high[i] += (int64_t)((cross >> 12) + (b * b << 8));
    }
}

/* Adds x to the limbs that start at `limb`, one every n; the last takes what is left. */
static void add_wide(int64_t *limb, int64_t n, int n_limbs, sums_i128 x) {
    for (int i = 0; i < n_limbs - 1; i++, limb += n) {
        *limb += (int64_t)(x & 0xFFFFFFFF);
        x >>= 32;
    }
    *limb += (int64_t)x;
}

/* q^3 < 2^120. */
static void add_power_3(int64_t n, const float *v, double scale, int64_t stride, int64_t *s3) {
    for (int64_t i = 0; i < n; i++) {
        const sums_i128 q = grid_value(v[i], scale);

        add_wide(s3 + i, stride, 4, q * q * q);
    }
}

/* q^4 = (c + d 2^32)^2 with q^2 = c + d 2^32: c^2 < 2^64 starts at limb 0, 2 c d < 2^81 at limb 1,
 * d^2 < 2^96 at limb 2. */
static void add_power_4(int64_t n, const float *v, double scale, int64_t stride, int64_t *s4) {
    for (int64_t i = 0; i < n; i++) {
        const sums_i128 q = grid_value(v[i], scale);
        const sums_i128 c = q * q & 0xFFFFFFFF;
        const sums_i128 d = q * q >> 32;

        add_wide(s4 + i, stride, 3, c * c);
        add_wide(s4 + i + stride, stride, 4, 2 * c * d);
        add_wide(s4 + i + 2 * stride, stride, 3, d * d);
    }
}

/* Adds features first .. first + n - 1 of one sample; v is the sample's own row. */
static void add_tile(struct sg_sums *s, int group, int64_t first, int64_t n, const float *v) {
    int64_t *s1 = sums_power(s, group, 1) + first;

    if (s->n_powers == 1) {
        add_power_1(n, v + first, s->scale, s1);
        return;
    }
    int64_t *s2 = sums_power(s, group, 2) + first;

    add_powers_12(n, v + first, s->scale, s1, s2, s2 + s->n);
    if (s->n_powers >= 3) {
        add_power_3(n, v + first, s->scale, s->n, sums_power(s, group, 3) + first);
    }
    if (s->n_powers >= 4) {
        add_power_4(n, v + first, s->scale, s->n, sums_power(s, group, 4) + first);
    }
}

/* Counts a sample of the group and returns 1 if it is to be added. */
static int admit(struct sg_sums *s, int group, const float *v) {
    const int32_t most = max_bits(s->n, v);

    if (most >= BITS_INFINITY) {
        s->limbs[s->n_groups + 1]++;
        return 0;
    }
    if (most >= grid_bits(s->exponent)) {
        s->limbs[s->n_groups]++;
        return 0;
    }
    sums_reserve(s, group, 1);
    s->limbs[group]++;
    return 1;
}

static int group_of(const struct sg_sums *s, int64_t k, int64_t run) {
    return (int)(k / run % s->n_groups);
}

void sg_sums_add_block(struct sg_sums *s, int64_t first_sample, const float *v, int64_t n_samples) {
    sg_sums_add_runs(s, first_sample, 1, v, n_samples);
}

void sg_sums_add_runs(struct sg_sums *s, int64_t first_sample, int64_t run, const float *v,
                      int64_t n_samples) {
    for (int64_t start = 0; start < n_samples; start += CHUNK) {
        const int64_t m = n_samples - start < CHUNK ? n_samples - start : CHUNK;
        const float *rows = v + start * s->n;
        int admitted[CHUNK];

        for (int64_t j = 0; j < m; j++) {
            admitted[j] = admit(s, group_of(s, first_sample + start + j, run), rows + j * s->n);
        }
        for (int64_t i = 0; i < s->n; i += TILE) {
            const int64_t n = s->n - i < TILE ? s->n - i : TILE;

            for (int64_t j = 0; j < m; j++) {
                if (admitted[j]) {
                    add_tile(s, group_of(s, first_sample + start + j, run), i, n, rows + j * s->n);
                }
            }
        }
    }
}
