/* src/net/kernels/blas.c - the only file that knows the BLAS. */
#include "net/kernels.h"

#include "sgdist/status.h"

#include <cblas.h>
#include <ctype.h>
#include <limits.h>
#include <stdio.h>

static int to_int(int64_t n) {
    SG_ASSERT(n >= 0 && n <= INT_MAX);
    return (int)n;
}

void sg_gemm(int trans_a, int trans_b, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
             int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc) {
    if (m == 0 || n == 0) {
        return;
    }
    cblas_sgemm(CblasRowMajor, trans_a ? CblasTrans : CblasNoTrans,
                trans_b ? CblasTrans : CblasNoTrans, to_int(m), to_int(n), to_int(k), alpha, a,
                to_int(lda), b, to_int(ldb), beta, c, to_int(ldc));
}

const char *sg_blas_name(void) {
    static char name[64];
    char text[64];

    (void)snprintf(text, sizeof text, "openblas-%s", openblas_get_corename());
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = (char)tolower((unsigned char)text[i]);
    }
    /* Every call writes the same bytes, so the pointer may be kept. */
    (void)snprintf(name, sizeof name, "%s", text);
    return name;
}

int sg_blas_set_one_thread(void) {
    openblas_set_num_threads(1);
    return openblas_get_parallel() == 0 || openblas_get_num_threads() == 1;
}
