/* tests/unit/data/test_broken_images.c - a broken image fails its item with name and reason, and
 * nothing else. */
#include "data/data_test.h"

#include <jpeglib.h>

static struct scratch s;
static const unsigned char green[3] = {0, 255, 0};
static const struct sg_shape shape = {.n_axes = 3, .axes = {3, 8, 8}};

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

/* Loads the only image of the scratch folder. */
static sg_status load(float x[192]) {
    const struct sg_data_options options = plain_options(SG_SOURCE_FOLDER, s.root);
    struct sg_items *items = NULL;
    sg_status status = sg_items_open(&options, &shape, &items);

    assert_int_equal(status, SG_OK);
    status = sg_items_load(items, 0, x);
    sg_items_close(items);
    return status;
}

static size_t slurp(const char *path, unsigned char *bytes, size_t cap) {
    FILE *f = fopen(path, "rb");
    size_t n;

    assert_non_null(f);
    n = fread(bytes, 1, cap, f);
    (void)fclose(f);
    return n;
}

#define FILE_AND_SIZE(text) (text), sizeof(text) - 1

static void files_that_are_no_images(void **state) {
    static const struct {
        const char *bytes;
        size_t n;
        const char *reason;
    } cases[] = {
        {FILE_AND_SIZE(""), "a.png: the file is empty"},
        {FILE_AND_SIZE("GIF89a\1\0\1\0"), "a.png: is neither a PNG nor a JPEG"},
        {FILE_AND_SIZE("\x89PNG\r\n\x1a"), "a.png: is neither a PNG nor a JPEG"},
        {FILE_AND_SIZE("\x89PNG\r\n\x1a\n"), "a.png: damaged PNG: the file is cut short"},
        {FILE_AND_SIZE("\x89PNG\r\n\x1a\n\0\0\0\rIDAT"), "a.png: damaged PNG: "},
        {FILE_AND_SIZE("\xff\xd8\xff"), "a.png: damaged JPEG: the file is cut short"},
        {FILE_AND_SIZE("\xff\xd8\xff\xd9"), "a.png: damaged JPEG: "},
        {FILE_AND_SIZE("\xff\xd8\xff\xe0\xff\xff"), "a.png: damaged JPEG: the file is cut short"},
    };
    float x[192];

    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        write_bytes(scratch_path(&s, "a.png"), cases[k].bytes, cases[k].n);
        assert_int_equal(load(x), SG_E_INPUT);
        if (strstr(sg_trace_message(), cases[k].reason) == NULL) {
            fail_msg("case %zu: %s", k, sg_trace_message());
        }
    }
}

/* A header with this size and, with the checksum right, nothing behind it. */
static void write_png_header(unsigned width, unsigned height) {
    unsigned char b[33] = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    uLong crc;

    for (int i = 0; i < 4; i++) {
        b[16 + i] = (unsigned char)(width >> (24 - 8 * i));
        b[20 + i] = (unsigned char)(height >> (24 - 8 * i));
    }
    b[24] = 8;
    b[25] = 2;
    b[26] = b[27] = b[28] = 0;
    crc = crc32(0, b + 12, 17);
    for (int i = 0; i < 4; i++) {
        b[29 + i] = (unsigned char)(crc >> (24 - 8 * i));
    }
    write_bytes(scratch_path(&s, "a.png"), b, sizeof b);
}

static void absurd_sizes_take_no_memory(void **state) {
    float x[192];

    (void)state;
    write_png_header(0, 5);
    assert_int_equal(load(x), SG_E_INPUT);
    assert_non_null(strstr(sg_trace_message(), "a.png: damaged PNG: "));
    write_png_header(900000, 900000);
    assert_int_equal(load(x), SG_E_INPUT);
    write_png_header(0xffffffffU, 0xffffffffU);
    assert_int_equal(load(x), SG_E_INPUT);
}

/* Every byte of a PNG damaged in turn, and every prefix: an answer each time, and a whole picture
 * where it says so. */
static void damaged_pngs_never_crash(void **state) {
    unsigned char whole[4096];
    float x[192];
    size_t n;

    (void)state;
    write_png(scratch_path(&s, "a.png"), 8, 8, green);
    assert_int_equal(load(x), SG_OK);
    assert_true(x[0] == 0.0f && x[64] == 1.0f && x[128] == 0.0f);
    n = slurp(s.path, whole, sizeof whole);
    for (size_t i = 0; i < n; i++) {
        whole[i] ^= 0x55;
        write_bytes(scratch_path(&s, "a.png"), whole, n);
        (void)load(x);
        whole[i] ^= 0x55;
        write_bytes(scratch_path(&s, "a.png"), whole, i);
        if (i + 12 + 12 < n) { /* before the end of the last block of data */
            assert_int_equal(load(x), SG_E_INPUT);
        }
    }
}

/* 8 x 8, one colour. */
static void write_jpeg(const char *path) {
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    unsigned char pixels[24];
    JSAMPROW row = pixels;
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    for (int i = 0; i < 8; i++) {
        memcpy(pixels + 3 * i, green, 3);
    }
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_stdio_dest(&jpeg, f);
    jpeg.image_width = 8;
    jpeg.image_height = 8;
    jpeg.input_components = 3;
    jpeg.in_color_space = JCS_RGB;
    jpeg_set_defaults(&jpeg);
    jpeg_start_compress(&jpeg, TRUE);
    while (jpeg.next_scanline < 8) {
        (void)jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    assert_int_equal(fclose(f), 0);
}

/* As above; a JPEG without its end is refused, however little is missing, as by Pillow. */
static void damaged_jpegs_never_crash(void **state) {
    unsigned char whole[4096];
    float x[192];
    size_t n;

    (void)state;
    write_jpeg(scratch_path(&s, "a.jpg"));
    assert_int_equal(load(x), SG_OK);
    n = slurp(s.path, whole, sizeof whole);
    for (size_t i = 0; i < n; i++) {
        whole[i] ^= 0x55;
        write_bytes(scratch_path(&s, "a.jpg"), whole, n);
        (void)load(x);
        whole[i] ^= 0x55;
        write_bytes(scratch_path(&s, "a.jpg"), whole, i);
        assert_int_equal(load(x), SG_E_INPUT);
    }
}

static void missing_and_odd_files(void **state) {
    const struct sg_data_options options = plain_options(SG_SOURCE_FOLDER, s.root);
    struct sg_items *items = NULL;
    float x[192];

    (void)state;
    write_png(scratch_path(&s, "a.png"), 8, 8, green);
    assert_int_equal(mkfifo(scratch_path(&s, "b.png"), 0600), 0);
    write_png(scratch_path(&s, "c.png"), 8, 7, green);
    assert_int_equal(sg_items_open(&options, &shape, &items), SG_OK);
    (void)unlink(scratch_path(&s, "a.png"));
    sg_items_prefetch(items, 0);
    assert_int_equal(sg_items_load(items, 0, x), SG_E_INPUT);
    assert_string_equal(sg_trace_message(), "a.png: cannot be opened: No such file or directory");
    assert_int_equal(sg_items_load(items, 1, x), SG_E_INPUT);
    assert_string_equal(sg_trace_message(), "b.png: is not a regular file");
    assert_int_equal(sg_items_load(items, 2, x), SG_E_INPUT);
    assert_string_equal(sg_trace_message(),
                        "c.png: image is 7x8 (rows x columns), the model takes 8x8: set "
                        "data.preprocess.resize and data.preprocess.crop");
    sg_items_close(items);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(files_that_are_no_images, setup, teardown),
        cmocka_unit_test_setup_teardown(absurd_sizes_take_no_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_pngs_never_crash, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_jpegs_never_crash, setup, teardown),
        cmocka_unit_test_setup_teardown(missing_and_odd_files, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
