/* src/methods/baseline.c - where paths begin. */
#include "methods/methods_impl.h"

/* The number v of the path's space, in the model's input space. */
static float in_input(int32_t space, const struct sg_domain *d, int64_t c, double v) {
    return (float)(space == SG_SPACE_PIXEL ? d->input_at_zero[c] + d->input_per_pixel[c] * v : v);
}

static void fill_channel(float v, int64_t n, float *x0) {
    for (int64_t i = 0; i < n; i++) {
        x0[i] = v;
    }
}

static float mean_of(const float *x, int64_t n) {
    double sum = 0;

    for (int64_t i = 0; i < n; i++) {
        sum += (double)x[i];
    }
    return (float)(sum / (double)n);
}

/* ---- blur: a Gaussian cut off at 4 sigma, along every axis but the channels ---- */

/* Beyond an edge the values go on in a mirror that stands on the edge: c b a | a b c. */
static int64_t mirrored(int64_t i, int64_t n) {
    i %= 2 * n;
    i += i < 0 ? 2 * n : 0;
    return i < n ? i : 2 * n - 1 - i;
}

enum { MAX_RADIUS = 4 * SG_MAX_BLUR };

struct kernel {
    int64_t radius;
    double weights[MAX_RADIUS + 1]; /* of the middle and of those beside it */
};

static void make_kernel(double sigma, struct kernel *out) {
    out->radius = (int64_t)(4 * sigma + 0.5);
    SG_ASSERT(out->radius <= MAX_RADIUS);
    for (int64_t k = 0; k <= out->radius; k++) {
        out->weights[k] = sg_exp_minus((double)(k * k) / (2 * sigma * sigma));
    }
}

/* One line of n values that lie `stride` apart. */
static void blur_line(const struct kernel *kernel, const double *from, int64_t n, int64_t stride,
                      double *to) {
    const int64_t radius = kernel->radius;

    for (int64_t i = 0; i < n; i++) {
        double sum = 0;
        double weights = 0;

        for (int64_t k = -radius; k <= radius; k++) {
            const double w = kernel->weights[k < 0 ? -k : k];

            sum += w * from[mirrored(i + k, n) * stride];
            weights += w;
        }
        to[i * stride] = sum / weights;
    }
}

static void blur_axis(const struct kernel *kernel, const struct sg_shape *shape, int axis,
                      const double *from, double *to) {
    const int64_t size = sg_shape_size(shape);
    const int64_t n = shape->axes[axis];
    int64_t stride = 1;

    for (int a = axis + 1; a < shape->n_axes; a++) {
        stride *= shape->axes[a];
    }
    for (int64_t first = 0; first < size; first += n * stride) {
        for (int64_t i = 0; i < stride; i++) {
            blur_line(kernel, from + first + i, n, stride, to + first + i);
        }
    }
}

static void blur(double sigma, const struct sg_shape *shape, const float *x, double *scratch,
                 float *x0) {
    const int64_t n = sg_shape_size(shape);
    double *from = scratch;
    double *to = scratch + n;
    struct kernel kernel;

    make_kernel(sigma, &kernel);
    for (int64_t i = 0; i < n; i++) {
        from[i] = (double)x[i];
    }
    for (int axis = 1; axis < shape->n_axes; axis++) {
        double *swap = from;

        blur_axis(&kernel, shape, axis, from, to);
        from = to;
        to = swap;
    }
    for (int64_t i = 0; i < n; i++) {
        x0[i] = (float)from[i];
    }
}

void sg_baseline_fill(const struct sg_baseline *b, int32_t space, const struct sg_shape *shape,
                      const struct sg_domain *domain, const float *item, const float *given,
                      double *scratch, float *x0) {
    const int64_t plane = sg_shape_plane(shape);

    if (b->kind == SG_BASELINE_BLURRED) {
        blur(b->values[0], shape, item, scratch, x0);
        return;
    }
    for (int64_t c = 0; c < shape->axes[0]; c++) {
        float *channel = x0 + c * plane;

        if (b->kind == SG_BASELINE_FILE) {
            for (int64_t i = 0; i < plane; i++) {
                channel[i] = in_input(space, domain, c, (double)given[c * plane + i]);
            }
        } else if (b->kind == SG_BASELINE_ITEM_MEAN) {
            fill_channel(mean_of(item + c * plane, plane), plane, channel);
        } else { /* zero has one value, which is 0 */
            fill_channel(in_input(space, domain, c, b->values[b->n_values > 1 ? c : 0]), plane,
                         channel);
        }
    }
}
