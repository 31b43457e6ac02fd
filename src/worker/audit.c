/* src/worker/audit.c - single samples made again, and a block measured. */
#include "worker/worker_impl.h"

#include <string.h>

enum { RUNS = 3 }; /* of which the fastest counts */

/* What of a block is asked for. */
struct copying {
    struct sg_worker *w;
    const struct sg_sample_range *q;
    int64_t b0; /* the block's first sample */
    int64_t from;
    int64_t to;
    float *readings;
};

/* Copies the asked samples of a block's rows of n floats to every `stride`th row of `out`, whose
 * first row is of the first asked sample. */
static void copy_rows(const struct copying *c, const float *rows, int64_t n, float *out,
                      int64_t stride) {
    for (int64_t k = c->from; k < c->to; k++) {
        memcpy(out + (k - c->q->first) * stride * n, rows + (k - c->b0) * n,
               (size_t)n * sizeof *out);
    }
}

static void take_reading(void *context, int r, int64_t t, const float *values) {
    const struct copying *c = context;
    const struct sg_reading *reading = &c->w->plan->sweeps[c->q->i_sweep].readings[r];
    const int64_t n = sg_probed_of(c->w, reading)->n_features;

    if (r == c->q->i_reading) {
        copy_rows(c, values, n, c->readings + t * n, c->w->plan->n_targets);
    }
}

/* The whole block is run, as in a study: another batch could give other bits. */
static sg_status audit_block(struct sg_worker *w, const struct sg_sample_range *q, int64_t i_block,
                             float *inputs, float *readings) {
    sg_status status = SG_OK;
    const struct sg_sweep *sweep = &w->plan->sweeps[q->i_sweep];
    const int64_t b0 = sg_sweep_first(sweep, i_block);
    const int64_t b1 = b0 + sg_sweep_n(sweep, i_block);
    struct copying c = {.w = w,
                        .q = q,
                        .b0 = b0,
                        .from = q->first > b0 ? q->first : b0,
                        .to = q->first + q->n < b1 ? q->first + q->n : b1,
                        .readings = readings};
    int64_t n_outside;

    SG_TRY(sg_block_read(w, &w->plan->sweeps[q->i_sweep], i_block, w->o.stop, &n_outside,
                         take_reading, &c));
    copy_rows(&c, w->noisy, w->n_features, inputs, 1);
done:
    return status;
}

sg_status sg_worker_samples(struct sg_worker *w, const struct sg_sample_range *q, float *inputs,
                            float *readings, int32_t *targets) {
    sg_status status = SG_OK;
    const struct sg_sweep *sweep = &w->plan->sweeps[q->i_sweep];
    const int64_t end = q->first + q->n;
    struct sg_item_view view;

    SG_CHECK(q->first >= 0 && q->n >= 1 && end <= sweep->n_draws, SG_E_ARG,
             "samples %lld:%lld: the study has samples 0:%lld", (long long)q->first, (long long)end,
             (long long)sweep->n_draws);
    w->item.index = q->item;
    SG_TRY(sg_item_begin(w, q->item));
    view = sg_worker_view(w);
    SG_TRY(sweep->sampler->prepare(&sweep->sampling, &view, w->scale, w->sigma));
    for (int64_t b = sg_sweep_block(sweep, q->first); b <= sg_sweep_block(sweep, end - 1); b++) {
        SG_TRY(audit_block(w, q, b, inputs, readings));
    }
    for (int64_t t = 0; t < w->plan->n_targets; t++) {
        targets[t] = sg_class_of(&w->item.aims[t]);
    }
done:
    return status;
}

/* Sums of the first sweep, on the grids that the item in hand asks for. */
static void prepare_sums(struct sg_worker *w) {
    const struct sg_sweep *sweep = &w->plan->sweeps[0];

    sg_worker_shape_sums(w, sweep);
    for (int i = 0; i < sweep->n_readings; i++) {
        for (int64_t t = 0; t < w->plan->n_targets; t++) {
            sg_sums_reset(sg_sums_at(w, i, t),
                          sg_sums_exponent_for(sg_clean_max(w, &sweep->readings[i], t)));
        }
    }
}

static sg_status measure_block(struct sg_worker *w, double *seconds) {
    sg_status status = SG_OK;

    for (int run = 0; run < RUNS; run++) {
        const double begun = sg_now();

        prepare_sums(w);
        SG_TRY(sg_block_run(w, &w->plan->sweeps[0], 0));
        *seconds = run == 0 ? sg_now() - begun : fmin(*seconds, sg_now() - begun);
    }
done:
    return status;
}

/* A batch of the item itself: seconds of a sample's forward, and of its backward pass. */
static sg_status measure_batch(struct sg_worker *w, double *forward_s, double *backward_s) {
    sg_status status = SG_OK;
    const int64_t block = w->plan->block;
    const int64_t k = w->n_outputs;

    for (int64_t j = 0; j < block; j++) {
        memcpy(w->noisy + j * w->n_features, w->x, (size_t)w->n_features * sizeof(float));
    }
    for (int run = 0; run < RUNS; run++) {
        double at[3] = {sg_now()};

        SG_TRY(sg_net_forward(w->block, w->noisy, w->y, w->o.stop));
        at[1] = sg_now();
        for (int64_t j = 0; j < block; j++) {
            sg_score_gradient(w->plan->job->score, w->y + j * k, k, &w->item.aims[0],
                              sg_mask_at(w, 0), w->dy + j * k);
        }
        SG_TRY(sg_net_backward(w->block, w->dy, w->gradient, w->o.stop));
        at[2] = sg_now();
        *forward_s = run == 0 ? at[1] - at[0] : fmin(*forward_s, at[1] - at[0]);
        *backward_s = run == 0 ? at[2] - at[1] : fmin(*backward_s, at[2] - at[1]);
    }
    *forward_s /= (double)block;
    *backward_s /= (double)block;
done:
    return status;
}

/* Walks are long: their evaluations are counted instead. */
static sg_status measure_walks(struct sg_worker *w, double *open_s, double *block_s) {
    sg_status status = SG_OK;
    const struct sg_plan *plan = w->plan;
    const int64_t n_blocks = sg_plan_blocks_per_item(plan) - 1;
    double forward_s = 0;
    double backward_s = 0;

    SG_TRY(measure_batch(w, &forward_s, &backward_s));
    *open_s =
        (double)plan->forwards_at_item * forward_s + (double)plan->gradients_at_item * backward_s;
    if (n_blocks > 0) {
        *block_s = ((double)(plan->forwards_per_item - plan->forwards_at_item) * forward_s +
                    (double)(plan->gradients_per_item - plan->gradients_at_item) * backward_s) /
                   (double)n_blocks;
    }
done:
    return status;
}

sg_status sg_worker_measure(struct sg_worker *w, int64_t item, double *open_s, double *block_s) {
    sg_status status = SG_OK;
    const struct sg_plan *plan = w->plan;
    struct sg_item_view view;

    *open_s = 0;
    *block_s = 0;
    w->item.index = item;
    SG_TRY(sg_item_look(w, item));
    view = sg_worker_view(w);
    if (plan->n_sweeps > 0) {
        const struct sg_sweep *first = &plan->sweeps[0];

        SG_TRY(first->sampler->prepare(&first->sampling, &view, w->scale, w->sigma));
    }
    if (plan->needs.paths.n_sums > 0) {
        SG_TRY(measure_walks(w, open_s, block_s));
    } else if (plan->n_sweeps > 0) {
        SG_TRY(measure_block(w, block_s));
        *block_s *= sg_plan_mean_block(plan);
        *open_s = *block_s;
    }
done:
    return status;
}
