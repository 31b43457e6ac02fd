/* src/net/kernels/ref_pool.c - pooling as plain loops, one output element at a time. */
#include "net/kernels.h"

#include <math.h>
#include <string.h>

/* Index in x[n][h][w][c] of tap t of the window of output element o, or -1 where it is outside. */
static int64_t tap_index(const struct sg_pool *s, int64_t o, int64_t t) {
    const int64_t c = o % s->c;
    const int64_t ox = o / s->c % s->ow;
    const int64_t oy = o / s->c / s->ow % s->oh;
    const int64_t i = o / s->c / s->ow / s->oh;
    const int64_t y = oy * s->stride_h - s->pad_top + t / s->kw;
    const int64_t x = ox * s->stride_w - s->pad_left + t % s->kw;

    return y < 0 || y >= s->h || x < 0 || x >= s->w ? -1 : ((i * s->h + y) * s->w + x) * s->c + c;
}

static int beats(float v, float best) {
    return v > best || (isnan(v) && !isnan(best));
}

void sg_ref_max_pool_forward(const struct sg_pool *s, const float *x, float *y, int32_t *winner) {
    for (int64_t o = 0; o < s->n * s->oh * s->ow * s->c; o++) {
        winner[o] = -1;
        y[o] = -INFINITY;
        for (int64_t t = 0; t < s->kh * s->kw; t++) {
            const int64_t at = tap_index(s, o, t);
            if (at >= 0 && (winner[o] < 0 || beats(x[at], y[o]))) {
                winner[o] = (int32_t)t;
                y[o] = x[at];
            }
        }
    }
}

static void clear(const struct sg_pool *s, float *dx, int accumulate) {
    if (!accumulate) {
        memset(dx, 0, (size_t)(s->n * s->h * s->w * s->c) * sizeof *dx);
    }
}

void sg_ref_max_pool_backward(const struct sg_pool *s, const int32_t *winner, const float *dy,
                              float *dx, int accumulate) {
    clear(s, dx, accumulate);
    for (int64_t o = 0; o < s->n * s->oh * s->ow * s->c; o++) {
        if (winner[o] >= 0) {
            dx[tap_index(s, o, winner[o])] += dy[o];
        }
    }
}

/* Elements that an average divides by: those of the image, or those of the padded image. */
static int64_t divisor(const struct sg_pool *s, int64_t o) {
    const int64_t ox = o / s->c % s->ow;
    const int64_t oy = o / s->c / s->ow % s->oh;
    int64_t n = 0;

    for (int64_t t = 0; t < s->kh * s->kw; t++) {
        const int64_t y = oy * s->stride_h + t / s->kw;
        const int64_t x = ox * s->stride_w + t % s->kw;
        const int padded =
            y < s->pad_top + s->h + s->pad_bottom && x < s->pad_left + s->w + s->pad_right;
        n += s->count_include_pad ? padded : tap_index(s, o, t) >= 0;
    }
    return n;
}

void sg_ref_average_pool_forward(const struct sg_pool *s, const float *x, float *y) {
    for (int64_t o = 0; o < s->n * s->oh * s->ow * s->c; o++) {
        const int64_t n = divisor(s, o);
        double sum = 0;
        for (int64_t t = 0; t < s->kh * s->kw; t++) {
            const int64_t at = tap_index(s, o, t);
            sum += at < 0 ? 0.0 : (double)x[at];
        }
        y[o] = n > 0 ? (float)(sum / (double)n) : 0.0f;
    }
}

void sg_ref_average_pool_backward(const struct sg_pool *s, const float *dy, float *dx,
                                  int accumulate) {
    clear(s, dx, accumulate);
    for (int64_t o = 0; o < s->n * s->oh * s->ow * s->c; o++) {
        const int64_t n = divisor(s, o);
        for (int64_t t = 0; t < s->kh * s->kw; t++) {
            const int64_t at = tap_index(s, o, t);
            if (at >= 0) {
                dx[at] += dy[o] / (float)n;
            }
        }
    }
}
