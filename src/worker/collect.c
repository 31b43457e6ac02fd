/* src/worker/collect.c - the sums and block lists of a team's members move to its leader.
 *
 * A stage may end in the middle of a round, while some members already work on blocks behind its
 * end. These put their sums aside before they begin such a block; at the stage's end the leader
 * gets what was put aside, and the block behind it stays where it is. Because sums are exact, none
 * of this shows in the result. */
#include "worker/worker_impl.h"

#include <string.h>

int64_t sg_item_n_sums(const struct sg_worker *w) {
    return w->plan->sweeps[w->item.i_sweep].n_readings * w->plan->n_targets;
}

void sg_item_reset_sums(struct sg_worker *w) {
    for (int64_t i = 0; i < sg_item_n_sums(w); i++) {
        sg_sums_reset(w->sums[i], (int)w->item.exponents[i]);
    }
    if (sg_has_gates(w)) {
        sg_counts_reset(w->counts, (int)w->item.gate_exponent);
    }
    memset(w->item.done, 0, (size_t)w->n_words * sizeof *w->item.done);
}

/* What lies aside: the blocks' bits, then the limbs of all sums, then gates. */
static int64_t *aside(struct sg_worker *w) {
    return (int64_t *)(void *)w->packed;
}

void sg_item_put_aside(struct sg_worker *w) {
    int64_t *at = aside(w);

    memcpy(at, w->item.done, (size_t)w->n_words * sizeof *at);
    at += w->n_words;
    for (int64_t i = 0; i < sg_item_n_sums(w); i++) {
        const int64_t n = sg_sums_n_limbs(w->sums[i]);

        memcpy(at, sg_sums_limbs(w->sums[i]), (size_t)n * sizeof *at);
        at += n;
    }
    if (sg_has_gates(w)) {
        const int64_t n = sg_counts_n_words(w->counts);

        memcpy(at, sg_counts_words(w->counts), (size_t)n * sizeof *at);
        at += n;
    }
    SG_ASSERT((char *)at <= w->packed + sg_packed_bytes(w->plan));
    sg_item_reset_sums(w);
}

/* Adds a member's numbers to the leader's, and forgets them. */
static void give(const struct team *team, int64_t *values, int64_t n) {
    sg_comm_reduce_sum(team->comm, 0, values, n);
    if (team->rank != 0) {
        memset(values, 0, (size_t)n * sizeof *values);
    }
}

/* Blocks belong to one rank each, so adding the lists of bits joins them. */
void sg_item_collect(struct sg_worker *w, const struct team *team, int from_aside) {
    int64_t *at = aside(w);

    if (team->comm == NULL) {
        return;
    }
    SG_ASSERT(!from_aside || team->rank != 0);
    sg_phase_enter(w, SG_PHASE_REDUCE);
    give(team, &w->item.n_gradients, 1);
    give(team, from_aside ? at : (int64_t *)w->item.done, w->n_words);
    at += w->n_words;
    for (int64_t i = 0; i < sg_item_n_sums(w); i++) {
        const int64_t n = sg_sums_n_limbs(w->sums[i]);

        give(team, from_aside ? at : sg_sums_limbs(w->sums[i]), n);
        at += n;
    }
    if (sg_has_gates(w)) {
        give(team, from_aside ? at : sg_counts_words(w->counts), sg_counts_n_words(w->counts));
    }
}
