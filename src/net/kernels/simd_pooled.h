/* src/net/kernels/simd_pooled.h - a convolution with the max pooling behind it, whose windows of
 * 2x2 tile the convolution's output: pooled.c walks over the image.
 *
 * Forward the sums of a row of windows stay in the first cache. Backward one element in four has a
 * gradient, the winner of its window in its channel; it reaches 3x3 of the 4x4 pixels that a window
 * reaches. Sums run over the windows in order, whatever the batch. */

/* ---- forward ---- */

/* One tap and input channel: float j of the run of each of n_px pixels. */
INLINE void pool_term(const int n_px, const int n_vec, const float *const *px, int64_t j,
                      const float *w, vec acc[8][2]) {
    const vec w0 = load(w);
    const vec w1 = n_vec == 2 ? load(w + LANES) : w0;

#pragma GCC unroll 8
    for (int p = 0; p < n_px; p++) {
        const vec v = splat(px[p][j]);
        V_ADD_PRODUCT(acc[p][0], v, w0);
        if (n_vec == 2) {
            V_ADD_PRODUCT(acc[p][1], v, w1);
        }
    }
}

/* sums[window][place][n_vec vectors]: the four pixels of n_win windows, in row order each. */
INLINE void pool_sums(const struct sg_row *r, int64_t below, const int n_win, const int n_vec,
                      const float *x, const float *w, float *sums) {
    const int n_px = 4 * n_win;
    vec acc[8][2];

#pragma GCC unroll 8
    for (int p = 0; p < n_px; p++) {
        acc[p][0] = (vec){0};
        acc[p][1] = (vec){0};
    }
    for (int64_t iy = 0; iy < r->n_y; iy++) {
        for (int64_t ix = 0; ix < r->n_x; ix++) {
            const float *at = x + iy * r->y_stride + ix * r->tap_stride;
            const float *px[8];
#pragma GCC unroll 8
            for (int p = 0; p < n_px; p++) {
                px[p] = at + (p / 4 * 2 + p % 2) * r->x_step + p % 4 / 2 * below;
                __asm__("" : "+r"(px[p])); /* compilers would keep one for each float */
            }
            if (r->run == 3) { /* a grey image: what the loop takes would count */
#pragma GCC unroll 3
                for (int64_t j = 0; j < 3; j++, w += n_vec * LANES) {
                    pool_term(n_px, n_vec, px, j, w, acc);
                }
                continue;
            }
            for (int64_t j = 0; j < r->run; j++, w += n_vec * LANES) {
                pool_term(n_px, n_vec, px, j, w, acc);
            }
        }
    }
#pragma GCC unroll 8
    for (int p = 0; p < n_px; p++) {
        store(sums + p * n_vec * LANES, acc[p][0]);
        if (n_vec == 2) {
            store(sums + (p * n_vec + 1) * LANES, acc[p][1]);
        }
    }
}

/* The maxima of n windows in one of n_vec vectors of channels, of which `width` exist, with bias
 * and `relu` before. */
INLINE void pool_finish(int64_t n, int64_t out_step, const int relu, const int n_vec, int64_t width,
                        const float *bias, const float *sums, float *y, uint8_t *winner) {
    const vec shift = bias == NULL ? (vec){0} : load_part(bias, width);

    for (int64_t i = 0; i < n; i++, sums += 4 * n_vec * LANES, y += out_step, winner += out_step) {
        vec v[4];
        ivec number = {0};

#pragma GCC unroll 4
        for (int p = 0; p < 4; p++) {
            v[p] = load(sums + p * n_vec * LANES);
            v[p] = cut(relu, bias == NULL ? v[p] : v[p] + shift);
        }
#pragma GCC unroll 3
        for (int p = 1; p < 4; p++) {
            max_take(v[p], p - (ivec){0}, &v[0], &number);
        }
        max_store(v[0], number, y, winner, width);
    }
}

/* The commonest end is without branches. */
INLINE void pool_finish_row(const struct sg_row *r, const int n_vec, const float *bias,
                            const float *sums, float *y, uint8_t *winner) {
    const int64_t n = r->cols / 2;

#pragma GCC unroll 2
    for (int b = 0; b < n_vec; b++) {
        const int64_t c = b * LANES, width = r->width - c;

        if (width >= LANES && bias != NULL && r->relu == SG_RELU_PLAIN) {
            pool_finish(n, r->out_step, SG_RELU_PLAIN, n_vec, LANES, bias + c, sums + c, y + c,
                        winner + c);
        } else {
            pool_finish(n, r->out_step, r->relu, n_vec, width, bias == NULL ? NULL : bias + c,
                        sums + c, y + c, winner + c);
        }
    }
}

/* Two rows of r->cols output pixels, `below` floats apart where they read, become one row of
 * windows, out_step channels apart; sums[2 r->cols][2 LANES] is workspace. With one vector of
 * channels two windows go together: a multiplier wants eight sums. All sums of a row come first:
 * the maxima of a window would wait for its last product. The same bits as direct_row and
 * window_max. */
TARGET static void direct_pool_row(const struct sg_row *row, int64_t below, const float *x,
                                   const float *w, const float *bias, float *sums, float *y,
                                   uint8_t *winner) {
    const struct sg_row r = *row; /* which no store can change */
    const int64_t n = r.cols / 2;
    int64_t i = 0;

    if (r.width > LANES) {
        for (; i < n; i++) {
            pool_sums(&r, below, 1, 2, x + 2 * i * r.x_step, w, sums + 8 * i * LANES);
        }
        pool_finish_row(&r, 2, bias, sums, y, winner);
        return;
    }
    for (; i + 2 <= n; i += 2) {
        pool_sums(&r, below, 2, 1, x + 2 * i * r.x_step, w, sums + 4 * i * LANES);
    }
    if (i < n) {
        pool_sums(&r, below, 1, 1, x + 2 * i * r.x_step, w, sums + 4 * i * LANES);
    }
    pool_finish_row(&r, 1, bias, sums, y, winner);
}

/* ---- backward, few input channels: the 4x4 pixels of a window stay in registers ---- */

/* d[n] = the gradients that n winners pass, at[n] = where the weights of each begin among those of
 * its channel, which has `patch` floats for each place in a window. */
INLINE void pooled_winners(const struct sg_pooled_row *r, int64_t n, const int32_t patch,
                           const uint8_t *winner, const float *dy, float *d, int32_t *at) {
    for (int64_t i = 0; i < n; i += LANES) {
        const ivec number = V_FROM_BYTES(load_bytes(winner + i, n - i)) & r->numbers;
        const ivec open = number < SG_POOL_CLOSED;

        store_part(d + i, (vec)((ivec)load_part(dy + i, n - i) & open), n - i);
        store_part((float *)at + i, (vec)((number & 3) * patch), n - i);
    }
}

/* The patch of a window. Neighbouring channels have sums of their own: a single chain of additions
 * would be waited for. */
INLINE void patch_sum(const struct sg_pooled_row *r, const int n_vec, const float *d,
                      const int32_t *at, const float *w, vec sum[12]) {
    const int chains = n_vec <= 2 ? 4 : 2;
    const int64_t channel = (int64_t)4 * n_vec * LANES;
    vec acc[4][12];
    int64_t c = 0;

#pragma GCC unroll 4
    for (int s = 0; s < chains; s++) {
#pragma GCC unroll 12
        for (int v = 0; v < n_vec; v++) {
            acc[s][v] = (vec){0};
        }
    }
    for (; c + chains <= r->k; c += chains, w += chains * channel) {
#pragma GCC unroll 4
        for (int s = 0; s < chains; s++) {
            const float *from = w + s * channel + at[c + s];
            const vec g = splat(d[c + s]);
#pragma GCC unroll 12
            for (int v = 0; v < n_vec; v++) {
                acc[s][v] = V_FMA(g, load(from + v * LANES), acc[s][v]);
            }
        }
    }
    for (; c < r->k; c++, w += channel) {
#pragma GCC unroll 12
        for (int v = 0; v < n_vec; v++) {
            acc[0][v] = V_FMA(splat(d[c]), load(w + at[c] + v * LANES), acc[0][v]);
        }
    }
#pragma GCC unroll 12
    for (int v = 0; v < n_vec; v++) {
        sum[v] = acc[0][v] + acc[1][v];
        if (chains == 4) {
            sum[v] += acc[2][v] + acc[3][v];
        }
    }
}

/* Windows side by side overlap, every second ones touch: these are written, and added once for the
 * whole row. */
INLINE void patch_row(const struct sg_pooled_row *r, const int c, const uint8_t *winner,
                      const float *dy, const float *w, float *rows, float *work) {
    const int64_t n_sums = 4 * r->row, n_won = r->n * r->k;
    float *d = work + 2 * n_sums;
    int32_t *at = (int32_t *)(void *)(d + n_won);

    memset(work, 0, (size_t)(2 * n_sums) * sizeof *work);
    pooled_winners(r, n_won, 16 * c, winner, dy, d, at);
    for (int64_t x = 0; x < r->n; x++, d += r->k, at += r->k) {
        float *to = work + x % 2 * n_sums + 2 * x * c;
        vec sum[12];

        patch_sum(r, 16 * c / LANES, d, at, w, sum);
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            memcpy(to + i * r->row, (const float *)sum + 4 * i * c, (size_t)(4 * c) * sizeof *to);
        }
    }
    for (int64_t i = 0; i < n_sums; i += LANES) {
        const vec both = load_part(work + i, n_sums - i) + load_part(work + n_sums + i, n_sums - i);
        store_part(rows + i, load_part(rows + i, n_sums - i) + both, n_sums - i);
    }
}

TARGET static void pooled_patches(const struct sg_pooled_row *r, const uint8_t *winner,
                                  const float *dy, const float *w, float *rows, float *work) {
    if (r->c == 1) {
        patch_row(r, 1, winner, dy, w, rows, work);
    } else if (r->c == 2) {
        patch_row(r, 2, winner, dy, w, rows, work);
    } else {
        patch_row(r, 3, winner, dy, w, rows, work);
    }
}

/* ---- backward, vectors of input channels: winners of one place go together ---- */

/* won[p]: bit c is set if the gradient of channel c goes to place p of the window. */
INLINE void pooled_places(const struct sg_pooled_row *r, const uint8_t *winner, uint64_t won[4]) {
    const uint64_t all = r->k < 64 ? ((uint64_t)1 << r->k) - 1 : UINT64_MAX;

#pragma GCC unroll 4
    for (int p = 0; p < 4; p++) {
        won[p] = 0;
    }
    for (int64_t c = 0; c < r->k; c += LANES) {
        const ivec number = V_FROM_BYTES(load_bytes(winner + c, r->k - c)) & r->numbers;
#pragma GCC unroll 4
        for (int p = 0; p < 4; p++) {
            won[p] |= (uint64_t)V_SIGNS((ivec)(number == p)) << c;
        }
    }
#pragma GCC unroll 4
    for (int p = 0; p < 4; p++) {
        won[p] &= all;
    }
}

/* The gradients of one place, which reach 3x3 of the 3x4 pixels, from column `left` on;
 * w[k][9][LANES]. */
INLINE void add_taps(uint64_t won, const int left, const float *dy, const float *w, vec acc[3][4]) {
    for (; won != 0; won &= won - 1) {
        const int c = __builtin_ctzll(won);
        const float *from = w + (int64_t)c * 9 * LANES;
        const vec g = splat(dy[c]);
#pragma GCC unroll 9
        for (int t = 0; t < 9; t++) {
            vec *sum = &acc[t / 3][left + t % 3];
            *sum = V_FMA(g, load(from + t * LANES), *sum);
        }
    }
}

/* Both places of a row of the window: a vector of channels of 3x4 pixels from `to` on. */
INLINE void add_places(const struct sg_pooled_row *r, const uint64_t won[2], const float *dy,
                       const float *w, float *to) {
    vec acc[3][4];

#pragma GCC unroll 3
    for (int i = 0; i < 3; i++) {
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            acc[i][j] = load(to + i * r->row + j * r->c);
        }
    }
    add_taps(won[0], 0, dy, w, acc);
    add_taps(won[1], 1, dy, w, acc);
#pragma GCC unroll 3
    for (int i = 0; i < 3; i++) {
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            store(to + i * r->row + j * r->c, acc[i][j]);
        }
    }
}

TARGET static void pooled_taps(const struct sg_pooled_row *r, const uint8_t *winner,
                               const float *dy, const float *w, float *rows, float *work) {
    const struct sg_pooled_row own = *r;

    (void)work;
    for (int64_t x = 0; x < own.n; x++, winner += own.k, dy += own.k) {
        uint64_t won[4];

        pooled_places(&own, winner, won);
        for (int i = 0; i < 2; i++) {
            float *to = rows + i * own.row + 2 * x * own.c;
            for (int64_t h = 0; h < own.c; h += LANES) {
                add_places(&own, won + 2 * i, dy, w + h * 9 * own.k, to + h);
            }
        }
    }
}
