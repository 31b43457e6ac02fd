/* src/data/list.c - images that a text file lists: a path a line, and behind it perhaps the number
 * of its class. */
#include "data/data_impl.h"
#include "sgdist/memory.h"
#include "sgdist/text.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* A list in the making. */
struct lines {
    const char *path;
    int64_t number; /* of the line at hand, from 1 */
    struct sg_listing *out;
    int64_t capacity; /* of out->labels */
};

static int is_blank(char c) {
    return c == ' ' || c == '\t';
}

/* The class number that ends a line of n bytes, and the bytes in front of it: what stands behind
 * the last blank, if these are digits alone. A name may hold blanks itself. */
static sg_status take_label(const struct lines *l, const char *line, size_t *n, int32_t *label) {
    sg_status status = SG_OK;
    size_t start = *n;
    int64_t value = 0;
    char digits[24];

    *label = -1;
    while (start > 0 && isdigit((unsigned char)line[start - 1])) {
        start--;
    }
    if (start == *n || start == 0 || !is_blank(line[start - 1])) {
        return SG_OK;
    }
    (void)snprintf(digits, sizeof digits, "%.*s", (int)(*n - start), line + start);
    SG_CHECK(*n - start < sizeof digits && sg_text_to_int(digits, &value) == SG_OK &&
                 value <= INT32_MAX,
             SG_E_JOB, "data.list: %s:%lld: '%s' is no class number: they are 0 to 2147483647",
             l->path, (long long)l->number, digits);
    *label = (int32_t)value;
    *n = start;
    while (*n > 0 && is_blank(line[*n - 1])) {
        (*n)--;
    }
done:
    return status;
}

static sg_status add_label(struct lines *l, int32_t label) {
    sg_status status = SG_OK;
    struct sg_listing *out = l->out;

    if (out->n == l->capacity) {
        const int64_t grown = l->capacity > 0 ? 2 * l->capacity : 256;
        int32_t *labels = sg_realloc(out->labels, (size_t)grown, sizeof *labels);

        SG_CHECK(labels != NULL, SG_E_NOMEM, "no memory for the list of items");
        out->labels = labels;
        l->capacity = grown;
    }
    out->labels[out->n++] = label;
done:
    return status;
}

/* A line of n bytes, without its end. "./a.png" and "a.png" are one name. */
static sg_status add_line(struct lines *l, const char *line, size_t n) {
    sg_status status = SG_OK;
    char where[600];
    int32_t label;

    while (n > 0 && is_blank(line[n - 1])) {
        n--;
    }
    while (n > 0 && is_blank(line[0])) {
        line++;
        n--;
    }
    if (n == 0 || line[0] == '#') {
        return SG_OK;
    }
    SG_TRY(take_label(l, line, &n, &label));
    while (n > 2 && line[0] == '.' && line[1] == '/') {
        line += 2;
        n -= 2;
    }
    SG_TRY(sg_strings_add(&l->out->names, line, n));
    (void)snprintf(where, sizeof where, "data.list: %s:%lld", l->path, (long long)l->number);
    SG_TRY(sg_check_name(where, sg_strings_at(&l->out->names, l->out->n)));
    SG_TRY(add_label(l, label));
done:
    return status;
}

static sg_status add_lines(struct lines *l, const char *text, size_t n) {
    sg_status status = SG_OK;
    const char *const end = text + n;

    while (text < end) {
        const char *feed = memchr(text, '\n', (size_t)(end - text));
        const char *stop = feed != NULL ? feed : end;

        l->number++;
        SG_TRY(add_line(l, text, (size_t)(stop - text) - (stop > text && stop[-1] == '\r')));
        text = stop + 1;
    }
done:
    return status;
}

static sg_status list(struct sg_items *items, const struct sg_data_options *options,
                      struct sg_listing *out) {
    sg_status status = SG_OK;
    struct lines l = {.path = options->path, .out = out};
    unsigned char *text = NULL;
    size_t n = 0;

    status = sg_read_whole(options->path, SG_E_INPUT, 0, &text, &n);
    SG_TRY(sg_source_refuse(items, status));
    SG_CHECK(memchr(text, 0, n) == NULL, SG_E_JOB, "data.list: %s is no text file", options->path);
    SG_TRY(add_lines(&l, (const char *)text, n));
    SG_CHECK(out->n > 0, SG_E_JOB, "data.list: %s names no image: one path a line is wanted",
             options->path);
done:
    sg_free(text);
    return status;
}

/* Paths start at the list's own folder. For the caller (sg_free), or NULL. */
static char *file_path(const struct sg_items *items, int64_t i) {
    const char *name = sg_strings_at(&items->names, i);
    const char *slash = strrchr(items->path, '/');
    const int n_folder = slash != NULL && name[0] != '/' ? (int)(slash - items->path) + 1 : 0;
    struct sg_text path = {0};

    sg_text_add(&path, "%.*s%s", n_folder, items->path, name);
    if (path.failed) {
        sg_text_free(&path);
    }
    return path.data;
}

static sg_status read_file(struct sg_items *items, int64_t i, struct sg_image *out) {
    return sg_decode_file(file_path(items, i), out);
}

static void prefetch(struct sg_items *items, int64_t i) {
    sg_prefetch_file(file_path(items, i));
}

const struct sg_source_kind sg_source_list = {
    .name = "list", .list = list, .read = read_file, .prefetch = prefetch};
