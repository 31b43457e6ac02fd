/* src/net/graph.c - names become values; from the explained tensor back, needed nodes are found. */
#include "net/net_impl.h"
#include "sgdist/text.h"

#include <string.h>

/* Names to values, by open addressing in a table of a power of two. */
struct names {
    uint64_t mask;
    struct sg_value **slots;
};

static struct sg_value **slot_of(const struct names *t, const char *name) {
    uint64_t i = sg_hash64(name, strlen(name)) & t->mask;

    while (t->slots[i] != NULL && strcmp(t->slots[i]->name, name) != 0) {
        i = (i + 1) & t->mask;
    }
    return &t->slots[i];
}

static sg_status make_names(struct sg_model *m, struct names *t) {
    sg_status status = SG_OK;
    const struct onnx_graph *g = &m->graph;
    int64_t n = g->n_tensors + g->n_inputs;
    uint64_t size = 16;

    for (int64_t i = 0; i < g->n_nodes; i++) {
        n += g->nodes[i].n_out;
    }
    while (size < 2 * (uint64_t)n) {
        size *= 2;
    }
    t->mask = size - 1;
    t->slots = sg_region_take(&m->scratch, size, sizeof *t->slots);
    SG_CHECK(t->slots != NULL, SG_E_NOMEM, "%s: no memory for its names", m->file);
done:
    return status;
}

/* A new value under a name that must be free. */
static sg_status define(struct sg_model *m, struct names *t, const char *name,
                        struct sg_value **out) {
    sg_status status = SG_OK;
    struct sg_value **slot = slot_of(t, name);

    SG_CHECK(*slot == NULL, SG_E_MODEL, "%s: two tensors have the same name '%s'", m->file, name);
    SG_TRY(sg_new_value(m, name, slot));
    *out = *slot;
done:
    return status;
}

static sg_status define_all(struct sg_model *m, struct names *t) {
    sg_status status = SG_OK;
    const struct onnx_graph *g = &m->graph;
    struct sg_value *v = NULL;

    for (int64_t i = 0; i < g->n_tensors; i++) {
        SG_TRY(define(m, t, g->tensors[i].name, &v));
        v->kind = SG_VALUE_CONSTANT;
        v->tensor = &g->tensors[i];
    }
    for (int64_t i = 0; i < g->n_inputs; i++) { /* older files list initialisers here as well */
        if (*slot_of(t, g->inputs[i].name) == NULL) {
            SG_TRY(define(m, t, g->inputs[i].name, &v));
        } else {
            SG_CHECK((*slot_of(t, g->inputs[i].name))->kind == SG_VALUE_CONSTANT, SG_E_MODEL,
                     "%s: two inputs have the same name '%s'", m->file, g->inputs[i].name);
        }
    }
    for (int64_t i = 0; i < g->n_nodes; i++) {
        for (int64_t k = 0; k < g->nodes[i].n_out; k++) {
            if (g->nodes[i].out[k][0] != '\0') {
                SG_TRY(define(m, t, g->nodes[i].out[k], &v));
                v->source = &g->nodes[i];
            }
        }
    }
done:
    return status;
}

static sg_status check_missing(struct sg_model *m, const struct names *t) {
    sg_status status = SG_OK;
    const struct onnx_graph *g = &m->graph;

    for (int64_t i = 0; i < g->n_nodes; i++) {
        for (int64_t k = 0; k < g->nodes[i].n_in; k++) {
            const char *name = g->nodes[i].in[k];

            SG_CHECK(name[0] == '\0' || *slot_of(t, name) != NULL, SG_E_MODEL,
                     "%s: node '%s' (%s) needs a tensor '%s' that nothing makes", m->file,
                     g->nodes[i].name, g->nodes[i].op_type, name);
        }
    }
done:
    return status;
}

/* The first output; before a softmax at the end, where nothing but reshaping follows it. */
static sg_status find_auto(struct sg_model *m, const struct names *t, struct sg_value **out) {
    sg_status status = SG_OK;
    struct sg_value *v = NULL;

    SG_CHECK(m->graph.n_outputs > 0, SG_E_MODEL, "%s: the graph has no output", m->file);
    *out = *slot_of(t, m->graph.outputs[0].name);
    SG_CHECK(*out != NULL, SG_E_MODEL, "%s: nothing makes the output '%s'", m->file,
             m->graph.outputs[0].name);
    v = *out;
    for (int64_t steps = 0; v != NULL && v->source != NULL && steps < m->graph.n_nodes; steps++) {
        const struct sg_op *op = sg_op_find(v->source->op_type);

        if (op == NULL || v->source->n_in < 1 ||
            (op->flags & (SG_OP_TRANSPARENT | SG_OP_SOFTMAX)) == 0) {
            break;
        }
        v = *slot_of(t, v->source->in[0]);
        if ((op->flags & SG_OP_SOFTMAX) != 0 && v != NULL) {
            *out = v;
            m->remark = "explained before the final softmax";
            break;
        }
    }
done:
    return status;
}

static const char *nearest_tensor(const struct sg_model *m, const struct names *t,
                                  const char *name) {
    const char *best = NULL;
    const char *pair[2];

    for (uint64_t i = 0; i <= t->mask; i++) {
        if (t->slots[i] != NULL && t->slots[i]->source != NULL) {
            pair[0] = t->slots[i]->name;
            pair[1] = best;
            best = best == NULL ? sg_text_nearest(name, pair, 1) : sg_text_nearest(name, pair, 2);
        }
    }
    return best != NULL ? best : m->graph.n_outputs > 0 ? m->graph.outputs[0].name : "?";
}

static sg_status find_explained(struct sg_model *m, const struct names *t, const char *tensor) {
    sg_status status = SG_OK;

    if (tensor == NULL || strcmp(tensor, "auto") == 0) {
        SG_TRY(find_auto(m, t, &m->explained));
    } else {
        m->explained = *slot_of(t, tensor);
        SG_CHECK(m->explained != NULL, SG_E_MODEL,
                 "%s: it has no tensor '%s'; the nearest name is '%s' (sgdist info lists them)",
                 m->file, tensor, nearest_tensor(m, t, tensor));
    }
done:
    return status;
}

/* Symbolic batch, or one frozen in the file; every other axis has to be known. */
static sg_status take_input(struct sg_model *m, struct sg_value *v, const struct onnx_value *in) {
    sg_status status = SG_OK;
    char text[160];

    SG_CHECK(m->input == NULL, SG_E_MODEL,
             "%s: it has two inputs, '%s' and '%s'; networks with one input are supported", m->file,
             m->input->name, v->name);
    SG_CHECK(onnx_type_class(in->type) == 1, SG_E_MODEL,
             "%s: its input '%s' has the data type %lld; floating-point numbers are supported",
             m->file, v->name, (long long)in->type);
    SG_CHECK(in->has_shape && in->n_axes >= 2 && in->n_axes <= SG_MAX_AXES + 1, SG_E_MODEL,
             "%s: its input '%s' has %d axes; 2 to %d are supported, the batch first", m->file,
             v->name, in->n_axes, SG_MAX_AXES + 1);
    v->shape.n_axes = in->n_axes - 1;
    v->size = 1;
    for (int i = 1; i < in->n_axes; i++) {
        SG_CHECK(in->axes[i] >= 1 && !__builtin_mul_overflow(v->size, in->axes[i], &v->size) &&
                     v->size <= INT32_MAX,
                 SG_E_MODEL,
                 "%s: its input '%s' has the shape %s (-1: not fixed); every axis but the first "
                 "must have a fixed length: export the model with fixed sizes",
                 m->file, v->name, sg_axes_text(in->n_axes, in->axes, text, sizeof text));
        v->shape.axes[i - 1] = in->axes[i];
    }
    SG_CHECK(in->axes[0] >= 1 || in->axes[0] == -1, SG_E_MODEL,
             "%s: its input '%s' has a batch axis of length %lld", m->file, v->name,
             (long long)in->axes[0]);
    m->frozen_batch = in->axes[0];
    v->kind = SG_VALUE_DYNAMIC;
    m->input = v;
done:
    return status;
}

static sg_status reach_leaf(struct sg_model *m, struct sg_value *v) {
    sg_status status = SG_OK;

    if (v->kind == SG_VALUE_CONSTANT) {
        SG_TRY(sg_load_constant(m, v));
    } else if (v->kind == SG_VALUE_UNKNOWN) {
        for (int64_t i = 0; i < m->graph.n_inputs; i++) {
            if (strcmp(m->graph.inputs[i].name, v->name) == 0) {
                SG_TRY(take_input(m, v, &m->graph.inputs[i]));
                break;
            }
        }
    }
done:
    return status;
}

/* One node on the path of the search: the value it makes, and the input to look at next. */
struct visit {
    struct sg_value *value;
    int64_t next;
};

enum { UNSEEN, ON_PATH, DONE };

static sg_status infer_visited(struct sg_model *m, const struct names *t, struct sg_value *v) {
    sg_status status = SG_OK;
    const struct onnx_node *source = v->source;
    struct sg_value **in;
    const struct sg_op *op = sg_op_find(source->op_type);

    SG_CHECK(strcmp(source->out[0], v->name) == 0 ||
                 (op != NULL && (op->flags & SG_OP_OUTPUTS) != 0),
             SG_E_MODEL,
             "%s: node '%s' (%s): its output '%s' is used, but only the first output is supported",
             m->file, source->name, source->op_type, v->name);
    in = sg_region_take(&m->keep, (size_t)source->n_in, sizeof(struct sg_value *));
    SG_CHECK(in != NULL, SG_E_NOMEM, "%s: no memory for its nodes", m->file);
    for (int64_t i = 0; i < source->n_in; i++) {
        in[i] = source->in[i][0] != '\0' ? *slot_of(t, source->in[i]) : NULL;
    }
    SG_TRY(sg_infer_node(m, source, v, (int)source->n_in, in));
done:
    return status;
}

/* Depth first without recursion: a value is inferred after all that it needs, so the nodes come out
 * in an order of evaluation. */
static sg_status walk(struct sg_model *m, const struct names *t) {
    sg_status status = SG_OK;
    struct visit *path =
        sg_region_take(&m->scratch, (size_t)m->graph.n_nodes + 1, sizeof(struct visit));
    int64_t depth = 0;

    SG_CHECK(path != NULL, SG_E_NOMEM, "%s: no memory for its nodes", m->file);
    path[depth++] = (struct visit){.value = m->explained};
    m->explained->visited = ON_PATH;
    while (depth > 0) {
        struct visit *at = &path[depth - 1];
        struct sg_value *v = at->value;

        if (v->source != NULL && at->next < v->source->n_in) {
            const char *name = v->source->in[at->next++];
            struct sg_value *in = name[0] != '\0' ? *slot_of(t, name) : NULL;

            SG_CHECK(in == NULL || in->visited != ON_PATH, SG_E_MODEL,
                     "%s: node '%s' (%s) needs its own result: the graph has a cycle through '%s'",
                     m->file, v->source->name, v->source->op_type, name);
            if (in != NULL && in->visited == UNSEEN && in->source == NULL) {
                SG_TRY(reach_leaf(m, in));
                in->visited = DONE;
            } else if (in != NULL && in->visited == UNSEEN) {
                in->visited = ON_PATH;
                path[depth++] = (struct visit){.value = in};
            }
            continue;
        }
        if (v->source != NULL) {
            SG_TRY(infer_visited(m, t, v));
        } else {
            SG_TRY(reach_leaf(m, v));
        }
        v->visited = DONE;
        depth--;
    }
done:
    return status;
}

sg_status sg_graph_build(struct sg_model *m, const char *tensor) {
    sg_status status = SG_OK;
    struct names t = {0};

    SG_CHECK(m->graph.opset >= SG_OPSET_FIRST && m->graph.opset <= SG_OPSET_LAST, SG_E_MODEL,
             "%s: it uses operator set %lld; %d to %d are supported (torch.onnx.export(..., "
             "opset_version=13))",
             m->file, (long long)m->graph.opset, SG_OPSET_FIRST, SG_OPSET_LAST);
    SG_TRY(make_names(m, &t));
    SG_TRY(define_all(m, &t));
    SG_TRY(check_missing(m, &t));
    SG_TRY(find_explained(m, &t, tensor));
    SG_TRY(walk(m, &t));
    SG_CHECK(m->input != NULL && m->explained->kind == SG_VALUE_DYNAMIC, SG_E_MODEL,
             "%s: the tensor '%s' does not depend on the network's input", m->file,
             m->explained->name);
done:
    return status;
}
