/* bfloat16 convolutions and the blocks they are made of, by the stand-ins for AMX and AVX512-BF16.
 *
 * The judges: rounding to bfloat16 by hand-made cases; the stand-ins by cases in which the order of
 * rounding decides, worked out by the text of Intel's manual; a convolution by the reference loop
 * on arrays that were rounded before, with the bound of any order of adding (test_conv.c). Where
 * the processor has the instructions, they are held to the stand-ins. */
#include "net/kernels/tiles.h"
#include "net_kernels/helper.h"

static uint16_t bfloat16(float v) {
    uint16_t out;

    sg_to_bfloat16(&v, &out, 1);
    return out;
}

static void rounding_is_to_nearest_even(void **state) {
    static const struct {
        uint32_t from;
        uint16_t to;
    } cases[] = {
        {0x3f800000, 0x3f80}, {0x3f808000, 0x3f80}, {0x3f818000, 0x3f82}, {0x3f808001, 0x3f81},
        {0x3f807fff, 0x3f80}, {0xbf818000, 0xbf82}, {0x7f7fffff, 0x7f80}, {0xff800000, 0xff80},
        {0x7f800001, 0x7fc0}, {0xffc00000, 0xffc0}, {0x007fffff, 0x0000}, {0x80000001, 0x8000},
        {0x00800000, 0x0080}, {0x00000000, 0x0000},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        float v;
        memcpy(&v, &cases[i].from, sizeof v);
        assert_int_equal(bfloat16(v), cases[i].to);
    }
}

enum { N = SG_TILE_BLOCK * SG_TILE_BLOCK };

/* The block's first element by one step with the products left[k] right[k], the rest 0. */
static float first_of(const struct sg_tiles *tiles, int n, const float *left, const float *right) {
    static const struct sg_tile_steps one = {.n_y = 1, .n_x = 1, .n_s = 1, .row_step = 32};
    uint16_t a[N] = {0};
    uint16_t b[N] = {0};
    float c[N];

    for (int k = 0; k < n; k++) {
        a[k] = bfloat16(left[k]);
        b[k / 2 * 32 + k % 2] = bfloat16(right[k]);
    }
    tiles->begin();
    tiles->block(&one, a, b, c);
    tiles->end();
    return c[0];
}

/* 1 + h - 1 + h, where h = 2^-24 vanishes beside 1 (a tie, to even). TDPBF16PS adds 1 - 1 = 0 of
 * the even places and h + h of the odd ones apart: 2^-23. VDPBF16PS adds h, then 1 (h is lost),
 * then h (lost), then -1: 0; the even place first would leave the second h. */
static void orders_of_adding_are_the_manuals(void **state) {
    const float left[4] = {1, 0x1p-24f, -1, 0x1p-24f};
    const float ones[4] = {1, 1, 1, 1};

    (void)state;
    assert_true(first_of(&sg_tiles_like_amx, 4, left, ones) == 0x1p-23f);
    assert_true(first_of(&sg_tiles_like_avx512, 4, left, ones) == 0.0f);
}

static const struct sg_tiles *const likes[] = {&sg_tiles_like_amx, &sg_tiles_like_avx512};

static void small_numbers_are_flushed(void **state) {
    const float tiny[2] = {0x1p-100f, 0x1.8p-100f};
    const float factor[2] = {0x1p-27f, 0x1p-27f};
    const float normal[1] = {0x1p-100f};
    const float less[1] = {0x1p-26f};

    (void)state;
    for (int i = 0; i < 2; i++) {
        /* 2^-127 and 1.5 x 2^-127: each alone is below 2^-126, so their sum never comes to be. */
        assert_true(first_of(likes[i], 2, tiny, factor) == 0.0f);
        assert_true(first_of(likes[i], 1, normal, less) == 0x1p-126f);
    }
}

/* a sum of products is right wherever its numbers stand: random whole numbers against a loop. */
static void blocks_are_products(void **state) {
    const struct sg_tile_steps s = {
        .n_y = 2, .y_step = 200, .n_x = 3, .x_step = 32, .n_s = 2, .row_step = 48};
    enum { N_A = 200 + 64 + 64 + 31 * 48, STEPS = 12 };
    uint16_t a[N_A];
    uint16_t b[STEPS * SG_TILE_STEP_SIZE];
    float value_a[N_A];
    float value_b[STEPS * SG_TILE_STEP_SIZE];
    float c[N];

    (void)state;
    for (int64_t i = 0; i < N_A; i++) {
        value_a[i] = (float)random_int(-9, 9);
    }
    for (int64_t i = 0; i < STEPS * SG_TILE_STEP_SIZE; i++) {
        value_b[i] = (float)random_int(-9, 9);
    }
    sg_to_bfloat16(value_a, a, N_A);
    sg_to_bfloat16(value_b, b, STEPS * SG_TILE_STEP_SIZE);
    for (int i = 0; i < 2; i++) {
        likes[i]->block(&s, a, b, c);
        for (int64_t at = 0; at < N; at++) {
            const int64_t row = at / 32;
            const int64_t col = at % 32;
            float sum = 0;
            for (int64_t k = 0; k < STEPS * 32; k++) {
                const int64_t step = k / 32;
                const int64_t from = step / 6 * 200 + step / 2 % 3 * 32 + step % 2 * 32 + k % 32;
                sum +=
                    value_a[from + row * 48] *
                    value_b[step * 1024 + col / 16 * 512 + k % 32 / 2 * 32 + col % 16 * 2 + k % 2];
            }
            assert_true(c[at] == sum);
        }
    }
}

/* ---- the trial ---- */

static void forgets_a_step(const struct sg_tile_steps *s, const uint16_t *a, const uint16_t *b,
                           float *c) {
    struct sg_tile_steps fewer = *s;

    fewer.n_s--;
    sg_tiles_like_amx.block(&fewer, a, b, c);
}

static void sets_are_tried_out(void **state) {
    struct sg_tiles wrong = sg_tiles_like_amx;
    struct sg_tiles other = sg_tiles_like_avx512;

    (void)state;
    wrong.judge = &sg_tiles_like_amx;
    assert_int_equal(sg_tiles_use(&wrong), 1);
    assert_string_equal(sg_tiles_name(), "like-amx"); /* right to the last bit */
    wrong.block = forgets_a_step;
    assert_int_equal(sg_tiles_use(&wrong), 0);
    assert_string_equal(sg_tiles_name(), "none");
    assert_non_null(strstr(sg_tiles_lack(), "not those of the manual"));
    assert_int_equal(sg_precision_check(SG_PRECISION_BFLOAT16), SG_E_JOB);
    assert_non_null(strstr(sg_trace_message(), "not those of the manual"));
    other.judge = &sg_tiles_like_amx; /* right, with another rounding: the name says so */
    assert_int_equal(sg_tiles_use(&other), 1);
    assert_int_equal(strncmp(sg_tiles_name(), "like-avx512-", 12), 0);
    assert_int_equal(strlen(sg_tiles_name()), 16);
    assert_int_equal(sg_tiles_use(&sg_tiles_like_amx), 1);
    assert_int_equal(sg_precision_check(SG_PRECISION_BFLOAT16), SG_OK);
    assert_non_null(strstr(sg_kernel_family_for(SG_PRECISION_BFLOAT16), "+bfloat16-like-amx"));
    assert_string_equal(sg_kernel_family_for(SG_PRECISION_FLOAT32), sg_kernel_family());
}

/* The real ones, where there are any. */
static void the_processors_own_are_right(void **state) {
    const struct sg_tiles *const sets[] = {&sg_tiles_amx, &sg_tiles_avx512};
    int n = 0;

    (void)state;
    for (int i = 0; i < 2; i++) {
        if (sets[i]->lack() == NULL) {
            assert_int_equal(sg_tiles_use(sets[i]), 1);
            assert_string_equal(sg_tiles_name(), sets[i]->name);
            n++;
        }
    }
    if (n == 0) {
        skip();
    }
}

/* ---- convolutions ---- */

static void round_all(float *p, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        const uint32_t bits = (uint32_t)bfloat16(p[i]) << 16;
        memcpy(&p[i], &bits, sizeof bits);
    }
}

static void check_close(const float *got, const float *want, const float *sum, int64_t n,
                        int64_t n_terms) {
    check_guard(got, n);
    for (int64_t i = 0; i < n; i++) {
        const double bound = 2.0 * (double)(n_terms + 3) * 0x1p-24 * ((double)sum[i] + 4);
        assert_true(fabs((double)got[i] - (double)want[i]) <= bound);
    }
}

static float *magnitudes(const float *p, int64_t n) {
    float *a = guarded(n);

    for (int64_t i = 0; i < n; i++) {
        a[i] = fabsf(p[i]);
    }
    return a;
}

/* Forward with everything on, then backward alone: as the reference on numbers that are rounded. */
static void check_conv(const struct sg_conv *s) {
    const int64_t n_x = s->n * s->h * s->w * s->c;
    const int64_t n_y = s->n * s->oh * s->ow * s->k;
    const int64_t n_w = s->k * s->c / s->groups * s->kh * s->kw;
    const int64_t n_work = sg_conv_work_size(s);
    const int64_t n_prepared = sg_conv_prepared_size(s);
    float *x = guarded(n_x), *w = guarded(n_w), *bias = guarded(s->k), *y = guarded(n_y);
    float *old = guarded(n_y), *want = guarded(n_y), *sum = guarded(n_y), *dx = guarded(n_x);
    float *want_dx = guarded(n_x), *sum_dx = guarded(n_x);
    float *work = guarded(n_work), *prepared = guarded(n_prepared);

    sg_conv_prepare(s, w, prepared);
    memcpy(y, old, (size_t)n_y * sizeof *y);
    fill_nan(work, n_work);
    sg_conv_forward_add(s, prepared, bias, 1, x, y, work);
    round_all(x, n_x);
    round_all(w, n_w);
    float *abs_x = magnitudes(x, n_x), *abs_w = magnitudes(w, n_w);
    sg_ref_conv_forward(s, w, NULL, 0, x, want);
    sg_ref_conv_forward(s, abs_w, NULL, 0, abs_x, sum);
    for (int64_t i = 0; i < n_y; i++) {
        const float v = want[i] + old[i] + bias[i % s->k];
        want[i] = v < 0 ? 0 : v;
    }
    check_close(y, want, sum, n_y, n_w / s->k);

    fill_nan(work, n_work);
    fill_nan(dx, n_x);
    sg_conv_backward(s, prepared, old, dx, 0, work);
    round_all(old, n_y);
    float *abs_old = magnitudes(old, n_y);
    sg_ref_conv_backward(s, w, old, want_dx, 0);
    sg_ref_conv_backward(s, abs_w, abs_old, sum_dx, 0);
    check_close(dx, want_dx, sum_dx, n_x, n_w / s->c);
    check_guard(work, n_work);
    check_guard(prepared, n_prepared);
    float *all[] = {x,       w,      bias, y,        old,   want,  sum,    dx,
                    want_dx, sum_dx, work, prepared, abs_x, abs_w, abs_old};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        sg_free(all[i]);
    }
}

static struct sg_conv shape_of(const int64_t *v) {
    struct sg_conv s = {.n = v[0],
                        .h = v[1],
                        .w = v[2],
                        .c = v[3],
                        .k = v[4],
                        .kh = v[5],
                        .kw = v[6],
                        .stride_h = v[7],
                        .stride_w = v[8],
                        .dilation_h = v[10],
                        .dilation_w = v[10],
                        .pad_top = v[9],
                        .pad_left = v[9],
                        .pad_bottom = v[9],
                        .pad_right = v[9],
                        .groups = v[11],
                        .precision = SG_PRECISION_BFLOAT16};

    s.oh = (s.h + 2 * v[9] - v[10] * (s.kh - 1) - 1) / s.stride_h + 1;
    s.ow = (s.w + 2 * v[9] - v[10] * (s.kw - 1) - 1) / s.stride_w + 1;
    return s;
}

/* n h w c k kh kw strides pad dilation groups */
static const int64_t shapes[][12] = {
    {3, 7, 7, 32, 32, 3, 3, 1, 1, 1, 1, 1},    {2, 9, 6, 40, 33, 3, 3, 1, 1, 1, 1, 1},
    {2, 11, 9, 64, 48, 3, 3, 2, 2, 1, 1, 1},   {5, 4, 5, 70, 20, 1, 1, 1, 1, 0, 1, 1},
    {2, 8, 9, 16, 16, 1, 1, 2, 2, 0, 1, 1},    {17, 1, 1, 130, 50, 1, 1, 1, 1, 0, 1, 1},
    {1, 9, 9, 36, 72, 3, 3, 1, 1, 2, 2, 2},    {1, 12, 10, 24, 17, 5, 4, 3, 2, 2, 1, 1},
    {1, 1, 40, 32, 32, 1, 9, 1, 1, 0, 1, 1},   {1, 40, 70, 128, 16, 3, 3, 1, 1, 1, 1, 1},
    {1, 45, 61, 100, 16, 3, 3, 2, 2, 1, 1, 1},
};

static void convolutions_are_the_loop_on_rounded_numbers(void **state) {
    (void)state;
    for (int t = 0; t < 2; t++) {
        assert_int_equal(sg_tiles_use(likes[t]), 1);
        for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
            const struct sg_conv s = shape_of(shapes[i]);
            struct sg_weights w;
            const struct sg_corr q = sg_corr_of(&s, -1, NULL, &w);
            assert_string_equal(sg_corr_choose(&q)->name, "bfloat16");
            check_conv(&s);
        }
    }
}

/* The first sample has the same bits whatever stands beside it in the batch. */
static void batches_do_not_show(void **state) {
    const int64_t v[12] = {7, 7, 5, 48, 36, 3, 3, 1, 1, 1, 1, 1};
    struct sg_conv s = shape_of(v);
    const int64_t n_y = s.oh * s.ow * s.k;
    float *x = guarded(s.n * s.h * s.w * s.c), *w = guarded(s.k * s.c * 9);
    float *prepared = guarded(sg_conv_prepared_size(&s)), *work = guarded(sg_conv_work_size(&s));
    float *y = guarded(s.n * n_y), *alone = guarded(n_y);

    (void)state;
    assert_int_equal(sg_tiles_use(&sg_tiles_like_amx), 1);
    sg_conv_prepare(&s, w, prepared);
    sg_conv_forward(&s, prepared, NULL, 0, x, y, work);
    for (int64_t i = 0; i < v[0]; i++) {
        s.n = 1;
        sg_conv_forward(&s, prepared, NULL, 0, x + i * s.h * s.w * s.c, alone, work);
        assert_memory_equal(alone, y + i * n_y, (size_t)n_y * sizeof *y);
    }
    float *all[] = {x, w, prepared, work, y, alone};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        sg_free(all[i]);
    }
}

static void small_layers_stay_in_float(void **state) {
    const int64_t few[12] = {1, 9, 9, 15, 64, 3, 3, 1, 1, 1, 1, 1};
    const int64_t depthwise[12] = {1, 9, 9, 64, 64, 3, 3, 1, 1, 1, 1, 64};
    const struct sg_conv s[2] = {shape_of(few), shape_of(depthwise)};

    (void)state;
    for (int i = 0; i < 2; i++) {
        for (int64_t phase = -1; phase < 1; phase++) {
            struct sg_weights w;
            const struct sg_corr q = sg_corr_of(&s[i], phase, NULL, &w);
            assert_string_not_equal(sg_corr_choose(&q)->name, "bfloat16");
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rounding_is_to_nearest_even),
        cmocka_unit_test(orders_of_adding_are_the_manuals),
        cmocka_unit_test(small_numbers_are_flushed),
        cmocka_unit_test(blocks_are_products),
        cmocka_unit_test(sets_are_tried_out),
        cmocka_unit_test(the_processors_own_are_right),
        cmocka_unit_test(convolutions_are_the_loop_on_rounded_numbers),
        cmocka_unit_test(batches_do_not_show),
        cmocka_unit_test(small_layers_stay_in_float),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
