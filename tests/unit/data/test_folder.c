/* tests/unit/data/test_folder.c - folders of images: names, order, classes, selection, packing. */
#include "data/data_test.h"

static struct scratch s;
static const unsigned char red[3] = {200, 10, 30};
static const struct sg_shape any = {.n_axes = 3, .axes = {3, 2, 3}};

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

static void add_image(const char *name) {
    write_png(scratch_path(&s, name), 3, 2, red);
}

static struct sg_items *open_root(void) {
    const struct sg_data_options options = plain_options(SG_SOURCE_FOLDER, s.root);
    struct sg_items *items = NULL;

    assert_int_equal(sg_items_open(&options, &any, &items), SG_OK);
    return items;
}

static void images_in_the_folder_have_no_class(void **state) {
    const char *const sorted[] = {"B.JPEG", "a b.PNG", "a.png", "b.Jpg"};
    struct sg_items *items;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        add_image(sorted[3 - i]);
    }
    add_image("notes.txt");
    add_image("png");
    add_image("._a.png"); /* what macOS leaves beside a file */
    items = open_root();
    assert_int_equal(sg_items_count(items), 4);
    for (int i = 0; i < 4; i++) {
        assert_string_equal(sg_items_name(items, i), sorted[i]);
        assert_int_equal(sg_items_label(items, i), -1);
    }
    assert_int_equal(sg_items_n_classes(items), 0);
    sg_items_close(items);
}

/* Classes sort by their own names, where "a" < "a-b"; paths sort as bytes, where "a-b/" < "a/". */
static void sub_folders_are_classes(void **state) {
    struct sg_items *items;

    (void)state;
    scratch_folder(&s, "a");
    scratch_folder(&s, "a-b");
    scratch_folder(&s, "a/deep");
    scratch_folder(&s, ".hidden");
    add_image("a/deep/1.png");
    add_image("a/0.png");
    add_image("a-b/1.png");
    items = open_root();
    assert_int_equal(sg_items_count(items), 3);
    assert_string_equal(sg_items_name(items, 0), "a-b/1.png");
    assert_string_equal(sg_items_name(items, 1), "a/0.png");
    assert_string_equal(sg_items_name(items, 2), "a/deep/1.png");
    assert_int_equal(sg_items_n_classes(items), 2);
    assert_string_equal(sg_items_class_name(items, 0), "a");
    assert_int_equal(sg_items_label(items, 0), 1);
    assert_int_equal(sg_items_label(items, 1), 0);
    assert_int_equal(sg_items_label(items, 2), 0);
    sg_items_close(items);
}

static void class_names_replace_folder_names(void **state) {
    struct sg_data_options options = plain_options(SG_SOURCE_FOLDER, s.root);
    struct sg_items *items = NULL;
    char names[512];

    (void)state;
    scratch_folder(&s, "n01");
    scratch_folder(&s, "n02");
    add_image("n01/1.png");
    add_image("n02/1.png");
    (void)strcpy(names, scratch_path(&s, "names.txt"));
    options.class_names = names;
    write_bytes(names, "tench\ngoldfish", 14);
    assert_int_equal(sg_items_open(&options, &any, &items), SG_OK);
    assert_string_equal(sg_items_class_name(items, 1), "goldfish");
    sg_items_close(items);
    write_bytes(names, "tench\ngoldfish\nshark\n", 21);
    assert_open_fails(&options, &any, SG_E_JOB, "has 3 names for 2 classes");
    write_bytes(names, "", 0);
    assert_open_fails(&options, &any, SG_E_JOB, "is empty");
    (void)unlink(names);
    assert_open_fails(&options, &any, SG_E_JOB, "No such file");
}

static void an_empty_class_is_refused(void **state) {
    const struct sg_data_options options = plain_options(SG_SOURCE_FOLDER, s.root);

    (void)state;
    scratch_folder(&s, "full");
    scratch_folder(&s, "empty");
    add_image("full/1.png");
    assert_open_fails(&options, &any, SG_E_JOB, "/empty holds no image");
}

static void links_are_followed_but_never_in_circles(void **state) {
    struct sg_items *items;
    char target[512];

    (void)state;
    scratch_folder(&s, "cat");
    add_image("cat/1.png");
    assert_int_equal(symlink("..", scratch_path(&s, "cat/up")), 0);
    (void)strcpy(target, scratch_path(&s, "cat"));
    assert_int_equal(symlink(target, scratch_path(&s, "feline")), 0);
    assert_int_equal(symlink("nowhere.png", scratch_path(&s, "cat/lost.png")), 0);
    items = open_root();
    assert_int_equal(sg_items_count(items), 4);
    assert_string_equal(sg_items_name(items, 0), "cat/1.png");
    assert_string_equal(sg_items_name(items, 2), "feline/1.png");
    assert_int_equal(sg_items_n_classes(items), 2);
    sg_items_close(items);
}

static void limit_and_indices(void **state) {
    struct sg_data_options options = plain_options(SG_SOURCE_FOLDER, s.root);
    int64_t indices[] = {3, 0, 2};
    struct sg_items *items = NULL;
    struct sg_items *all;

    (void)state;
    add_image("a.png");
    add_image("b.png");
    add_image("c.png");
    add_image("d.png");
    all = open_root();
    options.n_indices = 3;
    options.indices = indices;
    options.limit = 2;
    assert_int_equal(sg_items_open(&options, &any, &items), SG_OK);
    assert_int_equal(sg_items_count(items), 2);
    assert_string_equal(sg_items_name(items, 0), "d.png");
    assert_string_equal(sg_items_name(items, 1), "a.png");
    assert_true(sg_items_key(items, 0) == sg_items_key(all, 3)); /* a subset keeps its noise */
    sg_items_close(items);
    sg_items_close(all);

    options.limit = 0;
    indices[1] = 4;
    assert_open_fails(&options, &any, SG_E_JOB, "4 is out of range: there are items 0 to 3");
    indices[1] = -1;
    assert_open_fails(&options, &any, SG_E_JOB, "-1 is out of range");
    indices[1] = 3;
    assert_open_fails(&options, &any, SG_E_JOB, "names the item d.png (position 3) twice");
    options.limit = -1;
    assert_open_fails(&options, &any, SG_E_JOB, "data.limit: is -1");
}

static void bad_folders_are_refused(void **state) {
    struct sg_data_options options = plain_options(SG_SOURCE_FOLDER, s.root);

    (void)state;
    assert_open_fails(&options, &any, SG_E_JOB, "there is no image");
    options.path = scratch_path(&s, "missing");
    assert_open_fails(&options, &any, SG_E_JOB, "missing cannot be read: No such file");
    add_image("file.png");
    assert_open_fails(&(struct sg_data_options){.source = SG_SOURCE_FOLDER,
                                                .path = scratch_path(&s, "file.png"),
                                                .preprocess = {.scale = 1.0}},
                      &any, SG_E_JOB, "Not a directory");
    if (geteuid() != 0) { /* root reads everything */
        scratch_folder(&s, "locked");
        (void)chmod(scratch_path(&s, "locked"), 0);
        options.path = s.root;
        assert_open_fails(&options, &any, SG_E_JOB, "locked cannot be read: Permission denied");
    }
}

static void names_must_be_text(void **state) {
    const char *const bad[] = {"\xe9t\xe9.png", "a\nb.png", "\xc3.png"};
    const struct sg_data_options options = plain_options(SG_SOURCE_FOLDER, s.root);
    struct sg_items *items;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        add_image(bad[i]);
        assert_open_fails(&options, &any, SG_E_JOB, "is no UTF-8 text");
        assert_int_equal(unlink(scratch_path(&s, bad[i])), 0);
    }
    add_image("\xc3\xa9t\xc3\xa9.png");
    items = open_root();
    assert_string_equal(sg_items_name(items, 0), "\xc3\xa9t\xc3\xa9.png");
    sg_items_close(items);
}

static void what_does_not_fit_the_model_is_refused(void **state) {
    struct sg_data_options options = plain_options(SG_SOURCE_FOLDER, s.root);
    const struct sg_shape grey = image_shape(1, 2, 3);
    const struct sg_shape square = image_shape(3, 224, 224);

    (void)state;
    add_image("a.png");
    assert_open_fails(&options, &grey, SG_E_JOB, "set data.preprocess.color: grey");
    options.preprocess.resize = 256;
    assert_open_fails(&options, &square, SG_E_JOB, "set data.preprocess.crop");
    options.preprocess.crop[0] = 200;
    assert_open_fails(&options, &square, SG_E_JOB, "crop: is 200x0");
    options.preprocess.crop[0] = 224;
    options.preprocess.n_mean = 2;
    assert_open_fails(&options, &square, SG_E_JOB, "mean: has 2 values, the model has 3 channels");
    options.preprocess.n_mean = 0;
    options.preprocess.n_std = 1;
    assert_open_fails(&options, &square, SG_E_JOB, "std: is 0");
    options.preprocess.n_std = 0;
    options.preprocess.scale = 0.0;
    assert_open_fails(&options, &square, SG_E_JOB, "scale: is 0");
}

static void packed_items_are_the_same_items(void **state) {
    const struct sg_data_options options = plain_options(SG_SOURCE_FOLDER, s.root);
    struct sg_items *there = NULL;
    struct sg_items *here;
    void *bytes = NULL;
    size_t n = 0;
    float x[18];

    (void)state;
    scratch_folder(&s, "k");
    scratch_folder(&s, "l");
    add_image("l/2.png");
    add_image("k/1.png");
    here = open_root();
    assert_int_equal(sg_items_pack(here, &bytes, &n), SG_OK);
    assert_int_equal(sg_items_unpack(&options, &any, bytes, n, &there), SG_OK);
    assert_int_equal(sg_items_count(there), 2);
    assert_int_equal(sg_items_n_classes(there), 2);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(sg_items_name(there, i), sg_items_name(here, i));
        assert_string_equal(sg_items_class_name(there, i), sg_items_class_name(here, i));
        assert_true(sg_items_key(there, i) == sg_items_key(here, i));
        assert_int_equal(sg_items_label(there, i), sg_items_label(here, i));
        sg_items_prefetch(there, i);
        assert_int_equal(sg_items_load(there, i, x), SG_OK);
        assert_true(x[0] == 200.0f / 255.0f && x[6] == 10.0f / 255.0f && x[17] == 30.0f / 255.0f);
    }
    sg_items_close(there);
    for (size_t cut = 0; cut < n; cut++) {
        assert_int_equal(sg_items_unpack(&options, &any, bytes, cut, &there), SG_E_FORMAT);
    }
    sg_free(bytes);
    sg_items_close(here);
}

/* Every allocation is made to fail in turn: an error, no leak, no crash. */
static void memory_may_run_out_anywhere(void **state) {
    const struct sg_data_options options = plain_options(SG_SOURCE_FOLDER, s.root);
    sg_status status = SG_E_NOMEM;
    float x[18];

    (void)state;
    scratch_folder(&s, "k");
    add_image("k/1.png");
    for (int k = 1; status != SG_OK; k++) {
        struct sg_items *items = NULL;
        struct sg_items *copy = NULL;
        void *bytes = NULL;
        size_t n = 0;

        assert_true(k < 200);
        sg_memory_fail_at(k);
        status = sg_items_open(&options, &any, &items);
        status = status == SG_OK ? sg_items_load(items, 0, x) : status;
        status = status == SG_OK ? sg_items_pack(items, &bytes, &n) : status;
        status = status == SG_OK ? sg_items_unpack(&options, &any, bytes, n, &copy) : status;
        sg_memory_fail_at(0);
        assert_true(status == SG_OK || status == SG_E_NOMEM);
        sg_items_close(items);
        sg_items_close(copy);
        sg_free(bytes);
        assert_int_equal(sg_memory_balance(), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(images_in_the_folder_have_no_class, setup, teardown),
        cmocka_unit_test_setup_teardown(sub_folders_are_classes, setup, teardown),
        cmocka_unit_test_setup_teardown(class_names_replace_folder_names, setup, teardown),
        cmocka_unit_test_setup_teardown(an_empty_class_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(links_are_followed_but_never_in_circles, setup, teardown),
        cmocka_unit_test_setup_teardown(limit_and_indices, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_folders_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(names_must_be_text, setup, teardown),
        cmocka_unit_test_setup_teardown(what_does_not_fit_the_model_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(packed_items_are_the_same_items, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_may_run_out_anywhere, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
