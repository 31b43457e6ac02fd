/* src/data/hdf5.c - a dataset of an HDF5 file as items: any numeric type, chunked and compressed or
 * not.
 *
 * Every rank opens the file for itself, read-only and without HDF5's locks, at its first item. */
#include "data/data_impl.h"
#include "sgdist/memory.h"

#include <hdf5.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct sg_h5 {
    hid_t file;
    hid_t dataset;
};

/* Chunks that an item lies in stay unpacked for the next one, up to so many bytes. */
static const size_t max_cache = (size_t)64 << 20;

/* Before any other call: HDF5 must neither print its failures nor clean up behind us. */
static void start(void) {
    static int started;

    if (!started) {
        started = 1;
        (void)H5dont_atexit();
    }
    (void)H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

static hid_t open_file(const char *path) {
    hid_t access;
    hid_t file;

    start();
    access = H5Pcreate(H5P_FILE_ACCESS);
    (void)H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
#if H5_VERSION_GE(1, 10, 7)
    /* Locks fail on some network file systems; nobody writes here. */
    (void)H5Pset_file_locking(access, 0, 1);
#endif
    file = H5Fopen(path, H5F_ACC_RDONLY, access);
    (void)H5Pclose(access);
    return file;
}

void sg_h5_close(struct sg_h5 *h5) {
    if (h5 == NULL) {
        return;
    }
    if (h5->dataset >= 0) {
        (void)H5Dclose(h5->dataset);
    }
    if (h5->file >= 0) {
        (void)H5Fclose(h5->file);
    }
    sg_free(h5);
}

/* Opens with room for the chunks of one item. */
static hid_t open_dataset(hid_t file, const char *name, size_t cache) {
    const hid_t access = H5Pcreate(H5P_DATASET_ACCESS);
    hid_t dataset;

    if (cache > 0) {
        enum { SLOTS = 12421 }; /* a prime, some hundred times the chunks that are kept */

        (void)H5Pset_chunk_cache(access, SLOTS, cache, 1.0);
    }
    dataset = H5Dopen2(file, name, access);
    (void)H5Pclose(access);
    return dataset;
}

/* Bytes of the chunks that one item touches, 0 where there are none, or too many. */
static size_t cache_for(hid_t dataset, const struct sg_array *a) {
    const hid_t plist = H5Dget_create_plist(dataset);
    const hid_t type = H5Dget_type(dataset);
    hsize_t chunk[SG_ARRAY_MAX_AXES];
    double bytes = (double)H5Tget_size(type);
    const int chunked =
        H5Pget_layout(plist) == H5D_CHUNKED && H5Pget_chunk(plist, a->n_axes, chunk) == a->n_axes;

    for (int i = 0; i < a->n_axes && chunked; i++) {
        const double n = (double)(i == 0 ? 1 : a->axes[i]);
        const double length = (double)chunk[i];

        bytes *= length * (double)(int64_t)((n + length - 1.0) / length);
    }
    (void)H5Tclose(type);
    (void)H5Pclose(plist);
    return chunked && bytes <= (double)max_cache ? (size_t)bytes : 0;
}

static sg_status open_h5(const char *path, const char *name, size_t cache, struct sg_h5 **out) {
    sg_status status = SG_OK;
    struct sg_h5 *h5 = sg_calloc(1, sizeof *h5);
    struct stat st;

    SG_CHECK(h5 != NULL, SG_E_NOMEM, "no memory to open a file");
    h5->file = H5I_INVALID_HID;
    h5->dataset = H5I_INVALID_HID;
    SG_CHECK(stat(path, &st) == 0 && S_ISREG(st.st_mode), SG_E_INPUT, "is not a regular file");
    h5->file = open_file(path);
    SG_CHECK(h5->file >= 0, SG_E_INPUT, "is no HDF5 file, or is damaged or cut short");
    h5->dataset = open_dataset(h5->file, name, cache);
    SG_CHECK(h5->dataset >= 0, SG_E_INPUT, "has no dataset '%s'", name);
    *out = h5;
    h5 = NULL;
done:
    sg_h5_close(h5);
    return status;
}

/* ---- what a dataset holds ---- */

/* The type that numbers are read as: bytes and 16-bit numbers of pictures as they are, the others
 * by HDF5 into single precision. */
static int find_type(hid_t dataset, struct sg_array *out) {
    const hid_t type = H5Dget_type(dataset);
    const H5T_class_t class = H5Tget_class(type);
    const size_t bytes = H5Tget_size(type);
    const int is_unsigned = class == H5T_INTEGER && H5Tget_sign(type) == H5T_SGN_NONE;

    (void)H5Tclose(type);
    out->type = is_unsigned && bytes == 1   ? SG_ELEMENT_U8
                : is_unsigned && bytes == 2 ? SG_ELEMENT_U16
                                            : SG_ELEMENT_F32;
    return class == H5T_INTEGER || class == H5T_FLOAT;
}

static sg_status read_axes(hid_t dataset, const char *name, struct sg_array *out) {
    sg_status status = SG_OK;
    hsize_t axes[H5S_MAX_RANK];
    const hid_t space = H5Dget_space(dataset);
    const int n = H5Sget_simple_extent_ndims(space);

    SG_CHECK(n >= 1 && n <= SG_ARRAY_MAX_AXES, SG_E_INPUT,
             "its dataset '%s' has %d axes; 1 to %d are read", name, n > 0 ? n : 0,
             SG_ARRAY_MAX_AXES);
    (void)H5Sget_simple_extent_dims(space, axes, NULL);
    for (int i = 0; i < n; i++) {
        SG_CHECK(axes[i] <= INT64_MAX && sg_array_add_axis(out, (int64_t)axes[i]), SG_E_INPUT,
                 "its dataset '%s' claims to hold more than 2^40 numbers", name);
    }
    SG_CHECK(out->axes[0] > 0, SG_E_INPUT, "its dataset '%s' is empty: axis 0 has length 0", name);
done:
    (void)H5Sclose(space);
    return status;
}

static hid_t memory_type(enum sg_element type) {
    switch (type) {
    case SG_ELEMENT_U8:
        return H5T_NATIVE_UINT8;
    case SG_ELEMENT_U16:
        return H5T_NATIVE_UINT16;
    case SG_ELEMENT_I64:
        return H5T_NATIVE_INT64;
    case SG_ELEMENT_U64:
        return H5T_NATIVE_UINT64;
    default:
        return H5T_NATIVE_FLOAT;
    }
}

/* Numbers first..first + n of axis 0, whole in the other axes. */
static sg_status read_part(const struct sg_h5 *h5, const struct sg_array *a, int64_t first,
                           int64_t n, void *out) {
    sg_status status = SG_OK;
    hsize_t start_at[SG_ARRAY_MAX_AXES] = {(hsize_t)first};
    hsize_t count[SG_ARRAY_MAX_AXES] = {(hsize_t)n};
    const hid_t space = H5Dget_space(h5->dataset);
    hid_t memory = H5I_INVALID_HID;

    for (int i = 1; i < a->n_axes; i++) {
        count[i] = (hsize_t)a->axes[i];
    }
    SG_CHECK(H5Sget_simple_extent_ndims(space) == a->n_axes &&
                 H5Sselect_hyperslab(space, H5S_SELECT_SET, start_at, NULL, count, NULL) >= 0,
             SG_E_INPUT, "it has changed since the run began");
    memory = H5Screate_simple(a->n_axes, count, NULL);
    SG_CHECK(H5Dread(h5->dataset, memory_type(a->type), memory, space, H5P_DEFAULT, out) >= 0,
             SG_E_INPUT,
             "HDF5 cannot read it: damaged, cut short, or packed by a filter that is "
             "not installed");
done:
    if (memory >= 0) {
        (void)H5Sclose(memory);
    }
    (void)H5Sclose(space);
    return status;
}

/* ---- the source ---- */

static sg_status look(struct sg_items *items) {
    sg_status status = SG_OK;

    SG_TRY(open_h5(items->path, items->array_name, 0, &items->h5));
    SG_CHECK(find_type(items->h5->dataset, &items->array), SG_E_INPUT,
             "its dataset '%s' holds no numbers", items->array_name);
    SG_TRY(read_axes(items->h5->dataset, items->array_name, &items->array));
    items->array.cache_bytes = (int64_t)cache_for(items->h5->dataset, &items->array);
done:
    return status;
}

static sg_status read_labels(const char *path, const char *name, int64_t n_items, int32_t **out) {
    sg_status status = SG_OK;
    struct sg_h5 *h5 = NULL;
    struct sg_array a = {.n_axes = 0};
    unsigned char *numbers = NULL;
    int32_t *labels = NULL;
    hid_t type = H5I_INVALID_HID;

    SG_TRY(open_h5(path, name, 0, &h5));
    type = H5Dget_type(h5->dataset);
    SG_TRY(read_axes(h5->dataset, name, &a));
    SG_CHECK(a.n_axes == 1 && H5Tget_class(type) == H5T_INTEGER, SG_E_INPUT,
             "its dataset '%s' is no list of whole numbers, one an item", name);
    SG_CHECK(a.axes[0] == n_items, SG_E_INPUT, "its dataset '%s' has %lld labels for %lld images",
             name, (long long)a.axes[0], (long long)n_items);
    a.type = H5Tget_sign(type) == H5T_SGN_NONE ? SG_ELEMENT_U64 : SG_ELEMENT_I64;
    numbers = sg_calloc((size_t)n_items, sizeof(int64_t));
    labels = sg_calloc((size_t)n_items, sizeof *labels);
    SG_CHECK(numbers != NULL && labels != NULL, SG_E_NOMEM, "no memory for %lld labels",
             (long long)n_items);
    SG_TRY(read_part(h5, &a, 0, n_items, numbers));
    SG_TRY(sg_elements_to_labels(a.type, 0, numbers, n_items, 0, labels));
    *out = labels;
    labels = NULL;
done:
    if (type >= 0) {
        (void)H5Tclose(type);
    }
    sg_h5_close(h5);
    sg_free(numbers);
    sg_free(labels);
    return status;
}

static sg_status list(struct sg_items *items, const struct sg_data_options *options,
                      struct sg_listing *out) {
    sg_status status = SG_OK;
    const char *name = items->array_name;

    SG_TRY(sg_source_refuse(items, look(items)));
    SG_TRY(sg_array_fit(&items->array, options->layout, &items->input, items->kind->name));
    out->n = items->array.axes[0];
    SG_TRY(sg_array_stem(items->path, name + strspn(name, "/"), &out->stem));
    if (options->labels != NULL) {
        status = read_labels(items->path, options->labels, out->n, &out->labels);
        SG_TRY(sg_source_refuse(items, status));
    }
done:
    sg_h5_close(items->h5); /* Items are read with room for their chunks. */
    items->h5 = NULL;
    return status;
}

static sg_status read_item(struct sg_items *items, int64_t i, struct sg_image *out) {
    sg_status status = SG_OK;

    if (items->buffer == NULL) {
        items->buffer = sg_calloc((size_t)sg_array_item_bytes(&items->array), 1);
        SG_CHECK(items->buffer != NULL, SG_E_NOMEM, "no memory for an item");
    }
    if (items->h5 == NULL) {
        status =
            open_h5(items->path, items->array_name, (size_t)items->array.cache_bytes, &items->h5);
    }
    if (status == SG_OK) {
        status = read_part(items->h5, &items->array, items->positions[i], 1, items->buffer);
    }
    SG_CHECK(status != SG_E_INPUT, SG_E_INPUT, "%s: %s", items->path, sg_trace_message());
    SG_TRY(status);
    SG_TRY(sg_array_item(&items->array, items->buffer, out));
done:
    return status;
}

/* HDF5 alone knows where the chunks are. */
static void prefetch(struct sg_items *items, int64_t i) {
    (void)items;
    (void)i;
}

const struct sg_source_kind sg_source_hdf5 = {
    .name = "hdf5", .list = list, .read = read_item, .prefetch = prefetch};
