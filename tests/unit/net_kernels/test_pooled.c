/* A convolution with the max pooling behind it in one pass. Forward the judge is the two passes,
 * bit by bit; backward the plain loops in double: what the pooling passes to the winners, and the
 * adjoint of the convolution, with the bound of test_conv.c. */
#include "net_kernels/helper.h"

struct arrays {
    struct sg_conv s;
    struct sg_pool pool;
    int64_t n_in, n_out, n_pooled;
    float *x, *weight, *bias, *prepared, *work;
    int64_t n_work;
    float *y, *pooled; /* of the two passes */
    uint8_t *winner;
    float *dy; /* behind the pooling */
};

static void setup(struct arrays *a) {
    const struct sg_conv *s = &a->s;

    a->pool = sg_pool_behind(s);
    a->n_in = s->n * s->h * s->w * s->c;
    a->n_out = s->n * s->oh * s->ow * s->k;
    a->n_pooled = a->n_out / 4;
    a->n_work = sg_conv_work_size(s);
    a->x = guarded(a->n_in);
    a->weight = guarded(9 * s->c * s->k);
    a->bias = guarded(s->k);
    a->prepared = guarded(sg_conv_prepared_size(s));
    a->work = guarded(a->n_work);
    a->y = guarded(a->n_out);
    a->pooled = guarded(a->n_pooled);
    a->winner = sg_calloc((size_t)a->n_pooled, 1);
    assert_non_null(a->winner);
    a->dy = guarded(a->n_pooled);
    sg_conv_prepare(s, a->weight, a->prepared);
    check_guard(a->prepared, sg_conv_prepared_size(s));
}

static void teardown(struct arrays *a) {
    sg_free(a->x);
    sg_free(a->weight);
    sg_free(a->bias);
    sg_free(a->prepared);
    sg_free(a->work);
    sg_free(a->y);
    sg_free(a->pooled);
    sg_free(a->winner);
    sg_free(a->dy);
}

static void check_forward(struct arrays *a, const float *bias, int relu) {
    float *y = guarded(a->n_pooled);
    uint8_t *winner = sg_calloc((size_t)a->n_pooled + 1, 1);

    assert_non_null(winner);
    winner[a->n_pooled] = 77;
    sg_conv_forward(&a->s, a->prepared, bias, relu, a->x, a->y, a->work);
    sg_max_pool_forward(&a->pool, a->y, a->pooled, a->winner);
    fill_nan(a->work, a->n_work);
    fill_nan(y, a->n_pooled);
    sg_conv_forward_pooled(&a->s, a->prepared, bias, relu, a->x, y, winner, a->work);
    assert_memory_equal(y, a->pooled, (size_t)a->n_pooled * sizeof *y);
    assert_memory_equal(winner, a->winner, (size_t)a->n_pooled);
    assert_int_equal(winner[a->n_pooled], 77);
    check_guard(y, a->n_pooled);
    check_guard(a->work, a->n_work);
    sg_free(y);
    sg_free(winner);
}

/* |got - want| <= 2 (K + 2) 2^-24 (sum |d w| + |old|), K terms. */
static void check_backward(struct arrays *a, int cut, int accumulate, const uint32_t *mask) {
    const struct sg_conv *s = &a->s;
    const int64_t n_terms = 9 * s->k;
    int32_t *winner = sg_calloc((size_t)a->n_pooled, sizeof *winner);
    float *passed = sg_calloc((size_t)a->n_pooled, sizeof *passed);
    float *routed = guarded(a->n_out), *want = guarded(a->n_in), *sum = guarded(a->n_in);
    float *magnitudes = guarded(9 * s->c * s->k);
    float *dx = guarded(a->n_in);

    assert_true(winner != NULL && passed != NULL);
    for (int64_t i = 0; i < a->n_pooled; i++) {
        const int is_closed = (a->winner[i] & SG_POOL_CLOSED) != 0;

        winner[i] = a->winner[i] & 3;
        passed[i] = cut && is_closed ? 0.0f : a->dy[i];
    }
    memcpy(want, a->x, (size_t)a->n_in * sizeof *want);
    sg_ref_max_pool_backward(&a->pool, winner, passed, routed, 0);
    sg_ref_conv_backward(s, a->weight, routed, want, accumulate);
    for (int64_t i = 0; i < 9 * s->c * s->k; i++) {
        magnitudes[i] = fabsf(a->weight[i]);
    }
    for (int64_t i = 0; i < a->n_out; i++) {
        routed[i] = fabsf(routed[i]);
    }
    sg_ref_conv_backward(s, magnitudes, routed, sum, 0);

    if (accumulate) {
        memcpy(dx, a->x, (size_t)a->n_in * sizeof *dx);
    } else {
        fill_nan(dx, a->n_in);
    }
    fill_nan(a->work, a->n_work);
    sg_conv_backward_pooled(s, a->prepared, a->winner, cut, a->dy, dx, accumulate, mask, a->work);
    check_guard(a->work, a->n_work);
    check_guard(dx, a->n_in);
    for (int64_t i = 0; i < a->n_in; i++) {
        const int is_cut = mask != NULL && (mask[i / 32] >> (i % 32) & 1) == 0;
        const double old = accumulate ? fabs((double)a->x[i]) : 0.0;
        const double bound = 2.0 * (double)(n_terms + 2) * 0x1p-24 * ((double)sum[i] + old);

        assert_true(fabs((double)dx[i] - (is_cut ? 0.0 : (double)want[i])) <= bound + 1e-30);
    }
    sg_free(winner);
    sg_free(passed);
    sg_free(routed);
    sg_free(want);
    sg_free(sum);
    sg_free(magnitudes);
    sg_free(dx);
}

static void check_shape(const struct sg_conv *s) {
    struct arrays a = {.s = *s};
    uint32_t *mask;

    assert_true(sg_conv_may_pool(s));
    setup(&a);
    mask = sg_calloc((size_t)a.n_in / 32 + 1, sizeof *mask);
    assert_non_null(mask);
    for (int relu = SG_RELU_NONE; relu <= SG_RELU_PLAIN; relu++) {
        check_forward(&a, NULL, relu);
        check_forward(&a, a.bias, relu);
    }
    sg_relu_mask(a.x, mask, a.n_in);
    for (int i = 0; i < 8; i++) {
        check_backward(&a, i & 1, i >> 1 & 1, i & 4 ? mask : NULL);
    }
    sg_free(mask);
    teardown(&a);
}

/* An image with even output; n h w c k, one more pixel of border on some sides. */
static struct sg_conv shape_of(int64_t n, int64_t oh, int64_t ow, int64_t c, int64_t k) {
    struct sg_conv s = conv_shape(n, oh, ow, c, k, 3, 1, 1);

    random_border(&s);
    s.h = oh + 2 - s.pad_top - s.pad_bottom;
    s.w = ow + 2 - s.pad_left - s.pad_right;
    s.may_keep_ties = (int)random_int(0, 1);
    s.keeps_ties = s.may_keep_ties;
    s.is_pooled = 1;
    return s;
}

static void check_random_shapes(void) {
    static const int64_t outputs[] = {1, 2, 3, 5, 8, 9, 15, 16, 17, 31, 32, 33, 40, 63, 64};
    int n_done = 0;

    for (int i = 0; n_done < 60 && i < 1000; i++) {
        const int64_t c = random_int(0, 1) ? random_int(1, 3) : outputs[random_int(3, 11)];
        const struct sg_conv s = shape_of(random_int(1, 3), 2 * random_int(1, 6),
                                          2 * random_int(1, 8), c, outputs[random_int(0, 14)]);

        if (s.h > 0 && s.w > 0 && sg_conv_may_pool(&s)) {
            check_shape(&s);
            n_done++;
        }
    }
    assert_int_equal(n_done, 60);
}

static void two_passes_in_one(void **state) {
    (void)state;
    for_each_simd(check_random_shapes);
}

/* Those of small networks, over several blocks of rows. */
static void check_network_shapes(void) {
    static const int64_t shapes[][5] = {
        {2, 28, 28, 1, 16}, {1, 14, 14, 16, 32}, {1, 32, 32, 3, 32}, {1, 224, 224, 2, 8}};

    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        struct sg_conv s =
            shape_of(shapes[i][0], shapes[i][1], shapes[i][2], shapes[i][3], shapes[i][4]);

        s.pad_top = s.pad_left = s.pad_bottom = s.pad_right = 1;
        s.h = s.oh;
        s.w = s.ow;
        check_shape(&s);
    }
}

static void network_shapes_are_right(void **state) {
    (void)state;
    for_each_simd(check_network_shapes);
}

/* A NaN in the image wins its windows, as behind the plain convolution; and what a closed window
 * gets is left out even where it is no number. */
static void check_nan(void) {
    const struct sg_conv s = shape_of(1, 6, 10, 1, 17);
    struct arrays a = {.s = s};
    float *dx = guarded(s.h * s.w);

    setup(&a);
    a.x[s.h * s.w / 2] = NAN;
    check_forward(&a, a.bias, SG_RELU_PLAIN);
    a.x[s.h * s.w / 2] = 0.0f;
    check_forward(&a, a.bias, SG_RELU_PLAIN);
    for (int64_t i = 0; i < a.n_pooled; i++) {
        a.dy[i] = (a.winner[i] & SG_POOL_CLOSED) != 0 ? INFINITY : 1.0f;
    }
    sg_conv_backward_pooled(&s, a.prepared, a.winner, 1, a.dy, dx, 0, NULL, a.work);
    for (int64_t i = 0; i < s.h * s.w; i++) {
        assert_true(isfinite(dx[i]));
    }
    sg_free(dx);
    teardown(&a);
}

static void nan_is_as_in_two_passes(void **state) {
    (void)state;
    for_each_simd(check_nan);
}

/* Four windows of one channel, a filter that reads one pixel: what the winners get lies there. */
static void one_tap_by_hand(void **state) {
    struct sg_conv s = conv_shape(1, 4, 4, 1, 1, 3, 1, 1);
    const float weight[9] = {0, 0, 0, 0, 0, 2, 0, 0, 0}; /* the right neighbour, twice */
    const uint8_t winner[4] = {0, 3, 2 + SG_POOL_CLOSED, 1};
    const float dy[4] = {1, 10, 100, 1000};
    const float want[2][16] = {{0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 200, 0, 0},
                               {0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}};
    float prepared[1024], work[1024], dx[16];

    (void)state;
    s.is_pooled = 1;
    assert_true(sg_conv_prepared_size(&s) <= 1024 && sg_conv_work_size(&s) <= 1024);
    sg_conv_prepare(&s, weight, prepared);
    for (int cut = 0; cut < 2; cut++) { /* two winners stand at the right border: nothing there */
        sg_conv_backward_pooled(&s, prepared, winner, cut, dy, dx, 0, NULL, work);
        assert_memory_equal(dx, want[cut], sizeof dx);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_tap_by_hand),
        cmocka_unit_test(two_passes_in_one),
        cmocka_unit_test(network_shapes_are_right),
        cmocka_unit_test(nan_is_as_in_two_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
