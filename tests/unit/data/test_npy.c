/* tests/unit/data/test_npy.c - .npy files by the format's description (numpy.lib.format). */
#include "sgdist/memory.h"
#include "sgdist/npy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char path[] = "/tmp/sgdist-npy-XXXXXX";

/* A file with this header text and these bytes after it. */
static void write_file(const char *header, const void *data, size_t n) {
    FILE *f = fopen(path, "wb");
    const size_t length = strlen(header);

    assert_non_null(f);
    assert_int_equal(fwrite("\x93NUMPY\x01\x00", 1, 8, f), 8);
    assert_int_equal(fputc((int)(length & 0xff), f), (int)(length & 0xff));
    assert_int_equal(fputc((int)(length >> 8), f), (int)(length >> 8));
    assert_int_equal(fwrite(header, 1, length, f), length);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void refused(const char *header, const void *data, size_t n, const char *word) {
    struct sg_npy a = {0};

    write_file(header, data, n);
    assert_int_equal(sg_npy_read(path, &a), SG_E_INPUT);
    assert_non_null(strstr(sg_trace_message(), word));
    assert_null(a.data);
    assert_int_equal(sg_memory_balance(), 0);
}

static void written_is_read(void **state) {
    const float v[6] = {0.0f, -1.5f, 3e38f, 1e-40f, 2.0f, 7.0f};
    struct sg_npy a;
    char start[16] = {0};
    FILE *f;

    (void)state;
    assert_int_equal(sg_npy_write(path, 2, (const int64_t[]){2, 3}, v), SG_OK);
    assert_int_equal(sg_npy_read(path, &a), SG_OK);
    assert_int_equal(a.n_axes, 2);
    assert_int_equal(a.axes[0], 2);
    assert_int_equal(a.axes[1], 3);
    assert_memory_equal(a.data, v, sizeof v);
    sg_npy_free(&a);
    f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fread(start, 1, 10, f), 10);
    (void)fclose(f);
    assert_int_equal((10 + (unsigned char)start[8]) % 64, 0); /* the numbers are aligned */
}

static void doubles_are_rounded(void **state) {
    const double v[2] = {1.0 / 3.0, -2.0};
    struct sg_npy a;

    (void)state;
    write_file("{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }\n", v, sizeof v);
    assert_int_equal(sg_npy_read(path, &a), SG_OK);
    assert_true(a.data[0] == (float)(1.0 / 3.0) && a.data[1] == -2.0f);
    sg_npy_free(&a);
    write_file("{'descr': '<f8', 'fortran_order': False, 'shape': (), }\n", v, sizeof v[0]);
    assert_int_equal(sg_npy_read(path, &a), SG_OK); /* a scalar has no axes and one element */
    assert_true(a.n_axes == 0 && a.n == 1);
    sg_npy_free(&a);
}

static void others_are_refused(void **state) {
    const float v[2] = {0};
    struct sg_npy a;

    (void)state;
    refused("{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }", v, sizeof v, "float32");
    refused("{'descr': '<f4', 'fortran_order': True, 'shape': (2,), }", v, sizeof v, "Fortran");
    refused("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", v, sizeof v, "cut off");
    refused("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }", v, sizeof v, "shape");
    refused("{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999999999999,), }", v,
            sizeof v, "shape");
    refused("{'descr': '<f4', 'fortran_order': False, 'shape': (2", v, sizeof v, "shape");
    refused("{'descr': '<f4', 'fortran_order': False, ", v, sizeof v, "shape");
    refused("{}", v, sizeof v, "header");
    assert_int_equal(sg_npy_read("/nowhere/x.npy", &a), SG_E_ARG);
    assert_int_equal(sg_npy_write("/nowhere/x.npy", 1, (const int64_t[]){2}, v), SG_E_IO);
}

static int make_path(void **state) {
    const int fd = mkstemp(path);

    (void)state;
    return fd < 0 ? -1 : close(fd);
}

static int remove_path(void **state) {
    (void)state;
    return unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_is_read),
        cmocka_unit_test(doubles_are_rounded),
        cmocka_unit_test(others_are_refused),
    };

    return cmocka_run_group_tests(tests, make_path, remove_path);
}
