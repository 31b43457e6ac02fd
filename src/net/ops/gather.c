/* src/net/ops/gather.c - ONNX GatherElements and GatherND: elements by indices that are known
 * without running the network. */
#include "net/ops/ops_impl.h"

#include <string.h>

static sg_status gather_elements(struct sg_node *node) {
    sg_status status = SG_OK;
    const struct sg_constant *index = NULL;
    struct sg_layout in;
    int64_t at[SG_CONSTANT_AXES], *from = NULL;
    int64_t axis;

    SG_TRY(sg_check_inputs(node, 2, 2));
    SG_TRY(sg_pick_indices(node, 1, &index));
    sg_input_layout(node, 0, &in);
    SG_TRY(sg_pick_axis(node, in.n_axes, &axis));
    SG_NODE_CHECK(index->n_axes == in.n_axes, node, "its indices have %d axes, its input %d",
                  index->n_axes, in.n_axes);
    for (int k = 0; k < in.n_axes; k++) {
        SG_NODE_CHECK(k == axis || index->axes[k] <= in.axes[k], node,
                      "its indices reach beyond its input");
    }
    SG_TRY(sg_pick_table(node, index->n_axes, index->axes, &from));
    for (int64_t i = 0; i < index->n; i++) {
        sg_pick_coordinates(i, index->n_axes, index->axes, at);
        SG_TRY(sg_pick_index(node, index->ints[i], in.axes[axis], &at[axis]));
        from[i] = sg_pick_offset(&in, at);
    }
    SG_TRY(sg_become_pick(node, 0, index->n_axes, index->axes, from));
done:
    return status;
}

static sg_status gather_nd(struct sg_node *node) {
    sg_status status = SG_OK;
    const struct sg_constant *index = NULL;
    struct sg_layout in;
    int64_t axes[2 * SG_CONSTANT_AXES], at[SG_CONSTANT_AXES] = {0}, *from = NULL;
    int64_t first, n, n_tail, n_rows;
    int n_axes = 0;

    SG_TRY(sg_check_inputs(node, 2, 2));
    SG_TRY(sg_pick_indices(node, 1, &index));
    sg_input_layout(node, 0, &in);
    SG_TRY(sg_attribute_int(node, "batch_dims", 0, &first));
    n = index->n_axes > 0 ? index->axes[index->n_axes - 1] : 0;
    SG_NODE_CHECK(n >= 1 && first >= 0 && first < index->n_axes && first + n <= in.n_axes, node,
                  "its indices do not fit an input of %d axes", in.n_axes);
    for (int k = 0; k < index->n_axes - 1; k++) {
        SG_NODE_CHECK(k >= first || index->axes[k] == in.axes[k], node,
                      "its first axes differ from its input's");
        axes[n_axes++] = index->axes[k];
    }
    for (int64_t k = first + n; k < in.n_axes; k++) {
        axes[n_axes++] = in.axes[k];
    }
    SG_NODE_CHECK(n_axes <= SG_CONSTANT_AXES, node, "its result has %d axes", n_axes);
    SG_TRY(sg_pick_table(node, n_axes, axes, &from));
    n_rows = index->n / n;
    n_tail = sg_pick_count(in.n_axes - (int)(first + n), in.axes + first + n);
    for (int64_t i = 0; i < n_rows * n_tail; i++) {
        int64_t row[SG_CONSTANT_AXES];

        sg_pick_coordinates(i / n_tail, index->n_axes - 1, index->axes, row);
        memcpy(at, row, (size_t)first * sizeof *at);
        SG_TRY(sg_pick_point(node, index, i / n_tail, &in, first, at));
        sg_pick_coordinates(i % n_tail, in.n_axes - (int)(first + n), in.axes + first + n,
                            at + first + n);
        from[i] = sg_pick_offset(&in, at);
    }
    SG_TRY(sg_become_pick(node, 0, n_axes, axes, from));
done:
    return status;
}

SG_PICKING("GatherElements", 11, 0, gather_elements);
SG_PICKING("GatherND", 11, 0, gather_nd);
