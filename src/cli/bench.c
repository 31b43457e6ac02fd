/* src/cli/bench.c - sgdist bench MODEL.onnx: what a gradient sample takes on this processor. */
#include "cli/arguments.h"
#include "cli/bench_table.h"
#include "cli/cli.h"
#include "cli/model_file.h"

#include "sgdist/text.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* For each limit of the machine at most, for each trial, and before anything counts. */
#define LIMITS_SECONDS 0.3
#define TRIAL_SECONDS  0.1
#define TINY_SECONDS   1e-3

struct arguments {
    const char *model;
    const char *tensor;
    struct sg_shape shape; /* no axes: as in the file */
    int64_t block;
    double seconds;
    int on_request;
    int algorithms;
    const char *json;
};

/* Returns an exit code; *go_on as in sg_cli_parse. */
static int take_numbers(struct arguments *out, const char *block, const char *shape,
                        const char *seconds, int *go_on) {
    *go_on = 0;
    if (block != NULL &&
        (sg_text_to_int(block, &out->block) != SG_OK || out->block < 1 || out->block > 4096)) {
        return sg_cli_usage("bench", "--block needs a number of samples from 1 to 4096, not '%s'",
                            block);
    }
    if (shape != NULL && !sg_cli_parse_shape(shape, &out->shape)) {
        return sg_cli_usage(
            "bench", "--shape needs the lengths of a sample, like 3,224,224, not '%s'", shape);
    }
    if (seconds != NULL && (sg_text_to_double(seconds, &out->seconds) != SG_OK ||
                            !(out->seconds > 0) || out->seconds > 3600)) {
        return sg_cli_usage("bench", "--seconds needs a number above 0 and up to 3600, not '%s'",
                            seconds);
    }
    *go_on = 1;
    return SG_EXIT_OK;
}

static int parse(int argc, char **argv, struct arguments *out, int *go_on) {
    static const char *const operand_names[] = {"the model"};
    const char *block = NULL;
    const char *shape = NULL;
    const char *seconds = NULL;
    const struct option_row options[] = {
        {"tensor", "NAME", "the tensor to explain (default: the output, before a final softmax)",
         NULL, &out->tensor, NULL, NULL},
        {"shape", "C,H,W", "lengths of a sample, where the file leaves them open", NULL, &shape,
         NULL, NULL},
        {"block", "N", "samples that are run at a time (default: 16)", NULL, &block, NULL, NULL},
        {"seconds", "S", "time to measure for (default: 2)", NULL, &seconds, NULL, NULL},
        {"algorithms", NULL, "the other algorithms that can do each convolution, too",
         &out->algorithms, NULL, NULL, NULL},
        {"json", "FILE", "the table of layers for scripts", NULL, &out->json, NULL, NULL},
        {"on-request", NULL, "measure once for each line of standard input; print the last line",
         &out->on_request, NULL, NULL, NULL},
        {NULL, NULL, NULL, NULL, NULL, NULL, NULL}};
    const struct verb_options v = {
        .verb = "bench",
        .usage = "bench MODEL.onnx [options]",
        .about = "Measures what a gradient sample takes: noise, forward and backward, on one core.",
        .n_operands = 1,
        .operand_names = operand_names,
        .operands = &out->model,
        .options = options};
    const int exit_code = sg_cli_parse(&v, argc, argv, go_on);

    return *go_on ? take_numbers(out, block, shape, seconds, go_on) : exit_code;
}

static void print_last_line(double seconds) {
    (void)printf("%.4g seconds a gradient sample\n", seconds);
    (void)fflush(stdout);
}

/* Scripts that compare with another program measure both by turns. */
static void answer_requests(struct bench_pass *pass, double seconds) {
    char line[256];

    while (fgets(line, sizeof line, stdin) != NULL) {
        print_last_line(sg_bench_sample(pass, seconds));
    }
}

static sg_status write_json(const char *path, const struct bench_table *t) {
    sg_status status = SG_OK;
    struct sg_text text = {0};
    FILE *f = NULL;

    SG_TRY(sg_bench_json(t, &text));
    f = fopen(path, "w");
    SG_CHECK(f != NULL, SG_E_IO, "%s: %s", path, strerror(errno));
    SG_CHECK(fputs(text.data, f) >= 0 && fflush(f) == 0, SG_E_IO, "%s: %s", path, strerror(errno));
done:
    if (f != NULL) {
        (void)fclose(f);
    }
    sg_text_free(&text);
    return status;
}

static sg_status print_tables(const struct arguments *args, struct bench_pass *pass) {
    sg_status status = SG_OK;
    struct bench_table t = {.model = args->model};

    SG_TRY(sg_measure_limits(fmin(LIMITS_SECONDS, args->seconds), &t.limits));
    SG_TRY(sg_bench_measure(pass, args->seconds, &t));
    sg_bench_print(&t, stdout);
    if (args->algorithms) {
        sg_bench_print_trials(pass, TRIAL_SECONDS, stdout);
    }
    if (args->json != NULL) {
        SG_TRY(write_json(args->json, &t));
    }
    print_last_line(t.seconds);
done:
    sg_bench_table_free(&t);
    return status;
}

static sg_status run(const struct arguments *args) {
    sg_status status = SG_OK;
    struct sg_model *model = NULL;
    struct bench_pass pass = {0};
    const struct sg_explain what = {.n_tensors = args->tensor != NULL,
                                    .tensors = &args->tensor,
                                    .shape = args->shape.n_axes > 0 ? &args->shape : NULL};

    SG_TRY(sg_cli_open_model(args->model, &what, &model));
    SG_TRY(sg_bench_pass_init(model, args->block, &pass));
    (void)printf("kernels %s, blocks of %lld samples\n", sg_kernel_family(),
                 (long long)args->block);
    (void)fflush(stdout);                       /* who asks reads it before asking */
    (void)sg_bench_sample(&pass, TINY_SECONDS); /* the first block meets cold memory */
    if (args->on_request) {
        answer_requests(&pass, args->seconds);
    } else {
        SG_TRY(print_tables(args, &pass));
    }
done:
    sg_bench_pass_fini(&pass);
    sg_model_destroy(model);
    return status;
}

int sg_cli_bench(int argc, char **argv) {
    struct arguments args = {.block = 16, .seconds = 2}; /* 16 as in a job that does not say */
    int go_on;
    const int exit_code = parse(argc, argv, &args, &go_on);
    sg_status status;

    if (!go_on) {
        return exit_code;
    }
    (void)sg_blas_is_single_threaded();
    status = run(&args);
    return status == SG_OK ? SG_EXIT_OK : sg_cli_fail(status);
}
