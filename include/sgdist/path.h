/* include/sgdist/path.h - paths: what may be walked from a baseline x0 to a point x, and read
 * there.
 *
 * A path is a list of nodes; node j has a point p_j and adds (its step, element by element, times
 * the gradient at p_j) to what is read. The straight ones lie on x0 + t (x - x0) with steps w_j (x
 * - x0), 0 <= t <= 1. Pure functions of numbers: who evaluates the network, how many points at once
 * and for which targets, is not known here. */
#ifndef SGDIST_PATH_H
#define SGDIST_PATH_H

#include "sgdist/data.h"
#include "sgdist/shape.h"
#include "sgdist/status.h"

#include <stdint.h>

enum { SG_MAX_BASELINES = 8, SG_MAX_BASELINE_VALUES = 8, SG_MAX_BASELINE_FILE = 255 };
enum { SG_MAX_BLUR = 1000 }; /* pixels */
enum { SG_MAX_NODES = 4096 };

enum sg_path_kind {
    SG_PATH_POINT,    /* x itself, times x - x0: gradient x input */
    SG_PATH_STRAIGHT, /* integrated gradients */
    SG_PATH_SPLIT,    /* the same in two parts, before and behind the point of saturation t* */
    SG_PATH_DECISION, /* the integrand times the slope of the score along the path */
    SG_PATH_GUIDED,   /* not straight: elements of small gradient move first */
    SG_PATH_DRAWN     /* one point of the line from an item of the data set, both drawn at random */
};
enum sg_path_part { SG_PART_WHOLE, SG_PART_LEFT, SG_PART_RIGHT };
enum sg_quadrature {
    SG_QUADRATURE_GAUSS_LEGENDRE,
    SG_QUADRATURE_MIDPOINT,
    SG_QUADRATURE_TRAPEZOID,
    SG_QUADRATURE_RIEMANN_LEFT,
    SG_QUADRATURE_RIEMANN_RIGHT
};
enum sg_path_noise {
    SG_NOISE_OUTSIDE, /* a path to each noisy point, or no noise at all */
    SG_NOISE_INSIDE   /* the path to the item itself, noise round each of its points */
};
enum sg_threshold_on { SG_THRESHOLD_SCORE, SG_THRESHOLD_LOGIT, SG_THRESHOLD_PROBABILITY };
enum sg_baseline_kind {
    SG_BASELINE_ZERO,      /* 0 in the path's space: the input's zero, or a black pixel */
    SG_BASELINE_CONSTANT,  /* a number, or one a channel, in the path's space */
    SG_BASELINE_ITEM_MEAN, /* of each channel of the item */
    SG_BASELINE_BLURRED,   /* the item after a Gaussian of `value` pixels */
    SG_BASELINE_FILE       /* an array of the input's shape, in the path's space */
};

/* Unused members are 0: memcmp compares. */
struct sg_baseline {
    int32_t kind;
    int32_t n_values;
    double values[SG_MAX_BASELINE_VALUES]; /* the constants; or the width of the blur */
    char file[SG_MAX_BASELINE_FILE + 1];
};

/* What is walked. Zeroed before it is filled, members that a kind does not use stay 0: memcmp
 * compares it. */
struct sg_path {
    int32_t kind;
    int32_t part; /* of what is read on the way: no part of the way itself */
    int32_t noise;
    int32_t space; /* enum sg_space: what a baseline of zero or of constants means */
    int32_t quadrature;
    int32_t nodes; /* of a part; steps of a guided path */
    int32_t threshold_on;
    int32_t n_baselines; /* what is read is the mean over them */
    double threshold;    /* t*: where the score has gone this share of its way from x0 to x */
    double fraction;     /* guided: share of the elements that move at once */
    double max_distance; /* guided: from the straight path, as a share of its length */
    struct sg_baseline baselines[SG_MAX_BASELINES];
};

/* Nodes t[n], ascending in 0..1, and weights w[n] of an integral over 0..1; the weights add up
 * to 1. The trapezoid needs n >= 2. In own arithmetic: the bits do not depend on the C library. */
void sg_quadrature(enum sg_quadrature rule, int n, double *t, double *w);

/* Evaluations that a path costs for one point, one baseline and one target: forward passes where
 * the score alone is looked at (shared by all targets; for each of them), then nodes, forward and
 * backward. */
int sg_path_n_scan(const struct sg_path *path);   /* scores at t = 0, 1/(n-1), .. 1; shared */
int sg_path_n_search(const struct sg_path *path); /* then one after the other, for each target */
int sg_path_n_nodes(const struct sg_path *path);
/* 1 if all targets have the same nodes, 1 if a node depends on what was read at the one before. */
int sg_path_is_shared(const struct sg_path *path);
int sg_path_is_stepwise(const struct sg_path *path);
/* 1 if something is said of the path to the item itself, for which the score at its begin is looked
 * at. */
int sg_path_has_facts(const struct sg_path *path);

/* The search for t* of a split path, on 0..1. Begun with the scores of the scan: the first crossing
 * of the threshold on that grid; then each score at `middle` halves the interval. t* is `high`; 1
 * where the score does not rise, or never crosses the threshold. */
struct sg_saturation {
    double threshold;
    double low;
    double high;
};
void sg_saturation_begin(const struct sg_path *path, const double *scan, struct sg_saturation *s);
double sg_saturation_middle(const struct sg_saturation *s);
void sg_saturation_add(struct sg_saturation *s, double score);

/* The nodes t[n_nodes] of a path that is not stepwise, and their weights. t_star: of a split path;
 * scan: the scores of a decision path's scan. */
void sg_path_place(const struct sg_path *path, double t_star, const double *scan, double *t,
                   double *w);

/* Which part node j of a split path belongs to. */
enum sg_path_part sg_path_part_of(const struct sg_path *path, int j);

/* p[n] = x0 + t (x - x0), rounded once; x itself at t = 1. */
void sg_path_point(const float *x0, const float *x, double t, int64_t n, float *p);

/* sum[n] += weight (x - x0) g; of a decision path times the slope g.(x - x0). */
void sg_path_add(const struct sg_path *path, double weight, const float *x0, const float *x,
                 const float *g, int64_t n, double *sum);

/* One step of a guided path, 0 <= step < nodes: moves p[n] towards x, by the gradient g at p, and
 * adds weight (way gone) g to sum. scratch[2 n]. */
void sg_guided_move(const struct sg_path *path, int step, double weight, const float *x0,
                    const float *x, const float *g, int64_t n, double *p, double *scratch,
                    double *sum);

/* x0[D] of a baseline. `item`: the item itself. `given`: the array of its file;
 * scratch[2 D]. */
void sg_baseline_fill(const struct sg_baseline *b, int32_t space, const struct sg_shape *shape,
                      const struct sg_domain *domain, const float *item, const float *given,
                      double *scratch, float *x0);

#endif
