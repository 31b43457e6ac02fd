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

static sg_status infer(struct sg_node *node) {
    sg_status status = SG_OK;
    static const char *const names[4] = {"scale", "bias", "mean", "variance"};
    struct sg_value *in = node->in[0];
    const struct sg_constant *p[4];
    struct sg_constant vector;
    const float *spread[2];
    float *affine[2];
    float epsilon;
    int64_t period = 0;

    SG_TRY(sg_check_inputs(node, 5, 5));
    SG_TRY(check_inference(node));
    SG_NODE_CHECK(in->kind == SG_VALUE_DYNAMIC, node, "its input must depend on the network's");
    SG_TRY(sg_attribute_float(node, "epsilon", 1e-5f, &epsilon));
    for (int i = 0; i < 4; i++) {
        SG_TRY(sg_float_constant(node, i + 1, names[i], &p[i]));
        SG_NODE_CHECK(p[i]->n == in->shape.axes[0], node, "its %s has %lld numbers for %lld channels",
                      names[i], (long long)p[i]->n, (long long)in->shape.axes[0]);
    }
    for (int i = 0; i < 2; i++) {
        affine[i] = sg_pool_floats(&node->model->scratch, p[0]->n);
        SG_NODE_NOMEM(affine[i], node);
    }
    SG_TRY(make_affine(node, p, epsilon, affine[0], affine[1]));
    for (int i = 0; i < 2; i++) { /* [C] under C, H, W: as [C,1,1] */
        vector = (struct sg_constant){.n = p[0]->n, .floats = affine[i]};
        vector.n_axes = in->shape.n_axes;
        vector.axes[0] = p[0]->n;
        for (int k = 1; k < vector.n_axes; k++) {
            vector.axes[k] = 1;
        }
        SG_TRY(sg_broadcast(node, &vector, in, &period, &spread[i]));
    }
    for (int i = 1; i < 5; i++) {
        node->n_parameters += node->in[i]->counted ? 0 : p[i - 1]->n;
        node->in[i]->counted = 1;
    }
    SG_TRY(sg_become_affine(node, in, period, spread[0], spread[1]));
done:
    return status;
}

const struct sg_op sg_op_batch_normalization = {
    .name = "BatchNormalization",
    .infer = infer,
};
