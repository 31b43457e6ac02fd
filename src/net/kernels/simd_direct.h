/* src/net/kernels/simd_direct.h - convolution of few channels without any column matrix: a tile of
 * pixels x channels stays in registers while the taps go by. Weights are w[tap and channel][n_vec
 * vectors]. Sums run over taps in order, one fused multiply-add each, whatever the tile. */

/* One tap and input channel: a pixel each from `at` on, times one or two vectors of weights. */
INLINE void direct_term(int64_t step, const int n_px, const int n_vec, const float *at,
                        const float *w, vec acc[MAX_PX][2]) {
    const vec w0 = load(w);
    const vec w1 = n_vec == 2 ? load(w + LANES) : w0;

#pragma GCC unroll 16
    for (int p = 0; p < n_px; p++) {
        const vec v = splat(at[p * step]);
        V_ADD_PRODUCT(acc[p][0], v, w0);
        if (n_vec == 2) {
            V_ADD_PRODUCT(acc[p][1], v, w1);
        }
    }
}

/* Full vectors, where what follows them is the same for all. */
INLINE void direct_finish_as(const struct sg_row *r, const int n_px, const int n_vec,
                             const float *bias, float *y, vec acc[MAX_PX][2]) {
#pragma GCC unroll 16
    for (int p = 0; p < n_px; p++) {
        finish(r, acc[p][0], bias, y + p * r->out_step, LANES);
        if (n_vec == 2) {
            finish(r, acc[p][1], bias == NULL ? NULL : bias + LANES, y + p * r->out_step + LANES,
                   LANES);
        }
    }
}

/* The commonest ends are without branches: they are as long as the sums where those are short. */
INLINE void direct_finish(const struct sg_row *r, const int n_px, const int n_vec,
                          const float *bias, float *y, vec acc[MAX_PX][2]) {
    struct sg_row as = {.out_step = r->out_step};

    if (bias == NULL && r->relu == SG_RELU_NONE && !r->accumulate) {
        direct_finish_as(&as, n_px, n_vec, NULL, y, acc);
    } else if (bias != NULL && r->relu == SG_RELU_PLAIN && !r->accumulate) {
        as.relu = SG_RELU_PLAIN;
        direct_finish_as(&as, n_px, n_vec, bias, y, acc);
    } else {
        direct_finish_as(r, n_px, n_vec, bias, y, acc);
    }
}

/* The last slice of channels, where the second or only vector is not full. Not unrolled into each
 * tile: the sums come through memory. */
__attribute__((noinline)) TARGET static void direct_finish_part(const struct sg_row *r, int n_px,
                                                                int n_vec, const float *bias,
                                                                float *y, vec acc[MAX_PX][2]) {
    for (int p = 0; p < n_px; p++) {
        for (int b = 0; b < n_vec; b++) {
            finish(r, acc[p][b], bias == NULL ? NULL : bias + b * LANES,
                   y + p * r->out_step + b * LANES, r->width - b * LANES);
        }
    }
}

enum { LONG_RUN = 32 };

/* The run of one tap. Long ones go by four terms: the loop's own instructions would take places of
 * multiplications (8 to 14 % on Zen 3 whose sibling thread is busy; eight are slower again). */
INLINE const float *direct_run_of(const struct sg_row *r, const int n_px, const int n_vec,
                                  const float *at, const float *w, vec acc[MAX_PX][2]) {
    const int64_t step = r->x_step;
    int64_t j = 0;

    for (; r->run >= LONG_RUN && j + 4 <= r->run; j += 4) {
#pragma GCC unroll 4
        for (int u = 0; u < 4; u++, w += n_vec * LANES) {
            direct_term(step, n_px, n_vec, at + j + u, w, acc);
        }
    }
    for (; j < r->run; j++, w += n_vec * LANES) {
        direct_term(step, n_px, n_vec, at + j, w, acc);
    }
    return w;
}

INLINE void direct_tile(const struct sg_row *r, const int n_px, const int n_vec, const float *x,
                        const float *w, const float *bias, float *y) {
    vec acc[MAX_PX][2];

    /* Where the sums will go is fetched while they are made. */
    if (r->run >= LONG_RUN) {
#pragma GCC unroll 16
        for (int p = 0; p < n_px; p++) {
            __builtin_prefetch(y + p * r->out_step, 1);
        }
    }
#pragma GCC unroll 16
    for (int p = 0; p < n_px; p++) {
        acc[p][0] = (vec){0};
        acc[p][1] = (vec){0};
    }
    for (int64_t iy = 0; iy < r->n_y; iy++) {
        for (int64_t ix = 0; ix < r->n_x; ix++) {
            const float *at = x + iy * r->y_stride + ix * r->tap_stride;
            w = direct_run_of(r, n_px, n_vec, at, w, acc);
        }
    }
    if (r->width == n_vec * LANES) {
        direct_finish(r, n_px, n_vec, bias, y, acc);
    } else {
        vec sums[MAX_PX][2];
#pragma GCC unroll 16
        for (int p = 0; p < n_px; p++) {
            sums[p][0] = acc[p][0];
            sums[p][1] = acc[p][1];
        }
        direct_finish_part(r, n_px, n_vec, bias, y, sums);
    }
}

/* One TILE_CASE for each number of pixels that a tile can have. */
#define TILE_CASES_TO_6                                                                            \
    TILE_CASE(1)                                                                                   \
    TILE_CASE(2)                                                                                   \
    TILE_CASE(3)                                                                                   \
    TILE_CASE(4)                                                                                   \
    TILE_CASE(5)                                                                                   \
    TILE_CASE(6)
#if MAX_PX > 6
#define TILE_CASES                                                                                 \
    TILE_CASES_TO_6                                                                                \
    TILE_CASE(7)                                                                                   \
    TILE_CASE(8)                                                                                   \
    TILE_CASE(9)                                                                                   \
    TILE_CASE(10)                                                                                  \
    TILE_CASE(11)                                                                                  \
    TILE_CASE(12)
#else
#define TILE_CASES TILE_CASES_TO_6
#endif

#define TILE_CASE(n)                                                                               \
    case n:                                                                                        \
        if (r->width > LANES) {                                                                    \
            direct_tile(r, n, 2, x, w, bias, y);                                                   \
        } else {                                                                                   \
            direct_tile(r, n, 1, x, w, bias, y);                                                   \
        }                                                                                          \
        break;

/* The row is cut into tiles of nearly equal length: a short last tile would leave the multipliers
 * waiting for their own results. */
TARGET static void direct_row(const struct sg_row *r, const float *x, const float *w,
                              const float *bias, float *y) {
    const int64_t n_tiles = (r->cols + MAX_PX - 1) / MAX_PX;

    for (int64_t t = 0; t < n_tiles; t++) {
        const int64_t n = r->cols / n_tiles + (t < r->cols % n_tiles);
        switch (n) { TILE_CASES }
        x += n * r->x_step;
        y += n * r->out_step;
    }
}
#undef TILE_CASE
