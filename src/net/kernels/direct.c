/* src/net/kernels/direct.c - direct convolution: a vector kernel that runs over image rows; and the
 * phase that no tap reaches. */
#include "net/kernels/kernels_impl.h"

#include <string.h>

static int64_t n_taps(const struct sg_corr *q) {
    return q->y.taps * q->x.taps;
}

/* Nothing: the phase is 0. */

static int nothing_applies(const struct sg_corr *q) {
    return n_taps(q) == 0 || q->y.out == 0 || q->x.out == 0;
}

static int64_t no_size(const struct sg_corr *q) {
    (void)q;
    return 0;
}

static void nothing_prepare(const struct sg_corr *q, const struct sg_weights *w, float *prepared) {
    (void)q;
    (void)w;
    (void)prepared;
}

static void nothing_run(const struct sg_corr *q, const float *prepared,
                        const struct sg_corr_call *call) {
    const int64_t width = q->groups * q->k;

    (void)prepared;
    for (int64_t row = 0; !call->accumulate && row < q->n * q->y.out; row++) {
        float *y = sg_corr_output_row(q, call->out, row / q->y.out, row % q->y.out);
        for (int64_t x = 0; x < q->x.out; x++) {
            memset(y + x * q->x.spacing * width, 0, (size_t)width * sizeof *y);
        }
    }
}

const struct sg_algorithm sg_algorithm_nothing = {
    .name = "nothing",
    .applies = nothing_applies,
    .weights_size = no_size,
    .prepare = nothing_prepare,
    .work_size = no_size,
    .run = nothing_run,
};

/* Direct: slices of two vectors of output channels. */

/* Measured on Zen 3 over the layers of ResNet-50: 85 to 97 GF/s of 103 on rows of 14 pixels and
 * more, up to the largest sums tried, while rows of 7 (tiles of 4 and 3 pixels) fall to 56. */
enum { MIN_ROW = 8, MAX_TERMS = 2304, MAX_TERMS_SHORT_ROW = 576 };

static int direct_applies(const struct sg_corr *q) {
    return n_taps(q) * q->c <= (q->x.out < MIN_ROW ? MAX_TERMS_SHORT_ROW : MAX_TERMS);
}

static int64_t direct_slice(void) {
    return 2 * sg_simd_current()->lanes;
}

static int64_t direct_slice_floats(const struct sg_corr *q) {
    return n_taps(q) * q->c * direct_slice();
}

int64_t sg_product_weights(int64_t n_terms, int64_t k) {
    return sg_round_up(k, direct_slice()) * n_terms;
}

int64_t sg_direct_weights_size(const struct sg_corr *q) {
    return q->groups * sg_product_weights(n_taps(q) * q->c, q->k);
}

/* One slice [tap][input channel][one or two vectors], 0 past the last output channel. */
static void direct_prepare_slice(const struct sg_corr *q, const struct sg_weights *w,
                                 const float *at, int64_t n_out, float *to) {
    const int64_t lanes = sg_simd_current()->lanes;
    const int64_t stride = n_out > lanes ? 2 * lanes : lanes;

    for (int64_t t = 0; t < n_taps(q); t++) {
        const float *tap = at + t / q->x.taps * w->y + t % q->x.taps * w->x;
        for (int64_t c = 0; c < q->c; c++, to += stride) {
            for (int64_t o = 0; o < n_out; o++) {
                to[o] = tap[c * w->c + o * w->k];
            }
        }
    }
}

void sg_direct_prepare(const struct sg_corr *q, const struct sg_weights *w, float *prepared) {
    const int64_t slice = direct_slice();

    memset(prepared, 0, (size_t)sg_direct_weights_size(q) * sizeof *prepared);
    for (int64_t g = 0; g < q->groups; g++) {
        for (int64_t o = 0; o < q->k; o += slice) {
            direct_prepare_slice(q, w, w->at + g * w->group + o * w->k, sg_min(slice, q->k - o),
                                 prepared);
            prepared += direct_slice_floats(q);
        }
    }
}

void sg_multiply(const struct sg_product *p, const float *in, const float *w, const float *bias,
                 float *out) {
    const int64_t slice = direct_slice();
    struct sg_row r = {.cols = p->n,
                       .x_step = p->in_step,
                       .n_y = 1,
                       .n_x = 1,
                       .run = p->run,
                       .out_step = p->out_step,
                       .relu = p->relu,
                       .accumulate = p->accumulate};

    for (int64_t o = 0; o < p->k; o += slice) {
        r.width = sg_min(slice, p->k - o);
        sg_simd_current()->direct_row(
            &r, in, w + o * p->n_terms + p->first * (r.width > slice / 2 ? slice : slice / 2),
            bias == NULL ? NULL : bias + o, out + o);
    }
}

/* Rows of one slice of output channels, the first of which is `channel`. */
static void run_slice(const struct sg_corr *q, const struct sg_corr_call *call,
                      const struct sg_row *r, const struct sg_rows *rows, const float *w,
                      int64_t channel, int64_t i, int64_t y0, int64_t n_rows) {
    for (int64_t y = 0; y < n_rows; y++) {
        sg_simd_current()->direct_row(r, rows->at + y * q->y.step * rows->row_stride, w,
                                      call->bias == NULL ? NULL : call->bias + channel,
                                      sg_corr_output_row(q, call->out, i, y0 + y) + channel);
    }
}

static int direct_pools(const struct sg_corr *q) {
    return sg_rows_per_block(q) >= 2;
}

static int64_t direct_work_size(const struct sg_corr *q) {
    return sg_rows_work_size(q) + (q->is_pooled ? 2 * q->x.out * direct_slice() : 0);
}

/* The same, two rows at a time become a row of windows; the sums of two rows of a slice come behind
 * the copy of the image. */
static void pool_slice(const struct sg_corr *q, const struct sg_corr_call *call,
                       const struct sg_row *r, const struct sg_rows *rows, const float *w,
                       int64_t channel, int64_t i, int64_t y0, int64_t n_rows) {
    const int64_t below = q->y.step * rows->row_stride;
    float *sums = call->work + sg_rows_work_size(q);

    for (int64_t y = 0; y < n_rows; y += 2) {
        const int64_t to = (i * q->y.out + y0 + y) / 2 * (q->x.out / 2) * q->k + channel;

        sg_simd_current()->direct_pool_row(r, below, rows->at + y * below, w,
                                           call->bias == NULL ? NULL : call->bias + channel, sums,
                                           call->out + to, call->winner + to);
    }
}

/* A block of rows is gone through once for each slice, whose weights then stay in the first cache.
 */
static void run_block(const struct sg_corr *q, const float *prepared,
                      const struct sg_corr_call *call, int64_t i, int64_t y0, int64_t n_rows) {
    const int64_t slice = direct_slice();
    const int64_t n_slices = (q->k + slice - 1) / slice;

    for (int64_t g = 0; g < q->groups; g++) {
        const struct sg_rows rows = sg_rows_view(q, call, i, y0, n_rows, g);
        struct sg_row r = sg_row_of(q, &rows, call);
        for (int64_t b = 0; b < n_slices; b++) {
            r.width = sg_min(slice, q->k - b * slice);
            (call->winner != NULL ? pool_slice : run_slice)(
                q, call, &r, &rows, prepared + (g * n_slices + b) * direct_slice_floats(q),
                g * q->k + b * slice, i, y0, n_rows);
        }
    }
}

static void direct_run(const struct sg_corr *q, const float *prepared,
                       const struct sg_corr_call *call) {
    const int64_t fitting = sg_rows_per_block(q);
    const int64_t step = call->winner != NULL ? fitting / 2 * 2 : fitting;

    for (int64_t i = 0; i < q->n; i++) {
        for (int64_t y0 = 0; y0 < q->y.out; y0 += step) {
            const int64_t n_rows = sg_min(step, q->y.out - y0);

            run_block(q, prepared, call, i, y0, n_rows);
            if (sg_corr_is_dense(q)) {
                sg_corr_done(call, (i * q->y.out + y0 + n_rows) * q->x.out * q->groups * q->k);
            }
        }
    }
}

const struct sg_algorithm sg_algorithm_direct = {
    .name = "direct",
    .applies = direct_applies,
    .weights_size = sg_direct_weights_size,
    .prepare = sg_direct_prepare,
    .work_size = direct_work_size,
    .run = direct_run,
    .pools = direct_pools,
};
