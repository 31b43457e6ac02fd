/* src/net/kernels/simd_body.h - what the vector templates share. Included by one file for each
 * instruction set, which defines before:
 *   LANES                floats in a vector
 *   MAX_PX               pixels of a direct tile: 2 MAX_PX accumulators fit the registers
 *   TARGET               the function attribute that switches the instruction set on
 *   V_FMA(a, b, c)       a b + c, with the rounding of the set
 *   V_ADD_PRODUCT(s, a, b) the same added to s in its own register and in this place: a loop that
 *                        needs all registers is not left to the compiler's scheduling
 *   V_SUM(v)             the sum of the lanes, as a balanced tree
 *   V_SUM_EACH(v)        of LANES vectors: lane i is V_SUM(v[i]); may be left out
 *   V_SELECT(m, a, b)    a where the sign of m is set, else b; may be left out
 *   V_SIGNS(m)           bit i: sign of lane i of the integer vector m
 *   V_TO_BYTES(m)        the lanes of m, all in 0..255, as bytes; V_FROM_BYTES(b) back
 */
#include "net/kernels/kernels_impl.h"

#include <math.h>
#include <string.h>

typedef float vec __attribute__((vector_size(LANES * 4)));
typedef int32_t ivec __attribute__((vector_size(LANES * 4)));
typedef float loose_vec __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

typedef uint8_t byte_vec __attribute__((vector_size(LANES)));
typedef uint8_t loose_byte_vec __attribute__((vector_size(LANES), aligned(1), may_alias));

#define INLINE static inline __attribute__((always_inline)) TARGET

INLINE vec load(const float *p) {
    return *(const loose_vec *)p;
}

INLINE void store(float *p, vec v) {
    *(loose_vec *)p = v;
}

/* x - 0 is x for every x, -0 and NaN included. */
INLINE vec splat(float x) {
    return x - (vec){0};
}

/* The first n floats, the rest 0: nothing past the end is touched. */
INLINE vec load_part(const float *p, int64_t n) {
    vec v = {0};

    if (n >= LANES) {
        return load(p);
    }
    memcpy(&v, p, (size_t)n * sizeof *p);
    return v;
}

INLINE void store_part(float *p, vec v, int64_t n) {
    if (n >= LANES) {
        store(p, v);
        return;
    }
    memcpy(p, &v, (size_t)n * sizeof *p);
}

/* a where the mask has all bits, b where it has none. */
INLINE vec select_bits(ivec mask, vec a, vec b) {
#ifdef V_SELECT
    return V_SELECT(mask, a, b);
#else
    return (vec)(((ivec)a & mask) | ((ivec)b & ~mask));
#endif
}

/* As sg_cut: NaN is kept. */
INLINE vec cut(int relu, vec v) {
    if (relu != SG_RELU_NONE) {
        v = (vec)((ivec)v & ~(ivec)(v < (vec){0}));
    }
    return relu == SG_RELU_6 ? select_bits(v > splat(6.0f), splat(6.0f), v) : v;
}

/* Finishes n <= LANES channels of one output pixel. */
INLINE void finish(const struct sg_row *r, vec v, const float *bias, float *y, int64_t n) {
    if (bias != NULL) {
        v += load_part(bias, n);
    }
    if (r->accumulate) {
        v += load_part(y, n);
    }
    store_part(y, cut(r->relu, v), n);
}
