/* src/net/graph.c - names become values; from the explained tensors back, needed nodes are found.
 */
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

/* Marks the initialisers that nodes have for settings, directly or by another name. */
static void mark_settings(const struct sg_model *m, const struct names *t) {
    const struct onnx_graph *g = &m->graph;

    for (int64_t i = 0; i < g->n_nodes; i++) {
        for (int64_t k = 0; k < g->nodes[i].n_in; k++) {
            struct sg_value *v = NULL;

            if (g->nodes[i].in[k][0] != '\0' && sg_is_setting(g->nodes[i].op_type, k)) {
                v = *slot_of(t, g->nodes[i].in[k]);
            }
            for (int64_t steps = 0; v != NULL && v->source != NULL && steps < g->n_nodes &&
                                    strcmp(v->source->op_type, "Identity") == 0;
                 steps++) {
                v = v->source->n_in > 0 ? *slot_of(t, v->source->in[0]) : NULL;
            }
            if (v != NULL) {
                v->is_setting = 1;
            }
        }
    }
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
            m->remark = "what goes into the final softmax";
            break;
        }
    }
done:
    return status;
}

/* Of a block's name the first of its layers, in the order of the file. */
static const char *tensor_below(const struct sg_model *m, const struct names *t, const char *name) {
    for (int64_t i = 0; i < m->graph.n_nodes; i++) {
        const struct onnx_node *node = &m->graph.nodes[i];

        if (node->n_out > 0 && strncmp(node->out[0], name, strlen(name)) == 0 &&
            *slot_of(t, node->out[0]) != NULL) {
            return node->out[0];
        }
    }
    return NULL;
}

/* NULL: no name is like it. */
static const char *nearest_tensor(const struct sg_model *m, const struct names *t,
                                  const char *name) {
    const char *below = tensor_below(m, t, name);
    const char *best = NULL;
    const char *pair[2];

    for (uint64_t i = 0; i <= t->mask; i++) {
        if (t->slots[i] != NULL && t->slots[i]->source != NULL) {
            pair[0] = t->slots[i]->name;
            pair[1] = best;
            best = best == NULL ? sg_text_nearest(name, pair, 1) : sg_text_nearest(name, pair, 2);
        }
    }
    return below != NULL ? below : best;
}

/* The tensor that was asked for by this name. */
static sg_status find_tensor(struct sg_model *m, const struct names *t, const char *name,
                             struct sg_value **out) {
    sg_status status = SG_OK;
    const char *best;

    *out = *slot_of(t, name);
    best = *out == NULL ? nearest_tensor(m, t, name) : NULL;
    SG_CHECK(*out != NULL, SG_E_MODEL,
             "%s: it has no tensor '%s'; %s%s%s`sgdist info --layers` lists them", m->file, name,
             best != NULL ? "the nearest name is '" : "", best != NULL ? best : "",
             best != NULL ? "'; " : "");
done:
    return status;
}

/* A tensor that is named twice, once perhaps by "auto", is one. */
static void add_once(struct sg_value **list, int *n, struct sg_value *v) {
    for (int i = 0; i < *n; i++) {
        if (list[i] == v) {
            return;
        }
    }
    list[(*n)++] = v;
}

static sg_status find_explained(struct sg_model *m, const struct names *t) {
    static const char *const only_auto = "auto";
    sg_status status = SG_OK;
    const int n = m->what->n_tensors > 0 ? m->what->n_tensors : 1;
    const char *const *names = m->what->n_tensors > 0 ? m->what->tensors : &only_auto;

    m->outputs = sg_region_take(&m->keep, (size_t)n, sizeof(struct sg_value *));
    m->layers = sg_region_take(&m->keep, (size_t)m->what->n_layers + 1, sizeof(struct sg_value *));
    SG_CHECK(m->outputs != NULL && m->layers != NULL, SG_E_NOMEM, "%s: no memory for its names",
             m->file);
    for (int i = 0; i < n; i++) {
        struct sg_value *v = NULL;

        if (strcmp(names[i], "auto") == 0) {
            SG_TRY(find_auto(m, t, &v));
        } else {
            SG_TRY(find_tensor(m, t, names[i], &v));
        }
        add_once(m->outputs, &m->n_outputs, v);
    }
    for (int i = 0; i < m->what->n_layers; i++) {
        if (strcmp(m->what->layers[i], SG_LAYER_AUTO) != 0) { /* whose shape is needed, later */
            SG_TRY(find_tensor(m, t, m->what->layers[i], &m->layers[i]));
        }
    }
    m->n_layers = m->what->n_layers;
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
                SG_TRY(sg_take_input(m, v, &m->graph.inputs[i]));
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
static sg_status walk(struct sg_model *m, const struct names *t, struct visit *path,
                      struct sg_value *from) {
    sg_status status = SG_OK;
    int64_t depth = 0;

    path[depth++] = (struct visit){.value = from};
    from->visited = ON_PATH;
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

int sg_graph_is_readable(const struct onnx_graph *g) {
    return g->opset >= SG_OPSET_FIRST && g->opset <= SG_OPSET_LAST;
}

/* The first input that depends on the network's, or NULL. */
static struct sg_value *dynamic_input(const struct names *t, const struct onnx_node *node) {
    for (int64_t i = 0; i < node->n_in; i++) {
        struct sg_value *in = node->in[i][0] != '\0' ? *slot_of(t, node->in[i]) : NULL;

        if (in != NULL && in->kind == SG_VALUE_DYNAMIC) {
            return in;
        }
    }
    return NULL;
}

/* SG_LAYER_AUTO, once shapes are known. */
static sg_status find_last_places(struct sg_model *m, const struct names *t,
                                  struct sg_value **out) {
    sg_status status = SG_OK;
    const int n_axes = m->input->shape.n_axes;
    struct sg_value *v = m->outputs[0];

    for (v = dynamic_input(t, v->source); v != NULL && v->source != NULL;
         v = dynamic_input(t, v->source)) {
        if (!v->whole && v->shape.n_axes == n_axes && sg_shape_plane(&v->shape) > 1 &&
            strstr(v->source->op_type, "Pool") == NULL) {
            break;
        }
    }
    SG_CHECK(v != NULL && v->source != NULL, SG_E_MODEL,
             "%s: no layer with places is left behind the input, so that layer: auto finds none; "
             "name one (sgdist info --layers lists them)",
             m->file);
    *out = v;
done:
    return status;
}

static sg_status walk_all(struct sg_model *m, const struct names *t) {
    sg_status status = SG_OK;
    struct visit *path =
        sg_region_take(&m->scratch, (size_t)m->graph.n_nodes + 1, sizeof(struct visit));

    SG_CHECK(path != NULL, SG_E_NOMEM, "%s: no memory for its nodes", m->file);
    for (int i = 0; i < m->n_outputs; i++) {
        if (m->outputs[i]->visited == UNSEEN) {
            SG_TRY(walk(m, t, path, m->outputs[i]));
        }
        SG_CHECK(m->input != NULL && m->outputs[i]->kind == SG_VALUE_DYNAMIC, SG_E_MODEL,
                 "%s: the tensor '%s' does not depend on the network's input", m->file,
                 m->outputs[i]->name);
    }
    for (int i = 0; i < m->n_layers; i++) {
        if (m->layers[i] == NULL) {
            SG_TRY(find_last_places(m, t, &m->layers[i]));
        }
        SG_CHECK(m->layers[i]->visited == DONE, SG_E_MODEL,
                 "%s: the explained tensor '%s' does not depend on the layer '%s'", m->file,
                 m->outputs[0]->name, m->layers[i]->name);
        SG_CHECK(m->layers[i]->kind == SG_VALUE_DYNAMIC, SG_E_MODEL,
                 "%s: the layer '%s' does not depend on the network's input", m->file,
                 m->layers[i]->name);
    }
done:
    return status;
}

sg_status sg_graph_build(struct sg_model *m) {
    sg_status status = SG_OK;
    struct names t = {0};

    SG_CHECK(sg_graph_is_readable(&m->graph), SG_E_MODEL,
             "%s: it uses operator set %lld; %d to %d are supported (torch.onnx.export(..., "
             "opset_version=13))",
             m->file, (long long)m->graph.opset, SG_OPSET_FIRST, SG_OPSET_LAST);
    SG_TRY(make_names(m, &t));
    SG_TRY(define_all(m, &t));
    SG_TRY(check_missing(m, &t));
    SG_TRY(sg_check_fixed(m));
    mark_settings(m, &t);
    SG_TRY(find_explained(m, &t));
    SG_TRY(walk_all(m, &t));
done:
    return status;
}
