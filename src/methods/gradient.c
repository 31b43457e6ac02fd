/* src/methods/gradient.c - the plain input gradient: map = grad f(x).
 * Source: Simonyan, Vedaldi and Zisserman 2013, arXiv:1312.6034, section 3. */
#include "methods/methods_impl.h"

sg_status sg_finish_clean(const struct sg_finish *in, double *map) {
    for (int64_t i = 0; i < in->n_features; i++) {
        map[i] = in->clean[i];
    }
    return SG_OK;
}

const struct sg_method sg_method_gradient = {
    .name = "gradient",
    .summary = "gradient of the score at the input itself",
    .cite = "Simonyan et al. 2013, arXiv:1312.6034",
    .bibtex = "@article{simonyan2013deep,\n"
              "  title = {Deep Inside Convolutional Networks: Visualising Image Classification "
              "Models and Saliency Maps},\n"
              "  author = {Simonyan, Karen and Vedaldi, Andrea and Zisserman, Andrew},\n"
              "  journal = {arXiv preprint arXiv:1312.6034},\n"
              "  year = {2013}\n"
              "}\n",
    .sampler = &sg_sampler_clean,
    .probe = SG_PROBE_GRADIENT,
    .n_powers = 0,
    .min_samples = 1,
    .uses = SG_USES_SPACE | SG_USES_LAYER,
    .gradient_power = 1,
    .finish = sg_finish_clean,
};
