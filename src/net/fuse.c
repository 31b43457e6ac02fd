/* src/net/fuse.c - nodes that disappear into others: chains that are layers first, then those that
 * join the node before them. */
#include "net/fuse.h"

/* How many nodes read a stored value; explained tensors and layers are read from outside. */
static void count_uses(const struct sg_model *m, int *uses) {
    for (int64_t i = 0; i < m->n_nodes; i++) {
        const struct sg_node *node = m->nodes[i];

        for (int k = 0; k < node->n_in && !node->removed; k++) {
            if (node->in[k] != NULL && node->in[k]->kind == SG_VALUE_DYNAMIC) {
                uses[node->in[k]->root->index]++;
            }
        }
    }
    for (int i = 0; i < m->n_outputs; i++) {
        uses[m->outputs[i]->root->index]++;
    }
    for (int i = 0; i < m->n_layers; i++) {
        uses[m->layers[i]->root->index]++;
    }
}

/* Nodes that were only asked for their shape do not run. */
static void remove_unused(const struct sg_model *m, int *uses) {
    for (int64_t i = m->n_nodes - 1; i >= 0; i--) {
        struct sg_node *node = m->nodes[i];

        node->removed = uses[node->out->index] == 0;
        for (int k = 0; k < node->n_in && node->removed; k++) {
            if (node->in[k] != NULL && node->in[k]->kind == SG_VALUE_DYNAMIC) {
                uses[node->in[k]->root->index]--;
            }
        }
    }
}

/* The node that makes input k of `node` and serves nothing else, or NULL. */
static struct sg_node *only_before(const struct sg_node *node, int k, const int *uses) {
    struct sg_value *in = node->in[k];

    if (in == NULL || in->kind != SG_VALUE_DYNAMIC || in->root != in || in->producer == NULL ||
        uses[in->index] != 1) {
        return NULL;
    }
    return in->producer;
}

sg_status sg_fuse_name(struct sg_node *by, const char *text) {
    sg_status status = SG_OK;
    struct sg_name *name = sg_region_take(&by->model->keep, 1, sizeof *name);
    struct sg_name **last = &by->inside;

    SG_NODE_NOMEM(name, by);
    name->text = text;
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = name;
done:
    return status;
}

sg_status sg_fuse_remove(struct sg_node *node, struct sg_node *by) {
    sg_status status = SG_OK;

    for (const struct sg_name *name = node->inside; name != NULL; name = name->next) {
        SG_TRY(sg_fuse_name(by, name->text));
    }
    SG_TRY(sg_fuse_name(by, node->out->name));
    by->n_parameters += node->n_parameters;
    node->removed = 1;
done:
    return status;
}

sg_status sg_fuse_into(struct sg_node *before, struct sg_node *node) {
    sg_status status = SG_OK;

    SG_TRY(sg_fuse_name(before, before->out->name));
    node->out->producer = before;
    before->out = node->out;
    before->n_parameters += node->n_parameters;
    node->removed = 1;
done:
    return status;
}

static sg_status fuse_affine(struct sg_node *node, const int *uses) {
    sg_status status = SG_OK;
    struct sg_node *before = only_before(node, 0, uses);
    struct sg_affine a;

    if (before != NULL && node->op->as_affine != NULL && before->op->absorb_affine != NULL &&
        !before->relu && before->addend == 0 && node->op->as_affine(node, &a)) {
        SG_TRY(before->op->absorb_affine(before, &a));
        before->has_affine = 1;
        SG_TRY(sg_fuse_into(before, node));
    }
done:
    return status;
}

static enum sg_relu_kind kind_of(const struct sg_node *node) {
    return (node->flags & SG_OP_RELU) != 0     ? SG_RELU_PLAIN
           : (node->flags & SG_OP_RELU_6) != 0 ? SG_RELU_6
                                               : SG_RELU_NONE;
}

static sg_status fuse_relu(struct sg_node *node, const int *uses) {
    sg_status status = SG_OK;
    struct sg_node *before = only_before(node, 0, uses);

    if (before != NULL && kind_of(node) != SG_RELU_NONE && before->relu == SG_RELU_NONE &&
        (before->flags & SG_OP_FUSES_RELU) != 0) {
        before->relu = (int)kind_of(node);
        SG_TRY(sg_fuse_into(before, node));
    }
done:
    return status;
}

static int64_t position(const struct sg_model *m, const struct sg_node *node) {
    int64_t i = 0;

    while (node != NULL && m->nodes[i] != node) {
        i++;
    }
    return node != NULL ? i : -1;
}

/* 1 if `before` can add `other`, which has to be made by then, in the memory of one of the two. */
static int can_add(const struct sg_model *m, const struct sg_node *before,
                   const struct sg_value *other) {
    if (before == NULL || (before->flags & SG_OP_ADDS) == 0 || before->relu || before->addend > 0 ||
        position(m, other->root->producer) >= position(m, before)) {
        return 0;
    }
    for (int k = 0; k < before->n_in; k++) {
        if (before->in[k] != NULL && before->in[k]->root == other->root) {
            return 0;
        }
    }
    return 1;
}

/* A residual connection: the node that makes one side adds the other. */
static sg_status fuse_sum(struct sg_node *node, const int *uses) {
    enum { ADDEND = 3 };
    sg_status status = SG_OK;

    for (int k = 1; k >= 0 && (node->flags & SG_OP_SUM) != 0 && !node->removed; k--) {
        struct sg_node *before = only_before(node, k, uses);
        struct sg_value **in;

        if (can_add(node->model, before, node->in[1 - k])) {
            in = sg_region_take(&node->model->keep, ADDEND + 1, sizeof(struct sg_value *));
            SG_NODE_NOMEM(in, node);
            for (int i = 0; i < before->n_in; i++) {
                in[i] = before->in[i];
            }
            in[ADDEND] = node->in[1 - k];
            before->in = in;
            before->n_in = ADDEND + 1;
            before->addend = ADDEND;
            before->flags |= SG_OP_INPLACE | SG_OP_GRAD_INPLACE;
            SG_TRY(sg_fuse_into(before, node));
        }
    }
done:
    return status;
}

sg_status sg_fuse(struct sg_model *m) {
    sg_status status = SG_OK;
    int *uses = sg_region_take(&m->scratch, (size_t)m->n_nodes + 1, sizeof *uses);

    SG_CHECK(uses != NULL, SG_E_NOMEM, "%s: no memory for its nodes", m->file);
    m->input->index = 0;
    for (int64_t i = 0; i < m->n_nodes; i++) {
        m->nodes[i]->out->index = (int)i + 1;
    }
    count_uses(m, uses);
    remove_unused(m, uses);
    SG_TRY(sg_fuse_gated(m, uses));
    SG_TRY(sg_fuse_norms(m, uses));
    SG_TRY(sg_fuse_products(m, uses));
    for (int64_t i = 0; i < m->n_nodes; i++) {
        if (!m->nodes[i]->removed) {
            SG_TRY(fuse_affine(m->nodes[i], uses));
        }
        if (!m->nodes[i]->removed) {
            SG_TRY(fuse_sum(m->nodes[i], uses));
        }
        if (!m->nodes[i]->removed) {
            SG_TRY(fuse_relu(m->nodes[i], uses));
        }
    }
    SG_TRY(sg_fuse_rows(m, uses));
done:
    return status;
}
