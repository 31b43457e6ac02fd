/* src/net/outside.c - what of a model can be asked for from outside, and where its numbers are. */
#include "net/net_impl.h"

#include <string.h>

/* Whole values with a batch axis lose it. */
static struct sg_shape shape_outside(const struct sg_value *v) {
    struct sg_shape shape = v->shape;

    if (shape.n_axes == 0) {
        return (struct sg_shape){.n_axes = 1, .axes = {1}};
    }
    if (v->whole && shape.n_axes > 1 && shape.axes[0] == 1) {
        shape.n_axes--;
        memmove(shape.axes, shape.axes + 1, (size_t)shape.n_axes * sizeof shape.axes[0]);
    }
    return shape;
}

static struct sg_tensor tensor_of(const struct sg_value *v, int64_t offset) {
    return (struct sg_tensor){
        .name = v->name, .shape = shape_outside(v), .size = v->size, .offset = offset};
}

/* 1 if v is `base`, or a view of it. */
static int is_view_of(const struct sg_value *v, const struct sg_value *base) {
    while (v != NULL && v != base) {
        v = v->of;
    }
    return v == base;
}

/* The gradient that is kept is that of the stored numbers, by whatever name they are read: it must
 * not hold what reads them under another name than the layer's. */
static sg_status check_alone(const struct sg_model *m, const struct sg_value *layer, int *n_uses) {
    sg_status status = SG_OK;
    const struct sg_value *other = NULL;

    for (int64_t i = 0; i < m->n_nodes; i++) {
        for (int k = 0; k < m->nodes[i]->n_in; k++) {
            const struct sg_value *in = m->nodes[i]->in[k];

            if (in != NULL && in->kind == SG_VALUE_DYNAMIC && in->root == layer->root) {
                (*n_uses)++;
                other = is_view_of(in, layer) ? other : in;
            }
        }
    }
    for (int i = 0; i < m->n_outputs; i++) {
        if (m->outputs[i]->root == layer->root) {
            (*n_uses)++;
            other = is_view_of(m->outputs[i], layer) ? other : m->outputs[i];
        }
    }
    SG_CHECK(other == NULL, SG_E_MODEL,
             "%s: the layer '%s' holds the same numbers as '%s', which is read beside it; ask for "
             "the layer '%s'",
             m->file, layer->name, layer->root->name, layer->root->name);
done:
    return status;
}

static sg_status check_layer(const struct sg_model *m, const struct sg_value *layer) {
    sg_status status = SG_OK;
    int n_uses = 0;

    SG_TRY(check_alone(m, layer, &n_uses));
    SG_CHECK(n_uses > 0, SG_E_MODEL,
             "%s: the layer '%s' has no part in the explained tensor '%s': only its shape is used, "
             "or it is computed as a part of another layer",
             m->file, layer->name, m->outputs[0]->name);
done:
    return status;
}

/* Their derivatives come in at one place each. */
static sg_status check_outputs(const struct sg_model *m) {
    sg_status status = SG_OK;

    for (int i = 0; i < m->n_outputs; i++) {
        for (int k = 0; k < i; k++) {
            SG_CHECK(m->outputs[i]->root != m->outputs[k]->root, SG_E_MODEL,
                     "%s: '%s' and '%s' hold the same numbers; name one of them alone", m->file,
                     m->outputs[k]->name, m->outputs[i]->name);
        }
    }
done:
    return status;
}

sg_status sg_make_signature(struct sg_model *m) {
    sg_status status = SG_OK;
    struct sg_signature *s = &m->signature;
    struct sg_tensor *outputs =
        sg_region_take(&m->keep, (size_t)m->n_outputs, sizeof(struct sg_tensor));
    struct sg_tensor *layers =
        sg_region_take(&m->keep, (size_t)m->n_layers + 1, sizeof(struct sg_tensor));

    SG_CHECK(outputs != NULL && layers != NULL, SG_E_NOMEM, "%s: no memory for its names", m->file);
    SG_TRY(check_outputs(m));
    for (int i = 0; i < m->n_outputs; i++) {
        outputs[i] = tensor_of(m->outputs[i], s->n_elements);
        s->n_elements += m->outputs[i]->size;
    }
    for (int i = 0; i < m->n_layers; i++) {
        SG_TRY(check_layer(m, m->layers[i]));
        layers[i] = tensor_of(m->layers[i], 0);
    }
    s->input = tensor_of(m->input, 0);
    s->n_outputs = m->n_outputs;
    s->outputs = outputs;
    s->n_layers = m->n_layers;
    s->layers = layers;
done:
    return status;
}
