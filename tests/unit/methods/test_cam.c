/* Class activation maps by hand, on a layer of two feature maps of 2 x 2 places.
 *
 *     A_0 = 1 2    A_1 = 0 1      g_0 = 1  0     g_1 = -1 0
 *           0 1          3 0            1  2            0 2
 *
 * The score is sum_k,i g_k(i) A_k(i), so that these are its gradients at that layer: a two-layer
 * network whose first layer is the identity. */
#include "sgdist/methods.h"
#include "sgdist/shape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

enum { D = 8, PLACES = 4, MOST = 256 };

static const struct sg_shape layer = {.n_axes = 3, .axes = {2, 2, 2}};
static const struct sg_shape input = {.n_axes = 3, .axes = {3, 2, 4}};
static const float a[D] = {1, 2, 0, 1, 0, 1, 3, 0};
static const float g[D] = {1, 0, 1, 2, -1, 0, 0, 2};

static struct sg_instance instance(const char *name) {
    struct sg_instance inst;

    memset(&inst, 0, sizeof inst);
    inst.method = sg_method_find(name);
    assert_non_null(inst.method);
    inst.params.cam.relu = 1;
    inst.params.sampling.samples = 1;
    inst.params.standard_error = 1;
    return inst;
}

static struct sg_finish at_layer(const float *activation, const float *gradient) {
    return (struct sg_finish){
        .shape = &layer, .input = &input, .x = activation, .clean = gradient, .n_features = D};
}

static void expect(const struct sg_instance *inst, const float *activation, const float *gradient,
                   const double *expected, int n) {
    const struct sg_finish from = at_layer(activation, gradient);
    double work[MOST];
    float map[MOST];

    assert_true(sg_instance_n_work(inst, &layer, &input) <= MOST);
    assert_int_equal(sg_instance_finish(inst, &from, NULL, NULL, work, map, NULL), SG_OK);
    for (int i = 0; i < n; i++) {
        if (fabs(map[i] - expected[i]) > 1e-6 * fabs(expected[i]) + 1e-12) {
            fail_msg("%s, place %d: %.9g instead of %.9g", inst->method->name, i, (double)map[i],
                     expected[i]);
        }
    }
}

/* Weights: the means 4/4 = 1 and 1/4. A_0 + A_1 / 4. */
static void grad_cam_by_hand(void **state) {
    const struct sg_instance inst = instance("grad_cam");

    (void)state;
    expect(&inst, a, g, (double[]){1, 2.25, 0.75, 1}, PLACES);
}

/* alpha = g^2 / (2 g^2 + 4 g^3) = 1 / (2 + 4 g) where g is not 0: sum A is 4 in both maps.
 * Map 0: alpha = 1/6, 0, 1/6, 1/10; w_0 = 1/6 + 1/6 + 2/10 = 8/15.
 * Map 1: alpha = 1/(2 - 4) at the first place, whose gradient is negative and does not count, and
 * 1/10 at the last; w_1 = 2/10. */
static void grad_cam_plus_plus_by_hand(void **state) {
    const struct sg_instance inst = instance("grad_cam_plus_plus");
    const double w0 = 8.0 / 15;
    const double w1 = 0.2;

    (void)state;
    expect(&inst, a, g, (double[]){w0, 2 * w0 + w1, 3 * w1, w0}, PLACES);
}

/* Codes that sum A g^3 over places: map 0: 1 + 8 = 9, so alpha = g^2 / (2 g^2 + 9) = 1/11, 1/11,
 * 4/17; map 1: 0, so alpha = 1/2 and w_1 = 1. */
static void summed_denominator_by_hand(void **state) {
    struct sg_instance inst = instance("grad_cam_plus_plus");
    const double w0 = 1.0 / 11 + 1.0 / 11 + 2 * 4.0 / 17;

    (void)state;
    inst.params.cam.denominator = SG_DENOMINATOR_SUMMED;
    expect(&inst, a, g, (double[]){w0, 2 * w0 + 1, 3, w0}, PLACES);
}

/* sum A = -4 and g = 1/2: 2 g^2 - 4 g^3 = 0; and where g is 0. */
static void a_zero_denominator_gives_alpha_0(void **state) {
    const struct sg_instance inst = instance("grad_cam_plus_plus");
    const float minus_a[D] = {-1, -2, 0, -1, 0, -1, -3, 0};
    const float halves[D] = {0.5f, 0.5f, 0, 0.5f, 0, 0.5f, 0.5f, 0};

    (void)state;
    expect(&inst, minus_a, halves, (double[]){0, 0, 0, 0}, PLACES);
    expect(&inst, a, (float[D]){0}, (double[]){0, 0, 0, 0}, PLACES);
}

static void relatives_by_hand(void **state) {
    const struct sg_instance hires = instance("hires_cam");
    const struct sg_instance of_layer = instance("layer_cam");
    const struct sg_instance by_activation = instance("xgrad_cam");

    (void)state;
    expect(&hires, a, g, (double[]){1, 0, 0, 2}, PLACES);
    expect(&of_layer, a, g, (double[]){1, 0, 0, 2}, PLACES);
    /* w_0 = (1 + 2) / 4, w_1 = 0 / 4 */
    expect(&by_activation, a, g, (double[]){0.75, 1.5, 0, 0.75}, PLACES);
}

/* With the signs of the gradient turned round negative sums appear; relu makes them 0. */
static void relu_is_an_option(void **state) {
    struct sg_instance inst = instance("grad_cam");
    float turned[D];

    (void)state;
    for (int i = 0; i < D; i++) {
        turned[i] = -g[i];
    }
    expect(&inst, a, turned, (double[]){0, 0, 0, 0}, PLACES);
    inst.params.cam.relu = 0;
    expect(&inst, a, turned, (double[]){-1, -2.25, -0.75, -1}, PLACES);
}

/* As if the layer had no other maps, or no other places. The right column alone: means (0 + 2) / 2
 * = 1 and (0 + 2) / 2 = 1. */
static void subsets_by_hand(void **state) {
    struct sg_instance inst = instance("grad_cam");
    const struct sg_cam right = {.n_neurons = 2, .neurons = {0, 1, 2, 2}, .relu = 1};

    (void)state;
    inst.params.cam.n_maps = 1;
    inst.params.cam.maps[0] = 1u << 1;
    expect(&inst, a, g, (double[]){0, 0.25, 0.75, 0}, PLACES);
    inst.params.cam = right;
    expect(&inst, a, g, (double[]){0, 3, 0, 1}, PLACES);
}

/* From 2 columns to 4: shares of the right one 0, 1/4, 3/4, 1; the rows stay. */
static void size_of_the_input_by_hand(void **state) {
    struct sg_instance inst = instance("grad_cam");
    struct sg_shape shape;

    (void)state;
    inst.params.cam.size = SG_SIZE_INPUT;
    sg_instance_map_shape(&inst, &layer, &input, &shape);
    assert_int_equal(shape.n_axes, 2);
    assert_int_equal(shape.axes[0], 2);
    assert_int_equal(shape.axes[1], 4);
    expect(&inst, a, g, (double[]){1, 1.3125, 1.9375, 2.25, 0.75, 0.8125, 0.9375, 1}, 8);
}

/* Along one axis, and along three: a map that grows along the last one alone. */
static void one_and_three_axes_by_hand(void **state) {
    const double shares[4] = {0, 0.25, 0.75, 1};
    const float rising[8] = {0, 1, 0, 1, 0, 1, 0, 1};
    const float ones[8] = {1, 1, 1, 1, 1, 1, 1, 1};

    (void)state;
    for (int n_axes = 2; n_axes <= 4; n_axes += 2) {
        struct sg_instance inst = instance("grad_cam");
        const int n = n_axes == 2 ? 2 : 8;
        const struct sg_shape small = {.n_axes = n_axes, .axes = {1, 2, 2, 2}};
        struct sg_shape large = {.n_axes = n_axes, .axes = {3, 3, 2, 4}};
        const struct sg_finish from = {
            .shape = &small, .input = &large, .x = rising, .clean = ones, .n_features = n};
        double work[MOST];
        float map[24];

        large.axes[n_axes - 1] = 4;
        inst.params.cam.size = SG_SIZE_INPUT;
        assert_true(sg_instance_n_work(&inst, &small, &large) <= MOST);
        assert_int_equal(sg_instance_finish(&inst, &from, NULL, NULL, work, map, NULL), SG_OK);
        for (int i = 0; i < (n_axes == 2 ? 4 : 24); i++) {
            assert_true(map[i] == shares[i % 4]);
        }
    }
}

/* Two samples, g and 3 g: means of powers 2 g, 5 g^2, 14 g^3, with sum A = 4: alpha = 5 g^2 / (10
 * g^2 + 56 g^3) = 5 / (10 + 56 g). The paper's numerator: 2 g / (10 g^2 + 56 g^3). */
static void smooth_grad_cam_plus_plus_by_hand(void **state) {
    struct sg_instance inst = instance("smooth_grad_cam_plus_plus");
    const struct sg_finish from = at_layer(a, g);
    const double second[2] = {2 * 5 / 66.0 * 2 + 5 / 122.0 * 4, 5 / 122.0 * 4};
    const double first[2] = {2 * 2 / 66.0 * 2 + 4 / 488.0 * 4, 4 / 488.0 * 4};
    struct sg_sums *sums;
    struct sg_sums *one;

    (void)state;
    inst.params.sampling.samples = 2;
    assert_int_equal(sg_instance_n_powers(&inst), 3);
    assert_int_equal(sg_instance_n_groups(&inst), 16);
    assert_int_equal(sg_sums_create(D, 3, 16, &sums), SG_OK);
    assert_int_equal(sg_sums_create(D, 3, 1, &one), SG_OK);
    sg_sums_reset(sums, sg_sums_exponent_for(2));
    for (int k = 0; k < 2; k++) {
        float sample[D];

        for (int i = 0; i < D; i++) {
            sample[i] = (float)(1 + 2 * k) * g[i];
        }
        sg_sums_add_block(sums, k, sample, 1);
    }
    for (int numerator = SG_NUMERATOR_SECOND; numerator <= SG_NUMERATOR_FIRST; numerator++) {
        const double *w = numerator == SG_NUMERATOR_FIRST ? first : second;
        const double expected[PLACES] = {w[0], 2 * w[0] + w[1], 3 * w[1], w[0]};
        double work[MOST];
        float map[PLACES];
        float se[PLACES];

        inst.params.cam.numerator = numerator;
        assert_true(sg_instance_n_work(&inst, &layer, &input) <= MOST);
        assert_int_equal(sg_instance_finish(&inst, &from, sums, one, work, map, se), SG_OK);
        for (int i = 0; i < PLACES; i++) {
            assert_true(fabs(map[i] - expected[i]) < 1e-6 * expected[i]);
            assert_true(se[i] > 0); /* two groups of one sample each: a jackknife, if a poor one */
        }
    }
    sg_sums_destroy(sums);
    sg_sums_destroy(one);
}

/* The same item and target: the same numbers; another item, target or seed: others. Their mean and
 * mean square over 3072 elements lie within five standard errors of 0 and 1. */
static void random_map_is_of_item_and_target(void **state) {
    enum { N = 3072 };
    static double work[4 * N];
    static float maps[4][N];
    const struct sg_shape picture = {.n_axes = 3, .axes = {3, 32, 32}};
    const struct sg_instance inst = instance("random");
    struct sg_finish from[4];
    double sum = 0;
    double squares = 0;

    (void)state;
    for (int i = 0; i < 4; i++) {
        from[i] = (struct sg_finish){
            .shape = &picture, .input = &picture, .n_features = N, .seed = 7, .key = 99};
    }
    from[1].key = 100;
    from[2].target = 1;
    from[3].seed = 8;
    assert_true(sg_instance_n_work(&inst, &picture, &picture) <= 4 * N);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(sg_instance_finish(&inst, &from[i], NULL, NULL, work, maps[i], NULL),
                         SG_OK);
    }
    for (int i = 1; i < 4; i++) {
        assert_memory_not_equal(maps[0], maps[i], sizeof maps[0]);
    }
    for (int i = 0; i < N; i++) {
        sum += maps[0][i];
        squares += (double)maps[0][i] * maps[0][i];
    }
    assert_true(fabs(sum / N) < 5 / sqrt(N));
    assert_true(fabs(squares / N - 1) < 5 * sqrt(2.0 / N));
}

/* A step from 0 to 1 between two columns: [1 2 1]/4 across sums to 1, so E is 1 at both, the mean
 * over the two axes 1/2. A slope of 1/4 a row: E = 1/2 inside, 1/4 at the border, which meets its
 * mirror image. */
static void sobel_by_hand(void **state) {
    const struct sg_instance inst = instance("sobel");
    const struct sg_shape picture = {.n_axes = 3, .axes = {2, 3, 4}};
    const float x[24] = {0, 0, 1, 1, 0,     0,     1,     1,     0,    0,    1,    1,
                         0, 0, 0, 0, 0.25f, 0.25f, 0.25f, 0.25f, 0.5f, 0.5f, 0.5f, 0.5f};
    const double root = sqrt(0.5);
    const struct sg_finish from = {.shape = &picture, .input = &picture, .x = x, .n_features = 24};
    double work[MOST];
    float map[24];

    (void)state;
    assert_int_equal(sg_instance_finish(&inst, &from, NULL, NULL, work, map, NULL), SG_OK);
    for (int i = 0; i < 12; i++) {
        const double step = i % 4 == 1 || i % 4 == 2 ? root : 0;
        const double slope = root * (i / 4 == 1 ? 0.5 : 0.25);

        assert_true(fabs(map[i] - step) < 1e-7);
        assert_true(fabs(map[12 + i] - slope) < 1e-7);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grad_cam_by_hand),
        cmocka_unit_test(grad_cam_plus_plus_by_hand),
        cmocka_unit_test(summed_denominator_by_hand),
        cmocka_unit_test(a_zero_denominator_gives_alpha_0),
        cmocka_unit_test(relatives_by_hand),
        cmocka_unit_test(relu_is_an_option),
        cmocka_unit_test(subsets_by_hand),
        cmocka_unit_test(size_of_the_input_by_hand),
        cmocka_unit_test(one_and_three_axes_by_hand),
        cmocka_unit_test(smooth_grad_cam_plus_plus_by_hand),
        cmocka_unit_test(random_map_is_of_item_and_target),
        cmocka_unit_test(sobel_by_hand),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
