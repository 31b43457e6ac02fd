/* src/net/kernels/tiles_avx512.c - blocks by AVX512-BF16: one pair of numbers of a by 16 of b an
 * instruction. */
#include "net/kernels/tiles.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#include <string.h>

#define TARGET __attribute__((target("avx512f,avx512bf16")))

static const char *lack(void) {
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    unsigned d = 0;

    if (!__builtin_cpu_supports("avx512f") || __get_cpuid_count(7, 1, &a, &b, &c, &d) == 0 ||
        (a >> 5 & 1) == 0) {
        return "the processor has no AVX512-BF16 (avx512_bf16 in /proc/cpuinfo)";
    }
    return NULL;
}

static void nothing(void) {
}

enum { ROWS = 8 }; /* at a time: 16 sums, 2 vectors of b and one of a stay in 32 registers */

/* 16 pairs of one step. */
TARGET static inline void step(const uint16_t *a, int64_t row_step, const uint16_t *b,
                               __m512 sum[ROWS][2]) {
    for (int64_t k = 0; k < SG_TILE_STEP / 2; k++) {
        const __m512bh left = (__m512bh)_mm512_loadu_si512(b + k * SG_TILE_STEP);
        const __m512bh right =
            (__m512bh)_mm512_loadu_si512(b + SG_TILE_STEP_SIZE / 2 + k * SG_TILE_STEP);
#pragma GCC unroll 8
        for (int64_t r = 0; r < ROWS; r++) {
            int32_t two;
            memcpy(&two, a + r * row_step + 2 * k, sizeof two);
            const __m512bh pair = (__m512bh)_mm512_set1_epi32(two);
            sum[r][0] = _mm512_dpbf16_ps(sum[r][0], pair, left);
            sum[r][1] = _mm512_dpbf16_ps(sum[r][1], pair, right);
        }
    }
}

TARGET static void block(const struct sg_tile_steps *s, const uint16_t *a, const uint16_t *b,
                         float *c) {
    for (int64_t row = 0; row < SG_TILE_BLOCK; row += ROWS) {
        const uint16_t *step_b = b;
        __m512 sum[ROWS][2];
#pragma GCC unroll 8
        for (int64_t r = 0; r < ROWS; r++) {
            sum[r][0] = sum[r][1] = _mm512_setzero_ps();
        }
        for (int64_t y = 0; y < s->n_y; y++) {
            for (int64_t x = 0; x < s->n_x; x++) {
                const uint16_t *at = a + y * s->y_step + x * s->x_step + row * s->row_step;
                for (int64_t i = 0; i < s->n_s; i++, step_b += SG_TILE_STEP_SIZE) {
                    step(at + i * SG_TILE_STEP, s->row_step, step_b, sum);
                }
            }
        }
#pragma GCC unroll 8
        for (int64_t r = 0; r < ROWS; r++) {
            _mm512_storeu_ps(c + (row + r) * SG_TILE_BLOCK, sum[r][0]);
            _mm512_storeu_ps(c + (row + r) * SG_TILE_BLOCK + SG_TILE_BLOCK / 2, sum[r][1]);
        }
    }
}

const struct sg_tiles sg_tiles_avx512 = {.name = "avx512",
                                         .lack = lack,
                                         .begin = nothing,
                                         .end = nothing,
                                         .block = block,
                                         .judge = &sg_tiles_like_avx512};
#endif
