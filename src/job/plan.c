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

/* What the walk of probed thing p to a point costs: forward passes of all targets together, and
 * gradients. At the item itself the scores at the baselines, and at t*, are looked at, too. */
static void count_walk(struct sg_plan *plan, const struct sg_probed *p, int64_t n_points,
                       int at_item) {
    const struct sg_path *path = &p->probing.path;
    const int64_t n_walks = n_points * path->n_baselines;
    const int64_t n_nodes = sg_path_n_nodes(path);
    const int64_t n_scan = sg_path_n_scan(path);
    const int64_t n_search = sg_path_n_search(path) + (at_item && path->kind == SG_PATH_SPLIT);

    plan->forwards_per_item +=
        n_walks *
        ((n_scan == 0 && at_item && sg_path_has_facts(path) ? 1 : n_scan) +
         n_search * plan->n_targets + n_nodes * (sg_path_is_shared(path) ? 1 : plan->n_targets));
    plan->gradients_per_item += n_walks * n_nodes * plan->n_targets;
}

static void count_sweep(struct sg_plan *plan, const struct sg_sweep *s) {
    plan->forwards_per_item += s->n_passes > 0 || s->gates.n_members > 0 ? s->n_draws : 0;
    plan->gradients_per_item += s->n_draws * s->n_passes * plan->n_targets;
    plan->gradients_per_item += sg_plan_n_gate_passes(plan, s);
    if (plan->model->gates.n_linearised > 0) { /* at the item, for each map */
        plan->forwards_per_item += s->gates.n_members;
    }
    for (int i = 0; i < s->n_readings; i++) {
        const struct sg_probed *p = &plan->probed[s->readings[i].probed];

        if (sg_is_path(p) && (i == 0 || plan->probed[s->readings[i - 1].probed].pass != p->pass)) {
            count_walk(plan, p, s->n_draws, 0);
        }
    }
}

int64_t sg_plan_rounds(const struct sg_plan *plan, int64_t m) {
    int64_t n = 1;

    for (int s = 0; s < plan->n_sweeps; s++) {
        n += (plan->sweeps[s].n_blocks + m - 1) / m;
    }
    return n;
}

/* The item itself and the points of the sweeps; backward for every target, and once more for every
 * other rule. */
static void count_passes(struct sg_plan *plan) {
    plan->forwards_per_item = 1;
    plan->gradients_per_item = plan->n_clean_passes * plan->n_targets;
    for (int i = 0; i < plan->n_probed; i++) {
        const struct sg_probed *p = &plan->probed[i];

        if (sg_is_path(p) && (i == 0 || p->pass != p[-1].pass)) {
            count_walk(plan, p, 1, 1);
        }
    }
    plan->forwards_at_item = plan->forwards_per_item;
    plan->gradients_at_item = plan->gradients_per_item;
    for (int i = 0; i < plan->n_sweeps; i++) {
        count_sweep(plan, &plan->sweeps[i]);
    }
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
    count_passes(plan);
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
