/* src/data/png.c - PNG to grey or RGB: files of up to 8 bits byte for byte what Pillow's
 * convert('RGB') gives, files of 16 bits as the numbers that they hold.
 *
 * Alpha and transparency are dropped, not blended; gamma and colour profiles are ignored. (Pillow
 * takes the high byte of 16-bit colour, and cuts 16-bit grey off at 255.) */
#include "data/image.h"

#include <png.h>
#include <stdio.h>
#include <string.h>

struct reader {
    png_structp png;
    png_infop info;
    const unsigned char *bytes;
    size_t n;
    size_t at;
    struct sg_image *image;
    unsigned char *bytes_of_rows; /* [height][width][channels] of 1 or 2 bytes */
    int orientation;
    int is_palette;
    int is_deep;
    unsigned char palette[256][3];
    char reason[160];
};

static void on_error(png_structp png, png_const_charp message) {
    struct reader *r = png_get_error_ptr(png);

    (void)snprintf(r->reason, sizeof r->reason, "%s", message);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp message) {
    (void)png; /* Warnings concern what is not used here: profiles, texts, times. */
    (void)message;
}

static void on_read(png_structp png, png_bytep to, size_t n) {
    struct reader *r = png_get_io_ptr(png);

    if (n > r->n - r->at) {
        png_error(png, "the file is cut short");
    }
    memcpy(to, r->bytes + r->at, n);
    r->at += n;
}

/* Indices past the end of the file's palette show as grey, as in Pillow. */
static void take_palette(struct reader *r) {
    png_colorp entries = NULL;
    int n = 0;

    for (int i = 0; i < 256; i++) {
        memset(r->palette[i], i, 3);
    }
    (void)png_get_PLTE(r->png, r->info, &entries, &n);
    for (int i = 0; i < n && i < 256; i++) {
        r->palette[i][0] = entries[i].red;
        r->palette[i][1] = entries[i].green;
        r->palette[i][2] = entries[i].blue;
    }
}

static void take_orientation(struct reader *r) {
    png_bytep exif = NULL;
    png_uint_32 n = 0;

    if (png_get_eXIf_1(r->png, r->info, &n, &exif) != 0) {
        r->orientation = sg_exif_orientation(exif, n);
    }
}

static void read_head(struct reader *r) {
    int depth;
    int color;

    png_read_info(r->png, r->info);
    depth = png_get_bit_depth(r->png, r->info);
    color = png_get_color_type(r->png, r->info);
    r->is_deep = depth == 16;
    r->is_palette = color == PNG_COLOR_TYPE_PALETTE;
    if (r->is_palette) {
        take_palette(r);
        png_set_packing(r->png);
    } else if (depth < 8) {
        png_set_expand_gray_1_2_4_to_8(r->png);
    }
    if (r->is_deep) {
        png_set_swap(r->png); /* to this machine's order of bytes */
    }
    png_set_strip_alpha(r->png);
    take_orientation(r);
}

static void expand_palette(const struct reader *r, unsigned char *row) {
    for (int64_t x = r->image->width - 1; x >= 0; x--) {
        memcpy(row + 3 * x, r->palette[row[x]], 3);
    }
}

static void read_rows(struct reader *r) {
    const int64_t row_bytes = r->image->width * r->image->channels * (r->is_deep ? 2 : 1);
    const int n_passes = png_set_interlace_handling(r->png);

    png_read_update_info(r->png, r->info);
    for (int pass = 0; pass < n_passes; pass++) {
        for (int64_t y = 0; y < r->image->height; y++) {
            png_read_row(r->png, r->bytes_of_rows + y * row_bytes, NULL);
        }
    }
    for (int64_t y = 0; r->is_palette && y < r->image->height; y++) {
        expand_palette(r, r->image->pixels + y * row_bytes);
    }
}

/* libpng leaves `step` by longjmp when it fails; nothing here is changed after setjmp. */
static int succeeds(struct reader *r, void (*step)(struct reader *)) {
    if (setjmp(png_jmpbuf(r->png)) != 0) {
        return 0;
    }
    step(r);
    return 1;
}

static int is_grey(const struct reader *r) {
    const int color = png_get_color_type(r->png, r->info);

    return color == PNG_COLOR_TYPE_GRAY || color == PNG_COLOR_TYPE_GRAY_ALPHA;
}

/* The image, and the room that rows are read into: its own pixels, or 16-bit numbers, which become
 * its values. */
static sg_status create_image(struct reader *r) {
    sg_status status = SG_OK;
    const int64_t width = png_get_image_width(r->png, r->info);
    const int64_t height = png_get_image_height(r->png, r->info);
    const int channels = is_grey(r) ? 1 : 3;

    if (!r->is_deep) {
        SG_TRY(sg_image_create(r->image, width, height, channels));
        r->bytes_of_rows = r->image->pixels;
    } else {
        SG_TRY(sg_image_create_deep(r->image, width, height, channels, 65535.0));
        /* The upper half of the floats: they are filled from below, and never overtake. */
        r->bytes_of_rows = (unsigned char *)r->image->values + 2 * width * height * channels;
    }
done:
    return status;
}

static void to_values(const struct reader *r) {
    const int64_t n = r->image->width * r->image->height * r->image->channels;

    for (int64_t i = 0; r->is_deep && i < n; i++) {
        uint16_t v;

        memcpy(&v, r->bytes_of_rows + 2 * i, sizeof v);
        r->image->values[i] = v;
    }
}

sg_status sg_decode_png(const unsigned char *bytes, size_t n, struct sg_image *out) {
    sg_status status = SG_OK;
    struct sg_image image = {0};
    struct reader r = {.bytes = bytes, .n = n, .image = &image};

    r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, on_error, on_warning);
    SG_CHECK(r.png != NULL, SG_E_NOMEM, "no memory for the PNG decoder");
    r.info = png_create_info_struct(r.png);
    SG_CHECK(r.info != NULL, SG_E_NOMEM, "no memory for the PNG decoder");
    png_set_read_fn(r.png, &r, on_read);
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    /* A fuzzer cannot guess checksums, and would never come past them. */
    png_set_crc_action(r.png, PNG_CRC_QUIET_USE, PNG_CRC_QUIET_USE);
    png_set_option(r.png, PNG_IGNORE_ADLER32, PNG_OPTION_ON);
#endif

    SG_CHECK(succeeds(&r, read_head), SG_E_INPUT, "damaged PNG: %s", r.reason);
    SG_TRY(create_image(&r));
    SG_CHECK(succeeds(&r, read_rows), SG_E_INPUT, "damaged PNG: %s", r.reason);
    to_values(&r);

    *out = image;
    out->orientation = r.orientation;
    image = (struct sg_image){0};
done:
    png_destroy_read_struct(&r.png, &r.info, NULL);
    sg_image_free(&image);
    return status;
}
