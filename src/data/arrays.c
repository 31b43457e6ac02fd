/* src/data/arrays.c - arrays in files as items: IDX and .npy files, plain or .gz, and members of
 * .npz archives. */
#include "data/data_impl.h"
#include "sgdist/memory.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

sg_status sg_array_stem(const char *path, const char *array, char **out) {
    sg_status status = SG_OK;
    const char *slash = strrchr(path, '/');
    const char *base = slash != NULL ? slash + 1 : path;
    size_t n = strlen(base);
    char *stem;

    if (n > 3 && strcasecmp(base + n - 3, ".gz") == 0) {
        n -= 3;
    }
    stem = sg_calloc(n + (array != NULL ? strlen(array) : 0) + 3, 1);
    SG_CHECK(stem != NULL, SG_E_NOMEM, "no memory for a name");
    (void)sprintf(stem, "%.*s%s%s#", (int)n, base, array != NULL ? "/" : "",
                  array != NULL ? array : "");
    *out = stem;
done:
    return status;
}

/* The head of a .npy or an IDX file: they begin differently. */
static sg_status read_head(struct sg_stream *s, int wants_npy, struct sg_array *out) {
    unsigned char first = 0;

    if (!wants_npy && sg_stream_read(s, 0, &first, 1) == SG_OK && first == 0x93) {
        wants_npy = 1;
    }
    return wants_npy ? sg_npy_head(s, out) : sg_idx_head(s, out);
}

/* ---- the list ---- */

/* The items' array; a member of an archive is looked for, and its name kept. */
static sg_status open_array(struct sg_items *items, const char *labels) {
    sg_status status = SG_OK;
    const int is_npz = items->kind == &sg_source_npz;
    char found[256];

    SG_TRY(sg_stream_open(items->path, !is_npz, SG_E_INPUT, &items->stream));
    if (is_npz) {
        SG_TRY(sg_npz_enter(items->stream, items->array_name, labels, found, sizeof found));
        sg_free(items->array_name);
        items->array_name = sg_strdup(found);
        SG_CHECK(items->array_name != NULL, SG_E_NOMEM, "no memory for a name");
    }
    SG_TRY(items->kind == &sg_source_idx ? sg_idx_head(items->stream, &items->array)
                                         : sg_npy_head(items->stream, &items->array));
done:
    return status;
}

/* All that can be wrong with the numbers' place; packed ones are unpacked once for it. */
static sg_status check_numbers(struct sg_items *items) {
    sg_status status = SG_OK;
    const struct sg_array *a = &items->array;

    SG_CHECK(a->axes[0] > 0, SG_E_INPUT, "it is empty: axis 0 has length 0");
    SG_TRY(sg_stream_check_end(items->stream, a->data_at + a->axes[0] * sg_array_item_bytes(a)));
done:
    return status;
}

static sg_status read_labels(const char *path, const char *member, int64_t *n, int32_t **labels) {
    sg_status status = SG_OK;
    struct sg_stream *s = NULL;
    struct sg_array a;

    status = sg_stream_open(path, member == NULL, SG_E_INPUT, &s);
    if (status == SG_OK && member != NULL) {
        status = sg_npz_enter(s, member, NULL, NULL, 0);
    }
    if (status == SG_OK) {
        status = read_head(s, member != NULL, &a);
    }
    SG_CHECK(status != SG_E_INPUT, SG_E_JOB, "data.labels: %s: %s", path, sg_trace_message());
    SG_TRY(status);
    SG_TRY(sg_array_read_labels(&a, s, member != NULL ? member : path, n, labels));
done:
    sg_stream_close(s);
    return status;
}

static sg_status add_labels(const struct sg_items *items, const char *labels,
                            struct sg_listing *out) {
    sg_status status = SG_OK;
    const int is_member = items->kind == &sg_source_npz;
    int64_t n = 0;

    if (labels == NULL) {
        return SG_OK;
    }
    SG_TRY(
        read_labels(is_member ? items->path : labels, is_member ? labels : NULL, &n, &out->labels));
    SG_CHECK(n == out->n, SG_E_JOB, "data.labels: %s has %lld labels for %lld images", labels,
             (long long)n, (long long)out->n);
done:
    return status;
}

static sg_status list(struct sg_items *items, const struct sg_data_options *options,
                      struct sg_listing *out) {
    sg_status status = SG_OK;

    SG_TRY(sg_source_refuse(items, open_array(items, options->labels)));
    SG_CHECK(items->array.n_axes > 0, SG_E_JOB, "data.%s: %s is a single number, not an array",
             items->kind->name, items->path);
    SG_TRY(sg_array_fit(&items->array, options->layout, &items->input, items->kind->name));
    SG_TRY(sg_source_refuse(items, check_numbers(items)));
    out->n = items->array.axes[0];
    SG_TRY(sg_array_stem(items->path, items->array_name, &out->stem));
    SG_TRY(add_labels(items, options->labels, out));
done:
    return status;
}

/* ---- one item ---- */

static sg_status reopen(struct sg_items *items) {
    sg_status status = SG_OK;

    if (items->buffer == NULL) {
        items->buffer = sg_calloc((size_t)sg_array_item_bytes(&items->array), 1);
        SG_CHECK(items->buffer != NULL, SG_E_NOMEM, "no memory for an item");
    }
    if (items->stream == NULL) {
        const int is_npz = items->kind == &sg_source_npz;

        SG_TRY(sg_stream_open(items->path, !is_npz, SG_E_INPUT, &items->stream));
        if (is_npz) {
            SG_TRY(sg_npz_enter(items->stream, items->array_name, NULL, NULL, 0));
        }
    }
done:
    if (status != SG_OK) {
        sg_stream_close(items->stream);
        items->stream = NULL;
    }
    return status;
}

static sg_status read_item(struct sg_items *items, int64_t i, struct sg_image *out) {
    sg_status status = SG_OK;
    const int64_t bytes = sg_array_item_bytes(&items->array);

    status = reopen(items);
    if (status == SG_OK) {
        status = sg_stream_read(items->stream, items->array.data_at + items->positions[i] * bytes,
                                items->buffer, (size_t)bytes);
    }
    SG_CHECK(status != SG_E_INPUT, SG_E_INPUT, "%s: %s", items->path, sg_trace_message());
    SG_TRY(status);
    SG_TRY(sg_array_item(&items->array, items->buffer, out));
done:
    return status;
}

static void prefetch(struct sg_items *items, int64_t i) {
    const int64_t bytes = sg_array_item_bytes(&items->array);

    if (items->stream != NULL) {
        sg_stream_prefetch(items->stream, items->array.data_at + items->positions[i] * bytes,
                           bytes);
    }
}

const struct sg_source_kind sg_source_idx = {
    .name = "idx", .list = list, .read = read_item, .prefetch = prefetch};
const struct sg_source_kind sg_source_npy = {
    .name = "npy", .list = list, .read = read_item, .prefetch = prefetch};
const struct sg_source_kind sg_source_npz = {
    .name = "npz", .list = list, .read = read_item, .prefetch = prefetch};
