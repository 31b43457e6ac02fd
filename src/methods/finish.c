/* src/methods/finish.c - an instance: what it wants of its sweep, and its map's error from it. */
#include "methods/methods_impl.h"

#include <math.h>
#include <stddef.h>

int sg_instance_has_sweep(const struct sg_instance *inst) {
    return !inst->method->sampler->is_clean;
}

/* Points of one draw of the weights are not independent of each other: then the groups, which are
 * of draws, tell the error. */
static int is_independent(const struct sg_sampling *p) {
    return p->draws == 0 || p->samples == 1;
}

static int is_analytic(const struct sg_instance *inst) {
    return inst->method->standard_error != NULL && inst->params.reduction == SG_CHANNELS_NONE &&
           !sg_filter_is_on(&inst->params.filter) && is_independent(&inst->params.sampling);
}

static int is_jackknifed(const struct sg_instance *inst) {
    return sg_instance_has_sweep(inst) && inst->params.standard_error && !is_analytic(inst);
}

int sg_instance_n_powers(const struct sg_instance *inst) {
    const int n = inst->method->n_powers;

    /* The standard error of a mean reads the squares. */
    return sg_instance_has_sweep(inst) && inst->params.standard_error && is_analytic(inst) && n < 2
               ? 2
               : n;
}

int sg_instance_n_groups(const struct sg_instance *inst) {
    const int n =
        inst->method->probe == SG_PROBE_GATES ? 2 << inst->params.groups : SG_SUMS_MAX_GROUPS;

    return is_jackknifed(inst) ? n : 1;
}

int64_t sg_sampling_n_draws(const struct sg_sampling *p) {
    const int64_t n = p->clean == SG_CLEAN_ONE_OF_N ? p->samples - 1 : p->samples;

    return p->draws > 0 ? p->draws * n : n;
}

static int64_t map_size(const struct sg_instance *inst, const struct sg_finish *in) {
    struct sg_shape shape;

    sg_instance_map_shape(inst, in->shape, in->input, &shape);
    return sg_shape_size(&shape);
}

int64_t sg_instance_n_work(const struct sg_instance *inst, const struct sg_shape *read,
                           const struct sg_shape *input) {
    const struct sg_finish in = {.shape = read, .input = input};

    return (is_jackknifed(inst) ? 5 : 1) * map_size(inst, &in) + sg_map_n_work(inst, read, input) +
           (inst->params.scale != SG_SCALE_NONE ? sg_shape_size(read) : 0);
}

struct methods_workspace methods_split_work(const struct sg_instance *inst,
                                            const struct sg_finish *in, double *work) {
    const int64_t m = map_size(inst, in);
    double *map = work + (is_jackknifed(inst) ? 5 : 1) * m;

    return (struct methods_workspace){.all = work,
                                      .without = work + m,
                                      .knife = work + 2 * m,
                                      .map = map,
                                      .mean = map + sg_map_n_work(inst, in->shape, in->input)};
}

/* To float; every value must be a number. */
sg_status methods_store_map(const char *label, int64_t n, const double *from, float *to) {
    sg_status status = SG_OK;

    for (int64_t i = 0; i < n; i++) {
        to[i] = (float)from[i];
        SG_CHECK(isfinite(to[i]), SG_E_NUMBERS,
                 "%s: element %lld of the map is not finite (%g); the network's gradients hold "
                 "such values, or are too large for it",
                 label, (long long)i, from[i]);
    }
done:
    return status;
}

/* An error that is unknown (too few samples) is NaN, and stays so. */
void methods_store_se(int64_t n, const double *from, float *to) {
    for (int64_t i = 0; i < n; i++) {
        to[i] = (float)from[i];
    }
}

static void fill(int64_t n, float value, float *out) {
    for (int64_t i = 0; i < n; i++) {
        out[i] = value;
    }
}

/* 1 if the method can be finished without any one of the groups, and there are two of them. */
static int can_jackknife(const struct sg_instance *inst, const struct sg_sums *sums) {
    const int64_t n = sg_sums_n_added(sums);
    int n_groups = 0;

    for (int g = 0; g < sg_sums_n_groups(sums); g++) {
        const int64_t m = sg_sums_group_count(sums, g);

        n_groups += m > 0;
        if (n - m < inst->method->min_samples) {
            return 0;
        }
    }
    return n_groups >= 2;
}

/* Into work->map[M], which sg_instance_map is done with at the end. `one` holds all groups. */
static sg_status jackknife(const struct sg_instance *inst, const struct sg_sums *sums,
                           struct sg_sums *one, const struct sg_finish *in,
                           const struct methods_workspace *work) {
    sg_status status = SG_OK;
    struct sg_jackknife j;

    sg_jackknife_begin(&j, work->all, map_size(inst, in), sg_sums_n_added(sums), work->knife);
    for (int g = 0; g < sg_sums_n_groups(sums); g++) {
        if (sg_sums_group_count(sums, g) > 0) {
            sg_sums_remove_group(sums, g, one);
            SG_TRY(sg_instance_map(inst, in, work->map, work->without));
            sg_sums_restore_group(sums, g, one);
            sg_jackknife_add(&j, work->without, sg_sums_group_count(sums, g));
        }
    }
    sg_jackknife_se(&j, work->map);
done:
    return status;
}

static sg_status finish_se(const struct sg_instance *inst, const struct sg_sums *sums,
                           struct sg_sums *one, const struct sg_finish *in,
                           const struct methods_workspace *work, float *se) {
    sg_status status = SG_OK;
    const int64_t m = map_size(inst, in);

    if (!sg_instance_has_sweep(inst)) {
        fill(m, 0, se);
        goto done;
    }
    if (is_analytic(inst) ? sg_sums_n_added(sums) < 2 : !can_jackknife(inst, sums)) {
        fill(m, NAN, se);
        goto done;
    }
    if (is_analytic(inst)) {
        SG_TRY(inst->method->standard_error(in, work->map));
        sg_map_to_space(inst, in, work->map);
    } else {
        SG_TRY(jackknife(inst, sums, one, in, work));
    }
    methods_store_se(m, work->map, se);
done:
    return status;
}

sg_status sg_instance_finish(const struct sg_instance *inst, const struct sg_finish *from,
                             const struct sg_sums *sums, struct sg_sums *one, double *work,
                             float *map, float *se) {
    sg_status status = SG_OK;
    const int64_t m = map_size(inst, from);
    const struct methods_workspace w = methods_split_work(inst, from, work);
    struct sg_finish in = *from;

    in.params = &inst->params;
    in.sums = sg_instance_has_sweep(inst) ? one : NULL;
    SG_ASSERT(se == NULL || inst->params.standard_error || !sg_instance_has_sweep(inst));
    if (sg_instance_has_sweep(inst)) {
        const int64_t n = sg_sums_n_added(sums);

        SG_CHECK(n >= inst->method->min_samples, SG_E_NUMBERS,
                 "%s: %lld of the samples have finite gradients, %lld are needed", inst->label,
                 (long long)n, (long long)inst->method->min_samples);
        sg_sums_collapse(sums, -1, one);
    }
    SG_TRY(sg_instance_map(inst, &in, w.map, w.all));
    SG_TRY(methods_store_map(inst->label, m, w.all, map));
    if (se != NULL) {
        SG_TRY(finish_se(inst, sums, one, &in, &w, se));
    }
done:
    return status;
}
