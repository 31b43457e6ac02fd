/* src/methods/left_ig.c - Left-IG: integrated gradients up to the point t* where the score
 * saturates: map(x) = (x - x0) Int_0^t* grad f(x0 + t (x - x0)) dt,   sum_i map_i = f(t*) - f(x0)
 * t*: the first t with f > f(x0) + threshold (f(x) - f(x0)). Left-IG + Right-IG = IG.
 * Source: Miglani, Kokhlikyan, Alsallakh, Martin and Reblitz-Richardson 2020, arXiv:2010.12697. */
#include "methods/methods_impl.h"

const struct sg_method sg_method_left_ig = {
    .name = "left_ig",
    .summary = "integrated gradients up to the point where the score saturates",
    .cite = "Miglani et al. 2020, arXiv:2010.12697",
    .bibtex = "@article{miglani2020investigating,\n"
              "  title = {Investigating Saturation Effects in Integrated Gradients},\n"
              "  author = {Miglani, Vivek and Kokhlikyan, Narine and Alsallakh, Bilal and Martin, "
              "Miguel and Reblitz-Richardson, Orion},\n"
              "  journal = {arXiv preprint arXiv:2010.12697},\n"
              "  year = {2020}\n"
              "}\n",
    .sampler = &sg_sampler_clean,
    .probe = SG_PROBE_PATH,
    .n_powers = 0,
    .min_samples = 1,
    .uses = SG_USES_SPACE | SG_USES_PATH | SG_USES_OF | SG_USES_NODES | SG_USES_QUADRATURE |
            SG_USES_THRESHOLD,
    .path = SG_PATH_SPLIT,
    .part = SG_PART_LEFT,
    .nodes = 50,
    .finish = sg_finish_clean,
};
