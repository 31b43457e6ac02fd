/* Options of the finish: reductions, the clean gradient's part, shapes, errors, few samples. */
#include "methods/toys.h"

static const enum sg_reduction reductions[] = {SG_CHANNELS_NONE,    SG_CHANNELS_SUM,
                                               SG_CHANNELS_ABS_SUM, SG_CHANNELS_L2,
                                               SG_CHANNELS_ABS_MAX, SG_CHANNELS_MEAN};

/* Values by hand: channels 3, -4, 0 and -1, 2, -2. */
static void reductions_by_hand(void **state) {
    static const double map[] = {3, -1, -4, 2, 0, -2};
    static const double expected[][2] = {{0},    {-1, -1}, {7, 5},
                                         {5, 3}, {4, 2},   {-1.0 / 3, -1.0 / 3}};
    double out[6];

    (void)state;
    for (int r = 1; r < 6; r++) {
        sg_reduce_channels(reductions[r], 3, 2, map, out);
        assert_true(out[0] == expected[r][0] && out[1] == expected[r][1]);
    }
    sg_reduce_channels(SG_CHANNELS_NONE, 3, 2, map, out);
    assert_memory_equal(out, map, sizeof map);
}

static void map_shapes(void **state) {
    const struct sg_shape image = {.n_axes = 3, .axes = {3, 5, 7}};
    const struct sg_shape vector = {.n_axes = 1, .axes = {9}};
    struct sg_instance inst = toy_instance("vargrad", 10);
    struct sg_shape shape;

    (void)state;
    sg_instance_map_shape(&inst, &image, &image, &shape);
    assert_memory_equal(&shape, &image, sizeof shape);
    inst.params.reduction = SG_CHANNELS_L2;
    sg_instance_map_shape(&inst, &image, &image, &shape);
    assert_int_equal(shape.n_axes, 2);
    assert_int_equal(shape.axes[0], 5);
    assert_int_equal(shape.axes[1], 7);
    sg_instance_map_shape(&inst, &vector, &vector, &shape);
    assert_int_equal(shape.n_axes, 1);
    assert_int_equal(sg_shape_size(&shape), 1);
}

/* A reduced map is the reduction of the unreduced one; it is of the finished map, not of samples.
 */
static void reductions_of_maps(void **state) {
    static const char *const names[] = {"smoothgrad", "smoothgrad_squared", "vargrad", "gradient"};
    struct toy t;
    float full[TOY_MAX];
    float map[TOY_MAX];
    float se[TOY_MAX];

    (void)state;
    toy_init(&t, 3, 3, 4, toy_quadratic);
    for (size_t i_name = 0; i_name < sizeof names / sizeof names[0]; i_name++) {
        struct sg_instance inst = toy_instance(names[i_name], 64);
        double wide[TOY_MAX];
        double expected[TOY_MAX];

        toy_run(&t, &inst, full, se);
        for (int i = 0; i < t.n; i++) {
            wide[i] = full[i];
        }
        for (int r = 1; r < 6; r++) {
            inst.params.reduction = reductions[r];
            toy_run(&t, &inst, map, se);
            sg_reduce_channels(reductions[r], 3, 12, wide, expected);
            for (int i = 0; i < 12; i++) {
                assert_true(fabs(map[i] - expected[i]) < 1e-5);
            }
        }
    }
    toy_fini(&t);
}

/* The sum over channels is linear: for equal groups its jackknife error is the standard error of
 * the 16 group means of the sum, here computed from separate sweeps of the groups. */
static void jackknife_of_a_linear_map(void **state) {
    struct toy t;
    struct sg_instance inst = toy_instance("smoothgrad", 160);
    float map[TOY_MAX];
    float se[TOY_MAX];
    double sum[12] = {0};
    double squares[12] = {0};

    (void)state;
    toy_init(&t, 3, 3, 4, toy_relu);
    inst.params.reduction = SG_CHANNELS_SUM;
    toy_run(&t, &inst, map, se);
    for (int g = 0; g < 16; g++) {
        float scale[TOY_MAX];
        double mean[12] = {0};

        assert_int_equal(
            inst.method->sampler->prepare(&inst.params.sampling, &t.view, scale, t.sigma), SG_OK);
        for (int64_t k = g; k < 160; k += 16) {
            float at[TOY_MAX];
            float grad[TOY_MAX];

            (void)inst.method->sampler->draw(&inst.params.sampling, &t.view, scale, k, at);
            (void)t.score(t.n, at, grad);
            for (int i = 0; i < t.n; i++) {
                mean[i % 12] += (double)grad[i] / 10;
            }
        }
        for (int i = 0; i < 12; i++) {
            sum[i] += mean[i];
            squares[i] += mean[i] * mean[i];
        }
    }
    for (int i = 0; i < 12; i++) {
        const double expected = sqrt((squares[i] - sum[i] * sum[i] / 16) / 16 / 15);

        assert_true(fabs(se[i] - expected) <= 1e-6 * expected + 1e-9);
    }
    toy_fini(&t);
}

/* extra: N draws and the clean gradient; one_of_n: N - 1 draws and it. Means and mean squares count
 * it, variances do not; the error of a mean shrinks by its share. */
static void clean_gradient(void **state) {
    enum { SAMPLES = 50 };
    static const enum sg_noise_clean options[] = {SG_CLEAN_EXTRA, SG_CLEAN_ONE_OF_N};
    struct toy t;

    (void)state;
    toy_init(&t, 3, 3, 4, toy_relu);
    for (int o = 0; o < 2; o++) {
        const int64_t draws = options[o] == SG_CLEAN_EXTRA ? SAMPLES : SAMPLES - 1;
        float plain[3][TOY_MAX];
        float plain_se[TOY_MAX];
        float with[3][TOY_MAX];
        float with_se[TOY_MAX];
        float unused[TOY_MAX];

        for (int is_with = 0; is_with < 2; is_with++) {
            static const char *const names[] = {"smoothgrad", "smoothgrad_squared", "vargrad"};

            for (int m = 0; m < 3; m++) {
                struct sg_instance inst = toy_instance(names[m], is_with ? SAMPLES : draws);

                inst.params.sampling.clean = is_with ? (int32_t)options[o] : SG_CLEAN_NONE;
                assert_int_equal(sg_sampling_n_draws(&inst.params.sampling), draws);
                toy_run(&t, &inst, is_with ? with[m] : plain[m],
                        m > 0 ? unused : (is_with ? with_se : plain_se));
            }
        }
        for (int i = 0; i < t.n; i++) {
            const double n = (double)draws;
            const double g = t.clean[i];

            assert_true(fabs(with[0][i] - (n * plain[0][i] + g) / (n + 1)) < 1e-6);
            assert_true(fabs(with[1][i] - (n * plain[1][i] + g * g) / (n + 1)) < 1e-6);
            assert_true(with[2][i] == plain[2][i]);
            assert_true(fabs(with_se[i] - plain_se[i] * n / (n + 1)) < 1e-7);
        }
    }
    toy_fini(&t);
}

/* Powers and groups: none without a sweep, squares only for an analytic error, groups only for a
 * jackknife. */
static void wants_of_the_sweep(void **state) {
    static const struct {
        const char *method;
        int standard_error;
        enum sg_reduction reduction;
        int n_powers, n_groups;
    } wants[] = {
        {"gradient", 1, SG_CHANNELS_L2, 0, 1},
        {"smoothgrad", 0, SG_CHANNELS_NONE, 1, 1},
        {"smoothgrad", 1, SG_CHANNELS_NONE, 2, 1},
        {"smoothgrad", 0, SG_CHANNELS_L2, 1, 1},
        {"smoothgrad", 1, SG_CHANNELS_L2, 1, 16},
        {"adaptgrad", 1, SG_CHANNELS_NONE, 2, 1},
        {"smoothgrad_squared", 0, SG_CHANNELS_NONE, 2, 1},
        {"smoothgrad_squared", 1, SG_CHANNELS_NONE, 2, 16},
        {"vargrad", 1, SG_CHANNELS_SUM, 2, 16},
    };

    (void)state;
    for (size_t i = 0; i < sizeof wants / sizeof wants[0]; i++) {
        struct sg_instance inst = toy_instance(wants[i].method, 10);

        inst.params.standard_error = wants[i].standard_error;
        inst.params.reduction = wants[i].reduction;
        assert_int_equal(sg_instance_n_powers(&inst), wants[i].n_powers);
        assert_int_equal(sg_instance_n_groups(&inst), wants[i].n_groups);
    }
}

/* Instances with fewer wants read the sums of the richest: the same map, the same error. */
static void a_shared_sweep_changes_nothing(void **state) {
    struct toy t;
    struct sg_instance sg = toy_instance("smoothgrad", 70);
    struct sg_instance var = toy_instance("vargrad", 70);
    float alone[2][TOY_MAX];
    float shared[2][TOY_MAX];

    (void)state;
    toy_init(&t, 3, 3, 4, toy_relu);
    toy_run(&t, &sg, alone[0], alone[1]);
    toy_run(&t, &var, shared[0], shared[1]);
    assert_int_equal(toy_finish(&t, &sg, shared[0], shared[1]), SG_OK);
    assert_memory_equal(shared[0], alone[0], (size_t)t.n * sizeof(float));
    assert_memory_equal(shared[1], alone[1], (size_t)t.n * sizeof(float));
    toy_fini(&t);
}

/* One sample has a mean but no error; none, or one for a variance, is refused with the label. */
static void few_samples(void **state) {
    struct toy t;
    struct sg_instance sg = toy_instance("smoothgrad", 1);
    struct sg_instance var = toy_instance("vargrad", 1);
    float map[TOY_MAX];
    float se[TOY_MAX];

    (void)state;
    toy_init(&t, 3, 3, 4, toy_relu);
    toy_run(&t, &sg, map, se);
    assert_true(isfinite(map[0]) && isnan(se[0]));
    toy_sweep(&t, &var, 2, 16);
    strcpy(var.label, "wide");
    assert_int_equal(toy_finish(&t, &var, map, se), SG_E_NUMBERS);
    assert_non_null(strstr(sg_trace_message(), "wide"));
    sg_sums_reset(t.sums, 0);
    assert_int_equal(toy_finish(&t, &sg, map, se), SG_E_NUMBERS);

    /* Two samples: a variance, but no variance without either of them. */
    var.params.sampling.samples = 2;
    toy_run(&t, &var, map, se);
    assert_true(isfinite(map[0]) && isnan(se[0]));
    toy_fini(&t);
}

/* A map that float cannot hold is refused. */
static double huge(int n, const float *x, float *g) {
    const double f = toy_quadratic(n, x, g);

    for (int i = 0; i < n; i++) {
        g[i] *= 1e25f;
    }
    return f * 1e25;
}

static void maps_are_finite(void **state) {
    struct toy t;
    struct sg_instance sg = toy_instance("smoothgrad", 8);
    struct sg_instance var = toy_instance("vargrad", 8);
    struct sg_instance gradient = toy_instance("gradient", 1);
    float map[TOY_MAX];
    float se[TOY_MAX];

    (void)state;
    toy_init(&t, 3, 3, 4, huge);
    toy_run(&t, &sg, map, se);
    toy_sweep(&t, &var, 2, 16);
    assert_int_equal(toy_finish(&t, &var, map, se), SG_E_NUMBERS);
    t.clean[3] = NAN;
    assert_int_equal(toy_finish(&t, &gradient, map, se), SG_E_NUMBERS);
    toy_fini(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reductions_by_hand),
        cmocka_unit_test(map_shapes),
        cmocka_unit_test(reductions_of_maps),
        cmocka_unit_test(jackknife_of_a_linear_map),
        cmocka_unit_test(clean_gradient),
        cmocka_unit_test(wants_of_the_sweep),
        cmocka_unit_test(a_shared_sweep_changes_nothing),
        cmocka_unit_test(few_samples),
        cmocka_unit_test(maps_are_finite),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
