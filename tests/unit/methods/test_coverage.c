/* Coverage of the 95 % interval of SmoothGrad: 1,000 studies with different seeds, each with its
 * own map and error; how often the interval holds the limit that is known in closed form. */
#include "methods/toys.h"

enum { RUNS = 1000 };

/* Share of (run, element) with a variance above 0 whose interval holds the truth; and the share of
 * those without variance. */
static void coverage(toy_score *score, const double *truth, int64_t samples, double quantile,
                     double *held, double *constant) {
    struct toy t;
    struct sg_instance sg = toy_instance("smoothgrad", samples);
    int64_t n_held = 0;
    int64_t n_constant = 0;

    toy_init(&t, 1, 3, 4, score);
    for (uint64_t run = 0; run < RUNS; run++) {
        float map[TOY_MAX];
        float se[TOY_MAX];

        t.view.seed = run;
        toy_run(&t, &sg, map, se);
        for (int i = 0; i < t.n; i++) {
            n_constant += se[i] == 0;
            n_held += se[i] > 0 && fabs(map[i] - truth[i]) < quantile * se[i];
        }
    }
    *constant = (double)n_constant / RUNS / t.n;
    *held = (double)n_held / (double)((int64_t)RUNS * t.n - n_constant);
    print_message(
        "N = %4d: %.2f %% of the intervals hold the truth; %.1f %% of the elements have no "
        "variance\n",
        (int)samples, 100 * *held, 100 * *constant);
    toy_fini(&t);
}

/* Student's t, 97.5 %, for 15, 63 and 1023 degrees of freedom. */
static const struct {
    int64_t samples;
    double quantile;
} studies[] = {{16, 2.13145}, {64, 1.99834}, {1024, 1.96229}};

static void assert_covered(toy_score *score, const double *truth, double constant_expected) {
    for (size_t i = 0; i < sizeof studies / sizeof studies[0]; i++) {
        double held;
        double constant;

        coverage(score, truth, studies[i].samples, studies[i].quantile, &held, &constant);
        assert_true(held > 0.93 && held < 0.97);
        assert_true(constant >= constant_expected && constant < constant_expected + 0.05);
    }
}

static void quadratic_score(void **state) {
    struct toy t;
    double truth[TOY_MAX];

    (void)state;
    toy_init(&t, 1, 3, 4, toy_quadratic);
    for (int i = 0; i < t.n; i++) {
        truth[i] = toy_weight(i);
        for (int j = 0; j < t.n; j++) {
            truth[i] += toy_a(i, j) * t.x[j];
        }
    }
    assert_covered(toy_quadratic, truth, 0);
}

/* Phi(z/s) for each unit; a quarter of the inputs meets no unit. */
static void relu_score(void **state) {
    struct toy t;
    double truth[TOY_MAX] = {0};

    (void)state;
    toy_init(&t, 1, 3, 4, toy_relu);
    for (int j = 0; j < TOY_HIDDEN; j++) {
        double norm = 0;

        for (int i = 0; i < t.n; i++) {
            norm += toy_w(j, i) * toy_w(j, i);
        }
        const double open = 0.5 * erfc(-toy_unit(t.n, j, t.x) / (0.5 * sqrt(norm)) / M_SQRT2);

        for (int i = 0; i < t.n; i++) {
            truth[i] += toy_v(j) * toy_w(j, i) * open;
        }
    }
    assert_covered(toy_relu, truth, 0.25);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quadratic_score),
        cmocka_unit_test(relu_score),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
