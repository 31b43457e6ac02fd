/* src/net/ops/pairs.h - functions of two numbers, or three, over operands that spread over each
 * other: each is its value and its derivatives by a, b and c. The loops are written out for each
 * function, so that the compiler sees through it. */
#ifndef NET_OPS_PAIRS_H
#define NET_OPS_PAIRS_H

#include "net/ops/ops_impl.h"

#include <string.h>

enum sg_pair_affine { NONE, ADD, SUB, MUL, DIV };

/* With a constant, Add, Sub, Mul and Div are affine maps. What two operators share: pointers to the
 * functions of one. */
struct sg_pair {
    enum sg_pair_affine affine;
    int reads;   /* the derivatives depend on the operands */
    int is_test; /* whole numbers come out of constants */
    float (*value)(float, float, float);
    int (*whole)(int64_t, int64_t, int64_t *); /* of whole constants; 0: impossible */
};

/* Two operands, one of them a value at least; or constants of one kind. */
sg_status sg_pair_infer(struct sg_node *node, const struct sg_pair *pair);
sg_status sg_pair_fold(struct sg_node *node, const struct sg_pair *pair);
/* Of values that do not repeat each element is a row. */
int64_t sg_pair_n_rows(const struct sg_node *node);
void sg_pair_set_rows(struct sg_node *node, int64_t n);

/* Whole numbers at load; 0 where there is no result. */
static inline int sg_whole_add(int64_t a, int64_t b, int64_t *y) {
    return !__builtin_add_overflow(a, b, y);
}

#define WHOLE(name, expression)                                                                    \
    static int whole_##name(int64_t a, int64_t b, int64_t *y) {                                    \
        *y = (expression);                                                                         \
        return 1;                                                                                  \
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

static const float sg_no_number[1] = {0.0f};

/* Where operand o of sample n starts. Operands that are not read may be gone. */
static const float *operand(const struct sg_call *call, const struct sg_spread *s, int o, int64_t n,
                            int64_t offset, int64_t *stride, int is_read) {
    *stride = s->stride[o][s->n - 1];
    if (o >= call->node->n_in || !is_read) {
        *stride = 0;
        return sg_no_number;
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
    static const struct sg_pair pair_##file_name = {kind, is_read, test, f_##file_name,            \
                                                    whole_function};                               \
    static sg_status infer_##file_name(struct sg_node *node) {                                     \
        return sg_pair_infer(node, &pair_##file_name);                                             \
    }                                                                                              \
    static sg_status fold_##file_name(struct sg_node *node) {                                      \
        return sg_pair_fold(node, &pair_##file_name);                                              \
    }                                                                                              \
    const struct sg_op sg_op_##file_name = {                                                       \
        .name = op_name,                                                                           \
        .opset_min = since,                                                                        \
        .flags = SG_OP_TAKES_WHOLE | SG_OP_FUSES_RELU,                                             \
        .fold = fold_##file_name,                                                                  \
        .infer = infer_##file_name,                                                                \
        .n_rows = sg_pair_n_rows,                                                                  \
        .set_rows = sg_pair_set_rows,                                                              \
        .forward = forward_##file_name,                                                            \
        .backward = backward_##file_name,                                                          \
    }

#endif
