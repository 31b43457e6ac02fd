/* src/methods/fusiongrad.c - FusionGrad: noise on the weights and on the input.
 *   map(x) = 1/(M N) sum_m sum_k grad f(x + e_mk; theta * eta_m),  e ~ N(0, sigma^2 I)
 * Source: Bykov et al. 2022, arXiv:2106.10185, section 3. Every draw of the weights has noise of
 * its own on the input, so that draws are independent of each other. */
#include "methods/methods_impl.h"

const struct sg_method sg_method_fusiongrad = {
    .name = "fusiongrad",
    .summary = "mean gradient under noise on the weights and on the input",
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
    .sampler = &sg_sampler_gaussian,
    .probe = SG_PROBE_GRADIENT,
    .n_powers = 1,
    .min_samples = 1,
    .uses = SG_USES_WEIGHTS | SG_USES_SPACE | SG_USES_LAYER | SG_USES_OF,
    .gradient_power = 1,
    .finish = sg_finish_mean,
    .standard_error = sg_finish_mean_se,
};
