/* src/worker/audit.c - single samples made again, and a block measured. */
#include "worker/worker_impl.h"

#include <string.h>

/* Copies samples from..to of a block's rows of n floats to every `stride`th row of `out`, whose
 * first row is of sample `first`. */
static void copy_rows(const float *rows, int64_t b0, int64_t from, int64_t to, int64_t n,
                      float *out, int64_t first, int64_t stride) {
    for (int64_t k = from; k < to; k++) {
        memcpy(out + (k - first) * stride * n, rows + (k - b0) * n, (size_t)n * sizeof *out);
    }
}

/* The pass of the sweep that the reading is read in. */
static int first_of_pass(const struct sg_plan *plan, const struct sg_sweep *sweep, int i_reading) {
    int first = 0;

    while (sg_pass_end(plan, sweep, first) <= i_reading) {
        first = sg_pass_end(plan, sweep, first);
    }
    return first;
}

/* The whole block is run, as in a study: another batch could give other bits. */
static sg_status audit_block(struct sg_worker *w, const struct sg_sample_range *q, int64_t i_block,
                             float *inputs, float *readings) {
    sg_status status = SG_OK;
    const struct sg_sweep *sweep = &w->plan->sweeps[q->i_sweep];
    const struct sg_reading *r = &sweep->readings[q->i_reading];
    const int pass = first_of_pass(w->plan, sweep, q->i_reading);
    const int64_t n = sg_probed_of(w, r)->n_features;
    const int64_t b0 = sg_sweep_first(sweep, i_block);
    const int64_t b1 = b0 + sg_sweep_n(sweep, i_block);
    const int64_t from = q->first > b0 ? q->first : b0;
    const int64_t to = q->first + q->n < b1 ? q->first + q->n : b1;
    int64_t n_outside;

    SG_TRY(sg_block_forward(w, sweep, i_block, w->o.stop, &n_outside));
    copy_rows(w->noisy, b0, from, to, w->n_features, inputs, q->first, 1);
    for (int64_t t = 0; t < w->plan->n_targets; t++) {
        SG_TRY(sg_block_backward(w, sweep, pass, t, w->o.stop));
        copy_rows(sg_read_at(w, r), b0, from, to, n, readings + t * n, q->first,
                  w->plan->n_targets);
    }
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

sg_status sg_worker_measure(struct sg_worker *w, double *seconds_per_block) {
    sg_status status = SG_OK;
    enum { RUNS = 3 };

    *seconds_per_block = 0;
    for (int run = 0; run < RUNS && w->plan->n_sweeps > 0; run++) {
        const double begun = sg_now();
        double seconds;

        prepare_sums(w);
        SG_TRY(sg_block_run(w, &w->plan->sweeps[0], 0));
        seconds = sg_now() - begun;
        *seconds_per_block =
            run == 0 || seconds < *seconds_per_block ? seconds : *seconds_per_block;
    }
done:
    return status;
}
