/* src/data/resize.c - antialiased bilinear resizing as Pillow does it (and so torchvision on PIL
 * images): a triangle as wide as the reduction, along rows and then along columns.
 *
 * 8-bit images have their weights in fixed point and are rounded to bytes after each; images of
 * floats (Pillow's mode F) have them in double precision and are rounded to floats. */
#include "data/image.h"
#include "sgdist/memory.h"

#include <math.h>
#include <string.h>

/* 32 bits hold the sum of 8-bit values times these weights and two spare bits. */
enum { WEIGHT_BITS = 32 - 8 - 2 };

/* Output element o along one axis is the sum over k < count[o] of weight[o][k] * in[first[o] + k].
 */
struct kernel {
    int64_t n_out;
    int64_t width; /* weights held for an output element */
    int64_t *first;
    int64_t *count;
    int32_t *weight;
    double *exact; /* the same weights before they are rounded */
};

static void free_kernel(struct kernel *k) {
    sg_free(k->first);
    sg_free(k->count);
    sg_free(k->weight);
    sg_free(k->exact);
}

static sg_status create_kernel(int64_t n_out, int64_t width, struct kernel *k) {
    sg_status status = SG_OK;

    k->n_out = n_out;
    k->width = width;
    k->first = sg_calloc((size_t)n_out, sizeof *k->first);
    k->count = sg_calloc((size_t)n_out, sizeof *k->count);
    k->weight = sg_calloc((size_t)n_out, (size_t)width * sizeof *k->weight);
    k->exact = sg_calloc((size_t)n_out, (size_t)width * sizeof *k->exact);
    SG_CHECK(k->first != NULL && k->count != NULL && k->weight != NULL && k->exact != NULL,
             SG_E_NOMEM, "no memory for resizing to %lld pixels", (long long)n_out);
done:
    return status;
}

static double triangle(double x) {
    const double d = fabs(x);

    return d < 1.0 ? 1.0 - d : 0.0;
}

/* Weights are normalised in double and then rounded to fixed point; `work` holds one element's. */
static void weigh(struct kernel *k, int64_t n_in, double scale, double *work) {
    const double reach = scale > 1.0 ? scale : 1.0; /* half the triangle's base */

    for (int64_t o = 0; o < k->n_out; o++) {
        const double center = ((double)o + 0.5) * scale;
        const double from = center - reach + 0.5;
        const double to = center + reach + 0.5;
        const int64_t first = from > 0.0 ? (int64_t)from : 0;
        const int64_t end = to < (double)n_in ? (int64_t)to : n_in;
        double sum = 0.0;

        for (int64_t i = first; i < end; i++) {
            work[i - first] = triangle(((double)i - center + 0.5) * (1.0 / reach));
            sum += work[i - first];
        }
        for (int64_t i = 0; i < end - first; i++) {
            k->exact[o * k->width + i] = work[i] / sum;
            k->weight[o * k->width + i] = (int32_t)(0.5 + work[i] / sum * (1 << WEIGHT_BITS));
        }
        k->first[o] = first;
        k->count[o] = end - first;
    }
}

static sg_status make_kernel(int64_t n_in, int64_t n_out, struct kernel *k) {
    sg_status status = SG_OK;
    const double scale = (double)n_in / (double)n_out;
    const int64_t width = 2 * (int64_t)ceil(scale > 1.0 ? scale : 1.0) + 1;
    double *work = sg_calloc((size_t)width, sizeof *work);

    SG_CHECK(work != NULL, SG_E_NOMEM, "no memory for resizing");
    SG_TRY(create_kernel(n_out, width, k));
    weigh(k, n_in, scale, work);
done:
    sg_free(work);
    return status;
}

static unsigned char to_byte(int32_t sum) {
    const int32_t v = sum >> WEIGHT_BITS;

    return (unsigned char)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* out[n_rows][k->n_out][channels] from in[n_rows][n_in][channels]. */
static void resize_rows(const struct kernel *k, const struct sg_image *in, struct sg_image *out) {
    const int channels = in->channels;

    for (int64_t y = 0; y < in->height; y++) {
        const unsigned char *row = in->pixels + y * in->width * channels;
        unsigned char *to = out->pixels + y * out->width * channels;

        for (int64_t o = 0; o < k->n_out; o++) {
            const int32_t *w = k->weight + o * k->width;

            for (int c = 0; c < channels; c++) {
                const unsigned char *p = row + k->first[o] * channels + c;
                int32_t sum = 1 << (WEIGHT_BITS - 1);

                for (int64_t i = 0; i < k->count[o]; i++) {
                    sum += p[i * channels] * w[i];
                }
                to[o * channels + c] = to_byte(sum);
            }
        }
    }
}

/* The same with floats. */
static void resize_rows_deep(const struct kernel *k, const struct sg_image *in,
                             struct sg_image *out) {
    const int channels = in->channels;
    const int64_t n = out->width * channels;

    for (int64_t y = 0; y < in->height; y++) {
        const float *row = in->values + y * in->width * channels;

        for (int64_t x = 0; x < n; x++) {
            const int64_t o = x / channels;
            const float *p = row + k->first[o] * channels + x % channels;
            double sum = 0.0;

            for (int64_t i = 0; i < k->count[o]; i++) {
                sum += (double)p[i * channels] * k->exact[o * k->width + i];
            }
            out->values[y * n + x] = (float)sum;
        }
    }
}

/* One output row: sums[n] adds up the weighted input rows, so that memory is read in order. */
static void blend_rows(const int32_t *w, int64_t n_rows, const unsigned char *rows, int64_t n,
                       int32_t *sums, unsigned char *to) {
    for (int64_t x = 0; x < n; x++) {
        sums[x] = 1 << (WEIGHT_BITS - 1);
    }
    for (int64_t i = 0; i < n_rows; i++) {
        for (int64_t x = 0; x < n; x++) {
            sums[x] += rows[i * n + x] * w[i];
        }
    }
    for (int64_t x = 0; x < n; x++) {
        to[x] = to_byte(sums[x]);
    }
}

static sg_status resize_columns(const struct kernel *k, const struct sg_image *in,
                                struct sg_image *out) {
    sg_status status = SG_OK;
    const int64_t n = in->width * in->channels;
    int32_t *sums = sg_calloc((size_t)n, sizeof *sums);

    SG_CHECK(sums != NULL, SG_E_NOMEM, "no memory for resizing");
    for (int64_t o = 0; o < k->n_out; o++) {
        blend_rows(k->weight + o * k->width, k->count[o], in->pixels + k->first[o] * n, n, sums,
                   out->pixels + o * n);
    }
done:
    sg_free(sums);
    return status;
}

static void resize_columns_deep(const struct kernel *k, const struct sg_image *in,
                                struct sg_image *out) {
    const int64_t n = in->width * in->channels;

    for (int64_t o = 0; o < k->n_out; o++) {
        for (int64_t x = 0; x < n; x++) {
            double sum = 0.0;

            for (int64_t i = 0; i < k->count[o]; i++) {
                sum += (double)in->values[(k->first[o] + i) * n + x] * k->exact[o * k->width + i];
            }
            out->values[o * n + x] = (float)sum;
        }
    }
}

static sg_status copy(const struct sg_image *in, struct sg_image *out) {
    sg_status status = SG_OK;
    const size_t n = (size_t)(in->width * in->height * in->channels);

    SG_TRY(sg_image_create_like(in, in->width, in->height, out));
    if (in->pixels != NULL) {
        memcpy(out->pixels, in->pixels, n);
    } else {
        memcpy(out->values, in->values, n * sizeof *out->values);
    }
done:
    return status;
}

static sg_status change_width(const struct sg_image *in, int64_t width, struct sg_image *out) {
    sg_status status = SG_OK;
    struct kernel k = {0};

    if (width == in->width) {
        return copy(in, out);
    }
    SG_TRY(sg_image_create_like(in, width, in->height, out));
    SG_TRY(make_kernel(in->width, width, &k));
    if (in->pixels != NULL) {
        resize_rows(&k, in, out);
    } else {
        resize_rows_deep(&k, in, out);
    }
done:
    free_kernel(&k);
    return status;
}

static sg_status change_height(const struct sg_image *in, int64_t height, struct sg_image *out) {
    sg_status status = SG_OK;
    struct kernel k = {0};

    if (height == in->height) {
        return copy(in, out);
    }
    SG_TRY(sg_image_create_like(in, in->width, height, out));
    SG_TRY(make_kernel(in->height, height, &k));
    if (in->pixels != NULL) {
        SG_TRY(resize_columns(&k, in, out));
    } else {
        resize_columns_deep(&k, in, out);
    }
done:
    free_kernel(&k);
    return status;
}

sg_status sg_image_resize(const struct sg_image *in, int64_t width, int64_t height,
                          struct sg_image *out) {
    sg_status status = SG_OK;
    struct sg_image between = {0};
    struct sg_image image = {0};

    SG_CHECK(width > 0 && height > 0 && width <= SG_MAX_PIXELS / height &&
                 in->height <= SG_MAX_PIXELS / width,
             SG_E_INPUT, "resizing %lld x %lld to %lld x %lld takes too many pixels",
             (long long)in->height, (long long)in->width, (long long)height, (long long)width);
    SG_TRY(change_width(in, width, &between));
    SG_TRY(change_height(&between, height, &image));
    *out = image;
    image = (struct sg_image){0};
done:
    sg_image_free(&between);
    sg_image_free(&image);
    return status;
}
