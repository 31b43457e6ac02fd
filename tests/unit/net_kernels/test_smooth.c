/* Smooth functions of one number against the C library's in double. */
#include "net_kernels/helper.h"

enum { BLOCK = 4096 };

static float float_of(uint32_t bits) {
    float x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The distance of neighbouring floats at the true value: 2^-149 among the smallest. */
static double ulp_at(double exact) {
    int exponent;

    (void)frexp(exact, &exponent);
    return ldexp(1.0, (exponent < -125 ? -125 : exponent) - 24);
}

/* Values past the largest float round to infinity from half a step past it on. */
static int is_within(float y, double exact, double ulps) {
    if (isnan(exact)) {
        return isnan(y);
    }
    if (isinf(y) || isinf(exact)) {
        return y > 0.0f && exact >= 0x1.ffffffp127;
    }
    return fabs((double)y - exact) <= ulps * ulp_at(exact);
}

/* Floats of all exponents and signs, a step of 4099 between their bits: about a million. */
static void check_exp(void) {
    float *x = guarded(BLOCK);
    float *y = guarded(BLOCK);
    uint64_t bits = 0;

    while (bits < (uint64_t)1 << 32) {
        for (int i = 0; i < BLOCK; i++, bits += 4099) {
            x[i] = float_of((uint32_t)bits);
        }
        sg_exp(x, y, BLOCK);
        for (int i = 0; i < BLOCK; i++) {
            assert_true(is_within(y[i], exp((double)x[i]), 1.01));
        }
    }
    sg_free(x);
    sg_free(y);
}

/* The stated bound, with results below the normal numbers, infinity and NaN. */
static void exp_is_within_its_bound(void **state) {
    (void)state;
    for_each_simd(check_exp);
}

/* Where the result leaves the normal numbers, and where it leaves the floats. */
static void check_exp_edges(void) {
    static const float edges[] = {-87.33654f, -88.0f,     -103.2789f, -103.9721f, -104.0f,
                                  -1000.0f,   88.722839f, 88.72284f,  89.0f,      1000.0f,
                                  INFINITY,   -INFINITY,  NAN,        0.0f,       -0.0f};
    enum { N = sizeof edges / sizeof edges[0] };
    float y[N];

    sg_exp(edges, y, N);
    for (int i = 0; i < N; i++) {
        assert_true(is_within(y[i], exp((double)edges[i]), 1.01));
    }
    assert_true(y[13] == 1.0f && y[14] == 1.0f);
}

static void exp_at_its_edges(void **state) {
    (void)state;
    for_each_simd(check_exp_edges);
}

/* Every 4099th float again; where exp(-x) is no float any more the result is 0. */
static void check_sigmoid(void) {
    float *x = guarded(BLOCK);
    float *y = guarded(BLOCK);
    uint64_t bits = 0;

    while (bits < (uint64_t)1 << 32) {
        for (int i = 0; i < BLOCK; i++, bits += 4099) {
            x[i] = float_of((uint32_t)bits);
        }
        sg_sigmoid(x, y, BLOCK);
        for (int i = 0; i < BLOCK; i++) {
            const double exact = 1.0 / (1.0 + exp(-(double)x[i]));

            assert_true(x[i] < -88.0f ? y[i] >= 0.0f && y[i] < 1e-38f
                                      : is_within(y[i], exact, 2.5));
        }
    }
    sg_free(x);
    sg_free(y);
}

static void sigmoid_is_within_its_bound(void **state) {
    (void)state;
    for_each_simd(check_sigmoid);
}

/* An element's value depends on nothing else: neither on its place nor on the length. */
static void check_lengths(void) {
    float *x = guarded(70);
    float all[70];

    sg_exp(x, all, 70);
    for (int64_t n = 0; n <= 70; n++) {
        float *y = guarded(n);

        sg_exp(x + 70 - n, y, n);
        check_guard(y, n);
        assert_memory_equal(y, all + 70 - n, (size_t)n * sizeof *y);
        sg_free(y);
    }
    sg_exp(x, x, 70);
    assert_memory_equal(x, all, sizeof all);
    sg_free(x);
}

static void lengths_do_not_show(void **state) {
    (void)state;
    for_each_simd(check_lengths);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exp_is_within_its_bound),
        cmocka_unit_test(exp_at_its_edges),
        cmocka_unit_test(sigmoid_is_within_its_bound),
        cmocka_unit_test(lengths_do_not_show),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
