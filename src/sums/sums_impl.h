/* src/sums/sums_impl.h - the array behind the sums.
 *
 * limbs = [ samples added to each group | off grid | not finite | tallies ]
 *         then [group][power][limb of the power][feature].
 *
 * Between two carries the limbs of a group are any int64 whose weighted sum is the group's sum;
 * `pending` bounds how far they may be from canonical. */
#ifndef SUMS_IMPL_H
#define SUMS_IMPL_H

#include "sgdist/simd.h"
#include "sgdist/sums.h"

/* 128-bit integers are an extension of gcc and clang on all 64-bit machines. */
__extension__ typedef __int128 sums_i128;

struct sg_sums {
    int64_t n;
    int n_powers;
    int n_groups;
    int exponent;
    double scale; /* grid steps in 1: 2^(40 - exponent) */
    int64_t n_limbs;
    int64_t capacity; /* limbs that there is memory for */
    int64_t *limbs;
    int64_t pending[SG_SUMS_MAX_GROUPS]; /* samples added to a group since its last carry */
};

/* Limbs of a feature in all powers: 2 + 3 + ... */
static inline int64_t sums_limbs_per_feature(int n_powers) {
    return (int64_t)n_powers * (n_powers + 3) / 2;
}

/* The limbs [p + 1][n] of a group's power p = 1, 2, ... */
static inline int64_t *sums_power(const struct sg_sums *s, int group, int p) {
    const int64_t header = s->n_groups + 2 + SG_SUMS_N_TALLIES;
    const int64_t rows =
        group * sums_limbs_per_feature(s->n_powers) + sums_limbs_per_feature(p - 1);

    return s->limbs + header + rows * s->n;
}

/* Makes the limbs of a group canonical. */
void sums_carry(struct sg_sums *s, int group);

/* Makes room for n_samples (at most 512) more in a group, with a carry first where needed. */
void sums_reserve(struct sg_sums *s, int group, int64_t n_samples);

#endif
