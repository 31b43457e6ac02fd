/* src/net/infer.c - one node of the file: is it known, is it a constant, what shape does it give?
 */
#include "net/net_impl.h"
#include "sgdist/text.h"

#include <stdio.h>
#include <string.h>

sg_status sg_add_node(struct sg_model *m, struct sg_node *node) {
    sg_status status = SG_OK;

    if (m->n_nodes == m->capacity) {
        const int64_t capacity = m->capacity > 0 ? 2 * m->capacity : 64;
        struct sg_node **grown =
            sg_region_take(&m->keep, (size_t)capacity, sizeof(struct sg_node *));

        SG_CHECK(grown != NULL, SG_E_NOMEM, "%s: no memory for its nodes", m->file);
        if (m->n_nodes > 0) {
            memcpy(grown, m->nodes, (size_t)m->n_nodes * sizeof(struct sg_node *));
        }
        m->nodes = grown;
        m->capacity = capacity;
    }
    m->nodes[m->n_nodes++] = node;
done:
    return status;
}

static sg_status label(struct sg_node *node, const char *op_type) {
    sg_status status = SG_OK;
    char text[256];

    if (node->source != NULL && node->source->name[0] != '\0') {
        (void)snprintf(text, sizeof text, "node '%s' (%s)", node->source->name, op_type);
    } else {
        (void)snprintf(text, sizeof text, "the node that makes '%s' (%s)", node->out->name,
                       op_type);
    }
    node->label = sg_region_text(&node->model->keep, text, strlen(text));
    SG_CHECK(node->label != NULL, SG_E_NOMEM, "%s: no memory for its nodes", node->model->file);
done:
    return status;
}

static sg_status new_node(struct sg_model *m, const struct onnx_node *source,
                          const struct sg_op *op, struct sg_value *result, struct sg_node **out) {
    sg_status status = SG_OK;
    struct sg_node *node = sg_region_take(&m->keep, 1, sizeof *node);

    SG_CHECK(node != NULL, SG_E_NOMEM, "%s: no memory for its nodes", m->file);
    *node = (struct sg_node){.op = op, .source = source, .model = m, .out = result};
    node->flags = op != NULL ? op->flags : 0;
    SG_TRY(label(node, source != NULL ? source->op_type : op->name));
    *out = node;
done:
    return status;
}

const char *sg_why_not(const struct onnx_graph *g, const struct onnx_node *node, char *buf,
                       size_t cap) {
    const struct sg_op *op = sg_op_find(node->op_type);

    if (node->domain[0] != '\0' && strcmp(node->domain, "ai.onnx") != 0) {
        (void)snprintf(buf, cap,
                       "it comes from the domain '%s'; only ONNX's own operators are supported",
                       node->domain);
        return buf;
    }
    for (int64_t i = 0; i < node->n_attributes; i++) {
        if (node->attributes[i].type == ONNX_ATTR_GRAPH) {
            return "it holds a graph of its own (a branch or a loop), which is not supported; "
                   "export the model without control flow";
        }
    }
    if (op == NULL) {
        return "this operator is not supported (sgdist list ops shows those that are)";
    }
    if (g->opset < op->opset_min) {
        (void)snprintf(buf, cap, "it needs operator set %d or later, the model says %lld",
                       op->opset_min, (long long)g->opset);
        return buf;
    }
    if (op->opset_max != 0 && g->opset > op->opset_max) {
        (void)snprintf(buf, cap, "operator sets after %d do not have it, the model says %lld",
                       op->opset_max, (long long)g->opset);
        return buf;
    }
    return NULL;
}

static sg_status check_known(const struct sg_node *node) {
    sg_status status = SG_OK;
    char buf[256];
    const char *why = sg_why_not(&node->model->graph, node->source, buf, sizeof buf);

    SG_NODE_CHECK(why == NULL, node, "%s", why);
done:
    return status;
}

/* Constants that a running node reads count as parameters, once each. */
static void count_parameters(struct sg_node *node) {
    for (int i = 0; i < node->n_in; i++) {
        struct sg_value *v = node->in[i];

        if (v != NULL && v->kind == SG_VALUE_CONSTANT && v->constant.floats != NULL &&
            !v->counted) {
            v->counted = 1;
            node->n_parameters += v->constant.n;
        }
    }
}

static sg_status infer(struct sg_node *node) {
    sg_status status = SG_OK;
    int n_dynamic = 0;

    for (int i = 0; i < node->n_in; i++) {
        const struct sg_value *v = node->in[i];

        n_dynamic += v != NULL && v->kind == SG_VALUE_DYNAMIC;
        node->out->of_shape = node->out->of_shape || (v != NULL && v->of_shape);
        if (v != NULL && v->whole && !(node->flags & SG_OP_TAKES_WHOLE)) {
            SG_TRY(sg_make_ordinary(node, i));
        }
        if (v != NULL && v->hwc_channels > 0 && (i > 0 || !(node->flags & SG_OP_TAKES_HWC))) {
            SG_TRY(sg_make_plain(node, i));
        }
    }
    SG_NODE_CHECK(node->n_in == 0 || node->in[0] != NULL, node, "its first input is missing");
    SG_NODE_CHECK(node->n_in > 0 || node->op->infer == NULL, node, "it has no input");
    if (n_dynamic > 0) {
        SG_NODE_CHECK(node->op->infer != NULL, node,
                      "it is supported on constants only, but '%s' depends on the network's input",
                      node->in[0] != NULL ? node->in[0]->name : node->out->name);
        SG_TRY(node->op->infer(node));
    } else if (node->op->fold != NULL) {
        SG_TRY(node->op->fold(node));
    } else {
        SG_TRY(sg_fold_by_running(node));
    }
    SG_ASSERT(node->out->kind != SG_VALUE_UNKNOWN);
    node->out->of_shape = node->out->of_shape && node->out->kind == SG_VALUE_CONSTANT;
    SG_TRY(sg_check_batch_first(node));
    if (node->out->producer == node) {
        SG_ASSERT(node->op->forward != NULL && node->op->backward != NULL);
        count_parameters(node);
        SG_TRY(sg_add_node(node->model, node));
    }
done:
    return status;
}

sg_status sg_infer_again(struct sg_node *node) {
    return infer(node);
}

sg_status sg_infer_node(struct sg_model *m, const struct onnx_node *source, struct sg_value *out,
                        int n_in, struct sg_value **in) {
    sg_status status = SG_OK;
    struct sg_node *node;

    SG_TRY(new_node(m, source, sg_op_find(source->op_type), out, &node));
    node->n_in = n_in;
    node->in = in;
    SG_TRY(check_known(node));
    SG_TRY(infer(node));
done:
    return status;
}

sg_status sg_insert_node(struct sg_node *after, const struct sg_op *op, struct sg_value *in,
                         struct sg_node **out) {
    sg_status status = SG_OK;
    struct sg_value *result;
    struct sg_node *node;

    SG_TRY(sg_new_value(after->model, in->name, &result));
    SG_TRY(new_node(after->model, NULL, op, result, &node));
    node->in = sg_region_take(&after->model->keep, 1, sizeof(struct sg_value *));
    SG_NODE_NOMEM(node->in, after);
    node->in[0] = in;
    node->n_in = 1;
    SG_TRY(sg_add_node(after->model, node));
    *out = node;
done:
    return status;
}

sg_status sg_insert_by_op(struct sg_node *after, const struct sg_op *op, struct sg_value *a,
                          struct sg_value *b, struct sg_value **out) {
    sg_status status = SG_OK;
    struct sg_value *result;
    struct sg_node *node;

    SG_TRY(sg_new_value(after->model, after->out->name, &result));
    SG_TRY(new_node(after->model, NULL, op, result, &node));
    node->n_in = b != NULL ? 2 : 1;
    node->in = sg_region_take(&after->model->keep, 2, sizeof(struct sg_value *));
    SG_NODE_NOMEM(node->in, after);
    node->in[0] = a;
    node->in[1] = b;
    SG_TRY(infer(node));
    *out = result;
done:
    return status;
}
