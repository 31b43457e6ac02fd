/* src/report/sheet.c - the contact sheet: a row an item, a column the input and each method's map
 * and standard error; where there are many columns, in bands one below the other.
 *
 * Each map has its own scale, written below it: full colour is the 99th percentile of |value|, so
 * that single hot pixels do not darken the rest. A column with negative values is shown in
 * blue-white-red with white at 0, others from dark to bright. Maps of several channels show the sum
 * of |value| over them, their standard errors the root of the sum of squares. */
#include "report/report_impl.h"

#include "sgdist/memory.h"
#include "sgdist/plan.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DEFAULT_ROWS = 8 }; /* a screen or two */

static void add_column(struct sg_sheet *s, const struct sg_dataset *d, const char *label,
                       size_t n_label, int is_error) {
    struct sg_column *c = &s->columns[s->n_columns];
    int64_t rows;
    int64_t columns;
    int64_t side;

    if (s->n_columns == SG_SHEET_MAX_COLUMNS ||
        !sg_value_is_plane(d, &c->channels, &rows, &columns)) {
        return;
    }
    c->path = d->path;
    c->is_error = is_error;
    if (is_error && s->n_columns > 0) {
        s->columns[s->n_columns - 1].has_error = 1;
    }
    (void)snprintf(c->label, sizeof c->label, "%.*s", (int)n_label, label);
    s->n_targets = d->axes[1];
    side = rows > columns ? rows : columns;
    s->largest = side > s->largest ? side : s->largest;
    s->n_columns++;
}

/* The side of a cell by the largest map, those of layers are smaller: a whole multiple of it of up
 * to 128 pixels. */
static void choose_cell(struct sg_sheet *s) {
    const int64_t side = s->largest;
    const int64_t times = 128 / side;

    if (s->cell <= 0.0) {
        s->cell = (double)(times > 0 ? times * side : side < 224 ? side : 224);
    }
}

/* maps/<label>/map, and maps/<label>/se right behind it. */
static void add_method(struct sg_sheet *s, const char *label, size_t n_label) {
    static const char *const names[] = {"map", "se"};

    for (int is_error = 0; is_error < 2; is_error++) {
        char path[SG_MAX_PATH + 1];
        const struct sg_dataset *d;

        (void)snprintf(path, sizeof path, "maps/%.*s/%s", (int)n_label, label, names[is_error]);
        d = sg_reader_find(s->reader, path);
        if (d != NULL) {
            add_column(s, d, label, n_label, is_error);
        }
    }
}

static void find_columns(struct sg_sheet *s) {
    static const char group[] = "maps/";
    static const char map[] = "/map";

    for (int i = 0; i < s->options->n_labels; i++) {
        add_method(s, s->options->labels[i], strlen(s->options->labels[i]));
    }
    for (int i = 0; s->options->n_labels == 0 && i < sg_reader_n_datasets(s->reader); i++) {
        const char *path = sg_reader_dataset(s->reader, i)->path;
        const size_t n = strlen(path);

        if (strncmp(path, group, strlen(group)) == 0 && n > strlen(group) + strlen(map) &&
            strcmp(path + n - strlen(map), map) == 0) {
            add_method(s, path + strlen(group), n - strlen(group) - strlen(map));
        }
    }
}

sg_status sg_sheet_status(const struct sg_sheet *s, int64_t item, int *out) {
    sg_status status = SG_OK;
    double v;

    SG_TRY(sg_value_number(s->reader, SG_FIELD_STATUS, item, &v));
    *out = isnan(v) ? SG_ITEM_PENDING : (int)v;
done:
    return status;
}

static sg_status take_named_items(struct sg_sheet *s) {
    sg_status status = SG_OK;
    const int64_t n_items = sg_reader_n_items(s->reader);

    for (int64_t i = 0; i < s->options->n_items; i++) {
        SG_CHECK(s->options->items[i] >= 0 && s->options->items[i] < n_items, SG_E_ARG,
                 "there is no item %lld, the result has items 0 to %lld",
                 (long long)s->options->items[i], (long long)n_items - 1);
        s->items[s->n_rows++] = s->options->items[i];
    }
done:
    return status;
}

static sg_status take_first_items(struct sg_sheet *s, int64_t wanted) {
    sg_status status = SG_OK;

    for (int64_t i = 0; i < sg_reader_n_items(s->reader) && s->n_rows < wanted; i++) {
        int state;

        SG_TRY(sg_sheet_status(s, i, &state));
        if (state != SG_ITEM_PENDING) {
            s->items[s->n_rows++] = i;
        }
    }
    SG_CHECK(s->n_rows > 0, SG_E_ARG, "no item of the result is finished yet");
done:
    return status;
}

static sg_status choose_rows(struct sg_sheet *s) {
    sg_status status = SG_OK;
    const int64_t wanted = s->options->n_items > 0 ? s->options->n_items : DEFAULT_ROWS;

    SG_CHECK((double)wanted < SG_SHEET_MAX_SIDE / s->cell, SG_E_ARG,
             "a sheet of %lld items would be too high for a picture, at most %.0f fit",
             (long long)wanted, floor(SG_SHEET_MAX_SIDE / (s->cell + SG_SHEET_CAPTION)) - 2);
    s->items = sg_calloc((size_t)wanted, sizeof *s->items);
    SG_CHECK(s->items != NULL, SG_E_NOMEM, "no memory for a sheet");
    if (s->options->items != NULL) {
        SG_TRY(take_named_items(s));
    } else {
        SG_TRY(take_first_items(s, wanted));
    }
done:
    return status;
}

enum sg_merge sg_sheet_merge(const struct sg_column *c) {
    return c->is_error ? SG_MERGE_ROOT_OF_SQUARES : SG_MERGE_ABS_SUM;
}

/* A column is diverging if any of its shown maps has negative values, so that its rows compare. */
static sg_status find_signs(struct sg_sheet *s, struct sg_column *c) {
    sg_status status = SG_OK;
    struct sg_plane p = {0};

    for (int64_t k = 0; k < s->n_rows && !c->is_diverging && c->channels == 1; k++) {
        SG_TRY(sg_value_plane(s->reader, c->path, s->items[k], sg_sheet_merge(c), &p));
        for (int64_t i = 0; i < p.rows * p.columns; i++) {
            c->is_diverging |= p.values[i] < 0.0;
        }
        sg_free(p.values);
        p.values = NULL;
    }
done:
    sg_free(p.values);
    return status;
}

/* By way of a temporary file: a failure leaves no half picture behind. */
static sg_status save(const struct sg_sheet *s, const char *out) {
    sg_status status = SG_OK;
    const size_t cap = strlen(out) + 8;
    char *partial = sg_calloc(cap, 1);
    cairo_status_t wrote;

    SG_CHECK(partial != NULL, SG_E_NOMEM, "no memory for a file name");
    (void)snprintf(partial, cap, "%s.tmp", out);
    SG_CHECK(cairo_status(s->cr) == CAIRO_STATUS_SUCCESS, SG_E_NOMEM, "drawing failed: %s",
             cairo_status_to_string(cairo_status(s->cr)));
    errno = 0;
    wrote = cairo_surface_write_to_png(s->surface, partial);
    SG_CHECK(wrote == CAIRO_STATUS_SUCCESS && rename(partial, out) == 0, SG_E_IO,
             "%s cannot be written: %s", out,
             errno != 0 ? strerror(errno) : cairo_status_to_string(wrote));
done:
    if (status == SG_E_IO) {
        (void)unlink(partial);
    }
    sg_free(partial);
    return status;
}

static sg_status draw(struct sg_sheet *s, const char *result) {
    sg_status status = SG_OK;

    for (int i = 0; i < s->n_columns; i++) {
        SG_TRY(find_signs(s, &s->columns[i]));
    }
    sg_sheet_place(s);
    SG_TRY(sg_sheet_begin(s));
    SG_TRY(sg_sheet_head(s, result));
    for (int64_t k = 0; k < s->n_rows; k++) {
        SG_TRY(sg_sheet_row(s, k));
    }
    sg_sheet_foot(s);
done:
    return status;
}

static void destroy_sheet(struct sg_sheet *s) {
    if (s == NULL) {
        return;
    }
    if (s->cr != NULL) {
        cairo_destroy(s->cr);
    }
    if (s->surface != NULL) {
        cairo_surface_destroy(s->surface);
    }
    sg_reader_close(s->reader);
    sg_free(s->items);
    sg_free(s);
}

sg_status sg_report_sheet(const char *result, const struct sg_sheet_options *options,
                          const char *out) {
    sg_status status = SG_OK;
    struct sg_sheet *s = sg_calloc(1, sizeof *s);

    SG_CHECK(s != NULL, SG_E_NOMEM, "no memory for a sheet");
    SG_ASSERT(options->read_input == NULL ||
              (options->input.n_axes == 3 &&
               (options->input.axes[0] == 1 || options->input.axes[0] == 3)));
    s->options = options;
    s->percentile = options->percentile > 0.0 ? options->percentile : 99.0;
    s->cell = (double)options->cell;
    SG_CHECK(s->percentile <= 100.0, SG_E_ARG, "the percentile is %g, at most 100 is allowed",
             s->percentile);
    SG_CHECK(options->cell == 0 || (options->cell >= 16 && options->cell <= 2048), SG_E_ARG,
             "a cell of %lld pixels is not possible, 16 to 2048 are", (long long)options->cell);
    SG_TRY(sg_reader_open(result, &s->reader));
    find_columns(s);
    SG_CHECK(s->n_columns > 0, SG_E_FORMAT, "%s: has no maps of rows and columns to show", result);
    choose_cell(s);
    SG_TRY(choose_rows(s));
    SG_TRY(draw(s, result));
    SG_TRY(save(s, out));
done:
    destroy_sheet(s);
    return status;
}
