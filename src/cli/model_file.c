/* src/cli/model_file.c - reads an ONNX file whole. */
#include "cli/model_file.h"

#include "sgdist/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static sg_status read_all(int fd, const char *path, char *bytes, size_t n) {
    sg_status status = SG_OK;
    size_t at = 0;

    while (at < n) {
        const ssize_t got = read(fd, bytes + at, n - at);

        SG_CHECK(got > 0 || (got < 0 && errno == EINTR), SG_E_MODEL, "%s: %s", path,
                 got == 0 ? "it became shorter while it was read" : strerror(errno));
        at += got > 0 ? (size_t)got : 0;
    }
done:
    return status;
}

sg_status model_file_read(const char *path, struct model_file *out) {
    sg_status status = SG_OK;
    struct model_file f = {0};
    struct stat info;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);

    SG_CHECK(fd >= 0 && fstat(fd, &info) == 0, SG_E_MODEL, "%s: %s", path, strerror(errno));
    SG_CHECK(S_ISREG(info.st_mode), SG_E_MODEL, "%s: not a file", path);
    f.n = (size_t)info.st_size;
    f.bytes = sg_malloc_aligned(f.n, 1);
    SG_CHECK(f.bytes != NULL, SG_E_NOMEM, "%s: no memory to read it", path);
    SG_TRY(read_all(fd, path, f.bytes, f.n));
    *out = f;
    f = (struct model_file){0};
done:
    model_file_close(&f);
    if (fd >= 0) {
        (void)close(fd);
    }
    return status;
}

sg_status model_file_build(struct model_file *f, const char *path, const struct sg_explain *what) {
    sg_status status = SG_OK;

    SG_TRY(sg_model_open(f->bytes, f->n, path, what, &f->model));
    SG_TRY(sg_model_place(f->model, NULL, 1));
done:
    return status;
}

sg_status model_file_open(const char *path, const struct sg_explain *what, struct model_file *out) {
    sg_status status = SG_OK;
    struct model_file f = {0};

    SG_TRY(model_file_read(path, &f));
    SG_TRY(model_file_build(&f, path, what));
    *out = f;
    f = (struct model_file){0};
done:
    model_file_close(&f);
    return status;
}

void model_file_close(struct model_file *f) {
    sg_model_destroy(f->model);
    sg_free(f->bytes);
    *f = (struct model_file){0};
}
