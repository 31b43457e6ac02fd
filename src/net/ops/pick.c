/* src/net/ops/pick.c - ONNX GatherElements, GatherND, ScatterElements, Scatter, ScatterND,
 * Compress, ReverseSequence and Trilu: every element of the result is one of the input, one of the
 * updates, or 0, by a table that is known without running the network. */
#include "net/ops/ops_impl.h"

#include <string.h>

enum { HOLE = -1 }; /* the table: an element of the input; -2 - i: element i of the updates */

struct pick {
    int64_t *from;
    int64_t size[2];          /* of both operands, a sample; 0: a constant */
    const float *constant[2]; /* or NULL */
};

static const struct sg_op op_pick;

/* Element i of a shape as coordinates. */
static void coordinates(int64_t i, int n_axes, const int64_t *axes, int64_t *at) {
    for (int k = n_axes - 1; k >= 0; k--) {
        at[k] = i % axes[k];
        i /= axes[k];
    }
}

static int64_t offset_of(const struct sg_layout *in, const int64_t *at) {
    int64_t offset = 0;

    for (int k = 0; k < in->n_axes; k++) {
        offset += at[k] * in->strides[k];
    }
    return offset;
}

static int64_t count(int n_axes, const int64_t *axes) {
    int64_t n = 1;

    for (int i = 0; i < n_axes; i++) {
        n *= axes[i];
    }
    return n;
}

static sg_status new_table(struct sg_node *node, int n_axes, const int64_t *axes, int64_t **table) {
    sg_status status = SG_OK;
    int64_t n = 0;

    SG_TRY(sg_constant_size(node, n_axes, axes, &n));
    *table = sg_region_take(&node->model->keep, (size_t)n, sizeof **table);
    SG_NODE_NOMEM(*table, node);
done:
    return status;
}

/* Both operands known: the result is too. */
static sg_status fold(struct sg_node *node, int n_axes, const int64_t *axes, const int64_t *from,
                      const struct sg_constant *const *c) {
    sg_status status = SG_OK;
    int64_t *ints = NULL;
    float *floats = NULL;

    SG_NODE_CHECK(c[1] == NULL || (c[0]->ints != NULL) == (c[1]->ints != NULL), node,
                  "its input and its updates are of different kinds");
    if (c[0]->ints != NULL) {
        SG_TRY(sg_set_ints(node, n_axes, axes, &ints));
    } else {
        SG_TRY(sg_set_floats(node, n_axes, axes, &floats));
    }
    for (int64_t i = 0; i < node->out->constant.n; i++) {
        const struct sg_constant *of = from[i] < HOLE ? c[1] : c[0];
        const int64_t at = from[i] < HOLE ? -2 - from[i] : from[i];

        if (ints != NULL) {
            ints[i] = at >= 0 ? of->ints[at] : 0;
        } else {
            floats[i] = at >= 0 ? of->floats[at] : 0.0f;
        }
    }
done:
    return status;
}

/* Operands: input 0, and input `updates` where that is not 0. The table is in ONNX order. */
static sg_status become(struct sg_node *node, int updates, int n_axes, const int64_t *axes,
                        int64_t *from) {
    sg_status status = SG_OK;
    const int n = updates > 0 ? 2 : 1;
    const struct sg_constant *c[2] = {NULL, NULL};
    struct sg_value *in[2] = {node->in[0], updates > 0 ? node->in[updates] : NULL};
    struct pick *own;
    int n_dynamic = 0;

    for (int i = 0; i < n; i++) {
        n_dynamic += in[i]->kind == SG_VALUE_DYNAMIC;
        c[i] = in[i]->kind == SG_VALUE_CONSTANT ? &in[i]->constant : NULL;
    }
    if (n_dynamic == 0) {
        return fold(node, n_axes, axes, from, c);
    }
    SG_NODE_CHECK(n_axes <= SG_MAX_AXES, node, "its result has %d axes", n_axes);
    SG_TRY(sg_own(node, sizeof *own, &own));
    own->from = from;
    node->in = sg_region_take(&node->model->keep, (size_t)n, sizeof(struct sg_value *));
    SG_NODE_NOMEM(node->in, node);
    node->n_in = n;
    for (int i = 0; i < n; i++) {
        node->in[i] = in[i];
        own->size[i] = c[i] == NULL ? in[i]->size : 0;
        if (c[i] != NULL) {
            SG_NODE_CHECK(c[i]->floats != NULL, node, "its constant '%s' must be of numbers",
                          in[i]->name);
            SG_TRY(sg_keep_floats(node, c[i]->floats, c[i]->n, &own->constant[i]));
        }
    }
    SG_TRY(sg_set_onnx(node, n_axes, axes, 0));
    node->op = &op_pick;
    node->flags = op_pick.flags;
done:
    return status;
}

/* Whole numbers of input i, known without running the network. */
static sg_status indices_of(const struct sg_node *node, int i, const struct sg_constant **out) {
    sg_status status = SG_OK;

    SG_NODE_CHECK(sg_is_constant(node, i) && node->in[i]->constant.ints != NULL, node,
                  "its indices must be known without running the network");
    *out = &node->in[i]->constant;
done:
    return status;
}

static sg_status index_at(const struct sg_node *node, int64_t index, int64_t length, int64_t *out) {
    sg_status status = SG_OK;

    *out = index < 0 ? index + length : index;
    SG_NODE_CHECK(*out >= 0 && *out < length, node, "index %lld is outside of its input",
                  (long long)index);
done:
    return status;
}

static sg_status read_axis(const struct sg_node *node, int n_axes, int64_t *axis) {
    sg_status status = SG_OK;

    SG_TRY(sg_attribute_int(node, "axis", 0, axis));
    SG_TRY(sg_axis(node, *axis, n_axes, axis));
done:
    return status;
}

static sg_status gather_elements(struct sg_node *node) {
    sg_status status = SG_OK;
    const struct sg_constant *index = NULL;
    struct sg_layout in;
    int64_t at[SG_CONSTANT_AXES], *from = NULL;
    int64_t axis;

    SG_TRY(sg_check_inputs(node, 2, 2));
    SG_TRY(indices_of(node, 1, &index));
    sg_input_layout(node, 0, &in);
    SG_TRY(read_axis(node, in.n_axes, &axis));
    SG_NODE_CHECK(index->n_axes == in.n_axes, node, "its indices have %d axes, its input %d",
                  index->n_axes, in.n_axes);
    for (int k = 0; k < in.n_axes; k++) {
        SG_NODE_CHECK(k == axis || index->axes[k] <= in.axes[k], node,
                      "its indices reach beyond its input");
    }
    SG_TRY(new_table(node, index->n_axes, index->axes, &from));
    for (int64_t i = 0; i < index->n; i++) {
        coordinates(i, index->n_axes, index->axes, at);
        SG_TRY(index_at(node, index->ints[i], in.axes[axis], &at[axis]));
        from[i] = offset_of(&in, at);
    }
    SG_TRY(become(node, 0, index->n_axes, index->axes, from));
done:
    return status;
}

/* Coordinates that the indices' last axis holds, after `first` axes that both have. */
static sg_status point(const struct sg_node *node, const struct sg_constant *index, int64_t row,
                       const struct sg_layout *in, int64_t first, int64_t *at) {
    sg_status status = SG_OK;
    const int64_t n = index->axes[index->n_axes - 1];

    for (int64_t k = 0; k < n; k++) {
        SG_TRY(index_at(node, index->ints[row * n + k], in->axes[first + k], &at[first + k]));
    }
done:
    return status;
}

static sg_status gather_nd(struct sg_node *node) {
    sg_status status = SG_OK;
    const struct sg_constant *index = NULL;
    struct sg_layout in;
    int64_t axes[2 * SG_CONSTANT_AXES], at[SG_CONSTANT_AXES] = {0}, *from = NULL;
    int64_t first, n, n_tail, n_rows;
    int n_axes = 0;

    SG_TRY(sg_check_inputs(node, 2, 2));
    SG_TRY(indices_of(node, 1, &index));
    sg_input_layout(node, 0, &in);
    SG_TRY(sg_attribute_int(node, "batch_dims", 0, &first));
    n = index->n_axes > 0 ? index->axes[index->n_axes - 1] : 0;
    SG_NODE_CHECK(n >= 1 && first >= 0 && first < index->n_axes && first + n <= in.n_axes, node,
                  "its indices do not fit an input of %d axes", in.n_axes);
    for (int k = 0; k < index->n_axes - 1; k++) {
        SG_NODE_CHECK(k >= first || index->axes[k] == in.axes[k], node,
                      "its first axes differ from its input's");
        axes[n_axes++] = index->axes[k];
    }
    for (int64_t k = first + n; k < in.n_axes; k++) {
        axes[n_axes++] = in.axes[k];
    }
    SG_NODE_CHECK(n_axes <= SG_CONSTANT_AXES, node, "its result has %d axes", n_axes);
    SG_TRY(new_table(node, n_axes, axes, &from));
    n_rows = index->n / n;
    n_tail = count(in.n_axes - (int)(first + n), in.axes + first + n);
    for (int64_t i = 0; i < n_rows * n_tail; i++) {
        int64_t row[SG_CONSTANT_AXES];

        coordinates(i / n_tail, index->n_axes - 1, index->axes, row);
        memcpy(at, row, (size_t)first * sizeof *at);
        SG_TRY(point(node, index, i / n_tail, &in, first, at));
        coordinates(i % n_tail, in.n_axes - (int)(first + n), in.axes + first + n, at + first + n);
        from[i] = offset_of(&in, at);
    }
    SG_TRY(become(node, 0, n_axes, axes, from));
done:
    return status;
}

/* The table of a scatter before its updates: the input itself. */
static sg_status start_scatter(struct sg_node *node, struct sg_layout *in,
                               struct sg_layout *updates, int64_t **from) {
    sg_status status = SG_OK;
    int64_t at[SG_CONSTANT_AXES];
    const char *reduction;

    SG_TRY(sg_check_inputs(node, 3, 3));
    SG_TRY(sg_attribute_text(node, "reduction", "none", &reduction));
    SG_NODE_CHECK(strcmp(reduction, "none") == 0, node, "the reduction '%s' is not supported",
                  reduction);
    sg_input_layout(node, 0, in);
    sg_input_layout(node, 2, updates);
    SG_TRY(new_table(node, in->n_axes, in->axes, from));
    for (int64_t i = 0; i < count(in->n_axes, in->axes); i++) {
        coordinates(i, in->n_axes, in->axes, at);
        (*from)[i] = offset_of(in, at);
    }
done:
    return status;
}

/* Number of the element at these coordinates, in ONNX order. */
static int64_t number_of(const struct sg_layout *in, const int64_t *at) {
    int64_t i = 0;

    for (int k = 0; k < in->n_axes; k++) {
        i = i * in->axes[k] + at[k];
    }
    return i;
}

/* Where two updates meet the last one stays. */
static sg_status scatter_elements(struct sg_node *node) {
    sg_status status = SG_OK;
    const struct sg_constant *index = NULL;
    struct sg_layout in = {0}, updates = {0};
    int64_t at[SG_CONSTANT_AXES], *from = NULL;
    int64_t axis;

    SG_TRY(start_scatter(node, &in, &updates, &from));
    SG_TRY(indices_of(node, 1, &index));
    SG_TRY(read_axis(node, in.n_axes, &axis));
    SG_NODE_CHECK(index->n_axes == in.n_axes && updates.n_axes == in.n_axes &&
                      memcmp(index->axes, updates.axes, (size_t)in.n_axes * sizeof *in.axes) == 0,
                  node, "its indices, updates and input differ in their axes");
    for (int k = 0; k < in.n_axes; k++) {
        SG_NODE_CHECK(k == axis || index->axes[k] <= in.axes[k], node,
                      "its indices reach beyond its input");
    }
    for (int64_t i = 0; i < index->n; i++) {
        int64_t source;

        coordinates(i, index->n_axes, index->axes, at);
        source = offset_of(&updates, at);
        SG_TRY(index_at(node, index->ints[i], in.axes[axis], &at[axis]));
        from[number_of(&in, at)] = -2 - source;
    }
    SG_TRY(become(node, 2, in.n_axes, in.axes, from));
done:
    return status;
}

static sg_status scatter(struct sg_node *node) {
    return scatter_elements(node);
}

static sg_status scatter_nd(struct sg_node *node) {
    sg_status status = SG_OK;
    const struct sg_constant *index = NULL;
    struct sg_layout in = {0}, updates = {0};
    int64_t at[SG_CONSTANT_AXES] = {0}, *from = NULL;
    int64_t n, n_tail;

    SG_TRY(start_scatter(node, &in, &updates, &from));
    SG_TRY(indices_of(node, 1, &index));
    n = index->n_axes > 0 ? index->axes[index->n_axes - 1] : 0;
    SG_NODE_CHECK(n >= 1 && n <= in.n_axes, node, "its indices do not fit an input of %d axes",
                  in.n_axes);
    n_tail = count(in.n_axes - (int)n, in.axes + n);
    SG_NODE_CHECK(count(updates.n_axes, updates.axes) == index->n / n * n_tail, node,
                  "its updates do not fit its indices");
    for (int64_t i = 0; i < index->n / n * n_tail; i++) {
        int64_t source[SG_CONSTANT_AXES];

        SG_TRY(point(node, index, i / n_tail, &in, 0, at));
        coordinates(i % n_tail, in.n_axes - (int)n, in.axes + n, at + n);
        coordinates(i, updates.n_axes, updates.axes, source);
        from[number_of(&in, at)] = -2 - offset_of(&updates, source);
    }
    SG_TRY(become(node, 2, in.n_axes, in.axes, from));
done:
    return status;
}

/* Keeps what the condition says of one axis, or of all elements in a row. */
static sg_status compress(struct sg_node *node) {
    sg_status status = SG_OK;
    const int has_axis = sg_attribute_find(node, "axis") != NULL;
    const struct sg_constant *keep = NULL;
    struct sg_layout in;
    int64_t at[SG_CONSTANT_AXES], axes[SG_CONSTANT_AXES], *from = NULL;
    int64_t axis = 0, n = 0, next = 0, size;

    SG_TRY(sg_check_inputs(node, 2, 2));
    SG_TRY(indices_of(node, 1, &keep));
    sg_input_layout(node, 0, &in);
    SG_TRY(read_axis(node, in.n_axes, &axis));
    size = count(in.n_axes, in.axes);
    SG_NODE_CHECK(keep->n <= (has_axis ? in.axes[axis] : size), node,
                  "its condition is longer than its input");
    for (int64_t i = 0; i < keep->n; i++) {
        n += keep->ints[i] != 0;
    }
    memcpy(axes, in.axes, sizeof axes);
    axes[has_axis ? axis : 0] = n;
    SG_TRY(new_table(node, has_axis ? in.n_axes : 1, axes, &from));
    for (int64_t i = 0; i < size; i++) {
        int64_t flag;

        coordinates(i, in.n_axes, in.axes, at);
        flag = has_axis ? at[axis] : i;
        if (flag < keep->n && keep->ints[flag] != 0) {
            from[next++] = offset_of(&in, at);
        }
    }
    SG_TRY(become(node, 0, has_axis ? in.n_axes : 1, axes, from));
done:
    return status;
}

static sg_status reverse_sequence(struct sg_node *node) {
    sg_status status = SG_OK;
    const struct sg_constant *lengths = NULL;
    struct sg_layout in;
    int64_t at[SG_CONSTANT_AXES], *from = NULL;
    int64_t time, batch;

    SG_TRY(sg_check_inputs(node, 2, 2));
    SG_TRY(indices_of(node, 1, &lengths));
    sg_input_layout(node, 0, &in);
    SG_TRY(sg_attribute_int(node, "time_axis", 0, &time));
    SG_TRY(sg_attribute_int(node, "batch_axis", 1, &batch));
    SG_NODE_CHECK(in.n_axes >= 2 && (time == 0 || time == 1) && batch == 1 - time &&
                      lengths->n == in.axes[batch],
                  node, "its lengths do not fit its input");
    SG_TRY(new_table(node, in.n_axes, in.axes, &from));
    for (int64_t i = 0; i < count(in.n_axes, in.axes); i++) {
        int64_t length;

        coordinates(i, in.n_axes, in.axes, at);
        length = lengths->ints[at[batch]];
        SG_NODE_CHECK(length >= 1 && length <= in.axes[time], node, "a length is %lld",
                      (long long)length);
        at[time] = at[time] < length ? length - 1 - at[time] : at[time];
        from[i] = offset_of(&in, at);
    }
    SG_TRY(become(node, 0, in.n_axes, in.axes, from));
done:
    return status;
}

/* The upper or lower part of matrices: 0 elsewhere. */
static sg_status trilu(struct sg_node *node) {
    sg_status status = SG_OK;
    struct sg_layout in;
    int64_t at[SG_CONSTANT_AXES], *from = NULL;
    const int64_t *diagonal;
    int64_t upper, n, shift;

    SG_TRY(sg_check_inputs(node, 1, 2));
    SG_TRY(sg_attribute_int(node, "upper", 1, &upper));
    SG_TRY(sg_ints_from(node, "k", 1, &n, &diagonal));
    shift = n == 1 ? diagonal[0] : 0;
    sg_input_layout(node, 0, &in);
    SG_NODE_CHECK(in.n_axes >= 2 && shift > -(1 << 30) && shift < 1 << 30, node,
                  "its input is no matrix");
    SG_TRY(new_table(node, in.n_axes, in.axes, &from));
    for (int64_t i = 0; i < count(in.n_axes, in.axes); i++) {
        int64_t distance;

        coordinates(i, in.n_axes, in.axes, at);
        distance = at[in.n_axes - 1] - at[in.n_axes - 2];
        from[i] = (upper != 0 ? distance >= shift : distance <= shift) ? offset_of(&in, at) : HOLE;
    }
    SG_TRY(become(node, 0, in.n_axes, in.axes, from));
done:
    return status;
}

static const float *operand(const struct sg_call *call, int o, int64_t n) {
    const struct pick *own = call->node->own;

    return own->constant[o] != NULL ? own->constant[o] : call->x[o] + n * own->size[o];
}

static void forward(const struct sg_call *call) {
    const struct pick *own = call->node->own;
    const int64_t size = call->node->out->size;

    for (int64_t n = 0; n < call->batch; n++) {
        const float *x = operand(call, 0, n);
        const float *updates = call->node->n_in > 1 ? operand(call, 1, n) : NULL;
        float *y = call->y + n * size;

        for (int64_t i = 0; i < size; i++) {
            const int64_t from = own->from[i];

            y[i] = from >= 0 ? x[from] : from == HOLE ? 0.0f : updates[-2 - from];
        }
    }
}

static void backward(const struct sg_call *call) {
    const struct pick *own = call->node->own;
    const int64_t size = call->node->out->size;

    for (int o = call->node->n_in - 1; o >= 0; o--) {
        if (call->dx[o] == NULL) {
            continue;
        }
        if (!call->accumulate[o]) {
            memset(call->dx[o], 0, (size_t)(call->batch * own->size[o]) * sizeof(float));
        }
        for (int64_t i = 0; i < call->batch * size; i++) {
            const int64_t from = own->from[i % size];
            const int64_t at = o == 0 ? from : -2 - from;

            if (at >= 0) {
                call->dx[o][i / size * own->size[o] + at] += call->dy[i];
            }
        }
    }
}

static const struct sg_op op_pick = {
    .name = "picked elements",
    .flags = SG_OP_TAKES_WHOLE,
    .forward = forward,
    .backward = backward,
};

#define PICKING(op_name, first, last, file_name)                                                   \
    const struct sg_op sg_op_##file_name = {.name = op_name,                                       \
                                            .opset_min = first,                                    \
                                            .opset_max = last,                                     \
                                            .flags = SG_OP_TAKES_WHOLE,                            \
                                            .fold = file_name,                                     \
                                            .infer = file_name}

PICKING("GatherElements", 11, 0, gather_elements);
PICKING("GatherND", 11, 0, gather_nd);
PICKING("Scatter", 9, 10, scatter);
PICKING("ScatterElements", 11, 0, scatter_elements);
PICKING("ScatterND", 11, 0, scatter_nd);
PICKING("Compress", 9, 0, compress);
PICKING("ReverseSequence", 10, 0, reverse_sequence);
PICKING("Trilu", 14, 0, trilu);
