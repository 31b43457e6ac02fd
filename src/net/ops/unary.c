/* src/net/ops/unary.c - functions of one number: ONNX Abs to ThresholdedRelu. Each is a line of the
 * table below: its value, its derivative, its parameters. Both are taken in double and rounded
 * once. Where the derivative jumps it is that of the training frameworks; steps have the derivative
 * 0. */
#include "net/ops/ops_impl.h"

#include <math.h>

struct unary {
    float a;
    float b;
};

/* log(1 + exp(x)) */
static inline double soft(double x) {
    return x > 0.0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

static sg_status read_parameters(const struct sg_node *node, const char *a, double a_otherwise,
                                 const char *b, double b_otherwise, struct unary *own) {
    sg_status status = SG_OK;

    SG_TRY(sg_check_inputs(node, 1, 1));
    if (a != NULL) {
        SG_TRY(sg_attribute_float(node, a, (float)a_otherwise, &own->a));
    }
    if (b != NULL) {
        SG_TRY(sg_attribute_float(node, b, (float)b_otherwise, &own->b));
    }
done:
    return status;
}

/* Whole numbers at load stay whole. */
static sg_status fold_ints(struct sg_node *node, double (*f)(double, double, double)) {
    sg_status status = SG_OK;
    const struct sg_constant *c = &node->in[0]->constant;
    int64_t *ints;

    SG_TRY(sg_set_ints(node, c->n_axes, c->axes, &ints));
    for (int64_t i = 0; i < c->n; i++) {
        SG_NODE_CHECK(c->ints[i] > -(1 << 30) && c->ints[i] < 1 << 30, node,
                      "its constant is too large");
        ints[i] = (int64_t)f((double)c->ints[i], 0.0, 0.0);
    }
done:
    return status;
}

static sg_status fold(struct sg_node *node, const struct unary *own,
                      double (*f)(double, double, double)) {
    sg_status status = SG_OK;
    const struct sg_constant *c = &node->in[0]->constant;
    float *floats;

    if (c->ints != NULL) {
        return fold_ints(node, f);
    }
    SG_TRY(sg_set_floats(node, c->n_axes, c->axes, &floats));
    for (int64_t i = 0; i < c->n; i++) {
        floats[i] = (float)f((double)c->floats[i], (double)own->a, (double)own->b);
    }
done:
    return status;
}

/* f and df are functions of x and of the parameters a and b. */
#define UNARY(op_name, file_name, since, f, df, a_name, a_default, b_name, b_default)              \
    static inline double f_##file_name(double x, double a, double b) {                             \
        (void)a;                                                                                   \
        (void)b;                                                                                   \
        return f;                                                                                  \
    }                                                                                              \
    static inline double df_##file_name(double x, double a, double b) {                            \
        (void)x;                                                                                   \
        (void)a;                                                                                   \
        (void)b;                                                                                   \
        return df;                                                                                 \
    }                                                                                              \
    static sg_status fold_##file_name(struct sg_node *node) {                                      \
        sg_status status = SG_OK;                                                                  \
        struct unary own = {0};                                                                    \
                                                                                                   \
        SG_TRY(read_parameters(node, a_name, a_default, b_name, b_default, &own));                 \
        SG_TRY(fold(node, &own, f_##file_name));                                                   \
    done:                                                                                          \
        return status;                                                                             \
    }                                                                                              \
    static sg_status infer_##file_name(struct sg_node *node) {                                     \
        sg_status status = SG_OK;                                                                  \
        struct unary *own;                                                                         \
                                                                                                   \
        SG_TRY(sg_own(node, sizeof *own, &own));                                                   \
        SG_TRY(read_parameters(node, a_name, a_default, b_name, b_default, own));                  \
        SG_TRY(sg_set_same_shape(node));                                                           \
    done:                                                                                          \
        return status;                                                                             \
    }                                                                                              \
    static void forward_##file_name(const struct sg_call *call) {                                  \
        const struct unary own = *(const struct unary *)call->node->own;                           \
        const int64_t n = call->batch * call->node->out->size;                                     \
                                                                                                   \
        for (int64_t i = 0; i < n; i++) {                                                          \
            call->y[i] =                                                                           \
                (float)f_##file_name((double)call->x[0][i], (double)own.a, (double)own.b);         \
        }                                                                                          \
    }                                                                                              \
    static void backward_##file_name(const struct sg_call *call) {                                 \
        const struct unary own = *(const struct unary *)call->node->own;                           \
        const int64_t n = call->batch * call->node->out->size;                                     \
                                                                                                   \
        for (int64_t i = 0; i < n; i++) {                                                          \
            const double slope =                                                                   \
                df_##file_name((double)call->x[0][i], (double)own.a, (double)own.b);               \
                                                                                                   \
            sg_put(call->dx[0], i, (float)(slope * (double)call->dy[i]), call->accumulate[0]);     \
        }                                                                                          \
    }                                                                                              \
    const struct sg_op sg_op_##file_name = {                                                       \
        .name = op_name,                                                                           \
        .opset_min = since,                                                                        \
        .flags = SG_OP_TAKES_WHOLE | SG_OP_KEEPS_INPUT | SG_OP_GRAD_INPLACE | SG_OP_ELEMENTWISE,   \
        .fold = fold_##file_name,                                                                  \
        .infer = infer_##file_name,                                                                \
        .forward = forward_##file_name,                                                            \
        .backward = backward_##file_name,                                                          \
    }

UNARY("Abs", abs, 0, fabs(x), x > 0.0 ? 1.0 : x < 0.0 ? -1.0 : 0.0, NULL, 0.0, NULL, 0.0);
UNARY("Acos", acos, 0, acos(x), -1.0 / sqrt(1.0 - x * x), NULL, 0.0, NULL, 0.0);
UNARY("Acosh", acosh, 9, acosh(x), 1.0 / (sqrt(x - 1.0) * sqrt(x + 1.0)), NULL, 0.0, NULL, 0.0);
UNARY("Asin", asin, 0, asin(x), 1.0 / sqrt(1.0 - x * x), NULL, 0.0, NULL, 0.0);
UNARY("Asinh", asinh, 9, asinh(x), 1.0 / sqrt(x * x + 1.0), NULL, 0.0, NULL, 0.0);
UNARY("Atan", atan, 0, atan(x), 1.0 / (1.0 + x * x), NULL, 0.0, NULL, 0.0);
UNARY("Atanh", atanh, 9, atanh(x), 1.0 / (1.0 - x * x), NULL, 0.0, NULL, 0.0);
UNARY("Ceil", ceil, 0, ceil(x), 0.0 * x, NULL, 0.0, NULL, 0.0);
UNARY("Celu", celu, 12, x > 0.0 ? x : a * expm1(x / a), x > 0.0 ? 1.0 : exp(x / a), "alpha", 1.0,
      NULL, 0.0);
UNARY("Cos", cos, 0, cos(x), -sin(x), NULL, 0.0, NULL, 0.0);
UNARY("Cosh", cosh, 9, cosh(x), sinh(x), NULL, 0.0, NULL, 0.0);
UNARY("Elu", elu, 0, x > 0.0 ? x : a * expm1(x), x > 0.0 ? 1.0 : a * exp(x), "alpha", 1.0, NULL,
      0.0);
UNARY("Exp", exp, 0, exp(x), exp(x), NULL, 0.0, NULL, 0.0);
UNARY("Floor", floor, 0, floor(x), 0.0 * x, NULL, 0.0, NULL, 0.0);
UNARY("HardSigmoid", hard_sigmoid, 0, fmin(fmax(a *x + b, 0.0), 1.0),
      a *x + b > 0.0 && a * x + b < 1.0 ? a : 0.0, "alpha", 0.2, "beta", 0.5);
UNARY("HardSwish", hard_swish, 14, x *fmin(fmax(x / 6.0 + 0.5, 0.0), 1.0),
      x <= -3.0  ? 0.0
      : x >= 3.0 ? 1.0
                 : x / 3.0 + 0.5,
      NULL, 0.0, NULL, 0.0);
UNARY("IsNaN", is_nan, 9, x != x ? 1.0 : 0.0, 0.0, NULL, 0.0, NULL, 0.0);
UNARY("Log", log, 0, log(x), 1.0 / x, NULL, 0.0, NULL, 0.0);
UNARY("Mish", mish, 0, x *tanh(soft(x)),
      tanh(soft(x)) + x * (1.0 - tanh(soft(x)) * tanh(soft(x))) / (1.0 + exp(-x)), NULL, 0.0, NULL,
      0.0);
UNARY("Neg", neg, 0, -x, -1.0 + 0.0 * x, NULL, 0.0, NULL, 0.0);
UNARY("Not", not, 0, x == 0.0 ? 1.0 : 0.0, 0.0, NULL, 0.0, NULL, 0.0);
UNARY("Reciprocal", reciprocal, 0, 1.0 / x, -1.0 / (x * x), NULL, 0.0, NULL, 0.0);
UNARY("Round", round, 11, rint(x), 0.0 * x, NULL, 0.0, NULL, 0.0);
UNARY("Selu", selu, 0, b *(x > 0.0 ? x : a * expm1(x)), b *(x > 0.0 ? 1.0 : a * exp(x)), "alpha",
      1.6732631921768188, "gamma", 1.0507010221481323);
UNARY("Shrink", shrink, 9, x<-a ? x + b : x> a ? x - b : 0.0, x<-a || x> a ? 1.0 : 0.0, "lambd",
      0.5, "bias", 0.0);
UNARY("Sign", sign, 9, (double)((x > 0.0) - (x < 0.0)), 0.0 * x, NULL, 0.0, NULL, 0.0);
UNARY("Sin", sin, 0, sin(x), cos(x), NULL, 0.0, NULL, 0.0);
UNARY("Sinh", sinh, 9, sinh(x), cosh(x), NULL, 0.0, NULL, 0.0);
UNARY("Softsign", softsign, 0, x / (1.0 + fabs(x)), 1.0 / ((1.0 + fabs(x)) * (1.0 + fabs(x))), NULL,
      0.0, NULL, 0.0);
UNARY("Sqrt", sqrt, 0, sqrt(x), 0.5 / sqrt(x), NULL, 0.0, NULL, 0.0);
UNARY("Tan", tan, 0, tan(x), 1.0 + tan(x) * tan(x), NULL, 0.0, NULL, 0.0);
UNARY("ThresholdedRelu", thresholded_relu, 10, x > a ? x : 0.0, x > a ? 1.0 : 0.0, "alpha", 1.0,
      NULL, 0.0);
