/* src/net/kernels/winograd.c - 3x3 convolutions of stride 1 with 1.8 to 4 times fewer products
 * (Winograd; Lavin and Gray 2016, arXiv:1509.09308).
 *
 * A tile of m x m outputs is a product of polynomials: image tile and kernel are evaluated at m + 2
 * points on each axis, multiplied there, and the outputs interpolated. Over all tiles and channels
 * the products at one point are a matrix product. It runs on the direct convolution's kernel, which
 * takes weights as they were prepared: faster than an SGEMM that packs them again for every block
 * (1.3 times for 64 channels, 1.1 times for 256 and more; Zen 3 and OpenBLAS).
 *
 * Points: 0, 1, -1 and infinity for m = 2; 0, P, -P, Q, -Q and infinity for m = 4 with P = 3/2 and
 * Q = 2/3. These have half the error of the usual 0, 1, -1, 2, -2 (simulated in float32). Both sets
 * are closed under x -> 1/x, and a flipped kernel is the polynomial x^2 g(1/x): with values scaled
 * by 1/|x|, the weights of the adjoint are those of the forward pass at the reciprocal points,
 * transposed. So one copy of the weights, four times as large as the kernel for m = 4, serves both
 * directions.
 *
 * Error, relative L2 against sums in double, AVX2, one layer of 32, 128, 512 channels on random
 * arrays, forward: direct 2.1, 4.2, 8.3e-7; columns 2.0, 2.2, 2.4e-7; m = 2 1.7, 3.1, 6.2e-7; m = 4
 * 4.8, 8.7, 17e-7. Backward is 1.2 to 1.4 times that. Gradients of the trained SqueezeNet, medians
 * of only 8 noisy images, in which single ReLUs flip by chance: direct 4.9e-7, m = 2 3.5e-7, m = 4
 * 7.4e-7. So m follows the shape alone: the fewer products.
 *
 * Where all inputs of an output are 0 but others of its tile are not, it may differ from 0 by
 * rounding; a NaN or infinity reaches all outputs of its tile. */
#include "net/kernels/kernels_impl.h"

#include <string.h>

/* Tiles of a block: large enough to use a pass over the weights well, small enough that a block's
 * values and products stay cached; the first bound is the stronger one. */
enum { MIN_BLOCK = 120, BLOCK_FLOATS = 1 << 20, MAX_SIDE = 6, MAX_POINTS = MAX_SIDE * MAX_SIDE };

/* Evaluation of a kernel of three taps, and where the reciprocal of each point stands. */
struct points {
    int64_t m;
    double g[MAX_SIDE][3];
    int reciprocal[MAX_SIDE];
};

#define P 1.5
#define Q (1 / P)
/* The value at x, scaled so that the interpolation has no further constants. */
#define AT(x, abs_x)                                                                               \
    {                                                                                              \
        1 / (2 * (P * P - Q * Q) * (abs_x)), (x) / (2 * (P * P - Q * Q) * (abs_x)),                \
            (x) * (x) / (2 * (P * P - Q * Q) * (abs_x))                                            \
    }

static const struct points points_2 = {
    2, {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}}, {3, 1, 2, 0}};
static const struct points points_4 = {
    4, {{1, 0, 0}, AT(P, P), AT(-P, P), AT(Q, Q), AT(-Q, Q), {0, 0, 1}}, {5, 3, 4, 1, 2, 0}};

/* How an image falls into tiles, tiles into blocks, and a block into the workspace. */
struct layout {
    int64_t m, side, n_points;
    int64_t tiles_y, tiles_x, n_tiles;
    int64_t block;
    int64_t in_plane, out_plane; /* floats from point to point */
};

/* Planes are one cache line more than a multiple of that apart from a power of two: points would
 * otherwise fall on each other in the first cache. */
static int64_t plane_size(int64_t n) {
    return sg_round_up(n, 16) + 16;
}

static struct layout layout_of(const struct sg_corr *q, int64_t m) {
    struct layout l = {.m = m, .side = m + 2, .n_points = (m + 2) * (m + 2)};
    const int64_t fitting = BLOCK_FLOATS / (l.n_points * (q->c + q->k));

    l.tiles_y = (q->y.out + m - 1) / m;
    l.tiles_x = (q->x.out + m - 1) / m;
    l.n_tiles = q->n * l.tiles_y * l.tiles_x;
    l.block = sg_min(l.n_tiles, sg_max(MIN_BLOCK, fitting / 12 * 12));
    l.in_plane = plane_size(l.block * q->c);
    l.out_plane = plane_size(l.block * q->k);
    return l;
}

static int is_3_of_stride_1(const struct sg_axis *a) {
    return a->taps == 3 && a->dilation == 1 && a->step == 1;
}

/* Products a sample. */
static int64_t n_products(const struct sg_corr *q, int64_t m) {
    const struct layout l = layout_of(q, m);

    return l.tiles_y * l.tiles_x * l.n_points;
}

/* Below these the transforms cost what the products save (measured on Zen 3 with 16 samples;
 * elsewhere the same is expected, since both scale with the vectors), or the weights, which are
 * four times as large, are read for too few tiles. */
enum { MIN_CHANNELS = 32, MIN_EXTENT = 6, MIN_SAVING = 2 };

int sg_winograd_saves(const struct sg_corr *q, int64_t m, int64_t min_channels) {
    return q->groups == 1 && !q->keeps_ties && is_3_of_stride_1(&q->y) && is_3_of_stride_1(&q->x) &&
           sg_corr_is_dense(q) && sg_min(q->c, q->k) >= min_channels &&
           sg_min(q->y.out, q->x.out) >= MIN_EXTENT &&
           MIN_SAVING * n_products(q, m) <= 9 * q->y.out * q->x.out;
}

static int applies(const struct sg_corr *q) {
    return sg_winograd_saves(q, 2, MIN_CHANNELS) || sg_winograd_saves(q, 4, MIN_CHANNELS);
}

/* Images of which the large tiles would hang over by much. */
static int applies_2(const struct sg_corr *q) {
    return applies(q) && n_products(q, 2) <= n_products(q, 4);
}

/* Weights of a point lie as the direct convolution takes them: slices of one or two vectors of
 * output channels, [slice][input channel][lanes]. */

static int64_t slice_width(void) {
    return 2 * sg_simd_current()->lanes;
}

static int64_t n_slices(int64_t k) {
    return (k + slice_width() - 1) / slice_width();
}

/* Floats from one input channel to the next in the slice from output channel o on. */
static int64_t slice_stride(int64_t k, int64_t o) {
    const int64_t lanes = sg_simd_current()->lanes;

    return k - o > lanes ? 2 * lanes : lanes;
}

static int64_t point_size(int64_t c, int64_t k) {
    return n_slices(k) * c * slice_width();
}

static int64_t weights_size(const struct sg_corr *q, int64_t m) {
    return (m + 2) * (m + 2) * point_size(q->c, q->k);
}

/* The kernel of one pair of channels at all points, `plane` floats apart. */
static void evaluate(const struct points *p, const struct sg_weights *w, const float *at, float *to,
                     int64_t plane) {
    const int64_t side = p->m + 2;

    for (int64_t i = 0; i < side; i++) {
        double row[3];
        for (int64_t x = 0; x < 3; x++) {
            row[x] = p->g[i][0] * (double)at[x * w->x] + p->g[i][1] * (double)at[w->y + x * w->x] +
                     p->g[i][2] * (double)at[2 * w->y + x * w->x];
        }
        for (int64_t j = 0; j < side; j++, to += plane) {
            *to = (float)(p->g[j][0] * row[0] + p->g[j][1] * row[1] + p->g[j][2] * row[2]);
        }
    }
}

static void prepare(const struct sg_corr *q, const struct sg_weights *w, const struct points *p,
                    int64_t channels, float *prepared) {
    const int64_t plane = point_size(channels, q->k);

    memset(prepared, 0, (size_t)((p->m + 2) * (p->m + 2) * plane) * sizeof *prepared);
    for (int64_t o = 0; o < q->k; o++) {
        const int64_t in_slice = o % slice_width();
        const int64_t stride = slice_stride(q->k, o - in_slice);
        float *to = prepared + (o - in_slice) * channels + in_slice;
        for (int64_t c = 0; c < q->c; c++) {
            evaluate(p, w, w->at + c * w->c + o * w->k, to + c * stride, plane);
        }
    }
}

/* The adjoint's weights at one point from those of the forward pass: read in the order of memory,
 * since they come from far, and written to a buffer that stays near. */
static void transpose_point(const struct sg_corr *q, const float *from, float *to) {
    for (int64_t c = 0; c < q->c; c += slice_width(), from += q->k * slice_width()) {
        const int64_t from_stride = slice_stride(q->c, c);
        const int64_t n_in = sg_min(slice_width(), q->c - c);
        for (int64_t o = 0; o < q->k; o += slice_width()) {
            const int64_t stride = slice_stride(q->k, o);
            sg_simd_current()->transpose(sg_min(slice_width(), q->k - o), n_in,
                                         from + o * from_stride, from_stride,
                                         to + o * q->c + c * stride, stride);
        }
    }
}

/* Workspace: a row of zeros for the pixels outside the image, one point's transposed
 * weights, the values at the points, the products. */
static int64_t zeros_size(const struct sg_corr *q) {
    return sg_round_up(q->c, 16);
}

static int64_t work_size(const struct sg_corr *q, int64_t m) {
    const struct layout l = layout_of(q, m);

    return zeros_size(q) + point_size(q->c, q->k) + l.n_points * (l.in_plane + l.out_plane);
}

/* The pixels of tile t, in row order. */
static void find_pixels(const struct sg_corr *q, const struct layout *l, const float *in, int64_t t,
                        const float *zeros, const float **px) {
    const int64_t y0 = q->y.origin + t / l->tiles_x % l->tiles_y * l->m;
    const int64_t x0 = q->x.origin + t % l->tiles_x * l->m;
    const float *image = in + t / l->tiles_x / l->tiles_y * q->y.in * q->x.in * q->c;

    for (int64_t y = y0; y < y0 + l->side; y++) {
        const int inside = y >= 0 && y < q->y.in;
        for (int64_t x = x0; x < x0 + l->side; x++) {
            *px++ = inside && x >= 0 && x < q->x.in ? image + (y * q->x.in + x) * q->c : zeros;
        }
    }
}

static void transform_out(const struct sg_corr *q, const struct layout *l,
                          const struct sg_corr_call *call, int64_t t, const float *from) {
    const int64_t y0 = t / l->tiles_x % l->tiles_y * l->m;
    const int64_t x0 = t % l->tiles_x * l->m;
    const int64_t i = t / l->tiles_x / l->tiles_y;
    const struct sg_row r = {.cols = sg_min(l->m, q->x.out - x0),
                             .n_y = sg_min(l->m, q->y.out - y0),
                             .y_stride = q->x.out * q->k,
                             .out_step = q->k,
                             .width = q->k,
                             .relu = call->relu,
                             .accumulate = call->accumulate};

    sg_simd_current()->winograd[l->m / 4].out(&r, from, l->out_plane, call->bias,
                                              call->out +
                                                  ((i * q->y.out + y0) * q->x.out + x0) * q->k);
}

/* The products of n tiles at one point: a tile is a row. */
static void multiply(const struct sg_corr *q, const float *weights, int64_t n, const float *in,
                     float *out) {
    sg_multiply(
        &(struct sg_product){
            .n = n, .run = q->c, .k = q->k, .n_terms = q->c, .in_step = q->c, .out_step = q->k},
        in, weights, NULL, out);
}

/* The adjoint's weights lie transposed at the reciprocal point. */
static void multiply_all(const struct sg_corr *q, const struct layout *l, const struct points *p,
                         const float *prepared, int adjoint, int64_t n, float *buffer,
                         const float *in, float *out) {
    for (int64_t e = 0; e < l->n_points; e++) {
        const int64_t r = p->reciprocal[e / l->side] * l->side + p->reciprocal[e % l->side];
        if (adjoint) {
            transpose_point(q, prepared + r * point_size(q->k, q->c), buffer);
        }
        multiply(q, adjoint ? buffer : prepared + e * point_size(q->c, q->k), n,
                 in + e * l->in_plane, out + e * l->out_plane);
    }
}

/* Rows of pixels that the first n tiles fill. */
static int64_t rows_done(const struct sg_corr *q, const struct layout *l, int64_t n) {
    return n / l->tiles_x / l->tiles_y * q->y.out + n / l->tiles_x % l->tiles_y * l->m;
}

static void run(const struct sg_corr *q, const struct points *p, const float *prepared,
                const struct sg_corr_call *call) {
    const struct layout l = layout_of(q, p->m);
    float *zeros = call->work;
    float *buffer = zeros + zeros_size(q);
    float *in = buffer + point_size(q->c, q->k);
    float *out = in + l.n_points * l.in_plane;
    const float *px[MAX_POINTS];

    memset(zeros, 0, (size_t)q->c * sizeof *zeros);
    memset(buffer, 0, (size_t)point_size(q->c, q->k) * sizeof *buffer);
    for (int64_t first = 0; first < l.n_tiles; first += l.block) {
        const int64_t n = sg_min(l.block, l.n_tiles - first);
        for (int64_t t = 0; t < n; t++) {
            find_pixels(q, &l, call->in, first + t, zeros, px);
            sg_simd_current()->winograd[l.m / 4].in(px, q->c, in + t * q->c, l.in_plane);
        }
        multiply_all(q, &l, p, prepared, call->adjoint, n, buffer, in, out);
        for (int64_t t = 0; t < n; t++) {
            transform_out(q, &l, call, first + t, out + t * q->k);
        }
        sg_corr_done(call, rows_done(q, &l, first + n) * q->x.out * q->k);
    }
}

int64_t sg_winograd_plane(int64_t c, int64_t k) {
    return point_size(c, k);
}

void sg_winograd_prepare(const struct sg_corr *q, const struct sg_weights *w, int64_t m, int64_t c,
                         float *prepared) {
    prepare(q, w, m == 2 ? &points_2 : &points_4, c, prepared);
}

static int64_t weights_size_2(const struct sg_corr *q) {
    return weights_size(q, 2);
}

static void prepare_2(const struct sg_corr *q, const struct sg_weights *w, float *prepared) {
    prepare(q, w, &points_2, q->c, prepared);
}

static int64_t work_size_2(const struct sg_corr *q) {
    return work_size(q, 2);
}

static void run_2(const struct sg_corr *q, const float *prepared, const struct sg_corr_call *call) {
    run(q, &points_2, prepared, call);
}

const struct sg_algorithm sg_algorithm_winograd2 = {
    .name = "winograd 2x2",
    .applies = applies_2,
    .weights_size = weights_size_2,
    .prepare = prepare_2,
    .work_size = work_size_2,
    .run = run_2,
    .serves_adjoint = 1,
};

static int64_t weights_size_4(const struct sg_corr *q) {
    return weights_size(q, 4);
}

static void prepare_4(const struct sg_corr *q, const struct sg_weights *w, float *prepared) {
    prepare(q, w, &points_4, q->c, prepared);
}

static int64_t work_size_4(const struct sg_corr *q) {
    return work_size(q, 4);
}

static void run_4(const struct sg_corr *q, const float *prepared, const struct sg_corr_call *call) {
    run(q, &points_4, prepared, call);
}

const struct sg_algorithm sg_algorithm_winograd4 = {
    .name = "winograd 4x4",
    .applies = applies,
    .weights_size = weights_size_4,
    .prepare = prepare_4,
    .work_size = work_size_4,
    .run = run_4,
    .serves_adjoint = 1,
};
