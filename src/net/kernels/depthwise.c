/* src/net/kernels/depthwise.c - one filter a channel: the groups are the channels of a vector. Rows
 * are read where they lie; at the borders the taps that fall outside are left away. */
#include "net/kernels/kernels_impl.h"

static int applies(const struct sg_corr *q) {
    return q->c == 1 && q->k == 1 && q->groups > 1;
}

static int64_t weights_size(const struct sg_corr *q) {
    return q->y.taps * q->x.taps * q->groups;
}

static void prepare(const struct sg_corr *q, const struct sg_weights *w, float *prepared) {
    for (int64_t t = 0; t < q->y.taps * q->x.taps; t++) {
        for (int64_t g = 0; g < q->groups; g++) {
            prepared[t * q->groups + g] =
                w->at[g * w->group + t / q->x.taps * w->y + t % q->x.taps * w->x];
        }
    }
}

static int64_t work_size(const struct sg_corr *q) {
    (void)q;
    return 0;
}

/* One row of output: where its taps begin in the image and in the weights, and where it lands. */
struct line {
    const struct sg_corr *q;
    struct sg_row row;
    const float *x; /* tap row 0 of the row, at pixel 0 of the image */
    const float *w;
    const float *bias;
    float *y;
};

/* Columns first .. first + n - 1, which see the same taps. */
static void run_columns(const struct line *l, int64_t first, int64_t n) {
    const struct sg_axis *a = &l->q->x;
    const int64_t width = l->q->groups;
    const int64_t at = a->origin + first * a->step;
    struct sg_row r = l->row;
    int64_t begin, end;

    sg_taps_inside(a, at, &begin, &end);
    r.cols = n;
    r.n_x = end - begin;
    sg_simd_current()->depthwise_row(&r, l->x + (at + begin * a->dilation) * width,
                                     l->w + begin * width, l->bias, l->y + first * r.out_step);
}

/* The columns all of whose taps are inside go together. */
static void run_line(const struct line *l) {
    const struct sg_axis *a = &l->q->x;
    const int64_t room = a->in - (a->taps - 1) * a->dilation - a->origin; /* for first taps */
    const int64_t n = room > 0 ? sg_min(a->out, (room + a->step - 1) / a->step) : 0;
    const int64_t left = a->origin < 0 ? sg_min(n, (-a->origin + a->step - 1) / a->step) : 0;
    int64_t i = 0;

    for (; i < left; i++) {
        run_columns(l, i, 1);
    }
    if (n > left) {
        run_columns(l, left, n - left);
        i = n;
    }
    for (; i < a->out; i++) {
        run_columns(l, i, 1);
    }
}

static void run(const struct sg_corr *q, const float *prepared, const struct sg_corr_call *call) {
    const int64_t width = q->groups;
    const int64_t in_row = q->x.in * width;
    struct line l = {.q = q,
                     .row = {.x_step = q->x.step * width,
                             .y_stride = q->y.dilation * in_row,
                             .tap_stride = q->x.dilation * width,
                             .w_stride = q->x.taps * width,
                             .out_step = q->x.spacing * width,
                             .width = width,
                             .relu = call->relu,
                             .accumulate = call->accumulate},
                     .bias = call->bias};

    for (int64_t row = 0; row < q->n * q->y.out; row++) {
        const int64_t at = q->y.origin + row % q->y.out * q->y.step;
        int64_t begin, end;

        sg_taps_inside(&q->y, at, &begin, &end);
        l.row.n_y = end - begin;
        l.x = call->in + (row / q->y.out * q->y.in + at + begin * q->y.dilation) * in_row;
        l.w = prepared + begin * l.row.w_stride;
        l.y = sg_corr_output_row(q, call->out, row / q->y.out, row % q->y.out);
        run_line(&l);
    }
}

const struct sg_algorithm sg_algorithm_depthwise = {
    .name = "depthwise",
    .applies = applies,
    .weights_size = weights_size,
    .prepare = prepare,
    .work_size = work_size,
    .run = run,
};
