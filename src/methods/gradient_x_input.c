/* src/methods/gradient_x_input.c - map = x grad f(x), element by element. x is the model's input,
 * so the map depends on which value its preprocessing calls 0.
 * Source: Shrikumar, Greenside, Shcherbina and Kundaje 2016, arXiv:1605.01713. */
#include "methods/methods_impl.h"

static sg_status finish(const struct sg_finish *in, double *map) {
    for (int64_t i = 0; i < in->n_features; i++) {
        map[i] = (double)in->x[i] * in->clean[i];
    }
    return SG_OK;
}

const struct sg_method sg_method_gradient_x_input = {
    .name = "gradient_x_input",
    .summary = "gradient at the input times the input, element by element",
    .cite = "Shrikumar et al. 2016, arXiv:1605.01713",
    .bibtex = "@article{shrikumar2016not,\n"
              "  title = {Not Just a Black Box: Learning Important Features Through Propagating "
              "Activation Differences},\n"
              "  author = {Shrikumar, Avanti and Greenside, Peyton and Shcherbina, Anna and "
              "Kundaje, Anshul},\n"
              "  journal = {arXiv preprint arXiv:1605.01713},\n"
              "  year = {2016}\n"
              "}\n",
    .sampler = &sg_sampler_clean,
    .probe = SG_PROBE_GRADIENT,
    .n_powers = 0,
    .min_samples = 1,
    .finish = finish,
};
