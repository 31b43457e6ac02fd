/* src/net/views.c - what the nodes of a net are, and what else could compute them: for `sgdist
 * bench`. */
#include "net/kernels.h"
#include "net/run.h"

int64_t sg_model_n_nodes(const struct sg_model *m) {
    return m->n_nodes;
}

/* Floats of the dynamic inputs of one sample. */
static int64_t inputs_size(const struct sg_node *node) {
    int64_t size = 0;

    for (int k = 0; k < node->n_in; k++) {
        size +=
            node->in[k] != NULL && node->in[k]->kind == SG_VALUE_DYNAMIC ? node->in[k]->size : 0;
    }
    return size;
}

/* What a pass has to read and write where nothing of it is still in a cache. */
static void count_traffic(const struct sg_node *node, int64_t batch, struct sg_node_view *out) {
    const int64_t in = inputs_size(node);
    const int64_t made = node->out->size;
    const int64_t mask = node->relu ? made / 32 : 0;
    const int64_t read_again = ((node->flags & SG_OP_KEEPS_INPUT) != 0 ? in : 0) +
                               ((node->flags & SG_OP_KEEPS_OUTPUT) != 0 ? made : 0);
    struct sg_need need = {0};
    int64_t kept;

    if (node->op->memory != NULL) {
        node->op->memory(node, batch, &need);
    }
    kept = need.kept_bytes;
    out->forward_bytes = 4 * (batch * (in + made + mask) + node->n_parameters) + kept;
    out->backward_bytes = 4 * (batch * (in + made + mask + read_again) + node->n_parameters) + kept;
}

void sg_net_view_node(const struct sg_net *net, int64_t i, struct sg_node_view *out) {
    const struct sg_node *node = net->m->nodes[i];
    struct sg_conv shape;

    *out = (struct sg_node_view){.tensor = node->out->name,
                                 .shape = &node->out->shape,
                                 .multiply_adds = net->batch * node->multiply_adds};
    (void)sg_layer_text(node, out->layer, sizeof out->layer);
    count_traffic(node, net->batch, out);
    if (node->op->convolution != NULL) {
        const int is_adjoint = node->op->convolution(node, net->batch, &shape);

        (void)sg_conv_algorithms(&shape, is_adjoint, out->forward, sizeof out->forward);
        (void)sg_conv_algorithms(&shape, !is_adjoint, out->backward, sizeof out->backward);
    }
}

static int try_part(const struct sg_conv *s, int part, double seconds, struct sg_trial *out,
                    int cap) {
    int n = 0;
    const char *name;

    for (int a = 0; n < cap; a++) {
        double taken;
        int is_chosen;

        name = sg_conv_try(s, part, a, seconds, &is_chosen, &taken);
        if (name == NULL) {
            break;
        }
        if (taken >= 0) {
            out[n++] = (struct sg_trial){
                .algorithm = name, .part = part, .is_chosen = is_chosen, .seconds = taken};
        }
    }
    return n;
}

int sg_net_try(const struct sg_net *net, int64_t i, double seconds, struct sg_trial *out, int cap) {
    const struct sg_node *node = net->m->nodes[i];
    struct sg_conv s;
    int n = 0;

    if (node->op->convolution == NULL) {
        return 0;
    }
    (void)node->op->convolution(node, net->batch, &s);
    for (int part = -1; part < s.stride_h * s.stride_w; part++) {
        n += try_part(&s, part, seconds, out + n, cap - n);
    }
    return n;
}
