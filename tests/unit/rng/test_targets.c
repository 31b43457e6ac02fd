/* The same bits on every instruction set, and the accuracy of the own functions: normals.c once
 * more, compiled for the base instruction set, under another name. */
#include "sgdist/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SG_CLONES
#define sg_rng_normals plain_normals
#define sg_rng_circle  plain_circle
void plain_normals(const struct sg_rng_address *at, int64_t n, float *z);
void plain_circle(int64_t k, int64_t n, double *cosine, double *sine);
#include "rng/normals.c"
#undef sg_rng_normals
#undef sg_rng_circle

/* The declarations that the header made under the other name. */
void sg_rng_normals(const struct sg_rng_address *at, int64_t n, float *z);

enum { N = 200000 };

static void dispatched_equals_plain(void **state) {
    static float dispatched[N];
    static float plain[N];

    (void)state;
    for (uint32_t k = 0; k < 20; k++) {
        const struct sg_rng_address at = {.seed = 5, .item = 7, .sample = k};

        sg_rng_normals(&at, N, dispatched);
        plain_normals(&at, N, plain);
        assert_memory_equal(dispatched, plain, sizeof plain);
    }
}

/* The generator called by hand gives the block's words (its own loop is vector code). */
static void blocks_equal_single_calls(void **state) {
    uint32_t w[4][SG_RNG_CALLS];
    const struct sg_rng_address at = {.seed = SG_SEED_MAX,
                                      .stream = SG_STREAM_REPLICATES,
                                      .item = UINT64_MAX,
                                      .sample = UINT32_MAX};

    (void)state;
    sg_rng_block(&at, UINT32_MAX - SG_RNG_CALLS + 1, w);
    for (uint32_t j = 0; j < SG_RNG_CALLS; j++) {
        const uint32_t counter[4] = {UINT32_MAX - SG_RNG_CALLS + 1 + j, UINT32_MAX, UINT32_MAX,
                                     UINT32_MAX};
        const uint32_t key[2] = {UINT32_MAX, 0xFFFFFF | 3u << 24};
        uint32_t out[4];

        sg_philox4x32_10(counter, key, out);
        for (int i = 0; i < 4; i++) {
            assert_int_equal(w[i][j], out[i]);
        }
    }
}

/* Word i of a walk over all words, with the ends, the eighths and their neighbours among them. */
static uint32_t walk(uint32_t i) {
    return i < 4096 ? (i / 512) * UINT32_C(0x20000000) + (i % 512) - 256 : i * UINT32_C(2654435769);
}

/* Against the long double functions of the C library: below 1e-12 before rounding to float. */
static void own_functions_are_accurate(void **state) {
    double worst_radius = 0;
    double worst_turn = 0;

    (void)state;
    for (uint32_t i = 0; i < 1000000; i++) {
        const uint32_t w = walk(i);
        const long double u = ((long double)w + 0.5L) * 0x1p-32L;
        const long double r = sqrtl(-2 * logl(u));
        const long double angle = 2 * 3.14159265358979323846264L * u;
        double c;
        double s;

        turn(w, &c, &s);
        worst_radius = fmax(worst_radius, (double)fabsl((radius(w) - r) / r));
        worst_turn = fmax(worst_turn, (double)fabsl(c - cosl(angle)));
        worst_turn = fmax(worst_turn, (double)fabsl(s - sinl(angle)));
    }
    assert_true(worst_radius < 1e-12);
    assert_true(worst_turn < 1e-12);
    assert_true(radius(0) < 6.77 && radius(UINT32_MAX) > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dispatched_equals_plain),
        cmocka_unit_test(blocks_equal_single_calls),
        cmocka_unit_test(own_functions_are_accurate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
