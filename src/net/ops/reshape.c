/* src/net/ops/reshape.c - ONNX Reshape, Flatten, Squeeze, Unsqueeze: new shapes for the same
 * numbers.
 */
#include "net/ops/ops_impl.h"

/* The input under these axes, be it a value or a constant. */
static sg_status become(struct sg_node *node, int n_axes, const int64_t *axes) {
    if (node->in[0]->kind == SG_VALUE_CONSTANT) {
        return sg_set_reshaped(node, &node->in[0]->constant, n_axes, axes);
    }
    return sg_reshape_to(node, n_axes, axes);
}

/* -1 in the shape of a constant: what is left of its elements. */
static void fill_unknown(const struct sg_constant *c, int n_axes, int64_t *axes) {
    int64_t known = 1;

    for (int i = 0; i < n_axes; i++) {
        if (axes[i] > 0 && __builtin_mul_overflow(known, axes[i], &known)) {
            known = 0;
        }
    }
    for (int i = 0; i < n_axes; i++) {
        axes[i] = axes[i] == -1 && known > 0 ? c->n / known : axes[i];
    }
}

static sg_status reshape(struct sg_node *node) {
    sg_status status = SG_OK;
    int64_t axes[SG_CONSTANT_AXES];
    int64_t had[SG_CONSTANT_AXES] = {0};
    const int64_t *wanted;
    int64_t n, allow_zero;
    int n_had;

    SG_TRY(sg_check_inputs(node, 2, 2));
    SG_TRY(sg_attribute_int(node, "allowzero", 0, &allow_zero));
    SG_TRY(sg_ints_from(node, "shape", 1, &n, &wanted));
    SG_NODE_CHECK(n <= SG_CONSTANT_AXES, node, "a shape of %lld axes is not supported",
                  (long long)n);
    n_had = sg_input_axes(node, 0, had);
    for (int64_t i = 0; i < n; i++) {
        const int copies = wanted[i] == 0 && allow_zero == 0;

        SG_NODE_CHECK(!copies || i < n_had, node, "its shape copies an axis that is not there");
        axes[i] = copies ? had[i] : wanted[i];
    }
    if (n > 0 && sg_is_file_batch(node, 1, wanted[0])) {
        axes[0] = 1;
    } else if (n > 0 && wanted[0] > 0 && !node->in[1]->of_shape) {
        SG_TRY(sg_check_batch_axis(node, 0));
    }
    if (sg_is_constant(node, 0)) {
        fill_unknown(&node->in[0]->constant, (int)n, axes);
    }
    SG_TRY(become(node, (int)n, axes));
done:
    return status;
}

static sg_status flatten(struct sg_node *node) {
    sg_status status = SG_OK;
    int64_t axes[2] = {1, 1};
    int64_t had[SG_CONSTANT_AXES];
    int64_t axis;
    int n_had;

    SG_TRY(sg_check_inputs(node, 1, 1));
    n_had = sg_input_axes(node, 0, had);
    SG_TRY(sg_attribute_int(node, "axis", 1, &axis));
    SG_NODE_CHECK(axis >= -n_had && axis <= n_had, node, "axis %lld is outside of its input",
                  (long long)axis);
    axis += axis < 0 ? n_had : 0;
    SG_TRY(sg_check_batch_axis(node, axis));
    for (int i = 0; i < n_had; i++) {
        axes[i < axis ? 0 : 1] *= had[i];
    }
    SG_TRY(become(node, 2, axes));
done:
    return status;
}

/* Which of n_axes axes are listed, as bits. */
static sg_status listed(const struct sg_node *node, int n_axes, int64_t n, const int64_t *list,
                        unsigned *out) {
    sg_status status = SG_OK;
    int64_t axis;

    *out = 0;
    for (int64_t i = 0; i < n; i++) {
        SG_TRY(sg_axis(node, list[i], n_axes, &axis));
        *out |= 1u << axis;
    }
done:
    return status;
}

static sg_status squeeze(struct sg_node *node) {
    sg_status status = SG_OK;
    int64_t had[SG_CONSTANT_AXES];
    int64_t axes[SG_CONSTANT_AXES];
    const int64_t *list;
    unsigned drop;
    int64_t n;
    int n_had, left = 0;

    SG_TRY(sg_check_inputs(node, 1, 2));
    SG_TRY(sg_ints_from(node, "axes", 1, &n, &list));
    n_had = sg_input_axes(node, 0, had);
    SG_TRY(listed(node, n_had, n, list, &drop));
    for (int i = 0; i < n_had; i++) {
        const int is_batch = i == 0 && sg_has_file_batch(node);
        const int goes = n < 0 ? had[i] == 1 && !is_batch : (drop >> i & 1) != 0;

        SG_NODE_CHECK(!goes || had[i] == 1, node, "it drops axis %d, which is not of length 1", i);
        if (!goes) {
            axes[left++] = had[i];
        }
    }
    SG_TRY(become(node, left, axes));
done:
    return status;
}

static sg_status unsqueeze(struct sg_node *node) {
    sg_status status = SG_OK;
    int64_t had[SG_CONSTANT_AXES];
    int64_t axes[SG_CONSTANT_AXES];
    const int64_t *list;
    unsigned added;
    int64_t n;
    int n_had, n_axes, at = 0;

    SG_TRY(sg_check_inputs(node, 1, 2));
    SG_TRY(sg_ints_from(node, "axes", 1, &n, &list));
    n_had = sg_input_axes(node, 0, had);
    SG_NODE_CHECK(n >= 1 && n_had + n <= SG_CONSTANT_AXES, node, "it adds %lld axes to %d",
                  (long long)n, n_had);
    n_axes = n_had + (int)n;
    SG_TRY(listed(node, n_axes, n, list, &added));
    SG_NODE_CHECK(__builtin_popcount(added) == n, node, "it adds the same axis twice");
    for (int i = 0; i < n_axes; i++) {
        axes[i] = (added >> i & 1) != 0 ? 1 : had[at++];
    }
    SG_TRY(become(node, n_axes, axes));
done:
    return status;
}

#define RESHAPING(op_name, file_name)                                                              \
    const struct sg_op sg_op_##file_name = {.name = op_name,                                       \
                                            .flags = SG_OP_TAKES_HWC | SG_OP_TAKES_WHOLE |         \
                                                     SG_OP_TRANSPARENT,                            \
                                            .fold = file_name,                                     \
                                            .infer = file_name}

RESHAPING("Reshape", reshape);
RESHAPING("Flatten", flatten);
RESHAPING("Squeeze", squeeze);
RESHAPING("Unsqueeze", unsqueeze);
