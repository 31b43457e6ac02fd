/* src/methods/cam.c - class activation maps: the feature maps of a layer, added up with weights
 * that come from the gradient of the score there.
 *
 * Feature maps and places that the options leave out count as if the layer did not have them: sums
 * and means that make the weights leave them out, and the map is 0 at such places. */
#include "methods/methods_impl.h"

#include <math.h>
#include <string.h>

sg_status sg_cam_take_moments(const struct sg_finish *in) {
    sg_status status = SG_OK;
    const int64_t d = in->n_features;
    double *moments[3] = {in->scratch, in->scratch + d, in->scratch + 2 * d};
    const double n = (double)sg_sums_n_added(in->sums);

    SG_TRY(sg_sums_mean(in->sums, moments[0]));
    SG_TRY(sg_sums_mean_square(in->sums, moments[1]));
    SG_TRY(sg_sums_mean_cube(in->sums, moments[2]));
    for (int64_t i = 0; methods_n_clean(in->params) && i < d; i++) {
        const double g = in->clean[i];

        moments[0][i] = (n * moments[0][i] + g) / (n + 1);
        moments[1][i] = (n * moments[1][i] + g * g) / (n + 1);
        moments[2][i] = (n * moments[2][i] + g * g * g) / (n + 1);
    }
done:
    return status;
}

static void add_map(const struct sg_finish *in, int64_t k, sg_cam_weight *weight,
                    sg_cam_weight_at *weight_at, double *map) {
    const int64_t plane = sg_shape_plane(in->shape);
    const float *a = in->x + k * plane;
    const double common = weight != NULL ? weight(in, k) : 0;

    for (int64_t i = 0; i < plane; i++) {
        if (sg_cam_has_place(in, i)) {
            map[i] += (weight_at != NULL ? weight_at(in, k, i) : common) * a[i];
        }
    }
}

sg_status sg_cam_finish(const struct sg_finish *in, sg_cam_weight *weight,
                        sg_cam_weight_at *weight_at, double *map) {
    const struct sg_cam *cam = &in->params->cam;
    const int64_t plane = sg_shape_plane(in->shape);

    memset(map, 0, (size_t)plane * sizeof *map);
    for (int64_t k = 0; k < in->shape->axes[0]; k++) {
        if (cam->n_maps == 0 || sg_cam_is_chosen(cam, k)) {
            add_map(in, k, weight, weight_at, map);
        }
    }
    for (int64_t i = 0; cam->relu && i < plane; i++) {
        map[i] = map[i] > 0 ? map[i] : 0;
    }
    return SG_OK;
}
