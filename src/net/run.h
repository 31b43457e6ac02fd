/* src/net/run.h - a net as the files that run it see it. */
#ifndef NET_RUN_H
#define NET_RUN_H

#include "net/plan.h"

struct sg_net {
    const struct sg_model *m;
    int64_t batch;
    struct sg_net_plan plan;
    struct sg_region region;
    char *arena;
    void *own_arena;         /* the same, unless it is the caller's */
    struct sg_call *calls;   /* [n_nodes] */
    double *forward_seconds; /* [n_nodes], which passes add to; or NULL */
    double *backward_seconds;
    sg_net_pause *pause; /* called between nodes; NULL: nothing is */
    void *pause_context;
    int is_whole; /* the last forward pass has left everything that a node makes */
};

static inline float *sg_net_at(const struct sg_net *net, int64_t offset) {
    return offset >= 0 ? (float *)(void *)(net->arena + offset) : NULL;
}

/* Where sample `first` of the batch begins, one of the part that is being worked on. */
static inline float *sg_net_sample(const struct sg_net *net, const struct sg_place *place,
                                   const struct sg_value *v, int64_t first) {
    return sg_net_at(net, place->at) + (place->whole ? first * v->size : 0);
}

/* The calls of a segment's nodes get the samples of one of its parts. Returns the first of them,
 * and their number. */
int64_t sg_net_enter(struct sg_net *net, const struct sg_segment *s, int64_t part, int64_t *n);

/* Node i backward, with a Relu that was fused into it. */
void sg_net_run_backward(struct sg_net *net, int64_t i, enum sg_rule rule);

/* Node i backward with the means of gates; work[gates.largest]. */
void sg_net_run_gates(struct sg_net *net, int64_t i, const struct sg_counts_view *gates,
                      float *work);

#endif
