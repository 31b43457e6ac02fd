/* src/rng/rng_impl.h - the generator's core, shared by the plain call and the blocked loops. */
#ifndef RNG_IMPL_H
#define RNG_IMPL_H

#include "sgdist/rng.h"
#include "sgdist/simd.h"

#define SG_INLINE static inline __attribute__((always_inline))

enum {
    SG_RNG_CALLS = 64,               /* calls of the generator in a block, side by side */
    SG_RNG_WORDS = 4 * SG_RNG_CALLS, /* words that a block makes */
    PHILOX_ROUNDS = 10
};

/* Multipliers and key increments of Philox4x32, Salmon et al. 2011, table 2. */
#define PHILOX_M0 UINT32_C(0xD2511F53)
#define PHILOX_M1 UINT32_C(0xCD9E8D57)
#define PHILOX_W0 UINT32_C(0x9E3779B9)
#define PHILOX_W1 UINT32_C(0xBB67AE85)

/* The state of one call; after ten rounds it is the answer. */
struct philox {
    uint32_t x0, x1, x2, x3;
};

SG_INLINE struct philox philox_rounds(struct philox s, uint32_t k0, uint32_t k1) {
#pragma GCC unroll 10
    for (int i = 0; i < PHILOX_ROUNDS; i++) {
        const uint64_t p0 = (uint64_t)s.x0 * PHILOX_M0;
        const uint64_t p1 = (uint64_t)s.x2 * PHILOX_M1;

        s = (struct philox){(uint32_t)(p1 >> 32) ^ s.x1 ^ k0, (uint32_t)p1,
                            (uint32_t)(p0 >> 32) ^ s.x3 ^ k1, (uint32_t)p0};
        k0 += PHILOX_W0;
        k1 += PHILOX_W1;
    }
    return s;
}

/* Key words of an address, see the header. */
SG_INLINE uint32_t address_key0(const struct sg_rng_address *at) {
    return (uint32_t)at->seed;
}

SG_INLINE uint32_t address_key1(const struct sg_rng_address *at) {
    return (uint32_t)(at->seed >> 32 & 0xFFFFFF) | (uint32_t)at->stream << 24;
}

/* w[i][j]: word i of call first + j, for a whole block. */
void sg_rng_block(const struct sg_rng_address *at, uint32_t first, uint32_t w[4][SG_RNG_CALLS]);

#endif
