/* tests/unit/store/test_result.c - what is written is read back, and only what was committed
 * counts. */
#include "sample.h"

#include "store/store_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void write_items(const char *path, const struct sample *s, int from, int to) {
    struct sg_result *r = NULL;

    assert_int_equal(sg_result_open(path, &s->record, &r), SG_OK);
    for (int i = from; i < to; i++) {
        void *bytes = sample_item(s, i);

        assert_int_equal(sg_result_write(r, i, bytes), SG_OK);
        sg_free(bytes);
    }
    assert_int_equal(sg_result_n_uncommitted(r), to - from);
    assert_int_equal(sg_result_commit(r), SG_OK);
    assert_int_equal(sg_result_n_uncommitted(r), 0);
    sg_result_close(r);
}

static void fresh_file_reads_zero(void **state) {
    struct sample s;
    struct sg_reader *reader = NULL;
    char path[256];
    char zeros[4096] = {0};
    char have[4096];

    (void)state;
    sample_init(&s);
    scratch_path(path, sizeof path);
    assert_int_equal(sg_result_create(path, &s.layout), SG_OK);
    assert_int_equal(sg_reader_open(path, &reader), SG_OK);
    assert_int_equal(sg_reader_n_items(reader), N_ITEMS);
    for (int k = 0; k < s.record.n_fields; k++) {
        for (int64_t i = 0; i < N_ITEMS; i++) {
            assert_int_equal(sg_reader_read(reader, s.record.fields[k].path, i, have), SG_OK);
            assert_memory_equal(have, zeros, (size_t)s.record.fields[k].bytes);
        }
    }
    assert_int_equal(sg_reader_read(reader, "provenance/runs/start", -1, have), SG_OK);
    assert_memory_equal(have, zeros, N_RUNS * sizeof(double));
    sg_reader_close(reader);
    sample_free(&s);
    scratch_remove(path);
    assert_int_equal(sg_memory_balance(), 0);
}

static void space_is_reserved_and_foretold(void **state) {
    struct sample s;
    struct stat info;
    char path[256];

    (void)state;
    sample_init(&s);
    s.layout.n_items = 2000;
    s.layout.n_constants = 0;
    scratch_path(path, sizeof path);
    assert_int_equal(sg_result_create(path, &s.layout), SG_OK);
    assert_int_equal(stat(path, &info), 0);
    assert_true((int64_t)info.st_blocks * 512 >= info.st_size); /* no holes */
    assert_true(info.st_size <= sg_layout_bytes(&s.layout));
    assert_true(sg_layout_bytes(&s.layout) < info.st_size + 100000);
    sample_free(&s);
    scratch_remove(path);
}

/* Where the file system cannot reserve (the first call that may fail), zeros are written. */
static void space_without_reservation(void **state) {
    struct sample s;
    struct stat info;
    char path[256];

    (void)state;
    sample_init(&s);
    s.layout.n_items = 2000;
    s.layout.n_constants = 0;
    scratch_path(path, sizeof path);
    sg_disk_fail_at(1, EOPNOTSUPP);
    assert_int_equal(sg_result_create(path, &s.layout), SG_OK);
    assert_int_equal(stat(path, &info), 0);
    assert_true((int64_t)info.st_blocks * 512 >= info.st_size - 65536); /* but for HDF5's gaps */
    sample_free(&s);
    scratch_remove(path);
}

static void written_is_read_back(void **state) {
    struct sample s;
    struct sg_reader *reader = NULL;
    const struct sg_dataset *d;
    char path[256];
    char *text = NULL;
    char ids[N_ITEMS][ID_BYTES];
    int64_t numbers[6];

    (void)state;
    sample_init(&s);
    scratch_path(path, sizeof path);
    assert_int_equal(sg_result_create(path, &s.layout), SG_OK);
    write_items(path, &s, 0, 4);
    write_items(path, &s, 4, N_ITEMS); /* a second run goes on */
    assert_int_equal(sg_reader_open(path, &reader), SG_OK);
    for (int64_t i = 0; i < N_ITEMS; i++) {
        assert_item(reader, &s, i);
    }
    assert_int_equal(sg_reader_text(reader, "provenance/identity", &text), SG_OK);
    assert_string_equal(text, "study.seed: 1\nstudy.name: \xc3\xa9t\xc3\xa9\n");
    sg_free(text);
    assert_int_equal(sg_reader_read(reader, "items/id", -1, ids), SG_OK);
    assert_memory_equal(ids, s.ids, sizeof ids);
    assert_int_equal(sg_reader_read(reader, "stage", -1, numbers), SG_OK);
    assert_int_equal(numbers[5], 5);
    d = sg_reader_find(reader, "maps/smoothgrad/map");
    assert_non_null(d);
    assert_int_equal(d->per_item, 1);
    assert_int_equal(d->n_axes, 5);
    assert_int_equal(sg_dataset_bytes(d), 480);
    assert_int_equal(sg_reader_find(reader, "dataset/smoothgrad/mean")->per_item, 0);
    assert_null(sg_reader_find(reader, "maps/none"));
    for (int i = 1; i < sg_reader_n_datasets(reader); i++) {
        assert_true(
            strcmp(sg_reader_dataset(reader, i - 1)->path, sg_reader_dataset(reader, i)->path) < 0);
    }
    sg_reader_close(reader);
    sample_free(&s);
    scratch_remove(path);
    assert_int_equal(sg_memory_balance(), 0);
}

/* A reader that opened before sees what is committed later; what is not committed is pending. */
static void reader_looks_on(void **state) {
    struct sample s;
    struct sg_reader *reader = NULL;
    struct sg_result *r = NULL;
    char path[256];
    unsigned char status = 9;
    unsigned char all[N_ITEMS];
    void *bytes;

    (void)state;
    sample_init(&s);
    scratch_path(path, sizeof path);
    assert_int_equal(sg_result_create(path, &s.layout), SG_OK);
    assert_int_equal(sg_result_open(path, &s.record, &r), SG_OK);
    assert_int_equal(sg_reader_open(path, &reader), SG_OK);
    bytes = sample_item(&s, 2);
    assert_int_equal(sg_result_write(r, 2, bytes), SG_OK);
    assert_int_equal(sg_reader_read(reader, "items/status", 2, &status), SG_OK);
    assert_int_equal(status, 0);
    assert_int_equal(sg_result_commit(r), SG_OK);
    assert_int_equal(sg_reader_read(reader, "items/status", 2, &status), SG_OK);
    assert_int_equal(status, 1);
    assert_item(reader, &s, 2);
    assert_int_equal(sg_result_statuses(r, all), SG_OK);
    assert_memory_equal(all, ((unsigned char[]){0, 0, 1, 0, 0, 0, 0}), N_ITEMS);
    assert_int_equal(sg_result_put(r, "provenance/complete", &status, 1), SG_OK);
    status = 9;
    assert_int_equal(sg_reader_read(reader, "provenance/complete", -1, &status), SG_OK);
    assert_int_equal(status, 1);
    status = 9;
    assert_int_equal(sg_result_get(r, "provenance/complete", &status, 1), SG_OK);
    assert_int_equal(status, 1);
    sg_free(bytes);
    sg_reader_close(reader);
    sg_result_close(r);
    sample_free(&s);
    scratch_remove(path);
}

static sg_status open_with(const char *path, const struct sg_record *record) {
    struct sg_result *r = NULL;
    const sg_status status = sg_result_open(path, record, &r);

    sg_result_close(r);
    return status;
}

static void another_record_is_refused(void **state) {
    struct sample s;
    char path[256];

    (void)state;
    sample_init(&s);
    scratch_path(path, sizeof path);
    assert_int_equal(sg_result_create(path, &s.layout), SG_OK);
    assert_int_equal(open_with(path, &s.record), SG_OK);
    s.record.fields[6].axes[3].length = 6;
    assert_int_equal(open_with(path, &s.record), SG_E_FORMAT);
    assert_non_null(strstr(sg_trace_message(), "maps/smoothgrad/map is float32 [7,2,3,4,5], this "
                                               "job needs float32 [7,2,3,4,6]"));
    s.record.fields[6].axes[3].length = 5;
    s.record.fields[6].type = SG_TYPE_I32;
    assert_int_equal(open_with(path, &s.record), SG_E_FORMAT);
    s.record.fields[6].type = SG_TYPE_F32;
    s.record.n_fields--;
    assert_int_equal(open_with(path, &s.record), SG_E_FORMAT);
    s.record.n_fields++;
    assert_int_equal(sg_record_add(&s.record, "maps/vargrad/map", SG_TYPE_F32, 0, 0, NULL, ""),
                     SG_OK);
    assert_int_equal(open_with(path, &s.record), SG_E_FORMAT);
    assert_non_null(strstr(sg_trace_message(), "no dataset maps/vargrad/map"));
    sample_free(&s);
    scratch_remove(path);
}

static void foreign_files_are_refused(void **state) {
    struct sg_reader *reader = NULL;
    char path[256];
    FILE *f;

    (void)state;
    scratch_path(path, sizeof path);
    assert_int_equal(sg_reader_open(path, &reader), SG_E_IO);
    f = fopen(path, "w");
    assert_non_null(f);
    (void)fputs("this is no HDF5 file", f);
    (void)fclose(f);
    assert_int_equal(sg_reader_open(path, &reader), SG_E_FORMAT);
    assert_null(reader);
    scratch_remove(path);
    assert_int_equal(sg_memory_balance(), 0);
}

/* A caller's buffer has a byte an item: other states than that are not read into it. */
static void odd_states_are_refused(void **state) {
    struct sample s;
    struct sg_reader *reader = NULL;
    char path[256];
    unsigned char states[N_ITEMS];

    (void)state;
    sample_init(&s);
    s.record.fields[0].type = SG_TYPE_F64;
    s.record.fields[0].bytes = 8;
    scratch_path(path, sizeof path);
    assert_int_equal(sg_result_create(path, &s.layout), SG_OK);
    assert_int_equal(sg_reader_open(path, &reader), SG_OK);
    assert_int_equal(sg_reader_statuses(reader, states), SG_E_FORMAT);
    sg_reader_close(reader);
    sample_free(&s);
    scratch_remove(path);
}

static void layout_is_the_same_bytes(void **state) { /* no times, no chance in the file */
    struct sample s;
    char path[256];
    char command[1024];

    (void)state;
    sample_init(&s);
    scratch_path(path, sizeof path);
    assert_int_equal(sg_result_create(path, &s.layout), SG_OK);
    (void)snprintf(command, sizeof command, "mv %s %s.1; sleep 1.1", path, path);
    assert_int_equal(system(command), 0);
    assert_int_equal(sg_result_create(path, &s.layout), SG_OK);
    (void)snprintf(command, sizeof command, "cmp %s %s.1", path, path);
    assert_int_equal(system(command), 0);
    sample_free(&s);
    scratch_remove(path);
}

static void axes_of_one_name_and_two_lengths(void **state) {
    struct sample s;
    struct sg_axis small[] = {axis("y", 2), axis("x", 5)};
    struct sg_reader *reader = NULL;
    char path[256];

    (void)state;
    sample_init(&s);
    assert_int_equal(sg_record_add(&s.record, "maps/cam/map", SG_TYPE_F32, 0, 2, small, "layer"),
                     SG_OK);
    scratch_path(path, sizeof path);
    assert_int_equal(sg_result_create(path, &s.layout), SG_OK);
    assert_int_equal(sg_reader_open(path, &reader), SG_OK);
    assert_int_equal(sg_reader_find(reader, "y")->axes[0], 4);
    assert_int_equal(sg_reader_find(reader, "y_2")->axes[0], 2);
    assert_null(sg_reader_find(reader, "x_5"));
    sg_reader_close(reader);
    sample_free(&s);
    scratch_remove(path);
}

static void no_space_is_told_first(void **state) {
    struct sample s;
    char path[256];

    (void)state;
    sample_init(&s);
    s.layout.n_items = (int64_t)1 << 46;
    s.layout.n_constants = 0;
    scratch_path(path, sizeof path);
    assert_int_equal(sg_result_create(path, &s.layout), SG_E_IO);
    assert_non_null(strstr(sg_trace_message(), " free"));
    assert_int_not_equal(access(path, F_OK), 0);
    sample_free(&s);
    scratch_remove(path);
}

/* Creates, opens, writes everything and commits; the status of the first failure. */
static sg_status whole_run(const char *path, const struct sample *s, const void *item) {
    sg_status status = SG_OK;
    struct sg_result *r = NULL;

    SG_TRY(sg_result_create(path, &s->layout));
    SG_TRY(sg_result_open(path, &s->record, &r));
    for (int i = 0; i < N_ITEMS; i++) {
        SG_TRY(sg_result_write(r, i, item));
    }
    SG_TRY(sg_result_commit(r));
done:
    sg_result_close(r);
    return status;
}

/* Whatever write, sync or rename fails: a status with the path, no left-over, the file opens. */
static void every_write_may_fail(void **state) {
    struct sample s;
    char path[256];
    char temporary[300];
    void *item;
    sg_status status = SG_E_IO;
    int n = 0;

    (void)state;
    sample_init(&s);
    item = sample_item(&s, 1);
    scratch_path(path, sizeof path);
    (void)snprintf(temporary, sizeof temporary, "%s.tmp", path);
    while (status != SG_OK && n < 1000) {
        struct sg_reader *reader = NULL;

        n++;
        sg_disk_fail_at(n, n % 2 ? ENOSPC : EIO);
        status = whole_run(path, &s, item);
        sg_disk_fail_at(0, 0);
        assert_true(status == SG_OK || status == SG_E_IO);
        assert_true(status == SG_OK || strstr(sg_trace_message(), path) != NULL);
        assert_int_not_equal(access(temporary, F_OK), 0);
        if (access(path, F_OK) == 0) {
            assert_int_equal(sg_reader_open(path, &reader), SG_OK);
            sg_reader_close(reader);
        }
        (void)unlink(path);
    }
    assert_true(n > 60); /* 7 items of 7 fields, 7 statuses, syncs, the layout */
    sg_free(item);
    sample_free(&s);
    scratch_remove(path);
    assert_int_equal(sg_memory_balance(), 0);
}

static void signals_do_no_harm(void **state) { /* the first 100 calls are interrupted in turn */
    struct sample s;
    char path[256];
    void *item;

    (void)state;
    sample_init(&s);
    item = sample_item(&s, 1);
    scratch_path(path, sizeof path);
    for (int n = 1; n <= 100; n++) {
        sg_disk_fail_at(n, EINTR);
        if (whole_run(path, &s, item) != SG_OK) { /* only a rename is not repeated */
            assert_non_null(strstr(sg_trace_message(), "giving the file its name"));
        }
        sg_disk_fail_at(0, 0);
    }
    sg_free(item);
    sample_free(&s);
    scratch_remove(path);
}

static void every_allocation_may_fail(void **state) {
    struct sample s;
    char path[256];
    void *item;
    int64_t before;
    sg_status status = SG_E_NOMEM;
    int n = 0;

    (void)state;
    sample_init(&s);
    item = sample_item(&s, 1);
    scratch_path(path, sizeof path);
    before = sg_memory_balance();
    while (status != SG_OK && n < 1000) {
        struct sg_reader *reader = NULL;
        char *text = NULL;

        sg_memory_fail_at(++n);
        status = whole_run(path, &s, item);
        if (status == SG_OK) {
            status = sg_reader_open(path, &reader);
        }
        if (status == SG_OK) {
            status = sg_reader_text(reader, "provenance/identity", &text);
        }
        sg_memory_fail_at(0);
        assert_true(status == SG_OK || status == SG_E_NOMEM);
        sg_free(text);
        sg_reader_close(reader);
        assert_int_equal(sg_memory_balance(), before);
    }
    assert_true(n > 15);
    sg_free(item);
    sample_free(&s);
    scratch_remove(path);
    assert_int_equal(sg_memory_balance(), 0);
}

static void failed_sync_is_remembered(void **state) {
    struct sample s;
    struct sg_result *r = NULL;
    char path[256];
    void *item;

    (void)state;
    sample_init(&s);
    item = sample_item(&s, 1);
    scratch_path(path, sizeof path);
    assert_int_equal(sg_result_create(path, &s.layout), SG_OK);
    assert_int_equal(sg_result_open(path, &s.record, &r), SG_OK);
    assert_int_equal(sg_result_write(r, 0, item), SG_OK);
    sg_disk_fail_at(1, EIO);
    assert_int_equal(sg_result_commit(r), SG_E_IO);
    assert_int_equal(sg_result_commit(r), SG_E_IO); /* not "all is well" the second time */
    assert_int_equal(sg_result_n_uncommitted(r), 1);
    sg_result_close(r);
    sg_free(item);
    sample_free(&s);
    scratch_remove(path);
}

/* HDF5's own writes cannot be made to fail one by one, but by a limit on the file's size. In a
 * child, because HDF5 (1.10.8) never gives back the memory of a file whose closing failed. */
static sg_status create_below(const char *path, const struct sg_layout *layout, rlim_t bytes) {
    const pid_t child = fork();
    int code = -1;

    if (child == 0) {
        const struct rlimit limit = {.rlim_cur = bytes, .rlim_max = bytes};

        (void)signal(SIGXFSZ, SIG_IGN);
        _exit(setrlimit(RLIMIT_FSIZE, &limit) == 0 ? (int)sg_result_create(path, layout) : 99);
    }
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_true(WIFEXITED(code));
    return (sg_status)WEXITSTATUS(code);
}

static void size_limits_are_reported(void **state) {
    struct sample s;
    char path[256];

    (void)state;
    sample_init(&s);
    s.layout.n_items = 2000;
    s.layout.n_constants = 0;
    scratch_path(path, sizeof path);
    for (rlim_t bytes = 0; bytes < 900000; bytes += 50000) {
        assert_int_equal(create_below(path, &s.layout, bytes), SG_E_IO);
        assert_int_not_equal(access(path, F_OK), 0);
    }
    assert_int_equal(sg_result_create(path, &s.layout), SG_OK);
    sample_free(&s);
    scratch_remove(path);
}

static void folders_are_made(void **state) {
    struct sample s;
    char path[256];
    char deep[300];

    (void)state;
    sample_init(&s);
    scratch_path(path, sizeof path);
    (void)snprintf(deep, sizeof deep, "%.*s/a/b/c/r.h5", (int)(strrchr(path, '/') - path), path);
    assert_int_equal(sg_result_create(deep, &s.layout), SG_OK);
    assert_int_equal(access(deep, F_OK), 0);
    (void)snprintf(deep, sizeof deep, "%.*s/a/b/c/r.h5/r.h5", (int)(strrchr(path, '/') - path),
                   path);
    assert_int_equal(sg_result_create(deep, &s.layout), SG_E_IO); /* a file is no folder */
    sample_free(&s);
    scratch_remove(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fresh_file_reads_zero),
        cmocka_unit_test(space_is_reserved_and_foretold),
        cmocka_unit_test(space_without_reservation),
        cmocka_unit_test(written_is_read_back),
        cmocka_unit_test(reader_looks_on),
        cmocka_unit_test(another_record_is_refused),
        cmocka_unit_test(foreign_files_are_refused),
        cmocka_unit_test(odd_states_are_refused),
        cmocka_unit_test(layout_is_the_same_bytes),
        cmocka_unit_test(axes_of_one_name_and_two_lengths),
        cmocka_unit_test(no_space_is_told_first),
        cmocka_unit_test(every_write_may_fail),
        cmocka_unit_test(signals_do_no_harm),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(failed_sync_is_remembered),
        cmocka_unit_test(size_limits_are_reported),
        cmocka_unit_test(folders_are_made),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
