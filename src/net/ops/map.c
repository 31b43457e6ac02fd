/* src/net/ops/map.c - values picked from a value: every element of the result is one of the input,
 * or a number that fills holes, and where it comes from is a sum of one table an axis. Slices,
 * transpositions, repetitions, paddings and the like are such maps, of values and of constants. */
#include "net/ops/ops_impl.h"

#include <string.h>

struct map {
    int n; /* loops, from the outermost of the result's memory to the innermost */
    int64_t length[SG_MAP_LOOPS];
    const int64_t *from[SG_MAP_LOOPS];
    int64_t base;
    int contiguous; /* the innermost table counts up by one */
    float fill;
};

sg_status sg_map_loop(const struct sg_node *node, struct sg_map *map, int axis, int64_t length) {
    sg_status status = SG_OK;

    SG_NODE_CHECK(map->n < SG_MAP_LOOPS && length >= 0 && length <= SG_MAP_LENGTH, node,
                  "it makes an axis of impossible length");
    map->axis[map->n] = axis;
    map->length[map->n] = length;
    map->from[map->n] =
        sg_region_take(&node->model->keep, (size_t)length, sizeof *map->from[map->n]);
    SG_NODE_NOMEM(map->from[map->n], node);
    map->n++;
done:
    return status;
}

sg_status sg_map_steps(const struct sg_node *node, struct sg_map *map, int axis, int64_t length,
                       int64_t first, int64_t step) {
    sg_status status = SG_OK;

    SG_TRY(sg_map_loop(node, map, axis, length));
    for (int64_t i = 0; i < length; i++) {
        map->from[map->n - 1][i] = first + i * step;
    }
done:
    return status;
}

/* The distance in the result's memory of each loop's steps: within an axis the first loop is the
 * slowest. */
static void distances(const struct sg_map *map, const int64_t *strides, int64_t *to) {
    for (int k = 0; k < map->n; k++) {
        to[k] = strides[map->axis[k]];
        for (int j = k + 1; j < map->n; j++) {
            to[k] *= map->axis[j] == map->axis[k] ? map->length[j] : 1;
        }
    }
}

/* One loop in place of two, where the tables allow it: from = a[i] + b[j]. */
static sg_status merge(const struct sg_node *node, struct map *m) {
    sg_status status = SG_OK;

    for (int k = m->n - 2; k >= 0; k--) {
        const int64_t n = m->length[k + 1];
        const int64_t *a = m->from[k], *b = m->from[k + 1];
        const int64_t step = b[1] - b[0];
        int fits = m->length[k] * n <= SG_MAP_LENGTH;
        int64_t *joined;

        for (int64_t j = 1; j < n && fits; j++) {
            fits = b[j] - b[j - 1] == step;
        }
        for (int64_t i = 1; i < m->length[k] && fits; i++) {
            fits = a[i] - a[i - 1] == step * n;
        }
        if (!fits) {
            continue;
        }
        joined = sg_region_take(&node->model->keep, (size_t)(m->length[k] * n), sizeof *joined);
        SG_NODE_NOMEM(joined, node);
        for (int64_t i = 0; i < m->length[k] * n; i++) {
            joined[i] = a[i / n] + b[i % n];
        }
        m->from[k] = joined;
        m->length[k] *= n;
        for (int j = k + 1; j + 1 < m->n; j++) {
            m->from[j] = m->from[j + 1];
            m->length[j] = m->length[j + 1];
        }
        m->n--;
    }
done:
    return status;
}

static sg_status make(const struct sg_node *node, const struct sg_map *map, const int64_t *strides,
                      struct map *m) {
    sg_status status = SG_OK;
    static const int64_t zero[1] = {0};
    int64_t to[SG_MAP_LOOPS];
    int order[SG_MAP_LOOPS];
    int64_t steps = 1;

    distances(map, strides, to);
    m->fill = map->fill;
    for (int k = 0; k < map->n; k++) {
        int at = m->n;

        if (map->length[k] == 1) {
            m->base += map->from[k][0];
            continue;
        }
        for (; at > 0 && to[order[at - 1]] < to[k]; at--) {
            order[at] = order[at - 1];
        }
        order[at] = k;
        m->n++;
    }
    for (int k = 0; k < m->n; k++) {
        m->from[k] = map->from[order[k]];
        m->length[k] = map->length[order[k]];
    }
    SG_TRY(merge(node, m));
    if (m->n == 0) {
        m->n = 1;
        m->length[0] = 1;
        m->from[0] = zero;
    }
    for (int64_t i = 1; i < m->length[m->n - 1] && steps; i++) {
        steps = m->from[m->n - 1][i] - m->from[m->n - 1][i - 1] == 1;
    }
    m->contiguous = steps != 0;
done:
    return status;
}

/* Counts the outer loops on; the offset of the innermost line, or less than 0 for a hole. */
static int64_t next_line(const struct map *m, int64_t *at) {
    int64_t from = m->base;

    for (int k = 0; k < m->n - 1; k++) {
        from += m->from[k][at[k]];
    }
    for (int k = m->n - 2; k >= 0; k--) {
        if (++at[k] < m->length[k]) {
            break;
        }
        at[k] = 0;
    }
    return from;
}

static void pick(const struct map *m, int64_t n_lines, const float *x, float *y) {
    const int64_t n = m->length[m->n - 1];
    const int64_t *table = m->from[m->n - 1];
    int64_t at[SG_MAP_LOOPS] = {0};

    for (int64_t line = 0; line < n_lines; line++, y += n) {
        const int64_t from = next_line(m, at);

        if (m->contiguous && from + table[0] >= 0) {
            memcpy(y, x + from + table[0], (size_t)n * sizeof *y);
            continue;
        }
        for (int64_t i = 0; i < n; i++) {
            const int64_t source = from + table[i];

            y[i] = source >= 0 ? x[source] : m->fill;
        }
    }
}

static void forward(const struct sg_call *call) {
    const struct map *m = call->node->own;
    const int64_t size = call->node->out->size;

    for (int64_t n = 0; n < call->batch; n++) {
        pick(m, size / m->length[m->n - 1], call->x[0] + n * call->node->in[0]->size,
             call->y + n * size);
    }
}

/* Each element of dx is the sum over the places that it went to, in the order of memory. */
static void backward(const struct sg_call *call) {
    const struct map *m = call->node->own;
    const int64_t n = m->length[m->n - 1], in = call->node->in[0]->size;
    const int64_t *table = m->from[m->n - 1];
    const float *dy = call->dy;

    if (!call->accumulate[0]) {
        memset(call->dx[0], 0, (size_t)(call->batch * in) * sizeof(float));
    }
    for (int64_t b = 0; b < call->batch; b++) {
        float *dx = call->dx[0] + b * in;
        int64_t at[SG_MAP_LOOPS] = {0};

        for (int64_t line = 0; line < call->node->out->size / n; line++, dy += n) {
            const int64_t from = next_line(m, at);

            if (m->contiguous && from + table[0] >= 0) {
                sg_accumulate(dy, dx + from + table[0], n);
                continue;
            }
            for (int64_t i = 0; i < n; i++) {
                if (from + table[i] >= 0) {
                    dx[from + table[i]] += dy[i];
                }
            }
        }
    }
}

static const struct sg_op op_map = {
    .name = "picked",
    .forward = forward,
    .backward = backward,
};

static sg_status fold(struct sg_node *node, const struct sg_map *map, int n_axes,
                      const int64_t *axes) {
    sg_status status = SG_OK;
    const struct sg_constant *c = &node->in[0]->constant;
    int64_t strides[SG_CONSTANT_AXES] = {0};
    int64_t at[SG_MAP_LOOPS] = {0};
    struct map m = {0};
    int64_t *ints = NULL;
    float *floats = NULL;
    int64_t stride = 1;

    for (int i = n_axes - 1; i >= 0; i--) {
        strides[i] = stride;
        stride *= axes[i];
    }
    if (c->ints != NULL) {
        SG_TRY(sg_set_ints(node, n_axes, axes, &ints));
    } else {
        SG_TRY(sg_set_floats(node, n_axes, axes, &floats));
    }
    if (node->out->constant.n == 0) {
        return SG_OK;
    }
    SG_TRY(make(node, map, strides, &m));
    for (int64_t i = 0; i < node->out->constant.n; i += m.length[m.n - 1]) {
        const int64_t from = next_line(&m, at);

        for (int64_t k = 0; k < m.length[m.n - 1]; k++) {
            const int64_t source = from + m.from[m.n - 1][k];

            if (ints != NULL) {
                ints[i + k] = source >= 0 ? c->ints[source] : (int64_t)m.fill;
            } else {
                floats[i + k] = source >= 0 ? c->floats[source] : m.fill;
            }
        }
    }
done:
    return status;
}

/* Nothing moves: the same memory under another shape. */
static int is_identity(const struct map *m, const struct sg_value *in) {
    return m->n == 1 && m->contiguous && m->base + m->from[0][0] == 0 && m->length[0] == in->size;
}

/* Result under one choice of layout; *taken tells that it is a view. */
static sg_status try_layout(struct sg_node *node, const struct sg_map *map, int n_axes,
                            const int64_t *axes, int spatial, struct map *m, int *is_view) {
    sg_status status = SG_OK;
    struct sg_layout layout = {0};

    SG_TRY(sg_set_onnx(node, n_axes, axes, spatial));
    sg_layout_of(node->out, &layout);
    *m = (struct map){0};
    SG_TRY(make(node, map, layout.strides, m));
    *is_view = node->in[0]->size == node->out->size && is_identity(m, node->in[0]);
    if (*is_view) {
        node->out->producer = NULL;
        SG_TRY(sg_set_view(node, node->in[0], node->out->shape.n_axes, node->out->shape.axes, 0));
    }
done:
    return status;
}

sg_status sg_map_end(struct sg_node *node, const struct sg_map *map, int n_axes,
                     const int64_t *axes) {
    sg_status status = SG_OK;
    const struct sg_value *in = node->in[0];
    const int spatial = in->kind == SG_VALUE_DYNAMIC && sg_is_spatial(in);
    struct map m = {0};
    struct map *own;
    int is_view = 0;

    if (in->kind == SG_VALUE_CONSTANT) {
        return fold(node, map, n_axes, axes);
    }
    SG_NODE_CHECK(n_axes <= SG_MAX_AXES + 1, node, "its result has %d axes; %d are supported",
                  n_axes, SG_MAX_AXES + 1);
    SG_TRY(try_layout(node, map, n_axes, axes, map->turns ? 1 : spatial, &m, &is_view));
    if (!is_view && map->turns) {
        SG_TRY(try_layout(node, map, n_axes, axes, 0, &m, &is_view));
    }
    if (!is_view) {
        SG_TRY(sg_own(node, sizeof *own, &own));
        *own = m;
        node->op = &op_map;
        node->flags = 0;
        node->n_in = 1;
    }
done:
    return status;
}

int sg_is_map(const struct sg_node *node) {
    return node->op == &op_map;
}

int sg_is_range(const struct sg_node *node, int64_t *first) {
    const struct map *m = node->own;

    if (!sg_is_map(node) || m->n != 1 || !m->contiguous) {
        return 0;
    }
    *first = m->base + m->from[0][0];
    return *first >= 0;
}

void sg_move_range(struct sg_node *node, int64_t by) {
    ((struct map *)node->own)->base += by;
}

sg_status sg_insert_range(struct sg_node *before, struct sg_value *in, int64_t first, int64_t n,
                          struct sg_value **out) {
    sg_status status = SG_OK;
    struct sg_node *node;
    struct map *own;
    int64_t *from;

    SG_TRY(sg_insert_node(before, &op_map, in, &node));
    SG_TRY(sg_own(node, sizeof *own, &own));
    from = sg_region_take(&node->model->keep, (size_t)n, sizeof *from);
    SG_NODE_NOMEM(from, node);
    for (int64_t i = 0; i < n; i++) {
        from[i] = i;
    }
    *own = (struct map){.n = 1, .length = {n}, .from = {from}, .base = first, .contiguous = 1};
    SG_TRY(sg_set_dynamic(node, 1, &n));
    *out = node->out;
done:
    return status;
}

void sg_map_list(const struct sg_node *node, int64_t *source) {
    const struct map *m = node->own;
    const int64_t n = m->length[m->n - 1];
    int64_t at[SG_MAP_LOOPS] = {0};

    for (int64_t i = 0; i < node->out->size; i += n) {
        const int64_t from = next_line(m, at);

        for (int64_t k = 0; k < n; k++) {
            source[i + k] = from + m->from[m->n - 1][k];
        }
    }
}
