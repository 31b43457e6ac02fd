/* src/net/ops/softplus.c - ONNX Softplus: y = log(1 + exp(x)), without overflow. */
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

        call->y[i] = (x > 0.0f ? x : 0.0f) + log1pf(expf(-fabsf(x)));
    }
}

/* dy/dx = 1 / (1 + exp(-x)) = 1 - exp(-y). */
static void backward(const struct sg_call *call) {
    const int64_t n = call->batch * call->node->out->size;

    for (int64_t i = 0; i < n; i++) {
        const float y = call->y[i];

        sg_put(call->dx[0], i, call->dy[i] * -expm1f(-y), call->accumulate[0]);
    }
}

const struct sg_op sg_op_softplus = {
    .name = "Softplus",
    .flags = SG_OP_TAKES_WHOLE | SG_OP_INPLACE | SG_OP_GRAD_INPLACE | SG_OP_KEEPS_OUTPUT,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
