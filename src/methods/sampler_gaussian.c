/* src/methods/sampler_gaussian.c - x + sigma z with one sigma a channel.
 *
 * sigma is absolute, or a level times a range. Tools disagree on the range, hence the options: of
 * the item (all channels together), of each channel of the item, of the data set as scanned, or of
 * the data's domain; and on the space in which it is measured: the model's input (all channels
 * together, so that one sigma serves all), or pixels (the same sigma in pixels, which in the
 * model's input differs by channel where the standardisation does). methods.md 1.2. */
#include "methods/methods_impl.h"

#include <math.h>

struct range {
    double low, high;
};

static const struct range nothing = {INFINITY, -INFINITY};

static void widen(struct range *r, double v) {
    r->low = v < r->low ? v : r->low;
    r->high = v > r->high ? v : r->high;
}

/* What one unit of channel c is in the model's input. */
static double unit(const struct sg_sampling *p, const struct sg_item_view *item, int64_t c) {
    return p->space == SG_SPACE_PIXEL ? fabs(item->domain->input_per_pixel[c]) : 1;
}

/* A value of the model's input in the space of the noise. */
static double in_space(const struct sg_sampling *p, const struct sg_item_view *item, int64_t c,
                       double v) {
    const struct sg_domain *d = item->domain;

    return p->space == SG_SPACE_PIXEL ? (v - d->input_at_zero[c]) / d->input_per_pixel[c] : v;
}

/* The lowest and the highest value of channel c, from the source that the options name. A value
 * that is not finite makes the range so. */
static struct range channel_range(const struct sg_sampling *p, const struct sg_item_view *item,
                                  int64_t c) {
    const int64_t plane = sg_shape_plane(item->input);
    const float *x = item->x + c * plane;
    struct range values = nothing;
    struct range r = nothing;

    if (p->range == SG_RANGE_DATASET) {
        values = (struct range){item->dataset_min[c], item->dataset_max[c]};
    } else if (p->range == SG_RANGE_DOMAIN) {
        values = (struct range){item->domain->lower[c], item->domain->upper[c]};
    } else {
        for (int64_t i = 0; i < plane; i++) {
            if (!isfinite(x[i])) {
                return (struct range){-INFINITY, INFINITY};
            }
            widen(&values, x[i]);
        }
    }
    widen(&r, in_space(p, item, c, values.low)); /* a negative std turns the two round */
    widen(&r, in_space(p, item, c, values.high));
    return r;
}

static double common_range(const struct sg_sampling *p, const struct sg_item_view *item) {
    struct range all = nothing;

    for (int64_t c = 0; c < item->input->axes[0]; c++) {
        const struct range r = channel_range(p, item, c);

        widen(&all, r.low);
        widen(&all, r.high);
    }
    return all.high - all.low;
}

static sg_status check_options(const struct sg_sampling *p, const struct sg_item_view *item) {
    sg_status status = SG_OK;
    const int is_relative = !p->absolute;

    SG_CHECK(!is_relative || p->range != SG_RANGE_DATASET || item->dataset_min != NULL, SG_E_ARG,
             "noise range: dataset needs a scan of the data set, which has not been made");
    SG_CHECK(!is_relative || p->range != SG_RANGE_DOMAIN || item->domain->known, SG_E_ARG,
             "noise range: domain needs the bounds of the data: set data.domain");
    SG_TRY(sg_sampling_check_outside(p, item));
done:
    return status;
}

static sg_status prepare(const struct sg_sampling *p, const struct sg_item_view *item, float *scale,
                         double *sigma) {
    sg_status status = SG_OK;
    const int64_t plane = sg_shape_plane(item->input);
    double range = 1;

    SG_TRY(check_options(p, item));
    if (!p->absolute && p->range != SG_RANGE_ITEM_CHANNEL) {
        range = common_range(p, item);
    }
    for (int64_t c = 0; c < item->input->axes[0]; c++) {
        float s = 0;

        if (!p->absolute && p->range == SG_RANGE_ITEM_CHANNEL) {
            const struct range r = channel_range(p, item, c);

            range = r.high - r.low;
        }
        if (sg_sampling_has_channel(p, c)) {
            s = (float)(p->amount * range * unit(p, item, c));
        }
        SG_CHECK(isfinite(s), SG_E_NUMBERS,
                 "the noise of channel %lld is not finite: the input holds values that are not "
                 "finite, or too large",
                 (long long)c);
        for (int64_t i = 0; i < plane; i++) {
            scale[c * plane + i] = s;
        }
        sigma[c] = s;
    }
done:
    return status;
}

static int64_t draw(const struct sg_sampling *p, const struct sg_item_view *item,
                    const float *scale, int64_t k, float *out) {
    const int64_t n = sg_shape_size(item->input);

    sg_sampling_noise(item, k, out);
    for (int64_t i = 0; i < n; i++) {
        out[i] = item->x[i] + scale[i] * out[i];
    }
    return sg_sampling_bound(p, item, out);
}

const struct sg_sampler sg_sampler_gaussian = {.name = "gaussian",
                                               .is_stochastic = 1,
                                               .needs_domain = 0,
                                               .uses = SG_USES_AMOUNT,
                                               .prepare = prepare,
                                               .draw = draw};
