/* src/net/kernels/simd_winograd.h - the transforms of Winograd's convolutions F(2x2,3x3) and
 * F(4x4,3x3), a vector of channels at a time; winograd.c says which polynomials they are. A tile of
 * m x m outputs is made from side x side = (m + 2) x (m + 2) inputs, one product a point, `plane`
 * floats apart. */

#define WINOGRAD_P 1.5f          /* the points of F(4x4) are 0, P, -P, Q, -Q and infinity, */
#define WINOGRAD_Q (2.0f / 3.0f) /* and Q = 1 / P */
enum { WINOGRAD_MAX_SIDE = 6 };

/* One line of pixels x[m + 2] becomes values at the points. */
INLINE void winograd_line_in(const int m, const vec *x, vec *v) {
    const vec p2 = splat(-WINOGRAD_P * WINOGRAD_P);
    const vec q2 = splat(-WINOGRAD_Q * WINOGRAD_Q);

    if (m == 2) {
        v[0] = x[0] - x[2];
        v[1] = x[1] + x[2];
        v[2] = x[2] - x[1];
        v[3] = x[3] - x[1];
    } else {
        const vec even_p = V_FMA(q2, x[2], x[4]);
        const vec odd_p = V_FMA(q2, x[1], x[3]);
        const vec even_q = V_FMA(p2, x[2], x[4]);
        const vec odd_q = V_FMA(p2, x[1], x[3]);
        v[0] = V_FMA(p2 + q2, x[2], x[0] + x[4]);
        v[1] = V_FMA(splat(WINOGRAD_P), odd_p, even_p);
        v[2] = V_FMA(splat(-WINOGRAD_P), odd_p, even_p);
        v[3] = V_FMA(splat(WINOGRAD_Q), odd_q, even_q);
        v[4] = V_FMA(splat(-WINOGRAD_Q), odd_q, even_q);
        v[5] = V_FMA(p2 + q2, x[3], x[1] + x[5]);
    }
}

/* One line of products v[m + 2] becomes pixels. */
INLINE void winograd_line_out(const int m, const vec *v, vec *y) {
    if (m == 2) {
        y[0] = v[0] + v[1] + v[2];
        y[1] = v[1] - v[2] + v[3];
    } else {
        const vec sum_p = v[1] + v[2];
        const vec dif_p = v[1] - v[2];
        const vec sum_q = v[3] + v[4];
        const vec dif_q = v[3] - v[4];
        y[0] = V_FMA(splat(WINOGRAD_Q), sum_p, V_FMA(splat(-WINOGRAD_P), sum_q, v[0]));
        y[1] = dif_p - dif_q;
        y[2] = V_FMA(splat(WINOGRAD_P), sum_p, splat(-WINOGRAD_Q) * sum_q);
        y[3] = V_FMA(splat(WINOGRAD_P * WINOGRAD_P), dif_p,
                     V_FMA(splat(-WINOGRAD_Q * WINOGRAD_Q), dif_q, v[5]));
    }
}

/* n channels of a tile, whose pixels lie at px[side * side] + c. */
INLINE void winograd_in_part(const int m, const float *const *px, int64_t c, int64_t n, float *to,
                             int64_t plane) {
    const int side = m + 2;
    vec half[WINOGRAD_MAX_SIDE][WINOGRAD_MAX_SIDE];

#pragma GCC unroll 6
    for (int j = 0; j < side; j++) {
        vec x[WINOGRAD_MAX_SIDE];
#pragma GCC unroll 6
        for (int i = 0; i < side; i++) {
            x[i] = load_part(px[i * side + j] + c, n);
        }
        winograd_line_in(m, x, half[j]);
    }
#pragma GCC unroll 6
    for (int i = 0; i < side; i++) {
        vec x[WINOGRAD_MAX_SIDE];
        vec v[WINOGRAD_MAX_SIDE];
#pragma GCC unroll 6
        for (int j = 0; j < side; j++) {
            x[j] = half[j][i];
        }
        winograd_line_in(m, x, v);
#pragma GCC unroll 6
        for (int j = 0; j < side; j++) {
            store_part(to + (i * side + j) * plane + c, v[j], n);
        }
    }
}

INLINE void winograd_in(const int m, const float *const *px, int64_t width, float *to,
                        int64_t plane) {
    int64_t c = 0;

    for (; c + LANES <= width; c += LANES) {
        winograd_in_part(m, px, c, LANES, to, plane);
    }
    if (c < width) {
        winograd_in_part(m, px, c, width - c, to, plane);
    }
}

/* Tiles at the lower and right border have fewer than m rows or columns inside the output. */
INLINE void winograd_out_part(const int m, const struct sg_row *r, const float *from, int64_t plane,
                              int64_t n, const float *bias, float *y) {
    const int side = m + 2;
    vec half[WINOGRAD_MAX_SIDE][WINOGRAD_MAX_SIDE];

#pragma GCC unroll 6
    for (int j = 0; j < side; j++) {
        vec v[WINOGRAD_MAX_SIDE];
#pragma GCC unroll 6
        for (int i = 0; i < side; i++) {
            v[i] = load_part(from + (i * side + j) * plane, n);
        }
        winograd_line_out(m, v, half[j]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < m; i++) {
        vec v[WINOGRAD_MAX_SIDE];
        vec out[WINOGRAD_MAX_SIDE];
#pragma GCC unroll 6
        for (int j = 0; j < side; j++) {
            v[j] = half[j][i];
        }
        winograd_line_out(m, v, out);
#pragma GCC unroll 4
        for (int j = 0; j < m; j++) {
            if (i < r->n_y && j < r->cols) {
                finish(r, out[j], bias, y + i * r->y_stride + j * r->out_step, n);
            }
        }
    }
}

INLINE void winograd_out(const int m, const struct sg_row *r, const float *from, int64_t plane,
                         const float *bias, float *y) {
    int64_t c = 0;

    for (; c + LANES <= r->width; c += LANES) {
        winograd_out_part(m, r, from + c, plane, LANES, bias == NULL ? NULL : bias + c, y + c);
    }
    if (c < r->width) {
        winograd_out_part(m, r, from + c, plane, r->width - c, bias == NULL ? NULL : bias + c,
                          y + c);
    }
}

/* Lane i of the result is lane from[i] of a, or lane from[i] - LANES of b. */
#if defined(__clang__) /* which has no shuffle by a variable */
INLINE vec shuffle(vec a, vec b, ivec from) {
    vec out;

    for (int i = 0; i < LANES; i++) {
        out[i] = from[i] < LANES ? a[from[i]] : b[from[i] - LANES];
    }
    return out;
}
#else
#define shuffle(a, b, from) __builtin_shuffle(a, b, from)
#endif

/* A square of vectors is transposed by swapping its off-diagonal quarters, then those of each
 * quarter, and so on. */
INLINE void transpose_square(const float *from, int64_t from_stride, float *to, int64_t to_stride) {
    vec row[LANES];

#pragma GCC unroll 16
    for (int i = 0; i < LANES; i++) {
        row[i] = load(from + i * from_stride);
    }
#pragma GCC unroll 4
    for (int d = LANES / 2; d >= 1; d /= 2) {
        ivec low;
        ivec high;
#pragma GCC unroll 16
        for (int i = 0; i < LANES; i++) {
            low[i] = (i & d) == 0 ? i : LANES + i - d;
            high[i] = (i & d) == 0 ? i + d : LANES + i;
        }
#pragma GCC unroll 16
        for (int i = 0; i < LANES; i++) {
            if ((i & d) == 0) {
                const vec upper = row[i];
                row[i] = shuffle(upper, row[i + d], low);
                row[i + d] = shuffle(upper, row[i + d], high);
            }
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < LANES; i++) {
        store(to + i * to_stride, row[i]);
    }
}

/* to[c * to_stride + r] = from[r * from_stride + c] */
TARGET static void transpose(int64_t rows, int64_t cols, const float *from, int64_t from_stride,
                             float *to, int64_t to_stride) {
    for (int64_t r = 0; r < rows; r += LANES) {
        for (int64_t c = 0; c < cols; c += LANES) {
            if (r + LANES <= rows && c + LANES <= cols) {
                transpose_square(from + r * from_stride + c, from_stride, to + c * to_stride + r,
                                 to_stride);
                continue;
            }
            for (int64_t j = c; j < sg_min(c + LANES, cols); j++) {
                for (int64_t i = r; i < sg_min(r + LANES, rows); i++) {
                    to[j * to_stride + i] = from[i * from_stride + j];
                }
            }
        }
    }
}

TARGET static void winograd_in_2(const float *const *px, int64_t width, float *to, int64_t plane) {
    winograd_in(2, px, width, to, plane);
}

TARGET static void winograd_in_4(const float *const *px, int64_t width, float *to, int64_t plane) {
    winograd_in(4, px, width, to, plane);
}

TARGET static void winograd_out_2(const struct sg_row *r, const float *from, int64_t plane,
                                  const float *bias, float *y) {
    winograd_out(2, r, from, plane, bias, y);
}

TARGET static void winograd_out_4(const struct sg_row *r, const float *from, int64_t plane,
                                  const float *bias, float *y) {
    winograd_out(4, r, from, plane, bias, y);
}

static const struct sg_winograd_transforms winograd_transforms[] = {
    {winograd_in_2, winograd_out_2},
    {winograd_in_4, winograd_out_4},
};
