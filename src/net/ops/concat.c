/* src/net/ops/concat.c - ONNX Concat of values along any axis but the batch, and of constants. */
#include "net/ops/ops_impl.h"

#include <string.h>

struct concat {
    int64_t outer;          /* stretches a sample */
    int64_t row;            /* floats of an output stretch */
    int64_t *part;          /* [n_in] floats of each input's stretch */
    const float **constant; /* [n_in] where an input is a constant */
};

static sg_status join_axes(const struct sg_node *node, int64_t axis, int64_t *axes) {
    sg_status status = SG_OK;
    struct sg_layout first, s;
    char a[160];
    char b[160];

    sg_input_layout(node, 0, &first);
    memcpy(axes, first.axes, sizeof first.axes);
    axes[axis] = 0;
    for (int i = 0; i < node->n_in; i++) {
        int fits;

        sg_input_layout(node, i, &s);
        fits = s.n_axes == first.n_axes;
        for (int k = 0; k < first.n_axes && fits; k++) {
            fits = k == axis || s.axes[k] == first.axes[k];
        }
        SG_NODE_CHECK(fits, node, "shapes %s and %s cannot be joined",
                      sg_axes_text(first.n_axes, first.axes, a, sizeof a),
                      sg_axes_text(s.n_axes, s.axes, b, sizeof b));
        axes[axis] += s.axes[axis];
    }
done:
    return status;
}

/* Channels-last where all inputs are; otherwise all are brought to the plain order. */
static sg_status choose_layout(struct sg_node *node, int *spatial) {
    sg_status status = SG_OK;

    *spatial = 1;
    for (int i = 0; i < node->n_in; i++) {
        SG_NODE_CHECK(node->in[i] != NULL, node, "its input %d is missing", i + 1);
        *spatial = *spatial && node->in[i]->kind == SG_VALUE_DYNAMIC && sg_is_spatial(node->in[i]);
    }
    for (int i = 0; i < node->n_in && !*spatial; i++) {
        if (node->in[i]->kind == SG_VALUE_DYNAMIC) {
            SG_TRY(sg_make_whole(node, i));
        }
    }
done:
    return status;
}

static sg_status take_constants(struct sg_node *node, struct concat *own) {
    sg_status status = SG_OK;

    for (int i = 0; i < node->n_in; i++) {
        if (node->in[i]->kind == SG_VALUE_CONSTANT) {
            const struct sg_constant *c;

            SG_TRY(sg_float_constant(node, i, "input", &c));
            SG_TRY(sg_keep_floats(node, c->floats, c->n, &own->constant[i]));
        }
    }
done:
    return status;
}

static sg_status infer(struct sg_node *node) {
    sg_status status = SG_OK;
    int64_t axes[SG_CONSTANT_AXES];
    struct sg_layout in;
    struct concat *own;
    int64_t axis;
    int spatial;

    SG_TRY(sg_check_inputs(node, 1, INT32_MAX));
    SG_TRY(sg_take_first_rows(node));
    SG_TRY(choose_layout(node, &spatial));
    sg_input_layout(node, 0, &in);
    SG_TRY(sg_attribute_int(node, "axis", 1, &axis));
    SG_TRY(sg_axis(node, axis, in.n_axes, &axis));
    SG_NODE_CHECK(axis > 0 || !spatial, node, "axis 0 joins batches: not supported");
    SG_TRY(join_axes(node, axis, axes));
    SG_TRY(sg_set_onnx(node, in.n_axes, axes, spatial));
    SG_TRY(sg_own(node, sizeof *own, &own));
    own->part = sg_region_take(&node->model->keep, (size_t)node->n_in, sizeof *own->part);
    own->constant = sg_region_take(&node->model->keep, (size_t)node->n_in, sizeof(float *));
    SG_NODE_NOMEM(own->part, node);
    SG_NODE_NOMEM(own->constant, node);
    SG_TRY(take_constants(node, own));
    own->outer = spatial && axis < 2 ? axes[2] * axes[3] : spatial && axis == 3 ? axes[2] : 1;
    for (int k = 0; k < axis && !spatial; k++) {
        own->outer *= axes[k];
    }
    own->row = node->out->size / own->outer;
    for (int i = 0; i < node->n_in; i++) {
        const struct sg_value *v = node->in[i];

        own->part[i] = (v->kind == SG_VALUE_DYNAMIC ? v->size : v->constant.n) / own->outer;
    }
done:
    return status;
}

static sg_status check_constants(const struct sg_node *node, int64_t axis, int64_t *axes) {
    sg_status status = SG_OK;
    const struct sg_constant *first = &node->in[0]->constant;

    memcpy(axes, first->axes, sizeof first->axes);
    axes[axis] = 0;
    for (int i = 0; i < node->n_in; i++) {
        const struct sg_constant *c = &node->in[i]->constant;
        int fits = c->n_axes == first->n_axes && (c->ints == NULL) == (first->ints == NULL);

        for (int k = 0; k < first->n_axes && fits; k++) {
            fits = k == axis || c->axes[k] == first->axes[k];
        }
        SG_NODE_CHECK(fits, node, "its constants have shapes or types that cannot be joined");
        SG_NODE_CHECK(!__builtin_add_overflow(axes[axis], c->axes[axis], &axes[axis]), node,
                      "its result is too large");
    }
done:
    return status;
}

static sg_status fold(struct sg_node *node) {
    sg_status status = SG_OK;
    int64_t axes[SG_CONSTANT_AXES];
    int64_t outer = 1, axis, at = 0;
    int64_t *ints = NULL;
    float *floats = NULL;
    const struct sg_constant *first;

    SG_TRY(sg_check_inputs(node, 1, INT32_MAX));
    for (int i = 0; i < node->n_in; i++) {
        SG_NODE_CHECK(node->in[i] != NULL, node, "its input %d is missing", i + 1);
    }
    first = &node->in[0]->constant;
    SG_TRY(sg_attribute_int(node, "axis", 1, &axis));
    SG_TRY(sg_axis(node, axis, first->n_axes, &axis));
    SG_TRY(check_constants(node, axis, axes));
    if (first->ints != NULL) {
        SG_TRY(sg_set_ints(node, first->n_axes, axes, &ints));
    } else {
        SG_TRY(sg_set_floats(node, first->n_axes, axes, &floats));
    }
    for (int k = 0; k < axis; k++) {
        outer *= first->axes[k];
    }
    for (int64_t o = 0; o < outer; o++) {
        for (int i = 0; i < node->n_in; i++) {
            const struct sg_constant *c = &node->in[i]->constant;
            const int64_t n = c->n / outer;

            for (int64_t k = o * n; k < (o + 1) * n; k++, at++) {
                if (ints != NULL) {
                    ints[at] = c->ints[k];
                } else {
                    floats[at] = c->floats[k];
                }
            }
        }
    }
done:
    return status;
}

static void forward(const struct sg_call *call) {
    const struct concat *own = call->node->own;
    int64_t offset = 0;

    for (int i = 0; i < call->node->n_in; i++) {
        const int64_t part = own->part[i];

        for (int64_t o = 0; o < call->batch * own->outer; o++) {
            const float *x = own->constant[i] != NULL ? own->constant[i] + o % own->outer * part
                                                      : call->x[i] + o * part;

            memcpy(call->y + o * own->row + offset, x, (size_t)part * sizeof(float));
        }
        offset += part;
    }
}

static void backward(const struct sg_call *call) {
    const struct concat *own = call->node->own;
    int64_t offset = own->row;

    for (int i = call->node->n_in - 1; i >= 0; i--) {
        const int64_t part = own->part[i];

        offset -= part;
        for (int64_t o = 0; o < call->batch * own->outer && call->dx[i] != NULL; o++) {
            const float *dy = call->dy + o * own->row + offset;
            float *dx = call->dx[i] + o * part;

            if (call->accumulate[i]) {
                sg_accumulate(dy, dx, part);
            } else {
                memcpy(dx, dy, (size_t)part * sizeof(float));
            }
        }
    }
}

const struct sg_op sg_op_concat = {
    .name = "Concat",
    .flags = SG_OP_TAKES_WHOLE,
    .fold = fold,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
