/* src/data/exif.c - the orientation that a camera noted, and turning a picture upright by it. */
#include "data/image.h"

#include <string.h>

enum { TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3, ENTRY_BYTES = 12 };

static unsigned number(const unsigned char *b, int n, int is_big_endian) {
    unsigned v = 0;

    for (int i = 0; i < n; i++) {
        v |= (unsigned)b[is_big_endian ? n - 1 - i : i] << (8 * i);
    }
    return v;
}

/* TIFF 6.0: the order of bytes, 42, the place of the first directory; there a count and entries of
 * tag, type, count and value. */
int sg_exif_orientation(const unsigned char *bytes, size_t n) {
    int big;
    size_t at;
    unsigned n_entries;

    if (n < 8 || (memcmp(bytes, "II*\0", 4) != 0 && memcmp(bytes, "MM\0*", 4) != 0)) {
        return 0;
    }
    big = bytes[0] == 'M';
    at = number(bytes + 4, 4, big);
    if (at > n - 2) {
        return 0;
    }
    n_entries = number(bytes + at, 2, big);
    at += 2;
    for (unsigned i = 0; i < n_entries && n - at >= ENTRY_BYTES; i++, at += ENTRY_BYTES) {
        const unsigned char *entry = bytes + at;

        if (number(entry, 2, big) == TAG_ORIENTATION && number(entry + 2, 2, big) == TYPE_SHORT) {
            const unsigned value = number(entry + 8, 2, big);

            return value >= 1 && value <= 8 ? (int)value : 0;
        }
    }
    return 0;
}

/* How each orientation is undone: rows and columns change places, then either is read backwards. */
static const struct {
    int swaps;
    int flips_rows; /* the first row becomes the last one */
    int flips_columns;
} turns[9] = {
    [2] = {0, 0, 1}, [3] = {0, 1, 1}, [4] = {0, 1, 0}, [5] = {1, 0, 0},
    [6] = {1, 0, 1}, [7] = {1, 1, 1}, [8] = {1, 1, 0},
};

/* The stored pixel that shows at (y, x) of the upright picture. */
static int64_t source_of(const struct sg_image *in, const struct sg_image *out, int64_t y,
                         int64_t x) {
    const int o = in->orientation;
    const int64_t row = turns[o].flips_rows ? out->height - 1 - y : y;
    const int64_t column = turns[o].flips_columns ? out->width - 1 - x : x;

    return turns[o].swaps ? column * in->width + row : row * in->width + column;
}

sg_status sg_image_turn(struct sg_image *image) {
    sg_status status = SG_OK;
    const int swaps = turns[image->orientation].swaps;
    const size_t n = (size_t)image->channels;
    struct sg_image out = {0};

    if (image->orientation <= 1) {
        return SG_OK;
    }
    SG_TRY(sg_image_create_like(image, swaps ? image->height : image->width,
                                swaps ? image->width : image->height, &out));
    for (int64_t i = 0; i < out.width * out.height; i++) {
        const size_t from = n * (size_t)source_of(image, &out, i / out.width, i % out.width);

        if (image->pixels != NULL) {
            memcpy(out.pixels + n * (size_t)i, image->pixels + from, n);
        } else {
            memcpy(out.values + n * (size_t)i, image->values + from, n * sizeof *out.values);
        }
    }
    sg_image_free(image);
    *image = out;
done:
    return status;
}
