/* tests/unit/store/test_partial.c - a checkpoint is whole, or none. */
#include "sample.h"

#include "sgdist/log.h"
#include "store/store_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { BYTES = 64, IDENTITY = 77, ITEM = 5 };

static char payload[BYTES] = "what is known so far";

static void item_file(const char *path, char *buf, size_t cap) {
    (void)snprintf(buf, cap, "%s.partial/item-%d", path, ITEM);
}

/* 1 if the checkpoint is there and right, 0 if it counts as none. */
static int loads(const char *path, uint64_t identity, int64_t item) {
    void *bytes = NULL;
    int64_t n = -1;
    int right;

    assert_int_equal(sg_partial_load(path, identity, item, &bytes, &n), SG_OK);
    right = bytes != NULL && n == BYTES && memcmp(bytes, payload, BYTES) == 0;
    assert_int_equal(bytes != NULL, right); /* never something wrong */
    sg_free(bytes);
    return right;
}

static void saved_is_loaded(void **state) {
    char path[256];
    char folder[300];

    (void)state;
    scratch_path(path, sizeof path);
    assert_int_equal(sg_partial_exists(path, ITEM), 0);
    assert_int_equal(loads(path, IDENTITY, ITEM), 0);
    assert_int_equal(sg_partial_save(path, IDENTITY, ITEM, "older", 5), SG_OK);
    assert_int_equal(sg_partial_save(path, IDENTITY, ITEM, payload, BYTES), SG_OK);
    assert_int_equal(sg_partial_save(path, IDENTITY, 1000000007, payload, 0), SG_OK);
    assert_int_equal(sg_partial_exists(path, ITEM), 1);
    assert_int_equal(loads(path, IDENTITY, ITEM), 1);
    assert_int_equal(loads(path, IDENTITY + 1, ITEM), 0); /* another job's */
    sg_partial_remove(path, ITEM);
    assert_int_equal(sg_partial_exists(path, ITEM), 0);
    sg_partial_remove(path, ITEM);
    assert_int_equal(sg_partial_exists(path, 1000000007), 1);
    sg_partial_remove(path, -1);
    (void)snprintf(folder, sizeof folder, "%s.partial", path);
    assert_int_not_equal(access(folder, F_OK), 0);
    scratch_remove(path);
    assert_int_equal(sg_memory_balance(), 0);
}

static void foreign_files_stay(void **state) {
    char path[256];
    char other[300];
    FILE *f;

    (void)state;
    scratch_path(path, sizeof path);
    assert_int_equal(sg_partial_save(path, IDENTITY, ITEM, payload, BYTES), SG_OK);
    (void)snprintf(other, sizeof other, "%s.partial/notes.txt", path);
    f = fopen(other, "w");
    assert_non_null(f);
    (void)fclose(f);
    sg_partial_remove(path, -1);
    assert_int_equal(access(other, F_OK), 0);
    assert_int_equal(sg_partial_exists(path, ITEM), 0);
    scratch_remove(path);
}

static void write_file(const char *name, const void *bytes, size_t n) {
    FILE *f = fopen(name, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static size_t read_file(const char *name, char *buf, size_t cap) {
    FILE *f = fopen(name, "r");
    size_t n;

    assert_non_null(f);
    n = fread(buf, 1, cap, f);
    (void)fclose(f);
    return n;
}

static void torn_files_are_none(void **state) { /* cut at every byte, every bit flipped, one more */
    char path[256];
    char name[300];
    char whole[512] = {0};
    char bad[512];
    size_t n;

    (void)state;
    scratch_path(path, sizeof path);
    item_file(path, name, sizeof name);
    assert_int_equal(sg_partial_save(path, IDENTITY, ITEM, payload, BYTES), SG_OK);
    n = read_file(name, whole, sizeof whole);
    assert_true(n > BYTES && n < sizeof whole);
    for (size_t cut = 0; cut < n; cut++) {
        write_file(name, whole, cut);
        assert_int_equal(loads(path, IDENTITY, ITEM), 0);
    }
    for (size_t bit = 0; bit < 8 * n; bit++) {
        memcpy(bad, whole, n);
        bad[bit / 8] = (char)(bad[bit / 8] ^ (1 << bit % 8));
        write_file(name, bad, n);
        assert_int_equal(loads(path, IDENTITY, ITEM), 0);
    }
    write_file(name, whole, n + 1);
    assert_int_equal(loads(path, IDENTITY, ITEM), 0);
    write_file(name, whole, n);
    assert_int_equal(loads(path, IDENTITY, ITEM), 1);
    scratch_remove(path);
    assert_int_equal(sg_memory_balance(), 0);
}

/* Another item's file under this name, as a copy by hand would leave it. */
static void renamed_file_is_none(void **state) {
    char path[256];
    char name[300];
    char other[300];

    (void)state;
    scratch_path(path, sizeof path);
    item_file(path, name, sizeof name);
    (void)snprintf(other, sizeof other, "%s.partial/item-6", path);
    assert_int_equal(sg_partial_save(path, IDENTITY, ITEM, payload, BYTES), SG_OK);
    assert_int_equal(rename(name, other), 0);
    assert_int_equal(loads(path, IDENTITY, 6), 0);
    scratch_remove(path);
}

static void short_writes_are_continued(void **state) {
    char path[256];

    (void)state;
    scratch_path(path, sizeof path);
    for (int n = 1; n <= 2; n++) { /* head, payload */
        sg_disk_fail_at(n, 0);
        assert_int_equal(sg_partial_save(path, IDENTITY, ITEM, payload, BYTES), SG_OK);
        assert_int_equal(loads(path, IDENTITY, ITEM), 1);
    }
    scratch_remove(path);
}

static void failed_saves_keep_the_old_one(void **state) {
    char path[256];
    char newer[BYTES] = "newer";
    sg_status status = SG_E_IO;
    int n = 0;

    (void)state;
    scratch_path(path, sizeof path);
    assert_int_equal(sg_partial_save(path, IDENTITY, ITEM, payload, BYTES), SG_OK);
    for (n = 1; n <= 4; n++) { /* head, payload, sync, rename */
        sg_disk_fail_at(n, ENOSPC);
        status = sg_partial_save(path, IDENTITY, ITEM, newer, BYTES);
        assert_int_equal(status, SG_E_IO);
        assert_int_equal(loads(path, IDENTITY, ITEM), 1);
    }
    sg_disk_fail_at(0, 0);
    sg_memory_fail_at(1);
    assert_int_equal(sg_partial_load(path, IDENTITY, ITEM, &(void *){NULL}, &(int64_t){0}),
                     SG_E_NOMEM);
    sg_memory_fail_at(0);
    scratch_remove(path);
    assert_int_equal(sg_memory_balance(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(saved_is_loaded),
        cmocka_unit_test(foreign_files_stay),
        cmocka_unit_test(torn_files_are_none),
        cmocka_unit_test(renamed_file_is_none),
        cmocka_unit_test(short_writes_are_continued),
        cmocka_unit_test(failed_saves_keep_the_old_one),
    };

    sg_log_setup(SG_LOG_ERROR, 0); /* the warnings are wanted here, a thousand of them */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
