/* src/worker/worker.c - a worker's memory, its teams, and its loop over orders. */
#include "sgdist/memory.h"
#include "worker/worker_impl.h"

#include <math.h>
#include <string.h>

/* ---- teams ---- */

/* Level l: teams of 2^l neighbours, the last one perhaps smaller; the highest level is everyone. */
static sg_status make_teams(struct sg_worker *w) {
    sg_status status = SG_OK;
    const struct sg_comm *all = w->o.workers;
    const int size = all != NULL ? sg_comm_size(all) : 1;
    const int rank = all != NULL ? sg_comm_rank(all) : 0;

    w->n_levels = 1;
    while (1 << (w->n_levels - 1) < size) {
        w->n_levels++;
    }
    w->teams = sg_calloc((size_t)w->n_levels, sizeof *w->teams);
    SG_CHECK(w->teams != NULL, SG_E_NOMEM, "no memory for the teams");
    w->teams[0].size = 1;
    for (int l = 1; l < w->n_levels; l++) {
        struct team *t = &w->teams[l];

        SG_TRY(sg_comm_split(all, rank >> l, &t->comm));
        t->rank = sg_comm_rank(t->comm);
        t->size = sg_comm_size(t->comm);
    }
done:
    return status;
}

static void free_teams(struct sg_worker *w) {
    for (int l = 1; w->teams != NULL && l < w->n_levels; l++) {
        sg_comm_free(w->teams[l].comm);
    }
    sg_free(w->teams);
}

/* ---- memory ---- */

struct sizes {
    int n_powers;
    int n_groups;
    int64_t n_blocks;
    int64_t n_work;
};

static struct sizes largest(const struct sg_plan *plan) {
    struct sizes s = {.n_powers = 1, .n_groups = 1, .n_blocks = 1, .n_work = 1};

    for (int i = 0; i < plan->n_sweeps; i++) {
        const struct sg_sweep *sweep = &plan->sweeps[i];

        s.n_powers = sweep->n_powers > s.n_powers ? sweep->n_powers : s.n_powers;
        s.n_groups = sweep->n_groups > s.n_groups ? sweep->n_groups : s.n_groups;
        s.n_blocks = sweep->n_blocks > s.n_blocks ? sweep->n_blocks : s.n_blocks;
    }
    for (int i = 0; i < plan->job->n_instances; i++) {
        const int64_t n = sg_instance_n_work(&plan->job->instances[i], &plan->input);

        s.n_work = n > s.n_work ? n : s.n_work;
    }
    return s;
}

static sg_status take_memory(struct sg_worker *w) {
    sg_status status = SG_OK;
    const struct sg_plan *plan = w->plan;
    const struct sizes s = largest(plan);
    const size_t d = (size_t)w->n_features;
    const size_t k = (size_t)w->n_outputs;
    const size_t n_targets = (size_t)plan->n_targets;
    const size_t block = (size_t)plan->block;

    w->n_words = (s.n_blocks + 63) / 64;
    w->x = sg_malloc_aligned(d, sizeof *w->x);
    w->clean = sg_malloc_aligned(n_targets * d, sizeof *w->clean);
    w->scale = sg_malloc_aligned(d, sizeof *w->scale);
    w->noisy = sg_malloc_aligned(block * d, sizeof *w->noisy);
    w->gradient = sg_malloc_aligned(block * d, sizeof *w->gradient);
    w->y = sg_malloc_aligned(block * k, sizeof *w->y);
    w->dy = sg_malloc_aligned(block * k, sizeof *w->dy);
    w->map = sg_malloc_aligned(d, sizeof *w->map);
    w->sigma = sg_calloc((size_t)plan->input.axes[0], sizeof *w->sigma);
    w->work = sg_malloc_aligned((size_t)s.n_work, sizeof *w->work);
    w->sums = sg_calloc(n_targets, sizeof(struct sg_sums *));
    w->todo = sg_calloc((size_t)s.n_blocks, sizeof *w->todo);
    w->item.targets = sg_calloc(n_targets, sizeof *w->item.targets);
    w->item.exponents = sg_calloc(n_targets, sizeof *w->item.exponents);
    w->item.clean_max = sg_calloc(n_targets, sizeof *w->item.clean_max);
    w->item.done = sg_calloc((size_t)w->n_words, sizeof *w->item.done);
    w->item.record = sg_calloc((size_t)plan->record.bytes, 1);
    SG_CHECK(w->x && w->clean && w->scale && w->noisy && w->gradient && w->y && w->dy && w->map &&
                 w->sigma && w->work && w->sums && w->todo && w->item.targets &&
                 w->item.exponents && w->item.clean_max && w->item.done && w->item.record,
             SG_E_NOMEM, "no memory for the arrays of a worker");
    for (int64_t t = 0; t < plan->n_targets; t++) {
        SG_TRY(sg_sums_create(w->n_features, s.n_powers, s.n_groups, &w->sums[t]));
    }
    SG_TRY(sg_sums_create(w->n_features, s.n_powers, 1, &w->one_sum));
    SG_TRY(sg_net_create(w->o.model, 1, &w->one));
    SG_TRY(sg_net_create(w->o.model, plan->block, &w->block));
done:
    return status;
}

int64_t sg_worker_bytes(const struct sg_plan *plan) {
    const struct sizes s = largest(plan);
    const int64_t d = sg_shape_size(&plan->input);
    const int64_t floats =
        d * (3 + plan->n_targets + 2 * plan->block) + 2 * plan->block * plan->n_outputs;
    const int64_t sums = plan->n_targets * sg_sums_bytes(d, s.n_powers, s.n_groups);
    const int64_t checkpoint = sums + plan->record.bytes;

    return 4 * floats + 8 * s.n_work + 8 * s.n_blocks + 2 * plan->record.bytes + sums +
           sg_sums_bytes(d, s.n_powers, 1) + checkpoint;
}

sg_status sg_worker_create(const struct sg_worker_options *options, struct sg_worker **out) {
    sg_status status = SG_OK;
    struct sg_worker *w = sg_calloc(1, sizeof *w);

    SG_CHECK(w != NULL, SG_E_NOMEM, "no memory for a worker");
    w->o = *options;
    w->plan = options->plan;
    w->n_features = sg_shape_size(&w->plan->input);
    w->n_outputs = w->plan->n_outputs;
    w->rounds = 1; /* until a block has been measured */
    w->clock = (struct clock){.phase = SG_PHASE_WAIT, .since = sg_now()};
    SG_TRY(make_teams(w));
    SG_TRY(take_memory(w));
    *out = w;
    w = NULL;
done:
    sg_worker_destroy(w);
    return status;
}

void sg_worker_destroy(struct sg_worker *w) {
    if (w == NULL) {
        return;
    }
    free_teams(w);
    sg_net_destroy(w->one);
    sg_net_destroy(w->block);
    for (int64_t t = 0; w->sums != NULL && t < w->plan->n_targets; t++) {
        sg_sums_destroy(w->sums[t]);
    }
    sg_sums_destroy(w->one_sum);
    sg_free(w->sums);
    sg_free(w->x);
    sg_free(w->clean);
    sg_free(w->scale);
    sg_free(w->noisy);
    sg_free(w->gradient);
    sg_free(w->y);
    sg_free(w->dy);
    sg_free(w->map);
    sg_free(w->sigma);
    sg_free(w->work);
    sg_free(w->todo);
    sg_free(w->item.targets);
    sg_free(w->item.exponents);
    sg_free(w->item.clean_max);
    sg_free(w->item.done);
    sg_free(w->item.record);
    sg_free(w);
}

/* ---- the loop ---- */

void sg_worker_run(struct sg_worker *w) {
    struct sg_order order;

    for (;;) {
        sg_phase_enter(w, SG_PHASE_WAIT);
        w->o.upstream.next(w->o.upstream.context, &order);
        if (order.kind == SG_ORDER_END) {
            return;
        }
        SG_ASSERT(order.level < w->n_levels);
        sg_item_run(w, &w->teams[order.level], order.item);
    }
}
