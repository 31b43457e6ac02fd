/* include/sgdist/methods.h - attribution methods: sampler -> probe -> sums -> finish.
 *
 * A method names where it looks (sampler), what it reads (probe), which powers it keeps (sums), and
 * how sums become a map (finish). It sees neither ranks nor files. Instances whose sampler, probe
 * and sampling parameters agree share one sweep: the network runs once for all of them. */
#ifndef SGDIST_METHODS_H
#define SGDIST_METHODS_H

#include "sgdist/data.h"
#include "sgdist/path.h"
#include "sgdist/rng.h"
#include "sgdist/shape.h"
#include "sgdist/status.h"
#include "sgdist/sums.h"
#include "sgdist/weight_noise.h"

#include <stdint.h>

enum { SG_MAX_LABEL = 63, SG_MAX_TENSOR = 255 };

/* Conventions on which tools disagree, each a named option that is stored with the result. */
enum sg_space {
    SG_SPACE_INPUT,
    SG_SPACE_PIXEL
}; /* what the network eats; before scale, mean, std */
enum sg_noise_range { SG_RANGE_ITEM, SG_RANGE_ITEM_CHANNEL, SG_RANGE_DATASET, SG_RANGE_DOMAIN };
enum sg_noise_clean { SG_CLEAN_NONE, SG_CLEAN_EXTRA, SG_CLEAN_ONE_OF_N };
enum sg_noise_outside { SG_OUTSIDE_KEEP, SG_OUTSIDE_CLIP, SG_OUTSIDE_REFLECT };
enum sg_reduction {
    SG_CHANNELS_NONE,
    SG_CHANNELS_SUM,
    SG_CHANNELS_ABS_SUM,
    SG_CHANNELS_L2,
    SG_CHANNELS_ABS_MAX,
    SG_CHANNELS_MEAN
};
enum sg_divisor { SG_DIVISOR_UNBIASED, SG_DIVISOR_POPULATION }; /* N - 1, N */
enum sg_bounds {
    SG_BOUNDS_CHANNEL,
    SG_BOUNDS_GLOBAL
}; /* AdaptGrad's box: a channel's, or their union */

enum sg_adaptgrad_z { SG_Z_CENTRED, SG_Z_HALF, SG_Z_ONE_SIDED, SG_Z_EXACT };

/* Options that only some samplers and methods look at: the job refuses those that an instance does
 * not use, and keeps their fields 0. Every stochastic sampler uses `clean`. */
enum sg_uses {
    SG_USES_AMOUNT = 1,     /* amount, absolute, space, range */
    SG_USES_CONFIDENCE = 2, /* confidence, z, bounds */
    SG_USES_DIVISOR = 4,
    SG_USES_SPACE = 8,         /* space of the map */
    SG_USES_LAYER = 16,        /* may read a layer instead of the input */
    SG_USES_PATH = 32,         /* baselines */
    SG_USES_OF = 64,           /* may be composed with another method */
    SG_USES_GATES = 128,       /* scale, groups */
    SG_USES_CAM = 256,         /* a class activation map: it reads a layer, see struct sg_cam */
    SG_USES_WEIGHTS = 1024,    /* draws, weights */
    SG_USES_NODES = 2048,      /* how many */
    SG_USES_QUADRATURE = 4096, /* and where */
    SG_USES_THRESHOLD = 8192,  /* of saturation */
    SG_USES_GUIDANCE = 16384,  /* fraction, max_distance */
    SG_USES_NUMERATOR = 1 << 24,
    SG_USES_DENOMINATOR = 1 << 25,
    SG_USES_PLACES = 1 << 26 /* needs an input with places beside its channels */
};

/* Everything that decides which points are visited: equal values mean equal samples. Zeroed before
 * it is filled, so that memcmp compares it. Fields that a sampler does not use stay 0. */
struct sg_sampling {
    int64_t samples; /* of the input; with draws of the weights: for each of them */
    int64_t draws;   /* of the weights; 0: they are as in the model's file */
    double amount;   /* noise level, or sigma where `absolute` */
    int32_t absolute;
    int32_t space;     /* enum sg_space: of range and noise */
    int32_t range;     /* enum sg_noise_range */
    int32_t clean;     /* enum sg_noise_clean */
    int32_t outside;   /* enum sg_noise_outside */
    int32_t bounds;    /* enum sg_bounds */
    int32_t z;         /* enum sg_adaptgrad_z */
    int32_t unused;    /* 0: no bytes between the members */
    uint64_t channels; /* bit c: noise on channel c; all bits: all */
    double confidence; /* AdaptGrad's c */
    struct sg_weight_noise weights;
};

/* What is read at a point. */
enum sg_probe {
    SG_PROBE_GRADIENT, /* of the target's score with respect to a tensor */
    SG_PROBE_PATH,     /* what a path to the point adds up */
    SG_PROBE_GATES,    /* forward only, for all targets at once: which gates are open */
    SG_PROBE_NOTHING /* the network does not matter; last, so that it is sorted behind the others */
};

/* What an instance reads of the network, at the item itself and at every point of its sweep:
 * instances of equal sampling share the forward passes, those of equal probing the sums, too.
 * Zeroed before it is filled, so that memcmp compares it. */
struct sg_probing {
    int32_t kind;                  /* enum sg_probe */
    int32_t rule;                  /* of the backward pass: enum sg_rule of net.h */
    int32_t absolute;              /* 1: the absolute value of each element of the gradient */
    int32_t unused;                /* 0: no bytes between the members */
    char layer[SG_MAX_TENSOR + 1]; /* the tensor whose gradient it is; "": the model's input */
    struct sg_path path;           /* of SG_PROBE_PATH */
};

/* Probings of equal passes are read together: in one backward pass, or on one walk. */
struct sg_probing sg_probing_pass(const struct sg_probing *p);

/* What an expected gradient is multiplied by, so that it has the length of the mean gradient. */
enum sg_scale { SG_SCALE_NONE, SG_SCALE_SMOOTHGRAD };

/* What a map is over: every element of the tensor that is read (its channels can be reduced), or
 * its places alone, because the method itself adds up the channels. */
enum sg_over { SG_OVER_TENSOR, SG_OVER_PLACES };

/* Where the places of such a map lie: on the layer's own grid, or brought to the input's. */
enum sg_size { SG_SIZE_LAYER, SG_SIZE_INPUT };
enum sg_numerator { SG_NUMERATOR_SECOND, SG_NUMERATOR_FIRST };
enum sg_denominator { SG_DENOMINATOR_LOCAL, SG_DENOMINATOR_SUMMED };
enum { SG_MAX_FEATURE_MAPS = 4096, SG_MAX_NEURON_AXES = 3 };

/* Options of class activation maps. */
struct sg_cam {
    uint64_t maps[SG_MAX_FEATURE_MAPS / 64]; /* the set of channels that count */
    int32_t n_maps;                          /* their number; 0: all channels count */
    int32_t n_neurons;                       /* axes of the box of places that count; 0: all */
    int64_t neurons[2 * SG_MAX_NEURON_AXES]; /* the first place of each axis, then the one past the
                                              * last */
    int32_t relu;                            /* 1: negative values become 0 at the end */
    int32_t size;                            /* enum sg_size */
    int32_t numerator;                       /* enum sg_numerator: of alpha */
    int32_t denominator;                     /* enum sg_denominator */
};

/* 1 if feature map k is in the set. */
static inline int sg_cam_is_chosen(const struct sg_cam *cam, int64_t k) {
    return k < SG_MAX_FEATURE_MAPS && (cam->maps[k / 64] >> (k % 64) & 1) != 0;
}

/* Filters of a finished map, in the order in which they are applied. All zeros: none. */
struct sg_filter {
    int32_t absolute; /* 1: the absolute value */
    double lowpass;   /* greater than 0: the radius up to which frequencies stay */
    double clip;      /* greater than 0: the percentile of |value| beyond which values are cut */
};

/* An instance's options: sampling decides the sweep, probing what it reads there, the rest the
 * finish. */
struct sg_params {
    struct sg_sampling sampling;
    struct sg_probing probing;
    struct sg_cam cam;
    struct sg_filter filter;
    enum sg_reduction reduction;
    enum sg_divisor divisor;
    enum sg_space space; /* in which the gradient is taken */
    int standard_error;  /* 1: also a standard error for each element of the map */
    enum sg_scale scale; /* of SG_PROBE_GATES, as is the next one */
    int32_t groups;      /* ... to jackknife over: 2 << groups */
};

/* What a sampler may know of an item; the same on every rank of a team. */
struct sg_item_view {
    const struct sg_shape *input;
    const struct sg_domain *domain;
    const float *x;            /* [D] */
    const double *dataset_min; /* [C] in model-input space, or NULL: not scanned */
    const double *dataset_max;
    uint64_t key;
    uint64_t seed;
};

/* Of a path drawn at random, sample k: the item of n_items that it begins at, and the place on the
 * line from there, 0 < t < 1. */
void sg_path_draw(const struct sg_item_view *item, int64_t k, int64_t n_items, int64_t *i_item,
                  double *t);

/* A sampler: where to look. `scale[D]` is made once an item, then sample k is a pure function of
 * it. */
struct sg_sampler {
    const char *name;
    int is_clean;      /* 1: its only point is the item itself, where everything is read once an
                        * item anyhow: there is no sweep, samples is 1 */
    int is_stochastic; /* 1: draws random points, so that maps have a standard error */
    int is_still;      /* 1: of these that one point is all, for each draw of the weights */
    int is_noiseless;  /* 1: of the stochastic ones that whose points are all the item itself */
    int needs_domain;
    unsigned uses; /* of enum sg_uses */
    /* Fills scale[D] (standard deviation of each element) and sigma[C] (the absolute scale reported
     * for a channel: the common one, or the mean over the channel where it varies by element).
     * Errors: SG_E_NUMBERS. */
    sg_status (*prepare)(const struct sg_sampling *p, const struct sg_item_view *item, float *scale,
                         double *sigma);
    /* The sampler's point k into out[D]; returns how many elements lie outside the domain before
     * `outside` is applied. */
    int64_t (*draw)(const struct sg_sampling *p, const struct sg_item_view *item,
                    const float *scale, int64_t k, float *out);
};

/* 1 if every element of the samples around x[n] has noise of its own, of scale[n], that rounding
 * does not take away: then no two places of a sample look alike, not even on a white background.
 * (Where noise is cut off at the domain's bounds, two do by chance: the two of a pair of 3x3
 * neighbourhoods of one channel, once in 4000 pairs; those of two layers of such practically
 * never.) */
int sg_sampling_is_noisy(int64_t n, const float *x, const float *scale);

/* What finish turns into a map. D is the size of the tensor that is read: the model's input, or a
 * layer. */
struct sg_finish {
    const struct sg_sums *sums;     /* one group; NULL without a sweep */
    const struct sg_shape *shape;   /* of the tensor */
    const struct sg_shape *input;   /* of the model's input */
    const struct sg_domain *domain; /* of the model's input */
    const float *x;                 /* [D] the tensor at the item: the input, or the activation */
    const float *clean;             /* [D] what the probe reads at the item; NULL: nothing */
    int64_t n_features;             /* D */
    const struct sg_params *params;
    const float *expected; /* [D] gradient with the mean gates, of SG_PROBE_GATES */
    double scale;          /* ... and what it is multiplied by */
    uint64_t seed;
    uint64_t key;    /* the item's */
    int64_t target;  /* number of the target */
    double *scratch; /* [n_scratch][D] of the method */
};

struct sg_method {
    const char *name;
    const char *summary; /* one line for `sgdist list methods` */
    const char *cite;    /* "Smilkov et al. 2017, arXiv:1706.03825" */
    const char *bibtex;  /* one entry, for `sgdist describe` */
    const struct sg_sampler *sampler;
    enum sg_probe probe;
    int rule; /* of the backward pass, enum sg_rule of net.h; 0: the instance's option says it */
    enum sg_over over;
    const char *unit; /* of the map; NULL: the score per unit of what is read, by the formula */
    int n_powers;     /* 0 for methods without a sweep */
    int n_scratch;    /* arrays of D doubles that finish works in */
    int64_t min_samples;
    unsigned uses; /* of enum sg_uses, beside what the sampler uses */
    /* The map grows with this power of the gradient, which takes it from one space to another;
     * 0: `finish` sees to that; -1: it grows with the input. */
    int gradient_power;
    enum sg_path_kind path; /* of methods whose probe is a path, or who can be composed as one */
    enum sg_path_part part;
    int nodes;                                                    /* by default */
    sg_status (*finish)(const struct sg_finish *in, double *map); /* [D], or [places] */
    /* Standard error of each element of an unreduced map, or NULL: then it is jackknifed over the
     * groups. */
    sg_status (*standard_error)(const struct sg_finish *in, double *se); /* [D] */
};

/* The table, NULL past its end; lookup by name gives NULL for an unknown one. */
const struct sg_method *sg_method_at(int i);
const struct sg_method *sg_method_find(const char *name);

/* One method with its options under its own name in the result. */
struct sg_instance {
    char label[SG_MAX_LABEL + 1];
    const struct sg_method *method; /* whose sampler, sums and finish it has */
    const struct sg_method *path;   /* of a composed one the method whose path is walked; or NULL */
    struct sg_params params;
};

/* The method that the job names, and the one that it is taken of (`of`), or NULL. */
const struct sg_method *sg_instance_outer(const struct sg_instance *inst);
const struct sg_method *sg_instance_inner(const struct sg_instance *inst);

/* 1 if `outer` can be taken of `inner`. Then *noise says where the noise goes. */
int sg_method_can_compose(const struct sg_method *outer, const struct sg_method *inner,
                          enum sg_path_noise *noise);

/* 1 if the instance reads the network at points of its own, beside the item itself. */
int sg_instance_has_sweep(const struct sg_instance *inst);

/* Powers and groups that an instance wants of its sweep (0 powers: none); 16 groups where a
 * jackknife is needed, else 1. */
int sg_instance_n_powers(const struct sg_instance *inst);
int sg_instance_n_groups(const struct sg_instance *inst);

/* Points that the sweep draws: `samples`, one less where the clean input is one of them; with draws
 * of the weights so many for each, one draw after the other. */
int64_t sg_sampling_n_draws(const struct sg_sampling *p);

/* The map's shape. `read`: of the tensor that the instance reads, `input`: of the model's input. */
void sg_instance_map_shape(const struct sg_instance *inst, const struct sg_shape *read,
                           const struct sg_shape *input, struct sg_shape *out);

/* Doubles of workspace that sg_instance_finish and sg_instance_map need. */
int64_t sg_instance_n_work(const struct sg_instance *inst, const struct sg_shape *read,
                           const struct sg_shape *input);

/* The map in double, before it is rounded to float: map[map shape] from in->sums, in->clean and so
 * on. Errors: those of the method's finish. */
sg_status sg_instance_map(const struct sg_instance *inst, const struct sg_finish *in, double *work,
                          double *map);

/* Finishes one target's map[map shape] and, where se is not NULL, its standard error. `from` says
 * all of the item, target and tensor; its params, sums and scratch are filled in here. `sums` has
 * the reading's groups and `one` is scratch of the same n and powers with one group (both NULL for
 * methods without a sweep, whose se is 0). Errors: SG_E_NUMBERS (too few samples survived). */
sg_status sg_instance_finish(const struct sg_instance *inst, const struct sg_finish *from,
                             const struct sg_sums *sums, struct sg_sums *one, double *work,
                             float *map, float *se);

/* 1 if the map is filtered at all. */
int sg_filter_is_on(const struct sg_filter *f);
extern const char *const sg_lowpass_bibtex; /* its source, for `sgdist describe` */

/* Gradients of one target with the means of gates: [D] from all samples, and without each of the
 * groups, `stride` floats apart. */
struct sg_expected {
    const float *all;
    const float *without; /* [n_groups], NULL where no error is wanted */
    int64_t stride;
    int n_groups;
    const int64_t *n_without; /* [n_groups] samples outside of each group */
    int64_t n_samples;
    const struct sg_sums *sums; /* of the gradients at the same points, for the scale; or NULL */
    struct sg_sums *one;        /* scratch for these */
};

/* As sg_instance_finish for a method that counts gates; scale[2] = the factor and its standard
 * error, NaN where there is none. work[sg_instance_n_work]. */
sg_status sg_instance_finish_gates(const struct sg_instance *inst, const struct sg_finish *from,
                                   const struct sg_expected *e, double *work, float *map, float *se,
                                   double *scale);

/* Reduces map[C][plane] over channels into out[plane] (out[D] for SG_CHANNELS_NONE). */
void sg_reduce_channels(enum sg_reduction how, int64_t n_channels, int64_t plane, const double *map,
                        double *out);

#endif
