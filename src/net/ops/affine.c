/* src/net/ops/affine.c - y = scale x + shift, vectors that repeat over a value's memory: what is
 * left of arithmetic with constants, and of a batch norm that follows no convolution. */
#include "net/ops/ops_impl.h"

struct affine {
    int64_t period;
    const float *scale; /* [period], or NULL: 1 */
    const float *shift; /* [period], or NULL: 0 */
    int64_t channels;   /* the last axis in memory */
};

static const struct sg_op op_affine;

sg_status sg_become_affine(struct sg_node *node, struct sg_value *in, int64_t period,
                           const float *scale, const float *shift) {
    sg_status status = SG_OK;
    struct affine *own;

    SG_TRY(sg_own(node, sizeof *own, &own));
    *own = (struct affine){.period = period, .scale = scale, .shift = shift};
    own->channels = in->shape.axes[sg_is_spatial(in) ? 0 : in->shape.n_axes - 1];
    node->op = &op_affine;
    node->flags = op_affine.flags;
    node->in[0] = in;
    node->n_in = 1;
    SG_TRY(sg_set_same_shape(node));
done:
    return status;
}

static int64_t n_rows(const struct sg_node *node) {
    return node->out->size / ((const struct affine *)node->own)->period;
}

static sg_status prepare(struct sg_node *node) {
    sg_status status = SG_OK;
    struct affine *own = node->own;

    if (own->scale != NULL) {
        SG_TRY(sg_keep_floats(node, own->scale, own->period, &own->scale));
    }
    if (own->shift != NULL) {
        SG_TRY(sg_keep_floats(node, own->shift, own->period, &own->shift));
    }
done:
    return status;
}

static int as_affine(const struct sg_node *node, struct sg_affine *out) {
    const struct affine *own = node->own;

    *out = (struct sg_affine){.n = own->period, .scale = own->scale, .shift = own->shift};
    return own->period == 1 || own->period == own->channels;
}

static void forward(const struct sg_call *call) {
    const struct affine *own = call->node->own;
    const int64_t n = call->batch * call->node->out->size;

    for (int64_t i = 0; i < n; i += own->period) {
        const float *x = call->x[0] + i;
        float *y = call->y + i;

        for (int64_t k = 0; k < own->period; k++) {
            const float scaled = own->scale != NULL ? own->scale[k] * x[k] : x[k];

            y[k] = own->shift != NULL ? scaled + own->shift[k] : scaled;
        }
    }
}

static void backward(const struct sg_call *call) {
    const struct affine *own = call->node->own;
    const int64_t n = call->batch * call->node->out->size;

    for (int64_t i = 0; i < n; i += own->period) {
        for (int64_t k = 0; k < own->period; k++) {
            const float dy = call->dy[i + k];

            sg_put(call->dx[0], i + k, own->scale != NULL ? own->scale[k] * dy : dy,
                   call->accumulate[0]);
        }
    }
}

static const struct sg_op op_affine = {
    .name = "affine",
    .flags = SG_OP_TAKES_WHOLE | SG_OP_INPLACE | SG_OP_GRAD_INPLACE | SG_OP_FUSES_RELU |
             SG_OP_ELEMENTWISE,
    .n_rows = n_rows,
    .prepare = prepare,
    .forward = forward,
    .backward = backward,
    .as_affine = as_affine,
};
