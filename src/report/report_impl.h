/* src/report/report_impl.h - what the files of the report room share: values of a result, colours,
 * drawing. */
#ifndef SGDIST_REPORT_IMPL_H
#define SGDIST_REPORT_IMPL_H

#include "sgdist/report.h"
#include "sgdist/store.h"

#include <cairo.h>
#include <stdint.h>

/* ---- values of a result (values.c) ---- */

/* The first number of an item's part of a dataset as a double (class numbers are exact); NaN where
 * there is no such dataset. */
sg_status sg_value_number(struct sg_reader *r, const char *path, int64_t item, double *out);

/* Text number i of a text dataset along its first axis, for the caller (sg_free); NULL where there
 * is no such dataset or text. */
sg_status sg_value_text(struct sg_reader *r, const char *path, int64_t i, char **out);

/* How a map's channels become one plane. */
enum sg_merge { SG_MERGE_ABS_SUM, SG_MERGE_ROOT_OF_SQUARES };

/* A map of the first target, or a standard error, ready to be shown. */
struct sg_plane {
    int64_t rows;
    int64_t columns;
    double *values; /* sg_free */
};

/* Rows and columns of a map dataset; 0 if it is no map of rows and columns. */
int sg_value_is_plane(const struct sg_dataset *d, int64_t *channels, int64_t *rows,
                      int64_t *columns);

/* Reads an item's map; one channel keeps its signs, several are merged. */
sg_status sg_value_plane(struct sg_reader *r, const char *path, int64_t item, enum sg_merge merge,
                         struct sg_plane *out);

/* The given percentile of |values| that are finite (the nearest rank); where that is 0 the largest,
 * and 1 where all are 0. Errors: SG_E_NOMEM. */
sg_status sg_value_percentile(const double *values, int64_t n, double percentile, double *out);

/* ---- colours (colors.c): readable in black and white and with any colour vision ---- */

struct sg_rgb {
    unsigned char r, g, b;
};

struct sg_rgb sg_color_sequential(double v); /* 0..1, clipped; NaN is grey */
struct sg_rgb sg_color_diverging(double v);  /* -1..1, clipped */

/* ---- drawing (draw.c) ---- */

enum sg_weight { SG_TEXT_PLAIN, SG_TEXT_BOLD };

/* A line of text from its left end (or centred on x where `centred`) on the base line y, shortened
 * with an ellipsis to `width` pixels. Bytes that are not UTF-8 show as '?'. */
void sg_draw_text(cairo_t *cr, double x, double y, double width, double size, enum sg_weight weight,
                  int centred, const char *text);

/* A picture of rows x columns pixels in a square cell, its proportions kept. */
sg_status sg_draw_picture(cairo_t *cr, double x, double y, double cell, int64_t rows,
                          int64_t columns, const struct sg_rgb *pixels);

/* ---- the sheet: chosen in sheet.c, its frame drawn in frame.c, its rows in row.c ---- */

enum {
    SG_SHEET_MARGIN = 16,
    SG_SHEET_GAP = 18,       /* between methods */
    SG_SHEET_PAIR_GAP = 4,   /* between a map and its standard error */
    SG_SHEET_NAMES = 190,    /* width of the column of texts */
    SG_SHEET_HEAD = 84,      /* heights */
    SG_SHEET_BAND_HEAD = 46, /* of the bands below the first */
    SG_SHEET_FOOT = 54,
    SG_SHEET_CAPTION = 26, /* below a cell, with the space to the next row */
    SG_SHEET_MAX_COLUMNS = 160,
    SG_SHEET_BROAD = 2560,     /* columns that would go beyond it begin a new band */
    SG_SHEET_MAX_SIDE = 32000, /* cairo's images end at 32767 */
    SG_TEXT_SMALL = 11,        /* text sizes */
    SG_TEXT_NORMAL = 12,
    SG_TEXT_LARGE = 16
};

struct sg_column {
    const char *path; /* of the map or its standard error; borrowed from the reader */
    char label[SG_MAX_PATH + 1];
    int is_error; /* 1: the standard error of the column before */
    int has_error;
    int is_diverging;
    int64_t channels;
    int band;
    double x;
};

struct sg_sheet {
    const struct sg_sheet_options *options;
    struct sg_reader *reader;
    double percentile;
    int n_columns;
    struct sg_column columns[SG_SHEET_MAX_COLUMNS];
    int64_t n_rows;
    int64_t *items; /* [n_rows] */
    int64_t n_targets;
    int64_t largest; /* side of a map */
    double cell;
    int n_bands; /* of columns, one below the other */
    double input_x;
    double width; /* with margins */
    cairo_surface_t *surface;
    cairo_t *cr;
};

/* Places the columns. */
void sg_sheet_place(struct sg_sheet *s);
double sg_sheet_row_y(const struct sg_sheet *s, int band, int64_t k);

/* The empty sheet. Errors: SG_E_ARG where it is too large, SG_E_NOMEM. */
sg_status sg_sheet_begin(struct sg_sheet *s);
sg_status sg_sheet_head(const struct sg_sheet *s, const char *result);
void sg_sheet_foot(const struct sg_sheet *s);
sg_status sg_sheet_row(const struct sg_sheet *s, int64_t k);

/* enum sg_item_status of an item. */
sg_status sg_sheet_status(const struct sg_sheet *s, int64_t item, int *out);

/* How a column's channels are merged. */
enum sg_merge sg_sheet_merge(const struct sg_column *c);

/* From black (0) to white (1), for what is drawn next. */
void sg_sheet_ink(const struct sg_sheet *s, double lightness);

#endif
