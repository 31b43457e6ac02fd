/* src/rng/normals.c - standard normals by Box-Muller, a block of generator calls at a time.
 *
 * Logarithm, sine and cosine are Taylor polynomials on reduced arguments, in double, from + - * /
 * and sqrt alone. Every step is a loop over arrays without branches, so the compiler turns it into
 * vector code; each element sees the same operations whatever the width. */
#include "rng/rng_impl.h"

#include <math.h>
#include <string.h>

/* The bits of sqrt(1/2): adding 1.0 - sqrt(1/2) to a number's bits puts its exponent's step there,
 * so that what is left of it lies in [sqrt(1/2), sqrt(2)). */
#define BITS_ONE       UINT64_C(0x3FF0000000000000)
#define BITS_SQRT_HALF UINT64_C(0x3FE6A09E667F3BCD)
#define BITS_MANTISSA  UINT64_C(0x000FFFFFFFFFFFFF)
#define BITS_TWO_52                                                                                \
    UINT64_C(0x4330000000000000) /* 2^52: an integer put below it is its fraction                  \
                                  */

SG_INLINE uint64_t bits_of(double v) {
    uint64_t b;

    memcpy(&b, &v, sizeof b);
    return b;
}

SG_INLINE double from_bits(uint64_t b) {
    double v;

    memcpy(&v, &b, sizeof v);
    return v;
}

/* log v for normal v > 0: v = 2^e m, and log m = 2 atanh(s) with s = (m - 1) / (m + 1), |s| <
 * 0.172. The first term left out of the series is 2 s^21 / 21 < 1e-17. */
SG_INLINE double own_log(double v) {
    const uint64_t b = bits_of(v) + (BITS_ONE - BITS_SQRT_HALF);
    const double e = from_bits(BITS_TWO_52 | b >> 52) - (0x1p52 + 1023);
    const double m = from_bits((b & BITS_MANTISSA) + BITS_SQRT_HALF);
    const double s = (m - 1) / (m + 1);
    const double q = s * s;
    double p = 1.0 / 19;

    p = p * q + 1.0 / 17;
    p = p * q + 1.0 / 15;
    p = p * q + 1.0 / 13;
    p = p * q + 1.0 / 11;
    p = p * q + 1.0 / 9;
    p = p * q + 1.0 / 7;
    p = p * q + 1.0 / 5;
    p = p * q + 1.0 / 3;
    p = p * q + 1.0;
    return e * 0.69314718055994530942 + 2 * s * p;
}

/* sin a and cos a for |a| <= pi/4; first terms left out: a^17 / 17! < 5e-17, a^18 / 18! < 3e-18. */
SG_INLINE double own_sin(double a) {
    const double q = a * a;
    double p = -1.0 / 1307674368000;

    p = p * q + 1.0 / 6227020800;
    p = p * q - 1.0 / 39916800;
    p = p * q + 1.0 / 362880;
    p = p * q - 1.0 / 5040;
    p = p * q + 1.0 / 120;
    p = p * q - 1.0 / 6;
    return a + a * (q * p);
}

SG_INLINE double own_cos(double a) {
    const double q = a * a;
    double p = 1.0 / 20922789888000;

    p = p * q - 1.0 / 87178291200;
    p = p * q + 1.0 / 479001600;
    p = p * q - 1.0 / 3628800;
    p = p * q + 1.0 / 40320;
    p = p * q - 1.0 / 720;
    p = p * q + 1.0 / 24;
    p = p * q - 0.5;
    return 1 + q * p;
}

/* r = sqrt(-2 log u), u = (w + 1/2) 2^-32. The word goes through a signed number because that is
 * the conversion that vector units have; all steps to u are exact. */
SG_INLINE double radius(uint32_t w) {
    const double u = ((double)(int32_t)(w ^ UINT32_C(0x80000000)) + 2147483648.5) * 0x1p-32;

    return sqrt(-2 * own_log(u));
}

/* cosine and sine of the turn (w + 1/2) 2^-32: the nearest quarter turn, exactly, and the rest. */
SG_INLINE void turn(uint32_t w, double *cosine, double *sine) {
    const uint32_t quarter = (w + UINT32_C(0x20000000)) >> 30; /* 0..3, 4 quarters are 0 */
    const int32_t rest = (int32_t)(w - (quarter << 30));       /* -2^29 .. 2^29 - 1 */
    const double a = ((double)rest + 0.5) * (1.57079632679489661923 * 0x1p-30);
    const uint64_t c = bits_of(own_cos(a));
    const uint64_t s = bits_of(own_sin(a));
    const uint64_t swapped = (c ^ s) & -(uint64_t)(quarter & 1); /* odd quarters swap the two */
    const uint64_t cosine_sign = (uint64_t)((quarter + 1) & 2) << 62;
    const uint64_t sine_sign = (uint64_t)(quarter & 2) << 62;

    *cosine = from_bits(c ^ swapped ^ cosine_sign);
    *sine = from_bits(s ^ swapped ^ sine_sign);
}

void sg_rng_circle(int64_t k, int64_t n, double *cosine, double *sine) {
    const int64_t quarter = (8 * k + n) / (2 * n); /* the nearest one */
    const double a = (double)(4 * k - quarter * n) * 1.57079632679489661923 / (double)n;
    const double c = own_cos(a);
    const double s = own_sin(a);
    const double cosines[4] = {c, -s, -c, s};
    const double sines[4] = {s, c, -s, -c};

    *cosine = cosines[quarter % 4];
    *sine = sines[quarter % 4];
}

/* z of the words of n calls. */
SG_INLINE void transform(uint32_t w[4][SG_RNG_CALLS], const int first, const int n,
                         float *restrict z) {
    float x[4][SG_RNG_CALLS];

    for (int half = 0; half < 4; half += 2) {
        for (int j = 0; j < n; j++) {
            const double r = radius(w[half][first + j]);
            double c;
            double s;

            turn(w[half + 1][first + j], &c, &s);
            x[half][j] = (float)(r * c);
            x[half + 1][j] = (float)(r * s);
        }
    }
    for (int j = 0; j < n; j++) {
        z[4 * j] = x[0][j];
        z[4 * j + 1] = x[1][j];
        z[4 * j + 2] = x[2][j];
        z[4 * j + 3] = x[3][j];
    }
}

SG_CLONES
static void normals_block(uint32_t w[4][SG_RNG_CALLS], float *restrict z) {
    transform(w, 0, SG_RNG_CALLS, z);
}

enum { FEW = 8 };

SG_CLONES
static void normals_few(uint32_t w[4][SG_RNG_CALLS], int first, float *restrict z) {
    transform(w, first, FEW, z);
}

void sg_rng_normals(const struct sg_rng_address *at, int64_t n, float *z) {
    uint32_t w[4][SG_RNG_CALLS];
    int64_t i = 0;

    for (; i + SG_RNG_WORDS <= n; i += SG_RNG_WORDS) {
        sg_rng_block(at, (uint32_t)(i / 4), w);
        normals_block(w, z + i);
    }
    if (i < n) {
        sg_rng_block(at, (uint32_t)(i / 4), w);
    }
    for (int first = 0; i < n; first += FEW, i += 4 * (int64_t)FEW) {
        float tail[4 * FEW];

        normals_few(w, first, tail);
        memcpy(z + i, tail, (size_t)(n - i < 4 * FEW ? n - i : 4 * FEW) * sizeof *z);
    }
}
