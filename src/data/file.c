/* src/data/file.c - whole files into memory, and pictures from them. */
#include "data/data_impl.h"
#include "sgdist/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Far above any image of SG_MAX_PIXELS that is worth decoding. */
static const int64_t MAX_FILE_BYTES = INT64_C(1) << 30;

static sg_status read_all(int fd, unsigned char *bytes, size_t n, sg_status code) {
    sg_status status = SG_OK;
    size_t at = 0;

    while (at < n) {
        const ssize_t got = read(fd, bytes + at, n - at);

        if (got < 0 && errno == EINTR) {
            continue;
        }
        SG_CHECK(got >= 0, code, "cannot be read: %s", strerror(errno));
        SG_CHECK(got > 0, code, "became shorter while it was read");
        at += (size_t)got;
    }
done:
    return status;
}

sg_status sg_read_whole(const char *path, sg_status code, int named, unsigned char **bytes,
                        size_t *n) {
    sg_status status = SG_OK;
    unsigned char *all = NULL;
    struct stat st;
    /* Without O_NONBLOCK a named pipe would wait for its writer. */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    SG_CHECK(fd >= 0, code, "cannot be opened: %s", strerror(errno));
    SG_CHECK(fstat(fd, &st) == 0, code, "cannot be read: %s", strerror(errno));
    SG_CHECK(S_ISREG(st.st_mode), code, "is not a regular file");
    SG_CHECK(st.st_size <= MAX_FILE_BYTES, code, "is larger than 1 GiB");
    all = sg_calloc((size_t)st.st_size + 1, 1);
    SG_CHECK(all != NULL, SG_E_NOMEM, "no memory for a file of %lld bytes", (long long)st.st_size);
    SG_TRY(read_all(fd, all, (size_t)st.st_size, code));

    *bytes = all;
    *n = (size_t)st.st_size;
    all = NULL;
done:
    sg_free(all);
    if (fd >= 0) {
        (void)close(fd);
    }
    if (status == code && named) {
        status = sg_fail(code, __FILE__, __LINE__, "%s: %s", path, sg_trace_message());
    }
    return status;
}

sg_status sg_decode_file(char *path, struct sg_image *out) {
    sg_status status = SG_OK;
    unsigned char *bytes = NULL;
    size_t n = 0;

    SG_CHECK(path != NULL, SG_E_NOMEM, "no memory for a path");
    SG_TRY(sg_read_whole(path, SG_E_INPUT, 0, &bytes, &n));
    SG_TRY(sg_decode(bytes, n, out));
done:
    sg_free(bytes);
    sg_free(path);
    return status;
}

void sg_prefetch_file(char *path) {
    const int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;

    if (fd >= 0) {
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED);
        (void)close(fd);
    }
    sg_free(path);
}
