/* src/net/ops/gated.c - ONNX Erf, and x (p + q f(x)) with f made of erf or tanh: what fuse_gated.c
 * finds of GELU and its kin, as files write them with several nodes. The slope is taken on the way
 * forward, where it costs little beside the value; the input may be overwritten. */
#include "net/ops/ops_impl.h"

static const struct sg_op op_gated;

sg_status sg_become_gated(struct sg_node *node, struct sg_value *x, const struct sg_gated *g) {
    sg_status status = SG_OK;
    struct sg_gated *own;

    SG_TRY(sg_own(node, sizeof *own, &own));
    *own = *g;
    node->op = &op_gated;
    node->flags = op_gated.flags;
    node->in[0] = x;
    node->n_in = 1;
done:
    return status;
}

static void memory(const struct sg_node *node, int64_t batch, struct sg_need *need) {
    need->kept_bytes = batch * node->out->size * (int64_t)sizeof(float);
}

static sg_status infer_erf(struct sg_node *node) {
    sg_status status = SG_OK;

    SG_TRY(sg_check_inputs(node, 1, 1));
    SG_TRY(sg_set_same_shape(node));
done:
    return status;
}

static void forward_erf(const struct sg_call *call) {
    sg_erf(call->x[0], call->y, call->kept, call->batch * call->node->out->size);
}

static void forward(const struct sg_call *call) {
    sg_gated(call->node->own, call->x[0], call->y, call->kept, call->batch * call->node->out->size);
}

static void backward(const struct sg_call *call) {
    const float *slope = call->kept;
    const int64_t n = call->batch * call->node->out->size;

    if (call->accumulate[0]) {
        for (int64_t i = 0; i < n; i++) {
            call->dx[0][i] += slope[i] * call->dy[i];
        }
    } else {
        for (int64_t i = 0; i < n; i++) {
            call->dx[0][i] = slope[i] * call->dy[i];
        }
    }
}

static const struct sg_op op_gated = {
    .name = "Gelu",
    .flags = SG_OP_TAKES_WHOLE | SG_OP_INPLACE | SG_OP_GRAD_INPLACE | SG_OP_ELEMENTWISE,
    .memory = memory,
    .forward = forward,
    .backward = backward,
};

const struct sg_op sg_op_erf = {
    .name = "Erf",
    .opset_min = 9,
    .flags = SG_OP_TAKES_WHOLE | SG_OP_INPLACE | SG_OP_GRAD_INPLACE | SG_OP_ELEMENTWISE,
    .infer = infer_erf,
    .memory = memory,
    .forward = forward_erf,
    .backward = backward,
};
