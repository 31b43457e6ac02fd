/* src/net/inputs.c - the inputs of a graph: one changes from sample to sample, the others are held
 * fixed and become constants. */
#include "net/net_impl.h"
#include "sgdist/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct sg_fixed_input *find_fixed(const struct sg_model *m, const char *name) {
    for (int i = 0; i < m->what->n_fixed; i++) {
        if (strcmp(m->what->fixed[i].name, name) == 0) {
            return &m->what->fixed[i];
        }
    }
    return NULL;
}

static int is_auto(const struct sg_model *m) {
    return m->what->input == NULL || strcmp(m->what->input, "auto") == 0;
}

/* ---- names of the caller ---- */

static sg_status check_name(const struct sg_model *m, const char *name) {
    sg_status status = SG_OK;
    const char *best = NULL;

    for (int64_t i = 0; i < m->graph.n_inputs; i++) {
        const char *pair[2] = {m->graph.inputs[i].name, best};

        if (strcmp(pair[0], name) == 0) {
            return SG_OK;
        }
        best = sg_text_nearest(name, pair, best == NULL ? 1 : 2);
    }
    SG_CHECK(0, SG_E_MODEL, "%s: it has no input '%s'; %s'%s'%s", m->file, name,
             best != NULL ? "the nearest name is " : "its first one is ",
             best != NULL            ? best
             : m->graph.n_inputs > 0 ? m->graph.inputs[0].name
                                     : "",
             " (sgdist info lists them)");
done:
    return status;
}

sg_status sg_check_fixed(const struct sg_model *m) {
    sg_status status = SG_OK;

    for (int i = 0; i < m->what->n_fixed; i++) {
        SG_TRY(check_name(m, m->what->fixed[i].name));
        SG_CHECK(is_auto(m) || strcmp(m->what->fixed[i].name, m->what->input) != 0, SG_E_MODEL,
                 "%s: its input '%s' is explained and held fixed at the same time", m->file,
                 m->what->input);
    }
    if (!is_auto(m)) {
        SG_TRY(check_name(m, m->what->input));
    }
done:
    return status;
}

/* ---- held fixed ---- */

/* The shape of a fixed input as a constant: the file's with the batch 1, unknown lengths from the
 * array. */
static sg_status fixed_shape(const struct sg_model *m, const struct onnx_value *in,
                             const struct sg_fixed_input *fixed, struct sg_constant *out) {
    sg_status status = SG_OK;
    const int shift = fixed->n_axes + 1 == in->n_axes ? 1 : 0; /* the array has no batch axis */
    char wants[160];
    char has[160];

    (void)sg_axes_text(in->n_axes, in->axes, wants, sizeof wants);
    (void)sg_axes_text(fixed->n_axes, fixed->axes, has, sizeof has);
    *out = (struct sg_constant){.n_axes = in->n_axes, .n = 1};
    for (int i = 0; i < in->n_axes; i++) {
        const int is_given = fixed->n_axes > 0 && i >= shift && i - shift < fixed->n_axes;
        const int64_t given = is_given ? fixed->axes[i - shift] : -1;

        out->axes[i] = i == 0 ? 1 : in->axes[i] != -1 ? in->axes[i] : given;
        SG_CHECK(out->axes[i] != -1, SG_E_MODEL,
                 "%s: its input '%s' has the shape %s (-1: not fixed): give an array, not one "
                 "number",
                 m->file, in->name, wants);
        SG_CHECK(out->axes[i] >= 0 && !__builtin_mul_overflow(out->n, out->axes[i], &out->n) &&
                     out->n <= INT32_MAX,
                 SG_E_MODEL, "%s: its input '%s' has the impossible shape %s", m->file, in->name,
                 wants);
        SG_CHECK(!is_given || given == out->axes[i], SG_E_MODEL,
                 "%s: its input '%s' has the shape %s, the array for it %s", m->file, in->name,
                 wants, has);
    }
    SG_CHECK(fixed->n_axes == 0 || fixed->n_axes == in->n_axes - shift, SG_E_MODEL,
             "%s: its input '%s' has the shape %s, the array for it %s", m->file, in->name, wants,
             has);
done:
    return status;
}

static sg_status hold_fixed(struct sg_model *m, struct sg_value *v, const struct onnx_value *in,
                            const struct sg_fixed_input *fixed) {
    sg_status status = SG_OK;
    const int class = onnx_type_class(in->type);
    const int64_t step = fixed->n_axes > 0 ? 1 : 0;
    struct sg_constant *c = &v->constant;

    SG_CHECK(class != 0 && in->has_shape && in->n_axes <= SG_CONSTANT_AXES, SG_E_MODEL,
             "%s: its input '%s' has the data type %lld and %d axes, which is not supported",
             m->file, v->name, (long long)in->type, in->n_axes);
    SG_TRY(fixed_shape(m, in, fixed, c));
    if (class == 1) {
        float *floats = sg_region_floats(&m->scratch, c->n);

        SG_CHECK(floats != NULL, SG_E_NOMEM, "%s: no memory for '%s'", m->file, v->name);
        for (int64_t i = 0; i < c->n; i++) {
            floats[i] = fixed->values[i * step];
        }
        c->floats = floats;
    } else {
        int64_t *ints = sg_region_take(&m->scratch, (size_t)c->n, sizeof *ints);

        SG_CHECK(ints != NULL, SG_E_NOMEM, "%s: no memory for '%s'", m->file, v->name);
        for (int64_t i = 0; i < c->n; i++) {
            const double value = (double)fixed->values[i * step];

            SG_CHECK(fabs(value) <= INT32_MAX && value == rint(value), SG_E_MODEL,
                     "%s: its input '%s' takes whole numbers up to 2^31, not %g", m->file, v->name,
                     value);
            ints[i] = (int64_t)value;
        }
        c->ints = ints;
    }
    v->kind = SG_VALUE_CONSTANT;
done:
    return status;
}

/* ---- the one that changes ---- */

/* The file's lengths, and the caller's where it leaves them open. */
static sg_status take_shape(const struct sg_model *m, const struct onnx_value *in,
                            struct sg_shape *out) {
    sg_status status = SG_OK;
    const struct sg_shape *given = m->what->shape;
    const int skip = given != NULL && given->n_axes == in->n_axes ? 1 : 0;
    char wants[160];
    char has[160];

    (void)sg_axes_text(in->n_axes, in->axes, wants, sizeof wants);
    if (given != NULL) {
        (void)sg_axes_text(given->n_axes, given->axes, has, sizeof has);
        SG_CHECK(given->n_axes - skip == in->n_axes - 1, SG_E_MODEL,
                 "%s: its input '%s' has the shape %s, to which %s does not fit", m->file, in->name,
                 wants, has);
    }
    out->n_axes = in->n_axes - 1;
    for (int i = 0; i < out->n_axes; i++) {
        const int64_t length = in->axes[i + 1];

        SG_CHECK(length != -1 || given != NULL, SG_E_MODEL,
                 "%s: its input '%s' has the shape %s (-1: an axis that is left open): give the "
                 "lengths of a sample, like model.shape: [3, 224, 224] (info: --shape 3,224,224)",
                 m->file, in->name, wants);
        out->axes[i] = length != -1 ? length : given->axes[i + skip];
        SG_CHECK(given == NULL || given->axes[i + skip] == out->axes[i], SG_E_MODEL,
                 "%s: its input '%s' has the shape %s, to which %s does not fit", m->file, in->name,
                 wants, has);
    }
done:
    return status;
}

/* Symbolic batch, or one frozen in the file; every other length has to be known. */
static sg_status take_explained(struct sg_model *m, struct sg_value *v,
                                const struct onnx_value *in) {
    sg_status status = SG_OK;
    char text[160];

    SG_CHECK(onnx_type_class(in->type) == 1, SG_E_MODEL,
             "%s: its input '%s' has the data type %lld; floating-point numbers are supported",
             m->file, v->name, (long long)in->type);
    SG_CHECK(in->has_shape && in->n_axes >= 2 && in->n_axes <= SG_MAX_AXES + 1, SG_E_MODEL,
             "%s: its input '%s' has %d axes; 2 to %d are supported, the batch first", m->file,
             v->name, in->n_axes, SG_MAX_AXES + 1);
    SG_TRY(take_shape(m, in, &v->shape));
    v->size = 1;
    for (int i = 0; i < v->shape.n_axes; i++) {
        SG_CHECK(v->shape.axes[i] >= 1 &&
                     !__builtin_mul_overflow(v->size, v->shape.axes[i], &v->size) &&
                     v->size <= INT32_MAX,
                 SG_E_MODEL,
                 "%s: its input '%s' has the impossible shape %s; every axis must be 1 or longer, "
                 "and all of them together below 2^31",
                 m->file, v->name, sg_axes_text(in->n_axes, in->axes, text, sizeof text));
    }
    SG_CHECK(in->axes[0] >= 1 || in->axes[0] == -1, SG_E_MODEL,
             "%s: its input '%s' has a batch axis of length %lld", m->file, v->name,
             (long long)in->axes[0]);
    m->frozen_batch = in->axes[0];
    v->kind = SG_VALUE_DYNAMIC;
    m->input = v;
done:
    return status;
}

sg_status sg_take_input(struct sg_model *m, struct sg_value *v, const struct onnx_value *in) {
    sg_status status = SG_OK;
    const struct sg_fixed_input *fixed = find_fixed(m, v->name);
    char text[160];

    if (fixed != NULL) {
        return hold_fixed(m, v, in, fixed);
    }
    (void)sg_axes_text(in->n_axes, in->axes, text, sizeof text);
    SG_CHECK(is_auto(m) || strcmp(v->name, m->what->input) == 0, SG_E_MODEL,
             "%s: its input '%s' of shape %s is not the explained one and has no value; hold it "
             "fixed, like model.inputs: {\"%s\": 0}",
             m->file, v->name, text, v->name);
    SG_CHECK(m->input == NULL, SG_E_MODEL,
             "%s: it has two inputs, '%s' and '%s' of shape %s: one is explained, hold the other "
             "fixed, like model.inputs: {\"%s\": 0}",
             m->file, m->input->name, v->name, text, v->name);
    SG_TRY(take_explained(m, v, in));
done:
    return status;
}
