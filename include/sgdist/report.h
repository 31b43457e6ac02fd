/* include/sgdist/report.h - pictures of results. */
#ifndef SGDIST_REPORT_H
#define SGDIST_REPORT_H

#include "sgdist/status.h"

#include <stdint.h>

struct sg_sheet_options {
    int64_t n_items;      /* rows; the first done ones unless `items` names some */
    const int64_t *items; /* NULL, or n_items item numbers */
    int64_t cell;         /* pixels of a cell's side; 0: chosen from the map's size */
    double percentile;    /* of |map| shown as full colour (99) */
};

/* Draws a contact sheet of a result into the PNG file `out`: a row an item (name, class, score), a
 * column the input, then each method's map and its standard error. Reads the input pictures through
 * the job and data that the result names; where they are gone the input column stays empty. Errors:
 * SG_E_IO, SG_E_FORMAT, SG_E_ARG. */
sg_status sg_report_sheet(const char *result, const struct sg_sheet_options *options,
                          const char *out);

#endif
