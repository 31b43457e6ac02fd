/* src/worker/path.c - walks along paths: points in batches through the network, what they add up.
 *
 * A walk goes from each baseline to some points (the samples of a block, or the item itself) and
 * is read for all targets. Its evaluations go through the network in full batches wherever they do
 * not wait for each other, in an order that block and job fix: node by node, and within a node
 * point by point. A *lane* is a point and, where targets have nodes of their own, one target. */
#include "worker/path_impl.h"

#include <string.h>

static struct table split_table(const struct sg_worker *w, const struct sg_walk *walk) {
    const struct sg_path *path = &walk->probing->path;
    const int64_t n_lanes = walk->n_points * w->plan->n_targets;
    struct table t = {.scan = w->path.table};

    t.t = t.scan + n_lanes * sg_path_n_scan(path);
    t.w = t.t + n_lanes * sg_path_n_nodes(path);
    t.saturation = (struct sg_saturation *)(void *)(t.w + n_lanes * sg_path_n_nodes(path));
    return t;
}

/* ---- points ---- */

/* The point that a path of this lane leads to. With noise inside it is the item itself. */
const float *sg_way_end(const struct way *y, int64_t point) {
    const struct sg_walk *walk = y->walk;

    return walk->sampler != NULL ? y->w->x : walk->x + point * y->w->n_features;
}

/* The noise round a point of the path, of the width that the sampler gives it there. Points between
 * two whose noise could be made do not fail; one that did would be seen in its gradient. */
static void add_noise(struct way *y, int64_t point, double t, float *out) {
    struct sg_worker *w = y->w;
    const struct sg_walk *walk = y->walk;
    struct sg_item_view view = sg_worker_view(w);

    view.x = w->path.at;
    if (t != y->last_t) {
        sg_path_point(w->path.baseline, w->x, t, w->n_features, w->path.at);
        if (walk->sampler->prepare(walk->sampling, &view, w->path.scale, w->path.sigma) != SG_OK) {
            memset(w->path.scale, 0xff, (size_t)w->n_features * sizeof(float)); /* not a number */
        }
        y->last_t = t;
    }
    (void)walk->sampler->draw(walk->sampling, &view, w->path.scale, walk->first_sample + point,
                              out);
}

void sg_way_place(struct way *y, int64_t row, int64_t point, double t) {
    struct sg_worker *w = y->w;
    float *out = w->path.points + row * w->n_features;

    if (y->walk->sampler != NULL) {
        add_noise(y, point, t, out);
    } else {
        sg_path_point(w->path.baseline, sg_way_end(y, point), t, w->n_features, out);
    }
}

/* The places behind the last row of a full batch hold the item. */
sg_status sg_way_forward(struct way *y, struct sg_net *net, int64_t n_rows) {
    sg_status status = SG_OK;
    struct sg_worker *w = y->w;
    const int64_t batch = net == w->one ? 1 : w->plan->block;

    for (int64_t row = n_rows; row < batch; row++) {
        memcpy(w->path.points + row * w->n_features, w->x, (size_t)w->n_features * sizeof(float));
    }
    sg_phase_enter(w, SG_PHASE_FORWARD);
    SG_TRY(sg_net_forward(net, w->path.points, w->y, y->cancel));
    w->phases.n_forwards += n_rows;
done:
    sg_phase_enter(w, SG_PHASE_NOISE);
    return status;
}

/* ---- nodes ---- */

double *sg_way_sum(const struct way *y, int r, int64_t t, int64_t point) {
    const int64_t n_points = y->walk->n_points;

    return y->walk->sums + ((r * y->w->plan->n_targets + t) * n_points + point) * y->w->n_features;
}

/* The derivative of target t's score at the outputs of a row. */
void sg_way_aim(struct way *y, int64_t row, int64_t t) {
    struct sg_worker *w = y->w;
    const int64_t k = w->n_outputs;

    sg_score_gradient(w->plan->job->score, w->y + row * k, k, &w->item.aims[t], sg_mask_at(w, t),
                      w->dy + row * k);
}

/* Rows behind the last one have some target, too: their numbers must be of a batch, not of chance.
 */
sg_status sg_way_backward(struct way *y, struct sg_net *net, int64_t n_rows) {
    sg_status status = SG_OK;
    struct sg_worker *w = y->w;

    for (int64_t row = n_rows; net == w->block && row < w->plan->block; row++) {
        sg_way_aim(y, row, 0);
    }
    sg_phase_enter(w, SG_PHASE_BACKWARD);
    SG_TRY(sg_net_backward_at(net, (enum sg_rule)y->walk->probing->rule, w->dy, w->gradient, NULL,
                              y->cancel));
    w->phases.n_backwards += n_rows;
    w->item.n_gradients += n_rows;
    sg_phase_enter(w, SG_PHASE_SUMS);
done:
    return status;
}

/* Row `row` is node j of a point's path: to all readings that take this part of it. */
static void add_node(struct way *y, int64_t row, int64_t t, int64_t point, int j, double weight) {
    const struct sg_walk *walk = y->walk;
    const int64_t d = y->w->n_features;
    const int part = (int)sg_path_part_of(y->path, j);

    for (int r = 0; r < walk->n_parts; r++) {
        if (walk->parts[r] == SG_PART_WHOLE || walk->parts[r] == part) {
            sg_path_add(y->path, weight, y->w->path.baseline, sg_way_end(y, point),
                        y->w->gradient + row * d, d, sg_way_sum(y, r, t, point));
        }
    }
}

/* Rows first.. of the list of nodes, of lanes that are points: one backward pass for each target.
 */
static sg_status read_shared(struct way *y, struct sg_net *net, int64_t first, int64_t n_rows) {
    sg_status status = SG_OK;
    const int64_t n_points = y->walk->n_points;

    for (int64_t t = 0; t < y->w->plan->n_targets; t++) {
        for (int64_t row = 0; row < n_rows; row++) {
            sg_way_aim(y, row, t);
        }
        SG_TRY(sg_way_backward(y, net, n_rows));
        for (int64_t row = 0; row < n_rows; row++) {
            const int64_t j = (first + row) / n_points;

            add_node(y, row, t, (first + row) % n_points, (int)j, y->share * y->table.w[j]);
        }
    }
done:
    return status;
}

/* The same of lanes with targets of their own: one backward pass for all. */
static sg_status read_own(struct way *y, struct sg_net *net, int64_t first, int64_t n_rows) {
    sg_status status = SG_OK;
    const int64_t n_lanes = sg_way_n_lanes(y);
    const int n_nodes = sg_path_n_nodes(y->path);

    for (int64_t row = 0; row < n_rows; row++) {
        sg_way_aim(y, row, sg_way_target(y, (first + row) % n_lanes));
    }
    SG_TRY(sg_way_backward(y, net, n_rows));
    for (int64_t row = 0; row < n_rows; row++) {
        const int64_t lane = (first + row) % n_lanes;
        const int64_t j = (first + row) / n_lanes;

        add_node(y, row, sg_way_target(y, lane), sg_way_point(y, lane), (int)j,
                 y->share * y->table.w[lane * n_nodes + j]);
    }
done:
    return status;
}

static void place_nodes(struct way *y) {
    const int n_nodes = sg_path_n_nodes(y->path);
    const int n_scan = sg_path_n_scan(y->path);
    const int64_t n = sg_path_is_shared(y->path) ? 1 : sg_way_n_lanes(y);

    for (int64_t i = 0; i < n; i++) {
        sg_path_place(y->path, y->path->kind == SG_PATH_SPLIT ? y->table.saturation[i].high : 1,
                      y->table.scan + i * n_scan, y->table.t + i * n_nodes,
                      y->table.w + i * n_nodes);
    }
}

static sg_status walk_nodes(struct way *y) {
    sg_status status = SG_OK;
    const int is_shared = sg_path_is_shared(y->path);
    const int n_nodes = sg_path_n_nodes(y->path);
    const int64_t n_lanes = sg_way_n_lanes(y);
    const int64_t n = n_nodes * n_lanes;
    const int64_t block = y->w->plan->block;
    struct sg_net *net = sg_way_net(y->w, n);

    place_nodes(y);
    for (int64_t first = 0; first < n; first += block) {
        const int64_t n_rows = n - first < block ? n - first : block;

        for (int64_t row = 0; row < n_rows; row++) {
            const int64_t lane = (first + row) % n_lanes;
            const int64_t j = (first + row) / n_lanes;

            sg_way_place(y, row, sg_way_point(y, lane),
                         y->table.t[(is_shared ? 0 : lane * n_nodes) + j]);
        }
        SG_TRY(sg_way_forward(y, net, n_rows));
        SG_TRY((is_shared ? read_shared : read_own)(y, net, first, n_rows));
    }
done:
    return status;
}

/* ---- the walk ---- */

static sg_status walk_from(struct way *y) {
    sg_status status = SG_OK;

    SG_TRY(sg_way_scan(y));
    if (y->path->kind == SG_PATH_SPLIT) {
        SG_TRY(sg_way_find_saturation(y));
    }
    if (sg_path_is_stepwise(y->path)) {
        SG_TRY(sg_way_walk_steps(y));
    } else if (y->path->kind == SG_PATH_DRAWN) {
        SG_TRY(sg_way_walk_drawn(y));
    } else {
        SG_TRY(walk_nodes(y));
    }
done:
    return status;
}

/* The array of a baseline from a file, or NULL. */
static const float *array_of(const struct sg_worker *w, const struct sg_baseline *b) {
    const struct sg_job *job = w->plan->job;
    int i = 0;

    if (b->kind != SG_BASELINE_FILE) {
        return NULL;
    }
    while (strcmp(job->baseline_files[i], b->file) != 0) {
        i++;
    }
    return w->o.baselines[i];
}

sg_status sg_walk_run(struct sg_worker *w, const struct sg_walk *walk,
                      const volatile sig_atomic_t *cancel) {
    sg_status status = SG_OK;
    const struct sg_path *path = &walk->probing->path;
    const int64_t n_sums = walk->n_parts * w->plan->n_targets * walk->n_points;

    sg_phase_enter(w, SG_PHASE_NOISE);
    memset(walk->sums, 0, (size_t)(n_sums * w->n_features) * sizeof *walk->sums);
    if (walk->facts != NULL) {
        memset(walk->facts, 0, (size_t)w->plan->n_targets * sizeof *walk->facts);
    }
    for (int b = 0; b < path->n_baselines; b++) {
        struct way way = {.w = w,
                          .walk = walk,
                          .path = path,
                          .table = split_table(w, walk),
                          .share = 1.0 / path->n_baselines,
                          .last_t = -1,
                          .cancel = cancel};

        sg_baseline_fill(&path->baselines[b], path->space, &w->plan->input, &w->plan->domain, w->x,
                         array_of(w, &path->baselines[b]), w->path.scratch, w->path.baseline);
        SG_TRY(walk_from(&way));
    }
done:
    return status;
}

void sg_walk_values(const struct sg_worker *w, const struct sg_walk *walk, int r, int64_t t,
                    float *out) {
    const int64_t n = walk->n_points * w->n_features;
    const struct sg_path *path = &walk->probing->path;
    const int at = sg_path_is_stepwise(path) || path->kind == SG_PATH_DRAWN ? 0 : r;
    const double *sums = walk->sums + (at * w->plan->n_targets + t) * n;

    for (int64_t i = 0; i < n; i++) {
        out[i] = (float)sums[i];
    }
}
