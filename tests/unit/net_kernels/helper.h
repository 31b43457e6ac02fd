/* Random arrays and shapes for the kernel tests; fixed seeds, own generator. */
#ifndef TESTS_NET_KERNELS_HELPER_H
#define TESTS_NET_KERNELS_HELPER_H

#include "net/kernels/kernels_impl.h"
#include "net_kernels/sixteen_lanes.h"
#include "sgdist/memory.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t helper_state = 1;

static inline uint32_t random_bits(void) {
    helper_state = helper_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(helper_state >> 33);
}

static inline int64_t random_int(int64_t low, int64_t high) {
    return low + (int64_t)(random_bits() % (uint64_t)(high - low + 1));
}

/* n floats in [-1, 1), behind them a guard that nobody may touch. */
enum { GUARD = 16 };
static const float guard_value = 12345.0f;

static inline float *guarded(int64_t n) {
    float *p = sg_malloc_aligned((size_t)(n + GUARD), sizeof *p);

    assert_non_null(p);
    for (int64_t i = 0; i < n; i++) {
        p[i] = (float)random_int(-(1 << 23), (1 << 23) - 1) * 0x1p-23f;
    }
    for (int64_t i = n; i < n + GUARD; i++) {
        p[i] = guard_value;
    }
    return p;
}

static inline void check_guard(const float *p, int64_t n) {
    for (int64_t i = n; i < n + GUARD; i++) {
        assert_true(p[i] == guard_value);
    }
}

static inline void fill_nan(float *p, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        p[i] = NAN;
    }
}

/* A square kernel, and as much border as keeps the size where the stride is 1. */
static inline struct sg_conv conv_shape(int64_t n, int64_t h, int64_t w, int64_t c, int64_t k,
                                        int64_t kernel, int64_t stride, int64_t groups) {
    const int64_t pad = kernel / 2;

    return (struct sg_conv){.n = n,
                            .h = h,
                            .w = w,
                            .c = c,
                            .oh = (h + 2 * pad - kernel) / stride + 1,
                            .ow = (w + 2 * pad - kernel) / stride + 1,
                            .k = k,
                            .kh = kernel,
                            .kw = kernel,
                            .stride_h = stride,
                            .stride_w = stride,
                            .dilation_h = 1,
                            .dilation_w = 1,
                            .pad_top = pad,
                            .pad_left = pad,
                            .pad_bottom = pad,
                            .pad_right = pad,
                            .groups = groups};
}

static inline void random_border(struct sg_conv *s) {
    s->pad_top = random_int(0, 2);
    s->pad_left = random_int(0, 2);
    s->pad_bottom = random_int(0, 2);
    s->pad_right = random_int(0, 2);
}

static const char *const simd_names[] = {"portable", "avx2", "avx512"};

/* Runs `check` under every instruction set that this processor has, and with sixteen lanes. */
static inline void for_each_simd(void (*check)(void)) {
    int n_run = 0;

    for (size_t i = 0; i < sizeof simd_names / sizeof simd_names[0]; i++) {
        if (sg_simd_select(simd_names[i])) {
            helper_state = 1;
            check();
            n_run++;
        }
    }
    assert_true(n_run >= 1);
    sg_simd_use(&sixteen_lanes);
    helper_state = 1;
    check();
}

#endif
