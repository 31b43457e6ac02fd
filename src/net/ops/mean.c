/* src/net/ops/mean.c - ONNX GlobalAveragePool and ReduceMean: means over axes that are neighbours in
 * memory. */
#include "net/ops/ops_impl.h"

#include <string.h>

enum { STRIP = 64 }; /* sums that are kept in double at a time */

/* The reduced axes, 1-based as in ONNX with the batch at 0, and whether they stay with length 1. */
struct range {
    int first;
    int last;
    int keep;
};

static sg_status become_mean(struct sg_node *node, const struct range *r) {
    sg_status status = SG_OK;
    const struct sg_value *in = node->in[0];
    int64_t axes[SG_MAX_AXES];
    struct sg_rows *own;
    int n = 0;

    SG_TRY(sg_own(node, sizeof *own, &own));
    SG_TRY(sg_rows_of(node, in, r->first, r->last, own));
    for (int i = 0; i < in->shape.n_axes; i++) {
        const int inside = i + 1 >= r->first && i + 1 <= r->last;

        if (!inside || r->keep) {
            axes[n++] = inside ? 1 : in->shape.axes[i];
        }
    }
    if (n == 0) { /* the mean of each sample: one number, which keeps an axis */
        axes[n++] = 1;
    }
    SG_NODE_CHECK(r->keep || !sg_is_spatial(in) || n < 2 || r->first == 1, node,
                  "a mean over one of the two image axes is supported with keepdims = 1 only");
    SG_TRY(sg_set_dynamic(node, n, axes));
done:
    return status;
}

static sg_status infer_global(struct sg_node *node) {
    sg_status status = SG_OK;

    SG_TRY(sg_check_inputs(node, 1, 1));
    SG_NODE_CHECK(node->in[0]->shape.n_axes >= 2, node, "its input has no image axes");
    SG_TRY(become_mean(node, &(struct range){2, node->in[0]->shape.n_axes, 1}));
done:
    return status;
}

static sg_status infer_reduce(struct sg_node *node) {
    sg_status status = SG_OK;
    const int n_axes = node->in[0]->shape.n_axes + 1;
    unsigned chosen = 0;
    const int64_t *axes;
    int64_t n, keep, axis;
    struct range r = {0};

    SG_TRY(sg_check_inputs(node, 1, 1));
    SG_TRY(sg_attribute_int(node, "keepdims", 1, &keep));
    SG_TRY(sg_attribute_ints(node, "axes", &n, &axes));
    for (int64_t i = 0; i < n; i++) {
        SG_TRY(sg_axis(node, axes[i], n_axes, &axis));
        chosen |= 1u << axis;
    }
    SG_NODE_CHECK(chosen != 0 && (chosen & 1u) == 0, node,
                  "a mean over the samples of a batch is not supported");
    r.first = __builtin_ctz(chosen);
    r.last = 31 - __builtin_clz(chosen);
    r.keep = keep != 0;
    SG_NODE_CHECK((int)__builtin_popcount(chosen) == r.last - r.first + 1, node,
                  "a mean over axes that are no neighbours is not supported");
    SG_TRY(become_mean(node, &r));
done:
    return status;
}

static void forward(const struct sg_call *call) {
    const struct sg_rows *own = call->node->own;
    double sum[STRIP];

    for (int64_t o = 0; o < call->batch * own->outer; o++) {
        for (int64_t start = 0; start < own->inner; start += STRIP) {
            const int64_t n = own->inner - start < STRIP ? own->inner - start : STRIP;

            memset(sum, 0, sizeof sum);
            for (int64_t k = 0; k < own->length; k++) {
                const float *x = call->x[0] + (o * own->length + k) * own->inner + start;

                for (int64_t i = 0; i < n; i++) {
                    sum[i] += (double)x[i];
                }
            }
            for (int64_t i = 0; i < n; i++) {
                call->y[o * own->inner + start + i] = (float)(sum[i] / (double)own->length);
            }
        }
    }
}

static void backward(const struct sg_call *call) {
    const struct sg_rows *own = call->node->own;
    const float share = 1.0f / (float)own->length;

    for (int64_t o = 0; o < call->batch * own->outer; o++) {
        const float *dy = call->dy + o * own->inner;

        for (int64_t k = 0; k < own->length; k++) {
            float *dx = call->dx[0] + (o * own->length + k) * own->inner;

            for (int64_t i = 0; i < own->inner; i++) {
                sg_put(dx, i, share * dy[i], call->accumulate[0]);
            }
        }
    }
}

const struct sg_op sg_op_global_average_pool = {
    .name = "GlobalAveragePool",
    .infer = infer_global,
    .forward = forward,
    .backward = backward,
};

const struct sg_op sg_op_reduce_mean = {
    .name = "ReduceMean",
    .infer = infer_reduce,
    .forward = forward,
    .backward = backward,
};
