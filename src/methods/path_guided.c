/* src/methods/path_guided.c - a step of a guided path.
 *
 * The way from x0 to x is gone in steps of equal L1 length. In each, elements whose gradient is
 * small move first: the share `fraction` of them with the smallest |g| goes as far as
 * `max_distance` ahead of the straight path, then the next ones, until the step's length is
 * reached; none may lag farther behind than `max_distance`. Gradients are those at the begin of the
 * step. Source: Kapishnikov et al. 2021, arXiv:2106.09788, algorithm 1. */
#include "methods/methods_impl.h"

#include <float.h>
#include <math.h>

/* Where an element is at share a of its own way. */
static double at_share(double from, double to, double a) {
    return a >= 1 ? to : from + a * (to - from);
}

static void swap(double *a, double *b) {
    const double c = *a;

    *a = *b;
    *b = c;
}

/* The k-th smallest of v[n], which is put in another order: Hoare's selection. */
static double kth_smallest(double *v, int64_t n, int64_t k) {
    int64_t low = 0;
    int64_t high = n - 1;

    while (low < high) {
        const double pivot = v[low + (high - low) / 2];
        int64_t i = low;
        int64_t j = high;

        while (i <= j) {
            while (v[i] < pivot) {
                i++;
            }
            while (v[j] > pivot) {
                j--;
            }
            if (i <= j) {
                swap(&v[i++], &v[j--]);
            }
        }
        if (k <= j) {
            high = j;
        } else if (k >= i) {
            low = i;
        } else {
            break;
        }
    }
    return v[k];
}

/* Not a number counts as the largest: what it moves is seen in the sum. */
static double size_of(float g) {
    return isfinite(g) ? fabs((double)g) : DBL_MAX;
}

struct step {
    double least; /* share of the straight way that every element has behind it afterwards */
    double most;
    double target; /* L1 distance to x */
    double weight;
};

static void move(const struct step *s, double to, float g, double *p, double *sum) {
    *sum += s->weight * ((to - *p) * (double)g);
    *p = to;
}

static double distance(const float *x, const double *p, int64_t n) {
    double sum = 0;

    for (int64_t i = 0; i < n; i++) {
        sum += fabs((double)x[i] - p[i]);
    }
    return sum;
}

/* Elements that lag behind are brought up. */
static void bring_up(const struct step *s, const float *x0, const float *x, const float *g,
                     int64_t n, double *p, double *sum) {
    for (int64_t i = 0; i < n; i++) {
        const double way = (double)x[i] - (double)x0[i];
        const double least = at_share(x0[i], x[i], s->least);

        if (way > 0 ? p[i] < least : p[i] > least) {
            move(s, least, g[i], &p[i], &sum[i]);
        }
    }
}

/* The largest |g| that moves now: of those that can, the `fraction` of all elements with the
 * smallest. *n_left: how many can. */
static double pick(const struct step *s, const struct sg_path *path, const float *x0,
                   const float *x, const float *g, int64_t n, const double *p, double *scratch,
                   int64_t *n_left) {
    const int64_t k = (int64_t)floor(path->fraction * (double)(n - 1));

    *n_left = 0;
    for (int64_t i = 0; i < n; i++) {
        if (p[i] != at_share(x0[i], x[i], s->most)) {
            scratch[(*n_left)++] = size_of(g[i]);
        }
    }
    return k < *n_left ? kth_smallest(scratch, *n_left, k) : DBL_MAX;
}

/* Moves the picked ones by what is missing, or as far as they may go; 1 if that was enough. */
static int advance(const struct step *s, double largest, double missing, const float *x0,
                   const float *x, const float *g, int64_t n, double *p, double *sum) {
    double way = 0;
    double share;

    for (int64_t i = 0; i < n; i++) {
        way += size_of(g[i]) <= largest ? fabs(at_share(x0[i], x[i], s->most) - p[i]) : 0;
    }
    share = missing < way ? missing / way : 1;
    for (int64_t i = 0; i < n; i++) {
        const double most = at_share(x0[i], x[i], s->most);

        if (size_of(g[i]) <= largest && p[i] != most) {
            move(s, at_share(p[i], most, share), g[i], &p[i], &sum[i]);
        }
    }
    return missing <= way;
}

void sg_guided_move(const struct sg_path *path, int step, double weight, const float *x0,
                    const float *x, const float *g, int64_t n, double *p, double *scratch,
                    double *sum) {
    const double done = (step + 1.0) / path->nodes;
    struct step s = {.least = fmax(done - path->max_distance, 0),
                     .most = fmin(done + path->max_distance, 1),
                     .weight = weight};
    double whole = 0;
    int64_t n_left = 1;

    for (int64_t i = 0; i < n; i++) {
        whole += fabs((double)x[i] - (double)x0[i]);
    }
    s.target = whole * (1 - done);
    bring_up(&s, x0, x, g, n, p, sum);
    while (n_left > 0) {
        const double missing = distance(x, p, n) - s.target;
        double largest;

        if (!(missing > 1e-12 * whole)) { /* rounding */
            return;
        }
        largest = pick(&s, path, x0, x, g, n, p, scratch, &n_left);
        if (advance(&s, largest, missing, x0, x, g, n, p, sum)) {
            return;
        }
    }
}
