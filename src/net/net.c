/* src/net/net.c - a model at a batch size: one arena, one list of calls, no decisions left. */
#include "net/kernels.h"
#include "net/run.h"
#include "sgdist/memory.h"

#include <string.h>

static float *at(const struct sg_net *net, int64_t offset) {
    return sg_net_at(net, offset);
}

static int64_t tables_bytes(const struct sg_net_plan *plan, const struct sg_region *region) {
    return (int64_t)sizeof(struct sg_net) + plan->region.bytes + region->bytes;
}

static sg_status make_call(struct sg_net *net, int64_t i) {
    sg_status status = SG_OK;
    const struct sg_node *node = net->m->nodes[i];
    const size_t n_in = (size_t)node->n_in;
    struct sg_call *call = &net->calls[i];

    *call = (struct sg_call){.node = node, .batch = net->batch};
    call->x = sg_region_take(&net->region, n_in, sizeof(float *));
    call->dx = sg_region_take(&net->region, n_in, sizeof(float *));
    SG_CHECK(call->x != NULL && call->dx != NULL, SG_E_NOMEM, "%s: no memory for the network",
             net->m->file);
    call->accumulate = net->plan.nodes[i].accumulate;
done:
    return status;
}

static sg_status make_calls(struct sg_net *net) {
    sg_status status = SG_OK;

    net->calls = sg_region_take(&net->region, (size_t)net->m->n_nodes, sizeof *net->calls);
    SG_CHECK(net->calls != NULL, SG_E_NOMEM, "%s: no memory for the network", net->m->file);
    for (int64_t i = 0; i < net->m->n_nodes; i++) {
        SG_TRY(make_call(net, i));
    }
done:
    return status;
}

/* Offsets become pointers. */
static void point(struct sg_net *net) {
    const struct sg_model *m = net->m;
    const struct sg_net_plan *plan = &net->plan;

    for (int64_t i = 0; i < m->n_nodes; i++) {
        struct sg_call *call = &net->calls[i];
        const struct sg_node *node = call->node;

        for (int k = 0; k < node->n_in; k++) {
            if (node->in[k] != NULL && node->in[k]->kind == SG_VALUE_DYNAMIC) {
                call->x[k] = at(net, plan->data[node->in[k]->root->index]);
                call->dx[k] = at(net, plan->grad[node->in[k]->root->index]);
            }
        }
        call->y = at(net, plan->data[node->out->index]);
        call->dy = at(net, plan->grad[node->out->index]);
        call->kept = at(net, plan->nodes[i].kept);
        call->relu_mask = (uint32_t *)(void *)at(net, plan->nodes[i].relu_mask);
    }
}

/* Everything but the arena. */
static sg_status make_tables(const struct sg_model *m, int64_t batch, struct sg_net **out) {
    sg_status status = SG_OK;
    struct sg_net *net = sg_calloc(1, sizeof *net);

    SG_CHECK(net != NULL, SG_E_NOMEM, "%s: no memory for the network", m->file);
    net->m = m;
    net->batch = batch;
    SG_TRY(sg_net_plan_create(m, batch, &net->plan));
    SG_TRY(make_calls(net));
    *out = net;
    net = NULL;
done:
    sg_net_destroy(net);
    return status;
}

sg_status sg_net_create(const struct sg_model *m, int64_t batch, struct sg_net **out) {
    return sg_net_create_in(m, batch, NULL, out);
}

sg_status sg_net_create_in(const struct sg_model *m, int64_t batch, void *arena,
                           struct sg_net **out) {
    sg_status status = SG_OK;
    struct sg_net *net = NULL;

    SG_TRY(make_tables(m, batch, &net));
    net->arena = arena;
    if (arena == NULL) {
        net->own_arena = sg_malloc_aligned((size_t)net->plan.arena_bytes, 1);
        net->arena = net->own_arena;
    }
    SG_CHECK(net->arena != NULL, SG_E_NOMEM,
             "%s: no memory for batches of %lld samples (%lld bytes)", m->file, (long long)batch,
             (long long)net->plan.arena_bytes);
    point(net);
    *out = net;
    net = NULL;
done:
    sg_net_destroy(net);
    return status;
}

void sg_net_destroy(struct sg_net *net) {
    if (net != NULL) {
        sg_free(net->own_arena);
        sg_region_free(&net->region);
        sg_net_plan_free(&net->plan);
        sg_free(net);
    }
}

int64_t sg_net_bytes_for(const struct sg_model *m, int64_t batch) {
    struct sg_net *net = NULL;
    int64_t bytes = INT64_MAX;

    if (make_tables(m, batch, &net) == SG_OK) {
        bytes = net->plan.arena_bytes + tables_bytes(&net->plan, &net->region);
    }
    sg_net_destroy(net);
    return bytes;
}

int64_t sg_net_arena_bytes(const struct sg_model *m, int64_t batch) {
    struct sg_net *net = NULL;
    int64_t bytes = INT64_MAX;

    if (make_tables(m, batch, &net) == SG_OK) {
        bytes = net->plan.arena_bytes;
    }
    sg_net_destroy(net);
    return bytes;
}

void sg_net_bind(struct sg_net *net, const struct sg_model *m) {
    SG_ASSERT(m->n_nodes == net->m->n_nodes);
    net->m = m;
    for (int64_t i = 0; i < m->n_nodes; i++) {
        net->calls[i].node = m->nodes[i];
    }
}

static float *data_of(const struct sg_net *net, const struct sg_value *v) {
    return at(net, net->plan.data[v->root->index]);
}

static float *grad_of(const struct sg_net *net, const struct sg_value *v) {
    return sg_net_gradient_of(net, v);
}

/* Between the order outside, where samples are `stride` floats apart, and the one in memory. */
static void bring_in(const struct sg_net *net, const struct sg_value *v, const float *from,
                     int64_t stride, float *to) {
    const int64_t c = sg_last_channels(v);

    for (int64_t j = 0; j < net->batch; j++, from += stride, to += v->size) {
        if (c > 0) {
            sg_nchw_to_nhwc(1, c, v->size / c, from, to);
        } else {
            memcpy(to, from, (size_t)v->size * sizeof *to);
        }
    }
}

static void bring_out(const struct sg_net *net, const struct sg_value *v, const float *from,
                      float *to, int64_t stride) {
    const int64_t c = sg_last_channels(v);

    for (int64_t j = 0; j < net->batch; j++, from += v->size, to += stride) {
        if (c > 0) {
            sg_nhwc_to_nchw(1, c, v->size / c, from, to);
        } else {
            memcpy(to, from, (size_t)v->size * sizeof *to);
        }
    }
}

/* Layers are read the moment they are complete: forward right after value number `index` was made,
 * backward when all that reads it has run and its maker has not. Later its memory may be another's.
 */
static void read_layers(const struct sg_net *net, int64_t index, int is_gradient,
                        float *const *out) {
    for (int l = 0; out != NULL && l < net->m->n_layers; l++) {
        const struct sg_value *v = net->m->layers[l];

        if (v->root->index == index && out[l] != NULL) {
            bring_out(net, v, is_gradient ? grad_of(net, v) : data_of(net, v), out[l], v->size);
        }
    }
}

void sg_net_set_pause(struct sg_net *net, sg_net_pause *pause, void *context) {
    net->pause = pause;
    net->pause_context = context;
}

/* Before a node: the caller may have something to do meanwhile, or want no more. */
static sg_status look_up(struct sg_net *net, const volatile sig_atomic_t *cancel) {
    sg_status status = SG_OK;

    if (net->pause != NULL) {
        net->pause(net->pause_context);
    }
    SG_CHECK(cancel == NULL || *cancel == 0, SG_E_INTERRUPTED, "stopped between two layers");
done:
    return status;
}

static void run_forward(struct sg_net *net, int64_t i) {
    struct sg_call *call = &net->calls[i];
    const struct sg_node *node = call->node;

    call->work = at(net, net->plan.nodes[i].work_forward);
    node->op->forward(call);
    if (node->relu) {
        const int64_t n = net->batch * node->out->size;

        if ((node->flags & SG_OP_RELU_INSIDE) == 0) {
            sg_relu_forward(call->y, call->y, n);
        }
        sg_relu_mask(call->y, call->relu_mask, n);
    }
}

void sg_net_run_backward(struct sg_net *net, int64_t i, enum sg_rule rule) {
    struct sg_call *call = &net->calls[i];
    const struct sg_node *node = call->node;

    call->rule = rule;
    call->work = at(net, net->plan.nodes[i].work_backward);
    if (node->relu) {
        sg_relu_backward_by(rule, call->relu_mask, call->dy, call->dy, net->batch * node->out->size,
                            0);
    }
    node->op->backward(call);
}

sg_status sg_net_forward(struct sg_net *net, const float *x, float *y,
                         const volatile sig_atomic_t *cancel) {
    return sg_net_forward_at(net, x, y, NULL, cancel);
}

sg_status sg_net_forward_at(struct sg_net *net, const float *x, float *y, float *const *layers,
                            const volatile sig_atomic_t *cancel) {
    sg_status status = SG_OK;
    const struct sg_model *m = net->m;

    bring_in(net, m->input, x, m->input->size, data_of(net, m->input));
    read_layers(net, 0, 0, layers);
    for (int64_t i = 0; i < m->n_nodes; i++) {
        SG_TRY(look_up(net, cancel));
        run_forward(net, i);
        read_layers(net, i + 1, 0, layers);
    }
    for (int k = 0; k < m->n_outputs; k++) {
        bring_out(net, m->outputs[k], data_of(net, m->outputs[k]),
                  y + m->signature.outputs[k].offset, m->signature.n_elements);
    }
done:
    return status;
}

sg_status sg_net_backward(struct sg_net *net, const float *dy, float *dx,
                          const volatile sig_atomic_t *cancel) {
    return sg_net_backward_at(net, SG_RULE_GRADIENT, dy, dx, NULL, cancel);
}

/* The number of the first value whose gradient is asked for. */
static int64_t earliest(const struct sg_net *net, const float *dx, float *const *dlayers) {
    int64_t first = dx != NULL ? 0 : net->m->n_nodes;

    for (int l = 0; dlayers != NULL && l < net->m->n_layers; l++) {
        const int64_t index = net->m->layers[l]->root->index;

        first = dlayers[l] != NULL && index < first ? index : first;
    }
    return first;
}

/* How a backward pass goes through the nodes: by a rule, or with the means of gates. */
struct how {
    enum sg_rule rule;
    const struct sg_counts_view *gates; /* or NULL */
    float *work;
};

static void run_node(struct sg_net *net, int64_t i, const struct how *how) {
    if (how->gates != NULL) {
        sg_net_run_gates(net, i, how->gates, how->work);
    } else {
        sg_net_run_backward(net, i, how->rule);
    }
}

static sg_status backward(struct sg_net *net, const struct how *how, const float *dy, float *dx,
                          float *const *dlayers, const volatile sig_atomic_t *cancel) {
    sg_status status = SG_OK;
    const struct sg_model *m = net->m;
    const int64_t first = earliest(net, dx, dlayers);

    for (int k = 0; k < m->n_outputs; k++) {
        bring_in(net, m->outputs[k], dy + m->signature.outputs[k].offset, m->signature.n_elements,
                 grad_of(net, m->outputs[k]));
    }
    for (int64_t i = m->n_nodes - 1; i >= first; i--) {
        SG_TRY(look_up(net, cancel));
        read_layers(net, i + 1, 1, dlayers);
        run_node(net, i, how);
    }
    read_layers(net, first, 1, dlayers);
    if (dx != NULL) {
        bring_out(net, m->input, grad_of(net, m->input), dx, m->input->size);
    }
done:
    return status;
}

sg_status sg_net_backward_at(struct sg_net *net, enum sg_rule rule, const float *dy, float *dx,
                             float *const *dlayers, const volatile sig_atomic_t *cancel) {
    return backward(net, &(struct how){.rule = rule}, dy, dx, dlayers, cancel);
}

sg_status sg_net_backward_gates(struct sg_net *net, const struct sg_counts_view *gates, float *work,
                                const float *dy, float *dx, float *const *dlayers,
                                const volatile sig_atomic_t *cancel) {
    return backward(net, &(struct how){.gates = gates, .work = work}, dy, dx, dlayers, cancel);
}
