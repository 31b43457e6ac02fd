/* src/cli/bench_pass.h - what a job does to a block of samples, on random numbers. */
#ifndef CLI_BENCH_PASS_H
#define CLI_BENCH_PASS_H

#include "sgdist/net.h"

struct bench_pass {
    const struct sg_model *model;
    struct sg_net *net;
    int64_t block;
    int64_t n_features;
    int64_t n_drawn; /* samples so far */
    float *clean;    /* [n_features] */
    float *x;        /* [block][n_features] */
    float *y;        /* [block][K] */
    float *dy;       /* [block][K]: 1 for the first output */
    float *dx;       /* as x */
};

/* `model` must stay. On failure, too, the caller calls fini. Errors: SG_E_NOMEM. */
sg_status sg_bench_pass_init(const struct sg_model *model, int64_t block, struct bench_pass *out);
void sg_bench_pass_fini(struct bench_pass *p);

/* Draws the next block of noisy inputs, and the gradients of the first output at them. Returns the
 * processor seconds that it took, those of the noise in *noise. */
double sg_bench_pass_run(struct bench_pass *p, double *noise);

#endif
