/* src/net/kernels/simd_winograd_strips.h - Winograd's F(4x4,3x3) for few channels: a strip of tiles
 * goes through transform, products and transform while all of it lies in the first cache;
 * winograd_strips.c walks over the image. Distances inside of a strip are constants, so that one
 * register points to all: values[block of LANES channels][point][MAX_PX tiles][LANES], and
 * products[point][MAX_PX tiles][2 LANES output channels]. */

enum {
    STRIP_SIDE = 6,
    STRIP_VALUES = MAX_PX * LANES,       /* floats from point to point */
    STRIP_PRODUCTS = 2 * MAX_PX * LANES, /* likewise */
    STRIP_BLOCK = SG_STRIP_POINTS * STRIP_VALUES
};

/* One block of channels of one tile. Lines 1 and 2, 3 and 4 share their sums: a pair of lines at a
 * time stays in registers from the one direction to the other. */
INLINE void strip_in_lines(const int first, const int second, const float *const *rows, float *to) {
    vec half[STRIP_SIDE][STRIP_SIDE];

#pragma GCC unroll 6
    for (int j = 0; j < STRIP_SIDE; j++) {
        vec px[STRIP_SIDE];
#pragma GCC unroll 6
        for (int i = 0; i < STRIP_SIDE; i++) {
            px[i] = load(rows[i] + j * LANES);
        }
        winograd_line_in(4, px, half[j]);
    }
#pragma GCC unroll 6
    for (int i = 0; i < STRIP_SIDE; i++) {
        vec line[STRIP_SIDE];
        vec v[STRIP_SIDE];
        if (i != first && i != second) {
            continue;
        }
#pragma GCC unroll 6
        for (int j = 0; j < STRIP_SIDE; j++) {
            line[j] = half[j][i];
        }
        winograd_line_in(4, line, v);
#pragma GCC unroll 6
        for (int j = 0; j < STRIP_SIDE; j++) {
            store(to + (i * STRIP_SIDE + j) * STRIP_VALUES, v[j]);
        }
    }
}

/* A function of its own, with a pointer to each row: otherwise compilers keep one to each pixel. */
__attribute__((noinline)) TARGET static void strip_in(const float *x, int64_t row, float *to) {
    const float *const rows[STRIP_SIDE] = {x,           x + row,     x + 2 * row,
                                           x + 3 * row, x + 4 * row, x + 5 * row};

    strip_in_lines(1, 2, rows, to);
    strip_in_lines(3, 4, rows, to);
    strip_in_lines(0, 5, rows, to);
}

/* The products of n_px tiles at all points with one slice of weights, `w_plane` floats from point
 * to point. */
INLINE void strip_products(const int n_px, const int n_vec, int64_t n_blocks, const float *values,
                           const float *w, int64_t w_plane, float *to) {
    for (int e = 0; e < SG_STRIP_POINTS; e++, w += w_plane, to += STRIP_PRODUCTS) {
        const float *at = values + e * STRIP_VALUES;
        const float *slice = w;
        vec acc[MAX_PX][2];
#pragma GCC unroll 16
        for (int p = 0; p < n_px; p++) {
            acc[p][0] = (vec){0};
            acc[p][1] = (vec){0};
        }
        for (int64_t b = 0; b < n_blocks; b++, at += STRIP_BLOCK, slice += n_vec * LANES * LANES) {
#pragma GCC unroll 4
            for (int c = 0; c < LANES; c++) {
                direct_term(LANES, n_px, n_vec, at + c, slice + c * n_vec * LANES, acc);
            }
        }
#pragma GCC unroll 16
        for (int p = 0; p < n_px; p++) {
            store(to + 2 * p * LANES, acc[p][0]);
            if (n_vec == 2) {
                store(to + (2 * p + 1) * LANES, acc[p][1]);
            }
        }
    }
}

#define TILE_CASE(n)                                                                               \
    case n:                                                                                        \
        if (n_vec == 2) {                                                                          \
            strip_products(n, 2, n_blocks, values, w, w_plane, to);                                \
        } else {                                                                                   \
            strip_products(n, 1, n_blocks, values, w, w_plane, to);                                \
        }                                                                                          \
        break;

TARGET static void strip_multiply(int64_t n_tiles, int n_vec, int64_t n_blocks, const float *values,
                                  const float *w, int64_t w_plane, float *to) {
    switch (n_tiles) {
        TILE_CASES
    default:
        break;
    }
}
#undef TILE_CASE

/* Lines 0 and 2 of a tile's outputs share their sums, and 1 and 3. */
INLINE void strip_out_lines(const int first, const int relu, const vec bias, const float *from,
                            float *const *rows, int64_t step) {
    vec half[STRIP_SIDE][STRIP_SIDE];

#pragma GCC unroll 6
    for (int j = 0; j < STRIP_SIDE; j++) {
        vec v[STRIP_SIDE];
#pragma GCC unroll 6
        for (int i = 0; i < STRIP_SIDE; i++) {
            v[i] = load(from + (i * STRIP_SIDE + j) * STRIP_PRODUCTS);
        }
        winograd_line_out(4, v, half[j]);
    }
#pragma GCC unroll 2
    for (int i = first; i < 4; i += 2) {
        vec v[STRIP_SIDE];
        vec out[4];
#pragma GCC unroll 6
        for (int j = 0; j < STRIP_SIDE; j++) {
            v[j] = half[j][i];
        }
        winograd_line_out(4, v, out);
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            store(rows[i] + j * step, cut(relu, out[j] + bias));
        }
    }
}

/* A vector of output channels of one tile, all of whose outputs are written. */
INLINE void strip_out_tile(const int relu, const vec bias, const float *from, float *y, int64_t row,
                           int64_t step) {
    float *const rows[4] = {y, y + row, y + 2 * row, y + 3 * row};

    strip_out_lines(0, relu, bias, from, rows, step);
    strip_out_lines(1, relu, bias, from, rows, step);
}

__attribute__((noinline)) TARGET static void strip_out_plain(vec bias, const float *from, float *y,
                                                             int64_t row, int64_t step) {
    strip_out_tile(SG_RELU_NONE, bias, from, y, row, step);
}

__attribute__((noinline)) TARGET static void strip_out_relu(vec bias, const float *from, float *y,
                                                            int64_t row, int64_t step) {
    strip_out_tile(SG_RELU_PLAIN, bias, from, y, row, step);
}

/* n channels of a tile that is not written as a whole, or with more than a bias and a Relu. */
__attribute__((noinline)) TARGET static void
strip_out_part(const struct sg_row *r, const float *from, int64_t n, const float *bias, float *y) {
    float tile[4 * 4 * LANES];

    strip_out_plain((vec){0}, from, tile, 4 * LANES, LANES);
    for (int64_t i = 0; i < r->n_y; i++) {
        for (int64_t j = 0; j < r->cols; j++) {
            finish(r, load(tile + (4 * i + j) * LANES), bias, y + i * r->y_stride + j * r->out_step,
                   n);
        }
    }
}

TARGET static void strip_out(const struct sg_row *r, const float *from, int64_t n,
                             const float *bias, float *y) {
    const int is_whole = n >= LANES && r->n_y == 4 && r->cols == 4;

    if (!is_whole || r->accumulate || r->relu == SG_RELU_6) {
        strip_out_part(r, from, n, bias, y);
    } else if (r->relu == SG_RELU_PLAIN) {
        strip_out_relu(bias != NULL ? load(bias) : (vec){0}, from, y, r->y_stride, r->out_step);
    } else {
        strip_out_plain(bias != NULL ? load(bias) : (vec){0}, from, y, r->y_stride, r->out_step);
    }
}

/* n channels of the maxima of a tile's windows. */
INLINE void strip_pool_as(const int64_t n_y, const int64_t n_x, const float *tile, int64_t n,
                          int64_t out_row, int64_t step, float *y, uint8_t *winner) {
#pragma GCC unroll 2
    for (int64_t i = 0; i < n_y; i++) {
#pragma GCC unroll 2
        for (int64_t j = 0; j < n_x; j++) {
            const float *at = tile + (8 * i + 2 * j) * LANES;
            const int64_t to = i * out_row + j * step;
            vec best = load(at);
            ivec number = {0};
#pragma GCC unroll 3
            for (int p = 1; p < 4; p++) {
                max_take(load(at + (p / 2 * 4 + p % 2) * LANES), p - (ivec){0}, &best, &number);
            }
            max_store(best, number, y + to, winner + to, n);
        }
    }
}

TARGET static void strip_pool(const struct sg_row *r, const float *from, int64_t n,
                              const float *bias, float *y, uint8_t *winner) {
    const vec shift = bias != NULL ? load_part(bias, n) : (vec){0};
    float tile[4 * 4 * LANES];

    if (r->relu == SG_RELU_PLAIN) {
        strip_out_relu(shift, from, tile, 4 * LANES, LANES);
    } else {
        strip_out_plain(shift, from, tile, 4 * LANES, LANES);
    }
    if (n >= LANES && r->n_y == 4 && r->cols == 4) {
        strip_pool_as(2, 2, tile, LANES, r->y_stride, r->out_step, y, winner);
    } else {
        strip_pool_as(r->n_y / 2, r->cols / 2, tile, n, r->y_stride, r->out_step, y, winner);
    }
}

TARGET static void winograd_strip(const struct sg_strip *s, const float *w, int64_t w_plane,
                                  const float *bias, float *values, float *products) {
    const int64_t n_blocks = (s->c + LANES - 1) / LANES;

    for (int64_t b = 0; b < n_blocks; b++) {
        for (int64_t t = 0; t < s->n; t++) {
            strip_in(s->in[t] + b * s->in_block, s->in_row, values + b * STRIP_BLOCK + t * LANES);
        }
    }
    for (int64_t o = 0; o < s->k; o += 2 * LANES, w += 2 * LANES * n_blocks * LANES) {
        const int n_vec = s->k - o > LANES ? 2 : 1;

        strip_multiply(s->n, n_vec, n_blocks, values, w, w_plane, products);
        for (int64_t t = 0; t < s->n; t++) {
            struct sg_row r = {.cols = s->cols[t],
                               .n_y = s->rows[t],
                               .y_stride = s->out_row,
                               .out_step = s->k,
                               .relu = s->relu,
                               .accumulate = s->accumulate};
            for (int v = 0; v < n_vec && s->winner[t] != NULL; v++) {
                const int64_t c = o + v * LANES;
                strip_pool(&r, products + (2 * t + v) * LANES, sg_min(LANES, s->k - c),
                           bias == NULL ? NULL : bias + c, s->out[t] + c, s->winner[t] + c);
            }
            for (int v = 0; v < n_vec && s->winner[t] == NULL; v++) {
                strip_out(&r, products + (2 * t + v) * LANES, sg_min(LANES, s->k - o - v * LANES),
                          bias == NULL ? NULL : bias + o + v * LANES, s->out[t] + o + v * LANES);
            }
        }
    }
}

/* Copies rows of n pixels of c channels into blocks of LANES channels, `block` floats apart, 0 past
 * the last channel. */
TARGET static void strip_pack(const float *from, int64_t n, int64_t c, int64_t block, float *to) {
    for (int64_t b = 0; b < c; b += LANES, to += block) {
        for (int64_t i = 0; i < n; i++) {
            store(to + i * LANES, load_part(from + i * c + b, c - b));
        }
    }
}
