/* src/net/ops/resize.c - ONNX Resize and Upsample: nearest along any axes, linear and cubic along
 * the two of an image, as sums of a few source elements an axis. */
#include "net/ops/ops_impl.h"

#include <math.h>
#include <string.h>

enum { TAPS = 4 };
static const int64_t max_length = (int64_t)1 << 24;

/* Along one axis: each output takes from up to four inputs. */
struct line {
    int64_t in, out;
    int n_taps;
    int64_t *from; /* [out][n_taps] */
    float *weight;
    int *outside; /* [out] nothing but the extrapolation value */
};

struct resize {
    struct line line[2];
    int64_t channels;
    float outside;
};

struct request {
    const char *mode, *coordinates, *nearest;
    float cubic;
    int64_t exclude_outside;
    int64_t n; /* axes */
    const float *scales;
    const int64_t *sizes;
    const float *roi; /* [2][n]: start and end of each axis, for tf_crop_and_resize */
    float outside;
};

/* The source coordinate of output i along axis k. */
static double source_of(const struct request *r, int k, int64_t i, int64_t in, int64_t out,
                        double scale) {
    const char *how = r->coordinates;
    const double x = (double)i;

    if (r->roi == NULL && scale == 1.0) {
        return x; /* whatever the rounding */
    }
    if (strcmp(how, "asymmetric") == 0) {
        return x / scale;
    }
    if (strcmp(how, "align_corners") == 0) {
        return out > 1 ? x * (double)(in - 1) / ((double)in * scale - 1.0) : 0.0;
    }
    if (strcmp(how, "tf_half_pixel_for_nn") == 0) {
        return (x + 0.5) / scale;
    }
    if (r->roi != NULL) {
        const double start = (double)r->roi[k], end = (double)r->roi[r->n + k];
        const double last = (double)(in - 1);

        return out > 1 ? start * last + x * (end - start) * last / ((double)in * scale - 1.0)
                       : 0.5 * (start + end) * last;
    }
    if (strcmp(how, "pytorch_half_pixel") == 0 && out <= 1) {
        return 0.0;
    }
    return (x + 0.5) / scale - 0.5;
}

static int64_t nearest_of(const char *how, double x) {
    if (strcmp(how, "floor") == 0) {
        return (int64_t)floor(x);
    }
    if (strcmp(how, "ceil") == 0) {
        return (int64_t)ceil(x);
    }
    return (int64_t)(strcmp(how, "round_prefer_ceil") == 0 ? floor(x + 0.5) : ceil(x - 0.5));
}

static int64_t clamped(int64_t i, int64_t n) {
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

/* Beyond the input, where a region reaches there: the extrapolation value instead. */
static int is_outside(const struct request *r, double x, int64_t in) {
    return r->roi != NULL && (x < 0.0 || x > (double)(in - 1));
}

static sg_status one_of(const struct sg_node *node, const char *what, const char *value,
                        const char *const *allowed, int n) {
    sg_status status = SG_OK;
    int found = 0;

    for (int i = 0; i < n; i++) {
        found = found || strcmp(value, allowed[i]) == 0;
    }
    SG_NODE_CHECK(found, node, "%s '%s' is not supported", what, value);
done:
    return status;
}

static sg_status read_request(const struct sg_node *node, struct request *r) {
    sg_status status = SG_OK;
    static const char *const modes[] = {"nearest", "linear", "cubic"};
    static const char *const coordinates[] = {"half_pixel",           "pytorch_half_pixel",
                                              "align_corners",        "asymmetric",
                                              "tf_half_pixel_for_nn", "tf_crop_and_resize"};
    static const char *const rounding[] = {"round_prefer_floor", "round_prefer_ceil", "floor",
                                           "ceil"};
    const int is_old = node->model->graph.opset < 11;
    const int i_scales = is_old ? 1 : 2;

    SG_TRY(sg_check_inputs(node, 1, 4));
    SG_TRY(sg_attribute_text(node, "mode", "nearest", &r->mode));
    SG_TRY(sg_attribute_text(node, "coordinate_transformation_mode",
                             is_old ? "asymmetric" : "half_pixel", &r->coordinates));
    SG_TRY(sg_attribute_text(node, "nearest_mode", is_old ? "floor" : "round_prefer_floor",
                             &r->nearest));
    SG_TRY(sg_attribute_float(node, "cubic_coeff_a", -0.75f, &r->cubic));
    SG_TRY(sg_attribute_int(node, "exclude_outside", 0, &r->exclude_outside));
    SG_TRY(one_of(node, "the mode", r->mode, modes, 3));
    SG_TRY(one_of(node, "the coordinate mode", r->coordinates, coordinates, 6));
    SG_TRY(one_of(node, "the rounding", r->nearest, rounding, 4));
    if (sg_has_input(node, 3)) {
        SG_TRY(sg_ints_from(node, "sizes", 3, &r->n, &r->sizes));
    } else if (sg_has_input(node, i_scales)) {
        const struct sg_constant *c;

        SG_TRY(sg_float_constant(node, i_scales, "scales", &c));
        r->n = c->n;
        r->scales = c->floats;
    } else {
        const struct onnx_attribute *a = sg_attribute_find(node, "scales");

        SG_NODE_CHECK(a != NULL && a->type == ONNX_ATTR_FLOATS, node, "it has no scales or sizes");
        r->n = a->n_list;
        r->scales = a->floats;
    }
    if (strcmp(r->coordinates, "tf_crop_and_resize") == 0) {
        const struct sg_constant *c;

        SG_TRY(sg_float_constant(node, 1, "region", &c));
        SG_NODE_CHECK(c->n == 2 * r->n, node, "its region has %lld numbers for %lld axes",
                      (long long)c->n, (long long)r->n);
        r->roi = c->floats;
    }
    SG_TRY(sg_attribute_float(node, "extrapolation_value", 0.0f, &r->outside));
done:
    return status;
}

static sg_status out_axes(const struct sg_node *node, const struct request *r,
                          const struct sg_layout *in, int64_t *axes, double *scale) {
    sg_status status = SG_OK;

    SG_NODE_CHECK(r->n == in->n_axes, node, "it scales %lld axes of %d", (long long)r->n,
                  in->n_axes);
    for (int k = 0; k < in->n_axes; k++) {
        const double length = r->sizes != NULL ? (double)r->sizes[k]
                                               : floor((double)in->axes[k] * (double)r->scales[k]);

        SG_NODE_CHECK(length >= 1.0 && length <= (double)max_length, node,
                      "it makes an axis of length %g", length);
        axes[k] = (int64_t)length;
        if (k == 0 && sg_is_file_batch(node, 3, axes[0])) {
            axes[0] = 1;
            scale[0] = 1.0;
            continue;
        }
        scale[k] = r->sizes != NULL ? length / (double)in->axes[k] : (double)r->scales[k];
    }
done:
    return status;
}

static sg_status become_nearest(struct sg_node *node, const struct request *r,
                                const struct sg_layout *in, const int64_t *axes,
                                const double *scale) {
    sg_status status = SG_OK;
    struct sg_map map = {.fill = r->outside};

    for (int k = 0; k < in->n_axes; k++) {
        SG_TRY(sg_map_loop(node, &map, k, axes[k]));
        for (int64_t i = 0; i < axes[k]; i++) {
            const double x = source_of(r, k, i, in->axes[k], axes[k], scale[k]);

            map.from[k][i] = clamped(nearest_of(r->nearest, x), in->axes[k]) * in->strides[k];
            if (is_outside(r, x, in->axes[k])) {
                map.from[k][i] = SG_MAP_HOLE;
            }
        }
    }
    SG_TRY(sg_map_end(node, &map, in->n_axes, axes));
done:
    return status;
}

/* Keys' kernel with the parameter a. */
static double cubic(double d, double a) {
    d = fabs(d);
    if (d < 1.0) {
        return ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0;
    }
    return d < 2.0 ? ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a : 0.0;
}

static sg_status make_line(const struct sg_node *node, const struct request *r, int axis,
                           double scale, struct line *l) {
    sg_status status = SG_OK;
    const int is_cubic = strcmp(r->mode, "cubic") == 0;

    l->n_taps = is_cubic ? 4 : 2;
    l->from = sg_region_take(&node->model->keep, (size_t)(l->out * l->n_taps), sizeof *l->from);
    l->weight = sg_region_take(&node->model->keep, (size_t)(l->out * l->n_taps), sizeof *l->weight);
    SG_NODE_NOMEM(l->from, node);
    SG_NODE_NOMEM(l->weight, node);
    l->outside = sg_region_take(&node->model->keep, (size_t)l->out, sizeof *l->outside);
    SG_NODE_NOMEM(l->outside, node);
    for (int64_t i = 0; i < l->out; i++) {
        const double x = source_of(r, axis, i, l->in, l->out, scale);
        const int64_t first = (int64_t)floor(x) - (is_cubic ? 1 : 0);
        double w[TAPS], sum = 0.0;

        for (int t = 0; t < l->n_taps; t++) {
            const int64_t at = first + t;

            w[t] = is_cubic ? cubic(x - (double)at, (double)r->cubic) : 1.0 - fabs(x - (double)at);
            w[t] = r->exclude_outside != 0 && (at < 0 || at >= l->in) ? 0.0 : w[t];
            sum += w[t];
            l->from[i * l->n_taps + t] = clamped(at, l->in);
        }
        l->outside[i] = is_outside(r, x, l->in);
        for (int t = 0; t < l->n_taps; t++) {
            l->weight[i * l->n_taps + t] = l->outside[i] ? 0.0f : (float)(w[t] / sum);
        }
    }
done:
    return status;
}

static sg_status resize(struct sg_node *node) {
    sg_status status = SG_OK;
    struct request r = {0};
    struct sg_layout in;
    int64_t axes[SG_CONSTANT_AXES];
    double scale[SG_CONSTANT_AXES];
    struct resize *own;

    SG_TRY(read_request(node, &r));
    sg_input_layout(node, 0, &in);
    SG_TRY(out_axes(node, &r, &in, axes, scale));
    if (strcmp(r.mode, "nearest") == 0) {
        SG_TRY(become_nearest(node, &r, &in, axes, scale));
        return SG_OK;
    }
    SG_NODE_CHECK(in.n_axes == 4 && in.axes[0] == axes[0] && in.axes[1] == axes[1], node,
                  "the mode '%s' is supported along the two axes of an image only", r.mode);
    if (node->in[0]->whole) {
        SG_TRY(sg_make_ordinary(node, 0));
    }
    SG_TRY(sg_own(node, sizeof *own, &own));
    own->channels = axes[1];
    own->outside = r.outside;
    for (int k = 0; k < 2; k++) {
        own->line[k].in = in.axes[k + 2];
        own->line[k].out = axes[k + 2];
        SG_TRY(make_line(node, &r, k + 2, scale[k + 2], &own->line[k]));
    }
    node->n_in = 1;
    SG_TRY(sg_set_dynamic(node, 3, axes + 1));
done:
    return status;
}

/* Rows first: y = sum over the taps of both axes. */
static void forward(const struct sg_call *call) {
    const struct resize *own = call->node->own;
    const struct line *h = &own->line[0], *w = &own->line[1];
    const int64_t c = own->channels;
    float *y = call->y;

    for (int64_t i = 0; i < call->batch * h->out * w->out; i++, y += c) {
        const int64_t n = i / w->out / h->out, row = i / w->out % h->out, column = i % w->out;

        for (int64_t k = 0; k < c; k++) {
            y[k] = h->outside[row] || w->outside[column] ? own->outside : 0.0f;
        }
        for (int t = 0; t < h->n_taps * w->n_taps; t++) {
            const int64_t a = row * h->n_taps + t / w->n_taps,
                          b = column * w->n_taps + t % w->n_taps;
            const float weight = h->weight[a] * w->weight[b];
            const float *x = call->x[0] + ((n * h->in + h->from[a]) * w->in + w->from[b]) * c;

            for (int64_t k = 0; k < c; k++) {
                y[k] += weight * x[k];
            }
        }
    }
}

static void backward(const struct sg_call *call) {
    const struct resize *own = call->node->own;
    const struct line *h = &own->line[0], *w = &own->line[1];
    const int64_t c = own->channels;
    const float *dy = call->dy;

    if (!call->accumulate[0]) {
        memset(call->dx[0], 0, (size_t)(call->batch * call->node->in[0]->size) * sizeof *dy);
    }
    for (int64_t i = 0; i < call->batch * h->out * w->out; i++, dy += c) {
        const int64_t n = i / w->out / h->out, row = i / w->out % h->out, column = i % w->out;

        for (int t = 0; t < h->n_taps * w->n_taps; t++) {
            const int64_t a = row * h->n_taps + t / w->n_taps,
                          b = column * w->n_taps + t % w->n_taps;
            const float weight = h->weight[a] * w->weight[b];
            float *dx = call->dx[0] + ((n * h->in + h->from[a]) * w->in + w->from[b]) * c;

            for (int64_t k = 0; k < c; k++) {
                dx[k] += weight * dy[k];
            }
        }
    }
}

#define RESIZING(op_name, first, last, file_name)                                                  \
    const struct sg_op sg_op_##file_name = {                                                       \
        .name = op_name,                                                                           \
        .opset_min = first,                                                                        \
        .opset_max = last,                                                                         \
        .flags = SG_OP_TAKES_WHOLE,                                                                \
        .infer = resize,                                                                           \
        .forward = forward,                                                                        \
        .backward = backward,                                                                      \
    }

RESIZING("Resize", 10, 0, resize);
RESIZING("Upsample", 0, 9, upsample);
