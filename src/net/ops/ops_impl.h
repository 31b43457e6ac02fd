/* src/net/ops/ops_impl.h - what operators share. An operator is one file: a `const struct sg_op`
 * and its functions, and one line in ../ops.def. */
#ifndef NET_OPS_IMPL_H
#define NET_OPS_IMPL_H

#include "net/kernels.h"
#include "net/net_impl.h"

/* values_product.c: a matrix product of values, or of a value and a constant, by NumPy's rules. */
sg_status sg_become_values_product(struct sg_node *node);

/* lower.c: an operator that is made of others. Nodes are put before `node` as if the file held
 * them, with the defaults of all attributes that are not said; operands may be values or constants.
 */
sg_status sg_new_ints(struct sg_node *node, int64_t n, const int64_t *ints, struct sg_value **out);
sg_status sg_new_number(struct sg_node *node, float number, struct sg_value **out);
/* b may be NULL. */
sg_status sg_lower(struct sg_node *node, const char *op_type, struct sg_value *a,
                   struct sg_value *b, struct sg_value **out);
/* With one attribute, a list of whole numbers. */
sg_status sg_lower_ints(struct sg_node *node, const char *op_type, struct sg_value *a,
                        const char *attribute, int64_t n, const int64_t *ints,
                        struct sg_value **out);
/* With all attributes that the file gives the node, and one whole number more. */
sg_status sg_lower_alike(struct sg_node *node, const char *op_type, struct sg_value *a,
                         const char *attribute, int64_t i, struct sg_value **out);
sg_status sg_lower_reshape(struct sg_node *node, struct sg_value *a, int n_axes,
                           const int64_t *axes, struct sg_value **out);
/* Gather along one axis. */
sg_status sg_lower_pick(struct sg_node *node, struct sg_value *a, int64_t axis,
                        struct sg_value *index, struct sg_value **out);
/* The node's own result is this value; it runs nothing itself. */
sg_status sg_become(struct sg_node *node, struct sg_value *result);

/* window.c: the sliding window of a convolution or a pooling layer over one to three axes. */
struct sg_window {
    int n; /* axes */
    int64_t kernel[3];
    int64_t stride[3];
    int64_t dilation[3];
    int64_t pad[6]; /* before each axis, then after each: top, left, bottom, right */
    int64_t out[3];
};
/* Reads strides, pads, dilations and auto_pad; `kernel` is set by the caller, or taken from the
 * attribute kernel_shape where it is 0. ceil_mode rounds the output up, but no window starts
 * outside of the input and its left padding. */
sg_status sg_window_read(const struct sg_node *node, const struct sg_value *in, int ceil_mode,
                         struct sg_window *out);

/* spread.c: two or three operands over the axes that they have together, by NumPy's rules. */
enum { SG_SPREAD_LOOPS = 8 };
struct sg_spread {
    int n_axes; /* of the result, ONNX order */
    int64_t axes[SG_CONSTANT_AXES];
    int n; /* loops over its memory, the innermost last */
    int64_t length[SG_SPREAD_LOOPS];
    int64_t stride[3][SG_SPREAD_LOOPS];
    const float *constant[3]; /* or NULL: a value */
    int64_t size[3];
    int same; /* no operand repeats */
};
/* The axes of all inputs together; refused if they do not fit. */
sg_status sg_spread_axes(const struct sg_node *node, struct sg_spread *s);
/* Sets node->out and node->own. Constants are kept; whole numbers become floats. */
sg_status sg_become_spread(struct sg_node *node);
/* Counts the outer loops on: how far the three operands are in the next line. */
void sg_spread_next(const struct sg_spread *s, int64_t *at, int64_t *offset);
/* The same at load: elements of the three operands for element i of the result. */
void sg_spread_at(const struct sg_node *node, const struct sg_spread *s, int64_t i, int64_t *at);

/* volume.c: convolution and pooling over one or three axes, and dilated pooling over two, by plain
 * loops. `kind` as below; the weight is [k][c/groups][window]. */
enum sg_volume_kind { SG_VOLUME_CONV, SG_VOLUME_MAX, SG_VOLUME_AVERAGE };
sg_status sg_become_volume(struct sg_node *node, enum sg_volume_kind kind);
/* The same for a transposed convolution with c output channels: `w` is the window of the
 * convolution that goes the other way, but w->out the axes of the node's output. */
sg_status sg_become_transposed_volume(struct sg_node *node, const struct sg_window *w, int64_t c,
                                      int64_t groups, const float ***weight, const float ***bias);

/* affine.c: y = scale x + shift with vectors that repeat; takes the place of arithmetic with a
 * constant and of batch norm. The floats are in the scratch region or the file. */
sg_status sg_become_affine(struct sg_node *node, struct sg_value *in, int64_t period,
                           const float *scale, const float *shift);

/* mean.c: the mean over the chosen ONNX axes (bits, without 0), if they are neighbours in memory;
 * *taken tells. */
sg_status sg_become_mean(struct sg_node *node, unsigned chosen, int keep, int *taken);

/* The node is the mean over the last n elements in memory: 1, and n. */
int sg_is_mean_of_rows(const struct sg_node *node, int64_t *n);
int sg_is_reduced_mean_of_rows(const struct sg_node *node, int64_t *n); /* in reduce.c's form */

/* layer_norm.c: the node becomes the layer normalisation of x over rows of n elements in memory,
 * without scale and shift; its output stays. */
sg_status sg_become_layer_norm(struct sg_node *node, struct sg_value *x, int64_t n, float epsilon);

/* gated.c: the node becomes x (p + q f(x)); its output stays. */
sg_status sg_become_gated(struct sg_node *node, struct sg_value *x, const struct sg_gated *g);

/* values_product.c: see fuse_product.c. Where the matrices of an operand lie, or with o = 2 those
 * of the result: at[i] is the start of matrix i, and its rows are `step` elements apart, or its
 * columns where it is transposed. */
struct sg_placement {
    const int64_t *at;
    int64_t step;
    int transposed;
};
int sg_is_values_product(const struct sg_node *node);
/* Element i of the dense operand, or result, has its place at source[i] (none where less than 0):
 * *fits tells whether the matrices are evenly spaced there. */
sg_status sg_product_place(const struct sg_node *node, int o, const int64_t *source,
                           struct sg_placement *out, int *fits);
/* Operand o is read from there; the result is written there. */
void sg_product_read(struct sg_node *node, int o, struct sg_value *from,
                     const struct sg_placement *p);
void sg_product_write(struct sg_node *node, const struct sg_placement *p);
void sg_product_multiply(struct sg_node *node, double by);

/* rows.c: the memory of a value as [outer][length][inner] around the axes first..last (ONNX order,
 * batch = 0), with `batch` samples; refused where these axes are not neighbours in memory. */
struct sg_rows {
    int64_t outer; /* of one sample */
    int64_t length;
    int64_t inner;
};
sg_status sg_rows_of(const struct sg_node *node, const struct sg_value *v, int first, int last,
                     struct sg_rows *out);

/* map.c: results whose elements are elements of input 0. The loops of one output axis follow each
 * other from the slowest to the fastest; tables hold offsets into the input's memory, whose sum
 * over the loops tells where an element comes from. A loop may have holes, which are filled. */
enum { SG_MAP_LOOPS = 12, SG_MAP_LENGTH = 1 << 26 };
#define SG_MAP_HOLE (-((int64_t)1 << 50))
struct sg_map {
    int n;
    int axis[SG_MAP_LOOPS]; /* of the output, ONNX order */
    int64_t length[SG_MAP_LOOPS];
    int64_t *from[SG_MAP_LOOPS];
    float fill;
    int turns; /* the order of axes changes: a result in either layout will do */
};
/* Adds a loop; its table is to be filled, or counts up from `first` in steps. */
sg_status sg_map_loop(const struct sg_node *node, struct sg_map *map, int axis, int64_t length);
sg_status sg_map_steps(const struct sg_node *node, struct sg_map *map, int axis, int64_t length,
                       int64_t first, int64_t step);
/* node->out becomes the result, of all ONNX axes: a view, a constant, or a node that runs. */
sg_status sg_map_end(struct sg_node *node, const struct sg_map *map, int n_axes,
                     const int64_t *axes);
/* The node is such a map: 1. Then source[i] is the element of its input's memory that element
 * i of its result's is; less than 0 for a hole. */
int sg_is_map(const struct sg_node *node);
void sg_map_list(const struct sg_node *node, int64_t *source);
/* ... of elements *first, *first + 1, ..: 1. They can be moved, where the input has been cut; and a
 * node that picks n of a value can be put into the list. */
int sg_is_range(const struct sg_node *node, int64_t *first);
void sg_move_range(struct sg_node *node, int64_t by);
sg_status sg_insert_range(struct sg_node *before, struct sg_value *in, int64_t first, int64_t n,
                          struct sg_value **out);
#define SG_MAPPING(op_name, file_name)                                                             \
    const struct sg_op sg_op_##file_name = {                                                       \
        .name = op_name, .flags = SG_OP_TAKES_WHOLE, .fold = file_name, .infer = file_name}

/* pick.c: every element of the result is one of input 0 (its offset in memory), one of the updates
 * (-2 - its offset), or 0 (SG_PICK_HOLE), by a table in the ONNX order of the result. */
enum { SG_PICK_HOLE = -1 };
sg_status sg_pick_table(struct sg_node *node, int n_axes, const int64_t *axes, int64_t **table);
/* `updates`: which input holds them, or 0. Constants are folded. */
sg_status sg_become_pick(struct sg_node *node, int updates, int n_axes, const int64_t *axes,
                         int64_t *from);
/* Element i of a shape as coordinates, its offset in memory, the elements of a shape. */
void sg_pick_coordinates(int64_t i, int n_axes, const int64_t *axes, int64_t *at);
int64_t sg_pick_offset(const struct sg_layout *in, const int64_t *at);
int64_t sg_pick_count(int n_axes, const int64_t *axes);
/* Whole numbers of input i, known without running the network; one of them, counted from the end
 * where it is negative; the attribute axis. */
sg_status sg_pick_indices(const struct sg_node *node, int i, const struct sg_constant **out);
sg_status sg_pick_index(const struct sg_node *node, int64_t index, int64_t length, int64_t *out);
sg_status sg_pick_axis(const struct sg_node *node, int n_axes, int64_t *axis);
/* at[first..] = the coordinates that row `row` of the indices holds. */
sg_status sg_pick_point(const struct sg_node *node, const struct sg_constant *index, int64_t row,
                        const struct sg_layout *in, int64_t first, int64_t *at);
#define SG_PICKING(op_name, first, last, file_name)                                                \
    const struct sg_op sg_op_##file_name = {.name = op_name,                                       \
                                            .opset_min = first,                                    \
                                            .opset_max = last,                                     \
                                            .flags = SG_OP_TAKES_WHOLE,                            \
                                            .fold = file_name,                                     \
                                            .infer = file_name}

/* fold.c: constants from constants. The same numbers under another shape. */
sg_status sg_set_reshaped(struct sg_node *node, const struct sg_constant *c, int n_axes,
                          const int64_t *axes);
/* The ONNX axes of input i, be it a value or a constant, and its strides in memory. */
void sg_input_layout(const struct sg_node *node, int i, struct sg_layout *out);
/* All ONNX axes of input i, be it a value or a constant; returns their number. */
int sg_input_axes(const struct sg_node *node, int i, int64_t axes[SG_CONSTANT_AXES]);

/* Which output of the file's node this one makes; 0 is the first. */
int64_t sg_output_index(const struct sg_node *node);

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
