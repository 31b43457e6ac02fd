/* src/sums/jackknife.c - delete-m_j jackknife over groups of unequal size.
 *
 * With g groups of m_j of N samples, h_j = N / m_j, D_j = all - without_j, the pseudo-values are
 * all + (h_j - 1) D_j, the estimate is all + B with B = sum (1 - m_j / N) D_j, and
 *     se^2 = 1/g sum_j ((h_j - 1) D_j - B)^2 / (h_j - 1)
 *          = 1/g [ sum (h_j - 1) D_j^2 - 2 B sum D_j + B^2 sum 1 / (h_j - 1) ],
 * so three running sums do. Source: Busing, Meijer and van der Leeden 1999, equation 9. */
#include "sgdist/sums.h"

#include <math.h>
#include <string.h>

/* Maps of equal samples differ by the rounding of a few doubles, far below the float32 that they
 * are stored as: that is no difference, so that an error of 0 says what it should. */
static double difference(double all, double without) {
    const double d = all - without;

    return fabs(d) <= 0x1p-48 * fabs(all) ? 0 : d;
}

void sg_jackknife_begin(struct sg_jackknife *j, const double *all, int64_t n, int64_t n_samples,
                        double *work) {
    *j = (struct sg_jackknife){.all = all, .work = work, .n = n, .n_samples = n_samples};
    memset(work, 0, 3 * (size_t)n * sizeof *work);
}

void sg_jackknife_add(struct sg_jackknife *j, const double *without, int64_t group_count) {
    const double rest = (double)(j->n_samples - group_count);
    const double odds = rest / (double)group_count; /* h - 1 */
    const double weight = rest / (double)j->n_samples;
    double *squares = j->work;
    double *plain = j->work + j->n;
    double *shift = j->work + 2 * j->n;

    j->n_groups++;
    j->weight += (double)group_count / rest;
    for (int64_t i = 0; i < j->n; i++) {
        const double d = difference(j->all[i], without[i]);

        squares[i] += odds * d * d;
        plain[i] += d;
        shift[i] += weight * d;
    }
}

void sg_jackknife_se(const struct sg_jackknife *j, double *se) {
    const double *squares = j->work;
    const double *plain = j->work + j->n;
    const double *shift = j->work + 2 * j->n;

    for (int64_t i = 0; i < j->n; i++) {
        const double b = shift[i];
        const double sum = squares[i] - 2 * b * plain[i] + b * b * j->weight;

        /* A sum of squares; rounding may leave it a little below 0. */
        se[i] = j->n_groups < 2 ? NAN : sqrt(fmax(sum, 0) / j->n_groups);
    }
}
