/* tests/unit/sums/test_counts.c - counters in packed fields and sums of slopes. */
#include "sgdist/counts.h"
#include "sgdist/memory.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { N_COUNTERS = 203, N_SLOPES = 5, N_TAPS = 9, N_OUT = 7 };

static struct sg_counts *make(int64_t n_samples, int n_groups) {
    const struct sg_counts_shape shape = {N_COUNTERS, N_SLOPES, n_samples, n_groups};
    struct sg_counts *c = NULL;

    assert_int_equal(sg_counts_create(&shape, &c), SG_OK);
    return c;
}

/* Any numbers will do: a hash of sample and place. */
static uint32_t hash(uint32_t a, uint32_t b) {
    uint32_t h = a * 2654435761u ^ b * 2246822519u;

    h ^= h >> 15;
    h *= 3266489917u;
    return h ^ h >> 13;
}

static int is_open(int64_t sample, int64_t unit) {
    return (int)(hash((uint32_t)sample, (uint32_t)unit) >> 7 & 1);
}

static int32_t winner(int64_t sample, int64_t out) {
    return (int32_t)(hash((uint32_t)sample, 1000u + (uint32_t)out) % (N_TAPS + 1)) - 1;
}

static float slope(int64_t sample, int64_t i) {
    return (float)hash((uint32_t)sample, 2000u + (uint32_t)i) / 4.3e9f - 0.25f;
}

enum { N_BITS = N_COUNTERS - N_TAPS * N_OUT, FIRST_BIT = 13 };

/* Bits that start in the middle of a word, behind ones that must not count. */
static void add(struct sg_counts *c, int64_t sample) {
    uint32_t words[(FIRST_BIT + N_BITS + 31) / 32];
    int32_t winners[N_OUT];
    float slopes[N_SLOPES];

    memset(words, 0xff, sizeof words);
    for (int i = 0; i < N_BITS; i++) {
        const int bit = FIRST_BIT + i;

        words[bit / 32] &= ~(1u << bit % 32);
        words[bit / 32] |= (uint32_t)is_open(sample, i) << bit % 32;
    }
    for (int o = 0; o < N_OUT; o++) {
        winners[o] = winner(sample, o) < 0 ? -1 : o * N_TAPS + winner(sample, o);
    }
    for (int i = 0; i < N_SLOPES; i++) {
        slopes[i] = slope(sample, i);
    }
    sg_counts_add_bits(c, sample, 0, words, FIRST_BIT, N_BITS);
    sg_counts_add_at(c, sample, N_BITS, winners, N_OUT);
    sg_counts_add_slopes(c, sample, 0, slopes, N_SLOPES);
    sg_counts_end_sample(c, sample);
}

/* The same means in double, sample by sample. */
static double plain_mean(int64_t n, int without, int of, int64_t unit) {
    int64_t count = 0, n_seen = 0;

    for (int64_t k = 0; k < n; k++) {
        if (without >= 0 && k % of == without) {
            continue;
        }
        n_seen++;
        count += unit < N_BITS ? is_open(k, unit)
                               : winner(k, (unit - N_BITS) / N_TAPS) == (unit - N_BITS) % N_TAPS;
    }
    return (double)count / (double)n_seen;
}

static void check_means(const struct sg_counts *c, int64_t n, int without, int of) {
    const struct sg_counts_view v = {c, without, of};
    float mean[N_COUNTERS], slopes[N_SLOPES];

    sg_counts_mean_counters(&v, 0, N_COUNTERS, mean);
    for (int i = 0; i < N_COUNTERS; i++) {
        assert_float_equal(mean[i], (float)plain_mean(n, without, of, i), 0);
    }
    sg_counts_mean_slopes(&v, 0, N_SLOPES, slopes);
    for (int i = 0; i < N_SLOPES; i++) {
        double sum = 0;
        int64_t n_seen = 0;

        for (int64_t k = 0; k < n; k++) {
            if (without < 0 || k % of != without) {
                sum += (double)slope(k, i);
                n_seen++;
            }
        }
        assert_true(fabs((double)slopes[i] - sum / (double)n_seen) < 1e-7);
    }
}

/* All widths of fields, all samples and every group left out, also of coarser groups. */
static void means_are_those_of_plain_counting(void **state) {
    const int64_t n_samples[] = {1, 50, 127, 128, 1000, 40000};

    (void)state;
    for (int i = 0; i < 6; i++) {
        for (int groups = 1; groups <= 16; groups *= 4) {
            struct sg_counts *c = make(n_samples[i], groups);

            for (int64_t k = 0; k < n_samples[i]; k++) {
                add(c, k);
            }
            assert_int_equal(sg_counts_n_added(c), n_samples[i]);
            check_means(c, n_samples[i], -1, 1);
            for (int of = 2; of <= groups && n_samples[i] > of && n_samples[i] <= 128; of *= 2) {
                check_means(c, n_samples[i], of - 1, of);
            }
            sg_counts_destroy(c);
        }
    }
}

/* The most that a field can get, in all fields: nothing runs over. */
static void full_fields_keep_to_themselves(void **state) {
    const int64_t n_samples[] = {127, 128, 32767, 32768};
    const int bits[] = {8, 16, 16, 32};
    uint32_t ones[(N_COUNTERS + 31) / 32];

    (void)state;
    memset(ones, 0xff, sizeof ones);
    for (int i = 0; i < 4; i++) {
        struct sg_counts *c = make(n_samples[i], 1);
        const struct sg_counts_view all = {c, -1, 1};
        float mean[N_COUNTERS];

        assert_int_equal(sg_counts_field_bits(sg_counts_shape_of(c)), bits[i]);
        for (int64_t k = 0; k < n_samples[i]; k++) {
            sg_counts_add_bits(c, k, 0, ones, 0, N_COUNTERS);
            sg_counts_end_sample(c, k);
        }
        sg_counts_mean_counters(&all, 0, N_COUNTERS, mean);
        for (int u = 0; u < N_COUNTERS; u++) {
            assert_float_equal(mean[u], 1, 0);
        }
        for (int64_t w = 0; w < sg_counts_n_words(c); w++) {
            assert_true(sg_counts_words(c)[w] >= 0); /* sums of words cannot overflow */
        }
        sg_counts_destroy(c);
    }
}

/* Any partition of the samples over ranks gives the same words. */
static void parts_add_up_to_the_whole(void **state) {
    enum { N = 200 };
    struct sg_counts *whole = make(N, 16), *sum = make(N, 16), *part = make(N, 16);

    (void)state;
    for (int64_t k = 0; k < N; k++) {
        add(whole, k);
    }
    for (int rank = 0; rank < 3; rank++) {
        sg_counts_reset(part, SG_COUNTS_EXPONENT);
        for (int64_t k = N - 1; k >= 0; k--) {
            if (k / 7 % 3 == rank) {
                add(part, k);
            }
        }
        for (int64_t w = 0; w < sg_counts_n_words(sum); w++) {
            sg_counts_words(sum)[w] += sg_counts_words(part)[w];
        }
    }
    assert_memory_equal(sg_counts_words(sum), sg_counts_words(whole),
                        (size_t)sg_counts_n_words(whole) * sizeof(int64_t));
    sg_counts_destroy(whole);
    sg_counts_destroy(sum);
    sg_counts_destroy(part);
}

static void bad_slopes_are_counted(void **state) {
    struct sg_counts *c = make(4, 1);
    const float slopes[N_SLOPES] = {1.0f, 256.0f, -1e9f, NAN, -INFINITY};
    float mean[N_SLOPES];
    const struct sg_counts_view all = {c, -1, 1};

    (void)state;
    sg_counts_add_slopes(c, 0, 0, slopes, N_SLOPES);
    sg_counts_end_sample(c, 0);
    sg_counts_skip_sample(c);
    assert_int_equal(sg_counts_n_off_grid(c), 2);
    assert_int_equal(sg_counts_n_nonfinite(c), 2);
    assert_int_equal(sg_counts_n_skipped(c), 1);
    assert_int_equal(sg_counts_n_added(c), 1);
    sg_counts_reset(c, SG_COUNTS_EXPONENT + 24);
    sg_counts_add_slopes(c, 0, 0, slopes, N_SLOPES);
    sg_counts_end_sample(c, 0);
    assert_int_equal(sg_counts_n_off_grid(c), 0);
    sg_counts_mean_slopes(&all, 0, 3, mean);
    assert_float_equal(mean[0], 1.0f, 0);
    assert_float_equal(mean[1], 256.0f, 0);
    assert_float_equal(mean[2], -1e9f, 0);
    sg_counts_destroy(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(means_are_those_of_plain_counting),
                                       cmocka_unit_test(full_fields_keep_to_themselves),
                                       cmocka_unit_test(parts_add_up_to_the_whole),
                                       cmocka_unit_test(bad_slopes_are_counted)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
