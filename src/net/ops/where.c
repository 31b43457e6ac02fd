/* src/net/ops/where.c - ONNX Where: one operand or the other, by a condition. */
#include "net/ops/pairs.h"

/* Where: the condition comes first in files. */
FUNCTIONS(where, a != 0.0f ? b : c, 0.0f, a != 0.0f ? 1.0f : 0.0f, a != 0.0f ? 0.0f : 1.0f)

static sg_status infer_where(struct sg_node *node) {
    sg_status status = SG_OK;

    SG_TRY(sg_check_inputs(node, 3, 3));
    SG_TRY(sg_become_spread(node));
    node->flags |= sg_is_constant(node, 0) ? (unsigned)SG_OP_LINEAR : 0u;
done:
    return status;
}

static sg_status fold_where(struct sg_node *node) {
    sg_status status = SG_OK;
    const struct sg_constant *c[3];
    struct sg_spread s;
    int64_t at[3] = {0};
    int64_t *ints = NULL;
    float *floats = NULL;

    SG_TRY(sg_check_inputs(node, 3, 3));
    SG_TRY(sg_spread_axes(node, &s));
    for (int i = 0; i < 3; i++) {
        c[i] = &node->in[i]->constant;
    }
    SG_NODE_CHECK(c[0]->ints != NULL && (c[1]->ints != NULL) == (c[2]->ints != NULL), node,
                  "its constants are of different kinds");
    if (c[1]->ints != NULL) {
        SG_TRY(sg_set_ints(node, s.n_axes, s.axes, &ints));
    } else {
        SG_TRY(sg_set_floats(node, s.n_axes, s.axes, &floats));
    }
    for (int64_t i = 0; i < node->out->constant.n; i++) {
        int from;

        sg_spread_at(node, &s, i, at);
        from = c[0]->ints[at[0]] != 0 ? 1 : 2;
        if (ints != NULL) {
            ints[i] = c[from]->ints[at[from]];
        } else {
            floats[i] = c[from]->floats[at[from]];
        }
    }
done:
    return status;
}

const struct sg_op sg_op_where = {
    .name = "Where",
    .opset_min = 9,
    .flags = SG_OP_TAKES_WHOLE | SG_OP_KEEPS_INPUT,
    .fold = fold_where,
    .infer = infer_where,
    .forward = forward_where,
    .backward = backward_where,
};
