/* src/net/ops/conv_transpose.c - ONNX ConvTranspose over two spatial axes (others: volume.c): the
 * backward pass of a convolution run forward. Weights and bias are constants. */
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

/* The window of the convolution that goes the other way; w->out: the axes of our output. */
static sg_status read_geometry(const struct sg_node *node, const struct sg_constant *weight,
                               struct sg_window *w) {
    sg_status status = SG_OK;
    const int64_t *in = node->in[0]->shape.axes + 1;
    const int n = node->in[0]->shape.n_axes - 1;
    int64_t extra[3] = {0}, wanted[3] = {0};
    const char *mode;
    int found, has_shape;

    *w = (struct sg_window){.n = n, .stride = {1, 1, 1}, .dilation = {1, 1, 1}};
    memcpy(w->kernel, weight->axes + 2, (size_t)n * sizeof w->kernel[0]);
    SG_TRY(sg_attribute_text(node, "auto_pad", "NOTSET", &mode));
    SG_TRY(read_list(node, "strides", n, 1, w->stride, &found));
    SG_TRY(read_list(node, "dilations", n, 1, w->dilation, &found));
    SG_TRY(read_list(node, "pads", 2 * n, 0, w->pad, &found));
    SG_TRY(read_list(node, "output_padding", n, 0, extra, &found));
    SG_TRY(read_list(node, "output_shape", n, 1, wanted, &has_shape));
    for (int i = 0; i < n; i++) {
        const int64_t extent = (w->kernel[i] - 1) * w->dilation[i] + 1;
        int64_t *before = &w->pad[i], *after = &w->pad[i + n];

        lay_axis(mode, has_shape, wanted[i], in[i], w->stride[i], extent, extra[i], before, after,
                 &w->out[i]);
        SG_NODE_CHECK(in[i] <= max_length && w->out[i] >= 1 && w->out[i] <= max_length, node,
                      "its output would have an axis of %lld", (long long)w->out[i]);
        /* The convolution may not see what output_padding adds: its window must end before it. */
        *after = (in[i] - 1) * w->stride[i] + extent - *before - w->out[i];
        *after = *after > 0 ? *after : 0;
    }
done:
    return status;
}

static void lay_plane(const struct sg_node *node, const struct sg_window *w, struct sg_conv *s) {
    s->h = w->out[0];
    s->w = w->out[1];
    s->oh = node->in[0]->shape.axes[1];
    s->ow = node->in[0]->shape.axes[2];
    s->kh = w->kernel[0];
    s->kw = w->kernel[1];
    s->stride_h = w->stride[0];
    s->stride_w = w->stride[1];
    s->dilation_h = w->dilation[0];
    s->dilation_w = w->dilation[1];
    s->pad_top = w->pad[0];
    s->pad_left = w->pad[1];
    s->pad_bottom = w->pad[2];
    s->pad_right = w->pad[3];
}

static sg_status read_weight(const struct sg_node *node, const struct sg_constant **w,
                             int64_t *groups) {
    sg_status status = SG_OK;
    const int64_t c = node->in[0]->shape.axes[0];
    const int n = node->in[0]->shape.n_axes - 1;

    SG_NODE_CHECK(n >= 1 && n <= 3, node, "its input has %d image axes; 1 to 3 are supported", n);
    SG_TRY(sg_float_constant(node, 1, "weight", w));
    SG_TRY(sg_attribute_int(node, "group", 1, groups));
    SG_NODE_CHECK((*w)->n_axes == n + 2 && (*w)->n > 0 && (*w)->axes[0] == c, node,
                  "its weight does not fit %lld input channels", (long long)c);
    SG_NODE_CHECK(*groups >= 1 && *groups <= c && c % *groups == 0, node,
                  "%lld groups do not divide %lld input channels", (long long)*groups,
                  (long long)c);
done:
    return status;
}

static sg_status read_bias(struct sg_node *node, int64_t c, const float **out) {
    sg_status status = SG_OK;
    const struct sg_constant *bias;

    if (sg_has_input(node, 2)) {
        SG_TRY(sg_float_constant(node, 2, "bias", &bias));
        SG_NODE_CHECK(bias->n == c, node, "its bias has %lld numbers for %lld channels",
                      (long long)bias->n, (long long)c);
        SG_TRY(sg_keep_floats(node, bias->floats, bias->n, out));
    }
done:
    return status;
}

static sg_status infer(struct sg_node *node) {
    sg_status status = SG_OK;
    const struct sg_constant *w = NULL;
    struct sg_window win;
    struct conv_transpose *own;
    const float **weight_at, **bias_at;
    int64_t groups, c;

    SG_TRY(sg_check_inputs(node, 2, 3));
    SG_NODE_CHECK(node->in[0]->kind == SG_VALUE_DYNAMIC, node, "its input is a constant");
    SG_TRY(read_weight(node, &w, &groups));
    SG_TRY(read_geometry(node, w, &win));
    c = w->axes[1] * groups;
    if (!sg_is_spatial(node->in[0])) {
        SG_TRY(sg_become_transposed_volume(node, &win, c, groups, &weight_at, &bias_at));
        SG_TRY(sg_keep_floats(node, w->floats, w->n, weight_at));
        SG_TRY(read_bias(node, c, bias_at));
        return SG_OK;
    }
    SG_TRY(sg_own(node, sizeof *own, &own));
    own->shape = (struct sg_conv){.n = 1, .c = c, .k = w->axes[0], .groups = groups};
    lay_plane(node, &win, &own->shape);
    own->weight = w->floats;
    SG_TRY(read_bias(node, c, &own->bias));
    SG_TRY(sg_set_dynamic(node, 3, (const int64_t[]){c, own->shape.h, own->shape.w}));
    node->multiply_adds = node->in[0]->size * (w->n / w->axes[0]);
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

static int convolution(const struct sg_node *node, int64_t batch, struct sg_conv *out) {
    *out = shape_for(node, batch);
    return 1;
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
    .convolution = convolution,
    .forward = forward,
    .backward = backward,
};
