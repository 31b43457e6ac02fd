/* src/net/ops/clip.c - ONNX Clip: y = min(max(x, low), high); bounds are attributes before opset
 * 11, then inputs. */
#include "net/ops/ops_impl.h"

#include <float.h>

struct clip {
    float low;
    float high;
};

static sg_status infer(struct sg_node *node) {
    sg_status status = SG_OK;
    struct clip *own;

    SG_TRY(sg_check_inputs(node, 1, 3));
    SG_NODE_CHECK(node->in[0]->kind == SG_VALUE_DYNAMIC, node, "only its bounds may be constants");
    SG_TRY(sg_own(node, sizeof *own, &own));
    SG_TRY(sg_float_from(node, "min", 1, -FLT_MAX, &own->low));
    SG_TRY(sg_float_from(node, "max", 2, FLT_MAX, &own->high));
    SG_TRY(sg_set_same_shape(node));
    if (own->low == 0.0f && own->high == 6.0f) {
        node->flags |= SG_OP_RELU_6;
    }
done:
    return status;
}

/* Whole numbers at load, as exporters clamp lengths. */
static sg_status fold(struct sg_node *node) {
    sg_status status = SG_OK;
    const struct sg_constant *c = &node->in[0]->constant;
    int64_t bound[2] = {INT64_MIN, INT64_MAX};
    const int64_t *list;
    int64_t *ints, n;

    if (c->ints == NULL) {
        return sg_fold_by_running(node);
    }
    for (int i = 0; i < 2; i++) {
        SG_TRY(sg_ints_from(node, i == 0 ? "min" : "max", i + 1, &n, &list));
        SG_NODE_CHECK(n <= 1 && n != 0, node, "its bounds must be single numbers");
        bound[i] = n == 1 ? list[0] : bound[i];
    }
    SG_TRY(sg_set_ints(node, c->n_axes, c->axes, &ints));
    for (int64_t i = 0; i < c->n; i++) {
        const int64_t raised = c->ints[i] < bound[0] ? bound[0] : c->ints[i];

        ints[i] = raised > bound[1] ? bound[1] : raised;
    }
done:
    return status;
}

static void memory(const struct sg_node *node, int64_t batch, struct sg_need *need) {
    need->kept_bytes = sg_mask_bytes(batch * node->out->size);
}

static void forward(const struct sg_call *call) {
    const struct clip *own = call->node->own;
    const int64_t n = call->batch * call->node->out->size;

    sg_clip(own->low, own->high, call->x[0], call->y, call->kept, n);
}

/* On the bounds the derivative is taken as 0, as for Relu. */
static void backward(const struct sg_call *call) {
    sg_relu_backward(call->kept, call->dy, call->dx[0], call->batch * call->node->out->size,
                     call->accumulate[0]);
}

const struct sg_op sg_op_clip = {
    .name = "Clip",
    .flags =
        SG_OP_TAKES_WHOLE | SG_OP_INPLACE | SG_OP_GRAD_INPLACE | SG_OP_ELEMENTWISE | SG_OP_GATE,
    .fold = fold,
    .infer = infer,
    .memory = memory,
    .forward = forward,
    .backward = backward,
};
