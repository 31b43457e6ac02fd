/* src/worker/target.c - the targets of an item, chosen from its clean outputs and never looked at
 * again on noisy ones: class, positions, weight. */
#include "worker/worker_impl.h"

#include <stdlib.h>
#include <string.h>

/* ---- which positions ---- */

/* 1 if the position lies in the target's box; positions count in the order of the axes. */
static int is_in_box(const struct sg_worker *w, int64_t t, int64_t position) {
    const struct sg_target *target = &w->plan->job->targets[t];
    const struct sg_shape *shape = &w->plan->model->outputs[w->plan->places[t].output].shape;

    for (int i = target->n_box - 1; i >= 0; i--) {
        const int64_t at = position % shape->axes[i + 1];

        if (at < target->box[i] || at >= target->box[target->n_box + i]) {
            return 0;
        }
        position /= shape->axes[i + 1];
    }
    return 1;
}

/* The largest class at a position; ties go to the lowest. */
static int64_t largest_at(const struct sg_target_place *p, const float *y) {
    int64_t best = 0;

    for (int64_t k = 1; k < p->n_classes; k++) {
        if (y[k * p->n_positions] > y[best * p->n_positions]) {
            best = k;
        }
    }
    return best;
}

/* ---- which class ---- */

/* First the one that is largest at the most positions, then the larger sum, then the lower class;
 * of a vector that is the order of its elements. */
static int by_rank(const void *a, const void *b) {
    const struct sg_ranked *x = a;
    const struct sg_ranked *y = b;

    if (x->n_largest != y->n_largest) {
        return x->n_largest > y->n_largest ? -1 : 1;
    }
    if (x->sum < y->sum || x->sum > y->sum) {
        return x->sum > y->sum ? -1 : 1;
    }
    return (x->class > y->class) - (x->class < y->class);
}

/* Ranks the classes of target t's output over its box (t < 0: of the first output, everywhere). */
static void rank(struct sg_worker *w, int64_t t, const struct sg_target_place *p) {
    const float *y = w->y + p->offset;

    for (int64_t k = 0; k < p->n_classes; k++) {
        w->ranked[k] = (struct sg_ranked){.class = k};
    }
    for (int64_t i = 0; i < p->n_positions; i++) {
        if (t >= 0 && !is_in_box(w, t, i)) {
            continue;
        }
        w->ranked[largest_at(p, y + i)].n_largest++;
        for (int64_t k = 0; k < p->n_classes; k++) {
            w->ranked[k].sum += (double)y[k * p->n_positions + i];
        }
    }
    qsort(w->ranked, (size_t)p->n_classes, sizeof w->ranked[0], by_rank);
}

int32_t sg_target_predicted(struct sg_worker *w) {
    const struct sg_tensor *first = &w->plan->model->outputs[0];
    const struct sg_target_place p = {.offset = first->offset,
                                      .n_classes = first->shape.axes[0],
                                      .n_positions = sg_shape_plane(&first->shape)};

    rank(w, -1, &p);
    return p.n_classes > 1 ? (int32_t)w->ranked[0].class : -1;
}

/* `ranked` holds the ranks of targets[first]'s box, or of nothing (first < 0). */
static sg_status choose_class(struct sg_worker *w, int64_t t, int64_t *ranked_for, int64_t *out) {
    sg_status status = SG_OK;
    const struct sg_target *target = &w->plan->job->targets[t];
    const struct sg_target_place *p = &w->plan->places[t];
    const char *name = sg_items_name(w->o.items, w->item.index);
    const int64_t label = sg_items_label(w->o.items, w->item.index);

    if (target->choice == SG_CHOICE_CLASS) {
        *out = target->number;
    } else if (target->choice == SG_CHOICE_GIVEN) {
        *out = w->plan->job->given_targets[w->item.index * w->plan->n_targets + target->number];
    } else if (target->choice == SG_CHOICE_LABEL) {
        SG_CHECK(label >= 0, SG_E_INPUT, "%s: it has no label, and the job's target is its label",
                 name);
        SG_CHECK(label < p->n_classes, SG_E_INPUT,
                 "%s: its label is %lld, but the model's classes are 0 to %lld", name,
                 (long long)label, (long long)p->n_classes - 1);
        *out = label;
    } else {
        if (*ranked_for != p->first) {
            rank(w, t, p);
            *ranked_for = p->first;
        }
        *out = w->ranked[target->number].class;
    }
done:
    return status;
}

/* ---- the target ---- */

/* Sets the region's bits; *n counts them, *top is the one with the largest output of the class. */
static void find_region(const struct sg_worker *w, int64_t t, const struct sg_aim *aim,
                        uint64_t *mask, int64_t *n, int64_t *top) {
    const struct sg_target *target = &w->plan->job->targets[t];
    const struct sg_target_place *p = &w->plan->places[t];
    const float *y = w->y + p->offset;
    const float *of_class = y + aim->class * p->n_positions;

    *n = 0;
    *top = -1;
    for (int64_t i = 0; i < p->n_positions; i++) {
        if (is_in_box(w, t, i) &&
            (target->region == SG_REGION_ALL || largest_at(p, y + i) == aim->class)) {
            (*n)++;
            *top = *top < 0 || of_class[i] > of_class[*top] ? i : *top;
            if (w->plan->mask_words > 0) {
                mask[i / 64] |= UINT64_C(1) << (i % 64);
            }
        }
    }
}

static sg_status choose(struct sg_worker *w, int64_t t, int64_t *ranked_for) {
    sg_status status = SG_OK;
    const struct sg_target *target = &w->plan->job->targets[t];
    const struct sg_target_place *p = &w->plan->places[t];
    struct sg_aim *aim = &w->item.aims[t];
    uint64_t *mask = sg_mask_at(w, t);
    int64_t n;
    int64_t top;

    memset(mask, 0, (size_t)w->plan->mask_words * sizeof *mask);
    *aim = (struct sg_aim){.offset = p->offset,
                           .n_classes = p->n_classes,
                           .n_positions = p->n_positions,
                           .position = -1,
                           .weight = 1};
    SG_TRY(choose_class(w, t, ranked_for, &aim->class));
    find_region(w, t, aim, mask, &n, &top);
    SG_CHECK(n > 0, SG_E_INPUT, "%s: class %lld is predicted at none of the positions",
             sg_items_name(w->o.items, w->item.index), (long long)aim->class);
    if (n == 1 || target->reduce == SG_REDUCE_MAX) {
        aim->position = top;
    } else if (target->reduce == SG_REDUCE_MEAN) {
        aim->weight = 1.0 / (double)n;
    }
done:
    return status;
}

sg_status sg_target_choose(struct sg_worker *w) {
    sg_status status = SG_OK;
    int64_t ranked_for = -1;

    for (int64_t t = 0; t < w->plan->n_targets; t++) {
        SG_TRY(choose(w, t, &ranked_for));
    }
done:
    return status;
}
