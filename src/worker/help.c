/* src/worker/help.c - a helper of another worker's item: what it is told to begin with, sweep by
 * sweep. */
#include "worker/team.h"

static size_t bytes_of_x(const struct sg_worker *w) {
    return (size_t)w->n_features * sizeof *w->x;
}

static size_t bytes_of_aims(const struct sg_worker *w) {
    return (size_t)w->plan->n_targets * sizeof *w->item.aims;
}

static size_t bytes_of_masks(const struct sg_worker *w) {
    return (size_t)(w->plan->n_targets * w->plan->mask_words) * sizeof *w->item.masks;
}

static size_t bytes_of_exponents(const struct sg_worker *w) {
    return (size_t)sg_item_n_sums(w) * sizeof *w->item.exponents;
}

static size_t bytes_of_blocks(const struct sg_worker *w) {
    return (size_t)w->n_words * sizeof *w->item.done;
}

/* ---- the leader's side ---- */

static void send(struct sg_worker *w, int member, const void *bytes, size_t n) {
    sg_comm_send(w->o.workers, w->crew.workers[member], SG_TAG_OPEN, bytes, n);
}

void sg_send_opening(struct sg_worker *w, int member) {
    const struct opening o = {.item = w->item.index, .member = member};

    send(w, member, &o, sizeof o);
    send(w, member, w->x, bytes_of_x(w));
    send(w, member, w->item.aims, bytes_of_aims(w));
    send(w, member, w->item.masks, bytes_of_masks(w));
}

void sg_send_sweep(struct sg_worker *w, int member) {
    const struct told t = {.kind = TOLD_SWEEP,
                           .i_sweep = w->item.i_sweep,
                           .n_stages_done = w->item.n_stages_done,
                           .gate_exponent = w->item.gate_exponent};

    sg_comm_send(w->o.workers, w->crew.workers[member], SG_TAG_TOLD, &t, sizeof t);
    send(w, member, w->item.exponents, bytes_of_exponents(w));
    send(w, member, w->crew.begun, bytes_of_blocks(w));
}

/* ---- the helper's side ---- */

static void receive(struct sg_worker *w, void *bytes, size_t n) {
    sg_comm_recv(w->o.workers, w->crew.leader, SG_TAG_OPEN, bytes, n);
}

static void open_item(struct sg_worker *w, int leader) {
    struct opening o;

    w->crew.leader = leader;
    receive(w, &o, sizeof o);
    sg_item_reset(w, o.item);
    w->crew.member = o.member;
    receive(w, w->x, bytes_of_x(w));
    receive(w, w->item.aims, bytes_of_aims(w));
    receive(w, w->item.masks, bytes_of_masks(w));
}

/* What the leader could prepare the helper can, too. */
static void run_sweep(struct sg_worker *w, const struct told *t) {
    const struct sg_sweep *sweep = &w->plan->sweeps[t->i_sweep];
    sg_status prepared;
    int64_t n_todo;

    w->item.i_sweep = t->i_sweep;
    w->item.n_stages_done = t->n_stages_done;
    w->item.gate_exponent = t->gate_exponent;
    receive(w, w->item.exponents, bytes_of_exponents(w));
    receive(w, w->item.done, bytes_of_blocks(w));
    prepared = sg_sweep_prepare(w, sweep);
    SG_ASSERT(prepared == SG_OK);
    sg_worker_shape_sums(w, sweep);
    n_todo = sg_sweep_list(w, sweep);
    sg_item_reset_sums(w);
    sg_follow(w, sweep, n_todo);
}

static void hear(struct sg_worker *w, struct told *t) {
    int from = w->crew.leader;
    int tag = SG_TAG_TOLD;
    int idle = 0;

    sg_phase_enter(w, SG_PHASE_REDUCE);
    while (!sg_comm_probe(w->o.workers, &from, &tag)) {
        sg_comm_idle(&idle);
    }
    sg_comm_recv(w->o.workers, from, SG_TAG_TOLD, t, sizeof *t);
}

int sg_item_help(struct sg_worker *w) {
    struct told t;
    int from = -1;
    int tag = SG_TAG_OPEN;

    if (w->o.workers == NULL || !sg_comm_probe(w->o.workers, &from, &tag)) {
        return 0;
    }
    sg_phase_enter(w, SG_PHASE_REDUCE);
    open_item(w, from);
    w->phases.n_helped++;
    for (hear(w, &t); t.kind != TOLD_LEAVE; hear(w, &t)) {
        SG_ASSERT(t.kind == TOLD_SWEEP);
        run_sweep(w, &t);
    }
    return 1;
}
