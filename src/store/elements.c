/* src/store/elements.c - element for element: where two pieces of a dataset differ, and by how
 * much. */
#include "store/compare_impl.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static double as_double(enum sg_type type, const void *p) {
    union {
        float f32;
        double f64;
        int32_t i32;
        int64_t i64;
        uint64_t u64;
    } v;

    switch (type) {
    case SG_TYPE_F32:
        memcpy(&v.f32, p, sizeof v.f32);
        return (double)v.f32;
    case SG_TYPE_F64:
        memcpy(&v.f64, p, sizeof v.f64);
        return v.f64;
    case SG_TYPE_I32:
        memcpy(&v.i32, p, sizeof v.i32);
        return (double)v.i32;
    case SG_TYPE_I64:
        memcpy(&v.i64, p, sizeof v.i64);
        return (double)v.i64;
    case SG_TYPE_U64:
        memcpy(&v.u64, p, sizeof v.u64);
        return (double)v.u64;
    case SG_TYPE_U8:
        return (double)*(const unsigned char *)p;
    case SG_TYPE_TEXT:
        break;
    }
    return NAN; /* a text has no size of difference */
}

/* Enough digits to tell any two values apart. */
static void print(enum sg_type type, int64_t text_bytes, const void *p, char *buf, size_t cap) {
    int64_t i64;
    uint64_t u64;

    switch (type) {
    case SG_TYPE_TEXT:
        (void)snprintf(buf, cap, "'%.*s'", (int)(text_bytes < 40 ? text_bytes : 40),
                       (const char *)p);
        break;
    case SG_TYPE_I64:
        memcpy(&i64, p, sizeof i64);
        (void)snprintf(buf, cap, "%" PRId64, i64);
        break;
    case SG_TYPE_U64:
        memcpy(&u64, p, sizeof u64);
        (void)snprintf(buf, cap, "%" PRIu64, u64);
        break;
    case SG_TYPE_F32:
        (void)snprintf(buf, cap, "%.9g", as_double(type, p));
        break;
    default:
        (void)snprintf(buf, cap, "%.17g", as_double(type, p));
        break;
    }
}

/* Strings are equal if they are up to their padding, however long the fields are. */
static int texts_differ(const char *a, int64_t a_bytes, const char *b, int64_t b_bytes) {
    const size_t n = strnlen(a, (size_t)a_bytes);

    return n != strnlen(b, (size_t)b_bytes) || memcmp(a, b, n) != 0;
}

static int is_within(const struct sg_tolerance *t, double a, double b) {
    if (t->rtol < 0 && t->atol < 0) {
        return 0; /* their bits differ, and bits are asked for */
    }
    if (isnan(a) || isnan(b)) {
        return isnan(a) && isnan(b);
    }
    return a == b || fabs(a - b) <= fmax(t->atol, 0) + fmax(t->rtol, 0) * fabs(b);
}

static void count_number(double a, double b, struct sg_difference *d) {
    const double larger = fmax(fabs(a), fabs(b));

    if (!isfinite(a) || !isfinite(b)) {
        d->n_nan++;
        return;
    }
    d->n_zero_sign += a == 0.0 && b == 0.0;
    d->max_abs = fmax(d->max_abs, fabs(a - b));
    d->max_rel = larger > 0 ? fmax(d->max_rel, fabs(a - b) / larger) : d->max_rel;
}

static int elements_differ(const struct sg_piece *p, const char *a, const char *b) {
    if (p->type == SG_TYPE_TEXT) {
        return texts_differ(a, p->a_bytes, b, p->b_bytes);
    }
    if (memcmp(a, b, (size_t)p->a_bytes) == 0) {
        return 0;
    }
    return (p->type != SG_TYPE_F32 && p->type != SG_TYPE_F64) ||
           !is_within(p->tolerance, as_double(p->type, a), as_double(p->type, b));
}

int64_t sg_compare_piece(const struct sg_piece *p, struct sg_difference *d) {
    int64_t n = 0;

    if (p->a_bytes == p->b_bytes && memcmp(p->a, p->b, (size_t)(p->n * p->a_bytes)) == 0) {
        return 0;
    }
    for (int64_t i = 0; i < p->n; i++) {
        const char *a = (const char *)p->a + i * p->a_bytes;
        const char *b = (const char *)p->b + i * p->b_bytes;

        if (!elements_differ(p, a, b)) {
            continue;
        }
        if (n++ == 0 && d->n_elements == 0) {
            d->first_index = i;
            print(p->type, p->a_bytes, a, d->first_a, sizeof d->first_a);
            print(p->type, p->b_bytes, b, d->first_b, sizeof d->first_b);
        }
        if (p->type != SG_TYPE_TEXT) {
            count_number(as_double(p->type, a), as_double(p->type, b), d);
        }
    }
    d->n_elements += n;
    return n;
}
