/* src/net/ops/relu.c - ONNX Relu where it could not join the node before it: y = max(x, 0). NaN
 * stays NaN. */
#include "net/ops/ops_impl.h"

static sg_status infer(struct sg_node *node) {
    sg_status status = SG_OK;

    SG_TRY(sg_check_inputs(node, 1, 1));
    SG_TRY(sg_set_same_shape(node));
done:
    return status;
}

static void memory(const struct sg_node *node, int64_t batch, struct sg_need *need) {
    need->kept_bytes = sg_mask_bytes(batch * node->out->size);
}

static void forward(const struct sg_call *call) {
    const int64_t n = call->batch * call->node->out->size;

    sg_relu_forward(call->x[0], call->y, n);
    sg_relu_mask(call->y, call->kept, n);
}

/* dx += dy where y > 0, or as the rule says. At x = 0 the derivative is taken as 0, as the training
 * frameworks do. */
static void backward(const struct sg_call *call) {
    sg_relu_backward_by(call->rule, call->kept, call->dy, call->dx[0],
                        call->batch * call->node->out->size, call->accumulate[0]);
}

const struct sg_op sg_op_relu = {
    .name = "Relu",
    .flags = SG_OP_TAKES_WHOLE | SG_OP_INPLACE | SG_OP_GRAD_INPLACE | SG_OP_RELU |
             SG_OP_ELEMENTWISE | SG_OP_GATE,
    .infer = infer,
    .memory = memory,
    .forward = forward,
    .backward = backward,
};
