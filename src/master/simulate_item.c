/* src/master/simulate_item.c - a leader and its helpers at an item, event by event.
 *
 * A leader alone is one event. When the first helper has come, the blocks that are left are dealt
 * as a leader deals them (deal.h). */
#include "master/simulate_impl.h"

#include "sgdist/memory.h"

#include <math.h>

enum {
    MESSAGES_OF_A_HELPER = 10, /* the item (4), the sweep (3), the end (3) */
    MESSAGES_OF_A_DEAL = 3     /* more is asked for, answered, and said to be done */
};

static double block_s(const struct simulation *s, int worker) {
    return s->run->block_s * s->speed[worker];
}

/* A step of the sums' way up the tree of members. */
static double step_s(const struct simulation *s) {
    return s->machine->reduce_s + s->machine->reduce_byte_s * s->run->sums_bytes;
}

/* Seconds that a worker has no time for its block. */
static void delay(struct simulation *s, int worker, double seconds) {
    s->behind[worker] += seconds;
    s->in_steps += seconds;
}

static void tell(struct simulation *s, int leader, double seconds) {
    s->works[leader].told += seconds;
    delay(s, leader, seconds);
}

void sg_simulate_free_work(struct work *w) {
    sg_deal_destroy(w->deal);
    sg_free(w->members);
    sg_free(w->joined);
    sg_free(w->waiting);
}

/* ---- the item's life ---- */

void sg_simulate_begin(struct simulation *s, int leader, int64_t item, double at) {
    const struct sg_simulated *r = s->run;
    struct work *w = &s->works[leader];
    double end;

    if (w->n_members > 0) {
        w->next_item = item;
        return;
    }
    w->item = item;
    w->next_item = -1;
    w->n_members = 1;
    w->began = at;
    w->opened = at + r->open_s * s->speed[leader];
    w->sent = w->opened;
    w->told = 0;
    s->behind[leader] = 0;
    s->in_opening += w->opened - at;
    end = w->opened + (double)r->n_blocks * block_s(s, leader);
    sg_simulate_push(s, (struct event){end, EVENT_ALONE, leader, 0, item});
}

static void end(struct simulation *s, int leader, double now) {
    struct work *w = &s->works[leader];
    const int64_t next = w->next_item;

    for (int m = 1; m < w->n_members; m++) {
        s->in_items += now - w->joined[m];
    }
    s->in_items += now - w->began;
    s->leader_share = fmax(s->leader_share, w->told / (now - w->began));
    s->largest_team = w->n_members > s->largest_team ? w->n_members : s->largest_team;
    s->n_messages += 2; /* the outcome and its record */
    sg_deal_destroy(w->deal);
    w->deal = NULL;
    w->n_members = 0;
    sg_simulate_push(
        s, (struct event){now + s->machine->message_s, EVENT_OUTCOME, leader, 0, w->item});
    if (next >= 0) {
        sg_simulate_begin(s, leader, next, now);
    }
}

/* ---- blocks ---- */

static void deal_to(struct simulation *s, int leader, int member, double now) {
    struct work *w = &s->works[leader];
    const int worker = w->members[member];
    int64_t k;
    const int64_t n = sg_deal_next(w->deal, member, member > 0 ? s->told[worker] : 0, &k);
    const double seconds = (double)n * block_s(s, worker);

    if (n == 0) {
        w->waiting[w->n_waiting++] = member;
        return;
    }
    if (member > 0) {
        s->n_messages += MESSAGES_OF_A_DEAL;
        tell(s, leader, s->machine->told_s);
    }
    s->in_blocks += seconds;
    sg_simulate_push(
        s, (struct event){now + s->behind[worker] + seconds, EVENT_BLOCK, leader, member, w->item});
    s->behind[worker] = 0;
}

static void deal_to_waiting(struct simulation *s, int leader, double now) {
    struct work *w = &s->works[leader];
    const int n = w->n_waiting;

    w->n_waiting = 0;
    for (int i = 0; i < n; i++) {
        deal_to(s, leader, w->waiting[i], now);
    }
}

/* The sums of a stage set out: each giver loses the time of a step, with its next block, and the
 * leader has them after as many steps as the tree is high. It takes stage after stage. */
static void call_gifts(struct simulation *s, int leader, double now) {
    struct work *w = &s->works[leader];
    const int n = sg_deal_take(w->deal, w->n_called++, 0, s->givers);
    int n_steps = 0;

    while (1 << n_steps < n + 1) {
        n_steps++;
    }
    for (int i = 0; i < n; i++) {
        delay(s, w->members[s->givers[i]], step_s(s));
    }
    s->n_messages += n * (1 + (int64_t)(s->run->sums_bytes / (8.0 * SG_PIECE_WORDS)) + 1);
    tell(s, leader, n * s->machine->order_s);
    w->arrival = fmax(w->arrival, now) + n_steps * step_s(s);
    sg_simulate_push(s, (struct event){w->arrival, EVENT_SUMS, leader, 0, w->item});
}

static void block_ended(struct simulation *s, int leader, int member, double now) {
    struct work *w = &s->works[leader];

    sg_deal_done(w->deal, member);
    s->told[w->members[member]] = block_s(s, w->members[member]);
    if (sg_deal_is_complete(w->deal, w->n_called)) {
        while (sg_deal_is_complete(w->deal, w->n_called)) {
            call_gifts(s, leader, now);
        }
        deal_to_waiting(s, leader, now);
    }
    deal_to(s, leader, member, now);
}

static void stage_ended(struct simulation *s, int leader, double now) {
    struct work *w = &s->works[leader];

    sg_deal_close(w->deal);
    if (++w->n_closed == s->run->n_stages) {
        end(s, leader, now);
    } else {
        deal_to_waiting(s, leader, now);
    }
}

/* ---- helpers ---- */

/* The leader sends one after the other what they need, not before it has it. */
static void helper_sent(struct simulation *s, const struct event *e) {
    struct work *w = &s->works[e->leader];
    const double seconds = s->machine->reduce_s + s->machine->reduce_byte_s * s->run->opening_bytes;

    w->sent = fmax(w->sent, e->time) + seconds;
    s->n_messages += MESSAGES_OF_A_HELPER;
    tell(s, e->leader, seconds);
    sg_simulate_push(s, (struct event){w->sent + 2 * s->machine->message_s, EVENT_JOINED, e->leader,
                                       e->who, e->item});
}

/* From now on the blocks are dealt: the leader has one in hand. 0: it has the last one. */
static int begin_dealing(struct simulation *s, int leader, double now) {
    const struct sg_simulated *r = s->run;
    struct work *w = &s->works[leader];
    const double seconds = block_s(s, leader);
    const int64_t n = (int64_t)((now - w->opened) / seconds);
    int64_t k;

    if (n + 1 >= r->n_blocks || sg_deal_create(8, r->n_stages, &w->deal) != SG_OK) {
        return 0;
    }
    for (w->n_closed = 0; r->stage_ends[w->n_closed] <= n; w->n_closed++) {
    }
    w->n_called = w->n_closed;
    w->n_waiting = 0;
    w->arrival = now;
    sg_deal_begin(w->deal, 1, s->todo + n, r->n_blocks - n, r->stage_ends, r->n_stages,
                  w->n_closed);
    (void)sg_deal_next(w->deal, 0, 0, &k);
    s->in_blocks += (double)(n + 1) * seconds;
    sg_simulate_push(
        s, (struct event){w->opened + (double)(n + 1) * seconds, EVENT_BLOCK, leader, 0, w->item});
    return 1;
}

static int has_room(struct simulation *s, struct work *w) {
    if (w->n_members >= w->n_places) {
        const int n = w->n_places > 0 ? 2 * w->n_places : 8;
        int *members = sg_realloc(w->members, (size_t)n, sizeof *members);
        double *joined = sg_realloc(w->joined, (size_t)n, sizeof *joined);
        int *waiting = sg_realloc(w->waiting, (size_t)n, sizeof *waiting);

        w->members = members != NULL ? members : w->members;
        w->joined = joined != NULL ? joined : w->joined;
        w->waiting = waiting != NULL ? waiting : w->waiting;
        s->is_out_of_memory |= !members || !joined || !waiting;
        w->n_places = s->is_out_of_memory ? w->n_places : n;
    }
    return !s->is_out_of_memory;
}

static void helper_joined(struct simulation *s, const struct event *e) {
    struct work *w = &s->works[e->leader];
    int member;

    if (!has_room(s, w) || (w->deal == NULL && !begin_dealing(s, e->leader, e->time))) {
        return;
    }
    w->members[0] = e->leader;
    member = w->n_members;
    if (sg_deal_join(w->deal) != SG_OK) {
        s->is_out_of_memory = 1;
        return;
    }
    w->members[member] = e->who;
    w->joined[member] = e->time;
    w->n_members++;
    s->behind[e->who] = 0;
    deal_to(s, e->leader, member, e->time);
}

/* ---- events ---- */

void sg_simulate_event(struct simulation *s, const struct event *e) {
    const struct work *w = &s->works[e->leader];

    if (w->n_members == 0 || w->item != e->item) {
        return; /* too late */
    }
    switch (e->kind) {
    case EVENT_ALONE:
        if (w->deal == NULL) {
            s->in_blocks += (double)s->run->n_blocks * block_s(s, e->leader);
            end(s, e->leader, e->time);
        }
        break;
    case EVENT_HELPER:
        helper_sent(s, e);
        break;
    case EVENT_JOINED:
        helper_joined(s, e);
        break;
    case EVENT_BLOCK:
        block_ended(s, e->leader, e->who, e->time);
        break;
    case EVENT_SUMS:
        stage_ended(s, e->leader, e->time);
        break;
    default:
        break;
    }
}
