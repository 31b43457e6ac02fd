/* src/data/npy.c - the .npy format, as numpy.lib.format describes it: a magic string, a version, a
 * header that is a Python dictionary literal, the numbers. */
#include "sgdist/npy.h"

#include "data/array.h"
#include "sgdist/memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_HEADER = 65536 };

/* The text after "'key':", or NULL. */
static const char *value_of(const char *header, const char *key) {
    const char *at = strstr(header, key);

    if (at == NULL) {
        return NULL;
    }
    at += strlen(key);
    while (*at == ' ' || *at == ':') {
        at++;
    }
    return at;
}

static sg_status parse_shape(const char *at, struct sg_array *out) {
    sg_status status = SG_OK;

    SG_CHECK(at != NULL && *at == '(', SG_E_INPUT, "its header has no shape");
    for (at++; *at != ')';) {
        char *end;
        long long length;

        errno = 0;
        length = strtoll(at, &end, 10);
        SG_CHECK(end != at && errno == 0 && sg_array_add_axis(out, length), SG_E_INPUT,
                 "its shape is not supported");
        at = end + strspn(end, " ,");
    }
done:
    return status;
}

/* "'<f4'": the order of the bytes, the kind, the number of bytes. */
static sg_status parse_type(const char *type, struct sg_array *out) {
    sg_status status = SG_OK;
    char kind = 0;
    char order = 0;
    long long bytes = 0;
    char quote = 0;

    (void)sscanf(type, "'%c%c%9lld%c", &order, &kind, &bytes, &quote);
    out->type = sg_element_find(kind, bytes);
    SG_CHECK(
        quote == '\'' && out->type < SG_ELEMENT_COUNT && strchr("<>|=", order) != NULL, SG_E_INPUT,
        "it holds %.12s; bool, whole numbers, float16, float32 and float64 are supported", type);
    out->is_big_endian = order == '>';
done:
    return status;
}

static sg_status parse_header(const char *header, struct sg_array *out) {
    sg_status status = SG_OK;
    const char *type = value_of(header, "'descr'");
    const char *order = value_of(header, "'fortran_order'");

    SG_CHECK(type != NULL && order != NULL, SG_E_INPUT, "its header cannot be read");
    SG_TRY(parse_type(type, out));
    SG_CHECK(strncmp(order, "False", 5) == 0, SG_E_INPUT,
             "it is in Fortran order; save numpy.ascontiguousarray(x)");
    SG_TRY(parse_shape(value_of(header, "'shape'"), out));
done:
    return status;
}

/* The header's text into header[MAX_HEADER]. */
static sg_status read_header(struct sg_stream *s, char *header, int64_t *data_at) {
    sg_status status = SG_OK;
    unsigned char start[12] = {0};
    size_t n;

    status = sg_stream_read(s, 0, start, 10);
    SG_CHECK(status == SG_OK && memcmp(start, "\x93NUMPY", 6) == 0, SG_E_INPUT, "not a .npy file");
    n = (size_t)start[8] | (size_t)start[9] << 8;
    *data_at = 10;
    if (start[6] > 1) {
        SG_TRY(sg_stream_read(s, 10, start + 10, 2));
        n |= (size_t)start[10] << 16 | (size_t)start[11] << 24;
        *data_at = 12;
    }
    SG_CHECK(start[6] >= 1 && start[6] <= 3 && n < MAX_HEADER, SG_E_INPUT,
             "its format version %d is not supported", start[6]);
    SG_TRY(sg_stream_read(s, *data_at, header, n));
    *data_at += (int64_t)n;
    header[n] = '\0';
done:
    return status;
}

sg_status sg_npy_head(struct sg_stream *s, struct sg_array *out) {
    sg_status status = SG_OK;
    struct sg_array a = {.n_axes = 0};
    char *header = sg_calloc(MAX_HEADER, 1);

    SG_CHECK(header != NULL, SG_E_NOMEM, "no memory for a header");
    SG_TRY(read_header(s, header, &a.data_at));
    SG_TRY(parse_header(header, &a));
    *out = a;
done:
    sg_free(header);
    return status;
}

/* The head of an array that is wanted whole, as single precision. */
static sg_status check_whole(const struct sg_array *a, struct sg_stream *s, struct sg_npy *out) {
    sg_status status = SG_OK;

    SG_CHECK(!a->is_big_endian && (a->type == SG_ELEMENT_F32 || a->type == SG_ELEMENT_F64),
             SG_E_INPUT, "it holds %s%s; little-endian float32 and float64 are supported",
             a->is_big_endian ? "big-endian " : "", sg_element_name(a->type));
    SG_CHECK(a->n_axes <= SG_NPY_MAX_AXES, SG_E_INPUT, "its shape is not supported");
    out->n = 1;
    out->n_axes = a->n_axes;
    for (int i = 0; i < a->n_axes; i++) {
        out->axes[i] = a->axes[i];
        out->n *= a->axes[i];
    }
    /* A false shape is found before memory is asked for. */
    SG_CHECK(sg_stream_length(s) - a->data_at >= out->n * sg_element_bytes(a->type), SG_E_INPUT,
             "it is cut off");
done:
    return status;
}

static sg_status read_numbers(const struct sg_array *a, struct sg_stream *s, struct sg_npy *out) {
    enum { PIECE = 8192 };
    sg_status status = SG_OK;
    const int64_t size = sg_element_bytes(a->type);
    unsigned char *piece = sg_calloc(PIECE, (size_t)size);

    out->data = sg_malloc_aligned((size_t)out->n, sizeof(float));
    SG_CHECK(out->data != NULL && piece != NULL, SG_E_NOMEM, "no memory for it");
    for (int64_t at = 0; at < out->n; at += PIECE) {
        const int64_t n = out->n - at < PIECE ? out->n - at : PIECE;

        SG_TRY(sg_stream_read(s, a->data_at + at * size, piece, (size_t)(n * size)));
        sg_elements_to_float(a->type, a->is_big_endian, piece, n, out->data + at);
    }
done:
    sg_free(piece);
    return status;
}

sg_status sg_npy_read(const char *path, struct sg_npy *out) {
    sg_status status = SG_OK;
    struct sg_npy whole = {0};
    struct sg_array a;
    struct sg_stream *s = NULL;

    SG_TRY(sg_stream_open(path, 0, SG_E_ARG, &s));
    SG_TRY(sg_npy_head(s, &a));
    SG_TRY(check_whole(&a, s, &whole));
    SG_TRY(read_numbers(&a, s, &whole));
    *out = whole;
    whole.data = NULL;
done:
    sg_npy_free(&whole);
    sg_stream_close(s);
    if (status != SG_OK) {
        status = sg_fail(status, __FILE__, __LINE__, "%s: %s", path, sg_trace_message());
    }
    return status;
}

void sg_npy_free(struct sg_npy *a) {
    sg_free(a->data);
    a->data = NULL;
}

sg_status sg_npy_write(const char *path, int n_axes, const int64_t *axes, const float *data) {
    sg_status status = SG_OK;
    char shape[256] = "";
    char header[512];
    size_t used = 0;
    int64_t n = 1;
    int length;
    FILE *f = fopen(path, "wb");

    SG_CHECK(f != NULL, SG_E_IO, "%s: %s", path, strerror(errno));
    for (int i = 0; i < n_axes; i++) {
        n *= axes[i];
        used += (size_t)snprintf(shape + used, sizeof shape - used, "%lld,", (long long)axes[i]);
    }
    /* Padded with spaces so that the numbers start at a multiple of 64. */
    length = snprintf(header, sizeof header,
                      "{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }", shape);
    while ((10 + length + 1) % 64 != 0) {
        header[length++] = ' ';
    }
    header[length++] = '\n';
    SG_CHECK(fprintf(f, "\x93NUMPY%c%c%c%c", 1, 0, length & 0xff, length >> 8) == 10 &&
                 fwrite(header, 1, (size_t)length, f) == (size_t)length &&
                 fwrite(data, sizeof *data, (size_t)n, f) == (size_t)n && fflush(f) == 0,
             SG_E_IO, "%s: %s", path, strerror(errno));
done:
    if (f != NULL) {
        (void)fclose(f);
    }
    return status;
}
