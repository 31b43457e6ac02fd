/* src/data/data_impl.h - what the files of the data room share: lists of strings, decoded images,
 * sources. */
#ifndef SGDIST_DATA_IMPL_H
#define SGDIST_DATA_IMPL_H

#include "sgdist/data.h"

#include <stddef.h>
#include <stdint.h>
#include <zlib.h>

/* The largest image that is decoded or made by resizing; three bytes a pixel. */
#define SG_MAX_PIXELS (INT64_C(1) << 27)

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

/* ---- files ---- */

/* The whole of a regular file, with a NUL behind it, for the caller (sg_free). Failures get `code`
 * and name the file only where `named`. */
sg_status sg_read_whole(const char *path, sg_status code, int named, unsigned char **bytes,
                        size_t *n);

/* ---- images ---- */

/* pixels[height][width][channels], 8 bit; channels is 1 (grey) or 3 (red, green, blue). */
struct sg_image {
    int64_t width;
    int64_t height;
    int channels;
    unsigned char *pixels; /* sg_free */
};

/* Fills an empty image; its size is checked against SG_MAX_PIXELS. */
sg_status sg_image_create(struct sg_image *image, int64_t width, int64_t height, int channels);
void sg_image_free(struct sg_image *image);

/* The image in the bytes of a file, the format told by its first bytes. Errors: SG_E_INPUT with
 * the reason, SG_E_NOMEM. */
sg_status sg_decode(const unsigned char *bytes, size_t n, struct sg_image *out);
sg_status sg_decode_png(const unsigned char *bytes, size_t n, struct sg_image *out);
sg_status sg_decode_jpeg(const unsigned char *bytes, size_t n, struct sg_image *out);

/* ---- preprocessing ---- */

/* Rows and columns after resizing and cropping an image of height x width. */
void sg_preprocess_size(const struct sg_preprocess *p, int64_t height, int64_t width, int64_t *rows,
                        int64_t *columns);

/* The size that Resize(shorter side) gives. */
void sg_resized_size(int64_t shorter, int64_t height, int64_t width, int64_t *new_height,
                     int64_t *new_width);

/* Antialiased bilinear resizing to width x height as Pillow does it for 8-bit images. */
sg_status sg_image_resize(const struct sg_image *in, int64_t width, int64_t height,
                          struct sg_image *out);

/* The model's input x[C][H][W] from a decoded image, which is changed. Errors: SG_E_INPUT where the
 * sizes do not fit, SG_E_NOMEM. */
sg_status sg_preprocess_run(const struct sg_preprocess *p, const struct sg_shape *input,
                            struct sg_image *image, float *x);

/* The model input of a pixel value (0..1) of channel c, in the single-precision steps that the
 * model's users take. */
float sg_preprocess_value(const struct sg_preprocess *p, int64_t c, float pixel);

/* ---- sources ---- */

/* Images below `path` in bytewise order of their names; classes are the first-level sub-folders in
 * bytewise order, labels[n] (sg_free) numbers them, -1 for images that lie directly in the folder.
 */
sg_status sg_folder_list(const char *path, struct sg_strings *names, struct sg_strings *classes,
                         int32_t **labels);

/* The layout of an IDX file of images. */
struct sg_idx {
    int64_t n;
    int64_t channels;
    int64_t rows;
    int64_t columns;
    int64_t channels_last; /* 1: [n][rows][columns][channels], else [n][channels][rows][columns] */
    int64_t header_bytes;
};

/* Reads the header and checks that the file holds exactly what it announces. Errors: SG_E_JOB. */
sg_status sg_idx_check(const char *path, struct sg_idx *out);

/* All labels of an IDX file of labels, labels[n] for the caller (sg_free). Errors: SG_E_JOB. */
sg_status sg_idx_labels(const char *path, int64_t *n, int32_t **labels);

/* Image number `index`; *file is opened at first use and stays open (gzclose). */
sg_status sg_idx_read(const char *path, const struct sg_idx *idx, gzFile *file, int64_t index,
                      struct sg_image *out);

/* "<file name without a .gz ending>#", for names of items. */
sg_status sg_idx_stem(const char *path, char **out);

/* ---- the items ---- */

struct sg_items {
    enum sg_source source;
    char *path;
    struct sg_preprocess preprocess;
    struct sg_shape input;
    struct sg_strings names; /* of the chosen items */
    struct sg_strings classes;
    int64_t n_classes;
    uint64_t *keys;     /* [n] */
    int32_t *labels;    /* [n] */
    int64_t *positions; /* [n] in the full list */
    struct sg_idx idx;
    gzFile idx_file; /* NULL until the first load */
};

/* Items with the options copied and nothing listed yet. */
sg_status sg_items_create(const struct sg_data_options *options, const struct sg_shape *input,
                          struct sg_items **out);

/* Keys of all names. Errors: SG_E_JOB where two items have the same key, SG_E_NOMEM. */
sg_status sg_items_make_keys(struct sg_items *items);

/* Checks that preprocessing gives what the model takes, as far as it is known without decoding. */
sg_status sg_items_check_fit(const struct sg_items *items);

#endif
