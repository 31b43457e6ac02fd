/* src/net/ops/pooling.c - ONNX MaxPool and AveragePool over two spatial axes (others: volume.c).
 * Padding never wins a maximum; an average counts it where count_include_pad says so. */
#include "net/ops/ops_impl.h"

static sg_status infer(struct sg_node *node, enum sg_volume_kind kind) {
    sg_status status = SG_OK;
    const struct sg_value *in = node->in[0];
    struct sg_window win = {0};
    struct sg_pool *own;
    const int64_t *dilations;
    int64_t ceil_mode, include_pad, n;

    SG_TRY(sg_check_inputs(node, 1, 1));
    SG_TRY(sg_attribute_ints(node, "dilations", &n, &dilations));
    if (!sg_is_spatial(in) || (n == 2 && (dilations[0] != 1 || dilations[1] != 1))) {
        SG_TRY(sg_become_volume(node, kind));
        return SG_OK;
    }
    SG_TRY(sg_attribute_int(node, "ceil_mode", 0, &ceil_mode));
    SG_TRY(sg_attribute_int(node, "count_include_pad", 0, &include_pad));
    SG_TRY(sg_window_read(node, in, ceil_mode != 0, &win));
    for (int i = 0; i < 4; i++) { /* otherwise a window could see nothing but padding */
        SG_NODE_CHECK(win.pad[i] < win.kernel[i % 2], node,
                      "padding of %lld is not smaller than its window of %lld",
                      (long long)win.pad[i], (long long)win.kernel[i % 2]);
    }
    SG_TRY(sg_own(node, sizeof *own, &own));
    *own = (struct sg_pool){.h = in->shape.axes[1],
                            .w = in->shape.axes[2],
                            .c = in->shape.axes[0],
                            .oh = win.out[0],
                            .ow = win.out[1],
                            .kh = win.kernel[0],
                            .kw = win.kernel[1],
                            .stride_h = win.stride[0],
                            .stride_w = win.stride[1],
                            .pad_top = win.pad[0],
                            .pad_left = win.pad[1],
                            .pad_bottom = win.pad[2],
                            .pad_right = win.pad[3],
                            .count_include_pad = include_pad != 0};
    SG_TRY(sg_set_dynamic(node, 3, (const int64_t[]){own->c, own->oh, own->ow}));
done:
    return status;
}

static sg_status infer_max(struct sg_node *node) {
    return infer(node, SG_VOLUME_MAX);
}

static sg_status infer_average(struct sg_node *node) {
    return infer(node, SG_VOLUME_AVERAGE);
}

static struct sg_pool shape_for(const struct sg_call *call) {
    const struct sg_pool *own = call->node->own;
    struct sg_pool shape = *own;

    shape.n = call->batch;
    return shape;
}

static int is_wide(const struct sg_node *node) {
    const struct sg_pool *own = node->own;

    return own->kh * own->kw > SG_POOL_MAX_NARROW;
}

static void memory_max(const struct sg_node *node, int64_t batch, struct sg_need *need) {
    const int64_t width = is_wide(node) ? (int64_t)sizeof(int32_t) : 1;

    need->kept_bytes = batch * node->out->size * width;
}

static void forward_max(const struct sg_call *call) {
    const struct sg_pool shape = shape_for(call);

    if (is_wide(call->node)) {
        sg_max_pool_forward_wide(&shape, call->x[0], call->y, call->kept);
    } else {
        sg_max_pool_forward(&shape, call->x[0], call->y, call->kept);
    }
}

/* What a plain Relu before it cuts is known from the maxima, if nothing else has a part in dx. */
static void backward_max(const struct sg_call *call) {
    const struct sg_pool shape = shape_for(call);
    const int64_t n = call->batch * call->node->in[0]->size;
    const int cuts = call->cut_mask != NULL && !call->accumulate[0] && !is_wide(call->node) &&
                     call->node->in[0]->root->producer->relu == SG_RELU_PLAIN;

    if (is_wide(call->node)) {
        sg_max_pool_backward_wide(&shape, call->kept, call->dy, call->dx[0], call->accumulate[0]);
    } else {
        sg_max_pool_backward(&shape, call->kept, call->dy, call->dx[0], call->accumulate[0], cuts);
    }
    if (call->cut_mask != NULL && !cuts) {
        sg_relu_backward(call->cut_mask, call->dx[0], call->dx[0], n, 0);
    }
}

/* ---- a maximum as a choice: counters [oh][ow][kh kw][c] ---- */

static int64_t n_counters(const struct sg_node *node) {
    const struct sg_pool *own = node->own;

    return node->out->size * own->kh * own->kw;
}

static void count_winners(const struct sg_call *call, int64_t j, int64_t first, int64_t n,
                          int32_t *at) {
    const struct sg_pool *own = call->node->own;
    const int64_t from = j * call->node->out->size + first;
    const uint8_t *narrow = call->kept;
    const int32_t *wide = call->kept;
    const int is_narrow = !is_wide(call->node);

    for (int64_t i = 0; i < n; i++) {
        const int32_t tap = !is_narrow ? wide[from + i]
                            : narrow[from + i] == SG_POOL_OUTSIDE
                                ? -1
                                : narrow[from + i] % SG_POOL_CLOSED;
        const int64_t pixel = (first + i) / own->c, c = (first + i) % own->c;

        at[i] = tap < 0 ? -1 : (int32_t)((pixel * own->kh * own->kw + tap) * own->c + c);
    }
}

static void backward_shares(const struct sg_call *call, const float *shares) {
    const struct sg_pool shape = shape_for(call);

    sg_max_pool_backward_shares(&shape, shares, call->dy, call->dx[0], call->accumulate[0]);
}

static const struct sg_choice choice = {
    .n_counters = n_counters, .counted = count_winners, .backward = backward_shares};

static int tiles_by_2(const struct sg_node *node) {
    const struct sg_pool *own = node->own;

    return own->kh == 2 && own->kw == 2 && sg_pool_tiles(own);
}

static void forward_average(const struct sg_call *call) {
    const struct sg_pool shape = shape_for(call);

    sg_average_pool_forward(&shape, call->x[0], call->y);
}

static void backward_average(const struct sg_call *call) {
    const struct sg_pool shape = shape_for(call);

    sg_average_pool_backward(&shape, call->dy, call->dx[0], call->accumulate[0]);
}

const struct sg_op sg_op_max_pool = {
    .name = "MaxPool",
    .flags = SG_OP_BITS_INSIDE | SG_OP_CHOOSES,
    .infer = infer_max,
    .memory = memory_max,
    .forward = forward_max,
    .backward = backward_max,
    .choice = &choice,
    .tiles_by_2 = tiles_by_2,
};

const struct sg_op sg_op_average_pool = {
    .name = "AveragePool",
    .infer = infer_average,
    .forward = forward_average,
    .backward = backward_average,
};
