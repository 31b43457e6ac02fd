/* src/data/array.c - arrays of numbers: the first axis counts the items, the others are theirs. */
#include "data/array.h"

#include "sgdist/memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const int64_t max_numbers = INT64_C(1) << 40;

int sg_array_add_axis(struct sg_array *a, int64_t length) {
    int64_t n = length;

    for (int i = 0; i < a->n_axes; i++) {
        if (__builtin_mul_overflow(n, a->axes[i], &n)) {
            return 0;
        }
    }
    if (length < 0 || n > max_numbers || a->n_axes == SG_ARRAY_MAX_AXES) {
        return 0;
    }
    a->axes[a->n_axes++] = length;
    return 1;
}

static const char *axes_text(int n, const int64_t *axes, char *buf, size_t cap) {
    size_t used = 0;

    (void)snprintf(buf, cap, "single numbers");
    for (int i = 0; i < n && used < cap; i++) {
        used += (size_t)snprintf(buf + used, cap - used, "%s%lld", i > 0 ? "x" : "",
                                 (long long)axes[i]);
    }
    return buf;
}

const char *sg_array_shape_text(const struct sg_array *a, int first, char *buf, size_t cap) {
    return axes_text(a->n_axes - first, a->axes + first, buf, cap);
}

/* ---- what an item is to the model ---- */

/* The place of the channels among the item's axes: 0, its last one, or -1 for none. */
static int channel_axis(const struct sg_array *a, enum sg_array_layout layout,
                        const struct sg_shape *input) {
    const int n = a->n_axes - 1;
    const int64_t wanted = input->axes[0];

    if (n < input->n_axes) {
        return -1;
    }
    if (layout != SG_LAYOUT_AUTO) {
        return layout == SG_LAYOUT_CHANNELS_FIRST ? 0 : n - 1;
    }
    if (a->axes[1] == wanted || a->axes[n] == wanted) {
        return a->axes[1] == wanted ? 0 : n - 1;
    }
    /* Grey for a network of colours, or the reverse. */
    return n > 1 && a->axes[1] != 1 && a->axes[1] != 3 && (a->axes[n] == 1 || a->axes[n] == 3)
               ? n - 1
               : 0;
}

sg_status sg_array_fit(struct sg_array *a, enum sg_array_layout layout,
                       const struct sg_shape *input, const char *key) {
    sg_status status = SG_OK;
    const int n = a->n_axes - 1;
    char shape[160];
    char wanted[160];
    int channel;
    int n_space = 0;
    int64_t space[SG_ARRAY_MAX_AXES];

    (void)sg_array_shape_text(a, 1, shape, sizeof shape);
    (void)axes_text(input->n_axes, input->axes, wanted, sizeof wanted);
    SG_CHECK(n == input->n_axes || (n == input->n_axes - 1 && n > 0), SG_E_JOB,
             "data.%s: items are %s, which is %d %s, the model takes %d %s (%s)", key, shape, n,
             n == 1 ? "axis" : "axes", input->n_axes, input->n_axes == 1 ? "axis" : "axes", wanted);
    channel = channel_axis(a, layout, input);
    for (int i = 0; i < n; i++) {
        SG_CHECK(a->axes[i + 1] > 0, SG_E_JOB, "data.%s: its items are empty: %s", key, shape);
        if (i != channel) {
            space[n_space++] = a->axes[i + 1];
        }
    }
    a->channels = channel >= 0 ? a->axes[channel + 1] : 1;
    a->channels_last = channel > 0;
    a->rows = 1;
    a->columns = n_space > 0 ? space[n_space - 1] : 1;
    for (int i = 0; i + 1 < n_space; i++) {
        a->rows *= space[i]; /* all numbers of the array together are at most 2^40 */
    }
    SG_CHECK(a->columns <= SG_MAX_PIXELS / a->rows && a->channels <= SG_MAX_CHANNELS, SG_E_JOB,
             "data.%s: items are %s: more than %lld pixels, or more than %d channels", key, shape,
             (long long)SG_MAX_PIXELS, SG_MAX_CHANNELS);
    /* Other inputs than pictures are neither resized nor cut. */
    SG_CHECK(input->n_axes == 3 ||
                 (a->channels == input->axes[0] &&
                  memcmp(space, input->axes + 1, (size_t)n_space * sizeof space[0]) == 0),
             SG_E_JOB,
             "data.%s: items are %s, the model takes %s: choose data.layout, or another array", key,
             shape, wanted);
done:
    return status;
}

int64_t sg_array_item_bytes(const struct sg_array *a) {
    return a->channels * a->rows * a->columns * sg_element_bytes(a->type);
}

/* ---- one item ---- */

/* Planes of channels, [channels][pixels], to [pixels][channels]. */
static sg_status interleave(struct sg_image *image) {
    sg_status status = SG_OK;
    struct sg_image mixed = {0};
    const int64_t plane = image->width * image->height;
    const int64_t n = plane * image->channels;

    SG_TRY(sg_image_create_like(image, image->width, image->height, &mixed));
    for (int64_t i = 0; i < n; i++) {
        const int64_t to = i % plane * image->channels + i / plane;

        if (image->pixels != NULL) {
            mixed.pixels[to] = image->pixels[i];
        } else {
            mixed.values[to] = image->values[i];
        }
    }
    sg_image_free(image);
    *image = mixed;
done:
    return status;
}

static sg_status check_finite(const struct sg_array *a, const float *values) {
    sg_status status = SG_OK;
    const int64_t n = a->channels * a->rows * a->columns;

    for (int64_t i = 0; i < n; i++) {
        SG_CHECK(isfinite(values[i]), SG_E_INPUT,
                 "number %lld of the item is %g: only finite numbers of single precision can go "
                 "into a network",
                 (long long)i, (double)values[i]);
    }
done:
    return status;
}

sg_status sg_array_item(const struct sg_array *a, const unsigned char *bytes,
                        struct sg_image *out) {
    sg_status status = SG_OK;
    struct sg_image image = {0};
    const int64_t n = a->channels * a->rows * a->columns;

    if (a->type == SG_ELEMENT_U8) {
        SG_TRY(sg_image_create(&image, a->columns, a->rows, (int)a->channels));
        memcpy(image.pixels, bytes, (size_t)n);
    } else {
        SG_TRY(sg_image_create_deep(&image, a->columns, a->rows, (int)a->channels,
                                    a->type == SG_ELEMENT_U16 ? 65535.0 : 1.0));
        sg_elements_to_float(a->type, a->is_big_endian, bytes, n, image.values);
        SG_TRY(check_finite(a, image.values));
    }
    if (a->channels > 1 && !a->channels_last) {
        SG_TRY(interleave(&image));
    }
    *out = image;
    image = (struct sg_image){0};
done:
    sg_image_free(&image);
    return status;
}

/* ---- class numbers ---- */

/* In pieces, so that memory follows the file and not what its head claims. */
static sg_status read_labels(const struct sg_array *a, struct sg_stream *s, int32_t **out) {
    enum { PIECE = 65536 };
    sg_status status = SG_OK;
    const int64_t size = sg_element_bytes(a->type);
    unsigned char *piece = sg_calloc(PIECE, (size_t)size);
    int32_t *labels = NULL;

    SG_CHECK(piece != NULL, SG_E_NOMEM, "no memory for labels");
    for (int64_t at = 0; at < a->axes[0]; at += PIECE) {
        const int64_t want = a->axes[0] - at < PIECE ? a->axes[0] - at : PIECE;
        int32_t *grown;

        SG_TRY(sg_stream_read(s, a->data_at + at * size, piece, (size_t)(want * size)));
        grown = sg_realloc(labels, (size_t)(at + want), sizeof *labels);
        SG_CHECK(grown != NULL, SG_E_NOMEM, "no memory for %lld labels", (long long)a->axes[0]);
        labels = grown;
        SG_TRY(sg_elements_to_labels(a->type, a->is_big_endian, piece, want, at, labels + at));
    }
    SG_TRY(sg_stream_check_end(s, a->data_at + a->axes[0] * size));
    *out = labels;
    labels = NULL;
done:
    sg_free(piece);
    sg_free(labels);
    return status;
}

sg_status sg_array_read_labels(const struct sg_array *a, struct sg_stream *s, const char *name,
                               int64_t *n, int32_t **labels) {
    sg_status status = SG_OK;
    char shape[160];

    SG_CHECK(a->n_axes == 1 && sg_element_is_whole(a->type), SG_E_JOB,
             "data.labels: %s holds %s of shape %s; one whole number an item is wanted (1 axis)",
             name, sg_element_name(a->type), sg_array_shape_text(a, 0, shape, sizeof shape));
    SG_CHECK(a->axes[0] > 0, SG_E_JOB, "data.labels: %s is empty: axis 0 has length 0", name);
    status = read_labels(a, s, labels);
    SG_CHECK(status != SG_E_INPUT, SG_E_JOB, "data.labels: %s is damaged or cut short: %s", name,
             sg_trace_message());
    SG_CHECK(status != SG_E_JOB, SG_E_JOB, "data.labels: %s: %s", name, sg_trace_message());
    SG_TRY(status);
    *n = a->axes[0];
done:
    return status;
}
