/* src/net/gates.c - which nodes are gates, found once a model. */
#include "net/gates.h"

#include <stdio.h>
#include <string.h>

struct finder {
    struct sg_model *m;
    int64_t *before;  /* [n + 1] of a value that is an elementwise function of another one: that
                       * one's number, the nearest; -1 */
    int64_t *members; /* [n] */
    unsigned char *in_region; /* [n] */
};

static int is_dynamic(const struct sg_node *node, int k) {
    return node->in[k] != NULL && node->in[k]->kind == SG_VALUE_DYNAMIC;
}

static int n_dynamic(const struct sg_node *node) {
    int n = 0;

    for (int k = 0; k < node->n_in; k++) {
        n += is_dynamic(node, k);
    }
    return n;
}

/* 1 if backward is the same whatever goes forward: it keeps nothing, or does not look at it. */
static int is_linear(const struct sg_node *node) {
    struct sg_need need = {0};

    if (node->op->memory != NULL) {
        node->op->memory(node, 1, &need);
    }
    return (need.kept_bytes == 0 &&
            (node->flags & (SG_OP_KEEPS_INPUT | SG_OP_KEEPS_OUTPUT)) == 0) ||
           (node->flags & SG_OP_LINEAR) != 0 ||
           ((node->flags & SG_OP_PRODUCT) != 0 && n_dynamic(node) == 1);
}

static int is_elementwise(const struct sg_node *node) {
    if ((node->flags & SG_OP_ELEMENTWISE) == 0) {
        return 0;
    }
    for (int k = 0; k < node->n_in; k++) {
        if (is_dynamic(node, k) && node->in[k]->size != node->out->size) {
            return 0;
        }
    }
    return 1;
}

int64_t sg_nearest_common(const int64_t *before, int64_t a, int64_t b) {
    while (a != b && a >= 0 && b >= 0) {
        if (a > b) {
            a = before[a];
        } else {
            b = before[b];
        }
    }
    return a == b ? a : -1;
}

static int64_t source_of(const struct finder *f, const struct sg_node *node) {
    int64_t source = -1;
    int n = 0;

    for (int k = 0; k < node->n_in; k++) {
        if (is_dynamic(node, k)) {
            const int64_t at = node->in[k]->root->index;

            source = n++ == 0 ? at : sg_nearest_common(f->before, source, at);
        }
    }
    return source;
}

/* Marks the nodes between the source and node i, with it; their number. */
static int64_t mark_region(struct finder *f, int64_t i, int64_t source) {
    int64_t n = 0;

    memset(f->in_region, 0, (size_t)f->m->n_nodes);
    f->in_region[i] = 1;
    for (int64_t k = i; k >= source; k--) { /* value v is made by node v - 1 */
        const struct sg_node *node = f->m->nodes[k];

        for (int j = 0; f->in_region[k] && j < node->n_in; j++) {
            if (is_dynamic(node, j) && node->in[j]->root->index != source) {
                f->in_region[node->in[j]->root->index - 1] = 1;
            }
        }
    }
    for (int64_t k = source; k <= i; k++) {
        if (f->in_region[k]) {
            f->members[n++] = k;
        }
    }
    return n;
}

static int reads_inside(const struct finder *f, const struct sg_node *node, int64_t i) {
    for (int j = 0; j < node->n_in; j++) {
        const int64_t at = is_dynamic(node, j) ? node->in[j]->root->index - 1 : -1;

        if (at >= 0 && at != i && f->in_region[at]) {
            return 1;
        }
    }
    return 0;
}

static int is_read_outside(struct sg_value *const *values, int n, const struct finder *f,
                           int64_t i) {
    for (int k = 0; k < n; k++) {
        const int64_t at = values[k]->root->index - 1;

        if (at >= 0 && at != i && f->in_region[at]) {
            return 1;
        }
    }
    return 0;
}

/* 1 if nobody else reads what lies between the source and node i. */
static int is_closed(const struct finder *f, int64_t i, int64_t source) {
    for (int64_t k = source; k < f->m->n_nodes; k++) {
        if (!f->in_region[k] && reads_inside(f, f->m->nodes[k], i)) {
            return 0;
        }
    }
    return !is_read_outside(f->m->outputs, f->m->n_outputs, f, i) &&
           !is_read_outside(f->m->layers, f->m->n_layers, f, i);
}

static const struct sg_value *value_at(const struct sg_model *m, int64_t index) {
    return index == 0 ? m->input : m->nodes[index - 1]->out;
}

/* Node i with those before it down to the source becomes a gate of slopes, in place of gates among
 * them. */
static sg_status make_slopes(struct finder *f, int64_t i, int64_t source, int64_t n_members) {
    sg_status status = SG_OK;
    struct sg_gate *gate = &f->m->gates[i];
    int64_t *members = sg_region_take(&f->m->keep, (size_t)n_members, sizeof *members);
    int64_t writer = i;

    SG_CHECK(members != NULL, SG_E_NOMEM, "%s: no memory for its gates", f->m->file);
    memcpy(members, f->members, (size_t)n_members * sizeof *members);
    for (int64_t k = 0; k < n_members; k++) {
        const struct sg_node *node = f->m->nodes[members[k]];

        f->m->gates[members[k]] = (struct sg_gate){.is_inside = 1, .first_relu = -1, .writes = -1};
        for (int j = 0; j < node->n_in; j++) {
            if (is_dynamic(node, j) && node->in[j]->root->index == source) {
                writer = members[k];
            }
        }
    }
    *gate = (struct sg_gate){.kind = SG_GATE_SLOPES,
                             .is_inside = 1,
                             .first_relu = -1,
                             .n = f->m->nodes[i]->out->size,
                             .source = value_at(f->m, source),
                             .n_members = n_members,
                             .members = members,
                             .writer = writer,
                             .writes = -1};
done:
    return status;
}

static sg_status judge(struct finder *f, int64_t i) {
    sg_status status = SG_OK;
    const struct sg_node *node = f->m->nodes[i];
    const int elementwise = is_elementwise(node);
    const int64_t source = elementwise ? source_of(f, node) : -1;
    struct sg_gate *gate = &f->m->gates[i];

    *gate = (struct sg_gate){.first_relu = -1, .writes = -1};
    f->before[node->out->index] = source;
    if (is_linear(node)) {
        goto done;
    }
    if ((node->flags & SG_OP_GATE) != 0) {
        gate->kind = SG_GATE_BITS;
        gate->n = node->out->size;
    } else if (node->op->choice != NULL) {
        gate->kind = SG_GATE_CHOICE;
        gate->n = node->op->choice->n_counters(node);
    } else if (source >= 0) {
        const int64_t n = mark_region(f, i, source);

        if (is_closed(f, i, source)) {
            SG_TRY(make_slopes(f, i, source, n));
        }
    }
done:
    return status;
}

static int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* Gives the gates their counters and slopes. */
static void number(struct sg_model *m) {
    struct sg_gate_totals *totals = &m->signature.gates;

    for (int64_t i = 0; i < m->n_nodes; i++) {
        struct sg_gate *gate = &m->gates[i];
        const int64_t size = m->nodes[i]->out->size;

        if (gate->kind == SG_GATE_SLOPES) {
            m->gates[gate->writer].writes = i;
            gate->first = totals->n_slopes;
            totals->n_slopes += gate->n;
        } else if (gate->kind != SG_GATE_NONE) {
            gate->first = totals->n_counters;
            totals->n_counters += gate->n;
        }
        totals->largest = larger(totals->largest, gate->n);
        if (m->nodes[i]->relu && !gate->is_inside) {
            gate->first_relu = totals->n_counters;
            totals->n_counters += size;
            totals->largest = larger(totals->largest, size);
        }
    }
}

static int is_linearised(const struct sg_model *m, int64_t i) {
    const struct sg_gate *gate = &m->gates[i];

    return gate->kind == SG_GATE_NONE && !gate->is_inside && !is_linear(m->nodes[i]);
}

/* "12 Softmax, 3 Mul": operators in the order of the first node of each. */
static sg_status name_linearised(struct sg_model *m) {
    sg_status status = SG_OK;
    char text[400] = "";
    size_t used = 0;

    for (int64_t i = 0; i < m->n_nodes; i++) {
        const char *name = m->nodes[i]->op->name;
        int64_t n = 0, earlier = 0;

        for (int64_t k = 0; k < m->n_nodes && is_linearised(m, i); k++) {
            const int same = is_linearised(m, k) && strcmp(m->nodes[k]->op->name, name) == 0;

            n += same;
            earlier += same && k < i;
        }
        m->signature.gates.n_linearised += n > 0;
        if (n > 0 && earlier == 0 && used < sizeof text) {
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%lld %s",
                                     used > 0 ? ", " : "", (long long)n, name);
        }
    }
    m->signature.gates.linearised = sg_region_text(&m->keep, text, strlen(text));
    SG_CHECK(m->signature.gates.linearised != NULL, SG_E_NOMEM, "%s: no memory for its gates",
             m->file);
done:
    return status;
}

sg_status sg_find_gates(struct sg_model *m) {
    sg_status status = SG_OK;
    const size_t n = (size_t)m->n_nodes + 1;
    struct finder f = {.m = m,
                       .before = sg_region_take(&m->scratch, n, sizeof *f.before),
                       .members = sg_region_take(&m->scratch, n, sizeof *f.members),
                       .in_region = sg_region_take(&m->scratch, n, 1)};

    m->gates = sg_region_take(&m->keep, n, sizeof *m->gates);
    SG_CHECK(m->gates != NULL && f.before != NULL && f.members != NULL && f.in_region != NULL,
             SG_E_NOMEM, "%s: no memory for its gates", m->file);
    f.before[0] = -1;
    for (int64_t i = 0; i < m->n_nodes; i++) {
        SG_TRY(judge(&f, i));
    }
    number(m);
    SG_TRY(name_linearised(m));
done:
    return status;
}

int sg_gate_input(const struct sg_gate *gate, const struct sg_call *writer) {
    int found = 0;

    for (int k = 0; k < writer->node->n_in; k++) {
        if (is_dynamic(writer->node, k) && writer->node->in[k]->root == gate->source->root) {
            found = k;
        }
    }
    return found;
}

int sg_gate_accumulates(const struct sg_gate *gate, const struct sg_call *writer) {
    return writer->accumulate[sg_gate_input(gate, writer)];
}
