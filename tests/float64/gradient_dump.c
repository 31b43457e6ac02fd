/* tests/float64/gradient_dump.c - many small networks, one after the other: outputs and input
 * gradients for test_gradients.py. Compiled twice: over the runtime as it is, and in double
 * (double.h). As the third result it gives the central differences of the forward pass in double;
 * in float the gradient by way of the gates of each sample alone, which must be the same.
 *
 * Cases come on standard input, each as
 *   int64 bytes, samples, inputs, outputs; the model; double x[samples][inputs],
 * dy[samples][outputs] and leave on standard output as int64 0; double y[samples][outputs],
 * dx[samples][inputs], differences[samples][inputs] or int64 length and a message of that length.
 */
#include "sgdist/memory.h"
#include "sgdist/net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sizes {
    int64_t bytes, samples, inputs, outputs;
};

struct numbers {
    double *x, *dy, *y, *dx, *differences;
    float *x_in, *dy_in, *y_out, *dx_out;
};

static void *room(int64_t n, size_t size) {
    void *p = calloc((size_t)n + 1, size);

    if (p == NULL) {
        abort();
    }
    return p;
}

static void need(int ok) {
    if (!ok) {
        (void)fprintf(stderr, "gradient_dump: cases or results are cut off\n");
        exit(1);
    }
}

static void read_numbers(double *out, int64_t n) {
    need(fread(out, sizeof *out, (size_t)n, stdin) == (size_t)n);
}

static void write_numbers(const double *in, int64_t n) {
    need(fwrite(in, sizeof *in, (size_t)n, stdout) == (size_t)n);
}

static void to_runtime(const double *from, float *to, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        to[i] = (float)from[i];
    }
}

static void from_runtime(const float *from, double *to, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        to[i] = (double)from[i];
    }
}

/* <dy, y> of every sample with `step` added to input i. */
static void losses(struct sg_net *net, const struct sizes *s, struct numbers *v, int64_t i,
                   double step, double weight) {
    for (int64_t n = 0; n < s->samples; n++) {
        v->x_in[n * s->inputs + i] = (float)(v->x[n * s->inputs + i] + step);
    }
    (void)sg_net_forward(net, v->x_in, v->y_out, NULL);
    for (int64_t n = 0; n < s->samples; n++) {
        double sum = 0.0;

        v->x_in[n * s->inputs + i] = (float)v->x[n * s->inputs + i];
        for (int64_t k = n * s->outputs; k < (n + 1) * s->outputs; k++) {
            sum += v->dy[k] * (double)v->y_out[k];
        }
        v->differences[n * s->inputs + i] += weight * sum;
    }
}

/* The five-point rule, whose error is h^4 / 30 of the fifth derivative. */
static void differences(struct sg_net *net, const struct sizes *s, struct numbers *v) {
    const double h = 0x1p-11;

    for (int64_t i = 0; i < s->inputs; i++) {
        losses(net, s, v, i, h, 8.0 / (12.0 * h));
        losses(net, s, v, i, -h, -8.0 / (12.0 * h));
        losses(net, s, v, i, 2.0 * h, -1.0 / (12.0 * h));
        losses(net, s, v, i, -2.0 * h, 1.0 / (12.0 * h));
    }
}

/* Counts sample n alone; a second time on a coarser grid where slopes are too large. */
static void count_one(struct sg_net *net, const struct sizes *s, int64_t n,
                      struct sg_counts *counts) {
    unsigned char *skip = room(s->samples, 1);

    memset(skip, 1, (size_t)s->samples);
    skip[n] = 0;
    for (int exponent = SG_COUNTS_EXPONENT; exponent <= 40; exponent += 8) {
        sg_counts_reset(counts, exponent);
        sg_net_count_gates(net, 0, s->samples, skip, counts);
        if (sg_counts_n_off_grid(counts) == 0) {
            break;
        }
    }
    need(sg_counts_n_added(counts) == 1 && sg_counts_n_skipped(counts) == s->samples - 1);
    free(skip);
}

/* Row n of a backward pass with the gates of sample n. */
static sg_status by_gates(const struct sg_model *m, struct sg_net *net, const struct sizes *s,
                          struct numbers *v) {
    sg_status status = SG_OK;
    const struct sg_gate_totals *totals = &sg_model_signature(m)->gates;
    const struct sg_counts_shape shape = {.n_counters = totals->n_counters,
                                          .n_slopes = totals->n_slopes,
                                          .n_samples = s->samples,
                                          .n_groups = 1};
    struct sg_counts *counts = NULL;
    float *work = room(totals->largest, sizeof *work);

    SG_TRY(sg_counts_create(&shape, &counts));
    SG_TRY(sg_net_forward_as(net, &(struct sg_pass){.is_counted = 1}, v->x_in, v->y_out, NULL));
    for (int64_t n = 0; n < s->samples; n++) {
        const struct sg_counts_view view = {.counts = counts, .without = -1, .of = 1};

        count_one(net, s, n, counts);
        SG_TRY(sg_net_backward_gates(net, &view, work, v->dy_in, v->dx_out, NULL, NULL));
        from_runtime(v->dx_out + n * s->inputs, v->differences + n * s->inputs, s->inputs);
    }
done:
    free(work);
    sg_counts_destroy(counts);
    return status;
}

static sg_status run(const void *model, const struct sizes *s, struct numbers *v) {
    sg_status status = SG_OK;
    struct sg_model *m = NULL;
    struct sg_net *net = NULL;

    SG_TRY(sg_model_create(model, (size_t)s->bytes, "case", "y", &m));
    SG_CHECK(sg_shape_size(sg_model_input(m)) == s->inputs && sg_model_n_outputs(m) == s->outputs,
             SG_E_MODEL, "case: %lld inputs and %lld outputs",
             (long long)sg_shape_size(sg_model_input(m)), (long long)sg_model_n_outputs(m));
    SG_TRY(sg_net_create(m, s->samples, &net));
    to_runtime(v->x, v->x_in, s->samples * s->inputs);
    to_runtime(v->dy, v->dy_in, s->samples * s->outputs);
    SG_TRY(sg_net_forward(net, v->x_in, v->y_out, NULL));
    SG_TRY(sg_net_backward(net, v->dy_in, v->dx_out, NULL));
    from_runtime(v->y_out, v->y, s->samples * s->outputs);
    from_runtime(v->dx_out, v->dx, s->samples * s->inputs);
    if (sizeof *v->x_in == sizeof *v->x) {
        differences(net, s, v);
    } else {
        SG_TRY(by_gates(m, net, s, v));
    }
done:
    sg_net_destroy(net);
    sg_model_destroy(m);
    return status;
}

static void one_case(const struct sizes *s) {
    const int64_t n_x = s->samples * s->inputs, n_y = s->samples * s->outputs;
    char *model = room(s->bytes, 1);
    double *numbers = room(3 * n_x + 2 * n_y, sizeof *numbers);
    float *in = room(2 * n_x + 2 * n_y, sizeof *in);
    struct numbers v = {numbers, numbers + n_x, numbers + n_x + n_y, numbers + n_x + 2 * n_y, NULL,
                        in,      in + n_x,      in + n_x + n_y,      in + n_x + 2 * n_y};
    int64_t length = 0;

    v.differences = v.dx + n_x;
    need(fread(model, 1, (size_t)s->bytes, stdin) == (size_t)s->bytes);
    read_numbers(v.x, n_x);
    read_numbers(v.dy, n_y);
    if (run(model, s, &v) != SG_OK) {
        length = (int64_t)strlen(sg_trace_message());
    }
    need(fwrite(&length, sizeof length, 1, stdout) == 1);
    if (length > 0) {
        need(fwrite(sg_trace_message(), 1, (size_t)length, stdout) == (size_t)length);
    } else {
        write_numbers(v.y, n_y);
        write_numbers(v.dx, n_x);
        write_numbers(v.differences, n_x);
    }
    free(model);
    free(numbers);
    free(in);
}

int main(void) {
    struct sizes s;

    while (fread(&s, sizeof s, 1, stdin) == 1) {
        one_case(&s);
    }
    return sg_memory_balance() == 0 ? 0 : 1;
}
