/* The same limbs on every instruction set: add.c once more, compiled for the base one. */
#include "sgdist/sums.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SG_CLONES
#define sg_sums_add_block plain_add_block
#define sg_sums_add_runs  plain_add_runs
void plain_add_block(struct sg_sums *s, int64_t first_sample, const float *v, int64_t n_samples);
void plain_add_runs(struct sg_sums *s, int64_t first_sample, int64_t run, const float *v,
                    int64_t n_samples);
#include "sums/add.c"
#undef sg_sums_add_block
#undef sg_sums_add_runs

void sg_sums_add_block(struct sg_sums *s, int64_t first_sample, const float *v, int64_t n_samples);

enum { N = 5003, SAMPLES = 20 };

static void dispatched_equals_plain(void **state) {
    static float v[SAMPLES][N];
    uint32_t x = 1;

    (void)state;
    for (int k = 0; k < SAMPLES; k++) {
        for (int i = 0; i < N; i++) {
            x = x * 1664525 + 1013904223; /* the constants are those of Numerical Recipes */
            v[k][i] = (float)ldexp((double)(int32_t)x, -31 - (int)(x % 37));
        }
    }
    v[5][N - 1] = NAN;
    v[6][0] = 2;
    for (int n_powers = 1; n_powers <= 4; n_powers++) {
        struct sg_sums *a;
        struct sg_sums *b;

        assert_int_equal(sg_sums_create(N, n_powers, 3, &a), SG_OK);
        assert_int_equal(sg_sums_create(N, n_powers, 3, &b), SG_OK);
        sg_sums_reset(a, 1);
        sg_sums_reset(b, 1);
        sg_sums_add_block(a, 4, v[0], SAMPLES);
        plain_add_block(b, 4, v[0], SAMPLES);
        assert_int_equal(sg_sums_n_added(a), SAMPLES - 2);
        assert_memory_equal(sg_sums_limbs(a), sg_sums_limbs(b),
                            (size_t)sg_sums_n_limbs(a) * sizeof(int64_t));
        sg_sums_destroy(a);
        sg_sums_destroy(b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(dispatched_equals_plain)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
