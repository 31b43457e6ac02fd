/* include/sgdist/shape.h - the shape of one sample: what a model eats, without the batch axis. */
#ifndef SGDIST_SHAPE_H
#define SGDIST_SHAPE_H

#include <stdint.h>

enum { SG_MAX_AXES = 6 };

/* axes[0] is the channel axis, then the spatial ones (C; C,L; C,H,W; C,D,H,W). n_axes >= 1. */
struct sg_shape {
    int n_axes;
    int64_t axes[SG_MAX_AXES];
};

/* A tensor of a network as it is seen from outside: one sample of it, in ONNX order. */
struct sg_tensor {
    const char *name;
    struct sg_shape shape;
    int64_t size;
    int64_t offset; /* of an explained tensor: in the outputs of a sample */
};

/* The nonlinearities of a network. Gates are counted (Relu, Clip: open or not; a maximum: which
 * element of its window won) or have their slopes averaged (functions of one number); what is
 * neither has only the derivative at one point. */
struct sg_gate_totals {
    int64_t n_counters; /* one a unit of a Relu, one an element of a window, of a sample */
    int64_t n_slopes;
    int64_t largest;        /* counters or slopes of one node: what is looked at at a time */
    int64_t n_linearised;   /* nodes with neither */
    const char *linearised; /* their operators, "12 Softmax, 3 Mul"; "" */
};

/* What a network shows outside: its input, the tensors that are explained, the layers that can be
 * read. */
struct sg_signature {
    struct sg_tensor input;
    int n_outputs;
    const struct sg_tensor *outputs; /* explained tensors */
    int64_t n_elements;              /* K: elements of all outputs */
    int n_layers;
    const struct sg_tensor *layers;
    struct sg_gate_totals gates;
};

/* As the name of a layer: the last one before its places are pooled or flattened away. Going back
 * from the first explained tensor (of a node's inputs along the first that depends on the
 * network's), the first tensor with as many axes as the input and more than one place that is not
 * made by a pooling.
 */
#define SG_LAYER_AUTO "auto"

/* The number of elements, D. */
static inline int64_t sg_shape_size(const struct sg_shape *s) {
    int64_t n = 1;

    for (int i = 0; i < s->n_axes; i++) {
        n *= s->axes[i];
    }
    return n;
}

/* Elements of one channel: D / C. */
static inline int64_t sg_shape_plane(const struct sg_shape *s) {
    return sg_shape_size(s) / s->axes[0];
}

#endif
