/* src/methods/finish_gates.c - maps of methods that count gates: from the gradients with the mean
 * gates of all samples, and of all but one group. */
#include "methods/methods_impl.h"

#include <math.h>

/* The number s for which s times the expected gradient comes nearest to the mean gradient; 1 where
 * there is nothing to fit. */
static sg_status fit(const struct sg_sums *one, const float *expected, int64_t n, double *mean,
                     double *s) {
    sg_status status = SG_OK;
    double product = 0, square = 0;

    SG_TRY(sg_sums_mean(one, mean));
    for (int64_t i = 0; i < n; i++) {
        product += mean[i] * (double)expected[i];
        square += (double)expected[i] * (double)expected[i];
    }
    *s = square > 0 ? product / square : 1;
done:
    return status;
}

/* All groups of the sums that belong to group g of fewer ones. */
static void move_groups(const struct sg_expected *e, int g, int takes_out) {
    for (int k = g; k < sg_sums_n_groups(e->sums); k += e->n_groups) {
        if (takes_out) {
            sg_sums_remove_group(e->sums, k, e->one);
        } else {
            sg_sums_restore_group(e->sums, k, e->one);
        }
    }
}

static sg_status map_of(const struct sg_instance *inst, struct sg_finish *in,
                        const struct sg_expected *e, const float *expected,
                        const struct methods_workspace *w, double *map) {
    sg_status status = SG_OK;

    in->expected = expected;
    in->scale = 1;
    if (e->sums != NULL) {
        SG_TRY(fit(e->one, expected, in->n_features, w->mean, &in->scale));
    }
    SG_TRY(sg_instance_map(inst, in, w->map, map));
done:
    return status;
}

static int can_jackknife(const struct sg_instance *inst, const struct sg_expected *e) {
    int n_groups = 0;

    for (int g = 0; g < e->n_groups; g++) {
        n_groups += e->n_without[g] < e->n_samples;
        if (e->n_without[g] < inst->method->min_samples) {
            return 0;
        }
    }
    return n_groups >= 2;
}

/* The errors of the map, into w->map, and of the scale. */
static sg_status jackknife(const struct sg_instance *inst, struct sg_finish *in,
                           const struct sg_expected *e, const struct methods_workspace *w,
                           int64_t m, double *scale) {
    sg_status status = SG_OK;
    struct sg_jackknife of_map, of_scale;
    double work[3];

    sg_jackknife_begin(&of_map, w->all, m, e->n_samples, w->knife);
    sg_jackknife_begin(&of_scale, &scale[0], 1, e->n_samples, work);
    for (int g = 0; g < e->n_groups; g++) {
        const int64_t n_group = e->n_samples - e->n_without[g];

        if (n_group > 0) {
            if (e->sums != NULL) {
                move_groups(e, g, 1);
            }
            SG_TRY(map_of(inst, in, e, e->without + g * e->stride, w, w->without));
            if (e->sums != NULL) {
                move_groups(e, g, 0);
            }
            sg_jackknife_add(&of_map, w->without, n_group);
            sg_jackknife_add(&of_scale, &in->scale, n_group);
        }
    }
    sg_jackknife_se(&of_map, w->map);
    sg_jackknife_se(&of_scale, &scale[1]);
done:
    return status;
}

sg_status sg_instance_finish_gates(const struct sg_instance *inst, const struct sg_finish *from,
                                   const struct sg_expected *e, double *work, float *map, float *se,
                                   double *scale) {
    sg_status status = SG_OK;
    const struct methods_workspace w = methods_split_work(inst, from, work);
    struct sg_finish in = *from;
    struct sg_shape shape;
    int64_t m;

    in.params = &inst->params;
    sg_instance_map_shape(inst, in.shape, in.input, &shape);
    m = sg_shape_size(&shape);
    scale[0] = scale[1] = NAN;
    SG_CHECK(e->n_samples >= inst->method->min_samples, SG_E_NUMBERS,
             "%s: %lld of the samples have finite outputs, %lld are needed", inst->label,
             (long long)e->n_samples, (long long)inst->method->min_samples);
    if (e->sums != NULL) {
        sg_sums_collapse(e->sums, -1, e->one);
    }
    SG_TRY(map_of(inst, &in, e, e->all, &w, w.all));
    scale[0] = in.scale;
    SG_TRY(methods_store_map(inst->label, m, w.all, map));
    if (se != NULL && can_jackknife(inst, e)) {
        SG_TRY(jackknife(inst, &in, e, &w, m, scale));
        methods_store_se(m, w.map, se);
    } else {
        for (int64_t i = 0; se != NULL && i < m; i++) {
            se[i] = NAN;
        }
    }
done:
    return status;
}
