/* src/net/plan.h - which bytes of one arena hold what, and when.
 *
 * Time runs in steps: 0 takes the input in, 1..n are the nodes forward, n + 1 gives the outputs
 * out, n + 2 takes their gradients in, n + 3..2n + 2 are the nodes backward from the last to the
 * first, 2n + 3 gives the input's gradient out. The steps of a segment are gone through once for
 * each part of the batch: what enters or leaves it lives through all of them. What backward reads
 * of the forward pass lives to the end, so backward can run again with another gradient. */
#ifndef NET_PLAN_H
#define NET_PLAN_H

#include "net/net_impl.h"

/* Nodes first .. end - 1, which `batch` samples go through at a time: the batch is made of n_parts
 * parts, the last of which may be smaller. */
struct sg_segment {
    int64_t first, end;
    int64_t batch;
    int64_t n_parts;
};

/* Where the samples of a stored value lie, or of its gradient: an offset into the arena. What does
 * not leave a segment has room for one of its parts only, and `whole` is 0. */
struct sg_place {
    int64_t at;
    int whole;
};

/* Offsets into the arena; -1: none. */
struct sg_node_plan {
    int64_t segment;
    int64_t kept; /* kept_step bytes for each part */
    int64_t kept_step;
    int64_t relu_mask;
    int64_t mask_step;
    int64_t work_forward;
    int64_t work_backward;
    int *accumulate; /* [n_in] */
};

struct sg_net_plan {
    int64_t n_nodes;
    int64_t n_segments;
    struct sg_segment *segments;
    struct sg_place *data; /* [n_nodes + 1]: of stored values, by index */
    struct sg_place *grad;
    struct sg_node_plan *nodes;
    int64_t arena_bytes;
    struct sg_region region; /* holds all of the above */
};

/* segments.c: cuts the network; out has room for as many segments as there are nodes.
 * Deterministic. Errors: SG_E_NOMEM. */
sg_status sg_net_cut(const struct sg_model *m, int64_t batch, struct sg_region *scratch,
                     struct sg_segment *out, int64_t *n);

/* Plans the memory for batches of `batch` samples. Deterministic. Errors: SG_E_NOMEM. */
sg_status sg_net_plan_create(const struct sg_model *m, int64_t batch, struct sg_net_plan *out);
void sg_net_plan_free(struct sg_net_plan *plan);

#endif
