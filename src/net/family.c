/* src/net/family.c - the name under which results are reproducible. */
#include "net/kernels.h"
#include "sgdist/net.h"

#include <stdio.h>

const char *sg_kernel_family(void) {
    static char name[64];

    (void)snprintf(name, sizeof name, "%s+%s", sg_blas_name(), sg_kernels_simd());
    return name;
}

int sg_blas_is_single_threaded(void) {
    return sg_blas_set_one_thread();
}
