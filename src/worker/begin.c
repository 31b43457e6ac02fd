/* src/worker/begin.c - the leader opens an item: input, clean pass, targets, grids.
 *
 * The clean pass is a batch of one on a net of its own size, so that its bits depend on nothing
 * else. Targets are fixed here, from the clean input, and never looked at again on noisy ones. */
#include "worker/worker_impl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void *field(struct sg_worker *w, const char *path) {
    return sg_record_at(&w->plan->record, w->item.record, path);
}

/* Samplers and methods do not know the item's name; others have said it. */
void sg_item_fail(struct sg_worker *w) {
    const char *name = sg_items_name(w->o.items, w->item.index);
    const char *message = sg_trace_message();
    const int is_named = strncmp(message, name, strlen(name)) == 0;

    *(unsigned char *)field(w, SG_FIELD_STATUS) = SG_ITEM_FAILED;
    (void)snprintf(field(w, SG_FIELD_MESSAGE), SG_MESSAGE_BYTES, "%s%s%s", is_named ? "" : name,
                   is_named ? "" : ": ", message);
}

/* 1 if it is a layer whose activation at the item a finish may ask for: gates have none. */
static int is_kept(const struct sg_probed *p) {
    return p->layer >= 0 && !sg_is_gates(p);
}

/* Outputs, and the layers' activations; a layer that is read under several rules lies as often. */
static sg_status forward_at_item(struct sg_worker *w) {
    sg_status status = SG_OK;
    const struct sg_plan *plan = w->plan;

    memset(w->layers, 0, (size_t)plan->model->n_layers * sizeof(float *));
    for (int i = 0; i < plan->n_probed; i++) {
        const struct sg_probed *p = &plan->probed[i];

        if (is_kept(p)) {
            w->layers[p->layer] = w->activations + p->offset;
        }
    }
    SG_TRY(
        sg_net_forward_as(w->one, &(struct sg_pass){.layers = w->layers}, w->x, w->y, w->o.stop));
    for (int i = 0; i < plan->n_probed; i++) {
        const struct sg_probed *p = &plan->probed[i];

        if (is_kept(p) && w->layers[p->layer] != w->activations + p->offset) {
            memcpy(w->activations + p->offset, w->layers[p->layer],
                   (size_t)p->n_features * sizeof(float));
        }
    }
done:
    return status;
}

static sg_status clean_outputs(struct sg_worker *w) {
    sg_status status = SG_OK;

    sg_phase_enter(w, SG_PHASE_FORWARD);
    SG_TRY(forward_at_item(w));
    w->phases.n_forwards++;
    for (int64_t k = 0; k < w->n_outputs; k++) {
        SG_CHECK(isfinite(w->y[k]), SG_E_NUMBERS,
                 "%s: output %lld of the model is %g at the item itself",
                 sg_items_name(w->o.items, w->item.index), (long long)k, (double)w->y[k]);
    }
    memcpy(w->clean_y, w->y, (size_t)w->n_outputs * sizeof *w->y);
    SG_TRY(sg_target_choose(w));
    *(int32_t *)field(w, SG_FIELD_PREDICTED) = sg_target_predicted(w);
    for (int64_t t = 0; t < w->plan->n_targets; t++) {
        const struct sg_aim *aim = &w->item.aims[t];

        ((int32_t *)field(w, SG_FIELD_TARGET))[t] = sg_class_of(aim);
        ((double *)field(w, SG_FIELD_SCORE))[t] =
            sg_score_value(w->plan->job->score, w->y, aim, sg_mask_at(w, t));
        ((double *)field(w, SG_FIELD_PROBABILITY))[t] =
            sg_score_probability(w->y, aim, sg_mask_at(w, t));
    }
done:
    return status;
}

/* Finds the largest value; all must be numbers. */
static sg_status judge_clean(struct sg_worker *w, int p, int64_t t) {
    sg_status status = SG_OK;
    const struct sg_probed *probed = &w->plan->probed[p];
    const float *g = sg_clean_at(w, probed, t);
    double largest = 0;

    for (int64_t i = 0; i < probed->n_features; i++) {
        SG_CHECK(isfinite(g[i]), SG_E_NUMBERS, "%s: the gradient of class %lld is %g %s",
                 sg_items_name(w->o.items, w->item.index), (long long)w->item.aims[t].class,
                 (double)g[i],
                 sg_is_path(probed) ? "on the path to the item" : "at the item itself");
        largest = fabs((double)g[i]) > largest ? fabs((double)g[i]) : largest;
    }
    w->item.clean_max[p * w->plan->n_targets + t] = largest;
done:
    return status;
}

/* One backward pass for target t: reads the things from `first` on that it serves; *end is the next
 * one. */
static sg_status clean_pass(struct sg_worker *w, int64_t t, int first, int *end) {
    sg_status status = SG_OK;
    const struct sg_probed *probed = w->plan->probed;
    const struct sg_probing *probing = &probed[first].probing;
    const double begun = sg_now();
    float *dx = NULL;

    memset(w->layers, 0, (size_t)w->plan->model->n_layers * sizeof(float *));
    for (*end = first; *end < w->plan->n_probed && probed[*end].pass == probed[first].pass;
         (*end)++) {
        const struct sg_probed *p = &probed[*end];

        *(p->layer < 0 ? &dx : &w->layers[p->layer]) = sg_clean_at(w, p, t);
    }
    SG_TRY(
        sg_net_backward_at(w->one, (enum sg_rule)probing->rule, w->dy, dx, w->layers, w->o.stop));
    w->phases.n_backwards++;
    w->item.n_gradients++;
    for (int p = first; p < *end; p++) {
        if (probing->absolute) {
            sg_take_absolute(sg_clean_at(w, &probed[p], t), probed[p].n_features);
        }
        SG_TRY(judge_clean(w, p, t));
        w->item.clean_s[p] += sg_now() - begun;
    }
done:
    return status;
}

static sg_status clean_readings(struct sg_worker *w, int64_t t) {
    sg_status status = SG_OK;

    sg_score_gradient(w->plan->job->score, w->y, w->n_outputs, &w->item.aims[t], sg_mask_at(w, t),
                      w->dy);
    for (int p = 0, end; p < w->plan->n_probed && sg_is_gradient(&w->plan->probed[p]); p = end) {
        SG_TRY(clean_pass(w, t, p, &end));
    }
done:
    return status;
}

/* ---- paths to the item ---- */

/* What the walk says of the item, for all instances that read this on it. */
static void put_facts(struct sg_worker *w, int p, int64_t t) {
    const struct sg_probed *probed = &w->plan->probed[p];
    const double score = ((const double *)field(w, SG_FIELD_SCORE))[t];
    const struct sg_path_facts *f = &w->facts[t];
    const int part = probed->probing.path.part;
    const double from = part == SG_PART_RIGHT ? f->split_score : f->baseline_score;
    const double to = part == SG_PART_LEFT ? f->split_score : score;
    const float *values = sg_clean_at(w, probed, t);
    double sum = 0;

    for (int64_t i = 0; i < probed->n_features; i++) {
        sum += (double)values[i];
    }
    for (int i = 0; i < w->plan->job->n_instances; i++) {
        if (w->plan->probed_of[i] == p) {
            sg_item_put_path(w, i, t, f, sum - (to - from));
        }
    }
}

/* A path needs a score where it begins: the map would be of a rise that there is not. */
static sg_status judge_begin(const struct sg_worker *w, const struct sg_path *path) {
    sg_status status = SG_OK;

    for (int64_t t = 0; t < w->plan->n_targets && sg_path_has_facts(path); t++) {
        SG_CHECK(isfinite(w->facts[t].baseline_score), SG_E_NUMBERS,
                 "%s: the score of class %lld is %g at the baseline of a path; choose another one",
                 sg_items_name(w->o.items, w->item.index), (long long)w->item.aims[t].class,
                 w->facts[t].baseline_score);
    }
done:
    return status;
}

/* The walk from probed thing `first` on; *end is the next one that is not read on it. */
static sg_status clean_walk(struct sg_worker *w, int first, int *end) {
    sg_status status = SG_OK;
    const struct sg_probed *probed = w->plan->probed;
    struct sg_walk walk = {.probing = &probed[first].probing,
                           .x = w->x,
                           .n_points = 1,
                           .sums = w->path.sums,
                           .facts = w->facts};
    const double begun = sg_now();

    for (*end = first; *end < w->plan->n_probed && probed[*end].pass == probed[first].pass;
         (*end)++) {
        SG_ASSERT(walk.n_parts < SG_MAX_PARTS);
        walk.parts[walk.n_parts++] = probed[*end].probing.path.part;
    }
    SG_TRY(sg_walk_run(w, &walk, w->o.stop));
    SG_TRY(judge_begin(w, &walk.probing->path));
    for (int p = first; p < *end; p++) {
        for (int64_t t = 0; t < w->plan->n_targets; t++) {
            float *values = sg_clean_at(w, &probed[p], t);

            sg_walk_values(w, &walk, p - first, t, values);
            put_facts(w, p, t);
            if (probed[p].probing.absolute) {
                sg_take_absolute(values, probed[p].n_features);
            }
            SG_TRY(judge_clean(w, p, t));
        }
        w->item.clean_s[p] += sg_now() - begun;
    }
done:
    return status;
}

static sg_status clean_walks(struct sg_worker *w) {
    sg_status status = SG_OK;

    for (int p = 0, end; p < w->plan->n_probed; p = end) {
        end = p + 1;
        if (sg_is_path(&w->plan->probed[p])) {
            SG_TRY(clean_walk(w, p, &end));
        }
    }
done:
    return status;
}

sg_status sg_item_look(struct sg_worker *w, int64_t index) {
    sg_status status = SG_OK;
    double begun;

    memset(w->item.record, 0, (size_t)w->plan->record.bytes);
    *(unsigned char *)field(w, SG_FIELD_STATUS) = SG_ITEM_DONE;
    sg_phase_enter(w, SG_PHASE_INPUT);
    memset(w->item.clean_s, 0, (size_t)w->plan->n_probed * sizeof *w->item.clean_s);
    SG_TRY(sg_items_load(w->o.items, index, w->x));
    begun = sg_now();
    SG_TRY(clean_outputs(w));
    w->item.forward_s = sg_now() - begun;
    sg_phase_enter(w, SG_PHASE_BACKWARD);
    for (int64_t t = 0; t < w->plan->n_targets; t++) {
        SG_TRY(clean_readings(w, t));
    }
done:
    return status;
}

sg_status sg_item_begin(struct sg_worker *w, int64_t index) {
    sg_status status = SG_OK;

    SG_TRY(sg_item_look(w, index));
    SG_TRY(clean_walks(w)); /* they overwrite the clean outputs */
    sg_spent_put(w);
done:
    return status;
}
