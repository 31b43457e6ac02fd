/* src/methods/sampler_noise.c - what the noisy samplers share: x + scale z, and the domain. */
#include "methods/methods_impl.h"

#include <math.h>

int sg_sampling_has_channel(const struct sg_sampling *p, int64_t c) {
    return c < 64 ? (int)(p->channels >> c & 1) : p->channels == UINT64_MAX;
}

int sg_sampling_is_noisy(int64_t n, const float *x, const float *scale) {
    int all = 1;

    for (int64_t i = 0; i < n && all; i++) {
        all = x[i] + scale[i] != x[i];
    }
    return all;
}

sg_status sg_sampling_check_outside(const struct sg_sampling *p, const struct sg_item_view *item) {
    sg_status status = SG_OK;

    SG_CHECK(p->outside == SG_OUTSIDE_KEEP || item->domain->known, SG_E_ARG,
             "noise outside: %s needs the bounds of the data: set data.domain, or outside: keep",
             p->outside == SG_OUTSIDE_CLIP ? "clip" : "reflect");
done:
    return status;
}

static float clipped(float v, float lower, float upper) {
    return v < lower ? lower : (v > upper ? upper : v);
}

/* Folds v back at the bounds as often as it takes. */
static float reflected(float v, float lower, float upper) {
    const double width = (double)upper - lower;
    double d = (double)v - lower;

    if (!(width > 0)) {
        return lower;
    }
    d -= floor(d / (2 * width)) * (2 * width);
    d = d > width ? 2 * width - d : d;
    return clipped((float)(lower + d), lower, upper);
}

/* Counts what lies outside in v[n] and applies the policy. */
static int64_t bound_channel(int32_t outside, float lower, float upper, int64_t n, float *v) {
    int64_t count = 0;

    for (int64_t i = 0; i < n; i++) {
        count += (v[i] < lower) | (v[i] > upper); /* both at once: vector code without branches */
    }
    if (count == 0 || outside == SG_OUTSIDE_KEEP) {
        return count;
    }
    for (int64_t i = 0; i < n; i++) {
        if (v[i] < lower || v[i] > upper) {
            v[i] = outside == SG_OUTSIDE_CLIP ? clipped(v[i], lower, upper)
                                              : reflected(v[i], lower, upper);
        }
    }
    return count;
}

int64_t sg_sampling_bound(const struct sg_sampling *p, const struct sg_item_view *item,
                          float *out) {
    const int64_t plane = sg_shape_plane(item->input);
    int64_t count = 0;

    if (!item->domain->known) {
        return 0;
    }
    for (int64_t c = 0; c < item->input->axes[0]; c++) {
        count += bound_channel(p->outside, (float)item->domain->lower[c],
                               (float)item->domain->upper[c], plane, out + c * plane);
    }
    return count;
}

void sg_sampling_noise(const struct sg_item_view *item, int64_t k, float *z) {
    const struct sg_rng_address at = {
        .seed = item->seed, .stream = SG_STREAM_INPUT, .item = item->key, .sample = (uint32_t)k};

    sg_rng_normals(&at, sg_shape_size(item->input), z);
}
