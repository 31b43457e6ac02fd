/* src/net/family.c - the name under which results are reproducible. */
#include "net/kernels.h"
#include "sgdist/net.h"

#include <stdio.h>
#include <string.h>

const char *sg_kernel_family(void) {
    static char name[64];

    (void)snprintf(name, sizeof name, "%s+%s", sg_blas_name(), sg_kernels_simd());
    return name;
}

const char *sg_kernel_family_for(enum sg_precision precision) {
    static char name[128];

    if (precision == SG_PRECISION_FLOAT32) {
        return sg_kernel_family();
    }
    (void)snprintf(name, sizeof name, "%s+bfloat16-%s", sg_kernel_family(), sg_tiles_name());
    return name;
}

sg_status sg_precision_check(enum sg_precision precision) {
    sg_status status = SG_OK;

    SG_CHECK(precision == SG_PRECISION_FLOAT32 || strcmp(sg_tiles_name(), "none") != 0, SG_E_JOB,
             "precision: bfloat16 cannot be computed here: %s. Set precision: float32, or take "
             "processors that have one of the two (Intel since Sapphire Rapids, AMD since Zen 4)",
             sg_tiles_lack());
done:
    return status;
}

int sg_blas_is_single_threaded(void) {
    return sg_blas_set_one_thread();
}
