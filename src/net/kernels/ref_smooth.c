/* src/net/kernels/ref_smooth.c - smooth functions and normalised rows as plain loops in double. */
#include "net/kernels.h"

#include <math.h>

static void ref_gate(const struct sg_gated *g, double x, double *gate, double *slope) {
    const double p = (double)g->p, q = (double)g->q, r = (double)g->r, s = (double)g->s;

    if (g->kind == SG_GATED_ERF) {
        *gate = x < 0.0 ? (p - q) + q * erfc(-r * x) : p + q * erf(r * x);
        *slope = q * r * 1.1283791670955126 * exp(-r * x * r * x);
    } else {
        const double u = r * x + s * x * x * x;

        *gate = (p - q) + 2.0 * q / (1.0 + exp(-2.0 * u));
        *slope = q * (r + 3.0 * s * x * x) / (cosh(u) * cosh(u));
    }
}

void sg_ref_erf(const float *x, float *y, float *slope, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        const double v = (double)x[i];

        y[i] = (float)erf(v);
        slope[i] = (float)(1.1283791670955126 * exp(-v * v));
    }
}

void sg_ref_gated(const struct sg_gated *g, const float *x, float *y, float *slope, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        const double v = (double)x[i];
        double gate, d;

        ref_gate(g, v, &gate, &d);
        y[i] = (float)(v * gate);
        slope[i] = (float)(gate + v * d);
    }
}

void sg_ref_softmax_rows(int64_t n_rows, int64_t n, const float *x, float *y) {
    for (int64_t row = 0; row < n_rows; row++, x += n, y += n) {
        double largest = (double)x[0], sum = 0.0;

        for (int64_t i = 0; i < n; i++) {
            largest = (double)x[i] > largest ? (double)x[i] : largest;
        }
        for (int64_t i = 0; i < n; i++) {
            sum += exp((double)x[i] - largest);
        }
        for (int64_t i = 0; i < n; i++) {
            y[i] = (float)(exp((double)x[i] - largest) / sum);
        }
    }
}

void sg_ref_softmax_rows_back(int64_t n_rows, int64_t n, const float *y, const float *dy, float *dx,
                              int accumulate) {
    for (int64_t row = 0; row < n_rows; row++, y += n, dy += n, dx += n) {
        double sum = 0.0;

        for (int64_t i = 0; i < n; i++) {
            sum += (double)y[i] * (double)dy[i];
        }
        for (int64_t i = 0; i < n; i++) {
            const float d = (float)((double)y[i] * ((double)dy[i] - sum));

            dx[i] = accumulate ? dx[i] + d : d;
        }
    }
}

void sg_ref_norm_rows(const struct sg_norm *s, int64_t n_rows, const float *x, float *y,
                      float *kept) {
    for (int64_t row = 0; row < n_rows; row++, x += s->n, y += s->n, kept += 2) {
        double mean = 0.0, variance = 0.0, inverse;

        for (int64_t i = 0; i < s->n; i++) {
            mean += (double)x[i] / (double)s->n;
        }
        for (int64_t i = 0; i < s->n; i++) {
            variance += ((double)x[i] - mean) * ((double)x[i] - mean) / (double)s->n;
        }
        inverse = 1.0 / sqrt(variance + (double)s->epsilon);
        kept[0] = (float)mean;
        kept[1] = (float)inverse;
        for (int64_t i = 0; i < s->n; i++) {
            const double z = ((double)x[i] - mean) * inverse;

            y[i] = (float)(z * (s->scale != NULL ? (double)s->scale[i] : 1.0) +
                           (s->shift != NULL ? (double)s->shift[i] : 0.0));
        }
    }
}

void sg_ref_norm_rows_back(const struct sg_norm *s, int64_t n_rows, const float *x,
                           const float *kept, const float *dy, float *dx, int accumulate) {
    for (int64_t row = 0; row < n_rows; row++, x += s->n, dy += s->n, dx += s->n, kept += 2) {
        const double mean = (double)kept[0], inverse = (double)kept[1];
        double mean_g = 0.0, mean_gz = 0.0;

        for (int64_t i = 0; i < s->n; i++) {
            const double g = (double)dy[i] * (s->scale != NULL ? (double)s->scale[i] : 1.0);

            mean_g += g / (double)s->n;
            mean_gz += g * ((double)x[i] - mean) * inverse / (double)s->n;
        }
        for (int64_t i = 0; i < s->n; i++) {
            const double g = (double)dy[i] * (s->scale != NULL ? (double)s->scale[i] : 1.0);
            const double z = ((double)x[i] - mean) * inverse;
            const float d = (float)((g - mean_g - z * mean_gz) * inverse);

            dx[i] = accumulate ? dx[i] + d : d;
        }
    }
}
