/* src/net/kernels/dots.c - correlations with up to three output channels, such as the gradient of a
 * grey or colour image: dot products along the input channels. Rows are read where they lie; at the
 * borders the taps that fall outside are left away. */
#include "net/kernels/kernels_impl.h"

#include <string.h>

enum { MAX_DOTS = 3 }; /* accumulators a pixel */

static int applies(const struct sg_corr *q) {
    return q->k <= MAX_DOTS;
}

/* Neighbouring taps whose channels touch are one longer run. */
static int is_joined(const struct sg_corr *q) {
    return q->groups == 1 && q->x.dilation == 1;
}

static int64_t run_length(const struct sg_corr *q) {
    return is_joined(q) ? q->x.taps * q->c : q->c;
}

static int64_t padded_run(const struct sg_corr *q) {
    return sg_round_up(run_length(q), sg_simd_current()->lanes);
}

/* Weights of a tap row, of an output channel, and of all. */
static int64_t row_floats(const struct sg_corr *q) {
    return (is_joined(q) ? 1 : q->x.taps) * padded_run(q);
}

static int64_t channel_floats(const struct sg_corr *q) {
    return q->y.taps * row_floats(q);
}

/* At the left border a run begins within its weights, and vectors may so be read past the last one.
 */
static int64_t weights_size(const struct sg_corr *q) {
    return q->groups * q->k * channel_floats(q) + sg_simd_current()->lanes;
}

static void prepare(const struct sg_corr *q, const struct sg_weights *w, float *prepared) {
    memset(prepared, 0, (size_t)weights_size(q) * sizeof *prepared);
    for (int64_t g = 0; g < q->groups; g++) {
        for (int64_t o = 0; o < q->k; o++) {
            for (int64_t j = 0; j < q->y.taps * q->x.taps * q->c; j++) {
                const int64_t c = j % q->c, x = j / q->c % q->x.taps, y = j / q->c / q->x.taps;
                float *row = prepared + (g * q->k + o) * channel_floats(q) + y * row_floats(q);

                row[x * (is_joined(q) ? q->c : padded_run(q)) + c] =
                    w->at[g * w->group + y * w->y + x * w->x + c * w->c + o * w->k];
            }
        }
    }
}

static int64_t work_size(const struct sg_corr *q) {
    (void)q;
    return 0;
}

/* Outputs first .. first + n - 1 of an axis, to which the taps begin .. end - 1 belong; tap 0 of
 * the first one is at `at`. */
struct piece {
    int64_t first, n, begin, end, at;
};

static struct piece piece_from(const struct sg_axis *a, int64_t first) {
    struct piece p = {.first = first, .n = 1, .at = a->origin + first * a->step};
    int64_t begin, end;

    sg_taps_inside(a, p.at, &p.begin, &p.end);
    for (; first + p.n < a->out; p.n++) {
        sg_taps_inside(a, p.at + p.n * a->step, &begin, &end);
        if (begin != p.begin || end != p.end) {
            break;
        }
    }
    return p;
}

/* The outputs of two pieces in sample i: by rows, or by columns where these are longer. */
static void run_piece(const struct sg_corr *q, const float *prepared,
                      const struct sg_corr_call *call, int64_t i, int64_t g, const struct piece *y,
                      const struct piece *x) {
    const int64_t in_px = q->groups * q->c, out_px = q->groups * q->k;
    const int64_t in_row = q->x.in * in_px;
    const int64_t in_y = y->at + y->begin * q->y.dilation;
    const int64_t in_x = x->at + x->begin * q->x.dilation;
    const int64_t joined = is_joined(q);
    const float *from = call->in + i * q->y.in * in_row + in_y * in_row + in_x * in_px + g * q->c;
    const float *w = prepared + g * q->k * channel_floats(q) + y->begin * row_floats(q) +
                     x->begin * (joined ? q->c : padded_run(q));
    const float *bias = call->bias == NULL ? NULL : call->bias + g * q->k;
    float *to =
        sg_corr_output_row(q, call->out, i, y->first) + g * q->k + x->first * q->x.spacing * out_px;
    const int64_t x_steps[2] = {q->x.step * in_px, q->x.spacing * out_px};
    const int64_t y_steps[2] = {q->y.step * in_row, q->y.spacing * q->x.full * out_px};
    const int by_rows = x->n >= y->n;
    const struct sg_row r = {.cols = by_rows ? x->n : y->n,
                             .x_step = by_rows ? x_steps[0] : y_steps[0],
                             .n_y = y->end - y->begin,
                             .y_stride = q->y.dilation * in_row,
                             .n_x = joined ? x->end > x->begin : x->end - x->begin,
                             .tap_stride = q->x.dilation * in_px,
                             .run = joined ? (x->end - x->begin) * q->c : q->c,
                             .w_stride = row_floats(q),
                             .w_size = channel_floats(q),
                             .out_step = by_rows ? x_steps[1] : y_steps[1],
                             .width = q->k,
                             .relu = call->relu,
                             .accumulate = call->accumulate};

    for (int64_t j = 0; j < (by_rows ? y->n : x->n); j++) {
        sg_simd_current()->dots_row(&r, from + j * (by_rows ? y_steps[0] : x_steps[0]), w, bias,
                                    to + j * (by_rows ? y_steps[1] : x_steps[1]));
    }
}

static void run(const struct sg_corr *q, const float *prepared, const struct sg_corr_call *call) {
    for (int64_t i = 0; i < q->n; i++) {
        struct piece y, x;

        for (int64_t y0 = 0; y0 < q->y.out; y0 += y.n) {
            y = piece_from(&q->y, y0);
            for (int64_t x0 = 0; x0 < q->x.out; x0 += x.n) {
                x = piece_from(&q->x, x0);
                for (int64_t g = 0; g < q->groups; g++) {
                    run_piece(q, prepared, call, i, g, &y, &x);
                }
            }
        }
        if (sg_corr_is_dense(q)) {
            sg_corr_done(call, (i + 1) * q->y.out * q->x.out * q->groups * q->k);
        }
    }
}

const struct sg_algorithm sg_algorithm_dots = {
    .name = "dots",
    .applies = applies,
    .weights_size = weights_size,
    .prepare = prepare,
    .work_size = work_size,
    .run = run,
};
