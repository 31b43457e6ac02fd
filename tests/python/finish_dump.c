/* tests/python/finish_dump.c - the map of one instance from given gradients, in double, as it is
 * before it is rounded to float; for test_conventions.py.
 *
 * finish_dump JOB LABEL N C H W  reads float32 clean[C H W], x[C H W], gradients[N][C H W] from the
 * standard input and writes the map as float64. */
#include "sgdist/job.h"
#include "sgdist/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_ARGUMENTS = 7, N_POWERS = 2 };

static const struct sg_instance *find(const struct sg_job *job, const char *label) {
    for (int i = 0; i < job->n_instances; i++) {
        if (strcmp(job->instances[i].label, label) == 0) {
            return &job->instances[i];
        }
    }
    return NULL;
}

/* The samples on the grid that the clean gradient gives, all of them. */
static sg_status sum_up(const float *clean, const float *gradients, int64_t n, int64_t d,
                        struct sg_sums **out) {
    sg_status status = SG_OK;
    double most = 0;

    for (int64_t i = 0; i < d; i++) {
        most = fmax(most, fabs((double)clean[i]));
    }
    SG_TRY(sg_sums_create(d, N_POWERS, 1, out));
    sg_sums_reset(*out, sg_sums_exponent_for(most));
    sg_sums_add_block(*out, 0, gradients, n);
    SG_CHECK(sg_sums_n_added(*out) == n, SG_E_NUMBERS, "a sample is off the grid");
done:
    return status;
}

static sg_status dump(const struct sg_job *job, const char *label, int64_t n,
                      const struct sg_shape *input) {
    sg_status status = SG_OK;
    const struct sg_instance *inst = find(job, label);
    const int64_t d = sg_shape_size(input);
    const size_t n_values = (size_t)((n + 2) * d);
    float *values = sg_calloc(n_values, sizeof *values);
    double *map = sg_calloc((size_t)d, sizeof *map);
    double *work = NULL;
    struct sg_sums *sums = NULL;
    struct sg_domain domain;
    struct sg_shape shape;

    SG_CHECK(inst != NULL, SG_E_ARG, "no instance %s", label);
    work = sg_calloc((size_t)sg_instance_n_work(inst, input, input), sizeof *work);
    SG_CHECK(values != NULL && map != NULL && work != NULL, SG_E_NOMEM, "no memory");
    SG_CHECK(fread(values, sizeof *values, n_values, stdin) == n_values, SG_E_IO, "short input");
    SG_TRY(sum_up(values, values + 2 * d, n, d, &sums));
    sg_domain_init(&job->data, (int)input->axes[0], &domain);
    const struct sg_finish in = {.sums = sums,
                                 .x = values + d,
                                 .clean = values,
                                 .n_features = d,
                                 .shape = input,
                                 .input = input,
                                 .domain = &domain,
                                 .params = &inst->params};

    SG_TRY(sg_instance_map(inst, &in, work, map));
    sg_instance_map_shape(inst, input, input, &shape);
    SG_CHECK(fwrite(map, sizeof *map, (size_t)sg_shape_size(&shape), stdout) ==
                 (size_t)sg_shape_size(&shape),
             SG_E_IO, "standard output failed");
done:
    sg_sums_destroy(sums);
    sg_free(values);
    sg_free(map);
    sg_free(work);
    return status;
}

int main(int argc, char **argv) {
    struct sg_job *job = NULL;
    struct sg_shape input = {.n_axes = 3};

    if (argc != N_ARGUMENTS) {
        return SG_EXIT_USAGE;
    }
    for (int a = 0; a < 3; a++) {
        input.axes[a] = atoll(argv[4 + a]);
    }
    if (sg_job_read(argv[1], NULL, 0, &job) != SG_OK ||
        dump(job, argv[2], atoll(argv[3]), &input) != SG_OK) {
        fprintf(stderr, "%s\n", sg_trace_message());
        return 1;
    }
    sg_job_destroy(job);
    return 0;
}
