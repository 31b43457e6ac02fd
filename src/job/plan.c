/* src/job/plan.c - from a job, a model and a list of items to work. */
#include "plan_impl.h"

#include "sgdist/memory.h"

#include <string.h>

/* The powers of sqrt(2), rounded: they pass through every power of two, so that a study with twice
 * the samples records the same stages. In integers, because every rank must find the same. */
int sg_plan_stage_ends(int64_t n_blocks, int64_t *ends, int cap) {
    int64_t end = 0;
    int n = 0;

    for (int exponent = 0; end < n_blocks && n < cap; exponent++) {
        const int64_t power = INT64_C(1) << (exponent / 2);
        const int64_t next =
            exponent % 2 == 0 ? power : (power * 1414213562 + 500000000) / 1000000000;

        if (next > end) {
            end = next < n_blocks && n + 1 < cap ? next : n_blocks;
            ends[n++] = end;
        }
    }
    return n;
}

static int shares(const struct sg_sweep *sweep, const struct sg_instance *inst) {
    return sweep->sampler == inst->method->sampler && sweep->probe == inst->method->probe &&
           memcmp(&sweep->sampling, &inst->params.sampling, sizeof sweep->sampling) == 0;
}

static struct sg_sweep *find_sweep(struct sg_plan *plan, const struct sg_instance *inst) {
    for (int i = 0; i < plan->n_sweeps; i++) {
        if (shares(&plan->sweeps[i], inst)) {
            return &plan->sweeps[i];
        }
    }
    return NULL;
}

static sg_status init_sweep(struct sg_plan *plan, const struct sg_instance *inst,
                            struct sg_sweep **out) {
    sg_status status = SG_OK;
    struct sg_sweep *s = &plan->sweeps[plan->n_sweeps++];

    s->sampler = inst->method->sampler;
    s->sampling = inst->params.sampling;
    s->probe = inst->method->probe;
    s->n_draws = sg_sampling_n_draws(&s->sampling);
    s->n_blocks = (s->n_draws + plan->block - 1) / plan->block;
    s->n_groups = 1;
    s->members = sg_calloc((size_t)plan->job->n_instances, sizeof s->members[0]);
    s->stage_ends = sg_calloc(SG_PLAN_MAX_STAGES, sizeof s->stage_ends[0]);
    SG_CHECK(s->members != NULL && s->stage_ends != NULL, SG_E_NOMEM, "no memory for the plan");
    s->n_stages = sg_plan_stage_ends(s->n_blocks, s->stage_ends, SG_PLAN_MAX_STAGES);
    *out = s;
done:
    return status;
}

static void join(struct sg_sweep *s, const struct sg_instance *inst, int i_instance) {
    const int powers = sg_instance_n_powers(inst);
    const int groups = sg_instance_n_groups(inst);

    s->n_powers = powers > s->n_powers ? powers : s->n_powers;
    s->n_groups = groups > s->n_groups ? groups : s->n_groups;
    s->members[s->n_members++] = i_instance;
}

sg_status sg_plan_make_sweeps(struct sg_plan *plan) {
    sg_status status = SG_OK;
    const size_t n = (size_t)plan->job->n_instances;

    plan->sweeps = sg_calloc(n, sizeof plan->sweeps[0]);
    plan->sweep_of = sg_calloc(n, sizeof plan->sweep_of[0]);
    SG_CHECK(plan->sweeps != NULL && plan->sweep_of != NULL, SG_E_NOMEM, "no memory for the plan");
    for (int i = 0; i < plan->job->n_instances; i++) {
        const struct sg_instance *inst = &plan->job->instances[i];
        struct sg_sweep *s = find_sweep(plan, inst);

        plan->sweep_of[i] = -1;
        if (!inst->method->sampler->is_stochastic) {
            continue;
        }
        if (s == NULL) {
            SG_TRY(init_sweep(plan, inst, &s));
        }
        join(s, inst, i);
        plan->sweep_of[i] = (int)(s - plan->sweeps);
        plan->max_stages = s->n_stages > plan->max_stages ? s->n_stages : plan->max_stages;
    }
done:
    return status;
}

/* The clean gradient of every target, and the noisy ones. */
static int64_t count_gradients(const struct sg_plan *plan) {
    int64_t n = plan->n_targets;

    for (int i = 0; i < plan->n_sweeps; i++) {
        n += plan->sweeps[i].n_draws * plan->n_targets;
    }
    return n;
}

static int needs_scan(const struct sg_plan *plan) {
    for (int i = 0; i < plan->n_sweeps; i++) {
        const struct sg_sampling *s = &plan->sweeps[i].sampling;

        if (s->range == SG_RANGE_DATASET && !s->absolute) {
            return 1;
        }
    }
    return 0;
}

sg_status sg_plan_create(const struct sg_job *job, const struct sg_shape *input, int64_t n_outputs,
                         const struct sg_items *items, struct sg_plan **out) {
    sg_status status = SG_OK;
    struct sg_plan *plan = sg_calloc(1, sizeof *plan);

    SG_CHECK(plan != NULL, SG_E_NOMEM, "no memory for the plan");
    plan->job = job;
    plan->input = *input;
    plan->n_outputs = n_outputs;
    plan->n_items = sg_items_count(items);
    plan->n_targets = job->n_targets;
    plan->block = job->block;
    SG_CHECK(input->axes[0] <= SG_MAX_CHANNELS, SG_E_JOB,
             "%s: model.file: the model's input has %lld channels; at most %d are supported",
             job->file, (long long)input->axes[0], SG_MAX_CHANNELS);
    sg_domain_init(&job->data, (int)input->axes[0], &plan->domain);
    SG_TRY(sg_plan_make_sweeps(plan));
    SG_TRY(sg_plan_check(plan, items));
    plan->gradients_per_item = count_gradients(plan);
    plan->scans_dataset = needs_scan(plan);
    SG_TRY(sg_plan_make_record(plan));
    sg_plan_measure(plan, items);
    *out = plan;
    plan = NULL;
done:
    sg_plan_destroy(plan);
    return status;
}

void sg_plan_destroy(struct sg_plan *plan) {
    if (plan == NULL) {
        return;
    }
    for (int i = 0; i < plan->n_sweeps; i++) {
        sg_free(plan->sweeps[i].members);
        sg_free(plan->sweeps[i].stage_ends);
    }
    sg_free(plan->sweeps);
    sg_free(plan->sweep_of);
    sg_record_free(&plan->record);
    sg_free(plan);
}
