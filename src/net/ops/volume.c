/* src/net/ops/volume.c - ONNX Conv, MaxPool and AveragePool over one or three axes, and dilated
 * pooling over two: plain loops over three axes, of which the first may have the length 1. */
#include "net/ops/ops_impl.h"

#include <math.h>
#include <string.h>

struct volume {
    int64_t in[3], out[3], kernel[3], stride[3], dilation[3], pad[3], after[3];
    int64_t c, k, groups;
    int64_t x_step[4], y_step[4]; /* channel and axes, in memory */
    int include_pad;
    const float *weight;
    const float *bias;       /* or NULL */
    const float *after_bias; /* of a transposed convolution's outputs, or NULL */
};

static const struct sg_op op_conv, op_max, op_average, op_transposed;

/* Axes of a value, the last ones of three, and the steps in its memory. */
static void lay(const struct sg_value *v, int64_t *length, int64_t *step) {
    const int n = v->shape.n_axes - 1;
    struct sg_layout layout;

    sg_layout_of(v, &layout);
    step[0] = layout.strides[1];
    for (int i = 0; i < 3; i++) {
        const int at = i - (3 - n);

        length[i] = at >= 0 ? layout.axes[2 + at] : 1;
        step[i + 1] = at >= 0 ? layout.strides[2 + at] : 0;
    }
}

static void take_window(const struct sg_window *w, struct volume *own) {
    for (int i = 0; i < 3; i++) {
        const int at = i - (3 - w->n);

        own->kernel[i] = at >= 0 ? w->kernel[at] : 1;
        own->stride[i] = at >= 0 ? w->stride[at] : 1;
        own->dilation[i] = at >= 0 ? w->dilation[at] : 1;
        own->pad[i] = at >= 0 ? w->pad[at] : 0;
        own->after[i] = at >= 0 ? w->pad[at + w->n] : 0;
    }
}

static sg_status read_weight(struct sg_node *node, struct sg_window *w, struct volume *own) {
    sg_status status = SG_OK;
    const int n = node->in[0]->shape.n_axes - 1;
    const struct sg_constant *c;

    SG_TRY(sg_float_constant(node, 1, "weight", &c));
    SG_TRY(sg_attribute_int(node, "group", 1, &own->groups));
    own->c = node->in[0]->shape.axes[0];
    SG_NODE_CHECK(c->n_axes == n + 2 && n <= 3 && c->n > 0 && own->groups >= 1 &&
                      own->c % own->groups == 0 && c->axes[0] % own->groups == 0 &&
                      c->axes[1] == own->c / own->groups,
                  node, "its weight does not fit %lld input channels in %lld groups",
                  (long long)own->c, (long long)own->groups);
    own->k = c->axes[0];
    memcpy(w->kernel, c->axes + 2, (size_t)n * sizeof w->kernel[0]);
    SG_TRY(sg_keep_floats(node, c->floats, c->n, &own->weight));
    if (sg_has_input(node, 2)) {
        SG_TRY(sg_float_constant(node, 2, "bias", &c));
        SG_NODE_CHECK(c->n == own->k, node, "its bias has %lld numbers for %lld output channels",
                      (long long)c->n, (long long)own->k);
        SG_TRY(sg_keep_floats(node, c->floats, c->n, &own->bias));
    }
done:
    return status;
}

sg_status sg_become_volume(struct sg_node *node, enum sg_volume_kind kind) {
    sg_status status = SG_OK;
    static const struct sg_op *const ops[] = {&op_conv, &op_max, &op_average};
    const struct sg_value *in = node->in[0];
    struct sg_window w = {0};
    int64_t axes[SG_MAX_AXES];
    int64_t ceil_mode = 0, include_pad;
    struct volume *own;

    SG_TRY(sg_own(node, sizeof *own, &own));
    own->c = own->k = in->shape.axes[0];
    if (kind == SG_VOLUME_CONV) {
        SG_TRY(read_weight(node, &w, own));
    } else {
        SG_TRY(sg_attribute_int(node, "ceil_mode", 0, &ceil_mode));
    }
    SG_TRY(sg_attribute_int(node, "count_include_pad", 0, &include_pad));
    own->include_pad = include_pad != 0;
    SG_TRY(sg_window_read(node, in, ceil_mode != 0, &w));
    for (int i = 0; i < 2 * w.n && kind != SG_VOLUME_CONV; i++) {
        SG_NODE_CHECK(w.pad[i] < (w.kernel[i % w.n] - 1) * w.dilation[i % w.n] + 1, node,
                      "padding of %lld is not smaller than its window", (long long)w.pad[i]);
    }
    take_window(&w, own);
    axes[0] = own->k;
    memcpy(axes + 1, w.out, (size_t)w.n * sizeof axes[0]);
    SG_TRY(sg_set_dynamic(node, w.n + 1, axes));
    lay(in, own->in, own->x_step);
    lay(node->out, own->out, own->y_step);
    if (kind == SG_VOLUME_CONV) {
        node->multiply_adds = node->out->size * own->kernel[0] * own->kernel[1] * own->kernel[2] *
                              own->c / own->groups;
    }
    node->op = ops[kind];
    node->flags = ops[kind]->flags;
done:
    return status;
}

sg_status sg_become_transposed_volume(struct sg_node *node, const struct sg_window *w, int64_t c,
                                      int64_t groups, const float ***weight, const float ***bias) {
    sg_status status = SG_OK;
    int64_t axes[SG_MAX_AXES] = {c};
    struct volume *own;

    SG_TRY(sg_own(node, sizeof *own, &own));
    take_window(w, own);
    own->c = c;
    own->k = node->in[0]->shape.axes[0];
    own->groups = groups;
    *weight = &own->weight;
    *bias = &own->after_bias;
    memcpy(axes + 1, w->out, (size_t)w->n * sizeof axes[0]);
    SG_TRY(sg_set_dynamic(node, w->n + 1, axes));
    lay(node->out, own->in, own->x_step);
    lay(node->in[0], own->out, own->y_step);
    node->multiply_adds =
        node->in[0]->size * own->kernel[0] * own->kernel[1] * own->kernel[2] * c / groups;
    node->op = &op_transposed;
    node->flags = op_transposed.flags;
done:
    return status;
}

/* Position of window cell `cell` of output `o` along the three axes; 0 if it is outside. */
static int cell_at(const struct volume *v, const int64_t *o, int64_t cell, int64_t *offset) {
    int64_t rest = cell;

    *offset = 0;
    for (int i = 2; i >= 0; i--) {
        const int64_t at = o[i] * v->stride[i] - v->pad[i] + rest % v->kernel[i] * v->dilation[i];

        rest /= v->kernel[i];
        if (at < 0 || at >= v->in[i]) {
            return 0;
        }
        *offset += at * v->x_step[i + 1];
    }
    return 1;
}

static int64_t n_cells(const struct volume *v) {
    return v->kernel[0] * v->kernel[1] * v->kernel[2];
}

static int64_t n_places(const struct volume *v) {
    return v->out[0] * v->out[1] * v->out[2];
}

/* Output position i of a channel: its coordinates and its place in memory. */
static int64_t place(const struct volume *v, int64_t i, int64_t *o) {
    o[2] = i % v->out[2];
    o[1] = i / v->out[2] % v->out[1];
    o[0] = i / v->out[2] / v->out[1];
    return o[0] * v->y_step[1] + o[1] * v->y_step[2] + o[2] * v->y_step[3];
}

static void clear(const struct sg_call *call) {
    if (!call->accumulate[0]) {
        memset(call->dx[0], 0, (size_t)(call->batch * call->node->in[0]->size) * sizeof(float));
    }
}

/* y = (accumulate ? y : 0) + conv(x) + bias; sizes are those of a sample. */
static void gather(const struct volume *v, int64_t batch, const float *x, int64_t x_size, float *y,
                   int64_t y_size, int accumulate) {
    const int64_t cells = n_cells(v), per_group = v->c / v->groups;

    for (int64_t line = 0; line < batch * v->k; line++) {
        const int64_t k = line % v->k, first = k / (v->k / v->groups) * per_group;
        const float *from = x + line / v->k * x_size;
        float *to = y + line / v->k * y_size + k * v->y_step[0];

        for (int64_t i = 0; i < n_places(v); i++) {
            double sum = v->bias != NULL ? (double)v->bias[k] : 0.0;
            int64_t o[3], offset;
            const int64_t at = place(v, i, o);

            for (int64_t cell = 0; cell < cells; cell++) {
                if (!cell_at(v, o, cell, &offset)) {
                    continue;
                }
                for (int64_t c = 0; c < per_group; c++) {
                    sum += (double)v->weight[(k * per_group + c) * cells + cell] *
                           (double)from[(first + c) * v->x_step[0] + offset];
                }
            }
            sg_put(to, at, (float)sum, accumulate);
        }
    }
}

/* dx += what conv passes back of dy. */
static void scatter(const struct volume *v, int64_t batch, const float *dy, int64_t y_size,
                    float *dx, int64_t x_size) {
    const int64_t cells = n_cells(v), per_group = v->c / v->groups;

    for (int64_t line = 0; line < batch * v->k; line++) {
        const int64_t k = line % v->k, first = k / (v->k / v->groups) * per_group;
        float *to = dx + line / v->k * x_size;
        const float *from = dy + line / v->k * y_size + k * v->y_step[0];

        for (int64_t i = 0; i < n_places(v); i++) {
            int64_t o[3], offset;
            const int64_t at = place(v, i, o);

            for (int64_t cell = 0; cell < cells; cell++) {
                if (!cell_at(v, o, cell, &offset)) {
                    continue;
                }
                for (int64_t c = 0; c < per_group; c++) {
                    to[(first + c) * v->x_step[0] + offset] +=
                        v->weight[(k * per_group + c) * cells + cell] * from[at];
                }
            }
        }
    }
}

static void forward_conv(const struct sg_call *call) {
    gather(call->node->own, call->batch, call->x[0], call->node->in[0]->size, call->y,
           call->node->out->size, 0);
}

static void backward_conv(const struct sg_call *call) {
    clear(call);
    scatter(call->node->own, call->batch, call->dy, call->node->out->size, call->dx[0],
            call->node->in[0]->size);
}

/* Transposed: x and y are the output and the input of the convolution that goes the other way. */
static void forward_transposed(const struct sg_call *call) {
    const struct volume *v = call->node->own;
    const int64_t size = call->node->out->size;

    memset(call->y, 0, (size_t)(call->batch * size) * sizeof(float));
    for (int64_t line = 0; line < call->batch * v->c && v->after_bias != NULL; line++) {
        float *y = call->y + line / v->c * size + line % v->c * v->x_step[0];

        for (int64_t i = 0; i < v->in[0] * v->in[1] * v->in[2]; i++) {
            y[i / v->in[2] / v->in[1] * v->x_step[1] + i / v->in[2] % v->in[1] * v->x_step[2] +
              i % v->in[2] * v->x_step[3]] = v->after_bias[line % v->c];
        }
    }
    scatter(v, call->batch, call->x[0], call->node->in[0]->size, call->y, size);
}

static void backward_transposed(const struct sg_call *call) {
    gather(call->node->own, call->batch, call->dy, call->node->out->size, call->dx[0],
           call->node->in[0]->size, call->accumulate[0]);
}

/* The winner's offset in the input, for each output. */
static void memory_max(const struct sg_node *node, int64_t batch, struct sg_need *need) {
    need->kept_bytes = batch * node->out->size * (int64_t)sizeof(int64_t);
}

static void forward_max(const struct sg_call *call) {
    const struct volume *v = call->node->own;
    int64_t *winner = call->kept;

    for (int64_t line = 0; line < call->batch * v->c; line++) {
        const int64_t from = line / v->c * call->node->in[0]->size + line % v->c * v->x_step[0];
        const int64_t to = line / v->c * call->node->out->size + line % v->c * v->y_step[0];

        for (int64_t i = 0; i < n_places(v); i++) {
            int64_t o[3], offset, best = -1;
            const int64_t at = to + place(v, i, o);

            for (int64_t cell = 0; cell < n_cells(v); cell++) {
                if (cell_at(v, o, cell, &offset) &&
                    (best < 0 || call->x[0][from + offset] > call->x[0][best])) {
                    best = from + offset;
                }
            }
            winner[at] = best;
            call->y[at] = best >= 0 ? call->x[0][best] : -INFINITY;
        }
    }
}

static void backward_max(const struct sg_call *call) {
    const int64_t *winner = call->kept;

    clear(call);
    for (int64_t i = 0; i < call->batch * call->node->out->size; i++) {
        if (winner[i] >= 0) {
            call->dx[0][winner[i]] += call->dy[i];
        }
    }
}

static int64_t n_counters(const struct sg_node *node) {
    return node->out->size * n_cells(node->own);
}

/* The place in memory of output `at` of a sample, which is in any order, as channel and position:
 * its coordinates, and where its channel of the input begins. */
static int64_t find_output(const struct volume *v, int64_t at, int64_t *o) {
    const int64_t y_channel = v->y_step[0];
    const int64_t c = y_channel == 1 ? at % v->c : at / y_channel;

    (void)place(v, y_channel == 1 ? at / v->c : at % y_channel, o);
    return c * v->x_step[0];
}

/* The cell is found again from the winner's offset. */
static void count_winners(const struct sg_call *call, int64_t j, int64_t first, int64_t n,
                          int32_t *at) {
    const struct volume *v = call->node->own;
    const int64_t *winner = (const int64_t *)call->kept + j * call->node->out->size;
    const int64_t cells = n_cells(v);

    for (int64_t i = first; i < first + n; i++) {
        int64_t o[3], offset;
        const int64_t from = j * call->node->in[0]->size + find_output(v, i, o);

        at[i - first] = -1;
        for (int64_t cell = 0; cell < cells && winner[i] >= 0; cell++) {
            if (cell_at(v, o, cell, &offset) && from + offset == winner[i]) {
                at[i - first] = (int32_t)(i * cells + cell);
            }
        }
    }
}

static void backward_shares(const struct sg_call *call, const float *shares) {
    const struct volume *v = call->node->own;
    const int64_t size = call->node->out->size, cells = n_cells(v);

    clear(call);
    for (int64_t i = 0; i < call->batch * size; i++) {
        int64_t o[3], offset;
        const int64_t from = i / size * call->node->in[0]->size + find_output(v, i % size, o);

        for (int64_t cell = 0; cell < cells; cell++) {
            if (cell_at(v, o, cell, &offset)) {
                call->dx[0][from + offset] += shares[i % size * cells + cell] * call->dy[i];
            }
        }
    }
}

static const struct sg_choice choice = {
    .n_counters = n_counters, .counted = count_winners, .backward = backward_shares};

/* Cells that an average counts: those of the image, or of the padded image. */
static double counted(const struct volume *v, const int64_t *o) {
    int64_t n = 1;

    for (int i = 0; i < 3; i++) {
        const int64_t low = v->include_pad ? -v->pad[i] : 0;
        const int64_t high = v->in[i] + (v->include_pad ? v->after[i] : 0);
        int64_t inside = 0;

        for (int64_t k = 0; k < v->kernel[i]; k++) {
            const int64_t at = o[i] * v->stride[i] - v->pad[i] + k * v->dilation[i];

            inside += at >= low && at < high;
        }
        n *= inside;
    }
    return n > 0 ? (double)n : 1.0;
}

static void forward_average(const struct sg_call *call) {
    const struct volume *v = call->node->own;

    for (int64_t line = 0; line < call->batch * v->c; line++) {
        const int64_t from = line / v->c * call->node->in[0]->size + line % v->c * v->x_step[0];
        const int64_t to = line / v->c * call->node->out->size + line % v->c * v->y_step[0];

        for (int64_t i = 0; i < n_places(v); i++) {
            int64_t o[3], offset;
            const int64_t at = to + place(v, i, o);
            double sum = 0.0;

            for (int64_t cell = 0; cell < n_cells(v); cell++) {
                if (cell_at(v, o, cell, &offset)) {
                    sum += (double)call->x[0][from + offset];
                }
            }
            call->y[at] = (float)(sum / counted(v, o));
        }
    }
}

static void backward_average(const struct sg_call *call) {
    const struct volume *v = call->node->own;

    clear(call);
    for (int64_t line = 0; line < call->batch * v->c; line++) {
        const int64_t from = line / v->c * call->node->in[0]->size + line % v->c * v->x_step[0];
        const int64_t to = line / v->c * call->node->out->size + line % v->c * v->y_step[0];

        for (int64_t i = 0; i < n_places(v); i++) {
            int64_t o[3], offset;
            const int64_t at = to + place(v, i, o);
            const float share = (float)((double)call->dy[at] / counted(v, o));

            for (int64_t cell = 0; cell < n_cells(v); cell++) {
                if (cell_at(v, o, cell, &offset)) {
                    call->dx[0][from + offset] += share;
                }
            }
        }
    }
}

static const struct sg_op op_conv = {
    .name = "convolution of volumes",
    .flags = SG_OP_FUSES_RELU,
    .forward = forward_conv,
    .backward = backward_conv,
};

static const struct sg_op op_transposed = {
    .name = "transposed convolution of volumes",
    .flags = SG_OP_FUSES_RELU,
    .forward = forward_transposed,
    .backward = backward_transposed,
};

static const struct sg_op op_max = {
    .name = "maximum in volumes",
    .flags = SG_OP_CHOOSES,
    .memory = memory_max,
    .forward = forward_max,
    .backward = backward_max,
    .choice = &choice,
};

static const struct sg_op op_average = {
    .name = "mean in volumes",
    .forward = forward_average,
    .backward = backward_average,
};
