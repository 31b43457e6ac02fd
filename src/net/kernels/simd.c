/* src/net/kernels/simd.c - which instruction set our own kernels use. */
#include "net/kernels/kernels_impl.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static int always(void) {
    return 1;
}

#if defined(__x86_64__)
static int has_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static int has_avx512(void) {
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl");
}
#endif

/* Best first. */
static const struct {
    const struct sg_simd *set;
    int (*supported)(void);
} sets[] = {
#if defined(__x86_64__)
    {&sg_simd_avx512, has_avx512},
    {&sg_simd_avx2, has_avx2},
#endif
    {&sg_simd_portable, always},
};
static const int n_sets = (int)(sizeof sets / sizeof sets[0]);

static _Atomic(const struct sg_simd *) current;

/* The best supported set that is not above the named one; an unknown name limits nothing. */
static const struct sg_simd *choose(const char *limit) {
    int first = 0;

    for (int i = 0; i < n_sets; i++) {
        if (limit != NULL && strcmp(limit, sets[i].set->name) == 0) {
            first = i;
        }
    }
    while (!sets[first].supported()) {
        first++;
    }
    return sets[first].set;
}

const struct sg_simd *sg_simd_current(void) {
    const struct sg_simd *set = atomic_load(&current);

    if (set == NULL) {
        set = choose(getenv("SGDIST_SIMD"));
        atomic_store(&current, set);
    }
    return set;
}

int sg_simd_select(const char *name) {
    const struct sg_simd *set = choose(name);

    if (strcmp(set->name, name) != 0) {
        return 0;
    }
    sg_simd_use(set);
    return 1;
}

void sg_simd_use(const struct sg_simd *set) {
    atomic_store(&current, set);
}

const char *sg_kernels_simd(void) {
    return sg_simd_current()->name;
}
