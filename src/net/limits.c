/* src/net/limits.c - what one core can do at most: the measures that layers are held against. */
#include "net/kernels.h"

#include "sgdist/memory.h"
#include "sgdist/rng.h"

#include <string.h>

/* Matrices large enough for the BLAS to reach its best speed; arrays beyond all caches of a core.
 */
enum { SIDE = 1536, COPY_BYTES = 128 << 20 };

static void multiply(float *const *x) {
    sg_gemm(0, 0, SIDE, SIDE, SIDE, 1.0f, x[0], SIDE, x[1], SIDE, 0.0f, x[2], SIDE);
}

static void copy(float *const *x) {
    memcpy(x[1], x[0], COPY_BYTES);
}

static double least_time(void (*run)(float *const *x), float *const *x, double seconds) {
    double spent = 0;
    double least = -1;

    run(x);
    while (least < 0 || spent + 0.5 * least < seconds) {
        const double begun = sg_processor_seconds();
        double taken;

        run(x);
        taken = sg_processor_seconds() - begun;
        spent += taken;
        least = least < 0 || taken < least ? taken : least;
    }
    return least;
}

sg_status sg_measure_limits(double seconds, struct sg_limits *out) {
    sg_status status = SG_OK;
    const struct sg_rng_address at = {.stream = SG_STREAM_INPUT};
    float *x[3] = {sg_malloc_aligned(1, COPY_BYTES), sg_malloc_aligned(1, COPY_BYTES),
                   sg_malloc_aligned((size_t)SIDE * SIDE, sizeof(float))};

    SG_CHECK(x[0] && x[1] && x[2], SG_E_NOMEM, "no memory to measure what this machine can do");
    memset(x[0], 0, COPY_BYTES);
    sg_rng_normals(&at, (int64_t)SIDE * SIDE, x[0]);
    memcpy(x[1], x[0], COPY_BYTES);
    out->gemm_flops = 2.0 * SIDE * SIDE * SIDE / least_time(multiply, x, seconds);
    out->copy_bytes = 2.0 * COPY_BYTES / least_time(copy, x, seconds);
done:
    for (int i = 0; i < 3; i++) {
        sg_free(x[i]);
    }
    return status;
}
