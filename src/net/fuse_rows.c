/* src/net/fuse_rows.c - rows that nobody reads are not computed: behind the last block of a vision
 * transformer only the class token is looked at, and most of that block works on each token for
 * itself.
 *
 * Backwards through the nodes each value learns which stretch of its memory is read; forwards, the
 * nodes that make rows of rows (op->n_rows) are cut to theirs. Where such a node reads from a value
 * of which more is made, the stretch is picked out in front of it. */
#include "net/fuse.h"

#include "net/ops/ops_impl.h"

/* Of a stored value, in elements of a sample. */
struct span {
    int64_t first, end; /* what is read, in the end what is made; end 0: nothing yet */
    int64_t size;       /* of the whole */
    int64_t n_rows;     /* of the whole: see n_rows */
};

/* Values that were picked out, for the next node that reads the same of theirs. */
struct picked {
    int64_t first, end;
    struct sg_value *value;
};

static int is_cut(const struct span *s) {
    return s->first > 0 || s->end < s->size;
}

static void demand(struct span *s, int64_t first, int64_t end) {
    s->first = s->end == 0 || first < s->first ? first : s->first;
    s->end = end > s->end ? end : s->end;
}

/* Equal parts of the result's memory, each made of the same part of what is read; 1 where that is
 * not known. */
static int64_t n_rows(const struct sg_node *node) {
    const struct sg_value *out = node->out;
    int64_t n = 1;

    if (sg_is_spatial(out) || out->hwc_channels > 0 || out->size == 0) {
        return 1;
    }
    if (node->op->n_rows != NULL) {
        n = node->op->n_rows(node);
    } else if ((node->flags & SG_OP_ELEMENTWISE) != 0 && node->n_in == 1) {
        n = out->size;
    }
    return n;
}

/* Rounds what is read of the result to rows, and asks for the same rows of the inputs. */
static void ask(const struct sg_node *node, struct span *spans) {
    struct span *out = &spans[node->out->index];
    const int64_t n = n_rows(node);
    const int64_t row = out->size / n > 0 ? out->size / n : 1;
    int64_t first;

    out->n_rows = n;
    if (out->end == 0) {
        demand(out, 0, out->size);
    }
    out->first = out->first / row * row;
    out->end = (out->end + row - 1) / row * row;
    for (int k = 0; k < node->n_in; k++) {
        struct span *in = sg_is_dynamic(node, k) ? &spans[node->in[k]->root->index] : NULL;

        if (in == NULL) {
            continue;
        }
        if (n > 1) {
            demand(in, out->first / row * (in->size / n), out->end / row * (in->size / n));
        } else if (sg_is_range(node, &first)) {
            demand(in, first, first + out->size);
        } else {
            demand(in, 0, in->size);
        }
    }
}

static void find_spans(const struct sg_model *m, struct span *spans) {
    spans[0].size = m->input->size;
    for (int64_t i = 0; i < m->n_nodes; i++) {
        spans[m->nodes[i]->out->index].size = m->nodes[i]->out->size;
    }
    for (int i = 0; i < m->n_outputs + m->n_layers; i++) {
        const struct sg_value *v = i < m->n_outputs ? m->outputs[i] : m->layers[i - m->n_outputs];

        demand(&spans[v->root->index], 0, v->root->size);
    }
    for (int64_t i = m->n_nodes - 1; i >= 0; i--) {
        if (!m->nodes[i]->removed) {
            ask(m->nodes[i], spans);
        }
    }
    demand(&spans[0], 0, spans[0].size); /* it is given */
}

/* The node's input k becomes the elements first .. end - 1 of what it is now, of which `made` is
 * there. */
static sg_status read_span(struct sg_node *node, int k, int64_t first, int64_t end,
                           const struct span *made, struct picked *last) {
    sg_status status = SG_OK;
    struct sg_value *root = node->in[k]->root;

    if (first == made->first && end == made->end) {
        node->in[k] = root;
        return SG_OK;
    }
    if (last->value == NULL || last->first != first || last->end != end) {
        *last = (struct picked){first, end, NULL};
        SG_TRY(sg_insert_range(node, root, first - made->first, end - first, &last->value));
    }
    node->in[k] = last->value;
done:
    return status;
}

/* The first axis is cut, where whole steps of it are left; else it is a row of numbers. */
static void cut_value(struct sg_value *v, int64_t size) {
    struct sg_shape *s = &v->shape;
    int axis = 0;
    int64_t step;

    while (axis + 1 < s->n_axes && s->axes[axis] == 1) {
        axis++;
    }
    step = v->size / s->axes[axis];
    if (size % step != 0) {
        s->n_axes = 1;
        step = 1;
        axis = 0;
    }
    s->axes[axis] = size / step;
    v->size = size;
}

static sg_status cut(struct sg_node *node, const struct span *spans, struct picked *picked) {
    sg_status status = SG_OK;
    const struct span *out = &spans[node->out->index];
    const int64_t n = out->n_rows, per_row = out->size / n;
    const int64_t first = out->first / per_row, end = out->end / per_row;

    for (int k = 0; k < node->n_in; k++) {
        const int at = sg_is_dynamic(node, k) ? node->in[k]->root->index : -1;

        if (at >= 0) {
            const int64_t row = spans[at].size / n;

            SG_TRY(read_span(node, k, first * row, end * row, &spans[at], &picked[at]));
        }
    }
    node->multiply_adds = node->multiply_adds / n * (end - first);
    cut_value(node->out, out->end - out->first);
    node->is_cut = 1;
    if (node->op->set_rows != NULL) {
        node->op->set_rows(node, end - first);
    }
done:
    return status;
}

/* A range of a value that was cut; where it is all that is left of it, the node has nothing to do.
 */
static sg_status follow(struct sg_node *node, const struct span *made, const int *uses) {
    sg_status status = SG_OK;
    struct sg_value *root = node->in[0]->root;

    sg_move_range(node, -made->first);
    node->in[0] = root;
    if (root->size == node->out->size && uses[root->index] == 1) {
        SG_TRY(sg_fuse_into(root->producer, node));
    }
done:
    return status;
}

sg_status sg_fuse_rows(struct sg_model *m, const int *uses) {
    sg_status status = SG_OK;
    struct sg_node **nodes = m->nodes;
    const int64_t n = m->n_nodes;
    struct span *spans = sg_region_take(&m->scratch, (size_t)n + 1, sizeof *spans);
    struct picked *picked = sg_region_take(&m->scratch, (size_t)n + 1, sizeof *picked);

    SG_CHECK(spans != NULL && picked != NULL, SG_E_NOMEM, "%s: no memory for its nodes", m->file);
    find_spans(m, spans);
    m->n_nodes = m->capacity = 0; /* a new list, with the nodes that are inserted */
    for (int64_t i = 0; i < n; i++) {
        struct sg_node *node = nodes[i];
        const struct span *in = NULL;
        int64_t first;

        if (node->removed) {
            continue;
        }
        if (is_cut(&spans[node->out->index])) {
            SG_TRY(cut(node, spans, picked));
        } else if (sg_is_range(node, &first)) {
            in = &spans[node->in[0]->root->index];
        }
        if (in != NULL && is_cut(in)) {
            SG_TRY(follow(node, in, uses));
        }
        if (!node->removed) {
            SG_TRY(sg_add_node(m, node));
        }
    }
done:
    return status;
}
