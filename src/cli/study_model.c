/* src/cli/study_model.c - the model on all ranks: read by rank 0, its weights once a machine.
 *
 * Two blocks of memory a machine. The first holds the model's image while all ranks build the model
 * from it, the second the weights as the kernels want them: one rank of the machine makes them, the
 * others point at them. */
#include "cli/study_impl.h"
#include "sgdist/memory.h"
#include "sgdist/worker.h"

#include <string.h>

sg_status sg_study_read_model(struct study *s) {
    sg_status status = SG_OK;

    SG_TRY(sg_model_image_read(s->job->model_file, &s->image));
    memcpy(s->model_sha256, s->image.sha256, sizeof s->model_sha256);
done:
    return status;
}

/* What all ranks have to know before they have the job. */
struct terms {
    uint64_t n;
    uint64_t n_reading;
    uint64_t share;
    char model_sha256[sizeof((struct study *)0)->model_sha256]; /* part of the study's identity */
};

sg_status sg_study_share_image(const struct sg_comm *world, struct study *s) {
    sg_status status = SG_OK;
    const int is_root = sg_comm_rank(world) == 0;
    struct terms terms = {.n = s->image.n, /* of rank 0 */
                          .n_reading = s->image.n_reading,
                          .share = is_root && s->job->share_weights};

    if (sg_comm_size(world) == 1) {
        return SG_OK; /* it builds from what it has read */
    }
    memcpy(terms.model_sha256, s->model_sha256, sizeof terms.model_sha256);
    sg_comm_bcast(world, 0, &terms, sizeof terms);
    memcpy(s->model_sha256, terms.model_sha256, sizeof terms.model_sha256);
    s->share_weights = (int)terms.share;
    SG_TRY(sg_agree(world, sg_shared_create(world, terms.n,
                                            s->share_weights ? SG_SHARE_ONE_WRITES : SG_SHARE_NOT,
                                            "the model", &s->shared_image)));
    if (is_root) {
        memcpy(sg_shared_bytes(s->shared_image), s->image.bytes, s->image.n);
    }
    sg_model_image_free(&s->image);
    s->image.n = terms.n;
    s->image.n_reading = terms.n_reading;
    sg_shared_bcast(s->shared_image);
done:
    return status;
}

sg_status sg_study_explain(const struct study *s, struct sg_fixed_input **fixed,
                           struct sg_explain *out) {
    sg_status status = SG_OK;
    const struct sg_job *job = s->job;

    SG_TRY(sg_study_take_inputs(job, s->inputs, fixed));
    *out = (struct sg_explain){.n_tensors = job->n_tensors,
                               .tensors = job->tensors,
                               .n_layers = job->n_layers,
                               .layers = job->layers,
                               .input = job->input,
                               .shape = job->shape.n_axes > 0 ? &job->shape : NULL,
                               .n_fixed = job->n_inputs,
                               .fixed = *fixed,
                               .precision = (enum sg_precision)job->precision};
done:
    return status;
}

sg_status sg_study_open_model(struct study *s) {
    sg_status status = SG_OK;
    struct sg_fixed_input *fixed = NULL;
    struct sg_explain what;

    SG_TRY(sg_study_explain(s, &fixed, &what));
    SG_TRY(sg_model_open(sg_study_image(s), s->image.n, s->job->model_file, &what, &s->model));
    SG_TRY(sg_job_name_layers(s->job, sg_model_signature(s->model)));
done:
    sg_free(fixed);
    return status;
}

sg_status sg_study_place_weights(const struct sg_comm *world, struct study *s) {
    sg_status status = SG_OK;

    if (sg_comm_size(world) == 1) {
        return sg_agree(world, sg_model_place(s->model, NULL, 1));
    }
    SG_TRY(sg_agree(world, sg_shared_create(world, (size_t)sg_model_weight_bytes(s->model),
                                            s->share_weights ? SG_SHARE_ONE_WRITES : SG_SHARE_NOT,
                                            "the weights", &s->weights)));
    status = sg_agree(world, sg_model_place(s->model, sg_shared_bytes(s->weights),
                                            sg_shared_is_writer(s->weights)));
    SG_TRY(status);
    sg_shared_written(s->weights);
done:
    return status;
}

void sg_study_drop_image(struct study *s) {
    const struct sg_model_image sizes = {.n = s->image.n, .n_reading = s->image.n_reading};

    sg_model_image_free(&s->image);
    s->image = sizes;
    sg_shared_destroy(s->shared_image);
    s->shared_image = NULL;
}

void sg_study_close_model(struct study *s) {
    sg_study_close_draws(s);
    sg_model_destroy(s->model);
    sg_shared_destroy(s->shared_image);
    sg_shared_destroy(s->weights);
    sg_model_image_free(&s->image);
}

struct sg_rank_bytes sg_study_memory(const struct study *s, int n_ranks) {
    const int64_t weights = sg_model_weight_bytes(s->model);
    const int64_t graph = sg_model_bytes(s->model) - (s->weights == NULL ? weights : 0);
    const int is_shared = s->weights != NULL ? sg_shared_n_ranks(s->weights) > 1
                                             : n_ranks > 1 && s->job->share_weights;
    const int64_t model = graph + (is_shared ? 0 : weights);
    const int64_t reading = (int64_t)s->image.n_reading;
    int64_t building = model + (is_shared ? 0 : (int64_t)s->image.n);
    struct sg_rank_bytes bytes = {.program = s->program_bytes,
                                  .model = model,
                                  .items = sg_items_bytes(s->items),
                                  .nets = s->net_bytes,
                                  .shared = is_shared ? weights : 0};

    sg_study_measure_draws(s, is_shared, &bytes);
    /* A draw in the making holds its weights with the noise beside their form for the kernels. */
    building += bytes.draws + (s->plan->n_weight_draws > 0 ? weights : 0);
    building += s->job->precision != SG_PRECISION_FLOAT32 ? sg_study_effect_bytes(s) : 0;
    bytes.start = building > reading ? building : reading;
    return bytes;
}
