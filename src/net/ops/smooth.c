/* src/net/ops/smooth.c - ONNX Sigmoid, Softplus and Tanh: smooth functions whose derivative follows
 * from their value, so that the input may be overwritten. In single precision: networks spend time
 * in them. */
#include "net/ops/ops_impl.h"

#include <math.h>

static sg_status infer(struct sg_node *node) {
    sg_status status = SG_OK;

    SG_TRY(sg_check_inputs(node, 1, 1));
    SG_TRY(sg_set_same_shape(node));
done:
    return status;
}

static void softplus(const float *x, float *y, int64_t n) {
    for (int64_t i = 0; i < n; i++) { /* without overflow */
        y[i] = (x[i] > 0.0f ? x[i] : 0.0f) + log1pf(expf(-fabsf(x[i])));
    }
}

static void hyperbolic_tangent(const float *x, float *y, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        y[i] = tanhf(x[i]);
    }
}

/* f makes y of x, slope is a function of y. */
#define SMOOTH(op_name, file_name, more_flags, f, slope)                                           \
    static void forward_##file_name(const struct sg_call *call) {                                  \
        f(call->x[0], call->y, call->batch * call->node->out->size);                               \
    }                                                                                              \
    static void backward_##file_name(const struct sg_call *call) {                                 \
        const int64_t n = call->batch * call->node->out->size;                                     \
                                                                                                   \
        for (int64_t i = 0; i < n; i++) {                                                          \
            const float y = call->y[i];                                                            \
                                                                                                   \
            sg_put(call->dx[0], i, call->dy[i] * (slope), call->accumulate[0]);                    \
        }                                                                                          \
    }                                                                                              \
    const struct sg_op sg_op_##file_name = {                                                       \
        .name = op_name,                                                                           \
        .flags = SG_OP_TAKES_WHOLE | SG_OP_INPLACE | SG_OP_GRAD_INPLACE | SG_OP_KEEPS_OUTPUT |     \
                 SG_OP_ELEMENTWISE | (more_flags),                                                 \
        .infer = infer,                                                                            \
        .forward = forward_##file_name,                                                            \
        .backward = backward_##file_name,                                                          \
    }

SMOOTH("Sigmoid", sigmoid, SG_OP_SATURATES, sg_sigmoid, y *(1.0f - y));
/* The derivative is 1 / (1 + exp(-x)) = 1 - exp(-y). */
SMOOTH("Softplus", softplus, 0, softplus, -expm1f(-y));
SMOOTH("Tanh", tanh, 0, hyperbolic_tangent, 1.0f - y * y);
