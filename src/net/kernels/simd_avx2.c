/* src/net/kernels/simd_avx2.c - AVX2 and FMA: 12 accumulators, 2 weights and a pixel in 16
 * registers. */
#if defined(__x86_64__)
#include <immintrin.h>

#define LANES          8
#define MAX_PX         6
#define TARGET         __attribute__((target("avx2,fma")))
#define V_FMA(a, b, c) ((vec)_mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(c)))
#define V_SIGNS(m)     ((uint32_t)_mm256_movemask_ps((__m256)(m)))

#include "net/kernels/simd_body.h"
#include "net/kernels/simd_depthwise.h"
#include "net/kernels/simd_direct.h"
#include "net/kernels/simd_dots.h"
#include "net/kernels/simd_maps.h"

const struct sg_simd sg_simd_avx2 = {
    .name = "avx2",
    .lanes = LANES,
    .direct_row = direct_row,
    .dots_row = dots_row,
    .depthwise_row = depthwise_row,
    .window_max = window_max,
    .window_route = window_route,
    .relu_mask = relu_mask,
    .relu_backward = relu_backward,
};
#endif
