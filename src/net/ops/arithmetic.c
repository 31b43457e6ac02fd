/* src/net/ops/arithmetic.c - ONNX Add, Sub, Mul, Div, opset 7 and later: of a value and a constant
 * (an affine map), of two values (equal shapes, or one that repeats over the image or the channels),
 * and of constants at load. */
#include "net/ops/ops_impl.h"

#include <string.h>

enum kind { ADD, SUB, MUL, DIV };

/* Two values over [plane][channels] of a sample; a stride of 0 repeats. */
struct pair {
    int64_t plane;
    int64_t channels;
    int same; /* equal shapes */
    int64_t size[2];
    int64_t stride[2][2]; /* [operand][plane, channel] */
};

static inline float apply(enum kind kind, float a, float b) {
    return kind == ADD ? a + b : kind == SUB ? a - b : kind == MUL ? a * b : a / b;
}

/* d(a op b) / d operand, times dy. */
static inline float slope(enum kind kind, int operand, float a, float b, float dy) {
    if (kind == ADD || kind == SUB) {
        return kind == SUB && operand == 1 ? -dy : dy;
    }
    if (kind == MUL) {
        return operand == 0 ? dy * b : dy * a;
    }
    return operand == 0 ? dy / b : -dy * (a / b) / b;
}

static inline void forward(const struct sg_call *call, enum kind kind) {
    const struct pair *own = call->node->own;
    const int64_t size = own->plane * own->channels;

    if (own->same) {
        for (int64_t i = 0; i < call->batch * size; i++) {
            call->y[i] = apply(kind, call->x[0][i], call->x[1][i]);
        }
        return;
    }
    for (int64_t n = 0; n < call->batch; n++) {
        const float *a = call->x[0] + n * own->size[0];
        const float *b = call->x[1] + n * own->size[1];
        float *y = call->y + n * size;

        for (int64_t p = 0; p < own->plane; p++) {
            for (int64_t c = 0; c < own->channels; c++) {
                y[p * own->channels + c] =
                    apply(kind, a[p * own->stride[0][0] + c * own->stride[0][1]],
                          b[p * own->stride[1][0] + c * own->stride[1][1]]);
            }
        }
    }
}

/* Where an operand repeats, its gradient is the sum over the repetitions, in the order of memory. */
static inline void backward_spread(const struct sg_call *call, enum kind kind, int o) {
    const struct pair *own = call->node->own;
    const int64_t size = own->plane * own->channels;
    const int reads = kind == MUL || kind == DIV; /* otherwise the operands are not kept */

    if (!call->accumulate[o]) {
        memset(call->dx[o], 0, (size_t)(call->batch * own->size[o]) * sizeof(float));
    }
    for (int64_t n = 0; n < call->batch; n++) {
        for (int64_t p = 0; p < own->plane; p++) {
            for (int64_t c = 0; c < own->channels; c++) {
                const int64_t at[2] = {
                    n * own->size[0] + p * own->stride[0][0] + c * own->stride[0][1],
                    n * own->size[1] + p * own->stride[1][0] + c * own->stride[1][1]};
                const float a = reads ? call->x[0][at[0]] : 0.0f;
                const float b = reads ? call->x[1][at[1]] : 0.0f;

                call->dx[o][at[o]] +=
                    slope(kind, o, a, b, call->dy[n * size + p * own->channels + c]);
            }
        }
    }
}

static inline void backward_same(const struct sg_call *call, enum kind kind, int o) {
    const int64_t n = call->batch * call->node->out->size;
    const int reads = kind == MUL || kind == DIV;

    if (call->accumulate[o]) {
        for (int64_t i = 0; i < n; i++) {
            call->dx[o][i] += slope(kind, o, reads ? call->x[0][i] : 0.0f,
                                    reads ? call->x[1][i] : 0.0f, call->dy[i]);
        }
    } else {
        for (int64_t i = 0; i < n; i++) {
            call->dx[o][i] = slope(kind, o, reads ? call->x[0][i] : 0.0f,
                                   reads ? call->x[1][i] : 0.0f, call->dy[i]);
        }
    }
}

/* The second operand first: the first one's gradient may lie where dy does. */
static inline void backward(const struct sg_call *call, enum kind kind) {
    const struct pair *own = call->node->own;

    for (int o = 1; o >= 0; o--) {
        if (own->same) {
            backward_same(call, kind, o);
        } else {
            backward_spread(call, kind, o);
        }
    }
}

/* The strides of operand o under the shape [C, plane] (or [plane of rows, last axis]). */
static sg_status fit(const struct sg_node *node, int o, const struct sg_value *full,
                     struct pair *own) {
    sg_status status = SG_OK;
    const struct sg_value *v = node->in[o];
    char a[160];
    char b[160];

    own->size[o] = v->size;
    if (v->size == full->size) {
        own->stride[o][0] = own->channels;
        own->stride[o][1] = 1;
    } else if (v->size == own->channels && v->shape.axes[0] == own->channels) {
        own->stride[o][1] = 1;
    } else if (v->size == own->plane && v->shape.axes[0] == 1) {
        own->stride[o][0] = 1;
    } else {
        SG_NODE_CHECK(v->size == 1, node, "operands of shapes %s and %s are not supported",
                      sg_shape_text(&node->in[0]->shape, a, sizeof a),
                      sg_shape_text(&node->in[1]->shape, b, sizeof b));
    }
done:
    return status;
}

static sg_status infer_two_values(struct sg_node *node, enum kind kind) {
    sg_status status = SG_OK;
    const struct sg_shape *a = &node->in[0]->shape;
    const struct sg_shape *b = &node->in[1]->shape;
    const struct sg_value *full = node->in[node->in[1]->size > node->in[0]->size ? 1 : 0];
    struct pair *own;
    char ta[160];
    char tb[160];

    SG_TRY(sg_own(node, sizeof *own, &own));
    own->same = a->n_axes == b->n_axes &&
                memcmp(a->axes, b->axes, (size_t)a->n_axes * sizeof a->axes[0]) == 0;
    SG_NODE_CHECK(own->same || (a->n_axes == 3 && b->n_axes == 3), node,
                  "operands of shapes %s and %s are not supported", sg_shape_text(a, ta, sizeof ta),
                  sg_shape_text(b, tb, sizeof tb));
    for (int i = 0; i < a->n_axes; i++) {
        SG_NODE_CHECK(full->shape.axes[i] >= a->axes[i] && full->shape.axes[i] >= b->axes[i], node,
                      "operands of shapes %s and %s are not supported",
                      sg_shape_text(a, ta, sizeof ta), sg_shape_text(b, tb, sizeof tb));
    }
    own->channels = full->shape.axes[0];
    own->plane = full->size / own->channels;
    SG_TRY(fit(node, 0, full, own));
    SG_TRY(fit(node, 1, full, own));
    if (kind == MUL || kind == DIV) {
        node->flags |= SG_OP_KEEPS_INPUT;
    }
    if (own->same) {
        node->flags |= SG_OP_INPLACE | SG_OP_GRAD_INPLACE;
    }
    SG_TRY(sg_set_dynamic(node, full->shape.n_axes, full->shape.axes));
done:
    return status;
}

/* x op c and c op x as scale x + shift. */
static sg_status infer_constant(struct sg_node *node, enum kind kind) {
    sg_status status = SG_OK;
    const int i_constant = sg_is_constant(node, 0) ? 0 : 1;
    struct sg_value *v = node->in[1 - i_constant];
    const struct sg_constant *c;
    const float *spread;
    float *vector;
    int64_t period;

    SG_TRY(sg_float_constant(node, i_constant, "operand", &c));
    SG_TRY(sg_broadcast(node, c, v, &period, &spread));
    SG_NODE_CHECK(kind != DIV || i_constant == 1, node,
                  "a constant divided by a value is not supported");
    vector = sg_pool_floats(&node->model->scratch, 2 * period);
    SG_NODE_NOMEM(vector, node);
    for (int64_t i = 0; i < period; i++) {
        vector[i] = kind == SUB && i_constant == 1 ? -spread[i]
                    : kind == DIV                  ? 1.0f / spread[i]
                                                   : spread[i];
        vector[period + i] = -1.0f; /* the scale of c - x */
    }
    node->n_parameters += node->in[i_constant]->counted ? 0 : c->n;
    node->in[i_constant]->counted = 1;
    if (kind == MUL || kind == DIV) {
        SG_TRY(sg_become_affine(node, v, period, vector, NULL));
    } else {
        SG_TRY(sg_become_affine(node, v, period,
                                kind == SUB && i_constant == 0 ? vector + period : NULL, vector));
    }
done:
    return status;
}

static sg_status infer(struct sg_node *node, enum kind kind) {
    sg_status status = SG_OK;

    SG_TRY(sg_check_inputs(node, 2, 2));
    if (sg_is_constant(node, 0) || sg_is_constant(node, 1)) {
        SG_TRY(infer_constant(node, kind));
    } else {
        SG_TRY(infer_two_values(node, kind));
    }
done:
    return status;
}

/* Whole numbers at load; the batch axis passes where it stays itself. */
static int fold_ints(enum kind kind, int64_t a, int64_t b, int64_t *out) {
    if (a == SG_BATCH || b == SG_BATCH) {
        const int64_t other = a == SG_BATCH ? b : a;
        const int neutral = kind == ADD || kind == SUB ? 0 : 1;

        *out = SG_BATCH;
        return other == neutral && (a == SG_BATCH || kind == ADD || kind == MUL);
    }
    if (kind == DIV) {
        if (b == 0 || (a == INT64_MIN && b == -1)) {
            return 0;
        }
        *out = a / b;
        return 1;
    }
    return kind == ADD   ? !__builtin_add_overflow(a, b, out)
           : kind == SUB ? !__builtin_sub_overflow(a, b, out)
                         : !__builtin_mul_overflow(a, b, out);
}

/* The shape of both together, and for output element i the elements of a and b: one of them holds a
 * single number, or the shapes are equal. */
static sg_status fold(struct sg_node *node, enum kind kind) {
    sg_status status = SG_OK;
    const struct sg_constant *a, *b, *full;

    SG_TRY(sg_check_inputs(node, 2, 2));
    a = &node->in[0]->constant;
    b = &node->in[1]->constant;
    full = a->n > b->n || (a->n == b->n && a->n_axes >= b->n_axes) ? a : b;
    SG_NODE_CHECK(a->n == 1 || b->n == 1 ||
                      (a->n == b->n && a->n_axes == b->n_axes &&
                       memcmp(a->axes, b->axes, (size_t)a->n_axes * sizeof a->axes[0]) == 0),
                  node, "constants of different shapes are not supported");
    SG_NODE_CHECK((a->ints != NULL) == (b->ints != NULL), node,
                  "it mixes whole and floating-point numbers");
    if (a->ints != NULL) {
        int64_t *out;

        SG_TRY(sg_set_ints(node, full->n_axes, full->axes, &out));
        for (int64_t i = 0; i < full->n; i++) {
            SG_NODE_CHECK(fold_ints(kind, a->ints[a->n == 1 ? 0 : i], b->ints[b->n == 1 ? 0 : i],
                                    &out[i]),
                          node, "it calculates with the batch size, or overflows");
        }
    } else {
        float *out;

        SG_TRY(sg_set_floats(node, full->n_axes, full->axes, &out));
        for (int64_t i = 0; i < full->n; i++) {
            out[i] = apply(kind, a->floats[a->n == 1 ? 0 : i], b->floats[b->n == 1 ? 0 : i]);
        }
    }
done:
    return status;
}

#define ARITHMETIC(op_name, file_name, kind)                                                       \
    static sg_status infer_##file_name(struct sg_node *node) {                                     \
        return infer(node, kind);                                                                  \
    }                                                                                              \
    static sg_status fold_##file_name(struct sg_node *node) {                                      \
        return fold(node, kind);                                                                   \
    }                                                                                              \
    static void forward_##file_name(const struct sg_call *call) {                                  \
        forward(call, kind);                                                                       \
    }                                                                                              \
    static void backward_##file_name(const struct sg_call *call) {                                 \
        backward(call, kind);                                                                      \
    }                                                                                              \
    const struct sg_op sg_op_##file_name = {                                                       \
        .name = op_name,                                                                           \
        .flags = SG_OP_FUSES_RELU,                                                                 \
        .fold = fold_##file_name,                                                                  \
        .infer = infer_##file_name,                                                                \
        .forward = forward_##file_name,                                                            \
        .backward = backward_##file_name,                                                          \
    }

ARITHMETIC("Add", add, ADD);
ARITHMETIC("Sub", sub, SUB);
ARITHMETIC("Mul", mul, MUL);
ARITHMETIC("Div", div, DIV);
