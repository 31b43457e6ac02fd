/* src/data/image.h - pictures: decoded, turned upright, resized, made the model's input. */
#ifndef SGDIST_DATA_IMAGE_H
#define SGDIST_DATA_IMAGE_H

#include "sgdist/data.h"
#include "sgdist/status.h"

#include <stddef.h>
#include <stdint.h>

/* The largest image that is decoded or made by resizing; three bytes a pixel. */
#define SG_MAX_PIXELS (INT64_C(1) << 27)

/* [height][width][channels] of bytes or of floats. Pictures from files have 1 channel (grey) or 3
 * (red, green, blue), arrays have any number. */
struct sg_image {
    int64_t width;
    int64_t height;
    int channels;
    unsigned char *pixels; /* 8 bit (sg_free), or NULL */
    float *values;         /* the stored numbers as they are (sg_free), or NULL */
    double white;          /* the stored number that is 1: 255, 65535, or 1 */
    int orientation;       /* as the camera noted it (EXIF): 1 to 8, 1 is upright, 0 unknown */
};

/* Fills an empty image; its size is checked against SG_MAX_PIXELS. */
sg_status sg_image_create(struct sg_image *image, int64_t width, int64_t height, int channels);
sg_status sg_image_create_deep(struct sg_image *image, int64_t width, int64_t height, int channels,
                               double white);
void sg_image_free(struct sg_image *image);

/* An image of the same kind: bytes or floats. */
sg_status sg_image_create_like(const struct sg_image *like, int64_t width, int64_t height,
                               struct sg_image *image);

/* The image in the bytes of a file, the format told by its first bytes. Errors: SG_E_INPUT with
 * the reason, SG_E_NOMEM. */
sg_status sg_decode(const unsigned char *bytes, size_t n, struct sg_image *out);
sg_status sg_decode_png(const unsigned char *bytes, size_t n, struct sg_image *out);
sg_status sg_decode_jpeg(const unsigned char *bytes, size_t n, struct sg_image *out);

/* The orientation (1 to 8) in an EXIF record, that is a TIFF head and its first directory; 0 if it
 * has none, or is damaged. */
int sg_exif_orientation(const unsigned char *bytes, size_t n);

/* Turns the image upright by its orientation. */
sg_status sg_image_turn(struct sg_image *image);

/* ---- preprocessing ---- */

/* Rows and columns after resizing and cropping an image of height x width. */
void sg_preprocess_size(const struct sg_preprocess *p, int64_t height, int64_t width, int64_t *rows,
                        int64_t *columns);

/* The size that Resize(shorter side) gives. */
void sg_resized_size(int64_t shorter, int64_t height, int64_t width, int64_t *new_height,
                     int64_t *new_width);

/* Antialiased bilinear resizing to width x height as Pillow does it for 8-bit images, and for
 * images of floats (mode F). */
sg_status sg_image_resize(const struct sg_image *in, int64_t width, int64_t height,
                          struct sg_image *out);

/* The model's input x[C][H][W] from a decoded image, which is changed. Errors: SG_E_INPUT where the
 * sizes do not fit, SG_E_NOMEM. */
sg_status sg_preprocess_run(const struct sg_preprocess *p, const struct sg_shape *input,
                            struct sg_image *image, float *x);

/* The model input of a pixel value (0..1) of channel c, in the single-precision steps that the
 * model's users take. */
float sg_preprocess_value(const struct sg_preprocess *p, int64_t c, float pixel);

/* The model's input as rows and columns: (C,L) is one row, (C,D,H,W) has its planes one below the
 * other. */
int64_t sg_input_columns(const struct sg_shape *input);
int64_t sg_input_rows(const struct sg_shape *input);

#endif
