/* src/worker/audit.c - single samples made again, and a block measured. */
#include "worker/worker_impl.h"

#include <string.h>

/* The whole block is run, as in a study: another batch could give other bits. */
static sg_status audit_block(struct sg_worker *w, const struct sg_sweep *sweep, int64_t i_block,
                             int64_t first, int64_t end, float *inputs, float *gradients) {
    sg_status status = SG_OK;
    const int64_t b0 = i_block * w->plan->block;
    const int64_t from = first > b0 ? first : b0;
    const int64_t b1 = b0 + w->plan->block;
    const int64_t to = end < b1 ? end : b1;
    const size_t bytes = (size_t)w->n_features * sizeof(float);
    int64_t n_outside;

    SG_TRY(sg_block_forward(w, sweep, i_block, w->o.stop, &n_outside));
    for (int64_t k = from; k < to; k++) {
        memcpy(inputs + (k - first) * w->n_features, w->noisy + (k - b0) * w->n_features, bytes);
    }
    for (int64_t t = 0; t < w->plan->n_targets; t++) {
        SG_TRY(sg_block_backward(w, w->item.targets[t], w->o.stop));
        for (int64_t k = from; k < to; k++) {
            memcpy(gradients + ((k - first) * w->plan->n_targets + t) * w->n_features,
                   w->gradient + (k - b0) * w->n_features, bytes);
        }
    }
done:
    return status;
}

sg_status sg_worker_samples(struct sg_worker *w, int64_t item, int i_sweep, int64_t first,
                            int64_t n, float *inputs, float *gradients, int32_t *targets) {
    sg_status status = SG_OK;
    const struct sg_sweep *sweep = &w->plan->sweeps[i_sweep];
    struct sg_item_view view;

    SG_CHECK(first >= 0 && n >= 1 && first + n <= sweep->n_draws, SG_E_ARG,
             "samples %lld:%lld: the study has samples 0:%lld", (long long)first,
             (long long)(first + n), (long long)sweep->n_draws);
    w->item.index = item;
    SG_TRY(sg_item_begin(w, item));
    view = sg_worker_view(w);
    SG_TRY(sweep->sampler->prepare(&sweep->sampling, &view, w->scale, w->sigma));
    for (int64_t b = first / w->plan->block; b * w->plan->block < first + n; b++) {
        SG_TRY(audit_block(w, sweep, b, first, first + n, inputs, gradients));
    }
    memcpy(targets, w->item.targets, (size_t)w->plan->n_targets * sizeof *targets);
done:
    return status;
}

sg_status sg_worker_measure(struct sg_worker *w, double *seconds_per_block) {
    sg_status status = SG_OK;
    enum { RUNS = 3 };

    *seconds_per_block = 0;
    for (int run = 0; run < RUNS && w->plan->n_sweeps > 0; run++) {
        const double begun = sg_now();
        double seconds;

        for (int64_t t = 0; t < w->plan->n_targets; t++) {
            sg_sums_reset(w->sums[t], sg_sums_exponent_for(w->item.clean_max[t]));
        }
        SG_TRY(sg_block_run(w, &w->plan->sweeps[0], 0));
        seconds = sg_now() - begun;
        *seconds_per_block =
            run == 0 || seconds < *seconds_per_block ? seconds : *seconds_per_block;
    }
done:
    return status;
}
