/* src/store/match.c - which items of two results belong together, and whether the results are of
 * one job. */
#include "store/compare_impl.h"

#include "sgdist/memory.h"

#include <stdlib.h>
#include <string.h>

static const char id_path[] = "items/id";

struct named {
    const char *name;
    int64_t index;
};

static int by_name(const void *x, const void *y) {
    const struct named *a = x;
    const struct named *b = y;
    const int order = strcmp(a->name, b->name);

    return order != 0 ? order : (a->index > b->index) - (a->index < b->index);
}

static int by_a(const void *x, const void *y) {
    const int64_t a = ((const struct sg_pair *)x)->a;
    const int64_t b = ((const struct sg_pair *)y)->a;

    return (a > b) - (a < b);
}

/* All names of a file, NUL-terminated, n * *bytes; the caller's. NULL where the file has none. */
static sg_status read_names(struct sg_reader *r, char **out, int64_t *bytes) {
    sg_status status = SG_OK;
    const struct sg_dataset *d = sg_reader_find(r, id_path);
    const int64_t n = sg_reader_n_items(r);
    char *names = NULL;

    *out = NULL;
    if (d == NULL || d->type != SG_TYPE_TEXT || !d->per_item || d->n_axes != 1) {
        return SG_OK;
    }
    *bytes = d->text_bytes + 1;
    names = sg_calloc((size_t)n, (size_t)*bytes);
    SG_CHECK(names != NULL, SG_E_NOMEM, "no memory for the names of the items");
    SG_TRY(sg_reader_read(r, id_path, -1, names));
    for (int64_t i = n - 1; i >= 0; i--) { /* spread out, so that each has its NUL */
        memmove(names + i * *bytes, names + i * d->text_bytes, (size_t)d->text_bytes);
        names[i * *bytes + d->text_bytes] = '\0';
    }
    *out = names;
    names = NULL;
done:
    sg_free(names);
    return status;
}

static struct named *sorted(const char *names, int64_t bytes, int64_t n) {
    struct named *list = sg_calloc((size_t)n, sizeof *list);

    for (int64_t i = 0; list != NULL && i < n; i++) {
        list[i] = (struct named){names + i * bytes, i};
    }
    if (list != NULL) {
        qsort(list, (size_t)n, sizeof *list, by_name);
    }
    return list;
}

/* Merges the sorted lists; the k-th item of a name meets the k-th of that name. */
static void merge(struct sg_walk *w, const struct named *a, int64_t n_a, const struct named *b,
                  int64_t n_b) {
    for (int64_t i = 0, k = 0; i < n_a && k < n_b;) {
        const int order = strcmp(a[i].name, b[k].name);

        if (order == 0) {
            w->pairs[w->n_pairs++] = (struct sg_pair){.a = a[i++].index, .b = b[k++].index};
        } else if (order < 0) {
            i++;
        } else {
            k++;
        }
    }
    qsort(w->pairs, (size_t)w->n_pairs, sizeof *w->pairs, by_a);
}

static sg_status match_names(struct sg_walk *w) {
    sg_status status = SG_OK;
    const int64_t n_a = sg_reader_n_items(w->a);
    const int64_t n_b = sg_reader_n_items(w->b);
    char *b_names = NULL;
    int64_t b_bytes = 0;
    struct named *a = NULL;
    struct named *b = NULL;

    SG_TRY(read_names(w->a, &w->ids, &w->id_bytes));
    SG_TRY(read_names(w->b, &b_names, &b_bytes));
    w->pairs = sg_calloc((size_t)(n_a < n_b ? n_a : n_b), sizeof *w->pairs);
    SG_CHECK(w->pairs != NULL, SG_E_NOMEM, "no memory for the list of items");
    if (w->ids != NULL && b_names != NULL) {
        a = sorted(w->ids, w->id_bytes, n_a);
        b = sorted(b_names, b_bytes, n_b);
        SG_CHECK(a != NULL && b != NULL, SG_E_NOMEM, "no memory for the names of the items");
        merge(w, a, n_a, b, n_b);
    } else {
        sg_text_add(&w->out->notes, "items are matched by place: a file has no %s\n", id_path);
        for (int64_t i = 0; i < n_a && i < n_b; i++) {
            w->pairs[w->n_pairs++] = (struct sg_pair){.a = i, .b = i};
        }
    }
    w->out->n_items_a = n_a;
    w->out->n_items_b = n_b;
    w->out->n_common = w->n_pairs;
done:
    sg_free(a);
    sg_free(b);
    sg_free(b_names);
    return status;
}

/* Data of an item counts only where both files say that it is there. */
static sg_status read_states(struct sg_walk *w) {
    sg_status status = SG_OK;
    const int64_t n_a = sg_reader_n_items(w->a);
    const int64_t n_b = sg_reader_n_items(w->b);
    unsigned char *states = sg_calloc((size_t)(n_a + n_b), 1);

    SG_CHECK(states != NULL, SG_E_NOMEM, "no memory for the states of the items");
    SG_TRY(sg_reader_statuses(w->a, states));
    SG_TRY(sg_reader_statuses(w->b, states + n_a));
    for (int64_t k = 0; k < w->n_pairs; k++) {
        const int a = states[w->pairs[k].a] == 0;
        const int b = states[n_a + w->pairs[k].b] == 0;

        w->pairs[k].compare = !a && !b;
        w->out->n_compared += !a && !b;
        w->out->n_pending_a += a && !b;
        w->out->n_pending_b += b && !a;
        w->out->n_pending_both += a && b;
    }
done:
    sg_free(states);
    return status;
}

sg_status sg_walk_match(struct sg_walk *w) {
    sg_status status = SG_OK;

    SG_TRY(match_names(w));
    SG_TRY(read_states(w));
done:
    return status;
}

/* A line "key: value". */
struct line {
    const char *key;
    int key_length;
    const char *value;
    int value_length;
};

/* The line at `at`; returns where the next one begins. */
static const char *read_line(const char *at, struct line *out) {
    const int length = (int)strcspn(at, "\n");
    const char *colon = memmem(at, (size_t)length, ": ", 2);
    const int key_length = colon != NULL ? (int)(colon - at) : length;
    const int skip = colon != NULL ? key_length + 2 : length;

    *out = (struct line){at, key_length, at + skip, length - skip};
    return at + length + (at[length] == '\n');
}

static int find_key(const char *text, const struct line *key, struct line *out) {
    for (const char *at = text; *at != '\0';) {
        at = read_line(at, out);
        if (out->key_length == key->key_length &&
            memcmp(out->key, key->key, (size_t)key->key_length) == 0) {
            return 1;
        }
    }
    return 0;
}

static int is_same_value(const struct line *a, const struct line *b) {
    return a->value_length == b->value_length &&
           memcmp(a->value, b->value, (size_t)a->value_length) == 0;
}

/* Keys of `from` that `other` has not, or (where from is A's) with another value. */
static void note_lines(const char *from, const char *other, const char *file, struct sg_text *out) {
    const int is_a = file[0] == 'A';

    for (const char *at = from; *at != '\0';) {
        struct line mine;
        struct line its;

        at = read_line(at, &mine);
        if (!find_key(other, &mine, &its)) {
            sg_text_add(out, "the jobs differ: %.*s: %.*s in %s alone\n", mine.key_length, mine.key,
                        mine.value_length, mine.value, file);
        } else if (is_a && !is_same_value(&mine, &its)) {
            sg_text_add(out, "the jobs differ: %.*s: %.*s in A, %.*s in B\n", mine.key_length,
                        mine.key, mine.value_length, mine.value, its.value_length, its.value);
        }
    }
}

sg_status sg_walk_identities(struct sg_walk *w) {
    static const char path[] = "provenance/identity";
    sg_status status = SG_OK;
    char *a = NULL;
    char *b = NULL;

    if (sg_reader_find(w->a, path) == NULL || sg_reader_find(w->b, path) == NULL) {
        return SG_OK;
    }
    SG_TRY(sg_reader_text(w->a, path, &a));
    SG_TRY(sg_reader_text(w->b, path, &b));
    note_lines(a, b, "A", &w->out->notes);
    note_lines(b, a, "B", &w->out->notes);
done:
    sg_free(a);
    sg_free(b);
    return status;
}
