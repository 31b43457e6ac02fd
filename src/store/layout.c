/* src/store/layout.c - the whole result file, made once: HDF5 writes the structure, pwrite the
 * data. */
#include "store/store_impl.h"

#include "sgdist/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What HDF5 adds to a dataset (header, attributes, group entry; measured 1.2 to 2.5 kB), to a file,
 * and the page of zeros written at a time. */
enum { DATASET_OVERHEAD = 3072, FILE_OVERHEAD = 32768, PIECE = 1 << 18 };

int sg_layout_n_entries(const struct sg_layout *layout) {
    return layout->record->n_fields + layout->n_constants;
}

static struct sg_entry field_entry(const struct sg_field *f, int64_t n_items) {
    struct sg_entry e = {.path = f->path,
                         .about = f->about,
                         .type = f->type,
                         .text_bytes = f->text_bytes,
                         .n_axes = f->n_axes + 1,
                         .bytes = f->bytes * n_items};

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

int64_t sg_layout_bytes(const struct sg_layout *layout) {
    int64_t bytes = FILE_OVERHEAD + 8 * layout->n_items;

    for (int i = 0; i < sg_layout_n_entries(layout); i++) {
        const struct sg_entry e = sg_layout_entry(layout, i);

        bytes += DATASET_OVERHEAD + e.bytes;
        for (int k = 0; k < e.n_axes; k++) {
            bytes += k > 0 ? 8 * e.axes[k].length : 0; /* its scale, at most */
        }
    }
    return bytes;
}

/* Properties of datasets: in one piece, given a place at once, no times, nothing filled in. */
static hid_t dataset_properties(void) {
    const hid_t p = H5Pcreate(H5P_DATASET_CREATE);

    if (p >= 0 &&
        (H5Pset_layout(p, H5D_CONTIGUOUS) < 0 || H5Pset_alloc_time(p, H5D_ALLOC_TIME_EARLY) < 0 ||
         H5Pset_fill_time(p, H5D_FILL_TIME_NEVER) < 0 || H5Pset_obj_track_times(p, 0) < 0)) {
        (void)H5Pclose(p);
        return H5I_INVALID_HID;
    }
    return p;
}

/* "item target y x": tells readers without dimension scales what the axes are, and ours which
 * dataset is per item. */
static void axes_text(const struct sg_scales *scales, const struct sg_entry *e, char *out,
                      size_t cap) {
    size_t used = 0;

    out[0] = '\0';
    for (int i = 0; i < e->n_axes && used < cap; i++) {
        const int k = sg_scales_find(scales, &e->axes[i]);
        const int n = snprintf(out + used, cap - used, "%s%s", i > 0 ? " " : "",
                               k != SG_SCALE_NONE ? scales->scales[k].name : e->axes[i].name);

        used += n > 0 ? (size_t)n : 0;
    }
}

/* Makes the dataset of an entry; *offset is its place, -1 if it is empty. */
static sg_status make_dataset(hid_t file, const struct sg_scales *scales, const struct sg_entry *e,
                              int64_t *offset) {
    sg_status status = SG_OK;
    const hid_t links = H5Pcreate(H5P_LINK_CREATE);
    const hid_t properties = dataset_properties();
    const hid_t type = sg_hdf_type(e->type, e->text_bytes);
    hid_t space = H5I_INVALID_HID;
    hid_t dataset = H5I_INVALID_HID;
    hsize_t lengths[SG_MAX_FIELD_AXES + 1];
    char axes[(SG_MAX_SCALE_NAME + 1) * (SG_MAX_FIELD_AXES + 1)];
    char reason[256];
    haddr_t at;

    for (int i = 0; i < e->n_axes; i++) {
        lengths[i] = (hsize_t)e->axes[i].length;
    }
    space = e->n_axes > 0 ? H5Screate_simple(e->n_axes, lengths, NULL) : H5Screate(H5S_SCALAR);
    axes_text(scales, e, axes, sizeof axes);
    if (H5Pset_create_intermediate_group(links, 1) >= 0) {
        dataset = H5Dcreate2(file, e->path, type, space, links, properties, H5P_DEFAULT);
    }
    SG_CHECK(dataset >= 0 && sg_hdf_put_prose(dataset, "long_name", e->about) == 0 &&
                 (e->n_axes == 0 || sg_hdf_put_word(dataset, "axes", axes) == 0),
             SG_E_IO, "%s of the result cannot be laid out (HDF5: %s)", e->path,
             sg_hdf_reason(reason, sizeof reason));
    at = H5Dget_offset(dataset);
    SG_CHECK(at != HADDR_UNDEF || e->bytes == 0, SG_E_IO, "%s of the result got no place", e->path);
    *offset = at == HADDR_UNDEF ? -1 : (int64_t)at;
done:
    (void)H5Dclose(dataset);
    (void)H5Sclose(space);
    (void)H5Tclose(type);
    (void)H5Pclose(properties);
    (void)H5Pclose(links);
    return status;
}

/* A scale that no constant gives: the numbers 0, 1, 2, ... */
static struct sg_entry numbered_scale(const struct sg_scale *scale) {
    struct sg_entry e = {.path = scale->name,
                         .about = "index along this axis",
                         .type = SG_TYPE_I64,
                         .n_axes = 1,
                         .bytes = 8 * scale->axis.length};

    e.axes[0] = scale->axis;
    return e;
}

/* The structure as HDF5 makes it; offsets[] of the entries, then of the scales. */
static sg_status make_structure(hid_t file, const struct sg_layout *layout,
                                const struct sg_scales *scales, int64_t *offsets) {
    sg_status status = SG_OK;
    const int n = sg_layout_n_entries(layout);
    char fields[16];
    char reason[256];

    (void)snprintf(fields, sizeof fields, "%d", layout->record->n_fields);
    SG_CHECK(sg_hdf_put_word(file, "format", "sgdist result") == 0 &&
                 sg_hdf_put_word(file, "format_version", SG_FORMAT_VERSION) == 0 &&
                 sg_hdf_put_prose(file, "title", layout->title != NULL ? layout->title : "") == 0 &&
                 sg_hdf_put_word(file, "fields", fields) == 0,
             SG_E_IO, "the head of the result cannot be laid out (HDF5: %s)",
             sg_hdf_reason(reason, sizeof reason));
    for (int k = 0; k < scales->n; k++) {
        const struct sg_entry e = numbered_scale(&scales->scales[k]);

        if (!scales->scales[k].given) {
            SG_TRY(make_dataset(file, scales, &e, &offsets[n + k]));
        }
    }
    for (int i = 0; i < n; i++) {
        const struct sg_entry e = sg_layout_entry(layout, i);

        SG_TRY(make_dataset(file, scales, &e, &offsets[i]));
    }
    SG_TRY(sg_scales_write(scales, file, layout));
done:
    return status;
}

/* Makes the file with its structure, closed again. */
static sg_status make_file(const char *path, const struct sg_layout *layout,
                           const struct sg_scales *scales, int64_t *offsets) {
    sg_status status = SG_OK;
    const hid_t access = sg_hdf_access();
    hid_t file = H5I_INVALID_HID;
    char reason[256];
    int closed;

    SG_CHECK(access >= 0, SG_E_NOMEM, "%s: no memory to make it", path);
    errno = 0;
    file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, access);
    if (file < 0 && errno != 0) {
        SG_TRY(sg_disk_error("making the file failed", path));
    }
    SG_CHECK(file >= 0, SG_E_IO, "%s: making the file failed: %s", path,
             sg_hdf_reason(reason, sizeof reason));
    status = make_structure(file, layout, scales, offsets);
    SG_CHECK(status == SG_OK, status, "%s: %s", path, sg_trace_message());
    errno = 0;
    closed = H5Fclose(file) >= 0;
    file = H5I_INVALID_HID;
    if (!closed && errno != 0) {
        SG_TRY(sg_disk_error("writing failed", path));
    }
    SG_CHECK(closed, SG_E_IO, "%s: writing failed: %s", path, sg_hdf_reason(reason, sizeof reason));
done:
    (void)H5Fclose(file);
    (void)H5Pclose(access);
    return status;
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
        } else if (!reserved && e.bytes > 0) {
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
    sg_status status = SG_OK;
    struct sg_scales scales = {0};
    char temporary[SG_PATH_BYTES] = "";
    int64_t *offsets = NULL;
    int fd = -1;
    int made = 0;

    SG_TRY(sg_disk_join(temporary, path, ".tmp"));
    SG_TRY(sg_disk_make_parents(path));
    (void)unlink(temporary); /* of a run that was killed at this point */
    SG_TRY(sg_disk_check_space(path, sg_layout_bytes(layout)));
    SG_TRY(sg_scales_collect(layout, &scales));
    offsets = sg_calloc((size_t)(sg_layout_n_entries(layout) + scales.n), sizeof *offsets);
    SG_CHECK(offsets != NULL, SG_E_NOMEM, "%s: no memory to lay it out", path);
    made = 1;
    SG_TRY(make_file(temporary, layout, &scales, offsets));
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
