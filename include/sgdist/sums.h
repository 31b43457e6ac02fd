/* include/sgdist/sums.h - exact sums of equal-length vectors: the order of adding never shows.
 *
 * A value v is rounded once to an integer q = round(v / 2^(exponent - 40)), |q| < 2^40; the sums
 * over samples of q^p for p = 1..n_powers are kept exactly, each in p + 1 signed 64-bit limbs of
 * base 2^32, which add without carries for 2^31 addends. Samples are dealt to n_groups groups
 * (sample number mod n_groups), so that anything finished from sums can be jackknifed over the
 * groups. All that has to be merged, written or compared (sums, counts, flags) is one array of
 * int64. */
#ifndef SGDIST_SUMS_H
#define SGDIST_SUMS_H

#include "sgdist/status.h"

#include <stdint.h>

enum {
    SG_SUMS_GRID_BITS = 40, /* bits of |q| */
    SG_SUMS_HEADROOM =
        12, /* octaves of the grid above the largest clean value, see sg_sums_exponent */
    SG_SUMS_MAX_POWERS = 4,
    SG_SUMS_MAX_GROUPS = 16,
    SG_SUMS_N_TALLIES = 4 /* free integer counters that are merged along with the sums */
};

struct sg_sums; /* opaque */

/* Creates sums of n features, all zero; the caller destroys them (NULL is allowed).
 * Errors: SG_E_ARG if n < 1, n_powers is not in 1..4 or n_groups not in 1..16, SG_E_NOMEM. */
sg_status sg_sums_create(int64_t n, int n_powers, int n_groups, struct sg_sums **out);
void sg_sums_destroy(struct sg_sums *s);

/* Makes other sums of the memory: n features, powers and groups that need no more of it than those
 * it was created with (SG_ASSERT). All is zero then, on the grid of exponent 0. */
void sg_sums_reshape(struct sg_sums *s, int64_t n, int n_powers, int n_groups);

/* Bytes that sg_sums_create will take. */
int64_t sg_sums_bytes(int64_t n, int n_powers, int n_groups);

/* Sets all sums, counts, tallies to zero and the grid to |v| < 2^exponent. */
void sg_sums_reset(struct sg_sums *s, int exponent);
int sg_sums_exponent(const struct sg_sums *s);

/* The exponent for data whose clean values reach max_abs: SG_SUMS_HEADROOM octaves above it,
 * clamped to what float can hold; for max_abs = 0 an exponent of 0. */
int sg_sums_exponent_for(double max_abs);

/* Adds the block v[n_samples][n], samples first_sample, first_sample + 1, ... of the item. A sample
 * with a value that is not finite, or (else) with one off the grid, adds nothing and is counted:
 * the caller redoes the item on a coarser grid, or records it; no sample is dropped in silence.
 * Never allocates. */
void sg_sums_add_block(struct sg_sums *s, int64_t first_sample, const float *v, int64_t n_samples);

/* The same for samples of which `run` consecutive ones belong together (they have the same draw of
 * the weights, say): sample k is in group (k / run) mod n_groups. */
void sg_sums_add_runs(struct sg_sums *s, int64_t first_sample, int64_t run, const float *v,
                      int64_t n_samples);

int64_t sg_sums_n_added(const struct sg_sums *s);     /* samples in the sums, all groups */
int64_t sg_sums_n_off_grid(const struct sg_sums *s);  /* finite samples that did not fit the grid */
int64_t sg_sums_n_nonfinite(const struct sg_sums *s); /* samples with a NaN or an infinity */
int64_t sg_sums_n_features(const struct sg_sums *s);
int sg_sums_n_powers(const struct sg_sums *s);
int sg_sums_n_groups(const struct sg_sums *s);
int64_t sg_sums_group_count(const struct sg_sums *s, int group); /* samples added to a group */

/* SG_SUMS_N_TALLIES free counters, for what a sampler counts (elements out of range); merged with
 * the sums. */
int64_t *sg_sums_tallies(struct sg_sums *s);

/* Everything mergeable as int64[sg_sums_n_limbs()]: partial sums on equal grids merge by adding
 * these arrays, here or in MPI_Reduce(MPI_SUM). Canonical after this call (limbs in 0..2^32-1 but
 * the top one), so equal sums are equal bytes. The array belongs to s. */
int64_t *sg_sums_limbs(struct sg_sums *s);
int64_t sg_sums_n_limbs(const struct sg_sums *s);

/* into += from; both must have the same shape and grid (SG_ASSERT). */
void sg_sums_merge(struct sg_sums *into, const struct sg_sums *from);

/* out (created with one group, same n and n_powers) = the groups of s added up, without group
 * `without` (-1: all). */
void sg_sums_collapse(const struct sg_sums *s, int without, struct sg_sums *out);

/* Takes a group of s out of `one`, the collapsed sums of all, and puts it back: cheaper than
 * collapsing once more for each group. Only samples are taken out; counts of samples that were not
 * added, and tallies, stay. */
void sg_sums_remove_group(const struct sg_sums *s, int group, struct sg_sums *one);
void sg_sums_restore_group(const struct sg_sums *s, int group, struct sg_sums *one);

/* Statistics of sums with ONE group (SG_ASSERT), N samples, exact until the last rounding:
 *   mean      S1/N                   [n]
 *   se        sqrt(M2 / (N (N-1)))   [n]  (powers >= 2, N >= 2; for power 2 of the values: powers
 * 4) square    S2/N                   [n] cube      S3/N                   [n]  (powers >= 3)
 *   variance  M2/(N - ddof)          [n]
 * M2 = sum (v - mean)^2 = S2 - 2 m S1 + N m^2 in 128-bit integers, never negative. Errors: SG_E_ARG
 * if there are too few samples or powers. */
sg_status sg_sums_mean(const struct sg_sums *s, double *mean);
sg_status sg_sums_mean_se(const struct sg_sums *s, double *se);
sg_status sg_sums_mean_square(const struct sg_sums *s, double *square);
sg_status sg_sums_mean_cube(const struct sg_sums *s, double *cube);
sg_status sg_sums_variance(const struct sg_sums *s, int ddof, double *variance);

/* Jackknife over groups of unequal size (delete-m_j: Busing, Meijer and van der Leeden 1999,
 * Statistics and Computing 9, 3-8). Feed the statistic of all samples, then the one without each
 * group that has samples, one at a time: sg_jackknife_begin(j, all, n, N); for each group g with
 * samples: sg_jackknife_add(j, without_g, m_g); _se(j, se) Works in place on work[3][n] doubles
 * that the caller owns. With fewer than two groups se is NaN. */
struct sg_jackknife {
    const double *all; /* [n], borrowed */
    double *work;      /* [3][n], borrowed */
    int64_t n;
    int64_t n_samples;
    int n_groups;
    double weight; /* sum of m_g / (N - m_g) over the groups so far */
};
void sg_jackknife_begin(struct sg_jackknife *j, const double *all, int64_t n, int64_t n_samples,
                        double *work);
void sg_jackknife_add(struct sg_jackknife *j, const double *without, int64_t group_count);
void sg_jackknife_se(const struct sg_jackknife *j, double *se);

#endif
