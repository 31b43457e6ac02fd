/* src/net/ops/scatter.c - ONNX ScatterElements, Scatter and ScatterND: elements replaced by
 * updates, at indices that are known without running the network. */
#include "net/ops/ops_impl.h"

#include <string.h>

/* The table of a scatter before its updates: the input itself. */
static sg_status start_scatter(struct sg_node *node, struct sg_layout *in,
                               struct sg_layout *updates, int64_t **from) {
    sg_status status = SG_OK;
    int64_t at[SG_CONSTANT_AXES];
    const char *reduction;

    SG_TRY(sg_check_inputs(node, 3, 3));
    SG_TRY(sg_attribute_text(node, "reduction", "none", &reduction));
    SG_NODE_CHECK(strcmp(reduction, "none") == 0, node, "the reduction '%s' is not supported",
                  reduction);
    sg_input_layout(node, 0, in);
    sg_input_layout(node, 2, updates);
    SG_TRY(sg_pick_table(node, in->n_axes, in->axes, from));
    for (int64_t i = 0; i < sg_pick_count(in->n_axes, in->axes); i++) {
        sg_pick_coordinates(i, in->n_axes, in->axes, at);
        (*from)[i] = sg_pick_offset(in, at);
    }
done:
    return status;
}

/* Number of the element at these coordinates, in ONNX order. */
static int64_t number_of(const struct sg_layout *in, const int64_t *at) {
    int64_t i = 0;

    for (int k = 0; k < in->n_axes; k++) {
        i = i * in->axes[k] + at[k];
    }
    return i;
}

/* Where two updates meet the last one stays. */
static sg_status scatter_elements(struct sg_node *node) {
    sg_status status = SG_OK;
    const struct sg_constant *index = NULL;
    struct sg_layout in = {0}, updates = {0};
    int64_t at[SG_CONSTANT_AXES], *from = NULL;
    int64_t axis;

    SG_TRY(start_scatter(node, &in, &updates, &from));
    SG_TRY(sg_pick_indices(node, 1, &index));
    SG_TRY(sg_pick_axis(node, in.n_axes, &axis));
    SG_NODE_CHECK(index->n_axes == in.n_axes && updates.n_axes == in.n_axes &&
                      memcmp(index->axes, updates.axes, (size_t)in.n_axes * sizeof *in.axes) == 0,
                  node, "its indices, updates and input differ in their axes");
    for (int k = 0; k < in.n_axes; k++) {
        SG_NODE_CHECK(k == axis || index->axes[k] <= in.axes[k], node,
                      "its indices reach beyond its input");
    }
    for (int64_t i = 0; i < index->n; i++) {
        int64_t source;

        sg_pick_coordinates(i, index->n_axes, index->axes, at);
        source = sg_pick_offset(&updates, at);
        SG_TRY(sg_pick_index(node, index->ints[i], in.axes[axis], &at[axis]));
        from[number_of(&in, at)] = -2 - source;
    }
    SG_TRY(sg_become_pick(node, 2, in.n_axes, in.axes, from));
done:
    return status;
}

static sg_status scatter(struct sg_node *node) {
    return scatter_elements(node);
}

static sg_status scatter_nd(struct sg_node *node) {
    sg_status status = SG_OK;
    const struct sg_constant *index = NULL;
    struct sg_layout in = {0}, updates = {0};
    int64_t at[SG_CONSTANT_AXES] = {0}, *from = NULL;
    int64_t n, n_tail;

    SG_TRY(start_scatter(node, &in, &updates, &from));
    SG_TRY(sg_pick_indices(node, 1, &index));
    n = index->n_axes > 0 ? index->axes[index->n_axes - 1] : 0;
    SG_NODE_CHECK(n >= 1 && n <= in.n_axes, node, "its indices do not fit an input of %d axes",
                  in.n_axes);
    n_tail = sg_pick_count(in.n_axes - (int)n, in.axes + n);
    SG_NODE_CHECK(sg_pick_count(updates.n_axes, updates.axes) == index->n / n * n_tail, node,
                  "its updates do not fit its indices");
    for (int64_t i = 0; i < index->n / n * n_tail; i++) {
        int64_t source[SG_CONSTANT_AXES];

        SG_TRY(sg_pick_point(node, index, i / n_tail, &in, 0, at));
        sg_pick_coordinates(i % n_tail, in.n_axes - (int)n, in.axes + n, at + n);
        sg_pick_coordinates(i, updates.n_axes, updates.axes, source);
        from[number_of(&in, at)] = -2 - sg_pick_offset(&updates, source);
    }
    SG_TRY(sg_become_pick(node, 2, in.n_axes, in.axes, from));
done:
    return status;
}

SG_PICKING("Scatter", 9, 10, scatter);
SG_PICKING("ScatterElements", 11, 0, scatter_elements);
SG_PICKING("ScatterND", 11, 0, scatter_nd);
