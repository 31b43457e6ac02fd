/* src/worker/worker.c - a worker's memory, and its loop over orders. */
#include "sgdist/deal.h"
#include "sgdist/memory.h"
#include "worker/team.h"

#include <math.h>
#include <string.h>

/* ---- memory ---- */

/* What a leader knows of its members, and what a member's gift needs. */
static sg_status take_crew(struct sg_worker *w) {
    sg_status status = SG_OK;
    struct crew *c = &w->crew;
    const size_t n = w->o.workers != NULL ? (size_t)sg_comm_size(w->o.workers) : 1;
    const size_t n_stages = (size_t)w->plan->max_stages + 1;

    SG_TRY(sg_deal_create((int)n, (int)n_stages, &c->deal));
    c->workers = sg_calloc(n, sizeof *c->workers);
    c->begun = sg_calloc((size_t)w->n_words, sizeof *c->begun);
    c->block_ns = sg_calloc(n, sizeof *c->block_ns);
    c->waiting = sg_calloc(n, sizeof *c->waiting);
    c->givers = sg_calloc(n, sizeof *c->givers);
    c->n_gifts = sg_calloc(n_stages, sizeof *c->n_gifts);
    w->aside.sending = sg_calloc((size_t)sg_aside_n_pieces(w->plan), sizeof(struct sg_sending *));
    w->aside.piece = sg_calloc(n > 1 ? SG_PIECE_WORDS : 1, sizeof *w->aside.piece);
    SG_CHECK(c->workers && c->begun && c->block_ns && c->waiting && c->givers && c->n_gifts &&
                 w->aside.sending && w->aside.piece,
             SG_E_NOMEM, "no memory for a team of %zu", n);
    c->workers[0] = w->o.workers != NULL ? sg_comm_rank(w->o.workers) : 0;
done:
    return status;
}

static void free_crew(struct sg_worker *w) {
    sg_deal_destroy(w->crew.deal);
    sg_free(w->crew.workers);
    sg_free(w->crew.begun);
    sg_free(w->crew.block_ns);
    sg_free(w->crew.waiting);
    sg_free(w->crew.givers);
    sg_free(w->crew.n_gifts);
    sg_free(w->aside.sending);
    sg_free(w->aside.piece);
}

static sg_status take_arrays(struct sg_worker *w) {
    sg_status status = SG_OK;
    const struct sg_plan *plan = w->plan;
    const struct sg_needs *needs = &plan->needs;
    const size_t d = (size_t)w->n_features;
    const size_t k = (size_t)w->n_outputs;
    const size_t n_targets = (size_t)plan->n_targets;
    const size_t n_sums = (size_t)needs->n_readings * n_targets + 1; /* 1: not empty */
    const size_t block = (size_t)plan->block;

    w->x = sg_malloc_aligned(d, sizeof *w->x);
    w->clean = sg_malloc_aligned(n_targets * (size_t)needs->n_clean + 1, sizeof *w->clean);
    w->clean_y = sg_malloc_aligned(k, sizeof *w->clean_y);
    w->expected = sg_malloc_aligned((size_t)needs->n_expected + 1, sizeof *w->expected);
    w->gate_means = sg_malloc_aligned((size_t)needs->n_gates + 1, sizeof *w->gate_means);
    w->activations = needs->has_layers
                         ? sg_malloc_aligned((size_t)needs->n_clean, sizeof *w->activations)
                         : NULL;
    w->layers = sg_calloc((size_t)plan->model->n_layers + 1, sizeof(float *));
    w->scale = sg_malloc_aligned(d, sizeof *w->scale);
    w->noisy = sg_malloc_aligned(block * d, sizeof *w->noisy);
    w->gradient = sg_malloc_aligned(block * (size_t)needs->n_pass + 1, sizeof *w->gradient);
    w->y = sg_malloc_aligned(block * k, sizeof *w->y);
    w->dy = sg_malloc_aligned(block * k, sizeof *w->dy);
    w->map = sg_malloc_aligned((size_t)needs->n_map, sizeof *w->map);
    w->sigma = sg_calloc((size_t)plan->input.axes[0], sizeof *w->sigma);
    w->work = sg_malloc_aligned((size_t)needs->n_work, sizeof *w->work);
    w->sums = sg_calloc(n_sums, sizeof(struct sg_sums *));
    w->todo = sg_calloc((size_t)needs->n_blocks, sizeof *w->todo);
    w->packed = sg_malloc_aligned((size_t)sg_packed_bytes(plan), 1);
    w->ranked = sg_calloc((size_t)plan->max_classes, sizeof *w->ranked);
    w->item.aims = sg_calloc(n_targets, sizeof *w->item.aims);
    w->item.masks = sg_calloc(n_targets * (size_t)plan->mask_words + 1, sizeof *w->item.masks);
    w->item.exponents = sg_calloc(n_sums, sizeof *w->item.exponents);
    w->item.clean_max = sg_calloc((size_t)plan->n_probed * n_targets, sizeof *w->item.clean_max);
    w->item.spent_ns =
        sg_calloc((size_t)(SG_SPENT_READINGS + needs->n_readings), sizeof *w->item.spent_ns);
    w->item.clean_s = sg_calloc((size_t)plan->n_probed + 1, sizeof *w->item.clean_s);
    w->item.done = sg_calloc((size_t)w->n_words, sizeof *w->item.done);
    w->item.record = sg_calloc((size_t)plan->record.bytes, 1);
    SG_CHECK(w->x && w->clean && w->clean_y && w->expected && w->gate_means &&
                 (w->activations || !needs->has_layers) && w->layers && w->scale && w->noisy &&
                 w->gradient && w->y && w->dy && w->map && w->sigma && w->work && w->sums &&
                 w->todo && w->packed && w->ranked && w->item.aims && w->item.masks &&
                 w->item.exponents && w->item.clean_max && w->item.spent_ns && w->item.clean_s &&
                 w->item.done && w->item.record,
             SG_E_NOMEM, "no memory for the arrays of a worker");
done:
    return status;
}

/* Nets of different batches never run between each other's passes, so one arena serves all. */
static sg_status take_nets(struct sg_worker *w) {
    sg_status status = SG_OK;
    const struct sg_plan *plan = w->plan;
    int64_t bytes = 1;

    for (int i = 0; i < plan->n_batches; i++) {
        const int64_t n = sg_net_arena_bytes(w->o.model, plan->batches[i]);

        bytes = n > bytes ? n : bytes;
    }
    SG_CHECK(bytes < INT64_MAX, SG_E_NOMEM, "no memory to plan the network");
    w->arena = sg_malloc_aligned((size_t)bytes, 1);
    w->nets = sg_calloc((size_t)plan->n_batches + 1, sizeof(struct sg_net *));
    SG_CHECK(w->arena != NULL && w->nets != NULL, SG_E_NOMEM,
             "no memory for batches of %lld samples (%lld bytes)",
             (long long)(plan->n_batches > 0 ? plan->batches[0] : 0), (long long)bytes);
    for (int i = 0; i < plan->n_batches; i++) {
        SG_TRY(sg_net_create_in(w->o.model, plan->batches[i], w->arena, &w->nets[i]));
        w->block = plan->batches[i] == plan->block ? w->nets[i] : w->block;
    }
done:
    return status;
}

static sg_status take_paths(struct sg_worker *w) {
    sg_status status = SG_OK;
    const struct sg_path_need *need = &w->plan->needs.paths;
    const size_t n_targets = (size_t)w->plan->n_targets;
    const size_t d = (size_t)w->n_features;
    struct paths *p = &w->path;

    w->facts = sg_calloc(n_targets, sizeof *w->facts);
    SG_CHECK(w->facts != NULL, SG_E_NOMEM, "no memory for the targets");
    if (need->n_sums == 0) {
        return SG_OK;
    }
    p->points = sg_malloc_aligned((size_t)w->plan->block * d, sizeof *p->points);
    p->places =
        sg_malloc_aligned(need->is_stepwise ? (size_t)w->plan->block * d : 1, sizeof *p->places);
    p->baseline = sg_malloc_aligned(d, sizeof *p->baseline);
    p->begins =
        sg_malloc_aligned(need->is_drawn ? (size_t)w->plan->block * d : 1, sizeof *p->begins);
    p->at = sg_malloc_aligned(d, sizeof *p->at);
    p->scale = sg_malloc_aligned(d, sizeof *p->scale);
    p->sigma = sg_calloc((size_t)w->plan->input.axes[0], sizeof *p->sigma);
    p->scratch = sg_malloc_aligned(2 * d, sizeof *p->scratch);
    p->sums = sg_malloc_aligned(n_targets * (size_t)need->n_sums, sizeof *p->sums);
    p->table = sg_malloc_aligned((size_t)need->n_table, sizeof *p->table);
    SG_CHECK(p->points && p->places && p->baseline && p->begins && p->at && p->scale && p->sigma &&
                 p->scratch && p->sums && p->table,
             SG_E_NOMEM, "no memory for the paths of a worker");
done:
    return status;
}

sg_status sg_worker_net_bytes(const struct sg_plan *plan, const struct sg_model *model,
                              int64_t *bytes) {
    sg_status status = SG_OK;
    int64_t arena = 0;

    *bytes = sg_net_bytes_for(model, 1);
    for (int i = 0; i < plan->n_batches && *bytes < INT64_MAX; i++) {
        const int64_t all = sg_net_bytes_for(model, plan->batches[i]);
        const int64_t n = sg_net_arena_bytes(model, plan->batches[i]);

        *bytes = all < INT64_MAX && n < INT64_MAX ? *bytes + all - n : INT64_MAX;
        arena = n > arena ? n : arena;
    }
    SG_CHECK(*bytes < INT64_MAX, SG_E_NOMEM, "no memory to plan the network");
    *bytes += arena;
done:
    return status;
}

static void free_paths(struct sg_worker *w) {
    sg_free(w->facts);
    sg_free(w->path.points);
    sg_free(w->path.places);
    sg_free(w->path.baseline);
    sg_free(w->path.begins);
    sg_free(w->path.at);
    sg_free(w->path.scale);
    sg_free(w->path.sigma);
    sg_free(w->path.scratch);
    sg_free(w->path.sums);
    sg_free(w->path.table);
}

static sg_status take_memory(struct sg_worker *w) {
    sg_status status = SG_OK;
    const struct sg_plan *plan = w->plan;
    const struct sg_needs *needs = &plan->needs;

    SG_TRY(take_arrays(w));
    SG_TRY(take_paths(w));
    for (int64_t i = 0; i < needs->n_readings * plan->n_targets; i++) {
        const struct sg_sums_need *n = &needs->sums[i / plan->n_targets];

        SG_TRY(sg_sums_create(n->n, n->n_powers, n->n_groups, &w->sums[i]));
    }
    if (needs->one_sum.n > 0) {
        SG_TRY(sg_sums_create(needs->one_sum.n, needs->one_sum.n_powers, 1, &w->one_sum));
    }
    if (needs->counts.n_groups > 0) {
        SG_TRY(sg_counts_create(&needs->counts, &w->counts));
    }
    SG_TRY(sg_net_create(w->o.model, 1, &w->one));
    SG_TRY(take_nets(w));
    sg_net_set_pause(w->one, sg_team_pause, w);
    for (int i = 0; i < plan->n_batches; i++) {
        sg_net_set_pause(w->nets[i], sg_team_pause, w);
    }
done:
    return status;
}

void sg_worker_shape_sums(struct sg_worker *w, const struct sg_sweep *sweep) {
    for (int i = 0; i < sweep->n_readings; i++) {
        const struct sg_reading *r = &sweep->readings[i];

        for (int64_t t = 0; t < w->plan->n_targets; t++) {
            sg_sums_reshape(sg_sums_at(w, i, t), sg_probed_of(w, r)->n_features, r->n_powers,
                            r->n_groups);
        }
    }
    if (sweep->gates.n_members > 0) {
        const struct sg_counts_shape shape = sg_plan_counts_shape(w->plan, sweep);

        sg_counts_reshape(w->counts, &shape);
    }
}

int64_t sg_worker_bytes(const struct sg_plan *plan) {
    const struct sg_needs *n = &plan->needs;
    const int64_t d = sg_shape_size(&plan->input);
    const int64_t of_block = d + n->n_pass + 2 * plan->n_outputs;
    const int64_t floats = 2 * d + n->n_map + n->n_clean * (plan->n_targets + n->has_layers) +
                           plan->n_outputs + n->n_expected + n->n_gates + plan->block * of_block;
    int64_t bytes = n->checkpoint_bytes + 3 * plan->record.bytes + 8 * SG_PIECE_WORDS;

    for (int i = 0; i < n->n_readings; i++) {
        bytes +=
            plan->n_targets * sg_sums_bytes(n->sums[i].n, n->sums[i].n_powers, n->sums[i].n_groups);
    }
    if (n->one_sum.n > 0) {
        bytes += sg_sums_bytes(n->one_sum.n, n->one_sum.n_powers, 1);
    }
    if (n->counts.n_groups > 0) {
        bytes += sg_counts_bytes(&n->counts);
    }
    return bytes + sg_plan_path_bytes(plan) + 4 * floats + 8 * n->n_work + 8 * n->n_blocks +
           8 * plan->n_targets * plan->mask_words;
}

static sg_status begin_worker(const struct sg_worker_options *options, struct sg_worker **out) {
    sg_status status = SG_OK;
    struct sg_worker *w = sg_calloc(1, sizeof *w);

    *out = w;
    SG_CHECK(w != NULL, SG_E_NOMEM, "no memory for a worker");
    w->o = *options;
    w->plan = options->plan;
    w->n_features = sg_shape_size(&w->plan->input);
    w->n_outputs = w->plan->n_outputs;
    w->clock = (struct clock){.phase = SG_PHASE_WAIT, .since = sg_now()};
    w->n_words = (w->plan->needs.n_blocks + 63) / 64;
    SG_TRY(take_crew(w));
    SG_TRY(take_memory(w));
done:
    return status;
}

sg_status sg_worker_create(const struct sg_worker_options *options, struct sg_worker **out) {
    sg_status status = SG_OK;
    struct sg_worker *w;

    status = begin_worker(options, &w);
    if (options->workers != NULL) {
        status = sg_comm_together(options->workers, status);
    }
    SG_TRY(status);
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
    free_crew(w);
    free_paths(w);
    sg_net_destroy(w->one);
    for (int i = 0; w->nets != NULL && i < w->plan->n_batches; i++) {
        sg_net_destroy(w->nets[i]);
    }
    sg_free(w->nets);
    sg_free(w->arena);
    for (int64_t i = 0; w->sums != NULL && i < w->plan->needs.n_readings * w->plan->n_targets;
         i++) {
        sg_sums_destroy(w->sums[i]);
    }
    sg_sums_destroy(w->one_sum);
    sg_free(w->sums);
    sg_free(w->x);
    sg_counts_destroy(w->counts);
    sg_free(w->clean);
    sg_free(w->clean_y);
    sg_free(w->expected);
    sg_free(w->gate_means);
    sg_free(w->activations);
    sg_free(w->layers);
    sg_free(w->scale);
    sg_free(w->noisy);
    sg_free(w->gradient);
    sg_free(w->y);
    sg_free(w->dy);
    sg_free(w->map);
    sg_free(w->sigma);
    sg_free(w->work);
    sg_free(w->todo);
    sg_free(w->packed);
    sg_free(w->ranked);
    sg_free(w->item.aims);
    sg_free(w->item.masks);
    sg_free(w->item.exponents);
    sg_free(w->item.clean_max);
    sg_free(w->item.spent_ns);
    sg_free(w->item.clean_s);
    sg_free(w->item.done);
    sg_free(w->item.record);
    sg_free(w);
}

/* ---- the loop ---- */

/* Leads what the master orders, and helps whoever calls. */
void sg_worker_run(struct sg_worker *w) {
    const struct sg_upstream *u = &w->o.upstream;
    struct sg_order order;
    int idle = 0;

    for (;;) {
        sg_phase_enter(w, SG_PHASE_WAIT);
        if (u->next(u->context, &order)) {
            if (order.kind == SG_ORDER_END) {
                return;
            }
            sg_item_lead(w, order.item);
            idle = 0;
        } else if (sg_item_help(w)) {
            idle = 0;
        } else {
            sg_comm_idle(&idle);
        }
    }
}
