/* src/report/row.c - one row of the contact sheet: what the item is called, its input, its maps. */
#include "report/report_impl.h"

#include "sgdist/memory.h"
#include "sgdist/plan.h"

#include <math.h>
#include <stdio.h>

/* "title name" of the class in a number field; nothing where the field has no class. */
static sg_status class_line(const struct sg_sheet *s, const char *title, double k, char *out,
                            size_t cap) {
    sg_status status = SG_OK;
    char *name = NULL;

    out[0] = '\0';
    if (isnan(k) || k < 0.0) {
        return SG_OK;
    }
    SG_TRY(sg_value_text(s->reader, "classes", (int64_t)k, &name));
    if (name != NULL) {
        (void)snprintf(out, cap, "%s: %s", title, name);
    } else {
        (void)snprintf(out, cap, "%s: class %.0f", title, k);
    }
done:
    sg_free(name);
    return status;
}

/* Writes a line below the last one, unless it is empty. */
static void put_line(const struct sg_sheet *s, double *y, const char *text) {
    if (text[0] != '\0') {
        sg_draw_text(s->cr, SG_SHEET_MARGIN, *y, SG_SHEET_NAMES, SG_TEXT_SMALL, SG_TEXT_PLAIN, 0,
                     text);
        *y += 16.0;
    }
}

/* A prediction that is not the label stands out. */
static sg_status draw_classes(const struct sg_sheet *s, int64_t item, double *y) {
    sg_status status = SG_OK;
    double label;
    double predicted;
    double target;
    char text[256];

    SG_TRY(sg_value_number(s->reader, "items/label", item, &label));
    SG_TRY(sg_value_number(s->reader, SG_FIELD_PREDICTED, item, &predicted));
    SG_TRY(sg_value_number(s->reader, SG_FIELD_TARGET, item, &target));
    SG_TRY(class_line(s, "label", label, text, sizeof text));
    put_line(s, y, text);
    SG_TRY(class_line(s, "predicted", predicted, text, sizeof text));
    if (label >= 0.0 && predicted != label) {
        cairo_set_source_rgb(s->cr, 0.72, 0.1, 0.1);
    }
    put_line(s, y, text);
    sg_sheet_ink(s, 0.25);
    if (target != predicted) {
        SG_TRY(class_line(s, "explained", target, text, sizeof text));
        put_line(s, y, text);
    }
done:
    return status;
}

static sg_status draw_scores(const struct sg_sheet *s, int64_t item, double *y) {
    sg_status status = SG_OK;
    double probability;
    double score;
    char text[128] = "";

    SG_TRY(sg_value_number(s->reader, SG_FIELD_PROBABILITY, item, &probability));
    if (!isnan(probability)) {
        (void)snprintf(text, sizeof text, "probability: %.3f", probability);
    }
    put_line(s, y, text);
    SG_TRY(sg_value_number(s->reader, SG_FIELD_SCORE, item, &score));
    text[0] = '\0';
    if (!isnan(score)) {
        (void)snprintf(text, sizeof text, "score: %.4g", score);
    }
    put_line(s, y, text);
done:
    return status;
}

static sg_status draw_names(const struct sg_sheet *s, int64_t item, double y, int state) {
    sg_status status = SG_OK;
    char *id = NULL;
    char number[48];

    y += 12.0;
    (void)snprintf(number, sizeof number, "item %lld", (long long)item);
    SG_TRY(sg_value_text(s->reader, "items/id", item, &id));
    sg_sheet_ink(s, 0.1);
    sg_draw_text(s->cr, SG_SHEET_MARGIN, y, SG_SHEET_NAMES, SG_TEXT_NORMAL, SG_TEXT_BOLD, 0,
                 id != NULL ? id : number);
    y += 18.0;
    sg_sheet_ink(s, 0.25);
    if (state == SG_ITEM_DONE) {
        SG_TRY(draw_classes(s, item, &y));
        SG_TRY(draw_scores(s, item, &y));
    }
done:
    sg_free(id);
    return status;
}

static struct sg_rgb input_pixel(const struct sg_sheet_options *o, const float *pixel, int64_t i) {
    const int64_t plane = sg_shape_plane(&o->input);
    unsigned char v[3];

    for (int c = 0; c < 3; c++) {
        const int from = o->input.axes[0] < 3 ? 0 : o->is_bgr ? 2 - c : c;
        const float p = pixel[from * plane + i];

        v[c] = (unsigned char)lrintf(255.0f * (p > 0.0f ? p < 1.0f ? p : 1.0f : 0.0f));
    }
    return (struct sg_rgb){v[0], v[1], v[2]};
}

static sg_status draw_input(const struct sg_sheet *s, int64_t item, double y) {
    sg_status status = SG_OK;
    const struct sg_sheet_options *o = s->options;
    const int64_t n = sg_shape_plane(&o->input);
    float *pixel = sg_calloc((size_t)sg_shape_size(&o->input), sizeof *pixel);
    struct sg_rgb *colors = sg_calloc((size_t)n, sizeof *colors);

    SG_CHECK(pixel != NULL && colors != NULL, SG_E_NOMEM, "no memory for an input picture");
    if (o->read_input(o->context, item, pixel) != SG_OK) {
        goto done; /* The data may be gone; the maps are still worth showing. */
    }
    for (int64_t i = 0; i < n; i++) {
        colors[i] = input_pixel(o, pixel, i);
    }
    SG_TRY(
        sg_draw_picture(s->cr, s->input_x, y, s->cell, o->input.axes[1], o->input.axes[2], colors));
done:
    sg_free(pixel);
    sg_free(colors);
    return status;
}

/* The range of colours, and the noise that was used (the first channel's). A map can be 0 all over,
 * as a class activation map whose relu leaves nothing. */
static sg_status draw_caption(const struct sg_sheet *s, const struct sg_column *c, int64_t item,
                              double y, double full, int is_zero) {
    sg_status status = SG_OK;
    double sigma = NAN;
    char text[SG_MAX_PATH + 16];
    int n;

    if (!c->is_error) {
        (void)snprintf(text, sizeof text, "maps/%s/sigma", c->label);
        SG_TRY(sg_value_number(s->reader, text, item, &sigma));
    }
    n = is_zero ? snprintf(text, sizeof text, "0 everywhere")
                : snprintf(text, sizeof text, "%s%.2g", c->is_diverging ? "\u00b1" : "0 to ", full);
    if (!isnan(sigma)) {
        (void)snprintf(text + n, sizeof text - (size_t)n, ", \u03c3 %.2g", sigma);
    }
    sg_sheet_ink(s, 0.35);
    sg_draw_text(s->cr, c->x + s->cell / 2, y + s->cell + 13, s->cell, SG_TEXT_SMALL, SG_TEXT_PLAIN,
                 1, text);
done:
    return status;
}

static sg_status draw_map(const struct sg_sheet *s, const struct sg_column *c, int64_t item,
                          double y) {
    sg_status status = SG_OK;
    struct sg_plane p = {0};
    struct sg_rgb *colors = NULL;
    int is_zero = 1;
    double full;

    SG_TRY(sg_value_plane(s->reader, c->path, item, sg_sheet_merge(c), &p));
    SG_TRY(sg_value_percentile(p.values, p.rows * p.columns, s->percentile, &full));
    colors = sg_calloc((size_t)(p.rows * p.columns), sizeof *colors);
    SG_CHECK(colors != NULL, SG_E_NOMEM, "no memory for the picture of a map");
    for (int64_t i = 0; i < p.rows * p.columns; i++) {
        const double v = p.values[i] / full;

        is_zero &= !(p.values[i] < 0.0 || p.values[i] > 0.0);
        colors[i] = c->is_diverging ? sg_color_diverging(v) : sg_color_sequential(v);
    }
    SG_TRY(sg_draw_picture(s->cr, c->x, y, s->cell, p.rows, p.columns, colors));
    SG_TRY(draw_caption(s, c, item, y, full, is_zero));
done:
    sg_free(p.values);
    sg_free(colors);
    return status;
}

/* In place of the maps: why there are none. */
static sg_status draw_message(const struct sg_sheet *s, int64_t item, double y, int state) {
    sg_status status = SG_OK;
    const double x = s->columns[0].x;
    const double width = s->width - SG_SHEET_MARGIN - x;
    char *message = NULL;
    char text[SG_MESSAGE_BYTES + 32];

    SG_TRY(sg_value_text(s->reader, SG_FIELD_MESSAGE, item, &message));
    (void)snprintf(text, sizeof text, state == SG_ITEM_FAILED ? "failed: %.240s" : "not yet done",
                   message != NULL ? message : "");
    cairo_set_source_rgb(s->cr, 0.96, 0.94, 0.93);
    cairo_rectangle(s->cr, x, y, width, s->cell);
    cairo_fill(s->cr);
    cairo_set_source_rgb(s->cr, 0.55, 0.1, 0.1);
    sg_draw_text(s->cr, x + SG_SHEET_GAP, y + s->cell / 2, width - 2 * SG_SHEET_GAP, SG_TEXT_NORMAL,
                 SG_TEXT_PLAIN, 0, text);
done:
    sg_free(message);
    return status;
}

static sg_status draw_band(const struct sg_sheet *s, int64_t item, int band, double y, int state) {
    sg_status status = SG_OK;

    SG_TRY(draw_names(s, item, y, state));
    if (s->options->read_input != NULL) {
        SG_TRY(draw_input(s, item, y));
    }
    if (state != SG_ITEM_DONE) {
        SG_TRY(draw_message(s, item, y, state));
        goto done;
    }
    for (int i = 0; i < s->n_columns; i++) {
        if (s->columns[i].band == band) {
            SG_TRY(draw_map(s, &s->columns[i], item, y));
        }
    }
done:
    return status;
}

sg_status sg_sheet_row(const struct sg_sheet *s, int64_t k) {
    sg_status status = SG_OK;
    int state;

    SG_TRY(sg_sheet_status(s, s->items[k], &state));
    for (int band = 0; band < s->n_bands; band++) {
        SG_TRY(draw_band(s, s->items[k], band, sg_sheet_row_y(s, band, k), state));
    }
done:
    return status;
}
