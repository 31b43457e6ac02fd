/* src/data/jpeg.c - JPEG to 8-bit grey or RGB, byte for byte what Pillow's convert('RGB') gives
 * with the same libjpeg-turbo: accurate integer DCT, smooth chroma upsampling.
 *
 * The orientation that a camera noted (EXIF) is passed on. CMYK files are taken as inverted
 * (Adobe's convention). A file that ends early is refused; other slips
 * that libjpeg can bridge are bridged, as in Pillow. */
#include "data/image.h"
#include "sgdist/memory.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>

struct reader {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr source;
    jmp_buf escape;
    struct sg_image *image;
    unsigned char *inks; /* one row of CMYK, NULL for other files */
    int orientation;
    char reason[JMSG_LENGTH_MAX];
};

static void fail(struct reader *r, const char *reason) {
    (void)snprintf(r->reason, sizeof r->reason, "%s", reason);
    longjmp(r->escape, 1);
}

static void on_error(j_common_ptr jpeg) {
    struct reader *r = jpeg->client_data;

    jpeg->err->format_message(jpeg, r->reason);
    longjmp(r->escape, 1);
}

static void on_message(j_common_ptr jpeg, int level) {
    (void)jpeg; /* Warnings are about data that libjpeg could bridge. */
    (void)level;
}

static void on_source(j_decompress_ptr jpeg) {
    (void)jpeg; /* The whole file is there from the start, and until the end. */
}

static boolean on_empty(j_decompress_ptr jpeg) {
    fail(jpeg->client_data, "the file is cut short");
    return FALSE;
}

static void on_skip(j_decompress_ptr jpeg, long n) {
    struct jpeg_source_mgr *source = jpeg->src;

    if (n > 0 && (size_t)n > source->bytes_in_buffer) {
        fail(jpeg->client_data, "the file is cut short");
    }
    if (n > 0) {
        source->next_input_byte += n;
        source->bytes_in_buffer -= (size_t)n;
    }
}

/* The first EXIF record counts, as in Pillow. */
static int orientation_of(const struct reader *r) {
    static const char head[] = "Exif\0"; /* and the NUL behind it */

    for (const struct jpeg_marker_struct *m = r->jpeg.marker_list; m != NULL; m = m->next) {
        if (m->marker == JPEG_APP0 + 1 && m->data_length > sizeof head &&
            memcmp(m->data, head, sizeof head) == 0) {
            return sg_exif_orientation(m->data + sizeof head, m->data_length - sizeof head);
        }
    }
    return 0;
}

static void read_head(struct reader *r) {
    jpeg_create_decompress(&r->jpeg);
    r->jpeg.src = &r->source;
    jpeg_save_markers(&r->jpeg, JPEG_APP0 + 1, 0xffff);
    (void)jpeg_read_header(&r->jpeg, TRUE);
    r->orientation = orientation_of(r); /* the markers go with the end of decoding */
    switch (r->jpeg.num_components) {
    case 1:
        r->jpeg.out_color_space = JCS_GRAYSCALE;
        break;
    case 3:
        r->jpeg.out_color_space = JCS_RGB;
        break;
    case 4:
        r->jpeg.out_color_space = JCS_CMYK;
        break;
    default:
        fail(r, "it has neither 1, 3 nor 4 components");
    }
}

/* (a * b) / 255, rounded, in the integer steps that imaging libraries share. */
static unsigned muldiv255(unsigned a, unsigned b) {
    const unsigned t = a * b + 128;

    return ((t >> 8) + t) >> 8;
}

/* The file holds 255 - ink. */
static void cmyk_to_rgb(const unsigned char *inks, int64_t width, unsigned char *rgb) {
    for (int64_t x = 0; x < width; x++) {
        const unsigned light = inks[4 * x + 3];

        for (int c = 0; c < 3; c++) {
            rgb[3 * x + c] = (unsigned char)(light - muldiv255(255U - inks[4 * x + c], light));
        }
    }
}

static void read_rows(struct reader *r) {
    const int64_t row_bytes = r->image->width * r->image->channels;

    (void)jpeg_start_decompress(&r->jpeg);
    while (r->jpeg.output_scanline < r->jpeg.output_height) {
        unsigned char *row = r->image->pixels + r->jpeg.output_scanline * row_bytes;
        JSAMPROW target = r->inks != NULL ? r->inks : row;

        (void)jpeg_read_scanlines(&r->jpeg, &target, 1);
        if (r->inks != NULL) {
            cmyk_to_rgb(r->inks, r->image->width, row);
        }
    }
    (void)jpeg_finish_decompress(&r->jpeg);
}

/* libjpeg leaves `step` by longjmp when it fails; nothing here is changed after setjmp. */
static int succeeds(struct reader *r, void (*step)(struct reader *)) {
    if (setjmp(r->escape) != 0) {
        return 0;
    }
    step(r);
    return 1;
}

static void prepare(struct reader *r, const unsigned char *bytes, size_t n) {
    r->jpeg.err = jpeg_std_error(&r->errors);
    r->errors.error_exit = on_error;
    r->errors.emit_message = on_message;
    r->jpeg.client_data = r;
    r->source = (struct jpeg_source_mgr){.next_input_byte = bytes,
                                         .bytes_in_buffer = n,
                                         .init_source = on_source,
                                         .fill_input_buffer = on_empty,
                                         .skip_input_data = on_skip,
                                         .resync_to_restart = jpeg_resync_to_restart,
                                         .term_source = on_source};
}

sg_status sg_decode_jpeg(const unsigned char *bytes, size_t n, struct sg_image *out) {
    sg_status status = SG_OK;
    struct sg_image image = {0};
    struct reader r = {.image = &image};

    prepare(&r, bytes, n);
    SG_CHECK(succeeds(&r, read_head), SG_E_INPUT, "damaged JPEG: %s", r.reason);
    SG_TRY(sg_image_create(&image, r.jpeg.image_width, r.jpeg.image_height,
                           r.jpeg.num_components == 1 ? 1 : 3));
    if (r.jpeg.num_components == 4) {
        r.inks = sg_calloc((size_t)image.width, 4);
        SG_CHECK(r.inks != NULL, SG_E_NOMEM, "no memory for a row of an image");
    }
    SG_CHECK(succeeds(&r, read_rows), SG_E_INPUT, "damaged JPEG: %s", r.reason);

    *out = image;
    out->orientation = r.orientation;
    image = (struct sg_image){0};
done:
    jpeg_destroy_decompress(&r.jpeg);
    sg_free(r.inks);
    sg_image_free(&image);
    return status;
}
