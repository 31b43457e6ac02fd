/* src/net/ops/reduce.c - ONNX ReduceL1 to ReduceSumSquare and GlobalMaxPool: one number from all
 * elements along any axes, of any layout. Each is a line of the table below. Sums are in double, in
 * the order of the ONNX axes. */
#include "net/ops/ops_impl.h"

#include <math.h>
#include <string.h>

/* Offsets into the input's memory: of the result's elements in their order of memory, and of the
 * elements that one result is made of. */
struct reduce {
    int64_t n_out;
    int64_t n;
    const int64_t *start; /* [n_out] */
    const int64_t *step;  /* [n] */
};

/* All offsets of the chosen axes, the last fastest; `out` tells their order. */
static sg_status list_offsets(const struct sg_node *node, int n_axes, const int64_t *axes,
                              const int64_t *strides, int64_t n, const int64_t **out) {
    sg_status status = SG_OK;
    int64_t *list = sg_region_take(&node->model->keep, (size_t)n, sizeof *list);

    SG_NODE_NOMEM(list, node);
    for (int64_t i = 0; i < n; i++) {
        int64_t rest = i;

        for (int k = n_axes - 1; k >= 0; k--) {
            list[i] += rest % axes[k] * strides[k];
            rest /= axes[k];
        }
    }
    *out = list;
done:
    return status;
}

/* Axes of the result, whose memory is walked from the outermost to the innermost. */
static sg_status list_results(const struct sg_node *node, const struct sg_layout *in,
                              unsigned chosen, struct reduce *own) {
    sg_status status = SG_OK;
    int64_t axes[SG_CONSTANT_AXES], strides[SG_CONSTANT_AXES];
    const int spatial = node->out->kind == SG_VALUE_DYNAMIC && sg_is_spatial(node->out);
    int n = 0;

    for (int i = 0; i < in->n_axes; i++) {
        if ((chosen >> i & 1) == 0 && !(spatial && i == 1)) {
            axes[n] = in->axes[i];
            strides[n++] = in->strides[i];
        }
    }
    if (spatial && (chosen & 2u) == 0) { /* the channels are innermost */
        axes[n] = in->axes[1];
        strides[n++] = in->strides[1];
    }
    SG_TRY(list_offsets(node, n, axes, strides, own->n_out, &own->start));
    n = 0;
    for (int i = 0; i < in->n_axes; i++) {
        if ((chosen >> i & 1) != 0) {
            axes[n] = in->axes[i];
            strides[n++] = in->strides[i];
        }
    }
    SG_TRY(list_offsets(node, n, axes, strides, own->n, &own->step));
done:
    return status;
}

static sg_status read_axes(const struct sg_node *node, const struct sg_layout *in,
                           unsigned *chosen) {
    sg_status status = SG_OK;
    const int64_t *list;
    int64_t n, axis, no_op;

    SG_TRY(sg_ints_from(node, "axes", 1, &n, &list));
    SG_TRY(sg_attribute_int(node, "noop_with_empty_axes", 0, &no_op));
    *chosen = 0;
    for (int64_t i = 0; i < n; i++) {
        SG_TRY(sg_axis(node, list[i], in->n_axes, &axis));
        *chosen |= 1u << axis;
    }
    if (n <= 0 && no_op == 0) {
        *chosen = (1u << in->n_axes) - 1;
        SG_TRY(sg_check_batch_axis(node, 0));
    }
done:
    return status;
}

static sg_status become(struct sg_node *node, unsigned chosen, int keep) {
    sg_status status = SG_OK;
    struct sg_layout in;
    int64_t axes[SG_CONSTANT_AXES] = {0};
    struct reduce *own;
    int n_axes = 0;

    sg_input_layout(node, 0, &in);
    SG_TRY(sg_own(node, sizeof *own, &own));
    own->n = own->n_out = 1;
    for (int i = 0; i < in.n_axes; i++) {
        const int goes = (chosen >> i & 1) != 0;

        *(goes ? &own->n : &own->n_out) *= in.axes[i];
        if (!goes || keep) {
            axes[n_axes++] = goes ? 1 : in.axes[i];
        }
    }
    SG_TRY(sg_set_onnx(node, n_axes, axes, sg_is_spatial(node->in[0]) && keep));
    SG_TRY(list_results(node, &in, chosen, own));
done:
    return status;
}

static sg_status infer_any(struct sg_node *node) {
    sg_status status = SG_OK;
    struct sg_layout in;
    unsigned chosen = 0;
    int64_t keep;

    SG_TRY(sg_check_inputs(node, 1, 2));
    sg_input_layout(node, 0, &in);
    SG_TRY(read_axes(node, &in, &chosen));
    SG_TRY(sg_attribute_int(node, "keepdims", 1, &keep));
    SG_TRY(become(node, chosen, keep != 0));
done:
    return status;
}

static sg_status infer_global(struct sg_node *node) {
    sg_status status = SG_OK;
    struct sg_layout in;

    SG_TRY(sg_check_inputs(node, 1, 1));
    sg_input_layout(node, 0, &in);
    SG_NODE_CHECK(in.n_axes >= 3, node, "its input has no image axes");
    SG_TRY(become(node, ((1u << in.n_axes) - 1) & ~3u, 1));
done:
    return status;
}

/* Axes that are neighbours in memory have a faster way. */
static sg_status infer_mean(struct sg_node *node) {
    sg_status status = SG_OK;
    struct sg_layout in;
    unsigned chosen = 0;
    int64_t keep;
    int taken = 0;

    SG_TRY(sg_check_inputs(node, 1, 2));
    sg_input_layout(node, 0, &in);
    SG_TRY(read_axes(node, &in, &chosen));
    SG_TRY(sg_attribute_int(node, "keepdims", 1, &keep));
    if (!node->in[0]->whole && chosen != 0 && (chosen & 1u) == 0) {
        SG_TRY(sg_become_mean(node, chosen, keep != 0, &taken));
    }
    if (!taken) {
        SG_TRY(become(node, chosen, keep != 0));
    }
done:
    return status;
}

/* Whole numbers at load. */
static sg_status fold_whole(struct sg_node *node, double (*add)(double, double), double first) {
    sg_status status = SG_OK;
    const struct sg_constant *c = &node->in[0]->constant;
    struct sg_layout in;
    struct reduce own = {.n = 1, .n_out = 1};
    int64_t axes[SG_CONSTANT_AXES] = {0};
    unsigned chosen = 0;
    int64_t keep;
    int64_t *ints;
    int n_axes = 0;

    SG_TRY(sg_check_inputs(node, 1, 2));
    SG_NODE_CHECK(c->ints != NULL && c->n > 0, node, "its constant is not of whole numbers");
    sg_input_layout(node, 0, &in);
    SG_TRY(read_axes(node, &in, &chosen));
    SG_TRY(sg_attribute_int(node, "keepdims", 1, &keep));
    for (int i = 0; i < in.n_axes; i++) {
        const int goes = (chosen >> i & 1) != 0;

        *(goes ? &own.n : &own.n_out) *= in.axes[i];
        if (!goes || keep) {
            axes[n_axes++] = goes ? 1 : in.axes[i];
        }
    }
    SG_TRY(list_results(node, &in, chosen, &own));
    SG_TRY(sg_set_ints(node, n_axes, axes, &ints));
    for (int64_t o = 0; o < own.n_out; o++) {
        double sum = first;

        for (int64_t k = 0; k < own.n; k++) {
            sum = add(sum, (double)c->ints[own.start[o] + own.step[k]]);
        }
        SG_NODE_CHECK(fabs(sum) < 0x1p53, node, "it calculates with numbers that are too large");
        ints[o] = (int64_t)sum;
    }
done:
    return status;
}

static sg_status fold(struct sg_node *node, double (*add)(double, double), double first) {
    if (node->in[0]->constant.floats != NULL) {
        return sg_fold_by_running(node);
    }
    return fold_whole(node, add, first);
}

/* ---- a maximum or minimum as a choice: a counter for each element of each result ---- */

static int64_t n_counters(const struct sg_node *node) {
    const struct reduce *own = node->own;

    return own->n_out * own->n;
}

/* The first element that is the result, as backward has it. */
static void count_winners(const struct sg_call *call, int64_t j, int64_t first, int64_t n,
                          int32_t *at) {
    const struct reduce *own = call->node->own;

    for (int64_t o = first; o < first + n; o++) {
        const float *x = call->x[0] + j * call->node->in[0]->size + own->start[o];
        const float y = call->y[j * own->n_out + o];
        int64_t k = 0;

        while (k < own->n && !(x[own->step[k]] == y)) {
            k++;
        }
        at[o - first] = k < own->n ? (int32_t)(o * own->n + k) : -1;
    }
}

static void backward_shares(const struct sg_call *call, const float *shares) {
    const struct reduce *own = call->node->own;

    for (int64_t b = 0; b < call->batch; b++) {
        for (int64_t o = 0; o < own->n_out; o++) {
            const float dy = call->dy[b * own->n_out + o];

            for (int64_t k = 0; k < own->n; k++) {
                sg_put(call->dx[0], b * call->node->in[0]->size + own->start[o] + own->step[k],
                       shares[o * own->n + k] * dy, call->accumulate[0]);
            }
        }
    }
}

static const struct sg_choice choice = {
    .n_counters = n_counters, .counted = count_winners, .backward = backward_shares};

/* `first` is the sum of nothing; then for each element x: sum = add; at the end y = finish. The
 * derivative by x is slope; `is_first` holds until an element has passed a gradient on: of equal
 * maxima the first wins. */
#define REDUCTION(op_name, file_name, how, more_flags, its_choice, first, added, finished, slope)  \
    static double add_##file_name(double sum, double x) {                                          \
        return added;                                                                              \
    }                                                                                              \
    static sg_status fold_##file_name(struct sg_node *node) {                                      \
        return fold(node, add_##file_name, first);                                                 \
    }                                                                                              \
    static void forward_##file_name(const struct sg_call *call) {                                  \
        const struct reduce *own = call->node->own;                                                \
        const double n = (double)own->n;                                                           \
                                                                                                   \
        (void)n;                                                                                   \
        for (int64_t b = 0; b < call->batch; b++) {                                                \
            for (int64_t o = 0; o < own->n_out; o++) {                                             \
                const float *at = call->x[0] + b * call->node->in[0]->size + own->start[o];        \
                double sum = first;                                                                \
                                                                                                   \
                for (int64_t k = 0; k < own->n; k++) {                                             \
                    const double x = (double)at[own->step[k]];                                     \
                    sum = added;                                                                   \
                }                                                                                  \
                call->y[b * own->n_out + o] = (float)(finished);                                   \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    static void backward_##file_name(const struct sg_call *call) {                                 \
        const struct reduce *own = call->node->own;                                                \
        const double n = (double)own->n;                                                           \
                                                                                                   \
        (void)n;                                                                                   \
        for (int64_t b = 0; b < call->batch; b++) {                                                \
            for (int64_t o = 0; o < own->n_out; o++) {                                             \
                const int64_t start = b * call->node->in[0]->size + own->start[o];                 \
                const double y = (double)call->y[b * own->n_out + o];                              \
                const double dy = (double)call->dy[b * own->n_out + o];                            \
                int is_first = 1;                                                                  \
                                                                                                   \
                (void)y;                                                                           \
                for (int64_t k = 0; k < own->n; k++) {                                             \
                    const double x = (double)call->x[0][start + own->step[k]];                     \
                    const double d = slope;                                                        \
                                                                                                   \
                    (void)x;                                                                       \
                    is_first = is_first && d == 0.0;                                               \
                    sg_put(call->dx[0], start + own->step[k], (float)(d * dy),                     \
                           call->accumulate[0]);                                                   \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    const struct sg_op sg_op_##file_name = {                                                       \
        .name = op_name,                                                                           \
        .flags = SG_OP_TAKES_WHOLE | SG_OP_KEEPS_INPUT | SG_OP_KEEPS_OUTPUT | (more_flags),        \
        .choice = its_choice,                                                                      \
        .fold = fold_##file_name,                                                                  \
        .infer = how,                                                                              \
        .forward = forward_##file_name,                                                            \
        .backward = backward_##file_name,                                                          \
    }

/* 0 / 0, where all elements are 0, counts as 0. */
static double share(double a, double b) {
    return b != 0.0 ? a / b : 0.0;
}

REDUCTION("ReduceL1", reduce_l1, infer_any, 0, NULL, 0.0, sum + fabs(x), sum,
          x > 0.0   ? 1.0
          : x < 0.0 ? -1.0
                    : 0.0);
REDUCTION("ReduceL2", reduce_l2, infer_any, 0, NULL, 0.0, sum + x * x, sqrt(sum), share(x, y));
REDUCTION("ReduceLogSum", reduce_log_sum, infer_any, 0, NULL, 0.0, sum + x, log(sum), exp(-y));
REDUCTION("ReduceLogSumExp", reduce_log_sum_exp, infer_any, 0, NULL, -INFINITY,
          x > sum ? x + log1p(exp(sum - x)) : sum + log1p(exp(x - sum)), sum, exp(x - y));
REDUCTION("ReduceMean", reduce_mean, infer_mean, SG_OP_LINEAR, NULL, 0.0, sum + x, sum / n,
          1.0 / n);
REDUCTION("ReduceMax", reduce_max, infer_any, SG_OP_CHOOSES, &choice, -INFINITY,
          x > sum || x != x ? x : sum, sum, is_first &&x == y ? 1.0 : 0.0);
REDUCTION("ReduceMin", reduce_min, infer_any, SG_OP_CHOOSES, &choice, INFINITY,
          x < sum || x != x ? x : sum, sum, is_first &&x == y ? 1.0 : 0.0);
REDUCTION("ReduceProd", reduce_prod, infer_any, 0, NULL, 1.0, sum *x, sum, share(y, x));
REDUCTION("ReduceSum", reduce_sum, infer_any, SG_OP_LINEAR, NULL, 0.0, sum + x, sum, 1.0);
REDUCTION("ReduceSumSquare", reduce_sum_square, infer_any, 0, NULL, 0.0, sum + x * x, sum, 2.0 * x);
REDUCTION("GlobalMaxPool", global_max_pool, infer_global, SG_OP_CHOOSES, &choice, -INFINITY,
          x > sum || x != x ? x : sum, sum, is_first &&x == y ? 1.0 : 0.0);

int sg_is_reduced_mean_of_rows(const struct sg_node *node, int64_t *n) {
    const struct reduce *own = node->own;

    if (node->op != &sg_op_reduce_mean) {
        return 0;
    }
    for (int64_t o = 0; o < own->n_out; o++) {
        if (own->start[o] != o * own->n) {
            return 0;
        }
    }
    for (int64_t k = 0; k < own->n; k++) {
        if (own->step[k] != k) {
            return 0;
        }
    }
    *n = own->n;
    return 1;
}
