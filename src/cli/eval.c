/* src/cli/eval.c - sgdist eval MODEL.onnx --input x.npy [--target K] [--output y.npy] [--gradient
 * dx.npy]: the network runtime on one array. The samples of the array are one batch. */
#include "cli/cli.h"
#include "cli/model_file.h"
#include "sgdist/log.h"
#include "sgdist/memory.h"
#include "sgdist/npy.h"
#include "sgdist/text.h"

#include <getopt.h>
#include <string.h>

struct arguments {
    const char *model;
    const char *input;
    const char *output;
    const char *gradient;
    const char *tensor;
    int64_t target; /* -1: each sample's largest output */
};

struct evaluation {
    struct model_file file;
    struct sg_npy x;
    struct sg_net *net;
    int64_t batch;
    int64_t n_outputs;
    float *y;  /* [batch][K] */
    float *dy; /* [batch][K] */
    float *dx; /* as x */
};

static sg_status parse(int argc, char **argv, struct arguments *out) {
    static const struct option options[] = {
        {"input", required_argument, NULL, 'i'},    {"output", required_argument, NULL, 'o'},
        {"gradient", required_argument, NULL, 'g'}, {"target", required_argument, NULL, 'k'},
        {"tensor", required_argument, NULL, 't'},   {0}};
    static const char text[] = "usage: sgdist eval MODEL.onnx --input x.npy [--target K] "
                               "[--tensor NAME] [--output y.npy] [--gradient dx.npy]";
    sg_status status = SG_OK;
    int option;

    *out = (struct arguments){.target = -1};
    optind = 1;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        SG_CHECK(option != '?', SG_E_ARG, "%s", text);
        out->input = option == 'i' ? optarg : out->input;
        out->output = option == 'o' ? optarg : out->output;
        out->gradient = option == 'g' ? optarg : out->gradient;
        out->tensor = option == 't' ? optarg : out->tensor;
        if (option == 'k') {
            SG_TRY(sg_text_to_int(optarg, &out->target));
            SG_CHECK(out->target >= 0, SG_E_ARG, "--target counts the outputs from 0");
        }
    }
    SG_CHECK(argc - optind == 1 && out->input != NULL, SG_E_ARG, "%s", text);
    out->model = argv[optind];
done:
    return status;
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
    const struct sg_shape *s = sg_model_input(e->file.model);
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

static sg_status prepare(const struct arguments *args, struct evaluation *e) {
    sg_status status = SG_OK;

    SG_TRY(model_file_open(args->model, args->tensor, &e->file));
    SG_TRY(sg_npy_read(args->input, &e->x));
    SG_TRY(find_batch(args, e));
    e->n_outputs = sg_model_n_outputs(e->file.model);
    SG_CHECK(args->target < e->n_outputs, SG_E_ARG,
             "--target %lld: the network has outputs 0 to %lld", (long long)args->target,
             (long long)e->n_outputs - 1);
    SG_TRY(sg_net_create(e->file.model, e->batch, &e->net));
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

/* Runs both ways; prints the target of each sample and its value. */
static sg_status run(const struct arguments *args, struct evaluation *e) {
    sg_status status = SG_OK;

    SG_TRY(sg_net_forward(e->net, e->x.data, e->y, NULL));
    for (int64_t n = 0; n < e->batch; n++) {
        const float *y = e->y + n * e->n_outputs;
        const int64_t k = args->target >= 0 ? args->target : largest(y, e->n_outputs);

        e->dy[n * e->n_outputs + k] = 1.0f;
        (void)printf("sample %lld  output %lld  value %.9g\n", (long long)n, (long long)k,
                     (double)y[k]);
    }
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
    model_file_close(&e->file);
    sg_npy_free(&e->x);
    sg_free(e->y);
    sg_free(e->dy);
    sg_free(e->dx);
}

int sg_cli_eval(int argc, char **argv) {
    sg_status status = SG_OK;
    struct arguments args;
    struct evaluation e = {0};

    SG_TRY(parse(argc, argv, &args));
    (void)sg_blas_is_single_threaded();
    SG_TRY(prepare(&args, &e));
    SG_TRY(run(&args, &e));
done:
    release(&e);
    if (status != SG_OK) {
        sg_log(SG_LOG_ERROR, "%s", sg_trace_message());
    }
    return sg_status_exit_code(status);
}
