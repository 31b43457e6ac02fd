/* src/net/ops/rows.c - a range of axes as one run of memory. */
#include "net/ops/ops_impl.h"

sg_status sg_rows_of(const struct sg_node *node, const struct sg_value *v, int first, int last,
                     struct sg_rows *out) {
    sg_status status = SG_OK;
    const int n_axes = v->shape.n_axes;
    int inside_before = 0; /* axes of the range met so far, in the order of memory */
    int runs = 0;          /* stretches of the range */
    int was_inside = 0;

    const int shift = v->whole ? 0 : 1;

    SG_ASSERT(first >= shift && last < n_axes + shift);
    *out = (struct sg_rows){.outer = 1, .length = 1, .inner = 1};
    for (int i = 0; i < n_axes; i++) {
        const int axis = sg_is_spatial(v) ? (i + 1) % 3 : i;
        const int inside = axis + shift >= first && axis + shift <= last;

        if (v->shape.axes[axis] == 1) {
            continue; /* lies anywhere */
        }
        runs += inside && !was_inside;
        was_inside = inside;
        inside_before += inside;
        if (inside) {
            out->length *= v->shape.axes[axis];
        } else if (inside_before == 0) {
            out->outer *= v->shape.axes[axis];
        } else {
            out->inner *= v->shape.axes[axis];
        }
    }
    SG_NODE_CHECK(runs <= 1, node, "the axes %d to %d together are not supported", first, last);
done:
    return status;
}
