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

/* The net of the sweep's batch. */
static void take_net(struct sg_worker *w, const struct sg_sweep *sweep) {
    int i = 0;

    while (i < w->plan->n_batches && w->plan->batches[i] != sweep->batch) {
        i++;
    }
    w->net = i < w->plan->n_batches ? w->nets[i] : NULL; /* walks have their own */
    w->batch = sweep->batch;
}

/* All that the block goes through has these weights. */
static void bind_all(struct sg_worker *w, const struct sg_model *model) {
    sg_net_bind(w->one, model);
    for (int i = 0; i < w->plan->n_batches; i++) {
        sg_net_bind(w->nets[i], model);
    }
}

static const struct sg_model *draw_of(const struct sg_worker *w, const struct sg_sweep *sweep,
                                      int64_t i_block) {
    return w->o.draws[w->plan->weights[sweep->weights].first + sg_sweep_draw(sweep, i_block)];
}

/* The reading of a block that is under way. */
struct reading {
    struct sg_worker *w;
    const struct sg_sweep *sweep;
    int64_t first;                       /* sample */
    int64_t n;                           /* samples */
    const volatile sig_atomic_t *cancel; /* NULL once something has been taken */
    sg_block_taker *take;
    void *context;
};

static const struct sg_probed *probed_at(const struct reading *b, int r) {
    return sg_probed_of(b->w, &b->sweep->readings[r]);
}

/* The readings from `first` to the one before are of one pass. */
static int pass_end(const struct reading *b, int first) {
    int end = first + 1;

    while (end < b->sweep->n_readings && probed_at(b, end)->pass == probed_at(b, first)->pass) {
        end++;
    }
    return end;
}

/* The time since `begun` is that of all readings of the pass. */
static void spend_pass(const struct reading *b, int first, double begun) {
    for (int r = first; r < pass_end(b, first); r++) {
        sg_spend(b->w, SG_SPENT_READINGS + r, begun);
    }
}

static void hand_over(struct reading *b, int r, int64_t t, float *values) {
    const struct sg_probed *p = probed_at(b, r);

    if (p->probing.absolute) {
        sg_take_absolute(values, b->n * p->n_features);
    }
    sg_phase_enter(b->w, SG_PHASE_SUMS);
    b->take(b->context, r, t, values);
    b->cancel = NULL;
}

static int64_t draw(const struct reading *b) {
    struct sg_worker *w = b->w;
    const struct sg_item_view view = sg_worker_view(w);
    const int64_t d = w->n_features;
    int64_t n_outside = 0;

    sg_phase_enter(w, SG_PHASE_NOISE);
    for (int64_t j = 0; j < w->batch; j++) {
        float *out = w->noisy + j * d;

        if (j < b->n) {
            n_outside +=
                b->sweep->sampler->draw(&b->sweep->sampling, &view, w->scale, b->first + j, out);
        } else {
            memcpy(out, w->x, (size_t)d * sizeof *out);
        }
    }
    return n_outside;
}

/* ---- paths to the samples ---- */

static struct sg_walk walk_of(const struct reading *b, int first) {
    struct sg_worker *w = b->w;
    const struct sg_probing *probing = &probed_at(b, first)->probing;
    const int is_inside = probing->path.noise == SG_NOISE_INSIDE;
    struct sg_walk walk = {.probing = probing,
                           .x = w->noisy,
                           .n_points = b->n,
                           .sampler = is_inside ? b->sweep->sampler : NULL,
                           .sampling = &b->sweep->sampling,
                           .first_sample = b->first,
                           .sums = w->path.sums + b->sweep->readings[first].offset *
                                                      w->plan->n_targets * w->plan->block};

    for (int r = first; r < pass_end(b, first); r++) {
        SG_ASSERT(walk.n_parts < SG_MAX_PARTS);
        walk.parts[walk.n_parts++] = probed_at(b, r)->probing.path.part;
    }
    return walk;
}

/* All walks, before anything is taken: they are long, and may be given up so far. */
static sg_status run_walks(struct reading *b) {
    sg_status status = SG_OK;

    for (int r = 0; r < b->sweep->n_readings; r = pass_end(b, r)) {
        if (sg_is_path(probed_at(b, r))) {
            const struct sg_walk walk = walk_of(b, r);
            const double begun = sg_now();

            SG_TRY(sg_walk_run(b->w, &walk, b->cancel));
            spend_pass(b, r, begun);
        }
    }
done:
    return status;
}

static void take_walk(struct reading *b, int first) {
    const struct sg_walk walk = walk_of(b, first);

    for (int r = first; r < pass_end(b, first); r++) {
        for (int64_t t = 0; t < b->w->plan->n_targets; t++) {
            sg_walk_values(b->w, &walk, r - first, t, b->w->gradient);
            hand_over(b, r, t, b->w->gradient);
        }
    }
}

static void take_walks(struct reading *b) {
    for (int first = 0; first < b->sweep->n_readings; first = pass_end(b, first)) {
        if (sg_is_path(probed_at(b, first))) {
            take_walk(b, first);
        }
    }
}

/* ---- gradients at the samples ---- */

/* One backward pass for target t: the readings from `first` on. */
static sg_status read_pass(struct reading *b, int first, int64_t t) {
    sg_status status = SG_OK;
    struct sg_worker *w = b->w;
    const int64_t k = w->n_outputs;
    const double begun = sg_now();
    float *dx = NULL;

    sg_phase_enter(w, SG_PHASE_BACKWARD);
    for (int64_t j = 0; j < w->batch; j++) {
        sg_score_gradient(w->plan->job->score, w->y + j * k, k, &w->item.aims[t], sg_mask_at(w, t),
                          w->dy + j * k);
    }
    memset(w->layers, 0, (size_t)w->plan->model->n_layers * sizeof(float *));
    for (int r = first; r < pass_end(b, first); r++) {
        const int layer = probed_at(b, r)->layer;

        *(layer < 0 ? &dx : &w->layers[layer]) = sg_read_at(w, &b->sweep->readings[r]);
    }
    SG_TRY(sg_net_backward_at(w->net, (enum sg_rule)probed_at(b, first)->probing.rule, w->dy, dx,
                              w->layers, b->cancel));
    w->phases.n_backwards += b->n;
    w->item.n_gradients += b->n;
    for (int r = first; r < pass_end(b, first); r++) {
        hand_over(b, r, t, sg_read_at(w, &b->sweep->readings[r]));
    }
    spend_pass(b, first, begun);
done:
    return status;
}

static sg_status read_gradients(struct reading *b) {
    sg_status status = SG_OK;
    struct sg_worker *w = b->w;
    const struct sg_pass how = {.is_noisy = sg_sampling_is_noisy(w->n_features, w->x, w->scale),
                                .is_counted = b->sweep->gates.n_members > 0};
    const double begun = sg_now();

    sg_phase_enter(w, SG_PHASE_FORWARD);
    SG_TRY(sg_net_forward_as(w->net, &how, w->noisy, w->y, b->cancel));
    w->phases.n_forwards += b->n;
    sg_spend(w, SG_SPENT_FORWARD, begun);
    for (int64_t t = 0; t < w->plan->n_targets; t++) {
        for (int r = 0; r < b->sweep->n_readings; r = pass_end(b, r)) {
            if (!sg_is_path(probed_at(b, r))) {
                SG_TRY(read_pass(b, r, t));
            }
        }
    }
done:
    return status;
}

static sg_status read_all(struct reading *b, int64_t *n_outside) {
    sg_status status = SG_OK;
    const double begun = sg_now();

    *n_outside = draw(b);
    sg_spend(b->w, SG_SPENT_NOISE, begun);
    SG_TRY(run_walks(b));
    if (b->sweep->n_passes > 0 || b->sweep->gates.n_members > 0) {
        SG_TRY(read_gradients(b));
    }
    take_walks(b);
done:
    return status;
}

sg_status sg_block_read(struct sg_worker *w, const struct sg_sweep *sweep, int64_t i_block,
                        const volatile sig_atomic_t *cancel, int64_t *n_outside,
                        sg_block_taker *take, void *context) {
    struct reading b = {.w = w,
                        .sweep = sweep,
                        .first = sg_sweep_first(sweep, i_block),
                        .n = sg_sweep_n(sweep, i_block),
                        .cancel = cancel,
                        .take = take,
                        .context = context};
    sg_status status;

    take_net(w, sweep);
    if (sweep->weights >= 0) {
        bind_all(w, draw_of(w, sweep, i_block));
    }
    status = read_all(&b, n_outside);
    if (sweep->weights >= 0) { /* what is read at the item has the file's weights */
        bind_all(w, w->o.model);
    }
    return status;
}

/* ---- into the sums ---- */

struct adding {
    struct sg_worker *w;
    int64_t first_sample;
    int64_t run; /* samples that belong together */
    int64_t n;
};

static void add(void *context, int r, int64_t t, const float *values) {
    const struct adding *a = context;

    sg_sums_add_runs(sg_sums_at(a->w, r, t), a->first_sample, a->run, values, a->n);
}

sg_status sg_block_run(struct sg_worker *w, const struct sg_sweep *sweep, int64_t i_block) {
    sg_status status = SG_OK;
    struct adding a = {.w = w,
                       .first_sample = sg_sweep_first(sweep, i_block),
                       .run = sweep->weights >= 0 ? sweep->run : 1,
                       .n = sg_sweep_n(sweep, i_block)};
    int64_t n_outside;

    SG_TRY(sg_block_read(w, sweep, i_block, w->o.stop, &n_outside, add, &a));
    if (sweep->gates.n_members > 0) { /* the last forward pass was that of the samples */
        const double begun = sg_now();

        sg_gates_count(w, sweep, i_block);
        sg_spend(w, SG_SPENT_GATES, begun);
    }
    sg_tallies(w, sweep)[0] += n_outside;
    w->item.done[i_block / 64] |= UINT64_C(1) << (i_block % 64);
done:
    return status;
}
