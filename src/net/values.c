/* src/net/values.c - constants and dynamic values, and what nodes say about their output. */
#include "net/net_impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A single value beyond this many elements a sample is a mistake, not a network. */
static const int64_t max_size = (int64_t)1 << 31;

sg_status sg_node_refuse(const struct sg_node *node, const char *file, int line, const char *fmt,
                         ...) {
    char message[512];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    return sg_fail(SG_E_MODEL, file, line, "%s: %s: %s", node->model->file, node->label, message);
}

const char *sg_axes_text(int n_axes, const int64_t *axes, char *buf, size_t cap) {
    size_t used = (size_t)snprintf(buf, cap, "[");

    for (int i = 0; i < n_axes && used < cap; i++) {
        if (axes[i] == SG_BATCH) {
            used += (size_t)snprintf(buf + used, cap - used, i > 0 ? ",N" : "N");
        } else {
            used += (size_t)snprintf(buf + used, cap - used, i > 0 ? ",%lld" : "%lld",
                                     (long long)axes[i]);
        }
    }
    if (used < cap) {
        (void)snprintf(buf + used, cap - used, "]");
    }
    return buf;
}

void sg_layout_of(const struct sg_value *v, struct sg_layout *out) {
    const int skip = v->whole ? 0 : 1;
    int64_t stride = 1;

    out->n_axes = v->shape.n_axes + skip;
    out->axes[0] = 1;
    out->strides[0] = 0;
    for (int i = v->shape.n_axes - 1; i >= 0; i--) {
        out->axes[i + skip] = v->shape.axes[i];
        out->strides[i + skip] = stride;
        stride *= v->shape.axes[i];
    }
    if (sg_is_spatial(v)) {
        out->strides[1] = 1;
        out->strides[2] = v->shape.axes[2] * v->shape.axes[0];
        out->strides[3] = v->shape.axes[0];
    }
}

const char *sg_shape_text(const struct sg_shape *s, char *buf, size_t cap) {
    int64_t axes[SG_MAX_AXES + 1] = {SG_BATCH};

    memcpy(axes + 1, s->axes, (size_t)s->n_axes * sizeof axes[0]);
    return sg_axes_text(s->n_axes + 1, axes, buf, cap);
}

sg_status sg_new_value(struct sg_model *m, const char *name, struct sg_value **out) {
    sg_status status = SG_OK;
    struct sg_value *v = sg_region_take(&m->keep, 1, sizeof *v);

    SG_CHECK(v != NULL, SG_E_NOMEM, "%s: no memory for its values", m->file);
    v->name = name;
    v->root = v;
    *out = v;
done:
    return status;
}

sg_status sg_constant_size(const struct sg_node *node, int n_axes, const int64_t *axes,
                           int64_t *n) {
    sg_status status = SG_OK;
    int is_empty = 0;

    SG_NODE_CHECK(n_axes <= SG_CONSTANT_AXES, node, "a constant with %d axes is not supported",
                  n_axes);
    *n = 1;
    for (int i = 0; i < n_axes; i++) {
        is_empty = is_empty || axes[i] == 0;
        SG_NODE_CHECK(axes[i] >= 0 && !__builtin_mul_overflow(*n, axes[i] > 0 ? axes[i] : 1, n) &&
                          *n <= max_size,
                      node, "it makes a constant of an impossible shape");
    }
    *n = is_empty ? 0 : *n;
done:
    return status;
}

static void set_constant(struct sg_value *v, int n_axes, const int64_t *axes, int64_t n) {
    v->kind = SG_VALUE_CONSTANT;
    v->constant.n_axes = n_axes;
    v->constant.n = n;
    if (n_axes > 0) {
        memcpy(v->constant.axes, axes, (size_t)n_axes * sizeof *axes);
    }
}

sg_status sg_set_floats(struct sg_node *node, int n_axes, const int64_t *axes, float **floats) {
    sg_status status = SG_OK;
    int64_t n;

    SG_TRY(sg_constant_size(node, n_axes, axes, &n));
    *floats = sg_region_floats(&node->model->scratch, n);
    SG_NODE_NOMEM(*floats, node);
    set_constant(node->out, n_axes, axes, n);
    node->out->constant.floats = *floats;
done:
    return status;
}

sg_status sg_set_ints(struct sg_node *node, int n_axes, const int64_t *axes, int64_t **ints) {
    sg_status status = SG_OK;
    int64_t n;

    SG_TRY(sg_constant_size(node, n_axes, axes, &n));
    *ints = sg_region_take(&node->model->scratch, (size_t)n, sizeof **ints);
    SG_NODE_NOMEM(*ints, node);
    set_constant(node->out, n_axes, axes, n);
    node->out->constant.ints = *ints;
done:
    return status;
}

static sg_status set_shape(const struct sg_node *node, struct sg_value *v, int n_axes,
                           const int64_t *axes) {
    sg_status status = SG_OK;
    char text[160];

    SG_NODE_CHECK(n_axes >= !v->whole && n_axes <= SG_MAX_AXES, node,
                  "its output would have %d axes besides the batch; 1 to %d are supported", n_axes,
                  SG_MAX_AXES);
    v->size = 1;
    v->shape.n_axes = n_axes;
    for (int i = 0; i < n_axes; i++) {
        v->shape.axes[i] = axes[i];
        SG_NODE_CHECK(axes[i] >= 1 && !__builtin_mul_overflow(v->size, axes[i], &v->size) &&
                          v->size <= max_size,
                      node, "its output would have the impossible shape %s",
                      sg_axes_text(n_axes, axes, text, sizeof text));
    }
done:
    return status;
}

sg_status sg_set_dynamic(struct sg_node *node, int n_axes, const int64_t *axes) {
    sg_status status = SG_OK;

    SG_TRY(set_shape(node, node->out, n_axes, axes));
    node->out->kind = SG_VALUE_DYNAMIC;
    node->out->root = node->out;
    node->out->producer = node;
done:
    return status;
}

sg_status sg_set_same_shape(struct sg_node *node) {
    const struct sg_shape shape = node->in[0]->shape;

    node->out->whole = node->in[0]->whole;
    return sg_set_dynamic(node, shape.n_axes, shape.axes);
}

sg_status sg_set_view(struct sg_node *node, struct sg_value *of, int n_axes, const int64_t *axes,
                      int64_t hwc_channels) {
    sg_status status = SG_OK;

    SG_TRY(set_shape(node, node->out, n_axes, axes));
    SG_ASSERT(node->out->size == of->size);
    node->out->kind = SG_VALUE_DYNAMIC;
    node->out->root = of->root;
    node->out->of = of;
    node->out->hwc_channels = hwc_channels;
done:
    return status;
}

sg_status sg_set_onnx(struct sg_node *node, int n_axes, const int64_t *axes, int spatial) {
    node->out->whole =
        n_axes < 2 || axes[0] != 1 || n_axes > SG_MAX_AXES + 1 || (n_axes == 4 && !spatial);
    return node->out->whole ? sg_set_dynamic(node, n_axes, axes)
                            : sg_set_dynamic(node, n_axes - 1, axes + 1);
}

sg_status sg_set_alias(struct sg_node *node, int i) {
    struct sg_value *in = node->in[i];

    if (in->kind == SG_VALUE_CONSTANT) {
        node->out->kind = SG_VALUE_CONSTANT;
        node->out->constant = in->constant;
        return SG_OK;
    }
    node->out->whole = in->whole;
    return sg_set_view(node, in, in->shape.n_axes, in->shape.axes, in->hwc_channels);
}

sg_status sg_check_inputs(const struct sg_node *node, int min, int max) {
    sg_status status = SG_OK;

    SG_NODE_CHECK(node->n_in >= min && node->n_in <= max, node, "it has %d inputs, but needs %d%s",
                  node->n_in, min, max > min ? " or more" : "");
    for (int i = 0; i < min; i++) {
        SG_NODE_CHECK(node->in[i] != NULL, node, "its input %d is missing", i + 1);
    }
done:
    return status;
}

sg_status sg_float_constant(const struct sg_node *node, int i, const char *what,
                            const struct sg_constant **out) {
    sg_status status = SG_OK;

    SG_NODE_CHECK(sg_has_input(node, i), node, "it has no %s", what);
    SG_NODE_CHECK(sg_is_constant(node, i), node,
                  "its %s '%s' depends on the network's input; only constants are supported", what,
                  node->in[i]->name);
    SG_NODE_CHECK(node->in[i]->constant.floats != NULL, node,
                  "its %s '%s' must be floating-point numbers", what, node->in[i]->name);
    *out = &node->in[i]->constant;
done:
    return status;
}

sg_status sg_check_rank(const struct sg_node *node, int i, int n_axes) {
    sg_status status = SG_OK;
    const struct sg_value *v = node->in[i];
    char text[160];

    SG_NODE_CHECK(v->kind == SG_VALUE_DYNAMIC, node,
                  "its input '%s' is a constant, which is not supported here", v->name);
    SG_NODE_CHECK(v->shape.n_axes + !v->whole == n_axes, node,
                  "its input '%s' has the shape %s; %d axes are supported", v->name,
                  sg_shape_text(&v->shape, text, sizeof text), n_axes);
done:
    return status;
}

sg_status sg_own(struct sg_node *node, size_t bytes, void *out) {
    sg_status status = SG_OK;

    node->own = sg_region_take(&node->model->keep, 1, bytes);
    node->weights = NULL; /* those of an earlier shape of the node */
    SG_NODE_NOMEM(node->own, node);
    memcpy(out, &node->own, sizeof node->own);
done:
    return status;
}

sg_status sg_constant_of(struct sg_model *m, const struct onnx_tensor *t, struct sg_constant *out) {
    sg_status status = SG_OK;
    const int64_t n = onnx_tensor_count(t);
    const int class = onnx_type_class(t->type);
    char text[160];

    SG_CHECK(n >= 0, SG_E_MODEL, "%s: tensor '%s' has the impossible shape %s", m->file, t->name,
             sg_axes_text(t->n_axes, t->axes, text, sizeof text));
    SG_CHECK(class != 0, SG_E_MODEL,
             "%s: tensor '%s' has the data type %lld; floating-point numbers of 16, 32 or 64 bits "
             "and whole numbers are supported",
             m->file, t->name, (long long)t->type);
    /* Every number takes a byte at least: a false shape is found before memory is asked for. */
    SG_CHECK(t->is_external || (size_t)n <= (t->has_raw ? t->raw.n : t->body.n), SG_E_MODEL,
             "%s: tensor '%s' of shape %s has fewer numbers in the file", m->file, t->name,
             sg_axes_text(t->n_axes, t->axes, text, sizeof text));
    *out = (struct sg_constant){.n_axes = t->n_axes, .n = n};
    memcpy(out->axes, t->axes, sizeof t->axes);
    if (class == 1) {
        float *floats;

        out->floats = onnx_floats_in_place(t, n);
        if (out->floats == NULL) {
            floats = sg_region_floats(&m->scratch, t->is_external ? 0 : n);
            SG_CHECK(floats != NULL, SG_E_NOMEM, "%s: no memory for tensor '%s'", m->file, t->name);
            SG_TRY(onnx_read_floats(t, m->file, n, floats));
            out->floats = floats;
        }
    } else {
        int64_t *ints = sg_region_take(&m->scratch, t->is_external ? 0 : (size_t)n, sizeof *ints);

        SG_CHECK(ints != NULL, SG_E_NOMEM, "%s: no memory for tensor '%s'", m->file, t->name);
        SG_TRY(onnx_read_ints(t, m->file, n, ints));
        out->ints = ints;
    }
done:
    return status;
}

sg_status sg_load_constant(struct sg_model *m, struct sg_value *v) {
    sg_status status = SG_OK;

    if (v->kind == SG_VALUE_CONSTANT && v->tensor != NULL) {
        SG_TRY(sg_constant_of(m, v->tensor, &v->constant));
        v->tensor = NULL;
        SG_TRY(sg_take_parameter(m, v));
    }
done:
    return status;
}
