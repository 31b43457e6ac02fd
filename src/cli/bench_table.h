/* src/cli/bench_table.h - what each layer of a model takes, as a table for people and as JSON. */
#ifndef CLI_BENCH_TABLE_H
#define CLI_BENCH_TABLE_H

#include "cli/bench_pass.h"
#include "sgdist/text.h"

#include <stdio.h>

/* A layer, or what all layers of a kind have together. */
struct bench_row {
    struct sg_node_view view;
    double forward; /* processor seconds a block */
    double backward;
};

struct bench_table {
    const char *model; /* file */
    int64_t block;
    int64_t n;
    struct bench_row *rows; /* [n] */
    double noise;           /* processor seconds a block */
    double total;           /* ... of everything */
    double seconds;         /* a sample, without the clocks that the layers are measured with */
    struct sg_limits limits;
};

/* Runs blocks for about `seconds`. On failure, too, the caller calls free. Errors: SG_E_NOMEM. */
sg_status sg_bench_measure(struct bench_pass *pass, double seconds, struct bench_table *out);
void sg_bench_table_free(struct bench_table *t);

void sg_bench_print(const struct bench_table *t, FILE *out);

/* Other algorithms that can do each convolution, each measured for `seconds`. */
void sg_bench_print_trials(const struct bench_pass *pass, double seconds, FILE *out);

/* Errors: SG_E_NOMEM. */
sg_status sg_bench_json(const struct bench_table *t, struct sg_text *out);

/* Seconds of full blocks for about `seconds`, a sample. */
double sg_bench_sample(struct bench_pass *pass, double seconds);

#endif
