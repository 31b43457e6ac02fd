/* src/methods/smoothdiff.c - SmoothDiff: the gradient through the mean derivatives of all
 * nonlinearities under Gaussian input noise.
 *   map(x) = J_1' E[J_2]' J_3' .. e,  J_i the Jacobians of the operations along the network
 * where SmoothGrad has the mean of the product. Source: Hill et al. 2025 (NeurIPS), section 4. The
 * means are measured: a count for each unit of a Relu and each element of a pooling window, a mean
 * slope for each unit of a smooth function. A backward pass then serves any target. */
#include "methods/methods_impl.h"

static sg_status finish(const struct sg_finish *in, double *map) {
    for (int64_t i = 0; i < in->n_features; i++) {
        map[i] = in->scale * (double)in->expected[i];
    }
    return SG_OK;
}

const struct sg_method sg_method_smoothdiff = {
    .name = "smoothdiff",
    .summary = "gradient through the mean gates under Gaussian noise on the input",
    .cite = "Hill et al. 2025, NeurIPS",
    .bibtex = "@inproceedings{hill2025smoothdiff,\n"
              "  title = {Smoothed Differentiation Efficiently Mitigates Shattered Gradients in "
              "Explanations},\n"
              "  author = {Hill, Adrian and McKee, Neal and Mae{\\ss}, Johannes and "
              "Bl{\\\"u}cher, Stefan and M{\\\"u}ller, Klaus-Robert},\n"
              "  booktitle = {Advances in Neural Information Processing Systems},\n"
              "  year = {2025}\n"
              "}\n",
    .sampler = &sg_sampler_gaussian,
    .probe = SG_PROBE_GATES,
    .min_samples = 1,
    .uses = SG_USES_SPACE | SG_USES_LAYER | SG_USES_GATES,
    .gradient_power = 1,
    .finish = finish,
};
