/* src/data/image.c - decoded images, and which decoder a file wants. */
#include "data/image.h"

#include "sgdist/memory.h"

#include <string.h>

static sg_status check_size(int64_t width, int64_t height) {
    sg_status status = SG_OK;

    SG_CHECK(width > 0 && height > 0, SG_E_INPUT, "the image is empty: %lld rows, %lld columns",
             (long long)height, (long long)width);
    SG_CHECK(width <= SG_MAX_PIXELS / height, SG_E_INPUT,
             "%lld rows x %lld columns are more than the %lld pixels an image may have",
             (long long)height, (long long)width, (long long)SG_MAX_PIXELS);
done:
    return status;
}

static sg_status create(struct sg_image *image, int64_t width, int64_t height, int channels,
                        size_t bytes, void **numbers) {
    sg_status status = SG_OK;

    SG_ASSERT(image->pixels == NULL && image->values == NULL);
    SG_ASSERT(channels >= 1 && channels <= SG_MAX_CHANNELS);
    SG_TRY(check_size(width, height));
    *numbers = sg_malloc_aligned((size_t)(width * height), (size_t)channels * bytes);
    SG_CHECK(*numbers != NULL, SG_E_NOMEM, "no memory for an image of %lld x %lld pixels",
             (long long)height, (long long)width);
    image->width = width;
    image->height = height;
    image->channels = channels;
done:
    return status;
}

sg_status sg_image_create(struct sg_image *image, int64_t width, int64_t height, int channels) {
    void *pixels = NULL;
    const sg_status status = create(image, width, height, channels, 1, &pixels);

    image->pixels = pixels;
    image->white = 255.0;
    return status;
}

sg_status sg_image_create_deep(struct sg_image *image, int64_t width, int64_t height, int channels,
                               double white) {
    void *values = NULL;
    const sg_status status = create(image, width, height, channels, sizeof(float), &values);

    image->values = values;
    image->white = white;
    return status;
}

sg_status sg_image_create_like(const struct sg_image *like, int64_t width, int64_t height,
                               struct sg_image *image) {
    return like->pixels != NULL
               ? sg_image_create(image, width, height, like->channels)
               : sg_image_create_deep(image, width, height, like->channels, like->white);
}

void sg_image_free(struct sg_image *image) {
    sg_free(image->pixels);
    sg_free(image->values);
    *image = (struct sg_image){0};
}

struct decoder {
    const char *magic;
    size_t n_magic;
    sg_status (*decode)(const unsigned char *bytes, size_t n, struct sg_image *out);
};

static const struct decoder decoders[] = {
    {"\x89PNG\r\n\x1a\n", 8, sg_decode_png},
    {"\xff\xd8\xff", 3, sg_decode_jpeg},
};

sg_status sg_decode(const unsigned char *bytes, size_t n, struct sg_image *out) {
    sg_status status = SG_OK;

    SG_CHECK(n > 0, SG_E_INPUT, "the file is empty");
    for (size_t i = 0; i < sizeof decoders / sizeof decoders[0]; i++) {
        const struct decoder *d = &decoders[i];

        if (n >= d->n_magic && memcmp(bytes, d->magic, d->n_magic) == 0) {
            return d->decode(bytes, n, out);
        }
    }
    status = sg_fail(SG_E_INPUT, __FILE__, __LINE__,
                     "is neither a PNG nor a JPEG file: its first bytes are those of neither");
done:
    return status;
}
