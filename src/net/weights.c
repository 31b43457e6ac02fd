/* src/net/weights.c - the numbers that a model computes with, in one block that ranks can share.
 *
 * Operators ask for places while the graph is built and prepared; the places themselves come last,
 * one after the other in the order of the nodes. So every rank that builds the model from the same
 * bytes finds the same number at the same distance from the block's start, and only one of the
 * ranks that share the block has to write it. */
#include "net/net_impl.h"
#include "sgdist/memory.h"

#include <string.h>

enum { ALIGNMENT = 64 };

/* Floats that a node computes with. */
struct sg_weight {
    struct sg_weight *next;
    void *slot;        /* the pointer to them, in what the node owns */
    const float *from; /* where they lie until they have a place; NULL: fill makes them */
    int64_t n;
};

static sg_status add(struct sg_node *node, void *slot, const float *from, int64_t n) {
    sg_status status = SG_OK;
    struct sg_weight *w = sg_region_take(&node->model->scratch, 1, sizeof *w);
    struct sg_weight **last = &node->weights;

    SG_ASSERT(node->own != NULL);
    SG_NODE_NOMEM(w, node);
    *w = (struct sg_weight){.slot = slot, .from = from, .n = n};
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = w;
    memcpy(slot, &from, sizeof from);
done:
    return status;
}

sg_status sg_keep_floats(struct sg_node *node, const float *floats, int64_t n, const float **out) {
    return add(node, (void *)out, floats, n);
}

sg_status sg_make_floats(struct sg_node *node, int64_t n, float **out) {
    return add(node, (void *)out, NULL, n);
}

sg_status sg_absorb_scale(struct sg_node *node, const struct sg_affine *a) {
    sg_status status = SG_OK;
    struct sg_scale *s = NULL;
    struct sg_scale **last = &node->scales;

    if (a->scale != NULL) {
        s = sg_region_take(&node->model->scratch, 1, sizeof *s);
        SG_NODE_NOMEM(s, node);
        *s = (struct sg_scale){.n = a->n, .scale = a->scale};
        while (*last != NULL) {
            last = &(*last)->next;
        }
        *last = s;
    }
done:
    return status;
}

float sg_scaled(const struct sg_node *node, int64_t channel, float weight) {
    for (const struct sg_scale *s = node->scales; s != NULL; s = s->next) {
        weight = (float)((double)s->scale[s->n > 1 ? channel : 0] * (double)weight);
    }
    return weight;
}

static int64_t bytes_of(const struct sg_weight *w) {
    return (w->n * (int64_t)sizeof(float) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* Gives the node's floats their places; returns the end of the last. */
static char *place(const struct sg_node *node, char *at, int fill) {
    for (const struct sg_weight *w = node->weights; w != NULL; w = w->next) {
        const float *from;

        memcpy(&from, w->slot, sizeof from);
        SG_ASSERT(from == w->from); /* nobody has put another pointer there */
        memcpy(w->slot, &at, sizeof at);
        if (fill && from != NULL && w->n > 0) {
            memcpy(at, from, (size_t)w->n * sizeof *from);
        }
        at += bytes_of(w);
    }
    return at;
}

sg_status sg_place_in_scratch(struct sg_node *node) {
    sg_status status = SG_OK;
    int64_t bytes = 0;
    float *floats;

    for (const struct sg_weight *w = node->weights; w != NULL; w = w->next) {
        bytes += bytes_of(w);
    }
    floats = sg_region_floats(&node->model->scratch, bytes / (int64_t)sizeof *floats);
    SG_NODE_NOMEM(floats, node);
    (void)place(node, (char *)floats, 1);
    if (node->op->fill != NULL) {
        SG_TRY(node->op->fill(node));
    }
done:
    return status;
}

int64_t sg_model_weight_bytes(const struct sg_model *m) {
    return m->weight_bytes;
}

void sg_weights_measure(struct sg_model *m) {
    m->weight_bytes = 0;
    for (int64_t i = 0; i < m->n_nodes; i++) {
        m->nodes[i]->weight_bytes = 0;
        for (const struct sg_weight *w = m->nodes[i]->weights; w != NULL; w = w->next) {
            m->nodes[i]->weight_bytes += bytes_of(w);
        }
        m->weight_bytes += m->nodes[i]->weight_bytes;
    }
}

sg_status sg_model_place(struct sg_model *m, void *memory, int fill) {
    sg_status status = SG_OK;
    char *at = memory;

    if (memory == NULL) {
        at = (char *)sg_region_floats(&m->keep, m->weight_bytes / (int64_t)sizeof(float));
        SG_CHECK(at != NULL, SG_E_NOMEM, "%s: no memory for its weights (%lld bytes)", m->file,
                 (long long)m->weight_bytes);
        fill = 1;
    }
    for (int64_t i = 0; i < m->n_nodes; i++) {
        at = place(m->nodes[i], at, fill);
        if (fill && m->nodes[i]->op->fill != NULL) {
            SG_TRY(m->nodes[i]->op->fill(m->nodes[i]));
        }
    }
    sg_region_free(&m->scratch);
done:
    return status;
}
