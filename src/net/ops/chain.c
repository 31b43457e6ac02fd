/* src/net/ops/chain.c - ONNX Min, Max, Sum and Mean of any number of operands. */
#include "net/ops/pairs.h"

WHOLE(min, a < b ? a : b)
WHOLE(max, a > b ? a : b)

/* Any number of operands, two at a time; the first of equal ones is the smallest or largest. */
FUNCTIONS(min, b < a || b != b ? b : a, b < a || b != b ? 0.0f : 1.0f,
          b < a || b != b ? 1.0f : 0.0f, 0.0f)
FUNCTIONS(max, b > a || b != b ? b : a, b > a || b != b ? 0.0f : 1.0f,
          b > a || b != b ? 1.0f : 0.0f, 0.0f)
FUNCTIONS(sum, a + b, 1.0f, 1.0f, 0.0f)

static const struct sg_pair pair_min = {NONE, 1, 0, f_min, whole_min};
static const struct sg_pair pair_max = {NONE, 1, 0, f_max, whole_max};
static const struct sg_pair pair_sum = {NONE, 0, 0, f_sum, sg_whole_add};

/* The last two operands are the node's; all before are joined by nodes put before it. */
static sg_status chain(struct sg_node *node, const struct sg_pair *pair) {
    sg_status status = SG_OK;
    int is_fold;
    struct sg_value **in = node->in;
    const int n_in = node->n_in;

    SG_TRY(sg_check_inputs(node, 1, INT32_MAX));
    for (int i = 0; i < n_in; i++) {
        SG_NODE_CHECK(in[i] != NULL, node, "its input %d is missing", i + 1);
    }
    if (n_in == 1) {
        SG_TRY(sg_set_alias(node, 0));
        return SG_OK;
    }
    if (n_in > 2) {
        struct sg_value *first = in[0];

        for (int i = 1; i < n_in - 1; i++) {
            SG_TRY(sg_insert_by_op(node, node->op, first, in[i], &first));
        }
        in[n_in - 2] = first;
        node->in = in + n_in - 2;
        node->n_in = 2;
    }
    is_fold = node->in[0]->kind == SG_VALUE_CONSTANT && node->in[1]->kind == SG_VALUE_CONSTANT;
    SG_TRY(is_fold ? sg_pair_fold(node, pair) : sg_pair_infer(node, pair));
done:
    return status;
}

#define CHAIN(op_name, file_name, more_flags)                                                      \
    static sg_status chain_##file_name(struct sg_node *node) {                                     \
        return chain(node, &pair_##file_name);                                                     \
    }                                                                                              \
    const struct sg_op sg_op_##file_name = {                                                       \
        .name = op_name,                                                                           \
        .flags = SG_OP_TAKES_WHOLE | (more_flags),                                                 \
        .fold = chain_##file_name,                                                                 \
        .infer = chain_##file_name,                                                                \
        .forward = forward_##file_name,                                                            \
        .backward = backward_##file_name,                                                          \
    }

CHAIN("Min", min, SG_OP_CHOOSES);
CHAIN("Max", max, SG_OP_CHOOSES);
CHAIN("Sum", sum, 0);

/* Mean: the sum, then a share of it. */
static sg_status mean(struct sg_node *node) {
    sg_status status = SG_OK;
    struct sg_value *sum, *share = NULL;

    SG_TRY(sg_check_inputs(node, 1, INT32_MAX));
    SG_TRY(sg_new_number(node, 1.0f / (float)node->n_in, &share));
    sum = node->in[0];
    for (int i = 1; i < node->n_in; i++) {
        SG_NODE_CHECK(node->in[i] != NULL, node, "its input %d is missing", i + 1);
        SG_TRY(sg_lower(node, "Add", sum, node->in[i], &sum));
    }
    SG_TRY(sg_lower(node, "Mul", sum, share, &sum));
    SG_TRY(sg_become(node, sum));
done:
    return status;
}

const struct sg_op sg_op_mean = {
    .name = "Mean", .flags = SG_OP_TAKES_WHOLE, .fold = mean, .infer = mean};
