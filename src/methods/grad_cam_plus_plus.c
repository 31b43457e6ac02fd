/* src/methods/grad_cam_plus_plus.c - Grad-CAM++: the weights of places by powers of the gradient.
 *   map(i) = relu(sum_k w_k A_k(i)),  w_k = sum_i alpha_k(i) relu(g_k(i))
 *   alpha_k(i) = g^2 / (2 g^2 + g^3 sum_j A_k(j)), 0 where the denominator is 0
 * which stands for derivatives of exp(score): their common factor exp(score) is left out, it only
 * scales the map. Source: Chattopadhay, Sarkar, Howlader and Balasubramanian 2018,
 * arXiv:1710.11063, (5) to (19). Codes differ in the denominator: some have sum_j A_k(j) g_k(j)^3,
 * option `denominator`. */
#include "methods/methods_impl.h"

double sg_cam_plus_plus_weight(const struct sg_finish *in, int64_t k) {
    const int64_t plane = sg_shape_plane(in->shape);
    const struct sg_cam *cam = &in->params->cam;
    double sum = 0;
    double sum_a = 0;
    double sum_third = 0;

    for (int64_t i = 0; i < plane; i++) {
        if (sg_cam_has_place(in, i)) {
            sum_a += in->x[k * plane + i];
            sum_third += in->x[k * plane + i] * sg_cam_moment(in, 3, k, i);
        }
    }
    for (int64_t i = 0; i < plane; i++) {
        const double first = sg_cam_moment(in, 1, k, i);
        const double second = sg_cam_moment(in, 2, k, i);
        const double below = 2 * second + (cam->denominator == SG_DENOMINATOR_SUMMED
                                               ? sum_third
                                               : sum_a * sg_cam_moment(in, 3, k, i));

        if (first > 0 && below != 0 && sg_cam_has_place(in, i)) {
            sum += (cam->numerator == SG_NUMERATOR_FIRST ? first : second) / below * first;
        }
    }
    return sum;
}

static sg_status finish(const struct sg_finish *in, double *map) {
    return sg_cam_finish(in, sg_cam_plus_plus_weight, NULL, map);
}

const struct sg_method sg_method_grad_cam_plus_plus = {
    .name = "grad_cam_plus_plus",
    .summary = "a layer, its places weighted by powers of their gradient",
    .cite = "Chattopadhay et al. 2018, arXiv:1710.11063",
    .bibtex = "@inproceedings{chattopadhay2018grad,\n"
              "  title = {Grad-CAM++: Generalized Gradient-based Visual Explanations for Deep "
              "Convolutional Networks},\n"
              "  author = {Chattopadhay, Aditya and Sarkar, Anirban and Howlader, Prantik and "
              "Balasubramanian, Vineeth N.},\n"
              "  booktitle = {IEEE Winter Conference on Applications of Computer Vision (WACV)},\n"
              "  year = {2018}\n"
              "}\n",
    .sampler = &sg_sampler_clean,
    .probe = SG_PROBE_GRADIENT,
    .over = SG_OVER_PLACES,
    .unit = "the score",
    .n_powers = 0,
    .min_samples = 1,
    .uses = SG_USES_LAYER | SG_USES_CAM | SG_USES_DENOMINATOR,
    .finish = finish,
};
