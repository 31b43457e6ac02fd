/* src/net/external.h - the files of a model: read whole, or the part that a tensor needs. */
#ifndef NET_EXTERNAL_H
#define NET_EXTERNAL_H

#include "net/onnx.h"

/* The whole of a regular file, aligned to 64 bytes, for the caller (sg_free). Errors: SG_E_MODEL,
 * SG_E_NOMEM. */
sg_status sg_file_read(const char *path, unsigned char **bytes, size_t *n);

/* The file that holds the tensor's numbers, opened (*fd, close). Only a regular file below the
 * folder of the model's file will do, whatever links lead there, and it must have the `n` bytes
 * from t->offset. Errors: SG_E_MODEL with the tensor's name. */
sg_status sg_external_open(const char *model, const struct onnx_tensor *t, int64_t n, int *fd);
/* Its numbers' bytes, out[n]. */
sg_status sg_external_read(const char *model, const struct onnx_tensor *t, int fd, void *out,
                           int64_t n);

#endif
