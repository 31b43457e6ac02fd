/* src/net/kernels/kernels_impl.h - how a convolution becomes correlations, and who computes them.
 *
 * A forward convolution is one strided correlation. Its adjoint is stride_h * stride_w of them, one
 * for each phase of the input grid: pixels with equal remainder by the stride see the same taps, so
 * each phase is a stride-1 correlation of dy with a subset of the flipped taps. Every algorithm
 * therefore serves both directions. */
#ifndef NET_KERNELS_IMPL_H
#define NET_KERNELS_IMPL_H

#include "net/kernels.h"

/* One axis: output pixel i of the grid, tap t reads input pixel origin + i * step + t * dilation
 * (0 where that is outside), and lands at first + i * spacing of `full` output pixels. */
struct sg_axis {
    int64_t in, out, full;
    int64_t taps, dilation, step, origin;
    int64_t first, spacing;
};

/* out[n][full y][full x][groups * k] from in[n][in y][in x][groups * c]. */
struct sg_corr {
    enum sg_precision precision;
    int keeps_ties; /* equal neighbourhoods give equal bits wherever they lie */
    int is_pooled;  /* max pooling with windows of 2x2 that tile the output may follow in run */
    int64_t n, groups, c, k;
    struct sg_axis y, x;
};

/* Where the weight of (group, tap y, tap x, input channel, output channel) lies in the model's
 * array: at[g * group + ty * y + tx * x + ci * c + co * k]. */
struct sg_weights {
    const float *at;
    int64_t group, y, x, c, k;
};

/* What is left to do on a result of n floats, as soon as a stretch from its start is final. */
struct sg_last_pass {
    float *at;
    int64_t n, done;
    uint32_t *make;      /* bits of a Relu that are kept, or NULL */
    const uint32_t *cut; /* bits by which the result is cut, or NULL */
};

struct sg_corr_call {
    const float *in;
    float *out;
    const float *bias; /* [groups * k] or NULL */
    int relu;          /* enum sg_relu_kind */
    int accumulate;    /* add to out, before relu; relu only where the grid is the whole output */
    int adjoint;       /* `prepared` is of the forward correlation, whose adjoint this one is */
    float *work;
    struct sg_last_pass *last; /* or NULL */
    uint8_t *winner; /* where a->pools: `out` is what the pooling of q->is_pooled makes of the
                      * result, and this who won; NULL: it is the result */
};

/* The first n floats of the result are final. Algorithms say so where they know, block by block. */
void sg_corr_done(const struct sg_corr_call *call, int64_t n);

/* An algorithm; `applies` and all sizes depend on the shape without n, work_size on n as well. */
struct sg_algorithm {
    const char *name;
    int (*applies)(const struct sg_corr *q);
    int64_t (*weights_size)(const struct sg_corr *q);
    void (*prepare)(const struct sg_corr *q, const struct sg_weights *w, float *prepared);
    int64_t (*work_size)(const struct sg_corr *q);
    void (*run)(const struct sg_corr *q, const float *prepared, const struct sg_corr_call *call);
    int serves_adjoint; /* one set of weights does for a stride-1 convolution and its adjoint */
    /* Whether run can pool in the same pass, of one group; NULL: never. */
    int (*pools)(const struct sg_corr *q);
};
extern const struct sg_algorithm sg_algorithm_nothing;   /* no tap reaches this phase */
extern const struct sg_algorithm sg_algorithm_bfloat16;  /* where the precision is that */
extern const struct sg_algorithm sg_algorithm_depthwise; /* one channel a group */
extern const struct sg_algorithm sg_algorithm_dots;      /* up to 3 output channels */
extern const struct sg_algorithm sg_algorithm_direct;    /* small channel counts */
extern const struct sg_algorithm sg_algorithm_winograd2; /* 3x3 with stride 1, 2x2 outputs a tile */
extern const struct sg_algorithm sg_algorithm_winograd4; /* ... and 4x4 outputs a tile */
extern const struct sg_algorithm sg_algorithm_strips;    /* ... for few channels */
extern const struct sg_algorithm sg_algorithm_pointwise; /* 1x1: a product without any copy */
extern const struct sg_algorithm sg_algorithm_columns;   /* anything, by im2col */

/* Entry a of the table, in the order of preference; NULL past its end. */
const struct sg_algorithm *sg_algorithm_at(int a);

/* The first algorithm of the table that applies. */
const struct sg_algorithm *sg_corr_choose(const struct sg_corr *q);

/* The correlations of a convolution: the forward one, the same one by an algorithm that treats all
 * places alike, and from 0 on the phases. */
enum { SG_CORR_WITH_TIES = -2, SG_CORR_FORWARD = -1 };
int64_t sg_corr_n_phases(const struct sg_conv *s);
int64_t sg_corr_forward(const struct sg_conv *s); /* which of the two a forward pass takes */
struct sg_corr sg_corr_of(const struct sg_conv *s, int64_t i, const float *weight,
                          struct sg_weights *w);

/* Whether the grid covers the whole output, so that its rows are contiguous. */
int sg_corr_is_dense(const struct sg_corr *q);

/* Row y of the grid in sample i. */
static inline float *sg_corr_output_row(const struct sg_corr *q, float *out, int64_t i, int64_t y) {
    const int64_t full_y = q->y.first + y * q->y.spacing;

    return out + ((i * q->y.full + full_y) * q->x.full + q->x.first) * q->groups * q->k;
}

/* The taps [*begin, *end) that lie inside the image, when tap 0 is at `at`. */
void sg_taps_inside(const struct sg_axis *a, int64_t at, int64_t *begin, int64_t *end);

/* A stretch of input rows with its zero border, for output rows y0 .. y0 + n_rows - 1 of sample i:
 * element (row, pixel, channel) is at[row * row_stride + pixel * pixel_stride + channel]. */
struct sg_rows {
    const float *at;
    int64_t row_stride, pixel_stride;
};

/* Output rows a block has, and the floats the border copy of one group takes (0 if the image needs
 * no border). */
int64_t sg_rows_per_block(const struct sg_corr *q);
int64_t sg_rows_work_size(const struct sg_corr *q);
struct sg_rows sg_rows_view(const struct sg_corr *q, const struct sg_corr_call *call, int64_t i,
                            int64_t y0, int64_t n_rows, int64_t group);

/* direct.c: a product of matrices on the direct convolution's kernel, out[n][k] (+)= in[n][run] w +
 * bias, then relu: rows in_step and out_step floats apart; w are `run` of n_terms rows of weights,
 * from row `first` on, all prepared by sg_direct_prepare. A row of `out` does not depend on n. */
struct sg_product {
    int64_t n, run, k;
    int64_t n_terms, first;
    int64_t in_step, out_step;
    int relu, accumulate;
};
void sg_multiply(const struct sg_product *p, const float *in, const float *w, const float *bias,
                 float *out);

/* Floats of the prepared weights of one group. */
int64_t sg_product_weights(int64_t n_terms, int64_t k);
int64_t sg_direct_weights_size(const struct sg_corr *q);
void sg_direct_prepare(const struct sg_corr *q, const struct sg_weights *w, float *prepared);

/* pooled.c: the backward pass of a convolution with is_pooled; call->in is the gradient of what the
 * pooling made. */
struct sg_winners {
    const uint8_t *winner;
    int numbers; /* see sg_pooled_row */
};
int sg_pooled_applies(const struct sg_conv *s);
const char *sg_pooled_name(const struct sg_conv *s);
int64_t sg_pooled_weights_size(const struct sg_conv *s);
void sg_pooled_prepare(const struct sg_conv *s, const float *weight, float *prepared);
int64_t sg_pooled_work_size(const struct sg_conv *s);
void sg_pooled_run(const struct sg_conv *s, const float *weights, const struct sg_winners *won,
                   const struct sg_corr_call *call);

/* winograd.c: whether tiles of m x m outputs save enough products, from so many channels on. */
int sg_winograd_saves(const struct sg_corr *q, int64_t m, int64_t min_channels);

/* Weights for F(m x m, 3x3) at all points, for `c` input channels of which the first q->c exist,
 * and the floats of one point. */
int64_t sg_winograd_plane(int64_t c, int64_t k);
void sg_winograd_prepare(const struct sg_corr *q, const struct sg_weights *w, int64_t m, int64_t c,
                         float *prepared);

static inline int64_t sg_round_up(int64_t n, int64_t to) {
    return (n + to - 1) / to * to;
}

static inline int64_t sg_min(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static inline int64_t sg_max(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* v after a node of this kind. */
static inline float sg_cut(int relu, float v) {
    const float cut = relu != SG_RELU_NONE && v < 0.0f ? 0.0f : v;

    return relu == SG_RELU_6 && cut > 6.0f ? 6.0f : cut;
}

/* One row of output pixels for the vector kernels: pixel i reads runs of `run` contiguous floats
 * at x + i * x_step + iy * y_stride + ix * tap_stride, and writes `width` channels. */
struct sg_row {
    int64_t cols, x_step;
    int64_t n_y, y_stride;
    int64_t n_x, tap_stride;
    int64_t run;
    int64_t w_stride; /* depthwise, dots: weights of one tap row */
    int64_t w_size;   /* dots: of one output channel */
    int64_t out_step, width;
    int relu, accumulate;
};
struct sg_row sg_row_of(const struct sg_corr *q, const struct sg_rows *rows,
                        const struct sg_corr_call *call);

/* Equal pooling windows side by side, x_step floats apart: n_y x n_x taps of c channels each; the
 * first tap's number is `first`. For route: `assign` writes instead of adding (disjoint windows),
 * and `numbers` are the bits by which a winner is compared. */
struct sg_window {
    int64_t cols, x_step;
    int64_t n_y, n_x, row_stride, c;
    int32_t first, kw;
    int assign, numbers;
};

/* Winograd's transforms of one tile: to[point * plane + channel] from the pixels px[points] of
 * `width` channels; and from such products to r->n_y rows of r->cols pixels, y_stride and out_step
 * floats apart. */
struct sg_winograd_transforms {
    void (*in)(const float *const *px, int64_t width, float *to, int64_t plane);
    void (*out)(const struct sg_row *r, const float *from, int64_t plane, const float *bias,
                float *y);
};

/* Neighbouring tiles of 4x4 outputs: where the 6x6 inputs of each begin, in rows of pixels of
 * `lanes` channels, the next `lanes` of which lie in_block floats on; and the outputs, of which
 * rows[] x cols[] exist. */
enum { SG_STRIP_TILES = 12, SG_STRIP_POINTS = 36 };
struct sg_strip {
    int64_t n, c, k;
    const float *in[SG_STRIP_TILES];
    float *out[SG_STRIP_TILES];
    int64_t rows[SG_STRIP_TILES], cols[SG_STRIP_TILES];
    int64_t in_row, in_block, out_row;
    int relu, accumulate;
    uint8_t *winner[SG_STRIP_TILES]; /* NULL, or outputs are pooled in windows of 2x2 */
};

/* n windows of 2x2 side by side with k channels each, and the sums of their gradients: four rows,
 * `row` floats apart, of pixels of c floats. A winner passes its gradient if, with these bits, its
 * number is below SG_POOL_CLOSED. */
struct sg_pooled_row {
    int64_t n, k, c, row;
    int numbers;
};

/* The kernels of one instruction set. `lanes` floats make a vector; direct blocks have up to two.
 */
struct sg_simd {
    const char *name;
    int64_t lanes;
    void (*direct_row)(const struct sg_row *r, const float *x, const float *w, const float *bias,
                       float *y);
    void (*direct_pool_row)(const struct sg_row *r, int64_t below, const float *x, const float *w,
                            const float *bias, float *sums, float *y, uint8_t *winner);
    /* Add to rows; patches: up to 3 floats a pixel, work[8 row + 2 n k]; taps: up to 64 channels.
     */
    void (*pooled_patches)(const struct sg_pooled_row *r, const uint8_t *winner, const float *dy,
                           const float *w, float *rows, float *work);
    void (*pooled_taps)(const struct sg_pooled_row *r, const uint8_t *winner, const float *dy,
                        const float *w, float *rows, float *work);
    void (*dots_row)(const struct sg_row *r, const float *x, const float *w, const float *bias,
                     float *y);
    void (*depthwise_row)(const struct sg_row *r, const float *x, const float *w, const float *bias,
                          float *y);
    const struct sg_winograd_transforms *winograd; /* [2]: of 2x2 and of 4x4 outputs */
    int64_t strip;                                 /* tiles that a strip may have */
    /* w: slices of two vectors (the last one may be of one) of the channels of a point, w_plane
     * floats from point to point. values[36 * strip * (c rounded up to lanes)] and products[36 *
     * strip * 2 * lanes] are workspace. */
    void (*winograd_strip)(const struct sg_strip *s, const float *w, int64_t w_plane,
                           const float *bias, float *values, float *products);
    /* n pixels of c channels into blocks of `lanes` channels, `block` floats apart, 0 past c. */
    void (*strip_pack)(const float *from, int64_t n, int64_t c, int64_t block, float *to);
    void (*transpose)(int64_t rows, int64_t cols, const float *from, int64_t from_stride, float *to,
                      int64_t to_stride);
    void (*window_max)(const struct sg_window *w, const float *x, float *y, uint8_t *winner);
    void (*window_route)(const struct sg_window *w, const uint8_t *winner, const float *dy,
                         float *dx);
    void (*relu_mask)(const float *y, uint32_t *mask, int64_t n_words); /* whole words only */
    void (*clip_mask)(float low, float high, const float *y, uint32_t *mask, int64_t n_words);
    void (*relu_backward)(const uint32_t *mask, const float *dy, float *dx, int64_t n_words,
                          int accumulate);
    void (*exp_all)(const float *x, float *y, int64_t n);
    void (*sigmoid_all)(const float *x, float *y, int64_t n);
    void (*erf_all)(const float *x, float *y, float *slope, int64_t n);
    void (*gated_all)(const struct sg_gated *g, const float *x, float *y, float *slope, int64_t n);
    void (*softmax_rows)(int64_t n_rows, int64_t n, const float *x, float *y);
    void (*softmax_rows_back)(int64_t n_rows, int64_t n, const float *y, const float *dy, float *dx,
                              int accumulate);
    void (*norm_rows)(const struct sg_norm *s, int64_t n_rows, const float *x, float *y,
                      float *kept);
    void (*norm_rows_back)(const struct sg_norm *s, int64_t n_rows, const float *x,
                           const float *kept, const float *dy, float *dx, int accumulate);
};
extern const struct sg_simd sg_simd_portable;
#if defined(__x86_64__)
extern const struct sg_simd sg_simd_avx2;
extern const struct sg_simd sg_simd_avx512;
#endif

/* The set in use: SGDIST_SIMD or the best of the processor; fixed at the first call. */
const struct sg_simd *sg_simd_current(void);

/* For tests: switches to the named set, 0 if this processor lacks it; or to the given one. Weights
 * that were prepared for another set are void. */
int sg_simd_select(const char *name);
void sg_simd_use(const struct sg_simd *set);

#endif
