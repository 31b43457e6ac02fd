/* src/net/kernels/simd_maps.h - pooling windows and the bits of ReLU. */

INLINE byte_vec load_bytes(const uint8_t *p, int64_t n) {
    byte_vec b = {0};

    if (n >= LANES) {
        return *(const loose_byte_vec *)p;
    }
    memcpy(&b, p, (size_t)n);
    return b;
}

INLINE void store_bytes(uint8_t *p, byte_vec b, int64_t n) {
    if (n >= LANES) {
        *(loose_byte_vec *)p = b;
        return;
    }
    memcpy(p, &b, (size_t)n);
}

/* The windows of a stretch; where it lies in a copy of its own, no store can change it, and what
 * all windows share stays in registers. The commonest window is unrolled. */
INLINE ivec tap_number(const struct sg_window *w, int64_t iy, int64_t ix) {
    return (w->first + (int32_t)(iy * w->kw + ix)) - (ivec){0};
}

/* A later element wins when it is greater, or the first NaN: unless it is not above the best, or
 * that is a NaN; comparisons with NaN are false. */
INLINE void max_take(vec v, ivec number, vec *best, ivec *at) {
    const ivec wins = (*best == *best) & ~(v <= *best);

    *best = select_bits(wins, v, *best);
    *at = (ivec)select_bits(wins, (vec)number, (vec)*at);
}

INLINE void max_store(vec best, ivec at, float *y, uint8_t *winner, int64_t n) {
    at |= ~(best > (vec){0}) & SG_POOL_CLOSED;
    store_part(y, best, n);
    store_bytes(winner, V_TO_BYTES(at), n);
}

/* One window's n <= LANES channels. */
INLINE void max_part(const struct sg_window *w, const int64_t n_y, const int64_t n_x,
                     const float *x, float *y, uint8_t *winner, int64_t n) {
    vec best = load_part(x, n);
    ivec at = tap_number(w, 0, 0);

#pragma GCC unroll 2
    for (int64_t iy = 0; iy < n_y; iy++) {
#pragma GCC unroll 2
        for (int64_t ix = 0; ix < n_x; ix++) {
            max_take(load_part(x + iy * w->row_stride + ix * w->c, n), tap_number(w, iy, ix), &best,
                     &at);
        }
    }
    max_store(best, at, y, winner, n);
}

INLINE void max_windows(const struct sg_window *stretch, const int64_t n_y, const int64_t n_x,
                        const float *x, float *y, uint8_t *winner) {
    const struct sg_window w = *stretch;

    for (int64_t i = 0; i < w.cols; i++) {
        int64_t c = 0;
        for (; c + LANES <= w.c; c += LANES) {
            max_part(&w, n_y, n_x, x + c, y + c, winner + c, LANES);
        }
        if (c < w.c) {
            max_part(&w, n_y, n_x, x + c, y + c, winner + c, w.c - c);
        }
        x += w.x_step;
        y += w.c;
        winner += w.c;
    }
}

TARGET static void window_max(const struct sg_window *w, const float *x, float *y,
                              uint8_t *winner) {
    if (w->n_y == 2 && w->n_x == 2) {
        max_windows(w, 2, 2, x, y, winner);
    } else {
        max_windows(w, w->n_y, w->n_x, x, y, winner);
    }
}

INLINE void route_part(const struct sg_window *w, const int64_t n_y, const int64_t n_x,
                       const int assign, const uint8_t *winner, const float *dy, float *dx,
                       int64_t n) {
    const ivec at = V_FROM_BYTES(load_bytes(winner, n)) & w->numbers;
    const ivec d = (ivec)load_part(dy, n);

#pragma GCC unroll 2
    for (int64_t iy = 0; iy < n_y; iy++) {
#pragma GCC unroll 2
        for (int64_t ix = 0; ix < n_x; ix++) {
            float *to = dx + iy * w->row_stride + ix * w->c;
            const vec v = (vec)(d & (at == tap_number(w, iy, ix)));
            store_part(to, assign ? v : load_part(to, n) + v, n);
        }
    }
}

INLINE void route_windows(const struct sg_window *stretch, const int64_t n_y, const int64_t n_x,
                          const int assign, const uint8_t *winner, const float *dy, float *dx) {
    const struct sg_window w = *stretch;

    for (int64_t i = 0; i < w.cols; i++) {
        int64_t c = 0;
        for (; c + LANES <= w.c; c += LANES) {
            route_part(&w, n_y, n_x, assign, winner + c, dy + c, dx + c, LANES);
        }
        if (c < w.c) {
            route_part(&w, n_y, n_x, assign, winner + c, dy + c, dx + c, w.c - c);
        }
        dx += w.x_step;
        dy += w.c;
        winner += w.c;
    }
}

TARGET static void window_route(const struct sg_window *w, const uint8_t *winner, const float *dy,
                                float *dx) {
    if (w->n_y == 2 && w->n_x == 2 && w->assign) {
        route_windows(w, 2, 2, 1, winner, dy, dx);
    } else {
        route_windows(w, w->n_y, w->n_x, w->assign, winner, dy, dx);
    }
}

TARGET static void relu_mask(const float *y, uint32_t *mask, int64_t n_words) {
    for (int64_t i = 0; i < n_words; i++) {
        uint32_t bits = 0;
#pragma GCC unroll 8
        for (int j = 0; j < 32; j += LANES) {
            bits |= V_SIGNS((ivec)(load(y + 32 * i + j) > (vec){0})) << j;
        }
        mask[i] = bits;
    }
}

TARGET static void clip_mask(float low, float high, const float *y, uint32_t *mask,
                             int64_t n_words) {
    for (int64_t i = 0; i < n_words; i++) {
        uint32_t bits = 0;
#pragma GCC unroll 8
        for (int j = 0; j < 32; j += LANES) {
            const vec v = load(y + 32 * i + j);
            bits |= V_SIGNS((ivec)(v > splat(low)) & (ivec)(v < splat(high))) << j;
        }
        mask[i] = bits;
    }
}

INLINE ivec lane_numbers(void) {
    ivec v;

    for (int i = 0; i < LANES; i++) {
        v[i] = i;
    }
    return v;
}

TARGET static void relu_backward(const uint32_t *mask, const float *dy, float *dx, int64_t n_words,
                                 int accumulate) {
    const ivec bit = 1 << lane_numbers();

    for (int64_t i = 0; i < n_words; i++) {
#pragma GCC unroll 8
        for (int j = 0; j < 32; j += LANES) {
            const ivec word = (int32_t)(mask[i] >> j) - (ivec){0};
            float *to = dx + 32 * i + j;
            const vec d = (vec)((ivec)load(dy + 32 * i + j) & ((word & bit) == bit));
            store(to, accumulate ? load(to) + d : d);
        }
    }
}
