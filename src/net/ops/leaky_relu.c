/* src/net/ops/leaky_relu.c - ONNX LeakyRelu: y = x where x >= 0, alpha x elsewhere. */
#include "net/ops/ops_impl.h"

struct leaky {
    float alpha;
};

static sg_status infer(struct sg_node *node) {
    sg_status status = SG_OK;
    struct leaky *own;

    SG_TRY(sg_check_inputs(node, 1, 1));
    SG_TRY(sg_own(node, sizeof *own, &own));
    SG_TRY(sg_attribute_float(node, "alpha", 0.01f, &own->alpha));
    SG_TRY(sg_set_same_shape(node));
done:
    return status;
}

static void memory(const struct sg_node *node, int64_t batch, struct sg_need *need) {
    need->kept_bytes = sg_mask_bytes(batch * node->out->size);
}

static void forward(const struct sg_call *call) {
    const struct leaky *own = call->node->own;
    const int64_t n = call->batch * call->node->out->size;

    sg_relu_mask(call->x[0], call->kept, n); /* before y, which may lie where x does */
    for (int64_t i = 0; i < n; i++) {
        const float x = call->x[0][i];

        call->y[i] = x < 0.0f ? own->alpha * x : x;
    }
}

/* At x = 0 the derivative is taken as alpha, as PyTorch does. */
static void backward(const struct sg_call *call) {
    const struct leaky *own = call->node->own;
    const int64_t n = call->batch * call->node->out->size;

    for (int64_t i = 0; i < n; i++) {
        const float slope = sg_mask_bit(call->kept, i) ? 1.0f : own->alpha;

        sg_put(call->dx[0], i, slope * call->dy[i], call->accumulate[0]);
    }
}

const struct sg_op sg_op_leaky_relu = {
    .name = "LeakyRelu",
    .flags = SG_OP_TAKES_WHOLE | SG_OP_INPLACE | SG_OP_GRAD_INPLACE | SG_OP_ELEMENTWISE,
    .infer = infer,
    .memory = memory,
    .forward = forward,
    .backward = backward,
};
