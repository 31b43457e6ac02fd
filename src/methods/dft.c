/* src/methods/dft.c - the low frequencies of a plane, by the discrete Fourier transform.
 *
 *   F(q, p) = sum_y,x v(y, x) exp(-2 pi i (q y / rows + p x / columns)); those with q^2 + p^2 <=
 * R^2 stay, q and p being counted from the middle, -n/2 to n/2. Only frequencies that stay are
 * computed, row by row and then column by column, in a fixed order and with cosines of our own: for
 * small R no fast transform is needed, nothing is allocated, and the bits depend on no library. */
#include "methods/methods_impl.h"

#include <math.h>
#include <string.h>

/* Frequencies along a row are 0 to this: those below 0 are the conjugates. */
static int64_t highest(int64_t n, double radius) {
    return radius < (double)(n / 2) ? (int64_t)radius : n / 2;
}

/* Cosines and sines of k/n of a turn, k = 0..n-1. */
struct circle {
    int64_t n;
    double *cosine;
    double *sine;
};

static struct circle make_circle(int64_t n, double *memory) {
    const struct circle c = {n, memory, memory + n};

    for (int64_t k = 0; k < n; k++) {
        sg_rng_circle(k, n, &c.cosine[k], &c.sine[k]);
    }
    return c;
}

/* k + step around the circle, 0 <= step < n. */
static inline int64_t next(const struct circle *c, int64_t k, int64_t step) {
    return k + step < c->n ? k + step : k + step - c->n;
}

/* Circles of both lengths; a column and its spectrum; the rows' spectra. */
int64_t sg_lowpass_n_work(int64_t rows, int64_t columns, double radius) {
    return 2 * columns + 2 * rows + 2 * rows + 2 * rows * (highest(columns, radius) + 1);
}

/* out[0] + i out[rows] = the row's frequency p. */
static void row_forward(const struct circle *c, const double *v, int64_t p, double *re,
                        double *im) {
    double a = 0;
    double b = 0;

    for (int64_t x = 0, k = 0; x < c->n; x++, k = next(c, k, p)) {
        a += v[x] * c->cosine[k];
        b -= v[x] * c->sine[k];
    }
    *re = a;
    *im = b;
}

/* Adds frequency p, and its conjugate where it is another one, to the row. */
static void row_backward(const struct circle *c, double re, double im, int64_t p, double *v) {
    const double times = p == 0 || 2 * p == c->n ? 1 : 2;

    for (int64_t x = 0, k = 0; x < c->n; x++, k = next(c, k, p)) {
        v[x] += times * (re * c->cosine[k] - im * c->sine[k]);
    }
}

/* re + i im [rows], a frequency p of all rows, without the frequencies q of the column that do not
 * stay; each that does is computed and added to the result. */
static void filter_column(const struct circle *c, int64_t p, double radius, double *re, double *im,
                          double *work) {
    double *to_re = work;
    double *to_im = work + c->n;

    memset(work, 0, 2 * (size_t)c->n * sizeof *work);
    for (int64_t q = 0; q < c->n; q++) {
        const double distance = (double)(2 * q <= c->n ? q : c->n - q);
        double a = 0;
        double b = 0;

        if (distance * distance + (double)p * (double)p > radius * radius) {
            continue;
        }
        for (int64_t y = 0, k = 0; y < c->n; y++, k = next(c, k, q)) {
            a += re[y] * c->cosine[k] + im[y] * c->sine[k];
            b += im[y] * c->cosine[k] - re[y] * c->sine[k];
        }
        for (int64_t y = 0, k = 0; y < c->n; y++, k = next(c, k, q)) {
            to_re[y] += a * c->cosine[k] - b * c->sine[k];
            to_im[y] += b * c->cosine[k] + a * c->sine[k];
        }
    }
    memcpy(re, to_re, (size_t)c->n * sizeof *re);
    memcpy(im, to_im, (size_t)c->n * sizeof *im);
}

void sg_lowpass(int64_t rows, int64_t columns, double radius, double *work, double *v) {
    const struct circle along = make_circle(columns, work);
    const struct circle down = make_circle(rows, work + 2 * columns);
    double *column = work + 2 * columns + 2 * rows;
    double *spectra = column + 2 * rows;
    const int64_t n = highest(columns, radius) + 1;

    for (int64_t p = 0; p < n; p++) {
        double *re = spectra + 2 * p * rows;

        for (int64_t y = 0; y < rows; y++) {
            row_forward(&along, v + y * columns, p, &re[y], &re[rows + y]);
        }
        filter_column(&down, p, radius, re, re + rows, column);
    }
    memset(v, 0, (size_t)(rows * columns) * sizeof *v);
    for (int64_t p = 0; p < n; p++) {
        const double *re = spectra + 2 * p * rows;

        for (int64_t y = 0; y < rows; y++) {
            row_backward(&along, re[y], re[rows + y], p, v + y * columns);
        }
    }
    for (int64_t i = 0; i < rows * columns; i++) {
        v[i] /= (double)(rows * columns);
    }
}
