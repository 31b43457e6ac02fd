/* include/sgdist/data.h - the items of a data set: listed, named, labelled, decoded, preprocessed.
 *
 * An item's name is canonical: for images the path below the folder, inside the archive or as the
 * list has it; "<array>#<index>" for arrays (<array> the file's name without a .gz ending, and
 * behind a slash the name of the array inside, where it has one). Its key, the hash of that name,
 * addresses its noise: a subset or another order keeps it. */
#ifndef SGDIST_DATA_H
#define SGDIST_DATA_H

#include "sgdist/shape.h"
#include "sgdist/status.h"

#include <stdint.h>

enum { SG_MAX_CHANNELS = 64 };

enum sg_source {
    SG_SOURCE_FOLDER,
    SG_SOURCE_LIST,
    SG_SOURCE_TAR,
    SG_SOURCE_IDX,
    SG_SOURCE_NPY,
    SG_SOURCE_NPZ,
    SG_SOURCE_HDF5,
    SG_SOURCE_COUNT
};

/* The source's key in a job, below `data`. */
const char *sg_source_name(enum sg_source source);

/* Which axis of an array's items has the channels; auto: the one that is as long as the model's,
 * the first one where both are. */
enum sg_array_layout { SG_LAYOUT_AUTO, SG_LAYOUT_CHANNELS_FIRST, SG_LAYOUT_CHANNELS_LAST };
enum sg_exif { SG_EXIF_IGNORE, SG_EXIF_APPLY };
enum sg_color { SG_COLOR_RGB, SG_COLOR_BGR, SG_COLOR_GREY };

/* From a decoded image to the model's input, as torchvision does it on PIL images loaded with
 * convert('RGB'): resize the shorter side (antialiased bilinear), cut the centre, x = (scale *
 * stored / white - mean) / std. */
struct sg_preprocess {
    enum sg_exif exif; /* turn photographs upright as the camera noted it? */
    double white;      /* the stored number that is a pixel of 1; 0: 255 for bytes, 65535 for 16-bit
                        * unsigned numbers, 1 for others */
    int64_t resize;    /* shorter side after resizing; 0: leave */
    int64_t crop[2];   /* rows, columns of the centre crop; 0: leave */
    enum sg_color
        color;    /* order of the channels in the model's input; mean and std are in that order */
    double scale; /* 1: pixels are 0..1; 255: pixels are 0..255 */
    int n_mean;   /* 0: no mean; 1: one for all channels; else one a channel */
    double mean[SG_MAX_CHANNELS];
    int n_std;
    double std[SG_MAX_CHANNELS];
};

struct sg_data_options {
    enum sg_source source;
    char *path;   /* of the folder, list or file; tar: file names and patterns, one a line */
    char *array;  /* npz, hdf5: the name of the array inside (npz: NULL where there is only one) */
    char *labels; /* NULL, or class numbers: for idx and npy a file (IDX or .npy), for npz and hdf5
                   * an array of the same file. Folders are classes in sorted order */
    enum sg_array_layout layout; /* of npy, npz, hdf5, idx */
    char *class_names; /* NULL, or a text file with one name a line, in the order of the classes */
    int64_t limit;     /* 0: all; else the first ones of the list */
    int64_t n_indices; /* 0: all; else the positions to take, in this order, before `limit` */
    int64_t *indices;
    struct sg_preprocess preprocess;
    int has_domain; /* the pixel domain [lower, upper], in pixel units after `scale` = 1 (0..1) */
    double domain[2];
};

/* How model-input values relate to pixel values, a channel: input = (pixel * scale - mean) / std.
 */
struct sg_domain {
    int n_channels;
    int known; /* 0: no bounds were given, and `lower` and `upper` mean nothing */
    double lower[SG_MAX_CHANNELS]; /* bounds in model-input space */
    double upper[SG_MAX_CHANNELS];
    double input_per_pixel[SG_MAX_CHANNELS]; /* d input / d pixel, pixel in 0..1 */
    double input_at_zero[SG_MAX_CHANNELS];   /* input value of pixel 0 */
};

struct sg_items;

/* Lists the items and checks that the source can give what the model eats (`input`). No image is
 * decoded yet; packed arrays are unpacked once, to see that they are whole. Errors: SG_E_JOB with
 * path and reason (no such folder, no images in it, index out of range, labels of another length,
 * channels or size that do not fit the input, and what to set), SG_E_NOMEM. */
sg_status sg_items_open(const struct sg_data_options *options, const struct sg_shape *input,
                        struct sg_items **out);
void sg_items_close(struct sg_items *items);

/* The list as bytes that another rank turns back into the same items without reading the folder
 * again. The packed bytes are the caller's (sg_free). `options` and `input` must be those of the
 * open. */
sg_status sg_items_pack(const struct sg_items *items, void **bytes, size_t *n);
sg_status sg_items_unpack(const struct sg_data_options *options, const struct sg_shape *input,
                          const void *bytes, size_t n, struct sg_items **out);

int64_t sg_items_count(const struct sg_items *items);
const char *sg_items_name(const struct sg_items *items, int64_t i); /* canonical */
uint64_t sg_items_key(const struct sg_items *items, int64_t i);     /* sg_hash64 of the name */
int64_t sg_items_label(const struct sg_items *items, int64_t i);    /* class number, or -1 */
int64_t sg_items_n_classes(const struct sg_items *items);           /* 0 if unknown */
const char *sg_items_class_name(const struct sg_items *items, int64_t k); /* NULL if unknown */
int64_t
sg_items_max_name(const struct sg_items *items); /* bytes of the longest name, without NUL */

/* The k-th file that holds items beside others (an archive's shard), NULL past the last one. */
const char *sg_items_file(const struct sg_items *items, int64_t k);

/* Bytes that a rank keeps for the list, and to read an item of an array. */
int64_t sg_items_bytes(const struct sg_items *items);

/* Reads, decodes and preprocesses item i into x[C][H][W]. Errors: SG_E_INPUT with the item's name
 * and the reason: that item fails, the run goes on. */
sg_status sg_items_load(struct sg_items *items, int64_t i, float *x);

/* Tells the system that item i will be read soon. Never fails. */
void sg_items_prefetch(struct sg_items *items, int64_t i);

/* Bounds and scales of the model's input under the options. */
void sg_domain_init(const struct sg_data_options *options, int n_channels, struct sg_domain *out);

/* pixel[D] = pixel values (0..1 where the image had 0..255) of model input x[D]: for showing what
 * the network saw. */
void sg_domain_to_pixels(const struct sg_domain *d, const struct sg_shape *input, const float *x,
                         float *pixel);

#endif
