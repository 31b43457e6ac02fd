/* src/methods/map.c - from a method's numbers to the map: its shape, its space, its channels, its
 * size.
 */
#include "methods/methods_impl.h"

#include <math.h>
#include <string.h>

/* A tensor without its channel axis. */
static struct sg_shape places_of(const struct sg_shape *s) {
    struct sg_shape places = {.n_axes = 1, .axes = {1}};

    for (int i = 1; i < s->n_axes; i++) {
        places.axes[i - 1] = s->axes[i];
        places.n_axes = i;
    }
    return places;
}

void sg_instance_map_shape(const struct sg_instance *inst, const struct sg_shape *read,
                           const struct sg_shape *input, struct sg_shape *out) {
    const int over_places = inst->method->over == SG_OVER_PLACES;
    const struct sg_shape *grid =
        over_places && inst->params.cam.size == SG_SIZE_INPUT ? input : read;

    *out = over_places || inst->params.reduction != SG_CHANNELS_NONE ? places_of(grid) : *grid;
}

static int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

int64_t sg_map_n_work(const struct sg_instance *inst, const struct sg_shape *read,
                      const struct sg_shape *input) {
    const int64_t d = sg_shape_size(read);
    struct sg_shape map;

    sg_instance_map_shape(inst, read, input, &map);
    return larger(d, sg_shape_size(&map)) +
           larger(inst->method->n_scratch * d, sg_filter_n_work(&inst->params.filter, &map));
}

/* df/dpixel = df/dinput dinput/dpixel, and what goes with a power of the gradient goes with that
 * power of the factor. */
void sg_map_to_space(const struct sg_instance *inst, const struct sg_finish *in, double *v) {
    const int64_t plane = sg_shape_plane(in->shape);
    const int power = inst->method->gradient_power;

    /* What a path reads is in units of the score: its space has decided what zero is. */
    if (inst->params.space == SG_SPACE_INPUT || inst->params.probing.kind == SG_PROBE_PATH) {
        return;
    }
    for (int64_t c = 0; c < in->shape->axes[0]; c++) {
        const double of_channel = in->domain->input_per_pixel[c];
        double factor = 1;

        for (int p = 0; p < (power < 0 ? -power : power); p++) {
            factor *= power < 0 ? 1 / of_channel : of_channel;
        }
        for (int64_t i = c * plane; i < (c + 1) * plane; i++) {
            v[i] *= factor;
        }
    }
}

/* Where a place of the larger axis lies between two of the smaller one. */
struct between {
    int64_t low;
    int64_t high;
    double share; /* of the higher one */
};

/* Places are the middles of equal cells (align_corners=False of PyTorch): place o of n_to lies at
 * (o + 1/2) n_from / n_to - 1/2, and beyond the outer middles there is the outer value. */
static struct between find_between(int64_t o, int64_t n_to, int64_t n_from) {
    const double at = fmax(0, ((double)o + 0.5) * ((double)n_from / (double)n_to) - 0.5);
    const int64_t low = (int64_t)at < n_from ? (int64_t)at : n_from - 1;

    return (struct between){low, low + 1 < n_from ? low + 1 : low, at - (double)low};
}

/* Multilinear: the corners of the cell of middles, each by its share. */
static double interpolate(const struct sg_shape *from, const double *v, const struct between *b) {
    double sum = 0;

    for (int corner = 0; corner < 1 << from->n_axes; corner++) {
        double share = 1;
        int64_t at = 0;

        for (int a = 0; a < from->n_axes; a++) {
            const int is_high = corner >> a & 1;

            share *= is_high ? b[a].share : 1 - b[a].share;
            at = at * from->axes[a] + (is_high ? b[a].high : b[a].low);
        }
        sum += share > 0 ? share * v[at] : 0;
    }
    return sum;
}

static void bring_to(const struct sg_shape *from, const double *v, const struct sg_shape *to,
                     double *out) {
    const int64_t n = sg_shape_size(to);
    struct between b[SG_MAX_AXES];

    for (int64_t o = 0; o < n; o++) {
        int64_t rest = o;

        for (int a = to->n_axes - 1; a >= 0; a--) {
            b[a] = find_between(rest % to->axes[a], to->axes[a], from->axes[a]);
            rest /= to->axes[a];
        }
        out[o] = interpolate(from, v, b);
    }
}

sg_status sg_instance_map(const struct sg_instance *inst, const struct sg_finish *in, double *work,
                          double *map) {
    sg_status status = SG_OK;
    const struct sg_shape places = places_of(in->shape);
    struct sg_shape shape;
    struct sg_finish with_scratch = *in;
    double *full = work;

    sg_instance_map_shape(inst, in->shape, in->input, &shape);
    with_scratch.scratch = work + larger(in->n_features, sg_shape_size(&shape));
    SG_TRY(inst->method->finish(&with_scratch, full));
    if (inst->method->over == SG_OVER_PLACES) {
        bring_to(&places, full, &shape, map);
    } else {
        sg_map_to_space(inst, in, full);
        sg_reduce_channels(inst->params.reduction, in->shape->axes[0], sg_shape_plane(in->shape),
                           full, map);
    }
    sg_filter_apply(&inst->params.filter, &shape, with_scratch.scratch, map);
done:
    return status;
}
