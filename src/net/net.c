/* src/net/net.c - a model at a batch size: one arena, one list of calls, no decisions left. */
#include "net/kernels.h"
#include "net/plan.h"
#include "sgdist/memory.h"

#include <string.h>

struct sg_net {
    const struct sg_model *m;
    int64_t batch;
    struct sg_net_plan plan;
    struct sg_region region;
    char *arena;
    struct sg_call *calls; /* [n_nodes] */
    float *input;
    float *input_grad;
    float *output;
    float *output_grad;
};

static float *at(const struct sg_net *net, int64_t offset) {
    return offset >= 0 ? (float *)(void *)(net->arena + offset) : NULL;
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
    net->input = at(net, plan->data[m->input->index]);
    net->input_grad = at(net, plan->grad[m->input->index]);
    net->output = at(net, plan->data[m->explained->root->index]);
    net->output_grad = at(net, plan->grad[m->explained->root->index]);
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
    sg_status status = SG_OK;
    struct sg_net *net = NULL;

    SG_TRY(make_tables(m, batch, &net));
    net->arena = sg_malloc_aligned((size_t)net->plan.arena_bytes, 1);
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
        sg_free(net->arena);
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

/* Between the order outside and the one in memory, `batch` samples of the value. */
static void bring_in(const struct sg_value *v, int64_t batch, const float *from, float *to) {
    if (sg_is_spatial(v)) {
        sg_nchw_to_nhwc(batch, v->shape.axes[0], sg_shape_plane(&v->shape), from, to);
    } else {
        memcpy(to, from, (size_t)(batch * v->size) * sizeof *to);
    }
}

static void bring_out(const struct sg_value *v, int64_t batch, const float *from, float *to) {
    if (sg_is_spatial(v)) {
        sg_nhwc_to_nchw(batch, v->shape.axes[0], sg_shape_plane(&v->shape), from, to);
    } else {
        memcpy(to, from, (size_t)(batch * v->size) * sizeof *to);
    }
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

static void run_backward(struct sg_net *net, int64_t i, enum sg_rule rule) {
    struct sg_call *call = &net->calls[i];
    const struct sg_node *node = call->node;

    call->rule = rule;
    call->work = at(net, net->plan.nodes[i].work_backward);
    if (node->relu) {
        sg_relu_backward(call->relu_mask, call->dy, call->dy, net->batch * node->out->size, 0);
    }
    node->op->backward(call);
}

sg_status sg_net_forward(struct sg_net *net, const float *x, float *y,
                         const volatile sig_atomic_t *cancel) {
    sg_status status = SG_OK;

    bring_in(net->m->input, net->batch, x, net->input);
    for (int64_t i = 0; i < net->m->n_nodes; i++) {
        SG_CHECK(cancel == NULL || *cancel == 0, SG_E_INTERRUPTED, "stopped between two layers");
        run_forward(net, i);
    }
    bring_out(net->m->explained, net->batch, net->output, y);
done:
    return status;
}

sg_status sg_net_backward(struct sg_net *net, const float *dy, float *dx,
                          const volatile sig_atomic_t *cancel) {
    return sg_net_backward_by(net, SG_RULE_GRADIENT, dy, dx, cancel);
}

sg_status sg_net_backward_by(struct sg_net *net, enum sg_rule rule, const float *dy, float *dx,
                             const volatile sig_atomic_t *cancel) {
    sg_status status = SG_OK;

    bring_in(net->m->explained, net->batch, dy, net->output_grad);
    for (int64_t i = net->m->n_nodes - 1; i >= 0; i--) {
        SG_CHECK(cancel == NULL || *cancel == 0, SG_E_INTERRUPTED, "stopped between two layers");
        run_backward(net, i, rule);
    }
    bring_out(net->m->input, net->batch, net->input_grad, dx);
done:
    return status;
}
