/* src/net/kernels/simd_dots.h - correlations with one to three output channels (the gradient of a
 * grey or colour image): vectors run along the input channels, and are summed at the end. Weights
 * are w[output channel][tap row][run][run rounded up to vectors]; what is read past a run
 * is multiplied with 0. */

enum { DOTS_PX = 8 }; /* pixels of a tile with one output channel; with more, half as many */

INLINE void dots_finish(const struct sg_row *r, float v, const float *bias, float *y) {
    v += bias != NULL ? *bias : 0.0f;
    v += r->accumulate ? *y : 0.0f;
    *y = sg_cut(r->relu, v);
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

/* Lane i is V_SUM(v[i]). */
INLINE vec sum_each(const vec *v) {
#ifdef V_SUM_EACH
    return V_SUM_EACH(v);
#else
    vec sums;

    for (int i = 0; i < LANES; i++) {
        sums[i] = V_SUM(v[i]);
    }
    return sums;
#endif
}

/* Neighbouring pixels of one channel are finished as vectors. */
INLINE void dots_finish_row(const struct sg_row *r, const int n_px, const float *bias, float *y,
                            vec acc[DOTS_PX][3]) {
#pragma GCC unroll 2
    for (int p = 0; p < n_px; p += LANES) {
        const int64_t n = n_px - p < LANES ? n_px - p : LANES;
        vec each[LANES];
        vec v;

#pragma GCC unroll 16
        for (int i = 0; i < LANES; i++) {
            each[i] = p + i < n_px ? acc[p + i][0] : (vec){0};
        }
        v = sum_each(each);
        if (bias != NULL) {
            v += splat(*bias);
        }
        if (r->accumulate) {
            v += load_part(y + p, n);
        }
        store_part(y + p, cut(r->relu, v), n);
    }
}

INLINE void dots_tile(const struct sg_row *r, const int n_px, const int n_out, const float *x,
                      const float *w, const float *bias, float *y) {
    const int64_t padded = sg_round_up(r->run, LANES);
    vec acc[DOTS_PX][3];

#pragma GCC unroll 8
    for (int p = 0; p < n_px; p++) {
        acc[p][0] = acc[p][1] = acc[p][2] = (vec){0};
    }
    for (int64_t iy = 0; iy < r->n_y; iy++) {
        for (int64_t ix = 0; ix < r->n_x; ix++) {
            dots_run(r, n_px, n_out, x + iy * r->y_stride + ix * r->tap_stride,
                     w + iy * r->w_stride + ix * padded, r->w_size, acc);
        }
    }
    if (n_out == 1 && r->out_step == 1) {
        dots_finish_row(r, n_px, bias, y, acc);
        return;
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

/* A tile of n pixels, where n has become a constant for each tile function. */
#define TILE_CASE(n)                                                                               \
    case n:                                                                                        \
        dots_tile(r, n, n_out, x, w, bias, y);                                                     \
        break;

/* A row with n_out output channels, in tiles of nearly equal length, max_px or less. */
INLINE void dots_tiles(const struct sg_row *r, const int max_px, const int n_out, const float *x,
                       const float *w, const float *bias, float *y) {
    const int64_t n_tiles = (r->cols + max_px - 1) / max_px;

    for (int64_t t = 0; t < n_tiles; t++) {
        const int64_t n = r->cols / n_tiles + (t < r->cols % n_tiles);
        switch (n) {
            TILE_CASE(1)
            TILE_CASE(2)
            TILE_CASE(3)
            TILE_CASE(4)
        default:
            break;
        }
        if (max_px > 4) {
            switch (n) {
                TILE_CASE(5)
                TILE_CASE(6)
                TILE_CASE(7)
                TILE_CASE(8)
            default:
                break;
            }
        }
        x += n * r->x_step;
        y += n * r->out_step;
    }
}
#undef TILE_CASE

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
