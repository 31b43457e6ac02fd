/* src/net/kernels/columns.c - correlations as products of matrices: without a copy where the image
 * itself is the matrix, otherwise on column matrices of a block of output rows (im2col). */
#include "net/kernels/kernels_impl.h"

#include <string.h>

/* Pixels that one pass over the weights serves: enough of them to be worth it, and few enough for
 * their channels to stay in the second cache. Measured on Zen 3 for 64 to 2048 channels: 48 to 192
 * pixels are alike, at 80 to 90 GF/s of 103, where an SGEMM that packs both sides again for each
 * call has 51 to 88. */
enum { BLOCK_FLOATS = 65536, MIN_BLOCK_PIXELS = 48, BLOCK_PIXELS = 96 };

/* Pointwise: the image itself is the matrix. */

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
    struct sg_product p = {.n_terms = q->c,
                           .run = q->c,
                           .k = q->k,
                           .in_step = q->groups * q->c,
                           .out_step = q->groups * q->k,
                           .relu = call->relu,
                           .accumulate = call->accumulate};

    for (int64_t i = 0; i < n_px; i += BLOCK_PIXELS) {
        p.n = sg_min(BLOCK_PIXELS, n_px - i);
        for (int64_t g = 0; g < q->groups; g++) {
            sg_multiply(&p, call->in + i * p.in_step + g * q->c,
                        prepared + g * sg_product_weights(q->c, q->k),
                        call->bias == NULL ? NULL : call->bias + g * q->k,
                        call->out + i * p.out_step + g * q->k);
        }
        sg_corr_done(call, (i + p.n) * p.out_step);
    }
}

const struct sg_algorithm sg_algorithm_pointwise = {
    .name = "pointwise",
    .applies = pointwise_applies,
    .weights_size = sg_direct_weights_size,
    .prepare = sg_direct_prepare,
    .work_size = pointwise_work_size,
    .run = pointwise_run,
};

/* Columns: a matrix for each row of the kernel is written and multiplied while it is cached. */

static int64_t n_terms(const struct sg_corr *q) {
    return q->y.taps * q->x.taps * q->c;
}

static int64_t run_length(const struct sg_corr *q) {
    return q->x.taps * q->c;
}

static int columns_applies(const struct sg_corr *q) {
    (void)q;
    return 1;
}

/* Blocks are whole output rows and may span samples. */
static int64_t block_rows(const struct sg_corr *q) {
    const int64_t n_px = sg_max(MIN_BLOCK_PIXELS, BLOCK_FLOATS / run_length(q));
    const int64_t rows = (n_px + q->x.out - 1) / q->x.out;

    return sg_min(q->n * q->y.out, rows);
}

static int64_t columns_size(const struct sg_corr *q) {
    return sg_round_up(block_rows(q) * q->x.out * run_length(q), 16);
}

/* The columns, and the products where they cannot go to their place at once. */
static int64_t columns_work_size(const struct sg_corr *q) {
    return columns_size(q) + (sg_corr_is_dense(q) ? 0 : block_rows(q) * q->x.out * q->k);
}

void sg_taps_inside(const struct sg_axis *a, int64_t at, int64_t *begin, int64_t *end) {
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

    sg_taps_inside(&q->x, at, &begin, &end);
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

/* The columns [x.out][x.taps][c] of output row y for row ty of the kernel; `image` is the sample at
 * this group. */
static void fill_row(const struct sg_corr *q, const float *image, int64_t y, int64_t ty,
                     float *to) {
    const int64_t n_run = run_length(q);
    const int64_t in_y = q->y.origin + y * q->y.step + ty * q->y.dilation;

    if (in_y < 0 || in_y >= q->y.in) {
        memset(to, 0, (size_t)(q->x.out * n_run) * sizeof *to);
        return;
    }
    for (int64_t x = 0; x < q->x.out; x++) {
        fill_taps(q, image + in_y * q->x.in * q->groups * q->c, q->x.origin + x * q->x.step,
                  to + x * n_run);
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

/* Products of n_rows grid rows with row ty of the kernel, added to those before. */
static void multiply_rows(const struct sg_corr *q, const struct sg_corr_call *call, int64_t g,
                          int64_t row, int64_t n_rows, int64_t ty, const float *weights,
                          struct sg_product *p, float *out) {
    const int last = ty == q->y.taps - 1;

    for (int64_t r = row; r < row + n_rows; r++) {
        const float *image =
            call->in + r / q->y.out * q->y.in * q->x.in * q->groups * q->c + g * q->c;
        fill_row(q, image, r % q->y.out, ty, call->work + (r - row) * q->x.out * p->run);
    }
    p->first = ty * p->run;
    p->relu = last ? call->relu : SG_RELU_NONE;
    sg_multiply(p, call->work, weights, last && call->bias != NULL ? call->bias + g * q->k : NULL,
                out);
    p->accumulate = 1;
}

static void multiply_block(const struct sg_corr *q, const float *prepared,
                           const struct sg_corr_call *call, int64_t g, int64_t row,
                           int64_t n_rows) {
    const int64_t all = q->groups * q->k;
    const int dense = sg_corr_is_dense(q);
    float *out =
        dense ? call->out + output_pixel(q, row) * all + g * q->k : call->work + columns_size(q);
    struct sg_product p = {.n = n_rows * q->x.out,
                           .n_terms = n_terms(q),
                           .run = run_length(q),
                           .k = q->k,
                           .in_step = run_length(q),
                           .out_step = dense ? all : q->k,
                           .accumulate = dense && call->accumulate};

    for (int64_t ty = 0; ty < q->y.taps; ty++) {
        multiply_rows(q, call, g, row, n_rows, ty,
                      prepared + g * sg_product_weights(p.n_terms, q->k), &p, out);
    }
    for (int64_t r = 0; !dense && r < n_rows; r++) {
        scatter_row(q, call, out + r * q->x.out * q->k,
                    call->out + output_pixel(q, row + r) * all + g * q->k);
    }
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
    .weights_size = sg_direct_weights_size,
    .prepare = sg_direct_prepare,
    .work_size = columns_work_size,
    .run = columns_run,
};
