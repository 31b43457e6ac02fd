/* src/methods/idg.c - integrated decision gradients: the integrand of integrated gradients times
 * the slope of the score, so that the part of the line counts on which the decision falls: map(x) =
 * (x - x0) Int_0^1 df/dt grad f(x0 + t (x - x0)) dt Source: Walker, Jha, Chen and Ewetz 2024,
 * arXiv:2305.20052. The slope is that of the gradient itself, (x - x0).grad f; nodes are placed by
 * the slopes of a first look at the score: path.c. */
#include "methods/methods_impl.h"

const struct sg_method sg_method_idg = {
    .name = "idg",
    .summary = "integrated gradients weighted by the slope of the score",
    .cite = "Walker et al. 2024, arXiv:2305.20052",
    .bibtex = "@inproceedings{walker2024integrated,\n"
              "  title = {Integrated Decision Gradients: Compute Your Attributions Where the Model "
              "Makes Its Decision},\n"
              "  author = {Walker, Chase and Jha, Sumit and Chen, Kenny and Ewetz, Rickard},\n"
              "  booktitle = {AAAI Conference on Artificial Intelligence},\n"
              "  year = {2024}\n"
              "}\n",
    .sampler = &sg_sampler_clean,
    .probe = SG_PROBE_PATH,
    .n_powers = 0,
    .min_samples = 1,
    .uses = SG_USES_SPACE | SG_USES_PATH | SG_USES_OF | SG_USES_NODES,
    .path = SG_PATH_DECISION,
    .part = SG_PART_WHOLE,
    .nodes = 50,
    .finish = sg_finish_clean,
};
