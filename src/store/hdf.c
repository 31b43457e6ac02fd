/* src/store/hdf.c - HDF5 for both directions: properties, types, attributes, the list of datasets.
 */
#include "store/store_impl.h"

#include "sgdist/memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "records are written as they are in memory; the file is little endian");

/* Before any other call of HDF5. After a write that failed HDF5 (1.10.8) crashes in its own
 * clean-up at the end of the process; every file is closed here anyway. */
static void start_hdf(void) {
    static int started;

    if (!started) {
        started = 1;
        (void)H5dont_atexit();
        (void)unsetenv("HDF5_VDS_PREFIX"); /* a joined result is read where it says */
    }
}

int sg_hdf_hold_files(int64_t n) {
    static int64_t held;
    const rlim_t others = 64;
    struct rlimit limit;
    rlim_t need;

    held += n;
    need = (rlim_t)held + others;
    if (n <= 0 || getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= need) {
        return 1;
    }
    limit.rlim_cur = limit.rlim_max;
    if (limit.rlim_max >= need && setrlimit(RLIMIT_NOFILE, &limit) == 0) {
        return 1;
    }
    held -= n;
    return 0;
}

hid_t sg_hdf_access(void) {
    hid_t access;

    start_hdf();
    /* HDF5 prints its failures unless told otherwise, once for every thread. */
    (void)H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    access = H5Pcreate(H5P_FILE_ACCESS);
    if (access < 0 || H5Pset_libver_bounds(access, H5F_LIBVER_EARLIEST, H5F_LIBVER_V18) < 0 ||
        H5Pset_sieve_buf_size(access, 0) < 0 ||
        H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) < 0) {
        return H5I_INVALID_HID;
    }
#if H5_VERSION_GE(1, 10, 7)
    /* Locks would keep readers out, and fail on some network file systems; ours is lock.c. */
    (void)H5Pset_file_locking(access, 0, 1);
#endif
    return access;
}

struct words {
    char *buf;
    size_t cap;
};

static herr_t keep_words(unsigned depth, const H5E_error2_t *error, void *data) {
    const struct words *w = data;

    (void)depth;
    (void)snprintf(w->buf, w->cap, "%s", error->desc != NULL ? error->desc : "");
    return 0;
}

const char *sg_hdf_reason(char *buf, size_t cap) {
    struct words w = {buf, cap};

    (void)snprintf(buf, cap, "unknown reason");
    (void)H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, keep_words, &w); /* the cause comes last */
    return buf;
}

hid_t sg_hdf_type(enum sg_type type, int64_t text_bytes) {
    hid_t text;

    switch (type) {
    case SG_TYPE_F32:
        return H5Tcopy(H5T_IEEE_F32LE);
    case SG_TYPE_F64:
        return H5Tcopy(H5T_IEEE_F64LE);
    case SG_TYPE_I32:
        return H5Tcopy(H5T_STD_I32LE);
    case SG_TYPE_I64:
        return H5Tcopy(H5T_STD_I64LE);
    case SG_TYPE_U64:
        return H5Tcopy(H5T_STD_U64LE);
    case SG_TYPE_U8:
        return H5Tcopy(H5T_STD_U8LE);
    case SG_TYPE_TEXT:
        break;
    }
    text = H5Tcopy(H5T_C_S1);
    if (text >= 0 &&
        (H5Tset_size(text, (size_t)text_bytes) < 0 || H5Tset_strpad(text, H5T_STR_NULLPAD) < 0 ||
         H5Tset_cset(text, H5T_CSET_UTF8) < 0)) {
        (void)H5Tclose(text);
        return H5I_INVALID_HID;
    }
    return text;
}

int sg_hdf_type_of(hid_t type, enum sg_type *out, int64_t *text_bytes) {
    static const enum sg_type fixed[] = {SG_TYPE_F32, SG_TYPE_F64, SG_TYPE_I32,
                                         SG_TYPE_I64, SG_TYPE_U64, SG_TYPE_U8};

    *text_bytes = 0;
    if (H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0) {
        *out = SG_TYPE_TEXT;
        *text_bytes = (int64_t)H5Tget_size(type);
        return 0;
    }
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        const hid_t candidate = sg_hdf_type(fixed[i], 0);
        const htri_t equal = H5Tequal(type, candidate);

        (void)H5Tclose(candidate);
        if (equal > 0) {
            *out = fixed[i];
            return 0;
        }
    }
    return -1;
}

hid_t sg_hdf_half(void) {
    const hid_t type = H5Tcopy(H5T_IEEE_F32LE);

    /* In this order: HDF5 refuses a size that the fields do not fit into. */
    if (type >= 0 && (H5Tset_fields(type, 15, 10, 5, 0, 10) < 0 || H5Tset_precision(type, 16) < 0 ||
                      H5Tset_size(type, 2) < 0 || H5Tset_ebias(type, 15) < 0)) {
        (void)H5Tclose(type);
        return H5I_INVALID_HID;
    }
    return type;
}

static int is_half(hid_t type) {
    const hid_t half = sg_hdf_half();
    const htri_t equal = H5Tequal(type, half);

    (void)H5Tclose(half);
    return equal > 0;
}

/* An attribute of one string of the given size, H5T_VARIABLE or bytes. */
static int put_text(hid_t object, const char *name, size_t size, const void *data) {
    const hid_t type = H5Tcopy(H5T_C_S1);
    const hid_t space = H5Screate(H5S_SCALAR);
    hid_t attribute = H5I_INVALID_HID;
    int failed = H5Tset_size(type, size) < 0 || H5Tset_cset(type, H5T_CSET_UTF8) < 0;

    if (!failed) {
        attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
        failed = attribute < 0 || H5Awrite(attribute, type, data) < 0;
    }
    (void)H5Aclose(attribute);
    (void)H5Sclose(space);
    (void)H5Tclose(type);
    return failed ? -1 : 0;
}

int sg_hdf_put_prose(hid_t object, const char *name, const char *text) {
    return put_text(object, name, H5T_VARIABLE, &text);
}

int sg_hdf_put_word(hid_t object, const char *name, const char *text) {
    return put_text(object, name, strlen(text) + 1, text);
}

int sg_hdf_get_word(hid_t object, const char *name, char *buf, size_t cap) {
    const hid_t attribute =
        H5Aexists(object, name) > 0 ? H5Aopen(object, name, H5P_DEFAULT) : H5I_INVALID_HID;
    const hid_t type = attribute >= 0 ? H5Aget_type(attribute) : H5I_INVALID_HID;
    const hid_t space = attribute >= 0 ? H5Aget_space(attribute) : H5I_INVALID_HID;
    const int found = type >= 0 && H5Tget_class(type) == H5T_STRING &&
                      H5Tis_variable_str(type) == 0 && H5Tget_size(type) < cap &&
                      H5Sget_simple_extent_npoints(space) == 1 &&
                      H5Aread(attribute, type, buf) >= 0;

    if (found) {
        buf[H5Tget_size(type)] = '\0';
    }
    (void)H5Sclose(space);
    (void)H5Tclose(type);
    (void)H5Aclose(attribute);
    return found;
}

int sg_hdf_get_prose(hid_t object, const char *name, char *buf, size_t cap) {
    const hid_t attribute =
        H5Aexists(object, name) > 0 ? H5Aopen(object, name, H5P_DEFAULT) : H5I_INVALID_HID;
    const hid_t type = attribute >= 0 ? H5Aget_type(attribute) : H5I_INVALID_HID;
    const hid_t space = attribute >= 0 ? H5Aget_space(attribute) : H5I_INVALID_HID;
    char *text = NULL;
    const int found = type >= 0 && H5Tis_variable_str(type) > 0 &&
                      H5Sget_simple_extent_npoints(space) == 1 &&
                      H5Aread(attribute, type, &text) >= 0 && text != NULL;

    if (found) {
        (void)snprintf(buf, cap, "%s", text);
        (void)H5Dvlen_reclaim(type, space, H5P_DEFAULT, &text);
    }
    (void)H5Sclose(space);
    (void)H5Tclose(type);
    (void)H5Aclose(attribute);
    return found;
}

static int is_result(hid_t file) {
    char format[32];

    return sg_hdf_get_word(file, "format", format, sizeof format) &&
           strcmp(format, "sgdist result") == 0;
}

static sg_status not_opened(const char *path, const char *reason) {
    sg_status status = SG_OK;
    long long have;
    long long want;
    const int is_cut =
        sscanf(reason, "truncated file: eof = %lld, sblock->base_addr = 0, stored_eof = %lld",
               &have, &want) == 2;

    SG_CHECK(!is_cut, SG_E_FORMAT,
             "%s: the file has been cut: %lld of its %lld bytes are there; get it whole from where "
             "it was copied",
             path, have, want);
    SG_CHECK(0, SG_E_FORMAT, "%s: is not an HDF5 file, or damaged (HDF5: %s)", path, reason);
done:
    return status;
}

sg_status sg_hdf_open(const char *path, hid_t *out) {
    sg_status status = SG_OK;
    const hid_t access = sg_hdf_access();
    hid_t file = H5I_INVALID_HID;
    char reason[256];
    char version[32] = "?";
    struct stat info;

    SG_CHECK(access >= 0, SG_E_NOMEM, "%s: no memory to open it", path);
    SG_CHECK(eaccess(path, R_OK) == 0 && stat(path, &info) == 0, SG_E_IO, "%s: %s", path,
             strerror(errno));
    SG_CHECK(!S_ISDIR(info.st_mode), SG_E_FORMAT, "%s: is a folder, not a result", path);
    file = H5Fopen(path, H5F_ACC_RDONLY, access);
    if (file < 0) {
        SG_TRY(not_opened(path, sg_hdf_reason(reason, sizeof reason)));
    }
    SG_CHECK(is_result(file), SG_E_FORMAT,
             "%s: is an HDF5 file, but not a result of sgdist (its root attribute 'format' is not "
             "'sgdist result')",
             path);
    SG_CHECK(sg_hdf_get_word(file, "format_version", version, sizeof version) &&
                 strcmp(version, SG_FORMAT_VERSION) == 0,
             SG_E_FORMAT, "%s: is a result in format version %s; this program reads version %s",
             path, version, SG_FORMAT_VERSION);
    *out = file;
    file = H5I_INVALID_HID;
done:
    (void)H5Fclose(file);
    (void)H5Pclose(access);
    return status;
}

struct listing {
    struct sg_places *places;
    int out_of_memory;
};

static struct sg_place *add_place(struct sg_places *p) {
    if (p->n == p->capacity) {
        const int capacity = p->capacity > 0 ? 2 * p->capacity : 64;
        struct sg_place *grown = sg_realloc(p->places, (size_t)capacity, sizeof *grown);

        if (grown == NULL) {
            return NULL;
        }
        p->places = grown;
        p->capacity = capacity;
    }
    p->places[p->n] = (struct sg_place){0};
    return &p->places[p->n++];
}

/* Shape and place of an open dataset; -1 for one that no result of ours has (someone added it). */
static int describe(hid_t dataset, const char *path, struct sg_place *place) {
    struct sg_dataset *d = &place->dataset;
    const hid_t type = H5Dget_type(dataset);
    const hid_t space = H5Dget_space(dataset);
    const haddr_t offset = H5Dget_offset(dataset);
    hsize_t lengths[SG_MAX_FIELD_AXES + 1];
    char axes[512];
    int known;

    place->is_half = is_half(type);
    known = strlen(path) <= SG_MAX_PATH &&
            (place->is_half || sg_hdf_type_of(type, &d->type, &d->text_bytes) == 0);
    d->type = place->is_half ? SG_TYPE_F32 : d->type;
    d->n_axes = H5Sget_simple_extent_ndims(space);
    known = known && d->n_axes >= 0 && d->n_axes <= SG_MAX_FIELD_AXES + 1 &&
            H5Sget_simple_extent_dims(space, lengths, NULL) >= 0;
    if (known) {
        (void)snprintf(d->path, sizeof d->path, "%s", path);
        for (int i = 0; i < d->n_axes; i++) {
            d->axes[i] = (int64_t)lengths[i];
        }
        d->per_item = sg_hdf_get_word(dataset, "axes", axes, sizeof axes) &&
                      strcspn(axes, " ") == 4 && strncmp(axes, "item", 4) == 0;
        place->offset = offset == HADDR_UNDEF || place->is_half ? -1 : (int64_t)offset;
        place->bytes = sg_type_bytes(d->type, d->text_bytes);
        for (int i = 0; i < d->n_axes; i++) {
            known = known && !__builtin_mul_overflow(place->bytes, d->axes[i], &place->bytes);
        }
    }
    (void)H5Sclose(space);
    (void)H5Tclose(type);
    return known ? 0 : -1;
}

static herr_t list_one(hid_t group, const char *name, const H5L_info_t *info, void *data) {
    struct listing *listing = data;
    const hid_t object = H5Oopen(group, name, H5P_DEFAULT);
    struct sg_place *place;

    (void)info;
    if (object >= 0 && H5Iget_type(object) == H5I_DATASET) {
        place = add_place(listing->places);
        listing->out_of_memory = place == NULL;
        if (place != NULL && describe(object, name, place) != 0) {
            listing->places->n--;
        }
    }
    (void)H5Oclose(object);
    return listing->out_of_memory;
}

static int by_path(const void *a, const void *b) {
    return strcmp(((const struct sg_place *)a)->dataset.path,
                  ((const struct sg_place *)b)->dataset.path);
}

sg_status sg_hdf_list(hid_t file, const char *path, struct sg_places *out) {
    sg_status status = SG_OK;
    struct sg_places places = {0};
    struct listing listing = {.places = &places};
    const struct sg_place *item;
    char fields[32];
    char reason[256];
    const herr_t visited = H5Lvisit(file, H5_INDEX_NAME, H5_ITER_INC, list_one, &listing);

    SG_CHECK(!listing.out_of_memory, SG_E_NOMEM, "%s: no memory for the list of its datasets",
             path);
    SG_CHECK(visited >= 0, SG_E_FORMAT, "%s: is damaged (HDF5: %s)", path,
             sg_hdf_reason(reason, sizeof reason));
    if (places.n > 1) {
        qsort(places.places, (size_t)places.n, sizeof places.places[0], by_path);
    }
    item = sg_places_find(&places, "item");
    SG_CHECK(item != NULL && item->dataset.n_axes == 1 &&
                 sg_hdf_get_word(file, "fields", fields, sizeof fields),
             SG_E_FORMAT, "%s: is damaged: the list of items is missing", path);
    places.n_items = item->dataset.axes[0];
    places.n_fields = strtol(fields, NULL, 10);
    for (int i = 0; i < places.n; i++) {
        const struct sg_dataset *d = &places.places[i].dataset;

        SG_CHECK(!d->per_item || (d->n_axes > 0 && d->axes[0] == places.n_items), SG_E_FORMAT,
                 "%s: is damaged: %s has another number of items than the list of items", path,
                 d->path);
    }
    *out = places;
    places = (struct sg_places){0};
done:
    sg_places_free(&places);
    return status;
}

void sg_places_free(struct sg_places *p) {
    sg_free(p->places);
    *p = (struct sg_places){0};
}

const struct sg_place *sg_places_find(const struct sg_places *p, const char *path) {
    int low = 0;
    int high = p->n;

    while (low < high) {
        const int middle = low + (high - low) / 2;
        const int order = strcmp(p->places[middle].dataset.path, path);

        if (order == 0) {
            return &p->places[middle];
        }
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    return NULL;
}

const char *sg_store_library(void) {
    static char text[32];
    unsigned major = 0;
    unsigned minor = 0;
    unsigned release = 0;

    start_hdf();
    (void)H5get_libversion(&major, &minor, &release);
    (void)snprintf(text, sizeof text, "%u.%u.%u", major, minor, release);
    return text;
}
