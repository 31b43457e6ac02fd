/* src/worker/finish.c - sums become maps, standard errors and the convergence record, straight into
 * the record. */
#include "worker/worker_impl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void *sg_instance_field(struct sg_worker *w, int i, const char *group, const char *name) {
    const struct sg_instance *inst = &w->plan->job->instances[i];
    char path[SG_MAX_PATH + 1];
    const struct sg_field *f;

    (void)snprintf(path, sizeof path, "%s/%s/%s", group, inst->label, name);
    f = sg_record_find(&w->plan->record, path);
    return f != NULL ? w->item.record + f->offset : NULL;
}

void sg_item_put_path(struct sg_worker *w, int i, int64_t t, const struct sg_path_facts *facts,
                      double gap) {
    double *baseline_score = sg_instance_field(w, i, "maps", "baseline_score");
    double *completeness_gap = sg_instance_field(w, i, "maps", "completeness_gap");
    double *t_star = sg_instance_field(w, i, "maps", "t_star");

    if (baseline_score != NULL) {
        baseline_score[t] = facts->baseline_score;
    }
    if (completeness_gap != NULL) {
        completeness_gap[t] = gap;
    }
    if (t_star != NULL) {
        t_star[t] = facts->t_star;
    }
}

static double norm(const float *v, int64_t n) {
    double sum = 0;

    for (int64_t i = 0; i < n; i++) {
        sum += (double)v[i] * (double)v[i];
    }
    return sqrt(sum);
}

static double distance(const float *a, const float *b, int64_t n) {
    double sum = 0;

    for (int64_t i = 0; i < n; i++) {
        const double d = (double)a[i] - (double)b[i];

        sum += d * d;
    }
    return sqrt(sum);
}

/* What the convergence record says of target t at a stage's end: [target][stage]. */
struct convergence {
    int64_t samples;
    double norm;
    double error;
    double relative_error;
    double change;
};

static void put_convergence(struct sg_worker *w, int i, int64_t t, int i_stage,
                            const struct convergence *c) {
    const int64_t at = t * w->plan->max_stages + i_stage;

    ((int64_t *)sg_instance_field(w, i, "convergence", "samples"))[at] = c->samples;
    ((double *)sg_instance_field(w, i, "convergence", "norm"))[at] = c->norm;
    ((double *)sg_instance_field(w, i, "convergence", "error"))[at] = c->error;
    ((double *)sg_instance_field(w, i, "convergence", "relative_error"))[at] = c->relative_error;
    ((double *)sg_instance_field(w, i, "convergence", "change"))[at] = c->change;
}

/* 1 if the record's map of instance i is the one of this stage: early stages may have too few
 * samples for a map. */
static int has_map(struct sg_worker *w, int i, int64_t t, int i_stage) {
    const int64_t *samples = sg_instance_field(w, i, "convergence", "samples");

    return i_stage >= 0 && samples[t * w->plan->max_stages + i_stage] > 0;
}

struct sg_finish sg_item_finish_of(const struct sg_worker *w, int i, int64_t t) {
    const struct sg_plan *plan = w->plan;
    const struct sg_probed *p = &plan->probed[plan->probed_of[i]];
    const int is_read = sg_is_gradient(p) || sg_is_path(p);

    return (struct sg_finish){.shape = &p->shape,
                              .input = &plan->input,
                              .domain = &plan->domain,
                              .x = is_read || p->layer < 0 ? sg_seen_at(w, p) : NULL,
                              .clean = is_read ? sg_clean_at(w, p, t) : NULL,
                              .n_features = p->n_features,
                              .seed = (uint64_t)plan->job->seed,
                              .key = sg_items_key(w->o.items, w->item.index),
                              .target = t};
}

/* Finishes instance i for target t from what the sums hold now; the record keeps the last map and
 * error. */
static sg_status finish_target(struct sg_worker *w, int i, const struct sg_sums *sums, int64_t t,
                               int i_stage) {
    sg_status status = SG_OK;
    const struct sg_instance *inst = &w->plan->job->instances[i];
    const struct sg_finish from = sg_item_finish_of(w, i, t);
    struct sg_shape shape;
    struct convergence c = {.samples = sg_sums_n_added(sums)};
    float *map = sg_instance_field(w, i, "maps", "map");
    float *se = sg_instance_field(w, i, "maps", "se");
    int64_t n;

    sg_plan_map_shape(w->plan, i, &shape);
    n = sg_shape_size(&shape);
    map += t * n;
    se = se != NULL ? se + t * n : NULL;
    sg_sums_reshape(w->one_sum, from.n_features, sg_sums_n_powers(sums), 1);
    SG_TRY(sg_instance_finish(inst, &from, sums, w->one_sum, w->work, w->map, se));
    c.norm = norm(w->map, n);
    c.error = se != NULL ? norm(se, n) : NAN;
    c.relative_error = c.error / c.norm;
    c.change = has_map(w, i, t, i_stage - 1) ? distance(w->map, map, n) / c.norm : NAN;
    memcpy(map, w->map, (size_t)n * sizeof *map);
    put_convergence(w, i, t, i_stage, &c);
    ((int64_t *)sg_instance_field(w, i, "maps", "samples"))[t] = c.samples;
done:
    return status;
}

static void fill_nan(double *v, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        v[i] = NAN;
    }
}

/* Stages that do not come, or have too few samples for the method, read NaN. */
static void clear_convergence(struct sg_worker *w, int i, int64_t t, int first_stage) {
    const struct convergence none = {
        .norm = NAN, .error = NAN, .relative_error = NAN, .change = NAN};

    for (int s = first_stage; s < w->plan->max_stages; s++) {
        put_convergence(w, i, t, s, &none);
    }
}

void sg_item_put_only_stage(struct sg_worker *w, int i, int64_t t, int i_stage, int64_t samples,
                            const float *map, const float *se, int64_t n) {
    struct convergence c = {.samples = samples, .norm = norm(map, n), .change = NAN};

    c.error = se != NULL ? norm(se, n) : NAN;
    c.relative_error = c.error / c.norm;
    clear_convergence(w, i, t, 0);
    put_convergence(w, i, t, i_stage, &c);
}

/* What a finished sweep reports: the absolute noise scale, and the share of elements that left the
 * domain. */
static void put_sweep_report(struct sg_worker *w, int i, const struct sg_sweep *sweep) {
    double *sigma = sg_instance_field(w, i, "maps", "sigma");
    double *outside = sg_instance_field(w, i, "maps", "out_of_range");
    const double n_elements = (double)sweep->n_draws * (double)w->n_features;

    if (sigma != NULL) {
        memcpy(sigma, w->sigma, (size_t)w->plan->input.axes[0] * sizeof *sigma);
    }
    if (outside != NULL && w->plan->domain.known) {
        *outside = (double)sg_tallies(w, sweep)[0] / n_elements;
    } else if (outside != NULL) {
        fill_nan(outside, 1);
    }
}

/* The maps of instance i at a stage's end, from the sums of its reading r. */
static sg_status finish_instance(struct sg_worker *w, int i, int r, int i_stage, int is_last) {
    sg_status status = SG_OK;
    const struct sg_method *method = w->plan->job->instances[i].method;

    for (int64_t t = 0; t < w->plan->n_targets; t++) {
        const struct sg_sums *sums = sg_sums_at(w, r, t);

        if (i_stage == 0) {
            clear_convergence(w, i, t, 0);
        }
        if (is_last || sg_sums_n_added(sums) >= method->min_samples) {
            SG_TRY(finish_target(w, i, sums, t, i_stage));
        }
    }
done:
    return status;
}

sg_status sg_item_finish_stage(struct sg_worker *w, const struct sg_sweep *sweep, int i_stage) {
    sg_status status = SG_OK;
    const int is_last = i_stage == sweep->n_stages - 1;
    int64_t *nonfinite = sg_record_at(&w->plan->record, w->item.record, SG_FIELD_NONFINITE);

    if (is_last && sweep->gates.n_members > 0) { /* first: it may be interrupted and come again */
        SG_TRY(sg_gates_finish(w, sweep));
        *nonfinite += sg_counts_n_skipped(w->counts);
    }
    sg_spent_settle(w);
    sg_phase_enter(w, SG_PHASE_FINISH);
    for (int m = 0; is_last && m < sweep->gates.n_members; m++) {
        put_sweep_report(w, sweep->gates.members[m], sweep);
    }
    for (int r = 0; r < sweep->n_readings; r++) {
        for (int m = 0; m < sweep->readings[r].n_members; m++) {
            const int i = sweep->readings[r].members[m];
            const double begun = sg_now();

            SG_TRY(finish_instance(w, i, r, i_stage, is_last));
            sg_spend_on(w, i, sg_now() - begun);
            if (is_last) {
                put_sweep_report(w, i, sweep);
            }
        }
        for (int64_t t = 0; is_last && t < w->plan->n_targets; t++) {
            *nonfinite += sg_sums_n_nonfinite(sg_sums_at(w, r, t));
        }
    }
done:
    return status;
}

sg_status sg_item_finish_clean(struct sg_worker *w) {
    sg_status status = SG_OK;

    sg_phase_enter(w, SG_PHASE_FINISH);
    for (int i = 0; i < w->plan->job->n_instances; i++) {
        const struct sg_instance *inst = &w->plan->job->instances[i];
        struct sg_shape shape;
        float *se = sg_instance_field(w, i, "maps", "se");
        int64_t n;

        const double begun = sg_now();

        if (w->plan->sweep_of[i] >= 0) {
            continue;
        }
        sg_plan_map_shape(w->plan, i, &shape);
        n = sg_shape_size(&shape);
        for (int64_t t = 0; t < w->plan->n_targets; t++) {
            const struct sg_finish from = sg_item_finish_of(w, i, t);

            SG_TRY(sg_instance_finish(inst, &from, NULL, NULL, w->work,
                                      (float *)sg_instance_field(w, i, "maps", "map") + t * n,
                                      se != NULL ? se + t * n : NULL));
            ((int64_t *)sg_instance_field(w, i, "maps", "samples"))[t] = 1;
        }
        sg_spend_on(w, i, sg_now() - begun);
    }
done:
    return status;
}

void sg_item_finish_cost(struct sg_worker *w) {
    const struct sg_record *r = &w->plan->record;

    *(int64_t *)sg_record_at(r, w->item.record, "items/forwards") = w->plan->per_item.forwards;
    *(int64_t *)sg_record_at(r, w->item.record, "items/backwards") = w->plan->per_item.backwards;
}

void sg_item_put_seconds(struct sg_worker *w) {
    *(double *)sg_record_at(&w->plan->record, w->item.record, "items/seconds") =
        w->item.before_s + sg_now() - w->item.begun_s;
}

double sg_item_seconds(const struct sg_worker *w) {
    return *(const double *)sg_record_at(&w->plan->record, w->item.record, "items/seconds");
}
