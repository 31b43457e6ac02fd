/* src/methods/grad_cam.c - Grad-CAM: feature maps weighted with the mean of the gradient over
 * places. map(i) = relu(sum_k w_k A_k(i)),  w_k = mean_i g_k(i),  A the layer, g the score's
 * gradient there Source: Selvaraju, Cogswell, Das, Vedantam, Parikh and Batra 2017,
 * arXiv:1610.02391, (1) and (2). */
#include "methods/methods_impl.h"

static double weight(const struct sg_finish *in, int64_t k) {
    const int64_t plane = sg_shape_plane(in->shape);
    double sum = 0;
    int64_t n = 0;

    for (int64_t i = 0; i < plane; i++) {
        if (sg_cam_has_place(in, i)) {
            sum += sg_cam_moment(in, 1, k, i);
            n++;
        }
    }
    return sum / (double)n;
}

static sg_status finish(const struct sg_finish *in, double *map) {
    return sg_cam_finish(in, weight, NULL, map);
}

const struct sg_method sg_method_grad_cam = {
    .name = "grad_cam",
    .summary = "a layer, its maps weighted with their mean gradient",
    .cite = "Selvaraju et al. 2017, arXiv:1610.02391",
    .bibtex = "@inproceedings{selvaraju2017grad,\n"
              "  title = {Grad-CAM: Visual Explanations from Deep Networks via Gradient-based "
              "Localization},\n"
              "  author = {Selvaraju, Ramprasaath R. and Cogswell, Michael and Das, Abhishek and "
              "Vedantam, Ramakrishna and Parikh, Devi and Batra, Dhruv},\n"
              "  booktitle = {IEEE International Conference on Computer Vision (ICCV)},\n"
              "  year = {2017}\n"
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
