/* src/net/print.c - a model as tables for people. */
#include "net/kernels.h"
#include "net/net_impl.h"
#include "sgdist/memory.h"
#include "sgdist/text.h"

#include <stdlib.h>
#include <string.h>

/* What all layers of one operator have together. */
struct kind {
    const char *name;
    int64_t n;
    int64_t n_parameters;
    int64_t multiply_adds;
    int64_t size; /* of their outputs, a sample */
};

static const char *operator_of(const struct sg_node *node) {
    if (node->runs_as != NULL) {
        return node->runs_as;
    }
    return node->source != NULL ? node->source->op_type : node->op->name;
}

const char *sg_layer_text(const struct sg_node *node, char *buf, size_t cap) {
    (void)snprintf(buf, cap, "%s%s%s%s", operator_of(node), node->has_affine ? "+affine" : "",
                   node->addend > 0 ? "+Add" : "",
                   node->relu == SG_RELU_6 ? "+Clip"
                   : node->relu            ? "+Relu"
                                           : "");
    return buf;
}

/* "4.09 G": three digits and a unit. */
static const char *short_text(int64_t n, char *buf, size_t cap) {
    static const char *const units[] = {"", " k", " M", " G", " T", " P"};
    double v = (double)n;
    size_t u = 0;

    while (v >= 999.5 && u + 1 < sizeof units / sizeof units[0]) {
        v /= 1000.0;
        u++;
    }
    (void)snprintf(buf, cap,
                   u == 0 || v >= 99.95 ? "%.0f%s"
                   : v < 9.995          ? "%.2f%s"
                                        : "%.1f%s",
                   v, units[u]);
    return buf;
}

/* One explained tensor; `remark` tells where "auto" went (NULL: it stayed at the output). */
static void print_explained(const struct sg_model *m, int i, const char *remark, FILE *out) {
    const struct sg_tensor *t = &m->signature.outputs[i];
    const struct onnx_node *maker = m->outputs[i]->source;
    const struct sg_op *op = maker != NULL ? sg_op_find(maker->op_type) : NULL;
    char text[160];

    (void)fprintf(out, "explained      %s %s", t->name,
                  sg_shape_text(&t->shape, text, sizeof text));
    if (remark != NULL) {
        (void)fprintf(
            out,
            ", %s\n%15s(--tensor %s: probabilities, whose gradients vanish where they are sure)\n",
            remark, "", m->graph.outputs[0].name);
    } else if (op != NULL && (op->flags & (SG_OP_SOFTMAX | SG_OP_SATURATES)) != 0) {
        (void)fprintf(out,
                      ", made by %s: its gradients vanish where it is sure\n%15s(--tensor %s: what "
                      "goes into it)\n",
                      maker->op_type, "", maker->in[0]);
    } else {
        (void)fprintf(out, "\n");
    }
}

static void print_totals(const struct sg_model *m, int64_t block, FILE *out) {
    char one[64];
    char all[64];

    (void)fprintf(out, "parameters     %s\n",
                  sg_text_count((double)m->n_parameters, one, sizeof one));
    (void)fprintf(out, "multiply-adds  %s a sample, forward\n",
                  sg_text_count((double)m->n_multiply_adds, one, sizeof one));
    (void)fprintf(out, "memory         %s for blocks of %lld sample%s (of 1: %s), weights %s\n",
                  sg_text_bytes((double)sg_net_bytes_for(m, block), all, sizeof all),
                  (long long)block, sg_text_plural(block),
                  sg_text_bytes((double)sg_net_bytes_for(m, 1), one, sizeof one),
                  sg_text_bytes((double)sg_model_weight_bytes(m), (char[64]){0}, 64));
}

static int by_cost(const void *a, const void *b) {
    const struct kind *x = a;
    const struct kind *y = b;

    if (x->multiply_adds != y->multiply_adds) {
        return x->multiply_adds < y->multiply_adds ? 1 : -1;
    }
    return x->n != y->n ? (x->n < y->n) - (x->n > y->n) : strcmp(x->name, y->name);
}

/* The operators of the model; at most sg_n_ops and the runtime's own. */
static int64_t count_kinds(const struct sg_model *m, struct kind *kinds) {
    int64_t n = 0;

    for (int64_t i = 0; i < m->n_nodes; i++) {
        const struct sg_node *node = m->nodes[i];
        int64_t k = 0;

        while (k < n && strcmp(kinds[k].name, operator_of(node)) != 0) {
            k++;
        }
        n += k == n;
        kinds[k].name = operator_of(node);
        kinds[k].n++;
        kinds[k].n_parameters += node->n_parameters;
        kinds[k].multiply_adds += node->multiply_adds;
        kinds[k].size += node->out->size;
    }
    qsort(kinds, (size_t)n, sizeof *kinds, by_cost);
    return n;
}

static void print_kinds(const struct sg_model *m, FILE *out) {
    struct kind *kinds = sg_calloc((size_t)m->n_nodes + 1, sizeof *kinds);
    const int64_t n = kinds != NULL ? count_kinds(m, kinds) : 0;
    char parameters[32];
    char cost[32];
    char values[32];

    (void)fprintf(out, "\n%-22s %8s %12s %14s %7s %14s\n", "runs as", "layers", "parameters",
                  "multiply-adds", "share", "outputs");
    for (int64_t k = 0; k < n; k++) {
        const double share = 100.0 * (double)kinds[k].multiply_adds /
                             (double)(m->n_multiply_adds > 0 ? m->n_multiply_adds : 1);

        (void)fprintf(out, "%-22s %8lld %12s %14s %5.1f %% %14s\n", kinds[k].name,
                      (long long)kinds[k].n,
                      short_text(kinds[k].n_parameters, parameters, sizeof parameters),
                      short_text(kinds[k].multiply_adds, cost, sizeof cost), share,
                      sg_text_bytes(4.0 * (double)kinds[k].size, values, sizeof values));
    }
    sg_free(kinds);
}

static const char *output_text(const struct sg_node *node, char *buf, size_t cap) {
    char shape[160];

    (void)snprintf(buf, cap, "%s%s", sg_shape_text(&node->out->shape, shape, sizeof shape),
                   node->is_cut ? "*" : "");
    return buf;
}

/* Widths of the columns whose texts differ most from model to model. */
static void find_widths(const struct sg_model *m, int *layer, int *shape) {
    char text[160];

    *layer = 5;
    *shape = 6;
    for (int64_t i = 0; i < m->n_nodes; i++) {
        const int n = (int)strlen(sg_layer_text(m->nodes[i], text, sizeof text));
        const int s = (int)strlen(output_text(m->nodes[i], text, sizeof text));

        *layer = n > *layer ? n : *layer;
        *shape = s > *shape ? s : *shape;
    }
}

/* The node's tensor after those inside it, "conv > relu", which can be read as layers as well. */
static void print_names(const struct sg_node *node, int indent, FILE *out) {
    enum { LINE = 100 };
    int column = indent;

    for (const struct sg_name *name = node->inside; name != NULL; name = name->next) {
        if (column > indent && column + 3 + (int)strlen(name->text) > LINE) {
            (void)fprintf(out, "\n%*s", indent, "");
            column = indent;
        }
        column += fprintf(out, column > indent ? " %s >" : "%s >", name->text);
    }
    if (column > indent && column + 1 + (int)strlen(node->out->name) > LINE) {
        (void)fprintf(out, "\n%*s", indent, "");
        column = indent;
    }
    (void)fprintf(out, column > indent ? " %s\n" : "%s\n", node->out->name);
}

static void print_layers(const struct sg_model *m, FILE *out) {
    int layer;
    int shape;
    char name[160];
    char axes[160];
    char parameters[32];
    char cost[32];
    int n_cut = 0;

    find_widths(m, &layer, &shape);
    (void)fprintf(out, "\n%4s  %-*s  %-*s %7s %9s  %s\n", "", layer, "layer", shape, "output",
                  "weights", "mult-adds", "tensor");
    for (int64_t i = 0; i < m->n_nodes; i++) {
        const struct sg_node *node = m->nodes[i];
        const int n = fprintf(out, "%4lld  %-*s  %-*s %7s %9s  ", (long long)i + 1, layer,
                              sg_layer_text(node, name, sizeof name), shape,
                              output_text(node, axes, sizeof axes),
                              short_text(node->n_parameters, parameters, sizeof parameters),
                              short_text(node->multiply_adds, cost, sizeof cost));

        print_names(node, n, out);
        n_cut += node->is_cut;
    }
    if (n_cut > 0) {
        (void)fprintf(out, "\n* only what is read of a larger tensor; as a layer it is whole\n");
    }
}

void sg_model_print(const struct sg_model *m, int64_t block, int layers, FILE *out) {
    if (sg_graph_n_refused(&m->graph) > 0) {
        (void)fprintf(out, "%15s(what is explained does not need them)\n", "");
    }
    for (int i = 0; i < m->n_outputs; i++) {
        print_explained(m, i, i == 0 ? m->remark : NULL, out);
    }
    print_totals(m, block, out);
    print_kinds(m, out);
    if (layers) {
        print_layers(m, out);
    }
}
