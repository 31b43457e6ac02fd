/* src/data/fit.c - can the source give what the model takes? Said before the run, with what to set.
 */
#include "data/data_impl.h"

#include <stdio.h>

/* No sensible picture side; keeps products of sizes far from overflow. */
static const int64_t MAX_SIDE = INT64_C(1) << 20;

static sg_status check_count(const char *key, int n, int64_t n_channels) {
    sg_status status = SG_OK;

    SG_CHECK(
        n == 0 || n == 1 || n == n_channels, SG_E_JOB,
        "data.preprocess.%s: has %d values, the model has %lld channels: give one value, or one "
        "a channel",
        key, n, (long long)n_channels);
done:
    return status;
}

static sg_status check_values(const struct sg_preprocess *p, int64_t n_channels) {
    sg_status status = SG_OK;

    SG_TRY(check_count("mean", p->n_mean, n_channels));
    SG_TRY(check_count("std", p->n_std, n_channels));
    for (int c = 0; c < p->n_std; c++) {
        SG_CHECK(p->std[c] > 0.0, SG_E_JOB, "data.preprocess.std: is %g, must be above 0",
                 p->std[c]);
    }
    SG_CHECK(p->white >= 0.0, SG_E_JOB, "data.preprocess.white: is %g, must be above 0", p->white);
    SG_CHECK(p->scale > 0.0, SG_E_JOB, "data.preprocess.scale: is %g, must be above 0", p->scale);
    SG_CHECK(p->resize >= 0 && p->resize <= MAX_SIDE, SG_E_JOB,
             "data.preprocess.resize: is %lld, must be 0 (leave) to %lld", (long long)p->resize,
             (long long)MAX_SIDE);
    SG_CHECK(p->crop[0] >= 0 && p->crop[0] <= MAX_SIDE && p->crop[1] >= 0 && p->crop[1] <= MAX_SIDE,
             SG_E_JOB, "data.preprocess.crop: is %lld x %lld, each must be 0 (leave) to %lld",
             (long long)p->crop[0], (long long)p->crop[1], (long long)MAX_SIDE);
done:
    return status;
}

/* Grey goes to one channel or to three equal ones, colour to three; arrays may have others. */
static sg_status check_channels(const struct sg_items *items) {
    sg_status status = SG_OK;
    const int64_t wanted = items->input.axes[0];
    const int is_array = items->array.n_axes > 0;
    const int64_t given = is_array ? items->array.channels : 3;
    const enum sg_color color = items->preprocess.color;

    SG_CHECK(is_array || wanted == 1 || wanted == 3, SG_E_JOB,
             "data: images have 1 or 3 channels, the model takes %lld", (long long)wanted);
    SG_CHECK(given != 3 || wanted != 1 || color == SG_COLOR_GREY, SG_E_JOB,
             "data: images have 3 channels, the model takes 1: set data.preprocess.color: grey");
    SG_CHECK(given == wanted || (given == 1 && wanted == 3) || (given == 3 && wanted == 1),
             SG_E_JOB,
             "data.%s: items have %lld channels, the model takes %lld: choose data.layout, or "
             "another array",
             items->kind->name, (long long)given, (long long)wanted);
    SG_CHECK(color == SG_COLOR_RGB || given == 3 || given == 1, SG_E_JOB,
             "data.preprocess.color: bgr and grey are for 3 channels, items have %lld",
             (long long)given);
done:
    return status;
}

static sg_status check_known_size(const struct sg_items *items) {
    sg_status status = SG_OK;
    const struct sg_preprocess *p = &items->preprocess;
    const int64_t wanted_rows = sg_input_rows(&items->input);
    const int64_t wanted_columns = sg_input_columns(&items->input);
    int64_t rows;
    int64_t columns;

    SG_CHECK(items->input.n_axes == 3 || (p->resize == 0 && p->crop[0] == 0 && p->crop[1] == 0),
             SG_E_JOB, "data.preprocess: resize and crop are for images, the model takes %d %s",
             items->input.n_axes, items->input.n_axes == 1 ? "axis" : "axes");
    sg_preprocess_size(p, items->array.rows, items->array.columns, &rows, &columns);
    SG_CHECK(rows == wanted_rows && columns == wanted_columns, SG_E_JOB,
             "data.%s: images are %lldx%lld (rows x columns) after preprocessing, the model takes "
             "%lldx%lld: set data.preprocess.resize and data.preprocess.crop",
             items->kind->name, (long long)rows, (long long)columns, (long long)wanted_rows,
             (long long)wanted_columns);
done:
    return status;
}

/* Files have any size; what is set must at least lead to the model's size. */
static sg_status check_set_size(const struct sg_items *items) {
    sg_status status = SG_OK;
    const struct sg_preprocess *p = &items->preprocess;
    const int64_t *wanted = items->input.axes + 1;
    const int64_t shorter = wanted[0] < wanted[1] ? wanted[0] : wanted[1];

    SG_CHECK((p->crop[0] == 0 || p->crop[0] == wanted[0]) &&
                 (p->crop[1] == 0 || p->crop[1] == wanted[1]),
             SG_E_JOB,
             "data.preprocess.crop: is %lldx%lld (rows x columns), the model takes %lldx%lld: set "
             "crop to that",
             (long long)p->crop[0], (long long)p->crop[1], (long long)wanted[0],
             (long long)wanted[1]);
    SG_CHECK(p->resize == 0 || p->crop[0] > 0 || p->crop[1] > 0 || p->resize == shorter, SG_E_JOB,
             "data.preprocess.resize: is %lld and nothing is cropped, the model takes %lldx%lld: "
             "set data.preprocess.crop",
             (long long)p->resize, (long long)wanted[0], (long long)wanted[1]);
done:
    return status;
}

sg_status sg_items_check_fit(const struct sg_items *items) {
    sg_status status = SG_OK;
    const int is_array = items->array.n_axes > 0;

    SG_CHECK(is_array || items->input.n_axes == 3, SG_E_JOB,
             "data: images have channels, rows and columns, the model takes %d %s",
             items->input.n_axes, items->input.n_axes == 1 ? "axis" : "axes");
    SG_TRY(check_channels(items));
    SG_TRY(check_values(&items->preprocess, items->input.axes[0]));
    if (is_array) {
        SG_TRY(check_known_size(items));
    } else {
        SG_TRY(check_set_size(items));
    }
done:
    return status;
}
