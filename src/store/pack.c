/* src/store/pack.c - packs a result: laid out, copied, made durable, read back, and only then given
 * its name. */
#include "store/pack_impl.h"

#include "sgdist/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

sg_status sg_pack_tick(struct sg_pack *p, enum sg_pack_phase phase, int64_t bytes) {
    p->done += bytes;
    return p->options->tick == NULL
               ? SG_OK
               : p->options->tick(p->options->context, phase, p->done, p->total);
}

static int64_t whole_bytes(const struct sg_dataset *d) {
    return sg_dataset_bytes(d) * (d->per_item ? d->axes[0] : 1);
}

/* A result that a run may still write, or that has lost something already, stays as it is. */
static sg_status check_source(struct sg_pack *p) {
    sg_status status = SG_OK;
    const int64_t n = sg_reader_n_items(p->from);
    const struct sg_dataset *d = sg_reader_find(p->from, "provenance/complete");
    unsigned char complete = 0;
    int64_t pending = 0;
    char *before = NULL;

    SG_CHECK(d != NULL && sg_dataset_bytes(d) == 1 && !d->per_item, SG_E_ARG,
             "%s: is not the result of a study, which alone can be packed", p->path);
    p->states = sg_calloc((size_t)n, 1);
    SG_CHECK(p->states != NULL, SG_E_NOMEM, "%s: no memory for its items", p->path);
    SG_TRY(sg_reader_statuses(p->from, p->states));
    for (int64_t i = 0; i < n; i++) {
        pending += p->states[i] == 0;
    }
    SG_TRY(sg_reader_read(p->from, d->path, -1, &complete));
    SG_CHECK(complete == 1, SG_E_ARG,
             "%s: is not complete: %lld of its %lld items are pending; end the study first (the "
             "same command as before goes on), because a packed result cannot go on",
             p->path, (long long)pending, (long long)n);
    if (sg_reader_find(p->from, SG_PACKED) != NULL) {
        SG_TRY(sg_reader_text(p->from, SG_PACKED, &before));
        SG_CHECK(strstr(before, "float16") == NULL, SG_E_ARG,
                 "%s: was packed as float16 already (%s), and is as small as it gets", p->path,
                 before);
    }
done:
    sg_free(before);
    return status;
}

static sg_status open_source(struct sg_pack *p) {
    sg_status status = SG_OK;

    SG_TRY(sg_reader_open(p->path, &p->from));
    SG_TRY(check_source(p));
    for (int i = 0; i < sg_reader_n_datasets(p->from); i++) {
        p->total += whole_bytes(sg_reader_dataset(p->from, i));
    }
done:
    return status;
}

/* In its own place a file keeps its mode, and its owner if we may give it to them. */
static void keep_owner(int fd, const struct stat *before) {
    (void)!fchown(fd, before->st_uid, before->st_gid);
    (void)!fchmod(fd, before->st_mode & 07777);
}

/* What was written is forced out of the system's memory where that is possible, so that it is the
 * disk that is compared. */
static sg_status check_and_publish(struct sg_pack *p, const char *out, const struct stat *before) {
    sg_status status = SG_OK;
    const int fd = open(p->temporary, O_RDWR | O_CLOEXEC);
    struct stat now;
    struct stat after;

    SG_CHECK(fd >= 0, SG_E_IO, "%s: %s", p->temporary, strerror(errno));
    SG_TRY(sg_disk_sync(fd, p->temporary));
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    p->done = 0;
    SG_TRY(sg_pack_check(p));
    SG_CHECK(fstat(fd, &after) == 0, SG_E_IO, "%s: %s", p->temporary, strerror(errno));
    if (stat(out, &now) == 0 && now.st_dev == before->st_dev && now.st_ino == before->st_ino) {
        keep_owner(fd, before);
    }
    SG_TRY(sg_disk_publish(fd, p->temporary, out));
    p->report.bytes_before = sg_reader_file_bytes(p->from);
    p->report.bytes_after = after.st_size;
done:
    if (fd >= 0) {
        (void)close(fd);
    }
    return status;
}

sg_status sg_pack(const char *path, const char *out, const struct sg_pack_options *options,
                  struct sg_pack_report *report) {
    sg_status status = SG_OK;
    struct sg_pack p = {.path = path,
                        .options = options,
                        .packing = {.level = options->level, .half = options->half},
                        .report = {.map = NAN, .map_by_se = NAN, .map_most = NAN, .se = NAN}};
    struct stat before;
    int made = 0;

    (void)snprintf(p.how, sizeof p.how, "sgdist %s, HDF5 %s: shuffle, deflate %d%s", SGDIST_VERSION,
                   sg_store_library(), options->level,
                   options->half ? "; maps and standard errors as float16" : "");
    SG_TRY(open_source(&p));
    SG_CHECK(stat(path, &before) == 0, SG_E_IO, "%s: %s", path, strerror(errno));
    SG_TRY(sg_disk_join(p.temporary, out, ".tmp"));
    SG_TRY(sg_disk_make_parents(out));
    (void)unlink(p.temporary); /* of one that was killed at this point */
    made = 1;
    SG_TRY(sg_pack_lay_out(&p));
    SG_TRY(sg_pack_copy(&p));
    SG_TRY(check_and_publish(&p, out, &before));
    *report = p.report;
done:
    if (status != SG_OK && made) {
        (void)unlink(p.temporary);
    }
    sg_reader_close(p.from);
    sg_free(p.states);
    return status;
}
