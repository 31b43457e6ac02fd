/* src/methods/integrated_gradients.c - integrated gradients: the mean gradient on the straight line
 * from a baseline x0 to x, times its length, element by element: map(x) = (x - x0) Int_0^1 grad
 * f(x0 + t (x - x0)) dt,   sum_i map_i = f(x) - f(x0) Source: Sundararajan, Taly and Yan 2017,
 * arXiv:1703.01365. Codes differ in the rule of the integral and its number of nodes: options
 * `quadrature` and `nodes`. The walk is in path.c. */
#include "methods/methods_impl.h"

const struct sg_method sg_method_integrated_gradients = {
    .name = "integrated_gradients",
    .summary = "mean gradient on the line from a baseline, times x - x0",
    .cite = "Sundararajan et al. 2017, arXiv:1703.01365",
    .bibtex = "@inproceedings{sundararajan2017axiomatic,\n"
              "  title = {Axiomatic Attribution for Deep Networks},\n"
              "  author = {Sundararajan, Mukund and Taly, Ankur and Yan, Qiqi},\n"
              "  booktitle = {International Conference on Machine Learning},\n"
              "  year = {2017}\n"
              "}\n",
    .sampler = &sg_sampler_clean,
    .probe = SG_PROBE_PATH,
    .n_powers = 0,
    .min_samples = 1,
    .uses = SG_USES_SPACE | SG_USES_PATH | SG_USES_OF | SG_USES_NODES | SG_USES_QUADRATURE |
            SG_USES_THRESHOLD,
    .path = SG_PATH_STRAIGHT,
    .part = SG_PART_WHOLE,
    .nodes = 50,
    .finish = sg_finish_clean,
};
