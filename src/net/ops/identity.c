/* src/net/ops/identity.c - ONNX Identity, Dropout at inference, Cast and CastLike between
 * floating-point types: nothing is left to do. */
#include "net/ops/ops_impl.h"

#include <math.h>

static sg_status identity(struct sg_node *node) {
    sg_status status = SG_OK;

    SG_TRY(sg_check_inputs(node, 1, 1));
    SG_TRY(sg_set_alias(node, 0));
done:
    return status;
}

static sg_status dropout(struct sg_node *node) {
    sg_status status = SG_OK;

    SG_TRY(sg_check_inputs(node, 1, 3));
    if (sg_has_input(node, 2)) {
        const struct sg_constant *c = &node->in[2]->constant;

        SG_NODE_CHECK(sg_is_constant(node, 2) && c->ints != NULL && c->n == 1 && c->ints[0] == 0,
                      node,
                      "it is in training mode; export the model for inference (model.eval())");
    }
    if (sg_output_index(node) == 0) {
        SG_TRY(sg_set_alias(node, 0));
    } else { /* the mask: everything stays */
        int64_t axes[SG_CONSTANT_AXES];
        const int n_axes = sg_input_axes(node, 0, axes);
        int64_t *ints;

        SG_TRY(sg_set_ints(node, n_axes, axes, &ints));
        for (int64_t i = 0; i < node->out->constant.n; i++) {
            ints[i] = 1;
        }
    }
done:
    return status;
}

static sg_status cast_constant(struct sg_node *node, int class) {
    sg_status status = SG_OK;
    const struct sg_constant *c = &node->in[0]->constant;

    if ((class == 1) == (c->floats != NULL)) {
        SG_TRY(sg_set_alias(node, 0));
    } else if (class == 1) {
        float *floats;

        SG_TRY(sg_set_floats(node, c->n_axes, c->axes, &floats));
        for (int64_t i = 0; i < c->n; i++) {
            floats[i] = (float)c->ints[i];
        }
    } else {
        int64_t *ints;

        SG_TRY(sg_set_ints(node, c->n_axes, c->axes, &ints));
        for (int64_t i = 0; i < c->n; i++) {
            SG_NODE_CHECK(fabsf(c->floats[i]) < 0x1p62f, node, "it makes a whole number of %g",
                          (double)c->floats[i]);
            ints[i] = (int64_t)c->floats[i];
        }
    }
done:
    return status;
}

/* The second input says by its own kind what the first one becomes. */
static sg_status cast_like(struct sg_node *node) {
    sg_status status = SG_OK;
    int whole;

    SG_TRY(sg_check_inputs(node, 2, 2));
    whole = sg_is_constant(node, 1) && node->in[1]->constant.ints != NULL;
    if (sg_is_constant(node, 0)) {
        SG_TRY(cast_constant(node, whole ? 2 : 1));
    } else {
        SG_NODE_CHECK(!whole, node, "it turns values of the network into whole numbers");
        SG_TRY(sg_set_alias(node, 0));
    }
done:
    return status;
}

static sg_status cast(struct sg_node *node) {
    sg_status status = SG_OK;
    int64_t to;
    int class;

    SG_TRY(sg_check_inputs(node, 1, 1));
    SG_TRY(sg_attribute_int(node, "to", 0, &to));
    class = onnx_type_class(to);
    SG_NODE_CHECK(class != 0 && to != ONNX_BOOL, node, "the data type %lld is not supported",
                  (long long)to);
    if (sg_is_constant(node, 0)) {
        SG_TRY(cast_constant(node, class));
    } else {
        SG_NODE_CHECK(class == 1, node, "it turns values of the network into whole numbers");
        SG_TRY(sg_set_alias(node, 0));
    }
done:
    return status;
}

#define PASSING(op_name, since, more_flags, file_name)                                             \
    const struct sg_op sg_op_##file_name = {.name = op_name,                                       \
                                            .opset_min = since,                                    \
                                            .flags = SG_OP_TAKES_HWC | SG_OP_TAKES_WHOLE |         \
                                                     SG_OP_TRANSPARENT | (more_flags),             \
                                            .fold = file_name,                                     \
                                            .infer = file_name}

PASSING("Identity", 0, 0, identity);
PASSING("Cast", 0, 0, cast);
PASSING("CastLike", 15, 0, cast_like);
PASSING("Dropout", 0, SG_OP_OUTPUTS, dropout);
