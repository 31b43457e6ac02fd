/* The space of the gradient: with input = zero + unit pixel, channel by channel, the maps of
 * `space: pixel` are those of the score as a function of pixels. */
#include "methods/toys.h"

enum { PLANE = 12 };

/* The gradient of the score in pixels, by central differences (exact for a quadratic score up to
 * rounding); the points are rounded to float, so the step is what is left of it. */
static double pixel_slope(const struct toy *t, int i) {
    const double unit = t->domain.input_per_pixel[i / PLANE];
    float g[TOY_MAX];
    float up[TOY_MAX];
    float down[TOY_MAX];

    memcpy(up, t->x, sizeof up);
    memcpy(down, t->x, sizeof down);
    up[i] += (float)(0.05 * unit);
    down[i] -= (float)(0.05 * unit);
    return (t->score(t->n, up, g) - t->score(t->n, down, g)) /
           (((double)up[i] - (double)down[i]) / unit);
}

static void gradient_of_pixels(void **state) {
    struct toy t;
    struct sg_instance gradient = toy_instance("gradient", 1);
    struct sg_instance product = toy_instance("gradient_x_input", 1);
    float g[TOY_MAX];
    float p[TOY_MAX];
    float pixels[TOY_MAX];
    float se[TOY_MAX];

    (void)state;
    toy_init(&t, 3, 3, 4, toy_quadratic);
    gradient.params.space = product.params.space = SG_SPACE_PIXEL;
    toy_run(&t, &gradient, g, se);
    toy_run(&t, &product, p, se);
    sg_domain_to_pixels(&t.domain, &t.shape, t.x, pixels);
    for (int i = 0; i < t.n; i++) {
        const double slope = pixel_slope(&t, i);

        assert_true(fabs(g[i] - slope) < 1e-6 * (1 + fabs(slope)));
        assert_true(fabs(p[i] - pixels[i] * slope) < 1e-6 * (1 + fabs(slope)));
    }
}

/* Means take the unit, squares and variances its square; so do their errors. */
static void units_of_maps_and_errors(void **state) {
    static const struct {
        const char *name;
        int power;
    } methods[] = {{"smoothgrad", 1}, {"smoothgrad_squared", 2}, {"vargrad", 2}, {"adaptgrad", 1}};
    struct toy t;

    (void)state;
    toy_init(&t, 3, 3, 4, toy_quadratic);
    for (size_t k = 0; k < sizeof methods / sizeof methods[0]; k++) {
        struct sg_instance inst = toy_instance(methods[k].name, 48);
        float map[2][TOY_MAX];
        float se[2][TOY_MAX];

        for (int s = 0; s < 2; s++) {
            inst.params.space = s == 0 ? SG_SPACE_INPUT : SG_SPACE_PIXEL;
            toy_run(&t, &inst, map[s], se[s]);
        }
        for (int i = 0; i < t.n; i++) {
            const double unit = pow(t.domain.input_per_pixel[i / PLANE], methods[k].power);

            assert_true(fabs(map[1][i] - unit * map[0][i]) <= 2e-7 * unit * fabs(map[0][i]));
            assert_true(fabs(se[1][i] - unit * se[0][i]) <= 2e-7 * unit * fabs(se[0][i]));
            assert_true(se[1][i] > 0);
        }
    }
    toy_fini(&t);
}

/* Channels are reduced after the change of space, which weighs them differently. */
static void reduction_comes_last(void **state) {
    struct toy t;
    struct sg_instance inst = toy_instance("smoothgrad", 48);
    float full[TOY_MAX];
    float map[TOY_MAX];
    float se[TOY_MAX];

    (void)state;
    toy_init(&t, 3, 3, 4, toy_quadratic);
    toy_run(&t, &inst, full, se);
    inst.params.space = SG_SPACE_PIXEL;
    inst.params.reduction = SG_CHANNELS_ABS_SUM;
    toy_run(&t, &inst, map, se);
    for (int i = 0; i < PLANE; i++) {
        double sum = 0;

        for (int c = 0; c < 3; c++) {
            sum += fabs(t.domain.input_per_pixel[c] * full[c * PLANE + i]);
        }
        assert_true(fabs(map[i] - sum) < 1e-6 * sum);
        assert_true(se[i] > 0);
    }
    toy_fini(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradient_of_pixels),
        cmocka_unit_test(units_of_maps_and_errors),
        cmocka_unit_test(reduction_comes_last),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
