/* AdaptGrad's four forms of z: the probability that each promises, by the error function of the C
 * library, p(sigma) = 1 - (erf(a / (sqrt(2) sigma)) + erf(b / (sqrt(2) sigma))) / 2. */
#include "methods/toys.h"

static const double confidences[] = {0.3, 0.5, 0.6, 0.9, 0.95, 0.99, 0.999};
enum { N_CONFIDENCES = 7, PLANE = 12 };

static double outside(double below, double above, double sigma) {
    return 1 - (erf(below / (M_SQRT2 * sigma)) + erf(above / (M_SQRT2 * sigma))) / 2;
}

/* One channel with the bounds -1 and 1, elements from one to the other. */
static void init(struct toy *t) {
    toy_init(t, 1, 3, 4, toy_linear);
    for (int i = 0; i < PLANE; i++) {
        t->x[i] = (float)(-1 + 2.0 * i / (PLANE - 1));
    }
    t->x[1] = -0.9999999f; /* next to a bound */
    t->x[6] = 0;
}

static sg_status scale_of(const struct toy *t, enum sg_adaptgrad_z form, double c, float *scale) {
    struct sg_instance ag = toy_instance("adaptgrad", 8);
    double sigma[TOY_MAX];

    ag.params.sampling.z = (int32_t)form;
    ag.params.sampling.confidence = c;
    return ag.method->sampler->prepare(&ag.params.sampling, &t->view, scale, sigma);
}

/* z at c = 0.95 from tables of the normal distribution: half-way between the bounds sigma is 1/z.
 */
static void known_z(void **state) {
    static const double z[] = {1.959963984540054, 2.241402727604947, 1.6448536269514722};
    struct toy t;
    float scale[TOY_MAX];

    (void)state;
    init(&t);
    for (int form = SG_Z_CENTRED; form <= SG_Z_ONE_SIDED; form++) {
        assert_int_equal(scale_of(&t, (enum sg_adaptgrad_z)form, 0.95, scale), SG_OK);
        assert_true(scale[6] == (float)(1 / z[form]));
        assert_true(scale[0] == 0 && scale[PLANE - 1] == 0);
    }
}

/* In the middle, next to a bound, and never more than the larger of the two. */
static void stated_probabilities(void **state) {
    struct toy t;
    float scale[TOY_MAX];

    (void)state;
    init(&t);
    for (int form = SG_Z_CENTRED; form <= SG_Z_ONE_SIDED; form++) {
        for (int k = 0; k < N_CONFIDENCES; k++) {
            const double c = confidences[k];
            const double middle[] = {1 - c, (1 - c) / 2, 2 * (1 - c)};

            if (form == SG_Z_ONE_SIDED && c <= 0.5) {
                assert_int_equal(scale_of(&t, SG_Z_ONE_SIDED, c, scale), SG_E_ARG);
                continue;
            }
            assert_int_equal(scale_of(&t, (enum sg_adaptgrad_z)form, c, scale), SG_OK);
            assert_true(fabs(outside(1, 1, scale[6]) - middle[form]) < 1e-7);
            assert_true(fabs(outside(1 + t.x[1], 1 - t.x[1], scale[1]) - middle[form] / 2) < 1e-7);
            for (int i = 1; i < PLANE - 1; i++) {
                assert_true(outside(1 + t.x[i], 1 - t.x[i], scale[i]) < middle[form] + 1e-7);
            }
        }
    }
}

/* 1 - c at every element; between the centred form (equal in the middle) and the one-sided one
 * (equal next to a bound). */
static void exact_everywhere(void **state) {
    struct toy t;
    float exact[TOY_MAX];
    float centred[TOY_MAX];
    float one_sided[TOY_MAX];

    (void)state;
    init(&t);
    for (int k = 0; k < N_CONFIDENCES; k++) {
        const double c = confidences[k];

        assert_int_equal(scale_of(&t, SG_Z_EXACT, c, exact), SG_OK);
        assert_int_equal(scale_of(&t, SG_Z_CENTRED, c, centred), SG_OK);
        for (int i = 1; i < PLANE - 1; i++) {
            assert_true(fabs(outside(1 + t.x[i], 1 - t.x[i], exact[i]) - (1 - c)) < 1e-7);
            assert_true(exact[i] >= centred[i] * 0.9999999f);
        }
        assert_true(fabsf(exact[6] / centred[6] - 1) < 1e-6f);
        if (c > 0.5) {
            assert_int_equal(scale_of(&t, SG_Z_ONE_SIDED, c, one_sided), SG_OK);
            assert_true(fabsf(exact[1] / one_sided[1] - 1) < 1e-6f);
            for (int i = 1; i < PLANE - 1; i++) {
                assert_true(exact[i] <= one_sided[i] * 1.0000001f);
            }
        }
    }
}

/* On a bound half of all noise is outside: nothing is left for c >= 1/2, and for c below it the
 * noise that the other bound alone allows. */
static void exact_on_a_bound(void **state) {
    struct toy t;
    float scale[TOY_MAX];

    (void)state;
    init(&t);
    t.x[2] = -3; /* outside: as on the bound */
    for (int k = 0; k < N_CONFIDENCES; k++) {
        const double c = confidences[k];

        assert_int_equal(scale_of(&t, SG_Z_EXACT, c, scale), SG_OK);
        assert_true(scale[0] == scale[PLANE - 1] && scale[2] == scale[0]);
        if (c >= 0.5) {
            assert_true(scale[0] == 0);
        } else {
            assert_true(fabs(outside(0, 2, scale[0]) - (1 - c)) < 1e-7);
        }
    }
}

/* A range of no width has no noise by any form. */
static void no_width(void **state) {
    struct toy t;
    float scale[TOY_MAX];

    (void)state;
    init(&t);
    t.domain.lower[0] = t.domain.upper[0] = 0.5;
    for (int form = SG_Z_CENTRED; form <= SG_Z_EXACT; form++) {
        assert_int_equal(scale_of(&t, (enum sg_adaptgrad_z)form, 0.95, scale), SG_OK);
        for (int i = 0; i < PLANE; i++) {
            assert_true(scale[i] == 0);
        }
    }
}

/* The share of draws outside is 1 - c at every element, within four standard errors. */
static void draws_of_the_exact_form(void **state) {
    enum { SAMPLES = 20000 };
    const double se = sqrt(0.1 * 0.9 / SAMPLES);
    struct sg_instance ag = toy_instance("adaptgrad", SAMPLES);
    int64_t n_outside[PLANE] = {0};
    float scale[TOY_MAX];
    struct toy t;

    (void)state;
    init(&t);
    t.x[1] = -0.99f;
    ag.params.sampling.z = SG_Z_EXACT;
    ag.params.sampling.confidence = 0.9;
    assert_int_equal(scale_of(&t, SG_Z_EXACT, 0.9, scale), SG_OK);
    for (int64_t k = 0; k < SAMPLES; k++) {
        float v[TOY_MAX];

        (void)ag.method->sampler->draw(&ag.params.sampling, &t.view, scale, k, v);
        for (int i = 0; i < PLANE; i++) {
            n_outside[i] += v[i] < -1 || v[i] > 1;
        }
    }
    for (int i = 1; i < PLANE - 1; i++) {
        assert_true(fabs((double)n_outside[i] / SAMPLES - 0.1) < 4 * se);
    }
    assert_int_equal(n_outside[0] + n_outside[PLANE - 1], 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_z),          cmocka_unit_test(stated_probabilities),
        cmocka_unit_test(exact_everywhere), cmocka_unit_test(exact_on_a_bound),
        cmocka_unit_test(no_width),         cmocka_unit_test(draws_of_the_exact_form),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
