/* src/worker/follow.c - a helper in a sweep: asks for blocks, runs them, gives its sums when the
 * leader wants them. */
#include "sgdist/deal.h"
#include "worker/team.h"

/* More is asked for when this share of a block is left of what is in hand, by the time of the last
 * one: late, since what is in hand cannot go to whoever is free first; but so many seconds before
 * at least, since the leader answers between two layers, or when it gets its core back. */
static const double ahead = 0.25;
static const double ahead_s = 0.05;

static void say(struct sg_worker *w, struct said s) {
    struct crew *c = &w->crew;

    s.member = c->member;
    s.block_ns = c->block_ns_mine;
    c->has_asked |= s.asks != 0;
    sg_comm_send(w->o.workers, c->leader, SG_TAG_SAID, &s, sizeof s);
}

/* ---- what the leader tells ---- */

static void take_blocks(struct crew *c, const struct told *t) {
    const int i = c->hand_n[0] > 0;

    SG_ASSERT(c->hand_n[i] == 0);
    c->hand_first[i] = t->first;
    c->hand_n[i] = t->n;
    c->has_asked = 0;
}

static void obey(struct crew *c, const struct told *t) {
    switch ((enum told_kind)t->kind) {
    case TOLD_BLOCKS:
        take_blocks(c, t);
        break;
    case TOLD_GIFT:
        SG_ASSERT(c->n_gifts_asked < SG_MAX_GIFTS);
        c->gifts[c->n_gifts_asked++] = t->gift;
        break;
    case TOLD_END:
        c->is_over = 1;
        break;
    case TOLD_SWEEP:
    case TOLD_LEAVE:
        SG_ASSERT(c->is_over); /* the one that goes on ends first */
        break;
    }
}

static void listen(struct sg_worker *w) {
    struct crew *c = &w->crew;
    int from = c->leader;
    int tag = SG_TAG_TOLD;

    while (!c->is_over && sg_comm_probe(w->o.workers, &from, &tag)) {
        struct told t;

        sg_comm_recv(w->o.workers, c->leader, SG_TAG_TOLD, &t, sizeof t);
        obey(c, &t);
    }
}

/* ---- gifts ---- */

/* Sums of the gift's stage lie aside, or are the running ones: these can be given between blocks
 * alone. A save has perhaps taken all there were. */
static int lay_ready(struct sg_worker *w, int64_t stage) {
    struct crew *c = &w->crew;

    if (w->aside.state == ASIDE_HELD) {
        SG_ASSERT(w->aside.stage == stage);
        return 1;
    }
    if (c->sums_stage != stage) {
        sg_aside_put_nothing(w, stage);
    } else if (c->is_in_block) {
        return 0;
    } else {
        sg_aside_put(w, stage);
        c->sums_stage = -1;
    }
    return 1;
}

/* One after the other, in the order in which they were asked for. */
static void give(struct sg_worker *w) {
    struct crew *c = &w->crew;

    sg_aside_go_on(w);
    while (c->n_gifts_asked > 0 && w->aside.state != ASIDE_GOING &&
           lay_ready(w, c->gifts[0].stage)) {
        sg_aside_give(w, &c->gifts[0]);
        c->n_gifts_asked--;
        for (int i = 0; i < c->n_gifts_asked; i++) {
            c->gifts[i] = c->gifts[i + 1];
        }
        sg_aside_go_on(w);
    }
}

/* ---- between two layers, and between two blocks ---- */

static int is_time_to_ask(const struct crew *c) {
    const double block_s = 1e-9 * (double)c->block_ns_mine;
    const double left = (double)c->hand_n[0] * block_s - (sg_now() - c->block_begun);

    return c->is_in_block && !c->has_asked && !c->is_stopped && c->hand_n[1] == 0 && block_s > 0 &&
           left < fmax(ahead * block_s, ahead_s);
}

void sg_follow_look(struct sg_worker *w) {
    struct crew *c = &w->crew;

    listen(w);
    give(w);
    if (!c->is_stopped && w->o.stop != NULL && *w->o.stop) {
        c->is_stopped = 1;
        say(w, (struct said){.is_told = 1});
    }
    if (is_time_to_ask(c)) {
        say(w, (struct said){.asks = 1});
    }
}

/* ---- blocks ---- */

/* The block in hand is done: it leaves it, and the leader hears when that was all of a deal. */
static void count_block(struct sg_worker *w) {
    struct crew *c = &w->crew;

    c->block_ns_mine = (int64_t)(1e9 * (sg_now() - c->block_begun)) + 1;
    c->hand_first[0]++;
    if (--c->hand_n[0] > 0) {
        return;
    }
    c->hand_first[0] = c->hand_first[1];
    c->hand_n[0] = c->hand_n[1];
    c->hand_n[1] = 0;
    say(w, (struct said){.is_done = 1, .asks = c->hand_n[0] == 0 && !c->has_asked});
}

/* The sums are those of one stage. 0: those of the last one cannot be put aside yet. */
static int make_room(struct sg_worker *w, int64_t stage) {
    struct crew *c = &w->crew;

    if (c->sums_stage >= 0 && c->sums_stage != stage) {
        if (w->aside.state != ASIDE_EMPTY || c->n_gifts_asked > 0) {
            return 0;
        }
        sg_aside_put(w, c->sums_stage);
    }
    c->sums_stage = stage;
    return 1;
}

/* 0: there is nothing to do now. */
static int work(struct sg_worker *w, const struct sg_deal *deal) {
    struct crew *c = &w->crew;
    sg_status status;

    if (c->is_over || c->is_stopped || c->hand_n[0] == 0 ||
        !make_room(w, sg_deal_stage(deal, c->hand_first[0]))) {
        return 0;
    }
    c->is_in_block = 1;
    c->block_begun = sg_now();
    status = sg_block_run(w, c->sweep, w->todo[c->hand_first[0]]);
    c->is_in_block = 0;
    if (status == SG_OK) {
        count_block(w);
    }
    return 1;
}

static int is_gone(const struct sg_worker *w) {
    return w->crew.is_over && w->crew.n_gifts_asked == 0 && w->aside.state != ASIDE_GOING;
}

static void begin(struct sg_worker *w, const struct sg_sweep *sweep, int64_t n_todo) {
    struct crew *c = &w->crew;

    sg_deal_begin(c->deal, 1, w->todo, n_todo, sweep->stage_ends, sweep->n_stages, 0);
    c->role = CREW_FOLLOWS;
    c->sweep = sweep;
    c->hand_n[0] = 0;
    c->hand_n[1] = 0;
    c->has_asked = 0;
    c->is_stopped = 0;
    c->is_in_block = 0;
    c->sums_stage = -1;
    c->n_gifts_asked = 0;
    c->is_over = 0;
    w->aside.state = ASIDE_EMPTY;
}

void sg_follow(struct sg_worker *w, const struct sg_sweep *sweep, int64_t n_todo) {
    int idle = 0;

    begin(w, sweep, n_todo);
    say(w, (struct said){.asks = 1});
    while (!is_gone(w)) {
        if (work(w, w->crew.deal)) {
            idle = 0;
        } else {
            sg_phase_enter(w, SG_PHASE_REDUCE);
            sg_comm_idle(&idle);
        }
        sg_follow_look(w);
    }
    say(w, (struct said){.is_gone = 1});
    w->crew.role = CREW_RESTS;
}
