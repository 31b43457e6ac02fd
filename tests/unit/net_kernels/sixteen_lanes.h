/* The vector templates with the geometry of AVX-512, in plain C: tiles of 12 pixels and vectors of
 * 16 are so tested on every machine, whatever its processor has. */
#ifndef __clang__ /* which has no such options */
#pragma GCC push_options
#pragma GCC optimize("O1") /* three times faster to compile */
#endif
#pragma GCC diagnostic ignored "-Wpsabi" /* all vector functions are inlined */
#define LANES  16
#define MAX_PX 12
#define TARGET
#define V_FMA(a, b, c)           ((a) * (b) + (c))
#define V_ADD_PRODUCT(sum, a, b) ((sum) = V_FMA(a, b, sum))
#define V_SUM(v)                 sum_lanes(v)
#define V_SIGNS(m)               sign_bits(m)
#define V_TO_BYTES(m)            __builtin_convertvector(m, byte_vec)
#define V_FROM_BYTES(b)          __builtin_convertvector(b, ivec)

#include "net/kernels/simd_body.h"

INLINE float sum_lanes(vec v) {
    float sum = 0;

    for (int i = 0; i < LANES; i++) {
        sum += v[i];
    }
    return sum;
}

INLINE uint32_t sign_bits(ivec v) {
    uint32_t bits = 0;

    for (int i = 0; i < LANES; i++) {
        bits |= (uint32_t)(v[i] < 0) << i;
    }
    return bits;
}

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

static const struct sg_simd sixteen_lanes = {
    .name = "sixteen",
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
#ifndef __clang__
#pragma GCC pop_options
#endif
