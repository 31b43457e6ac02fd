/* src/job/plan_check.c - what can only be judged with model and items at hand. */
#include "plan_impl.h"

static sg_status check_given(const struct sg_plan *plan, const struct sg_items *items) {
    sg_status status = SG_OK;
    const struct sg_job *job = plan->job;

    if (job->target_file == NULL) {
        return SG_OK;
    }
    SG_ASSERT(job->given_targets != NULL);
    for (int64_t i = 0; i < plan->n_items * job->n_targets; i++) {
        SG_CHECK(job->given_targets[i] >= 0 && job->given_targets[i] < plan->places[0].n_classes,
                 SG_E_JOB,
                 "%s: target.from: %s has the target %d for the item '%s', which is not an output "
                 "of the model, 0 to %lld",
                 job->file, job->target_file, (int)job->given_targets[i],
                 sg_items_name(items, i / job->n_targets),
                 (long long)plan->places[0].n_classes - 1);
    }
done:
    return status;
}

static sg_status check_label(const struct sg_plan *plan, const struct sg_items *items,
                             const struct sg_target_place *p) {
    sg_status status = SG_OK;
    const char *file = plan->job->file;

    for (int64_t i = 0; i < plan->n_items; i++) {
        const long long label = sg_items_label(items, i);

        SG_CHECK(label >= 0, SG_E_JOB,
                 "%s: target: label, but the item '%s' has none; put the images into a folder for "
                 "each class, or give data.labels",
                 file, sg_items_name(items, i));
        SG_CHECK(label < p->n_classes, SG_E_JOB,
                 "%s: target: the label %lld of the item '%s' is not an output of the model, 0 to "
                 "%lld",
                 file, label, sg_items_name(items, i), (long long)p->n_classes - 1);
    }
done:
    return status;
}

static sg_status check_labels(const struct sg_plan *plan, const struct sg_items *items) {
    sg_status status = SG_OK;

    for (int64_t t = 0; t < plan->n_targets; t++) {
        if (plan->job->targets[t].choice == SG_CHOICE_LABEL) {
            SG_TRY(check_label(plan, items, &plan->places[t]));
        }
    }
done:
    return status;
}

static sg_status check_preprocess(const struct sg_plan *plan) {
    sg_status status = SG_OK;
    const struct sg_preprocess *p = &plan->job->data.preprocess;
    const long long c = plan->input.axes[0];

    SG_CHECK(p->n_mean <= 1 || p->n_mean == c, SG_E_JOB,
             "%s: data.preprocess.mean: %d values for %lld channels; give one, or one a channel",
             plan->job->file, p->n_mean, c);
    SG_CHECK(p->n_std <= 1 || p->n_std == c, SG_E_JOB,
             "%s: data.preprocess.std: %d values for %lld channels; give one, or one a channel",
             plan->job->file, p->n_std, c);
done:
    return status;
}

static sg_status check_domain(const struct sg_plan *plan, const struct sg_instance *inst) {
    sg_status status = SG_OK;
    const struct sg_sampling *s = &inst->params.sampling;
    const char *file = plan->job->file;
    static const char how[] = "give data.domain, like {space: pixel, bounds: [0, 1]}";

    if (plan->domain.known) {
        return SG_OK;
    }
    SG_CHECK(!inst->method->sampler->needs_domain, SG_E_JOB,
             "%s: methods.%s: %s needs the range of the data; %s", file, inst->label,
             inst->method->name, how);
    SG_CHECK(s->range != SG_RANGE_DOMAIN, SG_E_JOB,
             "%s: methods.%s.noise.range: domain needs the range of the data; %s", file,
             inst->label, how);
    SG_CHECK(s->outside == SG_OUTSIDE_KEEP, SG_E_JOB,
             "%s: methods.%s.noise.outside: clip and reflect need the range of the data; %s", file,
             inst->label, how);
done:
    return status;
}

static sg_status check_samples(const struct sg_plan *plan, const struct sg_instance *inst) {
    sg_status status = SG_OK;
    const struct sg_sampling *s = &inst->params.sampling;
    const int64_t min = inst->method->min_samples > 1 ? inst->method->min_samples : 1;
    const int64_t n = sg_sampling_n_draws(s);

    SG_CHECK(!inst->method->sampler->is_stochastic || n >= min, SG_E_JOB,
             "%s: methods.%s.samples: %lld %s too few, %s needs %lld%s", plan->job->file,
             inst->label, (long long)s->samples, s->samples == 1 ? "is" : "are", inst->method->name,
             (long long)(min + s->samples - n),
             s->clean == SG_CLEAN_ONE_OF_N ? " where the clean input is one of them" : "");
done:
    return status;
}

/* Also where the memory for so many draws would be there. */
static sg_status check_weights(const struct sg_plan *plan, const struct sg_instance *inst) {
    sg_status status = SG_OK;
    const struct sg_sampling *s = &inst->params.sampling;

    SG_CHECK(
        s->draws == 0 || s->samples <= SG_SAMPLES_MAX / s->draws, SG_E_JOB,
        "%s: methods.%s.samples: %lld for each of %lld draws of the weights are more than %lld "
        "together",
        plan->job->file, inst->label, (long long)s->samples, (long long)s->draws,
        (long long)SG_SAMPLES_MAX);
done:
    return status;
}

static sg_status check_confidence(const struct sg_plan *plan, const struct sg_instance *inst) {
    sg_status status = SG_OK;
    const struct sg_sampling *s = &inst->params.sampling;

    SG_CHECK(s->z != SG_Z_ONE_SIDED || s->confidence > 0.5, SG_E_JOB,
             "%s: methods.%s.confidence: %g is too small for z: one_sided, which needs more than "
             "0.5",
             plan->job->file, inst->label, s->confidence);
done:
    return status;
}

static sg_status check_channels(const struct sg_plan *plan, int i_instance) {
    sg_status status = SG_OK;
    const struct sg_instance *inst = &plan->job->instances[i_instance];
    const struct sg_shape *read = sg_plan_read_shape(plan, i_instance);
    const int64_t c = plan->input.axes[0];
    const uint64_t mask = inst->params.sampling.channels;

    SG_CHECK(inst->params.reduction == SG_CHANNELS_NONE || read->n_axes > 1, SG_E_JOB,
             "%s: methods.%s.channels: %s has no axis beside its %lld channels, so that nothing "
             "would be left; set channels: none",
             plan->job->file, inst->label,
             inst->params.probing.layer[0] != '\0' ? "the layer" : "the model's input",
             (long long)read->axes[0]);
    SG_CHECK(mask == UINT64_MAX || c >= SG_MAX_CHANNELS || mask >> c == 0, SG_E_JOB,
             "%s: methods.%s.noise.channels: the model's input has the channels 0 to %lld alone",
             plan->job->file, inst->label, (long long)c - 1);
done:
    return status;
}

/* The first of the chosen feature maps that a layer of n channels does not have, or -1. */
static int64_t missing_map(const struct sg_cam *cam, int64_t n) {
    for (int64_t k = n; k < SG_MAX_FEATURE_MAPS; k++) {
        if (sg_cam_is_chosen(cam, k)) {
            return k;
        }
    }
    return -1;
}

static sg_status check_cam(const struct sg_plan *plan, int i_instance) {
    sg_status status = SG_OK;
    const struct sg_instance *inst = &plan->job->instances[i_instance];
    const struct sg_shape *read = sg_plan_read_shape(plan, i_instance);
    const struct sg_cam *cam = &inst->params.cam;
    const char *file = plan->job->file;
    const int n_places = read->n_axes - 1;
    const int64_t missing = missing_map(cam, read->axes[0]);

    if (inst->method->over != SG_OVER_PLACES) {
        return SG_OK;
    }
    SG_CHECK(n_places > 0, SG_E_JOB,
             "%s: methods.%s.layer: the layer '%s' is a vector of %lld numbers; %s needs one with "
             "places, like the output of a convolution",
             file, inst->label, inst->params.probing.layer, (long long)read->axes[0],
             inst->method->name);
    SG_CHECK(missing < 0, SG_E_JOB,
             "%s: methods.%s.maps: there is no feature map %lld, the layer '%s' has 0 to %lld",
             file, inst->label, (long long)missing, inst->params.probing.layer,
             (long long)read->axes[0] - 1);
    SG_CHECK(cam->n_neurons == 0 || cam->n_neurons == n_places, SG_E_JOB,
             "%s: methods.%s.neurons: a box of %d axes, but the layer '%s' has %d beside its "
             "channels",
             file, inst->label, cam->n_neurons, inst->params.probing.layer, n_places);
    for (int a = 0; a < cam->n_neurons; a++) {
        SG_CHECK(cam->neurons[cam->n_neurons + a] <= read->axes[a + 1], SG_E_JOB,
                 "%s: methods.%s.neurons: the box ends at %lld, the layer '%s' at %lld", file,
                 inst->label, (long long)cam->neurons[cam->n_neurons + a],
                 inst->params.probing.layer, (long long)read->axes[a + 1]);
    }
    SG_CHECK(
        cam->size == SG_SIZE_LAYER || n_places == plan->input.n_axes - 1, SG_E_JOB,
        "%s: methods.%s.size: the layer '%s' has %d axes beside its channels, the input %d, so "
        "that its map has no place there; set size: layer",
        file, inst->label, inst->params.probing.layer, n_places, plan->input.n_axes - 1);
done:
    return status;
}

static sg_status check_places(const struct sg_plan *plan, int i_instance) {
    sg_status status = SG_OK;
    const struct sg_instance *inst = &plan->job->instances[i_instance];
    struct sg_shape map;

    sg_plan_map_shape(plan, i_instance, &map);
    SG_CHECK((inst->method->uses & SG_USES_PLACES) == 0 || plan->input.n_axes > 1, SG_E_JOB,
             "%s: methods.%s: %s needs places, but the model's input is a vector of %lld numbers",
             plan->job->file, inst->label, inst->method->name, (long long)plan->input.axes[0]);
    SG_CHECK(inst->params.filter.lowpass <= 0 || sg_plan_read_shape(plan, i_instance)->n_axes > 1,
             SG_E_JOB,
             "%s: methods.%s.filter.lowpass: it filters along places, but the map is a vector of "
             "%lld numbers",
             plan->job->file, inst->label, (long long)map.axes[0]);
    SG_CHECK(inst->params.filter.lowpass <= 0 || sg_plan_read_shape(plan, i_instance)->n_axes < 4,
             SG_E_JOB,
             "%s: methods.%s.filter.lowpass: it is of rows and columns, but the map has %d axes of "
             "places",
             plan->job->file, inst->label, sg_plan_read_shape(plan, i_instance)->n_axes - 1);
done:
    return status;
}

/* Sums of slopes must not overflow. */
static sg_status check_slopes(const struct sg_plan *plan, const struct sg_instance *inst) {
    sg_status status = SG_OK;
    const int64_t most = SG_COUNTS_MAX_SLOPES * sg_instance_n_groups(inst);

    SG_CHECK(inst->params.probing.kind != SG_PROBE_GATES || plan->model->gates.n_slopes == 0 ||
                 sg_sampling_n_draws(&inst->params.sampling) <= most,
             SG_E_JOB,
             "%s: methods.%s.samples: mean slopes of smooth functions hold %lld samples at most",
             plan->job->file, inst->label, (long long)most);
done:
    return status;
}

static sg_status check_path(const struct sg_plan *plan, const struct sg_instance *inst) {
    sg_status status = SG_OK;
    const struct sg_path *p = &inst->params.probing.path;
    const long long c = plan->input.axes[0];

    if (inst->params.probing.kind != SG_PROBE_PATH) {
        return SG_OK;
    }
    SG_CHECK(p->quadrature != SG_QUADRATURE_TRAPEZOID || p->nodes >= 2, SG_E_JOB,
             "%s: methods.%s.nodes: the trapezoid rule needs at least 2", plan->job->file,
             inst->label);
    for (int i = 0; i < p->n_baselines; i++) {
        const int n = p->baselines[i].n_values;

        SG_CHECK(n <= 1 || n == c, SG_E_JOB,
                 "%s: methods.%s.baseline: %d constants for %lld channels; give one, or one a "
                 "channel",
                 plan->job->file, inst->label, n, c);
        SG_CHECK(p->baselines[i].kind != SG_BASELINE_BLURRED || plan->input.n_axes > 1, SG_E_JOB,
                 "%s: methods.%s.baseline: the model's input has no axis that could be blurred",
                 plan->job->file, inst->label);
    }
done:
    return status;
}

/* Numbers of a block that are counted in an int, or sums that must not overflow. */
static sg_status check_size(const struct sg_plan *plan) {
    sg_status status = SG_OK;

    SG_CHECK(plan->input.n_axes <= SG_MAX_MAP_AXES, SG_E_JOB,
             "%s: model.file: the model's input has %d axes beside the channels; at most three are "
             "supported",
             plan->job->file, plan->input.n_axes - 1);
    SG_CHECK(plan->n_items > 0, SG_E_JOB, "%s: data: there are no items", plan->job->file);
done:
    return status;
}

sg_status sg_plan_check(const struct sg_plan *plan, const struct sg_items *items) {
    sg_status status = SG_OK;

    SG_TRY(check_size(plan));
    SG_TRY(check_labels(plan, items));
    SG_TRY(check_given(plan, items));
    SG_TRY(check_preprocess(plan));
    for (int i = 0; i < plan->job->n_instances; i++) {
        const struct sg_instance *inst = &plan->job->instances[i];

        SG_TRY(check_domain(plan, inst));
        SG_TRY(check_samples(plan, inst));
        SG_TRY(check_confidence(plan, inst));
        SG_TRY(check_weights(plan, inst));
        SG_TRY(check_channels(plan, i));
        SG_TRY(check_cam(plan, i));
        SG_TRY(check_places(plan, i));
        SG_TRY(check_slopes(plan, inst));
        SG_TRY(check_path(plan, inst));
    }
done:
    return status;
}
