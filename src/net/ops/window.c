/* src/net/ops/window.c - the geometry of sliding windows. */
#include "net/ops/ops_impl.h"

#include <string.h>

/* Beyond any real layer, and small enough that sums and products of a few cannot overflow. */
static const int64_t max_length = (int64_t)1 << 24;

static sg_status read_list(const struct sg_node *node, const char *name, int64_t n_wanted,
                           int64_t least, int64_t *out) {
    sg_status status = SG_OK;
    const int64_t *values;
    int64_t n;

    SG_TRY(sg_attribute_ints(node, name, &n, &values));
    SG_NODE_CHECK(n == 0 || n == n_wanted, node, "'%s' has %lld numbers; %lld are needed", name,
                  (long long)n, (long long)n_wanted);
    for (int64_t i = 0; i < n; i++) {
        SG_NODE_CHECK(values[i] >= least && values[i] <= max_length, node,
                      "'%s' holds %lld; %lld to %lld are allowed", name, (long long)values[i],
                      (long long)least, (long long)max_length);
        out[i] = values[i];
    }
done:
    return status;
}

/* SAME: ceil(in / stride) windows, the odd cell of padding at the end (UPPER) or start (LOWER). */
static void pad_same(struct sg_window *w, int axis, int64_t in, int upper) {
    const int64_t extent = (w->kernel[axis] - 1) * w->dilation[axis] + 1;
    const int64_t windows = (in + w->stride[axis] - 1) / w->stride[axis];
    const int64_t needed = (windows - 1) * w->stride[axis] + extent - in;
    const int64_t total = needed > 0 ? needed : 0;

    w->pad[axis] = upper ? total / 2 : total - total / 2;
    w->pad[axis + w->n] = total - w->pad[axis];
}

static sg_status read_pads(const struct sg_node *node, const int64_t *in, struct sg_window *w) {
    sg_status status = SG_OK;
    const char *mode;

    SG_TRY(sg_attribute_text(node, "auto_pad", "NOTSET", &mode));
    if (strcmp(mode, "SAME_UPPER") == 0 || strcmp(mode, "SAME_LOWER") == 0) {
        for (int i = 0; i < w->n; i++) {
            pad_same(w, i, in[i], mode[5] == 'U');
        }
    } else if (strcmp(mode, "NOTSET") == 0) {
        SG_TRY(read_list(node, "pads", 2 * w->n, 0, w->pad));
    } else {
        SG_NODE_CHECK(strcmp(mode, "VALID") == 0, node,
                      "auto_pad is '%s'; NOTSET, VALID, SAME_UPPER and SAME_LOWER are supported",
                      mode);
    }
done:
    return status;
}

sg_status sg_window_read(const struct sg_node *node, const struct sg_value *in, int ceil_mode,
                         struct sg_window *w) {
    sg_status status = SG_OK;
    const int64_t *length = in->shape.axes + 1;
    const int64_t of_weights[3] = {w->kernel[0], w->kernel[1], w->kernel[2]};
    char a[64], b[64];
    int64_t kernel[3] = {0};

    w->n = in->shape.n_axes - 1;
    SG_NODE_CHECK(w->n >= 1 && w->n <= 3, node, "its input has %d axes; 3 to 5 are supported",
                  in->shape.n_axes + 1);
    SG_TRY(read_list(node, "kernel_shape", w->n, 1, kernel));
    for (int i = 0; i < w->n; i++) {
        SG_NODE_CHECK(w->kernel[i] == 0 || kernel[i] == 0 || w->kernel[i] == kernel[i], node,
                      "kernel_shape is %s, but its weights are for %s",
                      sg_axes_text(w->n, kernel, a, sizeof a),
                      sg_axes_text(w->n, of_weights, b, sizeof b));
        w->kernel[i] = w->kernel[i] == 0 ? kernel[i] : w->kernel[i];
        w->stride[i] = w->dilation[i] = 1;
        SG_NODE_CHECK(w->kernel[i] >= 1 && length[i] <= max_length, node,
                      "kernel_shape is missing");
    }
    SG_TRY(read_list(node, "strides", w->n, 1, w->stride));
    SG_TRY(read_list(node, "dilations", w->n, 1, w->dilation));
    SG_TRY(read_pads(node, length, w));
    for (int i = 0; i < w->n; i++) {
        const int64_t extent = (w->kernel[i] - 1) * w->dilation[i] + 1;
        const int64_t room = length[i] + w->pad[i] + w->pad[i + w->n] - extent;

        SG_NODE_CHECK(room >= 0, node,
                      "its window of %lld does not fit into its input of %lld with padding",
                      (long long)extent, (long long)length[i]);
        w->out[i] = (room + (ceil_mode ? w->stride[i] - 1 : 0)) / w->stride[i] + 1;
        if (ceil_mode && (w->out[i] - 1) * w->stride[i] >= length[i] + w->pad[i]) {
            w->out[i]--;
        }
    }
done:
    return status;
}
