/* src/methods/hires_cam.c - HiResCAM: the gradient times the layer, added up over its maps.
 *   map(i) = relu(sum_k g_k(i) A_k(i))
 * Source: Draelos and Carin 2020, arXiv:2011.08891, section 3. The paper has no relu at the end:
 * option `relu`. */
#include "methods/methods_impl.h"

static double weight(const struct sg_finish *in, int64_t k, int64_t i) {
    return sg_cam_moment(in, 1, k, i);
}

static sg_status finish(const struct sg_finish *in, double *map) {
    return sg_cam_finish(in, NULL, weight, map);
}

const struct sg_method sg_method_hires_cam = {
    .name = "hires_cam",
    .summary = "a layer times its gradient, added up over its maps",
    .cite = "Draelos and Carin 2020, arXiv:2011.08891",
    .bibtex = "@article{draelos2020use,\n"
              "  title = {Use HiResCAM instead of Grad-CAM for faithful explanations of "
              "convolutional neural networks},\n"
              "  author = {Draelos, Rachel Lea and Carin, Lawrence},\n"
              "  journal = {arXiv preprint arXiv:2011.08891},\n"
              "  year = {2020}\n"
              "}\n",
    .sampler = &sg_sampler_clean,
    .probe = SG_PROBE_GRADIENT,
    .over = SG_OVER_PLACES,
    .unit = "the score",
    .n_powers = 0,
    .min_samples = 1,
    .uses = SG_USES_LAYER | SG_USES_CAM,
    .finish = finish,
};
