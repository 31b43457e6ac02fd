/* src/worker/path_impl.h - what the files of walks share; not for the others of this folder. */
#ifndef PATH_IMPL_H
#define PATH_IMPL_H

#include "worker/worker_impl.h"

/* What stands for a lane between the first look at the score and the last node. */
struct table {
    double *scan; /* [lanes][n_scan] */
    struct sg_saturation *saturation;
    double *t; /* [lanes][n_nodes] */
    double *w;
};

/* A walk on its way from one of its baselines. */
struct way {
    struct sg_worker *w;
    const struct sg_walk *walk;
    const struct sg_path *path;
    struct table table;
    double share;  /* of this baseline in the mean over all */
    double last_t; /* whose point and noise scale are at hand; below 0: none */
    const volatile sig_atomic_t *cancel;
};

/* Lanes are points; of lanes with targets all points of the first target come first. */
static inline int64_t sg_way_n_lanes(const struct way *y) {
    return y->walk->n_points * (sg_path_is_shared(y->path) ? 1 : y->w->plan->n_targets);
}

static inline int64_t sg_way_point(const struct way *y, int64_t lane) {
    return lane % y->walk->n_points;
}

static inline int64_t sg_way_target(const struct way *y, int64_t lane) {
    return lane / y->walk->n_points;
}

/* Batches of one go through the net of one. */
static inline struct sg_net *sg_way_net(const struct sg_worker *w, int64_t n_rows) {
    return n_rows == 1 ? w->one : w->block;
}

/* path.c. The point that a path of this lane leads to: with noise inside it is the item itself. */
const float *sg_way_end(const struct way *y, int64_t point);
/* Puts the point at t of its path into a row of the batch. */
void sg_way_place(struct way *y, int64_t row, int64_t point, double t);
/* The first n_rows of the batch through the network; the places behind them hold the item. */
sg_status sg_way_forward(struct way *y, struct sg_net *net, int64_t n_rows);
/* The derivative of target t's score at the outputs of a row; then back, for the rows' targets. */
void sg_way_aim(struct way *y, int64_t row, int64_t t);
sg_status sg_way_backward(struct way *y, struct sg_net *net, int64_t n_rows);
/* Where reading r of target t adds up for a point. */
double *sg_way_sum(const struct way *y, int r, int64_t t, int64_t point);

/* path_score.c: the score along the path, and t* of split ones. */
sg_status sg_way_scan(struct way *y);
sg_status sg_way_find_saturation(struct way *y);

/* path_steps.c: paths that are stepwise, and those drawn at random. */
sg_status sg_way_walk_steps(struct way *y);
sg_status sg_way_walk_drawn(struct way *y);

#endif
