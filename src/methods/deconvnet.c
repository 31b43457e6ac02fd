/* src/methods/deconvnet.c - DeconvNet: the gradient, but that a Relu passes on what comes back
 * positive, whatever went in. It is `gradient` with `rule: deconvnet` under a name of its own.
 * Source: Zeiler and Fergus 2014, arXiv:1311.2901, section 2.1. */
#include "methods/methods_impl.h"
#include "sgdist/net.h"

const struct sg_method sg_method_deconvnet = {
    .name = "deconvnet",
    .summary = "the gradient, with what comes back positive to a Relu alone",
    .cite = "Zeiler and Fergus 2014, arXiv:1311.2901",
    .bibtex = "@inproceedings{zeiler2014visualizing,\n"
              "  title = {Visualizing and Understanding Convolutional Networks},\n"
              "  author = {Zeiler, Matthew D. and Fergus, Rob},\n"
              "  booktitle = {European Conference on Computer Vision (ECCV)},\n"
              "  year = {2014}\n"
              "}\n",
    .sampler = &sg_sampler_clean,
    .probe = SG_PROBE_GRADIENT,
    .rule = SG_RULE_DECONVNET,
    .min_samples = 1,
    .uses = SG_USES_SPACE | SG_USES_LAYER,
    .gradient_power = 1,
    .finish = sg_finish_clean,
};
