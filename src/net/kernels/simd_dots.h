/* src/net/kernels/simd_dots.h - correlations with one to three output channels (the gradient of a
 * grey or colour image): vectors run along the input channels, and are summed at the end. Weights
 * are w[output channel][tap run][run rounded up to vectors], 0 past the run. */

INLINE float sum_lanes(vec v) {
    float s[LANES];

    store(s, v);
    for (int n = LANES / 2; n > 0; n /= 2) {
        for (int i = 0; i < n; i++) {
            s[i] += s[i + n];
        }
    }
    return s[0];
}

INLINE void dots_finish(const struct sg_row *r, float v, const float *bias, float *y) {
    v += bias != NULL ? *bias : 0.0f;
    v += r->accumulate ? *y : 0.0f;
    *y = r->relu && v < 0.0f ? 0.0f : v;
}

INLINE void dots_tile(const struct sg_row *r, const int n_px, const int n_out, const float *x,
                      const float *w, const float *bias, float *y) {
    const int64_t padded = sg_round_up(r->run, LANES);
    const int64_t size = padded * r->n_y * r->n_x;
    vec acc[4][3];

#pragma GCC unroll 4
    for (int p = 0; p < n_px; p++) {
        acc[p][0] = acc[p][1] = acc[p][2] = (vec){0};
    }
    for (int64_t t = 0; t < r->n_y * r->n_x; t++) {
        const float *at = x + t / r->n_x * r->y_stride + t % r->n_x * r->tap_stride;
        for (int64_t j = 0; j < padded; j += LANES) {
            const vec w0 = load(w + j);
            const vec w1 = n_out > 1 ? load(w + size + j) : w0;
            const vec w2 = n_out > 2 ? load(w + 2 * size + j) : w0;
#pragma GCC unroll 4
            for (int p = 0; p < n_px; p++) {
                const vec v = load_part(at + p * r->x_step + j, r->run - j);
                acc[p][0] = V_FMA(v, w0, acc[p][0]);
                acc[p][1] = n_out > 1 ? V_FMA(v, w1, acc[p][1]) : acc[p][1];
                acc[p][2] = n_out > 2 ? V_FMA(v, w2, acc[p][2]) : acc[p][2];
            }
        }
        w += padded;
    }
#pragma GCC unroll 4
    for (int p = 0; p < n_px; p++) {
#pragma GCC unroll 3
        for (int o = 0; o < n_out; o++) {
            dots_finish(r, sum_lanes(acc[p][o]), bias == NULL ? NULL : bias + o,
                        y + p * r->out_step + o);
        }
    }
}

INLINE void dots_pixels(const struct sg_row *r, const int n_px, const float *x, const float *w,
                        const float *bias, float *y) {
    if (r->width == 1) {
        dots_tile(r, n_px, 1, x, w, bias, y);
    } else if (r->width == 2) {
        dots_tile(r, n_px, 2, x, w, bias, y);
    } else {
        dots_tile(r, n_px, 3, x, w, bias, y);
    }
}

TARGET static void dots_row(const struct sg_row *r, const float *x, const float *w,
                            const float *bias, float *y) {
    int64_t i = 0;

    for (; i + 4 <= r->cols; i += 4) {
        dots_pixels(r, 4, x + i * r->x_step, w, bias, y + i * r->out_step);
    }
    for (; i < r->cols; i++) {
        dots_pixels(r, 1, x + i * r->x_step, w, bias, y + i * r->out_step);
    }
}
