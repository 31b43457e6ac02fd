/* src/net/kernels/winograd_strips.c - Winograd's F(4x4,3x3) where there are few channels:
 * winograd.c's tiles, points and weights, but a strip of some tiles at a time, so that values and
 * products never leave the first cache. A point's product is small there, so the products of all
 * points run in one loop; and since transposing weights would cost as much as they save, the
 * adjoint has its own.
 *
 * Error: that of winograd.c, with as many channels. */
#include "net/kernels/kernels_impl.h"

#include <string.h>

/* Measured on Zen 3 over 4 to 64 channels in and out, images of 7x7 to 56x56: below MIN_CHANNELS
 * the direct kernel is as fast. The weights are read for each strip: where they outgrow half of the
 * second cache, winograd.c's blocks of many tiles take over from WEIGHTS on, but it needs
 * MANY_CHANNELS on both sides, since its transforms are longer. */
enum { M = 4, MIN_CHANNELS = 8, MANY_CHANNELS = 32, WEIGHTS = 2048 };

/* Floats of the rows that are packed at a time: they stay in the second cache. */
enum { BLOCK_FLOATS = 32768 };

static int64_t in_tiles(int64_t n) {
    return sg_round_up(n, M);
}

static int applies(const struct sg_corr *q) {
    return sg_winograd_saves(q, M, MIN_CHANNELS) &&
           (sg_min(q->c, q->k) < MANY_CHANNELS || q->c * q->k <= WEIGHTS);
}

static int pools(const struct sg_corr *q) {
    (void)q;
    return 1;
}

/* Channels in whole vectors. */
static int64_t channels(const struct sg_corr *q) {
    return sg_round_up(q->c, sg_simd_current()->lanes);
}

static int64_t plane(const struct sg_corr *q) {
    return sg_winograd_plane(channels(q), q->k);
}

static int64_t weights_size(const struct sg_corr *q) {
    return SG_STRIP_POINTS * plane(q);
}

static void prepare(const struct sg_corr *q, const struct sg_weights *w, float *prepared) {
    sg_winograd_prepare(q, w, M, channels(q), prepared);
}

/* Output rows that are done at a time, whole tiles; the last ones may lie below the image. */
static int64_t rows_per_block(const struct sg_corr *q) {
    const int64_t fitting = BLOCK_FLOATS / ((in_tiles(q->x.out) + 2) * channels(q)) - 2;

    return sg_min(in_tiles(q->y.out), sg_max(M, fitting / M * M));
}

/* Workspace: packed rows with their border, values, products. */
struct layout {
    int64_t row, block; /* floats from row to row, and from LANES channels to the next */
    int64_t values, products, size;
};

static struct layout layout_of(const struct sg_corr *q) {
    const struct sg_simd *simd = sg_simd_current();
    struct layout l = {.row = (in_tiles(q->x.out) + 2) * simd->lanes};

    l.block = (rows_per_block(q) + 2) * l.row;
    l.values = sg_round_up(l.block * channels(q) / simd->lanes, 16);
    l.products = l.values + SG_STRIP_POINTS * simd->strip * channels(q);
    l.size = l.products + SG_STRIP_POINTS * simd->strip * 2 * simd->lanes;
    return l;
}

static int64_t work_size(const struct sg_corr *q) {
    return layout_of(q).size;
}

static void zero(float *to, int64_t n) {
    memset(to, 0, (size_t)n * sizeof *to);
}

/* Input row y of sample i in all blocks of channels from `to` on. What lies beside the image is 0
 * from the start; what lies above or below it may hold rows of another block. */
static void pack_row(const struct sg_corr *q, const struct layout *l, const float *image, int64_t y,
                     float *to) {
    const struct sg_simd *simd = sg_simd_current();
    const int64_t begin = sg_max(0, -q->x.origin);
    const int64_t end = sg_min(l->row / simd->lanes, q->x.in - q->x.origin);

    if (y >= 0 && y < q->y.in) {
        simd->strip_pack(image + (y * q->x.in + q->x.origin + begin) * q->c, end - begin, q->c,
                         l->block, to + begin * simd->lanes);
        return;
    }
    for (int64_t b = 0; b < channels(q) / simd->lanes; b++) {
        zero(to + b * l->block, l->row);
    }
}

/* Of the windows that outputs are pooled in; 1: they are not. */
static int64_t window_side(const struct sg_corr_call *call) {
    return call->winner != NULL ? 2 : 1;
}

/* The n tiles from *x, *y on, in rows of tiles; these become the place of the next one. */
static struct sg_strip strip_of(const struct sg_corr *q, const struct sg_corr_call *call,
                                const struct layout *l, int64_t n, float *out, int64_t n_rows,
                                int64_t *y, int64_t *x) {
    const int64_t side = window_side(call);
    struct sg_strip s = {.n = n,
                         .c = q->c,
                         .k = q->k,
                         .in_row = l->row,
                         .in_block = l->block,
                         .out_row = q->x.out / side * q->k,
                         .relu = call->relu,
                         .accumulate = call->accumulate};

    for (int64_t t = 0; t < n; t++) {
        s.in[t] = call->work + *y * l->row + *x * sg_simd_current()->lanes;
        s.out[t] = out + *y / side * s.out_row + *x / side * q->k;
        s.winner[t] = call->winner == NULL ? NULL : call->winner + (s.out[t] - call->out);
        s.rows[t] = sg_min(M, n_rows - *y);
        s.cols[t] = sg_min(M, q->x.out - *x);
        *x += M;
        if (*x >= q->x.out) {
            *x = 0;
            *y += M;
        }
    }
    return s;
}

/* Output rows from y0 on in sample i, `n_rows` of them, in strips of nearly equal length. */
static void run_rows(const struct sg_corr *q, const float *prepared,
                     const struct sg_corr_call *call, const struct layout *l, int64_t i, int64_t y0,
                     int64_t n_rows) {
    const struct sg_simd *simd = sg_simd_current();
    const float *image = call->in + i * q->y.in * q->x.in * q->c;
    const int64_t n_tiles = in_tiles(n_rows) / M * (in_tiles(q->x.out) / M);
    const int64_t n_strips = (n_tiles + simd->strip - 1) / simd->strip;
    const int64_t side = window_side(call);
    float *out = call->out + (i * q->y.out + y0) / side * (q->x.out / side) * q->k;
    int64_t y = 0, x = 0;

    for (int64_t row = 0; row < in_tiles(n_rows) + 2; row++) {
        pack_row(q, l, image, q->y.origin + y0 + row, call->work + row * l->row);
    }
    for (int64_t j = 0; j < n_strips; j++) {
        const int64_t n = n_tiles / n_strips + (j < n_tiles % n_strips);
        const struct sg_strip s = strip_of(q, call, l, n, out, n_rows, &y, &x);

        simd->winograd_strip(&s, prepared, plane(q), call->bias, call->work + l->values,
                             call->work + l->products);
    }
}

static void run(const struct sg_corr *q, const float *prepared, const struct sg_corr_call *call) {
    const struct layout l = layout_of(q);
    const int64_t step = rows_per_block(q);

    zero(call->work, l.values);
    for (int64_t i = 0; i < q->n; i++) {
        for (int64_t y0 = 0; y0 < q->y.out; y0 += step) {
            const int64_t n_rows = sg_min(step, q->y.out - y0);

            run_rows(q, prepared, call, &l, i, y0, n_rows);
            sg_corr_done(call, (i * q->y.out + y0 + n_rows) * q->x.out * q->k);
        }
    }
}

const struct sg_algorithm sg_algorithm_strips = {
    .name = "winograd strips",
    .applies = applies,
    .weights_size = weights_size,
    .prepare = prepare,
    .work_size = work_size,
    .run = run,
    .pools = pools,
};
