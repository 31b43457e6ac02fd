/* src/worker/scan.c - the range of the data set, for noise that is relative to it: one pass over
 * all items, shared by all ranks. Minima and maxima are exact whatever the order. */
#include "sgdist/memory.h"
#include "worker/worker_impl.h"

#include <math.h>

static int is_finite(const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(x[i])) {
            return 0;
        }
    }
    return 1;
}

/* range[c] = -min, range[C + c] = max, so that one reduction (max) serves both. */
static void widen(const struct sg_shape *input, const float *x, double *range) {
    const int64_t n_channels = input->axes[0];
    const int64_t plane = sg_shape_plane(input);

    for (int64_t c = 0; c < n_channels; c++) {
        for (int64_t i = c * plane; i < (c + 1) * plane; i++) {
            range[c] = fmax(range[c], -(double)x[i]);
            range[n_channels + c] = fmax(range[n_channels + c], (double)x[i]);
        }
    }
}

sg_status sg_scan_dataset(const struct sg_comm *world, const struct sg_plan *plan,
                          struct sg_items *items, double *min, double *max) {
    sg_status status = SG_OK;
    const int64_t n_channels = plan->input.axes[0];
    float *x = sg_malloc_aligned((size_t)sg_shape_size(&plan->input), sizeof *x);
    double range[2 * SG_MAX_CHANNELS];

    for (int64_t c = 0; c < 2 * n_channels; c++) {
        range[c] = -INFINITY;
    }
    for (int64_t i = sg_comm_rank(world); x != NULL && i < sg_items_count(items);
         i += sg_comm_size(world)) {
        /* A broken item fails when its turn comes, and so does one with values that are none. */
        if (sg_items_load(items, i, x) == SG_OK && is_finite(x, sg_shape_size(&plan->input))) {
            widen(&plan->input, x, range);
        }
    }
    /* All ranks come here, also those that will fail: nobody may wait for them. */
    sg_comm_allreduce_max_double(world, range, 2 * n_channels);
    SG_CHECK(x != NULL, SG_E_NOMEM, "no memory for an item");
    SG_CHECK(isfinite(range[0]) && isfinite(range[n_channels]), SG_E_INPUT,
             "noise relative to the data set's range: not one item could be read");
    for (int64_t c = 0; c < n_channels; c++) {
        min[c] = -range[c];
        max[c] = range[n_channels + c];
    }
done:
    sg_free(x);
    return status;
}
