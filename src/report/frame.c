/* src/report/frame.c - the sheet around the rows: where things stand, headings, the key to the
 * colours. */
#include "report/report_impl.h"

#include "sgdist/text.h"

#include <stdio.h>
#include <string.h>

enum { BAR_WIDTH = 120, BAR_HEIGHT = 10 };

void sg_sheet_place(struct sg_sheet *s) {
    const double least = SG_SHEET_NAMES + 4 * BAR_WIDTH; /* the foot needs it */
    double first;
    double x;

    s->input_x = SG_SHEET_MARGIN + SG_SHEET_NAMES + SG_SHEET_GAP;
    first = s->input_x + (s->options->read_input != NULL ? s->cell + SG_SHEET_GAP : 0);
    x = first;
    s->n_bands = 1;
    s->width = least;
    for (int i = 0; i < s->n_columns; i++) {
        struct sg_column *c = &s->columns[i];
        const double pair = c->has_error ? SG_SHEET_PAIR_GAP + s->cell : 0;

        if (!c->is_error && x > first && x + s->cell + pair + SG_SHEET_MARGIN > SG_SHEET_BROAD) {
            s->n_bands++;
            x = first;
        }
        c->band = s->n_bands - 1;
        c->x = x;
        x += s->cell;
        s->width = x + SG_SHEET_MARGIN > s->width ? x + SG_SHEET_MARGIN : s->width;
        x += c->has_error ? SG_SHEET_PAIR_GAP : SG_SHEET_GAP;
    }
}

double sg_sheet_row_y(const struct sg_sheet *s, int band, int64_t k) {
    const double row = s->cell + SG_SHEET_CAPTION;

    return SG_SHEET_MARGIN + SG_SHEET_HEAD + band * ((double)s->n_rows * row + SG_SHEET_BAND_HEAD) +
           (double)k * row;
}

sg_status sg_sheet_begin(struct sg_sheet *s) {
    sg_status status = SG_OK;
    const double height =
        sg_sheet_row_y(s, s->n_bands - 1, s->n_rows) + SG_SHEET_FOOT + SG_SHEET_MARGIN;

    SG_CHECK(s->width < SG_SHEET_MAX_SIDE && height < SG_SHEET_MAX_SIDE, SG_E_ARG,
             "a sheet of %.0f x %.0f pixels is too large: ask for fewer items or smaller cells",
             s->width, height);
    s->surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)s->width, (int)height);
    s->cr = cairo_create(s->surface);
    SG_CHECK(cairo_status(s->cr) == CAIRO_STATUS_SUCCESS, SG_E_NOMEM,
             "no memory for a sheet of %.0f x %.0f pixels", s->width, height);
    cairo_set_source_rgb(s->cr, 1.0, 1.0, 1.0);
    cairo_paint(s->cr);
done:
    return status;
}

void sg_sheet_ink(const struct sg_sheet *s, double lightness) {
    cairo_set_source_rgb(s->cr, lightness, lightness, lightness);
}

static void draw_title(const struct sg_sheet *s, const char *result) {
    const char *slash = strrchr(result, '/');
    const char *file = slash != NULL ? slash + 1 : result;
    const char *title = s->options->title;
    const double width = s->width - 2 * SG_SHEET_MARGIN;
    char text[SG_MAX_PATH + 96];

    sg_sheet_ink(s, 0.1);
    sg_draw_text(s->cr, SG_SHEET_MARGIN, SG_SHEET_MARGIN + SG_TEXT_LARGE, width, SG_TEXT_LARGE,
                 SG_TEXT_BOLD, 0, title != NULL ? title : file);
    (void)snprintf(text, sizeof text, "%s%s%lld of %lld item%s", title != NULL ? file : "",
                   title != NULL ? ": " : "", (long long)s->n_rows,
                   (long long)sg_reader_n_items(s->reader),
                   sg_text_plural(sg_reader_n_items(s->reader)));
    sg_sheet_ink(s, 0.35);
    sg_draw_text(s->cr, SG_SHEET_MARGIN, SG_SHEET_MARGIN + 34, width, SG_TEXT_NORMAL, SG_TEXT_PLAIN,
                 0, text);
}

/* The label stands over a map and its standard error together. */
static sg_status draw_heading(const struct sg_sheet *s, const struct sg_column *c) {
    sg_status status = SG_OK;
    const double base = sg_sheet_row_y(s, c->band, 0) - 24;
    const double width = c->has_error ? 2 * s->cell + SG_SHEET_PAIR_GAP : s->cell;
    double samples;
    char text[SG_MAX_PATH + 16];

    (void)snprintf(text, sizeof text, "maps/%s/samples", c->label);
    SG_TRY(sg_value_number(s->reader, text, s->items[0], &samples));
    text[0] = '\0';
    if (c->is_error) {
        (void)snprintf(text, sizeof text, "standard error");
    } else if (samples > 1.0) {
        (void)snprintf(text, sizeof text, "%.0f samples", samples);
    }
    sg_sheet_ink(s, 0.35);
    sg_draw_text(s->cr, c->x + s->cell / 2, base + 15, s->cell, SG_TEXT_SMALL, SG_TEXT_PLAIN, 1,
                 text);
    if (!c->is_error) {
        sg_sheet_ink(s, 0.1);
        sg_draw_text(s->cr, c->x + width / 2, base, width + SG_SHEET_GAP - 6, SG_TEXT_NORMAL,
                     SG_TEXT_BOLD, 1, c->label);
    }
done:
    return status;
}

sg_status sg_sheet_head(const struct sg_sheet *s, const char *result) {
    sg_status status = SG_OK;

    draw_title(s, result);
    for (int band = 0; s->options->read_input != NULL && band < s->n_bands; band++) {
        sg_sheet_ink(s, 0.1);
        sg_draw_text(s->cr, s->input_x + s->cell / 2, sg_sheet_row_y(s, band, 0) - 24, s->cell,
                     SG_TEXT_NORMAL, SG_TEXT_BOLD, 1, "input");
    }
    for (int i = 0; i < s->n_columns; i++) {
        SG_TRY(draw_heading(s, &s->columns[i]));
    }
done:
    return status;
}

static void draw_bar(const struct sg_sheet *s, double x, double y, int is_diverging) {
    for (int i = 0; i < BAR_WIDTH; i++) {
        const double t = i / (BAR_WIDTH - 1.0);
        const struct sg_rgb p =
            is_diverging ? sg_color_diverging(2.0 * t - 1.0) : sg_color_sequential(t);

        cairo_set_source_rgb(s->cr, p.r / 255.0, p.g / 255.0, p.b / 255.0);
        cairo_rectangle(s->cr, x + i, y, 1.0, BAR_HEIGHT);
        cairo_fill(s->cr);
    }
}

void sg_sheet_foot(const struct sg_sheet *s) {
    const double y = sg_sheet_row_y(s, s->n_bands - 1, s->n_rows) + 6;
    const double width = s->width - 2 * SG_SHEET_MARGIN;
    int used[2] = {0, 0};
    int is_merged = 0;
    double x = SG_SHEET_MARGIN;
    char text[256];

    for (int i = 0; i < s->n_columns; i++) {
        used[s->columns[i].is_diverging] = 1;
        is_merged |= s->columns[i].channels > 1;
    }
    for (int d = 0; d < 2; d++) {
        if (used[d]) {
            draw_bar(s, x, y, d);
            sg_sheet_ink(s, 0.35);
            sg_draw_text(s->cr, x + BAR_WIDTH + 6, y + 9, BAR_WIDTH, SG_TEXT_SMALL, SG_TEXT_PLAIN,
                         0, d ? "negative, 0, positive" : "0 to the largest");
            x += 2 * BAR_WIDTH + 2 * SG_SHEET_GAP;
        }
    }
    (void)snprintf(text, sizeof text,
                   "The numbers below a map are its range of colours, to percentile %g of "
                   "|value|; larger values have the last colour.",
                   s->percentile);
    sg_draw_text(s->cr, SG_SHEET_MARGIN, y + 28, width, SG_TEXT_SMALL, SG_TEXT_PLAIN, 0, text);
    (void)snprintf(text, sizeof text, "%s%s",
                   is_merged ? "Channels are added up: |value| of maps, squares of standard "
                               "errors, under a root. "
                             : "",
                   s->n_targets > 1 ? "Of several targets the first is shown." : "");
    sg_draw_text(s->cr, SG_SHEET_MARGIN, y + 44, width, SG_TEXT_SMALL, SG_TEXT_PLAIN, 0, text);
}
