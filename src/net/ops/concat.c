/* src/net/ops/concat.c - ONNX Concat of values along any axis but the batch, and of constants. */
#include "net/ops/ops_impl.h"

#include <string.h>

struct concat {
    int64_t outer;    /* stretches a sample */
    int64_t row;      /* floats of an output stretch */
    int64_t *part;    /* [n_in] floats of each input's stretch */
};

static sg_status join_axes(const struct sg_node *node, int64_t axis, int64_t *axes) {
    sg_status status = SG_OK;
    const struct sg_shape *first = &node->in[0]->shape;
    char a[160];
    char b[160];

    memcpy(axes, first->axes, sizeof first->axes);
    axes[axis] = 0;
    for (int i = 0; i < node->n_in; i++) {
        const struct sg_shape *s = &node->in[i]->shape;
        int fits = s->n_axes == first->n_axes;

        for (int k = 0; k < first->n_axes && fits; k++) {
            fits = k == axis || s->axes[k] == first->axes[k];
        }
        SG_NODE_CHECK(fits, node, "shapes %s and %s cannot be joined",
                      sg_shape_text(first, a, sizeof a), sg_shape_text(s, b, sizeof b));
        axes[axis] += s->axes[axis];
    }
done:
    return status;
}

static sg_status infer(struct sg_node *node) {
    sg_status status = SG_OK;
    int64_t axes[SG_MAX_AXES];
    struct concat *own;
    struct sg_rows r;
    int64_t axis;

    SG_TRY(sg_check_inputs(node, 1, INT32_MAX));
    for (int i = 0; i < node->n_in; i++) {
        SG_NODE_CHECK(node->in[i] != NULL && node->in[i]->kind == SG_VALUE_DYNAMIC, node,
                      "joining values with constants is not supported");
    }
    SG_TRY(sg_attribute_int(node, "axis", 1, &axis));
    SG_TRY(sg_axis(node, axis, node->in[0]->shape.n_axes + 1, &axis));
    SG_NODE_CHECK(axis > 0, node, "axis 0 joins batches: not supported");
    SG_TRY(join_axes(node, axis - 1, axes));
    SG_TRY(sg_set_dynamic(node, node->in[0]->shape.n_axes, axes));
    SG_TRY(sg_own(node, sizeof *own, &own));
    own->part = sg_pool_take(&node->model->keep, (size_t)node->n_in, sizeof *own->part);
    SG_NODE_NOMEM(own->part, node);
    SG_TRY(sg_rows_of(node, node->out, (int)axis, (int)axis, &r));
    own->outer = r.outer;
    own->row = node->out->size / r.outer;
    for (int i = 0; i < node->n_in; i++) {
        own->part[i] = node->in[i]->size / r.outer;
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
            memcpy(call->y + o * own->row + offset, call->x[i] + o * part,
                   (size_t)part * sizeof(float));
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
        for (int64_t o = 0; o < call->batch * own->outer; o++) {
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
    .fold = fold,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
