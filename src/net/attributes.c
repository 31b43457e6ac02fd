/* src/net/attributes.c - attributes of nodes: typed, with defaults, nothing wrong taken in silence.
 */
#include "net/net_impl.h"

#include <string.h>

const struct onnx_attribute *sg_attribute_find(const struct sg_node *node, const char *name) {
    for (int64_t i = 0; node->source != NULL && i < node->source->n_attributes; i++) {
        if (strcmp(node->source->attributes[i].name, name) == 0) {
            return &node->source->attributes[i];
        }
    }
    return NULL;
}

static sg_status typed(const struct sg_node *node, const char *name, enum onnx_attribute_type type,
                       const char *type_name, const struct onnx_attribute **out) {
    sg_status status = SG_OK;
    const struct onnx_attribute *a = sg_attribute_find(node, name);

    SG_NODE_CHECK(a == NULL || a->type == type, node, "the attribute '%s' must be %s", name,
                  type_name);
    *out = a;
done:
    return status;
}

sg_status sg_attribute_int(const struct sg_node *node, const char *name, int64_t otherwise,
                           int64_t *out) {
    sg_status status = SG_OK;
    const struct onnx_attribute *a = NULL;

    SG_TRY(typed(node, name, ONNX_ATTR_INT, "a whole number", &a));
    *out = a != NULL ? a->i : otherwise;
done:
    return status;
}

sg_status sg_attribute_float(const struct sg_node *node, const char *name, float otherwise,
                             float *out) {
    sg_status status = SG_OK;
    const struct onnx_attribute *a = NULL;

    SG_TRY(typed(node, name, ONNX_ATTR_FLOAT, "a number", &a));
    *out = a != NULL ? a->f : otherwise;
done:
    return status;
}

sg_status sg_attribute_text(const struct sg_node *node, const char *name, const char *otherwise,
                            const char **out) {
    sg_status status = SG_OK;
    const struct onnx_attribute *a = NULL;

    SG_TRY(typed(node, name, ONNX_ATTR_STRING, "a text", &a));
    *out = a != NULL ? a->s : otherwise;
done:
    return status;
}

sg_status sg_attribute_ints(const struct sg_node *node, const char *name, int64_t *n,
                            const int64_t **out) {
    sg_status status = SG_OK;
    const struct onnx_attribute *a = NULL;

    SG_TRY(typed(node, name, ONNX_ATTR_INTS, "a list of whole numbers", &a));
    *n = a != NULL ? a->n_list : 0;
    *out = a != NULL ? a->ints : NULL;
done:
    return status;
}

sg_status sg_axis(const struct sg_node *node, int64_t axis, int n_axes, int64_t *out) {
    sg_status status = SG_OK;

    SG_NODE_CHECK(axis >= -n_axes && axis < n_axes, node,
                  "axis %lld is outside of the %d axes of its input", (long long)axis, n_axes);
    *out = axis < 0 ? axis + n_axes : axis;
    SG_TRY(sg_check_batch_axis(node, *out));
done:
    return status;
}

sg_status sg_ints_from(const struct sg_node *node, const char *name, int i, int64_t *n,
                       const int64_t **out) {
    sg_status status = SG_OK;
    const struct onnx_attribute *a = NULL;

    *n = -1;
    *out = NULL;
    SG_TRY(typed(node, name, ONNX_ATTR_INTS, "a list of whole numbers", &a));
    if (a != NULL) {
        *n = a->n_list;
        *out = a->ints;
    } else if (sg_has_input(node, i)) {
        SG_NODE_CHECK(sg_is_constant(node, i) && node->in[i]->constant.ints != NULL, node,
                      "its input '%s' (%s) must be known without running the network",
                      node->in[i]->name, name);
        *n = node->in[i]->constant.n;
        *out = node->in[i]->constant.ints;
    }
done:
    return status;
}

sg_status sg_float_from(const struct sg_node *node, const char *name, int i, float otherwise,
                        float *out) {
    sg_status status = SG_OK;

    SG_TRY(sg_attribute_float(node, name, otherwise, out));
    if (sg_has_input(node, i)) {
        const struct sg_constant *c;

        SG_TRY(sg_float_constant(node, i, name, &c));
        SG_NODE_CHECK(c->n == 1, node, "its input '%s' (%s) must be a single number",
                      node->in[i]->name, name);
        *out = c->floats[0];
    }
done:
    return status;
}
