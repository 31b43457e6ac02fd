/* Filters of a finished map, by closed forms. NumPy judges them on scattered numbers in
 * tests/python/test_cam.py. */
#include "methods/toys.h"

#include "methods/methods_impl.h"

enum { ROWS = 6, COLUMNS = 9, N = ROWS * COLUMNS, MOST = 1024 };

static const struct sg_shape plane = {.n_axes = 2, .axes = {ROWS, COLUMNS}};

static void apply(const struct sg_filter *f, const struct sg_shape *shape, double *map) {
    double work[MOST];

    assert_true(sg_filter_n_work(f, shape) <= MOST);
    sg_filter_apply(f, shape, work, map);
}

/* A constant and a wave of 2 turns along the columns and 1 along the rows, sqrt(5) from the middle:
 * a radius of 2.2 takes it out, one of 2.3 lets it pass. */
static void a_wave_passes_or_does_not(void **state) {
    const double turn = 2 * 3.14159265358979323846;

    (void)state;
    for (int passes = 0; passes < 2; passes++) {
        const struct sg_filter f = {.lowpass = passes ? 2.3 : 2.2};
        double map[N];

        for (int i = 0; i < N; i++) {
            map[i] =
                3 +
                sin(turn * ((double)(i / COLUMNS) / ROWS + 2.0 * (double)(i % COLUMNS) / COLUMNS));
        }
        double expected[N];
        memcpy(expected, map, sizeof map);
        apply(&f, &plane, map);
        for (int i = 0; i < N; i++) {
            assert_true(fabs(map[i] - (passes ? expected[i] : 3)) < 1e-12);
        }
    }
}

/* A radius beyond all frequencies leaves |v|: even and odd lengths, with and without a highest
 * frequency of its own. */
static void a_large_radius_takes_nothing(void **state) {
    static const int64_t lengths[] = {1, 2, 3, 8, 9};
    const struct sg_filter f = {.lowpass = 20};

    (void)state;
    for (int r = 0; r < 5; r++) {
        for (int c = 0; c < 5; c++) {
            const struct sg_shape shape = {.n_axes = 3, .axes = {2, lengths[r], lengths[c]}};
            double map[2 * 81];

            for (int i = 0; i < sg_shape_size(&shape); i++) {
                map[i] = scattered(i);
            }
            apply(&f, &shape, map);
            for (int i = 0; i < sg_shape_size(&shape); i++) {
                assert_true(fabs(map[i] - fabs(scattered(i))) < 1e-12);
            }
        }
    }
}

/* |v| are 0 to 53, so percentile p is 53 p / 100; signs stay. */
static void clip_cuts_at_the_percentile_of_the_absolute_value(void **state) {
    const struct sg_filter f = {.clip = 90};
    double map[N];

    (void)state;
    for (int i = 0; i < N; i++) {
        map[i] = (i % 2 != 0 ? -1 : 1) * (double)((i * 7) % N);
    }
    apply(&f, &plane, map);
    for (int i = 0; i < N; i++) {
        const double v = fmin((i * 7) % N, 47.7);

        assert_true(fabs(map[i] - (i % 2 != 0 ? -v : v)) < 1e-12);
    }
}

/* Every percentile that falls on a value is that value: of numbers in order, in reverse, scattered,
 * with many that are equal. */
static void percentiles_on_values_are_values(void **state) {
    (void)state;
    for (int shuffle = 1; shuffle < N; shuffle++) {
        for (int k = 0; k < N; k++) {
            const struct sg_filter f = {.clip = fmax(100.0 * k / (N - 1), 1e-9)};
            const int equal = shuffle % 5 + 1;
            double map[N];
            double most = 0;

            for (int i = 0; i < N; i++) {
                map[(i * 53 + shuffle) % N] = (double)(i / equal);
            }
            apply(&f, &plane, map);
            for (int i = 0; i < N; i++) {
                most = fmax(most, map[i]);
            }
            assert_true(fabs(most - (double)(k / equal)) < 1e-6);
        }
    }
}

/* First |v|, then the frequencies, then the cut: of +1 and -1 in turn |v| is 1 everywhere, and a
 * constant passes. */
static void the_order_is_fixed(void **state) {
    const struct sg_filter all = {.absolute = 1, .lowpass = 1, .clip = 50};
    double map[N];

    (void)state;
    for (int i = 0; i < N; i++) {
        map[i] = i % 2 != 0 ? -1 : 1;
    }
    apply(&all, &plane, map);
    for (int i = 0; i < N; i++) {
        assert_true(fabs(map[i] - 1) < 1e-13);
    }
}

/* A filtered mean is no mean: its error comes from the jackknife, and clipping at the median cannot
 * leave more than the unfiltered error at the places that are cut. */
static void the_error_is_of_the_filtered_map(void **state) {
    struct sg_instance inst = toy_instance("smoothgrad", 160);
    struct toy t;
    float map[TOY_MAX];
    float se[TOY_MAX];

    (void)state;
    toy_init(&t, 1, 4, 4, toy_quadratic);
    assert_int_equal(sg_instance_n_groups(&inst), 1);
    inst.params.filter.absolute = 1;
    assert_int_equal(sg_instance_n_groups(&inst), 16);
    toy_run(&t, &inst, map, se);
    for (int i = 0; i < t.n; i++) {
        double left[16];
        double mean = 0;
        double sum = 0;

        for (int j = 0; j < 16; j++) { /* the textbook jackknife of equal groups, on |mean| */
            struct sg_sums *one;
            double m[TOY_MAX];

            assert_int_equal(sg_sums_create(t.n, sg_sums_n_powers(t.sums), 1, &one), SG_OK);
            sg_sums_collapse(t.sums, j, one);
            assert_int_equal(sg_sums_mean(one, m), SG_OK);
            left[j] = fabs(m[i]);
            mean += left[j] / 16;
            sg_sums_destroy(one);
        }
        for (int j = 0; j < 16; j++) {
            sum += (left[j] - mean) * (left[j] - mean);
        }
        assert_true(fabs(se[i] - sqrt(sum * 15 / 16)) < 1e-6 * se[i]);
        assert_true(map[i] >= 0);
    }
    toy_fini(&t);
}

/* Against the C library, at every n-th of a turn. */
static void own_circle(void **state) {
    (void)state;
    for (int64_t n = 1; n < 300; n++) {
        for (int64_t k = 0; k < n; k++) {
            const long double angle = 2 * 3.14159265358979323846L * k / n;
            double c;
            double s;

            sg_rng_circle(k, n, &c, &s);
            assert_true(fabsl(c - cosl(angle)) < 5e-16 && fabsl(s - sinl(angle)) < 5e-16);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wave_passes_or_does_not),
        cmocka_unit_test(a_large_radius_takes_nothing),
        cmocka_unit_test(clip_cuts_at_the_percentile_of_the_absolute_value),
        cmocka_unit_test(percentiles_on_values_are_values),
        cmocka_unit_test(the_order_is_fixed),
        cmocka_unit_test(the_error_is_of_the_filtered_map),
        cmocka_unit_test(own_circle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
