/* include/sgdist/net.h - the network runtime: ONNX in, outputs and input gradients out.
 *
 * A model is the graph: decoded, checked, shapes inferred, constants folded, batch norm folded,
 * weights prepared; it never changes and serves any number of nets. A net is a model made ready for
 * batches of one fixed size: memory is planned and taken once, nothing is allocated later. The bits
 * of a batch's results depend on model, batch size and kernel family alone. One thread.
 *
 * Outside arrays are in ONNX order, one sample after the other: x[batch][C][H][W]; inside,
 * everything is channels-last. */
#ifndef SGDIST_NET_H
#define SGDIST_NET_H

#include "sgdist/shape.h"
#include "sgdist/status.h"

#include <signal.h>
#include <stdint.h>
#include <stdio.h>

struct sg_model;
struct sg_net;

/* A model's file as one block of bytes, together with the numbers that its tensors keep in other
 * files below its folder; large weights are float32 and aligned, so that they are used in place.
 * sha256: of the file; with other files, of the hashes of it and of each tensor from them, in the
 * order of the file. */
struct sg_model_image {
    void *bytes;
    size_t n;
    char sha256[65];
    size_t n_reading; /* bytes taken at most while it was read, the block's own among them */
};

/* Errors: SG_E_MODEL (no such file, damaged, a tensor's data that cannot be had, with its name),
 * SG_E_NOMEM. */
sg_status sg_model_image_read(const char *path, struct sg_model_image *out);
void sg_model_image_free(struct sg_model_image *image); /* a zeroed one is allowed */

/* Builds the model from the bytes of an image or of an ONNX file, which are not needed afterwards.
 * `name` is the file's name, for messages. `tensor`: the tensor to explain, by its name in the
 * graph; NULL or "auto": the graph's first output, before a Softmax or LogSoftmax at its end. Nodes
 * that the tensor does not need are dropped. Errors: SG_E_MODEL with file, node name and operator,
 * what is wrong, what is allowed; SG_E_NOMEM. */
sg_status sg_model_create(const void *bytes, size_t n_bytes, const char *name, const char *tensor,
                          struct sg_model **out);
void sg_model_destroy(struct sg_model *m);

/* The same in two steps, for ranks that share the weights. open does all but the work on weights;
 * `bytes` must stay until place. The weights take weight_bytes of memory, aligned to 64; place puts
 * them there (NULL: memory of the model's own) and the model is finished. Of the ranks that give
 * the same memory one has to say `fill`, and the others must wait for it before they run a net. */
sg_status sg_model_open(const void *bytes, size_t n_bytes, const char *name, const char *tensor,
                        struct sg_model **out);
int64_t sg_model_weight_bytes(const struct sg_model *m);
sg_status sg_model_place(struct sg_model *m, void *memory, int fill);

const struct sg_shape *sg_model_input(const struct sg_model *m); /* without the batch axis */
int64_t
sg_model_n_outputs(const struct sg_model *m); /* K: elements of the explained tensor a sample */
const char *sg_model_tensor(const struct sg_model *m); /* name of the explained tensor */
int64_t sg_model_n_parameters(const struct sg_model *m);
int64_t sg_model_bytes(
    const struct sg_model *m); /* that it holds; without weights that place got memory for */
int64_t sg_model_n_multiply_adds(const struct sg_model *m); /* of one sample's forward pass */

/* Prints the model for people: inputs, outputs, layers with shapes, parameters, multiply-adds,
 * opset, remarks. */
void sg_model_print(const struct sg_model *m, FILE *out);

/* A net for batches of exactly `batch` samples. sg_net_bytes_for tells the bytes it will take,
 * without making it. */
sg_status sg_net_create(const struct sg_model *m, int64_t batch, struct sg_net **out);
void sg_net_destroy(struct sg_net *net);
int64_t sg_net_bytes_for(const struct sg_model *m, int64_t batch);

/* y[batch][K] = the explained tensor at x[batch][D]; keeps what backward needs. `cancel` (may be
 * NULL) is looked at between layers. Errors: only SG_E_INTERRUPTED, when *cancel is not 0; the net
 * can be used again. */
sg_status sg_net_forward(struct sg_net *net, const float *x, float *y,
                         const volatile sig_atomic_t *cancel);

/* dx[batch][D] = sum_k dy[batch][k] dy_k/dx at the x of the last forward; may be called again with
 * another dy (several targets of one forward pass). Same errors. */
sg_status sg_net_backward(struct sg_net *net, const float *dy, float *dx,
                          const volatile sig_atomic_t *cancel);

/* How a backward pass goes through the nonlinearities. */
enum sg_rule { SG_RULE_GRADIENT /* the derivative */ };

/* The same under a rule. */
sg_status sg_net_backward_by(struct sg_net *net, enum sg_rule rule, const float *dy, float *dx,
                             const volatile sig_atomic_t *cancel);

/* Name of the kernels in use, "openblas-haswell+avx2": equal names give equal bits. Static string.
 */
const char *sg_kernel_family(void);

/* 1 if the BLAS keeps to one thread; otherwise every rank would start threads on all cores. Sets
 * one thread. */
int sg_blas_is_single_threaded(void);

/* The table of operators, for `sgdist list ops`: name and opset range of entry i, or NULL past the
 * end. */
const char *sg_op_name(int i, int *opset_min, int *opset_max);

#endif
