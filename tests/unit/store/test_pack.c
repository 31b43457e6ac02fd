/* tests/unit/store/test_pack.c - packing that is stopped, finds other bytes than it wrote, or has
 * its last calls to the disk fail: the result is as it was. And float16, number by number. */
#include "store/store_impl.h"

#include "sample.h"
#include "sgdist/compare.h"
#include "sgdist/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>

/* A complete result. */
static void make(const char *path) {
    struct sample s;
    struct sg_result *r = NULL;
    const unsigned char complete = 1;

    sample_init(&s);
    assert_int_equal(sg_result_create(path, &s.layout), SG_OK);
    assert_int_equal(sg_result_open(path, &s.record, &r), SG_OK);
    for (int64_t i = 0; i < N_ITEMS; i++) {
        void *item = sample_item(&s, i);

        assert_int_equal(sg_result_write(r, i, item), SG_OK);
        sg_free(item);
    }
    assert_int_equal(sg_result_put(r, "provenance/complete", &complete, 1), SG_OK);
    assert_int_equal(sg_result_commit(r), SG_OK);
    sg_result_close(r);
    sample_free(&s);
}

/* 1 if the results are equal bit for bit, or within rtol. */
static int equal(const char *a, const char *b, double rtol) {
    const struct sg_tolerance tolerance = {rtol, rtol < 0 ? -1 : 0};
    struct sg_comparison c = {0};
    int same;

    assert_int_equal(sg_compare(a, b, &tolerance, &c), SG_OK);
    same = sg_comparison_is_equal(&c);
    sg_comparison_free(&c);
    return same;
}

/* What happens at a moment of a packing. */
struct moment {
    char temporary[300];
    enum sg_pack_phase phase;
    sg_status answer;
    int spoil; /* 1: what was written changes on the disk */
    int met;
};

/* Changes a bit of the last number of the maps; they are too small here to be compressed. */
static void spoil(const char *path) {
    const int fd = open(path, O_RDWR);
    hid_t file = H5I_INVALID_HID;
    hid_t dataset;
    off_t at;
    char byte;

    assert_true(fd >= 0 && sg_hdf_open(path, &file) == SG_OK);
    dataset = H5Dopen2(file, "maps/smoothgrad/map", H5P_DEFAULT);
    at = (off_t)(H5Dget_offset(dataset) + H5Dget_storage_size(dataset)) - 1;
    (void)H5Dclose(dataset);
    (void)H5Fclose(file);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte = (char)(byte ^ 1);
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    (void)close(fd);
}

static sg_status at_moment(void *context, enum sg_pack_phase phase, int64_t done, int64_t total) {
    struct moment *m = context;

    assert_true(done > 0 && done <= total);
    if (phase != m->phase || m->met) {
        return SG_OK;
    }
    m->met = 1;
    if (m->spoil) {
        spoil(m->temporary);
    }
    return m->answer;
}

struct place {
    char path[256];
    char out[300];
    char whole[300]; /* a copy of the result */
    struct moment moment;
    struct sg_pack_options options;
};

static void begin(struct place *p) {
    *p = (struct place){.options = {.level = 1, .tick = at_moment}};
    scratch_path(p->path, sizeof p->path);
    (void)snprintf(p->out, sizeof p->out, "%s.out", p->path);
    (void)snprintf(p->whole, sizeof p->whole, "%s.whole", p->path);
    (void)snprintf(p->moment.temporary, sizeof p->moment.temporary, "%s.out.tmp", p->path);
    p->moment.phase = SG_PACK_CHECKING;
    p->options.context = &p->moment;
    make(p->path);
    make(p->whole);
}

static void end(struct place *p) {
    scratch_remove(p->path);
}

/* Nothing came of it: no packed result, no temporary file, the original whole. */
static void assert_nothing(const struct place *p) {
    assert_int_not_equal(access(p->out, F_OK), 0);
    assert_int_not_equal(access(p->moment.temporary, F_OK), 0);
    assert_true(equal(p->path, p->whole, -1));
}

static void keeps_every_type(void **state) {
    struct sg_pack_report report;
    struct sg_result *r = NULL;
    struct sample s;
    struct place p;

    (void)state;
    begin(&p);
    sample_init(&s);
    assert_int_equal(sg_pack(p.path, p.out, &p.options, &report), SG_OK);
    assert_true(p.moment.met && equal(p.path, p.out, -1) && isnan(report.map));
    assert_int_equal(sg_result_open(p.out, &s.record, &r), SG_E_FORMAT); /* not to be written */
    p.options.half = 1;
    assert_int_equal(sg_pack(p.out, p.out, &p.options, &report), SG_OK); /* in its own place */
    assert_false(equal(p.path, p.out, -1));
    assert_true(equal(p.path, p.out, 0x1p-11)); /* half of the last of 11 bits */
    assert_true(report.map > 0 && report.map < 0x1p-11 && isnan(report.map_by_se));
    sample_free(&s);
    end(&p);
}

static void stops_on_request(void **state) {
    struct sg_pack_report report;

    (void)state;
    for (int phase = SG_PACK_WRITING; phase <= SG_PACK_CHECKING; phase++) {
        struct place p;

        begin(&p);
        p.moment.phase = (enum sg_pack_phase)phase;
        p.moment.answer = SG_E_INTERRUPTED;
        assert_int_equal(sg_pack(p.path, p.out, &p.options, &report), SG_E_INTERRUPTED);
        assert_nothing(&p);
        end(&p);
    }
}

static void notices_what_it_did_not_write(void **state) {
    struct sg_pack_report report;

    (void)state;
    for (int half = 0; half <= 1; half++) {
        struct place p;

        begin(&p);
        p.options.half = half;
        p.moment.spoil = 1;
        assert_int_equal(sg_pack(p.path, p.out, &p.options, &report), SG_E_IO);
        assert_non_null(strstr(sg_trace_message(), "is not what was written"));
        assert_nothing(&p);
        end(&p);
    }
}

/* Sync before and sync, rename, sync of the folder after the file was read back. Behind the rename
 * the packed result has its name, though nobody knows whether it would survive a power cut. */
static void disk_fails_at_the_end(void **state) {
    struct sg_pack_report report;

    (void)state;
    for (int64_t n = 1; n <= 4; n++) {
        struct place p;

        begin(&p);
        sg_disk_fail_at(n, EIO);
        assert_int_equal(sg_pack(p.path, p.out, &p.options, &report), SG_E_IO);
        sg_disk_fail_at(0, 0);
        if (n < 4) {
            assert_nothing(&p);
        } else {
            assert_true(equal(p.path, p.out, -1));
        }
        end(&p);
    }
}

static void every_half_comes_back(void **state) {
    (void)state;
    for (unsigned bits = 0; bits < 0x10000; bits++) {
        const uint16_t half = (uint16_t)bits;
        uint16_t again;
        float v;

        sg_half_decode(&half, 1, 1, &v);
        sg_half_encode(&v, 1, 1, &again);
        if ((bits & 0x7fff) > 0x7c00) {
            assert_true(isnan(v) && (again & 0x7fff) > 0x7c00);
        } else {
            assert_int_equal(again, half);
        }
    }
}

/* IEEE 754: to the nearest, ties to even; the largest number is 65504, what rounds to 65536 and
 * above is infinite; the least is 2^-24. */
static void rounds_to_nearest_even(void **state) {
    static const struct {
        float v;
        uint16_t half;
    } cases[] = {{1, 0x3c00},
                 {1 + 0x1p-11F, 0x3c00},
                 {1 + 0x1p-11F + 0x1p-23F, 0x3c01},
                 {1 + 0x3p-11F, 0x3c02},
                 {-2, 0xc000},
                 {65504, 0x7bff},
                 {65519, 0x7bff},
                 {65520, 0x7c00},
                 {1e30F, 0x7c00},
                 {0x1p-14F, 0x0400},
                 {0x1p-14F - 0x1p-25F, 0x0400},
                 {0x1p-24F, 0x0001},
                 {0x1p-25F, 0x0000},
                 {0x1p-25F + 0x1p-40F, 0x0001},
                 {0x3p-25F, 0x0002},
                 {-0.0F, 0x8000},
                 {-1e-40F, 0x8000}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint16_t half;

        sg_half_encode(&cases[i].v, 1, 1, &half);
        assert_int_equal(half, cases[i].half);
    }
}

static void scales_by_powers_of_two(void **state) {
    static const float sizes[] = {0x1p-149F, 1e-38F, 1e-6F, 0.5F, 1, 3, 65504, 3.4e38F};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const float v[] = {-sizes[i], 0, NAN, INFINITY, sizes[i] / 3};
        const float scale = sg_half_scale(v, 5);
        int exponent;

        assert_true(frexpf(scale, &exponent) == 0.5F && scale >= 0x1p-126F);
        assert_true(sizes[i] / scale < 0x1p15F &&
                    (sizes[i] / scale >= 0x1p14F || scale == 0x1p-126F));
    }
    assert_true(sg_half_scale((const float[]){0, NAN, -INFINITY}, 3) == 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(keeps_every_type),
                                       cmocka_unit_test(stops_on_request),
                                       cmocka_unit_test(notices_what_it_did_not_write),
                                       cmocka_unit_test(disk_fails_at_the_end),
                                       cmocka_unit_test(every_half_comes_back),
                                       cmocka_unit_test(rounds_to_nearest_even),
                                       cmocka_unit_test(scales_by_powers_of_two)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
