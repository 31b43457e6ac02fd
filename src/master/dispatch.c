/* src/master/dispatch.c - orders for teams.
 *
 * The prediction is plain: an item of a team of m members takes T/m, T the mean worker-seconds of
 * the items seen so far. A worker is expected to be free when the work it has been given ends by
 * that measure. Before the first item has ended nothing is known, and the level is the one that
 * splits the workers evenly over the waiting items. */
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
    int64_t max_useful;
    int64_t *waiting;
    int64_t n_waiting;
    int64_t next_waiting;
    int stopped;
    int *n_given;         /* [n_workers] orders not yet ended */
    double *free_at;      /* [n_workers] predicted; 0: free since the start */
    int next_worker;      /* where the search for a free worker goes on */
    struct running *runs; /* [2 n_workers]: at most two orders a worker */
    int n_runs;
    double worker_seconds; /* of ended items */
    int64_t n_ended;
};

sg_status sg_dispatch_create(int n_workers, const int64_t *items, int64_t n_items,
                             int64_t max_useful, struct sg_dispatch **out) {
    sg_status status = SG_OK;
    struct sg_dispatch *d = sg_calloc(1, sizeof *d);

    SG_ASSERT(n_workers >= 1 && max_useful >= 1);
    SG_CHECK(d != NULL, SG_E_NOMEM, "no memory for the list of items");
    d->n_workers = n_workers;
    d->max_useful = max_useful;
    d->n_levels = 1;
    while (1 << (d->n_levels - 1) < n_workers) {
        d->n_levels++;
    }
    d->waiting = sg_calloc((size_t)n_items, sizeof *d->waiting);
    d->n_given = sg_calloc((size_t)n_workers, sizeof *d->n_given);
    d->free_at = sg_calloc((size_t)n_workers, sizeof *d->free_at);
    d->runs = sg_calloc(2 * (size_t)n_workers, sizeof *d->runs);
    SG_CHECK(d->waiting && d->n_given && d->free_at && d->runs, SG_E_NOMEM,
             "no memory for the list of items");
    if (n_items > 0) {
        memcpy(d->waiting, items, (size_t)n_items * sizeof *items);
    }
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

static double mean_worker_seconds(const struct sg_dispatch *d) {
    return d->n_ended > 0 ? d->worker_seconds / (double)d->n_ended : 0;
}

/* When all members of a team are expected to be free, not before now. */
static double team_free_at(const struct sg_dispatch *d, int level, int team, double now) {
    double at = now;

    for (int i = 0; i < team_size(d, level, team); i++) {
        const int worker = team_first(level, team) + i;

        if (d->n_given[worker] > 0 && d->free_at[worker] > at) {
            at = d->free_at[worker];
        }
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

/* The largest level at which every waiting item can have a team of its own, and all members of it
 * are of use. */
static int even_level(const struct sg_dispatch *d) {
    const int64_t n = sg_dispatch_n_waiting(d);
    int level = 0;

    while (level + 1 < d->n_levels && 1 << level < d->max_useful && n_teams(d, level + 1) >= n) {
        level++;
    }
    return level;
}

static void give(struct sg_dispatch *d, int level, int team, double now,
                 struct sg_dispatch_order *out) {
    const int size = team_size(d, level, team);
    const double until = team_free_at(d, level, team, now) + mean_worker_seconds(d) / size;

    *out = (struct sg_dispatch_order){.item = d->waiting[d->next_waiting++],
                                      .level = level,
                                      .first_worker = team_first(level, team),
                                      .n_workers = size};
    for (int i = 0; i < size; i++) {
        d->n_given[out->first_worker + i]++;
        d->free_at[out->first_worker + i] = until;
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

/* The tail: of all teams up to the even level the one that would finish the next item first; if its
 * members are still at work, everybody waits for it. */
static int give_tail(struct sg_dispatch *d, double now, struct sg_dispatch_order *out) {
    const double seconds = mean_worker_seconds(d);
    double best = 0;
    int best_level = -1;
    int best_team = 0;

    for (int level = even_level(d); level >= 0; level--) {
        for (int team = 0; team < n_teams(d, level); team++) {
            const double finish =
                team_free_at(d, level, team, now) + seconds / team_size(d, level, team);

            if (d->n_ended == 0 && !team_is_free(d, level, team)) {
                continue; /* nothing is known of when it will be free */
            }
            if (best_level < 0 || finish < best) {
                best = finish;
                best_level = level;
                best_team = team;
            }
        }
    }
    if (best_level < 0 || !team_is_free(d, best_level, best_team)) {
        return 0;
    }
    give(d, best_level, best_team, now, out);
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
    size = team_size(d, d->runs[r].level, d->runs[r].first_worker >> d->runs[r].level);
    for (int i = 0; i < size; i++) {
        d->n_given[d->runs[r].first_worker + i]--;
    }
    for (int q = r + 1; q < d->n_runs; q++) { /* what waited behind it begins now */
        if (d->runs[q].first_worker == d->runs[r].first_worker) {
            d->runs[q].begun = now;
        }
    }
    d->worker_seconds += (now - d->runs[r].begun) * size;
    d->n_ended++;
    memmove(&d->runs[r], &d->runs[r + 1], (size_t)(d->n_runs - r - 1) * sizeof d->runs[0]);
    d->n_runs--;
}
