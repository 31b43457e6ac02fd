/* Normals: against Box-Muller from the C library, and their distribution. Bounds are five standard
 * errors of the statistic for n independent normals; the draws are fixed, so a test that passes
 * stays so. */
#include "sgdist/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

enum { N = 4000000, N_SIGMAS = 5 };

static float *z; /* [N], sample 0 */

static struct sg_rng_address address_of(enum sg_stream stream, uint64_t item, uint32_t sample) {
    return (struct sg_rng_address){.seed = 2017, .stream = stream, .item = item, .sample = sample};
}

static int make(void **state) {
    const struct sg_rng_address at = address_of(SG_STREAM_INPUT, 42, 0);

    (void)state;
    z = malloc(N * sizeof *z);
    if (z != NULL) {
        sg_rng_normals(&at, N, z);
    }
    return z == NULL;
}

static int drop(void **state) {
    (void)state;
    free(z);
    return 0;
}

/* Neighbouring floats or the same. */
static int within_an_ulp(float a, float b) {
    return a == b || nextafterf(a, b) == b;
}

static void normals_are_box_muller(void **state) {
    const struct sg_rng_address at = address_of(SG_STREAM_INPUT, 42, 0);
    enum { M = 1000000 };
    double *u = malloc(M * sizeof *u);
    int n_different = 0;

    (void)state;
    assert_non_null(u);
    sg_rng_uniforms(&at, M, u);
    for (int i = 0; i < M; i += 2) {
        const double r = sqrt(-2 * log(u[i]));
        const float c = (float)(r * cos(2 * M_PI * u[i + 1]));
        const float s = (float)(r * sin(2 * M_PI * u[i + 1]));

        assert_true(within_an_ulp(z[i], c));
        assert_true(within_an_ulp(z[i + 1], s));
        n_different += (z[i] != c) + (z[i + 1] != s);
    }
    /* Errors below 1e-12 move a rounding to float (half a step is 3e-8 of the value) in less than 1
     * of 30,000; near a zero of sine or cosine the library's own reduction error counts as well. */
    assert_true(n_different < M / 30000);
    free(u);
}

/* The largest radius is sqrt(2 * 33 log 2) = 6.764. */
static void largest_value_is_bounded(void **state) {
    double most = 0;

    (void)state;
    for (int i = 0; i < N; i++) {
        assert_true(isfinite(z[i]));
        most = fmax(most, fabs(z[i]));
    }
    assert_true(most < 6.77);
    assert_true(most > 4.5); /* P(all of 4e6 below) < 1e-11 */
}

/* Standard errors for n normals: mean 1/sqrt(n), variance sqrt(2/n), third moment sqrt(15/n),
 * fourth sqrt(96/n). */
static void moments_are_those_of_a_normal(void **state) {
    double m[5] = {0};
    const double root = sqrt(N);

    (void)state;
    for (int i = 0; i < N; i++) {
        const double v = z[i];

        m[1] += v / N;
        m[2] += v * v / N;
        m[3] += v * v * v / N;
        m[4] += v * v * v * v / N;
    }
    assert_true(fabs(m[1]) < N_SIGMAS / root);
    assert_true(fabs(m[2] - 1) < N_SIGMAS * sqrt(2) / root);
    assert_true(fabs(m[3]) < N_SIGMAS * sqrt(15) / root);
    assert_true(fabs(m[4] - 3) < N_SIGMAS * sqrt(96) / root);
}

static int ascending(const void *a, const void *b) {
    const float x = *(const float *)a;
    const float y = *(const float *)b;

    return (x > y) - (x < y);
}

/* Kolmogorov-Smirnov: P(sqrt(n) D > 2.5) = 2 exp(-2 * 2.5^2) = 7e-6. */
static void distribution_is_normal(void **state) {
    enum { M = 1000000 };
    float *sorted = malloc(M * sizeof *sorted);
    double d = 0;

    (void)state;
    assert_non_null(sorted);
    for (int i = 0; i < M; i++) {
        sorted[i] = z[i];
    }
    qsort(sorted, M, sizeof *sorted, ascending);
    for (int i = 0; i < M; i++) {
        const double p = 0.5 * erfc(-(double)sorted[i] / M_SQRT2);

        d = fmax(d, fmax(p - (double)i / M, (double)(i + 1) / M - p));
    }
    assert_true(sqrt(M) * d < 2.5);
    free(sorted);
}

static double correlation(const float *a, const float *b, int n) {
    double sum = 0;

    for (int i = 0; i < n; i++) {
        sum += (double)a[i] * b[i];
    }
    return sum / n;
}

/* The product of two independent normals has mean 0 and variance 1; that of their squares, less 1,
 * mean 0 and variance 8. */
static void assert_independent(const float *a, const float *b, int n) {
    double squares = 0;

    assert_true(fabs(correlation(a, b, n)) < N_SIGMAS / sqrt(n));
    for (int i = 0; i < n; i++) {
        squares += (double)a[i] * a[i] * b[i] * b[i] - 1;
    }
    assert_true(fabs(squares / n) < N_SIGMAS * sqrt(8) / sqrt(n));
}

static void samples_items_streams_are_independent(void **state) {
    enum { M = 1000000 };
    const struct sg_rng_address others[] = {
        address_of(SG_STREAM_INPUT, 42, 1),
        address_of(SG_STREAM_INPUT, 43, 0),
        address_of(SG_STREAM_WEIGHTS, 42, 0),
        address_of(SG_STREAM_MASKS, 42, 0),
        address_of(SG_STREAM_INPUT, UINT64_C(42) << 32, 0),
    };
    float *other = malloc(M * sizeof *other);

    (void)state;
    assert_non_null(other);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        sg_rng_normals(&others[i], M, other);
        assert_independent(z, other, M);
    }
    for (int lag = 1; lag <= 8; lag++) {
        assert_independent(z, z + lag, M);
    }
    free(other);
}

/* Element 5 of samples 0..M-1: what one pixel sees in the course of a study. */
static void one_element_over_samples_is_normal(void **state) {
    enum { M = 100000 };
    double mean = 0;
    double square = 0;
    double lagged = 0;
    float last = 0;

    (void)state;
    for (uint32_t k = 0; k < M; k++) {
        const struct sg_rng_address at = address_of(SG_STREAM_INPUT, 42, k);
        float v[6];

        sg_rng_normals(&at, 6, v);
        mean += (double)v[5] / M;
        square += (double)v[5] * v[5] / M;
        lagged += (double)v[5] * last / M;
        last = v[5];
    }
    assert_true(fabs(mean) < N_SIGMAS / sqrt(M));
    assert_true(fabs(square - 1) < N_SIGMAS * sqrt(2.0 / M));
    assert_true(fabs(lagged) < N_SIGMAS / sqrt(M));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(normals_are_box_muller),
        cmocka_unit_test(largest_value_is_bounded),
        cmocka_unit_test(moments_are_those_of_a_normal),
        cmocka_unit_test(distribution_is_normal),
        cmocka_unit_test(samples_items_streams_are_independent),
        cmocka_unit_test(one_element_over_samples_is_normal),
    };

    return cmocka_run_group_tests(tests, make, drop);
}
