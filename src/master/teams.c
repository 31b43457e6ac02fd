/* src/master/teams.c - a tree over the workers, and a tournament over the teams of each level. */
#include "master/teams.h"

#include "sgdist/memory.h"

#include <math.h>

/* Of the members of a team. */
struct node {
    double latest;  /* end of all that a busy member has been given; -INFINITY: all are idle */
    double soonest; /* what a busy member has in hand is due; INFINITY: all are idle */
    double sum;     /* of the ends of busy members */
    int n_idle;
};

struct level {
    int n_teams;
    int n_full;         /* without a cut-off one at the end */
    int n_places;       /* a power of two, n_full or more */
    struct node *nodes; /* [n_teams] */
    int *winners;       /* [2 n_places] a heap of teams, -1 in places without one */
};

struct sg_teams {
    int n_workers;
    int n_levels;
    struct level *levels;
};

static const struct node idle = {.latest = -INFINITY, .soonest = INFINITY, .n_idle = 1};

int sg_teams_n_levels(const struct sg_teams *t) {
    return t->n_levels;
}

int sg_teams_size(const struct sg_teams *t, int level, int team) {
    const int size = 1 << level;
    const int left = t->n_workers - (team << level);

    return left < size ? left : size;
}

/* ---- tournaments ---- */

static int better(const struct level *l, int a, int b) {
    if (a < 0 || b < 0) {
        return a < 0 ? b : a;
    }
    return l->nodes[b].latest < l->nodes[a].latest ? b : a; /* a is the lower one */
}

static void play(struct level *l, int place) {
    l->winners[place] = better(l, l->winners[2 * place], l->winners[2 * place + 1]);
}

/* Teams a to b have changed. */
static void play_again(struct level *l, int a, int b) {
    b = b < l->n_full ? b : l->n_full - 1;
    for (int n = l->n_places; n > 1 && a <= b; n /= 2) {
        a /= 2;
        b /= 2;
        for (int i = a; i <= b; i++) {
            play(l, n / 2 + i);
        }
    }
}

static void begin_tournament(struct level *l) {
    for (int i = 0; i < l->n_places; i++) {
        l->winners[l->n_places + i] = i < l->n_full ? i : -1;
    }
    for (int place = l->n_places - 1; place >= 1; place--) {
        play(l, place);
    }
}

/* ---- the tree ---- */

static struct node join(const struct node *a, const struct node *b) {
    return (struct node){.latest = fmax(a->latest, b->latest),
                         .soonest = fmin(a->soonest, b->soonest),
                         .sum = a->sum + b->sum,
                         .n_idle = a->n_idle + b->n_idle};
}

/* Team i of level l from the two below it; the last one may have only one. */
static void make_node(struct sg_teams *t, int l, int i) {
    const struct level *below = &t->levels[l - 1];
    const struct node *left = &below->nodes[2 * i];

    t->levels[l].nodes[i] =
        2 * i + 1 < below->n_teams ? join(left, &below->nodes[2 * i + 1]) : *left;
}

static void set_workers(struct sg_teams *t, int first, int n, struct node value) {
    int a = first;
    int b = first + n - 1;

    for (int i = a; i <= b; i++) {
        t->levels[0].nodes[i] = value;
    }
    play_again(&t->levels[0], a, b);
    for (int l = 1; l < t->n_levels; l++) {
        a /= 2;
        b /= 2;
        for (int i = a; i <= b; i++) {
            make_node(t, l, i);
        }
        play_again(&t->levels[l], a, b);
    }
}

void sg_teams_set_busy(struct sg_teams *t, int first, int n, double due, double end) {
    set_workers(t, first, n, (struct node){.latest = end, .soonest = due, .sum = end});
}

void sg_teams_set_idle(struct sg_teams *t, int first, int n) {
    set_workers(t, first, n, idle);
}

/* ---- made and destroyed ---- */

static sg_status make_level(struct sg_teams *t, int l) {
    sg_status status = SG_OK;
    struct level *level = &t->levels[l];

    level->n_teams = (t->n_workers + (1 << l) - 1) >> l;
    level->n_full = t->n_workers >> l;
    level->n_places = 1;
    while (level->n_places < level->n_full) {
        level->n_places *= 2;
    }
    level->nodes = sg_calloc((size_t)level->n_teams, sizeof *level->nodes);
    level->winners = sg_calloc(2 * (size_t)level->n_places, sizeof *level->winners);
    SG_CHECK(level->nodes != NULL && level->winners != NULL, SG_E_NOMEM,
             "no memory for the teams of %d workers", t->n_workers);
    for (int i = 0; i < level->n_teams; i++) {
        if (l == 0) {
            level->nodes[i] = idle;
        } else {
            make_node(t, l, i);
        }
    }
    begin_tournament(level);
done:
    return status;
}

sg_status sg_teams_create(int n_workers, struct sg_teams **out) {
    sg_status status = SG_OK;
    struct sg_teams *t = sg_calloc(1, sizeof *t);

    SG_CHECK(t != NULL, SG_E_NOMEM, "no memory for the teams");
    t->n_workers = n_workers;
    t->n_levels = 1;
    while (1 << (t->n_levels - 1) < n_workers) {
        t->n_levels++;
    }
    t->levels = sg_calloc((size_t)t->n_levels, sizeof *t->levels);
    SG_CHECK(t->levels != NULL, SG_E_NOMEM, "no memory for the teams");
    for (int l = 0; l < t->n_levels; l++) {
        SG_TRY(make_level(t, l));
    }
    *out = t;
    t = NULL;
done:
    sg_teams_destroy(t);
    return status;
}

void sg_teams_destroy(struct sg_teams *t) {
    if (t == NULL) {
        return;
    }
    for (int l = 0; t->levels != NULL && l < t->n_levels; l++) {
        sg_free(t->levels[l].nodes);
        sg_free(t->levels[l].winners);
    }
    sg_free(t->levels);
    sg_free(t);
}

/* ---- questions ---- */

int sg_teams_first_free(const struct sg_teams *t, int level) {
    return t->levels[level].winners[1];
}

int sg_teams_cut_off(const struct sg_teams *t, int level) {
    const struct level *l = &t->levels[level];

    return l->n_full < l->n_teams ? l->n_full : -1;
}

struct sg_team_look sg_teams_look(const struct sg_teams *t, int level, int team, double now) {
    const struct node *node = &t->levels[level].nodes[team];

    return (struct sg_team_look){.is_free = node->n_idle == sg_teams_size(t, level, team),
                                 .free_at = fmax(node->latest, now),
                                 .sum = node->sum + node->n_idle * now};
}

int sg_teams_find_late(const struct sg_teams *t, double now) {
    int i = 0;

    if (!(t->levels[t->n_levels - 1].nodes[0].soonest < now)) {
        return -1;
    }
    for (int l = t->n_levels - 2; l >= 0; l--) {
        i *= 2;
        i += !(t->levels[l].nodes[i].soonest < now);
    }
    return i;
}
