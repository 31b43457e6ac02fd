/* src/net/ops/arg.c - ONNX ArgMax, ArgMin and Hardmax: where the largest element of a line lies.
 * Steps, with the derivative 0. The first of equal elements counts, or the last where the node says
 * so. */
#include "net/ops/ops_impl.h"

#include <string.h>

struct arg {
    struct sg_rows rows;
    float sign; /* 1: the largest, -1: the smallest */
    int last;
    int hot; /* 1 at the place and 0 elsewhere, instead of its number */
};

static const struct sg_op op_arg;

static sg_status become(struct sg_node *node, float sign, int hot, int64_t first, int64_t last) {
    sg_status status = SG_OK;
    struct sg_layout in;
    int64_t axes[SG_CONSTANT_AXES] = {0};
    int64_t keep, select_last;
    struct arg *own;
    int n = 0;

    SG_TRY(sg_make_whole(node, 0));
    sg_input_layout(node, 0, &in);
    SG_TRY(sg_attribute_int(node, "keepdims", 1, &keep));
    SG_TRY(sg_attribute_int(node, "select_last_index", 0, &select_last));
    SG_TRY(sg_own(node, sizeof *own, &own));
    *own = (struct arg){.sign = sign, .last = select_last != 0, .hot = hot};
    SG_TRY(sg_rows_of(node, node->in[0], (int)first, (int)last, &own->rows));
    for (int i = 0; i < in.n_axes; i++) {
        if (hot || i != first || keep != 0) {
            axes[n++] = !hot && i == first ? 1 : in.axes[i];
        }
    }
    SG_TRY(sg_set_onnx(node, n, axes, 0));
    node->op = &op_arg;
    node->flags = op_arg.flags;
done:
    return status;
}

static sg_status infer_arg(struct sg_node *node, float sign) {
    sg_status status = SG_OK;
    int64_t axes[SG_CONSTANT_AXES];
    int64_t axis;

    SG_TRY(sg_check_inputs(node, 1, 1));
    SG_TRY(sg_attribute_int(node, "axis", 0, &axis));
    SG_TRY(sg_axis(node, axis, sg_input_axes(node, 0, axes), &axis));
    SG_TRY(become(node, sign, 0, axis, axis));
done:
    return status;
}

static sg_status infer_largest(struct sg_node *node) {
    return infer_arg(node, 1.0f);
}

static sg_status infer_smallest(struct sg_node *node) {
    return infer_arg(node, -1.0f);
}

/* Before operator set 13 all axes from the given one on are one line. */
static sg_status infer_hard(struct sg_node *node) {
    sg_status status = SG_OK;
    const int is_old = node->model->graph.opset < 13;
    int64_t axes[SG_CONSTANT_AXES];
    const int n_axes = sg_input_axes(node, 0, axes);
    int64_t axis;

    SG_TRY(sg_check_inputs(node, 1, 1));
    SG_TRY(sg_attribute_int(node, "axis", is_old ? 1 : -1, &axis));
    SG_TRY(sg_axis(node, axis, n_axes, &axis));
    SG_TRY(become(node, 1.0f, 1, axis, is_old ? n_axes - 1 : axis));
done:
    return status;
}

static int64_t find(const struct arg *own, const float *x) {
    int64_t best = 0;

    for (int64_t k = 1; k < own->rows.length; k++) {
        const float v = own->sign * x[k * own->rows.inner];
        const float most = own->sign * x[best * own->rows.inner];

        best = v > most || (own->last && v == most) ? k : best;
    }
    return best;
}

static void forward(const struct sg_call *call) {
    const struct arg *own = call->node->own;
    const struct sg_rows *r = &own->rows;

    if (own->hot) {
        memset(call->y, 0, (size_t)(call->batch * call->node->out->size) * sizeof(float));
    }
    for (int64_t line = 0; line < call->batch * r->outer * r->inner; line++) {
        const int64_t start = line / r->inner * r->length * r->inner + line % r->inner;
        const int64_t best = find(own, call->x[0] + start);

        if (own->hot) {
            call->y[start + best * r->inner] = 1.0f;
        } else {
            call->y[line] = (float)best;
        }
    }
}

static void backward(const struct sg_call *call) {
    if (!call->accumulate[0]) {
        memset(call->dx[0], 0, (size_t)(call->batch * call->node->in[0]->size) * sizeof(float));
    }
}

static const struct sg_op op_arg = {
    .name = "place of an extreme",
    .flags = SG_OP_TAKES_WHOLE | SG_OP_CHOOSES,
    .forward = forward,
    .backward = backward,
};

const struct sg_op sg_op_arg_max = {
    .name = "ArgMax", .flags = SG_OP_TAKES_WHOLE, .infer = infer_largest};
const struct sg_op sg_op_arg_min = {
    .name = "ArgMin", .flags = SG_OP_TAKES_WHOLE, .infer = infer_smallest};
const struct sg_op sg_op_hardmax = {
    .name = "Hardmax", .flags = SG_OP_TAKES_WHOLE, .infer = infer_hard};
