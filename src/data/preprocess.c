/* src/data/preprocess.c - from a decoded image to the model's input, in torchvision's steps:
 * Resize, CenterCrop, ToTensor, Normalize. */
#include "data/data_impl.h"
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

/* Pillow's convert('L') of RGB: ITU-R 601-2 luma in 16-bit fixed point. */
static void make_grey(struct sg_image *image) {
    const int64_t n = image->width * image->height;

    for (int64_t i = 0; i < n && image->channels == 3; i++) {
        const unsigned char *p = image->pixels + 3 * i;

        image->pixels[i] =
            (unsigned char)((19595U * p[0] + 38470U * p[1] + 7471U * p[2] + 0x8000U) >> 16);
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

/* One channel of the crop; `from` is the image's channel, outside the image pixels are 0. */
static void write_channel(const struct sg_image *image, int from, const float value[256],
                          int64_t rows, int64_t columns, float *x) {
    const int64_t top = crop_start(image->height, rows);
    const int64_t left = crop_start(image->width, columns);

    for (int64_t r = 0; r < rows; r++) {
        for (int64_t c = 0; c < columns; c++) {
            const int64_t y = top + r;
            const int64_t z = left + c;
            const int inside = y >= 0 && y < image->height && z >= 0 && z < image->width;

            x[r * columns + c] =
                value[inside ? image->pixels[(y * image->width + z) * image->channels + from] : 0];
        }
    }
}

static void write_tensor(const struct sg_preprocess *p, const struct sg_shape *input,
                         const struct sg_image *image, float *x) {
    const int64_t rows = input->axes[1];
    const int64_t columns = input->axes[2];

    for (int64_t c = 0; c < input->axes[0]; c++) {
        const int from = image->channels == 1 ? 0 : p->color == SG_COLOR_BGR ? 2 - (int)c : (int)c;
        float value[256];

        for (int v = 0; v < 256; v++) {
            value[v] = sg_preprocess_value(p, c, (float)v / 255.0f);
        }
        write_channel(image, from, value, rows, columns, x + c * rows * columns);
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

    sg_preprocess_size(p, image->height, image->width, &rows, &columns);
    SG_CHECK(rows == input->axes[1] && columns == input->axes[2], SG_E_INPUT,
             "image is %lldx%lld (rows x columns)%s, the model takes %lldx%lld: set "
             "data.preprocess.resize and data.preprocess.crop",
             (long long)rows, (long long)columns, p->resize > 0 ? " after resizing" : "",
             (long long)input->axes[1], (long long)input->axes[2]);
    if (p->color == SG_COLOR_GREY || input->axes[0] == 1) {
        make_grey(image);
    }
    if (p->resize > 0) {
        SG_TRY(resize(p, image));
    }
    write_tensor(p, input, image, x);
done:
    return status;
}
