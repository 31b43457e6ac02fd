/* src/store/lock.c - one run at a time: a file that says who runs where, and shows signs of life.
 *
 * The system's own file locks would be simpler, but on the file systems of clusters they are often
 * missing, or local to one node. */
#include "store/store_impl.h"

#include "sgdist/clock.h"
#include "sgdist/log.h"
#include "sgdist/memory.h"
#include "sgdist/text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A sign of life every 10 s, so two minutes without are twelve missed ones. */
enum { BEAT_S = 10, SILENCE_S = 120, WRITING_S = 10, TEXT_BYTES = 512, POLL_NS = 200000000 };

struct sg_lock {
    char path[SG_PATH_BYTES];
    char text[TEXT_BYTES]; /* what this run wrote: how it knows the file for its own */
    time_t beaten;
};

/* What a lock file says, with what can be told about its writer. */
struct look {
    struct sg_holder holder;
    char text[TEXT_BYTES];
    uint64_t started; /* the process's start in ticks since boot: tells it from a later one */
};

/* The start of a process in clock ticks since boot (field 22 of /proc/<pid>/stat), 0 if unknown. */
static uint64_t start_ticks(int64_t pid) {
    char name[64];
    char line[1024];
    size_t n;
    uint64_t ticks = 0;
    const char *at;
    FILE *f;

    (void)snprintf(name, sizeof name, "/proc/%" PRId64 "/stat", pid);
    f = fopen(name, "r");
    if (f == NULL) {
        return 0;
    }
    n = fread(line, 1, sizeof line - 1, f);
    (void)fclose(f);
    line[n] = '\0';
    at = strrchr(line, ')'); /* the name before it may hold anything */
    for (int field = 2; at != NULL && field < 22; field++) {
        at = strchr(at + 1, ' ');
    }
    return at != NULL && sscanf(at, " %" SCNu64, &ticks) == 1 ? ticks : 0;
}

static void host_name(char *buf, size_t cap) {
    if (gethostname(buf, cap) != 0) {
        (void)snprintf(buf, cap, "unknown");
    }
    buf[cap - 1] = '\0';
}

/* A process of this host is asked for; one of another host is believed while it shows life. */
/* The batch job and how often it has been started again, "1234.0", or "". */
static void batch_job(char *buf, size_t cap) {
    const char *job = getenv("SLURM_JOB_ID");
    const char *restarts = getenv("SLURM_RESTART_COUNT");

    (void)snprintf(buf, cap, "%s%s%s", job != NULL ? job : "",
                   job != NULL && job[0] != '\0' ? "." : "",
                   job == NULL || job[0] == '\0' ? ""
                   : restarts != NULL            ? restarts
                                                 : "0");
}

/* 1 if the holder is an earlier start of this very batch job, which ended before we could begin: a
 * job whose node died need not wait for the silence of the dead node's lock. */
static int is_our_past(const struct sg_holder *h) {
    char mine[64];
    const char *dot;

    batch_job(mine, sizeof mine);
    dot = strchr(mine, '.');
    return dot != NULL && strncmp(mine, h->job, (size_t)(dot - mine) + 1) == 0 &&
           strcmp(mine, h->job) != 0;
}

static int is_alive(const struct look *look) {
    char host[64];

    host_name(host, sizeof host);
    if (is_our_past(&look->holder)) {
        return 0;
    }
    if (strcmp(host, look->holder.host) != 0) {
        return look->holder.age_s < SILENCE_S;
    }
    if (kill((pid_t)look->holder.pid, 0) != 0 && errno == ESRCH) {
        return 0;
    }
    return look->started == 0 || look->started == start_ticks(look->holder.pid);
}

/* Reads the lock file `name`: 1, or 0 if there is none. One that cannot be understood is taken for
 * one that is just being written, for WRITING_S. */
static int look_at(const char *name, struct look *out) {
    struct sg_holder *h = &out->holder;
    const int fd = open(name, O_RDONLY | O_CLOEXEC);
    struct stat info;
    ssize_t n;
    int fields;

    *out = (struct look){0};
    if (fd < 0) {
        h->alive = 1; /* counts where it exists and may not be read: somebody's */
        return errno != ENOENT;
    }
    n = read(fd, out->text, sizeof out->text - 1);
    out->text[n > 0 ? n : 0] = '\0';
    if (fstat(fd, &info) != 0) {
        info.st_mtime = 0;
    }
    (void)close(fd);
    h->age_s = difftime(time(NULL), info.st_mtime);
    fields = sscanf(out->text,
                    "host %63s\npid %" SCNd64 "\nstarted %" SCNu64 "\nsince %" SCNd64 "\njob %63s",
                    h->host, &h->pid, &out->started, &h->since, h->job);
    if (strcmp(h->job, "-") == 0) {
        h->job[0] = '\0';
    }
    h->alive = fields == 5 ? is_alive(out) : h->age_s < WRITING_S;
    return 1;
}

int sg_lock_look(const char *path, struct sg_holder *out) {
    char name[SG_PATH_BYTES];
    struct look look;

    if (sg_disk_join(name, path, ".lock") != SG_OK || !look_at(name, &look)) {
        return 0;
    }
    *out = look.holder;
    return 1;
}

static void write_text(struct sg_lock *lock) {
    char host[64];
    char job[64];

    batch_job(job, sizeof job);
    host_name(host, sizeof host);
    (void)snprintf(lock->text, sizeof lock->text,
                   "host %s\npid %d\nstarted %" PRIu64 "\nsince %lld\njob %.63s\n", host,
                   (int)getpid(), start_ticks(getpid()), (long long)time(NULL),
                   job[0] != '\0' ? job : "-");
}

/* Makes the lock file; *taken is 0 if there is one already. */
static sg_status make_file(const struct sg_lock *lock, int *taken) {
    sg_status status = SG_OK;
    const int fd = open(lock->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

    *taken = fd >= 0;
    if (fd < 0 && errno != EEXIST) {
        SG_TRY(sg_disk_error("making the lock failed", lock->path));
    }
    if (fd >= 0) {
        status = sg_disk_write(fd, lock->path, lock->text, (int64_t)strlen(lock->text), 0);
        (void)close(fd);
    }
    if (status != SG_OK) {
        (void)unlink(lock->path);
        *taken = 0;
    }
done:
    return status;
}

static int is_same_file(int fd, const char *name) {
    struct stat a;
    struct stat b;

    return fstat(fd, &a) == 0 && stat(name, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

/* Removes a dead run's lock. Two runs may see it dead at once, and the slower one must not remove
 * what the quicker one has made since: a system lock on the dead file lets one of them in, and the
 * other finds another file under the name. 1 if it is removed. Where there are no such locks the
 * window is microseconds.
 */
static int bury(const struct sg_lock *lock, const struct look *dead) {
    const int fd = open(lock->path, O_RDWR | O_CLOEXEC);
    struct look look;
    int removed;

    if (fd < 0) {
        return 0; /* another user's, say: it is for people to remove */
    }
    removed = (flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) &&
              is_same_file(fd, lock->path) && look_at(lock->path, &look) &&
              strcmp(look.text, dead->text) == 0 && unlink(lock->path) == 0;
    if (removed) {
        sg_log(SG_LOG_INFO,
               "taking over the lock of a run that is gone (process %" PRId64 " on %s)",
               dead->holder.pid, dead->holder.host[0] != '\0' ? dead->holder.host : "?");
    }
    (void)close(fd);
    return removed;
}

static sg_status busy(const struct sg_lock *lock, const struct sg_holder *h) {
    char since[32] = "?";
    const time_t start = (time_t)h->since;
    struct tm parts;

    if (localtime_r(&start, &parts) != NULL) {
        (void)strftime(since, sizeof since, "%Y-%m-%d %H:%M:%S", &parts);
    }
    return sg_fail(SG_E_BUSY, __FILE__, __LINE__,
                   "%.*s: process %" PRId64 " on %s%s%s writes it since %s (last sign of life %.0f "
                   "s ago): wait for it or stop it; if you are sure that it is gone, remove %s",
                   (int)(strlen(lock->path) - strlen(".lock")), lock->path, h->pid,
                   h->host[0] != '\0' ? h->host : "?", h->job[0] != '\0' ? ", job " : "", h->job,
                   since, h->age_s, lock->path);
}

/* Tries until the lock is ours, or its holder has lived through `wait_s` seconds. */
static sg_status contend(const struct sg_lock *lock, double wait_s) {
    sg_status status = SG_OK;
    const struct timespec poll = {.tv_nsec = POLL_NS};
    const double end = sg_now() + wait_s;
    struct look look;
    int taken = 0;
    int waits = 0;

    while (!taken) {
        SG_TRY(make_file(lock, &taken));
        if (taken || !look_at(lock->path, &look)) {
            continue; /* ours, or gone between the two looks */
        }
        if (!look.holder.alive && bury(lock, &look)) {
            continue;
        }
        if (sg_now() >= end) {
            SG_TRY(busy(lock, &look.holder));
        }
        if (!waits) {
            sg_log(SG_LOG_INFO,
                   "waiting up to %.0f s for process %" PRId64 " on %s to let go of %s", wait_s,
                   look.holder.pid, look.holder.host, lock->path);
        }
        waits = 1;
        (void)nanosleep(&poll, NULL);
    }
done:
    return status;
}

sg_status sg_lock_take(const char *path, double wait_s, struct sg_lock **out) {
    sg_status status = SG_OK;
    struct sg_lock *lock = sg_calloc(1, sizeof *lock);

    SG_CHECK(lock != NULL, SG_E_NOMEM, "%s: no memory for its lock", path);
    SG_TRY(sg_disk_join(lock->path, path, ".lock"));
    SG_TRY(sg_disk_make_parents(path));
    write_text(lock);
    SG_TRY(contend(lock, wait_s));
    lock->beaten = time(NULL);
    *out = lock;
    lock = NULL;
done:
    sg_free(lock);
    return status;
}

/* 1 if the file is still the one that this run wrote. */
static int is_own(const struct sg_lock *lock) {
    struct look look;

    return look_at(lock->path, &look) && strcmp(look.text, lock->text) == 0;
}

void sg_lock_beat(struct sg_lock *lock) {
    const time_t now = time(NULL);

    if (now - lock->beaten < BEAT_S && now >= lock->beaten) {
        return;
    }
    lock->beaten = now;
    if (is_own(lock)) {
        (void)utimensat(AT_FDCWD, lock->path, NULL, 0); /* the file's time is the sign of life */
    } else {
        sg_log(SG_LOG_WARN,
               "%s was removed or taken by another run: do not let two runs write one "
               "result",
               lock->path);
    }
}

void sg_lock_release(struct sg_lock *lock) {
    if (lock == NULL) {
        return;
    }
    if (is_own(lock)) {
        (void)unlink(lock->path);
    }
    sg_free(lock);
}
