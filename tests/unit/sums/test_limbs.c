/* The exact sums as integers: order never shows, limbs hold the true sums, counts are right. */
#include "sgdist/memory.h"
#include "sgdist/sums.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 37, SAMPLES = 203, EXPONENT = 3, MAX_POWERS = SG_SUMS_MAX_POWERS };

static float values[SAMPLES][N];

/* A plain generator for test values (the constants are Knuth's MMIX). */
static uint64_t next_random(void) {
    static uint64_t x = 1;

    x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return x >> 11;
}

/* Values over many octaves and of both signs, with zeros, the largest and the finest among them. */
static int make_values(void **state) {
    (void)state;
    for (int k = 0; k < SAMPLES; k++) {
        for (int i = 0; i < N; i++) {
            const double mantissa = (double)next_random() * 0x1p-52 - 1;

            values[k][i] = (float)ldexp(mantissa, EXPONENT - (int)(next_random() % 45));
        }
    }
    values[0][0] = nextafterf(8, 0);
    values[1][0] = -nextafterf(8, 0);
    values[2][1] = 0x1p-149f;
    values[3][1] = -0.0f;
    return 0;
}

static struct sg_sums *new_sums(int n_powers, int n_groups) {
    struct sg_sums *s;

    assert_int_equal(sg_sums_create(N, n_powers, n_groups, &s), SG_OK);
    sg_sums_reset(s, EXPONENT);
    return s;
}

static void assert_same_bytes(struct sg_sums *a, struct sg_sums *b) {
    assert_int_equal(sg_sums_n_limbs(a), sg_sums_n_limbs(b));
    assert_memory_equal(sg_sums_limbs(a), sg_sums_limbs(b),
                        (size_t)sg_sums_n_limbs(a) * sizeof(int64_t));
}

/* One block after the other, the reference of the other ways. */
static struct sg_sums *sums_of_all(int n_powers, int n_groups) {
    struct sg_sums *s = new_sums(n_powers, n_groups);

    sg_sums_add_block(s, 0, values[0], SAMPLES);
    return s;
}

static void any_split_gives_the_same_limbs(void **state) {
    (void)state;
    for (int n_powers = 1; n_powers <= MAX_POWERS; n_powers++) {
        struct sg_sums *whole = sums_of_all(n_powers, 3);

        for (int block = 1; block <= SAMPLES; block += block < 8 ? 1 : 61) {
            struct sg_sums *s = new_sums(n_powers, 3);

            for (int k = 0; k < SAMPLES; k += block) {
                sg_sums_add_block(s, k, values[k], block < SAMPLES - k ? block : SAMPLES - k);
            }
            assert_same_bytes(s, whole);
            sg_sums_destroy(s);
        }
        sg_sums_destroy(whole);
    }
}

static void any_order_gives_the_same_limbs(void **state) {
    struct sg_sums *whole = sums_of_all(2, 16);

    (void)state;
    for (int stride = 1; stride < SAMPLES;
         stride += 20) { /* SAMPLES = 7 * 29: strides 1, 21, 41 .. */
        struct sg_sums *s = new_sums(2, 16);
        char seen[SAMPLES] = {0};

        for (int i = 0, k = 0; i < SAMPLES; i++, k = (k + stride) % SAMPLES) {
            while (seen[k]) {
                k = (k + 1) % SAMPLES;
            }
            seen[k] = 1;
            sg_sums_add_block(s, k, values[k], 1);
        }
        assert_same_bytes(s, whole);
        sg_sums_destroy(s);
    }
    sg_sums_destroy(whole);
}

/* Ranks take every third block of 7; they are merged forwards, backwards, and as MPI would do it.
 */
static void any_merge_gives_the_same_limbs(void **state) {
    struct sg_sums *whole = sums_of_all(4, 5);
    struct sg_sums *part[3];
    struct sg_sums *forwards = new_sums(4, 5);
    struct sg_sums *backwards = new_sums(4, 5);
    struct sg_sums *reduced = new_sums(4, 5);

    (void)state;
    for (int r = 0; r < 3; r++) {
        part[r] = new_sums(4, 5);
        for (int k = 7 * r; k < SAMPLES; k += 21) {
            sg_sums_add_block(part[r], k, values[k], SAMPLES - k < 7 ? SAMPLES - k : 7);
        }
    }
    for (int r = 0; r < 3; r++) {
        sg_sums_merge(forwards, part[r]);
        sg_sums_merge(backwards, part[2 - r]);
    }
    for (int r = 0; r < 3; r++) {
        const int64_t *limbs = sg_sums_limbs(part[r]);
        int64_t *into = sg_sums_limbs(reduced);

        for (int64_t i = 0; i < sg_sums_n_limbs(reduced); i++) {
            into[i] += limbs[i];
        }
    }
    assert_same_bytes(forwards, whole);
    assert_same_bytes(backwards, whole);
    assert_same_bytes(reduced, whole);
    for (int r = 0; r < 3; r++) {
        sg_sums_destroy(part[r]);
    }
    sg_sums_destroy(whole);
    sg_sums_destroy(forwards);
    sg_sums_destroy(backwards);
    sg_sums_destroy(reduced);
}

/* A 256-bit integer in two's complement, low word first. */
struct big {
    uint32_t w[8];
};

static struct big big_times(struct big a, uint64_t b) {
    struct big r = {{0}};

    for (int j = 0; j < 2; j++) {
        uint64_t carry = 0;
        const uint64_t digit = j == 0 ? b & UINT32_MAX : b >> 32;

        for (int i = 0; i + j < 8; i++) {
            carry += a.w[i] * digit + r.w[i + j];
            r.w[i + j] = (uint32_t)carry;
            carry >>= 32;
        }
    }
    return r;
}

static struct big big_plus(struct big a, struct big b) {
    uint64_t carry = 0;

    for (int i = 0; i < 8; i++) {
        carry += (uint64_t)a.w[i] + b.w[i];
        a.w[i] = (uint32_t)carry;
        carry >>= 32;
    }
    return a;
}

static struct big big_minus(struct big a) {
    for (int i = 0; i < 8; i++) {
        a.w[i] = ~a.w[i];
    }
    return big_plus(a, (struct big){{1}});
}

/* q^p; q = v / 2^(EXPONENT - 40) rounded to even by the C library. */
static struct big power_of(float v, int p) {
    const int64_t q = llrint(ldexp((double)v, SG_SUMS_GRID_BITS - EXPONENT));
    struct big r = {{1}};

    for (int i = 0; i < p; i++) {
        r = big_times(r, (uint64_t)llabs(q));
    }
    return q < 0 && p % 2 == 1 ? big_minus(r) : r;
}

/* With one group the limbs of power p and feature i are at [header][power][limb][feature]. */
static void limbs_hold_the_true_sums(void **state) {
    struct sg_sums *s = sums_of_all(MAX_POWERS, 1);
    const int64_t *limbs = sg_sums_limbs(s) + sg_sums_n_limbs(s) - 14 * N;

    (void)state;
    for (int p = 1; p <= MAX_POWERS; p++) {
        for (int i = 0; i < N; i++) {
            struct big sum = {{0}};

            for (int k = 0; k < SAMPLES; k++) {
                sum = big_plus(sum, power_of(values[k][i], p));
            }
            for (int limb = 0; limb < p; limb++) {
                assert_int_equal(limbs[limb * N + i], sum.w[limb]);
            }
            assert_int_equal(limbs[p * N + i], (int64_t)((uint64_t)sum.w[p + 1] << 32 | sum.w[p]));
        }
        limbs += (p + 1) * N;
    }
    sg_sums_destroy(s);
}

/* 70,000 times the largest value of the grid: without carries in between the second limb of power 2
 * would overflow, at 2^48 a sample. */
static void many_large_values_do_not_overflow(void **state) {
    enum { M = 70000 };
    struct sg_sums *s = new_sums(MAX_POWERS, 1);
    float row[N];
    const int64_t *limbs;

    (void)state;
    for (int i = 0; i < N; i++) {
        row[i] = nextafterf(8, 0);
    }
    for (int k = 0; k < M; k++) {
        sg_sums_add_block(s, k, row, 1);
    }
    limbs = sg_sums_limbs(s) + sg_sums_n_limbs(s) - 14 * N;
    for (int p = 1; p <= MAX_POWERS; p++) {
        const struct big sum = big_times(power_of(row[0], p), M);

        for (int limb = 0; limb < p; limb++) {
            assert_int_equal(limbs[limb * N], sum.w[limb]);
        }
        assert_int_equal(limbs[p * N], (int64_t)((uint64_t)sum.w[p + 1] << 32 | sum.w[p]));
        limbs += (p + 1) * N;
    }
    sg_sums_destroy(s);
}

/* Sample numbers, not the order of arrival, decide the group; a group is the sums of its own. */
static void groups_and_collapse(void **state) {
    struct sg_sums *s = sums_of_all(2, 4);
    struct sg_sums *one = new_sums(2, 1);
    struct sg_sums *expected = new_sums(2, 1);

    (void)state;
    for (int without = -1; without < 4; without++) {
        sg_sums_reset(expected, EXPONENT);
        for (int k = 0; k < SAMPLES; k++) {
            if (k % 4 != without) {
                sg_sums_add_block(expected, k, values[k], 1);
            }
        }
        sg_sums_collapse(s, without, one);
        assert_same_bytes(one, expected);
    }
    sg_sums_collapse(s, -1, one);
    for (int g = 0; g < 4; g++) {
        sg_sums_remove_group(s, g, one);
        sg_sums_collapse(s, g, expected);
        assert_same_bytes(one, expected);
        sg_sums_restore_group(s, g, one);
        sg_sums_collapse(s, -1, expected);
        assert_same_bytes(one, expected);
    }
    for (int g = 0; g < 4; g++) {
        assert_int_equal(sg_sums_group_count(s, g), (SAMPLES + 3 - g) / 4);
    }
    assert_int_equal(sg_sums_n_groups(s), 4);
    assert_int_equal(sg_sums_n_features(s), N);
    sg_sums_destroy(s);
    sg_sums_destroy(one);
    sg_sums_destroy(expected);
}

/* Such samples add nothing at all, and are counted by what was wrong. */
/* Samples of a run are all in the run's group, wherever a block begins. */
static void runs_share_a_group(void **state) {
    enum { RUN = 5, GROUPS = 3, SPLIT = 13 };
    struct sg_sums *s = new_sums(2, GROUPS);
    struct sg_sums *expected = new_sums(2, GROUPS);

    (void)state;
    for (int k = 0; k < SAMPLES; k++) {
        sg_sums_add_block(expected, k / RUN, values[k], 1);
    }
    sg_sums_add_runs(s, SPLIT, RUN, values[SPLIT], SAMPLES - SPLIT);
    sg_sums_add_runs(s, 0, RUN, values[0], SPLIT);
    assert_same_bytes(s, expected);
    sg_sums_destroy(s);
    sg_sums_destroy(expected);
}

static void odd_samples_are_counted(void **state) {
    float odd[5][N];
    struct sg_sums *s = new_sums(2, 2);
    struct sg_sums *one = new_sums(2, 1);
    struct sg_sums *expected = new_sums(2, 2);

    (void)state;
    memcpy(odd, values, sizeof odd);
    odd[0][N - 1] = 8; /* the first value off the grid */
    odd[1][3] = NAN;
    odd[2][0] = -INFINITY;
    odd[3][5] = 1e30f;
    odd[3][6] = NAN; /* not finite comes first */
    sg_sums_add_block(s, 0, odd[0], 5);
    sg_sums_tallies(s)[2] = 7;
    assert_int_equal(sg_sums_n_added(s), 1);
    assert_int_equal(sg_sums_n_off_grid(s), 1);
    assert_int_equal(sg_sums_n_nonfinite(s), 3);
    assert_int_equal(sg_sums_group_count(s, 0), 1);

    sg_sums_collapse(s, 0, one);
    assert_int_equal(sg_sums_n_added(one), 0);
    assert_int_equal(sg_sums_n_off_grid(one), 1);
    assert_int_equal(sg_sums_n_nonfinite(one), 3);
    assert_int_equal(sg_sums_tallies(one)[2], 7);

    sg_sums_merge(s, s);
    assert_int_equal(sg_sums_n_nonfinite(s), 6);
    assert_int_equal(sg_sums_tallies(s)[2], 14);

    sg_sums_reset(s, EXPONENT);
    assert_same_bytes(s, expected);
    sg_sums_destroy(s);
    sg_sums_destroy(one);
    sg_sums_destroy(expected);
}

static void exponents_leave_head_room(void **state) {
    (void)state;
    assert_int_equal(sg_sums_exponent_for(0), 0);
    assert_int_equal(sg_sums_exponent_for(0.75), SG_SUMS_HEADROOM);
    assert_int_equal(sg_sums_exponent_for(1), 1 + SG_SUMS_HEADROOM);
    assert_int_equal(sg_sums_exponent_for(1e38), 128);
    assert_int_equal(sg_sums_exponent_for(INFINITY), 128);
    assert_int_equal(sg_sums_exponent_for(NAN), 128);
    assert_int_equal(sg_sums_exponent_for(0x1p-149), -149 + 40);
}

/* On the coarsest grid every finite float fits; on the finest the least one is exact. */
static void the_ends_of_the_float_range_fit(void **state) {
    float row[N] = {0};
    struct sg_sums *s = new_sums(2, 1);
    double mean[N];

    (void)state;
    row[0] = -3.402823466e38f;
    sg_sums_reset(s, 128);
    sg_sums_add_block(s, 0, row, 1);
    assert_int_equal(sg_sums_n_added(s), 1);
    assert_int_equal(sg_sums_mean(s, mean), SG_OK);
    assert_true(mean[0] == (double)row[0]);

    row[0] = 0x1p-149f;
    sg_sums_reset(s, sg_sums_exponent_for(row[0]));
    sg_sums_add_block(s, 0, row, 1);
    assert_int_equal(sg_sums_mean(s, mean), SG_OK);
    assert_true(mean[0] == 0x1p-149);
    sg_sums_destroy(s);
}

static void bad_arguments_are_refused(void **state) {
    struct sg_sums *s = NULL;

    (void)state;
    assert_int_equal(sg_sums_create(0, 1, 1, &s), SG_E_ARG);
    assert_int_equal(sg_sums_create(1, 0, 1, &s), SG_E_ARG);
    assert_int_equal(sg_sums_create(1, 5, 1, &s), SG_E_ARG);
    assert_int_equal(sg_sums_create(1, 1, 0, &s), SG_E_ARG);
    assert_int_equal(sg_sums_create(1, 1, 17, &s), SG_E_ARG);
    assert_int_equal(sg_sums_create(INT64_MAX / 4, 4, 16, &s), SG_E_NOMEM);
    for (int i = 1; i <= 2; i++) {
        sg_memory_fail_at(i);
        assert_int_equal(sg_sums_create(8, 2, 1, &s), SG_E_NOMEM);
    }
    sg_memory_fail_at(0);
    assert_null(s);
    sg_sums_destroy(NULL);
    assert_int_equal(sg_memory_balance(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_split_gives_the_same_limbs),
        cmocka_unit_test(any_order_gives_the_same_limbs),
        cmocka_unit_test(any_merge_gives_the_same_limbs),
        cmocka_unit_test(limbs_hold_the_true_sums),
        cmocka_unit_test(many_large_values_do_not_overflow),
        cmocka_unit_test(groups_and_collapse),
        cmocka_unit_test(runs_share_a_group),
        cmocka_unit_test(odd_samples_are_counted),
        cmocka_unit_test(exponents_leave_head_room),
        cmocka_unit_test(the_ends_of_the_float_range_fit),
        cmocka_unit_test(bad_arguments_are_refused),
    };

    return cmocka_run_group_tests(tests, make_values, NULL);
}
