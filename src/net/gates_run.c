/* src/net/gates_run.c - gates at work: counted after a forward pass, in place of derivatives in a
 * backward one. */
#include "net/gates.h"
#include "net/kernels.h"
#include "net/run.h"

#include <string.h>

enum { CHUNK = 1024 };

/* ---- counting ---- */

/* Where the samples at hand go: n of a part, from sample `first` of the item on. */
struct counting {
    int64_t first;
    int64_t n;
    const unsigned char *skip;
    struct sg_counts *counts;
};

static void count_bits(const struct counting *c, int64_t first, const uint32_t *mask,
                       int64_t size) {
    for (int64_t j = 0; j < c->n; j++) {
        if (!c->skip[j]) {
            sg_counts_add_bits(c->counts, c->first + j, first, mask, j * size, size);
        }
    }
}

static void count_choice(const struct counting *c, const struct sg_gate *gate,
                         const struct sg_call *call) {
    int32_t at[CHUNK];

    for (int64_t j = 0; j < c->n; j++) {
        for (int64_t i = 0; i < call->node->out->size && !c->skip[j]; i += CHUNK) {
            const int64_t left = call->node->out->size - i;
            const int64_t n = left < CHUNK ? left : CHUNK;

            call->node->op->choice->counted(call, j, i, n, at);
            sg_counts_add_at(c->counts, c->first + j, gate->first, at, n);
        }
    }
}

/* Where the gradient of the gate's source is written, in the part at hand. */
static float *source_gradient(const struct sg_net *net, const struct sg_gate *gate) {
    const struct sg_call *writer = &net->calls[gate->writer];

    return writer->dx[sg_gate_input(gate, writer)];
}

/* Slopes are what the members make of ones, where gradients lie in a backward pass: nothing else of
 * it is there now. */
static const float *slopes_of(struct sg_net *net, int64_t i) {
    const struct sg_gate *gate = &net->m->gates[i];
    const int64_t n = net->calls[i].batch * gate->n;
    float *dx = source_gradient(net, gate);
    float *dy = net->calls[i].dy;

    for (int64_t k = 0; k < n; k++) {
        dy[k] = 1.0f;
    }
    for (int64_t k = gate->n_members - 1; k >= 0; k--) {
        if (gate->members[k] == gate->writer &&
            sg_gate_accumulates(gate, &net->calls[gate->writer])) {
            memset(dx, 0, (size_t)n * sizeof *dx);
        }
        sg_net_run_backward(net, gate->members[k], SG_RULE_GRADIENT);
    }
    return dx;
}

static void count_slopes(struct sg_net *net, const struct counting *c, int64_t i) {
    const struct sg_gate *gate = &net->m->gates[i];
    const float *slopes = slopes_of(net, i);

    for (int64_t j = 0; j < c->n; j++) {
        if (!c->skip[j]) {
            sg_counts_add_slopes(c->counts, c->first + j, gate->first, slopes + j * gate->n,
                                 gate->n);
        }
    }
}

static void count_node(struct sg_net *net, const struct counting *c, int64_t i) {
    const struct sg_gate *gate = &net->m->gates[i];
    const struct sg_call *call = &net->calls[i];

    if (gate->first_relu >= 0) {
        count_bits(c, gate->first_relu, call->relu_mask, call->node->out->size);
    }
    if (gate->kind == SG_GATE_BITS) {
        count_bits(c, gate->first, call->kept, gate->n);
    } else if (gate->kind == SG_GATE_CHOICE) {
        count_choice(c, gate, call);
    } else if (gate->kind == SG_GATE_SLOPES) {
        count_slopes(net, c, i);
    }
}

/* The samples of a part that are among the first n of the batch. */
static void count_part(struct sg_net *net, const struct sg_segment *s, int64_t part, int64_t first,
                       int64_t n, const unsigned char *skip, struct sg_counts *counts) {
    int64_t n_part;
    const int64_t at = sg_net_enter(net, s, part, &n_part);
    const struct counting c = {first + at, n - at < n_part ? n - at : n_part, skip + at, counts};

    for (int64_t i = s->first; i < s->end && c.n > 0; i++) {
        count_node(net, &c, i);
    }
}

void sg_net_count_gates(struct sg_net *net, int64_t first, int64_t n, const unsigned char *skip,
                        struct sg_counts *counts) {
    SG_ASSERT(net->is_whole);
    for (int64_t s = 0; s < net->plan.n_segments; s++) {
        for (int64_t k = 0; k < net->plan.segments[s].n_parts; k++) {
            count_part(net, &net->plan.segments[s], k, first, n, skip, counts);
        }
    }
    for (int64_t j = 0; j < n; j++) {
        if (skip[j]) {
            sg_counts_skip_sample(counts);
        } else {
            sg_counts_end_sample(counts, first + j);
        }
    }
}

/* ---- the backward pass ---- */

/* dx (+)= mean dy in every sample; dx may be dy. */
static void scale(const float *mean, int64_t size, int64_t batch, const float *dy, float *dx,
                  int accumulate) {
    for (int64_t j = 0; j < batch; j++, dy += size, dx += size) {
        if (accumulate) {
            for (int64_t i = 0; i < size; i++) {
                dx[i] += mean[i] * dy[i];
            }
        } else {
            for (int64_t i = 0; i < size; i++) {
                dx[i] = mean[i] * dy[i];
            }
        }
    }
}

/* The slopes of gate g, at the node where its source's gradient is written. */
static void run_slopes(struct sg_net *net, int64_t g, const struct sg_counts_view *gates,
                       float *work) {
    const struct sg_gate *gate = &net->m->gates[g];

    sg_counts_mean_slopes(gates, gate->first, gate->n, work);
    scale(work, gate->n, net->calls[g].batch, net->calls[g].dy, source_gradient(net, gate),
          sg_gate_accumulates(gate, &net->calls[gate->writer]));
}

void sg_net_run_gates(struct sg_net *net, int64_t i, const struct sg_counts_view *gates,
                      float *work) {
    const struct sg_gate *gate = &net->m->gates[i];
    const struct sg_call *call = &net->calls[i];
    const struct sg_node *node = call->node;

    if (gate->writes >= 0) {
        run_slopes(net, gate->writes, gates, work);
    }
    if (gate->is_inside) {
        return;
    }
    if (gate->first_relu >= 0) {
        sg_counts_mean_counters(gates, gate->first_relu, node->out->size, work);
        scale(work, node->out->size, call->batch, call->dy, call->dy, 0);
    }
    if (gate->kind == SG_GATE_BITS) {
        sg_counts_mean_counters(gates, gate->first, gate->n, work);
        scale(work, gate->n, call->batch, call->dy, call->dx[0], call->accumulate[0]);
    } else if (gate->kind == SG_GATE_CHOICE) {
        sg_counts_mean_counters(gates, gate->first, gate->n, work);
        node->op->choice->backward(call, work);
    } else {
        net->calls[i].work = sg_net_at(net, net->plan.nodes[i].work_backward);
        net->calls[i].rule = SG_RULE_GRADIENT;
        net->calls[i].cut_mask = NULL;
        node->op->backward(call);
    }
}
