/* disk_fault.c - makes the n-th call of a process that changes the disk fail. For LD_PRELOAD.
 *
 *   DISK_FAULT_AT=N        the number of the call, from 1; 0 or none: all succeed
 *   DISK_FAULT_ERROR=E     its error, "ENOSPC" or "EIO"
 *   DISK_FAULT_BELOW=DIR   only calls on files below this folder (an absolute path) count
 *   DISK_FAULT_LOG=FILE    every counted call is written there: number, name, file
 *
 * Counted are open with O_CREAT, write, pwrite, fsync, fdatasync, fallocate, ftruncate, rename and
 * mkdir; with all calls after the N-th as well where DISK_FAULT_STAYS is set, as on a full disk. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static long counted;

static const char *setting(const char *name) {
    const char *value = getenv(name);

    return value != NULL ? value : "";
}

/* Finds the system's own function, once. POSIX lets dlsym's answer be stored like this. */
#define REAL(type, name, ...)                                                                      \
    static type (*real)(__VA_ARGS__);                                                              \
    if (real == NULL) {                                                                            \
        *(void **)&real = dlsym(RTLD_NEXT, name);                                                  \
    }

static int real_open(const char *path, int flags, mode_t mode) {
    REAL(int, "open", const char *, int, ...);
    return real(path, flags, mode);
}

static ssize_t real_write(int fd, const void *bytes, size_t n) {
    REAL(ssize_t, "write", int, const void *, size_t);
    return real(fd, bytes, n);
}

static void keep(const char *call, const char *path) {
    const char *log = setting("DISK_FAULT_LOG");
    char line[PATH_MAX + 64];
    const int n = snprintf(line, sizeof line, "%ld %s %s\n", counted, call, path);
    const int fd =
        log[0] != '\0' ? real_open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666) : -1;

    if (fd >= 0) {
        (void)!real_write(fd, line, (size_t)n);
        (void)close(fd);
    }
}

static int is_below(const char *path) {
    const char *folder = setting("DISK_FAULT_BELOW");
    char whole[PATH_MAX];
    char here[PATH_MAX];

    if (path[0] != '/' && getcwd(here, sizeof here) != NULL) {
        if (snprintf(whole, sizeof whole, "%s/%s", here, path) >= (int)sizeof whole) {
            return 0;
        }
        path = whole;
    }
    return strncmp(path, folder, strlen(folder)) == 0;
}

/* 1, with errno set, if this call must fail. */
static int fails(const char *call, const char *path) {
    const long at = atol(setting("DISK_FAULT_AT"));

    if (!is_below(path)) {
        return 0;
    }
    counted++;
    keep(call, path);
    if (at == 0 || counted < at || (counted > at && setting("DISK_FAULT_STAYS")[0] == '\0')) {
        return 0;
    }
    errno = strcmp(setting("DISK_FAULT_ERROR"), "EIO") == 0 ? EIO : ENOSPC;
    return 1;
}

static int fails_on(const char *call, int fd) {
    char link[64];
    char path[PATH_MAX];
    ssize_t n;

    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof path - 1);
    if (n <= 0 || path[0] != '/') { /* a pipe, say */
        return 0;
    }
    path[n] = '\0';
    return fails(call, path);
}

#define OPEN(name)                                                                                 \
    int name(const char *path, int flags, ...) {                                                   \
        mode_t mode = 0;                                                                           \
        if ((flags & O_CREAT) != 0) {                                                              \
            va_list args;                                                                          \
            va_start(args, flags);                                                                 \
            mode = va_arg(args, mode_t);                                                           \
            va_end(args);                                                                          \
        }                                                                                          \
        return (flags & O_CREAT) != 0 && fails("open", path) ? -1 : real_open(path, flags, mode);  \
    }
OPEN(open)
OPEN(open64)

ssize_t write(int fd, const void *bytes, size_t n) {
    return fails_on("write", fd) ? -1 : real_write(fd, bytes, n);
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at) {
    REAL(ssize_t, "pwrite", int, const void *, size_t, off_t);
    return fails_on("pwrite", fd) ? -1 : real(fd, bytes, n, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t at) {
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    return fails_on("pwrite", fd) ? -1 : real(fd, bytes, n, at);
}

int fsync(int fd) {
    REAL(int, "fsync", int);
    return fails_on("fsync", fd) ? -1 : real(fd);
}

int fdatasync(int fd) {
    REAL(int, "fdatasync", int);
    return fails_on("fdatasync", fd) ? -1 : real(fd);
}

int fallocate(int fd, int mode, off_t at, off_t n) {
    REAL(int, "fallocate", int, int, off_t, off_t);
    return fails_on("fallocate", fd) ? -1 : real(fd, mode, at, n);
}

int ftruncate(int fd, off_t n) {
    REAL(int, "ftruncate", int, off_t);
    return fails_on("ftruncate", fd) ? -1 : real(fd, n);
}

int ftruncate64(int fd, off64_t n) {
    REAL(int, "ftruncate64", int, off64_t);
    return fails_on("ftruncate", fd) ? -1 : real(fd, n);
}

int rename(const char *from, const char *to) {
    REAL(int, "rename", const char *, const char *);
    return fails("rename", to) ? -1 : real(from, to);
}

int mkdir(const char *path, mode_t mode) {
    REAL(int, "mkdir", const char *, mode_t);
    return access(path, F_OK) != 0 && fails("mkdir", path) ? -1 : real(path, mode);
}
