/* tests/unit/store/test_crash.c - a writer killed by SIGKILL at any moment, the layout included:
 * the file, if there is one, opens; what counts as done is right; the next run goes on. */
#include "sample.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

enum { ROUNDS = 50, MANY = 400 };

static void init_many(struct sample *s) {
    sample_init(s);
    s->layout.n_items = MANY;
    s->layout.constants = s->constants + 1; /* without the names of 7 items */
    s->layout.n_constants = 5;
}

/* What the killed process does: lay out if need be, write what is pending in small commits, and
 * start over when all is done, so that the kill also meets layouts and renames. */
static void work(const char *path, struct sample *s) {
    unsigned char status[MANY];

    for (;;) {
        struct sg_result *r = NULL;
        int n = 0;

        if (access(path, F_OK) != 0 && sg_result_create(path, &s->layout) != SG_OK) {
            _exit(1);
        }
        if (sg_result_open(path, &s->record, &r) != SG_OK ||
            sg_result_statuses(r, status) != SG_OK) {
            _exit(2);
        }
        for (int64_t i = 0; i < MANY; i++) {
            void *item = sample_item(s, i);

            if (status[i] == 0 && (sg_result_write(r, i, item) != SG_OK ||
                                   (++n % 3 == 0 && sg_result_commit(r) != SG_OK))) {
                _exit(3);
            }
            sg_free(item);
        }
        if (sg_result_commit(r) != SG_OK || sg_result_create(path, &s->layout) != SG_OK) {
            _exit(4);
        }
        sg_result_close(r);
    }
}

static void kill_after(const char *path, struct sample *s, long microseconds) {
    const struct timespec t = {.tv_nsec = microseconds * 1000};
    const pid_t child = fork();
    int code = 0;

    assert_true(child >= 0);
    if (child == 0) {
        work(path, s);
    }
    (void)nanosleep(&t, NULL);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_true(WIFSIGNALED(code)); /* it never failed on its own */
}

/* Items done, all of them checked; -1 if there is no file yet. */
static int64_t check(const char *path, struct sample *s) {
    struct sg_reader *reader = NULL;
    int64_t done = 0;

    if (access(path, F_OK) != 0) {
        return -1;
    }
    assert_int_equal(sg_reader_open(path, &reader), SG_OK);
    for (int64_t i = 0; i < MANY; i++) {
        unsigned char status = 9;

        assert_int_equal(sg_reader_read(reader, "items/status", i, &status), SG_OK);
        if (status != 0) {
            assert_item(reader, s, i);
            done++;
        }
    }
    sg_reader_close(reader);
    return done;
}

static void kills_leave_a_right_file(void **state) {
    struct sample s;
    char path[256];
    uint64_t random = 88172645463325252u; /* xorshift64: the moments differ, the test does not */
    long first = 8000; /* microseconds that a layout is given; more where the disk is slow */
    int none = 0;
    int part = 0;

    (void)state;
    init_many(&s);
    scratch_path(path, sizeof path);
    for (int round = 0; round < ROUNDS; round++) {
        int64_t done;

        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        if (round % 5 == 0) {
            (void)unlink(path); /* so that the first layout is met as well */
        }
        kill_after(path, &s, (long)(random % (uint64_t)(round % 5 == 0 ? first : 5 * first)));
        done = check(path, &s);
        first = done < 0 && first < 100000 ? first * 5 / 4 : first;
        none += done < 0;
        part += done > 0 && done < MANY;
    }
    assert_true(none > 0); /* the kills met layouts before the rename, */
    assert_true(part > 0); /* and runs in their middle */
    sample_free(&s);
    scratch_remove(path);
    assert_int_equal(sg_memory_balance(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(kills_leave_a_right_file)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
