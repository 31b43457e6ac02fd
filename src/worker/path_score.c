/* src/worker/path_score.c - looks at the score along a path: where it begins, where it rises, where
 * it saturates. Forward passes alone; those at equal places are shared by all targets. */
#include "worker/path_impl.h"

static double score_of(const struct way *y, enum sg_score score, int64_t row, int64_t t) {
    const struct sg_worker *w = y->w;

    return sg_score_value(score, w->y + row * w->n_outputs, &w->item.aims[t], sg_mask_at(w, t));
}

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
sg_status sg_way_scan(struct way *y) {
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

            sg_way_place(y, row, (first + row) % n_points,
                         n_looks > 1 ? (double)node / (n_looks - 1) : 0);
        }
        SG_TRY(sg_way_forward(y, sg_way_net(y->w, n), n_rows));
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
    const int64_t n_lanes = sg_way_n_lanes(y);
    const int64_t block = y->w->plan->block;

    for (int64_t first = 0; first < n_lanes; first += block) {
        const int64_t n_rows = n_lanes - first < block ? n_lanes - first : block;
        struct sg_saturation *s = y->table.saturation + first;

        for (int64_t row = 0; row < n_rows; row++) {
            sg_way_place(y, row, sg_way_point(y, first + row),
                         is_last ? s[row].high : sg_saturation_middle(&s[row]));
        }
        SG_TRY(sg_way_forward(y, sg_way_net(y->w, n_lanes), n_rows));
        for (int64_t row = 0; row < n_rows; row++) {
            const int64_t t = sg_way_target(y, first + row);

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

sg_status sg_way_find_saturation(struct way *y) {
    sg_status status = SG_OK;
    const int n_scan = sg_path_n_scan(y->path);

    for (int64_t lane = 0; lane < sg_way_n_lanes(y); lane++) {
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
