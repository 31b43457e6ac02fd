/* src/net/kernels/simd_avx2.c - AVX2 and FMA: 12 accumulators, 2 weights and a pixel in 16
 * registers. */
#if defined(__x86_64__)
#include <immintrin.h>

#define LANES          8
#define MAX_PX         6
#define TARGET         __attribute__((target("avx2,fma")))
#define V_FMA(a, b, c) ((vec)_mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(c)))
#define V_ADD_PRODUCT(sum, a, b)                                                                   \
    __asm__ volatile("vfmadd231ps %2, %1, %0" : "+x"(sum) : "x"(a), "x"(b))
#define V_SELECT(m, a, b) ((vec)_mm256_blendv_ps((__m256)(b), (__m256)(a), (__m256)(m)))
#define V_SIGNS(m)        ((uint32_t)_mm256_movemask_ps((__m256)(m)))

#define V_SUM(v)          sum_lanes((__m256)(v))
#define V_SUM_EACH(v)     ((vec)sum_rows((const __m256 *)(v)))
#define V_TO_BYTES(m)     ((byte_vec)narrow((__m256i)(m)))
#define V_FROM_BYTES(b)   ((ivec)_mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)(b))))

TARGET static inline float sum_lanes(__m256 v) {
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));

    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

/* Two vectors become one: with two lanes where each had four, or one where it had two. */
#define FOLD_4(a, b) _mm256_add_ps(_mm256_shuffle_ps(a, b, 0x44), _mm256_shuffle_ps(a, b, 0xee))
#define FOLD_2(a, b) _mm256_add_ps(_mm256_shuffle_ps(a, b, 0x88), _mm256_shuffle_ps(a, b, 0xdd))

/* As sum_lanes of each, halves first. */
TARGET static inline __m256 sum_rows(const __m256 *v) {
    __m256 half[4];

#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        half[i] = _mm256_add_ps(_mm256_permute2f128_ps(v[i], v[i + 4], 0x20),
                                _mm256_permute2f128_ps(v[i], v[i + 4], 0x31));
    }
    return FOLD_2(FOLD_4(half[0], half[1]), FOLD_4(half[2], half[3]));
}

/* The packing instructions work on each half of a register: the halves meet last. */
TARGET static inline long long narrow(__m256i v) {
    const __m256i shorts = _mm256_packus_epi32(v, v);
    const __m256i bytes = _mm256_packus_epi16(shorts, shorts);

    return _mm_cvtsi128_si64(
        _mm_unpacklo_epi32(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1)));
}

#include "net/kernels/simd_body.h"
#include "net/kernels/simd_depthwise.h"
#include "net/kernels/simd_direct.h"
#include "net/kernels/simd_dots.h"
#include "net/kernels/simd_exp.h"
#include "net/kernels/simd_gated.h"
#include "net/kernels/simd_maps.h"
#include "net/kernels/simd_pooled.h"
#include "net/kernels/simd_rows.h"
#include "net/kernels/simd_winograd.h"
#include "net/kernels/simd_winograd_strips.h"

const struct sg_simd sg_simd_avx2 = {
    .name = "avx2",
    .lanes = LANES,
    .direct_row = direct_row,
    .direct_pool_row = direct_pool_row,
    .pooled_patches = pooled_patches,
    .pooled_taps = pooled_taps,
    .dots_row = dots_row,
    .depthwise_row = depthwise_row,
    .winograd = winograd_transforms,
    .strip = MAX_PX,
    .winograd_strip = winograd_strip,
    .strip_pack = strip_pack,
    .transpose = transpose,
    .window_max = window_max,
    .window_route = window_route,
    .relu_mask = relu_mask,
    .clip_mask = clip_mask,
    .relu_backward = relu_backward,
    .exp_all = exp_all,
    .sigmoid_all = sigmoid_all,
    .erf_all = erf_all,
    .gated_all = gated_all,
    .softmax_rows = softmax_rows,
    .softmax_rows_back = softmax_rows_back,
    .norm_rows = norm_rows,
    .norm_rows_back = norm_rows_back,
};
#endif
