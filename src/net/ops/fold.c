/* src/net/ops/fold.c - tools of the operators that rearrange constants. */
#include "net/ops/ops_impl.h"

#include <string.h>

sg_status sg_set_reshaped(struct sg_node *node, const struct sg_constant *c, int n_axes,
                          const int64_t *axes) {
    sg_status status = SG_OK;
    int64_t n;

    SG_TRY(sg_constant_size(node, n_axes, axes, &n));
    SG_NODE_CHECK(n == c->n, node, "it reshapes a constant of %lld elements to %lld",
                  (long long)c->n, (long long)n);
    node->out->kind = SG_VALUE_CONSTANT;
    node->out->constant = *c;
    node->out->constant.n_axes = n_axes;
    if (n_axes > 0) {
        memmove(node->out->constant.axes, axes, (size_t)n_axes * sizeof *axes);
    }
done:
    return status;
}

void sg_input_layout(const struct sg_node *node, int i, struct sg_layout *out) {
    const struct sg_value *v = node->in[i];

    *out = (struct sg_layout){0};
    if (v->kind == SG_VALUE_CONSTANT) {
        int64_t stride = 1;

        out->n_axes = v->constant.n_axes;
        for (int k = out->n_axes - 1; k >= 0; k--) {
            out->axes[k] = v->constant.axes[k];
            out->strides[k] = stride;
            stride *= out->axes[k];
        }
    } else {
        sg_layout_of(v, out);
    }
}

int sg_input_axes(const struct sg_node *node, int i, int64_t axes[SG_CONSTANT_AXES]) {
    const struct sg_value *v = node->in[i];

    if (v->kind == SG_VALUE_CONSTANT) {
        memcpy(axes, v->constant.axes, sizeof v->constant.axes);
        return v->constant.n_axes;
    }
    axes[0] = 1;
    memcpy(axes + !v->whole, v->shape.axes, (size_t)v->shape.n_axes * sizeof axes[0]);
    return v->shape.n_axes + !v->whole;
}
