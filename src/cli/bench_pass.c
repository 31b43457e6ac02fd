/* src/cli/bench_pass.c - see bench_pass.h. */
#include "cli/bench_pass.h"

#include "sgdist/memory.h"
#include "sgdist/rng.h"

/* Normals of a sample of the item 0: no network's speed depends on more than their size. */
static void draw(int64_t sample, int64_t n, float *z) {
    const struct sg_rng_address at = {.stream = SG_STREAM_INPUT, .sample = (uint32_t)sample};

    sg_rng_normals(&at, n, z);
}

sg_status sg_bench_pass_init(const struct sg_model *model, int64_t block, struct bench_pass *out) {
    sg_status status = SG_OK;
    const int64_t n = sg_shape_size(sg_model_input(model));
    const int64_t k = sg_model_n_outputs(model);

    *out = (struct bench_pass){.model = model, .block = block, .n_features = n};
    SG_TRY(sg_net_create(model, block, &out->net));
    out->clean = sg_calloc((size_t)n, sizeof *out->clean);
    out->x = sg_malloc_aligned((size_t)(block * n), sizeof *out->x);
    out->y = sg_malloc_aligned((size_t)(block * k), sizeof *out->y);
    out->dy = sg_calloc((size_t)(block * k), sizeof *out->dy);
    out->dx = sg_malloc_aligned((size_t)(block * n), sizeof *out->dx);
    SG_CHECK(out->clean && out->x && out->y && out->dy && out->dx, SG_E_NOMEM,
             "no memory for a block of %lld samples", (long long)block);
    draw(0, n, out->clean);
    for (int64_t j = 0; j < block; j++) {
        out->dy[j * k] = 1.0f;
    }
done:
    return status;
}

void sg_bench_pass_fini(struct bench_pass *p) {
    sg_net_destroy(p->net);
    sg_free(p->clean);
    sg_free(p->x);
    sg_free(p->y);
    sg_free(p->dy);
    sg_free(p->dx);
}

/* As much noise as SmoothGrad takes. */
static void add_noise(struct bench_pass *p) {
    const float sigma = 0.15f;

    for (int64_t j = 0; j < p->block; j++) {
        float *x = p->x + j * p->n_features;

        draw(++p->n_drawn, p->n_features, x);
        for (int64_t i = 0; i < p->n_features; i++) {
            x[i] = p->clean[i] + sigma * x[i];
        }
    }
}

double sg_bench_pass_run(struct bench_pass *p, double *noise) {
    const double begun = sg_processor_seconds();

    add_noise(p);
    *noise = sg_processor_seconds() - begun;
    (void)sg_net_forward_as(p->net, &(struct sg_pass){.is_noisy = 1}, p->x, p->y,
                            NULL); /* only a cancel could end it */
    (void)sg_net_backward(p->net, p->dy, p->dx, NULL);
    return sg_processor_seconds() - begun;
}
