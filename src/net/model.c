/* src/net/model.c - the life of a model, what it tells of itself, and the table of operators. */
#include "net/image.h"
#include "net/net_impl.h"
#include "sgdist/memory.h"

#include <string.h>

#define SG_OP(name) extern const struct sg_op sg_op_##name;
#include "net/ops.def"
#undef SG_OP

#define SG_OP(name) &sg_op_##name,
const struct sg_op *const sg_ops[] = {
#include "net/ops.def"
};
#undef SG_OP
const int sg_n_ops = sizeof sg_ops / sizeof sg_ops[0];

const struct sg_op *sg_op_find(const char *name) {
    for (int i = 0; i < sg_n_ops; i++) {
        if (strcmp(sg_ops[i]->name, name) == 0) {
            return sg_ops[i];
        }
    }
    return NULL;
}

const char *sg_op_name(int i, int *opset_min, int *opset_max) {
    if (i < 0 || i >= sg_n_ops) {
        return NULL;
    }
    *opset_min = sg_ops[i]->opset_min > 7 ? sg_ops[i]->opset_min : 7;
    *opset_max = 17;
    return sg_ops[i]->name;
}

/* What is asked of the explained tensor leaves in ONNX order. */
static sg_status make_explained_plain(struct sg_model *m) {
    sg_status status = SG_OK;
    struct sg_node outside = {.model = m, .in = &m->explained, .n_in = 1, .label = "the output"};

    if (m->explained->hwc_channels > 0) {
        SG_TRY(sg_make_plain(&outside, 0));
    }
done:
    return status;
}

static sg_status prepare(struct sg_model *m) {
    sg_status status = SG_OK;

    for (int64_t i = 0; i < m->n_nodes; i++) {
        struct sg_node *node = m->nodes[i];

        node->out->index = (int)i + 1;
        if (node->op->prepare != NULL) {
            SG_TRY(node->op->prepare(node));
        }
        m->n_parameters += node->n_parameters;
        m->n_multiply_adds += node->multiply_adds;
    }
    sg_weights_measure(m);
done:
    return status;
}

static sg_status decode(struct sg_model *m, struct onnx_span bytes) {
    sg_status status = SG_OK;
    struct onnx_span numbers;
    struct onnx_span rest;

    if (sg_image_split(bytes, &numbers, &rest)) {
        SG_TRY(onnx_decode(rest.data, rest.n, m->file, &m->keep, &m->graph));
        SG_TRY(onnx_attach(&m->graph, m->file, numbers));
    } else {
        SG_TRY(onnx_decode(bytes.data, bytes.n, m->file, &m->keep, &m->graph));
    }
done:
    return status;
}

sg_status sg_model_open(const void *bytes, size_t n_bytes, const char *name, const char *tensor,
                        struct sg_model **out) {
    sg_status status = SG_OK;
    struct sg_model *m = sg_calloc(1, sizeof *m);

    SG_CHECK(m != NULL, SG_E_NOMEM, "%s: no memory for the model", name);
    m->file = sg_region_text(&m->keep, name, strlen(name));
    SG_CHECK(m->file != NULL, SG_E_NOMEM, "%s: no memory for the model", name);
    SG_TRY(decode(m, (struct onnx_span){.data = bytes, .n = n_bytes}));
    SG_TRY(sg_graph_build(m, tensor));
    SG_TRY(make_explained_plain(m));
    SG_TRY(sg_fuse(m));
    SG_TRY(prepare(m));
    *out = m;
    m = NULL;
done:
    sg_model_destroy(m);
    return status;
}

sg_status sg_model_create(const void *bytes, size_t n_bytes, const char *name, const char *tensor,
                          struct sg_model **out) {
    sg_status status = SG_OK;
    struct sg_model *m = NULL;

    SG_TRY(sg_model_open(bytes, n_bytes, name, tensor, &m));
    SG_TRY(sg_model_place(m, NULL, 1));
    *out = m;
    m = NULL;
done:
    sg_model_destroy(m);
    return status;
}

void sg_model_destroy(struct sg_model *m) {
    if (m != NULL) {
        sg_region_free(&m->scratch);
        sg_region_free(&m->keep);
        sg_free(m);
    }
}

const struct sg_shape *sg_model_input(const struct sg_model *m) {
    return &m->input->shape;
}

int64_t sg_model_n_outputs(const struct sg_model *m) {
    return m->explained->size;
}

const char *sg_model_tensor(const struct sg_model *m) {
    return m->explained->name;
}

int64_t sg_model_n_parameters(const struct sg_model *m) {
    return m->n_parameters;
}

int64_t sg_model_bytes(const struct sg_model *m) {
    return m->keep.bytes;
}

int64_t sg_model_n_multiply_adds(const struct sg_model *m) {
    return m->n_multiply_adds;
}
