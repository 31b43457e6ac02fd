/* src/net/ops/layer_norm.c - ONNX LayerNormalization, and the same written as a chain of means,
 * differences and a root (fuse_norm.c): rows of memory with their own mean and variance, then scale
 * and shift. */
#include "net/ops/ops_impl.h"

struct layer_norm {
    int64_t n_rows;       /* a sample */
    struct sg_norm shape; /* scale and shift: until prepare in the file or the scratch region */
};

static const struct sg_op op_layer_norm;

static sg_status take_vector(struct sg_node *node, int i, const char *what, int64_t n,
                             const float **out) {
    sg_status status = SG_OK;
    const struct sg_constant *c;

    SG_TRY(sg_float_constant(node, i, what, &c));
    SG_NODE_CHECK(c->n == n, node, "its %s has %lld numbers; %lld are needed", what,
                  (long long)c->n, (long long)n);
    *out = c->floats;
done:
    return status;
}

/* The further outputs: the mean of each row, or 1 / its deviation. */
static sg_status lower_statistic(struct sg_node *node, int64_t axis, int n_axes, float epsilon) {
    sg_status status = SG_OK;
    struct sg_value *mean = NULL, *d = NULL, *number = NULL;
    int64_t over[SG_CONSTANT_AXES];
    const int64_t n = n_axes - axis;

    for (int64_t i = 0; i < n; i++) {
        over[i] = axis + i;
    }
    SG_TRY(sg_lower_ints(node, "ReduceMean", node->in[0], "axes", n, over, &mean));
    if (sg_output_index(node) > 1) {
        SG_TRY(sg_lower(node, "Sub", node->in[0], mean, &d));
        SG_TRY(sg_lower(node, "Mul", d, d, &d));
        SG_TRY(sg_lower_ints(node, "ReduceMean", d, "axes", n, over, &mean));
        SG_TRY(sg_new_number(node, epsilon, &number));
        SG_TRY(sg_lower(node, "Add", mean, number, &mean));
        SG_TRY(sg_lower(node, "Sqrt", mean, NULL, &mean));
        SG_TRY(sg_lower(node, "Reciprocal", mean, NULL, &mean));
    }
    SG_TRY(sg_become(node, mean));
done:
    return status;
}

static sg_status infer(struct sg_node *node) {
    sg_status status = SG_OK;
    struct sg_layout in;
    struct layer_norm *own;
    struct sg_norm *shape;
    int64_t axis;

    SG_TRY(sg_check_inputs(node, 2, 3));
    SG_TRY(sg_make_whole(node, 0));
    sg_input_layout(node, 0, &in);
    SG_TRY(sg_attribute_int(node, "axis", -1, &axis));
    SG_TRY(sg_axis(node, axis, in.n_axes, &axis));
    SG_TRY(sg_own(node, sizeof *own, &own));
    shape = &own->shape;
    shape->n = 1;
    for (int i = (int)axis; i < in.n_axes; i++) {
        shape->n *= in.axes[i];
    }
    own->n_rows = node->in[0]->size / shape->n;
    SG_TRY(sg_attribute_float(node, "epsilon", 1e-5f, &shape->epsilon));
    SG_TRY(take_vector(node, 1, "scale", shape->n, &shape->scale));
    if (sg_has_input(node, 2)) {
        SG_TRY(take_vector(node, 2, "bias", shape->n, &shape->shift));
    }
    if (sg_output_index(node) > 0) {
        SG_TRY(lower_statistic(node, axis, in.n_axes, shape->epsilon));
        return SG_OK;
    }
    SG_TRY(sg_set_onnx(node, in.n_axes, in.axes, 0));
done:
    return status;
}

sg_status sg_become_layer_norm(struct sg_node *node, struct sg_value *x, int64_t n, float epsilon) {
    sg_status status = SG_OK;
    struct layer_norm *own;

    SG_TRY(sg_own(node, sizeof *own, &own));
    *own = (struct layer_norm){.n_rows = x->size / n, .shape = {.n = n, .epsilon = epsilon}};
    node->op = &op_layer_norm;
    node->flags = op_layer_norm.flags;
    node->in[0] = x;
    node->n_in = 1;
done:
    return status;
}

/* The affine map's vector repeats over the row, or is as long. */
static sg_status absorb_affine(struct sg_node *node, const struct sg_affine *a) {
    sg_status status = SG_OK;
    struct sg_norm *shape = &((struct layer_norm *)node->own)->shape;
    float *both = sg_region_floats(&node->model->scratch, 2 * shape->n);

    SG_NODE_NOMEM(both, node);
    for (int64_t i = 0; i < shape->n; i++) {
        const double by = a->scale != NULL ? (double)a->scale[i % a->n] : 1.0;
        const double plus = a->shift != NULL ? (double)a->shift[i % a->n] : 0.0;

        both[i] = (float)(by * (shape->scale != NULL ? (double)shape->scale[i] : 1.0));
        both[shape->n + i] =
            (float)(by * (shape->shift != NULL ? (double)shape->shift[i] : 0.0) + plus);
    }
    shape->scale = both;
    shape->shift = both + shape->n;
done:
    return status;
}

static int64_t n_rows(const struct sg_node *node) {
    return ((const struct layer_norm *)node->own)->n_rows;
}

static void set_rows(struct sg_node *node, int64_t n) {
    ((struct layer_norm *)node->own)->n_rows = n;
}

static sg_status prepare(struct sg_node *node) {
    sg_status status = SG_OK;
    struct sg_norm *shape = &((struct layer_norm *)node->own)->shape;

    if (shape->scale != NULL) {
        SG_TRY(sg_keep_floats(node, shape->scale, shape->n, &shape->scale));
    }
    if (shape->shift != NULL) {
        SG_TRY(sg_keep_floats(node, shape->shift, shape->n, &shape->shift));
    }
done:
    return status;
}

static void memory(const struct sg_node *node, int64_t batch, struct sg_need *need) {
    const struct layer_norm *own = node->own;

    need->kept_bytes = 2 * batch * own->n_rows * (int64_t)sizeof(float);
}

static void forward(const struct sg_call *call) {
    const struct layer_norm *own = call->node->own;

    sg_norm_rows(&own->shape, call->batch * own->n_rows, call->x[0], call->y, call->kept);
}

static void backward(const struct sg_call *call) {
    const struct layer_norm *own = call->node->own;

    sg_norm_rows_back(&own->shape, call->batch * own->n_rows, call->x[0], call->kept, call->dy,
                      call->dx[0], call->accumulate[0]);
}

static const struct sg_op op_layer_norm = {
    .name = "LayerNormalization",
    .flags = SG_OP_TAKES_WHOLE | SG_OP_KEEPS_INPUT | SG_OP_GRAD_INPLACE,
    .n_rows = n_rows,
    .set_rows = set_rows,
    .prepare = prepare,
    .memory = memory,
    .forward = forward,
    .backward = backward,
    .absorb_affine = absorb_affine,
};

const struct sg_op sg_op_layer_normalization = {
    .name = "LayerNormalization",
    .opset_min = 17,
    .flags = SG_OP_TAKES_WHOLE | SG_OP_KEEPS_INPUT | SG_OP_GRAD_INPLACE | SG_OP_OUTPUTS,
    .infer = infer,
    .n_rows = n_rows,
    .set_rows = set_rows,
    .prepare = prepare,
    .memory = memory,
    .forward = forward,
    .backward = backward,
    .absorb_affine = absorb_affine,
};
