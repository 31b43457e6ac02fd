/* src/methods/finish.c - an instance: what it wants of its sweep, and its map and error from it. */
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
           is_independent(&inst->params.sampling);
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

void sg_instance_map_shape(const struct sg_instance *inst, const struct sg_shape *read,
                           struct sg_shape *out) {
    struct sg_shape shape = *read;

    if (inst->params.reduction != SG_CHANNELS_NONE) {
        shape = (struct sg_shape){.n_axes = 1, .axes = {1}};
        for (int i = 1; i < read->n_axes; i++) {
            shape.axes[i - 1] = read->axes[i];
            shape.n_axes = i;
        }
    }
    *out = shape;
}

static int64_t map_size(const struct sg_instance *inst, const struct sg_shape *read) {
    struct sg_shape shape;

    sg_instance_map_shape(inst, read, &shape);
    return sg_shape_size(&shape);
}

/* The workspace: the unreduced map, the map, the map without a group, the jackknife's sums. */
struct workspace {
    double *full;    /* [D] */
    double *all;     /* [M] */
    double *without; /* [M] */
    double *knife;   /* [3 M] */
};

int64_t sg_instance_n_work(const struct sg_instance *inst, const struct sg_shape *read) {
    const int64_t m = map_size(inst, read);

    const int n_full = inst->params.scale != SG_SCALE_NONE ? 2 : 1; /* and the mean gradient */

    return n_full * sg_shape_size(read) + (is_jackknifed(inst) ? 5 * m : m);
}

static struct workspace split_work(double *work, int64_t d, int64_t m) {
    return (struct workspace){work, work + d, work + d + m, work + d + 2 * m};
}

/* v[D] from the model's input into the space of the map: df/dpixel = df/dinput dinput/dpixel, and
 * what goes with a power of the gradient goes with that power of the factor. */
static void to_space(const struct sg_instance *inst, const struct sg_finish *in, double *v) {
    const int64_t plane = sg_shape_plane(in->shape);

    /* What a path reads is in units of the score: its space has decided what zero is. */
    if (inst->params.space == SG_SPACE_INPUT || inst->params.probing.kind == SG_PROBE_PATH) {
        return;
    }
    for (int64_t c = 0; c < in->shape->axes[0]; c++) {
        double factor = 1;

        for (int power = 0; power < inst->method->gradient_power; power++) {
            factor *= in->domain->input_per_pixel[c];
        }
        for (int64_t i = c * plane; i < (c + 1) * plane; i++) {
            v[i] *= factor;
        }
    }
}

sg_status sg_instance_map(const struct sg_instance *inst, const struct sg_finish *in, double *full,
                          double *map) {
    sg_status status = SG_OK;

    SG_TRY(inst->method->finish(in, full));
    to_space(inst, in, full);
    sg_reduce_channels(inst->params.reduction, in->shape->axes[0], sg_shape_plane(in->shape), full,
                       map);
done:
    return status;
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

/* Into work->full[M], which sg_instance_map is done with at the end. `one` holds all groups. */
static sg_status jackknife(const struct sg_instance *inst, const struct sg_sums *sums,
                           struct sg_sums *one, const struct sg_finish *in,
                           const struct workspace *work) {
    sg_status status = SG_OK;
    struct sg_jackknife j;

    sg_jackknife_begin(&j, work->all, map_size(inst, in->shape), sg_sums_n_added(sums),
                       work->knife);
    for (int g = 0; g < sg_sums_n_groups(sums); g++) {
        if (sg_sums_group_count(sums, g) > 0) {
            sg_sums_remove_group(sums, g, one);
            SG_TRY(sg_instance_map(inst, in, work->full, work->without));
            sg_sums_restore_group(sums, g, one);
            sg_jackknife_add(&j, work->without, sg_sums_group_count(sums, g));
        }
    }
    sg_jackknife_se(&j, work->full);
done:
    return status;
}

static sg_status finish_se(const struct sg_instance *inst, const struct sg_sums *sums,
                           struct sg_sums *one, const struct sg_finish *in,
                           const struct workspace *work, float *se) {
    sg_status status = SG_OK;
    const int64_t m = map_size(inst, in->shape);

    if (!sg_instance_has_sweep(inst)) {
        fill(m, 0, se);
        goto done;
    }
    if (is_analytic(inst) ? sg_sums_n_added(sums) < 2 : !can_jackknife(inst, sums)) {
        fill(m, NAN, se);
        goto done;
    }
    if (is_analytic(inst)) {
        SG_TRY(inst->method->standard_error(in, work->full));
        to_space(inst, in, work->full);
    } else {
        SG_TRY(jackknife(inst, sums, one, in, work));
    }
    methods_store_se(m, work->full, se);
done:
    return status;
}

sg_status sg_instance_finish(const struct sg_instance *inst, const struct sg_shape *read,
                             const struct sg_domain *domain, const struct sg_sums *sums,
                             struct sg_sums *one, const float *x, const float *clean, double *work,
                             float *map, float *se) {
    sg_status status = SG_OK;
    const int64_t m = map_size(inst, read);
    const struct workspace w = split_work(work, sg_shape_size(read), m);
    const struct sg_finish in = {.sums = sg_instance_has_sweep(inst) ? one : NULL,
                                 .shape = read,
                                 .x = x,
                                 .clean = clean,
                                 .n_features = sg_shape_size(read),
                                 .domain = domain,
                                 .params = &inst->params};

    SG_ASSERT(se == NULL || inst->params.standard_error || !sg_instance_has_sweep(inst));
    if (sg_instance_has_sweep(inst)) {
        const int64_t n = sg_sums_n_added(sums);

        SG_CHECK(n >= inst->method->min_samples, SG_E_NUMBERS,
                 "%s: %lld of the samples have finite gradients, %lld are needed", inst->label,
                 (long long)n, (long long)inst->method->min_samples);
        sg_sums_collapse(sums, -1, one);
    }
    SG_TRY(sg_instance_map(inst, &in, w.full, w.all));
    SG_TRY(methods_store_map(inst->label, m, w.all, map));
    if (se != NULL) {
        SG_TRY(finish_se(inst, sums, one, &in, &w, se));
    }
done:
    return status;
}
