/* src/net/kernels/bfloat16.c - correlations with inputs and weights of bfloat16, summed in float,
 * on the blocks of tiles.h.
 *
 * Input rows are rounded into a buffer with their zero border and whole steps of channels. From
 * there a block reads its rows where they lie: 32 pixels at equal distance, a tap and 32 channels a
 * step; no column matrix is written. With stride 1 all pixels of the buffer are one line, over ends
 * of rows and of samples: what falls on a border is computed and left out.
 *
 * The sum of an output pixel has the order of its steps alone, so that neither the size of the
 * batch nor a pixel's place in a block shows. Error of a sum of K products against float: 2^-9 for
 * each factor, so about 2^-8 of the root of the sum of squares of the products. */
#include "net/kernels/kernels_impl.h"
#include "net/kernels/tiles.h"

#include "sgdist/status.h"

#include <string.h>

#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) &&                 \
    !defined(__clang__)
#define CLONES __attribute__((target_clones("default", "avx2")))
#else
#define CLONES
#endif

/* Half of the smallest second-level cache (1 MB) of processors that have such products, in
 * numbers. Fewer channels than MIN are not worth a block: such layers, the first one among them,
 * stay in float. */
enum { BUFFER = 1 << 18, MIN_CHANNELS = 16, TWO = sizeof(float) / sizeof(uint16_t) };

CLONES void sg_to_bfloat16(const float *from, uint16_t *to, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &from[i], sizeof bits);
        const uint32_t size = bits & 0x7fffffff;
        const uint32_t nearest = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
        const uint32_t kept = size > 0x7f800000 ? bits >> 16 | 0x40 : nearest;
        to[i] = (uint16_t)(size < 0x00800000 ? bits >> 16 & 0x8000 : kept);
    }
}

static int applies(const struct sg_corr *q) {
    return q->precision == SG_PRECISION_BFLOAT16 && sg_min(q->c, q->k) >= MIN_CHANNELS;
}

/* How the rows of `n_rows` output rows of `n_samples` samples lie in the buffer. */
struct layout {
    int64_t c;             /* channels of a pixel, filled up to whole steps */
    int64_t width, height; /* pixels of a row, rows of a sample */
    int64_t n_samples, n_rows;
    int is_line; /* all pixels are one line; else each output row is one */
};

static int64_t extent(const struct sg_axis *a, int64_t n_out) {
    return (n_out - 1) * a->step + (a->taps - 1) * a->dilation + 1;
}

/* Whole samples, as many as fit; or some rows of one. */
static struct layout layout_of(const struct sg_corr *q) {
    struct layout l = {.c = sg_round_up(q->c, SG_TILE_STEP),
                       .width = extent(&q->x, q->x.out),
                       .n_rows = q->y.out,
                       .is_line = q->y.step == 1 && q->x.step == 1};
    const int64_t rows = BUFFER / (l.width * l.c);

    l.height = extent(&q->y, q->y.out);
    l.n_samples = sg_max(1, sg_min(q->n, rows / l.height));
    if (l.height > rows) {
        l.n_rows = sg_max(1, (rows - extent(&q->y, 1)) / q->y.step + 1);
        l.height = extent(&q->y, l.n_rows);
    }
    return l;
}

/* The last block of a line reads up to 31 pixels behind it. */
static int64_t slack(const struct sg_corr *q, const struct layout *l) {
    return (SG_TILE_BLOCK - 1) * q->x.step * l->c;
}

static int64_t work_size(const struct sg_corr *q) {
    const struct layout l = layout_of(q);

    return (l.n_samples * l.height * l.width * l.c + slack(q, &l)) / TWO + 1;
}

/* ---- weights ---- */

static int64_t n_steps(const struct sg_corr *q) {
    return q->y.taps * q->x.taps * (sg_round_up(q->c, SG_TILE_STEP) / SG_TILE_STEP);
}

static int64_t panel_size(const struct sg_corr *q) {
    return n_steps(q) * SG_TILE_STEP_SIZE;
}

static int64_t n_panels(const struct sg_corr *q) {
    return (q->k + SG_TILE_BLOCK - 1) / SG_TILE_BLOCK;
}

static int64_t weights_size(const struct sg_corr *q) {
    return q->groups * n_panels(q) * panel_size(q) / TWO;
}

/* Where input channel c of a step and column o of a panel stand in the step. */
static int64_t place(int64_t c, int64_t o) {
    const int64_t half = SG_TILE_BLOCK / 2;

    return o / half * (SG_TILE_STEP_SIZE / 2) + c / 2 * SG_TILE_STEP + o % half * 2 + c % 2;
}

/* All output channels of one tap and input channel; `to` is their group's. */
static void prepare_channel(const struct sg_corr *q, const float *at, int64_t stride, int64_t step,
                            int64_t c, uint16_t *to) {
    for (int64_t o = 0; o < q->k; o++) {
        uint16_t *panel = to + o / SG_TILE_BLOCK * panel_size(q);
        sg_to_bfloat16(at + o * stride,
                       panel + step * SG_TILE_STEP_SIZE + place(c, o % SG_TILE_BLOCK), 1);
    }
}

static void prepare(const struct sg_corr *q, const struct sg_weights *w, float *prepared) {
    const int64_t steps = sg_round_up(q->c, SG_TILE_STEP) / SG_TILE_STEP;
    uint16_t *to = (uint16_t *)(void *)prepared;

    memset(prepared, 0, (size_t)weights_size(q) * sizeof *prepared);
    for (int64_t g = 0; g < q->groups; g++, to += n_panels(q) * panel_size(q)) {
        for (int64_t t = 0; t < q->y.taps * q->x.taps; t++) {
            const float *tap = w->at + g * w->group + t / q->x.taps * w->y + t % q->x.taps * w->x;
            for (int64_t c = 0; c < q->c; c++) {
                prepare_channel(q, tap + c * w->c, w->k, t * steps + c / SG_TILE_STEP,
                                c % SG_TILE_STEP, to);
            }
        }
    }
}

/* ---- input ---- */

/* Pixels [begin, end) of a buffer row, from the image row at this group. */
static void fill_pixels(const struct sg_corr *q, const struct layout *l, const float *row,
                        int64_t begin, int64_t end, uint16_t *to) {
    const int64_t all = q->groups * q->c;
    const float *from = row + (q->x.origin + begin) * all;

    to += begin * l->c;
    if (all == l->c) {
        sg_to_bfloat16(from, to, (end - begin) * all);
        return;
    }
    for (int64_t i = begin; i < end; i++, from += all, to += l->c) {
        sg_to_bfloat16(from, to, q->c);
        memset(to + q->c, 0, (size_t)(l->c - q->c) * sizeof *to);
    }
}

static void fill_row(const struct sg_corr *q, const struct layout *l, const float *image, int64_t y,
                     uint16_t *to) {
    const int is_inside = y >= 0 && y < q->y.in;
    const int64_t begin = is_inside ? sg_min(l->width, sg_max(0, -q->x.origin)) : l->width;
    const int64_t end = sg_max(begin, sg_min(l->width, q->x.in - q->x.origin));

    memset(to, 0, (size_t)(begin * l->c) * sizeof *to);
    if (begin < end) {
        fill_pixels(q, l, image + y * q->x.in * q->groups * q->c, begin, end, to);
    }
    memset(to + end * l->c, 0, (size_t)((l->width - end) * l->c) * sizeof *to);
}

static void fill(const struct sg_corr *q, const struct layout *l, const float *in, int64_t sample,
                 int64_t y0, uint16_t *to) {
    const int64_t image = q->y.in * q->x.in * q->groups * q->c;

    for (int64_t i = 0; i < l->n_samples; i++) {
        for (int64_t y = 0; y < l->height; y++, to += l->width * l->c) {
            fill_row(q, l, in + (sample + i) * image, q->y.origin + y0 * q->y.step + y, to);
        }
    }
    memset(to, 0, (size_t)slack(q, l) * sizeof *to);
}

/* ---- output ---- */

/* The panel of output channels that is being made, from the buffer's first sample and row on. */
struct panel {
    const uint16_t *weights;
    const float *bias; /* or NULL */
    int64_t at, n;     /* first channel of all, number */
    int64_t sample, y0;
};

static inline void finish_pixel(const struct sg_corr_call *call, const struct panel *p,
                                const float *from, float *to) {
    for (int64_t j = 0; j < p->n; j++) {
        float v = call->accumulate ? to[j] + from[j] : from[j];
        v = p->bias != NULL ? v + p->bias[j] : v;
        to[j] = sg_cut(call->relu, v);
    }
}

/* An output pixel by its place in the buffer. */
struct pixel {
    int64_t sample, y, x;
};

/* Nothing if it lies on the border. */
static inline void put(const struct sg_corr *q, const struct layout *l,
                       const struct sg_corr_call *call, const struct panel *p,
                       const struct pixel *at, const float *from) {
    const int64_t y = q->y.first + (p->y0 + at->y) * q->y.spacing;
    const int64_t x = q->x.first + at->x * q->x.spacing;
    const int64_t row = (p->sample + at->sample) * q->y.full + y;

    if (at->y < l->n_rows && at->x < q->x.out) {
        finish_pixel(call, p, from, call->out + (row * q->x.full + x) * q->groups * q->k + p->at);
    }
}

static inline void step_on(const struct layout *l, struct pixel *at) {
    if (++at->x == l->width) {
        at->x = 0;
        if (++at->y == l->height) {
            at->y = 0;
            at->sample++;
        }
    }
}

static int64_t line_pixels(const struct sg_corr *q, const struct layout *l) {
    return l->is_line ? ((l->n_samples - 1) * l->height + l->n_rows - 1) * l->width + q->x.out
                      : q->x.out;
}

/* The line from the pixel `at` on. */
CLONES static void multiply_line(const struct sg_corr *q, const struct layout *l,
                                 const struct sg_corr_call *call, const struct panel *p,
                                 struct pixel at, const uint16_t *buffer) {
    const struct sg_tiles *tiles = sg_tiles_current();
    const struct sg_tile_steps steps = {.n_y = q->y.taps,
                                        .y_step = q->y.dilation * l->width * l->c,
                                        .n_x = q->x.taps,
                                        .x_step = q->x.dilation * l->c,
                                        .n_s = l->c / SG_TILE_STEP,
                                        .row_step = q->x.step * l->c};
    const uint16_t *from = buffer + (at.sample * l->height + at.y * q->y.step) * l->width * l->c;
    const int64_t n = line_pixels(q, l);
    _Alignas(64) float block[SG_TILE_BLOCK * SG_TILE_BLOCK];

    for (int64_t i = 0; i < n; i += SG_TILE_BLOCK) {
        tiles->block(&steps, from + i * steps.row_step, p->weights, block);
        for (int64_t r = 0; r < sg_min(SG_TILE_BLOCK, n - i); r++) {
            put(q, l, call, p, &at, block + r * SG_TILE_BLOCK);
            step_on(l, &at);
        }
    }
}

static void multiply_panel(const struct sg_corr *q, const struct layout *l,
                           const struct sg_corr_call *call, const struct panel *p,
                           const uint16_t *buffer) {
    if (l->is_line) {
        multiply_line(q, l, call, p, (struct pixel){0, 0, 0}, buffer);
        return;
    }
    for (int64_t i = 0; i < l->n_samples; i++) {
        for (int64_t y = 0; y < l->n_rows; y++) {
            multiply_line(q, l, call, p, (struct pixel){i, y, 0}, buffer);
        }
    }
}

static void multiply(const struct sg_corr *q, const struct layout *l, const float *prepared,
                     const struct sg_corr_call *call, int64_t group, int64_t sample, int64_t y0,
                     const uint16_t *buffer) {
    const uint16_t *weights = (const uint16_t *)(const void *)prepared;

    for (int64_t o = 0; o < n_panels(q); o++) {
        const int64_t at = group * q->k + o * SG_TILE_BLOCK;
        const struct panel p = {.weights = weights + (group * n_panels(q) + o) * panel_size(q),
                                .bias = call->bias == NULL ? NULL : call->bias + at,
                                .at = at,
                                .n = sg_min(SG_TILE_BLOCK, q->k - o * SG_TILE_BLOCK),
                                .sample = sample,
                                .y0 = y0};
        multiply_panel(q, l, call, &p, buffer);
    }
}

static void run(const struct sg_corr *q, const float *prepared, const struct sg_corr_call *call) {
    struct layout l = layout_of(q);
    const int64_t n_samples = l.n_samples;
    const int64_t n_rows = l.n_rows;
    uint16_t *buffer = (uint16_t *)(void *)call->work;

    SG_ASSERT(sg_tiles_current() != NULL);
    sg_tiles_current()->begin();
    for (int64_t i = 0; i < q->n; i += n_samples) {
        for (int64_t y = 0; y < q->y.out; y += n_rows) {
            l.n_samples = sg_min(n_samples, q->n - i);
            l.n_rows = sg_min(n_rows, q->y.out - y);
            l.height = extent(&q->y, l.n_rows);
            for (int64_t g = 0; g < q->groups; g++) {
                fill(q, &l, call->in + g * q->c, i, y, buffer);
                multiply(q, &l, prepared, call, g, i, y, buffer);
            }
        }
    }
    sg_tiles_current()->end();
}

const struct sg_algorithm sg_algorithm_bfloat16 = {
    .name = "bfloat16",
    .applies = applies,
    .weights_size = weights_size,
    .prepare = prepare,
    .work_size = work_size,
    .run = run,
};
