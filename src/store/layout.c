/* src/store/layout.c - the whole result file, made once: HDF5 writes the structure (structure.c),
 * pwrite the data. */
#include "store/store_impl.h"

#include "sgdist/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What HDF5 adds to a dataset (header, attributes, group entry; measured 1.2 to 2.5 kB), for a part
 * that it is joined from, to a file, and the page of zeros written at a time. */
enum { DATASET_OVERHEAD = 3072, PART_OVERHEAD = 512, FILE_OVERHEAD = 32768, PIECE = 1 << 18 };

int sg_layout_n_entries(const struct sg_layout *layout) {
    return layout->record->n_fields + layout->n_constants;
}

static struct sg_entry field_entry(const struct sg_field *f, int64_t n_items) {
    struct sg_entry e = {.path = f->path,
                         .about = f->about,
                         .type = f->type,
                         .text_bytes = f->text_bytes,
                         .n_axes = f->n_axes + 1,
                         .bytes = f->bytes * n_items,
                         .per_item = 1};

    e.axes[0] = (struct sg_axis){.name = "item", .length = n_items};
    memcpy(e.axes + 1, f->axes, (size_t)f->n_axes * sizeof f->axes[0]);
    return e;
}

static struct sg_entry constant_entry(const struct sg_constant *c) {
    struct sg_entry e = {.path = c->path,
                         .about = c->about,
                         .type = c->type,
                         .text_bytes = c->text_bytes,
                         .n_axes = c->n_axes,
                         .data = c->data,
                         .bytes = sg_type_bytes(c->type, c->text_bytes)};

    for (int i = 0; i < c->n_axes; i++) {
        e.axes[i] = c->axes[i];
        e.bytes *= c->axes[i].length;
    }
    return e;
}

struct sg_entry sg_layout_entry(const struct sg_layout *layout, int i) {
    const int n_fields = layout->record->n_fields;

    return i < n_fields ? field_entry(&layout->record->fields[i], layout->n_items)
                        : constant_entry(&layout->constants[i - n_fields]);
}

static int64_t bytes_in(const struct sg_layout *layout, const struct sg_storage *storage) {
    int64_t bytes = FILE_OVERHEAD + 8 * layout->n_items;

    for (int i = 0; i < sg_layout_n_entries(layout); i++) {
        const struct sg_entry e = sg_layout_entry(layout, i);

        bytes += DATASET_OVERHEAD;
        bytes += sg_storage_is_elsewhere(storage, &e) ? PART_OVERHEAD * storage->n_parts : e.bytes;
        for (int k = 0; k < e.n_axes; k++) {
            bytes += k > 0 ? 8 * e.axes[k].length : 0; /* its scale, at most */
        }
    }
    return bytes;
}

static const struct sg_storage in_one_piece = {.packing = NULL};

int64_t sg_layout_bytes(const struct sg_layout *layout) {
    return bytes_in(layout, &in_one_piece);
}

/* Writes zeros, where space cannot be reserved otherwise. */
static sg_status write_zeros(int fd, const char *path, int64_t offset, int64_t bytes) {
    sg_status status = SG_OK;
    void *zeros = sg_calloc(PIECE, 1);

    SG_CHECK(zeros != NULL, SG_E_NOMEM, "%s: no memory to lay it out", path);
    for (int64_t at = 0; at < bytes; at += PIECE) {
        SG_TRY(
            sg_disk_write(fd, path, zeros, bytes - at < PIECE ? bytes - at : PIECE, offset + at));
    }
done:
    sg_free(zeros);
    return status;
}

static sg_status write_numbers(int fd, const char *path, int64_t offset, int64_t n) {
    sg_status status = SG_OK;
    enum { COUNT = PIECE / 8 };
    int64_t *numbers = sg_calloc(COUNT, sizeof *numbers);

    SG_CHECK(numbers != NULL, SG_E_NOMEM, "%s: no memory to lay it out", path);
    for (int64_t at = 0; at < n; at += COUNT) {
        const int64_t count = n - at < COUNT ? n - at : COUNT;

        for (int64_t i = 0; i < count; i++) {
            numbers[i] = at + i;
        }
        SG_TRY(sg_disk_write(fd, path, numbers, 8 * count, offset + 8 * at));
    }
done:
    sg_free(numbers);
    return status;
}

/* Reserves the space of the closed file and writes the data that is known at the layout. */
static sg_status fill_file(int fd, const char *path, const struct sg_layout *layout,
                           const struct sg_scales *scales, const int64_t *offsets) {
    sg_status status = SG_OK;
    const int n = sg_layout_n_entries(layout);
    struct stat info;
    int reserved;

    SG_CHECK(fstat(fd, &info) == 0, SG_E_IO, "%s: %s", path, strerror(errno));
    SG_TRY(sg_disk_reserve(fd, path, info.st_size, &reserved));
    for (int i = 0; i < n; i++) {
        const struct sg_entry e = sg_layout_entry(layout, i);

        if (e.data != NULL && e.bytes > 0) {
            SG_TRY(sg_disk_write(fd, path, e.data, e.bytes, offsets[i]));
        } else if (!reserved && e.bytes > 0 && offsets[i] >= 0) {
            SG_TRY(write_zeros(fd, path, offsets[i], e.bytes));
        }
    }
    for (int k = 0; k < scales->n; k++) {
        if (!scales->scales[k].given) {
            SG_TRY(write_numbers(fd, path, offsets[n + k], scales->scales[k].axis.length));
        }
    }
done:
    return status;
}

sg_status sg_result_create(const char *path, const struct sg_layout *layout) {
    return sg_result_create_in(path, layout, &in_one_piece);
}

sg_status sg_result_create_in(const char *path, const struct sg_layout *layout,
                              const struct sg_storage *storage) {
    sg_status status = SG_OK;
    struct sg_scales scales = {0};
    char temporary[SG_PATH_BYTES] = "";
    int64_t *offsets = NULL;
    int fd = -1;
    int made = 0;

    SG_TRY(sg_disk_join(temporary, path, ".tmp"));
    SG_TRY(sg_disk_make_parents(path));
    (void)unlink(temporary); /* of a run that was killed at this point */
    SG_TRY(sg_disk_check_space(path, bytes_in(layout, storage)));
    SG_TRY(sg_scales_collect(layout, &scales));
    offsets = sg_calloc((size_t)(sg_layout_n_entries(layout) + scales.n), sizeof *offsets);
    SG_CHECK(offsets != NULL, SG_E_NOMEM, "%s: no memory to lay it out", path);
    made = 1;
    SG_TRY(sg_layout_make(temporary, layout, storage, &scales, offsets));
    fd = open(temporary, O_RDWR | O_CLOEXEC);
    SG_CHECK(fd >= 0, SG_E_IO, "%s: %s", temporary, strerror(errno));
    SG_TRY(fill_file(fd, temporary, layout, &scales, offsets));
    SG_TRY(sg_disk_publish(fd, temporary, path));
done:
    if (fd >= 0) {
        (void)close(fd);
    }
    if (status != SG_OK && made) {
        (void)unlink(temporary);
    }
    sg_free(offsets);
    sg_scales_free(&scales);
    return status;
}
