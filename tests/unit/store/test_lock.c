/* tests/unit/store/test_lock.c - one run at a time, and a dead one keeps nobody out. */
#include "sample.h"

#include "sgdist/log.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

static void lock_name(const char *path, char *buf, size_t cap) {
    (void)snprintf(buf, cap, "%s.lock", path);
}

static void write_lock(const char *path, const char *text, int age_s) {
    char name[300];
    struct timespec times[2] = {{.tv_sec = time(NULL) - age_s}, {.tv_sec = time(NULL) - age_s}};
    FILE *f;

    lock_name(path, name, sizeof name);
    f = fopen(name, "w");
    assert_non_null(f);
    (void)fputs(text, f);
    (void)fclose(f);
    assert_int_equal(utimensat(AT_FDCWD, name, times, 0), 0);
}

static sg_status try_lock(const char *path, double wait_s) {
    struct sg_lock *lock = NULL;
    const sg_status status = sg_lock_take(path, wait_s, &lock);

    sg_lock_release(lock);
    return status;
}

static void held_lock_is_busy(void **state) {
    struct sg_lock *lock = NULL;
    struct sg_holder holder;
    char path[256];
    char name[300];

    (void)state;
    scratch_path(path, sizeof path);
    lock_name(path, name, sizeof name);
    assert_int_equal(sg_lock_look(path, &holder), 0);
    assert_int_equal(sg_lock_take(path, 0, &lock), SG_OK);
    assert_int_equal(try_lock(path, 0.3), SG_E_BUSY);
    assert_non_null(strstr(sg_trace_message(), name)); /* says what to remove */
    assert_int_equal(sg_lock_look(path, &holder), 1);
    assert_int_equal(holder.pid, getpid());
    assert_int_equal(holder.alive, 1);
    sg_lock_beat(lock);
    sg_lock_release(lock);
    assert_int_not_equal(access(name, F_OK), 0);
    assert_int_equal(try_lock(path, 0), SG_OK);
    scratch_remove(path);
    assert_int_equal(sg_memory_balance(), 0);
}

static void killed_holder_is_replaced(void **state) {
    struct sg_holder holder;
    char path[256];
    pid_t child;

    (void)state;
    scratch_path(path, sizeof path);
    child = fork();
    if (child == 0) {
        struct sg_lock *lock = NULL;

        (void)sg_lock_take(path, 0, &lock);
        for (;;) {
            (void)pause();
        }
    }
    while (!sg_lock_look(path, &holder) || holder.pid != child) {
        (void)usleep(1000);
    }
    assert_int_equal(try_lock(path, 0), SG_E_BUSY);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(try_lock(path, 0), SG_OK);
    scratch_remove(path);
}

/* The holder goes down while another run waits for it. */
static void waiting_pays(void **state) {
    struct sg_lock *lock = NULL;
    char path[256];
    pid_t child;
    int code = -1;

    (void)state;
    scratch_path(path, sizeof path);
    assert_int_equal(sg_lock_take(path, 0, &lock), SG_OK);
    child = fork();
    if (child == 0) {
        _exit(try_lock(path, 20) == SG_OK ? 0 : 1);
    }
    (void)usleep(300000);
    sg_lock_release(lock);
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_int_equal(code, 0);
    scratch_remove(path);
}

static void other_hosts_are_believed_for_two_minutes(void **state) {
    char path[256];
    const char *text = "host elsewhere\npid 1\nstarted 5\nsince 1000\njob 42\n";
    struct sg_holder holder;

    (void)state;
    scratch_path(path, sizeof path);
    write_lock(path, text, 60);
    assert_int_equal(try_lock(path, 0), SG_E_BUSY);
    assert_non_null(strstr(sg_trace_message(), "process 1 on elsewhere, job 42"));
    assert_int_equal(sg_lock_look(path, &holder), 1);
    assert_string_equal(holder.host, "elsewhere");
    write_lock(path, text, 121);
    assert_int_equal(try_lock(path, 0), SG_OK);
    scratch_remove(path);
}

/* A batch job that was put back into the queue ended before it starts again: the lock of its dead
 * node is no hindrance. Another job's is, and so is that of another run inside the same start. */
static void earlier_start_of_the_same_batch_job_is_gone(void **state) {
    char path[256];

    (void)state;
    scratch_path(path, sizeof path);
    (void)setenv("SLURM_JOB_ID", "77", 1);
    (void)setenv("SLURM_RESTART_COUNT", "2", 1);
    write_lock(path, "host elsewhere\npid 1\nstarted 5\nsince 1000\njob 77.1\n", 1);
    assert_int_equal(try_lock(path, 0), SG_OK);
    write_lock(path, "host elsewhere\npid 1\nstarted 5\nsince 1000\njob 77.2\n", 1);
    assert_int_equal(try_lock(path, 0), SG_E_BUSY);
    write_lock(path, "host elsewhere\npid 1\nstarted 5\nsince 1000\njob 7.1\n", 1);
    assert_int_equal(try_lock(path, 0), SG_E_BUSY);
    (void)unsetenv("SLURM_JOB_ID");
    (void)unsetenv("SLURM_RESTART_COUNT");
    scratch_remove(path);
}

static void unreadable_locks(void **state) { /* being written for a moment, then rubbish */
    char path[256];

    (void)state;
    scratch_path(path, sizeof path);
    write_lock(path, "", 0);
    assert_int_equal(try_lock(path, 0), SG_E_BUSY);
    write_lock(path, "rubbish", 30);
    assert_int_equal(try_lock(path, 0), SG_OK);
    scratch_remove(path);
}

/* A later process with the pid of the dead holder is not the holder. */
static void reused_pid_is_not_the_holder(void **state) {
    char path[256];
    char host[64] = "";
    char text[256];

    (void)state;
    scratch_path(path, sizeof path);
    assert_int_equal(gethostname(host, sizeof host - 1), 0);
    (void)snprintf(text, sizeof text, "host %s\npid %d\nstarted 1\nsince 1000\njob -\n", host,
                   (int)getpid());
    write_lock(path, text, 1);
    assert_int_equal(try_lock(path, 0), SG_OK);
    scratch_remove(path);
}

/* A run whose lock was taken over does not remove its successor's. */
static void release_leaves_others_alone(void **state) {
    struct sg_lock *lock = NULL;
    char path[256];
    char name[300];

    (void)state;
    scratch_path(path, sizeof path);
    lock_name(path, name, sizeof name);
    assert_int_equal(sg_lock_take(path, 0, &lock), SG_OK);
    write_lock(path, "host elsewhere\npid 1\nstarted 5\nsince 1000\njob -\n", 0);
    sg_lock_release(lock);
    assert_int_equal(access(name, F_OK), 0);
    scratch_remove(path);
}

/* A dead lock that cannot be removed ends in a message, not in a loop: here it is a folder. */
static void stubborn_lock_is_busy(void **state) {
    char path[256];
    char name[300];

    (void)state;
    scratch_path(path, sizeof path);
    lock_name(path, name, sizeof name);
    assert_int_equal(mkdir(name, 0700), 0);
    assert_int_equal(
        utimensat(AT_FDCWD, name, (struct timespec[2]){{.tv_sec = 1}, {.tv_sec = 1}}, 0), 0);
    assert_int_equal(try_lock(path, 0.3), SG_E_BUSY);
    scratch_remove(path);
}

enum { CONTENDERS = 8 };

/* Eight runs find a dead lock at once: never two inside. */
static void dead_lock_goes_to_one(void **state) {
    char path[256];
    char inside[300];
    int failures = 0;

    (void)state;
    scratch_path(path, sizeof path);
    (void)snprintf(inside, sizeof inside, "%s.inside", path);
    write_lock(path, "host elsewhere\npid 1\nstarted 5\nsince 1000\njob -\n", 500);
    for (int i = 0; i < CONTENDERS; i++) {
        if (fork() == 0) {
            struct sg_lock *lock = NULL;
            const sg_status status = sg_lock_take(path, 30, &lock);
            const int fd = open(inside, O_CREAT | O_EXCL | O_WRONLY, 0600);

            (void)usleep(5000);
            (void)unlink(inside);
            sg_lock_release(lock);
            _exit(status == SG_OK && fd >= 0 ? 0 : 1);
        }
    }
    for (int i = 0; i < CONTENDERS; i++) {
        int code = -1;

        (void)wait(&code);
        failures += code != 0;
    }
    assert_int_equal(failures, 0);
    scratch_remove(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(held_lock_is_busy),
        cmocka_unit_test(killed_holder_is_replaced),
        cmocka_unit_test(waiting_pays),
        cmocka_unit_test(other_hosts_are_believed_for_two_minutes),
        cmocka_unit_test(earlier_start_of_the_same_batch_job_is_gone),
        cmocka_unit_test(unreadable_locks),
        cmocka_unit_test(reused_pid_is_not_the_holder),
        cmocka_unit_test(release_leaves_others_alone),
        cmocka_unit_test(stubborn_lock_is_busy),
        cmocka_unit_test(dead_lock_goes_to_one),
    };

    sg_log_setup(SG_LOG_ERROR, 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
