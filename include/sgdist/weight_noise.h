/* include/sgdist/weight_noise.h - noise on the weights of a model: how much, and on which of them.
 *
 * A draw is a whole set of weights, the same for all items: number e of the parameter tensor `name`
 * in draw m is theta (1 + tau z) or theta + tau z, with z number e of the standard normals of the
 * stream SG_STREAM_WEIGHTS at item sg_hash64(name), sample m. Every operation is rounded to float;
 * theta is as it stands in the file. */
#ifndef SGDIST_WEIGHT_NOISE_H
#define SGDIST_WEIGHT_NOISE_H

#include <stdint.h>

enum sg_weight_noise_kind { SG_WEIGHTS_MULTIPLICATIVE, SG_WEIGHTS_ADDITIVE };

enum { SG_MAX_SCOPE = 247 };

/* Zeroed before it is filled, so that memcmp compares it. Patterns are those of the shell (`*`,
 * `?`,
 * `[..]`) for whole names of tensors, each followed by a newline. */
struct sg_weight_noise {
    double tau;
    int32_t kind;                  /* enum sg_weight_noise_kind */
    int32_t unused;                /* 0: no bytes between the members */
    char only[SG_MAX_SCOPE + 1];   /* names that get noise; "": all */
    char except[SG_MAX_SCOPE + 1]; /* of those, names that get none after all */
};

/* Adds one of the draws to a model that is opened. */
struct sg_weight_draw {
    const struct sg_weight_noise *noise;
    uint64_t seed;
    uint32_t number;
};

/* 1 if one of the patterns fits the name. */
int sg_scope_has(const char *patterns, const char *name);

/* 1 if the tensor of this name gets noise. */
int sg_weight_noise_takes(const struct sg_weight_noise *noise, const char *name);

#endif
