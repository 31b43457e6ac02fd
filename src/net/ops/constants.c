/* src/net/ops/constants.c - ONNX Range and Size: arithmetic on shapes. */
#include "net/ops/ops_impl.h"

#include <math.h>

static sg_status check_scalars(const struct sg_node *node) {
    sg_status status = SG_OK;

    SG_TRY(sg_check_inputs(node, 3, 3));
    for (int i = 0; i < 3; i++) {
        const struct sg_constant *c = &node->in[i]->constant;

        SG_NODE_CHECK(c->n == 1 && (c->ints != NULL) == (node->in[0]->constant.ints != NULL), node,
                      "its start, end and step must be single numbers of one kind");
    }
done:
    return status;
}

static sg_status range(struct sg_node *node) {
    sg_status status = SG_OK;
    double v[3];
    int64_t n;

    SG_TRY(check_scalars(node));
    for (int i = 0; i < 3; i++) {
        const struct sg_constant *c = &node->in[i]->constant;

        v[i] = c->ints != NULL ? (double)c->ints[0] : (double)c->floats[0];
    }
    SG_NODE_CHECK(v[2] != 0.0 && fabs((v[1] - v[0]) / v[2]) < 0x1p26, node,
                  "its range from %g to %g in steps of %g is too long", v[0], v[1], v[2]);
    n = (int64_t)fmax(ceil((v[1] - v[0]) / v[2]), 0.0);
    if (node->in[0]->constant.ints != NULL) {
        int64_t *ints;

        SG_TRY(sg_set_ints(node, 1, &n, &ints));
        for (int64_t i = 0; i < n; i++) {
            ints[i] = (int64_t)(v[0] + (double)i * v[2]);
        }
    } else {
        float *floats;

        SG_TRY(sg_set_floats(node, 1, &n, &floats));
        for (int64_t i = 0; i < n; i++) {
            floats[i] = (float)(v[0] + (double)i * v[2]);
        }
    }
done:
    return status;
}

static sg_status size(struct sg_node *node) {
    sg_status status = SG_OK;
    int64_t *ints;

    SG_TRY(sg_check_inputs(node, 1, 1));
    SG_TRY(sg_set_ints(node, 0, NULL, &ints));
    node->out->of_shape = node->in[0]->kind == SG_VALUE_DYNAMIC;
    ints[0] = node->out->of_shape ? node->in[0]->size : node->in[0]->constant.n;
done:
    return status;
}

const struct sg_op sg_op_range = {.name = "Range", .opset_min = 11, .fold = range};
const struct sg_op sg_op_size = {
    .name = "Size", .flags = SG_OP_TAKES_HWC | SG_OP_TAKES_WHOLE, .fold = size, .infer = size};
