/* src/data/idx.c - IDX files (the format of MNIST), plain or gzip: images and labels.
 *
 * Big-endian: two zero bytes, the type (8: unsigned byte), the number of axes, one 32-bit length an
 * axis, then the values. zlib reads plain files as well, so there is one way for both. */
#include "data/data_impl.h"
#include "sgdist/memory.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { MAX_AXES = 4, TYPE_UBYTE = 8 };

struct header {
    int n_axes;
    int64_t axes[MAX_AXES];
    int64_t bytes;
};

/* zlib's message without the path that it puts in front. */
static const char *gz_reason(gzFile f) {
    int code = Z_OK;
    const char *message = gzerror(f, &code);
    const char *colon = strrchr(message, ':');

    if (code == Z_ERRNO || code == Z_OK) {
        return code == Z_OK ? "it ends too early" : strerror(errno);
    }
    return colon != NULL && colon[1] == ' ' ? colon + 2 : message;
}

/* A folder opens, and then reads as nothing: say so at once. */
static sg_status open_file(const char *key, const char *path, gzFile *out) {
    sg_status status = SG_OK;
    struct stat st;

    SG_CHECK(stat(path, &st) == 0, SG_E_JOB, "%s: %s: %s", key, path, strerror(errno));
    SG_CHECK(S_ISREG(st.st_mode), SG_E_JOB, "%s: %s is not a regular file", key, path);
    *out = gzopen(path, "rb");
    SG_CHECK(*out != NULL, SG_E_JOB, "%s: %s cannot be opened: %s", key, path, strerror(errno));
done:
    return status;
}

static int64_t big_endian(const unsigned char *b) {
    return (int64_t)((uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3]);
}

/* Reads the header of unsigned bytes with min_axes to max_axes axes, none of them empty. */
static sg_status read_header(const char *key, const char *path, gzFile f, int min_axes,
                             int max_axes, struct header *h) {
    sg_status status = SG_OK;
    unsigned char b[4 + 4 * MAX_AXES];

    SG_CHECK(gzread(f, b, 4) == 4, SG_E_JOB, "%s: %s has no IDX header: %s", key, path,
             gz_reason(f));
    SG_CHECK(b[0] == 0 && b[1] == 0 && b[3] >= 1 && b[3] <= MAX_AXES, SG_E_JOB,
             "%s: %s is not an IDX file", key, path);
    SG_CHECK(b[2] == TYPE_UBYTE, SG_E_JOB,
             "%s: %s holds values of type 0x%02x, only unsigned bytes (0x08) are read", key, path,
             b[2]);
    h->n_axes = b[3];
    SG_CHECK(h->n_axes >= min_axes && h->n_axes <= max_axes, SG_E_JOB,
             "%s: %s has %d axes, %d%s wanted", key, path, h->n_axes, min_axes,
             min_axes == max_axes ? " is" : " or 4 are");
    SG_CHECK(gzread(f, b + 4, 4U * (unsigned)h->n_axes) == 4 * h->n_axes, SG_E_JOB,
             "%s: the header of %s: %s", key, path, gz_reason(f));
    for (int a = 0; a < h->n_axes; a++) {
        h->axes[a] = big_endian(b + 4 + 4 * a);
        SG_CHECK(h->axes[a] > 0, SG_E_JOB, "%s: %s is empty: axis %d has length 0", key, path, a);
    }
    h->bytes = 4 + 4 * h->n_axes;
done:
    return status;
}

/* The file must end here. At the end of gzip data its checksum was verified; if it lacks its own
 * end, zlib only notes that beside. */
static sg_status check_end(const char *key, const char *path, gzFile f) {
    sg_status status = SG_OK;
    unsigned char byte;
    const int got = gzread(f, &byte, 1);
    int code = Z_OK;

    (void)gzerror(f, &code);
    SG_CHECK(got <= 0, SG_E_JOB, "%s: %s is longer than its header says", key, path);
    SG_CHECK(got == 0 && code == Z_OK, SG_E_JOB, "%s: %s is damaged or cut short: %s", key, path,
             gz_reason(f));
done:
    return status;
}

/* Passes over all values, which must be `bytes`. */
static sg_status check_length(const char *key, const char *path, gzFile f, int64_t bytes) {
    sg_status status = SG_OK;
    unsigned char last;

    SG_CHECK(gzseek(f, bytes - 1, SEEK_CUR) >= 0 && gzread(f, &last, 1) == 1, SG_E_JOB,
             "%s: %s is damaged or cut short: %s", key, path, gz_reason(f));
    SG_TRY(check_end(key, path, f));
done:
    return status;
}

static sg_status image_layout(const char *path, const struct header *h, struct sg_idx *idx) {
    sg_status status = SG_OK;
    const int last = h->n_axes == 4 && h->axes[1] != 1 && h->axes[1] != 3;
    const int64_t *axes = h->axes;

    *idx = (struct sg_idx){.n = axes[0], .header_bytes = h->bytes, .channels_last = last};
    idx->channels = h->n_axes == 3 ? 1 : axes[last ? 3 : 1];
    idx->rows = axes[h->n_axes == 3 || last ? 1 : 2];
    idx->columns = axes[h->n_axes == 3 || last ? 2 : 3];
    SG_CHECK(idx->channels == 1 || idx->channels == 3, SG_E_JOB,
             "data.idx: %s has images of neither 1 nor 3 channels", path);
    SG_CHECK(idx->columns <= SG_MAX_PIXELS / idx->rows, SG_E_JOB,
             "data.idx: %s has images of more than %lld pixels", path, (long long)SG_MAX_PIXELS);
done:
    return status;
}

sg_status sg_idx_check(const char *path, struct sg_idx *out) {
    sg_status status = SG_OK;
    struct header h;
    gzFile f = NULL;

    SG_TRY(open_file("data.idx", path, &f));
    SG_TRY(read_header("data.idx", path, f, 3, 4, &h));
    SG_TRY(image_layout(path, &h, out));
    SG_TRY(check_length("data.idx", path, f, out->n * out->channels * out->rows * out->columns));
done:
    if (f != NULL) {
        (void)gzclose(f);
    }
    return status;
}

/* Values are read in pieces, so that memory follows the file and not what its header claims. */
static sg_status read_labels(const char *path, gzFile f, int64_t n, int32_t **out) {
    enum { PIECE = 65536 };
    sg_status status = SG_OK;
    unsigned char *piece = sg_calloc(PIECE, 1);
    int32_t *labels = NULL;

    SG_CHECK(piece != NULL, SG_E_NOMEM, "no memory for labels");
    for (int64_t at = 0; at < n; at += PIECE) {
        const int64_t want = n - at < PIECE ? n - at : PIECE;
        int32_t *grown;

        SG_CHECK(gzread(f, piece, (unsigned)want) == want, SG_E_JOB,
                 "data.labels: %s is damaged or cut short: %s", path, gz_reason(f));
        grown = sg_realloc(labels, (size_t)(at + want), sizeof *labels);
        SG_CHECK(grown != NULL, SG_E_NOMEM, "no memory for %lld labels", (long long)n);
        labels = grown;
        for (int64_t i = 0; i < want; i++) {
            labels[at + i] = piece[i];
        }
    }
    SG_TRY(check_end("data.labels", path, f));
    *out = labels;
    labels = NULL;
done:
    sg_free(piece);
    sg_free(labels);
    return status;
}

sg_status sg_idx_labels(const char *path, int64_t *n, int32_t **labels) {
    sg_status status = SG_OK;
    struct header h;
    gzFile f = NULL;

    SG_TRY(open_file("data.labels", path, &f));
    SG_TRY(read_header("data.labels", path, f, 1, 1, &h));
    SG_TRY(read_labels(path, f, h.axes[0], labels));
    *n = h.axes[0];
done:
    if (f != NULL) {
        (void)gzclose(f);
    }
    return status;
}

/* Planes of channels, [3][rows][columns], to [rows][columns][3]. */
static sg_status interleave(struct sg_image *image) {
    sg_status status = SG_OK;
    struct sg_image mixed = {0};
    const int64_t plane = image->width * image->height;

    SG_TRY(sg_image_create(&mixed, image->width, image->height, image->channels));
    for (int64_t i = 0; i < plane * image->channels; i++) {
        mixed.pixels[i % plane * image->channels + i / plane] = image->pixels[i];
    }
    sg_image_free(image);
    *image = mixed;
done:
    return status;
}

sg_status sg_idx_read(const char *path, const struct sg_idx *idx, gzFile *file, int64_t index,
                      struct sg_image *out) {
    sg_status status = SG_OK;
    const int64_t bytes = idx->channels * idx->rows * idx->columns;
    struct sg_image image = {0};

    if (*file == NULL) {
        *file = gzopen(path, "rb");
        SG_CHECK(*file != NULL, SG_E_INPUT, "%s cannot be opened: %s", path, strerror(errno));
    }
    SG_TRY(sg_image_create(&image, idx->columns, idx->rows, (int)idx->channels));
    SG_CHECK(gzseek(*file, idx->header_bytes + index * bytes, SEEK_SET) >= 0 &&
                 gzread(*file, image.pixels, (unsigned)bytes) == bytes,
             SG_E_INPUT, "%s cannot be read: %s", path, gz_reason(*file));
    if (idx->channels > 1 && !idx->channels_last) {
        SG_TRY(interleave(&image));
    }
    *out = image;
    image.pixels = NULL;
done:
    if (status == SG_E_INPUT && *file != NULL) {
        (void)gzclose(*file); /* A fresh start may help the next item. */
        *file = NULL;
    }
    sg_image_free(&image);
    return status;
}

sg_status sg_idx_stem(const char *path, char **out) {
    sg_status status = SG_OK;
    const char *slash = strrchr(path, '/');
    const char *base = slash != NULL ? slash + 1 : path;
    size_t length = strlen(base);
    char *stem;

    if (length > 3 && strcasecmp(base + length - 3, ".gz") == 0) {
        length -= 3;
    }
    stem = sg_calloc(length + 2, 1);
    SG_CHECK(stem != NULL, SG_E_NOMEM, "no memory for a name");
    memcpy(stem, base, length);
    stem[length] = '#';
    *out = stem;
done:
    return status;
}
