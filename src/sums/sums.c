/* src/sums/sums.c - life, layout and merging of exact sums. */
#include "sums/sums_impl.h"

#include "sgdist/memory.h"

#include <math.h>
#include <string.h>

#define LIMB_MASK INT64_C(0xFFFFFFFF)

/* Samples' worth of growth that a group may carry in its limbs. A sample adds less than 2^49 to any
 * limb, so a group stays below 2^58, and 16 of them can be added up without a carry. */
enum { MAX_PENDING = 512 };

static int64_t count_limbs(int64_t n, int n_powers, int n_groups) {
    return n_groups + 2 + SG_SUMS_N_TALLIES + n_groups * sums_limbs_per_feature(n_powers) * n;
}

int64_t sg_sums_bytes(int64_t n, int n_powers, int n_groups) {
    return (int64_t)sizeof(struct sg_sums) +
           count_limbs(n, n_powers, n_groups) * (int64_t)sizeof(int64_t);
}

sg_status sg_sums_create(int64_t n, int n_powers, int n_groups, struct sg_sums **out) {
    sg_status status = SG_OK;
    struct sg_sums *s = NULL;

    SG_CHECK(n >= 1, SG_E_ARG, "sums of %lld features: at least one is needed", (long long)n);
    SG_CHECK(n_powers >= 1 && n_powers <= SG_SUMS_MAX_POWERS, SG_E_ARG,
             "sums of %d powers: 1 to %d are possible", n_powers, SG_SUMS_MAX_POWERS);
    SG_CHECK(n_groups >= 1 && n_groups <= SG_SUMS_MAX_GROUPS, SG_E_ARG,
             "sums in %d groups: 1 to %d are possible", n_groups, SG_SUMS_MAX_GROUPS);
    SG_CHECK(n <= INT64_MAX / 8 / 16 / 16, SG_E_NOMEM, "no memory for sums of %lld features",
             (long long)n);
    s = sg_calloc(1, sizeof *s);
    SG_CHECK(s != NULL, SG_E_NOMEM, "no memory for sums");
    s->capacity = count_limbs(n, n_powers, n_groups);
    s->limbs = sg_malloc_aligned((size_t)s->capacity, sizeof *s->limbs);
    SG_CHECK(s->limbs != NULL, SG_E_NOMEM, "no memory for sums of %lld features (%lld bytes)",
             (long long)n, (long long)sg_sums_bytes(n, n_powers, n_groups));
    sg_sums_reshape(s, n, n_powers, n_groups);

    *out = s;
    s = NULL;
done:
    sg_sums_destroy(s);
    return status;
}

void sg_sums_destroy(struct sg_sums *s) {
    if (s != NULL) {
        sg_free(s->limbs);
        sg_free(s);
    }
}

void sg_sums_reshape(struct sg_sums *s, int64_t n, int n_powers, int n_groups) {
    SG_ASSERT(n_powers <= SG_SUMS_MAX_POWERS && n_groups <= SG_SUMS_MAX_GROUPS);
    SG_ASSERT(count_limbs(n, n_powers, n_groups) <= s->capacity);
    s->n = n;
    s->n_powers = n_powers;
    s->n_groups = n_groups;
    s->n_limbs = count_limbs(n, n_powers, n_groups);
    sg_sums_reset(s, 0);
}

void sg_sums_reset(struct sg_sums *s, int exponent) {
    /* Beyond these no float is on or off the grid any more, and 2^(40 - exponent) stays exact. */
    SG_ASSERT(exponent >= -256 && exponent <= 256);
    s->exponent = exponent;
    s->scale = ldexp(1.0, SG_SUMS_GRID_BITS - exponent);
    memset(s->limbs, 0, (size_t)s->n_limbs * sizeof *s->limbs);
    memset(s->pending, 0, sizeof s->pending);
}

int sg_sums_exponent(const struct sg_sums *s) {
    return s->exponent;
}

int sg_sums_exponent_for(double max_abs) {
    /* Every finite float is below 2^128; the finest one is 2^-149, on the grid of -149 + 40. */
    enum { HIGHEST = 128, LOWEST = -149 + SG_SUMS_GRID_BITS };
    int e;

    if (!isfinite(max_abs)) {
        return HIGHEST;
    }
    if (max_abs == 0) {
        return 0;
    }
    (void)frexp(max_abs, &e); /* |max_abs| < 2^e */
    e += SG_SUMS_HEADROOM;
    return e > HIGHEST ? HIGHEST : (e < LOWEST ? LOWEST : e);
}

int64_t sg_sums_n_added(const struct sg_sums *s) {
    int64_t n = 0;

    for (int g = 0; g < s->n_groups; g++) {
        n += s->limbs[g];
    }
    return n;
}

int64_t sg_sums_n_off_grid(const struct sg_sums *s) {
    return s->limbs[s->n_groups];
}

int64_t sg_sums_n_nonfinite(const struct sg_sums *s) {
    return s->limbs[s->n_groups + 1];
}

int64_t sg_sums_n_features(const struct sg_sums *s) {
    return s->n;
}

int sg_sums_n_powers(const struct sg_sums *s) {
    return s->n_powers;
}

int sg_sums_n_groups(const struct sg_sums *s) {
    return s->n_groups;
}

int64_t sg_sums_group_count(const struct sg_sums *s, int group) {
    SG_ASSERT(group >= 0 && group < s->n_groups);
    return s->limbs[group];
}

int64_t *sg_sums_tallies(struct sg_sums *s) {
    return s->limbs + s->n_groups + 2;
}

SG_CLONES
static void carry_row(int64_t n, int64_t *restrict limb, int64_t *restrict next) {
    for (int64_t i = 0; i < n; i++) {
        const int64_t low = limb[i] & LIMB_MASK;

        next[i] += (limb[i] - low) / (LIMB_MASK + 1); /* exact, so it is the floor */
        limb[i] = low;
    }
}

void sums_carry(struct sg_sums *s, int group) {
    for (int p = 1; p <= s->n_powers; p++) {
        int64_t *row = sums_power(s, group, p);

        for (int i = 0; i < p; i++, row += s->n) {
            carry_row(s->n, row, row + s->n);
        }
    }
    s->pending[group] = 0;
}

void sums_reserve(struct sg_sums *s, int group, int64_t n_samples) {
    SG_ASSERT(n_samples <= MAX_PENDING);
    if (s->pending[group] + n_samples > MAX_PENDING) {
        sums_carry(s, group);
    }
    s->pending[group] += n_samples;
}

int64_t *sg_sums_limbs(struct sg_sums *s) {
    for (int g = 0; g < s->n_groups; g++) {
        sums_carry(s, g);
        /* The caller may add other arrays into this one, so it has to be carried before more. */
        s->pending[g] = MAX_PENDING;
    }
    return s->limbs;
}

int64_t sg_sums_n_limbs(const struct sg_sums *s) {
    return s->n_limbs;
}

void sg_sums_merge(struct sg_sums *into, const struct sg_sums *from) {
    SG_ASSERT(into->n == from->n && into->n_powers == from->n_powers);
    SG_ASSERT(into->n_groups == from->n_groups && into->exponent == from->exponent);
    for (int g = 0; g < into->n_groups; g++) {
        sums_reserve(into, g, from->pending[g]);
    }
    for (int64_t i = 0; i < into->n_limbs; i++) {
        into->limbs[i] += from->limbs[i];
    }
}

SG_CLONES
static void add_row(int64_t n, const int64_t *restrict v, int64_t *restrict sum) {
    for (int64_t i = 0; i < n; i++) {
        sum[i] += v[i];
    }
}

SG_CLONES
static void subtract_row(int64_t n, const int64_t *restrict v, int64_t *restrict sum) {
    for (int64_t i = 0; i < n; i++) {
        sum[i] -= v[i];
    }
}

/* out += sign * group of s, samples only. A few groups fit on top of canonical limbs, see
 * MAX_PENDING. */
static void shift_group(const struct sg_sums *s, int group, int sign, struct sg_sums *out) {
    const int64_t n_values = sums_limbs_per_feature(s->n_powers) * s->n;
    const int64_t *v = sums_power(s, group, 1);
    int64_t *sum = sums_power(out, 0, 1);

    SG_ASSERT(out->n_groups == 1 && out->n == s->n && out->n_powers == s->n_powers);
    SG_ASSERT(out->exponent == s->exponent);
    out->limbs[0] += sign * s->limbs[group];
    if (sign > 0) {
        add_row(n_values, v, sum);
    } else {
        subtract_row(n_values, v, sum);
    }
}

void sg_sums_collapse(const struct sg_sums *s, int without, struct sg_sums *out) {
    SG_ASSERT(out->n_groups == 1);
    sg_sums_reset(out, s->exponent);
    memcpy(out->limbs + 1, s->limbs + s->n_groups, (2 + SG_SUMS_N_TALLIES) * sizeof *s->limbs);
    for (int g = 0; g < s->n_groups; g++) {
        if (g != without) {
            shift_group(s, g, 1, out);
        }
    }
    sums_carry(out, 0);
}

void sg_sums_remove_group(const struct sg_sums *s, int group, struct sg_sums *one) {
    shift_group(s, group, -1, one);
}

void sg_sums_restore_group(const struct sg_sums *s, int group, struct sg_sums *one) {
    shift_group(s, group, 1, one);
}
