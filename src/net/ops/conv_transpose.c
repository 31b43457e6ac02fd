/* src/net/ops/conv_transpose.c - ONNX ConvTranspose over two spatial axes: the backward pass of a
 * convolution run forward. Weights and bias are constants. */
#include "net/ops/ops_impl.h"

#include <string.h>

struct conv_transpose {
    struct sg_conv shape; /* of the convolution that goes the other way: from our output */
    const float *weight;
    const float *bias; /* or NULL */
    float *prepared;
};

static const int64_t max_length = (int64_t)1 << 24;

static sg_status read_list(const struct sg_node *node, const char *name, int64_t n_wanted,
                           int64_t least, int64_t *out, int *found) {
    sg_status status = SG_OK;
    const int64_t *values;
    int64_t n;

    SG_TRY(sg_attribute_ints(node, name, &n, &values));
    SG_NODE_CHECK(n == 0 || n == n_wanted, node, "'%s' has %lld numbers; %lld are supported", name,
                  (long long)n, (long long)n_wanted);
    for (int64_t i = 0; i < n; i++) {
        SG_NODE_CHECK(values[i] >= least && values[i] <= max_length, node,
                      "'%s' holds %lld, which is not possible", name, (long long)values[i]);
        out[i] = values[i];
    }
    *found = n > 0;
done:
    return status;
}

/* One axis: the output's length and the padding that is cut from it. */
static void lay_axis(const char *mode, int has_shape, int64_t wanted, int64_t in, int64_t stride,
                     int64_t extent, int64_t extra, int64_t *before, int64_t *after, int64_t *out) {
    const int same = strcmp(mode, "SAME_UPPER") == 0 || strcmp(mode, "SAME_LOWER") == 0;

    *out = has_shape ? wanted : same ? in * stride : 0;
    if (*out > 0) {
        const int64_t total = stride * (in - 1) + extra + extent - *out;
        const int64_t cut = total > 0 ? total : 0;

        *before = strcmp(mode, "SAME_UPPER") == 0 ? cut / 2 : cut - cut / 2;
        *after = cut - *before;
    } else {
        *out = stride * (in - 1) + extra + extent - *before - *after;
    }
}

static sg_status read_geometry(const struct sg_node *node, const struct sg_constant *w,
                               struct sg_conv *s) {
    sg_status status = SG_OK;
    const int64_t *in = node->in[0]->shape.axes + 1;
    int64_t stride[2] = {1, 1}, dilation[2] = {1, 1}, pad[4] = {0}, extra[2] = {0}, wanted[2] = {0};
    int64_t out[2], before[2], after[2];
    const char *mode;
    int found, has_shape;

    SG_TRY(sg_attribute_text(node, "auto_pad", "NOTSET", &mode));
    SG_TRY(read_list(node, "strides", 2, 1, stride, &found));
    SG_TRY(read_list(node, "dilations", 2, 1, dilation, &found));
    SG_TRY(read_list(node, "pads", 4, 0, pad, &found));
    SG_TRY(read_list(node, "output_padding", 2, 0, extra, &found));
    SG_TRY(read_list(node, "output_shape", 2, 1, wanted, &has_shape));
    for (int i = 0; i < 2; i++) {
        const int64_t extent = (w->axes[2 + i] - 1) * dilation[i] + 1;

        before[i] = pad[i];
        after[i] = pad[i + 2];
        lay_axis(mode, has_shape, wanted[i], in[i], stride[i], extent, extra[i], &before[i],
                 &after[i], &out[i]);
        SG_NODE_CHECK(in[i] <= max_length && out[i] >= 1 && out[i] <= max_length, node,
                      "its output would have an axis of %lld", (long long)out[i]);
        /* The convolution may not see what output_padding adds: its window must end before it. */
        after[i] = (in[i] - 1) * stride[i] + extent - before[i] - out[i];
    }
    s->h = out[0];
    s->w = out[1];
    s->oh = in[0];
    s->ow = in[1];
    s->stride_h = stride[0];
    s->stride_w = stride[1];
    s->dilation_h = dilation[0];
    s->dilation_w = dilation[1];
    s->pad_top = before[0];
    s->pad_left = before[1];
    s->pad_bottom = after[0] > 0 ? after[0] : 0;
    s->pad_right = after[1] > 0 ? after[1] : 0;
done:
    return status;
}

static sg_status infer(struct sg_node *node) {
    sg_status status = SG_OK;
    const struct sg_constant *w, *bias;
    struct conv_transpose *own;
    int64_t groups, c;

    SG_TRY(sg_check_inputs(node, 2, 3));
    SG_TRY(sg_check_rank(node, 0, 4));
    SG_TRY(sg_float_constant(node, 1, "weight", &w));
    SG_TRY(sg_attribute_int(node, "group", 1, &groups));
    c = node->in[0]->shape.axes[0];
    SG_NODE_CHECK(w->n_axes == 4 && w->n > 0 && w->axes[0] == c, node,
                  "its weight does not fit %lld input channels", (long long)c);
    SG_NODE_CHECK(groups >= 1 && groups <= c && c % groups == 0, node,
                  "%lld groups do not divide %lld input channels", (long long)groups, (long long)c);
    SG_TRY(sg_own(node, sizeof *own, &own));
    own->shape = (struct sg_conv){.n = 1,
                                  .c = w->axes[1] * groups,
                                  .k = c,
                                  .kh = w->axes[2],
                                  .kw = w->axes[3],
                                  .groups = groups};
    SG_TRY(read_geometry(node, w, &own->shape));
    own->weight = w->floats;
    if (sg_has_input(node, 2)) {
        SG_TRY(sg_float_constant(node, 2, "bias", &bias));
        SG_NODE_CHECK(bias->n == own->shape.c, node, "its bias has %lld numbers for %lld channels",
                      (long long)bias->n, (long long)own->shape.c);
        SG_TRY(sg_keep_floats(node, bias->floats, bias->n, &own->bias));
    }
    SG_TRY(sg_set_dynamic(node, 3, (const int64_t[]){own->shape.c, own->shape.h, own->shape.w}));
    node->multiply_adds = node->in[0]->size * (w->n / c);
done:
    return status;
}

static sg_status prepare(struct sg_node *node) {
    struct conv_transpose *own = node->own;

    return sg_make_floats(node, sg_conv_prepared_size(&own->shape), &own->prepared);
}

static sg_status fill(struct sg_node *node) {
    struct conv_transpose *own = node->own;

    sg_conv_prepare(&own->shape, own->weight, own->prepared);
    return SG_OK;
}

static struct sg_conv shape_for(const struct sg_node *node, int64_t batch) {
    const struct conv_transpose *own = node->own;
    struct sg_conv shape = own->shape;

    shape.n = batch;
    return shape;
}

static void memory(const struct sg_node *node, int64_t batch, struct sg_need *need) {
    const struct sg_conv shape = shape_for(node, batch);

    need->work_bytes = sg_conv_work_size(&shape) * (int64_t)sizeof(float);
}

static void forward(const struct sg_call *call) {
    const struct conv_transpose *own = call->node->own;
    const struct sg_conv shape = shape_for(call->node, call->batch);

    for (int64_t i = 0; i < call->batch * call->node->out->size; i++) {
        call->y[i] = own->bias != NULL ? own->bias[i % shape.c] : 0.0f;
    }
    sg_conv_backward(&shape, own->prepared, call->x[0], call->y, 1, call->work);
}

static void backward(const struct sg_call *call) {
    const struct conv_transpose *own = call->node->own;
    const struct sg_conv shape = shape_for(call->node, call->batch);

    if (call->accumulate[0]) {
        sg_conv_forward_add(&shape, own->prepared, NULL, 0, call->dy, call->dx[0], call->work);
    } else {
        sg_conv_forward(&shape, own->prepared, NULL, 0, call->dy, call->dx[0], call->work);
    }
}

const struct sg_op sg_op_conv_transpose = {
    .name = "ConvTranspose",
    .flags = SG_OP_FUSES_RELU,
    .infer = infer,
    .prepare = prepare,
    .fill = fill,
    .memory = memory,
    .forward = forward,
    .backward = backward,
};
