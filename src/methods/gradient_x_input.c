/* src/methods/gradient_x_input.c - map = x grad f(x), element by element, so that it depends on
 * which value of x is called 0. Both are of one space: of the model's input, where that is often
 * the data's mean, or of pixels, where it is black. From one to the other x changes its zero, while
 * the units of x and of the gradient cancel. At a layer x is its activation.
 * Source: Shrikumar, Greenside, Shcherbina and Kundaje 2016, arXiv:1605.01713. */
#include "methods/methods_impl.h"

static sg_status finish(const struct sg_finish *in, double *map) {
    const int64_t plane = sg_shape_plane(in->shape);

    for (int64_t c = 0; c < in->shape->axes[0]; c++) {
        const double zero = in->params->space == SG_SPACE_PIXEL ? in->domain->input_at_zero[c] : 0;

        for (int64_t i = c * plane; i < (c + 1) * plane; i++) {
            map[i] = ((double)in->x[i] - zero) * in->clean[i];
        }
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
    .uses = SG_USES_SPACE | SG_USES_LAYER | SG_USES_OF,
    .path = SG_PATH_POINT,
    .finish = finish,
};
