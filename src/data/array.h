/* src/data/array.h - arrays of numbers as items: their types, and how one item becomes a picture.
 */
#ifndef SGDIST_DATA_ARRAY_H
#define SGDIST_DATA_ARRAY_H

#include "data/image.h"
#include "data/stream.h"
#include "sgdist/data.h"

#include <stdint.h>

enum sg_element {
    SG_ELEMENT_BOOL,
    SG_ELEMENT_U8,
    SG_ELEMENT_I8,
    SG_ELEMENT_U16,
    SG_ELEMENT_I16,
    SG_ELEMENT_U32,
    SG_ELEMENT_I32,
    SG_ELEMENT_U64,
    SG_ELEMENT_I64,
    SG_ELEMENT_F16,
    SG_ELEMENT_F32,
    SG_ELEMENT_F64,
    SG_ELEMENT_COUNT
};

enum { SG_ARRAY_MAX_AXES = 8 };

struct sg_array {
    enum sg_element type;
    int is_big_endian;
    int n_axes; /* 0: the source is no array */
    int64_t axes[SG_ARRAY_MAX_AXES];
    int64_t data_at;     /* where the numbers begin in the stream */
    int64_t cache_bytes; /* what reading keeps unpacked of them, in memory */

    /* An item as a picture; sg_array_fit finds them. */
    int64_t channels;
    int64_t rows;
    int64_t columns;
    int channels_last;
};

const char *sg_element_name(enum sg_element type); /* NumPy's word */
int64_t sg_element_bytes(enum sg_element type);
int sg_element_is_whole(enum sg_element type);

/* The element of this kind ('b', 'u', 'i' or 'f') and size; SG_ELEMENT_COUNT: none. */
enum sg_element sg_element_find(char kind, int64_t bytes);

/* n stored numbers as float, each rounded once. */
void sg_elements_to_float(enum sg_element type, int is_big_endian, const unsigned char *bytes,
                          int64_t n, float *out);

/* n stored whole numbers as class numbers. Errors: SG_E_JOB where one is not -1 to 2147483647. */
sg_status sg_elements_to_labels(enum sg_element type, int is_big_endian, const unsigned char *bytes,
                                int64_t n, int64_t first, int32_t *out);

/* Adds an axis of `length` to a->axes. 0 if there are too many, or more than 2^40 numbers. */
int sg_array_add_axis(struct sg_array *a, int64_t length);

/* "5x3x224x224" into buf, from axis `first` on; returned. */
const char *sg_array_shape_text(const struct sg_array *a, int first, char *buf, size_t cap);

/* Which axis has the channels, and whether an item has the axes that the model takes. `key` is the
 * source's. Errors: SG_E_JOB with what to set. */
sg_status sg_array_fit(struct sg_array *a, enum sg_array_layout layout,
                       const struct sg_shape *input, const char *key);

int64_t sg_array_item_bytes(const struct sg_array *a);

/* The item in these bytes as a picture. Errors: SG_E_INPUT for a number that is not finite. */
sg_status sg_array_item(const struct sg_array *a, const unsigned char *bytes, struct sg_image *out);

/* All class numbers of an array of them, labels[*n] for the caller (sg_free). `name` says whose. */
sg_status sg_array_read_labels(const struct sg_array *a, struct sg_stream *s, const char *name,
                               int64_t *n, int32_t **labels);

/* ---- formats: the head of an array in a stream ---- */

/* NumPy's .npy. Errors: SG_E_INPUT with the reason. */
sg_status sg_npy_head(struct sg_stream *s, struct sg_array *out);

/* IDX, the format of MNIST: unsigned bytes. */
sg_status sg_idx_head(struct sg_stream *s, struct sg_array *out);

/* Leaves of a .npz archive the member `name` (NULL: the only one that is not `other`), whose name
 * is put into found[cap]. Errors: SG_E_INPUT with the reason, and what there is. */
sg_status sg_npz_enter(struct sg_stream *s, const char *name, const char *other, char *found,
                       size_t cap);

#endif
