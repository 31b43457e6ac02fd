/* src/net/ops/pad.c - ONNX Pad with a constant around the image; pads are an attribute before opset
 * 11, then an input. */
#include "net/ops/ops_impl.h"

#include <string.h>

struct pad {
    int64_t h, w, c; /* of the input */
    int64_t oh, ow;
    int64_t top, left;
    float value;
};

static const int64_t max_pad = 1 << 20;

static sg_status read_pads(const struct sg_node *node, const int64_t **pads) {
    sg_status status = SG_OK;
    const char *mode;
    int64_t n;

    SG_TRY(sg_attribute_text(node, "mode", "constant", &mode));
    SG_NODE_CHECK(strcmp(mode, "constant") == 0, node,
                  "the mode '%s' is not supported; 'constant' is", mode);
    SG_TRY(sg_ints_from(node, "pads", 1, &n, pads));
    SG_NODE_CHECK(n == 8, node, "it has %lld pads for an input of 4 axes", (long long)n);
    for (int i = 0; i < 8; i++) {
        SG_NODE_CHECK((*pads)[i] == 0 || ((*pads)[i] > 0 && (*pads)[i] <= max_pad && i % 4 >= 2),
                      node, "only padding outside of the image, by 0 or more, is supported");
    }
done:
    return status;
}

static sg_status infer(struct sg_node *node) {
    sg_status status = SG_OK;
    const int64_t *pads;
    const int64_t *axes;
    struct pad *own;

    SG_TRY(sg_check_inputs(node, 1, 3));
    SG_TRY(sg_check_rank(node, 0, 4));
    SG_TRY(read_pads(node, &pads));
    SG_TRY(sg_own(node, sizeof *own, &own));
    SG_TRY(sg_float_from(node, "value", 2, 0.0f, &own->value));
    axes = node->in[0]->shape.axes;
    own->c = axes[0];
    own->h = axes[1];
    own->w = axes[2];
    own->top = pads[2];
    own->left = pads[3];
    own->oh = pads[2] + axes[1] + pads[6];
    own->ow = pads[3] + axes[2] + pads[7];
    SG_TRY(sg_set_dynamic(node, 3, (const int64_t[]){own->c, own->oh, own->ow}));
done:
    return status;
}

static int64_t inner_row(const struct pad *own, int64_t n, int64_t h) {
    return ((n * own->oh + own->top + h) * own->ow + own->left) * own->c;
}

static void forward(const struct sg_call *call) {
    const struct pad *own = call->node->own;
    const int64_t row = own->w * own->c;

    for (int64_t i = 0; i < call->batch * call->node->out->size; i++) {
        call->y[i] = own->value;
    }
    for (int64_t r = 0; r < call->batch * own->h; r++) {
        memcpy(call->y + inner_row(own, r / own->h, r % own->h), call->x[0] + r * row,
               (size_t)row * sizeof(float));
    }
}

static void backward(const struct sg_call *call) {
    const struct pad *own = call->node->own;
    const int64_t row = own->w * own->c;

    for (int64_t r = 0; r < call->batch * own->h; r++) {
        const float *dy = call->dy + inner_row(own, r / own->h, r % own->h);
        float *dx = call->dx[0] + r * row;

        if (call->accumulate[0]) {
            sg_accumulate(dy, dx, row);
        } else {
            memcpy(dx, dy, (size_t)row * sizeof(float));
        }
    }
}

const struct sg_op sg_op_pad = {
    .name = "Pad",
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
