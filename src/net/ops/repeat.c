/* src/net/ops/repeat.c - ONNX Expand and Tile: values and constants that repeat along axes. */
#include "net/ops/ops_impl.h"

/* The input with axes of length 1 before it, up to n_axes. */
static void pad_axes(struct sg_layout *in, int n_axes) {
    const int more = n_axes - in->n_axes;

    for (int i = n_axes - 1; i >= 0 && more > 0; i--) {
        in->axes[i] = i >= more ? in->axes[i - more] : 1;
        in->strides[i] = i >= more ? in->strides[i - more] : 0;
    }
    in->n_axes = more > 0 ? n_axes : in->n_axes;
}

static sg_status expand(struct sg_node *node) {
    sg_status status = SG_OK;
    struct sg_layout in = {0};
    struct sg_map map = {0};
    const int64_t *wanted;
    int64_t n;

    SG_TRY(sg_check_inputs(node, 2, 2));
    SG_TRY(sg_ints_from(node, "shape", 1, &n, &wanted));
    SG_NODE_CHECK(n >= 0 && n <= SG_CONSTANT_AXES, node, "a shape of %lld axes is not supported",
                  (long long)n);
    sg_input_layout(node, 0, &in);
    pad_axes(&in, (int)n);
    for (int i = 0; i < in.n_axes; i++) {
        const int at = i - (in.n_axes - (int)n);
        const int64_t said = at >= 0 ? wanted[at] : 1;
        const int64_t want = i == 0 && sg_is_file_batch(node, 1, said) ? 1 : said;

        SG_NODE_CHECK(want == 1 || want == in.axes[i] || in.axes[i] == 1, node,
                      "an axis of %lld cannot become %lld", (long long)in.axes[i], (long long)want);
        if (in.axes[i] == 1) {
            in.axes[i] = want;
            in.strides[i] = 0;
        }
        SG_TRY(sg_map_steps(node, &map, i, in.axes[i], 0, in.strides[i]));
    }
    SG_TRY(sg_map_end(node, &map, in.n_axes, in.axes));
done:
    return status;
}

static sg_status tile(struct sg_node *node) {
    sg_status status = SG_OK;
    struct sg_layout in = {0};
    struct sg_map map = {0};
    const int64_t *times;
    int64_t n;

    SG_TRY(sg_check_inputs(node, 2, 2));
    SG_TRY(sg_ints_from(node, "repeats", 1, &n, &times));
    sg_input_layout(node, 0, &in);
    SG_NODE_CHECK(n == in.n_axes, node, "it has %lld repeats for %d axes", (long long)n, in.n_axes);
    for (int i = 0; i < in.n_axes; i++) {
        const int64_t length = in.axes[i];

        SG_NODE_CHECK(times[i] >= 0 && times[i] <= SG_MAP_LENGTH &&
                          !__builtin_mul_overflow(length, times[i], &in.axes[i]),
                      node, "it repeats an axis %lld times", (long long)times[i]);
        SG_TRY(sg_map_loop(node, &map, i, in.axes[i]));
        for (int64_t k = 0; k < in.axes[i]; k++) {
            map.from[i][k] = k % length * in.strides[i];
        }
    }
    SG_TRY(sg_map_end(node, &map, in.n_axes, in.axes));
done:
    return status;
}

const struct sg_op sg_op_expand = {
    .name = "Expand", .opset_min = 8, .flags = SG_OP_TAKES_WHOLE, .fold = expand, .infer = expand};

SG_MAPPING("Tile", tile);
