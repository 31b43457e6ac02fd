/* src/methods/vargrad.c - VarGrad: the variance of the gradient under Gaussian input noise.
 *   map(x) = 1/(N-1) sum_k (g_k - mean g)^2,  g_k = grad f(x + e_k),  e_k ~ N(0, sigma^2 I)
 * Source: Adebayo et al. 2018, arXiv:1810.03307; Hooker et al. 2019, arXiv:1806.10758, section 3.
 * Codes differ in the divisor, N - 1 or N: option `divisor`. The clean gradient is no sample of the
 * noise and never counts. */
#include "methods/methods_impl.h"

static sg_status finish(const struct sg_finish *in, double *map) {
    return sg_sums_variance(in->sums, in->params->divisor == SG_DIVISOR_UNBIASED ? 1 : 0, map);
}

const struct sg_method sg_method_vargrad = {
    .name = "vargrad",
    .summary = "variance of the gradient under Gaussian noise on the input",
    .cite = "Adebayo et al. 2018, arXiv:1810.03307",
    .bibtex = "@article{adebayo2018local,\n"
              "  title = {Local Explanation Methods for Deep Neural Networks Lack Sensitivity to "
              "Parameter Values},\n"
              "  author = {Adebayo, Julius and Gilmer, Justin and Goodfellow, Ian and Kim, "
              "Been},\n"
              "  journal = {arXiv preprint arXiv:1810.03307},\n"
              "  year = {2018}\n"
              "}\n",
    .sampler = &sg_sampler_gaussian,
    .probe = SG_PROBE_GRADIENT,
    .n_powers = 2,
    .min_samples = 2,
    .uses = SG_USES_DIVISOR | SG_USES_SPACE | SG_USES_LAYER | SG_USES_OF,
    .gradient_power = 2,
    .finish = finish,
};
