/* src/data/data_impl.h - what the files of the data room share: lists of strings, the table of
 * sources, the items. */
#ifndef SGDIST_DATA_IMPL_H
#define SGDIST_DATA_IMPL_H

#include "data/array.h"
#include "data/image.h"
#include "data/stream.h"
#include "sgdist/data.h"

#include <stddef.h>
#include <stdint.h>

/* ---- a list of strings in one block; zero-initialise ---- */

struct sg_strings {
    int64_t n;
    int64_t capacity;
    int64_t *start; /* [n], offsets into bytes */
    int64_t n_bytes;
    int64_t bytes_capacity;
    char *bytes; /* the strings, each with its NUL */
};

sg_status sg_strings_add(struct sg_strings *s, const char *text, size_t length);
const char *sg_strings_at(const struct sg_strings *s, int64_t i);
void sg_strings_sort(struct sg_strings *s); /* bytewise */
int64_t sg_strings_find_sorted(const struct sg_strings *s, const char *text, size_t length);
void sg_strings_free(struct sg_strings *s);

/* ---- files and their names ---- */

/* The whole of a regular file, with a NUL behind it, for the caller (sg_free). Failures get `code`
 * and name the file only where `named`. */
sg_status sg_read_whole(const char *path, sg_status code, int named, unsigned char **bytes,
                        size_t *n);

/* The picture in a file. `path` is freed here; NULL: memory has run out. Errors: SG_E_INPUT with
 * the reason, without the path. */
sg_status sg_decode_file(char *path, struct sg_image *out);
void sg_prefetch_file(char *path);

int sg_is_image_name(const char *name); /* by its ending */

/* The endings, for messages. */
#define SG_IMAGE_ENDINGS ".jpg, .jpeg, .png"

/* Names are stored as text, which every reader takes for UTF-8. `where` begins the message. */
sg_status sg_check_name(const char *where, const char *name);

/* The first-level folders of sorted names, sorted, and the labels[n] (sg_free) that number them, -1
 * for names without a folder. `folders` are all first-level folders that there are: one without an
 * image is an error (SG_E_JOB), because it would shift the numbers behind it. `where` begins the
 * message. */
sg_status sg_classes_of_names(const char *where, const struct sg_strings *names,
                              const struct sg_strings *folders, struct sg_strings *classes,
                              int32_t **labels);

/* ---- tar ---- */

struct sg_tar_entry {
    char *name;     /* in the archive, whole */
    char type;      /* '0' a file, '5' a folder, else as in the head */
    int64_t offset; /* of its data in the stream */
    int64_t bytes;
};

/* Calls `visit` with every entry of the archive in s[at..end). `where` begins messages. Errors:
 * SG_E_JOB (packed, damaged, cut short) with the place; what `visit` returns. */
sg_status sg_tar_scan(struct sg_stream *s, int64_t at, int64_t end, const char *where,
                      sg_status (*visit)(void *context, const struct sg_tar_entry *entry),
                      void *context);

/* ---- sources ---- */

/* Where an item's bytes lie, for items inside of other files. */
struct sg_place {
    int64_t offset;
    uint32_t bytes; /* UINT32_MAX: so many or more */
    int32_t file;   /* number in items->files */
};

/* A source's full list. */
struct sg_listing {
    int64_t n;
    struct sg_strings names; /* of files; arrays make theirs from `stem` */
    char *stem;              /* "<array>#" */
    int32_t *labels;         /* [n], or NULL */
    struct sg_place *places; /* [n], or NULL */
};

struct sg_source_kind {
    const char *name; /* the key of the job below `data` */

    /* Rank 0 only: fills the listing, and what `read` needs into items (array, files, classes).
     * Errors: SG_E_JOB. */
    sg_status (*list)(struct sg_items *items, const struct sg_data_options *options,
                      struct sg_listing *out);

    /* Item i as a picture. Errors: SG_E_INPUT with the reason, without the item's name. */
    sg_status (*read)(struct sg_items *items, int64_t i, struct sg_image *out);

    /* As sg_items_prefetch. */
    void (*prefetch)(struct sg_items *items, int64_t i);
};

const struct sg_source_kind *sg_source_find(enum sg_source source);

extern const struct sg_source_kind sg_source_folder;
extern const struct sg_source_kind sg_source_list;
extern const struct sg_source_kind sg_source_tar;
extern const struct sg_source_kind sg_source_idx;
extern const struct sg_source_kind sg_source_npy;
extern const struct sg_source_kind sg_source_npz;
extern const struct sg_source_kind sg_source_hdf5;

/* "data.npy: <path>: <message of the last failure>" as SG_E_JOB, where `status` is SG_E_INPUT or
 * SG_E_JOB; anything else stays as it is. */
sg_status sg_source_refuse(const struct sg_items *items, sg_status status);

/* The file's name, without a .gz ending, then "/<array>" if there is one, then "#": how the names
 * of an array's items begin. For the caller (sg_free). */
sg_status sg_array_stem(const char *path, const char *array, char **out);

/* ---- the items ---- */

struct sg_h5; /* an open HDF5 dataset */

struct sg_items {
    const struct sg_source_kind *kind;
    char *path;
    char *array_name; /* in the file of that path, or NULL */
    struct sg_preprocess preprocess;
    struct sg_shape input;
    struct sg_strings names; /* of the chosen items */
    struct sg_strings classes;
    struct sg_strings files; /* that places refer to */
    int64_t n_classes;
    int32_t *labels;         /* [n] */
    int64_t *positions;      /* [n] in the full list */
    struct sg_place *places; /* [n], or NULL */
    int32_t has_places;
    struct sg_array array; /* no axes where the items are files */

    /* What this rank has open; nothing before its first item. */
    struct sg_stream *stream;
    int64_t stream_file; /* number in `files` */
    struct sg_h5 *h5;
    unsigned char *buffer; /* an item of the array as it is stored */
};

void sg_h5_close(struct sg_h5 *h5); /* NULL is allowed */

/* Items with the options copied and nothing listed yet. */
sg_status sg_items_create(const struct sg_data_options *options, const struct sg_shape *input,
                          struct sg_items **out);

/* Errors: SG_E_JOB where two items have the same name or the same key, SG_E_NOMEM. */
sg_status sg_items_check_keys(const struct sg_items *items);

/* Checks that preprocessing gives what the model takes, as far as it is known without decoding. */
sg_status sg_items_check_fit(const struct sg_items *items);

#endif
