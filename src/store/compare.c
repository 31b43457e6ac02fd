/* src/store/compare.c - walks two results side by side. */
#include "sgdist/compare.h"

#include "store/compare_impl.h"

#include "sgdist/memory.h"
#include "sgdist/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a result is: the groups that are compared, ... */
static const char *const compared_groups[] = {"items/", "maps/", "convergence/", "dataset/"};

/* ... and what may differ between two runs of one job: the place of an item in the file and the
 * circumstances of its computation. provenance/ and performance/ are in no compared group. */
static const char *const excluded[] = {"item",       "items/id",   "items/seconds", "items/started",
                                       "items/host", "items/rank", "items/team"};

static const char status_path[] = "items/status";
static const char id_path[] = "items/id";

/* An item of both files. */
struct pair {
    int64_t a;
    int64_t b;
    int compare; /* 0: pending in one of them */
};

struct walk {
    struct sg_reader *a;
    struct sg_reader *b;
    const struct sg_tolerance *tolerance;
    struct sg_comparison *out;
    char *ids; /* names of A's items, id_bytes each; NULL if it has none */
    int64_t id_bytes;
    int64_t n_pairs;
    struct pair *pairs; /* in A's order */
};

static int is_compared(const char *path) {
    for (size_t i = 0; i < sizeof excluded / sizeof excluded[0]; i++) {
        if (strcmp(path, excluded[i]) == 0) {
            return 0;
        }
    }
    for (size_t i = 0; i < sizeof compared_groups / sizeof compared_groups[0]; i++) {
        if (strncmp(path, compared_groups[i], strlen(compared_groups[i])) == 0) {
            return 1;
        }
    }
    return strchr(path, '/') == NULL; /* the scales of the axes */
}

static sg_status add_difference(struct sg_comparison *c, const struct sg_difference *d) {
    sg_status status = SG_OK;

    if (c->n_differences == c->capacity) {
        const int capacity = c->capacity > 0 ? 2 * c->capacity : 16;
        struct sg_difference *grown = sg_realloc(c->differences, (size_t)capacity, sizeof *grown);

        SG_CHECK(grown != NULL, SG_E_NOMEM, "no memory for the list of differences");
        c->differences = grown;
        c->capacity = capacity;
    }
    c->differences[c->n_differences++] = *d;
done:
    return status;
}

/* ---- matching items by name ---- */

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
    const int64_t a = ((const struct pair *)x)->a;
    const int64_t b = ((const struct pair *)y)->a;

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
static void merge(struct walk *w, const struct named *a, int64_t n_a, const struct named *b,
                  int64_t n_b) {
    for (int64_t i = 0, k = 0; i < n_a && k < n_b;) {
        const int order = strcmp(a[i].name, b[k].name);

        if (order == 0) {
            w->pairs[w->n_pairs++] = (struct pair){.a = a[i++].index, .b = b[k++].index};
        } else if (order < 0) {
            i++;
        } else {
            k++;
        }
    }
    qsort(w->pairs, (size_t)w->n_pairs, sizeof *w->pairs, by_a);
}

static sg_status match_items(struct walk *w) {
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
            w->pairs[w->n_pairs++] = (struct pair){.a = i, .b = i};
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
static sg_status read_states(struct walk *w) {
    sg_status status = SG_OK;
    const int64_t n_a = sg_reader_n_items(w->a);
    const int64_t n_b = sg_reader_n_items(w->b);
    unsigned char *states = sg_calloc((size_t)(n_a + n_b), 1);

    SG_CHECK(states != NULL, SG_E_NOMEM, "no memory for the states of the items");
    SG_TRY(sg_reader_read(w->a, status_path, -1, states));
    SG_TRY(sg_reader_read(w->b, status_path, -1, states + n_a));
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

/* ---- datasets ---- */

/* "[512,1,28,28]"; the item axis, which may differ, as "item". */
static void shape_text(const struct sg_dataset *d, char *buf, size_t cap) {
    size_t used = (size_t)snprintf(buf, cap, "%s[", d->per_item ? "[item]" : "");

    for (int i = d->per_item; i < d->n_axes && used < cap; i++) {
        used += (size_t)snprintf(buf + used, cap - used, "%s%lld", i > d->per_item ? "," : "",
                                 (long long)d->axes[i]);
    }
    if (used < cap) {
        (void)snprintf(buf + used, cap - used, "]");
    }
}

static int same_kind(const struct sg_dataset *a, const struct sg_dataset *b) {
    int same = a->type == b->type && a->n_axes == b->n_axes && a->per_item == b->per_item;

    for (int i = a->per_item; same && i < a->n_axes; i++) {
        same = a->axes[i] == b->axes[i];
    }
    return same;
}

static void note_kind(const struct sg_dataset *a, const struct sg_dataset *b,
                      struct sg_difference *d) {
    char shape_a[96];
    char shape_b[96];

    shape_text(a, shape_a, sizeof shape_a);
    shape_text(b, shape_b, sizeof shape_b);
    if (a->type != b->type) {
        (void)snprintf(d->note, sizeof d->note, "is of different types");
    } else {
        (void)snprintf(d->note, sizeof d->note, "is %.70s in A, %.70s in B", shape_a, shape_b);
    }
}

/* Compares one part (an item's, or with i < 0 the whole) through the buffers. */
static sg_status compare_part(struct walk *w, const struct sg_dataset *a,
                              const struct sg_dataset *b, const struct pair *pair, char *buf_a,
                              char *buf_b, struct sg_difference *d) {
    sg_status status = SG_OK;
    struct sg_piece piece = {.type = a->type,
                             .a_bytes = sg_type_bytes(a->type, a->text_bytes),
                             .b_bytes = sg_type_bytes(b->type, b->text_bytes),
                             .a = buf_a,
                             .b = buf_b,
                             .tolerance = w->tolerance};
    const int first = d->n_elements == 0;

    piece.n = sg_dataset_bytes(a) / piece.a_bytes;
    SG_TRY(sg_reader_read(w->a, a->path, pair->a, buf_a));
    SG_TRY(sg_reader_read(w->b, b->path, pair->b, buf_b));
    if (sg_compare_piece(&piece, d) > 0) {
        d->n_items++;
        if (first && pair->a >= 0) {
            (void)snprintf(d->first_item, sizeof d->first_item, "%.79s",
                           w->ids != NULL ? w->ids + pair->a * w->id_bytes : "");
        }
    }
done:
    return status;
}

static sg_status compare_data(struct walk *w, const struct sg_dataset *a,
                              const struct sg_dataset *b, struct sg_difference *d) {
    sg_status status = SG_OK;
    const struct pair whole = {.a = -1, .b = -1};
    const int is_status = strcmp(a->path, status_path) == 0;
    char *buf_a = sg_calloc((size_t)sg_dataset_bytes(a), 1);
    char *buf_b = sg_calloc((size_t)sg_dataset_bytes(b), 1);

    SG_CHECK(buf_a != NULL && buf_b != NULL, SG_E_NOMEM, "no memory to compare %s", a->path);
    for (int64_t k = 0; k < w->n_pairs && a->per_item; k++) {
        if (w->pairs[k].compare || is_status) {
            SG_TRY(compare_part(w, a, b, &w->pairs[k], buf_a, buf_b, d));
        }
    }
    if (!a->per_item) {
        SG_TRY(compare_part(w, a, b, &whole, buf_a, buf_b, d));
    }
done:
    sg_free(buf_a);
    sg_free(buf_b);
    return status;
}

/* A dataset of one or both files. */
static sg_status compare_dataset(struct walk *w, const struct sg_dataset *a,
                                 const struct sg_dataset *b) {
    sg_status status = SG_OK;
    struct sg_difference d = {0};

    (void)snprintf(d.path, sizeof d.path, "%s", a != NULL ? a->path : b->path);
    if (a == NULL || b == NULL) {
        (void)snprintf(d.note, sizeof d.note, "is missing in %s", a == NULL ? "A" : "B");
    } else if (!same_kind(a, b)) {
        note_kind(a, b, &d);
    } else {
        w->out->n_datasets++;
        SG_TRY(compare_data(w, a, b, &d));
    }
    if (d.note[0] != '\0' || d.n_elements > 0) {
        SG_TRY(add_difference(w->out, &d));
    }
done:
    return status;
}

/* Both lists are in order of path. */
static sg_status compare_all(struct walk *w) {
    sg_status status = SG_OK;
    const int n_a = sg_reader_n_datasets(w->a);
    const int n_b = sg_reader_n_datasets(w->b);

    for (int i = 0, k = 0; i < n_a || k < n_b;) {
        const struct sg_dataset *a = i < n_a ? sg_reader_dataset(w->a, i) : NULL;
        const struct sg_dataset *b = k < n_b ? sg_reader_dataset(w->b, k) : NULL;
        const int order = a == NULL ? 1 : b == NULL ? -1 : strcmp(a->path, b->path);

        i += order <= 0;
        k += order >= 0;
        if (is_compared(order <= 0 ? a->path : b->path)) {
            SG_TRY(compare_dataset(w, order <= 0 ? a : NULL, order >= 0 ? b : NULL));
        }
    }
done:
    return status;
}

/* ---- identities ---- */

/* 1 if the text has exactly this line (of n bytes). */
static int has_line(const char *text, const char *line, size_t n) {
    for (const char *at = text; *at != '\0';) {
        const size_t length = strcspn(at, "\n");

        if (length == n && memcmp(at, line, n) == 0) {
            return 1;
        }
        at += length + (at[length] == '\n');
    }
    return 0;
}

static void note_lines(const char *from, const char *other, const char *file, struct sg_text *out) {
    for (const char *at = from; *at != '\0';) {
        const size_t length = strcspn(at, "\n");

        if (!has_line(other, at, length)) {
            sg_text_add(out, "the jobs differ: %s has %.*s\n", file, (int)length, at);
        }
        at += length + (at[length] == '\n');
    }
}

static sg_status compare_identities(struct walk *w) {
    static const char path[] = "provenance/echo";
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

sg_status sg_compare(const char *a, const char *b, const struct sg_tolerance *tolerance,
                     struct sg_comparison *out) {
    sg_status status = SG_OK;
    struct sg_comparison c = {0};
    struct walk w = {.tolerance = tolerance, .out = &c};

    SG_TRY(sg_reader_open(a, &w.a));
    SG_TRY(sg_reader_open(b, &w.b));
    SG_TRY(match_items(&w));
    SG_TRY(read_states(&w));
    SG_TRY(compare_all(&w));
    SG_TRY(compare_identities(&w));
    SG_CHECK(!c.notes.failed, SG_E_NOMEM, "no memory for the notes of a comparison");
    *out = c;
    c = (struct sg_comparison){0};
done:
    sg_comparison_free(&c);
    sg_free(w.pairs);
    sg_free(w.ids);
    sg_reader_close(w.b);
    sg_reader_close(w.a);
    return status;
}

void sg_comparison_free(struct sg_comparison *c) {
    sg_free(c->differences);
    sg_text_free(&c->notes);
    *c = (struct sg_comparison){0};
}

int sg_comparison_is_equal(const struct sg_comparison *c) {
    return c->n_differences == 0 && c->n_items_a == c->n_common && c->n_items_b == c->n_common;
}
