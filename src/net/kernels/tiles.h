/* src/net/kernels/tiles.h - products of bfloat16 matrices in blocks of 32 x 32, summed in float.
 *
 * Four ways to make a block: two of processors (AMX-BF16, AVX512-BF16), and for each of them a
 * stand-in in plain C that does what Intel's manual says the instruction does, rounding by
 * rounding. The stand-ins are the judges of the self-test, and let everything around a block be
 * tested on any processor; they are too slow for users and are never chosen. */
#ifndef NET_TILES_H
#define NET_TILES_H

#include <stdint.h>

enum {
    SG_TILE_BLOCK = 32, /* rows and columns of a block */
    SG_TILE_STEP = 32,  /* numbers of a row that are multiplied in one step */
    SG_TILE_STEP_SIZE = SG_TILE_STEP * SG_TILE_BLOCK /* numbers of b in a step */
};

/* The steps of a block. Row r of step (y, x, s) is a[y * y_step + x * x_step + s * 32 + r *
 * row_step ...], 32 bfloat16 numbers. b has the steps one after the other, each as [half of the
 * columns][pair of rows of b][column][2]. */
struct sg_tile_steps {
    int64_t n_y, y_step;
    int64_t n_x, x_step;
    int64_t n_s;
    int64_t row_step;
};

struct sg_tiles {
    const char *name;          /* "amx" */
    const char *(*lack)(void); /* what the processor or the system lacks, or NULL */
    void (*begin)(void);       /* before and after a series of blocks */
    void (*end)(void);
    /* c[32][32] = the sum over all steps. */
    void (*block)(const struct sg_tile_steps *s, const uint16_t *a, const uint16_t *b, float *c);
    const struct sg_tiles *judge; /* the stand-in; its own is NULL */
};
extern const struct sg_tiles sg_tiles_like_amx;
extern const struct sg_tiles sg_tiles_like_avx512;
#if defined(__x86_64__)
extern const struct sg_tiles sg_tiles_amx;
extern const struct sg_tiles sg_tiles_avx512;
#endif

/* The best that this processor has, tried out at the first call; NULL if there is none. */
const struct sg_tiles *sg_tiles_current(void);

/* "amx"; "amx-3f21" if the rounding is not the documented one, with a mark of what it is: equal
 * names give equal bits. "none". Static string. */
const char *sg_tiles_name(void);

/* Why there is none. Static string. */
const char *sg_tiles_lack(void);

/* For tests: this set from now on, after the same trial; 0 if it fails. */
int sg_tiles_use(const struct sg_tiles *set);

/* to[n] = from[n], rounded to the nearest, ties to even; numbers below 2^-126 become 0, NaN stays
 * NaN. */
void sg_to_bfloat16(const float *from, uint16_t *to, int64_t n);

#endif
