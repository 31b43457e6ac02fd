/* src/net/ops/select.c - ONNX Slice, Split, Gather and Transpose: parts of a value or a constant,
 * in another order. */
#include "net/ops/ops_impl.h"

#include <string.h>

/* Whole axes of the input but one. */
static sg_status other_axes(const struct sg_node *node, const struct sg_layout *in, int first,
                            int last, int shift, struct sg_map *map) {
    sg_status status = SG_OK;

    for (int i = first; i < last; i++) {
        SG_TRY(sg_map_steps(node, map, i + shift, in->axes[i], 0, in->strides[i]));
    }
done:
    return status;
}

static sg_status gather(struct sg_node *node) {
    sg_status status = SG_OK;
    const struct sg_constant *index;
    struct sg_map map = {0};
    struct sg_layout in = {0};
    int64_t axes[2 * SG_CONSTANT_AXES];
    int64_t axis;
    int n_axes = 0;

    SG_TRY(sg_check_inputs(node, 2, 2));
    SG_NODE_CHECK(sg_is_constant(node, 1) && node->in[1]->constant.ints != NULL, node,
                  "its indices must be known without running the network");
    index = &node->in[1]->constant;
    sg_input_layout(node, 0, &in);
    SG_TRY(sg_attribute_int(node, "axis", 0, &axis));
    SG_TRY(sg_axis(node, axis, in.n_axes, &axis));
    for (int i = 0; i < axis; i++) {
        axes[n_axes++] = in.axes[i];
    }
    for (int i = 0; i < index->n_axes; i++) {
        axes[n_axes++] = index->axes[i];
    }
    for (int i = (int)axis + 1; i < in.n_axes; i++) {
        axes[n_axes++] = in.axes[i];
    }
    SG_TRY(other_axes(node, &in, 0, (int)axis, 0, &map));
    SG_NODE_CHECK(n_axes <= SG_CONSTANT_AXES, node, "its result has %d axes", n_axes);
    SG_TRY(sg_map_loop(node, &map, (int)axis, index->n));
    for (int64_t i = 0; i < index->n; i++) {
        const int64_t at = index->ints[i] < 0 ? index->ints[i] + in.axes[axis] : index->ints[i];

        SG_NODE_CHECK(at >= 0 && at < in.axes[axis], node, "index %lld is outside of its input",
                      (long long)index->ints[i]);
        map.from[map.n - 1][i] = at * in.strides[axis];
    }
    /* Over all index axes runs one loop: counted as the last of them, it has its distance. */
    map.axis[map.n - 1] += index->n_axes > 0 ? index->n_axes - 1 : 0;
    SG_TRY(other_axes(node, &in, (int)axis + 1, in.n_axes, index->n_axes - 1, &map));
    SG_TRY(sg_map_end(node, &map, n_axes, axes));
done:
    return status;
}

static int64_t clamp(int64_t v, int64_t low, int64_t high) {
    return v < low ? low : v > high ? high : v;
}

/* One axis of a slice: first index and number of elements, by NumPy's rules. */
static void slice_axis(int64_t length, int64_t start, int64_t end, int64_t step, int64_t *first,
                       int64_t *n) {
    const int64_t low = step > 0 ? 0 : -1;
    const int64_t high = step > 0 ? length : length - 1;
    const int64_t limit = (int64_t)1 << 40; /* INT64_MAX stands for "to the end" */

    start = clamp(start, -limit, limit);
    end = clamp(end, -limit, limit);
    step = clamp(step, -limit, limit);
    start = clamp(start < 0 ? start + length : start, low, high);
    end = clamp(end < 0 ? end + length : end, low, high);
    *first = start;
    *n = step > 0 ? (end - start + step - 1) / step : (start - end - step - 1) / -step;
    *n = *n > 0 ? *n : 0;
}

struct slice {
    int64_t n;
    const int64_t *starts, *ends, *axes, *steps;
};

static sg_status read_slice(const struct sg_node *node, struct slice *s) {
    sg_status status = SG_OK;
    int64_t n[4];

    SG_TRY(sg_check_inputs(node, 1, 5));
    SG_TRY(sg_ints_from(node, "starts", 1, &n[0], &s->starts));
    SG_TRY(sg_ints_from(node, "ends", 2, &n[1], &s->ends));
    SG_TRY(sg_ints_from(node, "axes", 3, &n[2], &s->axes));
    SG_TRY(sg_ints_from(node, "steps", 4, &n[3], &s->steps));
    s->n = n[0];
    SG_NODE_CHECK(n[0] >= 1 && n[1] == n[0] && (n[2] < 0 || n[2] == n[0]) &&
                      (n[3] < 0 || n[3] == n[0]),
                  node, "its starts, ends, axes and steps differ in number");
done:
    return status;
}

static sg_status slice(struct sg_node *node) {
    sg_status status = SG_OK;
    int64_t first[SG_CONSTANT_AXES] = {0};
    int64_t step[SG_CONSTANT_AXES];
    struct sg_map map = {0};
    struct sg_layout in = {0};
    struct slice s;
    int64_t axis;

    SG_TRY(read_slice(node, &s));
    sg_input_layout(node, 0, &in);
    memcpy(step, in.strides, sizeof in.strides);
    for (int64_t i = 0; i < s.n; i++) {
        const int64_t by = s.steps != NULL ? s.steps[i] : 1;
        const int64_t limit = (int64_t)1 << 32;

        SG_TRY(sg_axis(node, s.axes != NULL ? s.axes[i] : i, in.n_axes, &axis));
        SG_NODE_CHECK(by != 0, node, "its step is 0");
        slice_axis(in.axes[axis], s.starts[i], s.ends[i], by, &first[axis], &in.axes[axis]);
        first[axis] *= in.strides[axis];
        step[axis] = clamp(by, -limit, limit) * in.strides[axis];
    }
    for (int i = 0; i < in.n_axes; i++) {
        SG_TRY(sg_map_steps(node, &map, i, in.axes[i], first[i], in.axes[i] > 1 ? step[i] : 0));
    }
    SG_TRY(sg_map_end(node, &map, in.n_axes, in.axes));
done:
    return status;
}

/* Each output of a Split is a node of its own. */
static sg_status split(struct sg_node *node) {
    sg_status status = SG_OK;
    const int64_t i_out = sg_output_index(node);
    const int64_t *parts;
    struct sg_map map = {0};
    struct sg_layout in = {0};
    int64_t axis, n, length, start = 0;

    SG_TRY(sg_check_inputs(node, 1, 2));
    sg_input_layout(node, 0, &in);
    SG_TRY(sg_attribute_int(node, "axis", 0, &axis));
    SG_TRY(sg_axis(node, axis, in.n_axes, &axis));
    SG_TRY(sg_ints_from(node, "split", 1, &n, &parts));
    SG_NODE_CHECK(n < 0 ? in.axes[axis] % node->source->n_out == 0 : n == node->source->n_out, node,
                  "its parts do not fit its %lld outputs", (long long)node->source->n_out);
    length = n < 0 ? in.axes[axis] / node->source->n_out : parts[i_out];
    for (int64_t i = 0; i < i_out; i++) {
        SG_NODE_CHECK(n < 0 || (parts[i] >= 0 && parts[i] <= in.axes[axis]), node,
                      "its parts do not fit its input");
        start += n < 0 ? length : parts[i];
        SG_NODE_CHECK(start <= in.axes[axis], node, "its parts do not fit its input");
    }
    SG_NODE_CHECK(length >= 0 && length <= in.axes[axis] - start, node,
                  "its parts do not fit its input");
    in.axes[axis] = length;
    for (int i = 0; i < in.n_axes; i++) {
        SG_TRY(sg_map_steps(node, &map, i, in.axes[i], i == axis ? start * in.strides[i] : 0,
                            in.strides[i]));
    }
    SG_TRY(sg_map_end(node, &map, in.n_axes, in.axes));
done:
    return status;
}

static sg_status transpose(struct sg_node *node) {
    sg_status status = SG_OK;
    struct sg_map map = {.turns = 1};
    int64_t axes[SG_CONSTANT_AXES];
    struct sg_layout in = {0};
    const int64_t *order;
    unsigned seen = 0;
    int64_t n;

    SG_TRY(sg_check_inputs(node, 1, 1));
    sg_input_layout(node, 0, &in);
    SG_TRY(sg_attribute_ints(node, "perm", &n, &order));
    SG_NODE_CHECK(order == NULL || n == in.n_axes, node, "its order has %lld axes for %d",
                  (long long)n, in.n_axes);
    for (int i = 0; i < in.n_axes; i++) {
        const int64_t k = order != NULL ? order[i] : in.n_axes - 1 - i;

        SG_NODE_CHECK(k >= 0 && k < in.n_axes && (seen >> k & 1) == 0, node,
                      "its order of axes is none");
        seen |= 1u << k;
        if (i == 0 && k != 0) {
            SG_TRY(sg_check_batch_axis(node, 0));
        }
        axes[i] = in.axes[k];
        SG_TRY(sg_map_steps(node, &map, i, axes[i], 0, in.strides[k]));
    }
    SG_TRY(sg_map_end(node, &map, in.n_axes, axes));
done:
    return status;
}

SG_MAPPING("Gather", gather);
SG_MAPPING("Slice", slice);
SG_MAPPING("Transpose", transpose);

const struct sg_op sg_op_split = {
    .name = "Split", .flags = SG_OP_TAKES_WHOLE | SG_OP_OUTPUTS, .fold = split, .infer = split};
