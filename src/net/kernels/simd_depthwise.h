/* src/net/kernels/simd_depthwise.h - one filter a channel: vectors run along the channels, four
 * pixels at a time share a weight. Weights are w[tap][width]. */

INLINE void depthwise_tile(const struct sg_row *r, const int n_px, int64_t n, const float *x,
                           const float *w, const float *bias, float *y) {
    vec acc[4];

#pragma GCC unroll 4
    for (int p = 0; p < n_px; p++) {
        acc[p] = (vec){0};
    }
    for (int64_t iy = 0; iy < r->n_y; iy++) {
        for (int64_t ix = 0; ix < r->n_x; ix++, w += r->width) {
            const float *at = x + iy * r->y_stride + ix * r->tap_stride;
            const vec weight = load_part(w, n);
#pragma GCC unroll 4
            for (int p = 0; p < n_px; p++) {
                acc[p] = V_FMA(load_part(at + p * r->x_step, n), weight, acc[p]);
            }
        }
    }
#pragma GCC unroll 4
    for (int p = 0; p < n_px; p++) {
        finish(r, acc[p], bias, y + p * r->out_step, n);
    }
}

INLINE void depthwise_pixels(const struct sg_row *r, const int n_px, const float *x, const float *w,
                             const float *bias, float *y) {
    int64_t c = 0;

    for (; c + LANES <= r->width; c += LANES) {
        depthwise_tile(r, n_px, LANES, x + c, w + c, bias == NULL ? NULL : bias + c, y + c);
    }
    if (c < r->width) {
        depthwise_tile(r, n_px, r->width - c, x + c, w + c, bias == NULL ? NULL : bias + c, y + c);
    }
}

TARGET static void depthwise_row(const struct sg_row *r, const float *x, const float *w,
                                 const float *bias, float *y) {
    int64_t i = 0;

    for (; i + 4 <= r->cols; i += 4) {
        depthwise_pixels(r, 4, x + i * r->x_step, w, bias, y + i * r->out_step);
    }
    for (; i < r->cols; i++) {
        depthwise_pixels(r, 1, x + i * r->x_step, w, bias, y + i * r->out_step);
    }
}
