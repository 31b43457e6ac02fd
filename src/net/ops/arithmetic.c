/* src/net/ops/arithmetic.c - ONNX Add, Sub, Mul, Div, Mod, Pow and PRelu. */
#include "net/ops/pairs.h"

#include <math.h>

/* Whole numbers at load; 0 where there is no result. */
/* Whole numbers at load. */
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

PAIR("Add", add, 0, ADD, 0, 0, sg_whole_add, a + b, 1.0f, 1.0f);
PAIR("Sub", sub, 0, SUB, 0, 0, whole_sub, a - b, 1.0f, -1.0f);
PAIR("Mul", mul, 0, MUL, 1, 0, whole_mul, a *b, b, a);
PAIR("Div", div, 0, DIV, 1, 0, whole_div, a / b, 1.0f / b, -(a / b) / b);
FUNCTIONS(mod, fmodf(a, b), 1.0f, -truncf(a / b), 0.0f)
static const struct sg_pair pair_mod = {NONE, 1, 0, f_mod, whole_mod};
static const struct sg_pair pair_remainder = {NONE, 1, 0, f_mod, whole_remainder};

/* The attribute fmod asks for the remainder with the sign of the dividend, as floats have it. */
static sg_status fold_any_mod(struct sg_node *node) {
    sg_status status = SG_OK;
    int64_t like_floats;

    SG_TRY(sg_attribute_int(node, "fmod", 0, &like_floats));
    SG_TRY(sg_pair_fold(node, like_floats != 0 ? &pair_remainder : &pair_mod));
done:
    return status;
}

static sg_status infer_mod(struct sg_node *node) {
    return sg_pair_infer(node, &pair_mod);
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
