/* src/net/ops/mean.c - ONNX GlobalAveragePool, and ReduceMean where it can: means over axes that
 * are neighbours in memory. */
#include "net/ops/ops_impl.h"

#include <string.h>

static const struct sg_op op_mean;

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
    SG_TRY(sg_set_dynamic(node, n, axes));
    node->op = &op_mean;
    node->flags = 0;
done:
    return status;
}

sg_status sg_become_mean(struct sg_node *node, unsigned chosen, int keep, int *taken) {
    sg_status status = SG_OK;
    const struct sg_value *in = node->in[0];
    const struct range r = {
        .first = __builtin_ctz(chosen), .last = 31 - __builtin_clz(chosen), .keep = keep};
    const int spatial = sg_is_spatial(in);

    *taken = __builtin_popcount(chosen) == r.last - r.first + 1 &&
             (keep || r.last - r.first + 1 < in->shape.n_axes) &&
             (!spatial || r.first == 1 || (r.first == 2 && r.last == 3)) &&
             (!spatial || (r.last - r.first == 2 || keep || r.first == 2)) &&
             !(spatial && r.first == 1 && r.last == 2);
    if (*taken) {
        SG_TRY(become_mean(node, &r));
    }
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

static const struct sg_op op_mean = {
    .name = "mean",
    .forward = forward,
    .backward = backward,
};

int sg_is_mean_of_rows(const struct sg_node *node, int64_t *n) {
    const struct sg_rows *own = node->own;

    if (node->op != &op_mean && node->op != &sg_op_global_average_pool) {
        return sg_is_reduced_mean_of_rows(node, n);
    }
    *n = own->length;
    return own->inner == 1;
}
