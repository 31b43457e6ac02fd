/* src/net/ops/cum_sum.c - ONNX CumSum: sums along an axis, of all elements before and with each
 * one, or from the end; its gradient is the same from the other end. Sums are in double. */
#include "net/ops/ops_impl.h"

struct cum_sum {
    struct sg_rows rows;
    int exclusive;
    int reverse;
};

static sg_status infer(struct sg_node *node) {
    sg_status status = SG_OK;
    struct cum_sum *own;
    struct sg_layout in;
    const int64_t *list;
    int64_t n, axis, exclusive, reverse;

    SG_TRY(sg_check_inputs(node, 2, 2));
    SG_TRY(sg_ints_from(node, "axis", 1, &n, &list));
    SG_NODE_CHECK(n == 1, node, "its axis is not a single number");
    SG_TRY(sg_make_whole(node, 0));
    sg_input_layout(node, 0, &in);
    SG_TRY(sg_axis(node, list[0], in.n_axes, &axis));
    SG_TRY(sg_attribute_int(node, "exclusive", 0, &exclusive));
    SG_TRY(sg_attribute_int(node, "reverse", 0, &reverse));
    SG_TRY(sg_own(node, sizeof *own, &own));
    own->exclusive = exclusive != 0;
    own->reverse = reverse != 0;
    SG_TRY(sg_rows_of(node, node->in[0], (int)axis, (int)axis, &own->rows));
    node->n_in = 1;
    SG_TRY(sg_set_onnx(node, in.n_axes, in.axes, 0));
done:
    return status;
}

static void sum_lines(const struct sg_call *call, int reverse, const float *from, float *to,
                      int accumulate) {
    const struct cum_sum *own = call->node->own;
    const struct sg_rows *r = &own->rows;

    for (int64_t line = 0; line < call->batch * r->outer * r->inner; line++) {
        const int64_t start = line / r->inner * r->length * r->inner + line % r->inner;
        double sum = 0.0;

        for (int64_t k = 0; k < r->length; k++) {
            const int64_t at = start + (reverse ? r->length - 1 - k : k) * r->inner;
            const double with = sum + (double)from[at];

            sg_put(to, at, (float)(own->exclusive ? sum : with), accumulate);
            sum = with;
        }
    }
}

static void forward(const struct sg_call *call) {
    const struct cum_sum *own = call->node->own;

    sum_lines(call, own->reverse, call->x[0], call->y, 0);
}

static void backward(const struct sg_call *call) {
    const struct cum_sum *own = call->node->own;

    sum_lines(call, !own->reverse, call->dy, call->dx[0], call->accumulate[0]);
}

const struct sg_op sg_op_cum_sum = {
    .name = "CumSum",
    .opset_min = 11,
    .flags = SG_OP_TAKES_WHOLE,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
