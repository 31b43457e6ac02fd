/* src/net/broadcast.c - constants against dynamic values, by NumPy's rules. */
#include "net/net_impl.h"

#include <string.h>

/* The constant's axes under those of v (batch not counted), and its strides there: 0 where it
 * repeats. */
struct fit {
    int64_t axes[SG_MAX_AXES];
    int64_t strides[SG_MAX_AXES];
};

static sg_status fit_axes(const struct sg_node *node, const struct sg_constant *c,
                          const struct sg_value *v, struct fit *out) {
    sg_status status = SG_OK;
    const int n_axes = v->shape.n_axes;
    int64_t stride = 1;
    int fits = c->n_axes <= n_axes + 1 && (c->n_axes <= n_axes || c->axes[0] == 1);
    char from[160];
    char to[160];

    for (int i = 0; i < n_axes; i++) {
        const int at = n_axes - 1 - i; /* from the right */
        const int own = c->n_axes - 1 - i;
        const int64_t length = own >= 0 ? c->axes[own] : 1;

        fits = fits && (length == 1 || length == v->shape.axes[at]);
        out->axes[at] = length;
        out->strides[at] = length > 1 ? stride : 0;
        stride *= length;
    }
    SG_NODE_CHECK(fits, node,
                  "its constant of shape %s does not spread over %s; the constant may not be "
                  "larger than the other operand or differ from sample to sample",
                  sg_axes_text(c->n_axes, c->axes, from, sizeof from),
                  sg_shape_text(&v->shape, to, sizeof to));
done:
    return status;
}

/* Axes in the order of memory: C, H, W lies as H, W, C. */
static void memory_order(const struct sg_value *v, int *order) {
    for (int i = 0; i < v->shape.n_axes; i++) {
        order[i] = sg_is_spatial(v) ? (i + 1) % 3 : i;
    }
}

static void expand(const struct sg_constant *c, const struct sg_value *v, const struct fit *fit,
                   float *out) {
    const int n_axes = v->shape.n_axes;
    int order[SG_MAX_AXES];
    int64_t at[SG_MAX_AXES] = {0};
    int64_t from = 0;

    memory_order(v, order);
    for (int64_t i = 0; i < v->size; i++) {
        out[i] = c->floats[from];
        for (int k = n_axes - 1; k >= 0; k--) {
            const int axis = order[k];

            from += fit->strides[axis];
            if (++at[axis] < v->shape.axes[axis]) {
                break;
            }
            from -= fit->strides[axis] * at[axis];
            at[axis] = 0;
        }
    }
}

sg_status sg_broadcast(const struct sg_node *node, const struct sg_constant *c,
                       const struct sg_value *v, int64_t *period, const float **out) {
    sg_status status = SG_OK;
    const int last = sg_is_spatial(v) ? 0 : v->shape.n_axes - 1; /* in memory */
    struct fit fit;
    float *expanded;

    SG_TRY(fit_axes(node, c, v, &fit));
    if (c->n == 1 || c->n == fit.axes[last]) {
        *period = c->n;
        *out = c->floats;
        return SG_OK;
    }
    expanded = sg_pool_floats(&node->model->scratch, v->size);
    SG_NODE_NOMEM(expanded, node);
    expand(c, v, &fit, expanded);
    *period = v->size;
    *out = expanded;
done:
    return status;
}
