/* tests/unit/worker/test_numbers.c - a record says what the single samples say.
 *
 * The judge is float64 arithmetic on the inputs and gradients of single samples (`sgdist sample`),
 * and on those the network's own weights: relu networks of one hidden layer have gradients that can
 * be written down. */
#include "worker_test.h"

#define SAMPLING "sampling: {samples: 50, block: 4, noise: {level: 0.3}}\n"

/* dy_k/dx of the network at x, from its weights. */
static void true_gradient(const struct weights *w, const float *x, int k, double *g) {
    memset(g, 0, D * sizeof *g);
    for (int j = 0; j < HIDDEN; j++) {
        double h = (double)w->b[j];

        for (int i = 0; i < D; i++) {
            h += (double)w->u[j][i] * (double)x[i];
        }
        for (int i = 0; h > 0 && i < D; i++) {
            g[i] += (double)w->v[k][j] * (double)w->u[j][i];
        }
    }
}

static int is_finite_sample(const float *g) {
    for (int i = 0; i < D; i++) {
        if (!isfinite(g[i])) {
            return 0;
        }
    }
    return 1;
}

/* Mean and variance (divisor n - 1) over the finite samples of a target; returns their number. */
static int64_t moments(const struct study *s, const struct samples *a, int64_t t, double *mean,
                       double *variance) {
    double sum[D] = {0};
    double squares[D] = {0};
    int64_t n = 0;

    for (int64_t k = 0; k < a->n; k++) {
        const float *g = gradient_of(s, a, k, t);

        n += is_finite_sample(g);
        for (int i = 0; is_finite_sample(g) && i < D; i++) {
            sum[i] += (double)g[i];
        }
    }
    for (int i = 0; i < D; i++) {
        mean[i] = sum[i] / (double)n;
    }
    for (int64_t k = 0; k < a->n; k++) {
        const float *g = gradient_of(s, a, k, t);

        for (int i = 0; is_finite_sample(g) && i < D; i++) {
            squares[i] += ((double)g[i] - mean[i]) * ((double)g[i] - mean[i]);
        }
    }
    for (int i = 0; i < D; i++) {
        variance[i] = squares[i] / (double)(n - 1);
    }
    return n;
}

static double largest(const double *v) {
    double m = 0;

    for (int i = 0; i < D; i++) {
        m = fabs(v[i]) > m ? fabs(v[i]) : m;
    }
    return m;
}

/* SmoothGrad's map and error, VarGrad's map, of all targets of sweep 0. The grid has some 28 bits
 * below the clean gradient, float 24. */
static void check_moments(const struct study *s, const struct fake *f, const struct samples *a) {
    for (int64_t t = 0; t < s->plan->n_targets; t++) {
        const float *map = (const float *)at(s, f, "maps/smoothgrad/map") + t * D;
        const float *se = (const float *)at(s, f, "maps/smoothgrad/se") + t * D;
        const float *var = (const float *)at(s, f, "maps/vargrad/map") + t * D;
        double mean[D];
        double variance[D];
        const int64_t n = moments(s, a, t, mean, variance);

        assert_true(largest(mean) > 0 && largest(variance) > 0);
        assert_int_equal(((int64_t *)at(s, f, "maps/smoothgrad/samples"))[t], n);
        for (int i = 0; i < D; i++) {
            assert_close((double)map[i], mean[i], 1e-6 * largest(mean));
            assert_close((double)var[i], variance[i], 1e-6 * largest(variance));
            assert_close((double)se[i], sqrt(variance[i] / (double)n),
                         1e-5 * sqrt(largest(variance) / (double)n));
        }
    }
}

static void samples_have_the_gradients_of_the_network(void **state) {
    const struct weights w = ordinary_weights();
    struct study s;
    struct samples a;

    (void)state;
    study_open(&s, &w, "target: {top: 3}\n" SAMPLING "methods: [smoothgrad]\n");
    a = take_samples(&s, 2, 0);
    for (int64_t k = 0; k < a.n; k++) {
        for (int64_t t = 0; t < 3; t++) {
            double g[D];

            true_gradient(&w, a.inputs + k * D, a.targets[t], g);
            for (int i = 0; i < D; i++) {
                assert_close((double)gradient_of(&s, &a, k, t)[i], g[i], 1e-6);
            }
        }
    }
    free_samples(&a);
    study_close(&s);
}

static void maps_are_the_moments_of_the_samples(void **state) {
    const struct weights w = ordinary_weights();
    struct study s;

    (void)state;
    study_open(&s, &w, "target: {top: 3}\n" SAMPLING "methods: [smoothgrad, vargrad]\n");
    for (int64_t item = 0; item < ITEMS; item++) {
        struct fake f = run_item(&s, item, -1);
        struct samples a = take_samples(&s, item, 0);

        assert_int_equal(status_of(&s, &f), SG_ITEM_DONE);
        assert_memory_equal(at(&s, &f, SG_FIELD_TARGET), a.targets, 3 * sizeof a.targets[0]);
        check_moments(&s, &f, &a);
        free_samples(&a);
        forget(&f);
    }
    study_close(&s);
}

/* Targets in order of the clean outputs, which score and probability tell. */
static void targets_are_the_largest_outputs(void **state) {
    const struct weights w = ordinary_weights();
    struct study s;
    struct fake f;
    const double *score;
    const double *probability;
    const int32_t *target;

    (void)state;
    study_open(&s, &w, "target: {top: 3}\n" SAMPLING "methods: [smoothgrad]\n");
    f = run_item(&s, 0, -1);
    score = at(&s, &f, SG_FIELD_SCORE);
    probability = at(&s, &f, SG_FIELD_PROBABILITY);
    target = at(&s, &f, SG_FIELD_TARGET);
    assert_true(score[0] > score[1] && score[1] > score[2]);
    assert_close(probability[0] + probability[1] + probability[2], 1, 1e-12);
    assert_close(log(probability[0] / probability[2]), score[0] - score[2], 1e-6);
    assert_int_equal(target[0] + target[1] + target[2], 0 + 1 + 2);
    assert_int_equal(*(int32_t *)at(&s, &f, SG_FIELD_PREDICTED), target[0]);
    forget(&f);
    study_close(&s);
}

/* ---- grids ---- */

/* All units are asleep at the item and wake under noise: no clean gradient says how large theirs
 * are. They are scaled so that a grid made for 1 would lose them. */
static void a_clean_gradient_of_zero_takes_the_grid_of_the_first_block(void **state) {
    struct weights w = ordinary_weights();
    struct study s;
    struct fake f;
    struct samples a;

    (void)state;
    for (int j = 0; j < HIDDEN; j++) {
        w.b[j] = -2.0f;
        for (int k = 0; k < CLASSES; k++) {
            w.v[k][j] *= 1e-9f;
        }
    }
    study_open(&s, &w,
               "sampling: {samples: 64, block: 4, noise: {sigma: 1.0}}\n"
               "methods: [gradient, smoothgrad, vargrad]\n");
    f = run_item(&s, 1, -1);
    a = take_samples(&s, 1, 0);
    assert_int_equal(status_of(&s, &f), SG_ITEM_DONE);
    for (int i = 0; i < D; i++) {
        assert_close((double)((float *)at(&s, &f, "maps/gradient/map"))[i], 0, 0);
    }
    check_moments(&s, &f, &a);
    free_samples(&a);
    forget(&f);
    study_close(&s);
}

/* The spike's gradient is 2^21 times the others'. The mean is that of all samples, in float64, with
 * the precision of the coarser grid. */
static void values_off_the_grid_are_in_the_sums_in_the_end(void **state) {
    const struct weights w = spiked_weights(0.75f, 2048, 1024);
    struct study s;
    struct fake f;
    struct samples a;
    int n_spikes = 0;

    (void)state;
    study_open(&s, &w, SAMPLING "methods: [smoothgrad, vargrad]\n");
    f = run_item(&s, 1, -1);
    a = take_samples(&s, 1, 0);
    for (int64_t k = 0; k < a.n; k++) {
        n_spikes += gradient_of(&s, &a, k, 0)[0] > 1e6f;
    }
    assert_in_range(n_spikes, 1, a.n / 2);
    assert_int_equal(status_of(&s, &f), SG_ITEM_DONE);
    assert_true(f.outcome.n_gradients > 1 + 50); /* it began again */
    check_moments(&s, &f, &a);
    free_samples(&a);
    forget(&f);
    study_close(&s);
}

/* ---- values that are not finite ---- */

static int64_t count_bad(const struct study *s, const struct samples *a) {
    int64_t n = 0;

    for (int64_t k = 0; k < a->n; k++) {
        for (int64_t t = 0; t < s->plan->n_targets; t++) {
            n += !is_finite_sample(gradient_of(s, a, k, t));
        }
    }
    return n;
}

static void skipped_samples_are_counted(void **state) {
    const struct weights w = spiked_weights(0.75f, 1e30f, 1e30f);
    struct study s;
    struct fake f;
    struct samples a;

    (void)state;
    study_open(&s, &w,
               "target: {top: 2}\n"
               "sampling: {samples: 50, block: 4, noise: {level: 0.3}, nonfinite: skip}\n"
               "methods: [smoothgrad, vargrad]\n");
    f = run_item(&s, 1, -1);
    a = take_samples(&s, 1, 0);
    assert_int_equal(status_of(&s, &f), SG_ITEM_DONE);
    assert_in_range(count_bad(&s, &a), 2, 2 * a.n - 2 * 2);
    assert_int_equal(*(int64_t *)at(&s, &f, SG_FIELD_NONFINITE), count_bad(&s, &a));
    check_moments(&s, &f, &a);
    free_samples(&a);
    forget(&f);
    study_close(&s);
}

static void a_sample_that_is_not_finite_fails_the_item(void **state) {
    const struct weights w = spiked_weights(0.75f, 1e30f, 1e30f);
    struct study s;
    struct fake f;
    const char *message;

    (void)state;
    study_open(&s, &w, SAMPLING "methods: [smoothgrad]\n");
    f = run_item(&s, 1, -1);
    assert_int_equal(f.outcome.kind, SG_OUTCOME_RECORD);
    assert_int_equal(status_of(&s, &f), SG_ITEM_FAILED);
    message = at(&s, &f, SG_FIELD_MESSAGE);
    assert_true(strncmp(message, "images#1: ", 10) == 0);
    assert_non_null(strstr(message, "not finite"));
    assert_non_null(strstr(message, "sampling.nonfinite: skip"));
    forget(&f);
    study_close(&s);
}

/* ---- scores ---- */

/* Central differences of the score: their error is h^2/6 times a third derivative below 1. */
static void seeds_are_derivatives_of_the_scores(void **state) {
    static const enum sg_score scores[] = {SG_SCORE_LOGIT, SG_SCORE_PROBABILITY,
                                           SG_SCORE_LOG_PROBABILITY};
    static const float at_y[][4] = {
        {0.5f, -1.0f, 2.0f, 0.25f}, {0, 0, 0, 0}, {80, 81, 79, 0}, {-3, 500, -200, 7}};
    static const uint64_t both = 3; /* positions 0 and 1 */
    static const struct sg_aim aims[] = {
        {.n_classes = 4, .n_positions = 1, .class = 0, .weight = 1},
        {.n_classes = 4, .n_positions = 1, .class = 3, .weight = 1},
        {.n_classes = 2, .n_positions = 2, .class = 1, .position = 1, .weight = 1},
        {.n_classes = 2, .n_positions = 2, .class = 0, .position = -1, .weight = 0.5},
        {.offset = 1, .n_classes = 3, .n_positions = 1, .class = 2, .weight = 1}};
    const float h = 1.0f / 128;

    (void)state;
    for (size_t s = 0; s < 3; s++) {
        for (size_t r = 0; r < 4; r++) {
            for (size_t a = 0; a < sizeof aims / sizeof aims[0]; a++) {
                float dy[4];

                sg_score_gradient(scores[s], at_y[r], 4, &aims[a], &both, dy);
                for (int k = 0; k < 4; k++) {
                    float y[4];
                    double up;

                    memcpy(y, at_y[r], sizeof y);
                    y[k] += h;
                    up = sg_score_value(scores[s], y, &aims[a], &both);
                    y[k] -= 2 * h;
                    assert_close((double)dy[k],
                                 (up - sg_score_value(scores[s], y, &aims[a], &both)) /
                                     (2 * (double)h),
                                 2e-5);
                }
            }
        }
    }
}

/* ---- the clean gradient among the samples ---- */

static void the_clean_gradient_counts_as_the_job_says(void **state) {
    static const char *const words[] = {"none", "extra", "one_of_n"};
    static const int64_t draws[] = {50, 50, 49};
    static const int n_clean[] = {0, 1, 1};
    const struct weights w = ordinary_weights();

    (void)state;
    for (int c = 0; c < 3; c++) {
        struct study s;
        struct fake f;
        struct samples a;
        char rest[200];
        double mean[D];
        double variance[D];

        (void)snprintf(rest, sizeof rest,
                       "sampling: {samples: 50, block: 4, noise: {sigma: 0.5, clean: %s}}\n"
                       "methods: [gradient, smoothgrad, vargrad]\n",
                       words[c]);
        study_open(&s, &w, rest);
        f = run_item(&s, 1, -1);
        a = take_samples(&s, 1, 0);
        assert_int_equal(a.n, draws[c]);
        assert_int_equal(moments(&s, &a, 0, mean, variance), draws[c]);
        for (int i = 0; i < D; i++) {
            const double clean = (double)((float *)at(&s, &f, "maps/gradient/map"))[i];
            const double n = (double)a.n;

            assert_close((double)((float *)at(&s, &f, "maps/smoothgrad/map"))[i],
                         (n * mean[i] + n_clean[c] * clean) / (n + n_clean[c]),
                         1e-6 * largest(mean));
            /* never counted in variances */
            assert_close((double)((float *)at(&s, &f, "maps/vargrad/map"))[i], variance[i],
                         1e-6 * largest(variance));
        }
        free_samples(&a);
        forget(&f);
        study_close(&s);
    }
}

/* ---- the convergence record, and what the noise was ---- */

static double norm_of(const float *v) {
    double sum = 0;

    for (int i = 0; i < D; i++) {
        sum += (double)v[i] * (double)v[i];
    }
    return sqrt(sum);
}

static void convergence_is_of_the_first_samples(void **state) {
    const struct weights w = ordinary_weights();
    struct study s;
    struct fake f;
    struct samples a;
    const int64_t *n;
    const double *norm;
    const double *change;
    float before[D] = {0};
    int stage = 0;

    (void)state;
    study_open(&s, &w, SAMPLING "methods: [smoothgrad, vargrad]\n");
    f = run_item(&s, 1, -1);
    a = take_samples(&s, 1, 0);
    n = at(&s, &f, "convergence/smoothgrad/samples");
    norm = at(&s, &f, "convergence/smoothgrad/norm");
    change = at(&s, &f, "convergence/smoothgrad/change");
    for (; stage < s.plan->max_stages; stage++) {
        const int64_t end = 4 * s.plan->sweeps[0].stage_ends[stage];
        struct samples part = a;
        float map[D];
        float difference[D];
        double mean[D];
        double variance[D];

        part.n = end < 50 ? end : 50;
        assert_int_equal(n[stage], part.n);
        (void)moments(&s, &part, 0, mean, variance);
        for (int i = 0; i < D; i++) {
            map[i] = (float)mean[i];
            difference[i] = map[i] - before[i];
        }
        assert_close(norm[stage], norm_of(map), 1e-6 * norm_of(map));
        if (stage == 0) {
            assert_true(isnan(change[0]));
        } else {
            assert_close(change[stage], norm_of(difference) / norm_of(map), 1e-6);
        }
        memcpy(before, map, sizeof before);
    }
    assert_int_equal(n[stage - 1], 50);
    free_samples(&a);
    forget(&f);
    study_close(&s);
}

/* With blocks of one sample the first stage has no variance yet: no map, so no change from it. */
static void change_needs_a_map_before(void **state) {
    const struct weights w = ordinary_weights();
    struct study s;
    struct fake f;

    (void)state;
    study_open(&s, &w,
               "sampling: {samples: 9, block: 1, noise: {sigma: 0.5}}\n"
               "methods: [smoothgrad, vargrad]\n");
    f = run_item(&s, 1, -1);
    for (int stage = 0; stage < 3; stage++) {
        const double change = ((double *)at(&s, &f, "convergence/vargrad/change"))[stage];

        assert_int_equal(((int64_t *)at(&s, &f, "convergence/vargrad/samples"))[stage],
                         stage == 0 ? 0 : stage + 1);
        assert_int_equal(isnan(change) != 0, stage < 2);
        assert_int_equal(isnan(((double *)at(&s, &f, "convergence/smoothgrad/change"))[stage]) != 0,
                         stage < 1);
    }
    forget(&f);
    study_close(&s);
}

static void elements_outside_the_domain_are_counted(void **state) {
    const struct weights w = ordinary_weights();
    struct study s;
    struct fake f;
    struct samples a;
    int64_t n_outside = 0;

    (void)state;
    study_open(&s, &w, SAMPLING "methods: [smoothgrad]\n");
    f = run_item(&s, 1, -1);
    a = take_samples(&s, 1, 0);
    for (int64_t i = 0; i < a.n * D; i++) {
        n_outside += a.inputs[i] < 0 || a.inputs[i] > 1;
    }
    assert_true(n_outside > 0);
    assert_close(*(double *)at(&s, &f, "maps/smoothgrad/out_of_range"),
                 (double)n_outside / (double)(a.n * D), 1e-15);
    free_samples(&a);
    forget(&f);
    study_close(&s);
}

/* ---- time ---- */

/* Every moment of a worker's life is in exactly one phase. */
static void phases_add_up(void **state) {
    const struct weights w = ordinary_weights();
    struct study s;
    struct fake f;
    double sum = 0;

    (void)state;
    study_open(&s, &w,
               "target: {top: 2}\n"
               "sampling: {samples: 20000, block: 16}\nmethods: [smoothgrad, vargrad]\n");
    f = run_item(&s, 1, -1);
    for (int p = 0; p < SG_N_PHASES; p++) {
        assert_true(f.phases.seconds[p] >= 0);
        sum += f.phases.seconds[p];
    }
    assert_true(sum <= f.seconds && sum > 0.9 * f.seconds);
    assert_int_equal(f.phases.n_forwards, 1 + 20000);
    assert_int_equal(f.phases.n_backwards, 2 * (1 + 20000));
    forget(&f);
    study_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_have_the_gradients_of_the_network),
        cmocka_unit_test(maps_are_the_moments_of_the_samples),
        cmocka_unit_test(targets_are_the_largest_outputs),
        cmocka_unit_test(a_clean_gradient_of_zero_takes_the_grid_of_the_first_block),
        cmocka_unit_test(values_off_the_grid_are_in_the_sums_in_the_end),
        cmocka_unit_test(skipped_samples_are_counted),
        cmocka_unit_test(a_sample_that_is_not_finite_fails_the_item),
        cmocka_unit_test(seeds_are_derivatives_of_the_scores),
        cmocka_unit_test(the_clean_gradient_counts_as_the_job_says),
        cmocka_unit_test(convergence_is_of_the_first_samples),
        cmocka_unit_test(change_needs_a_map_before),
        cmocka_unit_test(elements_outside_the_domain_are_counted),
        cmocka_unit_test(phases_add_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
