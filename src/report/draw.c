/* src/report/draw.c - text and pictures on a cairo surface. */
#include "report/report_impl.h"

#include "sgdist/memory.h"

#include <stdio.h>
#include <string.h>

enum { MAX_TEXT = 512 };

/* Bytes of the UTF-8 character at s, 0 if there is none. Forms that are longer than they need to be
 * and surrogates are not told apart from good ones beyond what cairo refuses. */
static size_t character_bytes(const unsigned char *s) {
    size_t n = s[0] < 0x80                   ? 1
               : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
               : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
                                             : 0;

    if (n == 0 && s[0] >= 0xf0 && s[0] < 0xf5) {
        n = 4;
    }
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] >= 0xa0) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] >= 0x90)) {
        return 0;
    }
    return n;
}

/* Copies whole characters; what is no UTF-8, and control characters, become '?'. */
static void clean(const char *text, char out[MAX_TEXT]) {
    const unsigned char *s = (const unsigned char *)text;
    size_t at = 0;

    while (*s != '\0' && at + 5 < MAX_TEXT) {
        const size_t n = character_bytes(s);

        if (n == 0 || *s < 0x20) {
            out[at++] = '?';
            s++;
        } else {
            memcpy(out + at, s, n);
            at += n;
            s += n;
        }
    }
    out[at] = '\0';
}

static double width_of(cairo_t *cr, const char *text) {
    cairo_text_extents_t extents;

    cairo_text_extents(cr, text, &extents);
    return extents.x_advance;
}

/* Takes characters off the end until the rest and an ellipsis fit. */
static void shorten(cairo_t *cr, char text[MAX_TEXT], double width) {
    static const char dots[] = "...";
    size_t n = strlen(text);

    if (width_of(cr, text) <= width) {
        return;
    }
    n = n + sizeof dots > MAX_TEXT ? MAX_TEXT - sizeof dots : n;
    do {
        while (n > 0 && ((unsigned char)text[n - 1] & 0xc0) == 0x80) {
            n--;
        }
        n -= n > 0 ? 1 : 0;
        (void)memcpy(text + n, dots, sizeof dots);
    } while (n > 0 && width_of(cr, text) > width);
}

void sg_draw_text(cairo_t *cr, double x, double y, double width, double size, enum sg_weight weight,
                  int centred, const char *text) {
    char shown[MAX_TEXT];

    cairo_select_font_face(cr, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                           weight == SG_TEXT_BOLD ? CAIRO_FONT_WEIGHT_BOLD
                                                  : CAIRO_FONT_WEIGHT_NORMAL);
    clean(text, shown);
    for (double step = 1.0; step > 0.79; step -= 0.05) { /* a little smaller before it is cut */
        cairo_set_font_size(cr, size * step);
        if (width_of(cr, shown) <= width) {
            break;
        }
    }
    shorten(cr, shown, width);
    cairo_move_to(cr, centred ? x - width_of(cr, shown) / 2.0 : x, y);
    cairo_show_text(cr, shown);
}

static void fill_surface(cairo_surface_t *surface, int64_t rows, int64_t columns,
                         const struct sg_rgb *pixels) {
    const int stride = cairo_image_surface_get_stride(surface);
    unsigned char *bytes = cairo_image_surface_get_data(surface);

    cairo_surface_flush(surface);
    for (int64_t y = 0; y < rows; y++) {
        for (int64_t x = 0; x < columns; x++) {
            const struct sg_rgb p = pixels[y * columns + x];
            const uint32_t word = (uint32_t)p.r << 16 | (uint32_t)p.g << 8 | p.b;

            memcpy(bytes + y * stride + 4 * x, &word, sizeof word);
        }
    }
    cairo_surface_mark_dirty(surface);
}

sg_status sg_draw_picture(cairo_t *cr, double x, double y, double cell, int64_t rows,
                          int64_t columns, const struct sg_rgb *pixels) {
    sg_status status = SG_OK;
    const double scale = cell / (double)(rows > columns ? rows : columns);
    cairo_surface_t *surface =
        cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)columns, (int)rows);

    SG_CHECK(cairo_surface_status(surface) == CAIRO_STATUS_SUCCESS, SG_E_NOMEM,
             "no memory for a picture of %lld x %lld pixels", (long long)rows, (long long)columns);
    fill_surface(surface, rows, columns, pixels);
    cairo_save(cr);
    cairo_translate(cr, x + (cell - scale * (double)columns) / 2.0,
                    y + (cell - scale * (double)rows) / 2.0);
    cairo_scale(cr, scale, scale);
    cairo_set_source_surface(cr, surface, 0.0, 0.0);
    /* Enlarged pixels stay squares: a map is data, and smoothing would invent some. */
    cairo_pattern_set_filter(cairo_get_source(cr),
                             scale >= 1.0 ? CAIRO_FILTER_NEAREST : CAIRO_FILTER_GOOD);
    cairo_rectangle(cr, 0.0, 0.0, (double)columns, (double)rows);
    cairo_fill(cr);
    cairo_restore(cr);
done:
    cairo_surface_destroy(surface);
    return status;
}
