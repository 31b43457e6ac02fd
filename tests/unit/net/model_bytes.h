/* tests/unit/net/model_bytes.h - writes ONNX files into memory: just enough protobuf for tests. */
#ifndef MODEL_BYTES_H
#define MODEL_BYTES_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bytes {
    uint8_t *data;
    size_t n;
};

static inline void put(struct bytes *b, const void *data, size_t n) {
    b->data = realloc(b->data, b->n + n + 1);
    if (b->data == NULL) {
        abort();
    }
    if (n > 0) {
        memcpy(b->data + b->n, data, n);
    }
    b->n += n;
}

static inline void put_varint(struct bytes *b, uint64_t v) {
    do {
        const uint8_t byte = (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));

        put(b, &byte, 1);
        v >>= 7;
    } while (v > 0);
}

static inline void put_int(struct bytes *b, uint32_t field, int64_t v) {
    put_varint(b, (uint64_t)field << 3);
    put_varint(b, (uint64_t)v);
}

static inline void put_field(struct bytes *b, uint32_t field, const void *data, size_t n) {
    put_varint(b, (uint64_t)field << 3 | 2);
    put_varint(b, n);
    put(b, data, n);
}

static inline void put_text(struct bytes *b, uint32_t field, const char *text) {
    put_field(b, field, text, strlen(text));
}

/* Puts `part` in as a message and frees it. */
static inline void put_part(struct bytes *b, uint32_t field, struct bytes part) {
    put_field(b, field, part.data, part.n);
    free(part.data);
}

/* Attributes of a node. */
static inline void put_attribute_int(struct bytes *node, const char *name, int64_t v) {
    struct bytes a = {0};

    put_text(&a, 1, name);
    put_int(&a, 3, v);
    put_int(&a, 20, 2);
    put_part(node, 5, a);
}

static inline void put_attribute_ints(struct bytes *node, const char *name, int n,
                                      const int64_t *v) {
    struct bytes a = {0};

    put_text(&a, 1, name);
    for (int i = 0; i < n; i++) {
        put_int(&a, 8, v[i]);
    }
    put_int(&a, 20, 7);
    put_part(node, 5, a);
}

static inline struct bytes node_of(const char *op, const char *name, const char *in0,
                                   const char *in1, const char *out) {
    struct bytes b = {0};

    put_text(&b, 1, in0);
    if (in1 != NULL) {
        put_text(&b, 1, in1);
    }
    put_text(&b, 2, out);
    put_text(&b, 3, name);
    put_text(&b, 4, op);
    return b;
}

static inline struct bytes tensor_of(const char *name, int n_axes, const int64_t *axes,
                                     int64_t type, const void *raw, size_t n_bytes) {
    struct bytes b = {0};

    for (int i = 0; i < n_axes; i++) {
        put_int(&b, 1, axes[i]);
    }
    put_int(&b, 2, type);
    put_text(&b, 8, name);
    put_field(&b, 9, raw, n_bytes);
    return b;
}

/* A ValueInfoProto; axes of -1 are symbolic. */
static inline struct bytes value_of(const char *name, int64_t type, int n_axes,
                                    const int64_t *axes) {
    struct bytes shape = {0}, tensor = {0}, proto = {0}, b = {0};

    for (int i = 0; i < n_axes; i++) {
        struct bytes axis = {0};

        if (axes[i] == -1) {
            put_text(&axis, 2, "N");
        } else {
            put_int(&axis, 1, axes[i]);
        }
        put_part(&shape, 1, axis);
    }
    put_int(&tensor, 1, type);
    put_part(&tensor, 2, shape);
    put_part(&proto, 1, tensor);
    put_text(&b, 1, name);
    put_part(&b, 2, proto);
    return b;
}

/* A ModelProto around the graph, which is freed. */
static inline struct bytes model_of(int64_t opset, struct bytes graph) {
    struct bytes version = {0}, b = {0};

    put_text(&version, 1, "");
    put_int(&version, 2, opset);
    put_int(&b, 1, 8);
    put_text(&b, 2, "test");
    put_part(&b, 7, graph);
    put_part(&b, 8, version);
    return b;
}

/* The bytes of a file, or n = 0. */
static inline struct bytes file_bytes(const char *path) {
    struct bytes b = {0};
    char part[4096];
    size_t n;
    FILE *f = fopen(path, "rb");

    while (f != NULL && (n = fread(part, 1, sizeof part, f)) > 0) {
        put(&b, part, n);
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    return b;
}

#endif
