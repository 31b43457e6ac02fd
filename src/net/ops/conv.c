/* src/net/ops/conv.c - ONNX Conv over two spatial axes (others: volume.c): groups, dilation, any
 * padding; weights and bias are constants. */
#include "net/ops/ops_impl.h"

#include "sgdist/memory.h"

#include <string.h>

struct conv {
    struct sg_conv shape; /* of one sample */
    const float *weight;  /* [k][c/groups][kh][kw], until the build is over */
    const float *bias;    /* [k], or NULL */
    float *prepared;
};

static int64_t weight_size(const struct sg_conv *s) {
    return s->k * (s->c / s->groups) * s->kh * s->kw;
}

static sg_status check_weight(const struct sg_node *node, const struct sg_constant *w,
                              int64_t groups) {
    sg_status status = SG_OK;
    const int64_t c = node->in[0]->shape.axes[0];
    char text[160];

    (void)sg_axes_text(w->n_axes, w->axes, text, sizeof text);
    SG_NODE_CHECK(w->n_axes == 4, node,
                  "its weight has the shape %s; 4 axes (two spatial ones) are supported", text);
    SG_NODE_CHECK(w->n > 0, node, "its weight of shape %s is empty", text);
    SG_NODE_CHECK(groups >= 1 && groups <= c && c % groups == 0 && w->axes[0] % groups == 0, node,
                  "%lld groups do not divide %lld input and %lld output channels",
                  (long long)groups, (long long)c, (long long)w->axes[0]);
    SG_NODE_CHECK(w->axes[1] == c / groups, node,
                  "its weight of shape %s does not fit %lld input channels in %lld groups", text,
                  (long long)c, (long long)groups);
done:
    return status;
}

static sg_status read_bias(struct sg_node *node, struct conv *own) {
    sg_status status = SG_OK;
    const struct sg_constant *bias;

    if (sg_has_input(node, 2)) {
        SG_TRY(sg_float_constant(node, 2, "bias", &bias));
        SG_NODE_CHECK(bias->n == own->shape.k, node,
                      "its bias has %lld numbers for %lld output channels", (long long)bias->n,
                      (long long)own->shape.k);
        own->bias = bias->floats;
    }
done:
    return status;
}

static sg_status infer(struct sg_node *node) {
    sg_status status = SG_OK;
    const struct sg_constant *w;
    struct sg_window win = {0};
    struct conv *own;
    int64_t groups;

    SG_TRY(sg_check_inputs(node, 2, 3));
    if (node->in[0]->kind == SG_VALUE_DYNAMIC && !sg_is_spatial(node->in[0])) {
        SG_TRY(sg_become_volume(node, SG_VOLUME_CONV));
        return SG_OK;
    }
    SG_TRY(sg_check_rank(node, 0, 4));
    SG_TRY(sg_float_constant(node, 1, "weight", &w));
    SG_TRY(sg_attribute_int(node, "group", 1, &groups));
    SG_TRY(check_weight(node, w, groups));
    win.kernel[0] = w->axes[2];
    win.kernel[1] = w->axes[3];
    SG_TRY(sg_window_read(node, node->in[0], 0, &win));
    SG_TRY(sg_own(node, sizeof *own, &own));
    own->weight = w->floats;
    own->shape = (struct sg_conv){.n = 1,
                                  .h = node->in[0]->shape.axes[1],
                                  .w = node->in[0]->shape.axes[2],
                                  .c = node->in[0]->shape.axes[0],
                                  .oh = win.out[0],
                                  .ow = win.out[1],
                                  .k = w->axes[0],
                                  .kh = win.kernel[0],
                                  .kw = win.kernel[1],
                                  .stride_h = win.stride[0],
                                  .stride_w = win.stride[1],
                                  .dilation_h = win.dilation[0],
                                  .dilation_w = win.dilation[1],
                                  .pad_top = win.pad[0],
                                  .pad_left = win.pad[1],
                                  .pad_bottom = win.pad[2],
                                  .pad_right = win.pad[3],
                                  .groups = groups,
                                  .precision = node->model->what->precision};
    SG_TRY(read_bias(node, own));
    SG_TRY(sg_set_dynamic(node, 3, (const int64_t[]){w->axes[0], win.out[0], win.out[1]}));
    node->multiply_adds = node->out->size * (w->n / w->axes[0]);
done:
    return status;
}

/* scale (W x + b) + shift = (scale W) x + (scale b + shift). */
static sg_status absorb_affine(struct sg_node *node, const struct sg_affine *a) {
    sg_status status = SG_OK;
    struct conv *own = node->own;
    float *bias = sg_region_floats(&node->model->scratch, own->shape.k);

    SG_NODE_NOMEM(bias, node);
    for (int64_t k = 0; k < own->shape.k; k++) {
        const int64_t at = a->n > 1 ? k : 0;
        const double scale = a->scale != NULL ? (double)a->scale[at] : 1.0;
        const double shift = a->shift != NULL ? (double)a->shift[at] : 0.0;
        const double old = own->bias != NULL ? (double)own->bias[k] : 0.0;

        bias[k] = (float)(scale * old + shift);
    }
    own->bias = bias;
    SG_TRY(sg_absorb_scale(node, a));
done:
    return status;
}

static sg_status prepare(struct sg_node *node) {
    sg_status status = SG_OK;
    struct conv *own = node->own;

    own->shape.may_keep_ties = node->feeds_choice;
    own->shape.is_pooled = node->is_pooled;
    if (own->bias != NULL) {
        SG_TRY(sg_keep_floats(node, own->bias, own->shape.k, &own->bias));
    }
    SG_TRY(sg_make_floats(node, sg_conv_prepared_size(&own->shape), &own->prepared));
done:
    return status;
}

static sg_status fill(struct sg_node *node) {
    sg_status status = SG_OK;
    struct conv *own = node->own;
    const int64_t n = weight_size(&own->shape);
    float *scaled = NULL;

    if (node->scales != NULL) {
        scaled = sg_malloc_aligned((size_t)n, sizeof *scaled);
        SG_NODE_NOMEM(scaled, node);
        for (int64_t i = 0; i < n; i++) {
            scaled[i] = sg_scaled(node, i / (n / own->shape.k), own->weight[i]);
        }
    }
    sg_conv_prepare(&own->shape, scaled != NULL ? scaled : own->weight, own->prepared);
done:
    sg_free(scaled);
    return status;
}

static struct sg_conv shape_for(const struct sg_node *node, int64_t batch) {
    const struct conv *own = node->own;
    struct sg_conv shape = own->shape;

    shape.n = batch;
    return shape;
}

static void memory(const struct sg_node *node, int64_t batch, struct sg_need *need) {
    const struct sg_conv shape = shape_for(node, batch);

    need->work_bytes = sg_conv_work_size(&shape) * (int64_t)sizeof(float);
}

static int convolution(const struct sg_node *node, int64_t batch, struct sg_conv *out) {
    *out = shape_for(node, batch);
    return 0;
}

static size_t bytes_of_output(const struct sg_call *call) {
    return (size_t)(call->batch * call->node->out->size) * sizeof(float);
}

static void forward(const struct sg_call *call) {
    const struct conv *own = call->node->own;
    const int add = call->node->addend;
    struct sg_conv shape = shape_for(call->node, call->batch);

    shape.keeps_ties = call->keeps_ties;
    if (add > 0 && call->x[add] != call->y) {
        memcpy(call->y, call->x[add], bytes_of_output(call));
    }
    sg_conv_forward_masked(&shape, own->prepared, own->bias, call->node->relu, add > 0, call->x[0],
                           call->y, call->node->relu ? call->relu_mask : NULL, call->work);
}

/* The gradient of what is added is dy, and mostly lies there already. */
static void backward_addend(const struct sg_call *call, int add) {
    if (call->accumulate[add]) {
        sg_accumulate(call->dy, call->dx[add], call->batch * call->node->out->size);
    } else if (call->dx[add] != call->dy) {
        memcpy(call->dx[add], call->dy, bytes_of_output(call));
    }
}

static void backward(const struct sg_call *call) {
    const struct conv *own = call->node->own;
    const struct sg_conv shape = shape_for(call->node, call->batch);

    if (call->node->addend > 0) {
        backward_addend(call, call->node->addend);
    }

    sg_conv_backward_masked(&shape, own->prepared, call->dy, call->dx[0], call->accumulate[0],
                            call->cut_mask, call->work);
}

/* ---- with the max pooling behind it ---- */

static int may_pool(const struct sg_node *node) {
    const struct conv *own = node->own;
    struct sg_conv shape = own->shape;

    shape.may_keep_ties = 1; /* since a maximum follows */
    return node->addend == 0 && node->relu != SG_RELU_6 && sg_conv_may_pool(&shape);
}

static void forward_pooled(const struct sg_call *call, const struct sg_call *pool) {
    const struct conv *own = call->node->own;
    struct sg_conv shape = shape_for(call->node, call->batch);

    shape.keeps_ties = call->keeps_ties;
    sg_conv_forward_pooled(&shape, own->prepared, own->bias, call->node->relu, call->x[0], pool->y,
                           pool->kept, call->work);
}

static void backward_pooled(const struct sg_call *call, const struct sg_call *pool, int cut) {
    const struct conv *own = call->node->own;
    const struct sg_conv shape = shape_for(call->node, call->batch);

    sg_conv_backward_pooled(&shape, own->prepared, pool->kept, cut, pool->dy, call->dx[0],
                            call->accumulate[0], call->cut_mask, call->work);
}

static const struct sg_pooled_pass pooled = {
    .applies = may_pool, .forward = forward_pooled, .backward = backward_pooled};

const struct sg_op sg_op_conv = {
    .name = "Conv",
    .flags = SG_OP_FUSES_RELU | SG_OP_RELU_INSIDE | SG_OP_BITS_INSIDE | SG_OP_ADDS,
    .infer = infer,
    .prepare = prepare,
    .fill = fill,
    .memory = memory,
    .forward = forward,
    .backward = backward,
    .convolution = convolution,
    .pooled = &pooled,
    .absorb_affine = absorb_affine,
};
