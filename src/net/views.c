/* src/net/views.c - what the nodes of a net are, and what else could compute them: for `sgdist
 * bench`. */
#include "net/kernels.h"
#include "net/run.h"
#include "sgdist/text.h"

#include <stdlib.h>
#include <string.h>

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

/* What a pass has to read and write where nothing of it is still in a cache; of a node with its
 * pooling (`pool`, or NULL), what both have. */
static void count_traffic(const struct sg_node *node, const struct sg_node *pool, int64_t batch,
                          struct sg_node_view *out) {
    const int64_t in = inputs_size(node);
    const int64_t made = pool != NULL ? pool->out->size : node->out->size;
    const int64_t mask = node->relu && pool == NULL ? made / 32 : 0;
    const int64_t read_again = ((node->flags & SG_OP_KEEPS_INPUT) != 0 ? in : 0) +
                               ((node->flags & SG_OP_KEEPS_OUTPUT) != 0 ? made : 0);
    struct sg_need need = {0};
    int64_t kept;

    if (pool != NULL) {
        pool->op->memory(pool, batch, &need);
    } else if (node->op->memory != NULL) {
        node->op->memory(node, batch, &need);
    }
    kept = need.kept_bytes;
    out->forward_bytes = 4 * (batch * (in + made + mask) + node->n_parameters) + kept;
    out->backward_bytes = 4 * (batch * (in + made + mask + read_again) + node->n_parameters) + kept;
}

static int64_t batch_of(const struct sg_net *net, int64_t i) {
    int64_t s = 0;

    while (net->plan.segments[s].end <= i) {
        s++;
    }
    return net->plan.segments[s].batch;
}

void sg_net_view_node(const struct sg_net *net, int64_t i, struct sg_node_view *out) {
    const struct sg_node *node = net->m->nodes[i];
    struct sg_conv shape;

    *out = (struct sg_node_view){.tensor = node->out->name,
                                 .shape = &node->out->shape,
                                 .batch = batch_of(net, i),
                                 .multiply_adds = net->batch * node->multiply_adds};
    (void)sg_layer_text(node, out->layer, sizeof out->layer);
    if (i > 0 && net->m->nodes[i - 1]->is_pooled) {
        out->goes_along = 1;
        return;
    }
    count_traffic(node, node->is_pooled ? net->m->nodes[i + 1] : NULL, net->batch, out);
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
    (void)node->op->convolution(node, batch_of(net, i), &s);
    for (int part = -1; part < s.stride_h * s.stride_w; part++) {
        n += try_part(&s, part, seconds, out + n, cap - n);
    }
    return n;
}

/* ---- all convolutions of a model ---- */

enum { MAX_NAMES = 64 };

struct names {
    int n;
    struct {
        char text[32];
        int64_t count;
    } list[MAX_NAMES];
};

static void count_name(struct names *names, const char *text) {
    int i = 0;

    while (i < names->n && strcmp(names->list[i].text, text) != 0) {
        i++;
    }
    if (i == names->n && names->n < MAX_NAMES) {
        (void)snprintf(names->list[names->n++].text, sizeof names->list[i].text, "%s", text);
    }
    names->list[i < MAX_NAMES ? i : MAX_NAMES - 1].count++;
}

/* The most frequent first; of equal ones the one that the model has first. */
static void add_names(struct names *names, struct sg_text *out) {
    for (int done = 0; done < names->n; done++) {
        int most = 0;

        for (int i = 1; i < names->n; i++) {
            most = names->list[i].count > names->list[most].count ? i : most;
        }
        sg_text_add(out, "%s%lld %s", done > 0 ? ", " : " ", (long long)names->list[most].count,
                    names->list[most].text);
        names->list[most].count = 0;
    }
}

/* Returns whether any convolution keeps ties by another algorithm than it has otherwise. */
static int find_names(const struct sg_model *m, int backward, int keeps_ties, struct names *out) {
    int differs = 0;

    *out = (struct names){0};
    for (int64_t i = 0; i < m->n_nodes; i++) {
        const struct sg_node *node = m->nodes[i];
        struct sg_conv shape;
        char usual[32];
        char text[32];

        if (node->op->convolution != NULL) {
            const int is_adjoint = node->op->convolution(node, 1, &shape);

            (void)sg_conv_algorithms(&shape, is_adjoint != backward, usual, sizeof usual);
            shape.keeps_ties = keeps_ties;
            (void)sg_conv_algorithms(&shape, is_adjoint != backward, text, sizeof text);
            differs = differs || strcmp(usual, text) != 0;
            count_name(out, text);
        }
    }
    return differs;
}

void sg_model_algorithms(const struct sg_model *m, struct sg_text *out) {
    struct names names;

    (void)find_names(m, 0, 0, &names);
    sg_text_add(out, names.n > 0 ? "forward" : "none");
    add_names(&names, out);
    if (find_names(m, 0, 1, &names)) {
        sg_text_add(out, " (without noise");
        add_names(&names, out);
        sg_text_add(out, ")");
    }
    (void)find_names(m, 1, 0, &names);
    if (names.n > 0) {
        sg_text_add(out, "; backward");
        add_names(&names, out);
    }
}
