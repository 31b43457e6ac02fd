/* src/methods/quadrature.c - rules for an integral over 0..1.
 *
 *   gauss_legendre  the zeros of the Legendre polynomial P_n, w = 1 / ((1 - z^2) P_n'(z)^2) on
 * 0..1: exact for polynomials of degree 2 n - 1; the ends are no nodes midpoint        (j + 1/2) /
 * n trapezoid       j / (n - 1), the two ends with half a weight riemann_left    j / n;
 * riemann_right  (j + 1) / n */
#include "methods/methods_impl.h"

#include <math.h>

/* cos(a) for 0 <= a <= pi/2, to some 1e-15: where Newton's iteration begins. */
static double cosine(double a) {
    double term = 1;
    double sum = 1;

    for (int k = 1; k <= 12; k++) {
        term *= -a * a / ((2 * k - 1) * (2 * k));
        sum += term;
    }
    return sum;
}

/* P_n(z) and its derivative, by the recurrence (j + 1) P_j+1 = (2 j + 1) z P_j - j P_j-1. */
static double legendre(int n, double z, double *slope) {
    double before = 0;
    double p = 1;

    for (int j = 0; j < n; j++) {
        const double next = ((2 * j + 1) * z * p - j * before) / (j + 1);

        before = p;
        p = next;
    }
    *slope = n * (before - z * p) / (1 - z * z);
    return p;
}

/* Zeros come in pairs z, -z; the guess of Tricomi is so near that Newton needs three or four steps.
 */
static void gauss_legendre(int n, double *t, double *w) {
    enum { STEPS = 8 };
    const double pi = 3.14159265358979323846;

    for (int i = 0; i < (n + 1) / 2; i++) {
        double z = 2 * i + 1 == n ? 0 : cosine(pi * (i + 0.75) / (n + 0.5));
        double slope;

        for (int step = 0; step < STEPS && z != 0; step++) {
            const double p = legendre(n, z, &slope);

            z -= p / slope;
        }
        (void)legendre(n, z, &slope);
        w[i] = 1 / ((1 - z * z) * slope * slope);
        w[n - 1 - i] = w[i];
        t[i] = (1 - z) / 2;
        t[n - 1 - i] = (1 + z) / 2;
    }
}

void sg_quadrature(enum sg_quadrature rule, int n, double *t, double *w) {
    if (rule == SG_QUADRATURE_GAUSS_LEGENDRE) {
        gauss_legendre(n, t, w);
        return;
    }
    for (int j = 0; j < n; j++) {
        t[j] = rule == SG_QUADRATURE_MIDPOINT       ? (j + 0.5) / n
               : rule == SG_QUADRATURE_TRAPEZOID    ? (double)j / (n - 1)
               : rule == SG_QUADRATURE_RIEMANN_LEFT ? (double)j / n
                                                    : (j + 1.0) / n;
        w[j] = rule == SG_QUADRATURE_TRAPEZOID ? (j == 0 || j == n - 1 ? 0.5 : 1.0) / (n - 1)
                                               : 1.0 / n;
    }
}
