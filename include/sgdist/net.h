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

#include "sgdist/counts.h"
#include "sgdist/shape.h"
#include "sgdist/status.h"
#include "sgdist/weight_noise.h"

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

/* The numbers of an input that is held fixed: one for all elements (n_axes is 0), or an array of
 * the input's shape, with or without its batch axis of length 1. */
struct sg_fixed_input {
    const char *name;
    int n_axes;
    int64_t axes[SG_MAX_AXES + 1];
    const float *values;
};

/* What convolutions and products with constant matrices round their inputs and weights to; they
 * add up in float32, and everything else is float32. Layers with fewer than 16 channels on either
 * side keep float32. */
enum sg_precision { SG_PRECISION_FLOAT32, SG_PRECISION_BFLOAT16 };

/* SG_E_JOB if this processor does not have it, with what is missing. */
sg_status sg_precision_check(enum sg_precision precision);

/* What a model is asked for. All zeros: its first output, explained by its only input. */
struct sg_explain {
    int n_tensors; /* whose elements are explained; 0: one, "auto" */
    const char *const *tensors;
    int n_layers; /* where activations and gradients are read beside the input; SG_LAYER_AUTO finds
                   * one, whose name is then in the signature */
    const char *const *layers;
    const char *input; /* what changes from sample to sample; NULL or "auto": the only input that is
                        * not held fixed */
    const struct sg_shape *shape; /* of that input, with or without its batch axis, for lengths that
                                   * the file leaves open; NULL: it leaves none open */
    int n_fixed;
    const struct sg_fixed_input *fixed;
    const struct sg_weight_draw *draw; /* noise on the parameters; NULL: they are as in the file */
    enum sg_precision precision;       /* one that sg_precision_check allows */
    int is_filled_elsewhere; /* 1: another rank will say `fill`, so the noise of large tensors can
                              * be left out here */
};

/* Builds the model from the bytes of an image or of an ONNX file, which are not needed afterwards.
 * `name` is the file's name, for messages. `tensor`: the one to explain, see sg_model_open. */
sg_status sg_model_create(const void *bytes, size_t n_bytes, const char *name, const char *tensor,
                          struct sg_model **out);
void sg_model_destroy(struct sg_model *m);

/* The same in two steps, for ranks that share the weights, and for more than one tensor. Tensors go
 * by their names in the graph; "auto" is the graph's first output, before a Softmax or LogSoftmax
 * at its end. Nodes that no explained tensor needs are dropped; nodes around a layer are not fused,
 * so that its numbers exist. open does all but the work on weights; `bytes` must stay until place,
 * `what` need not. The weights take weight_bytes of memory, aligned to 64; place puts them there
 * (NULL: memory of the model's own) and the model is finished. Of the ranks that give the same
 * memory one has to say `fill`, and the others must wait for it before they run a net. Errors:
 * SG_E_MODEL with file, node name and operator, or the tensor and the nearest name, what is wrong,
 * what is allowed; SG_E_NOMEM. */
sg_status sg_model_open(const void *bytes, size_t n_bytes, const char *name,
                        const struct sg_explain *what, struct sg_model **out);
int64_t sg_model_weight_bytes(const struct sg_model *m);
sg_status sg_model_place(struct sg_model *m, void *memory, int fill);

/* The model as it is seen from outside; lives as long as the model. */
const struct sg_signature *sg_model_signature(const struct sg_model *m);

/* The parameters of the file that the model uses, in no order that means anything: tensors of
 * floats that are stored as initialisers (in a file without such ones, in Constant nodes), with one
 * axis or more, but for those that no training changes: the mean and variance of a batch norm, and
 * settings like the scales of a Resize or the bounds of a Clip. NULL past the last one. */
struct sg_parameter {
    const char *name;
    int64_t n; /* numbers */
};
const struct sg_parameter *sg_model_parameter(const struct sg_model *m, int64_t i);

const struct sg_shape *sg_model_input(const struct sg_model *m); /* without the batch axis */
int64_t
sg_model_n_outputs(const struct sg_model *m); /* K: elements of all explained tensors a sample */
const char *sg_model_tensor(const struct sg_model *m); /* name of the first explained tensor */
int64_t sg_model_n_parameters(const struct sg_model *m);
int64_t sg_model_bytes(
    const struct sg_model *m); /* that it holds; without weights that place got memory for */
int64_t sg_model_n_multiply_adds(const struct sg_model *m); /* of one sample's forward pass */
int64_t sg_model_n_relus(
    const struct sg_model *m); /* operators that a rule other than the gradient touches */

/* Prints for people what an ONNX file holds, whether or not a model can be made of it: producer,
 * operator set, weights, nodes, inputs, outputs, and every node that cannot be run, by operator and
 * reason. Errors: SG_E_MODEL (no such file, damaged), SG_E_NOMEM. */
sg_status sg_model_survey(const char *path, FILE *out);

/* Prints the model for people: what is explained, parameters, multiply-adds, memory for batches of
 * `block` samples, layers by operator; with `layers` not 0 each of them with its shape and tensor.
 */
void sg_model_print(const struct sg_model *m, int64_t block, int layers, FILE *out);

/* A net for batches of exactly `batch` samples. sg_net_bytes_for tells the bytes it will take,
 * without making it; INT64_MAX where there is no memory to plan it. */
sg_status sg_net_create(const struct sg_model *m, int64_t batch, struct sg_net **out);
void sg_net_destroy(struct sg_net *net);
int64_t sg_net_bytes_for(const struct sg_model *m, int64_t batch);

/* The same in memory of the caller's, aligned to 64: sg_net_arena_bytes of those that
 * sg_net_bytes_for tells (INT64_MAX as there). Nets may have it in common as long as what one of
 * them has read forward is not asked of it backward after another one has run. */
int64_t sg_net_arena_bytes(const struct sg_model *m, int64_t batch);
sg_status sg_net_create_in(const struct sg_model *m, int64_t batch, void *arena,
                           struct sg_net **out);

/* From now on the net is one of `m`, which has the same graph with other weights (SG_ASSERT: as
 * many nodes); sg_model_is_alike tells if it has. Cheap. */
void sg_net_bind(struct sg_net *net, const struct sg_model *m);
int sg_model_is_alike(const struct sg_model *a, const struct sg_model *b);

/* Called between the layers of every pass from now on, forward and backward; it must not use the
 * net. NULL: nothing is. */
typedef void sg_net_pause(void *context);
void sg_net_set_pause(struct sg_net *net, sg_net_pause *pause, void *context);

/* y[batch][K] = the explained tensors at x[batch][D], one after the other in a sample; keeps what
 * backward needs. Where places of an image look alike, like those of a white background, the
 * activations that a maximum chooses among are equal bit by bit, and it takes the first, as with
 * the textbook's sums (docs/accuracy.md has the exceptions). `cancel` (may be NULL) is looked at
 * between layers. Errors: only SG_E_INTERRUPTED, when *cancel is not 0; the net can be used again.
 */
sg_status sg_net_forward(struct sg_net *net, const float *x, float *y,
                         const volatile sig_atomic_t *cancel);

/* What is known of a forward pass, and wanted of it beside y. */
struct sg_pass {
    int is_noisy;   /* no two places of an input look alike, since each has noise of its own: also
                     * convolutions before a maximum may then run by Winograd's algorithm, which
                     * rounds differently from place to place */
    int is_counted; /* sg_net_count_gates comes next */
    float *const *layers; /* layers[l][batch][size] = layer l of the signature where it is not NULL;
                           * NULL: none */
};
sg_status sg_net_forward_as(struct sg_net *net, const struct sg_pass *how, const float *x, float *y,
                            const volatile sig_atomic_t *cancel);

/* dx[batch][D] = sum_k dy[batch][k] dy_k/dx at the x of the last forward; may be called again with
 * another dy (several targets of one forward pass). Same errors. */
sg_status sg_net_backward(struct sg_net *net, const float *dy, float *dx,
                          const volatile sig_atomic_t *cancel);

/* How a backward pass goes through the operator Relu; everything else has its derivative under
 * every rule. For dy behind the Relu and x before it:
 *   gradient         dy where x > 0: the derivative
 *   guided_backprop  dy where x > 0 and dy > 0 (Springenberg et al. 2015, arXiv:1412.6806)
 *   deconvnet        dy where dy > 0 (Zeiler and Fergus 2014, arXiv:1311.2901) */
enum sg_rule { SG_RULE_GRADIENT, SG_RULE_GUIDED_BACKPROP, SG_RULE_DECONVNET };

/* The same under a rule, and dlayers[l][batch][size] = the gradient with respect to layer l of the
 * signature, all its consumers together, where dlayers (may be NULL) holds a place for it. dx may
 * be NULL: then the pass ends at the earliest layer that is asked for. */
sg_status sg_net_backward_at(struct sg_net *net, enum sg_rule rule, const float *dy, float *dx,
                             float *const *dlayers, const volatile sig_atomic_t *cancel);

/* After a forward pass with is_counted: adds the gates of samples first, first + 1, .. first + n -
 * 1 of an item, which stand first in the batch, to the counts; their shape is that of the
 * signature's gates. A Relu is open where its input is > 0, a Clip between its bounds; of equal
 * maxima the first of the window wins, padding never does. skip[n]: 1 for samples that are only
 * counted as skipped. Changes nothing that backward reads. */
void sg_net_count_gates(struct sg_net *net, int64_t first, int64_t n, const unsigned char *skip,
                        struct sg_counts *counts);

/* As sg_net_backward_at with the mean of every gate in place of its derivative, the same for all
 * samples of the batch: the expected derivative of one item, for as many dy. Everything else has
 * its derivative at the x of the last forward pass, which has to be that item in all samples; a net
 * whose nonlinearities are all gates needs none. work[gates.largest]. */
sg_status sg_net_backward_gates(struct sg_net *net, const struct sg_counts_view *gates, float *work,
                                const float *dy, float *dx, float *const *dlayers,
                                const volatile sig_atomic_t *cancel);

/* ---- where the time goes: `sgdist bench` ---- */

/* A node of a net and what it does in one pass of the whole batch. */
struct sg_node_view {
    char layer[64];     /* "Conv+affine+Relu": the operator, with what was taken into it */
    const char *tensor; /* that it makes */
    const struct sg_shape *shape; /* of the tensor */
    int goes_along;   /* it goes in the pass of the node before, which has its time and bytes */
    char forward[32]; /* algorithm of a convolution; "" of others */
    char backward[32];
    int64_t batch;          /* samples that it gets at a time */
    int64_t multiply_adds;  /* of the whole batch, in each direction */
    int64_t forward_bytes;  /* to be read and written, each number once */
    int64_t backward_bytes; /* ... */
};
int64_t sg_model_n_nodes(const struct sg_model *m);
void sg_net_view_node(const struct sg_net *net, int64_t i, struct sg_node_view *out);

/* How many convolutions run by which algorithm: "forward 30 direct, 13 winograd 4x4 (without noise
 * 43 direct); backward ...", a function of the model and the kernel family; what stands in brackets
 * is the pass without is_noisy, where that differs. "none" without convolutions.
 * Algorithms of the phases of a strided one are joined by +. */
struct sg_text;
void sg_model_algorithms(const struct sg_model *m, struct sg_text *out);

/* From now on every pass adds the processor seconds of node i to forward[i] and backward[i]; NULL:
 * no longer. */
void sg_net_take_times(struct sg_net *net, double *forward, double *backward);

/* Algorithms that can do a node's part of a convolution, and their seconds for as many samples as
 * it gets at a time, on random numbers. */
struct sg_trial {
    const char *algorithm;
    int part; /* -1: forward, 0 and up: the parts of backward, one for each phase of the stride */
    int is_chosen; /* by the table in the source, for this shape */
    double seconds;
};

/* Writes up to `cap` trials of node i and returns their number: 0 if it is no convolution. Each is
 * measured for about `seconds`; those that memory is too small for are left out. Of a transposed
 * convolution the parts are those of the one it is the adjoint of. */
int sg_net_try(const struct sg_net *net, int64_t i, double seconds, struct sg_trial *out, int cap);

/* What one core of this machine can do at most, measured: operations a second of the BLAS on large
 * matrices, bytes a second of memory read and written by copies of arrays beyond all caches.
 * Errors: SG_E_NOMEM. */
struct sg_limits {
    double gemm_flops;
    double copy_bytes;
};
sg_status sg_measure_limits(double seconds, struct sg_limits *out);

/* Seconds that the processor has worked for this thread: other programs on the core do not count.
 */
double sg_processor_seconds(void);

/* Name of the kernels in use, "openblas-haswell+avx2": equal names give equal bits. Static string.
 */
const char *sg_kernel_family(void);

/* The same with what it takes for the precision, "openblas-sapphirerapids+avx512+bfloat16-amx";
 * "-none" where sg_precision_check refuses. */
const char *sg_kernel_family_for(enum sg_precision precision);

/* 1 if the BLAS keeps to one thread; otherwise every rank would start threads on all cores. Sets
 * one thread. */
int sg_blas_is_single_threaded(void);

/* The table of operators, for `sgdist list ops`: name and opset range of entry i, or NULL past the
 * end. */
const char *sg_op_name(int i, int *opset_min, int *opset_max);

#endif
