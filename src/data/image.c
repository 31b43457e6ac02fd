/* src/data/image.c - decoded images, and which decoder a file wants. */
#include "data/data_impl.h"
#include "sgdist/memory.h"

#include <string.h>

sg_status sg_image_create(struct sg_image *image, int64_t width, int64_t height, int channels) {
    sg_status status = SG_OK;

    SG_ASSERT(image->pixels == NULL && (channels == 1 || channels == 3));
    SG_CHECK(width > 0 && height > 0, SG_E_INPUT, "the image is empty: %lld rows, %lld columns",
             (long long)height, (long long)width);
    SG_CHECK(width <= SG_MAX_PIXELS / height, SG_E_INPUT,
             "%lld rows x %lld columns are more than the %lld pixels an image may have",
             (long long)height, (long long)width, (long long)SG_MAX_PIXELS);
    image->pixels = sg_malloc_aligned((size_t)(width * height), (size_t)channels);
    SG_CHECK(image->pixels != NULL, SG_E_NOMEM, "no memory for an image of %lld x %lld pixels",
             (long long)height, (long long)width);
    image->width = width;
    image->height = height;
    image->channels = channels;
done:
    return status;
}

void sg_image_free(struct sg_image *image) {
    sg_free(image->pixels);
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
