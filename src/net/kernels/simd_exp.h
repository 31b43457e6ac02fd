/* src/net/kernels/simd_exp.h - exp of a vector, for all kernels that need one.
 *
 * x = n ln 2 + r with |r| <= ln 2 / 2, exp(x) = 2^n exp(r). exp(r) = 1 + r + r^2 q(r), q the
 * polynomial of degree 4 with the least largest relative error, 3.1e-9. Against the true value: at
 * most 1.01 ulp of the result (1.0006 found among 20 million arguments; rounding r, r + r^2 q and
 * the last sum), results below 2^-126 included; 0 and infinity where the true value rounds to
 * them, NaN of NaN. */

INLINE vec exp_clamp(vec x, float low, float high) {
    x = select_bits(x < splat(low), splat(low), x);
    return select_bits(x > splat(high), splat(high), x);
}

/* 2^n for -126 <= n <= 127. */
INLINE vec power_of_two(ivec n) {
    return (vec)((n + 127) << 23);
}

INLINE vec exp_of(vec x) {
    const vec magic = splat(0x1.8p23f); /* numbers above it are whole */
    /* Beyond these bounds the result is 0 or infinity already. */
    const vec at = exp_clamp(x, -104.0f, 89.0f);
    const vec shifted = V_FMA(at, splat(0x1.715476p0f), magic);
    const vec whole = shifted - magic;
    const ivec n = (ivec)shifted - (ivec)magic;
    const ivec half = n >> 1;
    /* ln 2 in two parts, the first short enough for exact products with whole numbers. */
    vec r = V_FMA(whole, splat(-0x1.62e4p-1f), at);
    vec q = splat(0x1.6a2434p-10f);

    r = V_FMA(whole, splat(-0x1.7f7d1cp-20f), r);
    q = V_FMA(q, r, splat(0x1.1239e2p-7f));
    q = V_FMA(q, r, splat(0x1.5558f2p-5f));
    q = V_FMA(q, r, splat(0x1.555492p-3f));
    q = V_FMA(q, r, splat(0x1.fffffcp-2f));
    q = V_FMA(q * r, r, r) + 1.0f;
    /* 2^n in two factors: one of them alone may not be a number. */
    return q * power_of_two(half) * power_of_two(n - half);
}

/* 1 / (1 + exp(-x)): at most 2.5 ulp from the true value down to x = -88.7, where exp(-x) leaves
 * the floats; 0 below. */
INLINE vec sigmoid_of(vec x) {
    return 1.0f / (1.0f + exp_of(-x));
}

TARGET static void exp_all(const float *x, float *y, int64_t n) {
    int64_t i = 0;

    for (; i + LANES <= n; i += LANES) {
        store(y + i, exp_of(load(x + i)));
    }
    if (i < n) {
        store_part(y + i, exp_of(load_part(x + i, n - i)), n - i);
    }
}

TARGET static void sigmoid_all(const float *x, float *y, int64_t n) {
    int64_t i = 0;

    for (; i + LANES <= n; i += LANES) {
        store(y + i, sigmoid_of(load(x + i)));
    }
    if (i < n) {
        store_part(y + i, sigmoid_of(load_part(x + i, n - i)), n - i);
    }
}
