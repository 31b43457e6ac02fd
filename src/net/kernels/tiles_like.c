/* src/net/kernels/tiles_like.c - what TDPBF16PS and VDPBF16PS do by Intel's manual (Software
 * Developer's Manual, volume 2), in plain C: every sum rounds to nearest even, numbers below 2^-126
 * are 0 before and after it, and a product is not rounded. The orders of the sums differ:
 * TDPBF16PS adds the even and the odd products of a step apart, then both, then that to the block;
 * VDPBF16PS adds the odd product of a pair to the block, then the even one. */
#include "net/kernels/tiles.h"

#include <math.h>
#include <string.h>

/* A sum that rounds to a float below 2^-126 becomes 0. */
static inline float rounded(double sum) {
    const double least = 0x1.ffffffp-127;

    return fabs(sum) < least ? copysignf(0.0f, (float)sum) : (float)sum;
}

static void widen(const uint16_t *from, double *to, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        const uint32_t bits = (uint32_t)((from[i] & 0x7f80) != 0 ? from[i] : from[i] & 0x8000)
                              << 16;
        float f;
        memcpy(&f, &bits, sizeof f);
        to[i] = (double)f;
    }
}

/* acc + a b. Products of 8 bits by 8 are exact in double, and a sum of two numbers of 24 bits
 * rounds to the same float by way of 53 bits (Figueroa 1995). */
static inline float fused(float acc, double a, double b) {
    return rounded((double)acc + a * b);
}

/* One step for a row of a and 16 columns: a[32], b[16][32], c[16]. */
static void step_amx(const double *a, const double *b, float *c) {
    float apart[2][16] = {{0}};

    for (int k = 0; k < 16; k++) {
        for (int n = 0; n < 16; n++) {
            apart[0][n] = fused(apart[0][n], a[2 * k], b[32 * k + 2 * n]);
            apart[1][n] = fused(apart[1][n], a[2 * k + 1], b[32 * k + 2 * n + 1]);
        }
    }
    for (int n = 0; n < 16; n++) {
        const float both = rounded((double)apart[0][n] + (double)apart[1][n]);
        c[n] = rounded((double)c[n] + (double)both);
    }
}

static void step_avx512(const double *a, const double *b, float *c) {
    for (int k = 0; k < 16; k++) {
        for (int n = 0; n < 16; n++) {
            const float odd = fused(c[n], a[2 * k + 1], b[32 * k + 2 * n + 1]);
            c[n] = fused(odd, a[2 * k], b[32 * k + 2 * n]);
        }
    }
}

typedef void step_function(const double *a, const double *b, float *c);

static void block(step_function *step, const struct sg_tile_steps *s, const uint16_t *a,
                  const uint16_t *b, float *c) {
    memset(c, 0, SG_TILE_BLOCK * SG_TILE_BLOCK * sizeof *c);
    for (int64_t i = 0; i < s->n_y * s->n_x * s->n_s; i++, b += SG_TILE_STEP_SIZE) {
        const int64_t tap = i / s->n_s;
        const uint16_t *at =
            a + tap / s->n_x * s->y_step + tap % s->n_x * s->x_step + i % s->n_s * SG_TILE_STEP;
        double wide_a[SG_TILE_STEP];
        double wide_b[SG_TILE_STEP_SIZE];
        widen(b, wide_b, SG_TILE_STEP_SIZE);
        for (int64_t r = 0; r < SG_TILE_BLOCK; r++) {
            widen(at + r * s->row_step, wide_a, SG_TILE_STEP);
            for (int64_t half = 0; half < 2; half++) {
                step(wide_a, wide_b + half * SG_TILE_STEP_SIZE / 2,
                     c + r * SG_TILE_BLOCK + half * SG_TILE_BLOCK / 2);
            }
        }
    }
}

static void block_amx(const struct sg_tile_steps *s, const uint16_t *a, const uint16_t *b,
                      float *c) {
    block(step_amx, s, a, b, c);
}

static void block_avx512(const struct sg_tile_steps *s, const uint16_t *a, const uint16_t *b,
                         float *c) {
    block(step_avx512, s, a, b, c);
}

static const char *nothing_lacks(void) {
    return NULL;
}

static void nothing(void) {
}

const struct sg_tiles sg_tiles_like_amx = {.name = "like-amx",
                                           .lack = nothing_lacks,
                                           .begin = nothing,
                                           .end = nothing,
                                           .block = block_amx};
const struct sg_tiles sg_tiles_like_avx512 = {.name = "like-avx512",
                                              .lack = nothing_lacks,
                                              .begin = nothing,
                                              .end = nothing,
                                              .block = block_avx512};
