/* src/cli/eval.c - sgdist eval MODEL.onnx --input x.npy [--target K] [--output y.npy] [--gradient
 * dx.npy]: the network runtime on one array. The samples of the array are one batch. */
#include "cli/arguments.h"
#include "cli/cli.h"
#include "cli/model_file.h"
#include "sgdist/memory.h"
#include "sgdist/npy.h"
#include "sgdist/text.h"

#include <stdio.h>
#include <string.h>

struct arguments {
    const char *model;
    const char *input;
    const char *output;
    const char *gradient;
    const char *tensor;
    int64_t target; /* -1: each sample's largest output */
    int noisy;      /* 1: the input has noise on every element */
};

struct evaluation {
    struct sg_model *model;
    struct sg_npy x;
    struct sg_net *net;
    int64_t batch;
    int64_t n_outputs;
    float *y;  /* [batch][K] */
    float *dy; /* [batch][K] */
    float *dx; /* as x */
};

/* Returns an exit code; *go_on as in sg_cli_parse. */
static int parse(int argc, char **argv, struct arguments *out, int *go_on) {
    static const char *const operand_names[] = {"the model"};
    const char *target = NULL;
    const struct option_row options[] = {
        {"input", "X.npy", "the array: samples of the model's input, or one of them", NULL,
         &out->input, NULL, NULL},
        {"output", "Y.npy", "file for the outputs (also -o)", NULL, &out->output, NULL, NULL},
        {"gradient", "DX.npy", "file for the gradients of the target output", NULL, &out->gradient,
         NULL, NULL},
        {"target", "K", "output to differentiate (default: each sample's largest)", NULL, &target,
         NULL, NULL},
        {"tensor", "NAME", "tensor to read (default: the output, before a final softmax)", NULL,
         &out->tensor, NULL, NULL},
        {"noisy", NULL, "as samples of a run with noise on every element: no two places are alike",
         &out->noisy, NULL, NULL, NULL},
        {NULL, NULL, NULL, NULL, NULL, NULL, NULL}};
    const struct verb_options v = {
        .verb = "eval",
        .usage = "eval MODEL.onnx --input X.npy [options]",
        .about = "Runs a model on a NumPy array: outputs and input gradients.",
        .n_operands = 1,
        .operand_names = operand_names,
        .operands = &out->model,
        .options = options};
    const int exit_code = sg_cli_parse(&v, argc, argv, go_on);

    if (!*go_on) {
        return exit_code;
    }
    *go_on = 0;
    if (out->input == NULL) {
        return sg_cli_usage("eval", "--input X.npy is missing");
    }
    if (target != NULL && (sg_text_to_int(target, &out->target) != SG_OK || out->target < 0)) {
        return sg_cli_usage("eval", "--target needs the number of an output from 0, not '%s'",
                            target);
    }
    *go_on = 1;
    return SG_EXIT_OK;
}

/* "[N,3,224,224]". */
static void add_shape(struct sg_text *t, const char *batch, int n_axes, const int64_t *axes) {
    sg_text_add(t, "[%s", batch);
    for (int i = 0; i < n_axes; i++) {
        sg_text_add(t, i > 0 || batch[0] != '\0' ? ",%lld" : "%lld", (long long)axes[i]);
    }
    sg_text_add(t, "]");
}

/* [N, sample shape] or one sample's shape. */
static sg_status find_batch(const struct arguments *args, struct evaluation *e) {
    sg_status status = SG_OK;
    const struct sg_shape *s = sg_model_input(e->model);
    const int extra = e->x.n_axes - s->n_axes;
    struct sg_text text = {0};
    int fits = extra == 0 || extra == 1;

    for (int i = 0; i < s->n_axes && fits; i++) {
        fits = e->x.axes[extra + i] == s->axes[i];
    }
    e->batch = extra == 1 ? e->x.axes[0] : 1;
    add_shape(&text, "", e->x.n_axes, e->x.axes);
    sg_text_add(&text, ", but %s takes ", args->model);
    add_shape(&text, "N", s->n_axes, s->axes);
    SG_CHECK(!text.failed, SG_E_NOMEM, "no memory for a message");
    SG_CHECK(fits && e->batch >= 1, SG_E_INPUT, "%s: its shape is %s", args->input, text.data);
done:
    sg_text_free(&text);
    return status;
}

/* Lengths that the file leaves open are the array's. */
static sg_status open_model(const struct arguments *args, struct evaluation *e) {
    const int skip = e->x.n_axes > SG_MAX_AXES ? e->x.n_axes - SG_MAX_AXES : 0;
    struct sg_shape shape = {.n_axes = e->x.n_axes - skip};
    const struct sg_explain what = {
        .n_tensors = args->tensor != NULL, .tensors = &args->tensor, .shape = &shape};

    memcpy(shape.axes, e->x.axes + skip, (size_t)shape.n_axes * sizeof shape.axes[0]);
    return sg_cli_open_model(args->model, &what, &e->model);
}

static sg_status prepare(const struct arguments *args, struct evaluation *e) {
    sg_status status = SG_OK;

    SG_TRY(sg_npy_read(args->input, &e->x));
    SG_TRY(open_model(args, e));
    SG_TRY(find_batch(args, e));
    e->n_outputs = sg_model_n_outputs(e->model);
    SG_CHECK(args->target < e->n_outputs, SG_E_ARG,
             "--target %lld: the network has outputs 0 to %lld", (long long)args->target,
             (long long)e->n_outputs - 1);
    SG_TRY(sg_net_create(e->model, e->batch, &e->net));
    e->y = sg_calloc((size_t)(e->batch * e->n_outputs), sizeof *e->y);
    e->dy = sg_calloc((size_t)(e->batch * e->n_outputs), sizeof *e->dy);
    e->dx = sg_calloc((size_t)e->x.n, sizeof *e->dx);
    SG_CHECK(e->y != NULL && e->dy != NULL && e->dx != NULL, SG_E_NOMEM,
             "no memory for the results");
done:
    return status;
}

static int64_t largest(const float *y, int64_t n) {
    int64_t best = 0;

    for (int64_t k = 1; k < n; k++) {
        best = y[k] > y[best] ? k : best;
    }
    return best;
}

/* Runs both ways; prints the target of each sample and its value, and what computed them. */
static sg_status run(const struct arguments *args, struct evaluation *e) {
    sg_status status = SG_OK;

    SG_TRY(sg_net_forward_as(e->net, &(struct sg_pass){.is_noisy = args->noisy}, e->x.data, e->y,
                             NULL));
    for (int64_t n = 0; n < e->batch; n++) {
        const float *y = e->y + n * e->n_outputs;
        const int64_t k = args->target >= 0 ? args->target : largest(y, e->n_outputs);

        e->dy[n * e->n_outputs + k] = 1.0f;
        (void)printf("sample %lld  output %lld  value %.9g\n", (long long)n, (long long)k,
                     (double)y[k]);
    }
    (void)printf("kernels %s\n", sg_kernel_family());
    SG_TRY(sg_net_backward(e->net, e->dy, e->dx, NULL));
    if (args->output != NULL) {
        SG_TRY(sg_npy_write(args->output, 2, (const int64_t[]){e->batch, e->n_outputs}, e->y));
    }
    if (args->gradient != NULL) {
        SG_TRY(sg_npy_write(args->gradient, e->x.n_axes, e->x.axes, e->dx));
    }
done:
    return status;
}

static void release(struct evaluation *e) {
    sg_net_destroy(e->net);
    sg_model_destroy(e->model);
    sg_npy_free(&e->x);
    sg_free(e->y);
    sg_free(e->dy);
    sg_free(e->dx);
}

int sg_cli_eval(int argc, char **argv) {
    sg_status status = SG_OK;
    struct arguments args = {.target = -1};
    struct evaluation e = {0};
    int go_on;
    const int exit_code = parse(argc, argv, &args, &go_on);

    if (!go_on) {
        return exit_code;
    }
    (void)sg_blas_is_single_threaded();
    SG_TRY(prepare(&args, &e));
    SG_TRY(run(&args, &e));
done:
    release(&e);
    return status == SG_OK ? SG_EXIT_OK : sg_cli_fail(status);
}
