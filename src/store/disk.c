/* src/store/disk.c - writing so that it is complete, durable, and explained where it fails. */
#include "store/store_impl.h"

#include "sgdist/memory.h"
#include "sgdist/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static struct {
    int64_t countdown; /* 0: off */
    int error;
} fault;

void sg_disk_fail_at(int64_t n, int error) {
    fault.countdown = n;
    fault.error = error;
}

/* Every call that changes the disk passes here first. */
static int faulty(void) {
    if (fault.countdown > 0 && --fault.countdown == 0) {
        errno = fault.error;
        return 1;
    }
    return 0;
}

sg_status sg_disk_error(const char *what, const char *path) {
    const int error = errno;
    const char *advice = "";

    if (error == ENOSPC) {
        advice = ": free some space and start the same command again";
    } else if (error == EDQUOT) {
        advice = ": raise the quota or free some space, and start the same command again";
    } else if (error == EFBIG) {
        advice = ": the limit on file sizes (ulimit -f) or of the file system is too low";
    } else if (error == EROFS || error == EACCES || error == EPERM || error == ENOTDIR ||
               error == ENOENT || error == ELOOP || error == ENAMETOOLONG) {
        advice = ": choose a folder that can be written (study.output, -o)";
    }
    return sg_fail(SG_E_IO, __FILE__, __LINE__, "%s: %s: %s%s", path, what, strerror(error),
                   advice);
}

sg_status sg_disk_join(char *out, const char *path, const char *suffix) {
    sg_status status = SG_OK;

    SG_CHECK(snprintf(out, SG_PATH_BYTES, "%s%s", path, suffix) < SG_PATH_BYTES, SG_E_ARG,
             "%.80s...: the name is longer than %d bytes", path, SG_PATH_BYTES - 1);
done:
    return status;
}

sg_status sg_disk_write(int fd, const char *path, const void *bytes, int64_t n, int64_t offset) {
    const char *from = bytes;

    while (n > 0) {
        const int fails = faulty();
        const size_t take = fails ? 1 : (size_t)n; /* a fault without an error: a short write */
        const ssize_t wrote = fails && errno != 0 ? -1 : pwrite(fd, from, take, (off_t)offset);

        if (wrote < 0 && errno == EINTR) {
            continue;
        }
        if (wrote <= 0) {
            errno = wrote == 0 ? ENOSPC : errno;
            return sg_disk_error("writing failed", path);
        }
        from += wrote;
        offset += wrote;
        n -= wrote;
    }
    return SG_OK;
}

sg_status sg_disk_read(int fd, const char *path, void *bytes, int64_t n, int64_t offset) {
    char *to = bytes;

    while (n > 0) {
        const ssize_t got = pread(fd, to, (size_t)n, (off_t)offset);

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return sg_disk_error("reading failed", path);
        }
        if (got == 0) {
            return sg_fail(SG_E_FORMAT, __FILE__, __LINE__,
                           "%s: the file ends too early, it has been cut", path);
        }
        to += got;
        offset += got;
        n -= got;
    }
    return SG_OK;
}

/* fsync or fdatasync, again after a signal. */
static int sync_again(int fd, int (*sync_once)(int)) {
    int failed;

    do {
        failed = faulty() ? -1 : sync_once(fd);
    } while (failed && errno == EINTR);
    return failed;
}

sg_status sg_disk_sync(int fd, const char *path) {
    return sync_again(fd, fdatasync) != 0 ? sg_disk_error("making it durable failed", path) : SG_OK;
}

/* Makes a change of names in the folder of `path` durable. Some network file systems cannot sync
 * folders (EINVAL); they keep names in order by themselves. */
static sg_status sync_folder(const char *path) {
    sg_status status = SG_OK;
    char folder[SG_PATH_BYTES];
    char *slash;
    int fd = -1;

    SG_TRY(sg_disk_join(folder, path, ""));
    slash = strrchr(folder, '/');
    if (slash == NULL) {
        (void)strcpy(folder, ".");
    } else {
        slash[slash == folder] = '\0';
    }
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && sync_again(fd, fsync) != 0 && errno != EINVAL) {
        SG_TRY(sg_disk_error("making its name durable failed", path));
    }
done:
    if (fd >= 0) {
        (void)close(fd);
    }
    return status;
}

sg_status sg_disk_publish(int fd, const char *temporary, const char *path) {
    sg_status status = SG_OK;

    if (sync_again(fd, fsync) != 0) {
        SG_TRY(sg_disk_error("making it durable failed", temporary));
    }
    if (faulty() || rename(temporary, path) != 0) {
        SG_TRY(sg_disk_error("giving the file its name failed", path));
    }
    SG_TRY(sync_folder(path));
done:
    return status;
}

sg_status sg_disk_make_parents(const char *path) {
    sg_status status = SG_OK;
    char folder[SG_PATH_BYTES];

    SG_TRY(sg_disk_join(folder, path, ""));
    for (char *at = strchr(folder + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        *at = '\0';
        if (mkdir(folder, 0777) != 0 && errno != EEXIST) {
            /* A folder above may be unwritable or read-only and yet exist. */
            struct stat info;
            const int error = errno;

            if (stat(folder, &info) != 0) {
                errno = error;
                SG_TRY(sg_disk_error("making the folder failed", folder));
            }
        }
        *at = '/';
    }
done:
    return status;
}

sg_status sg_disk_check_space(const char *path, int64_t bytes) {
    sg_status status = SG_OK;
    char folder[SG_PATH_BYTES];
    char need[32];
    char have[32];
    struct statvfs fs;
    char *slash;
    double free_bytes;

    SG_TRY(sg_disk_join(folder, path, ""));
    slash = strrchr(folder, '/');
    if (slash == NULL) {
        (void)strcpy(folder, ".");
    } else {
        slash[slash == folder] = '\0';
    }
    if (statvfs(folder, &fs) != 0 || fs.f_blocks == 0) {
        return SG_OK; /* some file systems do not tell; the reservation will */
    }
    free_bytes = (double)fs.f_bavail * (double)fs.f_frsize;
    SG_CHECK((double)bytes <= free_bytes, SG_E_IO,
             "%s: the result takes %s (%lld bytes), but its file system has %s free (%.0f bytes): "
             "free some space, choose another study.output, or keep less (fewer items, methods or "
             "samples kept, maps.channels: sum)",
             path, sg_text_bytes((double)bytes, need, sizeof need), (long long)bytes,
             sg_text_bytes(free_bytes, have, sizeof have), free_bytes);
done:
    return status;
}

sg_status sg_disk_reserve(int fd, const char *path, int64_t bytes, int *supported) {
    int failed;

    *supported = 1;
    do {
        failed = faulty() ? -1 : fallocate(fd, 0, 0, (off_t)bytes);
    } while (failed && errno == EINTR);
    if (failed && (errno == EOPNOTSUPP || errno == ENOSYS)) {
        *supported = 0;
        return SG_OK;
    }
    return failed ? sg_disk_error("reserving its space failed", path) : SG_OK;
}
