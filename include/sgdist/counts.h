/* include/sgdist/counts.h - how often each gate of a network was open, and the mean slopes of its
 * smooth functions, in integers: the order of adding never shows.
 *
 * Two lists: counters, which go up by one, in fields of 8, 16 or 32 bits, as few as the number of
 * samples needs; and slopes, each rounded once to a multiple of 2^(exponent - 40), |slope| <
 * 2^exponent, and added in 64 bits. Samples are dealt to groups (sample number mod n_groups) as in
 * sums.h. Everything is one array of int64, and partial counts merge by adding these arrays: no
 * field can reach the sign of its own word or its neighbour. */
#ifndef SGDIST_COUNTS_H
#define SGDIST_COUNTS_H

#include "sgdist/status.h"

#include <stdint.h>

enum {
    SG_COUNTS_EXPONENT = 8, /* where nothing else is known: slopes of networks are below 256 */
    SG_COUNTS_N_TALLIES = 4
};

/* Samples that slopes of one group have room for; counters hold more. */
#define SG_COUNTS_MAX_SLOPES (INT64_C(1) << 22)

struct sg_counts; /* opaque */

/* What there is to count, and room for how many samples. */
struct sg_counts_shape {
    int64_t n_counters;
    int64_t n_slopes;
    int64_t n_samples; /* of all groups together */
    int n_groups;      /* 1 to SG_SUMS_MAX_GROUPS */
};

/* Bits of a counter's field: a pure function of the samples a group can get. */
int sg_counts_field_bits(const struct sg_counts_shape *shape);
int64_t sg_counts_bytes(const struct sg_counts_shape *shape);

/* All zero; the caller destroys them (NULL is allowed). Errors: SG_E_NOMEM. */
sg_status sg_counts_create(const struct sg_counts_shape *shape, struct sg_counts **out);
void sg_counts_destroy(struct sg_counts *c);

/* Makes other counts of the memory, which must suffice (SG_ASSERT); all is zero then. */
void sg_counts_reshape(struct sg_counts *c, const struct sg_counts_shape *shape);
void sg_counts_reset(struct sg_counts *c, int exponent);
int sg_counts_exponent(const struct sg_counts *c);

/* Adding sample number `sample`, part by part. add_bits: counter first + i goes up where bit
 * `first_bit` + i of the words is set, i < n. add_at: the counters first + at[i], where at[i] is
 * not negative. add_slopes: a slope that is not finite, or else off the grid, adds nothing and is
 * counted. At the end of every sample once: end_sample, or skip_sample for one that was not added
 * because its numbers are not finite. */
void sg_counts_add_bits(struct sg_counts *c, int64_t sample, int64_t first, const uint32_t *words,
                        int64_t first_bit, int64_t n);
void sg_counts_add_at(struct sg_counts *c, int64_t sample, int64_t first, const int32_t *at,
                      int64_t n);
void sg_counts_add_slopes(struct sg_counts *c, int64_t sample, int64_t first, const float *slope,
                          int64_t n);
void sg_counts_end_sample(struct sg_counts *c, int64_t sample);
void sg_counts_skip_sample(struct sg_counts *c);

int64_t sg_counts_n_added(const struct sg_counts *c);     /* samples, all groups */
int64_t sg_counts_n_skipped(const struct sg_counts *c);   /* samples */
int64_t sg_counts_n_off_grid(const struct sg_counts *c);  /* slopes: finite, but too large */
int64_t sg_counts_n_nonfinite(const struct sg_counts *c); /* slopes */
int64_t *sg_counts_tallies(struct sg_counts *c);          /* as those of sums.h */
const struct sg_counts_shape *sg_counts_shape_of(const struct sg_counts *c);

/* Everything mergeable, as int64. The array belongs to c. */
int64_t *sg_counts_words(struct sg_counts *c);
int64_t sg_counts_n_words(const struct sg_counts *c);

/* A view of the counts for reading means: all samples (without < 0), or those outside of the groups
 * g with g mod of == without: of `of` coarser groups one is left out. `of` divides n_groups. */
struct sg_counts_view {
    const struct sg_counts *counts;
    int without;
    int of;
};
int64_t sg_counts_n_seen(const struct sg_counts_view *v); /* samples of the view */

/* mean[n] = share of the view's samples in which counters first, first + 1, ... went up, or mean of
 * the slopes; NaN without samples. */
void sg_counts_mean_counters(const struct sg_counts_view *v, int64_t first, int64_t n, float *mean);
void sg_counts_mean_slopes(const struct sg_counts_view *v, int64_t first, int64_t n, float *mean);

#endif
