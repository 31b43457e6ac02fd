/* src/data/preprocess.c - from a decoded image to the model's input, in torchvision's steps:
 * Resize, CenterCrop, ToTensor, Normalize. */
#include "data/image.h"

#include "sgdist/memory.h"

#include <string.h>

void sg_resized_size(int64_t shorter, int64_t height, int64_t width, int64_t *new_height,
                     int64_t *new_width) {
    const int64_t small = width <= height ? width : height;
    const int64_t large = width <= height ? height : width;
    /* The long side is a quotient of whole numbers, rounded once to double and then down. */
    const int64_t longer = (int64_t)((double)(shorter * large) / (double)small);

    *new_width = width <= height ? shorter : longer;
    *new_height = width <= height ? longer : shorter;
}

void sg_preprocess_size(const struct sg_preprocess *p, int64_t height, int64_t width, int64_t *rows,
                        int64_t *columns) {
    *rows = height;
    *columns = width;
    if (p->resize > 0) {
        sg_resized_size(p->resize, height, width, rows, columns);
    }
    if (p->crop[0] > 0) {
        *rows = p->crop[0];
    }
    if (p->crop[1] > 0) {
        *columns = p->crop[1];
    }
}

/* Where a centre crop of `wanted` starts on an axis of n: halves round to the even number; before 0
 * where the image is too small, and is padded with zeros. */
static int64_t crop_start(int64_t n, int64_t wanted) {
    const int64_t rest = n - wanted;

    if (rest < 0) {
        return -(-rest / 2);
    }
    return rest % 2 == 0 ? rest / 2 : rest / 2 + (rest / 2) % 2;
}

/* Pillow's convert('L') of RGB: ITU-R 601-2 luma in 16-bit fixed point; floats get the same weights
 * and are not rounded to whole numbers. */
static void make_grey(struct sg_image *image) {
    const int64_t n = image->width * image->height;

    for (int64_t i = 0; i < n && image->channels == 3 && image->pixels != NULL; i++) {
        const unsigned char *p = image->pixels + 3 * i;

        image->pixels[i] =
            (unsigned char)((19595U * p[0] + 38470U * p[1] + 7471U * p[2] + 0x8000U) >> 16);
    }
    for (int64_t i = 0; i < n && image->channels == 3 && image->values != NULL; i++) {
        const float *v = image->values + 3 * i;

        image->values[i] =
            (float)((19595.0 * (double)v[0] + 38470.0 * (double)v[1] + 7471.0 * (double)v[2]) /
                    65536.0);
    }
    image->channels = 1;
}

float sg_preprocess_value(const struct sg_preprocess *p, int64_t c, float pixel) {
    float v = pixel * (float)p->scale;

    if (p->n_mean > 0) {
        v -= (float)p->mean[p->n_mean > 1 ? c : 0];
    }
    if (p->n_std > 0) {
        v /= (float)p->std[p->n_std > 1 ? c : 0];
    }
    return v;
}

int64_t sg_input_columns(const struct sg_shape *input) {
    return input->n_axes > 1 ? input->axes[input->n_axes - 1] : 1;
}

int64_t sg_input_rows(const struct sg_shape *input) {
    return sg_shape_plane(input) / sg_input_columns(input);
}

/* A picture on its way into the model: where the crop starts, and how a stored number becomes an
 * input of the channel at hand. */
struct writer {
    const struct sg_preprocess *preprocess;
    const struct sg_image *image;
    int64_t rows;
    int64_t columns;
    int64_t top;
    int64_t left;
    float white;
    float of_byte[256];
};

/* The input of a stored number. A white of 1 changes nothing. */
static float value_of(const struct writer *w, int64_t c, float stored) {
    return sg_preprocess_value(w->preprocess, c, stored / w->white);
}

/* Channel c of the input from the image's channel `from`; outside the image pixels are 0. */
static void write_channel(const struct writer *w, int64_t c, int from, float *x) {
    const struct sg_image *image = w->image;
    const float outside = value_of(w, c, 0.0f);

    for (int64_t i = 0; i < w->rows * w->columns; i++) {
        const int64_t row = w->top + i / w->columns;
        const int64_t column = w->left + i % w->columns;
        const int64_t at = (row * image->width + column) * image->channels + from;

        if (row < 0 || row >= image->height || column < 0 || column >= image->width) {
            x[i] = outside;
        } else if (image->pixels != NULL) {
            x[i] = w->of_byte[image->pixels[at]];
        } else {
            x[i] = value_of(w, c, image->values[at]);
        }
    }
}

static void write_tensor(const struct sg_preprocess *p, const struct sg_shape *input,
                         const struct sg_image *image, float *x) {
    struct writer w = {.preprocess = p,
                       .image = image,
                       .rows = sg_input_rows(input),
                       .columns = sg_input_columns(input),
                       .white = (float)(p->white > 0.0 ? p->white : image->white)};

    w.top = crop_start(image->height, w.rows);
    w.left = crop_start(image->width, w.columns);
    for (int64_t c = 0; c < input->axes[0]; c++) {
        const int from = image->channels == 1 ? 0 : p->color == SG_COLOR_BGR ? 2 - (int)c : (int)c;

        for (int v = 0; v < 256; v++) {
            w.of_byte[v] = value_of(&w, c, (float)v);
        }
        write_channel(&w, c, from, x + c * w.rows * w.columns);
    }
}

static sg_status resize(const struct sg_preprocess *p, struct sg_image *image) {
    sg_status status = SG_OK;
    struct sg_image resized = {0};
    int64_t height;
    int64_t width;

    sg_resized_size(p->resize, image->height, image->width, &height, &width);
    SG_TRY(sg_image_resize(image, width, height, &resized));
    sg_image_free(image);
    *image = resized;
done:
    return status;
}

sg_status sg_preprocess_run(const struct sg_preprocess *p, const struct sg_shape *input,
                            struct sg_image *image, float *x) {
    sg_status status = SG_OK;
    int64_t rows;
    int64_t columns;

    if (p->exif == SG_EXIF_APPLY) {
        SG_TRY(sg_image_turn(image));
    }
    sg_preprocess_size(p, image->height, image->width, &rows, &columns);
    SG_CHECK(rows == sg_input_rows(input) && columns == sg_input_columns(input), SG_E_INPUT,
             "image is %lldx%lld (rows x columns)%s, the model takes %lldx%lld: set "
             "data.preprocess.resize and data.preprocess.crop",
             (long long)rows, (long long)columns, p->resize > 0 ? " after resizing" : "",
             (long long)sg_input_rows(input), (long long)sg_input_columns(input));
    if (image->channels == 3 && (p->color == SG_COLOR_GREY || input->axes[0] == 1)) {
        make_grey(image);
    }
    if (p->resize > 0) {
        SG_TRY(resize(p, image));
    }
    write_tensor(p, input, image, x);
done:
    return status;
}
