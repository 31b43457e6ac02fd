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
INLINE void strip_in_lines(const int first, const int second, const float *x, int64_t row,
                           float *to) {
    vec half[STRIP_SIDE][STRIP_SIDE];

#pragma GCC unroll 6
    for (int j = 0; j < STRIP_SIDE; j++) {
        vec px[STRIP_SIDE];
#pragma GCC unroll 6
        for (int i = 0; i < STRIP_SIDE; i++) {
            px[i] = load(x + i * row + j * LANES);
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

/* A function of its own: inside of a loop, compilers keep a pointer to each of the pixels. */
__attribute__((noinline)) TARGET static void strip_in(const float *x, int64_t row, float *to) {
    strip_in_lines(1, 2, x, row, to);
    strip_in_lines(3, 4, x, row, to);
    strip_in_lines(0, 5, x, row, to);
}

/* The products of n_px tiles at all points with one slice of weights, `w_plane` floats from point
 * to point. */
INLINE void strip_products(const int n_px, const int n_vec, int64_t n_blocks, const float *values,
                           const float *w, int64_t w_plane, float *to) {
    const struct sg_row r = {.x_step = LANES};

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
                direct_term(&r, n_px, n_vec, at + c, slice + c * n_vec * LANES, acc);
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
        TILE_CASE(1)
        TILE_CASE(2)
        TILE_CASE(3)
        TILE_CASE(4)
        TILE_CASE(5)
        TILE_CASE(6)
#if MAX_PX > 6
        TILE_CASE(7)
        TILE_CASE(8)
        TILE_CASE(9)
        TILE_CASE(10)
        TILE_CASE(11)
        TILE_CASE(12)
#endif
    default:
        break;
    }
}
#undef TILE_CASE

/* n output channels of one tile. Even lines share their sums, and odd ones. */
INLINE void strip_out_lines(const int first, const struct sg_row *r, const float *from, int64_t n,
                            const float *bias, float *y) {
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
        if (i >= r->n_y) {
            return;
        }
#pragma GCC unroll 6
        for (int j = 0; j < STRIP_SIDE; j++) {
            v[j] = half[j][i];
        }
        winograd_line_out(4, v, out);
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            if (j < r->cols) {
                finish(r, out[j], bias, y + i * r->y_stride + j * r->out_step, n);
            }
        }
    }
}

INLINE void strip_out_with(const int relu, const int accumulate, const struct sg_row *tile,
                           const float *from, int64_t n, const float *bias, float *y) {
    struct sg_row r = *tile;

    r.relu = relu;
    r.accumulate = accumulate;
    strip_out_lines(0, &r, from, n, bias, y);
    strip_out_lines(1, &r, from, n, bias, y);
}

/* The commonest ends have no branches but those of the border. */
__attribute__((noinline)) TARGET static void strip_out(const struct sg_row *r, const float *from,
                                                       int64_t n, const float *bias, float *y) {
    if (n < LANES || r->accumulate || r->relu == SG_RELU_6) {
        strip_out_with(r->relu, r->accumulate, r, from, n, bias, y);
    } else if (r->relu == SG_RELU_PLAIN && bias != NULL) {
        strip_out_with(SG_RELU_PLAIN, 0, r, from, LANES, bias, y);
    } else if (r->relu == SG_RELU_NONE && bias != NULL) {
        strip_out_with(SG_RELU_NONE, 0, r, from, LANES, bias, y);
    } else {
        strip_out_with(r->relu, 0, r, from, LANES, NULL, y);
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
            for (int v = 0; v < n_vec; v++) {
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
