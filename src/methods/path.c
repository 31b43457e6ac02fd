/* src/methods/path.c - the straight paths: where their nodes lie, and what a node adds.
 *
 *   straight  IG(x) = (x - x0) Int_0^1 grad S(x0 + t (x - x0)) dt
 *   split     the same over 0..t* and t*..1: each part has all the nodes
 *   decision  (x - x0) Int_0^1 S'(t) grad S dt, S'(t) = (x - x0).grad S: twice the score's slope,
 *             once as the factor, once in the gradient. Nodes lie where the score rises.
 *
 * Sums run in double, in the order of index. */
#include "methods/methods_impl.h"

#include <math.h>
#include <string.h>

enum { SCAN_INTERVALS = 32, SEARCH_STEPS = 16 };

/* ---- costs ---- */

int sg_path_n_scan(const struct sg_path *path) {
    switch ((enum sg_path_kind)path->kind) {
    case SG_PATH_SPLIT:
        return SCAN_INTERVALS + 1;
    case SG_PATH_DECISION: /* every interval gets two nodes, the other half goes where it rises */
        return (path->nodes < 8 ? 1 : path->nodes / 4) + 1;
    default:
        return 0;
    }
}

int sg_path_n_search(const struct sg_path *path) {
    return path->kind == SG_PATH_SPLIT ? SEARCH_STEPS : 0;
}

int sg_path_n_nodes(const struct sg_path *path) {
    return path->kind == SG_PATH_POINT || path->kind == SG_PATH_DRAWN ? 1
           : path->kind == SG_PATH_SPLIT                              ? 2 * path->nodes
                                                                      : path->nodes;
}

int sg_path_is_shared(const struct sg_path *path) {
    return path->kind == SG_PATH_POINT || path->kind == SG_PATH_STRAIGHT ||
           path->kind == SG_PATH_DRAWN;
}

int sg_path_has_facts(const struct sg_path *path) {
    return path->kind != SG_PATH_POINT && path->kind != SG_PATH_DRAWN;
}

int sg_path_is_stepwise(const struct sg_path *path) {
    return path->kind == SG_PATH_GUIDED;
}

enum sg_path_part sg_path_part_of(const struct sg_path *path, int j) {
    return path->kind != SG_PATH_SPLIT ? SG_PART_WHOLE
           : j < path->nodes           ? SG_PART_LEFT
                                       : SG_PART_RIGHT;
}

/* ---- saturation ---- */

void sg_saturation_begin(const struct sg_path *path, const double *scan, struct sg_saturation *s) {
    const int n = SCAN_INTERVALS;
    const double rise = scan[n] - scan[0];
    int i = 1;

    *s = (struct sg_saturation){.threshold = scan[0] + path->threshold * rise, .low = 1, .high = 1};
    while (i <= n && !(scan[i] > s->threshold)) {
        i++;
    }
    if (rise > 0 && i <= n) {
        s->low = (double)(i - 1) / n;
        s->high = (double)i / n;
    }
}

double sg_saturation_middle(const struct sg_saturation *s) {
    return (s->low + s->high) / 2;
}

void sg_saturation_add(struct sg_saturation *s, double score) {
    *(score > s->threshold ? &s->high : &s->low) = sg_saturation_middle(s);
}

/* ---- nodes ---- */

/* The rule over from..to. */
static void place_between(enum sg_quadrature rule, double from, double to, int n, double *t,
                          double *w) {
    sg_quadrature(rule, n, t, w);
    for (int j = 0; j < n; j++) {
        t[j] = from + (to - from) * t[j];
        w[j] = (to - from) * w[j];
    }
}

/* How many of `spare` nodes interval i gets, of those whose share of the slopes is largest: whole
 * numbers by the cumulated shares, so that they add up. */
static int64_t cumulated(double share, int spare) {
    return (int64_t)(share * spare + 0.5);
}

/* Every interval of the scan gets two nodes, and of the others as many as its slope has of all
 * slopes, less the least of them: a rule of Gauss and Legendre of so many nodes in each. */
static void place_decision(const struct sg_path *path, const double *scan, double *t, double *w) {
    const int n = sg_path_n_scan(path) - 1;
    const int n_least = path->nodes < 2 ? 1 : 2;
    const int spare = path->nodes - n_least * n;
    double least = scan[1] - scan[0];
    double all = 0;
    double so_far = 0;
    int is_uneven;
    int at = 0;

    for (int i = 1; i < n; i++) {
        least = scan[i + 1] - scan[i] < least ? scan[i + 1] - scan[i] : least;
    }
    for (int i = 0; i < n; i++) {
        all += scan[i + 1] - scan[i] - least;
    }
    is_uneven = all > 0 && isfinite(all);
    for (int i = 0; i < n; i++) {
        const double share_before = is_uneven ? so_far / all : (double)i / n;
        double share;
        int n_here;

        so_far += scan[i + 1] - scan[i] - least;
        share = i == n - 1 ? 1 : is_uneven ? so_far / all : (double)(i + 1) / n;
        n_here = n_least + (int)(cumulated(share, spare) - cumulated(share_before, spare));
        place_between(SG_QUADRATURE_GAUSS_LEGENDRE, (double)i / n, (double)(i + 1) / n, n_here,
                      t + at, w + at);
        at += n_here;
    }
}

void sg_path_place(const struct sg_path *path, double t_star, const double *scan, double *t,
                   double *w) {
    const enum sg_quadrature rule = (enum sg_quadrature)path->quadrature;
    const int n = path->nodes;

    switch ((enum sg_path_kind)path->kind) {
    case SG_PATH_POINT:
        t[0] = 1;
        w[0] = 1;
        break;
    case SG_PATH_SPLIT:
        place_between(rule, 0, t_star, n, t, w);
        place_between(rule, t_star, 1, n, t + n, w + n);
        break;
    case SG_PATH_DECISION:
        place_decision(path, scan, t, w);
        break;
    default:
        sg_quadrature(rule, n, t, w);
    }
}

/* ---- points and what they add ---- */

void sg_path_point(const float *x0, const float *x, double t, int64_t n, float *p) {
    if (t == 1) {
        memcpy(p, x, (size_t)n * sizeof *p);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        p[i] = (float)((double)x0[i] + t * ((double)x[i] - (double)x0[i]));
    }
}

void sg_path_add(const struct sg_path *path, double weight, const float *x0, const float *x,
                 const float *g, int64_t n, double *sum) {
    if (weight == 0) { /* nothing of the path is left here, whatever the gradient is */
        return;
    }
    if (path->kind == SG_PATH_DECISION) {
        double slope = 0;

        for (int64_t i = 0; i < n; i++) {
            slope += ((double)x[i] - (double)x0[i]) * (double)g[i];
        }
        weight *= slope;
    }
    for (int64_t i = 0; i < n; i++) {
        sum[i] += weight * (((double)x[i] - (double)x0[i]) * (double)g[i]);
    }
}
