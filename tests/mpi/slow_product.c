/* tests/mpi/slow_product.c - products of matrices that take a while: a library to be loaded before
 * the program, so that its blocks are mostly sleep. Ranks then work side by side on however few
 * cores there are, and what they wait for each other can be measured on a busy machine, too.
 *
 *     SLOW_PRODUCT_MS=10 LD_PRELOAD=./libslow_product.so sgdist JOB.yaml
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

typedef void product(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha,
                     const float *a, int lda, const float *b, int ldb, float beta, float *c,
                     int ldc);

product cblas_sgemm;

void cblas_sgemm(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha,
                 const float *a, int lda, const float *b, int ldb, float beta, float *c, int ldc) {
    const char *const ms = getenv("SLOW_PRODUCT_MS");
    const struct timespec pause = {.tv_nsec = 1000000L * (ms != NULL ? atol(ms) : 0)};
    void *const address = dlsym(RTLD_NEXT, "cblas_sgemm");
    product *const real = *(product *const *)&address;

    (void)nanosleep(&pause, NULL);
    real(order, transpose_a, transpose_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}
