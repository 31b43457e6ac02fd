/* src/worker/path.c - walks along paths: points in batches through the network, what they add up.
 *
 * A walk goes from each baseline to some points (the samples of a block, or the item itself) and
 * is read for all targets. Its evaluations go through the network in full batches wherever they do
 * not wait for each other, in an order that block and job fix: node by node, and within a node
 * point by point. A *lane* is a point and, where targets have nodes of their own, one target. */
#include "worker/worker_impl.h"

#include <string.h>

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

static int64_t n_lanes_of(const struct way *y) {
    return y->walk->n_points * (sg_path_is_shared(y->path) ? 1 : y->w->plan->n_targets);
}

static struct table split_table(const struct sg_worker *w, const struct sg_walk *walk) {
    const struct sg_path *path = &walk->probing->path;
    const int64_t n_lanes = walk->n_points * w->plan->n_targets;
    struct table t = {.scan = w->path.table};

    t.t = t.scan + n_lanes * sg_path_n_scan(path);
    t.w = t.t + n_lanes * sg_path_n_nodes(path);
    t.saturation = (struct sg_saturation *)(void *)(t.w + n_lanes * sg_path_n_nodes(path));
    return t;
}

/* Lanes are points; of lanes with targets all points of the first target come first. */
static int64_t point_of(const struct way *y, int64_t lane) {
    return lane % y->walk->n_points;
}

static int64_t target_of(const struct way *y, int64_t lane) {
    return lane / y->walk->n_points;
}

/* Batches of one go through the net of one. */
static struct sg_net *net_for(const struct sg_worker *w, int64_t n_rows) {
    return n_rows == 1 ? w->one : w->block;
}

/* ---- points ---- */

/* The point that a path of this lane leads to. With noise inside it is the item itself. */
static const float *end_of(const struct way *y, int64_t point) {
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

static void place(struct way *y, int64_t row, int64_t point, double t) {
    struct sg_worker *w = y->w;
    float *out = w->path.points + row * w->n_features;

    if (y->walk->sampler != NULL) {
        add_noise(y, point, t, out);
    } else {
        sg_path_point(w->path.baseline, end_of(y, point), t, w->n_features, out);
    }
}

/* The places behind the last row of a full batch hold the item. */
static sg_status forward(struct way *y, struct sg_net *net, int64_t n_rows) {
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

static double score_of(const struct way *y, enum sg_score score, int64_t row, int64_t t) {
    const struct sg_worker *w = y->w;

    return sg_score_value(score, w->y + row * w->n_outputs, &w->item.aims[t], sg_mask_at(w, t));
}

/* ---- looks at the score ---- */

/* What a split path compares with its threshold; others look at what is explained. */
static enum sg_score scanned_score(const struct way *y) {
    return y->path->threshold_on == SG_THRESHOLD_LOGIT         ? SG_SCORE_LOGIT
           : y->path->threshold_on == SG_THRESHOLD_PROBABILITY ? SG_SCORE_PROBABILITY
                                                               : y->w->plan->job->score;
}

static void keep_scores(struct way *y, int64_t row, int64_t point, int node, int n_scan) {
    const enum sg_score explained = y->w->plan->job->score;
    struct sg_path_facts *facts = y->walk->facts;

    for (int64_t t = 0; t < y->w->plan->n_targets; t++) {
        const int64_t lane = t * y->walk->n_points + point;

        if (n_scan > 0) {
            y->table.scan[lane * n_scan + node] = score_of(y, scanned_score(y), row, t);
        }
        if (facts != NULL && node == 0) {
            facts[t].baseline_score += y->share * score_of(y, explained, row, t);
        }
    }
}

/* The score along the path, for all targets; at the item itself at least that of the baseline. */
static sg_status scan(struct way *y) {
    sg_status status = SG_OK;
    const int n_scan = sg_path_n_scan(y->path);
    const int wants_begin = y->walk->facts != NULL && sg_path_has_facts(y->path);
    const int n_looks = n_scan == 0 && wants_begin ? 1 : n_scan;
    const int64_t n_points = y->walk->n_points;
    const int64_t n = n_looks * n_points;
    const int64_t block = y->w->plan->block;

    for (int64_t first = 0; first < n; first += block) {
        const int64_t n_rows = n - first < block ? n - first : block;

        for (int64_t row = 0; row < n_rows; row++) {
            const int64_t node = (first + row) / n_points;

            place(y, row, (first + row) % n_points, n_looks > 1 ? (double)node / (n_looks - 1) : 0);
        }
        SG_TRY(forward(y, net_for(y->w, n), n_rows));
        for (int64_t row = 0; row < n_rows; row++) {
            keep_scores(y, row, (first + row) % n_points, (int)((first + row) / n_points), n_scan);
        }
    }
done:
    return status;
}

/* One look at each lane's t: the middle of its interval, or (last) t* itself, for what is said of
 * the item. */
static sg_status look(struct way *y, int is_last) {
    sg_status status = SG_OK;
    const int64_t n_lanes = n_lanes_of(y);
    const int64_t block = y->w->plan->block;

    for (int64_t first = 0; first < n_lanes; first += block) {
        const int64_t n_rows = n_lanes - first < block ? n_lanes - first : block;
        struct sg_saturation *s = y->table.saturation + first;

        for (int64_t row = 0; row < n_rows; row++) {
            place(y, row, point_of(y, first + row),
                  is_last ? s[row].high : sg_saturation_middle(&s[row]));
        }
        SG_TRY(forward(y, net_for(y->w, n_lanes), n_rows));
        for (int64_t row = 0; row < n_rows; row++) {
            const int64_t t = target_of(y, first + row);

            if (is_last) {
                y->walk->facts[t].t_star += y->share * s[row].high;
                y->walk->facts[t].split_score +=
                    y->share * score_of(y, y->w->plan->job->score, row, t);
            } else {
                sg_saturation_add(&s[row], score_of(y, scanned_score(y), row, t));
            }
        }
    }
done:
    return status;
}

static sg_status find_saturation(struct way *y) {
    sg_status status = SG_OK;
    const int n_scan = sg_path_n_scan(y->path);

    for (int64_t lane = 0; lane < n_lanes_of(y); lane++) {
        sg_saturation_begin(y->path, y->table.scan + lane * n_scan, &y->table.saturation[lane]);
    }
    for (int step = 0; step < sg_path_n_search(y->path); step++) {
        SG_TRY(look(y, 0));
    }
    if (y->walk->facts != NULL) {
        SG_TRY(look(y, 1));
    }
done:
    return status;
}

/* ---- nodes ---- */

static double *sum_at(const struct way *y, int r, int64_t t, int64_t point) {
    const int64_t n_points = y->walk->n_points;

    return y->walk->sums + ((r * y->w->plan->n_targets + t) * n_points + point) * y->w->n_features;
}

/* The derivative of target t's score at the outputs of a row. */
static void set_target(struct way *y, int64_t row, int64_t t) {
    struct sg_worker *w = y->w;
    const int64_t k = w->n_outputs;

    sg_score_gradient(w->plan->job->score, w->y + row * k, k, &w->item.aims[t], sg_mask_at(w, t),
                      w->dy + row * k);
}

/* Rows behind the last one have some target, too: their numbers must be of a batch, not of chance.
 */
static sg_status backward(struct way *y, struct sg_net *net, int64_t n_rows) {
    sg_status status = SG_OK;
    struct sg_worker *w = y->w;

    for (int64_t row = n_rows; net == w->block && row < w->plan->block; row++) {
        set_target(y, row, 0);
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
            sg_path_add(y->path, weight, y->w->path.baseline, end_of(y, point),
                        y->w->gradient + row * d, d, sum_at(y, r, t, point));
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
            set_target(y, row, t);
        }
        SG_TRY(backward(y, net, n_rows));
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
    const int64_t n_lanes = n_lanes_of(y);
    const int n_nodes = sg_path_n_nodes(y->path);

    for (int64_t row = 0; row < n_rows; row++) {
        set_target(y, row, target_of(y, (first + row) % n_lanes));
    }
    SG_TRY(backward(y, net, n_rows));
    for (int64_t row = 0; row < n_rows; row++) {
        const int64_t lane = (first + row) % n_lanes;
        const int64_t j = (first + row) / n_lanes;

        add_node(y, row, target_of(y, lane), point_of(y, lane), (int)j,
                 y->share * y->table.w[lane * n_nodes + j]);
    }
done:
    return status;
}

static void place_nodes(struct way *y) {
    const int n_nodes = sg_path_n_nodes(y->path);
    const int n_scan = sg_path_n_scan(y->path);
    const int64_t n = sg_path_is_shared(y->path) ? 1 : n_lanes_of(y);

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
    const int64_t n_lanes = n_lanes_of(y);
    const int64_t n = n_nodes * n_lanes;
    const int64_t block = y->w->plan->block;
    struct sg_net *net = net_for(y->w, n);

    place_nodes(y);
    for (int64_t first = 0; first < n; first += block) {
        const int64_t n_rows = n - first < block ? n - first : block;

        for (int64_t row = 0; row < n_rows; row++) {
            const int64_t lane = (first + row) % n_lanes;
            const int64_t j = (first + row) / n_lanes;

            place(y, row, point_of(y, lane), y->table.t[(is_shared ? 0 : lane * n_nodes) + j]);
        }
        SG_TRY(forward(y, net, n_rows));
        SG_TRY((is_shared ? read_shared : read_own)(y, net, first, n_rows));
    }
done:
    return status;
}

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
    SG_TRY(forward(y, net, n_rows));
    for (int64_t row = 0; row < n_rows; row++) {
        set_target(y, row, target_of(y, first + row));
    }
    SG_TRY(backward(y, net, n_rows));
    for (int64_t row = 0; row < n_rows; row++) {
        const int64_t point = point_of(y, first + row);

        /* Such paths have no parts: the first sum is that of all readings. */
        sg_guided_move(y->path, step, y->share, w->path.baseline, end_of(y, point),
                       w->gradient + row * d, d, w->path.places + row * d, w->path.scratch,
                       sum_at(y, 0, target_of(y, first + row), point));
    }
done:
    return status;
}

static sg_status walk_steps(struct way *y) {
    sg_status status = SG_OK;
    struct sg_worker *w = y->w;
    const int64_t n_lanes = n_lanes_of(y);
    const int64_t block = w->plan->block;

    for (int64_t first = 0; first < n_lanes; first += block) {
        const int64_t n_rows = n_lanes - first < block ? n_lanes - first : block;

        for (int64_t row = 0; row < n_rows; row++) {
            begin_place(w->path.baseline, w->n_features, w->path.places + row * w->n_features);
        }
        for (int step = 0; step < sg_path_n_nodes(y->path); step++) {
            SG_TRY(step_lanes(y, net_for(w, n_lanes), first, n_rows, step));
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
static sg_status walk_drawn(struct way *y) {
    sg_status status = SG_OK;
    struct sg_worker *w = y->w;
    const int64_t d = w->n_features;
    const int64_t n = y->walk->n_points;
    struct sg_net *net = net_for(w, n);

    for (int64_t row = 0; row < n; row++) {
        draw_row(y, row);
    }
    SG_TRY(forward(y, net, n));
    for (int64_t t = 0; t < w->plan->n_targets; t++) {
        for (int64_t row = 0; row < n; row++) {
            set_target(y, row, t);
        }
        SG_TRY(backward(y, net, n));
        for (int64_t row = 0; row < n; row++) {
            sg_path_add(y->path, 1, w->path.begins + row * d, w->x, w->gradient + row * d, d,
                        sum_at(y, 0, t, row));
        }
    }
done:
    return status;
}

/* ---- the walk ---- */

static sg_status walk_from(struct way *y) {
    sg_status status = SG_OK;

    SG_TRY(scan(y));
    if (y->path->kind == SG_PATH_SPLIT) {
        SG_TRY(find_saturation(y));
    }
    if (sg_path_is_stepwise(y->path)) {
        SG_TRY(walk_steps(y));
    } else if (y->path->kind == SG_PATH_DRAWN) {
        SG_TRY(walk_drawn(y));
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
