/* src/master/ranking.c - two tournaments, for the least key and for the largest. */
#include "master/ranking.h"

#include "sgdist/memory.h"

#include <math.h>

struct sg_ranking {
    int n_places; /* a power of two, n or more */
    double *keys; /* [n_places] NAN: none */
    int *first;   /* [2 n_places] heaps of winners; -1: nobody */
    int *last;
};

sg_status sg_ranking_create(int n, struct sg_ranking **out) {
    sg_status status = SG_OK;
    struct sg_ranking *r = sg_calloc(1, sizeof *r);

    SG_CHECK(r != NULL, SG_E_NOMEM, "no memory for %d workers", n);
    r->n_places = 1;
    while (r->n_places < n) {
        r->n_places *= 2;
    }
    r->keys = sg_calloc((size_t)r->n_places, sizeof *r->keys);
    r->first = sg_calloc(2 * (size_t)r->n_places, sizeof *r->first);
    r->last = sg_calloc(2 * (size_t)r->n_places, sizeof *r->last);
    SG_CHECK(r->keys && r->first && r->last, SG_E_NOMEM, "no memory for %d workers", n);
    for (int i = 0; i < 2 * r->n_places; i++) {
        r->keys[i / 2] = NAN;
        r->first[i] = -1;
        r->last[i] = -1;
    }
    *out = r;
    r = NULL;
done:
    sg_ranking_destroy(r);
    return status;
}

void sg_ranking_destroy(struct sg_ranking *r) {
    if (r != NULL) {
        sg_free(r->keys);
        sg_free(r->first);
        sg_free(r->last);
        sg_free(r);
    }
}

/* The winner of two, a left of b. */
static int winner(const struct sg_ranking *r, int a, int b, int sign) {
    if (a < 0 || b < 0) {
        return a < 0 ? b : a;
    }
    return sign * r->keys[b] < sign * r->keys[a] ? b : a;
}

static void play(struct sg_ranking *r, int i) {
    const int is_in = !isnan(r->keys[i]);

    r->first[r->n_places + i] = is_in ? i : -1;
    r->last[r->n_places + i] = is_in ? i : -1;
    for (int place = (r->n_places + i) / 2; place >= 1; place /= 2) {
        r->first[place] = winner(r, r->first[2 * place], r->first[2 * place + 1], 1);
        r->last[place] = winner(r, r->last[2 * place], r->last[2 * place + 1], -1);
    }
}

void sg_ranking_set(struct sg_ranking *r, int i, double key) {
    r->keys[i] = key;
    play(r, i);
}

void sg_ranking_remove(struct sg_ranking *r, int i) {
    sg_ranking_set(r, i, NAN);
}

double sg_ranking_key(const struct sg_ranking *r, int i) {
    return r->keys[i];
}

int sg_ranking_first(const struct sg_ranking *r) {
    return r->first[1];
}

int sg_ranking_last(const struct sg_ranking *r) {
    return r->last[1];
}
