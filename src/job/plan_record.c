/* src/job/plan_record.c - what the result keeps of an item. */
#include "plan_impl.h"

#include <stdio.h>
#include <string.h>

/* The axes that fields share. */
struct axes {
    struct sg_axis target;
    struct sg_axis target_stage[2];
    struct sg_axis channel;
};

static struct sg_axis axis(const char *name, int64_t length) {
    struct sg_axis a = {.length = length};

    (void)snprintf(a.name, sizeof a.name, "%s", name);
    return a;
}

static struct axes axes_of(const struct sg_plan *plan) {
    const struct sg_axis target = axis("target", plan->n_targets);

    return (struct axes){.target = target,
                         .target_stage = {target, axis("stage", plan->max_stages)},
                         .channel = axis("channel", plan->input.axes[0])};
}

static sg_status add_items(struct sg_record *r, const struct axes *a) {
    sg_status status = SG_OK;

    SG_TRY(sg_record_add(r, SG_FIELD_STATUS, SG_TYPE_U8, 0, 0, NULL,
                         "state of the item: 0 pending, 1 done, 2 failed"));
    SG_TRY(sg_record_add(r, SG_FIELD_MESSAGE, SG_TYPE_TEXT, SG_MESSAGE_BYTES, 0, NULL,
                         "why the item failed, empty otherwise"));
    SG_TRY(sg_record_add(
        r, SG_FIELD_PREDICTED, SG_TYPE_I32, 0, 0, NULL,
        "class with the largest output at the clean item; of a field, the one at most positions; "
        "-1: no classes"));
    SG_TRY(sg_record_add(
        r, SG_FIELD_TARGET, SG_TYPE_I32, 0, 1, &a->target,
        "class that is explained, -1: the output has none; provenance/targets says what of it"));
    SG_TRY(sg_record_add(r, SG_FIELD_SCORE, SG_TYPE_F64, 0, 1, &a->target,
                         "explained score of the target at the clean item, in the units of "
                         "model.explain.score"));
    SG_TRY(sg_record_add(r, SG_FIELD_PROBABILITY, SG_TYPE_F64, 0, 1, &a->target,
                         "softmax over the classes at the clean item, for the target (mean over "
                         "its positions); 0 to "
                         "1, NaN without classes"));
    SG_TRY(sg_record_add(r, SG_FIELD_NONFINITE, SG_TYPE_I64, 0, 0, NULL,
                         "samples with a gradient that was not finite; count over sweeps and "
                         "targets"));
    SG_TRY(sg_record_add(r, "items/forwards", SG_TYPE_I64, 0, 0, NULL,
                         "samples sent forward through the network; count"));
    SG_TRY(sg_record_add(r, "items/backwards", SG_TYPE_I64, 0, 0, NULL,
                         "samples sent backward through the network; count"));
    SG_TRY(sg_record_add(r, "items/seconds", SG_TYPE_F64, 0, 0, NULL,
                         "wall-clock time of the item; seconds"));
done:
    return status;
}

static sg_status add(struct sg_record *r, const char *group, const struct sg_instance *inst,
                     const char *name, enum sg_type type, int n_axes, const struct sg_axis *axes,
                     const char *about) {
    char path[SG_MAX_PATH + 1];

    (void)snprintf(path, sizeof path, "%s/%s/%s", group, inst->label, name);
    return sg_record_add(r, path, type, 0, n_axes, axes, about);
}

/* The map's axes behind the target: those of the tensor that is read, without channels where they
 * are reduced; the input's where the map was brought to its size. Axes of layers have names of
 * their own. */
static int map_axes(const struct sg_plan *plan, int i_instance, struct sg_axis *out) {
    static const char *const space[] = {"z", "y", "x"};
    const struct sg_instance *inst = &plan->job->instances[i_instance];
    const int is_layer =
        inst->params.probing.layer[0] != '\0' && inst->params.cam.size == SG_SIZE_LAYER;
    const char *layer = is_layer ? "layer_" : "";
    const int n_space = sg_plan_read_shape(plan, i_instance)->n_axes - 1;
    struct sg_shape shape;

    sg_plan_map_shape(plan, i_instance, &shape);
    for (int i = 0; i < shape.n_axes; i++) {
        const int from_end = shape.n_axes - i;
        char name[SG_MAX_AXIS_NAME + 1];

        (void)snprintf(name, sizeof name, "%s%s", layer,
                       from_end <= n_space ? space[3 - from_end] : "channel");
        out[i] = axis(name, shape.axes[i]);
    }
    return shape.n_axes;
}

/* What the map is, and its unit. */
static void map_text(const struct sg_instance *inst, char *buf, size_t cap) {
    static const char *const rules[] = {"", " under guided backpropagation",
                                        " under DeconvNet's rule"};
    const char *layer = inst->params.probing.layer;
    const char *per = inst->params.probing.kind == SG_PROBE_PATH ? ""
                      : layer[0] != '\0'                         ? " per unit of the layer"
                      : inst->params.space == SG_SPACE_PIXEL ? " per unit of a pixel (white is 1)"
                                                             : " per unit of the model's input";
    const struct sg_method *inner = sg_instance_inner(inst);
    const char *unit = inst->method->unit;

    (void)snprintf(buf, cap, "%.30s%s%.24s map%s%.20s%.29s%s%s, in units of %.30s%s%s",
                   sg_instance_outer(inst)->name, inner != NULL ? " of " : "",
                   inner != NULL ? inner->name : "", layer[0] != '\0' ? " at " : "", layer,
                   rules[inst->params.probing.rule],
                   inst->params.probing.absolute ? ", absolute" : "",
                   sg_filter_is_on(&inst->params.filter) ? ", filtered" : "",
                   unit != NULL ? unit : "the score", unit != NULL ? "" : per,
                   unit != NULL ? "" : " in the method's formula");
}

static sg_status add_map(struct sg_plan *plan, int i_instance, const struct axes *a) {
    sg_status status = SG_OK;
    const struct sg_instance *inst = &plan->job->instances[i_instance];
    struct sg_record *r = &plan->record;
    struct sg_axis axes[SG_MAX_FIELD_AXES] = {a->target};
    const int n_axes = 1 + map_axes(plan, i_instance, axes + 1);
    char about[256]; /* a record keeps the first 199 bytes */

    map_text(inst, about, sizeof about);
    SG_TRY(add(r, "maps", inst, "map", SG_TYPE_F32, n_axes, axes, about));
    if (inst->params.standard_error && inst->method->sampler->is_stochastic) {
        SG_TRY(add(r, "maps", inst, "se", SG_TYPE_F32, n_axes, axes,
                   "standard error of the map from the finite number of samples, in its units"));
    }
    SG_TRY(
        add(r, "maps", inst, "samples", SG_TYPE_I64, 1, &a->target, "samples in the map; count"));
done:
    return status;
}

static sg_status add_noise(struct sg_plan *plan, const struct sg_instance *inst,
                           const struct axes *a) {
    sg_status status = SG_OK;
    struct sg_record *r = &plan->record;

    SG_TRY(add(r, "maps", inst, "sigma", SG_TYPE_F64, 1, &a->channel,
               "standard deviation of the noise, the mean over the channel where it varies; units "
               "of the model's input"));
    SG_TRY(add(r, "maps", inst, "out_of_range", SG_TYPE_F64, 0, NULL,
               "share of the elements of noisy inputs outside the domain, before `outside` is "
               "applied; 0 to 1, NaN without a domain"));
done:
    return status;
}

/* The factor of a map from mean gates. */
static sg_status add_scale(struct sg_plan *plan, const struct sg_instance *inst,
                           const struct axes *a) {
    sg_status status = SG_OK;
    struct sg_record *r = &plan->record;

    if (inst->params.scale == SG_SCALE_NONE) {
        return SG_OK;
    }
    SG_TRY(add(r, "maps", inst, "scale", SG_TYPE_F64, 1, &a->target,
               "factor that is in the map: it comes nearest to the mean gradient with it; ratio"));
    SG_TRY(add(r, "maps", inst, "scale_se", SG_TYPE_F64, 1, &a->target,
               "standard error of the scale, NaN where errors are not asked for; ratio"));
done:
    return status;
}

static sg_status add_convergence(struct sg_plan *plan, const struct sg_instance *inst,
                                 const struct axes *a) {
    static const char group[] = "convergence";
    sg_status status = SG_OK;
    struct sg_record *r = &plan->record;
    const struct sg_axis *axes = a->target_stage;

    SG_TRY(add(r, group, inst, "samples", SG_TYPE_I64, 2, axes,
               "samples in the sums at the end of the stage; count, 0 past the last stage"));
    SG_TRY(add(r, group, inst, "norm", SG_TYPE_F64, 2, axes,
               "L2 norm of the map at the end of the stage; units of the map"));
    SG_TRY(add(r, group, inst, "error", SG_TYPE_F64, 2, axes,
               "L2 norm of the map's standard error; units of the map"));
    SG_TRY(add(r, group, inst, "relative_error", SG_TYPE_F64, 2, axes, "error / norm; ratio"));
    SG_TRY(add(r, group, inst, "change", SG_TYPE_F64, 2, axes,
               "L2 norm of the difference to the map of the stage before, by the norm; ratio"));
done:
    return status;
}

/* What the path to the item itself says. */
static sg_status add_path(struct sg_plan *plan, const struct sg_instance *inst,
                          const struct axes *a) {
    sg_status status = SG_OK;
    struct sg_record *r = &plan->record;
    const struct sg_path *path = &inst->params.probing.path;

    if (!sg_path_has_facts(path)) {
        return SG_OK;
    }
    SG_TRY(add(r, "maps", inst, "baseline_score", SG_TYPE_F64, 1, &a->target,
               "explained score of the target at the baseline, the mean over several; units of "
               "model.explain.score"));
    if (path->kind != SG_PATH_DECISION) {
        SG_TRY(add(r, "maps", inst, "completeness_gap", SG_TYPE_F64, 1, &a->target,
                   "sum over the path to the item itself, less the difference of the scores at its "
                   "ends, which it is in the limit of many nodes; units of the score"));
    }
    if (path->kind == SG_PATH_SPLIT) {
        SG_TRY(add(r, "maps", inst, "t_star", SG_TYPE_F64, 1, &a->target,
                   "where the score saturates on the path to the item itself, the mean over "
                   "baselines; 0 at the baseline, 1 at the item"));
    }
done:
    return status;
}

static sg_status add_cost(struct sg_plan *plan, const struct sg_instance *inst) {
    static const char group[] = "cost";
    sg_status status = SG_OK;
    struct sg_record *r = &plan->record;

    SG_TRY(add(r, group, inst, "forwards", SG_TYPE_I64, 0, NULL,
               "samples that the method alone would send forward through the network; count"));
    SG_TRY(add(r, group, inst, "backwards", SG_TYPE_I64, 0, NULL,
               "samples that the method alone would send backward through the network; count"));
    SG_TRY(add(r, group, inst, "seconds", SG_TYPE_F64, 0, NULL,
               "time of all ranks for the passes that the method takes part in, however many share "
               "them, and for its maps; seconds"));
    SG_TRY(add(r, group, inst, "bytes", SG_TYPE_I64, 0, NULL,
               "memory of a rank for the method's sums and what it reads at the item; bytes"));
done:
    return status;
}

sg_status sg_plan_make_record(struct sg_plan *plan) {
    sg_status status = SG_OK;
    const struct axes a = axes_of(plan);

    SG_TRY(add_items(&plan->record, &a));
    for (int i = 0; i < plan->job->n_instances; i++) {
        const struct sg_instance *inst = &plan->job->instances[i];

        SG_TRY(add_map(plan, i, &a));
        SG_TRY(add_cost(plan, inst));
        if (inst->params.probing.kind == SG_PROBE_PATH) {
            SG_TRY(add_path(plan, inst, &a));
        }
        if (plan->sweep_of[i] >= 0) {
            if (!inst->method->sampler->is_noiseless) {
                SG_TRY(add_noise(plan, inst, &a));
            }
            SG_TRY(add_scale(plan, inst, &a));
            SG_TRY(add_convergence(plan, inst, &a));
        }
    }
done:
    return status;
}
