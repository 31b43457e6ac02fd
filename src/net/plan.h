/* src/net/plan.h - which bytes of one arena hold what, and when.
 *
 * Time runs in steps: 0 takes the input in, 1..n are the nodes forward, n + 1 gives the outputs
 * out, n + 2 takes their gradients in, n + 3..2n + 2 are the nodes backward from the last to the
 * first, 2n + 3 gives the input's gradient out. What backward reads of the forward pass lives to
 * the end, so backward can run again with another gradient. */
#ifndef NET_PLAN_H
#define NET_PLAN_H

#include "net/net_impl.h"

/* Offsets into the arena; -1: none. */
struct sg_node_plan {
    int64_t kept;
    int64_t relu_mask;
    int64_t work_forward;
    int64_t work_backward;
    int *accumulate; /* [n_in] */
};

struct sg_net_plan {
    int64_t n_nodes;
    int64_t *data; /* [n_nodes + 1]: of stored values, by index */
    int64_t *grad;
    struct sg_node_plan *nodes;
    int64_t arena_bytes;
    struct sg_region region; /* holds all of the above */
};

/* Plans the memory for batches of `batch` samples. Deterministic. Errors: SG_E_NOMEM. */
sg_status sg_net_plan_create(const struct sg_model *m, int64_t batch, struct sg_net_plan *out);
void sg_net_plan_free(struct sg_net_plan *plan);

#endif
