/* src/net/onnx.h - an ONNX file as C structs: what the network runtime needs of it, and no more.
 *
 * The decoder reads the protobuf wire format itself. Tensor data stays where it is in the file's
 * bytes; names and lists are copied into a region. Nesting is bounded by the functions themselves
 * (model, graph, node, attribute, tensor): nothing recurses. */
#ifndef NET_ONNX_H
#define NET_ONNX_H

#include "net/region.h"
#include "sgdist/status.h"

#include <stddef.h>
#include <stdint.h>

enum { ONNX_MAX_AXES = 8 };

/* TensorProto.DataType, the types that numbers come in. */
enum {
    ONNX_FLOAT = 1,
    ONNX_UINT8 = 2,
    ONNX_INT8 = 3,
    ONNX_INT32 = 6,
    ONNX_INT64 = 7,
    ONNX_BOOL = 9,
    ONNX_FLOAT16 = 10,
    ONNX_DOUBLE = 11
};

/* AttributeProto.AttributeType; everything else is ONNX_ATTR_OTHER (graphs, sparse tensors). */
enum onnx_attribute_type {
    ONNX_ATTR_OTHER = 0,
    ONNX_ATTR_FLOAT = 1,
    ONNX_ATTR_INT = 2,
    ONNX_ATTR_STRING = 3,
    ONNX_ATTR_TENSOR = 4,
    ONNX_ATTR_GRAPH = 5,
    ONNX_ATTR_FLOATS = 6,
    ONNX_ATTR_INTS = 7
};

struct onnx_span {
    const uint8_t *data;
    size_t n;
};

struct onnx_tensor {
    const char *name;
    int n_axes;
    int64_t axes[ONNX_MAX_AXES];
    int64_t type;
    int is_external;      /* the numbers are `length` bytes from `offset` of another file */
    const char *location; /* of that file, "" where none is told */
    int64_t offset;
    int64_t length; /* -1: not told */
    int has_raw;
    struct onnx_span raw;
    struct onnx_span body; /* the whole message: the typed fields are read from it again */
};

struct onnx_attribute {
    const char *name;
    enum onnx_attribute_type type;
    float f;
    int64_t i;
    const char *s;
    struct onnx_tensor *tensor;
    int64_t n_list;
    const int64_t *ints;
    const float *floats;
};

struct onnx_node {
    const char *name; /* "" where the file gives none */
    const char *op_type;
    const char *domain;
    int64_t n_in;
    const char **in; /* "": an optional input that is left out */
    int64_t n_out;
    const char **out;
    int64_t n_attributes;
    struct onnx_attribute *attributes;
};

struct onnx_value {
    const char *name;
    int64_t type; /* TensorProto.DataType, 0 if not a tensor */
    int has_shape;
    int n_axes;
    int64_t axes[ONNX_MAX_AXES]; /* -1: symbolic or unknown */
};

struct onnx_graph {
    const char *producer;
    int64_t ir_version;
    int64_t opset; /* of the default domain */
    int64_t n_nodes;
    struct onnx_node *nodes;
    int64_t n_tensors;
    struct onnx_tensor *tensors; /* the initialisers */
    int64_t n_inputs;
    struct onnx_value *inputs;
    int64_t n_outputs;
    struct onnx_value *outputs;
};

/* Decodes the bytes of a ModelProto; everything lives in `region` or in `bytes`. `file` is for
 * messages. Errors: SG_E_MODEL (damaged, cut, no graph, more than ONNX_MAX_AXES axes), SG_E_NOMEM.
 */
sg_status onnx_decode(const void *bytes, size_t n_bytes, const char *file, struct sg_region *region,
                      struct onnx_graph *out);

/* Finds the numbers of the graph's external tensors in `data` instead of a file. Errors:
 * SG_E_MODEL.
 */
sg_status onnx_attach(struct onnx_graph *g, const char *file, struct onnx_span data);

/* Decodes one TensorProto (the test data comes as such files). */
sg_status onnx_decode_tensor(struct onnx_span body, const char *file, struct sg_region *region,
                             struct onnx_tensor *out);

/* Elements of the tensor, or -1 if an axis is negative or the product is beyond 2^40. */
int64_t onnx_tensor_count(const struct onnx_tensor *t);

/* 1 for the floating and 2 for the whole-number types that can be read, 0 for others. */
int onnx_type_class(int64_t type);

/* Bytes of a number of this type in its raw form, 0 for types that cannot be read. */
size_t onnx_type_width(int64_t type);

/* The numbers of the tensor, converted: fp16 and fp64 to float, all integers to int64. The count
 * of values in the file must be `n`. Errors: SG_E_MODEL. */
sg_status onnx_read_floats(const struct onnx_tensor *t, const char *file, int64_t n, float *out);
sg_status onnx_read_ints(const struct onnx_tensor *t, const char *file, int64_t n, int64_t *out);

/* The raw floats where they lie in the file, or NULL if they are of another type, unaligned, or not
 * raw. */
const float *onnx_floats_in_place(const struct onnx_tensor *t, int64_t n);

/* IEEE 754 binary16 to float. */
float onnx_half_to_float(uint16_t h);

#endif
