/* src/master/dispatch.c - orders for teams.
 *
 * The prediction is plain: an item takes a team of m members rounds(m) times the mean seconds of a
 * round of the items seen so far. A worker is expected to be free when the work it has been given
 * ends by that measure; work that is late is expected to take as long again as it is late, so that
 * nobody waits for it much longer than that. Before the first item has ended a round counts as one
 * second, and all work as just begun. */
#include "sgdist/dispatch.h"

#include "sgdist/memory.h"

#include <string.h>

struct running {
    int64_t item;
    int level;
    int first_worker;
    double begun;
};

struct sg_dispatch {
    int n_workers;
    int n_levels;
    int64_t *rounds; /* [n_workers]: of an item, by team size */
    int64_t *waiting;
    int64_t n_waiting;
    int64_t next_waiting;
    int stopped;
    int *n_given;         /* [n_workers] orders not yet ended */
    double *free_at;      /* [n_workers] predicted, as of the last look */
    int next_worker;      /* where the search for a free worker goes on */
    struct running *runs; /* [2 n_workers]: at most two orders a worker */
    int n_runs;
    double seconds; /* of the items that have ended, and their rounds */
    double n_rounds;
};

sg_status sg_dispatch_create(int n_workers, const int64_t *items, int64_t n_items,
                             const int64_t *rounds, struct sg_dispatch **out) {
    sg_status status = SG_OK;
    struct sg_dispatch *d = sg_calloc(1, sizeof *d);

    SG_ASSERT(n_workers >= 1);
    SG_CHECK(d != NULL, SG_E_NOMEM, "no memory for the list of items");
    d->n_workers = n_workers;
    d->n_levels = 1;
    while (1 << (d->n_levels - 1) < n_workers) {
        d->n_levels++;
    }
    d->waiting = sg_calloc((size_t)n_items, sizeof *d->waiting);
    d->rounds = sg_calloc((size_t)n_workers, sizeof *d->rounds);
    d->n_given = sg_calloc((size_t)n_workers, sizeof *d->n_given);
    d->free_at = sg_calloc((size_t)n_workers, sizeof *d->free_at);
    d->runs = sg_calloc(2 * (size_t)n_workers, sizeof *d->runs);
    SG_CHECK(d->waiting && d->rounds && d->n_given && d->free_at && d->runs, SG_E_NOMEM,
             "no memory for the list of items");
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
        sg_free(d->n_given);
        sg_free(d->free_at);
        sg_free(d->runs);
        sg_free(d);
    }
}

int64_t sg_dispatch_n_waiting(const struct sg_dispatch *d) {
    return d->stopped ? 0 : d->n_waiting - d->next_waiting;
}

int64_t sg_dispatch_n_running(const struct sg_dispatch *d) {
    return d->n_runs;
}

void sg_dispatch_stop(struct sg_dispatch *d) {
    d->stopped = 1;
}

static int team_first(int level, int team) {
    return team << level;
}

static int team_size(const struct sg_dispatch *d, int level, int team) {
    const int size = 1 << level;
    const int left = d->n_workers - team_first(level, team);

    return left < size ? left : size;
}

static int n_teams(const struct sg_dispatch *d, int level) {
    return (d->n_workers + (1 << level) - 1) >> level;
}

/* Of an item, by a team of `size`; in rounds while nothing is known. */
static double predicted_seconds(const struct sg_dispatch *d, int size) {
    const double of_a_round = d->n_rounds > 0 ? d->seconds / d->n_rounds : 1;

    return of_a_round * (double)d->rounds[size - 1];
}

static int run_size(const struct sg_dispatch *d, const struct running *r) {
    return team_size(d, r->level, r->first_worker >> r->level);
}

/* The end of work that began, or will begin, at `begun`. */
static double predicted_run_end(const struct sg_dispatch *d, double begun, int size, double now) {
    const double end = begun + predicted_seconds(d, size);

    if (d->n_rounds <= 0) {
        return now + predicted_seconds(d, size); /* no clock fits rounds yet: as if just begun */
    }
    return end >= now ? end : now + (now - end);
}

/* When each worker is expected to be free, not before now. Orders stand in `runs` as they were
 * given, so a worker's second one follows its first. */
static void predict_free(struct sg_dispatch *d, double now) {
    for (int i = 0; i < d->n_workers; i++) {
        d->free_at[i] = now;
    }
    for (int r = 0; r < d->n_runs; r++) {
        const struct running *run = &d->runs[r];
        const int size = run_size(d, run);
        const double free_at = d->free_at[run->first_worker];
        const double end = predicted_run_end(d, free_at > now ? free_at : run->begun, size, now);

        for (int i = 0; i < size; i++) {
            d->free_at[run->first_worker + i] = end;
        }
    }
}

/* When all members of a team are expected to be free. */
static double team_free_at(const struct sg_dispatch *d, int level, int team) {
    double at = 0;

    for (int i = 0; i < team_size(d, level, team); i++) {
        const double free_at = d->free_at[team_first(level, team) + i];

        at = free_at > at ? free_at : at;
    }
    return at;
}

static int team_is_free(const struct sg_dispatch *d, int level, int team) {
    for (int i = 0; i < team_size(d, level, team); i++) {
        if (d->n_given[team_first(level, team) + i] > 0) {
            return 0;
        }
    }
    return 1;
}

static void give(struct sg_dispatch *d, int level, int team, double now,
                 struct sg_dispatch_order *out) {
    *out = (struct sg_dispatch_order){.item = d->waiting[d->next_waiting++],
                                      .level = level,
                                      .first_worker = team_first(level, team),
                                      .n_workers = team_size(d, level, team)};
    for (int i = 0; i < out->n_workers; i++) {
        d->n_given[out->first_worker + i]++;
    }
    d->runs[d->n_runs++] = (struct running){
        .item = out->item, .level = level, .first_worker = out->first_worker, .begun = now};
}

/* Plenty: each worker has an item, and soon a second one waiting, so that it never waits for us. */
static int give_plenty(struct sg_dispatch *d, double now, struct sg_dispatch_order *out) {
    for (int depth = 0; depth < 2; depth++) {
        for (int i = 0; i < d->n_workers; i++) {
            const int worker = (d->next_worker + i) % d->n_workers;

            if (d->n_given[worker] == depth) {
                d->next_worker = (worker + 1) % d->n_workers;
                give(d, 0, worker, now, out);
                return 1;
            }
        }
    }
    return 0;
}

/* Worker-seconds that members of a team wait for the last one of them. */
static double team_idle(const struct sg_dispatch *d, int level, int team, double free_at) {
    double sum = 0;

    for (int i = 0; i < team_size(d, level, team); i++) {
        sum += free_at - d->free_at[team_first(level, team) + i];
    }
    return sum;
}

/* What workers have in hand, and the waiting items but one, in worker-seconds after 0. */
static double load_without_next(const struct sg_dispatch *d) {
    double sum = (double)(sg_dispatch_n_waiting(d) - 1) * predicted_seconds(d, 1);

    for (int i = 0; i < d->n_workers; i++) {
        sum += d->free_at[i];
    }
    return sum;
}

struct choice {
    int level;
    int team;
    double item_end; /* of the next item, by this team */
    double end;      /* of all work */
};

/* All work ends with the item itself, or, if that is later, with everything else spread evenly. The
 * first speaks for large teams, the second for those that waste no time with waiting and with
 * blocks that do not fit. */
static struct choice predict_choice(const struct sg_dispatch *d, int level, int team, double load) {
    const int size = team_size(d, level, team);
    const double seconds = predicted_seconds(d, size);
    const double free_at = team_free_at(d, level, team);
    const double idle = team_idle(d, level, team, free_at);
    const double even = (load + idle + seconds * size) / d->n_workers;
    const double item_end = free_at + seconds;

    return (struct choice){level, team, item_end, item_end > even ? item_end : even};
}

/* A larger team must be worth it; of teams of one level that are as good the earliest. */
static int is_better(const struct choice *a, const struct choice *b, double worth) {
    if (a->level > b->level) {
        return a->end < b->end - worth;
    }
    return a->end < b->end || (a->end <= b->end && a->item_end < b->item_end);
}

/* The tail: the next item is for the team by which all work ends first. If its members are still at
 * work, everybody waits for them. */
static int give_tail(struct sg_dispatch *d, double now, struct sg_dispatch_order *out) {
    const double worth = 0.001 * predicted_seconds(d, 1);
    struct choice best;
    double load;

    predict_free(d, now);
    load = load_without_next(d);
    best = predict_choice(d, 0, 0, load);
    for (int level = 0; level < d->n_levels; level++) {
        for (int team = 0; team < n_teams(d, level); team++) {
            const struct choice c = predict_choice(d, level, team, load);

            if (is_better(&c, &best, worth)) {
                best = c;
            }
        }
    }
    if (!team_is_free(d, best.level, best.team)) {
        return 0;
    }
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

void sg_dispatch_ended(struct sg_dispatch *d, int64_t item, double now) {
    int r = 0;
    int size;

    while (r < d->n_runs && d->runs[r].item != item) {
        r++;
    }
    SG_ASSERT(r < d->n_runs);
    size = run_size(d, &d->runs[r]);
    for (int i = 0; i < size; i++) {
        d->n_given[d->runs[r].first_worker + i]--;
    }
    for (int q = r + 1; q < d->n_runs; q++) { /* what waited behind it begins now */
        if (d->runs[q].first_worker == d->runs[r].first_worker) {
            d->runs[q].begun = now;
        }
    }
    d->seconds += now - d->runs[r].begun;
    d->n_rounds += (double)d->rounds[size - 1];
    memmove(&d->runs[r], &d->runs[r + 1], (size_t)(d->n_runs - r - 1) * sizeof d->runs[0]);
    d->n_runs--;
}
