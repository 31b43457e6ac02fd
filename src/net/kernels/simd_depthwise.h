/* src/net/kernels/simd_depthwise.h - one filter a channel: vectors run along the channels, and
 * several sums go on at a time: four pixels that share a weight, or four vectors of one pixel. Each
 * sum runs over the taps in order. Weights are w[tap row][tap][width], tap rows w_stride apart. */

enum { DEPTHWISE_SUMS = 4 };

/* n_px pixels of n_vec vectors, the last of which has `last` channels. */
INLINE void depthwise_finish(const struct sg_row *r, const int n_px, const int n_vec, int64_t last,
                             const float *bias, float *y, const vec *acc) {
#pragma GCC unroll 4
    for (int p = 0; p < n_px; p++) {
#pragma GCC unroll 4
        for (int v = 0; v < n_vec; v++) {
            finish(r, acc[p * n_vec + v], bias == NULL ? NULL : bias + v * LANES,
                   y + p * r->out_step + v * LANES, v == n_vec - 1 ? last : LANES);
        }
    }
}

INLINE void depthwise_tile(const struct sg_row *r, const int n_px, const int n_vec, int64_t last,
                           const float *x, const float *w, const float *bias, float *y) {
    vec acc[DEPTHWISE_SUMS] = {{0}};

    for (int64_t iy = 0; iy < r->n_y; iy++) {
        for (int64_t ix = 0; ix < r->n_x; ix++) {
            const float *at = x + iy * r->y_stride + ix * r->tap_stride;
            const float *weight = w + iy * r->w_stride + ix * r->width;
#pragma GCC unroll 4
            for (int v = 0; v < n_vec; v++) {
                const int64_t n = v == n_vec - 1 ? last : LANES;
                const vec factor = load_part(weight + v * LANES, n);
#pragma GCC unroll 4
                for (int p = 0; p < n_px; p++) {
                    acc[p * n_vec + v] = V_FMA(load_part(at + p * r->x_step + v * LANES, n), factor,
                                               acc[p * n_vec + v]);
                }
            }
        }
    }
    depthwise_finish(r, n_px, n_vec, last, bias, y, acc);
}

/* The same for four pixels of one vector and n_x taps a row that lie as far apart as the pixels do:
 * a pixel is loaded once for all of its taps. */
INLINE void depthwise_sliding(const struct sg_row *r, const int n_x, const float *x, const float *w,
                              const float *bias, float *y) {
    vec acc[DEPTHWISE_SUMS] = {{0}};

    for (int64_t iy = 0; iy < r->n_y; iy++) {
        vec factor[5];
#pragma GCC unroll 5
        for (int t = 0; t < n_x; t++) {
            factor[t] = load(w + iy * r->w_stride + t * r->width);
        }
#pragma GCC unroll 8
        for (int j = 0; j < DEPTHWISE_SUMS + n_x - 1; j++) {
            const vec v = load(x + iy * r->y_stride + j * r->x_step);
#pragma GCC unroll 5
            for (int t = 0; t < n_x; t++) {
                if (j - t >= 0 && j - t < DEPTHWISE_SUMS) {
                    acc[j - t] = V_FMA(v, factor[t], acc[j - t]);
                }
            }
        }
    }
    depthwise_finish(r, DEPTHWISE_SUMS, 1, LANES, bias, y, acc);
}

/* n_px pixels, all channels, in tiles of n_vec vectors and of one. */
INLINE void depthwise_pixels(const struct sg_row *r, const int n_px, const int n_vec,
                             const float *x, const float *w, const float *bias, float *y) {
    int64_t c = 0;

    for (; n_vec > 1 && c + n_vec * LANES <= r->width; c += n_vec * LANES) {
        depthwise_tile(r, n_px, n_vec, LANES, x + c, w + c, bias == NULL ? NULL : bias + c, y + c);
    }
    for (; c + LANES <= r->width; c += LANES) {
        depthwise_tile(r, n_px, 1, LANES, x + c, w + c, bias == NULL ? NULL : bias + c, y + c);
    }
    if (c < r->width) {
        depthwise_tile(r, n_px, 1, r->width - c, x + c, w + c, bias == NULL ? NULL : bias + c,
                       y + c);
    }
}

/* Four pixels: as sliding windows where the shape allows, as far as whole vectors go. */
INLINE void depthwise_four(const struct sg_row *r, const int n_x, const float *x, const float *w,
                           const float *bias, float *y) {
    const int64_t whole = r->width / LANES * LANES;

    for (int64_t c = 0; c < whole; c += LANES) {
        depthwise_sliding(r, n_x, x + c, w + c, bias == NULL ? NULL : bias + c, y + c);
    }
    if (whole < r->width) {
        depthwise_tile(r, DEPTHWISE_SUMS, 1, r->width - whole, x + whole, w + whole,
                       bias == NULL ? NULL : bias + whole, y + whole);
    }
}

TARGET static void depthwise_row(const struct sg_row *r, const float *x, const float *w,
                                 const float *bias, float *y) {
    const int slides = r->x_step == r->tap_stride;
    int64_t i = 0;

    for (; i + 4 <= r->cols; i += 4, x += 4 * r->x_step, y += 4 * r->out_step) {
        if (slides && r->n_x == 3) {
            depthwise_four(r, 3, x, w, bias, y);
        } else if (slides && r->n_x == 5) {
            depthwise_four(r, 5, x, w, bias, y);
        } else {
            depthwise_pixels(r, 4, 1, x, w, bias, y);
        }
    }
    for (; i + 2 <= r->cols; i += 2, x += 2 * r->x_step, y += 2 * r->out_step) {
        depthwise_pixels(r, 2, 2, x, w, bias, y);
    }
    if (i < r->cols) {
        depthwise_pixels(r, 1, 4, x, w, bias, y);
    }
}
