/* src/net/kernels/ref.c - the plain loops that the fast kernels are tested against. */
#include "net/kernels/kernels_impl.h"

#include <stddef.h>

static int64_t at4(int64_t i, int64_t y, int64_t x, int64_t c, int64_t h, int64_t w, int64_t n_c) {
    return ((i * h + y) * w + x) * n_c + c;
}

/* One output element: the sum over taps and input channels of its group. */
static double conv_at(const struct sg_conv *s, const float *weight, const float *x, int64_t i,
                      int64_t oy, int64_t ox, int64_t k) {
    const int64_t cg = s->c / s->groups;
    const int64_t c0 = k / (s->k / s->groups) * cg;
    double sum = 0;

    for (int64_t ty = 0; ty < s->kh; ty++) {
        const int64_t iy = oy * s->stride_h - s->pad_top + ty * s->dilation_h;
        for (int64_t tx = 0; tx < s->kw; tx++) {
            const int64_t ix = ox * s->stride_w - s->pad_left + tx * s->dilation_w;
            if (iy < 0 || iy >= s->h || ix < 0 || ix >= s->w) {
                continue;
            }
            for (int64_t c = 0; c < cg; c++) {
                sum += (double)x[at4(i, iy, ix, c0 + c, s->h, s->w, s->c)] *
                       (double)weight[((k * cg + c) * s->kh + ty) * s->kw + tx];
            }
        }
    }
    return sum;
}

void sg_ref_conv_forward(const struct sg_conv *s, const float *weight, const float *bias, int relu,
                         const float *x, float *y) {
    for (int64_t i = 0; i < s->n * s->oh * s->ow * s->k; i++) {
        const int64_t k = i % s->k;
        const int64_t ox = i / s->k % s->ow;
        const int64_t oy = i / s->k / s->ow % s->oh;
        const double sum = conv_at(s, weight, x, i / s->k / s->ow / s->oh, oy, ox, k);
        const float v = (float)(sum + (bias != NULL ? (double)bias[k] : 0.0));

        y[i] = sg_cut(relu, v);
    }
}

/* The output position that input position `in` reaches through tap `t`, or -1. */
static int64_t reached(int64_t in, int64_t pad, int64_t t, int64_t dilation, int64_t stride,
                       int64_t n_out) {
    const int64_t at = in + pad - t * dilation;

    return at < 0 || at % stride != 0 || at / stride >= n_out ? -1 : at / stride;
}

static double conv_gradient_at(const struct sg_conv *s, const float *weight, const float *dy,
                               int64_t i, int64_t iy, int64_t ix, int64_t c) {
    const int64_t cg = s->c / s->groups;
    const int64_t kg = s->k / s->groups;
    const int64_t k0 = c / cg * kg;
    double sum = 0;

    for (int64_t ty = 0; ty < s->kh; ty++) {
        const int64_t oy = reached(iy, s->pad_top, ty, s->dilation_h, s->stride_h, s->oh);
        for (int64_t tx = 0; tx < s->kw; tx++) {
            const int64_t ox = reached(ix, s->pad_left, tx, s->dilation_w, s->stride_w, s->ow);
            if (oy < 0 || ox < 0) {
                continue;
            }
            for (int64_t k = k0; k < k0 + kg; k++) {
                sum += (double)dy[at4(i, oy, ox, k, s->oh, s->ow, s->k)] *
                       (double)weight[((k * cg + c % cg) * s->kh + ty) * s->kw + tx];
            }
        }
    }
    return sum;
}

void sg_ref_conv_backward(const struct sg_conv *s, const float *weight, const float *dy, float *dx,
                          int accumulate) {
    for (int64_t i = 0; i < s->n * s->h * s->w * s->c; i++) {
        const int64_t ix = i / s->c % s->w;
        const int64_t iy = i / s->c / s->w % s->h;
        const double sum =
            conv_gradient_at(s, weight, dy, i / s->c / s->w / s->h, iy, ix, i % s->c);

        dx[i] = accumulate ? (float)((double)dx[i] + sum) : (float)sum;
    }
}
