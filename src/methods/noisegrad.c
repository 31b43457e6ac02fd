/* src/methods/noisegrad.c - NoiseGrad: the mean gradient under noise on the weights.
 *   map(x) = 1/M sum_m grad f(x; theta * eta_m),  eta_m ~ N(1, tau^2) for each weight
 * Source: Bykov et al. 2022, arXiv:2106.10185, section 3; every draw is from the file's weights
 * (the authors' code multiplies one draw onto the other, see docs/methods.md). */
#include "methods/methods_impl.h"

const struct sg_method sg_method_noisegrad = {
    .name = "noisegrad",
    .summary = "mean gradient under noise on the weights",
    .cite = "Bykov et al. 2022, arXiv:2106.10185",
    .bibtex = "@inproceedings{bykov2022noisegrad,\n"
              "  title = {NoiseGrad: Enhancing Explanations by Introducing Stochasticity to Model "
              "Weights},\n"
              "  author = {Bykov, Kirill and Hedstr{\\\"o}m, Anna and Nakajima, Shinichi and "
              "H{\\\"o}hne, Marina M.-C.},\n"
              "  booktitle = {Proceedings of the AAAI Conference on Artificial Intelligence},\n"
              "  volume = {36},\n"
              "  number = {6},\n"
              "  pages = {6132--6140},\n"
              "  year = {2022}\n"
              "}\n",
    .sampler = &sg_sampler_still,
    .probe = SG_PROBE_GRADIENT,
    .n_powers = 1,
    .min_samples = 1,
    .uses = SG_USES_WEIGHTS | SG_USES_SPACE | SG_USES_LAYER | SG_USES_OF,
    .gradient_power = 1,
    .finish = sg_finish_mean,
    .standard_error = sg_finish_mean_se,
};
