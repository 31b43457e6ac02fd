/* src/net/ops/arrange.c - ONNX Compress, ReverseSequence and Trilu. */
#include "net/ops/ops_impl.h"

#include <string.h>

/* Keeps what the condition says of one axis, or of all elements in a row. */
static sg_status compress(struct sg_node *node) {
    sg_status status = SG_OK;
    const int has_axis = sg_attribute_find(node, "axis") != NULL;
    const struct sg_constant *keep = NULL;
    struct sg_layout in;
    int64_t at[SG_CONSTANT_AXES], axes[SG_CONSTANT_AXES], *from = NULL;
    int64_t axis = 0, n = 0, next = 0, size;

    SG_TRY(sg_check_inputs(node, 2, 2));
    SG_TRY(sg_pick_indices(node, 1, &keep));
    sg_input_layout(node, 0, &in);
    SG_TRY(sg_pick_axis(node, in.n_axes, &axis));
    size = sg_pick_count(in.n_axes, in.axes);
    SG_NODE_CHECK(keep->n <= (has_axis ? in.axes[axis] : size), node,
                  "its condition is longer than its input");
    for (int64_t i = 0; i < keep->n; i++) {
        n += keep->ints[i] != 0;
    }
    memcpy(axes, in.axes, sizeof axes);
    axes[has_axis ? axis : 0] = n;
    SG_TRY(sg_pick_table(node, has_axis ? in.n_axes : 1, axes, &from));
    for (int64_t i = 0; i < size; i++) {
        int64_t flag;

        sg_pick_coordinates(i, in.n_axes, in.axes, at);
        flag = has_axis ? at[axis] : i;
        if (flag < keep->n && keep->ints[flag] != 0) {
            from[next++] = sg_pick_offset(&in, at);
        }
    }
    SG_TRY(sg_become_pick(node, 0, has_axis ? in.n_axes : 1, axes, from));
done:
    return status;
}

static sg_status reverse_sequence(struct sg_node *node) {
    sg_status status = SG_OK;
    const struct sg_constant *lengths = NULL;
    struct sg_layout in;
    int64_t at[SG_CONSTANT_AXES], *from = NULL;
    int64_t time, batch;

    SG_TRY(sg_check_inputs(node, 2, 2));
    SG_TRY(sg_pick_indices(node, 1, &lengths));
    sg_input_layout(node, 0, &in);
    SG_TRY(sg_attribute_int(node, "time_axis", 0, &time));
    SG_TRY(sg_attribute_int(node, "batch_axis", 1, &batch));
    SG_NODE_CHECK(in.n_axes >= 2 && (time == 0 || time == 1) && batch == 1 - time &&
                      lengths->n == in.axes[batch],
                  node, "its lengths do not fit its input");
    SG_TRY(sg_pick_table(node, in.n_axes, in.axes, &from));
    for (int64_t i = 0; i < sg_pick_count(in.n_axes, in.axes); i++) {
        int64_t length;

        sg_pick_coordinates(i, in.n_axes, in.axes, at);
        length = lengths->ints[at[batch]];
        SG_NODE_CHECK(length >= 1 && length <= in.axes[time], node, "a length is %lld",
                      (long long)length);
        at[time] = at[time] < length ? length - 1 - at[time] : at[time];
        from[i] = sg_pick_offset(&in, at);
    }
    SG_TRY(sg_become_pick(node, 0, in.n_axes, in.axes, from));
done:
    return status;
}

/* The upper or lower part of matrices: 0 elsewhere. */
static sg_status trilu(struct sg_node *node) {
    sg_status status = SG_OK;
    struct sg_layout in;
    int64_t at[SG_CONSTANT_AXES], *from = NULL;
    const int64_t *diagonal;
    int64_t upper, n, shift;

    SG_TRY(sg_check_inputs(node, 1, 2));
    SG_TRY(sg_attribute_int(node, "upper", 1, &upper));
    SG_TRY(sg_ints_from(node, "k", 1, &n, &diagonal));
    shift = n == 1 ? diagonal[0] : 0;
    sg_input_layout(node, 0, &in);
    SG_NODE_CHECK(in.n_axes >= 2 && shift > -(1 << 30) && shift < 1 << 30, node,
                  "its input is no matrix");
    SG_TRY(sg_pick_table(node, in.n_axes, in.axes, &from));
    for (int64_t i = 0; i < sg_pick_count(in.n_axes, in.axes); i++) {
        int64_t distance;

        sg_pick_coordinates(i, in.n_axes, in.axes, at);
        distance = at[in.n_axes - 1] - at[in.n_axes - 2];
        from[i] = (upper != 0 ? distance >= shift : distance <= shift) ? sg_pick_offset(&in, at)
                                                                       : SG_PICK_HOLE;
    }
    SG_TRY(sg_become_pick(node, 0, in.n_axes, in.axes, from));
done:
    return status;
}

SG_PICKING("Compress", 9, 0, compress);
SG_PICKING("ReverseSequence", 10, 0, reverse_sequence);
SG_PICKING("Trilu", 14, 0, trilu);
