/* erf, GELU and its kin, softmax and layer normalisation against their reference loops in double.
 */
#include "net_kernels/helper.h"

enum { N = 4096 };

static double ulp_at(double exact) {
    int exponent;

    (void)frexp(exact, &exponent);
    return ldexp(1.0, (exponent < -125 ? -125 : exponent) - 24);
}

/* Magnitudes from 2^-24 to 8, both signs. */
static void spread(float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        x[i] *= ldexpf(8.0f, -(int)random_int(0, 1) * (int)random_int(0, 26));
    }
}

static void check_erf(void) {
    for (int round = 0; round < 100; round++) {
        float *x = guarded(N), *y = guarded(N), *slope = guarded(N);

        spread(x, N);
        sg_erf(x, y, slope, N);
        check_guard(y, N);
        check_guard(slope, N);
        for (int i = 0; i < N; i++) {
            const double v = (double)x[i], exact = erf(v), d = 2.0 / sqrt(M_PI) * exp(-v * v);

            assert_true(fabs((double)y[i] - exact) <= 1.5 * ulp_at(exact));
            assert_true(fabs((double)slope[i] - d) <= (2e-7 + 1.2e-7 * v * v) * d);
        }
        sg_free(x);
        sg_free(y);
        sg_free(slope);
    }
}

static void erf_is_within_its_bound(void **state) {
    (void)state;
    for_each_simd(check_erf);
}

/* GELU, GELU by tanh, x sigmoid(x), and one whose p is not q. */
static const struct sg_gated gates[] = {{SG_GATED_ERF, 0.5f, 0.5f, 0.70710678f, 0.0f},
                                        {SG_GATED_TANH, 0.5f, 0.5f, 0.79788456f, 0.035677408f},
                                        {SG_GATED_TANH, 0.5f, 0.5f, 0.5f, 0.0f},
                                        {SG_GATED_ERF, -0.25f, 1.5f, -1.25f, 0.0f}};
enum { N_GATES = sizeof gates / sizeof gates[0] };

static void check_gates(void) {
    for (int g = 0; g < N_GATES; g++) {
        const double size = fabs((double)gates[g].p) + fabs((double)gates[g].q);
        float *x = guarded(N), *y = guarded(N), *slope = guarded(N);
        float exact[N], exact_slope[N];

        spread(x, N);
        sg_gated(&gates[g], x, y, slope, N);
        sg_ref_gated(&gates[g], x, exact, exact_slope, N);
        check_guard(y, N);
        check_guard(slope, N);
        for (int i = 0; i < N; i++) {
            assert_true(fabs((double)y[i] - (double)exact[i]) <= 3e-7 * fabs((double)x[i]) * size);
            assert_true(fabs((double)slope[i] - (double)exact_slope[i]) <= 2e-6 * size);
        }
        sg_gated(&gates[g], x, x, slope, N);
        assert_memory_equal(x, y, N * sizeof *x);
        sg_free(x);
        sg_free(y);
        sg_free(slope);
    }
}

static void gates_are_within_their_bounds(void **state) {
    (void)state;
    for_each_simd(check_gates);
}

/* Far from 0 the value is 0 or x and the slope 0 or 1; NaN stays NaN. */
static void check_far(void) {
    const float x[] = {-1e4f, 1e4f, -1e30f, 1e30f, NAN};
    float y[5], slope[5];

    for (int g = 0; g < 3; g++) {
        sg_gated(&gates[g], x, y, slope, 5);
        for (int i = 0; i < 4; i++) {
            assert_true(y[i] == (x[i] > 0.0f ? x[i] : 0.0f));
            assert_true(slope[i] == (x[i] > 0.0f ? 1.0f : 0.0f));
        }
        assert_true(isnan(y[4]) && isnan(slope[4]));
    }
}

static void gates_far_from_zero(void **state) {
    (void)state;
    for_each_simd(check_far);
}

static const int64_t lengths[] = {1, 2, 3, 7, 8, 9, 16, 33, 197, 768, 1000};
enum { N_LENGTHS = sizeof lengths / sizeof lengths[0], ROWS = 3 };

static void assert_close(const float *a, const float *b, int64_t n, double bound) {
    for (int64_t i = 0; i < n; i++) {
        assert_true(fabs((double)a[i] - (double)b[i]) <= bound);
    }
}

static void check_softmax(void) {
    for (int l = 0; l < N_LENGTHS; l++) {
        const int64_t n = lengths[l], all = ROWS * n;
        float *x = guarded(all), *y = guarded(all), *dy = guarded(all), *dx = guarded(all);
        float *exact = guarded(all);

        for (int64_t i = 0; i < all; i++) {
            x[i] *= 20.0f;
        }
        sg_softmax_rows(ROWS, n, x, y);
        sg_ref_softmax_rows(ROWS, n, x, exact);
        check_guard(y, all);
        assert_close(y, exact, all, 1e-6);
        for (int accumulate = 0; accumulate < 2; accumulate++) {
            memcpy(exact, dx, (size_t)all * sizeof *dx);
            sg_softmax_rows_back(ROWS, n, y, dy, dx, accumulate);
            sg_ref_softmax_rows_back(ROWS, n, y, dy, exact, accumulate);
            check_guard(dx, all);
            assert_close(dx, exact, all, 5e-7);
        }
        sg_softmax_rows(ROWS, n, x, x);
        assert_memory_equal(x, y, (size_t)all * sizeof *x);
        sg_free(x);
        sg_free(y);
        sg_free(dy);
        sg_free(dx);
        sg_free(exact);
    }
}

static void softmax_is_within_its_bound(void **state) {
    (void)state;
    for_each_simd(check_softmax);
}

/* A row with a NaN is NaN; an element of minus infinity, as masks have, gets nothing. */
static void check_softmax_edges(void) {
    const float x[2][3] = {{1.0f, NAN, 2.0f}, {1.0f, -INFINITY, 1.0f}};
    float y[2][3];

    sg_softmax_rows(2, 3, x[0], y[0]);
    assert_true(isnan(y[0][0]) && isnan(y[0][1]) && isnan(y[0][2]));
    assert_true(y[1][0] == 0.5f && y[1][1] == 0.0f && y[1][2] == 0.5f);
}

static void softmax_at_its_edges(void **state) {
    (void)state;
    for_each_simd(check_softmax_edges);
}

static void check_norm_of(int64_t n, const float *scale, const float *shift) {
    const struct sg_norm s = {.n = n, .epsilon = 1e-5f, .scale = scale, .shift = shift};
    const int64_t all = ROWS * n;
    float *x = guarded(all), *y = guarded(all), *dy = guarded(all), *dx = guarded(all);
    float *exact = guarded(all);
    float kept[2 * ROWS], exact_kept[2 * ROWS];

    for (int64_t i = 0; i < all; i++) {
        x[i] += 3.0f; /* a mean of several deviations */
    }
    sg_norm_rows(&s, ROWS, x, y, kept);
    sg_ref_norm_rows(&s, ROWS, x, exact, exact_kept);
    check_guard(y, all);
    for (int64_t i = 0; i < all; i++) { /* rounding the mean shows by 1 / deviation */
        const double inverse = (double)exact_kept[i / n * 2 + 1];

        assert_true(fabs((double)y[i] - (double)exact[i]) <= 3e-7 * (3.0 + inverse));
    }
    for (int accumulate = 0; accumulate < 2; accumulate++) {
        memcpy(exact, dx, (size_t)all * sizeof *dx);
        sg_norm_rows_back(&s, ROWS, x, kept, dy, dx, accumulate);
        sg_ref_norm_rows_back(&s, ROWS, x, kept, dy, exact, accumulate);
        check_guard(dx, all);
        for (int64_t i = 0; i < all; i++) {
            assert_true(fabs((double)dx[i] - (double)exact[i]) <=
                        1e-6 * (1.0 + (double)kept[i / n * 2 + 1]));
        }
    }
    sg_free(x);
    sg_free(y);
    sg_free(dy);
    sg_free(dx);
    sg_free(exact);
}

static void check_norm(void) {
    for (int l = 0; l < N_LENGTHS; l++) {
        float *vectors = guarded(2 * lengths[l]);

        check_norm_of(lengths[l], NULL, NULL);
        check_norm_of(lengths[l], vectors, vectors + lengths[l]);
        sg_free(vectors);
    }
}

static void norm_is_within_its_bound(void **state) {
    (void)state;
    for_each_simd(check_norm);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(erf_is_within_its_bound), cmocka_unit_test(gates_are_within_their_bounds),
        cmocka_unit_test(gates_far_from_zero),     cmocka_unit_test(softmax_is_within_its_bound),
        cmocka_unit_test(softmax_at_its_edges),    cmocka_unit_test(norm_is_within_its_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
