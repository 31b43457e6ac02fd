/* src/net/ops/values_product.c - ONNX MatMul of two values, as in attention: y[..][m][n] =
 * a[..][m][k] b[..][k][n], the axes before spread by NumPy's rules. One side may be a constant. */
#include "net/ops/ops_impl.h"

#include <string.h>

struct product {
    int64_t m, n, k;
    int64_t count;                /* matrices a sample */
    struct sg_placement place[3]; /* [count] matrices of each operand and of the result */
    int64_t size[2];              /* a sample; 0: a constant */
    int repeats[2]; /* some element of the operand is used more than once, or not at all */
    const float *constant[2];
    float factor;
};

static const struct sg_op op_values_product;

/* Axes before the last two, spread over those of the result. */
static sg_status list_matrices(struct sg_node *node, int o, const struct sg_layout *in, int n_axes,
                               const int64_t *axes, int64_t matrix) {
    sg_status status = SG_OK;
    struct product *own = node->own;
    int64_t *at = sg_region_take(&node->model->keep, (size_t)own->count, sizeof *at);

    SG_NODE_NOMEM(at, node);
    for (int64_t i = 0; i < own->count; i++) {
        int64_t rest = i, stride = matrix;

        for (int k = n_axes - 3; k >= 0; k--) {
            const int axis = k - (n_axes - in->n_axes);
            const int64_t length = axis >= 0 ? in->axes[axis] : 1;

            at[i] += length > 1 ? rest % axes[k] * stride : 0;
            stride *= length;
            rest /= axes[k];
        }
        own->repeats[o] = own->count * matrix > (own->size[o] > 0 ? own->size[o] : INT64_MAX);
    }
    own->place[o] = (struct sg_placement){.at = at, .step = in->axes[in->n_axes - 1]};
done:
    return status;
}

static sg_status list_results(struct sg_node *node) {
    sg_status status = SG_OK;
    struct product *own = node->own;
    int64_t *at = sg_region_take(&node->model->keep, (size_t)own->count, sizeof *at);

    SG_NODE_NOMEM(at, node);
    for (int64_t i = 0; i < own->count; i++) {
        at[i] = i * own->m * own->n;
    }
    own->place[2] = (struct sg_placement){.at = at, .step = own->n};
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
    SG_TRY(list_results(node));
    own->factor = 1.0f;
    node->multiply_adds = own->count * own->m * own->n * own->k;
done:
    return status;
}

/* ---- operands and results that lie among others ---- */

int sg_is_values_product(const struct sg_node *node) {
    return node->op == &op_values_product;
}

static void size_of(const struct product *p, int o, int64_t *rows, int64_t *cols) {
    *rows = o == 1 ? p->k : p->m;
    *cols = o == 0 ? p->k : p->n;
}

sg_status sg_product_place(const struct sg_node *node, int o, const int64_t *source,
                           struct sg_placement *out, int *fits) {
    sg_status status = SG_OK;
    const struct product *p = node->own;
    const struct sg_placement *had = &p->place[o];
    int64_t *at = sg_region_take(&node->model->keep, (size_t)p->count, sizeof *at);
    const int64_t *first = source + had->at[0];
    int64_t rows, cols, row_step, col_step;

    SG_NODE_NOMEM(at, node);
    size_of(p, o, &rows, &cols);
    col_step = cols > 1 ? first[1] - first[0] : 1;
    row_step = rows > 1 ? first[cols] - first[0] : col_step == 1 ? cols : 1;
    *fits = (col_step == 1 && row_step >= cols) || (row_step == 1 && col_step >= rows && o < 2);
    for (int64_t i = 0; i < p->count && *fits; i++) {
        const int64_t *from = source + had->at[i];

        at[i] = from[0];
        for (int64_t k = 0; k < rows * cols && *fits; k++) {
            *fits = from[k] >= 0 && from[k] == at[i] + k / cols * row_step + k % cols * col_step;
        }
    }
    *out = (struct sg_placement){
        .at = at, .step = col_step == 1 ? row_step : col_step, .transposed = col_step != 1};
done:
    return status;
}

void sg_product_read(struct sg_node *node, int o, struct sg_value *from,
                     const struct sg_placement *p) {
    struct product *own = node->own;

    own->place[o] = *p;
    own->repeats[o] = own->repeats[o] || from->size != own->size[o];
    own->size[o] = from->size;
    node->in[o] = from;
}

void sg_product_write(struct sg_node *node, const struct sg_placement *p) {
    ((struct product *)node->own)->place[2] = *p;
}

void sg_product_multiply(struct sg_node *node, double by) {
    struct product *own = node->own;

    own->factor = (float)((double)own->factor * by);
}

/* ---- at work ---- */

/* One matrix of a side: op(at) is what it stands for. */
struct side {
    const float *at;
    int64_t step;
    int transposed;
};

static struct side side_of(const struct sg_call *call, int o, int64_t i) {
    const struct product *p = call->node->own;
    const int64_t start = i / p->count * p->size[o] + p->place[o].at[i % p->count];
    const float *from = p->constant[o] != NULL ? p->constant[o] : call->x[o];

    return (struct side){from + start, p->place[o].step, p->place[o].transposed};
}

static struct side result_of(const struct sg_call *call, const float *all, int64_t i) {
    const struct product *p = call->node->own;
    const int64_t start = i / p->count * call->node->out->size + p->place[2].at[i % p->count];

    return (struct side){all + start, p->place[2].step, 0};
}

static struct side flipped(struct side s) {
    s.transposed = !s.transposed;
    return s;
}

/* to[m][n] = factor op(a) op(b) + beta to. */
static void multiply(const struct product *p, int64_t m, int64_t n, int64_t k, struct side a,
                     struct side b, float beta, float *to, int64_t step) {
    sg_gemm(a.transposed, b.transposed, m, n, k, p->factor, a.at, a.step, b.at, b.step, beta, to,
            step);
}

static void forward(const struct sg_call *call) {
    const struct product *p = call->node->own;

    for (int64_t i = 0; i < call->batch * p->count; i++) {
        const struct side y = result_of(call, call->y, i);

        multiply(p, p->m, p->n, p->k, side_of(call, 0, i), side_of(call, 1, i), 0.0f,
                 call->y + (y.at - call->y), y.step);
    }
}

/* da = dy b', db = a' dy, or both sides the other way round where the operand lies transposed. */
static void backward_matrix(const struct sg_call *call, int o, int64_t i, float beta) {
    const struct product *p = call->node->own;
    const struct side dy = result_of(call, call->dy, i);
    const struct side other = side_of(call, 1 - o, i);
    const struct sg_placement *place = &p->place[o];
    float *dx = call->dx[o] + i / p->count * p->size[o] + place->at[i % p->count];

    if (o == 0 && !place->transposed) {
        multiply(p, p->m, p->k, p->n, dy, flipped(other), beta, dx, place->step);
    } else if (o == 0) {
        multiply(p, p->k, p->m, p->n, other, flipped(dy), beta, dx, place->step);
    } else if (!place->transposed) {
        multiply(p, p->k, p->n, p->m, flipped(other), dy, beta, dx, place->step);
    } else {
        multiply(p, p->n, p->k, p->m, flipped(dy), other, beta, dx, place->step);
    }
}

/* Operands of which elements were used again or not at all get a sum. */
static void backward(const struct sg_call *call) {
    const struct product *p = call->node->own;

    for (int o = 1; o >= 0; o--) {
        if (call->dx[o] == NULL) {
            continue;
        }
        if (p->repeats[o] && !call->accumulate[o]) {
            memset(call->dx[o], 0, (size_t)(call->batch * p->size[o]) * sizeof(float));
        }
        for (int64_t i = 0; i < call->batch * p->count; i++) {
            backward_matrix(call, o, i, call->accumulate[o] || p->repeats[o] ? 1.0f : 0.0f);
        }
    }
}

static const struct sg_op op_values_product = {
    .name = "product of values",
    .flags = SG_OP_TAKES_WHOLE | SG_OP_KEEPS_INPUT | SG_OP_PRODUCT,
    .forward = forward,
    .backward = backward,
};
