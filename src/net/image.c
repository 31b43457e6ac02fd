/* src/net/image.c - a model in one block of bytes that ranks can share and use in place.
 *
 *     magic, lengths | numbers of the large tensors, float32, each at a multiple of 64 | the rest
 *
 * The rest is the model's file with these tensors changed into external ones, whose place is in the
 * block: ONNX's own form for numbers that lie elsewhere. Numbers from files beside the model come
 * into the block as well. So however a file stores its weights, a rank that builds the model from
 * the block has no need to copy them. It is made in two passes of the same code: the first one only
 * counts. */
#include "net/image.h"

#include "net/external.h"
#include "net/net_impl.h"
#include "net/wire.h"
#include "sgdist/memory.h"
#include "sgdist/text.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ALIGNMENT = 64, LARGE_BYTES = 4096, LENGTH_BYTES = 5 };

/* No ONNX file begins like this: it would be a group, which the format has given up. */
static const char magic[8] = "SGIMAGE";

struct head {
    char magic[sizeof magic];
    uint64_t n_numbers;
    uint64_t n_rest;
    unsigned char pad[ALIGNMENT - sizeof magic - 2 * sizeof(uint64_t)];
};

struct packer {
    const char *file;
    struct sg_region region; /* of the tensor at hand */
    unsigned char *numbers;  /* NULL: count only */
    int64_t numbers_at;
    size_t largest;      /* tensor from another file */
    unsigned char *rest; /* NULL: count only */
    size_t rest_at;
    struct sg_text digests; /* of the numbers from other files */
};

static void put(struct packer *p, const void *bytes, size_t n) {
    if (p->rest != NULL && n > 0) {
        memcpy(p->rest + p->rest_at, bytes, n);
    }
    p->rest_at += n;
}

static void put_varint(struct packer *p, uint64_t v) {
    do {
        const unsigned char byte = (unsigned char)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));

        put(p, &byte, 1);
        v >>= 7;
    } while (v > 0);
}

static void put_number(struct packer *p, uint32_t field, int64_t v) {
    put_varint(p, (uint64_t)field << 3 | WIRE_VARINT);
    put_varint(p, (uint64_t)v);
}

static void put_text(struct packer *p, uint32_t field, const char *text) {
    put_varint(p, (uint64_t)field << 3 | WIRE_BYTES);
    put_varint(p, strlen(text));
    put(p, text, strlen(text));
}

/* A message whose length is written behind its key at the end, in as many bytes as any may take. */
static size_t begin_message(struct packer *p, uint32_t field) {
    put_varint(p, (uint64_t)field << 3 | WIRE_BYTES);
    p->rest_at += LENGTH_BYTES;
    return p->rest_at;
}

static void end_message(struct packer *p, size_t start) {
    const size_t n = p->rest_at - start;

    for (int i = 0; i < LENGTH_BYTES && p->rest != NULL; i++) {
        p->rest[start - LENGTH_BYTES + (size_t)i] =
            (unsigned char)((n >> (7 * i) & 0x7f) | (i < LENGTH_BYTES - 1 ? 0x80 : 0));
    }
}

static void put_entry(struct packer *p, const char *key, int64_t value) {
    char digits[24];
    const size_t start = begin_message(p, 13);

    (void)snprintf(digits, sizeof digits, "%lld", (long long)value);
    put_text(p, 1, key);
    put_text(p, 2, digits);
    end_message(p, start);
}

/* The tensor's message, its numbers being `length` bytes at the end of those that are placed. */
static void put_tensor(struct packer *p, const struct onnx_tensor *t, int64_t type,
                       int64_t length) {
    for (int i = 0; i < t->n_axes; i++) {
        put_number(p, 1, t->axes[i]);
    }
    put_number(p, 2, type);
    put_text(p, 8, t->name);
    put_entry(p, "offset", p->numbers_at);
    put_entry(p, "length", length);
    put_number(p, 14, 1);
}

/* The bytes of a tensor from another file, which become part of the model's identity. */
static sg_status bring(struct packer *p, struct onnx_tensor *t, int64_t n, size_t width) {
    sg_status status = SG_OK;
    const int64_t n_bytes = n * (int64_t)width;
    unsigned char *bytes;
    char digest[65];
    int fd;

    SG_TRY(sg_external_open(p->file, t, n_bytes, &fd));
    p->largest = p->largest > (size_t)n_bytes ? p->largest : (size_t)n_bytes;
    if (p->numbers == NULL) {
        (void)close(fd);
        return SG_OK;
    }
    bytes = sg_region_take(&p->region, (size_t)n_bytes, 1);
    SG_CHECK(bytes != NULL, SG_E_NOMEM, "%s: no memory for tensor '%s'", p->file, t->name);
    SG_TRY(sg_external_read(p->file, t, fd, bytes, n_bytes));
    sg_sha256_hex(bytes, (size_t)n_bytes, digest);
    sg_text_add(&p->digests, "%s", digest);
    t->raw = (struct onnx_span){.data = bytes, .n = (size_t)n_bytes};
    t->has_raw = 1;
    t->is_external = 0;
done:
    if (fd >= 0) {
        (void)close(fd);
    }
    return status;
}

/* Moves the tensor's n numbers into the block; floating ones become float32, others stay. */
static sg_status move(struct packer *p, struct onnx_tensor *t, int64_t n) {
    sg_status status = SG_OK;
    const int is_float = onnx_type_class(t->type) == 1;
    const size_t width = onnx_type_width(t->type);
    const int64_t length = n * (int64_t)(is_float ? sizeof(float) : width);

    if (t->is_external) {
        SG_TRY(bring(p, t, n, width));
    }
    put_tensor(p, t, is_float ? ONNX_FLOAT : t->type, length);
    if (p->numbers != NULL && is_float) {
        SG_TRY(onnx_read_floats(t, p->file, n, (float *)(void *)(p->numbers + p->numbers_at)));
    } else if (p->numbers != NULL) {
        memcpy(p->numbers + p->numbers_at, t->raw.data, (size_t)length);
    }
    p->numbers_at += (length + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
done:
    return status;
}

/* Small tensors, and those that the build of the model will refuse, stay as they are. */
static sg_status pack_tensor(struct packer *p, struct onnx_span body) {
    sg_status status = SG_OK;
    struct onnx_tensor t;
    int64_t n;
    int class;

    SG_TRY(onnx_decode_tensor(body, p->file, &p->region, &t));
    n = onnx_tensor_count(&t);
    class = onnx_type_class(t.type);
    SG_CHECK(!t.is_external || (n >= 0 && class != 0), SG_E_MODEL,
             "%s: tensor '%s' keeps numbers of an impossible shape or of the data type %lld, which "
             "is not supported, in another file",
             p->file, t.name, (long long)t.type);
    if (t.is_external || (class == 1 && n * (int64_t)sizeof(float) >= LARGE_BYTES &&
                          (size_t)n <= (t.has_raw ? t.raw.n : t.body.n))) {
        SG_TRY(move(p, &t, n));
    } else {
        put(p, body.data, body.n);
    }
done:
    sg_region_free(&p->region);
    return status;
}

enum message { MODEL, GRAPH, NODE, ATTRIBUTE, TENSOR };

/* Where tensors are: the messages that lead to them, by field number. */
static const struct {
    enum message in;
    uint32_t field;
    enum message message;
} ways[] = {{MODEL, 7, GRAPH},
            {GRAPH, 1, NODE},
            {GRAPH, 5, TENSOR},
            {NODE, 5, ATTRIBUTE},
            {ATTRIBUTE, 5, TENSOR}};

/* The message at the end of the way, or MODEL if none leads on. */
static enum message way(enum message in, const struct wire_field *f) {
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        if (ways[i].in == in && ways[i].field == f->number && f->type == WIRE_BYTES) {
            return ways[i].message;
        }
    }
    return MODEL;
}

/* As deep as the ways are long. */
static sg_status pack(struct packer *p, struct onnx_span body, enum message in) {
    sg_status status = SG_OK;
    struct wire_reader r = wire_over(body);
    struct wire_field f;
    const uint8_t *from = r.at;

    if (in == TENSOR) {
        return pack_tensor(p, body);
    }
    while (wire_next(&r, &f) > 0) {
        const enum message inner = way(in, &f);

        if (inner == MODEL) {
            put(p, from, (size_t)(r.at - from));
        } else {
            const size_t start = begin_message(p, f.number);

            SG_TRY(pack(p, f.bytes, inner));
            end_message(p, start);
        }
        from = r.at;
    }
done:
    return status;
}

/* The file alone has its own hash; with others, that of the hashes of its parts. */
static sg_status identify(const struct packer *p, struct onnx_span file, char sha256[65]) {
    sg_status status = SG_OK;
    struct sg_text all = {0};

    sg_sha256_hex(file.data, file.n, sha256);
    if (p->digests.length > 0 || p->digests.failed) {
        sg_text_add(&all, "%s%s", sha256, p->digests.failed ? "" : p->digests.data);
        SG_CHECK(!all.failed && !p->digests.failed, SG_E_NOMEM, "%s: no memory for its hash",
                 p->file);
        sg_sha256_hex(all.data, all.length, sha256);
    }
done:
    sg_text_free(&all);
    return status;
}

sg_status sg_image_pack(const void *bytes, size_t n, const char *file, struct sg_model_image *out) {
    sg_status status = SG_OK;
    const struct onnx_span all = {.data = bytes, .n = n};
    struct packer p = {.file = file};
    struct onnx_graph graph;
    struct head head = {.n_numbers = 0};

    memcpy(head.magic, magic, sizeof magic);
    SG_TRY(onnx_decode(bytes, n, file, &p.region, &graph)); /* from here on it can be read */
    sg_region_free(&p.region);
    SG_TRY(pack(&p, all, MODEL));
    head.n_numbers = (uint64_t)p.numbers_at;
    head.n_rest = p.rest_at;
    out->n = sizeof head + head.n_numbers + head.n_rest;
    out->bytes = sg_malloc_aligned(out->n, 1);
    SG_CHECK(out->bytes != NULL, SG_E_NOMEM, "%s: no memory for its %lld bytes", file,
             (long long)out->n);
    memset(out->bytes, 0, sizeof head + head.n_numbers);
    memcpy(out->bytes, &head, sizeof head);
    p.numbers = (unsigned char *)out->bytes + sizeof head;
    p.rest = p.numbers + head.n_numbers;
    p.numbers_at = 0;
    p.rest_at = 0;
    SG_TRY(pack(&p, all, MODEL));
    SG_ASSERT((uint64_t)p.numbers_at == head.n_numbers && p.rest_at == head.n_rest);
    SG_TRY(identify(&p, all, out->sha256));
    out->n_reading = n + out->n + p.largest;
done:
    sg_region_free(&p.region);
    sg_text_free(&p.digests);
    if (status != SG_OK) {
        sg_model_image_free(out);
    }
    return status;
}

sg_status sg_model_image_read(const char *path, struct sg_model_image *out) {
    sg_status status = SG_OK;
    unsigned char *bytes = NULL;
    size_t n = 0;

    SG_TRY(sg_file_read(path, &bytes, &n));
    SG_TRY(sg_image_pack(bytes, n, path, out));
done:
    sg_free(bytes);
    return status;
}

void sg_model_image_free(struct sg_model_image *image) {
    sg_free(image->bytes);
    *image = (struct sg_model_image){0};
}

int sg_image_split(struct onnx_span image, struct onnx_span *numbers, struct onnx_span *rest) {
    struct head head;

    if (image.n < sizeof head || memcmp(image.data, magic, sizeof magic) != 0) {
        return 0;
    }
    memcpy(&head, image.data, sizeof head);
    if (head.n_numbers > image.n - sizeof head ||
        head.n_rest != image.n - sizeof head - head.n_numbers) {
        return 0;
    }
    *numbers = (struct onnx_span){image.data + sizeof head, (size_t)head.n_numbers};
    *rest = (struct onnx_span){numbers->data + head.n_numbers, (size_t)head.n_rest};
    return 1;
}

sg_status sg_image_decode(const void *bytes, size_t n, const char *file, struct sg_region *region,
                          struct onnx_graph *out) {
    sg_status status = SG_OK;
    const struct onnx_span all = {.data = bytes, .n = n};
    struct onnx_span numbers;
    struct onnx_span rest;

    if (sg_image_split(all, &numbers, &rest)) {
        SG_TRY(onnx_decode(rest.data, rest.n, file, region, out));
        SG_TRY(onnx_attach(out, file, numbers));
    } else {
        SG_TRY(onnx_decode(bytes, n, file, region, out));
    }
done:
    return status;
}
