/* Methods against closed forms: methods.md, section 8 of the design notes; Hooker et al. 2019 for
 * the identities. Seeds are fixed; bounds are standard errors. */
#include "methods/toys.h"

/* SmoothGrad of f = w.x is w, VarGrad is 0, the error is 0. */
static void linear_score(void **state) {
    struct toy t;
    float map[TOY_MAX];
    float se[TOY_MAX];
    struct sg_instance sg = toy_instance("smoothgrad", 64);
    struct sg_instance squared = toy_instance("smoothgrad_squared", 64);
    struct sg_instance var = toy_instance("vargrad", 64);
    struct sg_instance adapt = toy_instance("adaptgrad", 64);

    (void)state;
    toy_init(&t, 3, 3, 4, toy_linear);
    const double step = ldexp(1, sg_sums_exponent_for(1) - SG_SUMS_GRID_BITS);

    toy_run(&t, &sg, map, se);
    for (int i = 0; i < t.n; i++) {
        assert_true(fabs(map[i] - t.clean[i]) <= step);
        assert_true(se[i] == 0);
    }
    toy_run(&t, &squared, map, se);
    for (int i = 0; i < t.n; i++) {
        assert_true(fabs(map[i] - (double)t.clean[i] * t.clean[i]) <= 3 * step + 1e-7);
        assert_true(se[i] < 1e-9);
    }
    toy_run(&t, &var, map, se);
    for (int i = 0; i < t.n; i++) {
        assert_true(map[i] == 0 && se[i] == 0);
    }
    toy_run(&t, &adapt, map, se);
    for (int i = 0; i < t.n; i++) {
        assert_true(fabs(map[i] - t.clean[i]) <= step);
    }
    toy_fini(&t);
}

/* f = x'Ax/2 + b'x: SmoothGrad is Ax + b with variance sigma^2 sum_j A_ij^2 =: V_i of a sample,
 * which is normal, so VarGrad has standard error V sqrt(2 / (N - 1)). */
static void quadratic_score(void **state) {
    enum { SAMPLES = 4096 };
    struct toy t;
    float map[TOY_MAX];
    float se[TOY_MAX];
    struct sg_instance sg = toy_instance("smoothgrad", SAMPLES);
    struct sg_instance var = toy_instance("vargrad", SAMPLES);

    (void)state;
    toy_init(&t, 3, 3, 4, toy_quadratic);
    toy_run(&t, &sg, map, se);
    for (int i = 0; i < t.n; i++) {
        double v = 0;

        for (int j = 0; j < t.n; j++) {
            v += 0.25 * toy_a(i, j) * toy_a(i, j);
        }
        assert_true(fabs(map[i] - (double)t.clean[i]) < 4 * se[i]);
        assert_true(fabs(se[i] / sqrt(v / SAMPLES) - 1) < 4 / sqrt(2.0 * SAMPLES));
    }
    toy_run(&t, &var, map, se);
    for (int i = 0; i < t.n; i++) {
        double v = 0;

        for (int j = 0; j < t.n; j++) {
            v += 0.25 * toy_a(i, j) * toy_a(i, j);
        }
        const double true_se = v * sqrt(2.0 / (SAMPLES - 1));

        assert_true(fabs(map[i] - v) < 4 * true_se);
        /* The jackknife over 16 groups has 15 degrees of freedom: its own error is 1/sqrt(30). */
        assert_true(se[i] > true_se * (1 - 4 / sqrt(30)) && se[i] < true_se * (1 + 4 / sqrt(30)));
    }
    toy_fini(&t);
}

/* sigma^2 A_ij^2 summed, only over channels that have noise. */
static void noise_stays_in_its_channels(void **state) {
    enum { SAMPLES = 2048 };
    struct toy t;
    float map[TOY_MAX];
    float se[TOY_MAX];
    struct sg_instance var = toy_instance("vargrad", SAMPLES);

    (void)state;
    var.params.sampling.channels = 2;
    toy_init(&t, 3, 3, 4, toy_quadratic);
    toy_run(&t, &var, map, se);
    for (int i = 0; i < t.n; i++) {
        double v = 0;

        for (int j = 12; j < 24; j++) {
            v += 0.25 * toy_a(i, j) * toy_a(i, j);
        }
        assert_true(fabs(map[i] - v) < 4 * v * sqrt(2.0 / (SAMPLES - 1)));
    }
    assert_true(t.sigma[0] == 0 && t.sigma[1] == 0.5 && t.sigma[2] == 0);
    toy_fini(&t);
}

/* The gate of unit j is open with probability Phi(z_j / s_j), s_j = sigma |W_j|, so the limit is
 * W' diag(Phi(z/s)) v. */
static double relu_limit(const struct toy *t, int i, double sigma) {
    double sum = 0;

    for (int j = 0; j < TOY_HIDDEN; j++) {
        double norm = 0;

        for (int k = 0; k < t->n; k++) {
            norm += toy_w(j, k) * toy_w(j, k);
        }
        sum += toy_v(j) * toy_w(j, i) * 0.5 *
               erfc(-toy_unit(t->n, j, t->x) / (sigma * sqrt(norm)) / M_SQRT2);
    }
    return sum;
}

static void one_hidden_layer(void **state) {
    struct toy t;
    float map[TOY_MAX];
    float se[TOY_MAX];
    struct sg_instance sg = toy_instance("smoothgrad", 10000);

    (void)state;
    toy_init(&t, 3, 3, 4, toy_relu);
    toy_run(&t, &sg, map, se);
    for (int i = 0; i < t.n; i++) {
        if (i % 4 == 3) {
            assert_true(map[i] == 0 && se[i] == 0); /* an input that no unit sees */
            continue;
        }
        assert_true(se[i] > 0);
        assert_true(fabs(map[i] - relu_limit(&t, i, 0.5)) < 4 * se[i]);
    }
    toy_fini(&t);
}

/* SG2 - SG^2 = population VarGrad, from the same sweep. */
static void squared_less_square_is_the_variance(void **state) {
    struct toy t;
    double mean[TOY_MAX];
    double square[TOY_MAX];
    double variance[TOY_MAX];
    float map[TOY_MAX];
    float se[TOY_MAX];
    struct sg_instance var = toy_instance("vargrad", 300);

    (void)state;
    var.params.divisor = SG_DIVISOR_POPULATION;
    toy_init(&t, 3, 3, 4, toy_relu);
    toy_run(&t, &var, map, se);
    sg_sums_collapse(t.sums, t.one);
    assert_int_equal(sg_sums_mean(t.one, mean), SG_OK);
    assert_int_equal(sg_sums_mean_square(t.one, square), SG_OK);
    assert_int_equal(sg_sums_variance(t.one, 0, variance), SG_OK);
    for (int i = 0; i < t.n; i++) {
        assert_true(fabs(square[i] - mean[i] * mean[i] - variance[i]) <= 1e-12 * square[i]);
        assert_true(map[i] == (float)variance[i]);
    }
    var.params.divisor = SG_DIVISOR_UNBIASED;
    assert_int_equal(toy_finish(&t, &var, map, se), SG_OK);
    for (int i = 0; i < t.n; i++) {
        assert_true(fabs(map[i] - variance[i] * 300 / 299) <= 1e-7 * variance[i]);
    }
    toy_fini(&t);
}

/* E[grad f(x + e)] = E[(f(x + e) - f(x)) e] / sigma^2 (Stein), projected on 20 directions: the mean
 * of v.g - (f - f0) v.e / sigma^2 is 0. */
static void stein_identity(void **state, toy_score *score) {
    enum { SAMPLES = 20000, DIRECTIONS = 20 };
    struct toy t;
    struct sg_instance sg = toy_instance("smoothgrad", SAMPLES);
    double sum[DIRECTIONS] = {0};
    double squares[DIRECTIONS] = {0};
    float scale[TOY_MAX];
    float at[TOY_MAX];
    float g[TOY_MAX];

    (void)state;
    toy_init(&t, 3, 3, 4, score);
    const double f0 = score(t.n, t.x, g);

    assert_int_equal(sg.method->sampler->prepare(&sg.params.sampling, &t.view, scale, t.sigma),
                     SG_OK);
    for (int64_t k = 0; k < SAMPLES; k++) {
        (void)sg.method->sampler->draw(&sg.params.sampling, &t.view, scale, k, at);
        const double f = score(t.n, at, g);

        for (int d = 0; d < DIRECTIONS; d++) {
            double difference = 0;

            for (int i = 0; i < t.n; i++) {
                const double e = (double)at[i] - t.x[i];

                difference += scattered(100 * d + i) * (g[i] - (f - f0) * e / 0.25);
            }
            sum[d] += difference;
            squares[d] += difference * difference;
        }
    }
    for (int d = 0; d < DIRECTIONS; d++) {
        const double mean = sum[d] / SAMPLES;
        const double se = sqrt((squares[d] / SAMPLES - mean * mean) / SAMPLES);

        assert_true(fabs(mean) < 4 * se);
    }
}

static void stein_identity_holds(void **state) {
    stein_identity(state, toy_quadratic);
    stein_identity(state, toy_relu);
}

static void gradient_and_its_product(void **state) {
    struct toy t;
    float map[TOY_MAX];
    float se[TOY_MAX];
    struct sg_instance gradient = toy_instance("gradient", 1);
    struct sg_instance product = toy_instance("gradient_x_input", 1);

    (void)state;
    toy_init(&t, 3, 3, 4, toy_quadratic);
    toy_run(&t, &gradient, map, se);
    assert_memory_equal(map, t.clean, (size_t)t.n * sizeof *map);
    toy_run(&t, &product, map, se);
    for (int i = 0; i < t.n; i++) {
        assert_true(map[i] == t.x[i] * t.clean[i]); /* both round the same exact product once */
        assert_true(se[i] == 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linear_score),
        cmocka_unit_test(quadratic_score),
        cmocka_unit_test(noise_stays_in_its_channels),
        cmocka_unit_test(one_hidden_layer),
        cmocka_unit_test(squared_less_square_is_the_variance),
        cmocka_unit_test(stein_identity_holds),
        cmocka_unit_test(gradient_and_its_product),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
