/* tests/unit/data/test_domain.c - input = (pixel * scale - mean) / std, and its bounds. */
#include "data/data_test.h"

static const double MEAN[3] = {0.485, 0.456, 0.406}; /* torchvision's for ImageNet */
static const double STD[3] = {0.229, 0.224, 0.225};

static struct sg_data_options imagenet(void) {
    struct sg_data_options o = {.has_domain = 1, .domain = {0.0, 1.0}};

    o.preprocess = (struct sg_preprocess){.scale = 1.0, .n_mean = 3, .n_std = 3};
    memcpy(o.preprocess.mean, MEAN, sizeof MEAN);
    memcpy(o.preprocess.std, STD, sizeof STD);
    return o;
}

static void bounds_are_what_black_and_white_become(void **state) {
    const struct sg_data_options o = imagenet();
    struct sg_domain d;

    (void)state;
    sg_domain_init(&o, 3, &d);
    assert_int_equal(d.known, 1);
    assert_int_equal(d.n_channels, 3);
    for (int c = 0; c < 3; c++) {
        /* As ToTensor and Normalize compute a white pixel, in single precision. */
        assert_true(d.upper[c] == (double)((1.0f - (float)MEAN[c]) / (float)STD[c]));
        assert_true(d.lower[c] == (double)((0.0f - (float)MEAN[c]) / (float)STD[c]));
        assert_true(d.input_per_pixel[c] == 1.0 / STD[c]);
        assert_true(d.input_at_zero[c] == -MEAN[c] / STD[c]);
    }
}

static void scale_counts_once(void **state) {
    struct sg_data_options o = {.has_domain = 1, .domain = {0.25, 0.75}};
    struct sg_domain d;

    (void)state;
    o.preprocess = (struct sg_preprocess){.scale = 255.0, .n_mean = 1, .mean = {127.5}};
    sg_domain_init(&o, 2, &d);
    for (int c = 0; c < 2; c++) {
        assert_true(d.lower[c] == -63.75 && d.upper[c] == 63.75);
        assert_true(d.input_per_pixel[c] == 255.0 && d.input_at_zero[c] == -127.5);
    }
}

static void without_a_domain_there_are_no_bounds(void **state) {
    struct sg_data_options o = imagenet();
    struct sg_domain d;

    (void)state;
    o.has_domain = 0;
    sg_domain_init(&o, 3, &d);
    assert_int_equal(d.known, 0);
    assert_true(d.input_per_pixel[2] == 1.0 / STD[2]);
}

/* Inputs made in single precision come back to v / 255 within its rounding. */
static void pixels_come_back(void **state) {
    const struct sg_data_options o = imagenet();
    const struct sg_shape input = image_shape(3, 16, 16);
    static float x[3 * 256];
    static float pixel[3 * 256];
    struct sg_domain d;

    (void)state;
    sg_domain_init(&o, 3, &d);
    for (int i = 0; i < 3 * 256; i++) {
        const int c = i / 256;

        x[i] = ((float)(i % 256) / 255.0f - (float)MEAN[c]) / (float)STD[c];
    }
    sg_domain_to_pixels(&d, &input, x, pixel);
    for (int i = 0; i < 3 * 256; i++) {
        assert_true(pixel[i] * 255.0f > (float)(i % 256) - 1e-4f);
        assert_true(pixel[i] * 255.0f < (float)(i % 256) + 1e-4f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_are_what_black_and_white_become),
        cmocka_unit_test(scale_counts_once),
        cmocka_unit_test(without_a_domain_there_are_no_bounds),
        cmocka_unit_test(pixels_come_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
