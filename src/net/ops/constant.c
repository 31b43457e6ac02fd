/* src/net/ops/constant.c - ONNX Constant, ConstantOfShape and Shape: where constants come from. */
#include "net/ops/ops_impl.h"

#include <string.h>

static sg_status from_list(struct sg_node *node, const struct onnx_attribute *a) {
    sg_status status = SG_OK;
    const int is_list = a->type == ONNX_ATTR_INTS || a->type == ONNX_ATTR_FLOATS;
    const int64_t n = is_list ? a->n_list : 1;

    if (a->type == ONNX_ATTR_INTS || a->type == ONNX_ATTR_INT) {
        int64_t *ints;

        SG_TRY(sg_set_ints(node, is_list, &n, &ints));
        for (int64_t i = 0; i < n; i++) {
            ints[i] = is_list ? a->ints[i] : a->i;
        }
    } else {
        float *floats;

        SG_NODE_CHECK(a->type == ONNX_ATTR_FLOATS || a->type == ONNX_ATTR_FLOAT, node,
                      "its attribute '%s' is not a number", a->name);
        SG_TRY(sg_set_floats(node, is_list, &n, &floats));
        for (int64_t i = 0; i < n; i++) {
            floats[i] = is_list ? a->floats[i] : a->f;
        }
    }
done:
    return status;
}

static sg_status constant(struct sg_node *node) {
    sg_status status = SG_OK;
    static const char *const lists[] = {"value_float", "value_floats", "value_int", "value_ints"};
    const struct onnx_attribute *a = sg_attribute_find(node, "value");

    if (a != NULL) {
        SG_NODE_CHECK(a->type == ONNX_ATTR_TENSOR, node, "its value is not a tensor");
        SG_TRY(sg_constant_of(node->model, a->tensor, &node->out->constant));
        SG_TRY(sg_take_parameter(node->model, node->out));
        node->out->kind = SG_VALUE_CONSTANT;
        return SG_OK;
    }
    for (size_t i = 0; i < sizeof lists / sizeof lists[0] && a == NULL; i++) {
        a = sg_attribute_find(node, lists[i]);
    }
    SG_NODE_CHECK(a != NULL, node, "it has no numeric value");
    SG_TRY(from_list(node, a));
done:
    return status;
}

static sg_status constant_of_shape(struct sg_node *node) {
    sg_status status = SG_OK;
    const struct onnx_attribute *a = sg_attribute_find(node, "value");
    struct sg_constant value = {0};
    const struct sg_constant *shape;
    int64_t *ints;
    float *floats;

    SG_TRY(sg_check_inputs(node, 1, 1));
    shape = &node->in[0]->constant;
    SG_NODE_CHECK(shape->ints != NULL && shape->n <= SG_CONSTANT_AXES, node,
                  "its shape is not one");
    if (a != NULL) {
        SG_NODE_CHECK(a->type == ONNX_ATTR_TENSOR, node, "its value is not a tensor");
        SG_TRY(sg_constant_of(node->model, a->tensor, &value));
        SG_NODE_CHECK(value.n == 1, node, "its value is not a single number");
    }
    if (value.ints != NULL) {
        SG_TRY(sg_set_ints(node, (int)shape->n, shape->ints, &ints));
        for (int64_t i = 0; i < node->out->constant.n; i++) {
            ints[i] = value.ints[0];
        }
    } else {
        SG_TRY(sg_set_floats(node, (int)shape->n, shape->ints, &floats));
        for (int64_t i = 0; i < node->out->constant.n; i++) {
            floats[i] = value.floats != NULL ? value.floats[0] : 0.0f;
        }
    }
done:
    return status;
}

/* The batch axis has the length 1, as everywhere. */
static sg_status shape(struct sg_node *node) {
    sg_status status = SG_OK;
    int64_t axes[SG_CONSTANT_AXES];
    int64_t start, end, n;
    int64_t *ints;
    int n_axes;

    SG_TRY(sg_check_inputs(node, 1, 1));
    n_axes = sg_input_axes(node, 0, axes);
    SG_TRY(sg_attribute_int(node, "start", 0, &start));
    SG_TRY(sg_attribute_int(node, "end", n_axes, &end));
    start = start < -n_axes ? 0 : start < 0 ? start + n_axes : start > n_axes ? n_axes : start;
    end = end < -n_axes ? 0 : end < 0 ? end + n_axes : end > n_axes ? n_axes : end;
    n = end > start ? end - start : 0;
    SG_TRY(sg_set_ints(node, 1, &n, &ints));
    memcpy(ints, axes + start, (size_t)n * sizeof *ints);
    node->out->of_shape = node->in[0]->kind == SG_VALUE_DYNAMIC;
done:
    return status;
}

const struct sg_op sg_op_constant = {.name = "Constant", .fold = constant};

const struct sg_op sg_op_constant_of_shape = {
    .name = "ConstantOfShape", .opset_min = 9, .fold = constant_of_shape};

const struct sg_op sg_op_shape = {
    .name = "Shape", .flags = SG_OP_TAKES_HWC | SG_OP_TAKES_WHOLE, .fold = shape, .infer = shape};
