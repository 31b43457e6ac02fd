/* src/net/model.c - the life of a model, what it tells of itself, and the table of operators. */
#include "net/gates.h"
#include "net/image.h"
#include "net/kernels.h"
#include "net/net_impl.h"
#include "sgdist/memory.h"

#include <string.h>

#define SG_OP(name) extern const struct sg_op sg_op_##name;
#include "net/ops.def"
#undef SG_OP

#define SG_OP(name) &sg_op_##name,
const struct sg_op *const sg_ops[] = {
#include "net/ops.def"
};
#undef SG_OP
const int sg_n_ops = sizeof sg_ops / sizeof sg_ops[0];

const struct sg_op *sg_op_find(const char *name) {
    for (int i = 0; i < sg_n_ops; i++) {
        if (strcmp(sg_ops[i]->name, name) == 0) {
            return sg_ops[i];
        }
    }
    return NULL;
}

const char *sg_op_name(int i, int *opset_min, int *opset_max) {
    if (i < 0 || i >= sg_n_ops) {
        return NULL;
    }
    *opset_min = sg_ops[i]->opset_min > 0 ? sg_ops[i]->opset_min : SG_OPSET_FIRST;
    *opset_max = sg_ops[i]->opset_max > 0 ? sg_ops[i]->opset_max : SG_OPSET_LAST;
    return sg_ops[i]->name;
}

/* Marks the nodes behind which something chooses among elements; consumers come behind producers.
 */
static void find_choices(struct sg_model *m) {
    for (int64_t i = m->n_nodes - 1; i >= 0; i--) {
        const struct sg_node *node = m->nodes[i];
        const int reaches = (node->op->flags & SG_OP_CHOOSES) != 0 || node->feeds_choice;

        for (int k = 0; k < node->n_in && reaches; k++) {
            if (sg_has_input(node, k) && node->in[k]->kind == SG_VALUE_DYNAMIC &&
                node->in[k]->root->producer != NULL) {
                node->in[k]->root->producer->feeds_choice = 1;
            }
        }
    }
}

static int is_output(const struct sg_model *m, const struct sg_value *v) {
    int k = 0;

    while (k < m->n_outputs && m->outputs[k]->root != v) {
        k++;
    }
    return k < m->n_outputs;
}

/* Whether node `reader` alone reads what the node makes; all others come behind. */
static int is_only_reader(const struct sg_model *m, const struct sg_node *node, int64_t reader) {
    for (int64_t i = reader + 1; i < m->n_nodes; i++) {
        for (int k = 0; k < m->nodes[i]->n_in; k++) {
            if (sg_has_input(m->nodes[i], k) && m->nodes[i]->in[k]->root == node->out) {
                return 0;
            }
        }
    }
    return !is_output(m, node->out);
}

/* Marks the nodes that can go together with the max pooling behind them. */
static void find_pooled(struct sg_model *m) {
    for (int64_t i = 0; i + 1 < m->n_nodes; i++) {
        struct sg_node *node = m->nodes[i];
        const struct sg_node *pool = m->nodes[i + 1];

        node->is_pooled = node->op->pooled != NULL && pool->op->tiles_by_2 != NULL &&
                          pool->in[0] == node->out && node->op->pooled->applies(node) &&
                          pool->op->tiles_by_2(pool) && is_only_reader(m, node, i + 1);
    }
}

static sg_status prepare(struct sg_model *m) {
    sg_status status = SG_OK;

    for (int64_t i = 0; i < m->n_nodes; i++) {
        struct sg_node *node = m->nodes[i];

        node->out->index = (int)i + 1;
        if (node->op->prepare != NULL) {
            SG_TRY(node->op->prepare(node));
        }
        m->n_parameters += node->n_parameters;
        m->n_multiply_adds += node->multiply_adds;
    }
    sg_weights_measure(m);
done:
    return status;
}

sg_status sg_model_open(const void *bytes, size_t n_bytes, const char *name,
                        const struct sg_explain *what, struct sg_model **out) {
    sg_status status = SG_OK;
    struct sg_model *m = sg_calloc(1, sizeof *m);

    SG_CHECK(m != NULL, SG_E_NOMEM, "%s: no memory for the model", name);
    m->what = what;
    m->file = sg_region_text(&m->keep, name, strlen(name));
    SG_CHECK(m->file != NULL, SG_E_NOMEM, "%s: no memory for the model", name);
    SG_TRY(sg_image_decode(bytes, n_bytes, m->file, &m->keep, &m->graph));
    SG_TRY(sg_graph_build(m));
    SG_TRY(sg_fuse(m));
    find_choices(m);
    find_pooled(m);
    SG_TRY(prepare(m));
    SG_TRY(sg_find_gates(m));
    SG_TRY(sg_make_signature(m));
    m->what = NULL;
    *out = m;
    m = NULL;
done:
    sg_model_destroy(m);
    return status;
}

sg_status sg_model_create(const void *bytes, size_t n_bytes, const char *name, const char *tensor,
                          struct sg_model **out) {
    sg_status status = SG_OK;
    const struct sg_explain what = {.n_tensors = tensor != NULL, .tensors = &tensor};
    struct sg_model *m = NULL;

    SG_TRY(sg_model_open(bytes, n_bytes, name, &what, &m));
    SG_TRY(sg_model_place(m, NULL, 1));
    *out = m;
    m = NULL;
done:
    sg_model_destroy(m);
    return status;
}

void sg_model_destroy(struct sg_model *m) {
    if (m != NULL) {
        sg_region_free(&m->scratch);
        sg_region_free(&m->keep);
        sg_free(m);
    }
}

/* Dynamic inputs are told apart by where their numbers are stored. */
static int have_like_input(const struct sg_value *a, const struct sg_value *b) {
    if (a == NULL || b == NULL || a->kind != b->kind) {
        return a == b;
    }
    return a->kind != SG_VALUE_DYNAMIC || (a->root->index == b->root->index && a->size == b->size);
}

static int is_alike(const struct sg_node *a, const struct sg_node *b) {
    if (a->op != b->op || a->flags != b->flags || a->relu != b->relu || a->n_in != b->n_in ||
        a->out->index != b->out->index || a->out->size != b->out->size) {
        return 0;
    }
    for (int i = 0; i < a->n_in; i++) {
        if (!have_like_input(a->in[i], b->in[i])) {
            return 0;
        }
    }
    return 1;
}

int sg_model_is_alike(const struct sg_model *a, const struct sg_model *b) {
    if (a->n_nodes != b->n_nodes || a->weight_bytes != b->weight_bytes ||
        a->n_outputs != b->n_outputs || a->n_layers != b->n_layers) {
        return 0;
    }
    for (int64_t i = 0; i < a->n_nodes; i++) {
        if (!is_alike(a->nodes[i], b->nodes[i])) {
            return 0;
        }
    }
    return 1;
}

const struct sg_signature *sg_model_signature(const struct sg_model *m) {
    return &m->signature;
}

const struct sg_shape *sg_model_input(const struct sg_model *m) {
    return &m->input->shape;
}

int64_t sg_model_n_outputs(const struct sg_model *m) {
    return m->signature.n_elements;
}

const char *sg_model_tensor(const struct sg_model *m) {
    return m->outputs[0]->name;
}

int64_t sg_model_n_parameters(const struct sg_model *m) {
    return m->n_parameters;
}

int64_t sg_model_bytes(const struct sg_model *m) {
    return m->keep.bytes;
}

int64_t sg_model_n_relus(const struct sg_model *m) {
    int64_t n = 0;

    for (int64_t i = 0; i < m->n_nodes; i++) {
        n += m->nodes[i]->relu == SG_RELU_PLAIN || (m->nodes[i]->flags & SG_OP_RELU) != 0;
    }
    return n;
}

int64_t sg_model_n_multiply_adds(const struct sg_model *m) {
    return m->n_multiply_adds;
}
