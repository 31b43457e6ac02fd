/* src/net/kernels/simd_dots.h - correlations with one to three output channels (the gradient of a
 * grey or colour image): vectors run along the input channels, and are summed at the end. Weights
 * are w[output channel][tap run][run rounded up to vectors], 0 past the run. */

enum { DOTS_PX = 8 }; /* pixels of a tile with one output channel; with more, half as many */

INLINE void dots_finish(const struct sg_row *r, float v, const float *bias, float *y) {
    v += bias != NULL ? *bias : 0.0f;
    v += r->accumulate ? *y : 0.0f;
    *y = r->relu && v < 0.0f ? 0.0f : v;
}

/* n floats of each pixel's run times the weights of each output channel, `size` apart. */
INLINE void dots_term(const struct sg_row *r, const int n_px, const int n_out, const float *at,
                      const float *w, int64_t size, int64_t n, vec acc[DOTS_PX][3]) {
    const vec w0 = load(w);
    const vec w1 = n_out > 1 ? load(w + size) : w0;
    const vec w2 = n_out > 2 ? load(w + 2 * size) : w0;

#pragma GCC unroll 8
    for (int p = 0; p < n_px; p++) {
        const vec v = load_part(at + p * r->x_step, n);
        acc[p][0] = V_FMA(v, w0, acc[p][0]);
        if (n_out > 1) {
            acc[p][1] = V_FMA(v, w1, acc[p][1]);
        }
        if (n_out > 2) {
            acc[p][2] = V_FMA(v, w2, acc[p][2]);
        }
    }
}

INLINE void dots_run(const struct sg_row *r, const int n_px, const int n_out, const float *at,
                     const float *w, int64_t size, vec acc[DOTS_PX][3]) {
    int64_t j = 0;

    for (; j + LANES <= r->run; j += LANES) {
        dots_term(r, n_px, n_out, at + j, w + j, size, LANES, acc);
    }
    if (j < r->run) {
        dots_term(r, n_px, n_out, at + j, w + j, size, r->run - j, acc);
    }
}

INLINE void dots_tile(const struct sg_row *r, const int n_px, const int n_out, const float *x,
                      const float *w, const float *bias, float *y) {
    const int64_t padded = sg_round_up(r->run, LANES);
    const int64_t size = padded * r->n_y * r->n_x;
    vec acc[DOTS_PX][3];

#pragma GCC unroll 8
    for (int p = 0; p < n_px; p++) {
        acc[p][0] = acc[p][1] = acc[p][2] = (vec){0};
    }
    for (int64_t iy = 0; iy < r->n_y; iy++) {
        for (int64_t ix = 0; ix < r->n_x; ix++, w += padded) {
            const float *at = x + iy * r->y_stride + ix * r->tap_stride;
            dots_run(r, n_px, n_out, at, w, size, acc);
        }
    }
#pragma GCC unroll 8
    for (int p = 0; p < n_px; p++) {
#pragma GCC unroll 3
        for (int o = 0; o < n_out; o++) {
            dots_finish(r, V_SUM(acc[p][o]), bias == NULL ? NULL : bias + o,
                        y + p * r->out_step + o);
        }
    }
}

/* A row with n_out output channels: tiles of n_px pixels, the rest one by one. */
INLINE void dots_tiles(const struct sg_row *r, const int n_px, const int n_out, const float *x,
                       const float *w, const float *bias, float *y) {
    int64_t i = 0;

    for (; i + n_px <= r->cols; i += n_px) {
        dots_tile(r, n_px, n_out, x + i * r->x_step, w, bias, y + i * r->out_step);
    }
    for (; i < r->cols; i++) {
        dots_tile(r, 1, n_out, x + i * r->x_step, w, bias, y + i * r->out_step);
    }
}

TARGET static void dots_row(const struct sg_row *r, const float *x, const float *w,
                            const float *bias, float *y) {
    if (r->width == 1) {
        dots_tiles(r, DOTS_PX, 1, x, w, bias, y);
    } else if (r->width == 2) {
        dots_tiles(r, DOTS_PX / 2, 2, x, w, bias, y);
    } else {
        dots_tiles(r, DOTS_PX / 2, 3, x, w, bias, y);
    }
}
