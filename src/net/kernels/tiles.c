/* src/net/kernels/tiles.c - which blocks of bfloat16 products this processor makes, and whether it
 * makes them right. */
#include "net/kernels/tiles.h"

#include "sgdist/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Best first. */
static const struct sg_tiles *const sets[] = {
#if defined(__x86_64__)
    &sg_tiles_amx, &sg_tiles_avx512,
#endif
    NULL};

static struct {
    int is_made;
    const struct sg_tiles *set;
    char name[32];
    char lack[320];
} choice;

/* ---- the trial: the set and its judge on the same numbers ---- */

enum {
    ROW = 2 * SG_TILE_STEP + 8, /* numbers from row to row, more than are used */
    N_STEPS = 4,
    N_A = (SG_TILE_BLOCK + 1) * ROW,
    N_B = N_STEPS * SG_TILE_STEP_SIZE,
    N_C = SG_TILE_BLOCK * SG_TILE_BLOCK
};
static const struct sg_tile_steps steps = {
    .n_y = 2, .y_step = ROW, .n_x = 1, .n_s = 2, .row_step = ROW};

/* Small whole numbers, whose sums are exact whatever their order; or numbers of all bits with
 * exponents from far below 2^-126 (of products) up to 1. */
static void draw(int is_whole, uint32_t *state, uint16_t *to, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        *state = *state * 1664525u + 1013904223u;
        const uint32_t bits = *state >> 8;
        if (is_whole) {
            const float v = (float)(bits % 17) - 8.0f;
            sg_to_bfloat16(&v, &to[i], 1);
        } else {
            const uint32_t exponent = bits % 5 == 0 ? 50 + bits / 8 % 20 : 119 + bits / 8 % 8;
            to[i] = (uint16_t)((bits & 0x807f) | exponent << 7);
        }
    }
}

/* All terms are below 1; their number bounds the error of any order of adding. */
static int is_near(const float *got, const float *want) {
    const double n_terms = N_STEPS * SG_TILE_STEP;

    for (int i = 0; i < N_C; i++) {
        if (!(fabs((double)got[i] - (double)want[i]) <= 4 * n_terms * n_terms * 0x1p-24)) {
            return 0;
        }
    }
    return 1;
}

/* 1 if the products are right; `name` says then what their rounding is. */
static int try_out(const struct sg_tiles *set, char *name, size_t cap) {
    static uint16_t a[N_A];
    static uint16_t b[N_B];
    static float got[N_C];
    static float want[N_C];
    uint32_t state = 1;

    (void)snprintf(name, cap, "%s", set->name);
    for (int is_whole = 1; set->judge != NULL && is_whole >= 0; is_whole--) {
        draw(is_whole, &state, a, N_A);
        draw(is_whole, &state, b, N_B);
        set->begin();
        set->block(&steps, a, b, got);
        set->end();
        set->judge->block(&steps, a, b, want);
        if (memcmp(got, want, sizeof got) != 0) {
            if (is_whole || !is_near(got, want)) {
                return 0;
            }
            (void)snprintf(name, cap, "%s-%04x", set->name,
                           (unsigned)(sg_hash64(got, sizeof got) & 0xffff));
        }
    }
    return 1;
}

/* ---- the choice ---- */

static int take(const struct sg_tiles *set) {
    char name[sizeof choice.name];
    const char *lack = set->lack();
    const size_t used = strlen(choice.lack);

    if (lack == NULL && !try_out(set, name, sizeof name)) {
        lack = "its bfloat16 products are not those of the manual";
    }
    if (lack != NULL) {
        (void)snprintf(choice.lack + used, sizeof choice.lack - used, "%s%s", used > 0 ? "; " : "",
                       lack);
        return 0;
    }
    choice.set = set;
    (void)snprintf(choice.name, sizeof choice.name, "%s", name);
    return 1;
}

/* SGDIST_TILES=avx512 leaves the better one alone, for clusters where not all have it. */
static void choose(void) {
    const char *limit = getenv("SGDIST_TILES");
    int i = 0;

    choice.is_made = 1;
    (void)snprintf(choice.name, sizeof choice.name, "none");
    while (sets[i] != NULL && limit != NULL && strcmp(limit, "avx512") == 0 &&
           strcmp(sets[i]->name, limit) != 0) {
        i++;
    }
    while (sets[i] != NULL && !take(sets[i])) {
        i++;
    }
}

const struct sg_tiles *sg_tiles_current(void) {
    if (!choice.is_made) {
        choose();
    }
    return choice.set;
}

const char *sg_tiles_name(void) {
    (void)sg_tiles_current();
    return choice.name;
}

const char *sg_tiles_lack(void) {
    (void)sg_tiles_current();
    return choice.lack[0] != '\0' ? choice.lack : "this kind of processor has none";
}

int sg_tiles_use(const struct sg_tiles *set) {
    choice.is_made = 1;
    choice.set = NULL;
    choice.lack[0] = '\0';
    (void)snprintf(choice.name, sizeof choice.name, "none");
    return set != NULL && take(set);
}
