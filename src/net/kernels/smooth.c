/* src/net/kernels/smooth.c - smooth functions of elements and of rows, by the instruction set in
 * use. */
#include "net/kernels/kernels_impl.h"

void sg_erf(const float *x, float *y, float *slope, int64_t n) {
    sg_simd_current()->erf_all(x, y, slope, n);
}

void sg_gated(const struct sg_gated *g, const float *x, float *y, float *slope, int64_t n) {
    sg_simd_current()->gated_all(g, x, y, slope, n);
}

void sg_softmax_rows(int64_t n_rows, int64_t n, const float *x, float *y) {
    sg_simd_current()->softmax_rows(n_rows, n, x, y);
}

void sg_softmax_rows_back(int64_t n_rows, int64_t n, const float *y, const float *dy, float *dx,
                          int accumulate) {
    sg_simd_current()->softmax_rows_back(n_rows, n, y, dy, dx, accumulate);
}

void sg_norm_rows(const struct sg_norm *s, int64_t n_rows, const float *x, float *y, float *kept) {
    sg_simd_current()->norm_rows(s, n_rows, x, y, kept);
}

void sg_norm_rows_back(const struct sg_norm *s, int64_t n_rows, const float *x, const float *kept,
                       const float *dy, float *dx, int accumulate) {
    sg_simd_current()->norm_rows_back(s, n_rows, x, kept, dy, dx, accumulate);
}
