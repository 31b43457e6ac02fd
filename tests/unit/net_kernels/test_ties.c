/* Equal neighbourhoods give equal bits wherever they lie, where a convolution is asked to keep
 * ties: of a white background a maximum then chooses the first place, as the textbook's sum has it.
 */
#include "net_kernels/helper.h"

/* One colour in all samples, and an object from column `edge` on. */
static float *picture(const struct sg_conv *s, int64_t edge) {
    float *x = guarded(s->n * s->h * s->w * s->c);

    for (int64_t row = 0; row < s->n * s->h; row++) {
        for (int64_t i = 0; i < edge; i++) {
            memcpy(x + (row * s->w + i) * s->c, x, (size_t)s->c * sizeof *x);
        }
    }
    return x;
}

/* The outputs [*begin, *end) along an axis see nothing but the first `edge` pixels. */
static void find_inside(int64_t out, int64_t pad, int64_t stride, int64_t taps, int64_t edge,
                        int64_t *begin, int64_t *end) {
    *begin = (pad + stride - 1) / stride;
    *end = *begin;
    while (*end < out && *end * stride - pad + taps - 1 < edge) {
        (*end)++;
    }
}

/* Returns how many outputs see the background alone; *n_other counts those with other bits than the
 * first of them. */
static int64_t compare(const struct sg_conv *s, int64_t edge, const float *y, int64_t *n_other) {
    int64_t begin[2];
    int64_t end[2];
    const float *first = NULL;
    int64_t n = 0;

    find_inside(s->oh, s->pad_top, s->stride_h, s->kh, s->h, &begin[0], &end[0]);
    find_inside(s->ow, s->pad_left, s->stride_w, s->kw, edge, &begin[1], &end[1]);
    for (int64_t i = 0; i < s->n; i++) {
        for (int64_t row = begin[0]; row < end[0]; row++) {
            for (int64_t px = begin[1]; px < end[1]; px++, n++) {
                const float *at = y + ((i * s->oh + row) * s->ow + px) * s->k;

                first = first == NULL ? at : first;
                *n_other += memcmp(first, at, (size_t)s->k * sizeof *y) != 0;
            }
        }
    }
    return n;
}

/* n h w c k kernel stride groups */
static struct sg_conv shape_of(const int64_t *v) {
    struct sg_conv s = conv_shape(v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7]);

    s.may_keep_ties = 1;
    return s;
}

static void run(const struct sg_corr *q, const struct sg_weights *w, const struct sg_algorithm *a,
                const float *x, const float *bias, float *y) {
    float *prepared = guarded(a->weights_size(q));
    const struct sg_corr_call call = {
        .in = x, .out = y, .bias = bias, .relu = 1, .work = guarded(a->work_size(q))};

    a->prepare(q, w, prepared);
    a->run(q, prepared, &call);
    sg_free(prepared);
    sg_free(call.work);
}

enum { MAX_ALGORITHMS = 16 };
static int64_t n_compared[MAX_ALGORITHMS];

static void check_algorithms(const struct sg_conv *s) {
    const int64_t edge = s->w * 3 / 4;
    float *x = picture(s, edge);
    float *bias = guarded(s->k);
    float *y = guarded(s->n * s->oh * s->ow * s->k);
    float *weight = guarded(s->k * (s->c / s->groups) * s->kh * s->kw);
    struct sg_weights w;
    const struct sg_corr q = sg_corr_of(s, SG_CORR_WITH_TIES, weight, &w);
    const struct sg_algorithm *a;

    for (int i = 0; (a = sg_algorithm_at(i)) != NULL; i++) {
        if (a->applies(&q)) {
            int64_t n_other = 0;

            run(&q, &w, a, x, bias, y);
            n_compared[i] += compare(s, edge, y, &n_other);
            if (n_other > 0) {
                fail_msg("%s: %lld places differ", a->name, (long long)n_other);
            }
        }
    }
    sg_free(x);
    sg_free(bias);
    sg_free(y);
    sg_free(weight);
}

/* Rows, row blocks and matrices that end within vectors, tiles and cache blocks. */
static int takes_part(const struct sg_algorithm *a) {
    return a != &sg_algorithm_nothing && a != &sg_algorithm_winograd2 &&
           a != &sg_algorithm_winograd4 && a != &sg_algorithm_strips &&
           a != &sg_algorithm_bfloat16; /* which only some processors have */
}

static void all_algorithms(void) {
    static const int64_t shapes[][8] = {
        {2, 28, 28, 1, 16, 3, 1, 1},   {1, 57, 61, 3, 64, 7, 2, 1},   {1, 57, 57, 3, 33, 3, 2, 1},
        {2, 17, 37, 16, 64, 3, 1, 1},  {1, 21, 33, 64, 64, 3, 1, 1},  {1, 9, 40, 130, 40, 3, 1, 1},
        {1, 33, 35, 64, 72, 1, 1, 1},  {1, 7, 41, 1100, 9, 1, 1, 1},  {2, 13, 19, 48, 192, 1, 1, 1},
        {1, 19, 33, 36, 36, 3, 1, 36}, {1, 31, 33, 20, 20, 5, 2, 20}, {1, 11, 31, 24, 48, 3, 1, 2},
        {1, 30, 31, 64, 3, 3, 1, 1},   {3, 5, 23, 7, 2, 3, 1, 1},     {1, 70, 90, 8, 8, 3, 1, 1},
        {4, 14, 14, 8, 5, 5, 1, 1},    {8, 1, 61, 3, 48, 1, 1, 1},    {8, 1, 61, 48, 96, 1, 1, 1},
    };

    memset(n_compared, 0, sizeof n_compared);
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        const struct sg_conv s = shape_of(shapes[i]);

        check_algorithms(&s);
    }
    for (int i = 0; sg_algorithm_at(i) != NULL; i++) {
        assert_int_equal(n_compared[i] > 100, takes_part(sg_algorithm_at(i)));
    }
}

static void all_places_are_alike(void **state) {
    (void)state;
    for_each_simd(all_algorithms);
}

/* The convolution of a net, both ways of it from one set of weights. */
static void one_convolution(void) {
    const struct sg_conv noisy = shape_of((const int64_t[]){2, 17, 37, 36, 64, 3, 1, 1});
    struct sg_conv kept = noisy;
    const int64_t edge = 30;
    float *x = picture(&noisy, edge);
    const int64_t n = noisy.n * noisy.oh * noisy.ow * noisy.k;
    float *y = guarded(n);
    float *want = guarded(n);
    float *weight = guarded(noisy.k * noisy.c * 9);
    float *prepared = guarded(sg_conv_prepared_size(&noisy));
    float *work = guarded(sg_conv_work_size(&noisy));
    int64_t n_other = 0;
    char name[32];

    kept.keeps_ties = 1;
    assert_int_equal(sg_conv_prepared_size(&kept), sg_conv_prepared_size(&noisy));
    assert_int_equal(sg_conv_work_size(&kept), sg_conv_work_size(&noisy));
    sg_conv_prepare(&noisy, weight, prepared);
    sg_ref_conv_forward(&noisy, weight, NULL, 0, x, want);

    assert_string_equal(sg_conv_algorithms(&kept, 0, name, sizeof name), "direct");
    sg_conv_forward(&kept, prepared, NULL, 0, x, y, work);
    assert_true(compare(&kept, edge, y, &n_other) > 100);
    assert_int_equal(n_other, 0);
    for (int64_t i = 0; i < n; i++) {
        assert_true(fabsf(y[i] - want[i]) <= 2e-5f);
    }

    /* Otherwise it is Winograd's algorithm, and this test can fail. */
    assert_string_equal(sg_conv_algorithms(&noisy, 0, name, sizeof name), "winograd 4x4");
    sg_conv_forward(&noisy, prepared, NULL, 0, x, y, work);
    (void)compare(&noisy, edge, y, &n_other);
    assert_true(n_other > 100);
    for (int64_t i = 0; i < n; i++) {
        assert_true(fabsf(y[i] - want[i]) <= 2e-4f);
    }
    check_guard(prepared, sg_conv_prepared_size(&noisy));
    check_guard(work, sg_conv_work_size(&noisy));
    sg_free(x);
    sg_free(y);
    sg_free(want);
    sg_free(weight);
    sg_free(prepared);
    sg_free(work);
}

static void a_convolution_keeps_ties_when_asked(void **state) {
    (void)state;
    for_each_simd(one_convolution);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_places_are_alike),
        cmocka_unit_test(a_convolution_keeps_ties_when_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
