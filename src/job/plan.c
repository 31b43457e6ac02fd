/* src/job/plan.c - from a job, a model and a list of items to work. */
#include "plan_impl.h"

#include "sgdist/memory.h"

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

static int needs_scan(const struct sg_plan *plan) {
    for (int i = 0; i < plan->n_sweeps; i++) {
        const struct sg_sampling *s = &plan->sweeps[i].sampling;

        if (s->range == SG_RANGE_DATASET && !s->absolute) {
            return 1;
        }
    }
    return 0;
}

sg_status sg_plan_create(const struct sg_job *job, const struct sg_signature *model,
                         const struct sg_items *items, struct sg_plan **out) {
    sg_status status = SG_OK;
    const struct sg_shape *input = &model->input.shape;
    struct sg_plan *plan = sg_calloc(1, sizeof *plan);

    SG_CHECK(plan != NULL, SG_E_NOMEM, "no memory for the plan");
    plan->job = job;
    plan->model = model;
    plan->input = *input;
    plan->n_outputs = model->n_elements;
    plan->n_items = sg_items_count(items);
    plan->n_targets = job->n_targets;
    plan->block = job->block;
    SG_CHECK(input->axes[0] <= SG_MAX_CHANNELS, SG_E_JOB,
             "%s: model.file: the model's input has %lld channels; at most %d are supported",
             job->file, (long long)input->axes[0], SG_MAX_CHANNELS);
    sg_domain_init(&job->data, (int)input->axes[0], &plan->domain);
    SG_TRY(sg_plan_place_targets(plan));
    SG_TRY(sg_plan_make_sweeps(plan));
    SG_TRY(sg_plan_check(plan, items));
    sg_plan_count(plan);
    plan->scans_dataset = needs_scan(plan);
    SG_TRY(sg_plan_make_record(plan));
    SG_TRY(sg_plan_find_needs(plan));
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
        for (int k = 0; k < plan->sweeps[i].n_readings; k++) {
            sg_free(plan->sweeps[i].readings[k].members);
        }
        sg_free(plan->sweeps[i].readings);
        sg_free(plan->sweeps[i].gates.members);
        sg_free(plan->sweeps[i].stage_ends);
    }
    sg_free(plan->sweeps);
    sg_free(plan->batches);
    sg_free(plan->weights);
    sg_free(plan->places);
    sg_free(plan->probed);
    sg_free(plan->probed_of);
    sg_free(plan->needs.sums);
    sg_free(plan->sweep_of);
    sg_record_free(&plan->record);
    sg_free(plan);
}
