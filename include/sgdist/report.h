/* include/sgdist/report.h - pictures of results. */
#ifndef SGDIST_REPORT_H
#define SGDIST_REPORT_H

#include "sgdist/shape.h"
#include "sgdist/status.h"

#include <stdint.h>

struct sg_sheet_options {
    int64_t n_items;      /* rows: the first finished items (done or failed) unless `items` names
                           * some; 0: as many as make a handy picture */
    const int64_t *items; /* NULL, or n_items item numbers */
    int64_t cell;         /* pixels of a cell's side; 0: chosen from the map's size */
    const char *title;    /* the first line; NULL: the result's file name */
    int n_labels; /* the methods to show, in this order; 0: all in the order of the alphabet */
    const char *const *labels;
    double percentile; /* of |map| shown as full colour, above 0 to 100; 0: 99 */

    /* Fills pixel[C][H][W], 0..1, with what the network saw of an item; a failure leaves the
     * picture empty. NULL: there is no column of inputs. */
    sg_status (*read_input)(void *context, int64_t item, float *pixel);
    void *context;
    struct sg_shape input; /* C is 1 or 3; used with read_input only, as is: */
    int is_bgr;            /* 1: channels are blue, green, red */
};

/* Draws a contact sheet of a result into the PNG file `out`: a row an item (name, classes, score),
 * columns: the input, then each method's map and its standard error. Of several targets the first
 * is shown. Errors: SG_E_IO, SG_E_FORMAT (no maps of rows and columns), SG_E_ARG (no such item, too
 * large a sheet, nothing finished yet), SG_E_NOMEM. */
sg_status sg_report_sheet(const char *result, const struct sg_sheet_options *options,
                          const char *out);

#endif
