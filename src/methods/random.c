/* src/methods/random.c - the control that knows nothing: standard normals, element by element.
 *   map = z,  z_i ~ N(0, 1), from a stream of its own by item and target
 * The baseline of ROAR (Hooker, Erhan, Kindermans and Kim 2019, arXiv:1806.10758): whatever ranks
 * no better than this has found nothing. The network is not asked. */
#include "methods/methods_impl.h"

static sg_status finish(const struct sg_finish *in, double *map) {
    const struct sg_rng_address at = {.seed = in->seed,
                                      .stream = SG_STREAM_MAPS,
                                      .item = in->key,
                                      .sample = (uint32_t)in->target};
    float *z = (float *)(void *)in->scratch;

    sg_rng_normals(&at, in->n_features, z);
    for (int64_t i = 0; i < in->n_features; i++) {
        map[i] = z[i];
    }
    return SG_OK;
}

const struct sg_method sg_method_random = {
    .name = "random",
    .summary = "a control: standard normals, whatever the network",
    .cite = "Hooker et al. 2019, arXiv:1806.10758",
    .bibtex =
        "@inproceedings{hooker2019benchmark,\n"
        "  title = {A Benchmark for Interpretability Methods in Deep Neural Networks},\n"
        "  author = {Hooker, Sara and Erhan, Dumitru and Kindermans, Pieter-Jan and Kim, Been},\n"
        "  booktitle = {Advances in Neural Information Processing Systems},\n"
        "  volume = {32},\n"
        "  year = {2019}\n"
        "}\n",
    .sampler = &sg_sampler_clean,
    .probe = SG_PROBE_NOTHING,
    .unit = "one standard deviation",
    .n_scratch = 1,
    .min_samples = 1,
    .finish = finish,
};
