/* src/data/domain.c - the model's input space and the pixels it came from. */
#include "data/data_impl.h"

void sg_domain_init(const struct sg_data_options *options, int n_channels, struct sg_domain *out) {
    const struct sg_preprocess *p = &options->preprocess;

    SG_ASSERT(n_channels >= 1 && n_channels <= SG_MAX_CHANNELS);
    *out = (struct sg_domain){.n_channels = n_channels, .known = options->has_domain != 0};
    for (int c = 0; c < n_channels; c++) {
        const double mean = p->n_mean > 0 ? p->mean[p->n_mean > 1 ? c : 0] : 0.0;
        const double std = p->n_std > 0 ? p->std[p->n_std > 1 ? c : 0] : 1.0;

        out->input_per_pixel[c] = p->scale / std;
        out->input_at_zero[c] = -mean / std;
        if (out->known) {
            /* In single precision as the items themselves, so that a pixel on the bound is not
             * beyond it. */
            out->lower[c] = (double)sg_preprocess_value(p, c, (float)options->domain[0]);
            out->upper[c] = (double)sg_preprocess_value(p, c, (float)options->domain[1]);
        }
    }
}

void sg_domain_to_pixels(const struct sg_domain *d, const struct sg_shape *input, const float *x,
                         float *pixel) {
    const int64_t plane = sg_shape_plane(input);

    SG_ASSERT(input->axes[0] == d->n_channels);
    for (int c = 0; c < d->n_channels; c++) {
        for (int64_t i = c * plane; i < (c + 1) * plane; i++) {
            pixel[i] = (float)(((double)x[i] - d->input_at_zero[c]) / d->input_per_pixel[c]);
        }
    }
}
