/* src/net/ops/fold.c - tools of the operators that rearrange constants. */
#include "net/ops/ops_impl.h"

#include <string.h>

sg_status sg_set_reshaped(struct sg_node *node, const struct sg_constant *c, int n_axes,
                          const int64_t *axes) {
    sg_status status = SG_OK;
    int64_t n;

    SG_TRY(sg_constant_size(node, n_axes, axes, &n));
    SG_NODE_CHECK(n == c->n, node, "it reshapes a constant of %lld elements to %lld",
                  (long long)c->n, (long long)n);
    node->out->kind = SG_VALUE_CONSTANT;
    node->out->constant = *c;
    node->out->constant.n_axes = n_axes;
    if (n_axes > 0) {
        memmove(node->out->constant.axes, axes, (size_t)n_axes * sizeof *axes);
    }
done:
    return status;
}

void sg_input_layout(const struct sg_node *node, int i, struct sg_layout *out) {
    const struct sg_value *v = node->in[i];

    *out = (struct sg_layout){0};
    if (v->kind == SG_VALUE_CONSTANT) {
        int64_t stride = 1;

        out->n_axes = v->constant.n_axes;
        for (int k = out->n_axes - 1; k >= 0; k--) {
            out->axes[k] = v->constant.axes[k];
            out->strides[k] = stride;
            stride *= out->axes[k];
        }
    } else {
        sg_layout_of(v, out);
    }
}

int64_t sg_output_index(const struct sg_node *node) {
    int64_t i = 0;

    while (i < node->source->n_out && strcmp(node->source->out[i], node->out->name) != 0) {
        i++;
    }
    return i;
}

int sg_input_axes(const struct sg_node *node, int i, int64_t axes[SG_CONSTANT_AXES]) {
    const struct sg_value *v = node->in[i];

    if (v->kind == SG_VALUE_CONSTANT) {
        memcpy(axes, v->constant.axes, sizeof v->constant.axes);
        return v->constant.n_axes;
    }
    axes[0] = 1;
    memcpy(axes + !v->whole, v->shape.axes, (size_t)v->shape.n_axes * sizeof axes[0]);
    return v->shape.n_axes + !v->whole;
}

/* Runs one node on one sample; memory[] holds what values hold, by index. */
static sg_status run_node(struct sg_node *node, float **memory) {
    sg_status status = SG_OK;
    struct sg_region *scratch = &node->model->scratch;
    struct sg_call call = {.node = node, .batch = 1};
    struct sg_need need = {0};

    if (node->op->prepare != NULL) {
        SG_TRY(node->op->prepare(node));
    }
    SG_TRY(sg_place_in_scratch(node));
    if (node->op->memory != NULL) {
        node->op->memory(node, 1, &need);
    }
    call.x = sg_region_take(scratch, (size_t)node->n_in, sizeof(float *));
    call.y = sg_region_floats(scratch, node->out->size);
    call.kept = sg_region_floats(scratch, need.kept_bytes / 4 + 1);
    call.work = sg_region_floats(scratch, need.work_bytes / 4 + 1);
    SG_NODE_CHECK(call.x != NULL && call.y != NULL && call.kept != NULL && call.work != NULL, node,
                  "no memory to work out its constant");
    for (int i = 0; i < node->n_in; i++) {
        if (node->in[i] != NULL && node->in[i]->kind == SG_VALUE_DYNAMIC) {
            call.x[i] = memory[node->in[i]->root->index];
        }
    }
    node->op->forward(&call);
    memory[node->out->index] = call.y;
done:
    return status;
}

/* The constant as the value of a whole shape. */
static sg_status as_value(struct sg_node *node, struct sg_value **out) {
    sg_status status = SG_OK;
    const struct sg_constant *c = &node->in[0]->constant;

    SG_NODE_CHECK(c->floats != NULL && c->n > 0 && c->n_axes <= SG_MAX_AXES, node,
                  "its input '%s' is a constant of a kind that is not supported here",
                  node->in[0]->name);
    SG_TRY(sg_new_value(node->model, node->in[0]->name, out));
    (*out)->kind = SG_VALUE_DYNAMIC;
    (*out)->whole = 1;
    (*out)->size = c->n;
    (*out)->shape.n_axes = c->n_axes;
    memcpy((*out)->shape.axes, c->axes, (size_t)c->n_axes * sizeof c->axes[0]);
done:
    return status;
}

sg_status sg_fold_by_running(struct sg_node *node) {
    sg_status status = SG_OK;
    struct sg_model *m = node->model;
    const int64_t first = m->n_nodes;
    struct sg_value *const in = node->in[0];
    struct sg_value **given;
    struct sg_layout layout;
    float **memory;
    float *floats;

    SG_NODE_CHECK(node->op->infer != NULL, node, "its inputs are constants");
    given = sg_region_take(&m->scratch, (size_t)node->n_in, sizeof(struct sg_value *));
    SG_NODE_NOMEM(given, node);
    memcpy(given, node->in, (size_t)node->n_in * sizeof(struct sg_value *));
    node->in = given;
    SG_TRY(as_value(node, &node->in[0]));
    m->folding++;
    SG_TRY(sg_infer_again(node));
    m->folding--;
    memory = sg_region_take(&m->scratch, (size_t)(m->n_nodes - first) + 1, sizeof(float *));
    floats = sg_region_floats(&m->scratch, in->constant.n);
    SG_NODE_CHECK(memory != NULL && floats != NULL, node, "no memory to work out its constant");
    memcpy(floats, in->constant.floats, (size_t)in->constant.n * sizeof *floats);
    memory[0] = floats;
    for (int64_t i = first; i < m->n_nodes; i++) {
        m->nodes[i]->out->index = (int)(i - first) + 1;
        SG_TRY(run_node(m->nodes[i], memory));
    }
    m->n_nodes = first;
    sg_layout_of(node->out, &layout);
    floats = memory[node->out->root->index];
    {
        struct sg_value *v = node->out;
        const struct sg_value value = *v;
        float *plain;

        *v = (struct sg_value){
            .name = value.name, .root = v, .source = value.source, .visited = value.visited};
        SG_TRY(sg_set_floats(node, layout.n_axes, layout.axes, &plain));
        for (int64_t i = 0; i < v->constant.n; i++) {
            int64_t rest = i, at = 0;

            for (int k = layout.n_axes - 1; k >= 0; k--) {
                at += rest % layout.axes[k] * layout.strides[k];
                rest /= layout.axes[k];
            }
            plain[i] = floats[at];
        }
    }
done:
    return status;
}
