/* src/data/open.c - lists the items of a source and chooses those that the job names. */
#include "data/data_impl.h"
#include "sgdist/memory.h"

#include <stdio.h>
#include <string.h>

static void free_listing(struct sg_listing *l) {
    sg_strings_free(&l->names);
    sg_free(l->stem);
    sg_free(l->labels);
    sg_free(l->places);
}

/* As many as the sub-folders, or as the labels that the data gives reach. */
static void count_classes(struct sg_items *items, const struct sg_listing *l) {
    items->n_classes = items->classes.n;
    for (int64_t i = 0; items->classes.n == 0 && l->labels != NULL && i < l->n; i++) {
        items->n_classes = l->labels[i] >= items->n_classes ? l->labels[i] + 1 : items->n_classes;
    }
}

/* Lines of a text; a carriage return at the end of a line and empty lines at the end of the text
 * are no part of the names. */
static sg_status split_lines(const char *text, size_t n, struct sg_strings *lines) {
    sg_status status = SG_OK;
    const char *end = text + n;

    while (end > text && strchr("\r\n", end[-1]) != NULL) {
        end--;
    }
    while (text < end) {
        const char *feed = memchr(text, '\n', (size_t)(end - text));
        const char *stop = feed != NULL ? feed : end;
        size_t length = (size_t)(stop - text);

        if (length > 0 && text[length - 1] == '\r') {
            length--;
        }
        SG_TRY(sg_strings_add(lines, text, length));
        text = stop + 1;
    }
done:
    return status;
}

static sg_status read_class_names(const char *path, struct sg_items *items) {
    sg_status status = SG_OK;
    const int exact = items->classes.n > 0; /* sub-folders tell how many there are */
    unsigned char *text = NULL;
    size_t n = 0;

    if (path == NULL) {
        return SG_OK;
    }
    status = sg_read_whole(path, SG_E_JOB, 1, &text, &n);
    SG_TRY(status);
    SG_CHECK(n > 0 && memchr(text, 0, n) == NULL, SG_E_JOB,
             "data.class_names: %s is empty, or no text file", path);
    sg_strings_free(&items->classes);
    SG_TRY(split_lines((const char *)text, n, &items->classes));
    SG_CHECK(items->classes.n >= items->n_classes &&
                 (!exact || items->classes.n == items->n_classes),
             SG_E_JOB, "data.class_names: %s has %lld names for %lld classes: one a line is wanted",
             path, (long long)items->classes.n, (long long)items->n_classes);
    items->n_classes = items->classes.n;
done:
    sg_free(text);
    return status;
}

static sg_status add_item(struct sg_items *items, const struct sg_listing *l, int64_t position) {
    sg_status status = SG_OK;
    const int64_t i = items->names.n;
    char index[32];
    char *name = NULL;

    if (l->stem == NULL) {
        const char *file = sg_strings_at(&l->names, position);

        SG_TRY(sg_strings_add(&items->names, file, strlen(file)));
    } else {
        const size_t n_stem = strlen(l->stem);
        const int n = snprintf(index, sizeof index, "%lld", (long long)position);

        name = sg_calloc(n_stem + (size_t)n + 1, 1);
        SG_CHECK(name != NULL, SG_E_NOMEM, "no memory for a name");
        memcpy(name, l->stem, n_stem);
        memcpy(name + n_stem, index, (size_t)n);
        SG_TRY(sg_strings_add(&items->names, name, n_stem + (size_t)n));
    }
    items->positions[i] = position;
    if (l->places != NULL) {
        items->places[i] = l->places[position];
    }
    items->labels[i] = l->labels != NULL ? l->labels[position] : -1;
done:
    sg_free(name);
    return status;
}

static sg_status check_indices(const struct sg_data_options *options, const struct sg_listing *l) {
    sg_status status = SG_OK;

    for (int64_t i = 0; i < options->n_indices; i++) {
        SG_CHECK(options->indices[i] >= 0 && options->indices[i] < l->n, SG_E_JOB,
                 "data.indices: %lld is out of range: there are items 0 to %lld",
                 (long long)options->indices[i], (long long)l->n - 1);
    }
done:
    return status;
}

/* The whole list: what can be large changes hands instead of being copied. */
static sg_status take_all(struct sg_listing *l, struct sg_items *items) {
    sg_status status = SG_OK;

    items->names = l->names;
    items->labels = l->labels;
    items->places = l->places;
    l->names = (struct sg_strings){0};
    l->labels = NULL;
    l->places = NULL;
    if (items->labels == NULL) {
        items->labels = sg_calloc((size_t)l->n, sizeof *items->labels);
        SG_CHECK(items->labels != NULL, SG_E_NOMEM, "no memory for the list of items");
        memset(items->labels, 0xff, (size_t)l->n * sizeof *items->labels); /* -1 */
    }
    for (int64_t i = 0; i < l->n; i++) {
        items->positions[i] = i;
    }
done:
    return status;
}

static sg_status take_some(const struct sg_data_options *options, const struct sg_listing *l,
                           int64_t n, struct sg_items *items) {
    sg_status status = SG_OK;

    items->labels = sg_calloc((size_t)n, sizeof *items->labels);
    items->places = l->places != NULL ? sg_calloc((size_t)n, sizeof *items->places) : NULL;
    SG_CHECK(items->labels != NULL && (l->places == NULL || items->places != NULL), SG_E_NOMEM,
             "no memory for a list of %lld items", (long long)n);
    for (int64_t i = 0; i < n; i++) {
        SG_TRY(add_item(items, l, options->n_indices > 0 ? options->indices[i] : i));
    }
done:
    return status;
}

/* `indices` first, then the first `limit` of them. */
static sg_status choose(const struct sg_data_options *options, struct sg_listing *l,
                        struct sg_items *items) {
    sg_status status = SG_OK;
    int64_t n = options->n_indices > 0 ? options->n_indices : l->n;

    n = options->limit > 0 && options->limit < n ? options->limit : n;
    SG_TRY(check_indices(options, l));
    items->has_places = l->places != NULL;
    items->positions = sg_calloc((size_t)n, sizeof *items->positions);
    SG_CHECK(items->positions != NULL, SG_E_NOMEM, "no memory for a list of %lld items",
             (long long)n);
    if (options->n_indices == 0 && n == l->n && l->stem == NULL) {
        SG_TRY(take_all(l, items));
    } else {
        SG_TRY(take_some(options, l, n, items));
    }
done:
    return status;
}

sg_status sg_items_open(const struct sg_data_options *options, const struct sg_shape *input,
                        struct sg_items **out) {
    sg_status status = SG_OK;
    struct sg_items *items = NULL;
    struct sg_listing l = {0};

    SG_CHECK(options->limit >= 0, SG_E_JOB, "data.limit: is %lld, must be 0 (all) or more",
             (long long)options->limit);
    SG_TRY(sg_items_create(options, input, &items));
    SG_TRY(items->kind->list(items, options, &l));
    count_classes(items, &l);
    SG_TRY(read_class_names(options->class_names, items));
    SG_TRY(sg_items_check_fit(items));
    SG_TRY(choose(options, &l, items));
    SG_TRY(sg_items_check_keys(items));
    *out = items;
    items = NULL;
done:
    free_listing(&l);
    sg_items_close(items);
    return status;
}
