/* src/net/ops/normalize.c - ONNX InstanceNormalization: groups of elements with their own mean and
 * variance, then scale and shift. */
#include "net/ops/ops_impl.h"

#include <math.h>

/* Group g has its elements at start(g) + k stride, k < length. */
struct norm {
    int64_t n_groups; /* a sample */
    int64_t length;
    int64_t group_step;
    int64_t stride;
    const float *scale;
    const float *shift; /* or NULL */
    float epsilon;
};

static sg_status read_vectors(struct sg_node *node, int64_t n, struct norm *own) {
    sg_status status = SG_OK;
    const struct sg_constant *c;

    SG_TRY(sg_float_constant(node, 1, "scale", &c));
    SG_NODE_CHECK(c->n == n, node, "its scale has %lld numbers; %lld are needed", (long long)c->n,
                  (long long)n);
    SG_TRY(sg_keep_floats(node, c->floats, c->n, &own->scale));
    if (sg_has_input(node, 2)) {
        SG_TRY(sg_float_constant(node, 2, "bias", &c));
        SG_NODE_CHECK(c->n == n, node, "its bias has %lld numbers; %lld are needed",
                      (long long)c->n, (long long)n);
        SG_TRY(sg_keep_floats(node, c->floats, c->n, &own->shift));
    }
    SG_TRY(sg_attribute_float(node, "epsilon", 1e-5f, &own->epsilon));
done:
    return status;
}

static sg_status infer_instance(struct sg_node *node) {
    sg_status status = SG_OK;
    const struct sg_value *in = node->in[0];
    struct norm *own;
    int64_t c;

    SG_TRY(sg_check_inputs(node, 3, 3));
    SG_NODE_CHECK(in->shape.n_axes >= 2, node, "its input has no image axes");
    c = in->shape.axes[0];
    SG_TRY(sg_own(node, sizeof *own, &own));
    *own = (struct norm){.n_groups = c,
                         .length = in->size / c,
                         .group_step = sg_is_spatial(in) ? 1 : in->size / c,
                         .stride = sg_is_spatial(in) ? c : 1};
    SG_TRY(read_vectors(node, c, own));
    SG_TRY(sg_set_same_shape(node));
done:
    return status;
}

/* Mean and 1 / deviation of every group, for backward. */
static void memory(const struct sg_node *node, int64_t batch, struct sg_need *need) {
    const struct norm *own = node->own;

    need->kept_bytes = 2 * batch * own->n_groups * (int64_t)sizeof(double);
}

static int64_t start_of(const struct sg_call *call, int64_t i) {
    const struct norm *own = call->node->own;

    return i / own->n_groups * call->node->out->size + i % own->n_groups * own->group_step;
}

static void forward(const struct sg_call *call) {
    const struct norm *own = call->node->own;
    double *kept = call->kept;

    for (int64_t i = 0; i < call->batch * own->n_groups; i++) {
        const float *x = call->x[0] + start_of(call, i);
        float *y = call->y + start_of(call, i);
        double sum = 0.0, squares = 0.0, mean;

        for (int64_t k = 0; k < own->length; k++) {
            sum += (double)x[k * own->stride];
        }
        mean = sum / (double)own->length;
        for (int64_t k = 0; k < own->length; k++) {
            const double d = (double)x[k * own->stride] - mean;

            squares += d * d;
        }
        kept[2 * i] = mean;
        kept[2 * i + 1] = 1.0 / sqrt(squares / (double)own->length + (double)own->epsilon);
        for (int64_t k = 0; k < own->length; k++) {
            const int64_t at = i % own->n_groups;
            const double z = ((double)x[k * own->stride] - mean) * kept[2 * i + 1];

            y[k * own->stride] = (float)(z * (double)own->scale[at] +
                                         (own->shift != NULL ? (double)own->shift[at] : 0.0));
        }
    }
}

/* With z the normalised x and g = scale dy: dx = (g - mean(g) - z mean(g z)) / deviation. */
static void backward(const struct sg_call *call) {
    const struct norm *own = call->node->own;
    const double *kept = call->kept;

    for (int64_t i = 0; i < call->batch * own->n_groups; i++) {
        const int64_t start = start_of(call, i);
        const float *x = call->x[0] + start, *dy = call->dy + start;
        double sum_g = 0.0, sum_gz = 0.0;

        for (int64_t k = 0; k < own->length; k++) {
            const int64_t at = i % own->n_groups;
            const double z = ((double)x[k * own->stride] - kept[2 * i]) * kept[2 * i + 1];
            const double g = (double)own->scale[at] * (double)dy[k * own->stride];

            sum_g += g;
            sum_gz += g * z;
        }
        sum_g /= (double)own->length;
        sum_gz /= (double)own->length;
        for (int64_t k = 0; k < own->length; k++) {
            const int64_t at = i % own->n_groups;
            const double z = ((double)x[k * own->stride] - kept[2 * i]) * kept[2 * i + 1];
            const double g = (double)own->scale[at] * (double)dy[k * own->stride];

            sg_put(call->dx[0] + start, k * own->stride,
                   (float)((g - sum_g - z * sum_gz) * kept[2 * i + 1]), call->accumulate[0]);
        }
    }
}

const struct sg_op sg_op_instance_normalization = {
    .name = "InstanceNormalization",
    .flags = SG_OP_KEEPS_INPUT,
    .infer = infer_instance,
    .memory = memory,
    .forward = forward,
    .backward = backward,
};
