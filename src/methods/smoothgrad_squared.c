/* src/methods/smoothgrad_squared.c - SmoothGrad-Squared: the mean squared gradient under Gaussian
 * input noise, squared before channels are reduced.
 *   map(x) = 1/N sum_k (grad f(x + e_k))^2
 * Source: Hooker et al. 2019, arXiv:1806.10758, section 3. The clean gradient counts in as it does
 * in SmoothGrad's mean. */
#include "methods/methods_impl.h"

static sg_status finish(const struct sg_finish *in, double *map) {
    sg_status status = SG_OK;
    const double n = (double)sg_sums_n_added(in->sums);

    SG_TRY(sg_sums_mean_square(in->sums, map));
    if (methods_n_clean(in->params)) {
        for (int64_t i = 0; i < in->n_features; i++) {
            map[i] = (n * map[i] + (double)in->clean[i] * in->clean[i]) / (n + 1);
        }
    }
done:
    return status;
}

const struct sg_method sg_method_smoothgrad_squared = {
    .name = "smoothgrad_squared",
    .summary = "mean squared gradient under Gaussian noise on the input",
    .cite = "Hooker et al. 2019, arXiv:1806.10758",
    .bibtex = "@inproceedings{hooker2019benchmark,\n"
              "  title = {A Benchmark for Interpretability Methods in Deep Neural Networks},\n"
              "  author = {Hooker, Sara and Erhan, Dumitru and Kindermans, Pieter-Jan and Kim, "
              "Been},\n"
              "  booktitle = {Advances in Neural Information Processing Systems},\n"
              "  volume = {32},\n"
              "  year = {2019}\n"
              "}\n",
    .sampler = &sg_sampler_gaussian,
    .probe = SG_PROBE_GRADIENT,
    .n_powers = 2,
    .min_samples = 1,
    .uses = SG_USES_SPACE | SG_USES_LAYER | SG_USES_OF,
    .gradient_power = 2,
    .finish = finish,
};
