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
