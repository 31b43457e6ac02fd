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

    *call = (struct sg_call){.node = node};
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
static void point(struct sg_net *net, int64_t i, int64_t part, int64_t first, int64_t n) {
    const struct sg_net_plan *plan = &net->plan;
    const struct sg_node_plan *own = &plan->nodes[i];
    struct sg_call *call = &net->calls[i];
    const struct sg_node *node = call->node;

    for (int k = 0; k < node->n_in; k++) {
        if (node->in[k] != NULL && node->in[k]->kind == SG_VALUE_DYNAMIC) {
            const struct sg_value *v = node->in[k]->root;

            call->x[k] = sg_net_sample(net, &plan->data[v->index], v, first);
            call->dx[k] = sg_net_sample(net, &plan->grad[v->index], v, first);
        }
    }
    call->batch = n;
    call->y = sg_net_sample(net, &plan->data[node->out->index], node->out, first);
    call->dy = sg_net_sample(net, &plan->grad[node->out->index], node->out, first);
    call->kept = own->kept >= 0 ? at(net, own->kept + part * own->kept_step) : NULL;
    call->relu_mask = own->relu_mask >= 0
                          ? (uint32_t *)(void *)at(net, own->relu_mask + part * own->mask_step)
                          : NULL;
}

static int64_t min(int64_t a, int64_t b) {
    return a < b ? a : b;
}

int64_t sg_net_enter(struct sg_net *net, const struct sg_segment *s, int64_t part, int64_t *n) {
    const int64_t first = part * s->batch;

    *n = min(s->batch, net->batch - first);
    for (int64_t i = s->first; i < s->end && (s->n_parts > 1 || net->calls[i].batch == 0); i++) {
        point(net, i, part, first, *n);
    }
    return first;
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

/* Samples of the batch that are being worked on. */
struct part {
    int64_t first;
    int64_t n;
};

static float *data_of(const struct sg_net *net, const struct sg_value *v, int64_t first) {
    return sg_net_sample(net, &net->plan.data[v->root->index], v, first);
}

static float *grad_of(const struct sg_net *net, const struct sg_value *v, int64_t first) {
    return sg_net_sample(net, &net->plan.grad[v->root->index], v, first);
}

/* Between the order outside, where samples are `stride` floats apart, and the one in memory. */
static void bring_in(int64_t n, const struct sg_value *v, const float *from, int64_t stride,
                     float *to) {
    const int64_t c = sg_last_channels(v);

    for (int64_t j = 0; j < n; j++, from += stride, to += v->size) {
        if (c > 0) {
            sg_nchw_to_nhwc(1, c, v->size / c, from, to);
        } else {
            memcpy(to, from, (size_t)v->size * sizeof *to);
        }
    }
}

static void bring_out(int64_t n, const struct sg_value *v, const float *from, float *to,
                      int64_t stride) {
    const int64_t c = sg_last_channels(v);

    for (int64_t j = 0; j < n; j++, from += v->size, to += stride) {
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
static void read_layers(const struct sg_net *net, int64_t index, int is_gradient, float *const *out,
                        struct part part) {
    for (int l = 0; out != NULL && l < net->m->n_layers; l++) {
        const struct sg_value *v = net->m->layers[l];

        if (v->root->index == index && out[l] != NULL) {
            bring_out(part.n, v,
                      is_gradient ? grad_of(net, v, part.first) : data_of(net, v, part.first),
                      out[l] + part.first * v->size, v->size);
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

/* The Relu or Clip that was fused into the node, or what is left of it: the bits. */
static void follow(const struct sg_call *call) {
    const int64_t n = call->batch * call->node->out->size;
    const int is_done = (call->node->flags & SG_OP_RELU_INSIDE) != 0;

    if ((call->node->flags & SG_OP_BITS_INSIDE) != 0) {
        return;
    }
    if (call->node->relu == SG_RELU_6 && !is_done) {
        sg_clip(0.0f, 6.0f, call->y, call->y, call->relu_mask, n);
    } else if (call->node->relu == SG_RELU_6) {
        sg_clip_mask(0.0f, 6.0f, call->y, call->relu_mask, n);
    } else if (call->node->relu == SG_RELU_PLAIN) {
        if (!is_done) {
            sg_relu_forward(call->y, call->y, n);
        }
        sg_relu_mask(call->y, call->relu_mask, n);
    }
}

/* Returns the number of nodes that are done: two where a pooling has gone with node i. */
static int run_forward(struct sg_net *net, int64_t i) {
    struct sg_call *call = &net->calls[i];
    const struct sg_node *node = call->node;
    const double begun = net->forward_seconds != NULL ? sg_processor_seconds() : 0;
    int n = 1;

    call->work = at(net, net->plan.nodes[i].work_forward);
    if (!net->is_whole && node->is_pooled) {
        node->op->pooled->forward(call, call + 1);
        n = 2;
    } else {
        node->op->forward(call);
        follow(call);
    }
    if (net->forward_seconds != NULL) {
        net->forward_seconds[i] += sg_processor_seconds() - begun;
    }
    return n;
}

/* By the rule of the Relu in the node, at the winners of the pooling behind it. */
static void backward_pooled(const struct sg_call *call, const struct sg_call *pool) {
    const int has_relu = call->node->relu != SG_RELU_NONE;

    if (has_relu && call->rule != SG_RULE_GRADIENT) {
        sg_relu_backward_by(SG_RULE_DECONVNET, NULL, pool->dy, pool->dy,
                            pool->batch * pool->node->out->size, 0);
    }
    call->node->op->pooled->backward(call, pool, has_relu && call->rule != SG_RULE_DECONVNET);
}

/* Node i backward, where `cut` lets nodes cut gradients for the nodes that made their inputs. */
static void run_backward(struct sg_net *net, int64_t i, enum sg_rule rule, int cut) {
    const struct sg_node_plan *plan = &net->plan.nodes[i];
    struct sg_call *call = &net->calls[i];
    const struct sg_node *node = call->node;
    const double begun = net->backward_seconds != NULL ? sg_processor_seconds() : 0;

    call->rule = rule;
    call->work = at(net, plan->work_backward);
    call->cut_mask = cut && plan->cuts ? net->calls[node->in[0]->root->index - 1].relu_mask : NULL;
    if (node->is_pooled) {
        backward_pooled(call, call + 1);
    } else {
        if (node->relu && !(cut && plan->is_cut)) {
            sg_relu_backward_by(node->relu == SG_RELU_PLAIN ? rule : SG_RULE_GRADIENT,
                                call->relu_mask, call->dy, call->dy, call->batch * node->out->size,
                                0);
        }
        node->op->backward(call);
    }
    if (net->backward_seconds != NULL) {
        net->backward_seconds[i] += sg_processor_seconds() - begun;
    }
}

void sg_net_run_backward(struct sg_net *net, int64_t i, enum sg_rule rule) {
    run_backward(net, i, rule, 0);
}

static sg_status forward_part(struct sg_net *net, const struct sg_segment *s, int64_t k,
                              float *const *layers, const volatile sig_atomic_t *cancel) {
    sg_status status = SG_OK;
    struct part part;

    part.first = sg_net_enter(net, s, k, &part.n);
    for (int64_t i = s->first; i < s->end;) {
        SG_TRY(look_up(net, cancel));
        i += run_forward(net, i);
        read_layers(net, i, 0, layers, part);
    }
done:
    return status;
}

sg_status sg_net_forward_as(struct sg_net *net, const struct sg_pass *how, const float *x, float *y,
                            const volatile sig_atomic_t *cancel) {
    sg_status status = SG_OK;
    const struct sg_model *m = net->m;
    const struct part all = {0, net->batch};
    float *const *layers = how->layers;

    net->is_whole = layers != NULL || how->is_counted;
    for (int64_t i = 0; i < m->n_nodes; i++) {
        net->calls[i].keeps_ties = !how->is_noisy;
    }
    bring_in(net->batch, m->input, x, m->input->size, data_of(net, m->input, 0));
    read_layers(net, 0, 0, layers, all);
    for (int64_t s = 0; s < net->plan.n_segments; s++) {
        const struct sg_segment *segment = &net->plan.segments[s];

        for (int64_t k = 0; k < segment->n_parts; k++) {
            SG_TRY(forward_part(net, segment, k, layers, cancel));
        }
    }
    for (int k = 0; k < m->n_outputs; k++) {
        bring_out(net->batch, m->outputs[k], data_of(net, m->outputs[k], 0),
                  y + m->signature.outputs[k].offset, m->signature.n_elements);
    }
done:
    return status;
}

sg_status sg_net_forward(struct sg_net *net, const float *x, float *y,
                         const volatile sig_atomic_t *cancel) {
    return sg_net_forward_as(net, &(struct sg_pass){0}, x, y, cancel);
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

static int is_layer_read(const struct sg_net *net, int64_t index, float *const *out) {
    int l = 0;

    while (out != NULL && l < net->m->n_layers &&
           (out[l] == NULL || net->m->layers[l]->root->index != index)) {
        l++;
    }
    return out != NULL && l < net->m->n_layers;
}

/* How a backward pass goes through the nodes: by a rule, or with the means of gates. */
struct how {
    enum sg_rule rule;
    const struct sg_counts_view *gates; /* or NULL */
    float *work;
};

/* What a pooling would write is made only if it is `read` as a layer's, where the node before it
 * takes the gradient from behind the pooling. */
static void run_node(struct sg_net *net, int64_t i, const struct how *how, int read) {
    const int is_pool = i > 0 && net->m->nodes[i - 1]->is_pooled;

    if (how->gates != NULL) {
        sg_net_run_gates(net, i, how->gates, how->work);
    } else if (!is_pool || read) {
        run_backward(net, i, how->rule, how->rule == SG_RULE_GRADIENT);
    }
}

/* One part of a segment, down to node `first` of the network. */
static sg_status backward_part(struct sg_net *net, const struct sg_segment *s, int64_t k,
                               const struct how *how, int64_t first, float *const *dlayers,
                               const volatile sig_atomic_t *cancel) {
    sg_status status = SG_OK;
    struct part part;

    part.first = sg_net_enter(net, s, k, &part.n);
    for (int64_t i = s->end - 1; i >= s->first && i >= first; i--) {
        SG_TRY(look_up(net, cancel));
        read_layers(net, i + 1, 1, dlayers, part);
        run_node(net, i, how, is_layer_read(net, i, dlayers));
    }
    if (s->first <= first) {
        read_layers(net, first, 1, dlayers, part);
    }
done:
    return status;
}

static sg_status backward(struct sg_net *net, const struct how *how, const float *dy, float *dx,
                          float *const *dlayers, const volatile sig_atomic_t *cancel) {
    sg_status status = SG_OK;
    const struct sg_model *m = net->m;
    const int64_t first = earliest(net, dx, dlayers);
    const struct part all = {0, net->batch};

    for (int k = 0; k < m->n_outputs; k++) {
        bring_in(net->batch, m->outputs[k], dy + m->signature.outputs[k].offset,
                 m->signature.n_elements, grad_of(net, m->outputs[k], 0));
    }
    for (int64_t s = net->plan.n_segments - 1; s >= 0 && net->plan.segments[s].end > first; s--) {
        const struct sg_segment *segment = &net->plan.segments[s];

        for (int64_t k = 0; k < segment->n_parts; k++) {
            SG_TRY(backward_part(net, segment, k, how, first, dlayers, cancel));
        }
    }
    if (first == m->n_nodes) { /* an output */
        read_layers(net, first, 1, dlayers, all);
    }
    if (dx != NULL) {
        bring_out(net->batch, m->input, grad_of(net, m->input, 0), dx, m->input->size);
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
