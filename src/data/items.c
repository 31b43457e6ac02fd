/* src/data/items.c - the chosen items: names, keys, labels, loading. */
#include "data/data_impl.h"
#include "sgdist/memory.h"
#include "sgdist/text.h"

#include <stdlib.h>
#include <string.h>

sg_status sg_items_create(const struct sg_data_options *options, const struct sg_shape *input,
                          struct sg_items **out) {
    sg_status status = SG_OK;
    struct sg_items *items = sg_calloc(1, sizeof *items);

    SG_CHECK(items != NULL, SG_E_NOMEM, "no memory for the list of items");
    items->kind = sg_source_find(options->source);
    items->preprocess = options->preprocess;
    items->input = *input;
    items->path = sg_strdup(options->path);
    items->array_name = sg_strdup(options->array);
    SG_CHECK(items->path != NULL && (options->array == NULL || items->array_name != NULL),
             SG_E_NOMEM, "no memory for the list of items");
    *out = items;
    items = NULL;
done:
    sg_items_close(items);
    return status;
}

void sg_items_close(struct sg_items *items) {
    if (items == NULL) {
        return;
    }
    sg_stream_close(items->stream);
    sg_h5_close(items->h5);
    sg_free(items->buffer);
    sg_strings_free(&items->names);
    sg_strings_free(&items->classes);
    sg_strings_free(&items->files);
    sg_free(items->labels);
    sg_free(items->positions);
    sg_free(items->places);
    sg_free(items->path);
    sg_free(items->array_name);
    sg_free(items);
}

struct key {
    uint64_t key;
    int64_t item;
};

static int compare_keys(const void *a, const void *b) {
    const struct key *p = a;
    const struct key *q = b;

    if (p->key != q->key) {
        return p->key < q->key ? -1 : 1;
    }
    return (p->item > q->item) - (p->item < q->item);
}

static sg_status check_unique(const struct sg_items *items, struct key *sorted) {
    sg_status status = SG_OK;

    qsort(sorted, (size_t)items->names.n, sizeof *sorted, compare_keys);
    for (int64_t i = 1; i < items->names.n; i++) {
        const char *a = sg_strings_at(&items->names, sorted[i - 1].item);
        const char *b = sg_strings_at(&items->names, sorted[i].item);
        const int same_key = sorted[i].key == sorted[i - 1].key;

        const int64_t p = items->positions[sorted[i - 1].item];
        const int64_t q = items->positions[sorted[i].item];

        SG_CHECK(!same_key || p != q, SG_E_JOB,
                 "data.indices: names the item %s (position %lld) twice", a, (long long)q);
        SG_CHECK(!same_key || strcmp(a, b) != 0, SG_E_JOB,
                 "data.%s: %s names the item %s twice (positions %lld and %lld)", items->kind->name,
                 items->path, a, (long long)p, (long long)q);
        SG_CHECK(!same_key, SG_E_JOB,
                 "data: the names %s and %s have the same hash, so their noise would be the same: "
                 "rename one of them",
                 a, b);
    }
done:
    return status;
}

sg_status sg_items_check_keys(const struct sg_items *items) {
    sg_status status = SG_OK;
    const int64_t n = items->names.n;
    struct key *sorted = sg_calloc((size_t)n, sizeof *sorted);

    SG_CHECK(sorted != NULL, SG_E_NOMEM, "no memory for %lld keys", (long long)n);
    for (int64_t i = 0; i < n; i++) {
        sorted[i] = (struct key){sg_items_key(items, i), i};
    }
    SG_TRY(check_unique(items, sorted));
done:
    sg_free(sorted);
    return status;
}

int64_t sg_items_count(const struct sg_items *items) {
    return items->names.n;
}

const char *sg_items_name(const struct sg_items *items, int64_t i) {
    return sg_strings_at(&items->names, i);
}

uint64_t sg_items_key(const struct sg_items *items, int64_t i) {
    const char *name = sg_strings_at(&items->names, i);

    return sg_hash64(name, strlen(name));
}

int64_t sg_items_label(const struct sg_items *items, int64_t i) {
    SG_ASSERT(i >= 0 && i < items->names.n);
    return items->labels[i];
}

int64_t sg_items_n_classes(const struct sg_items *items) {
    return items->n_classes;
}

const char *sg_items_class_name(const struct sg_items *items, int64_t k) {
    return k >= 0 && k < items->classes.n ? sg_strings_at(&items->classes, k) : NULL;
}

int64_t sg_items_max_name(const struct sg_items *items) {
    size_t longest = 0;

    for (int64_t i = 0; i < items->names.n; i++) {
        const size_t n = strlen(sg_strings_at(&items->names, i));

        longest = n > longest ? n : longest;
    }
    return (int64_t)longest;
}

const char *sg_items_file(const struct sg_items *items, int64_t k) {
    return k < items->files.n ? sg_strings_at(&items->files, k) : NULL;
}

int64_t sg_items_bytes(const struct sg_items *items) {
    const int64_t n = items->names.n;
    const int64_t each =
        (int64_t)(sizeof *items->labels + sizeof *items->positions + sizeof *items->names.start) +
        (items->places != NULL ? (int64_t)sizeof *items->places : 0);
    const int64_t item =
        items->array.n_axes > 0 ? sg_array_item_bytes(&items->array) + items->array.cache_bytes : 0;

    return n * each + items->names.n_bytes + items->classes.n_bytes + item;
}

sg_status sg_items_load(struct sg_items *items, int64_t i, float *x) {
    sg_status status = SG_OK;
    struct sg_image image = {0};

    SG_ASSERT(i >= 0 && i < items->names.n);
    SG_TRY(items->kind->read(items, i, &image));
    SG_TRY(sg_preprocess_run(&items->preprocess, &items->input, &image, x));
done:
    sg_image_free(&image);
    if (status == SG_E_INPUT) {
        status = sg_fail(SG_E_INPUT, __FILE__, __LINE__, "%s: %s", sg_items_name(items, i),
                         sg_trace_message());
    }
    return status;
}

void sg_items_prefetch(struct sg_items *items, int64_t i) {
    SG_ASSERT(i >= 0 && i < items->names.n);
    items->kind->prefetch(items, i);
}
