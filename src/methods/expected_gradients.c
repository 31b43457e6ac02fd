/* src/methods/expected_gradients.c - expected gradients: integrated gradients from baselines that
 * are items of the data set, mean over baselines and line drawn at random together:
 *   map(x) = 1/N sum_k (x - b_k) grad f(b_k + t_k (x - b_k)),  b_k an item, t_k uniform in 0..1
 *   E sum_i map_i = f(x) - mean f
 * Source: Erion, Janizek, Sturmfels, Lundberg and Lee 2021, arXiv:1906.10670. */
#include "methods/methods_impl.h"

const struct sg_method sg_method_expected_gradients = {
    .name = "expected_gradients",
    .summary = "integrated gradients, mean over items of the data as baselines",
    .cite = "Erion et al. 2021, arXiv:1906.10670",
    .bibtex = "@article{erion2021improving,\n"
              "  title = {Improving performance of deep learning models with axiomatic attribution "
              "priors and expected gradients},\n"
              "  author = {Erion, Gabriel and Janizek, Joseph D. and Sturmfels, Pascal and "
              "Lundberg, Scott M. and Lee, Su-In},\n"
              "  journal = {Nature Machine Intelligence},\n"
              "  volume = {3},\n"
              "  year = {2021}\n"
              "}\n",
    .sampler = &sg_sampler_items,
    .probe = SG_PROBE_PATH,
    .n_powers = 1,
    .min_samples = 1,
    .path = SG_PATH_DRAWN,
    .part = SG_PART_WHOLE,
    .finish = sg_finish_mean,
    .standard_error = sg_finish_mean_se,
};
