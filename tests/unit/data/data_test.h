/* tests/unit/data/data_test.h - scratch folders and small data files for the tests of the data
 * room. */
#ifndef SGDIST_DATA_TEST_H
#define SGDIST_DATA_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sgdist/data.h"
#include "sgdist/memory.h"

#include <ftw.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

struct scratch {
    char root[64];
    char path[512]; /* of the last scratch_path() */
};

static inline void scratch_make(struct scratch *s) {
    (void)snprintf(s->root, sizeof s->root, "/tmp/sgdist-data-XXXXXX");
    assert_non_null(mkdtemp(s->root));
}

/* The path of a name in the scratch folder; valid until the next call. */
static inline char *scratch_path(struct scratch *s, const char *name) {
    (void)snprintf(s->path, sizeof s->path, "%s/%s", s->root, name);
    return s->path;
}

static inline void scratch_folder(struct scratch *s, const char *name) {
    assert_int_equal(mkdir(scratch_path(s, name), 0700), 0);
}

static inline int remove_entry(const char *path, const struct stat *st, int kind,
                               struct FTW *place) {
    (void)st;
    (void)kind;
    (void)place;
    return remove(path);
}

static inline void scratch_remove(const char *path) {
    (void)nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void write_bytes(const char *path, const void *bytes, size_t n) {
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/* An RGB picture all of one colour. */
static inline void write_png(const char *path, unsigned width, unsigned height,
                             const unsigned char rgb[3]) {
    png_image image = {.version = PNG_IMAGE_VERSION, .format = PNG_FORMAT_RGB};
    unsigned char *pixels = malloc((size_t)width * height * 3);

    assert_non_null(pixels);
    for (size_t i = 0; i < (size_t)width * height; i++) {
        memcpy(pixels + 3 * i, rgb, 3);
    }
    image.width = width;
    image.height = height;
    assert_int_equal(png_image_write_to_file(&image, path, 0, pixels, 0, NULL), 1);
    free(pixels);
}

/* An IDX file of unsigned bytes whose value number i is i % 251; gzip where `gz`. */
static inline void write_idx(const char *path, int gz, int n_axes, const int *axes) {
    gzFile f = gzopen(path, gz ? "wb" : "wbT");
    int n = 1;

    assert_non_null(f);
    (void)gzputc(f, 0);
    (void)gzputc(f, 0);
    (void)gzputc(f, 8);
    (void)gzputc(f, n_axes);
    for (int a = 0; a < n_axes; a++) {
        for (int shift = 24; shift >= 0; shift -= 8) {
            (void)gzputc(f, axes[a] >> shift & 255);
        }
        n *= axes[a];
    }
    for (int i = 0; i < n; i++) {
        (void)gzputc(f, i % 251);
    }
    assert_int_equal(gzclose(f), Z_OK);
}

/* Options that change nothing: x = byte / 255. */
static inline struct sg_data_options plain_options(enum sg_source source, char *path) {
    return (struct sg_data_options){.source = source, .path = path, .preprocess = {.scale = 1.0}};
}

static inline struct sg_shape image_shape(int64_t c, int64_t h, int64_t w) {
    return (struct sg_shape){.n_axes = 3, .axes = {c, h, w}};
}

/* Opening fails with this code and a message that holds `text`. */
static inline void assert_open_fails(const struct sg_data_options *options,
                                     const struct sg_shape *input, sg_status code,
                                     const char *text) {
    struct sg_items *items = NULL;

    assert_int_equal(sg_items_open(options, input, &items), code);
    assert_null(items);
    if (strstr(sg_trace_message(), text) == NULL) {
        fail_msg("'%s' is not in the message: %s", text, sg_trace_message());
    }
}

#endif
