/* src/net/kernels/simd_gated.h - erf and tanh, and x gated by them: GELU and its kin.
 *
 * erf(z) for |z| < 1: z P(z^2), P the polynomial of degree 6 with the least largest relative error,
 * 1.3e-9. For |z| >= 1: 1 - erfc(|z|) with erfc(z) = exp(-z^2) t Q(t), t = 1 / (1 + 3/8 z), t Q(t)
 * of degree 9 with a relative error of 1.3e-8 for z <= 10, beyond which erfc is 0 among the floats
 * that 1 is added to. Against the true value: erf at most 1.5 ulp, erfc(z) for z >= 1 at most
 * (4e-7 + 1.2e-7 z^2) of itself. */

static const float two_over_root_pi = 0x1.20dd76p+0f;

/* exp(-z^2). */
INLINE vec bell_of(vec z) {
    return exp_of(-(z * z));
}

/* erf(z), meant for |z| < 1. */
INLINE vec erf_near(vec z) {
    const vec s = z * z;
    vec p = splat(0x1.496a1ep-14f);

    p = V_FMA(p, s, splat(-0x1.a3f6f8p-11f));
    p = V_FMA(p, s, splat(0x1.5405b0p-8f));
    p = V_FMA(p, s, splat(-0x1.b7f90cp-6f));
    p = V_FMA(p, s, splat(0x1.ce2cf8p-4f));
    p = V_FMA(p, s, splat(-0x1.81273ep-2f));
    p = V_FMA(p, s, splat(0x1.06eba8p-3f)); /* less 1, which is added last */
    return V_FMA(p, z, z);
}

/* erfc(a) for a >= 1; bell is exp(-a^2). */
INLINE vec erfc_far(vec a, vec bell) {
    const vec t = 1.0f / V_FMA(a, splat(0.375f), splat(1.0f));
    vec q = splat(0x1.f735fap-5f);

    q = V_FMA(q, t, splat(-0x1.25b010p-2f));
    q = V_FMA(q, t, splat(0x1.b9b262p-2f));
    q = V_FMA(q, t, splat(-0x1.d3706cp-3f));
    q = V_FMA(q, t, splat(0x1.177cccp-2f));
    q = V_FMA(q, t, splat(0x1.f3066ap-4f));
    q = V_FMA(q, t, splat(0x1.a4506ep-3f));
    q = V_FMA(q, t, splat(0x1.af6f00p-3f));
    q = V_FMA(q, t, splat(0x1.b16210p-3f));
    return q * t * bell;
}

INLINE vec abs_of(vec v) {
    return (vec)((ivec)v & 0x7fffffff);
}

/* p + q erf(z): on the far side of 0 it is (p - q) + q erfc(-z), so that nothing cancels where p
 * is q. */
INLINE vec erf_mixed(float p, float q, vec z, vec bell) {
    const vec a = abs_of(z);
    const vec tail = splat(q) * erfc_far(a, bell);
    const vec far = select_bits(z < (vec){0}, splat(p - q) + tail, splat(p + q) - tail);

    return select_bits(a < splat(1.0f), V_FMA(erf_near(z), splat(q), splat(p)), far);
}

/* a b, but 0 where b is 0 although a is infinite. */
INLINE vec damped(vec a, vec b) {
    return select_bits(b == (vec){0}, (vec){0}, a * b);
}

/* p + q erf(r x), and its slope times x. */
INLINE vec erf_gate(const struct sg_gated *g, vec x, vec *slope) {
    const vec z = x * g->r;
    const vec bell = bell_of(z);

    *slope = damped(x * (g->q * g->r * two_over_root_pi), bell);
    return erf_mixed(g->p, g->q, z, bell);
}

/* p + q tanh(u) = (p - q) + 2 q / (1 + exp(-2 u)), u = r x + s x^3; `cubic` where s is not 0. */
INLINE vec tanh_gate(const struct sg_gated *g, const int cubic, vec x, vec *slope) {
    const vec xx = x * x;
    const vec u = x * (cubic ? V_FMA(xx, splat(g->s), splat(g->r)) : splat(g->r));
    const vec du = cubic ? V_FMA(xx, splat(3.0f * g->s), splat(g->r)) : splat(g->r);
    const vec share = sigmoid_of(2.0f * u);

    *slope = damped(4.0f * g->q * x * du, share * (1.0f - share));
    return V_FMA(share, splat(2.0f * g->q), splat(g->p - g->q));
}

/* y = x gate(x); slope = gate(x) + x gate'(x). */
INLINE void gated_vector(const struct sg_gated *g, const int kind, const int cubic, const float *x,
                         float *y, float *slope, int64_t n) {
    const vec v = load_part(x, n);
    vec by_gate;
    const vec gate =
        kind == SG_GATED_ERF ? erf_gate(g, v, &by_gate) : tanh_gate(g, cubic, v, &by_gate);

    store_part(slope, gate + by_gate, n);
    store_part(y, v * gate, n);
}

INLINE void gated_line(const struct sg_gated *g, const int kind, const int cubic, const float *x,
                       float *y, float *slope, int64_t n) {
    const struct sg_gated own = *g; /* which the results do not lie in */
    int64_t i = 0;

    for (; i + LANES <= n; i += LANES) {
        gated_vector(&own, kind, cubic, x + i, y + i, slope + i, LANES);
    }
    if (i < n) {
        gated_vector(&own, kind, cubic, x + i, y + i, slope + i, n - i);
    }
}

TARGET static void gated_all(const struct sg_gated *g, const float *x, float *y, float *slope,
                             int64_t n) {
    if (g->kind == SG_GATED_ERF) {
        gated_line(g, SG_GATED_ERF, 0, x, y, slope, n);
    } else if (g->s != 0.0f) {
        gated_line(g, SG_GATED_TANH, 1, x, y, slope, n);
    } else {
        gated_line(g, SG_GATED_TANH, 0, x, y, slope, n);
    }
}

TARGET static void erf_all(const float *x, float *y, float *slope, int64_t n) {
    for (int64_t i = 0; i < n; i += LANES) {
        const vec z = load_part(x + i, n - i);
        const vec bell = bell_of(z);

        store_part(slope + i, bell * two_over_root_pi, n - i);
        store_part(y + i, erf_mixed(0.0f, 1.0f, z, bell), n - i);
    }
}
