/* src/net/ops/pairs.c - functions of two numbers, or three: ONNX Add to Xor. Each is a line of the
 * table below: its value and its derivatives by a, b and c. Add, Sub, Mul and Div with a constant
 * are affine maps, which go into the weights before them. Tests give 1 or 0 and have the derivative
 * 0. */
#include "net/ops/ops_impl.h"

#include <math.h>
#include <string.h>

enum affine { NONE, ADD, SUB, MUL, DIV };

/* What two operators share: pointers to the functions of one. */
struct pair {
    enum affine affine;
    int reads;   /* the derivatives depend on the operands */
    int is_test; /* whole numbers come out of constants */
    float (*value)(float, float, float);
    int (*whole)(int64_t, int64_t, int64_t *); /* of whole constants; 0: impossible */
};

/* x op c and c op x as scale x + shift. */
static sg_status infer_constant(struct sg_node *node, enum affine kind) {
    sg_status status = SG_OK;
    const int i_constant = sg_is_constant(node, 0) ? 0 : 1;
    struct sg_value *v = node->in[1 - i_constant];
    const struct sg_constant *c;
    const float *spread;
    float *vector;
    int64_t period;

    SG_TRY(sg_float_constant(node, i_constant, "operand", &c));
    SG_TRY(sg_broadcast(node, c, v, &period, &spread));
    vector = sg_region_floats(&node->model->scratch, 2 * period);
    SG_NODE_NOMEM(vector, node);
    for (int64_t i = 0; i < period; i++) {
        vector[i] = kind == SUB && i_constant == 1 ? -spread[i]
                    : kind == DIV                  ? 1.0f / spread[i]
                                                   : spread[i];
        vector[period + i] = -1.0f; /* the scale of c - x */
    }
    node->n_parameters += node->in[i_constant]->counted ? 0 : c->n;
    node->in[i_constant]->counted = 1;
    if (kind == MUL || kind == DIV) {
        SG_TRY(sg_become_affine(node, v, period, vector, NULL));
    } else {
        SG_TRY(sg_become_affine(node, v, period,
                                kind == SUB && i_constant == 0 ? vector + period : NULL, vector));
    }
done:
    return status;
}

/* 1 if the constant repeats over the value, and not the other way round. */
static int is_affine(const struct sg_node *node, enum affine kind) {
    const int i_constant = sg_is_constant(node, 0) ? 0 : 1;
    const struct sg_value *v = node->in[1 - i_constant];
    struct sg_layout a, c;

    if (kind == NONE || !sg_is_constant(node, i_constant) || v->shape.n_axes == 0 ||
        (kind == DIV && i_constant == 0) || node->in[i_constant]->constant.floats == NULL) {
        return 0;
    }
    sg_input_layout(node, 1 - i_constant, &a);
    sg_input_layout(node, i_constant, &c);
    for (int k = 1; k <= c.n_axes; k++) {
        const int64_t length = k <= a.n_axes ? a.axes[a.n_axes - k] : 0;

        if (c.axes[c.n_axes - k] != 1 && c.axes[c.n_axes - k] != length) {
            return 0;
        }
    }
    return c.n_axes <= a.n_axes;
}

static sg_status infer(struct sg_node *node, const struct pair *pair) {
    sg_status status = SG_OK;

    SG_TRY(sg_check_inputs(node, 2, 2));
    SG_TRY(sg_take_first_rows(node));
    if (is_affine(node, pair->affine)) {
        SG_TRY(infer_constant(node, pair->affine));
        return SG_OK;
    }
    SG_TRY(sg_become_spread(node));
    if (pair->reads) {
        node->flags |= SG_OP_KEEPS_INPUT;
    }
    if (((const struct sg_spread *)node->own)->same) {
        node->flags |= SG_OP_GRAD_INPLACE | (pair->reads ? 0u : (unsigned)SG_OP_INPLACE);
    }
done:
    return status;
}

/* Constants of one kind; tests of whole numbers, or of floats, give whole numbers. */
static sg_status fold(struct sg_node *node, const struct pair *pair) {
    sg_status status = SG_OK;
    struct sg_spread s;
    int64_t at[3] = {0};
    int64_t *ints = NULL;
    float *floats = NULL;
    int whole;

    SG_TRY(sg_check_inputs(node, 2, 2));
    SG_TRY(sg_spread_axes(node, &s));
    whole = node->in[0]->constant.ints != NULL && node->in[1]->constant.ints != NULL;
    if (whole || pair->is_test) {
        SG_TRY(sg_set_ints(node, s.n_axes, s.axes, &ints));
    } else {
        SG_TRY(sg_set_floats(node, s.n_axes, s.axes, &floats));
    }
    for (int64_t i = 0; i < node->out->constant.n; i++) {
        const struct sg_constant *c[2] = {&node->in[0]->constant, &node->in[1]->constant};
        float v[2];

        sg_spread_at(node, &s, i, at);
        for (int o = 0; o < 2; o++) {
            v[o] = c[o]->floats != NULL ? c[o]->floats[at[o]] : (float)c[o]->ints[at[o]];
        }
        if (whole) {
            SG_NODE_CHECK(pair->whole != NULL &&
                              pair->whole(c[0]->ints[at[0]], c[1]->ints[at[1]], &ints[i]),
                          node, "it divides by zero or overflows");
        } else if (ints != NULL) {
            ints[i] = (int64_t)pair->value(v[0], v[1], 0.0f);
        } else {
            floats[i] = pair->value(v[0], v[1], 0.0f);
        }
    }
done:
    return status;
}

typedef float slope_function(float a, float b, float c);

static inline void line(slope_function *f, int64_t n, const float *a, int64_t sa, const float *b,
                        int64_t sb, const float *c, int64_t sc, float *y) {
    if (sa == 1 && sb == 1 && sc == 0) {
        for (int64_t i = 0; i < n; i++) {
            y[i] = f(a[i], b[i], c[0]);
        }
    } else if (sa == 1 && sb == 0 && sc == 0) {
        for (int64_t i = 0; i < n; i++) {
            y[i] = f(a[i], b[0], c[0]);
        }
    } else {
        for (int64_t i = 0; i < n; i++) {
            y[i] = f(a[i * sa], b[i * sb], c[i * sc]);
        }
    }
}

static const float no_number[1] = {0.0f};

/* Where operand o of sample n starts. Operands that are not read may be gone. */
static const float *operand(const struct sg_call *call, const struct sg_spread *s, int o, int64_t n,
                            int64_t offset, int64_t *stride, int is_read) {
    *stride = s->stride[o][s->n - 1];
    if (o >= call->node->n_in || !is_read) {
        *stride = 0;
        return no_number;
    }
    return (s->constant[o] != NULL ? s->constant[o] : call->x[o] + n * s->size[o]) + offset;
}

static inline void forward(const struct sg_call *call, slope_function *f) {
    const struct sg_spread *s = call->node->own;
    const int64_t length = s->length[s->n - 1];
    const int64_t n_lines = call->node->out->size / length;
    float *y = call->y;

    for (int64_t n = 0; n < call->batch; n++) {
        int64_t at[SG_SPREAD_LOOPS] = {0};

        for (int64_t k = 0; k < n_lines; k++, y += length) {
            int64_t offset[3], stride[3];
            const float *x[3];

            sg_spread_next(s, at, offset);
            for (int o = 0; o < 3; o++) {
                x[o] = operand(call, s, o, n, offset[o], &stride[o], 1);
            }
            line(f, length, x[0], stride[0], x[1], stride[1], x[2], stride[2], y);
        }
    }
}

/* Where an operand repeats, its gradient is the sum over the repetitions, in the order of memory.
 */
static inline void backward_line(slope_function *df, int64_t n, const float *const *x,
                                 const int64_t *s, const float *dy, float *dx, int64_t sx,
                                 int adds) {
    if (s[0] == 1 && s[1] == 1 && s[2] == 0 && sx == 1) {
        for (int64_t i = 0; i < n; i++) {
            const float v = dy[i] * df(x[0][i], x[1][i], x[2][0]);

            dx[i] = adds ? dx[i] + v : v;
        }
    } else {
        for (int64_t i = 0; i < n; i++) {
            const float v = dy[i] * df(x[0][i * s[0]], x[1][i * s[1]], x[2][i * s[2]]);

            dx[i * sx] = adds ? dx[i * sx] + v : v;
        }
    }
}

static inline void backward_operand(const struct sg_call *call, int o, slope_function *df,
                                    int is_read) {
    const struct sg_spread *s = call->node->own;
    const int64_t length = s->length[s->n - 1];
    const int64_t n_lines = call->node->out->size / length;
    const int repeats = s->size[o] != call->node->out->size;
    const int adds = repeats || call->accumulate[o];
    const float *dy = call->dy;

    if (repeats && !call->accumulate[o]) {
        memset(call->dx[o], 0, (size_t)(call->batch * s->size[o]) * sizeof(float));
    }
    for (int64_t n = 0; n < call->batch; n++) {
        int64_t at[SG_SPREAD_LOOPS] = {0};

        for (int64_t k = 0; k < n_lines; k++, dy += length) {
            int64_t offset[3], stride[3];
            const float *x[3];

            sg_spread_next(s, at, offset);
            for (int i = 0; i < 3; i++) {
                x[i] = operand(call, s, i, n, offset[i], &stride[i], is_read);
            }
            backward_line(df, length, x, stride, dy, call->dx[o] + n * s->size[o] + offset[o],
                          s->stride[o][s->n - 1], adds);
        }
    }
}

/* Whole numbers at load. */
static int whole_add(int64_t a, int64_t b, int64_t *y) {
    return !__builtin_add_overflow(a, b, y);
}

static int whole_sub(int64_t a, int64_t b, int64_t *y) {
    return !__builtin_sub_overflow(a, b, y);
}

static int whole_mul(int64_t a, int64_t b, int64_t *y) {
    return !__builtin_mul_overflow(a, b, y);
}

static int whole_div(int64_t a, int64_t b, int64_t *y) {
    if (b == 0 || (a == INT64_MIN && b == -1)) {
        return 0;
    }
    *y = a / b;
    return 1;
}

/* The sign is that of the divisor. */
static int whole_mod(int64_t a, int64_t b, int64_t *y) {
    if (b == 0 || b == -1) {
        *y = 0;
        return b != 0;
    }
    *y = a % b;
    *y += *y != 0 && (*y < 0) != (b < 0) ? b : 0;
    return 1;
}

/* The sign is that of the dividend. */
static int whole_remainder(int64_t a, int64_t b, int64_t *y) {
    *y = b != 0 && b != -1 ? a % b : 0;
    return b != 0;
}

static int whole_pow(int64_t a, int64_t b, int64_t *y) {
    *y = 1;
    for (int64_t i = 0; i < b; i++) {
        if (i > 64 && (a > 1 || a < -1)) {
            return 0;
        }
        if (__builtin_mul_overflow(*y, a, y)) {
            return 0;
        }
        if (a == 0 || a == 1) {
            break;
        }
        if (a == -1) {
            *y = b % 2 != 0 ? -1 : 1;
            break;
        }
    }
    return b >= 0;
}

#define WHOLE(name, expression)                                                                    \
    static int whole_##name(int64_t a, int64_t b, int64_t *y) {                                    \
        *y = (expression);                                                                         \
        return 1;                                                                                  \
    }

WHOLE(min, a < b ? a : b)
WHOLE(max, a > b ? a : b)
WHOLE(equal, a == b)
WHOLE(greater, a > b)
WHOLE(less, a < b)
WHOLE(greater_or_equal, a >= b)
WHOLE(less_or_equal, a <= b)
WHOLE(and, a != 0 && b != 0)
WHOLE(or, a != 0 || b != 0)
WHOLE(xor, (a != 0) != (b != 0))

#define FUNCTIONS(file_name, f, dfa, dfb, dfc)                                                     \
    static inline float f_##file_name(float a, float b, float c) {                                 \
        (void)a;                                                                                   \
        (void)b;                                                                                   \
        (void)c;                                                                                   \
        return f;                                                                                  \
    }                                                                                              \
    static inline float da_##file_name(float a, float b, float c) {                                \
        (void)a;                                                                                   \
        (void)b;                                                                                   \
        (void)c;                                                                                   \
        return dfa;                                                                                \
    }                                                                                              \
    static inline float db_##file_name(float a, float b, float c) {                                \
        (void)a;                                                                                   \
        (void)b;                                                                                   \
        (void)c;                                                                                   \
        return dfb;                                                                                \
    }                                                                                              \
    static inline float dc_##file_name(float a, float b, float c) {                                \
        (void)a;                                                                                   \
        (void)b;                                                                                   \
        (void)c;                                                                                   \
        return dfc;                                                                                \
    }                                                                                              \
    static void forward_##file_name(const struct sg_call *call) {                                  \
        forward(call, f_##file_name);                                                              \
    }                                                                                              \
    static void backward_##file_name(const struct sg_call *call) {                                 \
        const int reads = (call->node->flags & SG_OP_KEEPS_INPUT) != 0;                            \
                                                                                                   \
        if (call->node->n_in > 2 && call->dx[2] != NULL) {                                         \
            backward_operand(call, 2, dc_##file_name, reads);                                      \
        }                                                                                          \
        if (call->dx[1] != NULL) {                                                                 \
            backward_operand(call, 1, db_##file_name, reads);                                      \
        }                                                                                          \
        if (call->dx[0] != NULL) { /* last: it may lie where dy does */                            \
            backward_operand(call, 0, da_##file_name, reads);                                      \
        }                                                                                          \
    }

#define PAIR(op_name, file_name, since, kind, is_read, test, whole_function, f, dfa, dfb)          \
    FUNCTIONS(file_name, f, dfa, dfb, 0.0f)                                                        \
    static const struct pair pair_##file_name = {kind, is_read, test, f_##file_name,               \
                                                 whole_function};                                  \
    static sg_status infer_##file_name(struct sg_node *node) {                                     \
        return infer(node, &pair_##file_name);                                                     \
    }                                                                                              \
    static sg_status fold_##file_name(struct sg_node *node) {                                      \
        return fold(node, &pair_##file_name);                                                      \
    }                                                                                              \
    const struct sg_op sg_op_##file_name = {                                                       \
        .name = op_name,                                                                           \
        .opset_min = since,                                                                        \
        .flags = SG_OP_TAKES_WHOLE | SG_OP_FUSES_RELU,                                             \
        .fold = fold_##file_name,                                                                  \
        .infer = infer_##file_name,                                                                \
        .forward = forward_##file_name,                                                            \
        .backward = backward_##file_name,                                                          \
    }

#define TEST(op_name, file_name, since, f)                                                         \
    PAIR(op_name, file_name, since, NONE, 0, 1, whole_##file_name, (f) ? 1.0f : 0.0f, 0.0f, 0.0f)

PAIR("Add", add, 0, ADD, 0, 0, whole_add, a + b, 1.0f, 1.0f);
PAIR("Sub", sub, 0, SUB, 0, 0, whole_sub, a - b, 1.0f, -1.0f);
PAIR("Mul", mul, 0, MUL, 1, 0, whole_mul, a *b, b, a);
PAIR("Div", div, 0, DIV, 1, 0, whole_div, a / b, 1.0f / b, -(a / b) / b);
FUNCTIONS(mod, fmodf(a, b), 1.0f, -truncf(a / b), 0.0f)
static const struct pair pair_mod = {NONE, 1, 0, f_mod, whole_mod};
static const struct pair pair_remainder = {NONE, 1, 0, f_mod, whole_remainder};

/* The attribute fmod asks for the remainder with the sign of the dividend, as floats have it. */
static sg_status fold_any_mod(struct sg_node *node) {
    sg_status status = SG_OK;
    int64_t like_floats;

    SG_TRY(sg_attribute_int(node, "fmod", 0, &like_floats));
    SG_TRY(fold(node, like_floats != 0 ? &pair_remainder : &pair_mod));
done:
    return status;
}

static sg_status infer_mod(struct sg_node *node) {
    return infer(node, &pair_mod);
}

const struct sg_op sg_op_mod = {
    .name = "Mod",
    .opset_min = 10,
    .flags = SG_OP_TAKES_WHOLE,
    .fold = fold_any_mod,
    .infer = infer_mod,
    .forward = forward_mod,
    .backward = backward_mod,
};

PAIR("Pow", pow, 0, NONE, 1, 0, whole_pow, (float)pow((double)a, (double)b),
     b == 0.0f ? 0.0f : (float)((double)b * pow((double)a, (double)b - 1.0)),
     a > 0.0f ? (float)(pow((double)a, (double)b) * log((double)a)) : 0.0f);
PAIR("PRelu", p_relu, 0, NONE, 1, 0, NULL, a<0.0f ? b * a : a, a> 0.0f ? 1.0f : b,
     a < 0.0f ? a : 0.0f);
TEST("Equal", equal, 0, a == b);
TEST("Greater", greater, 0, a > b);
TEST("Less", less, 0, a < b);
TEST("GreaterOrEqual", greater_or_equal, 12, a >= b);
TEST("LessOrEqual", less_or_equal, 12, a <= b);
TEST("And", and, 0, a != 0.0f && b != 0.0f);
TEST("Or", or, 0, a != 0.0f || b != 0.0f);
TEST("Xor", xor, 0, (a != 0.0f) != (b != 0.0f));

/* Any number of operands, two at a time; the first of equal ones is the smallest or largest. */
FUNCTIONS(min, b < a || b != b ? b : a, b < a || b != b ? 0.0f : 1.0f,
          b < a || b != b ? 1.0f : 0.0f, 0.0f)
FUNCTIONS(max, b > a || b != b ? b : a, b > a || b != b ? 0.0f : 1.0f,
          b > a || b != b ? 1.0f : 0.0f, 0.0f)
FUNCTIONS(sum, a + b, 1.0f, 1.0f, 0.0f)

static const struct pair pair_min = {NONE, 1, 0, f_min, whole_min};
static const struct pair pair_max = {NONE, 1, 0, f_max, whole_max};
static const struct pair pair_sum = {NONE, 0, 0, f_sum, whole_add};

/* The last two operands are the node's; all before are joined by nodes put before it. */
static sg_status chain(struct sg_node *node, const struct pair *pair) {
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
    SG_TRY(is_fold ? fold(node, pair) : infer(node, pair));
done:
    return status;
}

#define CHAIN(op_name, file_name)                                                                  \
    static sg_status chain_##file_name(struct sg_node *node) {                                     \
        return chain(node, &pair_##file_name);                                                     \
    }                                                                                              \
    const struct sg_op sg_op_##file_name = {                                                       \
        .name = op_name,                                                                           \
        .flags = SG_OP_TAKES_WHOLE,                                                                \
        .fold = chain_##file_name,                                                                 \
        .infer = chain_##file_name,                                                                \
        .forward = forward_##file_name,                                                            \
        .backward = backward_##file_name,                                                          \
    }

CHAIN("Min", min);
CHAIN("Max", max);
CHAIN("Sum", sum);

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

/* Where: the condition comes first in files. */
FUNCTIONS(where, a != 0.0f ? b : c, 0.0f, a != 0.0f ? 1.0f : 0.0f, a != 0.0f ? 0.0f : 1.0f)

static sg_status infer_where(struct sg_node *node) {
    sg_status status = SG_OK;

    SG_TRY(sg_check_inputs(node, 3, 3));
    SG_TRY(sg_become_spread(node));
done:
    return status;
}

static sg_status fold_where(struct sg_node *node) {
    sg_status status = SG_OK;
    const struct sg_constant *c[3];
    struct sg_spread s;
    int64_t at[3] = {0};
    int64_t *ints = NULL;
    float *floats = NULL;

    SG_TRY(sg_check_inputs(node, 3, 3));
    SG_TRY(sg_spread_axes(node, &s));
    for (int i = 0; i < 3; i++) {
        c[i] = &node->in[i]->constant;
    }
    SG_NODE_CHECK(c[0]->ints != NULL && (c[1]->ints != NULL) == (c[2]->ints != NULL), node,
                  "its constants are of different kinds");
    if (c[1]->ints != NULL) {
        SG_TRY(sg_set_ints(node, s.n_axes, s.axes, &ints));
    } else {
        SG_TRY(sg_set_floats(node, s.n_axes, s.axes, &floats));
    }
    for (int64_t i = 0; i < node->out->constant.n; i++) {
        int from;

        sg_spread_at(node, &s, i, at);
        from = c[0]->ints[at[0]] != 0 ? 1 : 2;
        if (ints != NULL) {
            ints[i] = c[from]->ints[at[from]];
        } else {
            floats[i] = c[from]->floats[at[from]];
        }
    }
done:
    return status;
}

const struct sg_op sg_op_where = {
    .name = "Where",
    .opset_min = 9,
    .flags = SG_OP_TAKES_WHOLE | SG_OP_KEEPS_INPUT,
    .fold = fold_where,
    .infer = infer_where,
    .forward = forward_where,
    .backward = backward_where,
};
