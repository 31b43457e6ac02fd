/* tests/python/like_tiles.c - linked into a second program for test_bfloat16.py: sgdist on a
 * processor that makes blocks of bfloat16 products like AMX, or as SGDIST_LIKE=avx512 says; with
 * SGDIST_LIKE=wrong on one that makes them wrong. Users have no such choice. */
#include "net/kernels/tiles.h"

#include <stdlib.h>
#include <string.h>

static void forget(const struct sg_tile_steps *s, const uint16_t *a, const uint16_t *b, float *c) {
    sg_tiles_like_amx.block(s, a, b, c);
    c[5] = 0;
}

__attribute__((constructor)) static void choose(void) {
    static struct sg_tiles wrong;
    const char *like = getenv("SGDIST_LIKE");

    if (like != NULL && strcmp(like, "wrong") == 0) {
        wrong = sg_tiles_like_amx;
        wrong.judge = &sg_tiles_like_amx;
        wrong.block = forget;
        (void)sg_tiles_use(&wrong);
        return;
    }
    (void)sg_tiles_use(like != NULL && strcmp(like, "avx512") == 0 ? &sg_tiles_like_avx512
                                                                   : &sg_tiles_like_amx);
}
