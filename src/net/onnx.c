/* src/net/onnx.c - ModelProto, GraphProto, NodeProto, AttributeProto, TensorProto, ValueInfoProto.
 * Field numbers: onnx.proto of ONNX 1.12 (IR version 8). Lists are counted first, then filled. */
#include "net/onnx.h"

#include "net/single.h"
#include "net/wire.h"

#include <string.h>

/* What every decoding function needs besides its bytes. */
struct context {
    const char *file;
    struct sg_region *region;
};

#define DAMAGED(cond, what)                                                                        \
    SG_CHECK(cond, SG_E_MODEL, "%s: not an ONNX model, or damaged (%s)", c->file, what)
#define NOMEM(pointer)                                                                             \
    SG_CHECK((pointer) != NULL, SG_E_NOMEM, "%s: no memory to decode the model", c->file)

/* Occurrences of a field of type `bytes`; whether the message can be read at all is found too. */
static sg_status count(const struct context *c, struct onnx_span body, uint32_t number,
                       const char *what, int64_t *n) {
    sg_status status = SG_OK;
    struct wire_reader r = wire_over(body);
    struct wire_field f;
    int more;

    *n = 0;
    while ((more = wire_next(&r, &f)) > 0) {
        *n += f.number == number && f.type == WIRE_BYTES;
    }
    DAMAGED(more == 0, what);
done:
    return status;
}

/* Names are printed and compared: control characters in them mean damage. */
static sg_status text(const struct context *c, const struct wire_field *f, const char **out) {
    sg_status status = SG_OK;

    DAMAGED(f->type == WIRE_BYTES, "a name");
    for (size_t i = 0; i < f->bytes.n; i++) {
        DAMAGED(f->bytes.data[i] >= 0x20 && f->bytes.data[i] != 0x7f, "a name");
    }
    *out = sg_region_text(c->region, f->bytes.data, f->bytes.n);
    NOMEM(*out);
done:
    return status;
}

/* Appends the numbers of one occurrence of a repeated field to axes[ONNX_MAX_AXES]. */
static sg_status axes(const struct context *c, const struct wire_field *f, int *n, int64_t *out) {
    sg_status status = SG_OK;
    const int64_t more = wire_count_numbers(f, WIRE_VARINT);
    uint64_t values[ONNX_MAX_AXES];

    DAMAGED(more >= 0, "the shape of a tensor");
    SG_CHECK(*n + more <= ONNX_MAX_AXES, SG_E_MODEL,
             "%s: a tensor has more than %d axes, which is not supported", c->file, ONNX_MAX_AXES);
    wire_numbers(f, WIRE_VARINT, values);
    for (int64_t i = 0; i < more; i++) {
        out[(*n)++] = (int64_t)values[i];
    }
done:
    return status;
}

static int equals(struct onnx_span s, const char *text) {
    return s.n == strlen(text) && memcmp(s.data, text, s.n) == 0;
}

/* A count of bytes, in decimal digits. */
static sg_status byte_count(const struct context *c, struct onnx_span digits, int64_t *out) {
    sg_status status = SG_OK;
    int64_t v = 0;

    for (size_t i = 0; i < digits.n; i++) {
        DAMAGED(digits.data[i] >= '0' && digits.data[i] <= '9' &&
                    !__builtin_mul_overflow(v, 10, &v) &&
                    !__builtin_add_overflow(v, digits.data[i] - '0', &v),
                "the place of a tensor in another file");
    }
    *out = v;
done:
    return status;
}

/* StringStringEntryProto: a key and its value, here of external_data. */
static sg_status external_entry(const struct context *c, struct onnx_span body,
                                struct onnx_tensor *out) {
    sg_status status = SG_OK;
    struct wire_reader r = wire_over(body);
    struct wire_field f, value = {.type = WIRE_BYTES};
    struct onnx_span key = {0};
    int more;

    while ((more = wire_next(&r, &f)) > 0) {
        if (f.number == 1 && f.type == WIRE_BYTES) {
            key = f.bytes;
        } else if (f.number == 2 && f.type == WIRE_BYTES) {
            value = f;
        }
    }
    DAMAGED(more == 0, "the place of a tensor in another file");
    if (equals(key, "location")) {
        SG_TRY(text(c, &value, &out->location));
    } else if (equals(key, "offset")) {
        SG_TRY(byte_count(c, value.bytes, &out->offset));
    } else if (equals(key, "length")) {
        SG_TRY(byte_count(c, value.bytes, &out->length));
    }
done:
    return status;
}

static sg_status tensor(const struct context *c, struct onnx_span body, struct onnx_tensor *out) {
    sg_status status = SG_OK;
    struct wire_reader r = wire_over(body);
    struct wire_field f;
    int more;

    *out = (struct onnx_tensor){.name = "", .body = body, .location = "", .length = -1};
    while ((more = wire_next(&r, &f)) > 0) {
        if (f.number == 1) {
            SG_TRY(axes(c, &f, &out->n_axes, out->axes));
        } else if (f.number == 2 && f.type == WIRE_VARINT) {
            out->type = (int64_t)f.value;
        } else if (f.number == 8) {
            SG_TRY(text(c, &f, &out->name));
        } else if (f.number == 9 && f.type == WIRE_BYTES) {
            out->raw = f.bytes;
            out->has_raw = 1;
        } else if (f.number == 13 && f.type == WIRE_BYTES) {
            out->is_external = 1;
            SG_TRY(external_entry(c, f.bytes, out));
        } else if (f.number == 14 && f.value != 0) {
            out->is_external = 1;
        }
    }
    DAMAGED(more == 0, "a tensor");
done:
    return status;
}

/* Collects a repeated numeric field of the attribute from all its occurrences. */
static sg_status list(const struct context *c, struct onnx_span body, uint32_t number,
                      enum wire_type element, int64_t *n, uint64_t **out) {
    sg_status status = SG_OK;
    struct wire_reader r = wire_over(body);
    struct wire_field f;
    int64_t at = 0;

    *n = 0;
    while (wire_next(&r, &f) > 0) {
        if (f.number == number) {
            const int64_t more = wire_count_numbers(&f, element);

            DAMAGED(more >= 0, "the list of an attribute");
            *n += more;
        }
    }
    *out = sg_region_take(c->region, (size_t)*n, sizeof **out);
    NOMEM(*out);
    r = wire_over(body);
    while (wire_next(&r, &f) > 0) {
        if (f.number == number) {
            wire_numbers(&f, element, *out + at);
            at += wire_count_numbers(&f, element);
        }
    }
done:
    return status;
}

static float float_of(uint64_t bits) {
    return (float)onnx_single((uint32_t)bits);
}

static sg_status attribute_lists(const struct context *c, struct onnx_span body,
                                 struct onnx_attribute *out) {
    sg_status status = SG_OK;
    uint64_t *raw;

    if (out->type == ONNX_ATTR_INTS) {
        SG_TRY(list(c, body, 8, WIRE_VARINT, &out->n_list, &raw));
        out->ints = (const int64_t *)raw;
    } else if (out->type == ONNX_ATTR_FLOATS) {
        float *floats;

        SG_TRY(list(c, body, 7, WIRE_FIXED32, &out->n_list, &raw));
        floats = sg_region_take(c->region, (size_t)out->n_list, sizeof *floats);
        NOMEM(floats);
        for (int64_t i = 0; i < out->n_list; i++) {
            floats[i] = float_of(raw[i]);
        }
        out->floats = floats;
    }
done:
    return status;
}

static sg_status attribute_tensor(const struct context *c, const struct wire_field *f,
                                  struct onnx_attribute *out) {
    sg_status status = SG_OK;

    out->tensor = sg_region_take(c->region, 1, sizeof *out->tensor);
    NOMEM(out->tensor);
    SG_TRY(tensor(c, f->bytes, out->tensor));
done:
    return status;
}

static sg_status attribute(const struct context *c, struct onnx_span body,
                           struct onnx_attribute *out) {
    sg_status status = SG_OK;
    struct wire_reader r = wire_over(body);
    struct wire_field f;
    int more;

    *out = (struct onnx_attribute){.name = "", .s = ""};
    while ((more = wire_next(&r, &f)) > 0) {
        if (f.number == 1) {
            SG_TRY(text(c, &f, &out->name));
        } else if (f.number == 2 && f.type == WIRE_FIXED32) {
            out->f = float_of(f.value);
        } else if (f.number == 3 && f.type == WIRE_VARINT) {
            out->i = (int64_t)f.value;
        } else if (f.number == 4 && f.type == WIRE_BYTES) {
            out->s = sg_region_text(c->region, f.bytes.data, f.bytes.n);
            NOMEM(out->s);
        } else if (f.number == 5 && f.type == WIRE_BYTES) {
            SG_TRY(attribute_tensor(c, &f, out));
        } else if (f.number == 20 && f.type == WIRE_VARINT) {
            out->type =
                f.value <= ONNX_ATTR_INTS ? (enum onnx_attribute_type)f.value : ONNX_ATTR_OTHER;
        }
    }
    DAMAGED(more == 0, "an attribute");
    DAMAGED(out->type != ONNX_ATTR_TENSOR || out->tensor != NULL,
            "an attribute without its tensor");
    SG_TRY(attribute_lists(c, body, out));
done:
    return status;
}

static sg_status node_lists(const struct context *c, struct onnx_span body, struct onnx_node *out) {
    sg_status status = SG_OK;

    SG_TRY(count(c, body, 1, "a node", &out->n_in));
    SG_TRY(count(c, body, 2, "a node", &out->n_out));
    SG_TRY(count(c, body, 5, "a node", &out->n_attributes));
    out->in = sg_region_take(c->region, (size_t)out->n_in, sizeof *out->in);
    out->out = sg_region_take(c->region, (size_t)out->n_out, sizeof *out->out);
    out->attributes = sg_region_take(c->region, (size_t)out->n_attributes, sizeof *out->attributes);
    NOMEM(out->in);
    NOMEM(out->out);
    NOMEM(out->attributes);
done:
    return status;
}

static sg_status node(const struct context *c, struct onnx_span body, struct onnx_node *out) {
    sg_status status = SG_OK;
    struct wire_reader r = wire_over(body);
    struct wire_field f;
    int64_t in = 0, made = 0, attributes = 0;

    *out = (struct onnx_node){.name = "", .op_type = "", .domain = ""};
    SG_TRY(node_lists(c, body, out));
    while (wire_next(&r, &f) > 0) {
        if (f.type != WIRE_BYTES) {
            continue;
        }
        if (f.number == 1) {
            SG_TRY(text(c, &f, &out->in[in++]));
        } else if (f.number == 2) {
            SG_TRY(text(c, &f, &out->out[made++]));
        } else if (f.number == 3) {
            SG_TRY(text(c, &f, &out->name));
        } else if (f.number == 4) {
            SG_TRY(text(c, &f, &out->op_type));
        } else if (f.number == 5) {
            SG_TRY(attribute(c, f.bytes, &out->attributes[attributes++]));
        } else if (f.number == 7) {
            SG_TRY(text(c, &f, &out->domain));
        }
    }
done:
    return status;
}

/* TensorShapeProto.Dimension: a value, or a name. */
static sg_status dimension(const struct context *c, struct onnx_span body, struct onnx_value *out) {
    sg_status status = SG_OK;
    struct wire_reader r = wire_over(body);
    struct wire_field f;
    int64_t length = -1;
    int more;

    while ((more = wire_next(&r, &f)) > 0) {
        if (f.number == 1 && f.type == WIRE_VARINT) {
            length = (int64_t)f.value;
        }
    }
    DAMAGED(more == 0, "the shape of an input or output");
    SG_CHECK(out->n_axes < ONNX_MAX_AXES, SG_E_MODEL,
             "%s: an input or output has more than %d axes, which is not supported", c->file,
             ONNX_MAX_AXES);
    out->axes[out->n_axes++] = length;
done:
    return status;
}

/* ValueInfoProto.type.tensor_type.shape.dim: three messages that hold little more than the next. */
static sg_status value_type(const struct context *c, struct onnx_span body, int depth,
                            struct onnx_value *out) {
    sg_status status = SG_OK;
    struct wire_reader r = wire_over(body);
    struct wire_field f;
    int more;

    out->has_shape = out->has_shape || depth == 2;
    while ((more = wire_next(&r, &f)) > 0) {
        if (depth == 0 && f.number == 1 && f.type == WIRE_BYTES) {
            SG_TRY(value_type(c, f.bytes, 1, out));
        } else if (depth == 1 && f.number == 1 && f.type == WIRE_VARINT) {
            out->type = (int64_t)f.value;
        } else if (depth == 1 && f.number == 2 && f.type == WIRE_BYTES) {
            SG_TRY(value_type(c, f.bytes, 2, out));
        } else if (depth == 2 && f.number == 1 && f.type == WIRE_BYTES) {
            SG_TRY(dimension(c, f.bytes, out));
        }
    }
    DAMAGED(more == 0, "the type of an input or output");
done:
    return status;
}

static sg_status value(const struct context *c, struct onnx_span body, struct onnx_value *out) {
    sg_status status = SG_OK;
    struct wire_reader r = wire_over(body);
    struct wire_field f;
    int more;

    *out = (struct onnx_value){.name = ""};
    while ((more = wire_next(&r, &f)) > 0) {
        if (f.number == 1) {
            SG_TRY(text(c, &f, &out->name));
        } else if (f.number == 2 && f.type == WIRE_BYTES) {
            SG_TRY(value_type(c, f.bytes, 0, out));
        }
    }
    DAMAGED(more == 0, "an input or output");
done:
    return status;
}

static sg_status graph_lists(const struct context *c, struct onnx_span body,
                             struct onnx_graph *out) {
    sg_status status = SG_OK;

    SG_TRY(count(c, body, 1, "the graph", &out->n_nodes));
    SG_TRY(count(c, body, 5, "the graph", &out->n_tensors));
    SG_TRY(count(c, body, 11, "the graph", &out->n_inputs));
    SG_TRY(count(c, body, 12, "the graph", &out->n_outputs));
    out->nodes = sg_region_take(c->region, (size_t)out->n_nodes, sizeof *out->nodes);
    out->tensors = sg_region_take(c->region, (size_t)out->n_tensors, sizeof *out->tensors);
    out->inputs = sg_region_take(c->region, (size_t)out->n_inputs, sizeof *out->inputs);
    out->outputs = sg_region_take(c->region, (size_t)out->n_outputs, sizeof *out->outputs);
    NOMEM(out->nodes);
    NOMEM(out->tensors);
    NOMEM(out->inputs);
    NOMEM(out->outputs);
done:
    return status;
}

static sg_status graph(const struct context *c, struct onnx_span body, struct onnx_graph *out) {
    sg_status status = SG_OK;
    struct wire_reader r = wire_over(body);
    struct wire_field f;
    int64_t nodes = 0, tensors = 0, inputs = 0, outputs = 0;

    SG_TRY(graph_lists(c, body, out));
    while (wire_next(&r, &f) > 0) {
        if (f.type != WIRE_BYTES) {
            continue;
        }
        if (f.number == 1) {
            SG_TRY(node(c, f.bytes, &out->nodes[nodes++]));
        } else if (f.number == 5) {
            SG_TRY(tensor(c, f.bytes, &out->tensors[tensors++]));
        } else if (f.number == 11) {
            SG_TRY(value(c, f.bytes, &out->inputs[inputs++]));
        } else if (f.number == 12) {
            SG_TRY(value(c, f.bytes, &out->outputs[outputs++]));
        }
    }
done:
    return status;
}

/* OperatorSetIdProto: the version that counts is the default domain's. */
static sg_status opset(const struct context *c, struct onnx_span body, int64_t *out) {
    sg_status status = SG_OK;
    struct wire_reader r = wire_over(body);
    struct wire_field f;
    const char *domain = "";
    int64_t version = 0;
    int more;

    while ((more = wire_next(&r, &f)) > 0) {
        if (f.number == 1) {
            SG_TRY(text(c, &f, &domain));
        } else if (f.number == 2 && f.type == WIRE_VARINT) {
            version = (int64_t)f.value;
        }
    }
    DAMAGED(more == 0, "the operator set");
    if (domain[0] == '\0' || strcmp(domain, "ai.onnx") == 0) {
        *out = version;
    }
done:
    return status;
}

sg_status onnx_decode(const void *bytes, size_t n_bytes, const char *file, struct sg_region *region,
                      struct onnx_graph *out) {
    sg_status status = SG_OK;
    const struct context context = {.file = file, .region = region};
    const struct context *c = &context;
    struct wire_reader r = wire_over((struct onnx_span){.data = bytes, .n = n_bytes});
    struct wire_field f;
    int n_graphs = 0;
    int more;

    *out = (struct onnx_graph){.producer = ""};
    while ((more = wire_next(&r, &f)) > 0) {
        if (f.number == 1 && f.type == WIRE_VARINT) {
            out->ir_version = (int64_t)f.value;
        } else if (f.number == 2) {
            SG_TRY(text(c, &f, &out->producer));
        } else if (f.number == 7 && f.type == WIRE_BYTES) {
            DAMAGED(++n_graphs == 1, "two graphs");
            SG_TRY(graph(c, f.bytes, out));
        } else if (f.number == 8 && f.type == WIRE_BYTES) {
            SG_TRY(opset(c, f.bytes, &out->opset));
        }
    }
    DAMAGED(more == 0, "the file is cut off or holds something else");
    DAMAGED(n_graphs == 1, "it holds no graph");
done:
    return status;
}

sg_status onnx_decode_tensor(struct onnx_span body, const char *file, struct sg_region *region,
                             struct onnx_tensor *out) {
    const struct context c = {.file = file, .region = region};

    return tensor(&c, body, out);
}

static sg_status attach(struct onnx_tensor *t, const char *file, struct onnx_span data) {
    sg_status status = SG_OK;

    if (t->is_external) {
        SG_CHECK(t->length >= 0 && (uint64_t)t->length <= data.n &&
                     (uint64_t)t->offset <= data.n - (uint64_t)t->length,
                 SG_E_MODEL, "%s: the numbers of tensor '%s' are not where they should be", file,
                 t->name);
        t->raw = (struct onnx_span){.data = data.data + t->offset, .n = (size_t)t->length};
        t->has_raw = 1;
        t->is_external = 0;
    }
done:
    return status;
}

sg_status onnx_attach(struct onnx_graph *g, const char *file, struct onnx_span data) {
    sg_status status = SG_OK;

    for (int64_t i = 0; i < g->n_tensors; i++) {
        SG_TRY(attach(&g->tensors[i], file, data));
    }
    for (int64_t i = 0; i < g->n_nodes; i++) {
        for (int64_t k = 0; k < g->nodes[i].n_attributes; k++) {
            if (g->nodes[i].attributes[k].tensor != NULL) {
                SG_TRY(attach(g->nodes[i].attributes[k].tensor, file, data));
            }
        }
    }
done:
    return status;
}
