/* src/net/kernels/pool.c - pooling, window by window, vectors along the channels. */
#include "net/kernels/kernels_impl.h"

#include <math.h>
#include <string.h>

/* A window; or, where stretches are asked for, all the equal windows of an output row that lie
 * inside the image from side to side. */
struct place {
    struct sg_window window;
    int64_t in;   /* index of the first tap's first channel in x; 0 for an empty window */
    int64_t out;  /* index of the first output's first channel */
    int64_t y, x; /* of the first output */
    int stretch;
};

/* Output columns whose windows lie inside from side to side: [*begin, *end). */
static void unclipped(const struct sg_pool *s, int64_t *begin, int64_t *end) {
    const int64_t room = s->w + s->pad_left - s->kw;

    *begin = sg_min(s->ow, (s->pad_left + s->stride_w - 1) / s->stride_w);
    *end = room < 0 ? *begin : sg_max(*begin, sg_min(s->ow, room / s->stride_w + 1));
}

/* What begins at output (y, x) of sample i. */
static struct place place_of(const struct sg_pool *s, int stretch, int64_t i, int64_t y,
                             int64_t x) {
    const int64_t top = y * s->stride_h - s->pad_top;
    const int64_t left = x * s->stride_w - s->pad_left;
    const int64_t y0 = sg_max(top, 0);
    const int64_t x0 = sg_max(left, 0);
    int64_t begin;
    int64_t end;
    struct place p = {.window = {.x_step = s->stride_w * s->c,
                                 .n_y = sg_max(0, sg_min(top + s->kh, s->h) - y0),
                                 .n_x = sg_max(0, sg_min(left + s->kw, s->w) - x0),
                                 .row_stride = s->w * s->c,
                                 .c = s->c,
                                 .first = (int32_t)((y0 - top) * s->kw + x0 - left),
                                 .kw = (int32_t)s->kw},
                      .out = ((i * s->oh + y) * s->ow + x) * s->c,
                      .y = y,
                      .x = x,
                      .stretch = stretch};

    unclipped(s, &begin, &end);
    p.window.cols = stretch && x >= begin && x < end ? end - x : 1;
    if (p.window.n_y == 0 || p.window.n_x == 0) {
        p.window.n_y = p.window.n_x = 0;
    } else {
        p.in = ((i * s->h + y0) * s->w + x0) * s->c;
    }
    return p;
}

static struct place first_place(const struct sg_pool *s, int stretch) {
    return place_of(s, stretch, 0, 0, 0);
}

/* What is behind p: in its row, in the next row, or in the next sample. */
static struct place next_place(const struct sg_pool *s, const struct place *p) {
    const int64_t px = p->out / s->c + p->window.cols;

    return place_of(s, p->stretch, px / s->ow / s->oh, px / s->ow % s->oh, px % s->ow);
}

static int64_t n_outputs(const struct sg_pool *s) {
    return s->n * s->oh * s->ow * s->c;
}

static void clear(const struct sg_pool *s, float *dx, int accumulate) {
    if (!accumulate) {
        memset(dx, 0, (size_t)(s->n * s->h * s->w * s->c) * sizeof *dx);
    }
}

void sg_max_pool_forward(const struct sg_pool *s, const float *x, float *y, uint8_t *winner) {
    const struct sg_simd *simd = sg_simd_current();

    for (struct place p = first_place(s, 1); p.out < n_outputs(s); p = next_place(s, &p)) {
        if (p.window.n_y > 0) {
            simd->window_max(&p.window, x + p.in, y + p.out, winner + p.out);
            continue;
        }
        for (int64_t c = 0; c < p.window.cols * s->c; c++) {
            y[p.out + c] = -INFINITY;
            winner[p.out + c] = SG_POOL_OUTSIDE;
        }
    }
}

void sg_max_pool_backward(const struct sg_pool *s, const uint8_t *winner, const float *dy,
                          float *dx, int accumulate, int cut) {
    const struct sg_simd *simd = sg_simd_current();
    const int assign = sg_pool_tiles(s) && !accumulate;

    clear(s, dx, accumulate || assign);
    for (struct place p = first_place(s, 1); p.out < n_outputs(s); p = next_place(s, &p)) {
        p.window.assign = assign;
        p.window.numbers = cut ? UINT8_MAX : SG_POOL_CLOSED - 1;
        simd->window_route(&p.window, winner + p.out, dy + p.out, dx + p.in);
    }
}

/* One window with winners of 32 bits: rare and large, so the loop over taps is outside. */
static void wide_max(const struct place *p, const float *x, float *y, int32_t *winner) {
    const struct sg_window *w = &p->window;

    for (int64_t t = 0; t < w->n_y * w->n_x; t++) {
        const int64_t iy = t / w->n_x;
        const int64_t ix = t % w->n_x;
        const float *v = x + p->in + iy * w->row_stride + ix * w->c;
        for (int64_t c = 0; c < w->c; c++) {
            const float best = y[p->out + c];
            if (t == 0 || v[c] > best || (isnan(v[c]) && !isnan(best))) {
                y[p->out + c] = v[c];
                winner[p->out + c] = w->first + (int32_t)(iy * w->kw + ix);
            }
        }
    }
}

void sg_max_pool_forward_wide(const struct sg_pool *s, const float *x, float *y, int32_t *winner) {
    for (struct place p = first_place(s, 0); p.out < n_outputs(s); p = next_place(s, &p)) {
        for (int64_t c = 0; c < s->c; c++) {
            y[p.out + c] = -INFINITY;
            winner[p.out + c] = -1;
        }
        wide_max(&p, x, y, winner);
    }
}

void sg_max_pool_backward_wide(const struct sg_pool *s, const int32_t *winner, const float *dy,
                               float *dx, int accumulate) {
    clear(s, dx, accumulate);
    for (struct place p = first_place(s, 0); p.out < n_outputs(s); p = next_place(s, &p)) {
        for (int64_t c = 0; c < s->c; c++) {
            const int64_t t = winner[p.out + c] - p.window.first;
            if (winner[p.out + c] >= 0) {
                dx[p.in + t / s->kw * p.window.row_stride + t % s->kw * s->c + c] += dy[p.out + c];
            }
        }
    }
}

void sg_max_pool_backward_shares(const struct sg_pool *s, const float *shares, const float *dy,
                                 float *dx, int accumulate) {
    const int64_t taps = s->kh * s->kw;
    const int64_t a_sample = s->oh * s->ow * s->c;

    clear(s, dx, accumulate);
    for (struct place p = first_place(s, 0); p.out < n_outputs(s); p = next_place(s, &p)) {
        const struct sg_window *w = &p.window;
        const float *share = shares + (p.out % a_sample) * taps + w->first * s->c;

        for (int64_t t = 0; t < w->n_y * w->n_x; t++) {
            const int64_t iy = t / w->n_x, ix = t % w->n_x;
            const float *of_tap = share + (iy * s->kw + ix) * s->c;
            float *to = dx + p.in + iy * w->row_stride + ix * s->c;

            for (int64_t c = 0; c < s->c; c++) {
                to[c] += of_tap[c] * dy[p.out + c];
            }
        }
    }
}

/* Elements that the average of a window divides by; 0 for an empty one. */
static int64_t divisor(const struct sg_pool *s, const struct place *p) {
    if (!s->count_include_pad) {
        return p->window.n_y * p->window.n_x;
    }
    return sg_max(0, sg_min(s->kh, s->pad_top + s->h + s->pad_bottom - p->y * s->stride_h)) *
           sg_max(0, sg_min(s->kw, s->pad_left + s->w + s->pad_right - p->x * s->stride_w));
}

enum { CHUNK = 64 }; /* channels whose double sums stay in the first cache */

static void average(const struct sg_window *w, int64_t n, int64_t count, const float *x, float *y) {
    double sum[CHUNK] = {0};

    for (int64_t t = 0; t < w->n_y * w->n_x; t++) {
        const float *v = x + t / w->n_x * w->row_stride + t % w->n_x * w->c;
        for (int64_t c = 0; c < n; c++) {
            sum[c] += (double)v[c];
        }
    }
    for (int64_t c = 0; c < n; c++) {
        y[c] = count > 0 ? (float)(sum[c] / (double)count) : 0.0f;
    }
}

void sg_average_pool_forward(const struct sg_pool *s, const float *x, float *y) {
    for (struct place p = first_place(s, 0); p.out < n_outputs(s); p = next_place(s, &p)) {
        const int64_t count = divisor(s, &p);
        for (int64_t c = 0; c < s->c; c += CHUNK) {
            average(&p.window, sg_min(CHUNK, s->c - c), count, x + p.in + c, y + p.out + c);
        }
    }
}

void sg_average_pool_backward(const struct sg_pool *s, const float *dy, float *dx, int accumulate) {
    clear(s, dx, accumulate);
    for (struct place p = first_place(s, 0); p.out < n_outputs(s); p = next_place(s, &p)) {
        const struct sg_window *w = &p.window;
        const float count = (float)divisor(s, &p);
        for (int64_t t = 0; t < w->n_y * w->n_x; t++) {
            float *to = dx + p.in + t / w->n_x * w->row_stride + t % w->n_x * w->c;
            for (int64_t c = 0; c < s->c; c++) {
                to[c] += dy[p.out + c] / count;
            }
        }
    }
}
