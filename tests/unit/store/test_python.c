/* tests/unit/store/test_python.c - makes a result and has h5py, h5netcdf and netCDF-4 read it
 * (tests/python/result_file.py). */
#include "sample.h"

#include <sys/wait.h>

static void python_reads_it(void **state) {
    struct sample s;
    struct sg_result *r = NULL;
    char path[256];
    char command[1024];
    int code;

    (void)state;
    sample_init(&s);
    scratch_path(path, sizeof path);
    assert_int_equal(sg_result_create(path, &s.layout), SG_OK);
    assert_int_equal(sg_result_open(path, &s.record, &r), SG_OK);
    for (int64_t i = 0; i < N_ITEMS - 1; i++) { /* the last one stays pending */
        void *item = sample_item(&s, i);

        assert_int_equal(sg_result_write(r, i, item), SG_OK);
        sg_free(item);
    }
    assert_int_equal(sg_result_commit(r), SG_OK);
    (void)snprintf(command, sizeof command,
                   "/usr/bin/python3 " SGDIST_SOURCE_DIR "/tests/python/result_file.py %s", path);
    code = system(command); /* while the writer still has it open */
    sg_result_close(r);
    sample_free(&s);
    scratch_remove(path);
    assert_true(WIFEXITED(code));
    if (WEXITSTATUS(code) == 77 || WEXITSTATUS(code) == 127) {
        skip();
    }
    assert_int_equal(WEXITSTATUS(code), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(python_reads_it)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
