/* src/methods/reduce.c - from a value for each channel to one for each place. */
#include "sgdist/methods.h"

#include <math.h>
#include <string.h>

/* One more channel's value v into the running r. */
static inline double fold_sum(double r, double v) {
    return r + v;
}

static inline double fold_abs_sum(double r, double v) {
    return r + fabs(v);
}

static inline double fold_squares(double r, double v) {
    return r + v * v;
}

static inline double fold_abs_max(double r, double v) {
    return fmax(r, fabs(v));
}

static void fold(double (*step)(double, double), int64_t n_channels, int64_t plane,
                 const double *map, double *out) {
    memset(out, 0, (size_t)plane * sizeof *out);
    for (int64_t c = 0; c < n_channels; c++) {
        for (int64_t i = 0; i < plane; i++) {
            out[i] = step(out[i], map[c * plane + i]);
        }
    }
}

void sg_reduce_channels(enum sg_reduction how, int64_t n_channels, int64_t plane, const double *map,
                        double *out) {
    static double (*const steps[])(double, double) = {
        [SG_CHANNELS_SUM] = fold_sum,    [SG_CHANNELS_ABS_SUM] = fold_abs_sum,
        [SG_CHANNELS_L2] = fold_squares, [SG_CHANNELS_ABS_MAX] = fold_abs_max,
        [SG_CHANNELS_MEAN] = fold_sum,
    };

    if (how == SG_CHANNELS_NONE) {
        memcpy(out, map, (size_t)(n_channels * plane) * sizeof *out);
        return;
    }
    fold(steps[how], n_channels, plane, map, out);
    for (int64_t i = 0; i < plane; i++) {
        if (how == SG_CHANNELS_L2) {
            out[i] = sqrt(out[i]);
        } else if (how == SG_CHANNELS_MEAN) {
            out[i] /= (double)n_channels;
        }
    }
}
