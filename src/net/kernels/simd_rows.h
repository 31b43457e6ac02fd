/* src/net/kernels/simd_rows.h - softmax and layer normalisation of rows that lie in one piece.
 * Sums run in the lanes of a vector and go into a double every SUM_RUN vectors, so that the error
 * of a sum does not grow with its length. */

enum { SUM_RUN = 32 };

/* Lanes 0..n-1. */
INLINE ivec first_lanes(int64_t n) {
    return lane_numbers() < (int32_t)(n < LANES ? n : LANES) - (ivec){0};
}

INLINE vec mask_vec(ivec mask, vec v) {
    return (vec)((ivec)v & mask);
}

INLINE float largest_of(const float *x, int64_t n) {
    vec best = splat(x[0]);
    float largest;

    for (int64_t i = 0; i < n; i += LANES) {
        const ivec inside = first_lanes(n - i);
        const vec v = load_part(x + i, n - i);
        best = select_bits((v > best) & inside, v, best);
    }
    largest = best[0];
    for (int i = 1; i < LANES; i++) {
        largest = best[i] > largest ? best[i] : largest;
    }
    return largest;
}

/* A NaN in a row makes all of it NaN through the sum, as an infinity does that is its maximum. */
TARGET static void softmax_rows(int64_t n_rows, int64_t n, const float *x, float *y) {
    for (int64_t row = 0; row < n_rows; row++, x += n, y += n) {
        const vec largest = splat(largest_of(x, n));
        double sum = 0.0;

        for (int64_t start = 0; start < n; start += SUM_RUN * LANES) {
            const int64_t end = sg_min(n, start + SUM_RUN * LANES);
            vec part = {0};

            for (int64_t i = start; i < end; i += LANES) {
                const vec e = exp_of(load_part(x + i, n - i) - largest);
                store_part(y + i, e, n - i);
                part += mask_vec(first_lanes(n - i), e);
            }
            sum += (double)V_SUM(part);
        }
        const vec share = splat((float)(1.0 / sum));
        for (int64_t i = 0; i < n; i += LANES) {
            store_part(y + i, load_part(y + i, n - i) * share, n - i);
        }
    }
}

/* Sum of a b over a row; what lies past its end is 0. */
INLINE double dot_row(const float *a, const float *b, int64_t n) {
    double sum = 0.0;

    for (int64_t start = 0; start < n; start += SUM_RUN * LANES) {
        const int64_t end = sg_min(n, start + SUM_RUN * LANES);
        vec part = {0};

        for (int64_t i = start; i < end; i += LANES) {
            part = V_FMA(load_part(a + i, n - i), load_part(b + i, n - i), part);
        }
        sum += (double)V_SUM(part);
    }
    return sum;
}

INLINE void put_part(float *to, vec v, int64_t n, int accumulate) {
    store_part(to, accumulate ? load_part(to, n) + v : v, n);
}

TARGET static void softmax_rows_back(int64_t n_rows, int64_t n, const float *y, const float *dy,
                                     float *dx, int accumulate) {
    for (int64_t row = 0; row < n_rows; row++, y += n, dy += n, dx += n) {
        const vec sum = splat((float)dot_row(y, dy, n));

        for (int64_t i = 0; i < n; i += LANES) {
            const vec v = load_part(y + i, n - i) * (load_part(dy + i, n - i) - sum);
            put_part(dx + i, v, n - i, accumulate);
        }
    }
}

/* The sum of x, or with `mean` that of the squares of x - *mean. */
INLINE double moment_row(const float *x, const float *mean, int64_t n) {
    double sum = 0.0;

    for (int64_t start = 0; start < n; start += SUM_RUN * LANES) {
        const int64_t end = sg_min(n, start + SUM_RUN * LANES);
        vec part = {0};

        for (int64_t i = start; i < end; i += LANES) {
            const vec v = load_part(x + i, n - i);
            if (mean == NULL) {
                part += v;
            } else {
                const vec d = mask_vec(first_lanes(n - i), v - splat(*mean));
                part = V_FMA(d, d, part);
            }
        }
        sum += (double)V_SUM(part);
    }
    return sum;
}

INLINE vec scale_part(const struct sg_norm *s, int64_t i) {
    return s->scale != NULL ? load_part(s->scale + i, s->n - i) : splat(1.0f);
}

TARGET static void norm_rows(const struct sg_norm *s, int64_t n_rows, const float *x, float *y,
                             float *kept) {
    const int64_t n = s->n;

    for (int64_t row = 0; row < n_rows; row++, x += n, y += n, kept += 2) {
        const float mean = (float)(moment_row(x, NULL, n) / (double)n);
        const double variance = moment_row(x, &mean, n) / (double)n;
        const float inverse = (float)(1.0 / sqrt(variance + (double)s->epsilon));

        kept[0] = mean;
        kept[1] = inverse;
        for (int64_t i = 0; i < n; i += LANES) {
            const vec z = (load_part(x + i, n - i) - splat(mean)) * splat(inverse);
            const vec shift = s->shift != NULL ? load_part(s->shift + i, n - i) : splat(0.0f);
            store_part(y + i, V_FMA(z, scale_part(s, i), shift), n - i);
        }
    }
}

/* With z the normalised x and g = scale dy: dx = (g - mean(g) - z mean(g z)) / deviation. */
TARGET static void norm_rows_back(const struct sg_norm *s, int64_t n_rows, const float *x,
                                  const float *kept, const float *dy, float *dx, int accumulate) {
    const int64_t n = s->n;

    for (int64_t row = 0; row < n_rows; row++, x += n, dy += n, dx += n, kept += 2) {
        const vec mean = splat(kept[0]), inverse = splat(kept[1]);
        double sum_g = 0.0, sum_gz = 0.0;

        for (int64_t start = 0; start < n; start += SUM_RUN * LANES) {
            const int64_t end = sg_min(n, start + SUM_RUN * LANES);
            vec part_g = {0}, part_gz = {0};

            for (int64_t i = start; i < end; i += LANES) {
                const vec g = load_part(dy + i, n - i) * scale_part(s, i);
                part_g += g; /* 0 past the end, as dy is */
                part_gz = V_FMA(g, (load_part(x + i, n - i) - mean) * inverse, part_gz);
            }
            sum_g += (double)V_SUM(part_g);
            sum_gz += (double)V_SUM(part_gz);
        }
        const vec mean_g = splat((float)(sum_g / (double)n));
        const vec mean_gz = splat((float)(sum_gz / (double)n));
        for (int64_t i = 0; i < n; i += LANES) {
            const vec g = load_part(dy + i, n - i) * scale_part(s, i);
            const vec z = (load_part(x + i, n - i) - mean) * inverse;
            put_part(dx + i, (g - mean_g - z * mean_gz) * inverse, n - i, accumulate);
        }
    }
}
