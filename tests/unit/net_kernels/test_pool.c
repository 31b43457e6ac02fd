/* Pooling against plain loops, and against hand-made answers: ties, NaN, ceil mode. */
#include "net_kernels/helper.h"

struct arrays {
    struct sg_pool s;
    int64_t n_in, n_out;
    float *x, *y, *dy, *dx, *want;
    uint8_t *winner;
    int32_t *wide, *want_wide;
};

static void setup(struct arrays *a) {
    const struct sg_pool *s = &a->s;

    a->n_in = s->n * s->h * s->w * s->c;
    a->n_out = s->n * s->oh * s->ow * s->c;
    a->x = guarded(a->n_in);
    a->y = guarded(a->n_out);
    a->dy = guarded(a->n_out);
    a->dx = guarded(a->n_in);
    a->want = guarded(a->n_in > a->n_out ? a->n_in : a->n_out);
    a->winner = sg_calloc((size_t)a->n_out, 1);
    a->wide = sg_calloc((size_t)a->n_out, sizeof(int32_t));
    a->want_wide = sg_calloc((size_t)a->n_out, sizeof(int32_t));
}

static void teardown(struct arrays *a) {
    void *all[] = {a->x, a->y, a->dy, a->dx, a->want, a->winner, a->wide, a->want_wide};

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        sg_free(all[i]);
    }
}

static void check_same(const float *got, const float *want, int64_t n) {
    check_guard(got, n);
    for (int64_t i = 0; i < n; i++) {
        assert_true(got[i] == want[i] || (isnan(got[i]) && isnan(want[i])));
    }
}

static void check_winners(const struct arrays *a) {
    for (int64_t i = 0; i < a->n_out; i++) {
        assert_int_equal(a->wide[i], a->want_wide[i]);
        if (a->s.kh * a->s.kw <= SG_POOL_MAX_NARROW) {
            const int closed = a->y[i] > 0.0f ? 0 : SG_POOL_CLOSED;

            assert_int_equal(a->winner[i],
                             a->want_wide[i] < 0 ? SG_POOL_OUTSIDE : a->want_wide[i] + closed);
        }
    }
}

/* With the cut, it is as if the maxima that are not above 0 had no winner. */
static void check_cut(struct arrays *a, int accumulate) {
    memcpy(a->want, a->x, (size_t)a->n_in * sizeof(float));
    memcpy(a->dx, a->x, (size_t)a->n_in * sizeof(float));
    for (int64_t i = 0; i < a->n_out; i++) {
        a->wide[i] = a->y[i] > 0.0f ? a->want_wide[i] : -1;
    }
    sg_ref_max_pool_backward(&a->s, a->wide, a->dy, a->want, accumulate);
    sg_max_pool_backward(&a->s, a->winner, a->dy, a->dx, accumulate, 1);
    check_same(a->dx, a->want, a->n_in);
    memcpy(a->wide, a->want_wide, (size_t)a->n_out * sizeof *a->wide);
}

/* Where windows overlap, several values land on one element: the order of adding is the window
 * order in both, so the sums are the same bits. */
static void check_max(struct arrays *a, int accumulate) {
    const size_t bytes = (size_t)a->n_in * sizeof(float);

    sg_ref_max_pool_forward(&a->s, a->x, a->want, a->want_wide);
    sg_max_pool_forward_wide(&a->s, a->x, a->y, a->wide);
    check_same(a->y, a->want, a->n_out);
    memcpy(a->want, a->x, bytes);
    memcpy(a->dx, a->x, bytes);
    sg_ref_max_pool_backward(&a->s, a->want_wide, a->dy, a->want, accumulate);
    sg_max_pool_backward_wide(&a->s, a->wide, a->dy, a->dx, accumulate);
    check_same(a->dx, a->want, a->n_in);
    if (a->s.kh * a->s.kw <= SG_POOL_MAX_NARROW) {
        memcpy(a->dx, a->x, bytes);
        sg_max_pool_forward(&a->s, a->x, a->y, a->winner);
        sg_max_pool_backward(&a->s, a->winner, a->dy, a->dx, accumulate, 0);
        check_same(a->dx, a->want, a->n_in);
        sg_ref_max_pool_forward(&a->s, a->x, a->want, a->want_wide);
        check_same(a->y, a->want, a->n_out);
        check_cut(a, accumulate);
    }
    check_winners(a);
}

static void check_average(struct arrays *a, int accumulate) {
    const size_t bytes = (size_t)a->n_in * sizeof(float);

    sg_ref_average_pool_forward(&a->s, a->x, a->want);
    sg_average_pool_forward(&a->s, a->x, a->y);
    check_same(a->y, a->want, a->n_out);
    memcpy(a->want, a->x, bytes);
    memcpy(a->dx, a->x, bytes);
    sg_ref_average_pool_backward(&a->s, a->dy, a->want, accumulate);
    sg_average_pool_backward(&a->s, a->dy, a->dx, accumulate);
    check_same(a->dx, a->want, a->n_in);
}

/* ceil != 0 rounds the number of windows up: the last may hang over the border or lie outside. */
static int64_t n_windows(int64_t in, int64_t pads, int64_t kernel, int64_t stride, int ceil) {
    return (in + pads - kernel + (ceil ? stride - 1 : 0)) / stride + 1;
}

static struct sg_pool random_shape(void) {
    struct sg_pool s = {0};

    do {
        s = (struct sg_pool){.n = random_int(1, 3),
                             .h = random_int(1, 12),
                             .w = random_int(1, 12),
                             .c = random_int(1, 37),
                             .kh = random_int(1, 4),
                             .kw = random_int(1, 4),
                             .stride_h = random_int(1, 5),
                             .stride_w = random_int(1, 5),
                             .pad_top = random_int(0, 3),
                             .pad_left = random_int(0, 3),
                             .pad_bottom = random_int(0, 3),
                             .pad_right = random_int(0, 3),
                             .count_include_pad = (int)random_int(0, 1)};
        if (random_int(0, 3) == 0) { /* the shape that has a path of its own */
            s.kh = s.kw = s.stride_h = s.stride_w = 2;
            s.pad_top = s.pad_left = s.pad_bottom = s.pad_right = 0;
        }
    } while (s.h + s.pad_top + s.pad_bottom < s.kh || s.w + s.pad_left + s.pad_right < s.kw);
    const int ceil = (int)random_int(0, 1);
    s.oh = n_windows(s.h, s.pad_top + s.pad_bottom, s.kh, s.stride_h, ceil);
    s.ow = n_windows(s.w, s.pad_left + s.pad_right, s.kw, s.stride_w, ceil);
    return s;
}

/* Few different values make ties; some are NaN or infinite. */
static void roughen(float *x, int64_t n) {
    static const float values[] = {0, -1, 1, 2, NAN, INFINITY, -INFINITY};

    for (int64_t i = 0; i < n; i++) {
        x[i] = random_int(0, 1) ? values[random_int(0, 6)] : x[i];
    }
}

static void check_random_shapes(void) {
    for (int i = 0; i < 300; i++) {
        struct arrays a = {.s = random_shape()};
        setup(&a);
        check_average(&a, i % 2);
        if (i % 3 == 0) {
            roughen(a.x, a.n_in);
            check_max(&a, 0);
        } else {
            check_max(&a, i % 2);
        }
        teardown(&a);
    }
}

static void pools_are_their_loops(void **state) {
    (void)state;
    for_each_simd(check_random_shapes);
}

static void check_wide_window(void) {
    struct arrays a = {.s = {.n = 2,
                             .h = 20,
                             .w = 18,
                             .c = 11,
                             .oh = 1,
                             .ow = 1,
                             .kh = 20,
                             .kw = 18,
                             .stride_h = 1,
                             .stride_w = 1}};

    setup(&a);
    check_max(&a, 0);
    check_average(&a, 0);
    teardown(&a);
}

static void windows_above_127_elements(void **state) {
    (void)state;
    for_each_simd(check_wide_window);
}

/* 1 x 4 row, windows of 2: a tie (first wins), and a NaN against a number (NaN wins). */
static void check_ties_and_nan(void) {
    const struct sg_pool s = {.n = 1,
                              .h = 1,
                              .w = 4,
                              .c = 1,
                              .oh = 1,
                              .ow = 2,
                              .kh = 1,
                              .kw = 2,
                              .stride_h = 1,
                              .stride_w = 2};
    const float tie[4] = {3, 3, 1, NAN};
    const float two_nan[4] = {NAN, NAN, NAN, 5};
    float y[2];
    uint8_t winner[2];

    sg_max_pool_forward(&s, tie, y, winner);
    assert_true(y[0] == 3.0f && isnan(y[1]));
    assert_true(winner[0] == 0 && winner[1] == SG_POOL_CLOSED + 1); /* NaN is not above 0 */
    sg_max_pool_forward(&s, two_nan, y, winner);
    assert_true(isnan(y[0]) && isnan(y[1]));
    assert_true(winner[0] == SG_POOL_CLOSED && winner[1] == SG_POOL_CLOSED);
}

static void first_of_equals_wins_and_nan_shows(void **state) {
    (void)state;
    for_each_simd(check_ties_and_nan);
}

/* 1 x 3 row, windows of 2, stride 2, ceil mode: the second window holds one element. PyTorch
 * 1.13, avg_pool2d with ceil_mode, gives 1.5 and 3, for both settings of count_include_pad. */
static void windows_over_the_border(void **state) {
    struct sg_pool s = {.n = 1,
                        .h = 1,
                        .w = 3,
                        .c = 1,
                        .oh = 1,
                        .ow = 2,
                        .kh = 1,
                        .kw = 2,
                        .stride_h = 1,
                        .stride_w = 2};
    const float x[3] = {1, 2, 3};
    const float dy[2] = {10, 20};
    float y[2];
    float dx[3];
    uint8_t winner[2];

    (void)state;
    for (s.count_include_pad = 0; s.count_include_pad <= 1; s.count_include_pad++) {
        sg_average_pool_forward(&s, x, y);
        assert_true(y[0] == 1.5f && y[1] == 3.0f);
        sg_average_pool_backward(&s, dy, dx, 0);
        assert_true(dx[0] == 5.0f && dx[1] == 5.0f && dx[2] == 20.0f);
    }
    sg_max_pool_forward(&s, x, y, winner);
    assert_true(y[0] == 2.0f && y[1] == 3.0f && winner[0] == 1 && winner[1] == 0);
    sg_max_pool_backward(&s, winner, dy, dx, 0, 0);
    assert_true(dx[0] == 0.0f && dx[1] == 10.0f && dx[2] == 20.0f);
}

/* One pad on the left: x = (pad, 4), divided by 2 or by 1. */
static void padding_counts_when_asked(void **state) {
    struct sg_pool s = {.n = 1,
                        .h = 1,
                        .w = 1,
                        .c = 1,
                        .oh = 1,
                        .ow = 1,
                        .kh = 1,
                        .kw = 2,
                        .stride_h = 1,
                        .stride_w = 1,
                        .pad_left = 1};
    const float x = 4;
    float y;

    (void)state;
    sg_average_pool_forward(&s, &x, &y);
    assert_true(y == 4.0f);
    s.count_include_pad = 1;
    sg_average_pool_forward(&s, &x, &y);
    assert_true(y == 2.0f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pools_are_their_loops),
        cmocka_unit_test(windows_above_127_elements),
        cmocka_unit_test(first_of_equals_wins_and_nan_shows),
        cmocka_unit_test(windows_over_the_border),
        cmocka_unit_test(padding_counts_when_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
