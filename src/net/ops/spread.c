/* src/net/ops/spread.c - broadcasting of any operands, values or constants of any layout. */
#include "net/ops/ops_impl.h"

#include <string.h>

sg_status sg_spread_axes(const struct sg_node *node, struct sg_spread *s) {
    sg_status status = SG_OK;
    struct sg_layout in;
    char text[160];

    s->n_axes = 0;
    for (int k = 0; k < SG_CONSTANT_AXES; k++) {
        s->axes[k] = 1;
    }
    for (int i = 0; i < node->n_in; i++) {
        sg_input_layout(node, i, &in);
        s->n_axes = in.n_axes > s->n_axes ? in.n_axes : s->n_axes;
        for (int k = 0; k < in.n_axes; k++) { /* from the right */
            int64_t *axis = &s->axes[SG_CONSTANT_AXES - 1 - k];
            const int64_t length = in.axes[in.n_axes - 1 - k];

            SG_NODE_CHECK(length == *axis || length == 1 || *axis == 1, node,
                          "its operand %d of shape %s does not fit the others", i + 1,
                          sg_axes_text(in.n_axes, in.axes, text, sizeof text));
            *axis = *axis == 1 ? length : *axis;
        }
    }
    memmove(s->axes, s->axes + SG_CONSTANT_AXES - s->n_axes, (size_t)s->n_axes * sizeof s->axes[0]);
done:
    return status;
}

/* Strides of input i over the ONNX axes of the result. */
static void strides_of(const struct sg_node *node, const struct sg_spread *s, int i,
                       int64_t *strides) {
    struct sg_layout in;

    sg_input_layout(node, i, &in);
    for (int k = 0; k < s->n_axes; k++) {
        const int at = k - (s->n_axes - in.n_axes);

        strides[k] = at >= 0 && in.axes[at] > 1 ? in.strides[at] : 0;
    }
}

/* A loop inside of loop n - 1 becomes one with it where all operands go on evenly. */
static void add_loop(struct sg_spread *s, int n_in, int64_t length, const int64_t *strides) {
    int joins = s->n > 0;

    for (int i = 0; i < n_in && joins; i++) {
        joins = s->stride[i][s->n - 1] == strides[i] * length;
    }
    s->n += !joins;
    s->length[s->n - 1] = joins ? s->length[s->n - 1] * length : length;
    for (int i = 0; i < n_in; i++) {
        s->stride[i][s->n - 1] = strides[i];
    }
}

static void order_loops(const struct sg_node *node, struct sg_spread *s) {
    struct sg_layout out = {0};
    int64_t strides[3][SG_CONSTANT_AXES] = {{0}};
    int order[SG_CONSTANT_AXES];
    int n = 0;

    sg_layout_of(node->out, &out);
    for (int i = 0; i < node->n_in; i++) {
        strides_of(node, s, i, strides[i]);
    }
    for (int k = 0; k < s->n_axes; k++) {
        int at = n;

        for (; s->axes[k] > 1 && at > 0 && out.strides[order[at - 1]] < out.strides[k]; at--) {
            order[at] = order[at - 1];
        }
        order[at] = k;
        n += s->axes[k] > 1;
    }
    for (int k = 0; k < n; k++) {
        const int64_t steps[3] = {strides[0][order[k]], strides[1][order[k]], strides[2][order[k]]};

        add_loop(s, node->n_in, s->axes[order[k]], steps);
    }
    if (s->n == 0) {
        add_loop(s, node->n_in, 1, (const int64_t[3]){0, 0, 0});
    }
}

static sg_status keep_constant(struct sg_node *node, int i, const float **out) {
    sg_status status = SG_OK;
    const struct sg_constant *c = &node->in[i]->constant;
    const float *given = c->floats;

    if (given == NULL) {
        float *floats = sg_region_floats(&node->model->scratch, c->n);

        SG_NODE_NOMEM(floats, node);
        for (int64_t k = 0; k < c->n; k++) {
            floats[k] = (float)c->ints[k];
        }
        given = floats;
    }
    SG_TRY(sg_keep_floats(node, given, c->n, out));
done:
    return status;
}

sg_status sg_become_spread(struct sg_node *node) {
    sg_status status = SG_OK;
    struct sg_spread *s;
    int spatial = 0;

    SG_TRY(sg_own(node, sizeof *s, &s));
    SG_TRY(sg_spread_axes(node, s));
    SG_NODE_CHECK(s->n_axes <= SG_MAX_AXES + 1, node, "its result has %d axes", s->n_axes);
    for (int i = 0; i < node->n_in; i++) {
        const struct sg_value *v = node->in[i];

        spatial = spatial || (v->kind == SG_VALUE_DYNAMIC && sg_is_spatial(v));
        s->size[i] = v->kind == SG_VALUE_DYNAMIC ? v->size : 0;
        if (v->kind == SG_VALUE_CONSTANT) {
            SG_TRY(keep_constant(node, i, &s->constant[i]));
        }
    }
    SG_TRY(sg_set_onnx(node, s->n_axes, s->axes, spatial));
    order_loops(node, s);
    s->same = s->n == 1;
    for (int i = 0; i < node->n_in; i++) {
        s->same = s->same && (s->stride[i][0] == 1 || s->length[0] == 1) && s->constant[i] == NULL;
    }
done:
    return status;
}

void sg_spread_next(const struct sg_spread *s, int64_t *at, int64_t *offset) {
    for (int i = 0; i < 3; i++) {
        offset[i] = 0;
        for (int k = 0; k < s->n - 1; k++) {
            offset[i] += at[k] * s->stride[i][k];
        }
    }
    for (int k = s->n - 2; k >= 0; k--) {
        if (++at[k] < s->length[k]) {
            break;
        }
        at[k] = 0;
    }
}

void sg_spread_at(const struct sg_node *node, const struct sg_spread *s, int64_t i, int64_t *at) {
    struct sg_layout in;

    for (int o = 0; o < node->n_in; o++) {
        int64_t rest = i;

        sg_input_layout(node, o, &in);
        at[o] = 0;
        for (int k = s->n_axes - 1; k >= 0; k--) {
            const int own = k - (s->n_axes - in.n_axes);

            if (own >= 0 && in.axes[own] > 1) {
                at[o] += rest % s->axes[k] * in.strides[own];
            }
            rest /= s->axes[k];
        }
    }
}
