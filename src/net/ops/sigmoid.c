/* src/net/ops/sigmoid.c - ONNX Sigmoid: y = 1 / (1 + exp(-x)). */
#include "net/ops/ops_impl.h"

#include <math.h>

static sg_status infer(struct sg_node *node) {
    sg_status status = SG_OK;

    SG_TRY(sg_check_inputs(node, 1, 1));
    SG_TRY(sg_set_same_shape(node));
done:
    return status;
}

static void forward(const struct sg_call *call) {
    const int64_t n = call->batch * call->node->out->size;

    for (int64_t i = 0; i < n; i++) {
        const float x = call->x[0][i];

        call->y[i] = 1.0f / (1.0f + expf(-x));
    }
}

/* dy/dx = y (1 - y). */
static void backward(const struct sg_call *call) {
    const int64_t n = call->batch * call->node->out->size;

    for (int64_t i = 0; i < n; i++) {
        const float y = call->y[i];

        sg_put(call->dx[0], i, call->dy[i] * (y * (1.0f - y)), call->accumulate[0]);
    }
}

const struct sg_op sg_op_sigmoid = {
    .name = "Sigmoid",
    .flags = SG_OP_TAKES_WHOLE | SG_OP_INPLACE | SG_OP_GRAD_INPLACE | SG_OP_KEEPS_OUTPUT |
             SG_OP_SATURATES,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
