/* src/store/compare.c - walks two results side by side. */
#include "sgdist/compare.h"

#include "store/compare_impl.h"
#include "store/store_impl.h"

#include "sgdist/memory.h"

#include <stdio.h>
#include <string.h>

/* What a result is: the groups that are compared, ... */
static const char *const compared_groups[] = {"items/", "maps/", "convergence/", "dataset/"};

/* ... and what may differ between two runs of one job: the place of an item in the file and the
 * circumstances of its computation. provenance/ and performance/ are in no compared group. */
static const char *const excluded[] = {"item",           "items/id",        "items/seconds",
                                       "items/forwards", "items/backwards", "items/started",
                                       "items/host",     "items/rank",      "items/team"};

static const char status_path[] = "items/status";

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
static sg_status compare_part(struct sg_walk *w, const struct sg_dataset *a,
                              const struct sg_dataset *b, const struct sg_pair *pair, char *buf_a,
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

static sg_status compare_data(struct sg_walk *w, const struct sg_dataset *a,
                              const struct sg_dataset *b, struct sg_difference *d) {
    sg_status status = SG_OK;
    const struct sg_pair whole = {.a = -1, .b = -1};
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
static sg_status compare_dataset(struct sg_walk *w, const struct sg_dataset *a,
                                 const struct sg_dataset *b) {
    sg_status status = SG_OK;
    struct sg_difference d = {0};

    (void)snprintf(d.path, sizeof d.path, "%s", a != NULL ? a->path : b->path);
    if (a == NULL || b == NULL) {
        (void)snprintf(d.note, sizeof d.note, "is missing in %s", a == NULL ? "A" : "B");
    } else if (!sg_same_kind(a, b)) {
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
static sg_status compare_all(struct sg_walk *w) {
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

sg_status sg_compare(const char *a, const char *b, const struct sg_tolerance *tolerance,
                     struct sg_comparison *out) {
    sg_status status = SG_OK;
    struct sg_comparison c = {0};
    struct sg_walk w = {.tolerance = tolerance, .out = &c};

    SG_TRY(sg_reader_open(a, &w.a));
    SG_TRY(sg_reader_open(b, &w.b));
    SG_TRY(sg_walk_match(&w));
    SG_TRY(compare_all(&w));
    SG_TRY(sg_walk_identities(&w));
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
