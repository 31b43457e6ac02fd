/* src/net/reshape.c - changes of shape: views where the order in memory allows it, otherwise by way
 * of the plain ONNX order. */
#include "net/kernels.h"
#include "net/net_impl.h"

#include <string.h>

/* Own node: channels and positions of one sample. */
struct order {
    int64_t channels;
    int64_t plane;
};

static void to_plain(const struct sg_call *call) {
    const struct order *o = call->node->own;

    sg_nhwc_to_nchw(call->batch, o->channels, o->plane, call->x[0], call->y);
}

static void to_channels_last(const struct sg_call *call) {
    const struct order *o = call->node->own;

    sg_nchw_to_nhwc(call->batch, o->channels, o->plane, call->x[0], call->y);
}

/* The gradient goes the other way; where there is a part already, by way of the work space. */
static void backward(const struct sg_call *call,
                     void (*turn)(int64_t, int64_t, int64_t, const float *, float *)) {
    const struct order *o = call->node->own;

    turn(call->batch, o->channels, o->plane, call->dy,
         call->accumulate[0] ? call->work : call->dx[0]);
    if (call->accumulate[0]) {
        sg_accumulate(call->work, call->dx[0], call->batch * o->channels * o->plane);
    }
}

static void to_plain_backward(const struct sg_call *call) {
    backward(call, sg_nchw_to_nhwc);
}

static void to_channels_last_backward(const struct sg_call *call) {
    backward(call, sg_nhwc_to_nchw);
}

static void memory(const struct sg_node *node, int64_t batch, struct sg_need *need) {
    need->work_bytes = batch * node->out->size * (int64_t)sizeof(float);
}

const struct sg_op sg_op_to_plain = {
    .name = "to rows",
    .memory = memory,
    .forward = to_plain,
    .backward = to_plain_backward,
};

const struct sg_op sg_op_to_channels_last = {
    .name = "to channels-last",
    .memory = memory,
    .forward = to_channels_last,
    .backward = to_channels_last_backward,
};

static sg_status insert_turn(struct sg_node *node, const struct sg_op *op, struct sg_value *in,
                             int64_t channels, int n_axes, const int64_t *axes,
                             struct sg_value **out) {
    sg_status status = SG_OK;
    struct sg_node *turn;
    struct order *o;

    SG_TRY(sg_insert_node(node, op, in, &turn));
    SG_TRY(sg_own(turn, sizeof *o, &o));
    *o = (struct order){.channels = channels, .plane = in->size / channels};
    SG_TRY(sg_set_dynamic(turn, n_axes, axes));
    *out = turn->out;
done:
    return status;
}

sg_status sg_make_plain(struct sg_node *node, int i) {
    sg_status status = SG_OK;
    struct sg_value *in = node->in[i];

    SG_TRY(insert_turn(node, &sg_op_to_plain, in, in->hwc_channels, in->shape.n_axes,
                       in->shape.axes, &node->in[i]));
done:
    return status;
}

/* Resolves -1 of a wanted shape. */
static sg_status resolve(const struct sg_node *node, int n_axes, const int64_t *axes,
                         int64_t *out) {
    sg_status status = SG_OK;
    const struct sg_value *in = node->in[0];
    int64_t known = 1;
    int unknown = -1;
    char from[160];
    char to[160];

    (void)sg_shape_text(&in->shape, from, sizeof from);
    (void)sg_axes_text(n_axes, axes, to, sizeof to);
    SG_NODE_CHECK(n_axes <= SG_MAX_AXES + 1, node, "it reshapes to %d axes; up to %d are supported",
                  n_axes, SG_MAX_AXES + 1);
    for (int i = 0; i < n_axes; i++) {
        out[i] = axes[i];
        SG_NODE_CHECK(axes[i] >= 1 || (axes[i] == -1 && unknown < 0), node,
                      "it reshapes %s to %s, which is not known before the run", from, to);
        if (axes[i] == -1) {
            unknown = i;
        } else {
            SG_NODE_CHECK(!__builtin_mul_overflow(known, axes[i], &known), node,
                          "it reshapes %s to %s: too large", from, to);
        }
    }
    if (unknown >= 0) {
        out[unknown] = in->size / known;
        known *= out[unknown];
    }
    SG_NODE_CHECK(known == in->size, node,
                  "it reshapes %s to %s, which has another size for a single sample; a batch size "
                  "may be written into the model: export it with a dynamic batch axis",
                  from, to);
done:
    return status;
}

/* The channels of the order in memory: of a spatial value, or of one that is flattened. 1: plain.
 */
static int64_t channels_in_memory(const struct sg_value *v) {
    const int64_t channels = v->hwc_channels > 0 ? v->hwc_channels
                             : sg_is_spatial(v)  ? v->shape.axes[0]
                                                 : 1;

    return channels == v->size ? 1 : channels;
}

/* Four axes stay channels-last where they are so already: 1, C, ... of the same C. Otherwise they
 * are a whole value, until an operator wants an image. */
sg_status sg_reshape_to(struct sg_node *node, int n_axes, const int64_t *axes) {
    sg_status status = SG_OK;
    struct sg_value *in = node->in[0];
    const int64_t had = channels_in_memory(in);
    int64_t target[SG_MAX_AXES + 1] = {0};
    int64_t wants;
    int whole, n;

    SG_TRY(resolve(node, n_axes, axes, target));
    whole = n_axes < 2 || target[0] != 1;
    wants = n_axes == 4 && !whole && target[1] != in->size ? target[1] : 1;
    if (wants > 1 && had != wants && target[2] * target[3] > 1) {
        whole = 1;
        wants = 1;
    }
    n = n_axes - !whole;
    node->out->whole = whole;
    memmove(target, target + !whole, sizeof target - sizeof target[0]);
    if (had == wants) {
        SG_TRY(sg_set_view(node, in, n, target, 0));
    } else if (n == 1 && !whole) {
        SG_TRY(sg_set_view(node, in, n, target, had));
    } else {
        if (had > 1) {
            SG_TRY(insert_turn(node, &sg_op_to_plain, in, had, 1, &in->size, &in));
        }
        SG_TRY(sg_set_view(node, in, n, target, 0));
    }
done:
    return status;
}

/* A view of `in` as another value of the same storage and size. */
static sg_status view_of(struct sg_node *node, struct sg_value *in, int whole, int n_axes,
                         const int64_t *axes, struct sg_value **out) {
    sg_status status = SG_OK;
    struct sg_value *v;

    SG_TRY(sg_new_value(node->model, in->name, &v));
    *v = (struct sg_value){.name = in->name,
                           .kind = SG_VALUE_DYNAMIC,
                           .size = in->size,
                           .whole = whole,
                           .root = in->root};
    v->shape.n_axes = n_axes;
    memcpy(v->shape.axes, axes, (size_t)n_axes * sizeof axes[0]);
    *out = v;
done:
    return status;
}

sg_status sg_make_ordinary(struct sg_node *node, int i) {
    sg_status status = SG_OK;
    struct sg_value *in = node->in[i];
    const int n = in->shape.n_axes - 1;
    const int64_t *axes = in->shape.axes;
    char text[160];

    SG_NODE_CHECK(n >= 1 && axes[0] == 1, node,
                  "its input '%s' has the shape %s, whose first axis is not the batch: not "
                  "supported by this operator",
                  in->name, sg_axes_text(n + 1, axes, text, sizeof text));
    if (n == 3 && axes[1] > 1 && axes[2] * axes[3] > 1) {
        SG_TRY(insert_turn(node, &sg_op_to_channels_last, in, axes[1], n, axes + 1, &node->in[i]));
    } else {
        SG_TRY(view_of(node, in, 0, n, axes + 1, &node->in[i]));
    }
done:
    return status;
}

sg_status sg_make_whole(struct sg_node *node, int i) {
    sg_status status = SG_OK;
    struct sg_value *in = node->in[i];
    const int64_t channels = channels_in_memory(in);
    int64_t axes[SG_MAX_AXES + 1] = {1};

    if (in->whole) {
        return SG_OK;
    }
    SG_NODE_CHECK(in->shape.n_axes < SG_MAX_AXES, node, "its input has too many axes");
    memcpy(axes + 1, in->shape.axes, (size_t)in->shape.n_axes * sizeof axes[0]);
    if (channels > 1) {
        const int64_t flat = in->size;

        SG_TRY(insert_turn(node, &sg_op_to_plain, in, channels, 1, &flat, &in));
    }
    SG_TRY(view_of(node, in, 1,
                   in == node->in[i] ? in->shape.n_axes + 1 : node->in[i]->shape.n_axes + 1, axes,
                   &node->in[i]));
done:
    return status;
}
