/* src/cli/inputs.c - the inputs that a job holds fixed, as bytes that all ranks have: for each its
 * number of axes (0: one number), the axes, and the floats. */
#include "cli/cli.h"
#include "sgdist/memory.h"
#include "sgdist/npy.h"

#include <stdio.h>
#include <string.h>

struct head {
    int64_t n_axes;
    int64_t axes[SG_MAX_AXES + 1];
    int64_t n;
};

static sg_status append(char **bytes, size_t *n, const struct head *h, const float *values) {
    sg_status status = SG_OK;
    const size_t floats = ((size_t)h->n * sizeof *values + 7) / 8 * 8;
    char *grown = sg_realloc(*bytes, *n + sizeof *h + floats, 1);

    SG_CHECK(grown != NULL, SG_E_NOMEM, "no memory for the inputs of the model");
    memset(grown + *n, 0, sizeof *h + floats);
    memcpy(grown + *n, h, sizeof *h);
    memcpy(grown + *n + sizeof *h, values, (size_t)h->n * sizeof *values);
    *bytes = grown;
    *n += sizeof *h + floats;
done:
    return status;
}

static sg_status read_one(const struct sg_job *job, const struct sg_job_input *in, char **bytes,
                          size_t *n) {
    sg_status status = SG_OK;
    const float value = (float)in->value;
    struct sg_npy a = {0};
    struct head h = {.n = 1};

    if (in->file == NULL) {
        return append(bytes, n, &h, &value);
    }
    status = sg_npy_read(in->file, &a);
    SG_CHECK(status == SG_OK, status == SG_E_NOMEM ? status : SG_E_JOB, "%s: model.inputs.%s: %s",
             job->file, in->name, sg_trace_message());
    SG_CHECK(a.n_axes >= 1 && a.n_axes <= SG_MAX_AXES + 1, SG_E_JOB,
             "%s: model.inputs.%s: %s has %d axes; 1 to %d are supported", job->file, in->name,
             in->file, a.n_axes, SG_MAX_AXES + 1);
    h.n_axes = a.n_axes;
    h.n = a.n;
    memcpy(h.axes, a.axes, (size_t)a.n_axes * sizeof a.axes[0]);
    SG_TRY(append(bytes, n, &h, a.data));
done:
    sg_npy_free(&a);
    return status;
}

sg_status sg_study_read_inputs(const struct sg_job *job, char **bytes, size_t *n) {
    sg_status status = SG_OK;

    for (int i = 0; i < job->n_inputs; i++) {
        SG_TRY(read_one(job, &job->inputs[i], bytes, n));
    }
done:
    return status;
}

sg_status sg_study_take_inputs(const struct sg_job *job, const char *bytes,
                               struct sg_fixed_input **out) {
    sg_status status = SG_OK;
    struct sg_fixed_input *fixed = sg_calloc((size_t)job->n_inputs + 1, sizeof *fixed);

    SG_CHECK(fixed != NULL, SG_E_NOMEM, "no memory for the inputs of the model");
    for (int i = 0; i < job->n_inputs; i++) {
        struct head h;

        memcpy(&h, bytes, sizeof h);
        fixed[i] =
            (struct sg_fixed_input){.name = job->inputs[i].name,
                                    .n_axes = (int)h.n_axes,
                                    .values = (const float *)(const void *)(bytes + sizeof h)};
        memcpy(fixed[i].axes, h.axes, sizeof h.axes);
        bytes += sizeof h + ((size_t)h.n * sizeof(float) + 7) / 8 * 8;
    }
    *out = fixed;
done:
    return status;
}
