/* src/rng/philox.c - Philox4x32-10, and the words and uniforms of an address.
 *
 * The rounds of a block are written out for AVX2: compilers turn the plain loop into shuffles that
 * cost more than they save. Both ways are integer arithmetic, so they give the same words. */
#include "rng/rng_impl.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

void sg_philox4x32_10(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
    const struct philox s = philox_rounds(
        (struct philox){counter[0], counter[1], counter[2], counter[3]}, key[0], key[1]);

    out[0] = s.x0;
    out[1] = s.x1;
    out[2] = s.x2;
    out[3] = s.x3;
}

static void block_plain(const struct sg_rng_address *at, uint32_t first,
                        uint32_t w[4][SG_RNG_CALLS]) {
    const uint32_t k0 = address_key0(at);
    const uint32_t k1 = address_key1(at);

    for (uint32_t j = 0; j < SG_RNG_CALLS; j++) {
        const struct philox s = philox_rounds(
            (struct philox){first + j, at->sample, (uint32_t)at->item, (uint32_t)(at->item >> 32)},
            k0, k1);

        w[0][j] = s.x0;
        w[1][j] = s.x1;
        w[2][j] = s.x2;
        w[3][j] = s.x3;
    }
}

#if defined(__x86_64__)
/* Four calls, each in a lane of 64 bits of which only the lower half counts: that is what the
 * multiplication reads. */
struct lanes {
    __m256i x0, x1, x2, x3;
};

__attribute__((target("avx2"))) SG_INLINE struct lanes lanes_round(struct lanes s, __m256i k0,
                                                                   __m256i k1) {
    const __m256i p0 = _mm256_mul_epu32(s.x0, _mm256_set1_epi64x(PHILOX_M0));
    const __m256i p1 = _mm256_mul_epu32(s.x2, _mm256_set1_epi64x(PHILOX_M1));

    return (struct lanes){
        _mm256_xor_si256(_mm256_srli_epi64(p1, 32), _mm256_xor_si256(s.x1, k0)), p1,
        _mm256_xor_si256(_mm256_srli_epi64(p0, 32), _mm256_xor_si256(s.x3, k1)), p0};
}

/* out[0..7] = the lower halves; a holds calls 0 1 4 5 and b 2 3 6 7, as the shuffle wants them. */
__attribute__((target("avx2"))) SG_INLINE void lanes_store(uint32_t *out, __m256i a, __m256i b) {
    const __m256 both = _mm256_shuffle_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b), 0x88);

    _mm256_storeu_si256((__m256i *)(void *)out, _mm256_castps_si256(both));
}

__attribute__((target("avx2"))) static void
block_avx2(const struct sg_rng_address *at, uint32_t first, uint32_t w[4][SG_RNG_CALLS]) {
    const __m256i sample = _mm256_set1_epi64x(at->sample);
    const __m256i low = _mm256_set1_epi64x((long long)(at->item & UINT32_MAX));
    const __m256i high = _mm256_set1_epi64x((long long)(at->item >> 32));

    for (uint32_t j = 0; j < SG_RNG_CALLS; j += 8) {
        const __m256i call = _mm256_set1_epi64x(first + j);
        struct lanes a = {_mm256_add_epi64(call, _mm256_setr_epi64x(0, 1, 4, 5)), sample, low,
                          high};
        struct lanes b = {_mm256_add_epi64(call, _mm256_setr_epi64x(2, 3, 6, 7)), sample, low,
                          high};
        uint32_t k0 = address_key0(at);
        uint32_t k1 = address_key1(at);

#pragma GCC unroll 10
        for (int i = 0; i < PHILOX_ROUNDS; i++) {
            const __m256i key0 = _mm256_set1_epi64x(k0);
            const __m256i key1 = _mm256_set1_epi64x(k1);

            a = lanes_round(a, key0, key1);
            b = lanes_round(b, key0, key1);
            k0 += PHILOX_W0;
            k1 += PHILOX_W1;
        }
        lanes_store(&w[0][j], a.x0, b.x0);
        lanes_store(&w[1][j], a.x1, b.x1);
        lanes_store(&w[2][j], a.x2, b.x2);
        lanes_store(&w[3][j], a.x3, b.x3);
    }
}
#endif

void sg_rng_block(const struct sg_rng_address *at, uint32_t first, uint32_t w[4][SG_RNG_CALLS]) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) {
        block_avx2(at, first, w);
        return;
    }
#endif
    block_plain(at, first, w);
}

/* The block's words in the order of their elements. */
static void words_block(const struct sg_rng_address *at, uint32_t first, uint32_t *out) {
    uint32_t w[4][SG_RNG_CALLS];

    sg_rng_block(at, first, w);
    for (int j = 0; j < SG_RNG_CALLS; j++) {
        out[4 * j] = w[0][j];
        out[4 * j + 1] = w[1][j];
        out[4 * j + 2] = w[2][j];
        out[4 * j + 3] = w[3][j];
    }
}

void sg_rng_words(const struct sg_rng_address *at, int64_t n, uint32_t *w) {
    uint32_t tail[SG_RNG_WORDS];
    int64_t i = 0;

    for (; i + SG_RNG_WORDS <= n; i += SG_RNG_WORDS) {
        words_block(at, (uint32_t)(i / 4), w + i);
    }
    if (i < n) {
        words_block(at, (uint32_t)(i / 4), tail);
        memcpy(w + i, tail, (size_t)(n - i) * sizeof *w);
    }
}

void sg_rng_uniforms(const struct sg_rng_address *at, int64_t n, double *u) {
    uint32_t w[SG_RNG_WORDS];

    for (int64_t i = 0; i < n; i += SG_RNG_WORDS) {
        const int64_t m = n - i < SG_RNG_WORDS ? n - i : SG_RNG_WORDS;

        words_block(at, (uint32_t)(i / 4), w);
        for (int64_t j = 0; j < m; j++) {
            u[i + j] = (w[j] + 0.5) * 0x1p-32;
        }
    }
}
