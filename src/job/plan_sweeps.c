/* src/job/plan_sweeps.c - who shares what: instances become the things that are read, sweeps of
 * points, and readings of the sweeps. */
#include "plan_impl.h"

#include "sgdist/memory.h"

#include <string.h>

/* ---- what is read ---- */

static int find_probed(const struct sg_plan *plan, const struct sg_probing *probing) {
    for (int i = 0; i < plan->n_probed; i++) {
        if (memcmp(&plan->probed[i].probing, probing, sizeof *probing) == 0) {
            return i;
        }
    }
    return -1;
}

static sg_status find_layer(const struct sg_plan *plan, const char *name, int *out) {
    sg_status status = SG_OK;

    *out = 0;
    while (*out < plan->model->n_layers && strcmp(plan->model->layers[*out].name, name) != 0) {
        (*out)++;
    }
    SG_CHECK(*out < plan->model->n_layers, SG_E_JOB, "%s: methods: the model has no layer '%s'",
             plan->job->file, name);
done:
    return status;
}

static int compare_passes(const struct sg_probing *a, const struct sg_probing *b) {
    const struct sg_probing pass_a = sg_probing_pass(a);
    const struct sg_probing pass_b = sg_probing_pass(b);

    return memcmp(&pass_a, &pass_b, sizeof pass_a);
}

/* Behind those of the same pass, so that it serves neighbours. */
static sg_status insert_probed(struct sg_plan *plan, const struct sg_probing *probing) {
    sg_status status = SG_OK;
    struct sg_probed probed = {.probing = *probing, .layer = -1, .shape = plan->input};
    int at = plan->n_probed;

    if (probing->layer[0] != '\0') {
        SG_TRY(find_layer(plan, probing->layer, &probed.layer));
        probed.shape = plan->model->layers[probed.layer].shape;
        SG_CHECK(probed.shape.n_axes <= SG_MAX_MAP_AXES, SG_E_JOB,
                 "%s: methods: the layer '%s' has %d axes beside the batch; at most %d are "
                 "supported",
                 plan->job->file, probing->layer, probed.shape.n_axes, SG_MAX_MAP_AXES);
    }
    plan->n_probed++;
    while (at > 0 && compare_passes(&plan->probed[at - 1].probing, probing) > 0) {
        plan->probed[at] = plan->probed[at - 1];
        at--;
    }
    plan->probed[at] = probed;
done:
    return status;
}

static void place_probed(struct sg_plan *plan) {
    int64_t offset = 0;

    for (int i = 0; i < plan->n_probed; i++) {
        struct sg_probed *p = &plan->probed[i];

        p->n_features = sg_shape_size(&p->shape);
        p->offset = offset;
        p->pass = i == 0 ? 0 : p[-1].pass + (compare_passes(&p[-1].probing, &p->probing) != 0);
        if (sg_is_gradient(p) || sg_is_path(p)) { /* what is read at the item itself */
            offset += p->n_features;
            plan->n_clean_passes += sg_is_gradient(p) && (i == 0 || p->pass != p[-1].pass);
        }
    }
}

/* The gradient that the scale of a map from mean gates comes from. */
static struct sg_probing fitted_to(const struct sg_params *params) {
    struct sg_probing probing = params->probing;

    probing.kind = SG_PROBE_GRADIENT;
    return probing;
}

static sg_status make_probed(struct sg_plan *plan) {
    sg_status status = SG_OK;
    const int n = plan->job->n_instances;

    plan->probed = sg_calloc(2 * (size_t)n, sizeof plan->probed[0]);
    plan->probed_of = sg_calloc((size_t)n, sizeof plan->probed_of[0]);
    SG_CHECK(plan->probed != NULL && plan->probed_of != NULL, SG_E_NOMEM, "no memory for the plan");
    for (int i = 0; i < n; i++) {
        const struct sg_params *params = &plan->job->instances[i].params;
        const struct sg_probing fitted = fitted_to(params);

        if (find_probed(plan, &params->probing) < 0) {
            SG_TRY(insert_probed(plan, &params->probing));
        }
        if (params->scale != SG_SCALE_NONE && find_probed(plan, &fitted) < 0) {
            SG_TRY(insert_probed(plan, &fitted));
        }
    }
    place_probed(plan);
    for (int i = 0; i < n; i++) {
        plan->probed_of[i] = find_probed(plan, &plan->job->instances[i].params.probing);
    }
done:
    return status;
}

const struct sg_shape *sg_plan_read_shape(const struct sg_plan *plan, int i_instance) {
    return &plan->probed[plan->probed_of[i_instance]].shape;
}

void sg_plan_map_shape(const struct sg_plan *plan, int i_instance, struct sg_shape *out) {
    sg_instance_map_shape(&plan->job->instances[i_instance], sg_plan_read_shape(plan, i_instance),
                          &plan->input, out);
}

/* ---- sweeps and their readings ---- */

static struct sg_sweep *find_sweep(struct sg_plan *plan, const struct sg_instance *inst) {
    for (int i = 0; i < plan->n_sweeps; i++) {
        struct sg_sweep *s = &plan->sweeps[i];

        if (s->sampler == inst->method->sampler &&
            memcmp(&s->sampling, &inst->params.sampling, sizeof s->sampling) == 0) {
            return s;
        }
    }
    return NULL;
}

/* The noise on the weights that the sweep shares with others, -1 for none. */
static int find_weights(struct sg_plan *plan, const struct sg_sampling *s) {
    struct sg_plan_weights *w = plan->weights;
    int i = 0;

    if (s->draws == 0) {
        return -1;
    }
    while (i < plan->n_weights && memcmp(&w[i].noise, &s->weights, sizeof s->weights) != 0) {
        i++;
    }
    if (i == plan->n_weights) {
        plan->n_weights++;
        w[i].noise = s->weights;
    }
    w[i].n_draws = s->draws > w[i].n_draws ? s->draws : w[i].n_draws;
    return i;
}

/* Every draw of the weights has as many points, and blocks of its own. */
static void divide(const struct sg_plan *plan, struct sg_sweep *s) {
    const int64_t n_runs = s->sampling.draws > 0 ? s->sampling.draws : 1;

    s->run = s->n_draws / n_runs;
    s->batch = s->sampling.draws > 0 && s->run < plan->block ? s->run : plan->block;
    s->run_blocks = (s->run + s->batch - 1) / s->batch;
    s->n_blocks = n_runs * s->run_blocks;
    /* Stages end at whole draws. */
    s->n_stages = sg_plan_stage_ends(s->sampling.draws > 0 ? n_runs : s->n_blocks, s->stage_ends,
                                     SG_PLAN_MAX_STAGES);
    for (int i = 0; s->sampling.draws > 0 && i < s->n_stages; i++) {
        s->stage_ends[i] *= s->run_blocks;
    }
}

static sg_status add_sweep(struct sg_plan *plan, const struct sg_instance *inst,
                           struct sg_sweep **out) {
    sg_status status = SG_OK;
    struct sg_sweep *s = &plan->sweeps[plan->n_sweeps++];

    s->sampler = inst->method->sampler;
    s->sampling = inst->params.sampling;
    s->n_draws = sg_sampling_n_draws(&s->sampling);
    s->weights = find_weights(plan, &s->sampling);
    s->readings = sg_calloc((size_t)plan->n_probed, sizeof s->readings[0]);
    s->gates.members = sg_calloc((size_t)plan->job->n_instances, sizeof s->gates.members[0]);
    s->stage_ends = sg_calloc(SG_PLAN_MAX_STAGES, sizeof s->stage_ends[0]);
    SG_CHECK(s->readings != NULL && s->gates.members != NULL && s->stage_ends != NULL, SG_E_NOMEM,
             "no memory for the plan");
    divide(plan, s);
    plan->max_stages = s->n_stages > plan->max_stages ? s->n_stages : plan->max_stages;
    *out = s;
done:
    return status;
}

/* The sweep's reading of this thing, made where it is missing, in the order of the plan's list. */
static sg_status find_reading(const struct sg_plan *plan, struct sg_sweep *s, int probed,
                              struct sg_reading **out) {
    sg_status status = SG_OK;
    int at = s->n_readings;
    int *members;

    for (int i = 0; i < s->n_readings; i++) {
        if (s->readings[i].probed == probed) {
            *out = &s->readings[i];
            return SG_OK;
        }
    }
    members = sg_calloc((size_t)plan->job->n_instances, sizeof *members);
    SG_CHECK(members != NULL, SG_E_NOMEM, "no memory for the plan");
    for (; at > 0 && s->readings[at - 1].probed > probed; at--) {
        s->readings[at] = s->readings[at - 1];
    }
    s->readings[at] = (struct sg_reading){.probed = probed, .n_groups = 1, .members = members};
    s->n_readings++;
    *out = &s->readings[at];
done:
    return status;
}

static void join(struct sg_reading *r, const struct sg_instance *inst, int i_instance) {
    const int powers = sg_instance_n_powers(inst);
    const int groups = sg_instance_n_groups(inst);

    r->n_powers = powers > r->n_powers ? powers : r->n_powers;
    r->n_groups = groups > r->n_groups ? groups : r->n_groups;
    r->members[r->n_members++] = i_instance;
}

/* An instance that counts gates; the gradients that it is scaled by are read in the same groups. */
static sg_status join_gates(const struct sg_plan *plan, struct sg_sweep *s,
                            const struct sg_instance *inst, int i_instance) {
    sg_status status = SG_OK;
    const int groups = sg_instance_n_groups(inst);
    const struct sg_probing fitted = fitted_to(&inst->params);
    struct sg_reading *r = NULL;

    s->gates.n_groups = groups > s->gates.n_groups ? groups : s->gates.n_groups;
    s->gates.members[s->gates.n_members++] = i_instance;
    if (inst->params.scale != SG_SCALE_NONE) {
        SG_TRY(find_reading(plan, s, find_probed(plan, &fitted), &r));
        r->n_powers = r->n_powers > 1 ? r->n_powers : 1;
        r->n_groups = groups > 1 ? SG_SUMS_MAX_GROUPS : r->n_groups;
    }
done:
    return status;
}

int sg_plan_scale_reading(const struct sg_plan *plan, const struct sg_sweep *s, int i_instance) {
    const struct sg_params *params = &plan->job->instances[i_instance].params;
    const struct sg_probing fitted = fitted_to(params);

    for (int r = 0; r < s->n_readings && params->scale != SG_SCALE_NONE; r++) {
        if (memcmp(&plan->probed[s->readings[r].probed].probing, &fitted, sizeof fitted) == 0) {
            return r;
        }
    }
    return -1;
}

struct sg_counts_shape sg_plan_counts_shape(const struct sg_plan *plan, const struct sg_sweep *s) {
    return (struct sg_counts_shape){.n_counters = plan->model->gates.n_counters,
                                    .n_slopes = plan->model->gates.n_slopes,
                                    .n_samples = s->n_draws,
                                    .n_groups = s->gates.n_groups};
}

int64_t sg_plan_gate_batch(const struct sg_plan *plan, int64_t n_targets_left) {
    return 2 * n_targets_left >= plan->block ? plan->block : 1;
}

/* Where the readings of one backward pass lie in a worker's memory, and those of all walks. */
static void place_readings(const struct sg_plan *plan, struct sg_sweep *s) {
    for (int i = 0; i < s->n_readings; i++) {
        struct sg_reading *r = &s->readings[i];
        const struct sg_probed *p = &plan->probed[r->probed];
        const struct sg_probed *before = i > 0 ? &plan->probed[r[-1].probed] : NULL;
        const int is_first = before == NULL || p->pass != before->pass;
        const int is_behind = before != NULL && (sg_is_path(p) ? sg_is_path(before) : !is_first);

        *(sg_is_path(p) ? &s->n_walks : &s->n_passes) += is_first;
        r->offset = is_behind ? r[-1].offset + before->n_features : 0;
    }
}

/* Once, behind larger ones. */
static void add_batch(struct sg_plan *plan, int64_t batch) {
    int at = 0;

    while (at < plan->n_batches && plan->batches[at] > batch) {
        at++;
    }
    if (at < plan->n_batches && plan->batches[at] == batch) {
        return;
    }
    for (int k = plan->n_batches++; k > at; k--) {
        plan->batches[k] = plan->batches[k - 1];
    }
    plan->batches[at] = batch;
}

/* Those of sweeps whose points go through the network as they are; walks fill the job's blocks. */
static void list_batches(struct sg_plan *plan) {
    for (int i = 0; i < plan->n_sweeps; i++) {
        if (plan->sweeps[i].n_passes > 0 || plan->sweeps[i].gates.n_members > 0) {
            add_batch(plan, plan->sweeps[i].batch);
        }
    }
    for (int i = 0; i < plan->n_probed; i++) {
        if (sg_is_path(&plan->probed[i])) {
            add_batch(plan, plan->block);
        }
    }
}

static void place_weights(struct sg_plan *plan) {
    for (int i = 0; i < plan->n_weights; i++) {
        plan->weights[i].first = plan->n_weight_draws;
        plan->n_weight_draws += plan->weights[i].n_draws;
    }
}

sg_status sg_plan_make_sweeps(struct sg_plan *plan) {
    sg_status status = SG_OK;
    const size_t n = (size_t)plan->job->n_instances;

    SG_TRY(make_probed(plan));
    plan->sweeps = sg_calloc(n, sizeof plan->sweeps[0]);
    plan->sweep_of = sg_calloc(n, sizeof plan->sweep_of[0]);
    plan->batches = sg_calloc(n + 1, sizeof plan->batches[0]);
    plan->weights = sg_calloc(n, sizeof plan->weights[0]);
    SG_CHECK(plan->sweeps != NULL && plan->sweep_of != NULL && plan->batches != NULL &&
                 plan->weights != NULL,
             SG_E_NOMEM, "no memory for the plan");
    for (int i = 0; i < plan->job->n_instances; i++) {
        const struct sg_instance *inst = &plan->job->instances[i];
        struct sg_sweep *s = find_sweep(plan, inst);
        struct sg_reading *r = NULL;

        plan->sweep_of[i] = -1;
        if (!sg_instance_has_sweep(inst)) {
            continue;
        }
        if (s == NULL) {
            SG_TRY(add_sweep(plan, inst, &s));
        }
        if (inst->params.probing.kind == SG_PROBE_GATES) {
            SG_TRY(join_gates(plan, s, inst, i));
        } else {
            SG_TRY(find_reading(plan, s, plan->probed_of[i], &r));
            join(r, inst, i);
        }
        plan->sweep_of[i] = (int)(s - plan->sweeps);
    }
    for (int i = 0; i < plan->n_sweeps; i++) {
        place_readings(plan, &plan->sweeps[i]);
    }
    list_batches(plan);
    place_weights(plan);
done:
    return status;
}
