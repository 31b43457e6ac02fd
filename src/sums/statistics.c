/* src/sums/statistics.c - mean, error and variance: integers until the last step. */
#include "sums/sums_impl.h"

#include <math.h>

/* S1 and S2 of a feature, |S1| < 2^71 and S2 < 2^111. */
static sums_i128 read_s1(const struct sg_sums *s, int64_t i) {
    const int64_t *limb = sums_power(s, 0, 1) + i;

    return limb[0] + limb[s->n] * ((sums_i128)1 << 32);
}

static sums_i128 read_s2(const struct sg_sums *s, int64_t i) {
    const int64_t *limb = sums_power(s, 0, 2) + i;

    return limb[0] + limb[s->n] * ((sums_i128)1 << 32) + limb[2 * s->n] * ((sums_i128)1 << 64);
}

/* The conversion of 128 bits is a call; most sums fit into 64. */
static double to_double(sums_i128 v) {
    return v == (int64_t)v ? (double)(int64_t)v : (double)v;
}

/* sum (q - S1/N)^2 in squared grid steps. With d = q - m, m any integer near the mean, it is T -
 * delta^2 / N, T = sum d^2 and delta = sum d. |S1/N| <= 2^40, so the mean in double is right to
 * 2^-12 and |delta| <= N <= 2^31. Where T is small the difference is taken in integers; where it is
 * not, delta^2 / N is far below T and nothing cancels. (128-bit divisions, and products of more
 * than 64 bits on a side, would cost more than all the rest.) */
static double central_square(sums_i128 s1, sums_i128 s2, int64_t n_samples) {
    const int64_t m = (int64_t)(to_double(s1) / (double)n_samples);
    const int64_t delta = (int64_t)(s1 - (sums_i128)n_samples * m);
    const sums_i128 t = s2 - m * (s1 + delta);

    if (t == (int64_t)t) {
        const sums_i128 scaled = (sums_i128)n_samples * (int64_t)t - (sums_i128)delta * delta;

        return to_double(scaled) / (double)n_samples;
    }
    return (double)t - (double)delta * (double)delta / (double)n_samples;
}

static sg_status check(const struct sg_sums *s, int n_powers, int64_t n_samples) {
    sg_status status = SG_OK;

    SG_ASSERT(s->n_groups == 1);
    SG_CHECK(s->n_powers >= n_powers, SG_E_ARG,
             "sums of %d powers are kept where %d are needed for this statistic", s->n_powers,
             n_powers);
    SG_CHECK(sg_sums_n_added(s) >= n_samples, SG_E_ARG,
             "%lld samples where this statistic needs %lld", (long long)sg_sums_n_added(s),
             (long long)n_samples);
done:
    return status;
}

sg_status sg_sums_mean(const struct sg_sums *s, double *mean) {
    sg_status status = SG_OK;
    const double step = ldexp(1.0, s->exponent - SG_SUMS_GRID_BITS);
    double n;

    SG_TRY(check(s, 1, 1));
    n = (double)sg_sums_n_added(s);
    for (int64_t i = 0; i < s->n; i++) {
        mean[i] = to_double(read_s1(s, i)) / n * step;
    }
done:
    return status;
}

sg_status sg_sums_mean_square(const struct sg_sums *s, double *square) {
    sg_status status = SG_OK;
    const double step = ldexp(1.0, 2 * (s->exponent - SG_SUMS_GRID_BITS));
    double n;

    SG_TRY(check(s, 2, 1));
    n = (double)sg_sums_n_added(s);
    for (int64_t i = 0; i < s->n; i++) {
        square[i] = to_double(read_s2(s, i)) / n * step;
    }
done:
    return status;
}

/* S3 of a feature, |S3| < 2^151: two words, the lower one without a sign. Of a negative sum the
 * opposite is converted, so that the words do not cancel. */
static double read_s3(const struct sg_sums *s, int64_t i) {
    const int64_t *limb = sums_power(s, 0, 3) + i;
    const sums_i128 below = limb[0] + limb[s->n] * ((sums_i128)1 << 32);
    sums_i128 high = limb[2 * s->n] + limb[3 * s->n] * ((sums_i128)1 << 32) + (below >> 64);
    uint64_t low = (uint64_t)below;
    const int is_negative = high < 0;

    if (is_negative) {
        low = -low;
        high = -high - (low != 0);
    }
    return (is_negative ? -1.0 : 1.0) * ((double)high * 0x1p64 + (double)low);
}

sg_status sg_sums_mean_cube(const struct sg_sums *s, double *cube) {
    sg_status status = SG_OK;
    const double step = ldexp(1.0, 3 * (s->exponent - SG_SUMS_GRID_BITS));
    double n;

    SG_TRY(check(s, 3, 1));
    n = (double)sg_sums_n_added(s);
    for (int64_t i = 0; i < s->n; i++) {
        cube[i] = read_s3(s, i) / n * step;
    }
done:
    return status;
}

sg_status sg_sums_variance(const struct sg_sums *s, int ddof, double *variance) {
    sg_status status = SG_OK;
    const double step = ldexp(1.0, 2 * (s->exponent - SG_SUMS_GRID_BITS));
    int64_t n;

    SG_TRY(check(s, 2, ddof + 1));
    n = sg_sums_n_added(s);
    for (int64_t i = 0; i < s->n; i++) {
        variance[i] = central_square(read_s1(s, i), read_s2(s, i), n) / (double)(n - ddof) * step;
    }
done:
    return status;
}

sg_status sg_sums_mean_se(const struct sg_sums *s, double *se) {
    sg_status status = SG_OK;
    double n;

    SG_TRY(check(s, 2, 2));
    SG_TRY(sg_sums_variance(s, 1, se));
    n = (double)sg_sums_n_added(s);
    for (int64_t i = 0; i < s->n; i++) {
        se[i] = sqrt(se[i] / n);
    }
done:
    return status;
}
