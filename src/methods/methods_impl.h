/* src/methods/methods_impl.h - what the files of the methods share. */
#ifndef METHODS_IMPL_H
#define METHODS_IMPL_H

#include "sgdist/methods.h"

#define SG_METHOD(name) extern const struct sg_method sg_method_##name;
#include "methods/methods.def"
#undef SG_METHOD

/* The samplers. */
extern const struct sg_sampler sg_sampler_clean;     /* the item itself */
extern const struct sg_sampler sg_sampler_still;     /* ... once for each draw of the weights */
extern const struct sg_sampler sg_sampler_gaussian;  /* x + sigma z, sigma common to a channel */
extern const struct sg_sampler sg_sampler_adaptgrad; /* x + sigma_i z, sigma_i from the box */

extern const struct sg_sampler sg_sampler_items; /* the item itself, the path to it at random */
/* finish.c: to float, every value must be a number; and errors, which may be NaN where they are
 * unknown. */
sg_status methods_store_map(const char *label, int64_t n, const double *from, float *to);
void methods_store_se(int64_t n, const double *from, float *to);

/* The clean gradient as one more term of a mean over n samples: 1 where params count it, else 0. */
static inline int methods_n_clean(const struct sg_params *p) {
    return p->sampling.clean != SG_CLEAN_NONE;
}

/* The workspace of an instance, M being the size of the map. Places that the instance does not need
 * lie behind its end. */
struct methods_workspace {
    double *all;     /* [M] the map */
    double *without; /* [M] without a group */
    double *knife;   /* [3 M] */
    double *map;     /* of sg_instance_map, which begins with an array of the larger of D and M */
    double *mean;    /* [D] the mean gradient, where the map is scaled to it */
};
struct methods_workspace methods_split_work(const struct sg_instance *inst,
                                            const struct sg_finish *in, double *work);

/* map.c: doubles that sg_instance_map works in, the first ones an array of the larger of the tensor
 * and the map; v[D] from the model's input into the space of the map. */
int64_t sg_map_n_work(const struct sg_instance *inst, const struct sg_shape *read,
                      const struct sg_shape *input);
void sg_map_to_space(const struct sg_instance *inst, const struct sg_finish *in, double *v);

/* filter.c: filters map[shape] in place, in work[sg_filter_n_work]. */
int64_t sg_filter_n_work(const struct sg_filter *f, const struct sg_shape *shape);
void sg_filter_apply(const struct sg_filter *f, const struct sg_shape *shape, double *work,
                     double *map);

/* dft.c: takes the frequencies beyond `radius` out of v[rows][columns], in work[sg_lowpass_n_work].
 */
int64_t sg_lowpass_n_work(int64_t rows, int64_t columns, double radius);
void sg_lowpass(int64_t rows, int64_t columns, double radius, double *work, double *v);

/* cam.c: the finish of a class activation map, map(i) = relu(sum_k w_k(i) A_k(i)) over the maps k
 * and places i that count. One of the two is NULL: a weight for each map k, or for each place i of
 * it. */
typedef double sg_cam_weight(const struct sg_finish *in, int64_t k);
typedef double sg_cam_weight_at(const struct sg_finish *in, int64_t k, int64_t i);
sg_status sg_cam_finish(const struct sg_finish *in, sg_cam_weight *weight,
                        sg_cam_weight_at *weight_at, double *map);

/* 1 if place i of the layer counts. */
static inline int sg_cam_has_place(const struct sg_finish *in, int64_t i) {
    const struct sg_cam *cam = &in->params->cam;

    for (int a = cam->n_neurons - 1; a >= 0; a--) {
        const int64_t length = in->shape->axes[a + 1];
        const int64_t at = i % length;

        if (at < cam->neurons[a] || at >= cam->neurons[cam->n_neurons + a]) {
            return 0;
        }
        i /= length;
    }
    return 1;
}

/* The means of g^power over the samples, power 1 to 3, into scratch. */
sg_status sg_cam_take_moments(const struct sg_finish *in);

/* One of them, of map k at place i; of methods without a sweep, g^power at the item itself. */
static inline double sg_cam_moment(const struct sg_finish *in, int power, int64_t k, int64_t i) {
    const int64_t at = k * sg_shape_plane(in->shape) + i;
    const double g = in->sums == NULL ? in->clean[at] : 0;

    return in->sums != NULL ? in->scratch[(power - 1) * in->n_features + at]
           : power == 1     ? g
           : power == 2     ? g * g
                            : g * g * g;
}

/* Weights of grad_cam_plus_plus.c, which smooth_grad_cam_plus_plus.c has as well. */
double sg_cam_plus_plus_weight(const struct sg_finish *in, int64_t k);

/* The probe's reading at the item as the map. */
sg_status sg_finish_clean(const struct sg_finish *in, double *map);

/* exp(-y), 0 <= y < 100, in own arithmetic. */
double sg_exp_minus(double y);

/* Mean of the gradients, with the clean one where the options count it in, and its standard error:
 * finishes of smoothgrad and adaptgrad. */
sg_status sg_finish_mean(const struct sg_finish *in, double *map);
sg_status sg_finish_mean_se(const struct sg_finish *in, double *se);

/* 1 if channel c gets noise. Bits past the 64th do not exist: a full mask stands for them, too. */
int sg_sampling_has_channel(const struct sg_sampling *p, int64_t c);

/* The item itself as a point, without noise on it: of sampler_clean.c, for sampler_still.c as well.
 */
sg_status sg_prepare_still(const struct sg_sampling *p, const struct sg_item_view *item,
                           float *scale, double *sigma);
int64_t sg_draw_still(const struct sg_sampling *p, const struct sg_item_view *item,
                      const float *scale, int64_t k, float *out);

/* z[D] = the standard normals of sample k: the item's input stream. */
void sg_sampling_noise(const struct sg_item_view *item, int64_t k, float *z);

/* Counts the elements of out[D] that lie outside the domain (0 where it is unknown), then applies
 * the policy for them. */
int64_t sg_sampling_bound(const struct sg_sampling *p, const struct sg_item_view *item, float *out);

/* AdaptGrad's sigma: a form of z and a confidence, made ready. */
struct sg_width {
    enum sg_adaptgrad_z form;
    double confidence;
    double z;      /* sigma = distance to the nearer bound / z; not for the exact form */
    double z_near; /* limits of the exact form: next to a bound (0 where there is none) */
    double z_far;  /* and half-way between the two */
};

/* Errors: SG_E_ARG if the confidence does not lie between 0 and 1, or not above 1/2 for one_sided.
 */
sg_status sg_width_init(enum sg_adaptgrad_z form, double c, struct sg_width *out);

/* sigma of an element that is `below` above the lower bound and `above` below the upper one. */
double sg_width_sigma(const struct sg_width *w, double below, double above);

/* SG_E_ARG if the outside policy needs a domain that is not known. */
sg_status sg_sampling_check_outside(const struct sg_sampling *p, const struct sg_item_view *item);

#endif
