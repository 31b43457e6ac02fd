/* src/net/ops/gemm.c - ONNX Gemm and MatMul with a constant right side: y[rows][m] = x[rows][k]
 * W + b. Over a flattened image that lies channels-last, the rows of W are put into that order at
 * load instead of turning every image. */
#include "net/ops/ops_impl.h"
#include "sgdist/memory.h"

#include <string.h>

/* Weights up to which our own kernel does the product where a sample is one row: OpenBLAS, which
 * packs both sides again for each call, takes 1.5 to 3 times as long (Zen 3, 4 and 16 samples, 10 x
 * 512 to 128 x 512 weights). Ours keeps the weights twice, once for each direction, and its sums in
 * one piece, so that long ones would be less exact. */
enum { MAX_OWN = 1 << 16, MAX_TERMS = 2304 };

struct product {
    int64_t rows; /* a sample */
    int64_t k;
    int64_t m;
    int transposed;     /* weights are [m][k] instead of [k][m] */
    float alpha;        /* they are multiplied by it */
    int64_t channels;   /* of a channels-last input, in whose order they are brought; else 1 */
    const float *given; /* as they came, until the build is over */
    float *weight;
    const float *bias; /* [m], or NULL */
    enum sg_precision precision;
    int is_conv; /* a 1x1 convolution over the rows does it, with weights of its own form: in other
                  * precisions, where equal rows must give equal bits, and where it is faster */
};

/* beta C, spread over the m columns. */
static sg_status read_bias(struct sg_node *node, float beta) {
    sg_status status = SG_OK;
    struct product *own = node->own;
    const struct sg_constant *c;
    float *bias;

    SG_TRY(sg_float_constant(node, 2, "bias", &c));
    SG_NODE_CHECK(
        (c->n == own->m || c->n == 1) && c->n_axes <= 2 && (c->n_axes < 2 || c->axes[0] == 1), node,
        "its bias must be one number or one for each of its %lld outputs", (long long)own->m);
    bias = sg_region_floats(&node->model->scratch, own->m);
    SG_NODE_NOMEM(bias, node);
    for (int64_t j = 0; j < own->m; j++) {
        bias[j] = beta * c->floats[c->n == 1 ? 0 : j];
    }
    own->bias = bias;
done:
    return status;
}

static sg_status become_product(struct sg_node *node, int transposed, float alpha, float beta,
                                int has_bias) {
    sg_status status = SG_OK;
    const struct sg_value *in = node->in[0];
    const int last = in->shape.n_axes - 1;
    const struct sg_constant *w;
    struct product *own;
    int64_t axes[SG_MAX_AXES];
    char text[160];

    SG_TRY(sg_float_constant(node, 1, "right side", &w));
    SG_NODE_CHECK(w->n_axes == 2 && w->n > 0 && w->axes[transposed ? 1 : 0] == in->shape.axes[last],
                  node, "its weight of shape %s does not fit an input of %lld features",
                  sg_axes_text(w->n_axes, w->axes, text, sizeof text),
                  (long long)in->shape.axes[last]);
    SG_TRY(sg_own(node, sizeof *own, &own));
    *own = (struct product){.k = in->shape.axes[last],
                            .m = w->axes[transposed ? 0 : 1],
                            .transposed = transposed,
                            .alpha = alpha,
                            .channels = in->hwc_channels > 1 ? in->hwc_channels : 1,
                            .given = w->floats,
                            .precision = node->model->what->precision};
    own->rows = in->size / own->k;
    if (has_bias) {
        SG_TRY(read_bias(node, beta));
    }
    memcpy(axes, in->shape.axes, sizeof axes);
    axes[last] = own->m;
    node->out->whole = in->whole;
    SG_TRY(sg_set_dynamic(node, in->shape.n_axes, axes));
    node->multiply_adds = own->rows * own->k * own->m;
done:
    return status;
}

struct gemm {
    int64_t trans_a, trans_b;
    float alpha, beta;
};

static sg_status read_gemm(const struct sg_node *node, struct gemm *g) {
    sg_status status = SG_OK;

    SG_TRY(sg_check_inputs(node, 2, 3));
    SG_TRY(sg_attribute_int(node, "transA", 0, &g->trans_a));
    SG_TRY(sg_attribute_int(node, "transB", 0, &g->trans_b));
    SG_TRY(sg_attribute_float(node, "alpha", 1.0f, &g->alpha));
    SG_TRY(sg_attribute_float(node, "beta", 1.0f, &g->beta));
done:
    return status;
}

static sg_status times(struct sg_node *node, float by, struct sg_value **v) {
    sg_status status = SG_OK;
    struct sg_value *number = NULL;

    if (by != 1.0f) {
        SG_TRY(sg_new_number(node, by, &number));
        SG_TRY(sg_lower(node, "Mul", *v, number, v));
    }
done:
    return status;
}

/* alpha op(A) op(B) + beta C of any operands, by the operators that it is made of. */
static sg_status lower_gemm(struct sg_node *node) {
    sg_status status = SG_OK;
    const int has_bias = sg_has_input(node, 2);
    struct sg_value *side[2], *bias = has_bias ? node->in[2] : NULL;
    struct sg_value *product = NULL;
    int64_t axes[SG_CONSTANT_AXES];
    struct gemm g;

    SG_TRY(read_gemm(node, &g));
    for (int i = 0; i < 2; i++) {
        SG_NODE_CHECK(sg_input_axes(node, i, axes) == 2, node, "its sides must have two axes");
        side[i] = node->in[i];
        if (i == 0 ? g.trans_a != 0 : g.trans_b != 0) {
            SG_TRY(sg_lower(node, "Transpose", side[i], NULL, &side[i]));
        }
    }
    SG_TRY(sg_lower(node, "MatMul", side[0], side[1], &product));
    SG_TRY(times(node, g.alpha, &product));
    if (has_bias) {
        SG_TRY(times(node, g.beta, &bias));
        SG_TRY(sg_lower(node, "Add", product, bias, &product));
    }
    SG_TRY(sg_become(node, product));
done:
    return status;
}

/* One number, or a row of them, for every row of the result. */
static int is_row_bias(const struct sg_node *node) {
    const struct sg_constant *c;

    if (!sg_has_input(node, 2)) {
        return 1;
    }
    c = &node->in[2]->constant;
    return sg_is_constant(node, 2) && (c->n_axes < 2 || (c->n_axes == 2 && c->axes[0] == 1));
}

/* A layer where the weights are constants; otherwise a product of values. */
static sg_status infer_gemm(struct sg_node *node) {
    sg_status status = SG_OK;
    struct gemm g;

    SG_TRY(read_gemm(node, &g));
    if (node->in[0]->kind != SG_VALUE_DYNAMIC || !sg_is_constant(node, 1) || g.trans_a != 0 ||
        !is_row_bias(node)) {
        if (node->in[0]->kind == SG_VALUE_DYNAMIC && node->in[0]->hwc_channels > 0) {
            SG_TRY(sg_make_plain(node, 0));
        }
        SG_TRY(lower_gemm(node));
        return SG_OK;
    }
    SG_TRY(sg_check_rank(node, 0, 2));
    SG_TRY(become_product(node, g.trans_b != 0, g.alpha, g.beta, sg_has_input(node, 2)));
done:
    return status;
}

/* A constant matrix on the right is a layer; all else is a product of values. */
static sg_status infer_mat_mul(struct sg_node *node) {
    sg_status status = SG_OK;

    SG_TRY(sg_check_inputs(node, 2, 2));
    if (node->in[0]->kind != SG_VALUE_DYNAMIC || !sg_is_constant(node, 1) ||
        node->in[1]->constant.n_axes != 2 || node->in[0]->shape.n_axes == 0) {
        SG_TRY(sg_become_values_product(node));
        return SG_OK;
    }
    if (sg_is_spatial(node->in[0])) {
        SG_TRY(sg_make_whole(node, 0));
    }
    SG_TRY(become_product(node, 0, 1.0f, 1.0f, 0));
done:
    return status;
}

/* scale (x W + b) + shift, per column. */
static sg_status absorb_affine(struct sg_node *node, const struct sg_affine *a) {
    sg_status status = SG_OK;
    struct product *own = node->own;
    float *bias = sg_region_floats(&node->model->scratch, own->m);

    SG_NODE_NOMEM(bias, node);
    for (int64_t j = 0; j < own->m; j++) {
        const int64_t at = a->n > 1 ? j : 0;
        const double scale = a->scale != NULL ? (double)a->scale[at] : 1.0;
        const double shift = a->shift != NULL ? (double)a->shift[at] : 0.0;

        bias[j] = (float)(scale * (own->bias != NULL ? (double)own->bias[j] : 0.0) + shift);
    }
    own->bias = bias;
    SG_TRY(sg_absorb_scale(node, a));
done:
    return status;
}

static int64_t n_rows(const struct sg_node *node) {
    return ((const struct product *)node->own)->rows;
}

static void set_rows(struct sg_node *node, int64_t n) {
    ((struct product *)node->own)->rows = n;
}

static struct sg_conv shape_for(const struct sg_node *node, int64_t batch) {
    const struct product *own = node->own;

    return (struct sg_conv){.n = batch,
                            .h = 1,
                            .w = own->rows,
                            .c = own->k,
                            .oh = 1,
                            .ow = own->rows,
                            .k = own->m,
                            .kh = 1,
                            .kw = 1,
                            .stride_h = 1,
                            .stride_w = 1,
                            .dilation_h = 1,
                            .dilation_w = 1,
                            .groups = 1,
                            .precision = own->precision};
}

static int is_small(const struct product *own) {
    return own->k * own->m <= MAX_OWN && own->k <= MAX_TERMS && own->m <= MAX_TERMS;
}

static sg_status prepare(struct sg_node *node) {
    sg_status status = SG_OK;
    struct product *own = node->own;
    const struct sg_conv shape = shape_for(node, 1);

    own->is_conv = own->precision != SG_PRECISION_FLOAT32 ||
                   (own->rows > 1 ? node->feeds_choice : is_small(own));
    SG_TRY(sg_make_floats(node, own->is_conv ? sg_conv_prepared_size(&shape) : own->k * own->m,
                          &own->weight));
    if (own->bias != NULL) {
        SG_TRY(sg_keep_floats(node, own->bias, own->m, &own->bias));
    }
done:
    return status;
}

/* to[m][k] or [k][m]: scaled, and in the order of memory. */
static void order(const struct sg_node *node, int transposed, float *to) {
    const struct product *own = node->own;
    const int64_t plane = own->k / own->channels;

    for (int64_t i = 0; i < own->k; i++) {
        const int64_t row = i % plane * own->channels + i / plane;

        for (int64_t j = 0; j < own->m; j++) {
            const int64_t from = own->transposed ? j * own->k + i : i * own->m + j;

            to[transposed ? j * own->k + row : row * own->m + j] =
                sg_scaled(node, j, own->alpha * own->given[from]);
        }
    }
}

static sg_status fill_conv(struct sg_node *node) {
    sg_status status = SG_OK;
    struct product *own = node->own;
    const struct sg_conv shape = shape_for(node, 1);
    float *ordered = sg_malloc_aligned((size_t)(own->k * own->m), sizeof *ordered);

    SG_NODE_NOMEM(ordered, node);
    order(node, 1, ordered);
    sg_conv_prepare(&shape, ordered, own->weight);
done:
    sg_free(ordered);
    return status;
}

static sg_status fill(struct sg_node *node) {
    struct product *own = node->own;

    if (own->is_conv) {
        return fill_conv(node);
    }
    if (own->channels == 1 && own->alpha == 1.0f && node->scales == NULL) {
        memcpy(own->weight, own->given, (size_t)(own->k * own->m) * sizeof *own->weight);
    } else {
        order(node, own->transposed, own->weight);
    }
    return SG_OK;
}

static void memory(const struct sg_node *node, int64_t batch, struct sg_need *need) {
    const struct product *own = node->own;
    const struct sg_conv shape = shape_for(node, batch);

    if (own->is_conv) {
        need->work_bytes = sg_conv_work_size(&shape) * (int64_t)sizeof(float);
    }
}

static void forward(const struct sg_call *call) {
    const struct product *own = call->node->own;
    const struct sg_conv shape = shape_for(call->node, call->batch);
    const int64_t rows = call->batch * own->rows;

    if (own->is_conv) {
        sg_conv_forward(&shape, own->weight, own->bias, 0, call->x[0], call->y, call->work);
        return;
    }
    for (int64_t r = 0; r < rows && own->bias != NULL; r++) {
        memcpy(call->y + r * own->m, own->bias, (size_t)own->m * sizeof(float));
    }
    sg_gemm(0, own->transposed, rows, own->m, own->k, 1.0f, call->x[0], own->k, own->weight,
            own->transposed ? own->k : own->m, own->bias != NULL ? 1.0f : 0.0f, call->y, own->m);
}

static void backward(const struct sg_call *call) {
    const struct product *own = call->node->own;
    const struct sg_conv shape = shape_for(call->node, call->batch);

    if (own->is_conv) {
        sg_conv_backward(&shape, own->weight, call->dy, call->dx[0], call->accumulate[0],
                         call->work);
        return;
    }
    sg_gemm(0, !own->transposed, call->batch * own->rows, own->k, own->m, 1.0f, call->dy, own->m,
            own->weight, own->transposed ? own->k : own->m, call->accumulate[0] ? 1.0f : 0.0f,
            call->dx[0], own->k);
}

const struct sg_op sg_op_gemm = {
    .name = "Gemm",
    .flags = SG_OP_FUSES_RELU | SG_OP_TAKES_HWC | SG_OP_TAKES_WHOLE,
    .fold = lower_gemm,
    .infer = infer_gemm,
    .n_rows = n_rows,
    .set_rows = set_rows,
    .prepare = prepare,
    .fill = fill,
    .memory = memory,
    .forward = forward,
    .backward = backward,
    .absorb_affine = absorb_affine,
};

const struct sg_op sg_op_mat_mul = {
    .name = "MatMul",
    .flags = SG_OP_FUSES_RELU | SG_OP_TAKES_HWC | SG_OP_TAKES_WHOLE,
    .infer = infer_mat_mul,
    .n_rows = n_rows,
    .set_rows = set_rows,
    .prepare = prepare,
    .fill = fill,
    .memory = memory,
    .forward = forward,
    .backward = backward,
    .absorb_affine = absorb_affine,
};
