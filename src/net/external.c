/* src/net/external.c - reads a model's file, and numbers that tensors keep in files beside it.
 *
 * A model is data from elsewhere: it must not be able to make the program read, and so publish in
 * maps, files that its user did not mean. Hence a data file has to lie below the model's own folder
 * once all links are followed. */
#include "net/external.h"

#include "sgdist/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* 0, or -1 with errno; a file that ends too early gives errno 0. */
static int read_at(int fd, int64_t offset, void *out, int64_t n) {
    int64_t at = 0;

    while (at < n) {
        const ssize_t got = pread(fd, (char *)out + at, (size_t)(n - at), (off_t)(offset + at));

        if (got == 0) {
            errno = 0;
        }
        if (got <= 0 && !(got < 0 && errno == EINTR)) {
            return -1;
        }
        at += got > 0 ? got : 0;
    }
    return 0;
}

static const char *reason(void) {
    return errno != 0 ? strerror(errno) : "it became shorter while it was read";
}

sg_status sg_file_read(const char *path, unsigned char **bytes, size_t *n) {
    sg_status status = SG_OK;
    unsigned char *read = NULL;
    struct stat info;
    const int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

    SG_CHECK(fd >= 0 && fstat(fd, &info) == 0, SG_E_MODEL, "%s: %s", path, strerror(errno));
    SG_CHECK(S_ISREG(info.st_mode), SG_E_MODEL, "%s: not a file", path);
    read = sg_malloc_aligned((size_t)info.st_size, 1);
    SG_CHECK(read != NULL, SG_E_NOMEM, "%s: no memory to read it", path);
    SG_CHECK(read_at(fd, 0, read, info.st_size) == 0, SG_E_MODEL, "%s: %s", path, reason());
    *bytes = read;
    *n = (size_t)info.st_size;
    read = NULL;
done:
    sg_free(read);
    if (fd >= 0) {
        (void)close(fd);
    }
    return status;
}

/* 1 if the path `below` begins with that of the folder. */
static int is_below(const char *folder, const char *below) {
    const size_t n = strlen(folder);

    return strncmp(folder, below, n) == 0 && (below[n] == '/' || strcmp(folder, "/") == 0);
}

/* 1 if `..` is one of the path's parts. */
static int goes_up(const char *path) {
    while (path != NULL) {
        if (strncmp(path, "..", 2) == 0 && (path[2] == '/' || path[2] == '\0')) {
            return 1;
        }
        path = strchr(path, '/');
        path = path != NULL ? path + 1 : NULL;
    }
    return 0;
}

/* The real path of the tensor's file, for the caller (free). */
static sg_status find(const char *model, const struct onnx_tensor *t, char **out) {
    sg_status status = SG_OK;
    const char *slash = strrchr(model, '/');
    const size_t n_folder = slash != NULL ? (size_t)(slash - model) + 1 : 0;
    char *joined = sg_calloc(n_folder + strlen(t->location) + 3, 1);
    char *folder = NULL;
    char *real = NULL;

    SG_CHECK(joined != NULL, SG_E_NOMEM, "%s: no memory for a path", model);
    SG_CHECK(t->location[0] != '\0', SG_E_MODEL,
             "%s: tensor '%s' keeps its data in another file, but does not name it", model,
             t->name);
    SG_CHECK(t->location[0] != '/' && !goes_up(t->location), SG_E_MODEL,
             "%s: tensor '%s' keeps its data in '%s'; only files below the model's own folder are "
             "read",
             model, t->name, t->location);
    memcpy(joined, model, n_folder);
    (void)strcpy(joined + n_folder, n_folder > 0 ? "." : "./");
    folder = realpath(joined, NULL);
    (void)strcpy(joined + n_folder, t->location);
    real = realpath(joined, NULL);
    SG_CHECK(folder != NULL && real != NULL, SG_E_MODEL,
             "%s: tensor '%s' keeps its data in '%s': %s", model, t->name, t->location,
             strerror(errno));
    SG_CHECK(is_below(folder, real), SG_E_MODEL,
             "%s: tensor '%s' keeps its data in '%s', which leads to %s; only files below the "
             "model's own folder are read",
             model, t->name, t->location, real);
    *out = real;
    real = NULL;
done:
    free(folder);
    free(real);
    sg_free(joined);
    return status;
}

sg_status sg_external_open(const char *model, const struct onnx_tensor *t, int64_t n, int *fd) {
    sg_status status = SG_OK;
    char *path = NULL;
    struct stat info;
    int64_t end;

    *fd = -1;
    SG_TRY(find(model, t, &path));
    *fd = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    SG_CHECK(*fd >= 0 && fstat(*fd, &info) == 0, SG_E_MODEL,
             "%s: tensor '%s' keeps its data in '%s': %s", model, t->name, t->location,
             strerror(errno));
    SG_CHECK(S_ISREG(info.st_mode), SG_E_MODEL,
             "%s: tensor '%s' keeps its data in '%s', which is not a file", model, t->name,
             t->location);
    SG_CHECK(t->length < 0 || t->length == n, SG_E_MODEL,
             "%s: tensor '%s' has %lld bytes in '%s', but its shape needs %lld", model, t->name,
             (long long)t->length, t->location, (long long)n);
    SG_CHECK(!__builtin_add_overflow(t->offset, n, &end) && end <= info.st_size, SG_E_MODEL,
             "%s: tensor '%s' needs %lld bytes from byte %lld of '%s', which has only %lld", model,
             t->name, (long long)n, (long long)t->offset, t->location, (long long)info.st_size);
done:
    free(path);
    if (status != SG_OK && *fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
    return status;
}

sg_status sg_external_read(const char *model, const struct onnx_tensor *t, int fd, void *out,
                           int64_t n) {
    sg_status status = SG_OK;

    SG_CHECK(read_at(fd, t->offset, out, n) == 0, SG_E_MODEL,
             "%s: tensor '%s' keeps its data in '%s': %s", model, t->name, t->location, reason());
done:
    return status;
}
