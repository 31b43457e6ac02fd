/* src/methods/layer_cam.c - LayerCAM: the layer, each place weighted with its positive gradient.
 *   map(i) = relu(sum_k relu(g_k(i)) A_k(i))
 * Source: Jiang, Zhang, Hou, Cheng and Wei 2021, IEEE Transactions on Image Processing 30,
 * 5875-5888, doi:10.1109/TIP.2021.3089943, (6) and (7). */
#include "methods/methods_impl.h"

static double weight(const struct sg_finish *in, int64_t k, int64_t i) {
    const double g = sg_cam_moment(in, 1, k, i);

    return g > 0 ? g : 0;
}

static sg_status finish(const struct sg_finish *in, double *map) {
    return sg_cam_finish(in, NULL, weight, map);
}

const struct sg_method sg_method_layer_cam = {
    .name = "layer_cam",
    .summary = "a layer times its positive gradient, added up over its maps",
    .cite = "Jiang et al. 2021, doi:10.1109/TIP.2021.3089943",
    .bibtex =
        "@article{jiang2021layercam,\n"
        "  title = {LayerCAM: Exploring Hierarchical Class Activation Maps for Localization},\n"
        "  author = {Jiang, Peng-Tao and Zhang, Chang-Bin and Hou, Qibin and Cheng, Ming-Ming and "
        "Wei, Yunchao},\n"
        "  journal = {IEEE Transactions on Image Processing},\n"
        "  volume = {30},\n"
        "  year = {2021}\n"
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
