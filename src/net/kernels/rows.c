/* src/net/kernels/rows.c - input rows with their zero border, for the kernels that read the image
 * itself instead of a column matrix. */
#include "net/kernels/kernels_impl.h"

#include <string.h>

/* Rows of a block: as many as half of a 256 kB second-level cache holds, which leaves room for
 * weights and output, but enough pixels to be worth a pass over the weights, which may come from
 * far. */
enum { BLOCK_FLOATS = 32768, MIN_BLOCK_PIXELS = 96 };

static int64_t extent(const struct sg_axis *a, int64_t n_out) {
    return (n_out - 1) * a->step + (a->taps - 1) * a->dilation + 1;
}

static int is_inside(const struct sg_axis *a) {
    return a->origin >= 0 && a->origin + extent(a, a->out) <= a->in;
}

static int needs_copy(const struct sg_corr *q) {
    return !is_inside(&q->y) || !is_inside(&q->x);
}

int64_t sg_rows_per_block(const struct sg_corr *q) {
    const int64_t row = extent(&q->x, q->x.out) * q->c;
    const int64_t fitting = (BLOCK_FLOATS / row - extent(&q->y, 1)) / q->y.step + 1;
    const int64_t wanted = (MIN_BLOCK_PIXELS + q->x.out - 1) / q->x.out;

    return sg_min(q->y.out, sg_max(wanted, fitting));
}

int64_t sg_rows_work_size(const struct sg_corr *q) {
    if (q->y.out == 0 || q->x.out == 0 || !needs_copy(q)) {
        return 0;
    }
    return extent(&q->y, sg_rows_per_block(q)) * extent(&q->x, q->x.out) * q->c;
}

static void zero(float *to, int64_t n) {
    memset(to, 0, (size_t)n * sizeof *to);
}

/* One row of n pixels from pixel `origin` on; `from` is NULL for a row outside the image. */
static void copy_row(const struct sg_corr *q, const float *from, int64_t n, float *to) {
    const int64_t all = q->groups * q->c;
    const int64_t begin = sg_min(n, sg_max(0, -q->x.origin));
    const int64_t end = sg_max(begin, sg_min(n, q->x.in - q->x.origin));

    if (from == NULL || begin == end) {
        zero(to, n * q->c);
        return;
    }
    zero(to, begin * q->c);
    if (q->groups == 1) {
        memcpy(to + begin * q->c, from + (q->x.origin + begin) * all,
               (size_t)((end - begin) * q->c) * sizeof *to);
    } else {
        for (int64_t i = begin; i < end; i++) {
            memcpy(to + i * q->c, from + (q->x.origin + i) * all, (size_t)q->c * sizeof *to);
        }
    }
    zero(to + end * q->c, (n - end) * q->c);
}

struct sg_rows sg_rows_view(const struct sg_corr *q, const struct sg_corr_call *call, int64_t i,
                            int64_t y0, int64_t n_rows, int64_t group) {
    const int64_t all = q->groups * q->c;
    const int64_t row = q->x.in * all;
    const float *image = call->in + i * q->y.in * row + group * q->c;
    const int64_t first = q->y.origin + y0 * q->y.step;
    const int64_t n_px = extent(&q->x, q->x.out);

    if (!needs_copy(q)) {
        return (struct sg_rows){image + first * row + q->x.origin * all, row, all};
    }
    for (int64_t y = 0; y < extent(&q->y, n_rows); y++) {
        const int64_t in_y = first + y;
        copy_row(q, in_y < 0 || in_y >= q->y.in ? NULL : image + in_y * row, n_px,
                 call->work + y * n_px * q->c);
    }
    return (struct sg_rows){call->work, n_px * q->c, q->c};
}

struct sg_row sg_row_of(const struct sg_corr *q, const struct sg_rows *rows,
                        const struct sg_corr_call *call) {
    /* Neighbouring taps whose channels touch are one longer run. */
    const int joined = q->x.dilation == 1 && rows->pixel_stride == q->c;

    return (struct sg_row){
        .cols = q->x.out,
        .x_step = q->x.step * rows->pixel_stride,
        .n_y = q->y.taps,
        .y_stride = q->y.dilation * rows->row_stride,
        .n_x = joined ? 1 : q->x.taps,
        .tap_stride = q->x.dilation * rows->pixel_stride,
        .run = joined ? q->x.taps * q->c : q->c,
        .out_step = q->x.spacing * q->groups * q->k,
        .width = q->k,
        .relu = call->relu,
        .accumulate = call->accumulate,
    };
}
