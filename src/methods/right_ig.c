/* src/methods/right_ig.c - Right-IG: integrated gradients from the point t* where the score
 * saturates, to x: map(x) = (x - x0) Int_t*^1 grad f(x0 + t (x - x0)) dt,   sum_i map_i = f(x) -
 * f(t*) Source: Miglani, Kokhlikyan, Alsallakh, Martin and Reblitz-Richardson 2020,
 * arXiv:2010.12697; see left_ig.c. */
#include "methods/methods_impl.h"

const struct sg_method sg_method_right_ig = {
    .name = "right_ig",
    .summary = "integrated gradients behind the point where the score saturates",
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
    .part = SG_PART_RIGHT,
    .nodes = 50,
    .finish = sg_finish_clean,
};
