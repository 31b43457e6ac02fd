/* src/net/ops/lrn.c - ONNX LRN: y = x / s^beta, s = bias + alpha / size * sum of the squares of the
 * channels around it. */
#include "net/ops/ops_impl.h"

#include <math.h>

struct lrn {
    struct sg_rows rows; /* lines of channels */
    int64_t before, after;
    float alpha, beta, bias;
};

static sg_status infer(struct sg_node *node) {
    sg_status status = SG_OK;
    struct lrn *own;
    int64_t size;

    SG_TRY(sg_check_inputs(node, 1, 1));
    SG_TRY(sg_own(node, sizeof *own, &own));
    SG_TRY(sg_attribute_int(node, "size", 0, &size));
    SG_NODE_CHECK(size >= 1 && size <= 1 << 20, node, "its size %lld is none", (long long)size);
    SG_TRY(sg_attribute_float(node, "alpha", 0.0001f, &own->alpha));
    SG_TRY(sg_attribute_float(node, "beta", 0.75f, &own->beta));
    SG_TRY(sg_attribute_float(node, "bias", 1.0f, &own->bias));
    SG_TRY(sg_rows_of(node, node->in[0], 1, 1, &own->rows));
    own->before = (size - 1) / 2;
    own->after = size / 2;
    own->alpha /= (float)size;
    SG_TRY(sg_set_same_shape(node));
done:
    return status;
}

static void memory(const struct sg_node *node, int64_t batch, struct sg_need *need) {
    need->kept_bytes = batch * node->out->size * (int64_t)sizeof(float);
}

static int64_t low(int64_t c, int64_t reach) {
    return c > reach ? c - reach : 0;
}

static int64_t high(int64_t c, int64_t reach, int64_t n) {
    return c + reach < n - 1 ? c + reach : n - 1;
}

static void forward(const struct sg_call *call) {
    const struct lrn *own = call->node->own;
    const struct sg_rows *r = &own->rows;
    float *s = call->kept;

    for (int64_t line = 0; line < call->batch * r->outer * r->inner; line++) {
        const int64_t at = line / r->inner * r->length * r->inner + line % r->inner;
        const float *x = call->x[0] + at;

        for (int64_t c = 0; c < r->length; c++) {
            double sum = 0.0;

            for (int64_t j = low(c, own->before); j <= high(c, own->after, r->length); j++) {
                sum += (double)x[j * r->inner] * (double)x[j * r->inner];
            }
            sum = (double)own->bias + (double)own->alpha * sum;
            s[at + c * r->inner] = (float)sum;
            call->y[at + c * r->inner] =
                (float)((double)x[c * r->inner] * pow(sum, -(double)own->beta));
        }
    }
}

/* dx_c = dy_c s_c^-beta - 2 alpha beta x_c sum_j dy_j x_j s_j^(-beta - 1), j over those that see c.
 */
static void backward(const struct sg_call *call) {
    const struct lrn *own = call->node->own;
    const struct sg_rows *r = &own->rows;
    const double beta = (double)own->beta;
    const float *s = call->kept;

    for (int64_t line = 0; line < call->batch * r->outer * r->inner; line++) {
        const int64_t at = line / r->inner * r->length * r->inner + line % r->inner;

        for (int64_t c = 0; c < r->length; c++) {
            const int64_t own_at = at + c * r->inner;
            double sum = 0.0;

            for (int64_t j = low(c, own->after); j <= high(c, own->before, r->length); j++) {
                const int64_t k = at + j * r->inner;

                sum += (double)call->dy[k] * (double)call->x[0][k] * pow((double)s[k], -beta - 1.0);
            }
            sum *= 2.0 * (double)own->alpha * beta * (double)call->x[0][own_at];
            sg_put(call->dx[0], own_at,
                   (float)((double)call->dy[own_at] * pow((double)s[own_at], -beta) - sum),
                   call->accumulate[0]);
        }
    }
}

const struct sg_op sg_op_lrn = {
    .name = "LRN",
    .flags = SG_OP_KEEPS_INPUT,
    .infer = infer,
    .memory = memory,
    .forward = forward,
    .backward = backward,
};
