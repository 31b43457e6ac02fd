/* src/methods/smooth_grad_cam_plus_plus.c - Smooth Grad-CAM++: Grad-CAM++ with the means of the
 * gradient's powers under Gaussian noise on the input, and the activation at the item itself.
 *   D_p = 1/N sum_n g(x + e_n)^p,  e_n ~ N(0, sigma^2 I)
 *   map(i) = relu(sum_k w_k A_k(i)),  w_k = sum_i alpha_k(i) relu(D_1)
 *   alpha_k(i) = D_2 / (2 D_2 + D_3 sum_j A_k(j)), 0 where the denominator is 0
 * Source: Omeiza, Speakman, Cintas and Weldermariam 2019, arXiv:1908.01224, (6) to (9). The paper
 * prints D_1 as alpha's numerator, where Grad-CAM++ has the second derivative: option `numerator`.
 */
#include "methods/methods_impl.h"

static sg_status finish(const struct sg_finish *in, double *map) {
    sg_status status = SG_OK;

    SG_TRY(sg_cam_take_moments(in));
    SG_TRY(sg_cam_finish(in, sg_cam_plus_plus_weight, NULL, map));
done:
    return status;
}

const struct sg_method sg_method_smooth_grad_cam_plus_plus = {
    .name = "smooth_grad_cam_plus_plus",
    .summary = "Grad-CAM++ of the mean powers of the gradient under noise",
    .cite = "Omeiza et al. 2019, arXiv:1908.01224",
    .bibtex = "@article{omeiza2019smooth,\n"
              "  title = {Smooth Grad-CAM++: An Enhanced Inference Level Visualization Technique "
              "for Deep Convolutional Neural Network Models},\n"
              "  author = {Omeiza, Daniel and Speakman, Skyler and Cintas, Celia and Weldermariam, "
              "Komminist},\n"
              "  journal = {arXiv preprint arXiv:1908.01224},\n"
              "  year = {2019}\n"
              "}\n",
    .sampler = &sg_sampler_gaussian,
    .probe = SG_PROBE_GRADIENT,
    .over = SG_OVER_PLACES,
    .unit = "the score",
    .n_powers = 3,
    .n_scratch = 3,
    .min_samples = 1,
    .uses = SG_USES_LAYER | SG_USES_CAM | SG_USES_DENOMINATOR | SG_USES_NUMERATOR,
    .finish = finish,
};
