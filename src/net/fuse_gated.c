/* src/net/fuse_gated.c - GELU and SiLU among the nodes of a file: x (p + q f(x)) with f(x) =
 * erf(r x) or tanh(r x + s x^3), in whatever order the products and sums are written; a Sigmoid of
 * u is 1/2 + 1/2 tanh(u / 2).
 *
 * Every value between x and the result is P(x) + Q(x) f(R(x)) with polynomials of degree 3 at most;
 * so the nodes are multiplied out, and the form of the last one tells. */
#include "net/fuse.h"

#include "net/gates.h"
#include "net/ops/ops_impl.h"

#include <string.h>

enum { DEGREE = 3, DEEPEST = 16 };
enum kind { POLYNOMIAL, OF_ERF, OF_TANH };

struct form {
    enum kind kind;
    double p[DEGREE + 1];
    double q[DEGREE + 1];
    double r[DEGREE + 1];
};

struct finder {
    struct sg_model *m;
    int *uses;
    int64_t *before; /* [n + 1] of a value: see gates.h; -1 */
    unsigned char *in_region;
};

static int is_zero(const double *p, int from) {
    for (int i = from; i <= DEGREE; i++) {
        if (p[i] != 0.0) {
            return 0;
        }
    }
    return 1;
}

/* to = a b; 0 if the degree is too high. */
static int multiply(const double *a, const double *b, double *to) {
    double c[2 * DEGREE + 1] = {0};

    for (int i = 0; i <= DEGREE; i++) {
        for (int j = 0; j <= DEGREE; j++) {
            c[i + j] += a[i] * b[j];
        }
    }
    memcpy(to, c, (DEGREE + 1) * sizeof *to);
    return c[DEGREE + 1] == 0.0 && c[DEGREE + 2] == 0.0 && c[DEGREE + 3] == 0.0;
}

static int times(const struct form *a, const struct form *b, struct form *out) {
    const struct form *f = a->kind != POLYNOMIAL ? a : b;
    const struct form *other = a->kind != POLYNOMIAL ? b : a;

    *out = *f;
    return other->kind == POLYNOMIAL && multiply(f->p, other->p, out->p) &&
           multiply(f->q, other->p, out->q);
}

static int plus(const struct form *a, const struct form *b, double sign, struct form *out) {
    if (a->kind != POLYNOMIAL && b->kind != POLYNOMIAL) {
        return 0;
    }
    *out = a->kind != POLYNOMIAL ? *a : *b;
    for (int i = 0; i <= DEGREE; i++) {
        out->p[i] = a->p[i] + sign * b->p[i];
        out->q[i] = a->q[i] + sign * b->q[i];
    }
    return 1;
}

static int power(const struct form *a, double exponent, struct form *out) {
    *out = *a;
    if (a->kind != POLYNOMIAL || (exponent != 2.0 && exponent != 3.0)) {
        return 0;
    }
    return multiply(a->p, a->p, out->p) && (exponent == 2.0 || multiply(out->p, a->p, out->p));
}

static int function(enum kind kind, const struct form *a, struct form *out) {
    *out = (struct form){.kind = kind, .q = {1.0}};
    memcpy(out->r, a->p, sizeof out->r);
    return a->kind == POLYNOMIAL;
}

static int sigmoid(const struct form *a, struct form *out) {
    *out = (struct form){.kind = OF_TANH, .p = {0.5}, .q = {0.5}};
    for (int i = 0; i <= DEGREE; i++) {
        out->r[i] = 0.5 * a->p[i];
    }
    return a->kind == POLYNOMIAL;
}

static int is_unary(const struct sg_node *node) {
    double a, b;

    return sg_is_number_affine(node, &a, &b) || node->op == &sg_op_erf || node->op == &sg_op_tanh ||
           node->op == &sg_op_sigmoid ||
           (node->op == &sg_op_pow && sg_is_dynamic(node, 0) && sg_is_number(node, 1, &a));
}

static int is_binary(const struct sg_node *node) {
    return (node->op == &sg_op_mul || node->op == &sg_op_add || node->op == &sg_op_sub) &&
           (node->flags & SG_OP_ELEMENTWISE) != 0 && node->n_in == 2 && sg_is_dynamic(node, 0) &&
           sg_is_dynamic(node, 1) && node->in[0]->size == node->out->size &&
           node->in[1]->size == node->out->size;
}

/* What value number v is of value number x; 0 if it is none of these forms. */
static int form_of(const struct finder *f, int64_t v, int64_t x, int depth, struct form *out) {
    const struct sg_node *node = v > 0 ? f->m->nodes[v - 1] : NULL;
    struct form a, b;
    double by = 0.0, plus_number = 0.0;

    if (v == x) {
        *out = (struct form){.p = {0.0, 1.0}};
        return 1;
    }
    if (v < x || depth > DEEPEST || !(is_unary(node) || is_binary(node)) ||
        !form_of(f, node->in[0]->root->index, x, depth + 1, &a)) {
        return 0;
    }
    if (is_binary(node)) {
        return form_of(f, node->in[1]->root->index, x, depth + 1, &b) &&
               (node->op == &sg_op_mul ? times(&a, &b, out)
                                       : plus(&a, &b, node->op == &sg_op_add ? 1.0 : -1.0, out));
    }
    if (node->op == &sg_op_pow) {
        (void)sg_is_number(node, 1, &by);
        return power(&a, by, out);
    }
    if (sg_is_number_affine(node, &by, &plus_number)) {
        b = (struct form){.p = {by}};
        (void)times(&a, &b, out);
        out->p[0] += plus_number;
        return 1;
    }
    return node->op == &sg_op_sigmoid
               ? sigmoid(&a, out)
               : function(node->op == &sg_op_erf ? OF_ERF : OF_TANH, &a, out);
}

/* x (p + q f(x)), f odd. */
static int is_gated(const struct form *a, struct sg_gated *out) {
    *out = (struct sg_gated){.kind = a->kind == OF_ERF ? SG_GATED_ERF : SG_GATED_TANH,
                             .p = (float)a->p[1],
                             .q = (float)a->q[1],
                             .r = (float)a->r[1],
                             .s = (float)a->r[3]};
    return a->kind != POLYNOMIAL && a->p[0] == 0.0 && is_zero(a->p, 2) && a->q[0] == 0.0 &&
           is_zero(a->q, 2) && a->r[0] == 0.0 && a->r[2] == 0.0 &&
           (a->kind == OF_TANH || a->r[3] == 0.0);
}

/* The product at the end of the chain, with nothing but factors behind it, and what both its
 * operands are made of: x; -1. */
static int64_t source_of(const struct finder *f, int64_t i) {
    const struct sg_node *node = f->m->nodes[i];
    double a, b;

    while (node != NULL && sg_is_number_affine(node, &a, &b)) {
        node = sg_maker(node, 0);
    }
    if (node == NULL || node->op != &sg_op_mul || !is_binary(node)) {
        return -1;
    }
    return sg_nearest_common(f->before, node->in[0]->root->index, node->in[1]->root->index);
}

/* Marks the nodes between value x and node i; 0 if what they make is read elsewhere. */
static int mark_region(struct finder *f, int64_t i, int64_t x) {
    int closed = 1;

    memset(f->in_region, 0, (size_t)f->m->n_nodes);
    f->in_region[i] = 1;
    for (int64_t k = i; k >= x && closed; k--) {
        const struct sg_node *node = f->m->nodes[k];
        int inside = 0;

        for (int64_t j = k + 1; j <= i && f->in_region[k] && k != i; j++) {
            for (int o = 0; o < f->m->nodes[j]->n_in && f->in_region[j]; o++) {
                inside += sg_maker(f->m->nodes[j], o) == node;
            }
        }
        closed = !f->in_region[k] || k == i || (inside == f->uses[k + 1] && !node->removed);
        for (int o = 0; o < node->n_in && f->in_region[k]; o++) {
            if (sg_is_dynamic(node, o) && node->in[o]->root->index != x) {
                f->in_region[node->in[o]->root->index - 1] = 1;
            }
        }
    }
    return closed;
}

static sg_status replace(struct finder *f, int64_t i, int64_t x, const struct sg_gated *g) {
    sg_status status = SG_OK;
    struct sg_node *last = f->m->nodes[i];
    struct sg_value *in = NULL;

    for (int64_t k = x; k <= i; k++) {
        struct sg_node *node = f->m->nodes[k];

        for (int o = 0; o < node->n_in && f->in_region[k]; o++) {
            if (sg_is_dynamic(node, o) && node->in[o]->root->index == x) {
                in = node->in[o];
                f->uses[x]--;
            }
        }
        if (f->in_region[k] && k != i) {
            SG_TRY(sg_fuse_remove(node, last));
        }
    }
    f->uses[x]++;
    SG_TRY(sg_become_gated(last, in, g));
    last->runs_as = g->kind == SG_GATED_TANH && g->s == 0.0f ? "Silu" : last->op->name;
done:
    return status;
}

static sg_status look_at(struct finder *f, int64_t i) {
    sg_status status = SG_OK;
    const int64_t x = f->m->nodes[i]->removed ? -1 : source_of(f, i);
    struct sg_gated g;
    struct form form;

    if (x >= 0 && form_of(f, i + 1, x, 0, &form) && is_gated(&form, &g) && mark_region(f, i, x)) {
        SG_TRY(replace(f, i, x, &g));
    }
done:
    return status;
}

/* From the last node to the first, so that factors behind a product join it. */
sg_status sg_fuse_gated(struct sg_model *m, int *uses) {
    sg_status status = SG_OK;
    const size_t n = (size_t)m->n_nodes + 1;
    struct finder f = {.m = m,
                       .uses = uses,
                       .before = sg_region_take(&m->scratch, n, sizeof *f.before),
                       .in_region = sg_region_take(&m->scratch, n, 1)};

    SG_CHECK(f.before != NULL && f.in_region != NULL, SG_E_NOMEM, "%s: no memory for its nodes",
             m->file);
    f.before[0] = -1;
    for (int64_t i = 0; i < m->n_nodes; i++) {
        const struct sg_node *node = m->nodes[i];

        f.before[i + 1] = -1;
        if (is_unary(node)) {
            f.before[i + 1] = node->in[0]->root->index;
        } else if (is_binary(node)) {
            f.before[i + 1] =
                sg_nearest_common(f.before, node->in[0]->root->index, node->in[1]->root->index);
        }
    }
    for (int64_t i = m->n_nodes - 1; i >= 0; i--) {
        SG_TRY(look_at(&f, i));
    }
done:
    return status;
}
