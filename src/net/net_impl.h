/* src/net/net_impl.h - what the files of this room share: values, nodes, operators, models.
 *
 * A model is a list of nodes in the order of evaluation. Every node makes one value from others.
 * A value is a constant (weights, shapes; known at load) or dynamic (one per sample, on the way
 * from the input to the explained tensor). Views (a reshape that moves no data) are values that
 * share the storage of their root; no node runs for them.
 *
 * Every sample is run as a batch of its own: the batch axis of the file has the length 1 in all
 * shapes, so shape arithmetic is on plain numbers and the batch may stand anywhere in them. The
 * samples that a net runs at a time are an axis outside of all these. What is explained is thus the
 * file's model on a batch of one sample, exactly: a file with a symbolic batch or one of 1 needs no
 * proof. Of a file with another batch see sg_check_batch_axis.
 *
 * Layout of a dynamic value in memory, `batch` samples one after the other: with the ONNX axes
 * 1, C, H, W channels-last [H][W][C]; with 1 and any other number of axes the ONNX order. The
 * shape of these leaves the 1 away. A `whole` value has a shape of all its ONNX axes and lies in
 * their order, four axes or not: only operators with SG_OP_TAKES_WHOLE see it; for all others it is
 * brought to the first form, or refused if its first axis is not of length 1. A flattened spatial
 * value may stay channels-last: then `hwc_channels` tells its C, and only operators with
 * SG_OP_TAKES_HWC see it; for all others it is transposed first. */
#ifndef NET_IMPL_H
#define NET_IMPL_H

#include "net/onnx.h"
#include "sgdist/net.h"

/* Stands for the batch axis in texts. */
#define SG_BATCH INT64_MIN

enum { SG_CONSTANT_AXES = ONNX_MAX_AXES };

/* Operator sets that are read. */
enum { SG_OPSET_FIRST = 7, SG_OPSET_LAST = 17 };

struct sg_constant {
    int n_axes;
    int64_t axes[SG_CONSTANT_AXES]; /* with the batch axis, if there is one: ONNX order */
    int64_t n;
    const float *floats; /* one of the two is set, even for n = 0 */
    const int64_t *ints;
};

enum sg_value_kind { SG_VALUE_UNKNOWN, SG_VALUE_CONSTANT, SG_VALUE_DYNAMIC };

struct sg_value {
    const char *name;
    enum sg_value_kind kind;
    struct sg_constant constant;
    const struct onnx_tensor *tensor; /* an initialiser that was not read yet */
    struct sg_shape shape;            /* of a dynamic value, without the batch axis */
    int whole;                        /* the shape has all axes, memory is in their order */
    int64_t size;                     /* elements a sample */
    int64_t hwc_channels;
    struct sg_value *root;    /* whose storage it uses; itself unless it is a view */
    struct sg_value *of;      /* a view of this; NULL for a root */
    struct sg_node *producer; /* of a root; NULL for the input */
    const struct onnx_node *source;
    int index;      /* of a root in the model's list of stored values */
    int of_shape;   /* a constant that was worked out from the shape of a dynamic value */
    int visited;    /* by the search for needed nodes */
    int counted;    /* among the parameters */
    int is_setting; /* an initialiser that is no parameter, see perturb.c */
};

enum sg_op_flags {
    SG_OP_KEEPS_INPUT = 1,  /* backward reads the inputs */
    SG_OP_KEEPS_OUTPUT = 2, /* backward reads the output */
    SG_OP_INPLACE = 4,      /* y may be x[addend], which is x[0] where there is none */
    SG_OP_GRAD_INPLACE = 8, /* dx[addend] may be dy, if dy is not needed once it is written */
    SG_OP_FUSES_RELU =
        16, /* a Relu after it is done by the runtime on its output; or a Clip to 0..6 */
    SG_OP_RELU_INSIDE = 32, /* ... and forward does it itself, where node->relu is set */
    SG_OP_TAKES_HWC = 64,   /* input 0 may be a flattened value in channels-last order */
    SG_OP_TRANSPARENT =
        128,             /* leaves values as they are: skipped when looking for a final softmax */
    SG_OP_SOFTMAX = 256, /* "auto" explains what goes into it */
    SG_OP_RELU = 512,    /* is max(x, 0): disappears into a node with SG_OP_FUSES_RELU */
    SG_OP_TAKES_WHOLE = 1024, /* inputs may be whole values */
    SG_OP_OUTPUTS = 2048,     /* has several outputs, each made by a node of its own */
    SG_OP_SATURATES = 4096,   /* squeezes any number into a probability */
    SG_OP_ELEMENTWISE = 8192, /* element i of y is made of elements i of the inputs' memory */
    SG_OP_LINEAR = 16384,  /* the derivative does not depend on the inputs, though they are kept */
    SG_OP_PRODUCT = 32768, /* ... if only one of them is no constant */
    SG_OP_GATE = 65536,    /* elementwise, the derivative is 0 or 1: the bits that it keeps */
    SG_OP_RELU_6 = 131072, /* is min(max(x, 0), 6): as SG_OP_RELU, but no rule is for it */
    SG_OP_SUM = 262144,  /* the sum of two values, element by element in memory: disappears into */
    SG_OP_ADDS = 524288, /* ... a node that can add a value to what it computes */
    SG_OP_BITS_INSIDE = 1048576, /* forward keeps the bits of what follows it itself, and backward
                                  * cuts dx[0] by those of call->cut_mask */
    SG_OP_CHOOSES = 2097152 /* takes the largest or smallest of elements, of equal ones the first */
};

/* Factors of the output's channels that a node has taken into its weights: first come, first done.
 */
struct sg_scale {
    struct sg_scale *next;
    int64_t n; /* one for each channel, or 1 */
    const float *scale;
};

struct sg_weight;

struct sg_name {
    struct sg_name *next;
    const char *text;
};

struct sg_node {
    const struct sg_op *op;
    const struct onnx_node *source;
    struct sg_model *model;
    const char *label; /* "node 'conv1' (Conv)": for messages */
    int n_in;
    struct sg_value **in; /* NULL: left out */
    struct sg_value *out;
    unsigned flags;         /* the operator's, which infer may change */
    int relu;               /* what follows it: enum sg_relu_kind */
    int has_affine;         /* a batch norm or the like was taken into its weights */
    int addend;             /* the input that is added to what it computes; 0: none */
    int feeds_choice;       /* what it makes reaches a node with SG_OP_CHOOSES */
    int is_pooled;          /* the next node pools what it makes, and nobody else reads it: both can
                             * go in one pass, see struct sg_pooled_pass */
    int is_cut;             /* only the rows that are read are left of what it makes */
    struct sg_name *inside; /* names of the tensors that fusing left inside of it */
    const char *runs_as;    /* the operator it has become, for people; NULL: the file's */
    int removed;
    void *own;                 /* the operator's parameters */
    struct sg_weight *weights; /* floats that `own` points to and that wait for their place */
    struct sg_scale *scales;   /* for fill */
    int64_t multiply_adds;
    int64_t n_parameters;
    int64_t weight_bytes; /* of the floats above, once all fusing is done */
};

/* One node of a net: the node with its memory. Gradients are written from the last input to the
 * first; dx[i] is NULL for constants and accumulate[i] tells that dx[i] holds a part already. */
struct sg_call {
    const struct sg_node *node;
    int64_t batch;
    const float **x;
    float *y;
    float *dy;
    float **dx;
    int *accumulate;
    enum sg_rule rule;        /* of this backward pass */
    int keeps_ties;           /* of this forward pass: see struct sg_pass */
    void *kept;               /* from forward to backward */
    float *work;              /* during one call */
    uint32_t *relu_mask;      /* of a node with relu */
    const uint32_t *cut_mask; /* of the Relu in the node that makes x[0]: backward cuts dx[0] by it;
                               * or NULL */
};

struct sg_need {
    int64_t kept_bytes;
    int64_t work_bytes;
};

struct sg_conv;

/* y = scale[c] x + shift[c], c being the last axis in memory; NULL: 1, or 0. */
struct sg_affine {
    int64_t n;
    const float *scale;
    const float *shift;
};

/* A maximum: which element of its window an output is. A counter for each element of each window,
 * in an order of the operator's own. */
struct sg_choice {
    int64_t (*n_counters)(const struct sg_node *node);
    /* at[n] = the counters that outputs first, first + 1, .. of sample j of the batch put up; -1:
     * none. */
    void (*counted)(const struct sg_call *call, int64_t j, int64_t first, int64_t n, int32_t *at);
    /* dx of dy by the shares of the elements in their windows, the same for all samples. */
    void (*backward)(const struct sg_call *call, const float *shares);
};

/* A node with the max pooling behind it (node->is_pooled), without what lies between. */
struct sg_pooled_pass {
    /* Whether the node, with all that was fused into it, can go so; backward it always does then.
     */
    int (*applies)(const struct sg_node *node);
    void (*forward)(const struct sg_call *call, const struct sg_call *pool);
    /* pool->dy has been cut by the rule of the Relu in the node; `cut`: what the Relu closes is
     * still to be. */
    void (*backward)(const struct sg_call *call, const struct sg_call *pool, int cut);
};

struct sg_op {
    const char *name;
    int opset_min; /* 0: all that are supported */
    int opset_max; /* the last one that has it, or 0 */
    unsigned flags;
    /* All inputs are constants (or there are none): computes node->out as one. */
    sg_status (*fold)(struct sg_node *node);
    /* Some input is dynamic: says what node->out is (sg_set_dynamic, sg_set_view, sg_set_ints) and
     * refuses whatever cannot be done; forward and backward cannot fail. */
    sg_status (*infer)(struct sg_node *node);
    /* How many equal parts of the result's memory are made each of the same part of every value
     * that is read, be it relu or addend; NULL: not known, but of elementwise functions of one
     * value each element is one. */
    int64_t (*n_rows)(const struct sg_node *node);
    /* Before prepare: n of them remain, the values have become smaller. NULL: nothing to note. */
    void (*set_rows)(struct sg_node *node, int64_t n);
    /* Once all fusing is done: asks for the places of floats (sg_keep_floats, sg_make_floats). */
    sg_status (*prepare)(struct sg_node *node);
    /* Once they have their places: brings weights into the form that the kernels want. Not called
     * where another rank does it for this one: what has to be done everywhere belongs in prepare.
     */
    sg_status (*fill)(struct sg_node *node);
    void (*memory)(const struct sg_node *node, int64_t batch, struct sg_need *need);
    void (*forward)(const struct sg_call *call);
    void (*backward)(const struct sg_call *call);
    const struct sg_choice *choice; /* of a maximum */
    const struct sg_pooled_pass *pooled;
    /* Whether the node is a max pooling whose windows of 2x2 tile its input. */
    int (*tiles_by_2)(const struct sg_node *node);
    /* Says that the node is an affine map per channel: 1 and fills `out`, or 0. */
    int (*as_affine)(const struct sg_node *node, struct sg_affine *out);
    /* The convolution of a batch that the node does, or (returns 1) whose adjoint it is; NULL where
     * it is none. */
    int (*convolution)(const struct sg_node *node, int64_t batch, struct sg_conv *out);
    /* Takes the affine map that follows the node into the node's own weights. */
    sg_status (*absorb_affine)(struct sg_node *node, const struct sg_affine *a);
};

struct sg_model {
    struct sg_region keep;    /* lives as long as the model */
    struct sg_region scratch; /* until it is made */
    const char *file;
    struct onnx_graph graph;
    int64_t frozen_batch;          /* the batch axis in the file: -1 symbolic */
    int folding;                   /* the nodes at hand work on constants that pass for values */
    const struct sg_explain *what; /* while the model is made */
    struct sg_value *input;
    int n_outputs;
    struct sg_value **outputs; /* the explained ones */
    int n_layers;
    struct sg_value **layers;
    struct sg_signature signature;
    struct sg_gate *gates; /* [n_nodes] */
    int64_t n_nodes;
    int64_t capacity;
    struct sg_node **nodes;
    int64_t n_parameters;
    int64_t n_multiply_adds;
    int64_t weight_bytes;
    int64_t n_dropped; /* nodes that no explained tensor needs */
    int64_t n_listed;  /* of the parameters below */
    struct sg_parameter *parameters;
    const char *remark;
};

/* The table of operators. */
extern const struct sg_op *const sg_ops[];
extern const int sg_n_ops;
const struct sg_op *sg_op_find(const char *name);

/* Made by the runtime, not by files: from channels-last to the ONNX order, and back. */
extern const struct sg_op sg_op_to_plain;
extern const struct sg_op sg_op_to_channels_last;

#define SG_NODE_CHECK(cond, node, ...)                                                             \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            status = sg_node_refuse((node), __FILE__, __LINE__, __VA_ARGS__);                      \
            goto done;                                                                             \
        }                                                                                          \
    } while (0)
#define SG_NODE_NOMEM(pointer, node)                                                               \
    SG_CHECK((pointer) != NULL, SG_E_NOMEM, "%s: no memory for %s", (node)->model->file,           \
             (node)->label)

/* SG_E_MODEL with file and node before the message. */
sg_status sg_node_refuse(const struct sg_node *node, const char *file, int line, const char *fmt,
                         ...) __attribute__((format(printf, 4, 5)));

/* "[N,64,7,7]" into buf[cap], returned. */
const char *sg_shape_text(const struct sg_shape *s, char *buf, size_t cap);
const char *sg_axes_text(int n_axes, const int64_t *axes, char *buf, size_t cap);

/* print.c: "Conv+affine+Relu": the operator with what was taken into it. */
const char *sg_layer_text(const struct sg_node *node, char *buf, size_t cap);

/* 1 if the node is given input i. */
static inline int sg_has_input(const struct sg_node *node, int i) {
    return i < node->n_in && node->in[i] != NULL;
}

static inline int sg_is_constant(const struct sg_node *node, int i) {
    return sg_has_input(node, i) && node->in[i]->kind == SG_VALUE_CONSTANT;
}

/* 1 if the value lies channels-last in memory because it has three axes. */
static inline int sg_is_spatial(const struct sg_value *v) {
    return v->shape.n_axes == 3 && !v->whole;
}

/* The channels of a value that lies channels-last in memory, flattened or not; else 0. */
static inline int64_t sg_last_channels(const struct sg_value *v) {
    return sg_is_spatial(v) ? v->shape.axes[0] : v->hwc_channels;
}

/* A dynamic value by its ONNX axes: where elements lie in the memory of one sample. */
struct sg_layout {
    int n_axes;
    int64_t axes[SG_CONSTANT_AXES];
    int64_t strides[SG_CONSTANT_AXES];
};
void sg_layout_of(const struct sg_value *v, struct sg_layout *out);

/* attributes.c: attributes by name with their default; a wrong type is refused. A list that is
 * absent gives *n = 0. */
sg_status sg_attribute_int(const struct sg_node *node, const char *name, int64_t otherwise,
                           int64_t *out);
sg_status sg_attribute_float(const struct sg_node *node, const char *name, float otherwise,
                             float *out);
sg_status sg_attribute_text(const struct sg_node *node, const char *name, const char *otherwise,
                            const char **out);
sg_status sg_attribute_ints(const struct sg_node *node, const char *name, int64_t *n,
                            const int64_t **out);
const struct onnx_attribute *sg_attribute_find(const struct sg_node *node, const char *name);

/* An axis counted from the end becomes one from the start; refused if it is not in 0..n_axes-1. */
sg_status sg_axis(const struct sg_node *node, int64_t axis, int n_axes, int64_t *out);

/* Whole numbers that older opsets give as attribute `name` and newer ones as input i; *n = -1 if
 * neither is there. */
sg_status sg_ints_from(const struct sg_node *node, const char *name, int i, int64_t *n,
                       const int64_t **out);

/* A float that older opsets give as attribute and newer ones as input i (`otherwise` if absent). */
sg_status sg_float_from(const struct sg_node *node, const char *name, int i, float otherwise,
                        float *out);

/* values.c: what a node's output is. Axes of dynamic values come without the batch axis. */
sg_status sg_set_dynamic(struct sg_node *node, int n_axes, const int64_t *axes);
sg_status sg_set_same_shape(struct sg_node *node);
/* A shape of all ONNX axes. The value is whole if its first axis is not of length 1, or if it has
 * four axes and `spatial` is 0: then it is not brought to channels-last. */
sg_status sg_set_onnx(struct sg_node *node, int n_axes, const int64_t *axes, int spatial);
/* The storage of `of` under another shape of the same size. */
sg_status sg_set_view(struct sg_node *node, struct sg_value *of, int n_axes, const int64_t *axes,
                      int64_t hwc_channels);
/* Room for a constant output of this shape; one of floats and ints is NULL. */
sg_status sg_set_floats(struct sg_node *node, int n_axes, const int64_t *axes, float **floats);
sg_status sg_set_ints(struct sg_node *node, int n_axes, const int64_t *axes, int64_t **ints);
/* Elements of a constant of this shape; impossible shapes are refused. */
sg_status sg_constant_size(const struct sg_node *node, int n_axes, const int64_t *axes, int64_t *n);
/* The output is input i itself. */
sg_status sg_set_alias(struct sg_node *node, int i);

/* Where the file fixes a batch B other than 1, the model is that of a batch of 1 as long as every
 * dynamic value has the shape [B, ...] in the file and [1, ...] here, and no node mixes the rows:
 * then each row is what the model of a batch of 1 makes of the sample. So nodes that work along the
 * first axis are refused, and so are results that do not begin with it. */
sg_status sg_check_batch_axis(const struct sg_node *node, int64_t axis);
int sg_has_file_batch(const struct sg_node *node); /* the node has such a value */
/* What infer made begins with the batch axis. */
sg_status sg_check_batch_first(const struct sg_node *node);
/* Constants that hold the same row for each sample of the file's batch, as a class token does that
 * was spread over it, become that row. */
sg_status sg_take_first_rows(struct sg_node *node);
/* 1 if `length`, which the file gives for the first axis of the node's result as a literal in input
 * i, is the batch. */
int sg_is_file_batch(const struct sg_node *node, int i, int64_t length);

/* Checks that there are between min and max inputs and that the first `min` are given. */
sg_status sg_check_inputs(const struct sg_node *node, int min, int max);
/* Input i as a float constant; refused if it is dynamic, not of floats, or not there. */
sg_status sg_float_constant(const struct sg_node *node, int i, const char *what,
                            const struct sg_constant **out);
/* Checks that input 0 is dynamic with this many axes, batch included. */
sg_status sg_check_rank(const struct sg_node *node, int i, int n_axes);
/* `bytes` zeroed for node->own. */
sg_status sg_own(struct sg_node *node, size_t bytes, void *out);
/* weights.c: *out, which is in node->own or hangs on it, points to the floats; from the end of the
 * build on to a copy in the model's weights. Until then nothing else may be put there. */
sg_status sg_keep_floats(struct sg_node *node, const float *floats, int64_t n, const float **out);
/* The same for n floats that the operator's `fill` makes: *out is NULL until then. */
sg_status sg_make_floats(struct sg_node *node, int64_t n, float **out);
/* Notes the factors of an absorbed affine map, and a weight times those that were noted. */
sg_status sg_absorb_scale(struct sg_node *node, const struct sg_affine *a);
float sg_scaled(const struct sg_node *node, int64_t channel, float weight);
/* Gives a node its floats at once, for a run during the build. */
sg_status sg_place_in_scratch(struct sg_node *node);
/* Sums up weight_bytes of nodes and model. */
void sg_weights_measure(struct sg_model *m);
/* Puts a node before `node` that turns input i to plain ONNX order. */
sg_status sg_make_plain(struct sg_node *node, int i);
/* Input i, a whole value, as the others are; refused where its first axis is not of length 1. */
sg_status sg_make_ordinary(struct sg_node *node, int i);
/* Input i as a whole value. */
sg_status sg_make_whole(struct sg_node *node, int i);
/* To the end of the model's list. */
sg_status sg_add_node(struct sg_model *m, struct sg_node *node);
/* Adds a node of the runtime's own with one input; its out has to be set by the caller. */
sg_status sg_insert_node(struct sg_node *after, const struct sg_op *op, struct sg_value *in,
                         struct sg_node **out);
/* What an operator of the table makes of a and b, before `after`: a constant or a value. */
sg_status sg_insert_by_op(struct sg_node *after, const struct sg_op *op, struct sg_value *a,
                          struct sg_value *b, struct sg_value **out);
sg_status sg_new_value(struct sg_model *m, const char *name, struct sg_value **out);
/* Reads the numbers of an initialiser that were not needed before. */
sg_status sg_load_constant(struct sg_model *m, struct sg_value *v);
sg_status sg_constant_of(struct sg_model *m, const struct onnx_tensor *t, struct sg_constant *out);

/* broadcast.c: the constant c against the dynamic value v, as a vector that repeats with `period`
 * over v's memory (1, the channels, or v's size). Refused if it does not broadcast to v's shape. */
sg_status sg_broadcast(const struct sg_node *node, const struct sg_constant *c,
                       const struct sg_value *v, int64_t *period, const float **out);

/* reshape.c: node->out becomes input 0 under the shape axes[n_axes] (with the batch axis), by view
 * where the order in memory allows, otherwise through transpositions. */
sg_status sg_reshape_to(struct sg_node *node, int n_axes, const int64_t *axes);

/* perturb.c: 1 if input i of the operator is a setting or a statistic, no parameter. */
int sg_is_setting(const char *op_type, int64_t i);
/* An initialiser or the tensor of a Constant node was read: lists it if it is a parameter, and puts
 * the draw's noise on it. */
sg_status sg_take_parameter(struct sg_model *m, struct sg_value *v);

/* graph.c: 1 if the graph's operator set is one that can be read. */
int sg_graph_is_readable(const struct onnx_graph *g);
/* graph.c: from the decoded file to values, and to the nodes that the explained tensors need. */
sg_status sg_graph_build(struct sg_model *m);
/* inputs.c: a graph input that was reached: the one that changes, or one that is held fixed. */
sg_status sg_take_input(struct sg_model *m, struct sg_value *v, const struct onnx_value *in);
sg_status sg_check_fixed(const struct sg_model *m);
/* outside.c: the signature; refuses tensors that cannot be told apart, or whose gradient would not
 * be theirs alone. After fusing. */
sg_status sg_make_signature(struct sg_model *m);
/* infer.c: what is against running a node, whatever its inputs are; NULL if nothing is. The text
 * may be in buf[cap]. */
const char *sg_why_not(const struct onnx_graph *g, const struct onnx_node *node, char *buf,
                       size_t cap);
/* survey.c: nodes that something is against. */
int64_t sg_graph_n_refused(const struct onnx_graph *g);
/* infer.c: shapes, constants and views of one node; keeps it if it has to run. */
sg_status sg_infer_node(struct sg_model *m, const struct onnx_node *source, struct sg_value *out,
                        int n_in, struct sg_value **in);
/* The same for a node whose inputs were changed. */
sg_status sg_infer_again(struct sg_node *node);
/* ops/fold.c: a constant by running the operator on it once, as a value. */
sg_status sg_fold_by_running(struct sg_node *node);
/* fuse.c: affine maps into the weights before them, Relu into the node before it. */
sg_status sg_fuse(struct sg_model *m);

#endif
