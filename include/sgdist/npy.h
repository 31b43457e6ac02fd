/* include/sgdist/npy.h - NumPy's .npy files: arrays of float32 or float64 in C order. */
#ifndef SGDIST_NPY_H
#define SGDIST_NPY_H

#include "sgdist/status.h"

#include <stdint.h>

enum { SG_NPY_MAX_AXES = 8 };

struct sg_npy {
    int n_axes;
    int64_t axes[SG_NPY_MAX_AXES];
    int64_t n;   /* elements */
    float *data; /* float64 files are rounded to float */
};

/* Reads a file of format version 1 to 3. The caller frees it with sg_npy_free. Errors: SG_E_ARG (no
 * such file), SG_E_INPUT with the path and the reason (no .npy file, cut off, another type or
 * order), SG_E_NOMEM. */
sg_status sg_npy_read(const char *path, struct sg_npy *out);
void sg_npy_free(struct sg_npy *a);

/* Writes data[axes[0]]...[axes[n_axes - 1]] as float32. Errors: SG_E_IO. */
sg_status sg_npy_write(const char *path, int n_axes, const int64_t *axes, const float *data);

#endif
