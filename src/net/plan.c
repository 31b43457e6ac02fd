/* src/net/plan.c - lifetimes from the schedule, places by best fit, large buffers first. */
#include "net/plan.h"

#include "net/gates.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64 };

/* A stretch of memory in use from step `first` to step `last`. */
struct buffer {
    int64_t bytes;
    int64_t first;
    int64_t last;
    int64_t *place; /* where its offset is written */
    int64_t offset;
    struct buffer *same; /* it lies where this one does, which holds both lifetimes */
};

struct planner {
    const struct sg_model *m;
    int64_t batch;
    struct sg_net_plan *plan;
    struct sg_region region;
    int64_t end;  /* the last step */
    int *kept;    /* [n + 1] 1 if backward reads the value */
    int64_t *low; /* [n + 1] the first and the last segment whose nodes have to do with it */
    int64_t *high;
    int64_t *last_use;    /* [n + 1] last forward step that reads it */
    int64_t *first_write; /* [n + 1] first backward step that writes its gradient */
    struct buffer *data;  /* [n + 1] */
    struct buffer *grad;
    int64_t n_buffers;
    struct buffer **buffers; /* those that have to be placed */
    struct buffer *extra;    /* [4 n]: kept, mask, work of the nodes */
    int64_t n_extra;
};

static int64_t forward_step(int64_t i) {
    return i + 1;
}

static int64_t backward_step(const struct planner *p, int64_t i) {
    return 2 * p->m->n_nodes + 2 - i;
}

static const struct sg_segment *segment_of(const struct planner *p, int64_t i) {
    return &p->plan->segments[p->plan->nodes[i].segment];
}

/* The steps of a node become those of its whole segment: the first of them, and the last. */
static int64_t segment_begin(const struct planner *p, int64_t at) {
    const int64_t n = p->m->n_nodes;

    if (at >= 1 && at <= n) {
        return forward_step(segment_of(p, at - 1)->first);
    }
    return at >= n + 3 && at < p->end ? backward_step(p, segment_of(p, 2 * n + 2 - at)->end - 1)
                                      : at;
}

static int64_t segment_end(const struct planner *p, int64_t at) {
    const int64_t n = p->m->n_nodes;

    if (at >= 1 && at <= n) {
        return forward_step(segment_of(p, at - 1)->end - 1);
    }
    return at >= n + 3 && at < p->end ? backward_step(p, segment_of(p, 2 * n + 2 - at)->first) : at;
}

static int is_dynamic(const struct sg_node *node, int k) {
    return node->in[k] != NULL && node->in[k]->kind == SG_VALUE_DYNAMIC;
}

static sg_status take_tables(struct planner *p) {
    sg_status status = SG_OK;
    const size_t n = (size_t)p->m->n_nodes + 1;
    struct sg_net_plan *plan = p->plan;

    p->kept = sg_region_take(&p->region, n, sizeof *p->kept);
    p->low = sg_region_take(&p->region, n, sizeof *p->low);
    p->high = sg_region_take(&p->region, n, sizeof *p->high);
    p->last_use = sg_region_take(&p->region, n, sizeof *p->last_use);
    p->first_write = sg_region_take(&p->region, n, sizeof *p->first_write);
    p->data = sg_region_take(&p->region, n, sizeof *p->data);
    p->grad = sg_region_take(&p->region, n, sizeof *p->grad);
    p->buffers = sg_region_take(&p->region, 6 * n, sizeof(struct buffer *));
    p->extra = sg_region_take(&p->region, 4 * n, sizeof *p->extra);
    plan->data = sg_region_take(&plan->region, n, sizeof *plan->data);
    plan->grad = sg_region_take(&plan->region, n, sizeof *plan->grad);
    plan->nodes = sg_region_take(&plan->region, n, sizeof *plan->nodes);
    plan->segments = sg_region_take(&plan->region, n, sizeof *plan->segments);
    SG_CHECK(p->kept != NULL && p->low != NULL && p->high != NULL && p->last_use != NULL &&
                 p->first_write != NULL && p->data != NULL && p->grad != NULL &&
                 p->buffers != NULL && p->extra != NULL && plan->data != NULL &&
                 plan->grad != NULL && plan->nodes != NULL && plan->segments != NULL,
             SG_E_NOMEM, "%s: no memory to plan the network", p->m->file);
    for (size_t i = 0; i + 1 < n; i++) {
        plan->nodes[i].accumulate = sg_region_take(&plan->region, (size_t)p->m->nodes[i]->n_in,
                                                   sizeof *plan->nodes[i].accumulate);
        SG_CHECK(plan->nodes[i].accumulate != NULL, SG_E_NOMEM, "%s: no memory to plan the network",
                 p->m->file);
    }
done:
    return status;
}

static sg_status cut(struct planner *p) {
    sg_status status = SG_OK;
    struct sg_net_plan *plan = p->plan;

    SG_TRY(sg_net_cut(p->m, p->batch, &p->region, plan->segments, &plan->n_segments));
    for (int64_t s = 0; s < plan->n_segments; s++) {
        for (int64_t i = plan->segments[s].first; i < plan->segments[s].end; i++) {
            plan->nodes[i].segment = s;
        }
    }
done:
    return status;
}

/* Who reads what last, and what backward needs again. */
static void find_uses(struct planner *p) {
    for (int64_t i = 0; i < p->m->n_nodes; i++) {
        const struct sg_node *node = p->m->nodes[i];
        const int64_t segment = p->plan->nodes[i].segment;

        p->low[node->out->index] = segment;
        p->high[node->out->index] = segment;

        for (int k = 0; k < node->n_in; k++) {
            if (is_dynamic(node, k)) {
                const int at = node->in[k]->root->index;

                p->last_use[at] = forward_step(i);
                p->high[at] = segment;
                p->kept[at] |= (node->flags & SG_OP_KEEPS_INPUT) != 0;
            }
        }
        p->kept[node->out->index] |= (node->flags & SG_OP_KEEPS_OUTPUT) != 0;
    }
    for (int i = 0; i < p->m->n_outputs; i++) {
        p->last_use[p->m->outputs[i]->root->index] = p->m->n_nodes + 1;
        p->high[p->m->outputs[i]->root->index] = p->plan->n_segments;
    }
}

/* Backward runs from the last node and each node's last input: who comes first overwrites. */
static void find_writers(struct planner *p) {
    for (int i = 0; i < p->m->n_outputs; i++) {
        p->first_write[p->m->outputs[i]->root->index] = p->m->n_nodes + 2;
    }
    for (int64_t i = p->m->n_nodes - 1; i >= 0; i--) {
        const struct sg_node *node = p->m->nodes[i];

        for (int k = node->n_in - 1; k >= 0; k--) {
            if (is_dynamic(node, k)) {
                int64_t *first = &p->first_write[node->in[k]->root->index];

                p->plan->nodes[i].accumulate[k] = *first != 0;
                *first = *first != 0 ? *first : backward_step(p, i);
            }
        }
    }
}

static int is_layer(const struct sg_model *m, const struct sg_value *v) {
    for (int l = 0; l < m->n_layers; l++) {
        if (m->layers[l]->root == v) {
            return 1;
        }
    }
    return 0;
}

/* Gradients that the last node to write them can cut by the Relu behind them, in the same part of
 * the batch; those of layers are read before. */
static void find_cuts(struct planner *p) {
    for (int64_t i = p->m->n_nodes - 1; i >= 0; i--) {
        const struct sg_node *node = p->m->nodes[i];

        for (int k = node->n_in - 1; k >= 0; k--) {
            const int64_t maker = is_dynamic(node, k) ? node->in[k]->root->index - 1 : -1;
            struct sg_node_plan *at = maker >= 0 ? &p->plan->nodes[maker] : NULL;

            if (at != NULL) {
                at->is_cut = 0; /* by a node that is not the last */
                if (k == 0 && (node->flags & SG_OP_BITS_INSIDE) != 0 && p->m->nodes[maker]->relu &&
                    at->segment == p->plan->nodes[i].segment &&
                    !is_layer(p->m, node->in[0]->root)) {
                    at->is_cut = 1;
                }
                at->last_writer = i;
            }
        }
    }
    for (int64_t i = 0; i < p->m->n_nodes; i++) {
        const struct sg_node_plan *at = &p->plan->nodes[i];

        if (at->is_cut) {
            p->plan->nodes[at->last_writer].cuts = 1;
        }
    }
}

static struct buffer *resolve(struct buffer *b) {
    while (b->same != NULL) {
        b = b->same;
    }
    return b;
}

/* b gets the place of a. */
static void share(struct buffer *a, struct buffer *b) {
    a = resolve(a);
    a->first = b->first < a->first ? b->first : a->first;
    a->last = b->last > a->last ? b->last : a->last;
    b->same = a;
}

/* The gradient of a value is there for all samples at a time, not only for those of a part. */
static int has_whole_gradient(const struct planner *p, int at) {
    return at == 0 || p->low[at] != p->high[at];
}

static int has_whole_data(const struct planner *p, int at) {
    return has_whole_gradient(p, at) || p->kept[at];
}

/* y takes over the memory of x, if nobody needs x any more. */
static int may_overwrite_input(const struct planner *p, const struct sg_node *node, int64_t i) {
    const int own = node->addend;
    const int at = node->in[own]->root->index;

    return (node->flags & SG_OP_INPLACE) != 0 && is_dynamic(node, own) && !p->kept[at] &&
           p->last_use[at] == forward_step(i) && node->in[own]->size == node->out->size &&
           has_whole_data(p, at) == has_whole_data(p, node->out->index);
}

/* dx takes over the memory of dy, if this node is the first to write it. */
static int may_overwrite_gradient(const struct planner *p, const struct sg_node *node, int64_t i) {
    const int own = node->addend;
    const int at = node->in[own]->root->index;

    return (node->flags & SG_OP_GRAD_INPLACE) != 0 && is_dynamic(node, own) &&
           !p->plan->nodes[i].accumulate[own] && p->first_write[at] == backward_step(p, i) &&
           node->in[own]->size == node->out->size &&
           has_whole_gradient(p, at) == has_whole_gradient(p, node->out->index);
}

/* The gradient of a gate of several nodes stays until the node that writes its source's. */
static int64_t last_read(const struct planner *p, int64_t i) {
    const struct sg_gate *gate = &p->m->gates[i];

    return backward_step(p, gate->kind == SG_GATE_SLOPES ? gate->writer : i);
}

static struct buffer lay(struct planner *p, int64_t batch, int64_t size, int whole, int64_t first,
                         int64_t last, struct sg_place *place) {
    place->whole = whole;
    return (struct buffer){.bytes = (whole ? p->batch : batch) * size * (int64_t)sizeof(float),
                           .first = whole ? segment_begin(p, first) : first,
                           .last = whole ? segment_end(p, last) : last,
                           .place = &place->at};
}

static void lay_value(struct planner *p, const struct sg_value *v, int64_t made) {
    const int at = v->index;
    const int64_t batch = made > 0 ? segment_of(p, made - 1)->batch : p->batch;
    const int is_pool = made > 1 && p->m->nodes[made - 2]->is_pooled;
    const int64_t backward = made > 0 ? last_read(p, made - 1 - is_pool) : p->end;

    /* What a node makes together with the pooling behind it is there one step earlier, and its
     * gradient one longer. */
    p->data[at] = lay(p, batch, v->size, has_whole_data(p, at), made - is_pool,
                      p->kept[at] ? p->end : p->last_use[at], &p->plan->data[at]);
    p->grad[at] = lay(p, batch, v->size, has_whole_gradient(p, at), p->first_write[at], backward,
                      &p->plan->grad[at]);
}

/* What every part has bytes of; returns how far they are apart. */
static int64_t per_part(const struct sg_segment *s, int64_t bytes) {
    return s->n_parts > 1 ? (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT : bytes;
}

static void lay_extra(struct planner *p, int64_t bytes, int64_t first, int64_t last,
                      int64_t *place) {
    *place = -1;
    if (bytes > 0) {
        p->extra[p->n_extra++] =
            (struct buffer){.bytes = bytes, .first = first, .last = last, .place = place};
    }
}

static void lay_node(struct planner *p, int64_t i) {
    const struct sg_node *node = p->m->nodes[i];
    struct sg_node_plan *out = &p->plan->nodes[i];
    struct sg_need need = {0};
    const int64_t forward = forward_step(i);
    const int64_t backward = backward_step(p, i);
    const struct sg_segment *s = segment_of(p, i);
    const int64_t begin = segment_begin(p, forward);
    const int64_t mask_bytes = (s->batch * node->out->size + 31) / 32 * (int64_t)sizeof(uint32_t);

    if (node->op->memory != NULL) {
        node->op->memory(node, s->batch, &need);
    }
    out->kept_step = per_part(s, need.kept_bytes);
    out->mask_step = per_part(s, mask_bytes);
    lay_extra(p, s->n_parts * out->kept_step, begin, p->end, &out->kept);
    lay_extra(p, node->relu ? s->n_parts * out->mask_step : 0, begin, p->end, &out->relu_mask);
    lay_extra(p, need.work_bytes, forward, forward, &out->work_forward);
    lay_extra(p, need.work_bytes, backward, backward, &out->work_backward);
}

static void lay_all(struct planner *p) {
    const struct sg_model *m = p->m;

    lay_value(p, m->input, 0);
    for (int64_t i = 0; i < m->n_nodes; i++) {
        lay_value(p, m->nodes[i]->out, forward_step(i));
        lay_node(p, i);
    }
    for (int64_t i = 0; i < m->n_nodes; i++) {
        const struct sg_node *node = m->nodes[i];

        if (may_overwrite_input(p, node, i)) {
            share(&p->data[node->in[node->addend]->root->index], &p->data[node->out->index]);
        }
        if (may_overwrite_gradient(p, node, i)) {
            share(&p->grad[node->in[node->addend]->root->index], &p->grad[node->out->index]);
        }
    }
    for (int64_t i = 0; i <= m->n_nodes; i++) {
        if (p->data[i].same == NULL) {
            p->buffers[p->n_buffers++] = &p->data[i];
        }
        if (p->grad[i].same == NULL) {
            p->buffers[p->n_buffers++] = &p->grad[i];
        }
    }
    for (int64_t i = 0; i < p->n_extra; i++) {
        p->buffers[p->n_buffers++] = &p->extra[i];
    }
}

/* Largest first; among equals the earlier one, so that the plan is the same everywhere. */
static int by_size(const void *a, const void *b) {
    const struct buffer *x = *(struct buffer *const *)a;
    const struct buffer *y = *(struct buffer *const *)b;

    if (x->bytes != y->bytes) {
        return x->bytes < y->bytes ? 1 : -1;
    }
    if (x->first != y->first) {
        return x->first < y->first ? -1 : 1;
    }
    return (x->place > y->place) - (x->place < y->place);
}

/* Puts b into the smallest gap that holds it among the placed buffers of its lifetime; these are in
 * the order of their offsets. */
static void place(struct planner *p, struct buffer *b, struct buffer **placed, int64_t n_placed) {
    const int64_t bytes = (b->bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    int64_t top = 0;
    int64_t best = -1;
    int64_t best_gap = INT64_MAX;

    for (int64_t i = 0; i < n_placed; i++) {
        const struct buffer *other = placed[i];
        const int64_t gap = other->offset - top;

        if (other->first > b->last || other->last < b->first) {
            continue;
        }
        if (gap >= bytes && gap < best_gap) {
            best = top;
            best_gap = gap;
        }
        if (other->offset + other->bytes > top) {
            top = (other->offset + other->bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        }
    }
    b->offset = best >= 0 ? best : top;
    if (b->offset + bytes > p->plan->arena_bytes) {
        p->plan->arena_bytes = b->offset + bytes;
    }
}

static void insert(struct buffer **placed, int64_t n, struct buffer *b) {
    int64_t at = n;

    while (at > 0 && placed[at - 1]->offset > b->offset) {
        placed[at] = placed[at - 1];
        at--;
    }
    placed[at] = b;
}

static sg_status place_all(struct planner *p) {
    sg_status status = SG_OK;
    struct buffer **placed =
        sg_region_take(&p->region, (size_t)p->n_buffers, sizeof(struct buffer *));

    SG_CHECK(placed != NULL, SG_E_NOMEM, "%s: no memory to plan the network", p->m->file);
    qsort(p->buffers, (size_t)p->n_buffers, sizeof(struct buffer *), by_size);
    for (int64_t i = 0; i < p->n_buffers; i++) {
        place(p, p->buffers[i], placed, i);
        insert(placed, i, p->buffers[i]);
        *p->buffers[i]->place = p->buffers[i]->offset;
    }
    for (int64_t i = 0; i <= p->m->n_nodes; i++) {
        *p->data[i].place = resolve(&p->data[i])->offset;
        *p->grad[i].place = resolve(&p->grad[i])->offset;
    }
done:
    return status;
}

/* The largest batch whose offsets cannot overflow, whatever the layers ask for. */
static int64_t max_batch(const struct sg_model *m) {
    int64_t floats = m->input->size;

    for (int64_t i = 0; i < m->n_nodes; i++) {
        floats += m->nodes[i]->out->size;
    }
    return ((int64_t)1 << 46) / floats;
}

sg_status sg_net_plan_create(const struct sg_model *m, int64_t batch, struct sg_net_plan *out) {
    sg_status status = SG_OK;
    struct planner p = {.m = m, .batch = batch, .plan = out, .end = 2 * m->n_nodes + 3};

    *out = (struct sg_net_plan){.n_nodes = m->n_nodes};
    SG_CHECK(batch >= 1 && batch <= max_batch(m), SG_E_NOMEM,
             "%s: a batch of %lld samples cannot be held", m->file, (long long)batch);
    SG_TRY(take_tables(&p));
    SG_TRY(cut(&p));
    find_uses(&p);
    find_writers(&p);
    find_cuts(&p);
    lay_all(&p);
    SG_TRY(place_all(&p));
done:
    sg_region_free(&p.region);
    if (status != SG_OK) {
        sg_net_plan_free(out);
    }
    return status;
}

void sg_net_plan_free(struct sg_net_plan *plan) {
    sg_region_free(&plan->region);
    *plan = (struct sg_net_plan){0};
}
