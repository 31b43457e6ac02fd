/* Statistics read off exact sums, against two passes in long double. */
#include "sgdist/sums.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

enum { N = 64, SAMPLES = 501 };

static float values[SAMPLES][N];

static uint64_t next_random(void) {
    static uint64_t x = 7;

    x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return x >> 11;
}

/* Feature i has spread 2^-i/3 about a mean of order 1: the later ones are nearly constant. */
static int make_values(void **state) {
    (void)state;
    for (int k = 0; k < SAMPLES; k++) {
        for (int i = 0; i < N; i++) {
            const double u = (double)next_random() * 0x1p-53;

            values[k][i] = (float)(sin(i) + ldexp(u - 0.5, -i / 3));
        }
    }
    return 0;
}

/* Sums on a grid on which the values are exact: 2^(-12) of 40 bits below 1 is 2^-28, floats near 1
 * have 2^-24. */
static struct sg_sums *sums_of(const float *v, int64_t n_samples, int exponent) {
    struct sg_sums *s;

    assert_int_equal(sg_sums_create(N, 2, 1, &s), SG_OK);
    sg_sums_reset(s, exponent);
    sg_sums_add_block(s, 0, v, n_samples);
    assert_int_equal(sg_sums_n_added(s), n_samples);
    return s;
}

/* The value as the grid holds it. */
static long double on_grid(float v, int exponent) {
    return ldexpl((long double)llrint(ldexp((double)v, SG_SUMS_GRID_BITS - exponent)),
                  exponent - SG_SUMS_GRID_BITS);
}

static void two_pass(int i, int exponent, long double *mean, long double *square, long double *m2) {
    *mean = *square = *m2 = 0;
    for (int k = 0; k < SAMPLES; k++) {
        const long double v = on_grid(values[k][i], exponent);

        *mean += v / SAMPLES;
        *square += v * v / SAMPLES;
    }
    for (int k = 0; k < SAMPLES; k++) {
        const long double d = on_grid(values[k][i], exponent) - *mean;

        *m2 += d * d;
    }
}

static void assert_near(double a, long double b, double relative) {
    assert_true(fabsl(a - b) <= relative * fabsl(b));
}

static void statistics_equal_two_passes(void **state) {
    const int exponent = sg_sums_exponent_for(1.5);
    struct sg_sums *s = sums_of(values[0], SAMPLES, exponent);
    double mean[N];
    double square[N];
    double se[N];
    double unbiased[N];
    double population[N];

    (void)state;
    assert_int_equal(sg_sums_mean(s, mean), SG_OK);
    assert_int_equal(sg_sums_mean_square(s, square), SG_OK);
    assert_int_equal(sg_sums_mean_se(s, se), SG_OK);
    assert_int_equal(sg_sums_variance(s, 1, unbiased), SG_OK);
    assert_int_equal(sg_sums_variance(s, 0, population), SG_OK);
    for (int i = 0; i < N; i++) {
        long double m;
        long double q;
        long double m2;

        two_pass(i, exponent, &m, &q, &m2);
        assert_true(m2 > 0);
        assert_near(mean[i], m, 1e-15);
        assert_near(square[i], q, 1e-15);
        assert_near(unbiased[i], m2 / (SAMPLES - 1), 1e-12);
        assert_near(population[i], m2 / SAMPLES, 1e-12);
        assert_near(se[i], sqrtl(m2 / SAMPLES / (SAMPLES - 1)), 1e-12);
        /* The identity of methods.md 1.3; the difference cancels, the variance does not. */
        assert_true(fabs(square[i] - mean[i] * mean[i] - population[i]) <= 1e-12 * square[i]);
    }
    sg_sums_destroy(s);
}

/* Long double holds a cube of a grid point to 2^-64 of it, and sums cancel where signs differ:
 * allowed beside the last rounding of a double. */
static void cubes_equal_two_passes(void **state) {
    const int exponent = sg_sums_exponent_for(1.5);
    struct sg_sums *s;
    double cube[N];

    (void)state;
    assert_int_equal(sg_sums_create(N, 3, 1, &s), SG_OK);
    sg_sums_reset(s, exponent);
    sg_sums_add_block(s, 0, values[0], SAMPLES);
    assert_int_equal(sg_sums_mean_cube(s, cube), SG_OK);
    for (int i = 0; i < N; i++) {
        long double sum = 0;
        long double size = 0;

        for (int k = 0; k < SAMPLES; k++) {
            const long double v = on_grid(values[k][i], exponent);

            sum += v * v * v / SAMPLES;
            size += fabsl(v * v * v) / SAMPLES;
        }
        assert_true(fabsl(cube[i] - sum) <= 3e-16L * fabsl(sum) + 1e-17L * size);
    }
    sg_sums_destroy(s);
}

/* 1 and -1 cancel in 2^120 steps cubed; what is left is one step cubed, of either sign. */
static void a_small_cube_of_either_sign_is_exact(void **state) {
    const float step = 0x1p-28f;
    struct sg_sums *s;
    double cube;

    (void)state;
    assert_int_equal(sg_sums_create(1, 3, 1, &s), SG_OK);
    for (int sign = -1; sign <= 1; sign += 2) {
        const float v[4] = {1, (float)sign * step, -1, 0};

        sg_sums_reset(s, 12);
        sg_sums_add_block(s, 0, v, 4);
        assert_int_equal(sg_sums_mean_cube(s, &cube), SG_OK);
        assert_true(cube == sign * 0x1p-86);
    }
    sg_sums_destroy(s);
}

/* The rounding to the grid is at most half a step. */
static void means_are_within_half_a_step(void **state) {
    const int exponent = sg_sums_exponent_for(1.5);
    struct sg_sums *s = sums_of(values[0], SAMPLES, exponent);
    double mean[N];

    (void)state;
    assert_int_equal(sg_sums_mean(s, mean), SG_OK);
    for (int i = 0; i < N; i++) {
        long double m = 0;

        for (int k = 0; k < SAMPLES; k++) {
            m += (long double)values[k][i] / SAMPLES;
        }
        assert_true(fabsl(mean[i] - m) <= ldexpl(0.5L, exponent - SG_SUMS_GRID_BITS) + 1e-16L);
    }
    sg_sums_destroy(s);
}

/* A constant gradient has variance exactly 0, whatever its scale and the number of samples. */
static void constants_have_no_variance(void **state) {
    static const int64_t counts[] = {2, 3, 16, 50, 127, 501};
    static float constant[SAMPLES][N];

    (void)state;
    for (int octave = -12; octave < 12; octave++) {
        for (int k = 0; k < SAMPLES; k++) {
            for (int i = 0; i < N; i++) {
                constant[k][i] = (float)ldexp(values[0][i], octave);
            }
        }
        for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
            struct sg_sums *s = sums_of(constant[0], counts[c], sg_sums_exponent_for(1.5));
            double variance[N];
            double se[N];

            assert_int_equal(sg_sums_variance(s, 1, variance), SG_OK);
            assert_int_equal(sg_sums_mean_se(s, se), SG_OK);
            for (int i = 0; i < N; i++) {
                assert_true(variance[i] == 0 && se[i] == 0);
            }
            sg_sums_destroy(s);
        }
    }
}

/* One sample differs in the last bit of the grid or of the float: the least variances there are. */
static void variance_is_never_negative(void **state) {
    static float nearly[SAMPLES][N];

    (void)state;
    for (int octave = -12; octave < 12; octave++) {
        struct sg_sums *s;
        double variance[N];

        for (int k = 0; k < SAMPLES; k++) {
            for (int i = 0; i < N; i++) {
                nearly[k][i] = (float)ldexp(values[0][i], octave);
                if (k == i) {
                    nearly[k][i] = nextafterf(nearly[k][i], INFINITY);
                }
            }
        }
        s = sums_of(nearly[0], SAMPLES, sg_sums_exponent_for(1.5));
        assert_int_equal(sg_sums_variance(s, 0, variance), SG_OK);
        for (int i = 0; i < N; i++) {
            const double d = fabs(nearly[i][i] - (double)nearly[i == 0][i]);
            const double step = ldexp(1, sg_sums_exponent(s) - SG_SUMS_GRID_BITS);

            assert_true(variance[i] >= 0);
            if (d >= step) { /* one of n is off by d: variance d^2 (n - 1) / n^2 */
                assert_near(variance[i], (long double)d * d * (SAMPLES - 1) / SAMPLES / SAMPLES,
                            1e-12);
            }
        }
        sg_sums_destroy(s);
    }
}

static void too_few_are_refused(void **state) {
    struct sg_sums *s = sums_of(values[0], 1, 13);
    struct sg_sums *single;
    double out[N];

    (void)state;
    assert_int_equal(sg_sums_mean(s, out), SG_OK);
    assert_int_equal(sg_sums_variance(s, 0, out), SG_OK);
    assert_int_equal(sg_sums_variance(s, 1, out), SG_E_ARG);
    assert_int_equal(sg_sums_mean_se(s, out), SG_E_ARG);
    sg_sums_reset(s, 13);
    assert_int_equal(sg_sums_mean(s, out), SG_E_ARG);
    sg_sums_destroy(s);

    assert_int_equal(sg_sums_create(N, 1, 1, &single), SG_OK);
    sg_sums_reset(single, 13);
    sg_sums_add_block(single, 0, values[0], 3);
    assert_int_equal(sg_sums_mean(single, out), SG_OK);
    assert_int_equal(sg_sums_mean_se(single, out), SG_E_ARG);
    assert_int_equal(sg_sums_mean_square(single, out), SG_E_ARG);
    assert_int_equal(sg_sums_mean_cube(single, out), SG_E_ARG);
    sg_sums_destroy(single);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statistics_equal_two_passes),
        cmocka_unit_test(cubes_equal_two_passes),
        cmocka_unit_test(a_small_cube_of_either_sign_is_exact),
        cmocka_unit_test(means_are_within_half_a_step),
        cmocka_unit_test(constants_have_no_variance),
        cmocka_unit_test(variance_is_never_negative),
        cmocka_unit_test(too_few_are_refused),
    };

    return cmocka_run_group_tests(tests, make_values, NULL);
}
