/* src/cli/bench_measure.c - rounds of blocks, and the median round of every layer. */
#include "cli/bench_table.h"

#include "sgdist/memory.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_ROUNDS = 31 };

/* The seconds of every round: noise, everything, layers forward, layers backward. */
struct rounds {
    int64_t n;
    int64_t n_blocks; /* of a round */
    int64_t width;
    double *seconds; /* [n][width] */
};

enum { NOISE, TOTAL, LAYERS };

double sg_bench_sample(struct bench_pass *pass, double seconds) {
    double spent = 0;
    double noise;
    int64_t n = 0;

    while (n == 0 || spent + 0.5 * spent / (double)n < seconds) {
        spent += sg_bench_pass_run(pass, &noise);
        n++;
    }
    return spent / (double)(n * pass->block);
}

/* As many rounds as there is time for, of as many blocks as it takes. */
static sg_status divide(struct bench_pass *pass, double seconds, struct rounds *out) {
    sg_status status = SG_OK;
    double noise;
    const double block = sg_bench_pass_run(pass, &noise);
    const double n_blocks = seconds / block;

    out->n = n_blocks < 1 ? 1 : n_blocks < MAX_ROUNDS ? (int64_t)n_blocks : MAX_ROUNDS;
    out->n_blocks = n_blocks > MAX_ROUNDS ? (int64_t)(n_blocks / MAX_ROUNDS) : 1;
    out->width = LAYERS + 2 * sg_model_n_nodes(pass->model);
    out->seconds = sg_calloc((size_t)(out->n * out->width), sizeof *out->seconds);
    SG_CHECK(out->seconds != NULL, SG_E_NOMEM, "no memory for the times of the layers");
done:
    return status;
}

static void run(struct bench_pass *pass, const struct rounds *r) {
    const int64_t n_nodes = sg_model_n_nodes(pass->model);

    for (int64_t i = 0; i < r->n; i++) {
        double *at = r->seconds + i * r->width;

        sg_net_take_times(pass->net, at + LAYERS, at + LAYERS + n_nodes);
        for (int64_t b = 0; b < r->n_blocks; b++) {
            double noise;

            at[TOTAL] += sg_bench_pass_run(pass, &noise);
            at[NOISE] += noise;
        }
    }
    sg_net_take_times(pass->net, NULL, NULL);
}

static int compare(const void *a, const void *b) {
    const double x = *(const double *)a;
    const double y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Of one block: the median of column k over the rounds. */
static double median(const struct rounds *r, int64_t k) {
    double values[MAX_ROUNDS];

    for (int64_t i = 0; i < r->n; i++) {
        values[i] = r->seconds[i * r->width + k];
    }
    qsort(values, (size_t)r->n, sizeof *values, compare);
    return 0.5 * (values[(r->n - 1) / 2] + values[r->n / 2]) / (double)r->n_blocks;
}

sg_status sg_bench_measure(struct bench_pass *pass, double seconds, struct bench_table *out) {
    sg_status status = SG_OK;
    const int64_t n = sg_model_n_nodes(pass->model);
    struct rounds r = {0};

    out->block = pass->block;
    out->n = n;
    out->rows = sg_calloc((size_t)n + 1, sizeof *out->rows);
    SG_CHECK(out->rows != NULL, SG_E_NOMEM, "no memory for the table of layers");
    SG_TRY(divide(pass, seconds, &r));
    run(pass, &r);
    for (int64_t i = 0; i < n; i++) {
        sg_net_view_node(pass->net, i, &out->rows[i].view);
        out->rows[i].forward = median(&r, LAYERS + i);
        out->rows[i].backward = median(&r, LAYERS + n + i);
    }
    out->noise = median(&r, NOISE);
    out->total = median(&r, TOTAL);
    out->seconds = sg_bench_sample(pass, seconds);
done:
    sg_free(r.seconds);
    return status;
}

void sg_bench_table_free(struct bench_table *t) {
    sg_free(t->rows);
}
