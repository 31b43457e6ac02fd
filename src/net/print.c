/* src/net/print.c - a model as a table for people. */
#include "net/net_impl.h"

static void print_ends(const struct sg_model *m, FILE *out) {
    char text[160];

    (void)fprintf(out, "model        %s\n", m->file);
    (void)fprintf(out, "made by      %s, operator set %lld\n",
                  m->graph.producer[0] != '\0' ? m->graph.producer : "(not said)",
                  (long long)m->graph.opset);
    (void)fprintf(out, "input        %s %s", m->input->name,
                  sg_shape_text(&m->input->shape, text, sizeof text));
    if (m->frozen_batch > 0) {
        (void)fprintf(out, "  (batch %lld in the file; any batch runs)",
                      (long long)m->frozen_batch);
    }
    (void)fprintf(out, "\n");
    for (int i = 0; i < m->n_outputs; i++) {
        const struct sg_tensor *t = &m->signature.outputs[i];

        (void)fprintf(out, "explained    %s %s", t->name,
                      sg_shape_text(&t->shape, text, sizeof text));
        (void)fprintf(out, i == 0 && m->remark != NULL ? "  (%s)\n" : "%s\n",
                      m->remark != NULL ? m->remark : "");
    }
    (void)fprintf(out, "outputs     ");
    for (int64_t i = 0; i < m->graph.n_outputs; i++) {
        (void)fprintf(out, " %s", m->graph.outputs[i].name);
    }
    (void)fprintf(out, "\nparameters   %.3f million\n", (double)m->n_parameters / 1e6);
    (void)fprintf(out, "cost         %.3f million multiply-adds a sample, forward\n\n",
                  (double)m->n_multiply_adds / 1e6);
}

static void print_node(const struct sg_node *node, int64_t i, FILE *out) {
    char text[160];
    char op[64];

    (void)snprintf(op, sizeof op, "%s%s%s",
                   node->source != NULL ? node->source->op_type : node->op->name,
                   node->has_affine ? "+affine" : "", node->relu ? "+Relu" : "");
    (void)fprintf(out, "%4lld  %-22s %-20s %12lld %10.3f  ", (long long)i + 1, op,
                  sg_shape_text(&node->out->shape, text, sizeof text),
                  (long long)node->n_parameters, (double)node->multiply_adds / 1e6);
    for (int k = 0; k < 2 && node->inside[k] != NULL; k++) {
        (void)fprintf(out, "%s > ", node->inside[k]);
    }
    (void)fprintf(out, "%s\n", node->out->name);
}

void sg_model_print(const struct sg_model *m, FILE *out) {
    print_ends(m, out);
    (void)fprintf(out, "%4s  %-22s %-20s %12s %10s  %s\n", "", "layer", "output", "parameters",
                  "mult-adds", "tensor");
    (void)fprintf(out, "%4s  %-22s %-20s %12s %10s\n", "", "", "", "", "(million)");
    for (int64_t i = 0; i < m->n_nodes; i++) {
        print_node(m->nodes[i], i, out);
    }
}
