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

/* Grey goes to one channel or to three equal ones, colour to three. */
static sg_status check_channels(const struct sg_items *items) {
    sg_status status = SG_OK;
    const int64_t wanted = items->input.axes[0];
    const int is_grey_source = items->source == SG_SOURCE_IDX && items->idx.channels == 1;

    SG_CHECK(wanted == 1 || wanted == 3, SG_E_JOB,
             "data: images have 1 or 3 channels, the model takes %lld", (long long)wanted);
    SG_CHECK(wanted == 3 || is_grey_source || items->preprocess.color == SG_COLOR_GREY, SG_E_JOB,
             "data: images have 3 channels, the model takes 1: set data.preprocess.color: grey");
done:
    return status;
}

static sg_status check_known_size(const struct sg_items *items) {
    sg_status status = SG_OK;
    int64_t rows;
    int64_t columns;

    sg_preprocess_size(&items->preprocess, items->idx.rows, items->idx.columns, &rows, &columns);
    SG_CHECK(rows == items->input.axes[1] && columns == items->input.axes[2], SG_E_JOB,
             "data.idx: images are %lldx%lld (rows x columns) after preprocessing, the model takes "
             "%lldx%lld: set data.preprocess.resize and data.preprocess.crop",
             (long long)rows, (long long)columns, (long long)items->input.axes[1],
             (long long)items->input.axes[2]);
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

    SG_CHECK(items->input.n_axes == 3, SG_E_JOB,
             "data: images have channels, rows and columns, the model takes %d %s",
             items->input.n_axes, items->input.n_axes == 1 ? "axis" : "axes");
    SG_TRY(check_channels(items));
    SG_TRY(check_values(&items->preprocess, items->input.axes[0]));
    if (items->source == SG_SOURCE_IDX) {
        SG_TRY(check_known_size(items));
    } else {
        SG_TRY(check_set_size(items));
    }
done:
    return status;
}
