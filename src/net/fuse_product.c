/* src/net/fuse_product.c - attention without copies: slices, transpositions and factors around a
 * product of values. A product takes its matrices from where they lie, be it among others or
 * transposed, and writes them to where they are wanted. */
#include "net/fuse.h"

#include "net/ops/ops_impl.h"
#include "sgdist/memory.h"

enum { DEEPEST = 8 };

/* The way from an operand back to what it is picked out of. */
struct way {
    int64_t *source; /* of each element of the operand */
    struct sg_node *nodes[DEEPEST];
    int n;
};

/* What can be reached so far. */
struct reach {
    struct sg_value *from;
    struct sg_placement place;
    double factor;
    int n; /* nodes that go */
};

static int is_factor(const struct sg_node *node, double *factor) {
    double shift;

    return sg_is_number_affine(node, factor, &shift) && shift == 0.0;
}

/* Each source becomes the map's source of it; holes stay. */
static sg_status go_back(const struct sg_node *map, struct way *w, int64_t n) {
    sg_status status = SG_OK;
    int64_t *step = sg_calloc((size_t)map->out->size, sizeof *step);

    SG_NODE_NOMEM(step, map);
    sg_map_list(map, step);
    for (int64_t i = 0; i < n; i++) {
        w->source[i] = w->source[i] >= 0 ? step[w->source[i]] : -1;
    }
done:
    sg_free(step);
    return status;
}

static sg_status follow(struct sg_node *node, int o, const int *uses, struct way *w,
                        struct reach *best) {
    sg_status status = SG_OK;
    struct sg_value *v = node->in[o];
    const int64_t n = v->size;
    double factor = 1.0, by = 1.0;

    while (w->n < DEEPEST) {
        struct sg_node *maker = v->root->producer;
        struct sg_placement place;
        int fits = 0;

        if (maker == NULL || maker->removed || uses[v->root->index] != 1 ||
            !(is_factor(maker, &by) || sg_is_map(maker))) {
            break;
        }
        if (sg_is_map(maker)) {
            SG_TRY(go_back(maker, w, n));
        } else {
            factor *= by;
        }
        w->nodes[w->n++] = maker;
        v = maker->in[0];
        SG_TRY(sg_product_place(node, o, w->source, &place, &fits));
        if (fits) {
            *best = (struct reach){v, place, factor, w->n};
        }
    }
done:
    return status;
}

static sg_status read_through(struct sg_node *node, int o, const int *uses) {
    sg_status status = SG_OK;
    const int64_t n = node->in[o]->size;
    struct way w = {.source = sg_calloc((size_t)n, sizeof *w.source)};
    struct reach best = {.n = 0};

    SG_NODE_NOMEM(w.source, node);
    for (int64_t i = 0; i < n; i++) {
        w.source[i] = i;
    }
    SG_TRY(follow(node, o, uses, &w, &best));
    if (best.n > 0) {
        for (int k = best.n - 1; k >= 0; k--) {
            SG_TRY(sg_fuse_remove(w.nodes[k], node));
        }
        sg_product_read(node, o, best.from, &best.place);
        sg_product_multiply(node, best.factor);
    }
done:
    sg_free(w.source);
    return status;
}

/* The result's elements, all of them, in another order. */
static sg_status write_through(struct sg_node *product, struct sg_node *map) {
    sg_status status = SG_OK;
    const int64_t n = map->out->size;
    int64_t *source = sg_calloc((size_t)n, sizeof *source);
    int64_t *to = sg_calloc((size_t)n, sizeof *to);
    struct sg_placement place;
    int fits = n == product->out->size;

    SG_NODE_NOMEM(source, map);
    SG_NODE_NOMEM(to, map);
    if (!fits) {
        goto done;
    }
    sg_map_list(map, source);
    for (int64_t i = 0; i < n; i++) {
        to[i] = -1;
    }
    for (int64_t i = 0; i < n && fits; i++) {
        fits = source[i] >= 0 && to[source[i]] < 0;
        if (fits) {
            to[source[i]] = i;
        }
    }
    if (fits) {
        SG_TRY(sg_product_place(product, 2, to, &place, &fits));
    }
    if (fits) {
        sg_product_write(product, &place);
        SG_TRY(sg_fuse_into(product, map));
    }
done:
    sg_free(source);
    sg_free(to);
    return status;
}

/* What follows a product and nothing else reads. */
static sg_status join_before(struct sg_node *node, const int *uses) {
    sg_status status = SG_OK;
    struct sg_node *before = node->n_in > 0 && !node->removed ? sg_maker(node, 0) : NULL;
    double factor;

    if (before == NULL || !sg_is_values_product(before) || uses[before->out->index] != 1) {
        return SG_OK;
    }
    if (is_factor(node, &factor)) {
        sg_product_multiply(before, factor);
        SG_TRY(sg_fuse_into(before, node));
    } else if (sg_is_map(node)) {
        SG_TRY(write_through(before, node));
    }
done:
    return status;
}

sg_status sg_fuse_products(struct sg_model *m, int *uses) {
    sg_status status = SG_OK;

    for (int64_t i = 0; i < m->n_nodes; i++) {
        struct sg_node *node = m->nodes[i];

        for (int o = 0; o < 2 && !node->removed && sg_is_values_product(node); o++) {
            if (sg_is_dynamic(node, o)) {
                SG_TRY(read_through(node, o, uses));
            }
        }
        SG_TRY(join_before(node, uses));
    }
done:
    return status;
}
