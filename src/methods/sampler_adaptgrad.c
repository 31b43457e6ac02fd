/* src/methods/sampler_adaptgrad.c - x + sigma_i z, sigma_i such that the value leaves the box
 * [lower, upper] with probability at most 1 - c.
 *
 * With t_i = min(x_i - lower, upper - x_i) and z_c = Phi^-1((1 + c) / 2), sigma_i = t_i / z_c: the
 * `centred` form of methods.md 2.6, as in the authors' code. The probability is 1 - c in the middle
 * of the box and falls to (1 - c) / 2 near a bound; at a bound sigma is 0. x is clamped into the
 * box first. The box is a channel's own (`bounds: channel`) or, as in the paper, the union over
 * channels (`global`), for which the promise fails in the narrower channels. */
#include "methods/methods_impl.h"

#include <math.h>

/* exp(-y) for 0 <= y < 100: a short series of y / 4096, squared twelve times. Own arithmetic, so
 * that sigma does not depend on the C library. */
static double exp_minus(double y) {
    const double h = y / 4096;
    double e = 1 - h * (1 - h / 2 * (1 - h / 3 * (1 - h / 4 * (1 - h / 5))));

    for (int i = 0; i < 12; i++) {
        e *= e;
    }
    return e;
}

/* P(|Z| < z) of a standard normal = 2 phi(z) sum z^(2k+1) / (1 3 5 .. 2k+1): positive terms only.
 */
static double central_probability(double z) {
    double term = z;
    double sum = z;

    for (int k = 1; term > 1e-18 * sum; k++) {
        term *= z * z / (2 * k + 1);
        sum += term;
    }
    return 0.79788456080286535588 * exp_minus(z * z / 2) * sum; /* 2 / sqrt(2 pi) */
}

/* z_c by halving; 8.5 is beyond the largest c below 1. */
static double central_quantile(double c) {
    double low = 0;
    double high = 8.5;

    for (int i = 0; i < 60; i++) {
        const double z = (low + high) / 2;

        if (central_probability(z) < c) {
            low = z;
        } else {
            high = z;
        }
    }
    return (low + high) / 2;
}

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
    double z;

    SG_CHECK(item->domain->known, SG_E_ARG,
             "adaptgrad needs the bounds of the data: set data.domain");
    SG_CHECK(p->confidence > 0 && p->confidence < 1, SG_E_ARG,
             "adaptgrad confidence %g: it must lie between 0 and 1", p->confidence);
    z = central_quantile(p->confidence);
    for (int64_t c = 0; c < item->input->axes[0]; c++) {
        const struct box b = box_of(p, item, c);
        const int has_noise = sg_sampling_has_channel(p, c);
        double sum = 0;

        for (int64_t i = c * plane; i < (c + 1) * plane; i++) {
            const double x = clamp(item->x[i], b);
            const double t = fmin(x - b.lower, b.upper - x);

            SG_CHECK(isfinite(item->x[i]) && isfinite(t), SG_E_NUMBERS,
                     "element %lld of the input is not finite", (long long)i);
            scale[i] = has_noise ? (float)(t / z) : 0;
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
