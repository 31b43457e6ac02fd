/* src/methods/adaptgrad.c - AdaptGrad: the mean gradient under Gaussian noise whose width, chosen
 * element by element, keeps values inside the data's range with a given confidence.
 *   map(x) = 1/N sum_k grad f(x + e_k),  e_k,i ~ N(0, sigma_i(x)^2)
 * Source: Zhou et al., arXiv:2410.07711; sigma_i in sampler_adaptgrad.c. */
#include "methods/methods_impl.h"

const struct sg_method sg_method_adaptgrad = {
    .name = "adaptgrad",
    .summary = "mean gradient under noise that stays in the range of the data",
    .cite = "Zhou et al. 2024, arXiv:2410.07711",
    .bibtex = "@article{zhou2024adaptgrad,\n"
              "  title = {AdaptGrad: Adaptive Sampling to Reduce Noise},\n"
              "  author = {Zhou, Linjiang and others},\n"
              "  journal = {arXiv preprint arXiv:2410.07711},\n"
              "  year = {2024}\n"
              "}\n",
    .sampler = &sg_sampler_adaptgrad,
    .probe = SG_PROBE_GRADIENT,
    .n_powers = 1,
    .min_samples = 1,
    .uses = SG_USES_SPACE | SG_USES_LAYER | SG_USES_OF,
    .gradient_power = 1,
    .finish = sg_finish_mean,
    .standard_error = sg_finish_mean_se,
};
