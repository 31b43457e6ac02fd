/* src/net/kernels/simd_portable.c - vectors of four floats, on any processor. No fused rounding. */
#include <stdint.h>

#define LANES  4
#define MAX_PX 6
#define TARGET
#define V_FMA(a, b, c)           ((a) * (b) + (c))
#define V_ADD_PRODUCT(sum, a, b) ((sum) = V_FMA(a, b, sum))
#define V_SIGNS(m)                                                                                 \
    ((uint32_t)((m)[0] & 1) | (uint32_t)((m)[1] & 2) | (uint32_t)((m)[2] & 4) |                    \
     (uint32_t)((m)[3] & 8))

#define V_SUM(v)        (((v)[0] + (v)[2]) + ((v)[1] + (v)[3]))
#define V_TO_BYTES(m)   __builtin_convertvector(m, byte_vec)
#define V_FROM_BYTES(b) __builtin_convertvector(b, ivec)

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

const struct sg_simd sg_simd_portable = {
    .name = "portable",
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
