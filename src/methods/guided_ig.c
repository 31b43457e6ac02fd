/* src/methods/guided_ig.c - Guided IG: integrated gradients on a path that moves elements of small
 * gradient first, so that it keeps off regions where the gradient is large without need: map(x) =
 * sum_steps grad f(p_s) (p_s+1 - p_s),   p_0 = x0, p_n = x Source: Kapishnikov et al. 2021,
 * arXiv:2106.09788. The step is in path_guided.c. */
#include "methods/methods_impl.h"

const struct sg_method sg_method_guided_ig = {
    .name = "guided_ig",
    .summary = "integrated gradients on a path that avoids large gradients",
    .cite = "Kapishnikov et al. 2021, arXiv:2106.09788",
    .bibtex =
        "@inproceedings{kapishnikov2021guided,\n"
        "  title = {Guided Integrated Gradients: An Adaptive Path Method for Removing Noise},\n"
        "  author = {Kapishnikov, Andrei and Venugopalan, Subhashini and Avci, Besim and Wedin, "
        "Ben and Terry, Michael and Bolukbasi, Tolga},\n"
        "  booktitle = {Conference on Computer Vision and Pattern Recognition},\n"
        "  year = {2021}\n"
        "}\n",
    .sampler = &sg_sampler_clean,
    .probe = SG_PROBE_PATH,
    .n_powers = 0,
    .min_samples = 1,
    .uses = SG_USES_SPACE | SG_USES_PATH | SG_USES_OF | SG_USES_NODES | SG_USES_GUIDANCE,
    .path = SG_PATH_GUIDED,
    .part = SG_PART_WHOLE,
    .nodes = 200,
    .finish = sg_finish_clean,
};
