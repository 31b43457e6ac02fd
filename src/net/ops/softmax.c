/* src/net/ops/softmax.c - ONNX Softmax and LogSoftmax. Before opset 13 all axes from `axis` on are
 * one (default 1); since then `axis` is the only one (default the last). */
#include "net/ops/ops_impl.h"

#include <math.h>

static sg_status infer(struct sg_node *node) {
    sg_status status = SG_OK;
    const int flattens = node->model->graph.opset < 13;
    const struct sg_value *in = node->in[0];
    struct sg_rows *own;
    int64_t axis;

    SG_TRY(sg_check_inputs(node, 1, 1));
    SG_TRY(sg_attribute_int(node, "axis", flattens ? 1 : -1, &axis));
    SG_TRY(sg_axis(node, axis, in->shape.n_axes + !in->whole, &axis));
    SG_NODE_CHECK(axis > 0 || in->whole, node,
                  "axis 0 mixes the samples of a batch: not supported");
    SG_TRY(sg_own(node, sizeof *own, &own));
    SG_TRY(
        sg_rows_of(node, in, (int)axis, flattens ? in->shape.n_axes - in->whole : (int)axis, own));
    SG_TRY(sg_set_same_shape(node));
done:
    return status;
}

/* The largest element, and log(sum exp(x - largest)) in double, of one line. */
static double log_sum(const float *x, const struct sg_rows *r, float *largest) {
    double sum = 0.0;

    *largest = x[0];
    for (int64_t k = 1; k < r->length; k++) {
        const float v = x[k * r->inner];

        *largest = v > *largest || v != v ? v : *largest;
    }
    for (int64_t k = 0; k < r->length; k++) {
        sum += exp((double)x[k * r->inner] - (double)*largest);
    }
    return log(sum);
}

static inline void forward(const struct sg_call *call, int is_log) {
    const struct sg_rows *own = call->node->own;

    for (int64_t line = 0; line < call->batch * own->outer * own->inner; line++) {
        const int64_t at = line / own->inner * own->length * own->inner + line % own->inner;
        const float *x = call->x[0] + at;
        float *y = call->y + at;
        float largest;
        const double sum = log_sum(x, own, &largest);

        for (int64_t k = 0; k < own->length; k++) {
            const double v = (double)x[k * own->inner] - (double)largest - sum;

            y[k * own->inner] = (float)(is_log ? v : exp(v));
        }
    }
}

/* Softmax: dx = y (dy - sum y dy); LogSoftmax: dx = dy - exp(y) sum dy. */
static inline void backward(const struct sg_call *call, int is_log) {
    const struct sg_rows *own = call->node->own;

    for (int64_t line = 0; line < call->batch * own->outer * own->inner; line++) {
        const int64_t at = line / own->inner * own->length * own->inner + line % own->inner;
        const float *y = call->y + at;
        const float *dy = call->dy + at;
        double sum = 0.0;

        for (int64_t k = 0; k < own->length; k++) {
            const double d = (double)dy[k * own->inner];

            sum += is_log ? d : d * (double)y[k * own->inner];
        }
        for (int64_t k = 0; k < own->length; k++) {
            const double v = (double)y[k * own->inner];
            const double d = (double)dy[k * own->inner];

            sg_put(call->dx[0] + at, k * own->inner,
                   (float)(is_log ? d - exp(v) * sum : v * (d - sum)), call->accumulate[0]);
        }
    }
}

static void forward_softmax(const struct sg_call *call) {
    const struct sg_rows *own = call->node->own;

    if (own->inner == 1) {
        sg_softmax_rows(call->batch * own->outer, own->length, call->x[0], call->y);
    } else {
        forward(call, 0);
    }
}

static void backward_softmax(const struct sg_call *call) {
    const struct sg_rows *own = call->node->own;

    if (own->inner == 1) {
        sg_softmax_rows_back(call->batch * own->outer, own->length, call->y, call->dy, call->dx[0],
                             call->accumulate[0]);
    } else {
        backward(call, 0);
    }
}

static void forward_log_softmax(const struct sg_call *call) {
    forward(call, 1);
}

static void backward_log_softmax(const struct sg_call *call) {
    backward(call, 1);
}

const struct sg_op sg_op_softmax = {
    .name = "Softmax",
    .flags =
        SG_OP_TAKES_WHOLE | SG_OP_INPLACE | SG_OP_GRAD_INPLACE | SG_OP_KEEPS_OUTPUT | SG_OP_SOFTMAX,
    .infer = infer,
    .forward = forward_softmax,
    .backward = backward_softmax,
};

const struct sg_op sg_op_log_softmax = {
    .name = "LogSoftmax",
    .flags =
        SG_OP_TAKES_WHOLE | SG_OP_INPLACE | SG_OP_GRAD_INPLACE | SG_OP_KEEPS_OUTPUT | SG_OP_SOFTMAX,
    .infer = infer,
    .forward = forward_log_softmax,
    .backward = backward_log_softmax,
};
