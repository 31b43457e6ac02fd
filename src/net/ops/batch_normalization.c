/* src/net/ops/batch_normalization.c - ONNX BatchNormalization at inference: an affine map per
 * channel, which goes into the convolution before it where there is one. */
#include "net/ops/ops_impl.h"

#include <math.h>

static sg_status check_inference(const struct sg_node *node) {
    sg_status status = SG_OK;
    const struct onnx_node *source = node->source;
    int64_t training, spatial;
    int n_out = 0;

    SG_TRY(sg_attribute_int(node, "training_mode", 0, &training));
    SG_TRY(sg_attribute_int(node, "spatial", 1, &spatial));
    for (int64_t i = 0; i < source->n_out; i++) {
        n_out += source->out[i][0] != '\0';
    }
    SG_NODE_CHECK(training == 0 && n_out == 1, node,
                  "it is in training mode; export the model for inference (model.eval())");
    SG_NODE_CHECK(spatial == 1, node, "spatial = 0 is not supported");
done:
    return status;
}

/* scale = gamma / sqrt(variance + epsilon), shift = beta - mean scale, in double. */
static sg_status make_affine(const struct sg_node *node, const struct sg_constant *const *p,
                             float epsilon, float *scale, float *shift) {
    sg_status status = SG_OK;

    for (int64_t c = 0; c < p[0]->n; c++) {
        const double variance = (double)p[3]->floats[c] + (double)epsilon;
        const double s = (double)p[0]->floats[c] / sqrt(variance);

        SG_NODE_CHECK(variance > 0.0, node, "the variance of channel %lld is not positive",
                      (long long)c);
        scale[c] = (float)s;
        shift[c] = (float)((double)p[1]->floats[c] - (double)p[2]->floats[c] * s);
    }
done:
    return status;
}

/* Scale, bias, mean and variance: one number a channel each. */
static sg_status read_parameters(struct sg_node *node, const struct sg_constant **p) {
    sg_status status = SG_OK;
    static const char *const names[4] = {"scale", "bias", "mean", "variance"};
    const int64_t channels = node->in[0]->shape.axes[0];

    for (int i = 0; i < 4; i++) {
        SG_TRY(sg_float_constant(node, i + 1, names[i], &p[i]));
        SG_NODE_CHECK(p[i]->n == channels, node, "its %s has %lld numbers for %lld channels",
                      names[i], (long long)p[i]->n, (long long)channels);
        node->n_parameters += node->in[i + 1]->counted ? 0 : channels;
        node->in[i + 1]->counted = 1;
    }
done:
    return status;
}

/* The vector [C] over the memory of C, ...: as the constant [C, 1, ...]. */
static sg_status spread(const struct sg_node *node, const float *vector, int64_t *period,
                        const float **out) {
    sg_status status = SG_OK;
    const struct sg_shape *shape = &node->in[0]->shape;
    struct sg_constant c = {.n_axes = shape->n_axes, .n = shape->axes[0], .floats = vector};

    c.axes[0] = c.n;
    for (int k = 1; k < c.n_axes; k++) {
        c.axes[k] = 1;
    }
    SG_TRY(sg_broadcast(node, &c, node->in[0], period, out));
done:
    return status;
}

static sg_status infer(struct sg_node *node) {
    sg_status status = SG_OK;
    const struct sg_constant *p[4];
    const float *scale, *shift;
    float *vectors;
    float epsilon;
    int64_t period = 0;

    SG_TRY(sg_check_inputs(node, 5, 5));
    SG_TRY(check_inference(node));
    SG_NODE_CHECK(node->in[0]->kind == SG_VALUE_DYNAMIC, node,
                  "its input must depend on the network's");
    SG_TRY(sg_attribute_float(node, "epsilon", 1e-5f, &epsilon));
    SG_TRY(read_parameters(node, p));
    vectors = sg_region_floats(&node->model->scratch, 2 * p[0]->n);
    SG_NODE_NOMEM(vectors, node);
    SG_TRY(make_affine(node, p, epsilon, vectors, vectors + p[0]->n));
    SG_TRY(spread(node, vectors, &period, &scale));
    SG_TRY(spread(node, vectors + p[0]->n, &period, &shift));
    SG_TRY(sg_become_affine(node, node->in[0], period, scale, shift));
done:
    return status;
}

const struct sg_op sg_op_batch_normalization = {
    .name = "BatchNormalization",
    .infer = infer,
};
