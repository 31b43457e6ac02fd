/* tests/unit/data/test_idx.c - IDX files, plain and gzip: the same items either way; damaged ones
 * are refused. */
#include "data/data_test.h"

#include "sgdist/text.h"

static struct scratch s;

static int setup(void **state) {
    (void)state;
    scratch_make(&s);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    scratch_remove(s.root);
    assert_int_equal(sg_memory_balance(), 0);
    return 0;
}

/* Value v of the file is v % 251, pixel p of item i is value i * 20 + p. */
static void check_items(char *path) {
    const struct sg_data_options options = plain_options(SG_SOURCE_IDX, path);
    const struct sg_shape input = image_shape(1, 4, 5);
    const int order[] = {0, 3, 6, 2, 2, 5}; /* forward, and back again */
    struct sg_items *items = NULL;
    float x[20];

    assert_int_equal(sg_items_open(&options, &input, &items), SG_OK);
    assert_int_equal(sg_items_count(items), 7);
    assert_int_equal(sg_items_label(items, 3), -1);
    assert_int_equal(sg_items_n_classes(items), 0);
    for (size_t k = 0; k < sizeof order / sizeof order[0]; k++) {
        assert_int_equal(sg_items_load(items, order[k], x), SG_OK);
        for (int p = 0; p < 20; p++) {
            assert_true(x[p] == (float)((order[k] * 20 + p) % 251) / 255.0f);
        }
    }
    sg_items_close(items);
}

static void plain_and_gzip_hold_the_same(void **state) {
    const int axes[] = {7, 4, 5};

    (void)state;
    write_idx(scratch_path(&s, "plain"), 0, 3, axes);
    check_items(s.path);
    write_idx(scratch_path(&s, "packed.gz"), 1, 3, axes);
    check_items(s.path);
}

static void names_do_not_depend_on_compression(void **state) {
    const int axes[] = {7, 4, 5};
    const char *const files[] = {"t-images-idx3-ubyte", "t-images-idx3-ubyte.gz"};
    const struct sg_shape input = image_shape(1, 4, 5);

    (void)state;
    for (int gz = 0; gz < 2; gz++) {
        struct sg_data_options options = plain_options(SG_SOURCE_IDX, scratch_path(&s, files[gz]));
        int64_t indices[] = {6, 1};
        struct sg_items *items = NULL;

        options.n_indices = 2;
        options.indices = indices;
        write_idx(options.path, gz, 3, axes);
        assert_int_equal(sg_items_open(&options, &input, &items), SG_OK);
        assert_string_equal(sg_items_name(items, 0), "t-images-idx3-ubyte#6");
        assert_string_equal(sg_items_name(items, 1), "t-images-idx3-ubyte#1");
        assert_true(sg_items_key(items, 0) == sg_hash64("t-images-idx3-ubyte#6", 21));
        assert_int_equal(sg_items_max_name(items), 21);
        sg_items_close(items);
    }
}

/* Both orders of axes give the same picture: channel c of pixel p. */
static void colour_in_four_axes(void **state) {
    const int planes[] = {2, 3, 2, 4};
    const int mixed[] = {2, 2, 4, 3};
    const struct sg_shape input = image_shape(3, 2, 4);

    (void)state;
    for (int last = 0; last < 2; last++) {
        struct sg_data_options options = plain_options(SG_SOURCE_IDX, scratch_path(&s, "colour"));
        struct sg_items *items = NULL;
        float x[24];

        write_idx(options.path, 0, 4, last ? mixed : planes);
        assert_int_equal(sg_items_open(&options, &input, &items), SG_OK);
        assert_int_equal(sg_items_load(items, 1, x), SG_OK);
        for (int c = 0; c < 3; c++) {
            for (int p = 0; p < 8; p++) {
                const int value = 24 + (last ? p * 3 + c : c * 8 + p);

                assert_true(x[c * 8 + p] == (float)value / 255.0f);
            }
        }
        sg_items_close(items);
    }
}

static void grey_is_repeated_for_three_channels(void **state) {
    const int axes[] = {1, 2, 2};
    const struct sg_shape input = image_shape(3, 2, 2);
    struct sg_data_options options = plain_options(SG_SOURCE_IDX, scratch_path(&s, "grey"));
    struct sg_items *items = NULL;
    float x[12];

    (void)state;
    write_idx(options.path, 0, 3, axes);
    assert_int_equal(sg_items_open(&options, &input, &items), SG_OK);
    assert_int_equal(sg_items_load(items, 0, x), SG_OK);
    assert_memory_equal(x, x + 4, 4 * sizeof *x);
    assert_memory_equal(x, x + 8, 4 * sizeof *x);
    assert_true(x[3] == 3.0f / 255.0f);
    sg_items_close(items);
}

static void labels_and_class_names(void **state) {
    const int images[] = {7, 4, 5};
    const int seven[] = {7};
    const int eight[] = {8};
    const struct sg_shape input = image_shape(1, 4, 5);
    struct sg_data_options options;
    struct sg_items *items = NULL;
    char labels[512];
    char names[512];

    (void)state;
    (void)strcpy(labels, scratch_path(&s, "labels.gz"));
    (void)strcpy(names, scratch_path(&s, "names.txt"));
    write_idx(scratch_path(&s, "images"), 0, 3, images);
    options = plain_options(SG_SOURCE_IDX, s.path);
    options.labels = labels;

    write_idx(labels, 1, 1, seven); /* labels 0 to 6 */
    assert_int_equal(sg_items_open(&options, &input, &items), SG_OK);
    assert_int_equal(sg_items_label(items, 5), 5);
    assert_int_equal(sg_items_n_classes(items), 7);
    assert_null(sg_items_class_name(items, 5));
    sg_items_close(items);

    options.class_names = names;
    write_bytes(names, "a\nb\r\nc c\nd\ne\nf\ng\nh\n\n", 20);
    assert_int_equal(sg_items_open(&options, &input, &items), SG_OK);
    assert_int_equal(sg_items_n_classes(items), 8);
    assert_string_equal(sg_items_class_name(items, 1), "b");
    assert_string_equal(sg_items_class_name(items, 2), "c c");
    assert_null(sg_items_class_name(items, 8));
    assert_null(sg_items_class_name(items, -1));
    sg_items_close(items);

    write_bytes(names, "a\nb\n", 4);
    assert_open_fails(&options, &input, SG_E_JOB, "has 2 names for 7 classes");
    write_idx(labels, 1, 1, eight);
    assert_open_fails(&options, &input, SG_E_JOB, "has 8 labels for 7 images");
}

/* Files of 4 + 3 * 4 + 2 * 3 * 3 = 34 bytes with one thing wrong each. */
static void damaged_files_are_refused(void **state) {
    static const struct {
        const char *text;
        int at; /* -1: none */
        unsigned char value;
        int size;
    } cases[] = {
        {"is not an IDX file", 0, 1, 34},     {"is not an IDX file", 3, 9, 34},
        {"values of type 0x0d", 2, 13, 34},   {"which is 1 axis", 3, 2, 34},
        {"it ends too early", 6, 1, 34},      {"it ends too early", 4, 255, 34},
        {"longer than its header", 7, 1, 34}, {"longer than its header", -1, 0, 35},
        {"it ends too early", -1, 0, 33},     {"has no IDX header", -1, 0, 3},
        {"has no IDX header", -1, 0, 0},      {"its header: it ends", -1, 0, 10},
        {"axis 0 has length 0", 7, 0, 34},    {"more than 134217728 pixels", 8, 255, 34},
    };
    static const unsigned char header[] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 3};
    const struct sg_shape input = image_shape(1, 3, 3);
    const struct sg_data_options options =
        plain_options(SG_SOURCE_IDX, scratch_path(&s, "damaged"));

    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        unsigned char bytes[64] = {0};

        memcpy(bytes, header, sizeof header);
        if (cases[k].at >= 0) {
            bytes[cases[k].at] = cases[k].value;
        }
        write_bytes(options.path, bytes, (size_t)cases[k].size);
        assert_open_fails(&options, &input, SG_E_JOB, cases[k].text);
    }
}

static void gzip_cut_or_corrupted_is_refused(void **state) {
    const int axes[] = {50, 9, 9};
    const struct sg_shape input = image_shape(1, 9, 9);
    const struct sg_data_options options = plain_options(SG_SOURCE_IDX, scratch_path(&s, "cut.gz"));
    unsigned char bytes[8192];
    struct sg_items *items = NULL;
    size_t n;
    FILE *f;

    (void)state;
    write_idx(options.path, 1, 3, axes);
    f = fopen(options.path, "rb");
    n = fread(bytes, 1, sizeof bytes, f);
    (void)fclose(f);
    for (size_t keep = 0; keep < n; keep++) {
        write_bytes(options.path, bytes, keep);
        assert_open_fails(&options, &input, SG_E_JOB, "cut.gz");
    }
    bytes[n - 8] ^= 1;
    write_bytes(options.path, bytes, n);
    assert_open_fails(&options, &input, SG_E_JOB, "incorrect data check");
    bytes[n - 8] ^= 1;
    write_bytes(options.path, bytes, n);
    assert_int_equal(sg_items_open(&options, &input, &items), SG_OK);
    sg_items_close(items);
}

static void a_file_that_shrinks_fails_the_item(void **state) {
    const int axes[] = {7, 4, 5};
    const struct sg_shape input = image_shape(1, 4, 5);
    const struct sg_data_options options = plain_options(SG_SOURCE_IDX, scratch_path(&s, "shrunk"));
    struct sg_items *items = NULL;
    float x[20];

    (void)state;
    write_idx(options.path, 0, 3, axes);
    assert_int_equal(sg_items_open(&options, &input, &items), SG_OK);
    assert_int_equal(truncate(options.path, 16 + 3 * 20 + 5), 0);
    assert_int_equal(sg_items_load(items, 3, x), SG_E_INPUT);
    assert_non_null(strstr(sg_trace_message(), "shrunk#3: "));
    assert_int_equal(sg_items_load(items, 2, x), SG_OK);
    sg_items_close(items);
}

static void the_size_is_checked_before_the_run(void **state) {
    const int axes[] = {7, 4, 5};
    struct sg_data_options options = plain_options(SG_SOURCE_IDX, scratch_path(&s, "size"));
    const struct sg_shape square = image_shape(1, 4, 4);
    const struct sg_shape flat = {.n_axes = 1, .axes = {20}};
    const struct sg_shape four = image_shape(4, 4, 5);
    struct sg_items *items = NULL;

    (void)state;
    write_idx(options.path, 0, 3, axes);
    assert_open_fails(&options, &square, SG_E_JOB,
                      "images are 4x5 (rows x columns) after preprocessing, the model takes 4x4: "
                      "set data.preprocess.resize and data.preprocess.crop");
    assert_open_fails(&options, &flat, SG_E_JOB, "the model takes 1 axis");
    assert_open_fails(&options, &four, SG_E_JOB, "the model takes 4");
    options.preprocess.crop[0] = 4;
    options.preprocess.crop[1] = 4;
    assert_int_equal(sg_items_open(&options, &square, &items), SG_OK);
    sg_items_close(items);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(plain_and_gzip_hold_the_same, setup, teardown),
        cmocka_unit_test_setup_teardown(names_do_not_depend_on_compression, setup, teardown),
        cmocka_unit_test_setup_teardown(colour_in_four_axes, setup, teardown),
        cmocka_unit_test_setup_teardown(grey_is_repeated_for_three_channels, setup, teardown),
        cmocka_unit_test_setup_teardown(labels_and_class_names, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_files_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(gzip_cut_or_corrupted_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_that_shrinks_fails_the_item, setup, teardown),
        cmocka_unit_test_setup_teardown(the_size_is_checked_before_the_run, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
