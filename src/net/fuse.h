/* src/net/fuse.h - nodes that become one node: chains that are layers under another name.
 *
 * All of this runs once the graph is built, on values numbered in the order of their nodes
 * (index 0 is the input, i + 1 what node i makes). `uses` counts who reads a stored value,
 * explained tensors and layers among them: what is read from outside stays. What is found depends
 * on the operators and on settings, not on parameters: all draws of a model get the same nodes. */
#ifndef NET_FUSE_H
#define NET_FUSE_H

#include "net/kernels.h"
#include "net/net_impl.h"

extern const struct sg_op sg_op_add, sg_op_sub, sg_op_mul, sg_op_div, sg_op_pow;
extern const struct sg_op sg_op_erf, sg_op_tanh, sg_op_sigmoid, sg_op_sqrt, sg_op_reciprocal;

/* fuse_gated.c: GELU and its kin. fuse_norm.c: layer normalisation. fuse_product.c: slices,
 * transpositions and factors around products of values. fuse_rows.c: rows that nobody reads; last,
 * what was removed is out of the list then. */
sg_status sg_fuse_gated(struct sg_model *m, int *uses);
sg_status sg_fuse_norms(struct sg_model *m, int *uses);
sg_status sg_fuse_products(struct sg_model *m, int *uses);
sg_status sg_fuse_rows(struct sg_model *m, const int *uses);

/* `by` does what made this tensor from now on. */
sg_status sg_fuse_name(struct sg_node *by, const char *name);
/* `before` makes the value of `node` from now on. */
sg_status sg_fuse_into(struct sg_node *before, struct sg_node *node);
/* The node goes, and its tensor is inside `by`. */
sg_status sg_fuse_remove(struct sg_node *node, struct sg_node *by);

static inline int sg_is_dynamic(const struct sg_node *node, int k) {
    return node->in[k] != NULL && node->in[k]->kind == SG_VALUE_DYNAMIC;
}

/* The node that makes the storage of input k, or NULL. */
static inline struct sg_node *sg_maker(const struct sg_node *node, int k) {
    return sg_is_dynamic(node, k) ? node->in[k]->root->producer : NULL;
}

/* Input i is one number that is known, a float or a whole number: 1, and the number. */
static inline int sg_is_number(const struct sg_node *node, int i, double *number) {
    const struct sg_constant *c = sg_is_constant(node, i) ? &node->in[i]->constant : NULL;

    if (c == NULL || c->n != 1) {
        return 0;
    }
    *number = c->floats != NULL ? (double)c->floats[0] : (double)c->ints[0];
    return 1;
}

/* The node is scale x + shift with one number each. */
static inline int sg_is_number_affine(const struct sg_node *node, double *scale, double *shift) {
    struct sg_affine a;

    if (node->op->as_affine == NULL || !node->op->as_affine(node, &a) || a.n != 1) {
        return 0;
    }
    *scale = a.scale != NULL ? (double)a.scale[0] : 1.0;
    *shift = a.shift != NULL ? (double)a.shift[0] : 0.0;
    return 1;
}

#endif
