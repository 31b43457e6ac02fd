/* src/net/gates.h - which nodes of a model are gates: their derivatives are counted or averaged
 * over samples.
 *
 * Functions of one number are often written as several nodes, a product among them: x sigmoid(x), x
 * (1 + erf(x)) / 2. All nodes between x and the last one, if nobody else reads what lies between,
 * are one gate of kind SLOPES then; a single elementwise node is one, too. */
#ifndef NET_GATES_H
#define NET_GATES_H

#include "net/net_impl.h"

enum sg_gate_kind {
    SG_GATE_NONE,
    SG_GATE_BITS,   /* a counter for each element: the bits that the node keeps */
    SG_GATE_CHOICE, /* counters of the operator's own */
    SG_GATE_SLOPES  /* of node->out by `source`, element by element */
};

/* What a node is, by its number in the model. */
struct sg_gate {
    enum sg_gate_kind kind;
    int is_inside;      /* it is a part of a later node's slopes, or such a gate itself */
    int64_t first_relu; /* first counter of a Relu that follows the node; -1: none */
    int64_t first;      /* first counter or slope */
    int64_t n;
    const struct sg_value *source;
    int64_t n_members; /* nodes of a gate of slopes, the gate's own last */
    const int64_t *members;
    int64_t writer; /* the last member that reads the source: backward it is the first to write its
                     * gradient, and there the slopes do it */
    int64_t writes; /* of a writer: the gate; -1 */
};

/* Fills m->gates and the signature's totals; nodes have their final numbers. Errors: SG_E_NOMEM. */
sg_status sg_find_gates(struct sg_model *m);

/* The nearest value that both are elementwise functions of, or that is one of them; -1. Values are
 * numbered in the order in which they are made; before[v] is the nearest one that v is a function
 * of, or -1. */
int64_t sg_nearest_common(const int64_t *before, int64_t a, int64_t b);

/* Which of the writer's inputs is the source, the last one if it is several. */
int sg_gate_input(const struct sg_gate *gate, const struct sg_call *writer);

/* 1 if the first gradient that the writer of these slopes writes adds to what is there. */
int sg_gate_accumulates(const struct sg_gate *gate, const struct sg_call *writer);

#endif
