/* src/sums/counts.c - packed counters and sums of slopes.
 *
 * words = [ samples of each group | samples skipped | slopes off grid | slopes not finite | tallies
 * ] then for each group [ counters, packed ] [ slopes, one word each ]. */
#include "sgdist/counts.h"

#include "sgdist/memory.h"
#include "sgdist/sums.h"

#include <math.h>
#include <string.h>

enum { SKIPPED, OFF_GRID, NONFINITE, N_MARKS };

struct sg_counts {
    struct sg_counts_shape shape;
    int exponent;
    double scale; /* grid steps in 1 */
    int bits;
    int64_t group_words;
    int64_t n_words;
    int64_t capacity;
    int64_t *words;
};

/* Code for several instruction sets, chosen at load time; a matter of speed only. */
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) &&                 \
    !defined(__clang__)
#define CLONES __attribute__((target_clones("default", "avx2")))
#else
#define CLONES
#endif

/* The highest bit stays free: the sum of words never reaches their sign. */
int sg_counts_field_bits(const struct sg_counts_shape *shape) {
    const int64_t most = (shape->n_samples + shape->n_groups - 1) / shape->n_groups;

    return most <= INT8_MAX ? 8 : most <= INT16_MAX ? 16 : 32;
}

static int64_t counter_words(const struct sg_counts_shape *shape) {
    const int64_t a_word = 64 / sg_counts_field_bits(shape);

    return (shape->n_counters + a_word - 1) / a_word;
}

static int64_t header_words(const struct sg_counts_shape *shape) {
    return shape->n_groups + N_MARKS + SG_COUNTS_N_TALLIES;
}

static int64_t count_words(const struct sg_counts_shape *shape) {
    return header_words(shape) + shape->n_groups * (counter_words(shape) + shape->n_slopes);
}

int64_t sg_counts_bytes(const struct sg_counts_shape *shape) {
    return (int64_t)sizeof(struct sg_counts) + 8 * count_words(shape);
}

sg_status sg_counts_create(const struct sg_counts_shape *shape, struct sg_counts **out) {
    sg_status status = SG_OK;
    struct sg_counts *c = sg_calloc(1, sizeof *c);

    SG_CHECK(c != NULL, SG_E_NOMEM, "no memory for the counts of gates");
    c->capacity = count_words(shape);
    c->words = sg_malloc_aligned((size_t)c->capacity, sizeof *c->words);
    SG_CHECK(c->words != NULL, SG_E_NOMEM, "no memory for the counts of gates (%lld bytes)",
             (long long)sg_counts_bytes(shape));
    sg_counts_reshape(c, shape);
    *out = c;
    c = NULL;
done:
    sg_counts_destroy(c);
    return status;
}

void sg_counts_destroy(struct sg_counts *c) {
    if (c != NULL) {
        sg_free(c->words);
        sg_free(c);
    }
}

void sg_counts_reshape(struct sg_counts *c, const struct sg_counts_shape *shape) {
    SG_ASSERT(shape->n_groups >= 1 && shape->n_groups <= SG_SUMS_MAX_GROUPS);
    SG_ASSERT(count_words(shape) <= c->capacity);
    c->shape = *shape;
    c->bits = sg_counts_field_bits(shape);
    c->group_words = counter_words(shape) + shape->n_slopes;
    c->n_words = count_words(shape);
    sg_counts_reset(c, SG_COUNTS_EXPONENT);
}

void sg_counts_reset(struct sg_counts *c, int exponent) {
    c->exponent = exponent;
    c->scale = ldexp(1.0, SG_SUMS_GRID_BITS - exponent);
    memset(c->words, 0, (size_t)c->n_words * sizeof *c->words);
}

int sg_counts_exponent(const struct sg_counts *c) {
    return c->exponent;
}

static int64_t *marks(const struct sg_counts *c) {
    return c->words + c->shape.n_groups;
}

static int group_of(const struct sg_counts *c, int64_t sample) {
    return (int)(sample % c->shape.n_groups);
}

static int64_t *counters_of(const struct sg_counts *c, int group) {
    return c->words + header_words(&c->shape) + group * c->group_words;
}

static int64_t *slopes_of(const struct sg_counts *c, int group) {
    return counters_of(c, group) + counter_words(&c->shape);
}

/* 32 bits from any bit on, of which the caller uses the first n. */
static uint32_t bits_at(const uint32_t *words, int64_t bit, int64_t n) {
    const uint32_t *w = words + bit / 32;
    const int shift = (int)(bit % 32);

    return shift == 0        ? w[0]
           : shift + n <= 32 ? w[0] >> shift
                             : w[0] >> shift | w[1] << (32 - shift);
}

/* One width of field each: a loop over 32 counters that the compiler turns into vectors. */
#define FIELDS(type)                                                                               \
    CLONES static void add_bits_##type(type *field, const uint32_t *words, int64_t bit,            \
                                       int64_t n) {                                                \
        int64_t i = 0;                                                                             \
                                                                                                   \
        for (; i + 32 <= n; i += 32) {                                                             \
            const uint32_t w = bits_at(words, bit + i, 32);                                        \
                                                                                                   \
            for (uint32_t k = 0; k < 32; k++) {                                                    \
                field[i + k] = (type)(field[i + k] + (w >> k & 1u));                               \
            }                                                                                      \
        }                                                                                          \
        if (i < n) {                                                                               \
            const uint32_t w = bits_at(words, bit + i, n - i);                                     \
                                                                                                   \
            for (uint32_t k = 0; k < n - i; k++) {                                                 \
                field[i + k] = (type)(field[i + k] + (w >> k & 1u));                               \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    static void add_at_##type(type *field, const int32_t *at, int64_t n) {                         \
        for (int64_t i = 0; i < n; i++) {                                                          \
            if (at[i] >= 0) {                                                                      \
                field[at[i]]++;                                                                    \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    CLONES static void sum_##type(const type *field, int64_t n, uint32_t *sum) {                   \
        for (int64_t i = 0; i < n; i++) {                                                          \
            sum[i] += (uint32_t)field[i];                                                          \
        }                                                                                          \
    }

FIELDS(uint8_t)
FIELDS(uint16_t)
FIELDS(uint32_t)

void sg_counts_add_bits(struct sg_counts *c, int64_t sample, int64_t first, const uint32_t *words,
                        int64_t first_bit, int64_t n) {
    void *fields = counters_of(c, group_of(c, sample));

    SG_ASSERT(first >= 0 && first + n <= c->shape.n_counters);
    if (c->bits == 8) {
        add_bits_uint8_t((uint8_t *)fields + first, words, first_bit, n);
    } else if (c->bits == 16) {
        add_bits_uint16_t((uint16_t *)fields + first, words, first_bit, n);
    } else {
        add_bits_uint32_t((uint32_t *)fields + first, words, first_bit, n);
    }
}

void sg_counts_add_at(struct sg_counts *c, int64_t sample, int64_t first, const int32_t *at,
                      int64_t n) {
    void *fields = counters_of(c, group_of(c, sample));

    if (c->bits == 8) {
        add_at_uint8_t((uint8_t *)fields + first, at, n);
    } else if (c->bits == 16) {
        add_at_uint16_t((uint16_t *)fields + first, at, n);
    } else {
        add_at_uint32_t((uint32_t *)fields + first, at, n);
    }
}

void sg_counts_add_slopes(struct sg_counts *c, int64_t sample, int64_t first, const float *slope,
                          int64_t n) {
    const double limit = ldexp(1.0, c->exponent);
    int64_t *sum = slopes_of(c, group_of(c, sample)) + first;
    int64_t n_off = 0, n_nonfinite = 0;

    SG_ASSERT(first >= 0 && first + n <= c->shape.n_slopes);
    for (int64_t i = 0; i < n; i++) {
        const double v = (double)slope[i];

        if (fabs(v) < limit) {
            sum[i] += llrint(v * c->scale);
        } else {
            n_off += isfinite(v) != 0;
            n_nonfinite += isfinite(v) == 0;
        }
    }
    marks(c)[OFF_GRID] += n_off;
    marks(c)[NONFINITE] += n_nonfinite;
}

void sg_counts_end_sample(struct sg_counts *c, int64_t sample) {
    c->words[group_of(c, sample)]++;
}

void sg_counts_skip_sample(struct sg_counts *c) {
    marks(c)[SKIPPED]++;
}

int64_t sg_counts_n_added(const struct sg_counts *c) {
    const struct sg_counts_view all = {.counts = c, .without = -1, .of = 1};

    return sg_counts_n_seen(&all);
}

int64_t sg_counts_n_skipped(const struct sg_counts *c) {
    return marks(c)[SKIPPED];
}

int64_t sg_counts_n_off_grid(const struct sg_counts *c) {
    return marks(c)[OFF_GRID];
}

int64_t sg_counts_n_nonfinite(const struct sg_counts *c) {
    return marks(c)[NONFINITE];
}

int64_t *sg_counts_tallies(struct sg_counts *c) {
    return marks(c) + N_MARKS;
}

const struct sg_counts_shape *sg_counts_shape_of(const struct sg_counts *c) {
    return &c->shape;
}

int64_t *sg_counts_words(struct sg_counts *c) {
    return c->words;
}

int64_t sg_counts_n_words(const struct sg_counts *c) {
    return c->n_words;
}

static int is_seen(const struct sg_counts_view *v, int group) {
    return v->without < 0 || group % v->of != v->without;
}

int64_t sg_counts_n_seen(const struct sg_counts_view *v) {
    int64_t n = 0;

    for (int g = 0; g < v->counts->shape.n_groups; g++) {
        n += is_seen(v, g) ? v->counts->words[g] : 0;
    }
    return n;
}

enum { CHUNK = 1024 };

/* Counters [first, first + n) of all groups that are seen, added up: 31 bits hold all samples. */
static void sum_counters(const struct sg_counts_view *v, int64_t first, int64_t n, uint32_t *sum) {
    const struct sg_counts *c = v->counts;

    memset(sum, 0, (size_t)n * sizeof *sum);
    for (int g = 0; g < c->shape.n_groups; g++) {
        const void *fields = counters_of(c, g);

        if (!is_seen(v, g)) {
            continue;
        }
        if (c->bits == 8) {
            sum_uint8_t((const uint8_t *)fields + first, n, sum);
        } else if (c->bits == 16) {
            sum_uint16_t((const uint16_t *)fields + first, n, sum);
        } else {
            sum_uint32_t((const uint32_t *)fields + first, n, sum);
        }
    }
}

void sg_counts_mean_counters(const struct sg_counts_view *v, int64_t first, int64_t n,
                             float *mean) {
    const double n_seen = (double)sg_counts_n_seen(v);
    uint32_t sum[CHUNK];

    for (int64_t at = 0; at < n; at += CHUNK) {
        const int64_t m = n - at < CHUNK ? n - at : CHUNK;

        sum_counters(v, first + at, m, sum);
        for (int64_t i = 0; i < m; i++) {
            mean[at + i] = (float)((double)sum[i] / n_seen);
        }
    }
}

void sg_counts_mean_slopes(const struct sg_counts_view *v, int64_t first, int64_t n, float *mean) {
    const struct sg_counts *c = v->counts;
    const double steps = (double)sg_counts_n_seen(v) * c->scale;

    for (int64_t i = 0; i < n; i++) {
        double sum = 0; /* in the order of the groups */

        for (int g = 0; g < c->shape.n_groups; g++) {
            sum += is_seen(v, g) ? (double)slopes_of(c, g)[first + i] : 0.0;
        }
        mean[i] = (float)(sum / steps);
    }
}
