/* src/net/segments.c - how many samples go through which nodes at a time.
 *
 * A batch goes through the network layer by layer only where that pays: weights are then read once
 * for all samples, but activations are large and come from memory each time. Where activations
 * outweigh weights, a few samples go through a whole stretch of layers before the next few do. The
 * stretches are found by dynamic programming over a rough account of the bytes that have to come
 * from far, a function of shapes alone. */
#include "net/plan.h"

#include "net/gates.h"

/* Bytes that are alive at a node: up to NEAR of them nothing has to come from far, and each
 * doubling makes another fifth do so. Bytes of weights are cheaper, because they come in order.
 * Measured on Zen 3 (512 kB second, 32 MB third level, shared with others) over the four stages of
 * ResNet-50 with 1, 2, 4 and 16 samples at a time. */
enum { NEAR = 1 << 20, DOUBLINGS = 5, MAX_CHOICES = 32 };
static const double weight_cost = 0.6;

struct cutter {
    const struct sg_model *m;
    int64_t batch;
    int n_choices;
    int64_t choices[MAX_CHOICES]; /* samples at a time */
    int64_t *last_use;            /* [n + 1] the last node that reads a value */
    int64_t *alive;               /* [n + 1] bytes of a sample at a node */
    int64_t *crossing;            /* [n + 1] bytes of a sample that are alive between i - 1 and i */
    unsigned char *glued;         /* [n + 1] no cut before node i */
    signed char *from;            /* [n][n_choices] the choice of the node before */
    signed char *chosen;          /* [n] */
    double cost[MAX_CHOICES];     /* of the best way to the node at hand, by its choice */
};

static int is_dynamic(const struct sg_node *node, int k) {
    return node->in[k] != NULL && node->in[k]->kind == SG_VALUE_DYNAMIC;
}

static int64_t bytes_of(const struct sg_value *v) {
    return v->size * (int64_t)sizeof(float);
}

static void find_last_uses(struct cutter *c) {
    for (int64_t i = 0; i < c->m->n_nodes; i++) {
        const struct sg_node *node = c->m->nodes[i];

        c->last_use[i + 1] = i;
        for (int k = 0; k < node->n_in; k++) {
            if (is_dynamic(node, k)) {
                c->last_use[node->in[k]->root->index] = i;
            }
        }
    }
    for (int k = 0; k < c->m->n_outputs; k++) {
        c->last_use[c->m->outputs[k]->root->index] = c->m->n_nodes;
    }
}

static void measure_value(struct cutter *c, const struct sg_value *v) {
    const int64_t made = v->index - 1;

    for (int64_t i = made < 0 ? 0 : made; i <= c->last_use[v->index]; i++) {
        c->alive[i] += bytes_of(v);
        c->crossing[i] += i > made ? bytes_of(v) : 0;
    }
}

/* The nodes of one gate stay together: its slopes are made by running them backward alone. So do a
 * node and the pooling that goes with it. */
static void glue(struct cutter *c) {
    for (int64_t i = 0; i < c->m->n_nodes; i++) {
        const struct sg_gate *gate = &c->m->gates[i];

        for (int64_t k = gate->n_members > 0 ? gate->members[0] + 1 : i; k <= i; k++) {
            c->glued[k] |= gate->n_members > 0;
        }
        c->glued[i + 1] |= (unsigned char)c->m->nodes[i]->is_pooled;
    }
}

static double far_share(int64_t bytes) {
    int64_t limit = NEAR;
    int n = 0;

    for (; n < DOUBLINGS && bytes > limit; n++) {
        limit *= 2;
    }
    return (double)n / DOUBLINGS;
}

/* Bytes from far for one sample at node i, if `n` go through it at a time. */
static double node_cost(const struct cutter *c, int64_t i, int64_t n) {
    const struct sg_node *node = c->m->nodes[i];
    double bytes = (double)bytes_of(node->out);

    for (int k = 0; k < node->n_in; k++) {
        bytes += is_dynamic(node, k) ? (double)bytes_of(node->in[k]) : 0.0;
    }
    return weight_cost * (double)node->weight_bytes / (double)n +
           bytes * far_share(n * c->alive[i]);
}

/* The cheapest ways to node i by its choice, from those to the node before. */
static void step(struct cutter *c, int64_t i) {
    signed char *from = c->from + i * c->n_choices;
    int best = 0;
    double cut;

    for (int s = 1; s < c->n_choices; s++) {
        best = c->cost[s] < c->cost[best] ? s : best;
    }
    cut = c->cost[best] + (double)c->crossing[i];
    for (int s = 0; s < c->n_choices; s++) {
        const int is_cut = i > 0 && !c->glued[i] && cut < c->cost[s];

        from[s] = (signed char)(is_cut ? best : s);
        c->cost[s] = (is_cut ? cut : c->cost[s]) + node_cost(c, i, c->choices[s]);
    }
}

/* Goes the cheapest way back: the choice of every node. */
static void trace(const struct cutter *c, signed char *chosen) {
    int at = 0;

    for (int s = 1; s < c->n_choices; s++) {
        at = c->cost[s] < c->cost[at] ? s : at;
    }
    for (int64_t i = c->m->n_nodes - 1; i >= 0; i--) {
        chosen[i] = (signed char)at;
        at = c->from[i * c->n_choices + at];
    }
}

/* Parts have nearly equal lengths. */
static int64_t gather(const struct cutter *c, const signed char *chosen, struct sg_segment *out) {
    int64_t n = 0;

    for (int64_t i = 0; i < c->m->n_nodes; i++) {
        if (i == 0 || chosen[i] != chosen[i - 1]) {
            const int64_t at_a_time = c->choices[chosen[i]];
            const int64_t n_parts = (c->batch + at_a_time - 1) / at_a_time;

            out[n++] = (struct sg_segment){
                .first = i, .batch = (c->batch + n_parts - 1) / n_parts, .n_parts = n_parts};
        }
        out[n - 1].end = i + 1;
    }
    return n;
}

static sg_status take_tables(struct cutter *c, struct sg_region *region) {
    sg_status status = SG_OK;
    const size_t n = (size_t)c->m->n_nodes + 1;

    for (int64_t s = 1; s < c->batch && c->n_choices < MAX_CHOICES - 1; s *= 2) {
        c->choices[c->n_choices++] = s;
    }
    c->choices[c->n_choices++] = c->batch;
    c->last_use = sg_region_take(region, n, sizeof *c->last_use);
    c->alive = sg_region_take(region, n, sizeof *c->alive);
    c->crossing = sg_region_take(region, n, sizeof *c->crossing);
    c->glued = sg_region_take(region, n, 1);
    c->from = sg_region_take(region, n, (size_t)c->n_choices);
    c->chosen = sg_region_take(region, n, 1);
    SG_CHECK(c->last_use != NULL && c->alive != NULL && c->crossing != NULL && c->glued != NULL &&
                 c->from != NULL && c->chosen != NULL,
             SG_E_NOMEM, "%s: no memory to plan the network", c->m->file);
done:
    return status;
}

sg_status sg_net_cut(const struct sg_model *m, int64_t batch, struct sg_region *scratch,
                     struct sg_segment *out, int64_t *n) {
    sg_status status = SG_OK;
    struct cutter c = {.m = m, .batch = batch};

    SG_TRY(take_tables(&c, scratch));
    find_last_uses(&c);
    measure_value(&c, m->input);
    for (int64_t i = 0; i < m->n_nodes; i++) {
        measure_value(&c, m->nodes[i]->out);
    }
    glue(&c);
    for (int64_t i = 0; i < m->n_nodes; i++) {
        step(&c, i);
    }
    trace(&c, c.chosen);
    *n = gather(&c, c.chosen, out);
done:
    return status;
}
