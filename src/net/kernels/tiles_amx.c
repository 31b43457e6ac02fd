/* src/net/kernels/tiles_amx.c - blocks by AMX: 16 x 32 numbers by 32 x 16 an instruction. */
#include "net/kernels/tiles.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TARGET __attribute__((target("amx-tile,amx-bf16")))

/* Tiles are large registers that Linux (5.16 and later) gives to those who ask; a state of the
 * process. */
enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };

static const char *lack(void) {
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    unsigned d = 0;

    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (d >> 22 & 1) == 0 || (d >> 24 & 1) == 0) {
        return "the processor has no AMX-BF16 (amx_bf16 and amx_tile in /proc/cpuinfo)";
    }
    if (syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) != 0) {
        return "the system does not give AMX tiles to programs (Linux 5.16 and later does)";
    }
    return NULL;
}

/* All eight tiles are 16 rows of 64 bytes. */
static const struct {
    uint8_t palette, first_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} shapes = {.palette = 1,
            .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
            .rows = {16, 16, 16, 16, 16, 16, 16, 16}};

TARGET static void begin(void) {
    _tile_loadconfig(&shapes);
}

TARGET static void end(void) {
    _tile_release();
}

/* Tiles 0 to 3 are the block's quarters, 4 and 5 the rows of a, 6 and 7 the columns of b. */
TARGET static void block(const struct sg_tile_steps *s, const uint16_t *a, const uint16_t *b,
                         float *c) {
    const int64_t half = SG_TILE_BLOCK / 2;
    const int64_t a_bytes = s->row_step * (int64_t)sizeof *a;
    const int64_t c_bytes = SG_TILE_BLOCK * (int64_t)sizeof *c;

    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t y = 0; y < s->n_y; y++) {
        for (int64_t x = 0; x < s->n_x; x++) {
            const uint16_t *at = a + y * s->y_step + x * s->x_step;
            for (int64_t i = 0; i < s->n_s; i++) {
                _tile_loadd(4, at, a_bytes);
                _tile_loadd(5, at + half * s->row_step, a_bytes);
                _tile_loadd(6, b, 64);
                _tile_loadd(7, b + SG_TILE_STEP_SIZE / 2, 64);
                _tile_dpbf16ps(0, 4, 6);
                _tile_dpbf16ps(1, 4, 7);
                _tile_dpbf16ps(2, 5, 6);
                _tile_dpbf16ps(3, 5, 7);
                at += SG_TILE_STEP;
                b += SG_TILE_STEP_SIZE;
            }
        }
    }
    _tile_stored(0, c, c_bytes);
    _tile_stored(1, c + half, c_bytes);
    _tile_stored(2, c + half * SG_TILE_BLOCK, c_bytes);
    _tile_stored(3, c + half * SG_TILE_BLOCK + half, c_bytes);
}

const struct sg_tiles sg_tiles_amx = {.name = "amx",
                                      .lack = lack,
                                      .begin = begin,
                                      .end = end,
                                      .block = block,
                                      .judge = &sg_tiles_like_amx};
#endif
