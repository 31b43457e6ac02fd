/* tests/float64/kernels.c - the kernels of the runtime in double: the reference loops of
 * src/net/kernels, and plain loops for the rest. */
#include "net/kernels.h"

#include <stdlib.h>
#include <string.h>

static int64_t weight_size(const struct sg_conv *s) {
    return s->k * (s->c / s->groups) * s->kh * s->kw;
}

static void *room(int64_t n, size_t size) {
    void *p = calloc((size_t)n + 1, size);

    if (p == NULL) {
        abort();
    }
    return p;
}

int64_t sg_conv_prepared_size(const struct sg_conv *s) {
    return weight_size(s);
}

void sg_conv_prepare(const struct sg_conv *s, const float *weight, float *prepared) {
    memcpy(prepared, weight, (size_t)weight_size(s) * sizeof *weight);
}

int64_t sg_conv_work_size(const struct sg_conv *s) {
    return s->n * s->oh * s->ow * s->k;
}

void sg_conv_forward(const struct sg_conv *s, const float *prepared, const float *bias, int relu,
                     const float *x, float *y, float *work) {
    (void)work;
    sg_ref_conv_forward(s, prepared, bias, relu, x, y);
}

static void clip(float low, float high, const float *x, float *y, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        y[i] = x[i] < low ? low : x[i] > high ? high : x[i];
    }
}

void sg_conv_forward_add(const struct sg_conv *s, const float *prepared, const float *bias,
                         int relu, const float *x, float *y, float *work) {
    sg_ref_conv_forward(s, prepared, bias, 0, x, work);
    sg_accumulate(work, y, sg_conv_work_size(s));
    if (relu == SG_RELU_PLAIN) {
        sg_relu_forward(y, y, sg_conv_work_size(s));
    } else if (relu == SG_RELU_6) {
        clip(0, 6, y, y, sg_conv_work_size(s));
    }
}

void sg_conv_backward(const struct sg_conv *s, const float *prepared, const float *dy, float *dx,
                      int accumulate, float *work) {
    (void)work;
    sg_ref_conv_backward(s, prepared, dy, dx, accumulate);
}

void sg_conv_forward_masked(const struct sg_conv *s, const float *prepared, const float *bias,
                            int relu, int add, const float *x, float *y, uint32_t *mask,
                            float *work) {
    if (add) {
        sg_conv_forward_add(s, prepared, bias, relu, x, y, work);
    } else {
        sg_conv_forward(s, prepared, bias, relu, x, y, work);
    }
    if (mask != NULL) {
        sg_relu_mask(y, mask, sg_conv_work_size(s));
    }
}

void sg_conv_backward_masked(const struct sg_conv *s, const float *prepared, const float *dy,
                             float *dx, int accumulate, const uint32_t *mask, float *work) {
    sg_conv_backward(s, prepared, dy, dx, accumulate, work);
    if (mask != NULL) {
        sg_relu_backward(mask, dx, dx, s->n * s->h * s->w * s->c, 0);
    }
}

/* The reference keeps winners of 32 bits; the runtime has room for one byte each. */
void sg_max_pool_forward(const struct sg_pool *s, const float *x, float *y, uint8_t *winner) {
    const int64_t n = s->n * s->oh * s->ow * s->c;
    int32_t *wide = room(n, sizeof *wide);

    sg_ref_max_pool_forward(s, x, y, wide);
    for (int64_t i = 0; i < n; i++) {
        winner[i] = (uint8_t)(wide[i] < 0   ? SG_POOL_OUTSIDE
                              : y[i] > 0.0f ? wide[i]
                                            : wide[i] + SG_POOL_CLOSED);
    }
    free(wide);
}

void sg_max_pool_backward(const struct sg_pool *s, const uint8_t *winner, const float *dy,
                          float *dx, int accumulate, int cut) {
    const int64_t n = s->n * s->oh * s->ow * s->c;
    int32_t *wide = room(n, sizeof *wide);

    for (int64_t i = 0; i < n; i++) {
        const int is_none = winner[i] == SG_POOL_OUTSIDE || (cut && winner[i] >= SG_POOL_CLOSED);

        wide[i] = is_none ? -1 : winner[i] % SG_POOL_CLOSED;
    }
    sg_ref_max_pool_backward(s, wide, dy, dx, accumulate);
    free(wide);
}

/* Any shape whose output windows of 2x2 tile, in two passes with the whole output between them. */
int sg_conv_may_pool(const struct sg_conv *s) {
    return s->oh % 2 == 0 && s->ow % 2 == 0;
}

void sg_conv_forward_pooled(const struct sg_conv *s, const float *prepared, const float *bias,
                            int relu, const float *x, float *y, uint8_t *winner, float *work) {
    const struct sg_pool pool = sg_pool_behind(s);

    sg_conv_forward(s, prepared, bias, relu, x, work, NULL);
    sg_max_pool_forward(&pool, work, y, winner);
}

void sg_conv_backward_pooled(const struct sg_conv *s, const float *prepared, const uint8_t *winner,
                             int cut, const float *dy, float *dx, int accumulate,
                             const uint32_t *mask, float *work) {
    const struct sg_pool pool = sg_pool_behind(s);

    sg_max_pool_backward(&pool, winner, dy, work, 0, cut);
    sg_conv_backward_masked(s, prepared, work, dx, accumulate, mask, NULL);
}

void sg_max_pool_forward_wide(const struct sg_pool *s, const float *x, float *y, int32_t *winner) {
    sg_ref_max_pool_forward(s, x, y, winner);
}

void sg_max_pool_backward_wide(const struct sg_pool *s, const int32_t *winner, const float *dy,
                               float *dx, int accumulate) {
    sg_ref_max_pool_backward(s, winner, dy, dx, accumulate);
}

void sg_max_pool_backward_shares(const struct sg_pool *s, const float *shares, const float *dy,
                                 float *dx, int accumulate) {
    const int64_t taps = s->kh * s->kw, pixels = s->oh * s->ow;

    if (!accumulate) {
        memset(dx, 0, (size_t)(s->n * s->h * s->w * s->c) * sizeof *dx);
    }
    for (int64_t i = 0; i < s->n * pixels * taps * s->c; i++) {
        const int64_t c = i % s->c, t = i / s->c % taps, p = i / s->c / taps % pixels;
        const int64_t y = p / s->ow * s->stride_h - s->pad_top + t / s->kw;
        const int64_t x = p % s->ow * s->stride_w - s->pad_left + t % s->kw;
        const int64_t n = i / s->c / taps / pixels;

        if (y >= 0 && y < s->h && x >= 0 && x < s->w) {
            dx[((n * s->h + y) * s->w + x) * s->c + c] +=
                shares[(p * taps + t) * s->c + c] * dy[(n * pixels + p) * s->c + c];
        }
    }
}

void sg_average_pool_forward(const struct sg_pool *s, const float *x, float *y) {
    sg_ref_average_pool_forward(s, x, y);
}

void sg_average_pool_backward(const struct sg_pool *s, const float *dy, float *dx, int accumulate) {
    sg_ref_average_pool_backward(s, dy, dx, accumulate);
}

void sg_gemm(int trans_a, int trans_b, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
             int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc) {
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++) {
            float sum = 0;

            for (int64_t t = 0; t < k; t++) {
                sum +=
                    a[trans_a ? t * lda + i : i * lda + t] * b[trans_b ? j * ldb + t : t * ldb + j];
            }
            c[i * ldc + j] = alpha * sum + (beta != 0 ? beta * c[i * ldc + j] : 0);
        }
    }
}

void sg_relu_forward(const float *x, float *y, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        y[i] = x[i] < 0 ? 0 : x[i];
    }
}

void sg_relu_mask(const float *y, uint32_t *mask, int64_t n) {
    memset(mask, 0, (size_t)((n + 31) / 32) * sizeof *mask);
    for (int64_t i = 0; i < n; i++) {
        mask[i / 32] |= (uint32_t)(y[i] > 0) << (i % 32);
    }
}

void sg_clip_mask(float low, float high, const float *y, uint32_t *mask, int64_t n) {
    memset(mask, 0, (size_t)((n + 31) / 32) * sizeof *mask);
    for (int64_t i = 0; i < n; i++) {
        mask[i / 32] |= (uint32_t)(y[i] > low && y[i] < high) << (i % 32);
    }
}

void sg_clip(float low, float high, const float *x, float *y, uint32_t *mask, int64_t n) {
    sg_clip_mask(low, high, x, mask, n);
    clip(low, high, x, y, n);
}

void sg_relu_backward(const uint32_t *mask, const float *dy, float *dx, int64_t n, int accumulate) {
    for (int64_t i = 0; i < n; i++) {
        const float v = (mask[i / 32] >> (i % 32) & 1) != 0 ? dy[i] : 0;

        dx[i] = accumulate ? dx[i] + v : v;
    }
}

void sg_sigmoid(const float *x, float *y, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        y[i] = 1 / (1 + expf(-x[i]));
    }
}

void sg_add(const float *a, const float *b, float *y, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        y[i] = a[i] + b[i];
    }
}

void sg_accumulate(const float *x, float *y, int64_t n) {
    sg_add(y, x, y, n);
}

void sg_erf(const float *x, float *y, float *slope, int64_t n) {
    sg_ref_erf(x, y, slope, n);
}

void sg_gated(const struct sg_gated *g, const float *x, float *y, float *slope, int64_t n) {
    sg_ref_gated(g, x, y, slope, n);
}

void sg_softmax_rows(int64_t n_rows, int64_t n, const float *x, float *y) {
    sg_ref_softmax_rows(n_rows, n, x, y);
}

void sg_softmax_rows_back(int64_t n_rows, int64_t n, const float *y, const float *dy, float *dx,
                          int accumulate) {
    sg_ref_softmax_rows_back(n_rows, n, y, dy, dx, accumulate);
}

void sg_norm_rows(const struct sg_norm *s, int64_t n_rows, const float *x, float *y, float *kept) {
    sg_ref_norm_rows(s, n_rows, x, y, kept);
}

void sg_norm_rows_back(const struct sg_norm *s, int64_t n_rows, const float *x, const float *kept,
                       const float *dy, float *dx, int accumulate) {
    sg_ref_norm_rows_back(s, n_rows, x, kept, dy, dx, accumulate);
}

static void turn(int64_t n, int64_t rows, int64_t columns, const float *x, float *y) {
    for (int64_t i = 0; i < n * rows * columns; i++) {
        const int64_t image = i / (rows * columns), at = i % (rows * columns);

        y[image * rows * columns + at % columns * rows + at / columns] = x[i];
    }
}

void sg_nchw_to_nhwc(int64_t n, int64_t c, int64_t plane, const float *x, float *y) {
    turn(n, c, plane, x, y);
}

void sg_nhwc_to_nchw(int64_t n, int64_t c, int64_t plane, const float *x, float *y) {
    turn(n, plane, c, x, y);
}

const char *sg_blas_name(void) {
    return "loops";
}

const char *sg_kernels_simd(void) {
    return "double";
}

int sg_blas_set_one_thread(void) {
    return 1;
}

const char *sg_tiles_name(void) {
    return "none";
}

const char *sg_tiles_lack(void) {
    return "";
}
