/* src/net/ops/norms.c - ONNX LpNormalization, MeanVarianceNormalization, LpPool and GlobalLpPool,
 * by the operators that they are made of. */
#include "net/ops/ops_impl.h"

/* |v|^p, for p = 1 and 2 without a power. */
static sg_status power(struct sg_node *node, int64_t p, struct sg_value *v, struct sg_value **out) {
    sg_status status = SG_OK;
    struct sg_value *number = NULL;

    if (p == 2) {
        SG_TRY(sg_lower(node, "Mul", v, v, out));
        return SG_OK;
    }
    SG_TRY(sg_lower(node, "Abs", v, NULL, out));
    if (p != 1) {
        SG_TRY(sg_new_number(node, (float)p, &number));
        SG_TRY(sg_lower(node, "Pow", *out, number, out));
    }
done:
    return status;
}

static sg_status root(struct sg_node *node, int64_t p, struct sg_value **v) {
    sg_status status = SG_OK;
    struct sg_value *number = NULL;

    if (p == 2) {
        SG_TRY(sg_lower(node, "Sqrt", *v, NULL, v));
    } else if (p != 1) {
        SG_TRY(sg_new_number(node, 1.0f / (float)p, &number));
        SG_TRY(sg_lower(node, "Pow", *v, number, v));
    }
done:
    return status;
}

static sg_status read_p(const struct sg_node *node, int64_t *p) {
    sg_status status = SG_OK;

    SG_TRY(sg_check_inputs(node, 1, 1));
    SG_TRY(sg_attribute_int(node, "p", 2, p));
    SG_NODE_CHECK(*p >= 1 && *p <= 64, node, "p is %lld; 1 to 64 are supported", (long long)*p);
done:
    return status;
}

static sg_status lp_normalization(struct sg_node *node) {
    sg_status status = SG_OK;
    struct sg_value *x = node->in[0], *norm = NULL, *result = NULL;
    int64_t p, axis;

    SG_TRY(read_p(node, &p));
    SG_NODE_CHECK(p <= 2, node, "p is %lld; 1 and 2 are supported", (long long)p);
    SG_TRY(sg_attribute_int(node, "axis", -1, &axis));
    SG_TRY(sg_lower_ints(node, p == 1 ? "ReduceL1" : "ReduceL2", x, "axes", 1, &axis, &norm));
    SG_TRY(sg_lower(node, "Div", x, norm, &result));
    SG_TRY(sg_become(node, result));
done:
    return status;
}

/* (x - mean) / (deviation + 1e-9), as the standard defines it. */
static sg_status mean_variance_normalization(struct sg_node *node) {
    sg_status status = SG_OK;
    static const int64_t usual[] = {0, 2, 3};
    struct sg_value *x = node->in[0], *mean = NULL, *d = NULL;
    struct sg_value *squares = NULL, *tiny = NULL, *result = NULL;
    const int64_t *axes;
    int64_t n;

    SG_TRY(sg_check_inputs(node, 1, 1));
    SG_TRY(sg_attribute_ints(node, "axes", &n, &axes));
    axes = n > 0 ? axes : usual;
    n = n > 0 ? n : 3;
    SG_TRY(sg_lower_ints(node, "ReduceMean", x, "axes", n, axes, &mean));
    SG_TRY(sg_lower(node, "Sub", x, mean, &d));
    SG_TRY(sg_lower(node, "Mul", d, d, &squares));
    SG_TRY(sg_lower_ints(node, "ReduceMean", squares, "axes", n, axes, &squares));
    SG_TRY(sg_new_number(node, 1e-9f, &tiny));
    SG_TRY(sg_lower(node, "Sqrt", squares, NULL, &squares));
    SG_TRY(sg_lower(node, "Add", squares, tiny, &squares));
    SG_TRY(sg_lower(node, "Div", d, squares, &result));
    SG_TRY(sg_become(node, result));
done:
    return status;
}

/* The mean of |x|^p with the padding counted, times the size of the window, is their sum. */
static sg_status lp_pool(struct sg_node *node) {
    sg_status status = SG_OK;
    struct sg_value *v = NULL, *size = NULL;
    const int64_t *kernel;
    int64_t p, n;
    float cells = 1.0f;

    SG_TRY(read_p(node, &p));
    SG_TRY(sg_attribute_ints(node, "kernel_shape", &n, &kernel));
    for (int64_t i = 0; i < n; i++) {
        cells *= (float)kernel[i];
    }
    SG_TRY(power(node, p, node->in[0], &v));
    SG_TRY(sg_lower_alike(node, "AveragePool", v, "count_include_pad", 1, &v));
    SG_TRY(sg_new_number(node, cells, &size));
    SG_TRY(sg_lower(node, "Mul", v, size, &v));
    SG_TRY(root(node, p, &v));
    SG_TRY(sg_become(node, v));
done:
    return status;
}

static sg_status global_lp_pool(struct sg_node *node) {
    sg_status status = SG_OK;
    int64_t had[SG_CONSTANT_AXES], over[SG_CONSTANT_AXES];
    struct sg_value *v = NULL;
    int64_t p, n;

    SG_TRY(read_p(node, &p));
    n = sg_input_axes(node, 0, had) - 2;
    SG_NODE_CHECK(n >= 1, node, "its input has no image axes");
    for (int64_t i = 0; i < n; i++) {
        over[i] = i + 2;
    }
    SG_TRY(power(node, p, node->in[0], &v));
    SG_TRY(sg_lower_ints(node, "ReduceSum", v, "axes", n, over, &v));
    SG_TRY(root(node, p, &v));
    SG_TRY(sg_become(node, v));
done:
    return status;
}

#define LOWERED(op_name, since, file_name)                                                         \
    const struct sg_op sg_op_##file_name = {.name = op_name,                                       \
                                            .opset_min = since,                                    \
                                            .flags = SG_OP_TAKES_WHOLE,                            \
                                            .fold = file_name,                                     \
                                            .infer = file_name}

LOWERED("LpNormalization", 0, lp_normalization);
LOWERED("MeanVarianceNormalization", 9, mean_variance_normalization);
LOWERED("LpPool", 0, lp_pool);
LOWERED("GlobalLpPool", 0, global_lp_pool);
