/* The delete-m_j jackknife, against closed forms and against its definition. */
#include "sgdist/sums.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>

enum { MAX_GROUPS = 16, N = 3 };

/* Scattered numbers in 0..1: fractions of multiples of the golden ratio. */
static double scattered(int i) {
    double whole;

    return modf(0.6180339887498949 * (i + 1) * (i + 1), &whole);
}

static double jackknife(int n_groups, const double *count, double all, const double *without) {
    double work[3 * N];
    double v[N];
    double se[N];
    double total = 0;
    struct sg_jackknife j;

    for (int g = 0; g < n_groups; g++) {
        total += count[g];
    }
    for (int i = 0; i < N; i++) {
        work[i] = work[N + i] = work[2 * N + i] = NAN; /* begin has to clear them */
        v[i] = all * (i + 1);
    }
    sg_jackknife_begin(&j, v, N, (int64_t)total, work);
    for (int g = 0; g < n_groups; g++) {
        double w[N];

        for (int i = 0; i < N; i++) {
            w[i] = without[g] * (i + 1);
        }
        sg_jackknife_add(&j, w, (int64_t)count[g]);
    }
    sg_jackknife_se(&j, se);
    for (int i = 1; i < N; i++) { /* feature i is i + 1 times the first */
        assert_true(isnan(se[0]) || fabs(se[i] - (i + 1) * se[0]) <= 1e-12 * se[i]);
    }
    return se[0];
}

/* For a mean and equal groups it is the standard error of the group means. */
static void equal_groups_of_a_mean(void **state) {
    double means[MAX_GROUPS];
    double count[MAX_GROUPS];
    double without[MAX_GROUPS];
    double all = 0;
    double m2 = 0;

    (void)state;
    for (int g = 0; g < MAX_GROUPS; g++) {
        means[g] = scattered(g);
        count[g] = 8;
        all += means[g] / MAX_GROUPS;
    }
    for (int g = 0; g < MAX_GROUPS; g++) {
        without[g] = (all * MAX_GROUPS - means[g]) / (MAX_GROUPS - 1);
        m2 += (means[g] - all) * (means[g] - all);
    }
    assert_true(fabs(jackknife(MAX_GROUPS, count, all, without) -
                     sqrt(m2 / MAX_GROUPS / (MAX_GROUPS - 1))) < 1e-14);
}

/* The definition, Busing et al. 1999, equations 5 to 9, written out with pseudo-values. */
static double by_definition(int n_groups, const double *count, double all, const double *without) {
    double n = 0;
    double estimate = n_groups * all;
    double variance = 0;

    for (int g = 0; g < n_groups; g++) {
        n += count[g];
    }
    for (int g = 0; g < n_groups; g++) {
        estimate -= (1 - count[g] / n) * without[g];
    }
    for (int g = 0; g < n_groups; g++) {
        const double h = n / count[g];
        const double pseudo = h * all - (h - 1) * without[g];

        variance += (pseudo - estimate) * (pseudo - estimate) / (h - 1) / n_groups;
    }
    return sqrt(variance);
}

static void unequal_groups(void **state) {
    (void)state;
    for (int n_groups = 2; n_groups <= MAX_GROUPS; n_groups++) {
        double count[MAX_GROUPS];
        double without[MAX_GROUPS];

        for (int g = 0; g < n_groups; g++) {
            count[g] = 1 + (g * 7) % 5;
            without[g] = 5 + scattered(g);
        }
        const double expected = by_definition(n_groups, count, 5.4, without);

        assert_true(fabs(jackknife(n_groups, count, 5.4, without) - expected) < 1e-12 * expected);
    }
}

static void degenerate_cases(void **state) {
    const double count[] = {4, 4, 4};
    const double same[] = {2, 2, 2};

    (void)state;
    assert_true(isnan(jackknife(0, count, 2, same)));
    assert_true(isnan(jackknife(1, count, 2, same)));
    assert_true(jackknife(3, count, 2, same) == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_groups_of_a_mean),
        cmocka_unit_test(unequal_groups),
        cmocka_unit_test(degenerate_cases),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
