/* src/methods/sampler_adaptgrad.c - x + sigma_i z, sigma_i such that the value leaves the box
 * [lower, upper] with a small probability: adaptgrad_width.c has the forms of it.
 *
 * sigma_i follows from the distances of x_i to the two bounds; at a bound it is 0. x is clamped
 * into the box first. The box is a channel's own (`bounds: channel`) or, as in the paper, the union
 * over channels (`global`), for which the promise fails in the narrower channels. */
#include "methods/methods_impl.h"

#include <math.h>

struct box {
    float lower, upper;
};

static struct box box_of(const struct sg_sampling *p, const struct sg_item_view *item, int64_t c) {
    const struct sg_domain *d = item->domain;
    struct box b = {(float)d->lower[c], (float)d->upper[c]};

    if (p->bounds == SG_BOUNDS_GLOBAL) {
        for (int64_t i = 0; i < item->input->axes[0]; i++) {
            b.lower = fminf(b.lower, (float)d->lower[i]);
            b.upper = fmaxf(b.upper, (float)d->upper[i]);
        }
    }
    return b;
}

static float clamp(float v, struct box b) {
    return v < b.lower ? b.lower : (v > b.upper ? b.upper : v);
}

static sg_status prepare(const struct sg_sampling *p, const struct sg_item_view *item, float *scale,
                         double *sigma) {
    sg_status status = SG_OK;
    const int64_t plane = sg_shape_plane(item->input);
    struct sg_width width;

    SG_CHECK(item->domain->known, SG_E_ARG,
             "adaptgrad needs the bounds of the data: set data.domain");
    SG_TRY(sg_width_init((enum sg_adaptgrad_z)p->z, p->confidence, &width));
    for (int64_t c = 0; c < item->input->axes[0]; c++) {
        const struct box b = box_of(p, item, c);
        const int has_noise = sg_sampling_has_channel(p, c);
        double sum = 0;

        for (int64_t i = c * plane; i < (c + 1) * plane; i++) {
            const double x = clamp(item->x[i], b);

            SG_CHECK(isfinite(item->x[i]), SG_E_NUMBERS, "element %lld of the input is not finite",
                     (long long)i);
            scale[i] = has_noise ? (float)sg_width_sigma(&width, x - b.lower, b.upper - x) : 0;
            sum += scale[i];
        }
        sigma[c] = sum / (double)plane;
    }
done:
    return status;
}

static int64_t draw(const struct sg_sampling *p, const struct sg_item_view *item,
                    const float *scale, int64_t k, float *out) {
    const int64_t plane = sg_shape_plane(item->input);

    sg_sampling_noise(item, k, out);
    for (int64_t c = 0; c < item->input->axes[0]; c++) {
        const struct box b = box_of(p, item, c);

        for (int64_t i = c * plane; i < (c + 1) * plane; i++) {
            out[i] = clamp(item->x[i], b) + scale[i] * out[i];
        }
    }
    return sg_sampling_bound(p, item, out);
}

const struct sg_sampler sg_sampler_adaptgrad = {.name = "adaptgrad",
                                                .is_stochastic = 1,
                                                .needs_domain = 1,
                                                .uses = SG_USES_CONFIDENCE,
                                                .prepare = prepare,
                                                .draw = draw};
