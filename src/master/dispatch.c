/* src/master/dispatch.c - orders for leaders and helpers.
 *
 * The prediction is plain: a block takes a worker the mean seconds of a block of the items seen so
 * far, waiting for others included, and the blocks of an item are done by all who are at it. Work
 * that is late is expected to take as long again as it is late. Before the first item has ended a
 * block counts as one second. Nothing here looks at all workers for one order: a hundred thousand
 * of them are served in microseconds an order (ranking.c). */
#include "sgdist/dispatch.h"

#include "master/ranking.h"
#include "sgdist/memory.h"

#include <math.h>
#include <string.h>

/* The item that a leader works on. */
struct running {
    int64_t item;
    int n_members; /* the leader and its helpers, */
    double since;  /* so many since then; */
    double spent;  /* seconds of all of them until then */
    double due;    /* as predicted when it was not late */
};

struct hands {
    struct running now; /* of a leader */
    int64_t next_item;  /* waits behind it */
    int n_orders;       /* of its own: 0, 1 or 2 */
    int first_helper;   /* -1: none */
    int next_helper;    /* of the same leader; -1: none */
    int is_listed;      /* among those with one order */
};

struct sg_dispatch {
    int n_workers;
    double n_blocks; /* of an item */
    int64_t *waiting;
    int64_t n_waiting;
    int64_t next_waiting;
    int stopped;
    struct hands *hands;     /* [n_workers] */
    struct sg_ranking *ends; /* of leaders: when the item in hand is expected to end */
    uint64_t *idle;          /* a bit for each worker */
    int n_idle;
    int place;        /* where the next leader is looked for */
    int *with_one;    /* [n_workers] a ring of leaders that had one order */
    int64_t n_listed; /* ever put into it, and ever taken */
    int64_t n_taken;
    int64_t n_running;
    double seconds; /* of the items that have ended, and their blocks */
    double blocks;
    double of_a_block; /* seconds, by which the ends were predicted */
};

sg_status sg_dispatch_create(int n_workers, const int64_t *items, int64_t n_items, int64_t n_blocks,
                             struct sg_dispatch **out) {
    sg_status status = SG_OK;
    struct sg_dispatch *d = sg_calloc(1, sizeof *d);
    const size_t n = (size_t)n_workers;

    SG_ASSERT(n_workers >= 1);
    SG_CHECK(d != NULL, SG_E_NOMEM, "no memory for the list of items");
    d->n_workers = n_workers;
    d->n_idle = n_workers;
    d->n_blocks = (double)n_blocks;
    d->of_a_block = 1;
    d->waiting = sg_calloc((size_t)n_items, sizeof *d->waiting);
    d->hands = sg_calloc(n, sizeof *d->hands);
    d->idle = sg_calloc(n / 64 + 1, sizeof *d->idle);
    d->with_one = sg_calloc(n, sizeof *d->with_one);
    SG_CHECK(d->waiting && d->hands && d->idle && d->with_one, SG_E_NOMEM,
             "no memory for the list of items");
    SG_TRY(sg_ranking_create(n_workers, &d->ends));
    if (n_items > 0) {
        memcpy(d->waiting, items, (size_t)n_items * sizeof *items);
    }
    d->n_waiting = n_items;
    for (int i = 0; i < n_workers; i++) {
        d->hands[i] = (struct hands){.first_helper = -1, .next_helper = -1};
        d->idle[i / 64] |= UINT64_C(1) << (i % 64);
    }
    *out = d;
    d = NULL;
done:
    sg_dispatch_destroy(d);
    return status;
}

void sg_dispatch_destroy(struct sg_dispatch *d) {
    if (d != NULL) {
        sg_free(d->waiting);
        sg_free(d->hands);
        sg_free(d->idle);
        sg_free(d->with_one);
        sg_ranking_destroy(d->ends);
        sg_free(d);
    }
}

int64_t sg_dispatch_n_waiting(const struct sg_dispatch *d) {
    return d->stopped ? 0 : d->n_waiting - d->next_waiting;
}

int64_t sg_dispatch_n_running(const struct sg_dispatch *d) {
    return d->n_running;
}

void sg_dispatch_stop(struct sg_dispatch *d) {
    d->stopped = 1;
}

/* ---- who is idle ---- */

static void set_idle(struct sg_dispatch *d, int worker, int is_idle) {
    const uint64_t bit = UINT64_C(1) << (worker % 64);

    SG_ASSERT(((d->idle[worker / 64] & bit) != 0) != is_idle);
    d->idle[worker / 64] ^= bit;
    d->n_idle += is_idle ? 1 : -1;
}

/* The next one that is idle, from here upwards and then from 0; there is one. Neighbours in number
 * are mostly neighbours on the machine. */
static int next_idle(const struct sg_dispatch *d, int from) {
    const int n_words = d->n_workers / 64 + 1;
    int i = from / 64;
    uint64_t word = d->idle[i] & ~UINT64_C(0) << (from % 64);

    while (word == 0) {
        i = (i + 1) % n_words;
        word = d->idle[i];
    }
    return 64 * i + __builtin_ctzll(word);
}

/* ---- when items end ---- */

/* Of items of which each member has a block at most nothing is expected: nobody can help there. */
static void expect(struct sg_dispatch *d, int leader, double end) {
    if (d->hands[leader].now.n_members < d->n_blocks) {
        sg_ranking_set(d->ends, leader, end);
    } else {
        sg_ranking_remove(d->ends, leader);
    }
}

/* By the measure as it is now. */
static void predict(struct sg_dispatch *d, int leader) {
    struct running *r = &d->hands[leader].now;
    const double left = d->n_blocks * d->of_a_block - r->spent;

    r->due = r->since + fmax(left, 0) / r->n_members;
    expect(d, leader, r->due);
}

static void predict_all(struct sg_dispatch *d) {
    for (int leader = 0; leader < d->n_workers; leader++) {
        if (d->hands[leader].n_orders > 0) {
            predict(d, leader);
        }
    }
}

/* Work that is late takes as long again. It is looked at again only when that has passed, so each
 * order costs the logarithm of its lateness. */
static void put_off_late(struct sg_dispatch *d, double now) {
    int leader;

    while ((leader = sg_ranking_first(d->ends)) >= 0 && sg_ranking_key(d->ends, leader) < now) {
        sg_ranking_set(d->ends, leader, now + (now - d->hands[leader].now.due));
    }
}

/* ---- orders ---- */

static void list_with_one(struct sg_dispatch *d, int leader) {
    struct hands *h = &d->hands[leader];

    if (h->n_orders == 1 && !h->is_listed) {
        h->is_listed = 1;
        d->with_one[d->n_listed++ % d->n_workers] = leader;
    }
}

/* The leader that has had a single order the longest, or -1. */
static int take_with_one(struct sg_dispatch *d) {
    while (d->n_taken < d->n_listed) {
        const int leader = d->with_one[d->n_taken++ % d->n_workers];

        d->hands[leader].is_listed = 0;
        if (d->hands[leader].n_orders == 1) {
            return leader;
        }
    }
    return -1;
}

static void begin(struct sg_dispatch *d, int leader, int64_t item, double now) {
    d->hands[leader].now = (struct running){.item = item, .n_members = 1, .since = now};
    predict(d, leader);
    list_with_one(d, leader);
}

static int give(struct sg_dispatch *d, int leader, double now, struct sg_dispatch_order *out) {
    struct hands *h = &d->hands[leader];

    *out = (struct sg_dispatch_order){
        .item = d->waiting[d->next_waiting++], .leader = leader, .helper = -1};
    d->n_running++;
    if (h->n_orders++ == 0) {
        set_idle(d, leader, 0);
        begin(d, leader, out->item, now);
    } else {
        h->next_item = out->item;
    }
    return 1;
}

/* Leaders of few items are far from each other, so that each has its helpers beside it. */
static int give_to_idle(struct sg_dispatch *d, double now, struct sg_dispatch_order *out) {
    const int leader = next_idle(d, d->place);
    const int64_t distance = (d->n_workers - leader) / sg_dispatch_n_waiting(d);

    d->place = (leader + (distance > 1 ? (int)distance : 1)) % d->n_workers;
    return give(d, leader, now, out);
}

/* Each worker has an item, and soon a second one waiting, so that it never waits for us. */
static int give_ahead(struct sg_dispatch *d, double now, struct sg_dispatch_order *out) {
    const int leader = take_with_one(d);

    return leader >= 0 && give(d, leader, now, out);
}

/* What is late stays late, and gets more and more helpers. */
static void add_helper(struct sg_dispatch *d, int leader, int helper, double left, double now) {
    struct hands *h = &d->hands[leader];
    struct running *r = &h->now;
    const double end = now + left * r->n_members / (r->n_members + 1);

    set_idle(d, helper, 0);
    d->hands[helper].next_helper = h->first_helper;
    h->first_helper = helper;
    r->spent += (now - r->since) * r->n_members;
    r->since = now;
    r->n_members++;
    r->due = r->due < now ? r->due : end;
    expect(d, leader, end);
}

/* Whoever is free joins the item that ends last, if there is still something to do at it: each
 * member has half of a block in hand on the average. */
static int give_help(struct sg_dispatch *d, double now, struct sg_dispatch_order *out) {
    const double worth = 0.5;
    int leader;
    double left;

    put_off_late(d, now);
    leader = sg_ranking_last(d->ends);
    left = leader >= 0 ? sg_ranking_key(d->ends, leader) - now : 0;
    if (left <= worth * d->of_a_block) {
        return 0;
    }
    *out = (struct sg_dispatch_order){
        .item = d->hands[leader].now.item, .leader = leader, .helper = next_idle(d, leader)};
    add_helper(d, leader, out->helper, left, now);
    return 1;
}

int sg_dispatch_next(struct sg_dispatch *d, double now, struct sg_dispatch_order *out) {
    const int64_t n = sg_dispatch_n_waiting(d);

    if (d->n_idle > 0) {
        return n > 0 ? give_to_idle(d, now, out) : !d->stopped && give_help(d, now, out);
    }
    return n > 2 * (int64_t)d->n_workers && give_ahead(d, now, out);
}

/* The mean of all blocks so far. Ends that were predicted by nearly the same stand: to predict all
 * anew for each item would look at all workers for each item. */
static void measure(struct sg_dispatch *d, double seconds) {
    const double enough = 0.02;

    d->seconds += seconds;
    d->blocks += fmax(d->n_blocks, 1);
    if (fabs(d->seconds / d->blocks - d->of_a_block) > enough * d->of_a_block) {
        d->of_a_block = d->seconds / d->blocks;
        predict_all(d);
    }
}

void sg_dispatch_ended(struct sg_dispatch *d, int leader, int64_t item, double now) {
    struct hands *h = &d->hands[leader];
    const struct running r = h->now;

    SG_ASSERT(h->n_orders > 0 && r.item == item);
    for (int helper = h->first_helper; helper >= 0; helper = h->first_helper) {
        h->first_helper = d->hands[helper].next_helper;
        set_idle(d, helper, 1);
    }
    d->n_running--;
    if (--h->n_orders > 0) {
        begin(d, leader, h->next_item, now);
    } else {
        sg_ranking_remove(d->ends, leader);
        set_idle(d, leader, 1);
    }
    measure(d, r.spent + (now - r.since) * r.n_members);
}
