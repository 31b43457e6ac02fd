/* src/data/npy.c - the .npy format, as numpy.lib.format describes it: a magic string, a version, a
 * header that is a Python dictionary literal, the numbers. */
#include "sgdist/npy.h"

#include "sgdist/memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_HEADER = 65536 };
static const int64_t max_elements = (int64_t)1 << 40;

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

static sg_status parse_shape(const char *path, const char *at, struct sg_npy *out) {
    sg_status status = SG_OK;

    SG_CHECK(at != NULL && *at == '(', SG_E_INPUT, "%s: its header has no shape", path);
    out->n = 1;
    for (at++; *at != ')';) {
        char *end;
        long long length;

        errno = 0;
        length = strtoll(at, &end, 10);
        SG_CHECK(end != at && errno == 0 && length >= 0 && out->n_axes < SG_NPY_MAX_AXES &&
                     !__builtin_mul_overflow(out->n, length, &out->n) && out->n <= max_elements,
                 SG_E_INPUT, "%s: its shape is not supported", path);
        out->axes[out->n_axes++] = length;
        at = end + strspn(end, " ,");
    }
done:
    return status;
}

/* `width`: bytes of an element, 4 or 8. */
static sg_status parse_header(const char *path, const char *header, struct sg_npy *out,
                              size_t *width) {
    sg_status status = SG_OK;
    const char *type = value_of(header, "'descr'");
    const char *order = value_of(header, "'fortran_order'");

    SG_CHECK(type != NULL && order != NULL, SG_E_INPUT, "%s: its header cannot be read", path);
    SG_CHECK(strncmp(type, "'<f4'", 5) == 0 || strncmp(type, "'<f8'", 5) == 0, SG_E_INPUT,
             "%s: it holds %.8s; little-endian float32 and float64 are supported", path, type);
    SG_CHECK(strncmp(order, "False", 5) == 0, SG_E_INPUT,
             "%s: it is in Fortran order; save numpy.ascontiguousarray(x)", path);
    *width = type[3] == '4' ? sizeof(float) : sizeof(double);
    SG_TRY(parse_shape(path, value_of(header, "'shape'"), out));
done:
    return status;
}

static sg_status read_header(const char *path, FILE *f, char *header) {
    sg_status status = SG_OK;
    unsigned char start[12] = {0};
    size_t n;

    SG_CHECK(fread(start, 1, 10, f) == 10 && memcmp(start, "\x93NUMPY", 6) == 0, SG_E_INPUT,
             "%s: not a .npy file", path);
    n = (size_t)start[8] | (size_t)start[9] << 8;
    if (start[6] > 1) {
        SG_CHECK(fread(start + 10, 1, 2, f) == 2, SG_E_INPUT, "%s: it is cut off", path);
        n |= (size_t)start[10] << 16 | (size_t)start[11] << 24;
    }
    SG_CHECK(start[6] >= 1 && start[6] <= 3 && n < MAX_HEADER, SG_E_INPUT,
             "%s: its format version %d is not supported", path, start[6]);
    SG_CHECK(fread(header, 1, n, f) == n, SG_E_INPUT, "%s: it is cut off", path);
    header[n] = '\0';
done:
    return status;
}

/* How many bytes follow: a false shape is found before memory is asked for. */
static int64_t bytes_left(FILE *f) {
    const long at = ftell(f);
    long end;

    if (at < 0 || fseek(f, 0, SEEK_END) != 0) {
        return -1;
    }
    end = ftell(f);
    return fseek(f, at, SEEK_SET) == 0 ? (int64_t)end - at : -1;
}

static sg_status read_numbers(const char *path, FILE *f, size_t width, struct sg_npy *out) {
    sg_status status = SG_OK;

    SG_CHECK(bytes_left(f) >= out->n * (int64_t)width, SG_E_INPUT, "%s: it is cut off", path);
    out->data = sg_malloc_aligned((size_t)out->n, sizeof(float));
    SG_CHECK(out->data != NULL, SG_E_NOMEM, "%s: no memory for it", path);
    if (width == sizeof(float)) {
        SG_CHECK(fread(out->data, width, (size_t)out->n, f) == (size_t)out->n, SG_E_INPUT,
                 "%s: it is cut off", path);
    } else {
        for (int64_t i = 0; i < out->n; i++) {
            double d;

            SG_CHECK(fread(&d, sizeof d, 1, f) == 1, SG_E_INPUT, "%s: it is cut off", path);
            out->data[i] = (float)d;
        }
    }
done:
    return status;
}

sg_status sg_npy_read(const char *path, struct sg_npy *out) {
    sg_status status = SG_OK;
    struct sg_npy a = {0};
    FILE *f = fopen(path, "rb");
    char *header = sg_calloc(MAX_HEADER, 1);
    size_t width = 0;

    SG_CHECK(f != NULL, SG_E_ARG, "%s: %s", path, strerror(errno));
    SG_CHECK(header != NULL, SG_E_NOMEM, "%s: no memory for it", path);
    SG_TRY(read_header(path, f, header));
    SG_TRY(parse_header(path, header, &a, &width));
    SG_TRY(read_numbers(path, f, width, &a));
    *out = a;
    a.data = NULL;
done:
    sg_npy_free(&a);
    sg_free(header);
    if (f != NULL) {
        (void)fclose(f);
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
