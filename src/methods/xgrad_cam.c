/* src/methods/xgrad_cam.c - XGrad-CAM: feature maps weighted with the mean of their gradient, each
 * place counting by its activation.
 *   map(i) = relu(sum_k w_k A_k(i)),  w_k = sum_i A_k(i) g_k(i) / sum_i A_k(i), 0 where that sum is
 * 0 Source: Fu, Hu, Dong, Guo, Gao and Li 2020, arXiv:2008.02312, (8). */
#include "methods/methods_impl.h"

static double weight(const struct sg_finish *in, int64_t k) {
    const int64_t plane = sg_shape_plane(in->shape);
    double sum = 0;
    double sum_a = 0;

    for (int64_t i = 0; i < plane; i++) {
        if (sg_cam_has_place(in, i)) {
            sum += in->x[k * plane + i] * sg_cam_moment(in, 1, k, i);
            sum_a += in->x[k * plane + i];
        }
    }
    return sum_a != 0 ? sum / sum_a : 0;
}

static sg_status finish(const struct sg_finish *in, double *map) {
    return sg_cam_finish(in, weight, NULL, map);
}

const struct sg_method sg_method_xgrad_cam = {
    .name = "xgrad_cam",
    .summary = "a layer, its maps weighted with their gradient by activation",
    .cite = "Fu et al. 2020, arXiv:2008.02312",
    .bibtex = "@inproceedings{fu2020axiom,\n"
              "  title = {Axiom-based Grad-CAM: Towards Accurate Visualization and Explanation of "
              "CNNs},\n"
              "  author = {Fu, Ruigang and Hu, Qingyong and Dong, Xiaohu and Guo, Yulan and Gao, "
              "Yinghui and Li, Biao},\n"
              "  booktitle = {British Machine Vision Conference (BMVC)},\n"
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
