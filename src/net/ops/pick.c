/* src/net/ops/pick.c - results of which every element is one of the input, one of the updates, or
 * 0, by a table that is known without running the network. */
#include "net/ops/ops_impl.h"

#include <string.h>

struct pick {
    int64_t *from;
    int64_t size[2];          /* of both operands, a sample; 0: a constant */
    const float *constant[2]; /* or NULL */
};

static const struct sg_op op_pick;

void sg_pick_coordinates(int64_t i, int n_axes, const int64_t *axes, int64_t *at) {
    for (int k = n_axes - 1; k >= 0; k--) {
        at[k] = i % axes[k];
        i /= axes[k];
    }
}

int64_t sg_pick_offset(const struct sg_layout *in, const int64_t *at) {
    int64_t offset = 0;

    for (int k = 0; k < in->n_axes; k++) {
        offset += at[k] * in->strides[k];
    }
    return offset;
}

int64_t sg_pick_count(int n_axes, const int64_t *axes) {
    int64_t n = 1;

    for (int i = 0; i < n_axes; i++) {
        n *= axes[i];
    }
    return n;
}

sg_status sg_pick_table(struct sg_node *node, int n_axes, const int64_t *axes, int64_t **table) {
    sg_status status = SG_OK;
    int64_t n = 0;

    SG_TRY(sg_constant_size(node, n_axes, axes, &n));
    *table = sg_region_take(&node->model->keep, (size_t)n, sizeof **table);
    SG_NODE_NOMEM(*table, node);
done:
    return status;
}

/* Both operands known: the result is too. */
static sg_status fold(struct sg_node *node, int n_axes, const int64_t *axes, const int64_t *from,
                      const struct sg_constant *const *c) {
    sg_status status = SG_OK;
    int64_t *ints = NULL;
    float *floats = NULL;

    SG_NODE_CHECK(c[1] == NULL || (c[0]->ints != NULL) == (c[1]->ints != NULL), node,
                  "its input and its updates are of different kinds");
    if (c[0]->ints != NULL) {
        SG_TRY(sg_set_ints(node, n_axes, axes, &ints));
    } else {
        SG_TRY(sg_set_floats(node, n_axes, axes, &floats));
    }
    for (int64_t i = 0; i < node->out->constant.n; i++) {
        const struct sg_constant *of = from[i] < SG_PICK_HOLE ? c[1] : c[0];
        const int64_t at = from[i] < SG_PICK_HOLE ? -2 - from[i] : from[i];

        if (ints != NULL) {
            ints[i] = at >= 0 ? of->ints[at] : 0;
        } else {
            floats[i] = at >= 0 ? of->floats[at] : 0.0f;
        }
    }
done:
    return status;
}

sg_status sg_become_pick(struct sg_node *node, int updates, int n_axes, const int64_t *axes,
                         int64_t *from) {
    sg_status status = SG_OK;
    const int n = updates > 0 ? 2 : 1;
    const struct sg_constant *c[2] = {NULL, NULL};
    struct sg_value *in[2] = {node->in[0], updates > 0 ? node->in[updates] : NULL};
    struct pick *own;
    int n_dynamic = 0;

    for (int i = 0; i < n; i++) {
        n_dynamic += in[i]->kind == SG_VALUE_DYNAMIC;
        c[i] = in[i]->kind == SG_VALUE_CONSTANT ? &in[i]->constant : NULL;
    }
    if (n_dynamic == 0) {
        return fold(node, n_axes, axes, from, c);
    }
    SG_NODE_CHECK(n_axes <= SG_MAX_AXES, node, "its result has %d axes", n_axes);
    SG_TRY(sg_own(node, sizeof *own, &own));
    own->from = from;
    node->in = sg_region_take(&node->model->keep, (size_t)n, sizeof(struct sg_value *));
    SG_NODE_NOMEM(node->in, node);
    node->n_in = n;
    for (int i = 0; i < n; i++) {
        node->in[i] = in[i];
        own->size[i] = c[i] == NULL ? in[i]->size : 0;
        if (c[i] != NULL) {
            SG_NODE_CHECK(c[i]->floats != NULL, node, "its constant '%s' must be of numbers",
                          in[i]->name);
            SG_TRY(sg_keep_floats(node, c[i]->floats, c[i]->n, &own->constant[i]));
        }
    }
    SG_TRY(sg_set_onnx(node, n_axes, axes, 0));
    node->op = &op_pick;
    node->flags = op_pick.flags;
done:
    return status;
}

sg_status sg_pick_indices(const struct sg_node *node, int i, const struct sg_constant **out) {
    sg_status status = SG_OK;

    SG_NODE_CHECK(sg_is_constant(node, i) && node->in[i]->constant.ints != NULL, node,
                  "its indices must be known without running the network");
    *out = &node->in[i]->constant;
done:
    return status;
}

sg_status sg_pick_index(const struct sg_node *node, int64_t index, int64_t length, int64_t *out) {
    sg_status status = SG_OK;

    *out = index < 0 ? index + length : index;
    SG_NODE_CHECK(*out >= 0 && *out < length, node, "index %lld is outside of its input",
                  (long long)index);
done:
    return status;
}

sg_status sg_pick_axis(const struct sg_node *node, int n_axes, int64_t *axis) {
    sg_status status = SG_OK;

    SG_TRY(sg_attribute_int(node, "axis", 0, axis));
    SG_TRY(sg_axis(node, *axis, n_axes, axis));
done:
    return status;
}

/* Coordinates that the indices' last axis holds, after `first` axes that both have. */
sg_status sg_pick_point(const struct sg_node *node, const struct sg_constant *index, int64_t row,
                        const struct sg_layout *in, int64_t first, int64_t *at) {
    sg_status status = SG_OK;
    const int64_t n = index->axes[index->n_axes - 1];

    for (int64_t k = 0; k < n; k++) {
        SG_TRY(sg_pick_index(node, index->ints[row * n + k], in->axes[first + k], &at[first + k]));
    }
done:
    return status;
}

static const float *operand(const struct sg_call *call, int o, int64_t n) {
    const struct pick *own = call->node->own;

    return own->constant[o] != NULL ? own->constant[o] : call->x[o] + n * own->size[o];
}

static void forward(const struct sg_call *call) {
    const struct pick *own = call->node->own;
    const int64_t size = call->node->out->size;

    for (int64_t n = 0; n < call->batch; n++) {
        const float *x = operand(call, 0, n);
        const float *updates = call->node->n_in > 1 ? operand(call, 1, n) : NULL;
        float *y = call->y + n * size;

        for (int64_t i = 0; i < size; i++) {
            const int64_t from = own->from[i];

            y[i] = from >= 0 ? x[from] : from == SG_PICK_HOLE ? 0.0f : updates[-2 - from];
        }
    }
}

static void backward(const struct sg_call *call) {
    const struct pick *own = call->node->own;
    const int64_t size = call->node->out->size;

    for (int o = call->node->n_in - 1; o >= 0; o--) {
        if (call->dx[o] == NULL) {
            continue;
        }
        if (!call->accumulate[o]) {
            memset(call->dx[o], 0, (size_t)(call->batch * own->size[o]) * sizeof(float));
        }
        for (int64_t i = 0; i < call->batch * size; i++) {
            const int64_t from = own->from[i % size];
            const int64_t at = o == 0 ? from : -2 - from;

            if (at >= 0) {
                call->dx[o][i / size * own->size[o] + at] += call->dy[i];
            }
        }
    }
}

static const struct sg_op op_pick = {
    .name = "picked elements",
    .flags = SG_OP_TAKES_WHOLE,
    .forward = forward,
    .backward = backward,
};
