/* src/store/structure.c - the structure of a result as HDF5 makes it: groups, datasets, attributes,
 * scales. */
#include "store/store_impl.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

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

/* File names in which HDF5 looks for numbers of blocks, "%b". */
static void quote(const char *name, char *out, size_t cap) {
    size_t n = 0;

    for (; *name != '\0' && n + 3 < cap; name++) {
        out[n++] = *name;
        if (*name == '%') {
            out[n++] = '%';
        }
    }
    out[n] = '\0';
}

/* The rows of a part, wherever they are: 1 if HDF5 has taken them. */
static int add_part(hid_t p, const struct sg_part *part, const struct sg_entry *e) {
    hsize_t start[SG_MAX_FIELD_AXES + 1] = {(hsize_t)part->first};
    hsize_t count[SG_MAX_FIELD_AXES + 1];
    char name[2 * SG_PATH_BYTES];
    char path[SG_MAX_PATH + 2];
    hid_t all;
    hid_t rows;
    int taken;

    for (int i = 0; i < e->n_axes; i++) {
        count[i] = (hsize_t)e->axes[i].length;
    }
    all = H5Screate_simple(e->n_axes, count, NULL);
    count[0] = (hsize_t)part->n;
    rows = H5Screate_simple(e->n_axes, count, NULL);
    quote(part->file, name, sizeof name);
    (void)snprintf(path, sizeof path, "/%s", e->path);
    taken = H5Sselect_hyperslab(all, H5S_SELECT_SET, start, NULL, count, NULL) >= 0 &&
            H5Pset_virtual(p, all, name, path, rows) >= 0;
    (void)H5Sclose(all);
    (void)H5Sclose(rows);
    return taken;
}

/* What lies in the parts. Where one is missing there are zeros, so that its items are pending, and
 * NaN. */
static hid_t joined_properties(const struct sg_storage *storage, const struct sg_entry *e) {
    const hid_t p = H5Pcreate(H5P_DATASET_CREATE);
    const float nan = NAN;
    int good = p >= 0 && H5Pset_obj_track_times(p, 0) >= 0;

    if (good && (e->type == SG_TYPE_F32 || e->type == SG_TYPE_F64)) {
        good = H5Pset_fill_value(p, H5T_NATIVE_FLOAT, &nan) >= 0;
    }
    for (int i = 0; i < storage->n_parts && good; i++) {
        good = storage->parts[i].n == 0 || add_part(p, &storage->parts[i], e);
    }
    if (!good) {
        (void)H5Pclose(p);
        return H5I_INVALID_HID;
    }
    return p;
}

/* Compressed by pieces, with the zeros of HDF5 behind the end of an axis; as above where it is
 * small. */
static hid_t packed_properties(const struct sg_packing *packing, const struct sg_entry *e) {
    struct sg_dataset d = {.type = e->type, .text_bytes = e->text_bytes, .n_axes = e->n_axes};
    int64_t chunk[SG_MAX_FIELD_AXES + 1];
    hsize_t lengths[SG_MAX_FIELD_AXES + 1];
    hid_t p;

    (void)snprintf(d.path, sizeof d.path, "%s", e->path);
    for (int i = 0; i < e->n_axes; i++) {
        d.axes[i] = e->axes[i].length;
    }
    if (!sg_packing_chunk(packing, &d, chunk)) {
        return dataset_properties();
    }
    for (int i = 0; i < e->n_axes; i++) {
        lengths[i] = (hsize_t)chunk[i];
    }
    p = H5Pcreate(H5P_DATASET_CREATE);
    if (p >= 0 &&
        (H5Pset_chunk(p, e->n_axes, lengths) < 0 || H5Pset_shuffle(p) < 0 ||
         H5Pset_deflate(p, (unsigned)packing->level) < 0 || H5Pset_obj_track_times(p, 0) < 0)) {
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

/* What all datasets of a file are made with. */
struct maker {
    hid_t file;
    const struct sg_scales *scales;
    const struct sg_storage *storage;
};

static hid_t type_of(const struct maker *m, const struct sg_entry *e) {
    const struct sg_packing *packing = m->storage->packing;

    return packing != NULL && sg_packing_halves(packing, e->path, e->type)
               ? sg_hdf_half()
               : sg_hdf_type(e->type, e->text_bytes);
}

static hid_t properties_of(const struct maker *m, const struct sg_entry *e) {
    return m->storage->packing != NULL              ? packed_properties(m->storage->packing, e)
           : sg_storage_is_elsewhere(m->storage, e) ? joined_properties(m->storage, e)
                                                    : dataset_properties();
}

/* Makes the dataset of an entry; *offset is its place, -1 if it is empty, packed or elsewhere. */
static sg_status make_dataset(const struct maker *m, const struct sg_entry *e, int64_t *offset) {
    sg_status status = SG_OK;
    const hid_t links = H5Pcreate(H5P_LINK_CREATE);
    const hid_t properties = properties_of(m, e);
    const hid_t type = type_of(m, e);
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
    axes_text(m->scales, e, axes, sizeof axes);
    if (H5Pset_create_intermediate_group(links, 1) >= 0) {
        dataset = H5Dcreate2(m->file, e->path, type, space, links, properties, H5P_DEFAULT);
    }
    SG_CHECK(dataset >= 0 && sg_hdf_put_prose(dataset, "long_name", e->about) == 0 &&
                 (e->n_axes == 0 || sg_hdf_put_word(dataset, "axes", axes) == 0),
             SG_E_IO, "%s of the result cannot be laid out (HDF5: %s)", e->path,
             sg_hdf_reason(reason, sizeof reason));
    at = H5Dget_offset(dataset);
    SG_CHECK(at != HADDR_UNDEF || e->bytes == 0 || m->storage->packing != NULL ||
                 sg_storage_is_elsewhere(m->storage, e),
             SG_E_IO, "%s of the result got no place", e->path);
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
static sg_status make_structure(const struct maker *m, const struct sg_layout *layout,
                                int64_t *offsets) {
    sg_status status = SG_OK;
    const hid_t file = m->file;
    const struct sg_scales *scales = m->scales;
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
            SG_TRY(make_dataset(m, &e, &offsets[n + k]));
        }
    }
    for (int i = 0; i < n; i++) {
        const struct sg_entry e = sg_layout_entry(layout, i);

        SG_TRY(make_dataset(m, &e, &offsets[i]));
    }
    SG_TRY(sg_scales_write(scales, file, layout));
done:
    return status;
}

sg_status sg_layout_make(const char *path, const struct sg_layout *layout,
                         const struct sg_storage *storage, const struct sg_scales *scales,
                         int64_t *offsets) {
    sg_status status = SG_OK;
    const hid_t access = sg_hdf_access();
    struct maker m = {.file = H5I_INVALID_HID, .scales = scales, .storage = storage};
    char reason[256];
    int closed;

    SG_CHECK(access >= 0 &&
                 (storage->n_parts == 0 ||
                  H5Pset_libver_bounds(access, H5F_LIBVER_EARLIEST, H5F_LIBVER_LATEST) >= 0),
             SG_E_NOMEM, "%s: no memory to make it", path);
    errno = 0;
    m.file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, access);
    if (m.file < 0 && errno != 0) {
        SG_TRY(sg_disk_error("making the file failed", path));
    }
    SG_CHECK(m.file >= 0, SG_E_IO, "%s: making the file failed: %s", path,
             sg_hdf_reason(reason, sizeof reason));
    status = make_structure(&m, layout, offsets);
    SG_CHECK(status == SG_OK, status, "%s: %s", path, sg_trace_message());
    errno = 0;
    closed = H5Fclose(m.file) >= 0;
    m.file = H5I_INVALID_HID;
    if (!closed && errno != 0) {
        SG_TRY(sg_disk_error("writing failed", path));
    }
    SG_CHECK(closed, SG_E_IO, "%s: writing failed: %s", path, sg_hdf_reason(reason, sizeof reason));
done:
    (void)H5Fclose(m.file);
    (void)H5Pclose(access);
    return status;
}
