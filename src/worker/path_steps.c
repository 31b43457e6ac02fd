/* src/worker/path_steps.c - walks whose points are not known beforehand: step by step, where the
 * next point follows from the gradient at the last one, and from items of the data set. */
#include "worker/path_impl.h"

#include <string.h>

/* ---- step by step ---- */

static void round_place(const double *p, int64_t n, float *out) {
    for (int64_t i = 0; i < n; i++) {
        out[i] = (float)p[i];
    }
}

static void begin_place(const float *x0, int64_t n, double *p) {
    for (int64_t i = 0; i < n; i++) {
        p[i] = (double)x0[i];
    }
}

/* One step of the lanes first.. */
static sg_status step_lanes(struct way *y, struct sg_net *net, int64_t first, int64_t n_rows,
                            int step) {
    sg_status status = SG_OK;
    struct sg_worker *w = y->w;
    const int64_t d = w->n_features;

    for (int64_t row = 0; row < n_rows; row++) {
        round_place(w->path.places + row * d, d, w->path.points + row * d);
    }
    SG_TRY(sg_way_forward(y, net, n_rows));
    for (int64_t row = 0; row < n_rows; row++) {
        sg_way_aim(y, row, sg_way_target(y, first + row));
    }
    SG_TRY(sg_way_backward(y, net, n_rows));
    for (int64_t row = 0; row < n_rows; row++) {
        const int64_t point = sg_way_point(y, first + row);

        /* Such paths have no parts: the first sum is that of all readings. */
        sg_guided_move(y->path, step, y->share, w->path.baseline, sg_way_end(y, point),
                       w->gradient + row * d, d, w->path.places + row * d, w->path.scratch,
                       sg_way_sum(y, 0, sg_way_target(y, first + row), point));
    }
done:
    return status;
}

sg_status sg_way_walk_steps(struct way *y) {
    sg_status status = SG_OK;
    struct sg_worker *w = y->w;
    const int64_t n_lanes = sg_way_n_lanes(y);
    const int64_t block = w->plan->block;

    for (int64_t first = 0; first < n_lanes; first += block) {
        const int64_t n_rows = n_lanes - first < block ? n_lanes - first : block;

        for (int64_t row = 0; row < n_rows; row++) {
            begin_place(w->path.baseline, w->n_features, w->path.places + row * w->n_features);
        }
        for (int step = 0; step < sg_path_n_nodes(y->path); step++) {
            SG_TRY(step_lanes(y, sg_way_net(w, n_lanes), first, n_rows, step));
        }
    }
done:
    return status;
}

/* ---- drawn at random ---- */

/* The item that the row's path begins at; of items that cannot be read the next one that can. Where
 * there is none, nothing is a number. */
static void load_begin(struct sg_worker *w, int64_t i_item, float *out) {
    const int64_t n = w->plan->n_items;

    for (int64_t i = 0; i < n; i++) {
        if (sg_items_load(w->o.items, (i_item + i) % n, out) == SG_OK) {
            return;
        }
    }
    memset(out, 0xff, (size_t)w->n_features * sizeof *out);
}

static void draw_row(struct way *y, int64_t row) {
    struct sg_worker *w = y->w;
    const struct sg_item_view view = sg_worker_view(w);
    float *begin = w->path.begins + row * w->n_features;
    int64_t i_item;
    double t;

    sg_path_draw(&view, y->walk->first_sample + row, w->plan->n_items, &i_item, &t);
    load_begin(w, i_item, begin);
    sg_path_point(begin, w->x, t, w->n_features, w->path.points + row * w->n_features);
}

/* One point of a path for each sample, for all targets. */
sg_status sg_way_walk_drawn(struct way *y) {
    sg_status status = SG_OK;
    struct sg_worker *w = y->w;
    const int64_t d = w->n_features;
    const int64_t n = y->walk->n_points;
    struct sg_net *net = sg_way_net(w, n);

    for (int64_t row = 0; row < n; row++) {
        draw_row(y, row);
    }
    SG_TRY(sg_way_forward(y, net, n));
    for (int64_t t = 0; t < w->plan->n_targets; t++) {
        for (int64_t row = 0; row < n; row++) {
            sg_way_aim(y, row, t);
        }
        SG_TRY(sg_way_backward(y, net, n));
        for (int64_t row = 0; row < n; row++) {
            sg_path_add(y->path, 1, w->path.begins + row * d, w->x, w->gradient + row * d, d,
                        sg_way_sum(y, 0, t, row));
        }
    }
done:
    return status;
}
