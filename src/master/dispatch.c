/* src/master/dispatch.c - orders for teams.
 *
 * The prediction is plain: an item takes a team of m members rounds(m) times the mean seconds of a
 * round of the items seen so far. A worker is expected to be free when the work it has been given
 * ends by that measure; work that is late is expected to take as long again as it is late, so that
 * nobody waits for it much longer than that. Before the first item has ended a round counts as one
 * second. Nothing here looks at all workers for one order: a hundred thousand of them are served in
 * microseconds an order (teams.c). */
#include "sgdist/dispatch.h"

#include "master/teams.h"
#include "sgdist/memory.h"

#include <math.h>
#include <string.h>

/* An order that has not ended, in the hands of its team's leader. */
struct running {
    int64_t item;
    int level;
    double begun; /* given, or the end of the one before it */
    double due;   /* as predicted at the time */
};

/* What a worker has: as a leader at most two orders, the second one waits for the first; as another
 * member of a team n_given is 1, and the order stands with the leader. */
struct hands {
    int n_given;
    int n_runs;
    struct running runs[2];
    int is_listed; /* among those with one order */
};

struct sg_dispatch {
    int n_workers;
    int64_t *rounds; /* [n_workers]: of an item, by team size */
    int64_t *waiting;
    int64_t n_waiting;
    int64_t next_waiting;
    int stopped;
    struct hands *hands; /* [n_workers] */
    struct sg_teams *teams;
    int *with_one;    /* [n_workers] a ring of workers that had one order of their own */
    int64_t n_listed; /* ever put into it, and ever taken */
    int64_t n_taken;
    int64_t n_running;
    double seconds; /* of the items that have ended, and their rounds */
    double n_rounds;
    double of_a_round; /* seconds, by which the ends were predicted */
};

sg_status sg_dispatch_create(int n_workers, const int64_t *items, int64_t n_items,
                             const int64_t *rounds, struct sg_dispatch **out) {
    sg_status status = SG_OK;
    struct sg_dispatch *d = sg_calloc(1, sizeof *d);

    SG_ASSERT(n_workers >= 1);
    SG_CHECK(d != NULL, SG_E_NOMEM, "no memory for the list of items");
    d->n_workers = n_workers;
    d->of_a_round = 1;
    d->waiting = sg_calloc((size_t)n_items, sizeof *d->waiting);
    d->rounds = sg_calloc((size_t)n_workers, sizeof *d->rounds);
    d->hands = sg_calloc((size_t)n_workers, sizeof *d->hands);
    d->with_one = sg_calloc((size_t)n_workers, sizeof *d->with_one);
    SG_CHECK(d->waiting && d->rounds && d->hands && d->with_one, SG_E_NOMEM,
             "no memory for the list of items");
    SG_TRY(sg_teams_create(n_workers, &d->teams));
    if (n_items > 0) {
        memcpy(d->waiting, items, (size_t)n_items * sizeof *items);
    }
    memcpy(d->rounds, rounds, (size_t)n_workers * sizeof *rounds);
    d->n_waiting = n_items;
    *out = d;
    d = NULL;
done:
    sg_dispatch_destroy(d);
    return status;
}

void sg_dispatch_destroy(struct sg_dispatch *d) {
    if (d != NULL) {
        sg_free(d->waiting);
        sg_free(d->rounds);
        sg_free(d->hands);
        sg_free(d->with_one);
        sg_teams_destroy(d->teams);
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

/* Of an item, by a team of `size`. */
static double predicted_seconds(const struct sg_dispatch *d, int size) {
    return d->of_a_round * (double)d->rounds[size - 1];
}

static int run_size(const struct sg_dispatch *d, int leader, const struct running *r) {
    return sg_teams_size(d->teams, r->level, leader >> r->level);
}

/* ---- when workers are free ---- */

/* Tells the tree what is expected of a leader's orders; `in_hand` is the end of the first. */
static void expect(struct sg_dispatch *d, int leader, double in_hand) {
    const struct hands *h = &d->hands[leader];
    const int size = run_size(d, leader, &h->runs[0]);
    const double behind = h->n_runs > 1 ? predicted_seconds(d, 1) : 0;

    sg_teams_set_busy(d->teams, leader, size, in_hand, in_hand + behind);
}

static void predict(struct sg_dispatch *d, int leader) {
    struct running *r = &d->hands[leader].runs[0];

    r->due = r->begun + predicted_seconds(d, run_size(d, leader, r));
    expect(d, leader, r->due);
}

/* The measure has changed: all ends are predicted anew. */
static void predict_all(struct sg_dispatch *d) {
    for (int leader = 0; leader < d->n_workers; leader++) {
        if (d->hands[leader].n_runs > 0) {
            predict(d, leader);
        }
    }
}

/* The leader who has the order that keeps a worker busy. */
static int leader_of(const struct sg_dispatch *d, int worker) {
    int level = 0;

    while (d->hands[worker].n_runs == 0 || d->hands[worker].runs[0].level < level) {
        level++;
        worker = worker >> level << level;
        SG_ASSERT(level < sg_teams_n_levels(d->teams));
    }
    return worker;
}

/* Work that is late takes as long again. It is looked at again only when that has passed, so each
 * order costs the logarithm of its lateness. */
static void put_off_late(struct sg_dispatch *d, double now) {
    int worker;

    while ((worker = sg_teams_find_late(d->teams, now)) >= 0) {
        const int leader = leader_of(d, worker);

        expect(d, leader, now + (now - d->hands[leader].runs[0].due));
    }
}

/* ---- orders ---- */

static void list_with_one(struct sg_dispatch *d, int worker) {
    struct hands *h = &d->hands[worker];

    if (h->n_given == 1 && h->n_runs == 1 && h->runs[0].level == 0 && !h->is_listed) {
        h->is_listed = 1;
        d->with_one[d->n_listed++ % d->n_workers] = worker;
    }
}

static void give(struct sg_dispatch *d, int level, int team, double now,
                 struct sg_dispatch_order *out) {
    const int leader = team << level;
    struct hands *h = &d->hands[leader];

    *out = (struct sg_dispatch_order){.item = d->waiting[d->next_waiting++],
                                      .level = level,
                                      .first_worker = leader,
                                      .n_workers = sg_teams_size(d->teams, level, team)};
    for (int i = 0; i < out->n_workers; i++) {
        d->hands[leader + i].n_given++;
    }
    h->runs[h->n_runs++] = (struct running){.item = out->item, .level = level, .begun = now};
    d->n_running++;
    if (h->n_runs == 1) {
        predict(d, leader);
    } else {
        expect(d, leader, h->runs[0].due);
    }
    list_with_one(d, leader);
}

/* The worker that has had a single order the longest, or -1. */
static int take_with_one(struct sg_dispatch *d) {
    while (d->n_taken < d->n_listed) {
        const int worker = d->with_one[d->n_taken++ % d->n_workers];
        struct hands *h = &d->hands[worker];

        h->is_listed = 0;
        if (h->n_given == 1 && h->n_runs == 1 && h->runs[0].level == 0) {
            return worker;
        }
    }
    return -1;
}

/* Plenty: each worker has an item, and soon a second one waiting, so that it never waits for us. */
static int give_plenty(struct sg_dispatch *d, double now, struct sg_dispatch_order *out) {
    int worker = sg_teams_first_free(d->teams, 0);

    if (!sg_teams_look(d->teams, 0, worker, now).is_free) {
        worker = take_with_one(d);
    }
    if (worker < 0) {
        return 0;
    }
    give(d, 0, worker, now, out);
    return 1;
}

struct choice {
    int level;
    int team;
    int is_free;
    double item_end; /* of the next item, by this team */
    double end;      /* of all work */
};

/* All work ends with the item itself, or, if that is later, with everything else spread evenly. The
 * first speaks for large teams, the second for those that waste no time with waiting and with
 * blocks that do not fit. `load`: what workers have in hand, and the waiting items but one, in
 * worker-seconds after 0. */
static struct choice predict_choice(const struct sg_dispatch *d, int level, int team, double load,
                                    double now) {
    const int size = sg_teams_size(d->teams, level, team);
    const struct sg_team_look look = sg_teams_look(d->teams, level, team, now);
    const double seconds = predicted_seconds(d, size);
    const double idle = size * look.free_at - look.sum; /* members wait for the last one of them */
    const double even = (load + idle + seconds * size) / d->n_workers;
    const double item_end = look.free_at + seconds;

    return (struct choice){level, team, look.is_free, item_end, item_end > even ? item_end : even};
}

/* A larger team must be worth it; of teams of one level that are as good the earliest. */
static int is_better(const struct choice *a, const struct choice *b, double now) {
    const double worth = 0.001;

    if (a->level > b->level) {
        return a->end - now < (1 - worth) * (b->end - now);
    }
    return a->end < b->end || (a->end <= b->end && a->item_end < b->item_end);
}

/* When all work ends if all waiting items go to teams of this size: with this item, or with
 * everything spread evenly, blocks that do not fit included. Items never end as predicted: teams
 * that come together at the end of the run wait for each other for some share of the time that an
 * item takes, which speaks for larger teams than need be, long before the end. */
static double end_by_size(const struct sg_dispatch *d, int size, double now) {
    const double uneven = 0.01; /* tried in the simulation: 0.005 to 0.02 are alike */
    const int top = sg_teams_n_levels(d->teams) - 1;
    const double seconds = predicted_seconds(d, size);
    const double waiting = (double)sg_dispatch_n_waiting(d) * seconds * size;
    const double even = (sg_teams_look(d->teams, top, 0, now).sum + waiting) / d->n_workers;

    return fmax(now + seconds, even + uneven * seconds);
}

/* Another team that is free as well, if work ends earlier with teams of its size. */
static struct choice resize(const struct sg_dispatch *d, struct choice best, double now) {
    double least = end_by_size(d, sg_teams_size(d->teams, best.level, best.team), now);

    for (int level = 0; level < sg_teams_n_levels(d->teams); level++) {
        const int team = sg_teams_first_free(d->teams, level);
        const double end = end_by_size(d, sg_teams_size(d->teams, level, 0), now);

        if (team >= 0 && end < least && sg_teams_look(d->teams, level, team, now).is_free) {
            least = end;
            best.level = level;
            best.team = team;
        }
    }
    return best;
}

/* The tail: the next item is for the team by which all work ends first. If its members are still at
 * work, everybody waits for them. Of a level's full teams only the one that is free first can be
 * it. */
static int give_tail(struct sg_dispatch *d, double now, struct sg_dispatch_order *out) {
    const int top = sg_teams_n_levels(d->teams) - 1;
    struct choice best;
    double load;

    put_off_late(d, now);
    load = sg_teams_look(d->teams, top, 0, now).sum +
           (double)(sg_dispatch_n_waiting(d) - 1) * predicted_seconds(d, 1);
    best = predict_choice(d, 0, sg_teams_first_free(d->teams, 0), load, now);
    for (int level = 0; level <= top; level++) {
        const int candidates[] = {sg_teams_first_free(d->teams, level),
                                  sg_teams_cut_off(d->teams, level)};

        for (int i = 0; i < 2; i++) {
            if (candidates[i] >= 0) {
                const struct choice c = predict_choice(d, level, candidates[i], load, now);

                best = is_better(&c, &best, now) ? c : best;
            }
        }
    }
    if (!best.is_free) {
        return 0;
    }
    best = resize(d, best, now);
    give(d, best.level, best.team, now, out);
    return 1;
}

int sg_dispatch_next(struct sg_dispatch *d, double now, struct sg_dispatch_order *out) {
    const int64_t n = sg_dispatch_n_waiting(d);

    if (n == 0) {
        return 0;
    }
    return n > 2 * (int64_t)d->n_workers ? give_plenty(d, now, out) : give_tail(d, now, out);
}

/* The mean of all rounds so far. Ends that were predicted by nearly the same stand: to predict all
 * anew for each item would look at all workers for each item. */
static void measure(struct sg_dispatch *d, double seconds, double n_rounds) {
    const double enough = 0.02;

    d->seconds += seconds;
    d->n_rounds += n_rounds;
    if (fabs(d->seconds / d->n_rounds - d->of_a_round) > enough * d->of_a_round) {
        d->of_a_round = d->seconds / d->n_rounds;
        predict_all(d);
    }
}

void sg_dispatch_ended(struct sg_dispatch *d, int first_worker, int64_t item, double now) {
    struct hands *h = &d->hands[first_worker];
    const struct running run = h->runs[0];
    int size;

    SG_ASSERT(h->n_runs > 0 && run.item == item);
    size = run_size(d, first_worker, &run);
    for (int i = 0; i < size; i++) {
        d->hands[first_worker + i].n_given--;
    }
    d->n_running--;
    h->runs[0] = h->runs[1];
    h->n_runs--;
    if (h->n_runs > 0) { /* what waited behind it begins now */
        h->runs[0].begun = now;
        predict(d, first_worker);
        list_with_one(d, first_worker);
    } else {
        sg_teams_set_idle(d->teams, first_worker, size);
    }
    measure(d, now - run.begun, (double)d->rounds[size - 1]);
}
