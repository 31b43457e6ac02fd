/* Where the samplers look: noise scales against their definitions, the domain, AdaptGrad's promise.
 */
#include "methods/toys.h"

#include "sgdist/rng.h"

static sg_status prepare(const struct toy *t, const struct sg_instance *inst, float *scale,
                         double *sigma) {
    return inst->method->sampler->prepare(&inst->params.sampling, &t->view, scale, sigma);
}

static int64_t draw(const struct toy *t, const struct sg_instance *inst, const float *scale,
                    int64_t k, float *out) {
    return inst->method->sampler->draw(&inst->params.sampling, &t->view, scale, k, out);
}

/* x + scale z, every operation rounded to float, z the item's input stream at sample k. */
static void points_are_at_the_documented_address(void **state) {
    struct toy t;
    struct sg_instance sg = toy_instance("smoothgrad", 8);
    float scale[TOY_MAX];
    double sigma[TOY_MAX];
    float out[TOY_MAX];
    float z[TOY_MAX];

    (void)state;
    toy_init(&t, 3, 3, 4, toy_linear);
    assert_int_equal(prepare(&t, &sg, scale, sigma), SG_OK);
    for (uint32_t k = 0; k < 8; k++) {
        const struct sg_rng_address at = {
            .seed = 2017, .stream = SG_STREAM_INPUT, .item = 99, .sample = k};

        sg_rng_normals(&at, t.n, z);
        (void)draw(&t, &sg, scale, k, out);
        for (int i = 0; i < t.n; i++) {
            const volatile float product = 0.5f * z[i];

            assert_true(out[i] == t.x[i] + product);
        }
    }
}

/* Minimum and maximum of x over channels c0..c1 in the space given by zero + unit v. */
static double range_of(const struct toy *t, int c0, int c1, int is_pixel) {
    double low = INFINITY;
    double high = -INFINITY;

    for (int c = c0; c <= c1; c++) {
        for (int i = 12 * c; i < 12 * (c + 1); i++) {
            const double v =
                is_pixel ? (t->x[i] - t->domain.input_at_zero[c]) / t->domain.input_per_pixel[c]
                         : t->x[i];

            low = fmin(low, v);
            high = fmax(high, v);
        }
    }
    return high - low;
}

static void assert_sigmas(const struct toy *t, const struct sg_instance *inst,
                          const double expected[3]) {
    float scale[TOY_MAX];
    double sigma[TOY_MAX];

    assert_int_equal(prepare(t, inst, scale, sigma), SG_OK);
    for (int c = 0; c < 3; c++) {
        assert_true(fabs(sigma[c] - expected[c]) <= 1e-7 * expected[c]);
        for (int i = 12 * c; i < 12 * (c + 1); i++) {
            assert_true((double)scale[i] == sigma[c]);
        }
    }
}

static void ranges_and_spaces(void **state) {
    static const double data_min[] = {-2, -3, -0.5};
    static const double data_max[] = {1, 4, 0.25};
    struct toy t;
    struct sg_instance sg = toy_instance("smoothgrad", 8);
    struct sg_sampling *p = &sg.params.sampling;

    (void)state;
    toy_init(&t, 3, 3, 4, toy_linear);
    t.view.dataset_min = data_min;
    t.view.dataset_max = data_max;
    p->amount = 0.2;
    p->absolute = 1;
    assert_sigmas(&t, &sg, (double[]){0.2, 0.2, 0.2});
    p->space = SG_SPACE_PIXEL;
    assert_sigmas(&t, &sg, (double[]){0.2 * 2, 0.2 * 2.75, 0.2 * 3.5});

    p->absolute = 0;
    p->space = SG_SPACE_INPUT;
    p->range = SG_RANGE_ITEM;
    const double all = 0.2 * range_of(&t, 0, 2, 0);
    assert_sigmas(&t, &sg, (double[]){all, all, all});
    p->range = SG_RANGE_ITEM_CHANNEL;
    assert_sigmas(&t, &sg,
                  (double[]){0.2 * range_of(&t, 0, 0, 0), 0.2 * range_of(&t, 1, 1, 0),
                             0.2 * range_of(&t, 2, 2, 0)});
    p->range = SG_RANGE_DATASET;
    assert_sigmas(&t, &sg, (double[]){0.2 * 7, 0.2 * 7, 0.2 * 7});
    p->range = SG_RANGE_DOMAIN; /* lower -1, -1.25, -1.5; upper 1, 1.5, 2 */
    assert_sigmas(&t, &sg, (double[]){0.2 * 3.5, 0.2 * 3.5, 0.2 * 3.5});

    p->space = SG_SPACE_PIXEL;
    p->range = SG_RANGE_ITEM;
    const double pixels = 0.2 * range_of(&t, 0, 2, 1);
    assert_sigmas(&t, &sg, (double[]){pixels * 2, pixels * 2.75, pixels * 3.5});
    p->range = SG_RANGE_DOMAIN; /* pixels run from 0 to 1 in every channel */
    assert_sigmas(&t, &sg, (double[]){0.2 * 2, 0.2 * 2.75, 0.2 * 3.5});
    p->range = SG_RANGE_ITEM_CHANNEL; /* a channel's range in its own space: as in input space */
    assert_sigmas(&t, &sg,
                  (double[]){0.2 * range_of(&t, 0, 0, 0), 0.2 * range_of(&t, 1, 1, 0),
                             0.2 * range_of(&t, 2, 2, 0)});
}

/* AdaptGrad's baseline in its code: 0.2 of the union of the ImageNet bounds, (1 - .406) / .225 and
 * -.485 / .229, is 0.9516. */
static void range_of_the_imagenet_domain(void **state) {
    static const double mean[] = {0.485, 0.456, 0.406};
    static const double std[] = {0.229, 0.224, 0.225};
    struct toy t;
    struct sg_instance sg = toy_instance("smoothgrad", 8);

    (void)state;
    toy_init(&t, 3, 3, 4, toy_linear);
    for (int c = 0; c < 3; c++) {
        t.domain.lower[c] = -mean[c] / std[c];
        t.domain.upper[c] = (1 - mean[c]) / std[c];
    }
    sg.params.sampling.amount = 0.2;
    sg.params.sampling.absolute = 0;
    sg.params.sampling.range = SG_RANGE_DOMAIN;
    const double sigma = 0.2 * (2.64 + 0.485 / 0.229);

    assert_true(fabs(sigma - 0.9516) < 5e-5);
    assert_sigmas(&t, &sg, (double[]){sigma, sigma, sigma});
}

static void odd_items(void **state) {
    struct toy t;
    struct sg_instance sg = toy_instance("smoothgrad", 8);
    float scale[TOY_MAX];
    float out[TOY_MAX];
    double sigma[TOY_MAX];

    (void)state;
    sg.params.sampling.absolute = 0;
    toy_init(&t, 3, 3, 4, toy_linear);
    for (int i = 0; i < t.n; i++) {
        t.x[i] = 0.25f; /* a constant item has range 0, so no noise: that is fine */
    }
    assert_sigmas(&t, &sg, (double[]){0, 0, 0});
    assert_int_equal(prepare(&t, &sg, scale, sigma), SG_OK);
    assert_int_equal(draw(&t, &sg, scale, 3, out), 0);
    assert_memory_equal(out, t.x, (size_t)t.n * sizeof *out);

    t.x[7] = NAN;
    assert_int_equal(prepare(&t, &sg, scale, sigma), SG_E_NUMBERS);
    t.x[7] = INFINITY;
    assert_int_equal(prepare(&t, &sg, scale, sigma), SG_E_NUMBERS);
    t.x[7] = 3e38f;
    t.x[8] = -3e38f;
    sg.params.sampling.amount = 1;
    assert_int_equal(prepare(&t, &sg, scale, sigma), SG_E_NUMBERS);

    t.x[7] = t.x[8] = 0;
    t.domain.known = 0;
    sg.params.sampling.outside = SG_OUTSIDE_CLIP;
    assert_int_equal(prepare(&t, &sg, scale, sigma), SG_E_ARG);
    sg.params.sampling.outside = SG_OUTSIDE_KEEP;
    sg.params.sampling.range = SG_RANGE_DOMAIN;
    assert_int_equal(prepare(&t, &sg, scale, sigma), SG_E_ARG);
    sg.params.sampling.range = SG_RANGE_DATASET;
    assert_int_equal(prepare(&t, &sg, scale, sigma), SG_E_ARG);
}

/* Clip puts what is outside on the bound; reflect folds it back; keep keeps; all count the same. */
static void outside_policies(void **state) {
    struct toy t;
    struct sg_instance sg = toy_instance("smoothgrad", 8);
    float scale[TOY_MAX];
    double sigma[TOY_MAX];
    int64_t total = 0;

    (void)state;
    toy_init(&t, 3, 3, 4, toy_linear);
    sg.params.sampling.amount = 3;
    assert_int_equal(prepare(&t, &sg, scale, sigma), SG_OK);
    for (int64_t k = 0; k < 50; k++) {
        float keep[TOY_MAX];
        float clip[TOY_MAX];
        float reflect[TOY_MAX];
        int64_t n_outside = 0;

        sg.params.sampling.outside = SG_OUTSIDE_CLIP;
        const int64_t n_clip = draw(&t, &sg, scale, k, clip);

        sg.params.sampling.outside = SG_OUTSIDE_REFLECT;
        const int64_t n_reflect = draw(&t, &sg, scale, k, reflect);

        sg.params.sampling.outside = SG_OUTSIDE_KEEP;
        const int64_t n_keep = draw(&t, &sg, scale, k, keep);

        for (int i = 0; i < t.n; i++) {
            const float lower = (float)t.domain.lower[i / 12];
            const float upper = (float)t.domain.upper[i / 12];
            double folded = keep[i];

            n_outside += keep[i] < lower || keep[i] > upper;
            assert_true(clip[i] == fminf(fmaxf(keep[i], lower), upper));
            while (folded < lower || folded > upper) {
                folded = folded < lower ? 2.0 * lower - folded : 2.0 * upper - folded;
            }
            assert_true(fabs(reflect[i] - folded) < 1e-6);
            assert_true(reflect[i] >= lower && reflect[i] <= upper);
        }
        assert_int_equal(n_keep, n_outside);
        assert_int_equal(n_clip, n_outside);
        assert_int_equal(n_reflect, n_outside);
        total += n_outside;
    }
    assert_true(total > 0);
}

/* z_c = Phi^-1((1 + c) / 2) from tables of the normal distribution. */
static void adaptgrad_scale(void **state) {
    static const struct {
        double c, z;
    } table[] = {{0.5, 0.6744897501960817},    {0.9, 1.6448536269514722},
                 {0.95, 1.959963984540054},    {0.99, 2.5758293035489004},
                 {0.995, 2.807033768343811},   {0.999, 3.2905267314918945},
                 {0.999999, 4.891638475698594}};
    struct toy t;
    struct sg_instance ag = toy_instance("adaptgrad", 8);
    float scale[TOY_MAX];
    double sigma[TOY_MAX];

    (void)state;
    toy_init(&t, 3, 3, 4, toy_linear);
    t.x[0] = -1;    /* the lower bound */
    t.x[1] = 1;     /* the upper bound */
    t.x[2] = 0;     /* the middle */
    t.x[3] = 1.5f;  /* outside: clamped to the bound */
    t.x[4] = 0.75f; /* nearer to the upper bound */
    for (size_t k = 0; k < sizeof table / sizeof table[0]; k++) {
        double mean = 0;

        ag.params.sampling.confidence = table[k].c;
        assert_int_equal(prepare(&t, &ag, scale, sigma), SG_OK);
        assert_true(scale[0] == 0 && scale[1] == 0 && scale[3] == 0);
        assert_true(scale[2] == (float)(1 / table[k].z));
        assert_true(scale[4] == (float)(0.25 / table[k].z));
        for (int i = 0; i < 12; i++) {
            mean += (double)scale[i] / 12;
        }
        assert_true(fabs(sigma[0] - mean) < 1e-15);
    }
    /* The union of the channels' bounds is [-1.5, 2]. */
    ag.params.sampling.bounds = SG_BOUNDS_GLOBAL;
    assert_int_equal(prepare(&t, &ag, scale, sigma), SG_OK);
    assert_true(scale[0] == (float)(0.5 / table[6].z));
    assert_true(scale[1] == (float)(1 / table[6].z));

    ag.params.sampling.confidence = 1;
    assert_int_equal(prepare(&t, &ag, scale, sigma), SG_E_ARG);
    ag.params.sampling.confidence = 0.95;
    t.x[5] = NAN;
    assert_int_equal(prepare(&t, &ag, scale, sigma), SG_E_NUMBERS);
    t.domain.known = 0;
    assert_int_equal(prepare(&t, &ag, scale, sigma), SG_E_ARG);
}

/* Share of samples outside, element by element: at most 1 - c plus three standard errors, 1 - c in
 * the middle, 0 at a bound; the draw's own count agrees. */
static void adaptgrad_keeps_its_promise(void **state) {
    enum { SAMPLES = 20000 };
    struct toy t;
    struct sg_instance ag = toy_instance("adaptgrad", SAMPLES);
    float scale[TOY_MAX];
    double sigma[TOY_MAX];
    int64_t outside[TOY_MAX] = {0};
    int64_t counted = 0;
    int64_t total = 0;
    const double se = sqrt(0.05 * 0.95 / SAMPLES);

    (void)state;
    toy_init(&t, 3, 3, 4, toy_linear);
    t.x[0] = -1;
    t.x[1] = 1.25f;
    t.x[2] = 0;
    t.x[3] = -0.9f;
    assert_int_equal(prepare(&t, &ag, scale, sigma), SG_OK);
    for (int64_t k = 0; k < SAMPLES; k++) {
        float v[TOY_MAX];

        counted += draw(&t, &ag, scale, k, v);
        for (int i = 0; i < t.n; i++) {
            outside[i] +=
                v[i] < (float)t.domain.lower[i / 12] || v[i] > (float)t.domain.upper[i / 12];
        }
    }
    for (int i = 0; i < t.n; i++) {
        assert_true((double)outside[i] / SAMPLES <= 0.05 + 3 * se);
        total += outside[i];
    }
    assert_int_equal(outside[0], 0);
    assert_int_equal(outside[1], 0);
    assert_true(fabs((double)outside[2] / SAMPLES - 0.05) < 3 * se);
    assert_true(fabs((double)outside[3] / SAMPLES - 0.025) < 3 * se); /* (1 - c) / 2 near a bound */
    assert_int_equal(counted, total);
}

/* 65 channels: a full mask means all of them, any other mask the first 64 at most. */
static void masks_of_many_channels(void **state) {
    struct toy t;
    struct sg_instance sg = toy_instance("smoothgrad", 8);
    static float scale[65];
    static float x[65];
    static double sigma[65];

    (void)state;
    toy_init(&t, 1, 1, 1, toy_linear);
    t.shape = (struct sg_shape){.n_axes = 1, .axes = {65}};
    t.view.x = x;
    t.domain.known = 0;
    assert_int_equal(prepare(&t, &sg, scale, sigma), SG_OK);
    assert_true(scale[64] == 0.5f);
    sg.params.sampling.channels = UINT64_MAX - 1;
    assert_int_equal(prepare(&t, &sg, scale, sigma), SG_OK);
    assert_true(scale[0] == 0 && scale[1] == 0.5f && scale[64] == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(points_are_at_the_documented_address),
        cmocka_unit_test(ranges_and_spaces),
        cmocka_unit_test(range_of_the_imagenet_domain),
        cmocka_unit_test(odd_items),
        cmocka_unit_test(outside_policies),
        cmocka_unit_test(adaptgrad_scale),
        cmocka_unit_test(adaptgrad_keeps_its_promise),
        cmocka_unit_test(masks_of_many_channels),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
