/* src/net/ops/values_product.c - ONNX MatMul of two values, as in attention: y[..][m][n] =
 * a[..][m][k] b[..][k][n], the axes before spread by NumPy's rules. One side may be a constant. */
#include "net/ops/ops_impl.h"

#include <string.h>

struct product {
    int64_t m, n, k;
    int64_t count;   /* matrices a sample */
    int64_t *at[2];  /* [count] where each operand's matrix starts */
    int64_t size[2]; /* a sample; 0: a constant */
    int repeats[2];  /* some matrix of the operand is used more than once */
    const float *constant[2];
};

static const struct sg_op op_values_product;

/* Axes before the last two, spread over those of the result. */
static sg_status list_matrices(struct sg_node *node, int o, const struct sg_layout *in, int n_axes,
                               const int64_t *axes, int64_t matrix) {
    sg_status status = SG_OK;
    struct product *own = node->own;

    own->at[o] = sg_region_take(&node->model->keep, (size_t)own->count, sizeof *own->at[o]);
    SG_NODE_NOMEM(own->at[o], node);
    for (int64_t i = 0; i < own->count; i++) {
        int64_t rest = i, stride = matrix;

        for (int k = n_axes - 3; k >= 0; k--) {
            const int at = k - (n_axes - in->n_axes);
            const int64_t length = at >= 0 ? in->axes[at] : 1;

            own->at[o][i] += length > 1 ? rest % axes[k] * stride : 0;
            stride *= length;
            rest /= axes[k];
        }
        own->repeats[o] = own->count * matrix > (own->size[o] > 0 ? own->size[o] : INT64_MAX);
    }
done:
    return status;
}

/* An operand in plain order, with two axes at least. */
static sg_status read_operand(struct sg_node *node, int o, struct sg_layout *in) {
    sg_status status = SG_OK;
    struct product *own = node->own;
    const struct sg_constant *c;

    if (node->in[o]->kind == SG_VALUE_DYNAMIC) {
        SG_TRY(sg_make_whole(node, o));
        own->size[o] = node->in[o]->size;
    } else {
        SG_TRY(sg_float_constant(node, o, "side", &c));
        SG_TRY(sg_keep_floats(node, c->floats, c->n, &own->constant[o]));
    }
    sg_input_layout(node, o, in);
    SG_NODE_CHECK(in->n_axes >= 1 && in->n_axes < SG_CONSTANT_AXES, node, "a side has %d axes",
                  in->n_axes);
    if (in->n_axes == 1) { /* a row on the left, a column on the right */
        in->axes[o == 0 ? 1 : 0] = in->axes[0];
        in->axes[o] = 1;
        in->n_axes = 2;
    }
done:
    return status;
}

sg_status sg_become_values_product(struct sg_node *node) {
    sg_status status = SG_OK;
    struct sg_layout a, b, had[2];
    int64_t axes[SG_CONSTANT_AXES], kept[SG_CONSTANT_AXES];
    struct product *own;
    int n_axes, n_kept = 0;
    char ta[160], tb[160];

    SG_TRY(sg_own(node, sizeof *own, &own));
    sg_input_layout(node, 0, &had[0]);
    sg_input_layout(node, 1, &had[1]);
    SG_TRY(read_operand(node, 0, &a));
    SG_TRY(read_operand(node, 1, &b));
    n_axes = a.n_axes > b.n_axes ? a.n_axes : b.n_axes;
    own->m = a.axes[a.n_axes - 2];
    own->k = a.axes[a.n_axes - 1];
    own->n = b.axes[b.n_axes - 1];
    own->count = 1;
    for (int i = 0; i < n_axes - 2; i++) {
        const int ia = i - (n_axes - a.n_axes), ib = i - (n_axes - b.n_axes);
        const int64_t la = ia >= 0 ? a.axes[ia] : 1, lb = ib >= 0 ? b.axes[ib] : 1;

        axes[i] = la > 1 ? la : lb;
        own->count *= la == lb || la == 1 || lb == 1 ? axes[i] : 0;
    }
    SG_NODE_CHECK(own->count > 0 && own->k == b.axes[b.n_axes - 2], node,
                  "its sides of shapes %s and %s do not fit",
                  sg_axes_text(a.n_axes, a.axes, ta, sizeof ta),
                  sg_axes_text(b.n_axes, b.axes, tb, sizeof tb));
    axes[n_axes - 2] = own->m;
    axes[n_axes - 1] = own->n;
    for (int i = 0; i < n_axes; i++) {
        if (!(i == n_axes - 2 && had[0].n_axes == 1) && !(i == n_axes - 1 && had[1].n_axes == 1)) {
            kept[n_kept++] = axes[i];
        }
    }
    SG_TRY(list_matrices(node, 0, &a, n_axes, axes, own->m * own->k));
    SG_TRY(list_matrices(node, 1, &b, n_axes, axes, own->k * own->n));
    SG_NODE_CHECK(n_kept <= SG_MAX_AXES, node, "its result has %d axes", n_kept);
    SG_TRY(sg_set_onnx(node, n_kept, kept, 0));
    node->op = &op_values_product;
    node->flags = op_values_product.flags;
    node->multiply_adds = own->count * own->m * own->n * own->k;
done:
    return status;
}

static const float *matrix(const struct sg_call *call, int o, int64_t b, int64_t i) {
    const struct product *own = call->node->own;

    return (own->constant[o] != NULL ? own->constant[o] : call->x[o] + b * own->size[o]) +
           own->at[o][i];
}

static void forward(const struct sg_call *call) {
    const struct product *p = call->node->own;

    for (int64_t i = 0; i < call->batch * p->count; i++) {
        sg_gemm(0, 0, p->m, p->n, p->k, 1.0f, matrix(call, 0, i / p->count, i % p->count), p->k,
                matrix(call, 1, i / p->count, i % p->count), p->n, 0.0f, call->y + i * p->m * p->n,
                p->n);
    }
}

/* da = dy b', db = a' dy; matrices that were used again get a sum. */
static void backward(const struct sg_call *call) {
    const struct product *p = call->node->own;

    for (int o = 1; o >= 0; o--) {
        const float beta =
            call->dx[o] != NULL && (call->accumulate[o] || p->repeats[o]) ? 1.0f : 0.0f;

        if (call->dx[o] == NULL) {
            continue;
        }
        if (p->repeats[o] && !call->accumulate[o]) {
            memset(call->dx[o], 0, (size_t)(call->batch * p->size[o]) * sizeof(float));
        }
        for (int64_t i = 0; i < call->batch * p->count; i++) {
            const int64_t b = i / p->count, at = i % p->count;
            const float *dy = call->dy + i * p->m * p->n;
            float *dx = call->dx[o] + b * p->size[o] + p->at[o][at];

            if (o == 0) {
                sg_gemm(0, 1, p->m, p->k, p->n, 1.0f, dy, p->n, matrix(call, 1, b, at), p->n, beta,
                        dx, p->k);
            } else {
                sg_gemm(1, 0, p->k, p->n, p->m, 1.0f, matrix(call, 0, b, at), p->k, dy, p->n, beta,
                        dx, p->n);
            }
        }
    }
}

static const struct sg_op op_values_product = {
    .name = "product of values",
    .flags = SG_OP_TAKES_WHOLE | SG_OP_KEEPS_INPUT | SG_OP_PRODUCT,
    .forward = forward,
    .backward = backward,
};
