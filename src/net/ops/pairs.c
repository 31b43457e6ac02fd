/* src/net/ops/pairs.c - shapes and constants of functions of two numbers: affine maps where one of
 * them is a constant that repeats, otherwise operands that spread over each other. */
#include "net/ops/pairs.h"

/* x op c and c op x as scale x + shift. */
static sg_status infer_constant(struct sg_node *node, enum sg_pair_affine kind) {
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
static int is_affine(const struct sg_node *node, enum sg_pair_affine kind) {
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

/* 1 if the values among the operands are walked through as the result is. */
static int is_elementwise(const struct sg_node *node) {
    const struct sg_spread *s = node->own;

    for (int i = 0; i < node->n_in; i++) {
        int64_t step = 1;

        for (int k = s->n - 1; k >= 0 && node->in[i]->kind == SG_VALUE_DYNAMIC; k--) {
            if (s->stride[i][k] != step && s->length[k] > 1) {
                return 0;
            }
            step *= s->length[k];
        }
    }
    return 1;
}

sg_status sg_pair_infer(struct sg_node *node, const struct sg_pair *pair) {
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
    if (pair->affine == MUL) {
        node->flags |= SG_OP_PRODUCT;
    }
    if (pair->affine == DIV && sg_is_constant(node, 1)) {
        node->flags |= SG_OP_LINEAR;
    }
    if (is_elementwise(node)) {
        node->flags |= SG_OP_ELEMENTWISE;
    }
    if (((const struct sg_spread *)node->own)->same) {
        node->flags |= pair->affine == ADD ? (unsigned)SG_OP_SUM : 0u;
        node->flags |= SG_OP_GRAD_INPLACE | (pair->reads ? 0u : (unsigned)SG_OP_INPLACE);
    }
done:
    return status;
}

int64_t sg_pair_n_rows(const struct sg_node *node) {
    const struct sg_spread *s = node->own;

    return s->same ? s->length[0] : 1;
}

void sg_pair_set_rows(struct sg_node *node, int64_t n) {
    struct sg_spread *s = node->own;

    s->length[0] = n;
    for (int i = 0; i < node->n_in; i++) {
        s->size[i] = n;
    }
}

/* Constants of one kind; tests of whole numbers, or of floats, give whole numbers. */
sg_status sg_pair_fold(struct sg_node *node, const struct sg_pair *pair) {
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
