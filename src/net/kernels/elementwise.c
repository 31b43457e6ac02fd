/* src/net/kernels/elementwise.c - loops that the compiler vectorises: one rounding an element, so
 * that every instruction set gives the same bits. */
#include "net/kernels/kernels_impl.h"

#include <string.h>

/* Code for several instruction sets, chosen at load time; a matter of speed only. */
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) &&                 \
    !defined(__clang__)
#define CLONES __attribute__((target_clones("default", "avx2")))
#else
#define CLONES
#endif

CLONES void sg_relu_forward(const float *x, float *y, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        y[i] = x[i] < 0.0f ? 0.0f : x[i];
    }
}

CLONES void sg_add(const float *a, const float *b, float *y, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        y[i] = a[i] + b[i];
    }
}

CLONES void sg_accumulate(const float *x, float *y, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        y[i] += x[i];
    }
}

void sg_relu_mask(const float *y, uint32_t *mask, int64_t n) {
    const int64_t whole = n / 32;

    sg_simd_current()->relu_mask(y, mask, whole);
    if (n > whole * 32) {
        mask[whole] = 0;
    }
    for (int64_t i = whole * 32; i < n; i++) {
        mask[whole] |= (uint32_t)(y[i] > 0.0f) << (i % 32);
    }
}

/* Words of the mask and what is left of the last one. */
void sg_clip_mask(float low, float high, const float *y, uint32_t *mask, int64_t n) {
    const int64_t whole = n / 32;

    sg_simd_current()->clip_mask(low, high, y, mask, whole);
    if (n > whole * 32) {
        mask[whole] = 0;
    }
    for (int64_t i = whole * 32; i < n; i++) {
        mask[whole] |= (uint32_t)(y[i] > low && y[i] < high) << (i % 32);
    }
}

CLONES static void clip_values(float low, float high, const float *x, float *y, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        const float raised = x[i] < low ? low : x[i];
        y[i] = raised > high ? high : raised;
    }
}

enum { CHUNK = 2048 }; /* floats that stay in the first cache from the one pass to the other */

void sg_clip(float low, float high, const float *x, float *y, uint32_t *mask, int64_t n) {
    for (int64_t i = 0; i < n; i += CHUNK) {
        sg_clip_mask(low, high, x + i, mask + i / 32, sg_min(CHUNK, n - i));
        clip_values(low, high, x + i, y + i, sg_min(CHUNK, n - i));
    }
}

void sg_relu_backward(const uint32_t *mask, const float *dy, float *dx, int64_t n, int accumulate) {
    const int64_t whole = n / 32;

    sg_simd_current()->relu_backward(mask, dy, dx, whole, accumulate);
    for (int64_t i = whole * 32; i < n; i++) {
        const float d = mask[whole] >> (i % 32) & 1 ? dy[i] : 0.0f;
        dx[i] = accumulate ? dx[i] + d : d;
    }
}

void sg_exp(const float *x, float *y, int64_t n) {
    sg_simd_current()->exp_all(x, y, n);
}

void sg_sigmoid(const float *x, float *y, int64_t n) {
    sg_simd_current()->sigmoid_all(x, y, n);
}

enum { TILE = 16 }; /* a tile of 16 x 16 floats touches one cache line a row */

/* y[cols][rows] = x[rows][cols] transposed. */
static void transpose(int64_t rows, int64_t cols, const float *x, float *y) {
    if (rows == 1 || cols == 1) {
        memcpy(y, x, (size_t)(rows * cols) * sizeof *y);
        return;
    }
    for (int64_t r = 0; r < rows; r += TILE) {
        for (int64_t c = 0; c < cols; c += TILE) {
            for (int64_t j = c; j < sg_min(c + TILE, cols); j++) {
                for (int64_t i = r; i < sg_min(r + TILE, rows); i++) {
                    y[j * rows + i] = x[i * cols + j];
                }
            }
        }
    }
}

void sg_nchw_to_nhwc(int64_t n, int64_t c, int64_t plane, const float *x, float *y) {
    for (int64_t i = 0; i < n; i++) {
        transpose(c, plane, x + i * c * plane, y + i * c * plane);
    }
}

void sg_nhwc_to_nchw(int64_t n, int64_t c, int64_t plane, const float *x, float *y) {
    for (int64_t i = 0; i < n; i++) {
        transpose(plane, c, x + i * c * plane, y + i * c * plane);
    }
}
