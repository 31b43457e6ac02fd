/* src/store/store_impl.h - what the files of the store share: one way to the disk, one way to HDF5.
 */
#ifndef SGDIST_STORE_IMPL_H
#define SGDIST_STORE_IMPL_H

#include "sgdist/store.h"

#include <hdf5.h>
#include <stddef.h>

/* ---- disk.c: the only place that writes; complete, repeated after signals, made to fail by tests
 * ---- */

enum { SG_PATH_BYTES = 4096 };

/* The format of the files that this program writes, and reads. */
#define SG_FORMAT_VERSION "1"

/* Joins into out[SG_PATH_BYTES]. Errors: SG_E_ARG if the name gets too long. */
sg_status sg_disk_join(char *out, const char *path, const char *suffix);

/* SG_E_IO with the reason in errno, and what to do about it where that is known. */
sg_status sg_disk_error(const char *what, const char *path);

/* Writes all n bytes at `offset`. `path` is for the message. */
sg_status sg_disk_write(int fd, const char *path, const void *bytes, int64_t n, int64_t offset);

/* Reads all n bytes at `offset`; SG_E_FORMAT if the file ends before. */
sg_status sg_disk_read(int fd, const char *path, void *bytes, int64_t n, int64_t offset);

/* Makes the file's data durable. */
sg_status sg_disk_sync(int fd, const char *path);

/* Syncs the file, gives it its final name and makes the name durable. */
sg_status sg_disk_publish(int fd, const char *temporary, const char *path);

/* Makes the folders above `path`. */
sg_status sg_disk_make_parents(const char *path);

/* Refuses early where the file system of `path` cannot hold `bytes` more. */
sg_status sg_disk_check_space(const char *path, int64_t bytes);

/* Reserves the first `bytes` of the file without changing what is read from them: SG_OK, or
 * SG_E_IO. *supported is 0 where the file system knows no reservation. */
sg_status sg_disk_reserve(int fd, const char *path, int64_t bytes, int *supported);

/* Makes the n-th write, sync, reservation or rename from now fail with `error`; n = 0 switches it
 * off. A write fails with error 0 by being short: one byte. For tests. */
void sg_disk_fail_at(int64_t n, int error);

/* ---- hdf.c: HDF5's silence, types and the list of a file's datasets ---- */

/* A dataset and its place in the file. */
struct sg_place {
    struct sg_dataset dataset;
    int64_t offset; /* in the file; -1: not contiguous, or empty */
    int64_t bytes;  /* as it is read */
    int is_half;    /* float16 in the file, float32 to readers */
};

struct sg_places {
    int n;
    int capacity;
    struct sg_place *places; /* in order of path */
    int64_t n_items;
    int64_t n_fields; /* datasets of the record it was laid out from */
};

/* Access properties: earliest format, no file locking, nothing cached that another process may
 * change. Negative on failure. */
hid_t sg_hdf_access(void);

/* n more files are about to be held open, -n no longer. 0 if the system's limit is too low for all
 * of them: HDF5 takes a part of a joined result that it cannot open for one that is not there. */
int sg_hdf_hold_files(int64_t n);

/* HDF5's own words on its last failure, for the end of a message. */
const char *sg_hdf_reason(char *buf, size_t cap);

/* The type in the file (the caller closes it), and back; -1 for a type that results do not have. */
hid_t sg_hdf_type(enum sg_type type, int64_t text_bytes);
int sg_hdf_type_of(hid_t type, enum sg_type *out, int64_t *text_bytes);

/* IEEE float16 in the file; the caller closes it. */
hid_t sg_hdf_half(void);

/* Opens a result read-only. Errors: SG_E_IO, SG_E_FORMAT. */
sg_status sg_hdf_open(const char *path, hid_t *out);

/* Lists all datasets. Errors: SG_E_FORMAT, SG_E_NOMEM. */
sg_status sg_hdf_list(hid_t file, const char *path, struct sg_places *out);
void sg_places_free(struct sg_places *p);
const struct sg_place *sg_places_find(const struct sg_places *p, const char *path);

/* Attributes. Prose is for people: of variable length, which h5py shows as str. Words are for our
 * reader: of fixed length, because HDF5 (1.10.8) can crash on damaged strings of variable length.
 * The getter returns 1 and fills buf if there is one. */
int sg_hdf_put_prose(hid_t object, const char *name, const char *text);
int sg_hdf_put_word(hid_t object, const char *name, const char *text);
int sg_hdf_get_word(hid_t object, const char *name, char *buf, size_t cap);
int sg_hdf_get_prose(hid_t object, const char *name, char *buf, size_t cap);

/* ---- layout.c: a layout as a row of datasets ---- */

struct sg_entry {
    const char *path;
    const char *about;
    enum sg_type type;
    int64_t text_bytes;
    int n_axes; /* with the item axis */
    struct sg_axis axes[SG_MAX_FIELD_AXES + 1];
    const void *data; /* NULL: zeros */
    int64_t bytes;
    int per_item; /* 1: a field of the record */
};

/* The fields of the record, then the constants: sg_layout_n_entries() of them. */
int sg_layout_n_entries(const struct sg_layout *layout);
struct sg_entry sg_layout_entry(const struct sg_layout *layout, int i);

struct sg_scales;

/* ---- chunks.c: how a packed result lies in its file ---- */

struct sg_packing {
    int level; /* of deflate, 1 to 9 */
    int half;  /* 1: maps and standard errors as float16 */
};

/* 1 if what is float32 to readers is stored as float16. */
int sg_packing_halves(const struct sg_packing *p, const char *path, enum sg_type type);

/* The lengths of a compressed piece along each axis, with the item axis first where there is one;
 * 0 for a dataset that is too small to be worth it, which lies in one piece. */
int sg_packing_chunk(const struct sg_packing *p, const struct sg_dataset *d,
                     int64_t chunk[SG_MAX_FIELD_AXES + 1]);

/* ---- structure.c ---- */

/* A file with some of a joined result's items. */
struct sg_part {
    char file[SG_PATH_BYTES]; /* as seen from the folder of the joined one, or absolute */
    int64_t first, n;
};

/* Where the data of a file lie: in one piece each (all zeros), in compressed pieces, or, if they
 * are per item, in other files. */
struct sg_storage {
    const struct sg_packing *packing;
    int n_parts;
    const struct sg_part *parts;
};

static inline int sg_storage_is_elsewhere(const struct sg_storage *s, const struct sg_entry *e) {
    return s->n_parts > 0 && e->per_item;
}

/* Makes a file with the structure of a layout, closed again, without data. offsets[] get the places
 * of the entries, then of the scales; -1 for what has none. Errors: SG_E_IO with the reason,
 * SG_E_NOMEM. */
sg_status sg_layout_make(const char *path, const struct sg_layout *layout,
                         const struct sg_storage *storage, const struct sg_scales *scales,
                         int64_t *offsets);

/* sg_result_create with another storage than in one piece each; not for packed ones, whose data
 * come through HDF5. */
sg_status sg_result_create_in(const char *path, const struct sg_layout *layout,
                              const struct sg_storage *storage);

/* ---- joined.c ---- */

struct sg_text;

/* Adds the line of SG_JOINED for a part, whose provenance/identity is given. */
void sg_joined_add(struct sg_text *out, const struct sg_part *part, const char *identity);

/* Looks at all parts of the joined result `path`: *n_parts of them are counted as held open
 * (sg_hdf_hold_files), their sizes are added to *bytes. Errors: SG_E_IO, SG_E_FORMAT, SG_E_NOMEM
 * with the part's name. */
sg_status sg_joined_check(const char *path, const char *text, int64_t *n_parts, int64_t *bytes);

/* 1 if maps are rounded to float16. */
int sg_reader_is_half(const struct sg_reader *r);

/* 1 if datasets are of one type and shape, but for the number of items. */
int sg_same_kind(const struct sg_dataset *a, const struct sg_dataset *b);

/* ---- relayout.c: the layout of a result that exists ---- */

struct sg_relayout {
    struct sg_record record;
    int n_constants;
    struct sg_constant *constants; /* without data; room for one more */
    char title[200];
};

/* SG_E_ARG if it holds what sgdist did not write. */
sg_status sg_relayout_check(const char *path, const struct sg_reader *from);

/* Reads it from the file's datasets and attributes, without the paths for which `is_left_out` is 1.
 * Errors: SG_E_FORMAT, SG_E_IO, SG_E_NOMEM. */
sg_status sg_relayout_read(const char *path, const struct sg_reader *from,
                           int (*is_left_out)(const char *path), struct sg_relayout *out);
void sg_relayout_free(struct sg_relayout *r);

/* ---- half.c: float16, with a factor for each part that shares one ---- */

/* The power of two that brings the largest finite value to 2^14 and above: nothing overflows, and
 * what is above 2^-29 of it keeps all 11 bits. 1 where all is zero or not finite. */
float sg_half_scale(const float *v, int64_t n);

/* out = v / scale, to the nearest, ties to even; and back, v = in * scale, exact. `in` may be the
 * upper half of `out`. */
void sg_half_encode(const float *v, int64_t n, float scale, uint16_t *out);
void sg_half_decode(const void *in, int64_t n, float scale, void *out);

/* What a dataset of float16 is called with its scale: "maps/smoothgrad/map_scale". */
#define SG_HALF_SCALE "_scale"

/* ---- scales.c: dimension scales that h5py, netCDF-4 and xarray understand ---- */

enum { SG_MAX_SCALE_NAME = 59, SG_SCALE_NONE = -1 };

struct sg_scale {
    struct sg_axis axis;
    char name[SG_MAX_SCALE_NAME + 1]; /* of the dataset below the root */
    int given;                        /* 1: a constant of this path gives the values */
};

struct sg_scales {
    int n;
    int capacity;
    struct sg_scale *scales;
};

/* The scales of a layout, the items first, each called as its axis, but <name>_<length> where an
 * axis of this name and another length came before, and <name>_index where a dataset of several
 * axes has the axis's name. Errors: SG_E_NOMEM. */
sg_status sg_scales_collect(const struct sg_layout *layout, struct sg_scales *out);
void sg_scales_free(struct sg_scales *s);

/* The scale of an axis, or SG_SCALE_NONE. */
int sg_scales_find(const struct sg_scales *s, const struct sg_axis *axis);

/* Ties the datasets of the layout, all of which exist, to their scales: the attributes CLASS, NAME,
 * DIMENSION_LIST and REFERENCE_LIST of the HDF5 dimension scale specification, _Netcdf4Dimid of
 * netCDF-4. Errors: SG_E_IO, SG_E_NOMEM. */
sg_status sg_scales_write(const struct sg_scales *s, hid_t file, const struct sg_layout *layout);

#endif
