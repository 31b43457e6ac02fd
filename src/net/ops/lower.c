/* src/net/ops/lower.c - operators that are made of others: nodes put before a node, as if the file
 * held them. */
#include "net/ops/ops_impl.h"

#include <string.h>

sg_status sg_new_ints(struct sg_node *node, int64_t n, const int64_t *ints, struct sg_value **out) {
    sg_status status = SG_OK;
    int64_t *copy = sg_region_take(&node->model->scratch, (size_t)n, sizeof *copy);

    SG_NODE_NOMEM(copy, node);
    memcpy(copy, ints, (size_t)n * sizeof *copy);
    SG_TRY(sg_new_value(node->model, node->out->name, out));
    (*out)->kind = SG_VALUE_CONSTANT;
    (*out)->constant = (struct sg_constant){.n_axes = 1, .axes = {n}, .n = n, .ints = copy};
done:
    return status;
}

sg_status sg_new_number(struct sg_node *node, float number, struct sg_value **out) {
    sg_status status = SG_OK;
    float *floats = sg_region_floats(&node->model->keep, 1);

    SG_NODE_NOMEM(floats, node);
    floats[0] = number;
    SG_TRY(sg_new_value(node->model, node->out->name, out));
    (*out)->kind = SG_VALUE_CONSTANT;
    (*out)->constant = (struct sg_constant){.n = 1, .floats = floats};
done:
    return status;
}

/* A node of the file that the file does not have. */
static sg_status new_source(struct sg_node *node, const char *op_type, int64_t n_attributes,
                            struct onnx_node **out) {
    sg_status status = SG_OK;
    struct sg_region *keep = &node->model->keep;
    struct onnx_node *source = sg_region_take(keep, 1, sizeof *source);

    SG_NODE_NOMEM(source, node);
    *source = (struct onnx_node){.name = node->source != NULL ? node->source->name : "",
                                 .op_type = op_type,
                                 .domain = "",
                                 .n_attributes = n_attributes};
    source->attributes = sg_region_take(keep, (size_t)n_attributes, sizeof *source->attributes);
    SG_NODE_NOMEM(source->attributes, node);
    *out = source;
done:
    return status;
}

static sg_status put_before(struct sg_node *node, const struct onnx_node *source,
                            struct sg_value *a, struct sg_value *b, struct sg_value **out) {
    sg_status status = SG_OK;
    struct sg_value *result = NULL;
    struct sg_value **in = sg_region_take(&node->model->keep, 2, sizeof(struct sg_value *));

    SG_NODE_NOMEM(in, node);
    in[0] = a;
    in[1] = b;
    SG_TRY(sg_new_value(node->model, node->out->name, &result));
    SG_TRY(sg_infer_node(node->model, source, result, b != NULL ? 2 : 1, in));
    *out = result;
done:
    return status;
}

sg_status sg_lower(struct sg_node *node, const char *op_type, struct sg_value *a,
                   struct sg_value *b, struct sg_value **out) {
    sg_status status = SG_OK;
    struct onnx_node *source = NULL;

    SG_TRY(new_source(node, op_type, 0, &source));
    SG_TRY(put_before(node, source, a, b, out));
done:
    return status;
}

sg_status sg_lower_ints(struct sg_node *node, const char *op_type, struct sg_value *a,
                        const char *attribute, int64_t n, const int64_t *ints,
                        struct sg_value **out) {
    sg_status status = SG_OK;
    struct onnx_node *source = NULL;
    int64_t *copy = sg_region_take(&node->model->keep, (size_t)n, sizeof *copy);

    SG_NODE_NOMEM(copy, node);
    memcpy(copy, ints, (size_t)n * sizeof *copy);
    SG_TRY(new_source(node, op_type, 1, &source));
    source->attributes[0] = (struct onnx_attribute){
        .name = attribute, .type = ONNX_ATTR_INTS, .s = "", .n_list = n, .ints = copy};
    SG_TRY(put_before(node, source, a, NULL, out));
done:
    return status;
}

sg_status sg_lower_alike(struct sg_node *node, const char *op_type, struct sg_value *a,
                         const char *attribute, int64_t i, struct sg_value **out) {
    sg_status status = SG_OK;
    const int64_t n = node->source->n_attributes;
    struct onnx_node *source = NULL;

    SG_TRY(new_source(node, op_type, n + 1, &source));
    if (n > 0) {
        memcpy(source->attributes, node->source->attributes,
               (size_t)n * sizeof *source->attributes);
    }
    source->attributes[n] =
        (struct onnx_attribute){.name = attribute, .type = ONNX_ATTR_INT, .s = "", .i = i};
    SG_TRY(put_before(node, source, a, NULL, out));
done:
    return status;
}

sg_status sg_lower_reshape(struct sg_node *node, struct sg_value *a, int n_axes,
                           const int64_t *axes, struct sg_value **out) {
    sg_status status = SG_OK;
    struct sg_value *shape = NULL;

    SG_TRY(sg_new_ints(node, n_axes, axes, &shape));
    SG_TRY(sg_lower(node, "Reshape", a, shape, out));
done:
    return status;
}

sg_status sg_lower_pick(struct sg_node *node, struct sg_value *a, int64_t axis,
                        struct sg_value *index, struct sg_value **out) {
    sg_status status = SG_OK;
    struct onnx_node *source = NULL;

    SG_TRY(new_source(node, "Gather", 1, &source));
    source->attributes[0] =
        (struct onnx_attribute){.name = "axis", .type = ONNX_ATTR_INT, .s = "", .i = axis};
    SG_TRY(put_before(node, source, a, index, out));
done:
    return status;
}

sg_status sg_become(struct sg_node *node, struct sg_value *result) {
    sg_status status = SG_OK;

    node->in = sg_region_take(&node->model->keep, 1, sizeof(struct sg_value *));
    SG_NODE_NOMEM(node->in, node);
    node->in[0] = result;
    node->n_in = 1;
    SG_TRY(sg_set_alias(node, 0));
done:
    return status;
}
