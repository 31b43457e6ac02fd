/* src/net/ops/ops_impl.h - what operators share. An operator is one file: a `const struct sg_op`
 * and its functions, and one line in ../ops.def. */
#ifndef NET_OPS_IMPL_H
#define NET_OPS_IMPL_H

#include "net/kernels.h"
#include "net/net_impl.h"

/* window.c: the sliding window of a convolution or a pooling layer over [H, W]. */
struct sg_window {
    int64_t kernel[2];
    int64_t stride[2];
    int64_t dilation[2];
    int64_t pad[4]; /* top, left, bottom, right */
    int64_t out[2];
};
/* Reads strides, pads, dilations and auto_pad; `kernel` is set by the caller, or taken from the
 * attribute kernel_shape where it is 0. ceil_mode rounds the output up, but no window starts
 * outside of the input and its left padding. */
sg_status sg_window_read(const struct sg_node *node, const struct sg_value *in, int ceil_mode,
                         struct sg_window *out);

/* affine.c: y = scale x + shift with vectors that repeat; takes the place of arithmetic with a
 * constant and of batch norm. The floats are in the scratch pool or the file. */
sg_status sg_become_affine(struct sg_node *node, struct sg_value *in, int64_t period,
                           const float *scale, const float *shift);

/* mean.c: the mean over axes that are neighbours in memory, keeping them with length 1 or not. */
sg_status sg_become_mean(struct sg_node *node, int64_t n_axes, const int64_t *axes, int keep);

/* rows.c: the memory of a value as [outer][length][inner] around the axes first..last (ONNX order,
 * batch = 0), with `batch` samples; refused where these axes are not neighbours in memory. */
struct sg_rows {
    int64_t outer; /* of one sample */
    int64_t length;
    int64_t inner;
};
sg_status sg_rows_of(const struct sg_node *node, const struct sg_value *v, int first, int last,
                     struct sg_rows *out);

/* fold.c: constants from constants. out[i] = c[from[i]]. */
sg_status sg_set_picked(struct sg_node *node, const struct sg_constant *c, int n_axes,
                        const int64_t *axes, const int64_t *from);
/* The same numbers under another shape. */
sg_status sg_set_reshaped(struct sg_node *node, const struct sg_constant *c, int n_axes,
                          const int64_t *axes);
/* Axes of input 0, batch axis included as SG_BATCH where it is dynamic; returns their number. */
int sg_input_axes(const struct sg_node *node, int i, int64_t axes[SG_CONSTANT_AXES]);

/* Bits for backward; the words that n values need. */
static inline int64_t sg_mask_bytes(int64_t n) {
    return (n + 31) / 32 * (int64_t)sizeof(uint32_t);
}

static inline int sg_mask_bit(const uint32_t *mask, int64_t i) {
    return (int)(mask[i / 32] >> (i % 32) & 1);
}

/* dx[i] = v, or dx[i] += v. */
static inline void sg_put(float *dx, int64_t i, float v, int accumulate) {
    dx[i] = accumulate ? dx[i] + v : v;
}

#endif
