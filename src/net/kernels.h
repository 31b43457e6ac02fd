/* src/net/kernels.h - arithmetic on channels-last arrays; knows nothing of graphs.
 *
 * Each kernel has a plain loop as reference (sg_ref_*, double accumulators) that the fast one is
 * tested against. Which algorithm runs is a pure function of the shape and the kernel family, never
 * of a timing: timing would change bits. */
#ifndef NET_KERNELS_H
#define NET_KERNELS_H

#include "sgdist/net.h"

#include <stddef.h>
#include <stdint.h>

/* A 2-D convolution of a whole batch: x[n][h][w][c] -> y[n][oh][ow][k]. oh = (h + pad_top +
 * pad_bottom - dilation_h (kh - 1) - 1) / stride_h + 1; likewise ow. c and k are multiples of
 * groups. */
struct sg_conv {
    int64_t n, h, w, c;
    int64_t oh, ow, k;
    int64_t kh, kw;
    int64_t stride_h, stride_w;
    int64_t dilation_h, dilation_w;
    int64_t pad_top, pad_left, pad_bottom, pad_right;
    int64_t groups;
    enum sg_precision precision; /* bfloat16: layers with 16 and more channels on both sides round
                                  * their input and weights; needs sg_precision_check */
    int may_keep_ties;           /* weights are prepared for both kinds of forward pass */
    int keeps_ties; /* ... and this is the one in which equal neighbourhoods give equal bits
                     * wherever they lie, as in the plain sum */
    int is_pooled;  /* max pooling whose windows of 2x2 tile y is all that reads it */
};

/* Whether convolution and pooling can go together, and it pays: then is_pooled may be set, and the
 * next two be called. */
int sg_conv_may_pool(const struct sg_conv *s);

/* Floats that prepared weights take, and their preparation from ONNX order
 * weight[k][c/groups][kh][kw]: all layouts that forward and backward need, done once at load.
 * Independent of n. */
int64_t sg_conv_prepared_size(const struct sg_conv *s);
void sg_conv_prepare(const struct sg_conv *s, const float *weight, float *prepared);

/* Floats of workspace that one call (either direction) needs; it may split the batch to keep this
 * small. */
int64_t sg_conv_work_size(const struct sg_conv *s);

/* What follows a node in the same pass: nothing, max(y, 0), or min(max(y, 0), 6). NaN stays NaN. */
enum sg_relu_kind { SG_RELU_NONE, SG_RELU_PLAIN, SG_RELU_6 };

/* y = conv(x) + bias (bias[k], may be NULL), then what `relu` (sg_relu_kind) says. */
void sg_conv_forward(const struct sg_conv *s, const float *prepared, const float *bias, int relu,
                     const float *x, float *y, float *work);

/* As sg_conv_forward of y + conv(x) + bias: a residual connection in one pass. */
void sg_conv_forward_add(const struct sg_conv *s, const float *prepared, const float *bias,
                         int relu, const float *x, float *y, float *work);

/* dx = (accumulate ? dx : 0) + d(conv)/dx' dy. */
void sg_conv_backward(const struct sg_conv *s, const float *prepared, const float *dy, float *dx,
                      int accumulate, float *work);

/* The algorithms in use: of the forward pass, or of the phases of the backward pass, "direct" or
 * "direct+columns". Into buf[cap], returned. */
const char *sg_conv_algorithms(const struct sg_conv *s, int backward, char *buf, size_t cap);

/* Which algorithm number a of the table would take for part i (-1: forward, 0 and up: the phases of
 * backward), on random numbers; about `seconds` are spent on it. With is_pooled, backward number 0
 * is sg_conv_backward_pooled, and the table follows, each with the pooling's own pass. Its name, or
 * NULL past the end of the table. *taken: -1 if it cannot do this shape, or memory is out. */
const char *sg_conv_try(const struct sg_conv *s, int64_t i, int a, double seconds, int *is_chosen,
                        double *taken);
/* The two with the bits of a Relu in the same pass, stretch by stretch while the result is cached:
 * mask[i / 32] gets bit i % 32 if y[i] > 0; `add` as sg_conv_forward_add. And dx[i] becomes 0 where
 * the bit is 0. mask may be NULL. */
void sg_conv_forward_masked(const struct sg_conv *s, const float *prepared, const float *bias,
                            int relu, int add, const float *x, float *y, uint32_t *mask,
                            float *work);
void sg_conv_backward_masked(const struct sg_conv *s, const float *prepared, const float *dy,
                             float *dx, int accumulate, const uint32_t *mask, float *work);

/* With is_pooled: y[n][oh/2][ow/2][k] is what sg_conv_forward and sg_max_pool_forward make, bit by
 * bit, and winner[] as there. */
void sg_conv_forward_pooled(const struct sg_conv *s, const float *prepared, const float *bias,
                            int relu, const float *x, float *y, uint8_t *winner, float *work);

/* dx of dy[n][oh/2][ow/2][k] behind the pooling: as sg_max_pool_backward with `cut` and then
 * sg_conv_backward_masked, other sums of the same terms. */
void sg_conv_backward_pooled(const struct sg_conv *s, const float *prepared, const uint8_t *winner,
                             int cut, const float *dy, float *dx, int accumulate,
                             const uint32_t *mask, float *work);

void sg_ref_conv_forward(const struct sg_conv *s, const float *weight, const float *bias, int relu,
                         const float *x, float *y);
void sg_ref_conv_backward(const struct sg_conv *s, const float *weight, const float *dy, float *dx,
                          int accumulate);

/* 2-D pooling; windows are clipped at the borders (padding is -inf for max), and may hang over or
 * lie outside (ceil mode). One winner a window, the first in row order; `winner[n][oh][ow][c]` is
 * its number kh_index * kw + kw_index, to which 128 is added where the maximum is not above 0.
 * Windows have up to 127 elements: the _wide functions, whose winners are plain numbers, have no
 * limit. The first NaN of a window wins it. A window wholly outside gives -inf (average: 0), has
 * the winner 255 (wide: -1) and passes no gradient. */
enum { SG_POOL_MAX_NARROW = 127, SG_POOL_CLOSED = 128, SG_POOL_OUTSIDE = 255 };
struct sg_pool {
    int64_t n, h, w, c;
    int64_t oh, ow;
    int64_t kh, kw;
    int64_t stride_h, stride_w;
    int64_t pad_top, pad_left, pad_bottom, pad_right;
    int count_include_pad; /* average: divide by the window clipped to the padded image only */
};
/* Whether every input element lies in exactly one window. */
static inline int sg_pool_tiles(const struct sg_pool *s) {
    return s->stride_h == s->kh && s->stride_w == s->kw && s->pad_top == 0 && s->pad_left == 0 &&
           s->oh * s->kh == s->h && s->ow * s->kw == s->w;
}

/* The pooling with windows of 2x2 that tile what a convolution makes. */
static inline struct sg_pool sg_pool_behind(const struct sg_conv *s) {
    return (struct sg_pool){.n = s->n,
                            .h = s->oh,
                            .w = s->ow,
                            .c = s->k,
                            .oh = s->oh / 2,
                            .ow = s->ow / 2,
                            .kh = 2,
                            .kw = 2,
                            .stride_h = 2,
                            .stride_w = 2};
}

void sg_max_pool_forward(const struct sg_pool *s, const float *x, float *y, uint8_t *winner);
/* `cut`: nothing passes where the maximum is not above 0, as through a Relu before the pooling. */
void sg_max_pool_backward(const struct sg_pool *s, const uint8_t *winner, const float *dy,
                          float *dx, int accumulate, int cut);
void sg_max_pool_forward_wide(const struct sg_pool *s, const float *x, float *y, int32_t *winner);
void sg_max_pool_backward_wide(const struct sg_pool *s, const int32_t *winner, const float *dy,
                               float *dx, int accumulate);
/* dx of dy by the shares of each window's elements, shares[oh][ow][kh kw][c], in all samples. */
void sg_max_pool_backward_shares(const struct sg_pool *s, const float *shares, const float *dy,
                                 float *dx, int accumulate);
void sg_average_pool_forward(const struct sg_pool *s, const float *x, float *y);
void sg_average_pool_backward(const struct sg_pool *s, const float *dy, float *dx, int accumulate);

void sg_ref_max_pool_forward(const struct sg_pool *s, const float *x, float *y, int32_t *winner);
void sg_ref_max_pool_backward(const struct sg_pool *s, const int32_t *winner, const float *dy,
                              float *dx, int accumulate);
void sg_ref_average_pool_forward(const struct sg_pool *s, const float *x, float *y);
void sg_ref_average_pool_backward(const struct sg_pool *s, const float *dy, float *dx,
                                  int accumulate);

/* Row-major SGEMM: c[m][n] = alpha op(a) op(b) + beta c; trans_* != 0 transposes. The only file
 * that includes cblas.h is blas.c. lda etc. are row lengths. */
void sg_gemm(int trans_a, int trans_b, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
             int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc);

/* Elementwise and layout helpers, vectorised by the compiler for each instruction set (same bits on
 * all of them). */
void sg_relu_forward(const float *x, float *y, int64_t n);    /* in place allowed; NaN stays NaN */
void sg_relu_mask(const float *y, uint32_t *mask, int64_t n); /* bit i of word i / 32: y[i] > 0 */
/* y = min(max(x, low), high), in place allowed, and bits of low < x[i] < high. NaN stays NaN. */
void sg_clip(float low, float high, const float *x, float *y, uint32_t *mask, int64_t n);
void sg_clip_mask(float low, float high, const float *y, uint32_t *mask, int64_t n);
void sg_relu_backward(const uint32_t *mask, const float *dy, float *dx, int64_t n, int accumulate);
/* The same under a rule for Relu; a NaN that comes through the mask stays one. */
void sg_relu_backward_by(enum sg_rule rule, const uint32_t *mask, const float *dy, float *dx,
                         int64_t n, int accumulate);
void sg_add(const float *a, const float *b, float *y, int64_t n);
void sg_accumulate(const float *x, float *y, int64_t n); /* y += x */
void sg_nchw_to_nhwc(int64_t n, int64_t c, int64_t plane, const float *x, float *y);
void sg_nhwc_to_nchw(int64_t n, int64_t c, int64_t plane, const float *x, float *y);

/* y = exp(x), at most 1.01 ulp from the true value; in place allowed. The bits depend on the kernel
 * family. */
void sg_exp(const float *x, float *y, int64_t n);
/* y = 1 / (1 + exp(-x)), at most 2.5 ulp from the true value for x > -88, in place allowed. */
void sg_sigmoid(const float *x, float *y, int64_t n);
/* y = erf(x), at most 1.5 ulp from the true value, and slope = dy/dx, within (2e-7 + 1.2e-7 x^2) of
 * itself. y may be x. */
void sg_erf(const float *x, float *y, float *slope, int64_t n);

/* y = x (p + q f(x)), with f(x) = erf(r x) or tanh(r x + s x^3); slope is dy/dx. y may be x.
 * Against the true values of these floats: y within 3e-7 |x| (|p| + |q|), slope within 2e-6 (|p| +
 * |q|), for |r x| < 10. */
enum sg_gated_kind { SG_GATED_ERF, SG_GATED_TANH };
struct sg_gated {
    enum sg_gated_kind kind;
    float p, q, r, s;
};
void sg_gated(const struct sg_gated *g, const float *x, float *y, float *slope, int64_t n);

/* Rows of n elements: y = exp(x) / sum exp(x), dx = y (dy - sum y dy). In place allowed. */
void sg_softmax_rows(int64_t n_rows, int64_t n, const float *x, float *y);
void sg_softmax_rows_back(int64_t n_rows, int64_t n, const float *y, const float *dy, float *dx,
                          int accumulate);

/* Rows of n elements to mean 0 and variance 1 (less by epsilon), times scale plus shift, vectors of
 * n or NULL. kept[n_rows][2]: mean and 1 / deviation, for the way back; y may be x if x is not
 * needed there, dx may be dy. */
struct sg_norm {
    int64_t n;
    float epsilon;
    const float *scale;
    const float *shift;
};
void sg_norm_rows(const struct sg_norm *s, int64_t n_rows, const float *x, float *y, float *kept);
void sg_norm_rows_back(const struct sg_norm *s, int64_t n_rows, const float *x, const float *kept,
                       const float *dy, float *dx, int accumulate);

void sg_ref_erf(const float *x, float *y, float *slope, int64_t n);
void sg_ref_gated(const struct sg_gated *g, const float *x, float *y, float *slope, int64_t n);
void sg_ref_softmax_rows(int64_t n_rows, int64_t n, const float *x, float *y);
void sg_ref_softmax_rows_back(int64_t n_rows, int64_t n, const float *y, const float *dy, float *dx,
                              int accumulate);
void sg_ref_norm_rows(const struct sg_norm *s, int64_t n_rows, const float *x, float *y,
                      float *kept);
void sg_ref_norm_rows_back(const struct sg_norm *s, int64_t n_rows, const float *x,
                           const float *kept, const float *dy, float *dx, int accumulate);

/* The two halves of the kernel family. The BLAS and the core it chose, "openblas-haswell", and the
 * instruction set of our own kernels: "avx512", "avx2" or "portable", the best this processor has
 * or the lower one that the environment variable SGDIST_SIMD names. Static strings. */
const char *sg_blas_name(void);
const char *sg_kernels_simd(void);

/* The third, where the precision is bfloat16: "amx", "avx512"; "none" on other processors, and why
 * there is none. */
const char *sg_tiles_name(void);
const char *sg_tiles_lack(void);

/* Sets one BLAS thread; 1 if the BLAS then keeps to it. */
int sg_blas_set_one_thread(void);

#endif
