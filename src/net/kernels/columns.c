/* src/net/kernels/columns.c - correlations as SGEMM: without a copy where the image itself is the
 * matrix, otherwise on column matrices of a block of output rows (im2col). */
#include "net/kernels/kernels_impl.h"

#include <string.h>

/* A block of pixels: large enough to use a pass over the weights well, small enough that its
 * outputs are still cached when bias and ReLU go over them. */
enum { BLOCK_FLOATS = 65536, MIN_BLOCK_PIXELS = 384 };

static int64_t n_terms(const struct sg_corr *q) {
    return q->y.taps * q->x.taps * q->c;
}

static int64_t block_pixels(int64_t floats) {
    return sg_max(MIN_BLOCK_PIXELS, BLOCK_FLOATS / floats);
}

/* y[n_px][k], rows `stride` apart: adds the bias, then cuts. */
static void bias_relu(float *y, int64_t n_px, int64_t k, int64_t stride, const float *bias,
                      int relu) {
    for (int64_t i = 0; i < n_px; i++, y += stride) {
        for (int64_t c = 0; bias != NULL && c < k; c++) {
            y[c] += bias[c];
        }
        for (int64_t c = 0; relu && c < k; c++) {
            y[c] = sg_cut(relu, y[c]);
        }
    }
}

static int64_t matrix_weights_size(const struct sg_corr *q) {
    return q->groups * n_terms(q) * q->k;
}

/* [group][tap][input channel][output channel] */
static void matrix_prepare(const struct sg_corr *q, const struct sg_weights *w, float *prepared) {
    for (int64_t g = 0; g < q->groups; g++) {
        for (int64_t t = 0; t < q->y.taps * q->x.taps; t++) {
            const float *tap = w->at + g * w->group + t / q->x.taps * w->y + t % q->x.taps * w->x;
            for (int64_t c = 0; c < q->c; c++) {
                for (int64_t o = 0; o < q->k; o++) {
                    *prepared++ = tap[c * w->c + o * w->k];
                }
            }
        }
    }
}

static int is_pointwise(const struct sg_axis *a) {
    return a->taps == 1 && a->step == 1 && a->origin == 0 && a->in == a->out;
}

static int pointwise_applies(const struct sg_corr *q) {
    return is_pointwise(&q->y) && is_pointwise(&q->x) && sg_corr_is_dense(q);
}

static int64_t pointwise_work_size(const struct sg_corr *q) {
    (void)q;
    return 0;
}

static void pointwise_run(const struct sg_corr *q, const float *prepared,
                          const struct sg_corr_call *call) {
    const int64_t n_px = q->n * q->y.out * q->x.out;
    const int64_t step = block_pixels(q->c + q->k);
    const int64_t in_stride = q->groups * q->c;
    const int64_t out_stride = q->groups * q->k;

    for (int64_t i = 0; i < n_px; i += step) {
        const int64_t m = sg_min(step, n_px - i);
        for (int64_t g = 0; g < q->groups; g++) {
            float *out = call->out + i * out_stride + g * q->k;
            sg_gemm(0, 0, m, q->k, q->c, 1.0f, call->in + i * in_stride + g * q->c, in_stride,
                    prepared + g * q->c * q->k, q->k, call->accumulate ? 1.0f : 0.0f, out,
                    out_stride);
            bias_relu(out, m, q->k, out_stride, call->bias == NULL ? NULL : call->bias + g * q->k,
                      call->relu);
        }
    }
}

const struct sg_algorithm sg_algorithm_pointwise = {
    .name = "pointwise",
    .applies = pointwise_applies,
    .weights_size = matrix_weights_size,
    .prepare = matrix_prepare,
    .work_size = pointwise_work_size,
    .run = pointwise_run,
};

static int columns_applies(const struct sg_corr *q) {
    (void)q;
    return 1;
}

/* Blocks are whole output rows and may span samples. */
static int64_t block_rows(const struct sg_corr *q) {
    const int64_t rows = (block_pixels(n_terms(q)) + q->x.out - 1) / q->x.out;

    return sg_min(q->n * q->y.out, rows);
}

static int64_t columns_size(const struct sg_corr *q) {
    return sg_round_up(block_rows(q) * q->x.out * n_terms(q), 16);
}

/* The columns, and the products where they cannot go to their place at once. */
static int64_t columns_work_size(const struct sg_corr *q) {
    return columns_size(q) + (sg_corr_is_dense(q) ? 0 : block_rows(q) * q->x.out * q->k);
}

/* The taps [*begin, *end) that lie inside the image, when tap 0 is at `at`. */
static void taps_inside(const struct sg_axis *a, int64_t at, int64_t *begin, int64_t *end) {
    *begin = at >= 0 ? 0 : sg_min(a->taps, (-at + a->dilation - 1) / a->dilation);
    *end = at >= a->in ? *begin : sg_min(a->taps, (a->in - 1 - at) / a->dilation + 1);
    *end = sg_max(*begin, *end);
}

/* Taps of one kernel row for one pixel: [x.taps][c] floats; `row` is the image row at this group.
 */
static void fill_taps(const struct sg_corr *q, const float *row, int64_t at, float *to) {
    const int64_t all = q->groups * q->c;
    const size_t bytes = (size_t)q->c * sizeof *to;
    int64_t begin;
    int64_t end;

    taps_inside(&q->x, at, &begin, &end);
    memset(to, 0, (size_t)begin * bytes);
    if (q->x.dilation == 1 && q->groups == 1) {
        memcpy(to + begin * q->c, row + (at + begin) * all, (size_t)(end - begin) * bytes);
    } else {
        for (int64_t t = begin; t < end; t++) {
            memcpy(to + t * q->c, row + (at + t * q->x.dilation) * all, bytes);
        }
    }
    memset(to + end * q->c, 0, (size_t)(q->x.taps - end) * bytes);
}

/* The columns [x.out][taps][c] of output row y; `image` is the sample at this group. */
static void fill_row(const struct sg_corr *q, const float *image, int64_t y, float *to) {
    const int64_t n_run = q->x.taps * q->c;
    const int64_t stride = q->x.in * q->groups * q->c;

    for (int64_t ty = 0; ty < q->y.taps; ty++) {
        const int64_t in_y = q->y.origin + y * q->y.step + ty * q->y.dilation;
        for (int64_t x = 0; x < q->x.out; x++) {
            float *run = to + x * n_terms(q) + ty * n_run;
            if (in_y < 0 || in_y >= q->y.in) {
                memset(run, 0, (size_t)n_run * sizeof *run);
            } else {
                fill_taps(q, image + in_y * stride, q->x.origin + x * q->x.step, run);
            }
        }
    }
}

static int64_t output_pixel(const struct sg_corr *q, int64_t row) {
    const int64_t y = q->y.first + row % q->y.out * q->y.spacing;

    return (row / q->y.out * q->y.full + y) * q->x.full + q->x.first;
}

/* Brings the products of one grid row to their places. */
static void scatter_row(const struct sg_corr *q, const struct sg_corr_call *call, const float *from,
                        float *to) {
    const int64_t step = q->x.spacing * q->groups * q->k;

    for (int64_t x = 0; x < q->x.out; x++, from += q->k, to += step) {
        for (int64_t c = 0; call->accumulate && c < q->k; c++) {
            to[c] += from[c];
        }
        if (!call->accumulate) {
            memcpy(to, from, (size_t)q->k * sizeof *to);
        }
    }
}

static void finish_block(const struct sg_corr *q, const struct sg_corr_call *call, int64_t g,
                         int64_t row, int64_t n_rows, float *products) {
    const int64_t n_px = n_rows * q->x.out;
    const int64_t all = q->groups * q->k;
    const float *bias = call->bias == NULL ? NULL : call->bias + g * q->k;

    if (sg_corr_is_dense(q)) {
        bias_relu(products, n_px, q->k, all, bias, call->relu);
        return;
    }
    bias_relu(products, n_px, q->k, q->k, bias, call->relu);
    for (int64_t r = 0; r < n_rows; r++) {
        scatter_row(q, call, products + r * q->x.out * q->k,
                    call->out + output_pixel(q, row + r) * all + g * q->k);
    }
}

static void multiply_block(const struct sg_corr *q, const float *prepared,
                           const struct sg_corr_call *call, int64_t g, int64_t row,
                           int64_t n_rows) {
    const int64_t n_px = n_rows * q->x.out;
    const int64_t all = q->groups * q->k;
    const int dense = sg_corr_is_dense(q);
    float *out =
        dense ? call->out + output_pixel(q, row) * all + g * q->k : call->work + columns_size(q);

    for (int64_t r = row; r < row + n_rows; r++) {
        const float *image =
            call->in + r / q->y.out * q->y.in * q->x.in * q->groups * q->c + g * q->c;
        fill_row(q, image, r % q->y.out, call->work + (r - row) * q->x.out * n_terms(q));
    }
    sg_gemm(0, 0, n_px, q->k, n_terms(q), 1.0f, call->work, n_terms(q),
            prepared + g * n_terms(q) * q->k, q->k, dense && call->accumulate ? 1.0f : 0.0f, out,
            dense ? all : q->k);
    finish_block(q, call, g, row, n_rows, out);
}

static void columns_run(const struct sg_corr *q, const float *prepared,
                        const struct sg_corr_call *call) {
    const int64_t step = block_rows(q);

    for (int64_t row = 0; row < q->n * q->y.out; row += step) {
        for (int64_t g = 0; g < q->groups; g++) {
            multiply_block(q, prepared, call, g, row, sg_min(step, q->n * q->y.out - row));
        }
    }
}

const struct sg_algorithm sg_algorithm_columns = {
    .name = "columns",
    .applies = columns_applies,
    .weights_size = matrix_weights_size,
    .prepare = matrix_prepare,
    .work_size = columns_work_size,
    .run = columns_run,
};
