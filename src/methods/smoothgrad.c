/* src/methods/smoothgrad.c - SmoothGrad: the mean gradient under Gaussian input noise.
 *   map(x) = 1/N sum_k grad f(x + e_k),  e_k ~ N(0, sigma^2 I)
 * Source: Smilkov et al. 2017, arXiv:1706.03825, section 2. Some codes add the clean gradient to
 * the mean, as one more term or as one of the N: option `clean`. */
#include "methods/methods_impl.h"

sg_status sg_finish_mean(const struct sg_finish *in, double *map) {
    sg_status status = SG_OK;
    const double n = (double)sg_sums_n_added(in->sums);

    SG_TRY(sg_sums_mean(in->sums, map));
    if (methods_n_clean(in->params)) {
        for (int64_t i = 0; i < in->n_features; i++) {
            map[i] = (n * map[i] + in->clean[i]) / (n + 1);
        }
    }
done:
    return status;
}

/* The clean gradient does not vary: counted in, it shrinks the error by its share of the mean. */
sg_status sg_finish_mean_se(const struct sg_finish *in, double *se) {
    sg_status status = SG_OK;
    const double n = (double)sg_sums_n_added(in->sums);

    SG_TRY(sg_sums_mean_se(in->sums, se));
    if (methods_n_clean(in->params)) {
        for (int64_t i = 0; i < in->n_features; i++) {
            se[i] *= n / (n + 1);
        }
    }
done:
    return status;
}

const struct sg_method sg_method_smoothgrad = {
    .name = "smoothgrad",
    .summary = "mean gradient under Gaussian noise on the input",
    .cite = "Smilkov et al. 2017, arXiv:1706.03825",
    .bibtex = "@article{smilkov2017smoothgrad,\n"
              "  title = {SmoothGrad: removing noise by adding noise},\n"
              "  author = {Smilkov, Daniel and Thorat, Nikhil and Kim, Been and Vi{\\'e}gas, "
              "Fernanda and Wattenberg, Martin},\n"
              "  journal = {arXiv preprint arXiv:1706.03825},\n"
              "  year = {2017}\n"
              "}\n",
    .sampler = &sg_sampler_gaussian,
    .probe = SG_PROBE_GRADIENT,
    .n_powers = 1,
    .min_samples = 1,
    .uses = SG_USES_SPACE | SG_USES_LAYER | SG_USES_OF,
    .gradient_power = 1,
    .finish = sg_finish_mean,
    .standard_error = sg_finish_mean_se,
};
