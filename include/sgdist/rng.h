/* include/sgdist/rng.h - counter-based random numbers: every number is a pure function of its
 * address.
 *
 * Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"). One call turns
 * a counter of four 32-bit words and a key of two into four words. The address of a number:
 *
 *     counter = { element / 4, sample, low word of the item's key, high word of the item's key }
 *     key     = { low word of the seed, bits 32 to 55 of the seed | stream << 24 }
 *
 * Element e of sample k takes word e % 4 of the call e / 4. Elements count in the order channel,
 * row, column of the model's input, whatever layout the network uses inside. Any rank can make any
 * sample; more samples extend a study without changing the first ones; two streams never share a
 * number. */
#ifndef SGDIST_RNG_H
#define SGDIST_RNG_H

#include <stdint.h>

/* What the numbers are for; the values are part of every result. */
enum sg_stream {
    SG_STREAM_INPUT = 0,
    SG_STREAM_WEIGHTS = 1,
    SG_STREAM_MASKS = 2,
    SG_STREAM_REPLICATES = 3,
    SG_STREAM_MAPS = 4,     /* of the control `random`: sample t is the map of target t */
    SG_STREAM_BASELINES = 6 /* words: which item, and where on the line from it */
};

#define SG_SEED_MAX     ((INT64_C(1) << 56) - 1)
#define SG_SAMPLES_MAX  (INT64_C(1) << 31) /* also what the exact sums hold without a carry */
#define SG_ELEMENTS_MAX (INT64_C(1) << 34)

/* Where a field of numbers lives. */
struct sg_rng_address {
    uint64_t seed; /* 0..SG_SEED_MAX */
    enum sg_stream stream;
    uint64_t item;   /* the item's key: a hash of its name, never its position in a list */
    uint32_t sample; /* k */
};

/* The bare generator; known answers in tests/unit/rng. */
void sg_philox4x32_10(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* Raw words, uniforms and standard normals of elements 0..n-1.
 * Uniforms are (w + 1/2) 2^-32, in (0, 1). Normals come from pairs of uniforms by Box-Muller:
 * elements 4b and 4b+1 are r cos(t) and r sin(t) with r = sqrt(-2 log u0), t = 2 pi u1; elements
 * 4b+2 and 4b+3 likewise from u2, u3. log, cos and sin are our own, from + - * / and sqrt alone, so
 * that the bits do not depend on the C library or on the instruction set: correct to less than
 * 1e-12 before the one rounding to float. |z| < 6.77. */
void sg_rng_words(const struct sg_rng_address *at, int64_t n, uint32_t *w);
void sg_rng_uniforms(const struct sg_rng_address *at, int64_t n, double *u);
void sg_rng_normals(const struct sg_rng_address *at, int64_t n, float *z);

/* Cosine and sine of k/n of a turn, 0 <= k < n, by the same own arithmetic. */
void sg_rng_circle(int64_t k, int64_t n, double *cosine, double *sine);

#endif
