/* src/worker/gates.c - gates counted block by block, and the maps that their means give.
 *
 * At the end of its sweep the leader goes backward once for each target, and once more for each
 * group of samples that is left out for the errors. The means are the same for all samples of a
 * batch, so that its places hold targets here. */
#include "worker/worker_impl.h"

#include <string.h>

void sg_gates_count(struct sg_worker *w, const struct sg_sweep *sweep, int64_t i_block) {
    const int64_t n = sg_sweep_n(sweep, i_block);
    unsigned char skip[SG_MAX_BLOCK];

    sg_phase_enter(w, SG_PHASE_SUMS);
    for (int64_t j = 0; j < n; j++) {
        int64_t k = 0;

        while (k < w->n_outputs && isfinite(w->y[j * w->n_outputs + k])) {
            k++;
        }
        skip[j] = k < w->n_outputs;
    }
    sg_net_count_gates(w->net, sg_sweep_first(sweep, i_block), n, skip, w->counts);
}

/* An instance that is being finished. */
struct finishing {
    int i;
    const struct sg_instance *inst;
    const struct sg_probed *probed;
    int n_groups; /* that are left out in turn; 0: no errors */
    int64_t n_without[SG_SUMS_MAX_GROUPS];
    int scale_reading;  /* or -1 */
    int64_t batch;      /* places of the net at work */
    int64_t first;      /* target of the first place */
    int64_t n;          /* targets in this batch */
    int64_t linearised; /* places of the net that went forward from the item last */
};

static struct sg_counts_view view_of(const struct sg_worker *w, const struct finishing *f,
                                     int without) {
    return (struct sg_counts_view){
        .counts = w->counts, .without = without, .of = f->n_groups > 0 ? f->n_groups : 1};
}

/* What is no gate has its derivative at the item itself, in all places of the batch. */
static sg_status linearise(struct sg_worker *w, struct sg_net *net, int64_t batch) {
    sg_status status = SG_OK;

    sg_phase_enter(w, SG_PHASE_FORWARD);
    for (int64_t j = 0; j < batch; j++) {
        memcpy(w->noisy + j * w->n_features, w->x, (size_t)w->n_features * sizeof *w->x);
    }
    SG_TRY(sg_net_forward(net, w->noisy, w->y, w->o.stop));
    w->phases.n_forwards++;
done:
    return status;
}

static void set_targets(struct sg_worker *w, const struct finishing *f) {
    const int64_t k = w->n_outputs;

    memset(w->dy, 0, (size_t)(f->batch * k) * sizeof *w->dy);
    for (int64_t j = 0; j < f->n; j++) {
        const int64_t t = f->first + j;

        sg_score_gradient(w->plan->job->score, w->clean_y, k, &w->item.aims[t], sg_mask_at(w, t),
                          w->dy + j * k);
    }
}

/* w->expected[0] = the gradients [batch][D] from all samples, [1 + g] those without group g. */
static sg_status go_backward(struct sg_worker *w, struct sg_net *net, const struct finishing *f) {
    sg_status status = SG_OK;

    sg_phase_enter(w, SG_PHASE_BACKWARD);
    set_targets(w, f);
    for (int g = -1; g < f->n_groups; g++) {
        const struct sg_counts_view view = view_of(w, f, g);
        float *out = w->expected + (g + 1) * f->batch * f->probed->n_features;
        float *dx = f->probed->layer < 0 ? out : NULL;

        memset(w->layers, 0, (size_t)w->plan->model->n_layers * sizeof(float *));
        if (dx == NULL) {
            w->layers[f->probed->layer] = out;
        }
        SG_TRY(sg_net_backward_gates(net, &view, w->gate_means, w->dy, dx, w->layers, w->o.stop));
        w->phases.n_backwards += f->n;
        w->item.n_gradients += f->n;
    }
done:
    return status;
}

static void put_scale(struct sg_worker *w, int i, int64_t t, const double *scale) {
    double *to = sg_instance_field(w, i, "maps", "scale");
    double *se = sg_instance_field(w, i, "maps", "scale_se");

    if (to != NULL) {
        to[t] = scale[0];
        se[t] = scale[1];
    }
}

/* The map of target f->first + j. */
static sg_status finish_place(struct sg_worker *w, const struct finishing *f, int64_t j) {
    sg_status status = SG_OK;
    const int64_t d = f->probed->n_features;
    const int64_t t = f->first + j;
    float *map = sg_instance_field(w, f->i, "maps", "map");
    float *se = sg_instance_field(w, f->i, "maps", "se");
    struct sg_expected e = {.all = w->expected + j * d,
                            .without = w->expected + (f->batch + j) * d,
                            .stride = f->batch * d,
                            .n_groups = f->n_groups,
                            .n_without = f->n_without,
                            .n_samples = sg_counts_n_added(w->counts)};
    const struct sg_finish from = sg_item_finish_of(w, f->i, t);
    struct sg_shape shape;
    double scale[2];
    int64_t n;

    sg_plan_map_shape(w->plan, f->i, &shape);
    n = sg_shape_size(&shape);
    map += t * n;
    se = se != NULL ? se + t * n : NULL;
    if (f->scale_reading >= 0) {
        e.sums = sg_sums_at(w, f->scale_reading, t);
        e.one = w->one_sum;
        sg_sums_reshape(w->one_sum, d, sg_sums_n_powers(e.sums), 1);
    }
    SG_TRY(sg_instance_finish_gates(f->inst, &from, &e, w->work, map, se, scale));
    put_scale(w, f->i, t, scale);
    sg_item_put_only_stage(w, f->i, t, w->plan->sweeps[w->item.i_sweep].n_stages - 1, e.n_samples,
                           map, se, n);
    ((int64_t *)sg_instance_field(w, f->i, "maps", "samples"))[t] = e.n_samples;
done:
    return status;
}

static struct finishing finishing_of(const struct sg_worker *w, const struct sg_sweep *sweep,
                                     int i) {
    const struct sg_instance *inst = &w->plan->job->instances[i];
    const int n_groups = sg_instance_n_groups(inst);
    struct finishing f = {.i = i,
                          .inst = inst,
                          .probed = &w->plan->probed[w->plan->probed_of[i]],
                          .n_groups = n_groups > 1 ? n_groups : 0,
                          .scale_reading = sg_plan_scale_reading(w->plan, sweep, i)};

    for (int g = 0; g < f.n_groups; g++) {
        const struct sg_counts_view view = view_of(w, &f, g);

        f.n_without[g] = sg_counts_n_seen(&view);
    }
    return f;
}

/* The targets of a batch. */
static sg_status finish_batch(struct sg_worker *w, struct finishing *f) {
    sg_status status = SG_OK;
    struct sg_net *net = f->batch > 1 ? w->block : w->one;

    if (w->plan->model->gates.n_linearised > 0 && f->linearised != f->batch) {
        SG_TRY(linearise(w, net, f->batch));
        f->linearised = f->batch;
    }
    SG_TRY(go_backward(w, net, f));
    sg_phase_enter(w, SG_PHASE_FINISH);
    for (int64_t j = 0; j < f->n; j++) {
        SG_TRY(finish_place(w, f, j));
    }
    w->item.n_finished++;
    if (sg_item_is_save_due(w)) {
        sg_phase_enter(w, SG_PHASE_OUTPUT);
        SG_TRY(sg_item_save(w));
    }
done:
    return status;
}

/* *i_batch counts those of all members: some are done where a checkpoint was taken among them. */
static sg_status finish_member(struct sg_worker *w, const struct sg_sweep *sweep, int i,
                               int64_t *i_batch) {
    sg_status status = SG_OK;
    struct finishing f = finishing_of(w, sweep, i);

    for (; f.first < w->plan->n_targets; f.first += f.n) {
        const int64_t left = w->plan->n_targets - f.first;

        f.batch = sg_plan_gate_batch(w->plan, left);
        f.n = left < f.batch ? left : f.batch;
        if ((*i_batch)++ >= w->item.n_finished) {
            SG_TRY(finish_batch(w, &f));
        }
    }
done:
    return status;
}

sg_status sg_gates_finish(struct sg_worker *w, const struct sg_sweep *sweep) {
    sg_status status = SG_OK;
    int64_t i_batch = 0;

    for (int m = 0; m < sweep->gates.n_members; m++) {
        const double begun = sg_now();

        status = finish_member(w, sweep, sweep->gates.members[m], &i_batch);
        sg_spend_on(w, sweep->gates.members[m], sg_now() - begun);
        SG_TRY(status);
    }
done:
    return status;
}
