/* src/worker/block.c - a block of samples: drawn, through the network, into the sums.
 *
 * A block is always one full batch, whoever runs it: the places behind the last sample hold the
 * clean item and their gradients are dropped. Sample k has the same place in the same block on any
 * number of ranks. */
#include "worker/worker_impl.h"

#include <string.h>

struct sg_item_view sg_worker_view(const struct sg_worker *w) {
    return (struct sg_item_view){.input = &w->plan->input,
                                 .domain = &w->plan->domain,
                                 .x = w->x,
                                 .dataset_min = w->o.dataset_min,
                                 .dataset_max = w->o.dataset_max,
                                 .key = sg_items_key(w->o.items, w->item.index),
                                 .seed = (uint64_t)w->plan->job->seed};
}

/* The net of the sweep's batch, with the weights that the block is computed with. */
static void take_net(struct sg_worker *w, const struct sg_sweep *sweep, int64_t i_block) {
    const struct sg_plan *plan = w->plan;
    const struct sg_model *model = w->o.model;
    int i = 0;

    while (plan->batches[i] != sweep->batch) {
        i++;
    }
    if (sweep->weights >= 0) {
        model = w->o.draws[plan->weights[sweep->weights].first + sg_sweep_draw(sweep, i_block)];
    }
    w->block = w->nets[i];
    w->batch = sweep->batch;
    sg_net_bind(w->block, model);
}

sg_status sg_block_forward(struct sg_worker *w, const struct sg_sweep *sweep, int64_t i_block,
                           const volatile sig_atomic_t *cancel, int64_t *n_outside) {
    const struct sg_item_view view = sg_worker_view(w);
    const int64_t n = sg_sweep_n(sweep, i_block);
    const int64_t first = sg_sweep_first(sweep, i_block);
    const int64_t d = w->n_features;
    sg_status status;

    take_net(w, sweep, i_block);
    *n_outside = 0;
    sg_phase_enter(w, SG_PHASE_NOISE);
    for (int64_t j = 0; j < w->batch; j++) {
        float *out = w->noisy + j * d;

        if (j < n) {
            *n_outside += sweep->sampler->draw(&sweep->sampling, &view, w->scale, first + j, out);
        } else {
            memcpy(out, w->x, (size_t)d * sizeof *out);
        }
    }
    sg_phase_enter(w, SG_PHASE_FORWARD);
    status = sg_net_forward(w->block, w->noisy, w->y, cancel);
    w->phases.n_forwards += status == SG_OK ? n : 0;
    return status;
}

int sg_pass_end(const struct sg_plan *plan, const struct sg_sweep *sweep, int first) {
    const int64_t pass = sg_pass_of(&plan->probed[sweep->readings[first].probed].probing);
    int end = first + 1;

    while (end < sweep->n_readings &&
           sg_pass_of(&plan->probed[sweep->readings[end].probed].probing) == pass) {
        end++;
    }
    return end;
}

sg_status sg_block_backward(struct sg_worker *w, const struct sg_sweep *sweep, int first, int64_t t,
                            const volatile sig_atomic_t *cancel) {
    sg_status status = SG_OK;
    const struct sg_probing *probing = &sg_probed_of(w, &sweep->readings[first])->probing;
    const int64_t k = w->n_outputs;
    float *dx = NULL;

    sg_phase_enter(w, SG_PHASE_BACKWARD);
    for (int64_t j = 0; j < w->batch; j++) {
        sg_score_gradient(w->plan->job->score, w->y + j * k, k, &w->item.aims[t], sg_mask_at(w, t),
                          w->dy + j * k);
    }
    memset(w->layers, 0, (size_t)w->plan->model->n_layers * sizeof(float *));
    for (int r = first; r < sg_pass_end(w->plan, sweep, first); r++) {
        const struct sg_reading *reading = &sweep->readings[r];
        const int layer = sg_probed_of(w, reading)->layer;

        *(layer < 0 ? &dx : &w->layers[layer]) = sg_read_at(w, reading);
    }
    SG_TRY(sg_net_backward_at(w->block, (enum sg_rule)probing->rule, w->dy, dx, w->layers, cancel));
    for (int r = first; probing->absolute && r < sg_pass_end(w->plan, sweep, first); r++) {
        const struct sg_reading *reading = &sweep->readings[r];

        sg_take_absolute(sg_read_at(w, reading), w->batch * sg_probed_of(w, reading)->n_features);
    }
done:
    return status;
}

/* Reads the block once for target t and the readings from `first` on, into their sums. */
static sg_status read_pass(struct sg_worker *w, const struct sg_sweep *sweep, int64_t i_block,
                           int first, int64_t t, const volatile sig_atomic_t *cancel) {
    sg_status status = SG_OK;
    const int64_t n = sg_sweep_n(sweep, i_block);
    const int64_t run = sweep->weights >= 0 ? sweep->run : 1;

    SG_TRY(sg_block_backward(w, sweep, first, t, cancel));
    sg_phase_enter(w, SG_PHASE_SUMS);
    for (int r = first; r < sg_pass_end(w->plan, sweep, first); r++) {
        sg_sums_add_runs(sg_sums_at(w, r, t), sg_sweep_first(sweep, i_block), run,
                         sg_read_at(w, &sweep->readings[r]), n);
    }
    w->phases.n_backwards += n;
    w->item.n_gradients += n;
done:
    return status;
}

sg_status sg_block_run(struct sg_worker *w, const struct sg_sweep *sweep, int64_t i_block) {
    sg_status status = SG_OK;
    int64_t n_outside;

    SG_TRY(sg_block_forward(w, sweep, i_block, w->o.stop, &n_outside));
    for (int64_t t = 0; t < w->plan->n_targets; t++) {
        for (int r = 0; r < sweep->n_readings; r = sg_pass_end(w->plan, sweep, r)) {
            /* A block is in all sums or in none: once one has it, the others follow. */
            SG_TRY(read_pass(w, sweep, i_block, r, t, t == 0 && r == 0 ? w->o.stop : NULL));
        }
    }
    sg_sums_tallies(w->sums[0])[0] += n_outside;
    w->item.done[i_block / 64] |= UINT64_C(1) << (i_block % 64);
done:
    return status;
}
