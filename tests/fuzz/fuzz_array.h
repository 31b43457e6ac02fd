/* tests/fuzz/fuzz_array.h - an array in a stream, whatever its head claims: its first and its last
 * item as pictures, and all of it as class numbers. */
#ifndef SGDIST_FUZZ_ARRAY_H
#define SGDIST_FUZZ_ARRAY_H

#include "data/data_impl.h"
#include "fuzz.h"
#include "sgdist/memory.h"

#include <string.h>

static inline void fuzz_item(const struct sg_array *a, struct sg_stream *s, int64_t i) {
    const int64_t bytes = sg_array_item_bytes(a);
    struct sg_image image = {0};
    unsigned char *item = NULL;

    if (bytes > 1 << 20) {
        return; /* larger than any file that the fuzzer makes */
    }
    item = sg_calloc((size_t)bytes, 1);
    if (item != NULL && sg_stream_read(s, a->data_at + i * bytes, item, (size_t)bytes) == SG_OK &&
        sg_array_item(a, item, &image) == SG_OK) {
        FUZZ_CHECK(image.width == a->columns && image.height == a->rows);
    }
    sg_image_free(&image);
    sg_free(item);
}

/* `head` reads the array's head from the stream. */
static inline void fuzz_array(struct sg_stream *s,
                              sg_status (*head)(struct sg_stream *s, struct sg_array *out)) {
    struct sg_array a;
    struct sg_shape input = {.n_axes = 0};
    int32_t *labels = NULL;
    int64_t n = 0;

    if (head(s, &a) != SG_OK) {
        return;
    }
    if (sg_array_read_labels(&a, s, "labels", &n, &labels) == SG_OK) {
        FUZZ_CHECK(n == a.axes[0] && labels[n - 1] >= -1);
        sg_free(labels);
    }
    if (a.n_axes >= 2 && a.n_axes - 1 <= SG_MAX_AXES && a.axes[0] > 0) {
        input.n_axes = a.n_axes - 1;
        memcpy(input.axes, a.axes + 1, (size_t)input.n_axes * sizeof input.axes[0]);
        if (sg_array_fit(&a, SG_LAYOUT_AUTO, &input, "fuzz") == SG_OK) {
            fuzz_item(&a, s, 0);
            fuzz_item(&a, s, a.axes[0] - 1);
            fuzz_item(&a, s, 0);
        }
    }
}

#endif
