/* src/net/fuse_norm.c - layer normalisation among the nodes of a file: (x - m) / sqrt(v + epsilon)
 * with m the mean of rows of x and v that of (x - m)^2, the square, the root and the quotient
 * written in any of the usual ways. Scale and shift behind it are taken in as affine maps are. */
#include "net/fuse.h"

#include "net/ops/ops_impl.h"

/* The nodes that go, from the last to the first; each one's tensor is read by the others only. */
struct chain {
    struct sg_value *x;
    int64_t n; /* elements of a row */
    double epsilon;
    struct sg_node *nodes[8];
    int n_nodes;
};

/* The node that makes input k and that `n_readers` readings in the chain are all of; else NULL. */
static struct sg_node *private_maker(const int *uses, const struct sg_node *node, int k,
                                     int n_readers) {
    struct sg_node *maker = sg_maker(node, k);

    return maker != NULL && !maker->removed && uses[maker->out->index] == n_readers ? maker : NULL;
}

static int is_power(const struct sg_node *node, double exponent) {
    double number;

    return node->op == &sg_op_pow && sg_is_dynamic(node, 0) && sg_is_number(node, 1, &number) &&
           number == exponent;
}

/* Input 1 has one number for each row of n elements of input 0, or the other way round. */
static int spreads_over_rows(const struct sg_node *node, int rows, int64_t n) {
    const struct sg_spread *s = node->own;
    const int of_rows = 1 - rows;
    int64_t step = 1, row_step = 1;

    if (node->in[of_rows]->size * n != node->in[rows]->size ||
        node->in[rows]->size != node->out->size || n < 2) {
        return 0;
    }
    for (int k = s->n - 1; k >= 0; k--) {
        const int inside = step < n;

        if (s->stride[rows][k] != step || s->stride[of_rows][k] != (inside ? 0 : row_step) ||
            (inside && step * s->length[k] > n)) {
            return 0;
        }
        row_step *= inside ? 1 : s->length[k];
        step *= s->length[k];
    }
    return 1;
}

/* v + epsilon under a root, or 1 by it, that is made for the quotient alone: the node of the sum.
 */
static struct sg_node *below_root(const int *uses, struct sg_node *last, struct chain *c, int *d) {
    const int divides = last->op == &sg_op_div;
    struct sg_node *node;

    for (*d = 0; *d < (divides ? 1 : 2); (*d)++) {
        node = private_maker(uses, last, 1 - *d, 1);
        if (node == NULL) {
            continue;
        }
        c->nodes[c->n_nodes++] = node;
        if (!divides && node->op == &sg_op_reciprocal) {
            node = private_maker(uses, node, 0, 1);
            if (node != NULL && (node->op == &sg_op_sqrt || is_power(node, 0.5))) {
                c->nodes[c->n_nodes++] = node;
                return private_maker(uses, node, 0, 1);
            }
        } else if (divides ? node->op == &sg_op_sqrt || is_power(node, 0.5)
                           : is_power(node, -0.5)) {
            return private_maker(uses, node, 0, 1);
        }
        c->n_nodes = 0;
    }
    return NULL;
}

/* The square of a difference, which is read by the square and by the quotient. */
static struct sg_node *below_square(const int *uses, const struct sg_node *square) {
    if (is_power(square, 2.0)) {
        return private_maker(uses, square, 0, 2);
    }
    if (square->op == &sg_op_mul && sg_is_dynamic(square, 0) && sg_is_dynamic(square, 1) &&
        square->in[0]->root == square->in[1]->root) {
        return private_maker(uses, square, 0, 3);
    }
    return NULL;
}

/* The quotient or product `last` ends such a chain: 1, and the chain. */
static int find(const int *uses, struct sg_node *last, struct chain *c) {
    struct sg_node *sum, *variance, *square = NULL, *difference = NULL, *mean = NULL;
    double by;
    int64_t n = 0, n_mean = 0;
    int d = 0;

    if ((last->op != &sg_op_div && last->op != &sg_op_mul) || last->n_in != 2 ||
        !sg_is_dynamic(last, 0) || !sg_is_dynamic(last, 1)) {
        return 0;
    }
    sum = below_root(uses, last, c, &d);
    if (sum == NULL || !sg_is_number_affine(sum, &by, &c->epsilon) || by != 1.0) {
        return 0;
    }
    variance = private_maker(uses, sum, 0, 1);
    if (variance != NULL && sg_is_mean_of_rows(variance, &n)) {
        square = private_maker(uses, variance, 0, 1);
        difference = square != NULL ? below_square(uses, square) : NULL;
    }
    if (difference == NULL || difference->op != &sg_op_sub || sg_maker(last, d) != difference ||
        !sg_is_dynamic(difference, 0) || !spreads_over_rows(last, d, n)) {
        return 0;
    }
    mean = private_maker(uses, difference, 1, 1);
    if (mean == NULL || !sg_is_mean_of_rows(mean, &n_mean) || n_mean != n ||
        mean->in[0]->root != difference->in[0]->root || !spreads_over_rows(difference, 0, n)) {
        return 0;
    }
    c->x = difference->in[0];
    c->n = n;
    c->nodes[c->n_nodes++] = sum;
    c->nodes[c->n_nodes++] = variance;
    c->nodes[c->n_nodes++] = square;
    c->nodes[c->n_nodes++] = difference;
    c->nodes[c->n_nodes++] = mean;
    return 1;
}

sg_status sg_fuse_norms(struct sg_model *m, int *uses) {
    sg_status status = SG_OK;

    for (int64_t i = 0; i < m->n_nodes; i++) {
        struct sg_node *last = m->nodes[i];
        struct chain c = {0};

        if (last->removed || !find(uses, last, &c)) {
            continue;
        }
        for (int k = c.n_nodes - 1; k >= 0; k--) {
            SG_TRY(sg_fuse_remove(c.nodes[k], last));
        }
        uses[c.x->root->index]--; /* the mean and the difference were two */
        SG_TRY(sg_become_layer_norm(last, c.x, c.n, (float)c.epsilon));
        last->runs_as = last->op->name;
    }
done:
    return status;
}
