/* src/methods/guided_backprop.c - Guided Backpropagation: the gradient, but that a Relu also stops
 * what is negative on its way back. It is `gradient` with `rule: guided_backprop` under a name of
 * its own. Source: Springenberg, Dosovitskiy, Brox and Riedmiller 2015, arXiv:1412.6806,
 * section 3.4. */
#include "methods/methods_impl.h"
#include "sgdist/net.h"

const struct sg_method sg_method_guided_backprop = {
    .name = "guided_backprop",
    .summary = "the gradient, without what comes back negative to a Relu",
    .cite = "Springenberg et al. 2015, arXiv:1412.6806",
    .bibtex = "@inproceedings{springenberg2015striving,\n"
              "  title = {Striving for Simplicity: The All Convolutional Net},\n"
              "  author = {Springenberg, Jost Tobias and Dosovitskiy, Alexey and Brox, Thomas and "
              "Riedmiller, Martin},\n"
              "  booktitle = {ICLR Workshop},\n"
              "  year = {2015}\n"
              "}\n",
    .sampler = &sg_sampler_clean,
    .probe = SG_PROBE_GRADIENT,
    .rule = SG_RULE_GUIDED_BACKPROP,
    .min_samples = 1,
    .uses = SG_USES_SPACE | SG_USES_LAYER,
    .gradient_power = 1,
    .finish = sg_finish_clean,
};
