/* src/net/kernels/simd_avx512.c - AVX-512: 24 accumulators, 2 weights and a pixel in 32 registers.
 */
#if defined(__x86_64__)
#include <immintrin.h>

#define LANES          16
#define MAX_PX         12
#define TARGET         __attribute__((target("avx512f,avx512vl,fma")))
#define V_FMA(a, b, c) ((vec)_mm512_fmadd_ps((__m512)(a), (__m512)(b), (__m512)(c)))
#define V_ADD_PRODUCT(sum, a, b)                                                                   \
    __asm__ volatile("vfmadd231ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b))
#define V_SIGNS(m)      ((uint32_t)_mm512_cmplt_epi32_mask((__m512i)(m), _mm512_setzero_si512()))

#define V_SUM(v)        _mm512_reduce_add_ps((__m512)(v))
#define V_TO_BYTES(m)   ((byte_vec)_mm512_cvtepi32_epi8((__m512i)(m)))
#define V_FROM_BYTES(b) ((ivec)_mm512_cvtepu8_epi32((__m128i)(b)))

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

const struct sg_simd sg_simd_avx512 = {
    .name = "avx512",
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
