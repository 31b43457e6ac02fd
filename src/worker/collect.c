/* src/worker/collect.c - the sums and block lists of a team's members move to its leader.
 *
 * A member whose next block lies behind the end of its sums' stage puts these aside first. What
 * lies aside is a gift: it goes up a tree whose shape the leader has told, without anybody waiting
 * for it: who has children adds theirs to its own when they are there, between two layers of the
 * network if need be, and sends all of it on to its parent. Because sums are exact, none of this
 * shows in the result. */
#include "sgdist/deal.h"
#include "worker/team.h"

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

/* ---- all that a gift holds, as one array ---- */

typedef void visitor(int64_t *values, int64_t n, int64_t *at);

/* Gradients, times, blocks, limbs and gates, each with its place in the array; returns the number
 * of all. */
static int64_t visit(struct sg_worker *w, int64_t *at, visitor *look) {
    const int64_t n_spent = SG_SPENT_READINGS + w->plan->sweeps[w->item.i_sweep].n_readings;
    int64_t n = 1 + n_spent + w->n_words;

    look(&w->item.n_gradients, 1, at);
    look(w->item.spent_ns, n_spent, at + 1);
    look((int64_t *)w->item.done, w->n_words, at + 1 + n_spent);
    for (int64_t i = 0; i < sg_item_n_sums(w); i++) {
        look(sg_sums_limbs(w->sums[i]), sg_sums_n_limbs(w->sums[i]), at + n);
        n += sg_sums_n_limbs(w->sums[i]);
    }
    if (sg_has_gates(w)) {
        look(sg_counts_words(w->counts), sg_counts_n_words(w->counts), at + n);
        n += sg_counts_n_words(w->counts);
    }
    SG_ASSERT(8 * n <= sg_packed_bytes(w->plan));
    return n;
}

static void copy_out(int64_t *values, int64_t n, int64_t *at) {
    memcpy(at, values, (size_t)n * sizeof *at);
}

static void add_in(int64_t *values, int64_t n, int64_t *at) {
    for (int64_t i = 0; i < n; i++) {
        values[i] += at[i];
    }
}

static void count_only(int64_t *values, int64_t n, int64_t *at) {
    (void)values;
    (void)n;
    (void)at;
}

static int64_t *words_of(const struct sg_worker *w) {
    return (int64_t *)(void *)w->packed;
}

void sg_aside_put(struct sg_worker *w, int64_t stage) {
    struct aside *a = &w->aside;

    SG_ASSERT(a->state == ASIDE_EMPTY);
    a->n_words = visit(w, words_of(w), copy_out);
    a->stage = stage;
    a->state = ASIDE_HELD;
    w->item.n_gradients = 0;
    memset(w->item.spent_ns, 0,
           (size_t)(SG_SPENT_READINGS + w->plan->sweeps[w->item.i_sweep].n_readings) *
               sizeof *w->item.spent_ns);
    sg_item_reset_sums(w);
}

void sg_aside_put_nothing(struct sg_worker *w, int64_t stage) {
    struct aside *a = &w->aside;

    SG_ASSERT(a->state == ASIDE_EMPTY);
    a->n_words = visit(w, words_of(w), count_only);
    memset(words_of(w), 0, (size_t)a->n_words * sizeof(int64_t));
    a->stage = stage;
    a->state = ASIDE_HELD;
}

/* ---- on the way, in pieces ---- */

static int64_t piece_at(int64_t at, int64_t n_words) {
    return n_words - at < SG_PIECE_WORDS ? n_words - at : SG_PIECE_WORDS;
}

int64_t sg_aside_n_pieces(const struct sg_plan *plan) {
    return sg_packed_bytes(plan) / (8 * SG_PIECE_WORDS) + 1;
}

static void add_childs(struct sg_worker *w, int from) {
    struct aside *a = &w->aside;

    for (int64_t at = 0; at < a->n_words; at += SG_PIECE_WORDS) {
        const int64_t n = piece_at(at, a->n_words);

        sg_comm_recv(w->o.workers, from, (int)a->gift.tag, a->piece, (size_t)n * sizeof *a->piece);
        add_in(words_of(w) + at, n, a->piece);
    }
}

static void send_on(struct sg_worker *w) {
    struct aside *a = &w->aside;

    for (int64_t at = 0; at < a->n_words; at += SG_PIECE_WORDS) {
        const size_t n = (size_t)piece_at(at, a->n_words) * sizeof(int64_t);
        const int to = (int)a->gift.parent;
        const int tag = (int)a->gift.tag;

        if (sg_comm_send_begin(w->o.workers, to, tag, words_of(w) + at, n,
                               &a->sending[a->n_sending]) == SG_OK) {
            a->n_sending++;
        } else { /* without memory for it one waits */
            sg_comm_send(w->o.workers, to, tag, words_of(w) + at, n);
        }
    }
}

void sg_aside_give(struct sg_worker *w, const struct gift *gift) {
    SG_ASSERT(w->aside.state == ASIDE_HELD && w->aside.stage == gift->stage);
    w->aside.gift = *gift;
    w->aside.n_sending = -1; /* not yet */
    w->aside.state = ASIDE_GOING;
}

void sg_aside_go_on(struct sg_worker *w) {
    struct aside *a = &w->aside;
    int from = -1;
    int tag = (int)a->gift.tag;

    if (a->state != ASIDE_GOING) {
        return;
    }
    while (a->gift.n_children > 0 && sg_comm_probe(w->o.workers, &from, &tag)) {
        add_childs(w, from);
        a->gift.n_children--;
        from = -1;
    }
    if (a->gift.n_children > 0) {
        return;
    }
    if (a->n_sending < 0) {
        a->n_sending = 0;
        send_on(w);
    }
    while (a->n_sending > 0 && sg_comm_is_sent(a->sending[a->n_sending - 1])) {
        sg_comm_sent(a->sending[--a->n_sending]);
    }
    if (a->n_sending == 0) {
        a->state = ASIDE_EMPTY;
    }
}

int sg_gift_take(struct sg_worker *w, int tag) {
    int from = -1;
    int64_t n_words;

    if (!sg_comm_probe(w->o.workers, &from, &tag)) {
        return 0;
    }
    n_words = visit(w, words_of(w), count_only);
    for (int64_t at = 0; at < n_words; at += SG_PIECE_WORDS) {
        sg_comm_recv(w->o.workers, from, tag, words_of(w) + at,
                     (size_t)piece_at(at, n_words) * sizeof(int64_t));
    }
    (void)visit(w, words_of(w), add_in); /* blocks are one rank's each: adding joins the lists */
    return 1;
}
