/* tests/unit/data/test_sources.c - what all sources share: other ranks get the same items from the
 * packed list, every allocation may fail, and streams read the same bytes however they are packed.
 * What the sources read is judged in tests/python/test_sources.py. */
#include "data/data_impl.h"
#include "data/data_test.h"

#include <hdf5.h>

#define CORPUS SGDIST_SOURCE_DIR "/tests/fuzz/corpus/"

static struct scratch s;
static char list_path[128];
static char hdf5_path[128];

struct row {
    enum sg_source source;
    const char *path;
    const char *array;
    const char *labels;
    struct sg_shape input;
    const char *last; /* name of the last item */
};

static const struct row rows[] = {
    {SG_SOURCE_TAR, CORPUS "tar/ustar.tar", NULL, NULL, {3, {3, 5, 7}}, "b/2.png"},
    {SG_SOURCE_TAR, CORPUS "tar/nested.tar", NULL, NULL, {3, {3, 5, 7}}, "c/b/2.png"},
    {SG_SOURCE_TAR, CORPUS "tar/labels.tar", NULL, NULL, {3, {3, 5, 7}}, "1.png"},
    {SG_SOURCE_LIST, list_path, NULL, NULL, {3, {3, 5, 7}}, "one.png"},
    {SG_SOURCE_IDX, CORPUS "idx/grey.idx.gz", NULL, NULL, {3, {1, 3, 4}}, "grey.idx#1"},
    {SG_SOURCE_NPY, CORPUS "npy/bytes.npy", NULL, NULL, {3, {3, 2, 2}}, "bytes.npy#1"},
    {SG_SOURCE_NPY, CORPUS "npy/halves.npy", NULL, NULL, {2, {2, 3}}, "halves.npy#0"},
    {SG_SOURCE_NPZ, CORPUS "npz/stored.npz", NULL, "y", {3, {1, 2, 3}}, "stored.npz/x#1"},
    {SG_SOURCE_NPZ, CORPUS "npz/deflated.npz", "x", "y", {3, {1, 2, 3}}, "deflated.npz/x#1"},
    {SG_SOURCE_HDF5, hdf5_path, "x", "y", {2, {2, 3}}, "a.h5/x#1"},
};
enum { N_ROWS = sizeof rows / sizeof rows[0], MAX_NUMBERS = 105 };

static void write_hdf5(const char *path) {
    const double x[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    const short y[2] = {4, 2};
    const hsize_t n_x[3] = {2, 2, 3};
    const hsize_t n_y = 2;
    const hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    const hid_t space_x = H5Screate_simple(3, n_x, NULL);
    const hid_t space_y = H5Screate_simple(1, &n_y, NULL);
    const hid_t set_x =
        H5Dcreate2(file, "x", H5T_IEEE_F64BE, space_x, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    const hid_t set_y =
        H5Dcreate2(file, "y", H5T_STD_I16LE, space_y, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);

    assert_true(H5Dwrite(set_x, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, x) >= 0);
    assert_true(H5Dwrite(set_y, H5T_NATIVE_SHORT, H5S_ALL, H5S_ALL, H5P_DEFAULT, y) >= 0);
    (void)H5Dclose(set_x);
    (void)H5Dclose(set_y);
    (void)H5Sclose(space_x);
    (void)H5Sclose(space_y);
    assert_true(H5Fclose(file) >= 0);
}

static int setup(void **state) {
    static const unsigned char red[3] = {200, 10, 30};

    (void)state;
    scratch_make(&s);
    write_png(scratch_path(&s, "one.png"), 7, 5, red);
    (void)strcpy(list_path, scratch_path(&s, "list"));
    write_bytes(list_path, "one.png 3\n", 10);
    (void)strcpy(hdf5_path, scratch_path(&s, "a.h5"));
    write_hdf5(hdf5_path);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    scratch_remove(s.root);
    assert_int_equal(sg_memory_balance(), 0);
    return 0;
}

static struct sg_data_options options_of(const struct row *row) {
    struct sg_data_options options = plain_options(row->source, (char *)row->path);

    options.array = (char *)row->array;
    options.labels = (char *)row->labels;
    /* The corpus has tiny pictures; cutting pads them. */
    if (row->source == SG_SOURCE_TAR) {
        options.preprocess.crop[0] = 5;
        options.preprocess.crop[1] = 7;
    }
    return options;
}

static void other_ranks_have_the_same_items(void **state) {
    (void)state;
    for (size_t k = 0; k < N_ROWS; k++) {
        const struct sg_data_options options = options_of(&rows[k]);
        struct sg_items *items = NULL;
        struct sg_items *other = NULL;
        void *bytes = NULL;
        size_t n = 0;
        float x[MAX_NUMBERS];
        float y[MAX_NUMBERS];

        if (sg_items_open(&options, &rows[k].input, &items) != SG_OK) {
            fail_msg("row %zu: %s", k, sg_trace_message());
        }
        assert_int_equal(sg_items_pack(items, &bytes, &n), SG_OK);
        assert_int_equal(sg_items_unpack(&options, &rows[k].input, bytes, n, &other), SG_OK);
        assert_int_equal(sg_items_count(other), sg_items_count(items));
        assert_string_equal(sg_items_name(other, sg_items_count(other) - 1), rows[k].last);
        for (int64_t i = sg_items_count(items) - 1; i >= 0; i--) {
            assert_string_equal(sg_items_name(other, i), sg_items_name(items, i));
            assert_int_equal(sg_items_label(other, i), sg_items_label(items, i));
            sg_items_prefetch(other, i);
            assert_int_equal(sg_items_load(items, i, x), SG_OK);
            assert_int_equal(sg_items_load(other, i, y), SG_OK);
            assert_memory_equal(x, y, (size_t)sg_shape_size(&rows[k].input) * sizeof *x);
        }
        for (size_t cut = 0; cut < n; cut += 7) { /* a message that is cut short on its way */
            struct sg_items *none = NULL;

            assert_int_equal(sg_items_unpack(&options, &rows[k].input, bytes, cut, &none),
                             SG_E_FORMAT);
        }
        assert_true(sg_items_bytes(items) > 0);
        sg_free(bytes);
        sg_items_close(other);
        sg_items_close(items);
    }
}

static sg_status open_and_load(const struct row *row) {
    const struct sg_data_options options = options_of(row);
    struct sg_items *items = NULL;
    float x[MAX_NUMBERS];
    sg_status status = sg_items_open(&options, &row->input, &items);

    if (status == SG_OK) {
        status = sg_items_load(items, 0, x);
    }
    sg_items_close(items);
    return status;
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    for (size_t k = 0; k < N_ROWS; k++) {
        sg_status status = SG_E_NOMEM;
        int64_t n = 0;

        for (n = 1; status != SG_OK && n < 1000; n++) {
            const int64_t before = sg_memory_balance();

            sg_memory_fail_at(n);
            status = open_and_load(&rows[k]);
            sg_memory_fail_at(0);
            if (status != SG_OK && status != SG_E_NOMEM) {
                fail_msg("row %zu, allocation %lld: %s", k, (long long)n, sg_trace_message());
            }
            assert_int_equal(sg_memory_balance(), before);
        }
        assert_true(n > 3 && n < 1000);
    }
}

/* 200,000 bytes, plain and as gzip in two parts, read forward, back and across. */
static void packed_bytes_are_read_at_any_place(void **state) {
    enum { N = 200000, HALF = 90000 };
    static const int64_t places[] = {0, 5, 65530, 199990, 89990, 3, 150000};
    unsigned char *bytes = malloc(N);
    char *path = scratch_path(&s, "bytes.gz");
    struct sg_stream *plain = NULL;
    struct sg_stream *packed = NULL;
    unsigned char got[40];

    (void)state;
    for (int i = 0; i < N; i++) {
        bytes[i] = (unsigned char)((i * 7 + i / 251) ^ (i >> 8));
    }
    for (int part = 0; part < 2; part++) {
        gzFile f = gzopen(path, part == 0 ? "wb" : "ab");
        const int n = part == 0 ? HALF : N - HALF;

        assert_int_equal(gzwrite(f, bytes + part * HALF, (unsigned)n), n);
        assert_int_equal(gzclose(f), Z_OK);
    }
    assert_int_equal(sg_stream_open_memory(bytes, N, 1, &plain), SG_OK);
    assert_int_equal(sg_stream_open(path, 1, SG_E_INPUT, &packed), SG_OK);
    assert_int_equal(sg_stream_length(plain), N);
    assert_int_equal(sg_stream_length(packed), -1);
    for (size_t k = 0; k < sizeof places / sizeof places[0]; k++) {
        const size_t n = places[k] + 40 <= N ? 40 : (size_t)(N - places[k]);

        for (int which = 0; which < 2; which++) {
            assert_int_equal(sg_stream_read(which ? packed : plain, places[k], got, n), SG_OK);
            assert_memory_equal(got, bytes + places[k], n);
        }
    }
    for (int which = 0; which < 2; which++) {
        struct sg_stream *stream = which ? packed : plain;

        assert_int_equal(sg_stream_read(stream, N - 3, got, 4), SG_E_INPUT);
        assert_int_equal(sg_stream_read(stream, INT64_MAX, got, 4), SG_E_INPUT);
        assert_int_equal(sg_stream_check_end(stream, N), SG_OK);
        assert_int_equal(sg_stream_check_end(stream, N - 1), SG_E_INPUT);
        assert_int_equal(sg_stream_check_end(stream, N + 1), SG_E_INPUT);
        sg_stream_close(stream);
    }
    free(bytes);
}

static void exif_that_lies_is_ignored(void **state) {
    static const struct {
        const char *bytes;
        size_t n;
        int orientation;
    } cases[] = {
#define EXIF(text, orientation) {text, sizeof(text) - 1, orientation}
        EXIF("II*\0\10\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0", 6),
        EXIF("MM\0*\0\0\0\10\0\1\1\x12\0\3\0\0\0\1\0\10\0\0", 8),
        EXIF("II*\0\10\0\0\0\1\0\x12\1\3\0\1\0\0\0\11\0\0\0", 0),
        EXIF("II*\0\10\0\0\0\1\0\x12\1\4\0\1\0\0\0\6\0\0\0", 0),
        EXIF("II*\0\10\0\0\0\2\0\x12\2\3\0\1\0\0\0\6\0\0\0", 0),
        EXIF("II*\0\377\377\377\377\1\0\x12\1\3\0\1\0\0\0\6\0\0\0", 0),
        EXIF("II*\0\10\0\0\0\377\377\x13\1", 0),
        EXIF("II*\0\6\0\0", 0),
        EXIF("IM*\0\10\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0", 0),
        EXIF("", 0),
    };

    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        unsigned char *copy = malloc(cases[k].n + 1); /* sanitizers see what lies behind */

        memcpy(copy, cases[k].bytes, cases[k].n);
        assert_int_equal(sg_exif_orientation(copy, cases[k].n), cases[k].orientation);
        free(copy);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(other_ranks_have_the_same_items, setup, teardown),
        cmocka_unit_test_setup_teardown(every_allocation_may_fail, setup, teardown),
        cmocka_unit_test_setup_teardown(packed_bytes_are_read_at_any_place, setup, teardown),
        cmocka_unit_test_setup_teardown(exif_that_lies_is_ignored, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
