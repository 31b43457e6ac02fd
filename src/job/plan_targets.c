/* src/job/plan_targets.c - targets against the model: which numbers of which output they are. */
#include "plan_impl.h"

#include "sgdist/memory.h"

#include <stdio.h>
#include <string.h>

static sg_status find_output(const struct sg_plan *plan, const struct sg_target *t, int *out) {
    sg_status status = SG_OK;
    const struct sg_signature *m = plan->model;

    *out = 0;
    if (t->output[0] == '\0') {
        return SG_OK;
    }
    while (*out < m->n_outputs && strcmp(m->outputs[*out].name, t->output) != 0) {
        (*out)++;
    }
    SG_CHECK(*out < m->n_outputs, SG_E_JOB, "%s: target.output: the model has no tensor '%s'",
             plan->job->file, t->output);
done:
    return status;
}

static sg_status check_choice(const struct sg_plan *plan, const struct sg_target *t,
                              const struct sg_target_place *p) {
    sg_status status = SG_OK;
    const struct sg_job *job = plan->job;
    const long long k = p->n_classes;

    SG_CHECK(t->choice != SG_CHOICE_CLASS || t->number<k, SG_E_JOB,
                                                       "%s: target.%s: %lld is not a class of the "
                                                       "model; it has %lld outputs, 0 to %lld",
                                                       job->file, t->n_element> 0
                 ? "element"
                 : "class",
             (long long)t->number, k, k - 1);
    SG_CHECK(t->choice != SG_CHOICE_RANK || t->number < k, SG_E_JOB,
             "%s: target.top: %lld is more than the %lld outputs of the model", job->file,
             (long long)t->number + 1, k);
    SG_CHECK(job->score == SG_SCORE_LOGIT || k > 1, SG_E_JOB,
             "%s: model.explain.score: probabilities are of classes, but '%s' has a single one; "
             "set score: logit, which is the output as it is",
             job->file, plan->model->outputs[p->output].name);
done:
    return status;
}

static sg_status check_box(const struct sg_plan *plan, const struct sg_target *t,
                           const struct sg_target_place *p) {
    sg_status status = SG_OK;
    const char *file = plan->job->file;
    const struct sg_tensor *output = &plan->model->outputs[p->output];
    const int n_space = output->shape.n_axes - 1;

    SG_CHECK(t->n_element == 0 || t->n_element == n_space + 1, SG_E_JOB,
             "%s: target.element: %d indices for '%s', which has %d axes beside the batch", file,
             t->n_element, output->name, n_space + 1);
    SG_CHECK(p->n_positions > 1 || (t->region == SG_REGION_ALL && t->reduce == SG_REDUCE_SUM),
             SG_E_JOB, "%s: target: region and reduce need an output with positions, '%s' has one",
             file, output->name);
    SG_CHECK(t->n_element > 0 || t->n_box == 0 || t->n_box == n_space, SG_E_JOB,
             "%s: target.box: %d numbers for '%s', which has %d axes behind the classes; give the "
             "first position of each, then the one past the last",
             file, 2 * t->n_box, output->name, n_space);
    for (int i = 0; i < t->n_box; i++) {
        SG_CHECK(t->box[t->n_box + i] <= output->shape.axes[i + 1], SG_E_JOB,
                 "%s: target.%s: position %lld of an axis of '%s' that has %lld of them, 0 to %lld",
                 file, t->n_element > 0 ? "element" : "box", (long long)t->box[t->n_box + i] - 1,
                 output->name, (long long)output->shape.axes[i + 1],
                 (long long)output->shape.axes[i + 1] - 1);
    }
done:
    return status;
}

static int is_ranked_alike(const struct sg_target *a, const struct sg_target *b) {
    return strcmp(a->output, b->output) == 0 && a->n_box == b->n_box &&
           memcmp(a->box, b->box, sizeof a->box) == 0;
}

sg_status sg_plan_place_targets(struct sg_plan *plan) {
    sg_status status = SG_OK;
    const struct sg_job *job = plan->job;

    plan->places = sg_calloc((size_t)plan->n_targets, sizeof plan->places[0]);
    SG_CHECK(plan->places != NULL, SG_E_NOMEM, "no memory for the plan");
    plan->max_classes = plan->model->outputs[0].shape.axes[0];
    for (int64_t i = 0; i < plan->n_targets; i++) {
        const struct sg_target *t = &job->targets[i];
        struct sg_target_place *p = &plan->places[i];
        const struct sg_tensor *output;

        SG_TRY(find_output(plan, t, &p->output));
        output = &plan->model->outputs[p->output];
        p->offset = output->offset;
        p->n_classes = output->shape.axes[0];
        p->n_positions = sg_shape_plane(&output->shape);
        p->first = i > 0 && is_ranked_alike(t, &job->targets[i - 1]) ? p[-1].first : i;
        SG_TRY(check_choice(plan, t, p));
        SG_TRY(check_box(plan, t, p));
        plan->max_classes = p->n_classes > plan->max_classes ? p->n_classes : plan->max_classes;
        if (p->n_positions > 1 && t->n_element == 0 && t->reduce != SG_REDUCE_MAX) {
            const int64_t words = (p->n_positions + 63) / 64;

            plan->mask_words = words > plan->mask_words ? words : plan->mask_words;
        }
    }
done:
    return status;
}

void sg_plan_target_text(const struct sg_plan *plan, int64_t t, struct sg_text *out) {
    const struct sg_target_place *p = &plan->places[t];
    struct sg_target target = plan->job->targets[t];

    (void)snprintf(target.output, sizeof target.output, "%s", plan->model->outputs[p->output].name);
    sg_target_text(&target, p->n_classes > 1, out);
    if (p->n_positions > 1 && target.n_element == 0 && target.reduce == SG_REDUCE_SUM) {
        sg_text_add(out, " (sum)");
    }
}
