/* tests/unit/report/test_sheet.c - the contact sheet of made-up results: pixels of known colours
 * are counted, wherever on the sheet they stand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "report/report_impl.h"
#include "sgdist/memory.h"
#include "sgdist/plan.h"

#include <math.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { N_ITEMS = 4, SIDE = 4, CELL = 64, CELL_AREA = CELL * CELL, ID_BYTES = 24 };

static char folder[64];
static char result[96];
static char picture[96];
static struct sg_record record;

static struct sg_axis axis(const char *name, int64_t length) {
    struct sg_axis a = {.length = length};

    (void)snprintf(a.name, sizeof a.name, "%s", name);
    return a;
}

/* "signed" has one channel, "colour" three; only "signed" has a standard error. */
static void make_record(void) {
    const struct sg_axis one[] = {axis("target", 2), axis("y", SIDE), axis("x", SIDE)};
    const struct sg_axis three[] = {axis("target", 2), axis("channel", 3), axis("y", SIDE),
                                    axis("x", SIDE)};
    struct sg_record *r = &record;

    assert_int_equal(sg_record_add(r, SG_FIELD_STATUS, SG_TYPE_U8, 0, 0, NULL, ""), SG_OK);
    assert_int_equal(
        sg_record_add(r, SG_FIELD_MESSAGE, SG_TYPE_TEXT, SG_MESSAGE_BYTES, 0, NULL, ""), SG_OK);
    assert_int_equal(sg_record_add(r, SG_FIELD_PREDICTED, SG_TYPE_I32, 0, 0, NULL, ""), SG_OK);
    assert_int_equal(sg_record_add(r, SG_FIELD_TARGET, SG_TYPE_I32, 0, 1, one, ""), SG_OK);
    assert_int_equal(sg_record_add(r, SG_FIELD_SCORE, SG_TYPE_F64, 0, 1, one, ""), SG_OK);
    assert_int_equal(sg_record_add(r, "maps/signed/map", SG_TYPE_F32, 0, 3, one, ""), SG_OK);
    assert_int_equal(sg_record_add(r, "maps/signed/se", SG_TYPE_F32, 0, 3, one, ""), SG_OK);
    assert_int_equal(sg_record_add(r, "maps/colour/map", SG_TYPE_F32, 0, 4, three, ""), SG_OK);
}

/* Items 0 and 1 are done, 2 failed, 3 is pending. The first target's signed map is -5 in its upper
 * half and 5 in its lower one, its error 0 but for one column of 2, the colours add up to 3 in the
 * last row and are 0 elsewhere; the second target's maps are all 1. */
static void write_item(struct sg_result *r, int i) {
    unsigned char *bytes = sg_calloc((size_t)record.bytes, 1);
    float *map = sg_record_at(&record, bytes, "maps/signed/map");
    float *se = sg_record_at(&record, bytes, "maps/signed/se");
    float *colour = sg_record_at(&record, bytes, "maps/colour/map");

    *(unsigned char *)sg_record_at(&record, bytes, SG_FIELD_STATUS) = i < 2 ? 1 : 2;
    (void)strcpy(sg_record_at(&record, bytes, SG_FIELD_MESSAGE), i < 2 ? "" : "no such \xff image");
    for (int k = 0; k < SIDE * SIDE; k++) {
        map[k] = k < SIDE * SIDE / 2 ? -5.0f : 5.0f;
        se[k] = k % SIDE == 0 ? 2.0f : 0.0f;
        for (int c = 0; c < 3; c++) {
            colour[c * SIDE * SIDE + k] = k < SIDE * (SIDE - 1) ? 0.0f : c == 1 ? -1.0f : 1.0f;
        }
        map[SIDE * SIDE + k] = se[SIDE * SIDE + k] = 1.0f;
    }
    assert_int_equal(sg_result_write(r, i, bytes), SG_OK);
    sg_free(bytes);
}

static int setup(void **state) {
    static char ids[N_ITEMS][ID_BYTES] = {"plain.png", "\xc3\xa9t\xc3\xa9/\xf0\x9f\x90\x88.png",
                                          "broken \xe2\x82.png", "a name that is cut off"};
    static char classes[2][8] = {"cat", "dog"};
    const struct sg_constant constants[] = {{.path = "items/id",
                                             .type = SG_TYPE_TEXT,
                                             .text_bytes = ID_BYTES,
                                             .n_axes = 1,
                                             .axes = {axis("item", N_ITEMS)},
                                             .data = ids},
                                            {.path = "classes",
                                             .type = SG_TYPE_TEXT,
                                             .text_bytes = 8,
                                             .n_axes = 1,
                                             .axes = {axis(".class", 2)},
                                             .data = classes}};
    struct sg_layout layout = {.record = &record,
                               .n_items = N_ITEMS,
                               .n_constants = 2,
                               .constants = constants,
                               .title = "a test"};
    struct sg_result *r = NULL;

    (void)state;
    (void)strcpy(folder, "/tmp/sgdist-report-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(result, sizeof result, "%s/r.h5", folder);
    (void)snprintf(picture, sizeof picture, "%s/sheet.png", folder);
    make_record();
    assert_int_equal(sg_result_create(result, &layout), SG_OK);
    assert_int_equal(sg_result_open(result, &record, &r), SG_OK);
    for (int i = 0; i < 3; i++) {
        write_item(r, i);
    }
    assert_int_equal(sg_result_commit(r), SG_OK);
    sg_result_close(r);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    (void)unlink(picture);
    (void)unlink(result);
    assert_int_equal(rmdir(folder), 0); /* nothing else was left behind */
    sg_record_free(&record);
    assert_int_equal(sg_memory_balance(), 0);
    return 0;
}

/* Pixels of the sheet that have exactly this colour; *mean_x (may be NULL): where they are. */
static int64_t find(struct sg_rgb color, double *mean_x) {
    png_image image = {.version = PNG_IMAGE_VERSION};
    struct sg_rgb *pixels;
    int64_t n = 0;
    double sum = 0;

    assert_int_equal(png_image_begin_read_from_file(&image, picture), 1);
    image.format = PNG_FORMAT_RGB;
    pixels = malloc(PNG_IMAGE_SIZE(image));
    assert_non_null(pixels);
    assert_int_equal(png_image_finish_read(&image, NULL, pixels, 0, NULL), 1);
    for (int64_t i = 0; i < (int64_t)image.width * image.height; i++) {
        const int is_it = memcmp(&pixels[i], &color, sizeof color) == 0;

        n += is_it;
        sum += is_it ? (double)(i % image.width) : 0.0;
    }
    free(pixels);
    if (mean_x != NULL) {
        *mean_x = sum / (double)n;
    }
    return n;
}

static int64_t count(struct sg_rgb color) {
    return find(color, NULL);
}

static int64_t draw_and_count(const struct sg_sheet_options *options, struct sg_rgb color) {
    assert_int_equal(sg_report_sheet(result, options, picture), SG_OK);
    return count(color);
}

/* The key's colour bar has a few pixels of each colour as well, up to a column of 10 or two. */
static void assert_area(int64_t n, int64_t area) {
    if (n < area || n > area + 60) {
        fail_msg("%lld pixels, %lld wanted", (long long)n, (long long)area);
    }
}

static void maps_have_the_colours_of_their_values(void **state) {
    const int64_t item = 0;
    const struct sg_sheet_options o = {.n_items = 1, .items = &item, .cell = CELL};

    (void)state;
    assert_area(draw_and_count(&o, sg_color_diverging(1.0)), CELL_AREA / 2);
    assert_area(count(sg_color_diverging(-1.0)), CELL_AREA / 2);
    assert_area(count(sg_color_sequential(1.0)), CELL_AREA / 4 + CELL_AREA / 4);
    assert_area(count(sg_color_sequential(0.0)), 2 * (CELL_AREA * 3 / 4));
}

/* Where the diverging map ("signed") stands when these methods are shown in this order. */
static double place_of_signed(const char *const *labels, int n_labels) {
    const int64_t item = 0;
    const struct sg_sheet_options o = {
        .n_items = 1, .items = &item, .cell = CELL, .n_labels = n_labels, .labels = labels};
    double x;

    assert_int_equal(sg_report_sheet(result, &o, picture), SG_OK);
    assert_area(find(sg_color_diverging(1.0), &x), CELL_AREA / 2);
    return x;
}

static void columns_stand_in_the_order_asked_for(void **state) {
    const char *const labels[] = {"signed", "colour", "signed"};

    (void)state;
    assert_true(place_of_signed(labels + 1, 2) > place_of_signed(labels, 2) + CELL);
    assert_true(fabs(place_of_signed(labels, 1) - place_of_signed(labels, 2)) < 8.0);
    assert_area(count(sg_color_sequential(1.0)), CELL_AREA / 4 + CELL_AREA / 4);
    (void)place_of_signed(labels, 1);
    assert_area(count(sg_color_sequential(1.0)), CELL_AREA / 4); /* the error alone */
}

static void failed_and_pending_items_have_no_maps(void **state) {
    const int64_t items[] = {0, 2, 3};
    const struct sg_sheet_options o = {.n_items = 3, .items = items, .cell = CELL};
    const struct sg_sheet_options first = {.cell = CELL};

    (void)state;
    assert_area(draw_and_count(&o, sg_color_diverging(1.0)), CELL_AREA / 2);
    /* Of its own it shows the finished items 0, 1 and 2. */
    assert_area(draw_and_count(&first, sg_color_diverging(1.0)), 2 * CELL_AREA / 2);
}

static sg_status red(void *context, int64_t item, float *pixel) {
    (void)context;
    for (int i = 0; i < 3 * SIDE * SIDE; i++) {
        pixel[i] = i < SIDE * SIDE ? 2.0f : -1.0f; /* beyond the range: shown as its ends */
    }
    return item == 1 ? SG_E_INPUT : SG_OK;
}

static void inputs_are_shown_where_they_can_be_read(void **state) {
    struct sg_sheet_options o = {.n_items = 2,
                                 .cell = CELL,
                                 .read_input = red,
                                 .input = {.n_axes = 3, .axes = {3, SIDE, SIDE}}};

    (void)state;
    assert_area(draw_and_count(&o, (struct sg_rgb){255, 0, 0}), CELL_AREA);
    o.is_bgr = 1;
    assert_area(draw_and_count(&o, (struct sg_rgb){0, 0, 255}), CELL_AREA);
}

static void what_cannot_be_shown_is_refused(void **state) {
    const int64_t none = N_ITEMS;
    const struct sg_sheet_options plain = {0};
    char missing[128];

    (void)state;
    assert_int_equal(
        sg_report_sheet(result, &(struct sg_sheet_options){.n_items = 1, .items = &none}, picture),
        SG_E_ARG);
    assert_non_null(strstr(sg_trace_message(), "there is no item 4"));
    assert_int_equal(sg_report_sheet(result, &(struct sg_sheet_options){.cell = 3}, picture),
                     SG_E_ARG);
    assert_int_equal(
        sg_report_sheet(result, &(struct sg_sheet_options){.percentile = 101.0}, picture),
        SG_E_ARG);
    assert_int_equal(
        sg_report_sheet(result, &(struct sg_sheet_options){.n_items = 100000}, picture), SG_E_ARG);
    (void)snprintf(missing, sizeof missing, "%s/none/sheet.png", folder);
    assert_int_equal(sg_report_sheet(result, &plain, missing), SG_E_IO);
    assert_non_null(strstr(sg_trace_message(), "No such file"));
    (void)snprintf(missing, sizeof missing, "%s/none.h5", folder);
    assert_int_equal(sg_report_sheet(missing, &plain, picture), SG_E_IO);
    assert_int_not_equal(access(picture, F_OK), 0);
}

/* Cells of 1000: the signed map and its error fill a band, so that the colours stand below them;
 * the sheet stays as broad as a screen. */
static void many_columns_make_bands(void **state) {
    const int64_t item = 0;
    const struct sg_sheet_options broad = {.n_items = 1, .items = &item, .cell = 1000};
    const struct sg_sheet_options narrow = {.n_items = 1, .items = &item, .cell = 500};
    png_image image = {.version = PNG_IMAGE_VERSION};

    (void)state;
    assert_area(draw_and_count(&broad, sg_color_diverging(1.0)), 500 * 1000);
    assert_int_equal(png_image_begin_read_from_file(&image, picture), 1);
    assert_true(image.width > 2000 && image.width <= SG_SHEET_BROAD);
    assert_true(image.height > 2000 && image.height < 2400);
    png_image_free(&image);
    assert_int_equal(sg_report_sheet(result, &narrow, picture), SG_OK);
    assert_int_equal(png_image_begin_read_from_file(&image, picture), 1);
    assert_true(image.width > 1500 && image.height < 800);
    png_image_free(&image);
}

/* Every allocation of ours is made to fail in turn. */
static void memory_may_run_out_anywhere(void **state) {
    const struct sg_sheet_options o = {.n_items = 3,
                                       .cell = CELL,
                                       .read_input = red,
                                       .input = {.n_axes = 3, .axes = {3, SIDE, SIDE}}};
    const int64_t before = sg_memory_balance();
    sg_status status = SG_E_NOMEM;

    (void)state;
    for (int k = 1; status != SG_OK; k++) {
        assert_true(k < 1000);
        sg_memory_fail_at(k);
        status = sg_report_sheet(result, &o, picture);
        sg_memory_fail_at(0);
        assert_true(status == SG_OK || status == SG_E_NOMEM);
        assert_int_equal(sg_memory_balance(), before);
    }
}

static double lightness(struct sg_rgb c) { /* ITU-R BT.709 luma */
    return 0.2126 * c.r + 0.7152 * c.g + 0.0722 * c.b;
}

static void colours_can_be_read_in_black_and_white(void **state) {
    (void)state;
    for (int i = 1; i <= 100; i++) {
        const double a = (i - 1) / 100.0;
        const double b = i / 100.0;

        assert_true(lightness(sg_color_sequential(b)) > lightness(sg_color_sequential(a)));
        assert_true(lightness(sg_color_diverging(b)) < lightness(sg_color_diverging(a)));
        assert_true(lightness(sg_color_diverging(-b)) < lightness(sg_color_diverging(-a)));
    }
    assert_true(sg_color_diverging(1.0).r > sg_color_diverging(1.0).b);   /* positive is red */
    assert_true(sg_color_diverging(-1.0).b > sg_color_diverging(-1.0).r); /* negative is blue */
    assert_int_equal(sg_color_sequential(7.0).r, sg_color_sequential(1.0).r);
    assert_int_equal(sg_color_sequential((double)NAN).r, 150);
    assert_int_equal(sg_color_diverging((double)NAN).b, 150);
}

static void percentile_is_the_nearest_rank(void **state) {
    double v[101];
    double p;

    (void)state;
    for (int i = 0; i < 100; i++) {
        v[i] = i % 2 == 0 ? i + 1.0 : -(i + 1.0); /* |v| is 1 to 100 */
    }
    v[100] = (double)NAN;
    assert_int_equal(sg_value_percentile(v, 101, 99.0, &p), SG_OK);
    assert_true(p == 99.0);
    assert_int_equal(sg_value_percentile(v, 101, 100.0, &p), SG_OK);
    assert_true(p == 100.0);
    memset(v, 0, sizeof v);
    assert_int_equal(sg_value_percentile(v, 101, 99.0, &p), SG_OK);
    assert_true(p == 1.0); /* all zero: anything above 0 */
    v[3] = -4.0;
    assert_int_equal(sg_value_percentile(v, 101, 99.0, &p), SG_OK);
    assert_true(p == 4.0); /* a single hot pixel is still seen */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(maps_have_the_colours_of_their_values, setup, teardown),
        cmocka_unit_test_setup_teardown(columns_stand_in_the_order_asked_for, setup, teardown),
        cmocka_unit_test_setup_teardown(failed_and_pending_items_have_no_maps, setup, teardown),
        cmocka_unit_test_setup_teardown(inputs_are_shown_where_they_can_be_read, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_shown_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(many_columns_make_bands, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_may_run_out_anywhere, setup, teardown),
        cmocka_unit_test(colours_can_be_read_in_black_and_white),
        cmocka_unit_test(percentile_is_the_nearest_rank),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
