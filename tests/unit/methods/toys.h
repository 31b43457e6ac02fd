/* tests/unit/methods/toys.h - scores with gradients in closed form, and a sweep in one process. */
#ifndef TOYS_H
#define TOYS_H

#include "sgdist/methods.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TOY_MAX = 64, TOY_HIDDEN = 8 };

/* Scattered numbers in -1..1: fractions of multiples of the golden ratio. */
static inline double scattered(int i) {
    double whole;

    return 2 * modf(0.6180339887498949 * (i + 1) * (i + 3), &whole) - 1;
}

/* f(x), and its gradient into g[n] in float as a network gives it. */
typedef double toy_score(int n, const float *x, float *g);

/* f = w.x */
static inline double toy_weight(int i) {
    return scattered(i + 100);
}

static inline double toy_linear(int n, const float *x, float *g) {
    double f = 0;

    for (int i = 0; i < n; i++) {
        f += toy_weight(i) * x[i];
        g[i] = (float)toy_weight(i);
    }
    return f;
}

/* f = x'Ax/2 + b'x, A symmetric. */
static double toy_matrix[TOY_MAX][TOY_MAX]; /* filled by toy_init */

static inline double toy_a(int i, int j) {
    return toy_matrix[i][j];
}

static inline double toy_quadratic(int n, const float *x, float *g) {
    double f = 0;

    for (int i = 0; i < n; i++) {
        double sum = 0;

        for (int j = 0; j < n; j++) {
            sum += toy_a(i, j) * x[j];
        }
        f += (sum / 2 + toy_weight(i)) * x[i];
        g[i] = (float)(sum + toy_weight(i));
    }
    return f;
}

/* f = sum_j v_j relu(W_j.x + c_j), TOY_HIDDEN units. Every fourth input meets no unit, so its
 * gradient is always 0. */
static double toy_layer[TOY_HIDDEN][TOY_MAX]; /* filled by toy_init */

static inline double toy_w(int j, int i) {
    return toy_layer[j][i];
}

static inline double toy_v(int j) {
    return scattered(j + 300);
}

static inline double toy_unit(int n, int j, const float *x) {
    double z = 0.3 * scattered(j + 200);

    for (int i = 0; i < n; i++) {
        z += toy_w(j, i) * x[i];
    }
    return z;
}

static inline double toy_relu(int n, const float *x, float *g) {
    double sum[TOY_MAX] = {0};
    double f = 0;

    for (int j = 0; j < TOY_HIDDEN; j++) {
        const double z = toy_unit(n, j, x);

        if (z > 0) {
            f += toy_v(j) * z;
            for (int i = 0; i < n; i++) {
                sum[i] += toy_v(j) * toy_w(j, i);
            }
        }
    }
    for (int i = 0; i < n; i++) {
        g[i] = (float)sum[i];
    }
    return f;
}

/* An item and all that one target of it needs; fini releases. */
struct toy {
    struct sg_shape shape;
    struct sg_domain domain;
    struct sg_item_view view;
    float x[TOY_MAX];
    float clean[TOY_MAX];
    int n;
    toy_score *score;
    struct sg_sums *sums; /* of the last sweep */
    struct sg_sums *one;
    int64_t n_outside;
    double sigma[TOY_MAX];
};

static inline void toy_fill(void) {
    for (int i = 0; i < TOY_MAX; i++) {
        for (int j = 0; j <= i; j++) {
            toy_matrix[i][j] = toy_matrix[j][i] = scattered(31 * j + i);
        }
        for (int j = 0; j < TOY_HIDDEN; j++) {
            toy_layer[j][i] = i % 4 == 3 ? 0 : scattered(17 * j + i + 5);
        }
    }
}

static inline void toy_init(struct toy *t, int channels, int rows, int columns, toy_score *score) {
    toy_fill();
    *t = (struct toy){.shape = {.n_axes = 3, .axes = {channels, rows, columns}}};
    t->n = channels * rows * columns;
    t->score = score;
    t->domain = (struct sg_domain){.n_channels = channels, .known = 1};
    for (int c = 0; c < channels; c++) {
        t->domain.lower[c] = -1 - 0.25 * c;
        t->domain.upper[c] = 1 + 0.5 * c;
        t->domain.input_per_pixel[c] = 2 + 0.75 * c;
        t->domain.input_at_zero[c] = -1 - 0.25 * c;
    }
    for (int i = 0; i < t->n; i++) {
        t->x[i] = (float)scattered(i);
    }
    (void)score(t->n, t->x, t->clean);
    t->view = (struct sg_item_view){
        .input = &t->shape, .domain = &t->domain, .x = t->x, .key = 99, .seed = 2017};
}

static inline void toy_fini(struct toy *t) {
    sg_sums_destroy(t->sums);
    sg_sums_destroy(t->one);
    t->sums = t->one = NULL;
}

/* An instance with all options at rest: absolute noise of 0.5, no reduction, standard error. */
static inline struct sg_instance toy_instance(const char *method, int64_t samples) {
    struct sg_instance inst;

    memset(&inst, 0, sizeof inst);
    inst.method = sg_method_find(method);
    assert_non_null(inst.method);
    strcpy(inst.label, method);
    inst.params.standard_error = 1;
    inst.params.sampling.samples = samples;
    inst.params.sampling.amount = 0.5;
    inst.params.sampling.absolute = 1;
    inst.params.sampling.channels = UINT64_MAX;
    inst.params.sampling.confidence = 0.95;
    return inst;
}

/* Draws the sweep of the instance into t->sums, sample by sample. */
static inline void toy_sweep(struct toy *t, const struct sg_instance *inst, int n_powers,
                             int n_groups) {
    const struct sg_sampling *p = &inst->params.sampling;
    float scale[TOY_MAX];
    float at[TOY_MAX];
    float g[TOY_MAX];
    double most = 0;

    toy_fini(t);
    assert_int_equal(sg_sums_create(t->n, n_powers, n_groups, &t->sums), SG_OK);
    assert_int_equal(sg_sums_create(t->n, n_powers, 1, &t->one), SG_OK);
    assert_int_equal(inst->method->sampler->prepare(p, &t->view, scale, t->sigma), SG_OK);
    for (int i = 0; i < t->n; i++) {
        most = fmax(most, fabs(t->clean[i]));
    }
    sg_sums_reset(t->sums, sg_sums_exponent_for(most));
    t->n_outside = 0;
    for (int64_t k = 0; k < sg_sampling_n_draws(p); k++) {
        t->n_outside += inst->method->sampler->draw(p, &t->view, scale, k, at);
        (void)t->score(t->n, at, g);
        sg_sums_add_block(t->sums, k, g, 1);
    }
    assert_int_equal(sg_sums_n_added(t->sums), sg_sampling_n_draws(p));
}

/* Map and error of the instance from the sums of the last sweep (map and se may be long:
 * TOY_MAX).*/
static inline sg_status toy_finish(struct toy *t, const struct sg_instance *inst, float *map,
                                   float *se) {
    double work[9 * TOY_MAX];
    const struct sg_finish from = {.shape = &t->shape,
                                   .input = &t->shape,
                                   .domain = &t->domain,
                                   .x = t->x,
                                   .clean = t->clean,
                                   .n_features = t->n,
                                   .seed = t->view.seed,
                                   .key = t->view.key};

    assert_true(sg_instance_n_work(inst, &t->shape, &t->shape) <= 9 * TOY_MAX);
    return sg_instance_finish(inst, &from, t->sums, t->one, work, map, se);
}

/* Sweep and finish of one instance. */
static inline void toy_run(struct toy *t, const struct sg_instance *inst, float *map, float *se) {
    if (sg_instance_has_sweep(inst)) {
        toy_sweep(t, inst, sg_instance_n_powers(inst), sg_instance_n_groups(inst));
    }
    assert_int_equal(toy_finish(t, inst, map, se), SG_OK);
}

#endif
