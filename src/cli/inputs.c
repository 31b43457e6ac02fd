/* src/cli/inputs.c - the inputs that a job holds fixed, and the baselines that it has from files,
 * as bytes that all ranks have: for each its number of axes (0: one number), the axes, and the
 * floats. */
#include "cli/cli.h"
#include "sgdist/memory.h"
#include "sgdist/npy.h"

#include <math.h>
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

/* An array from a file; `key` is where the job names it. */
static sg_status read_array(const struct sg_job *job, const char *key, const char *name,
                            const char *file, char **bytes, size_t *n) {
    sg_status status = SG_OK;
    struct sg_npy a = {0};
    struct head h = {.n = 1};

    status = sg_npy_read(file, &a);
    SG_CHECK(status == SG_OK, status == SG_E_NOMEM ? status : SG_E_JOB, "%s: %s%s: %s", job->file,
             key, name, sg_trace_message());
    SG_CHECK(a.n_axes >= 1 && a.n_axes <= SG_MAX_AXES + 1, SG_E_JOB,
             "%s: %s%s: %s has %d axes; 1 to %d are supported", job->file, key, name, file,
             a.n_axes, SG_MAX_AXES + 1);
    h.n_axes = a.n_axes;
    h.n = a.n;
    memcpy(h.axes, a.axes, (size_t)a.n_axes * sizeof a.axes[0]);
    SG_TRY(append(bytes, n, &h, a.data));
done:
    sg_npy_free(&a);
    return status;
}

static sg_status read_input(const struct sg_job *job, const struct sg_job_input *in, char **bytes,
                            size_t *n) {
    const float value = (float)in->value;
    const struct head h = {.n = 1};

    return in->file == NULL ? append(bytes, n, &h, &value)
                            : read_array(job, "model.inputs.", in->name, in->file, bytes, n);
}

sg_status sg_study_read_inputs(const struct sg_job *job, char **bytes, size_t *n) {
    sg_status status = SG_OK;

    for (int i = 0; i < job->n_inputs; i++) {
        SG_TRY(read_input(job, &job->inputs[i], bytes, n));
    }
    for (int i = 0; i < job->n_baseline_files; i++) {
        SG_TRY(read_array(job, "methods", "", job->baseline_files[i], bytes, n));
    }
done:
    return status;
}

static const char *next(const char *bytes, struct head *h) {
    memcpy(h, bytes, sizeof *h);
    return bytes + sizeof *h + ((size_t)h->n * sizeof(float) + 7) / 8 * 8;
}

/* The input's shape, with or without a batch axis of length 1. */
static int fits(const struct head *h, const struct sg_shape *input) {
    const int64_t extra = h->n_axes - input->n_axes;

    return (extra == 0 || (extra == 1 && h->axes[0] == 1)) &&
           memcmp(h->axes + extra, input->axes, (size_t)input->n_axes * sizeof input->axes[0]) == 0;
}

/* Nothing can be said of a path from a place that is none. */
static int is_finite(const float *values, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(values[i])) {
            return 0;
        }
    }
    return 1;
}

sg_status sg_study_take_baselines(const struct sg_job *job, const char *bytes,
                                  const struct sg_shape *input, const float ***out) {
    sg_status status = SG_OK;
    const float **arrays = sg_calloc((size_t)job->n_baseline_files + 1, sizeof *arrays);
    struct head h;

    SG_CHECK(arrays != NULL, SG_E_NOMEM, "no memory for the baselines");
    for (int i = 0; i < job->n_inputs; i++) {
        bytes = next(bytes, &h);
    }
    for (int i = 0; i < job->n_baseline_files; i++) {
        arrays[i] = (const float *)(const void *)(bytes + sizeof h);
        bytes = next(bytes, &h);
        SG_CHECK(fits(&h, input), SG_E_JOB,
                 "%s: methods: the baseline %s has not the shape of the model's input, %lld%s",
                 job->file, job->baseline_files[i], (long long)input->axes[0],
                 input->n_axes > 1 ? " channels and its other axes" : " values");
        SG_CHECK(is_finite(arrays[i], h.n), SG_E_JOB,
                 "%s: methods: the baseline %s holds values that are not finite", job->file,
                 job->baseline_files[i]);
    }
    *out = arrays;
    arrays = NULL;
done:
    sg_free(arrays);
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
