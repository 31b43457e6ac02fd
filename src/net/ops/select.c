/* src/net/ops/select.c - ONNX Gather, Slice and Transpose of constants: shape arithmetic, and
 * weights that an exporter left unturned. */
#include "net/ops/ops_impl.h"

/* Where each element of the result comes from. */
static sg_status take_map(struct sg_node *node, int64_t n, int64_t **out) {
    sg_status status = SG_OK;

    *out = sg_region_take(&node->model->scratch, (size_t)n, sizeof **out);
    SG_NODE_NOMEM(*out, node);
done:
    return status;
}

/* Elements of `n_axes` axes from `first` on. */
static int64_t product(const int64_t *axes, int first, int n_axes) {
    int64_t n = 1;

    for (int i = first; i < n_axes; i++) {
        n *= axes[i];
    }
    return n;
}

/* The axes of the result: those of the data with `axis` replaced by those of the index. */
static int gather_axes(const struct sg_constant *data, const struct sg_constant *index, int axis,
                       int64_t *axes) {
    int n_axes = 0;

    for (int i = 0; i < axis; i++) {
        axes[n_axes++] = data->axes[i];
    }
    for (int i = 0; i < index->n_axes; i++) {
        axes[n_axes++] = index->axes[i];
    }
    for (int i = axis + 1; i < data->n_axes; i++) {
        axes[n_axes++] = data->axes[i];
    }
    return n_axes;
}

static sg_status gather(struct sg_node *node) {
    sg_status status = SG_OK;
    const struct sg_constant *data, *index;
    int64_t axes[2 * SG_CONSTANT_AXES];
    int64_t axis, inner, n;
    int64_t *from;
    int n_axes;

    SG_TRY(sg_check_inputs(node, 2, 2));
    data = &node->in[0]->constant;
    index = &node->in[1]->constant;
    SG_NODE_CHECK(index->ints != NULL, node, "its indices are no whole numbers");
    SG_TRY(sg_attribute_int(node, "axis", 0, &axis));
    SG_TRY(sg_axis(node, axis, data->n_axes, &axis));
    n_axes = gather_axes(data, index, (int)axis, axes);
    SG_TRY(sg_constant_size(node, n_axes, axes, &n));
    SG_TRY(take_map(node, n, &from));
    inner = product(data->axes, (int)axis + 1, data->n_axes);
    for (int64_t i = 0; i < n; i++) {
        const int64_t at = index->ints[i / inner % index->n];
        const int64_t k = at < 0 ? at + data->axes[axis] : at;

        SG_NODE_CHECK(k >= 0 && k < data->axes[axis], node, "index %lld is outside of its input",
                      (long long)at);
        from[i] = (i / inner / index->n * data->axes[axis] + k) * inner + i % inner;
    }
    SG_TRY(sg_set_picked(node, data, n_axes, axes, from));
done:
    return status;
}

/* Fills from[] by walking the result, with a start and a step per axis of the source. */
static void walk(const int64_t *axes, int n_axes, int64_t start, const int64_t *strides, int64_t n,
                 int64_t *from) {
    int64_t at[SG_CONSTANT_AXES] = {0};
    int64_t source = start;

    for (int64_t i = 0; i < n; i++) {
        from[i] = source;
        for (int k = n_axes - 1; k >= 0; k--) {
            source += strides[k];
            if (++at[k] < axes[k]) {
                break;
            }
            source -= strides[k] * at[k];
            at[k] = 0;
        }
    }
}

static int64_t clamp(int64_t v, int64_t low, int64_t high) {
    return v < low ? low : v > high ? high : v;
}

/* One axis of a slice: first index and number of elements, by NumPy's rules. */
static void slice_axis(int64_t length, int64_t start, int64_t end, int64_t step, int64_t *first,
                       int64_t *n) {
    const int64_t low = step > 0 ? 0 : -1;
    const int64_t high = step > 0 ? length : length - 1;
    const int64_t limit = (int64_t)1 << 40; /* INT64_MAX stands for "to the end" */

    start = clamp(start, -limit, limit);
    end = clamp(end, -limit, limit);
    step = clamp(step, -limit, limit);
    start = clamp(start < 0 ? start + length : start, low, high);
    end = clamp(end < 0 ? end + length : end, low, high);
    *first = start;
    *n = step > 0 ? (end - start + step - 1) / step : (start - end - step - 1) / -step;
    *n = *n > 0 ? *n : 0;
}

struct slice {
    int64_t n;
    const int64_t *starts, *ends, *axes, *steps;
};

static sg_status read_slice(const struct sg_node *node, struct slice *s) {
    sg_status status = SG_OK;
    int64_t n[4];

    SG_TRY(sg_check_inputs(node, 1, 5));
    SG_TRY(sg_ints_from(node, "starts", 1, &n[0], &s->starts));
    SG_TRY(sg_ints_from(node, "ends", 2, &n[1], &s->ends));
    SG_TRY(sg_ints_from(node, "axes", 3, &n[2], &s->axes));
    SG_TRY(sg_ints_from(node, "steps", 4, &n[3], &s->steps));
    s->n = n[0];
    SG_NODE_CHECK(n[0] >= 1 && n[1] == n[0] && (n[2] < 0 || n[2] == n[0]) &&
                      (n[3] < 0 || n[3] == n[0]),
                  node, "its starts, ends, axes and steps differ in number");
done:
    return status;
}

static sg_status slice(struct sg_node *node) {
    sg_status status = SG_OK;
    const struct sg_constant *c = &node->in[0]->constant;
    int64_t axes[SG_CONSTANT_AXES];
    int64_t strides[SG_CONSTANT_AXES];
    int64_t start = 0, axis, first;
    int64_t *from;
    struct slice s;

    SG_TRY(read_slice(node, &s));
    for (int i = 0; i < c->n_axes; i++) {
        axes[i] = c->axes[i];
        strides[i] = product(c->axes, i + 1, c->n_axes);
    }
    for (int64_t i = 0; i < s.n; i++) {
        const int64_t step = s.steps != NULL ? s.steps[i] : 1;
        int64_t stride;

        SG_TRY(sg_axis(node, s.axes != NULL ? s.axes[i] : i, c->n_axes, &axis));
        stride = product(c->axes, (int)axis + 1, c->n_axes);
        SG_NODE_CHECK(step != 0 && s.starts[i] != SG_BATCH && s.ends[i] != SG_BATCH, node,
                      "a step of 0, or bounds that depend on the batch size");
        slice_axis(c->axes[axis], s.starts[i], s.ends[i], step, &first, &axes[axis]);
        start += first * stride;
        strides[axis] = axes[axis] > 1 ? step * stride : 0;
    }
    SG_TRY(take_map(node, product(axes, 0, c->n_axes), &from));
    walk(axes, c->n_axes, start, strides, product(axes, 0, c->n_axes), from);
    SG_TRY(sg_set_picked(node, c, c->n_axes, axes, from));
done:
    return status;
}

static sg_status transpose(struct sg_node *node) {
    sg_status status = SG_OK;
    const struct sg_constant *c;
    int64_t axes[SG_CONSTANT_AXES];
    int64_t strides[SG_CONSTANT_AXES];
    const int64_t *order;
    unsigned seen = 0;
    int64_t *from;
    int64_t n;

    SG_TRY(sg_check_inputs(node, 1, 1));
    c = &node->in[0]->constant;
    SG_TRY(sg_attribute_ints(node, "perm", &n, &order));
    SG_NODE_CHECK(order == NULL || n == c->n_axes, node, "its order has %lld axes for %d",
                  (long long)n, c->n_axes);
    for (int i = 0; i < c->n_axes; i++) {
        const int64_t k = order != NULL ? order[i] : c->n_axes - 1 - i;

        SG_NODE_CHECK(k >= 0 && k < c->n_axes && (seen >> k & 1) == 0, node,
                      "its order of axes is none");
        seen |= 1u << k;
        axes[i] = c->axes[k];
        strides[i] = product(c->axes, (int)k + 1, c->n_axes);
    }
    SG_TRY(take_map(node, c->n, &from));
    walk(axes, c->n_axes, 0, strides, c->n, from);
    SG_TRY(sg_set_picked(node, c, c->n_axes, axes, from));
done:
    return status;
}

const struct sg_op sg_op_gather = {.name = "Gather", .fold = gather};
const struct sg_op sg_op_slice = {.name = "Slice", .fold = slice};
const struct sg_op sg_op_transpose = {.name = "Transpose", .fold = transpose};
