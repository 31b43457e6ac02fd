/* src/store/join.c - which results can be joined, and the file in front of them. */
#include "store/join_impl.h"

#include "sgdist/memory.h"
#include "sgdist/pack.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- each part by itself ---- */

/* Takes the lines out of an identity that say which items there are. */
static void drop_items(char *text) {
    static const char *const keys[] = {
        "data.folder:", "data.list:",   "data.tar:",    "data.idx:",
        "data.npy:",    "data.npz:",    "data.hdf5:",   "data.hdf5.",
        "data.labels:", "data.labels.", "data.limit:",  "data.indices:",
        "data.items:",  "data.hash:",   "target.hash:", "data:"};
    char *to = text;

    while (*text != '\0') {
        const size_t n = strcspn(text, "\n") + (text[strcspn(text, "\n")] == '\n');
        int drop = 0;

        for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
            drop = drop || strncmp(text, keys[i], strlen(keys[i])) == 0;
        }
        if (!drop) {
            memmove(to, text, n);
            to += n;
        }
        text += n;
    }
    *to = '\0';
}

static sg_status check_kind(const struct sg_member *m) {
    sg_status status = SG_OK;
    const struct sg_dataset *d = sg_reader_find(m->reader, "provenance/complete");
    unsigned char complete = 0;

    SG_CHECK(d != NULL && sg_dataset_bytes(d) == 1 && !d->per_item, SG_E_ARG,
             "%s: is not the result of a study, which alone can be joined", m->path);
    SG_TRY(sg_reader_read(m->reader, d->path, -1, &complete));
    SG_CHECK(complete == 1, SG_E_ARG,
             "%s: is not complete: end its study first (the same command as before goes on)",
             m->path);
    SG_CHECK(sg_reader_find(m->reader, SG_JOINED) == NULL, SG_E_ARG,
             "%s: is joined itself: give the parts that it is joined from", m->path);
    SG_CHECK(!sg_reader_is_half(m->reader), SG_E_ARG,
             "%s: is packed as float16, where each map has a scale: join the results before they "
             "are packed, then pack the joined one",
             m->path);
    SG_TRY(sg_relayout_check(m->path, m->reader));
done:
    return status;
}

static sg_status open_member(struct sg_member *m) {
    sg_status status = SG_OK;
    unsigned char *states = NULL;
    int64_t n;

    SG_TRY(sg_reader_open(m->path, &m->reader));
    SG_TRY(check_kind(m));
    n = sg_reader_n_items(m->reader);
    states = sg_calloc((size_t)n + 1, 1);
    SG_CHECK(states != NULL, SG_E_NOMEM, "%s: no memory for its items", m->path);
    SG_TRY(sg_reader_statuses(m->reader, states));
    for (int64_t i = 0; i < n; i++) {
        m->n_done += states[i] == 1;
    }
    SG_TRY(sg_reader_text(m->reader, "provenance/identity", &m->identity));
    m->common = sg_strdup(m->identity);
    SG_CHECK(m->common != NULL, SG_E_NOMEM, "%s: no memory for its identity", m->path);
    drop_items(m->common);
done:
    sg_free(states);
    return status;
}

/* ---- two parts of one study ---- */

/* The names of files and studies are free: the model is known by its sum, classes by their names.
 */
static const char *skip_names(const char *line) {
    static const char *const keys[] = {"study.name:", "model.file:", "data.class_names:"};

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (strncmp(line, keys[i], strlen(keys[i])) == 0) {
            line += strcspn(line, "\n");
            return skip_names(line + (*line == '\n'));
        }
    }
    return line;
}

/* The first line in which they differ. */
static sg_status compare_identities(const struct sg_member *a, const struct sg_member *b) {
    sg_status status = SG_OK;
    const char *x = skip_names(a->common);
    const char *y = skip_names(b->common);
    size_t n = strcspn(x, "\n");

    while (*x != '\0' && strcspn(y, "\n") == n && strncmp(x, y, n) == 0) {
        x = skip_names(x + n + (x[n] == '\n'));
        y = skip_names(y + n + (y[n] == '\n'));
        n = strcspn(x, "\n");
    }
    SG_CHECK(*x == '\0' && *y == '\0', SG_E_ARG,
             "%s and %s are not of one study: '%.*s' in the one, '%.*s' in the other", a->path,
             b->path, (int)n, x, (int)strcspn(y, "\n"), y);
done:
    return status;
}

/* 1 for what may differ from part to part. */
static int is_free(const char *path) {
    static const char *const fixed[] = {"provenance/model_sha256",  "provenance/tensor",
                                        "provenance/kernel",        "provenance/input",
                                        "provenance/dataset_range", "provenance/seed"};
    static const char *const groups[] = {"provenance/", "performance/", "dataset/", "precision/"};
    int found = strcmp(path, "item") == 0;

    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        if (strcmp(path, fixed[i]) == 0) {
            return 0;
        }
    }
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        found = found || strncmp(path, groups[i], strlen(groups[i])) == 0;
    }
    return found;
}

/* Scales of axes, names of classes, the model: equal byte by byte. */
static sg_status compare_data(const struct sg_member *a, const struct sg_member *b,
                              const struct sg_dataset *d) {
    sg_status status = SG_OK;
    const struct sg_dataset *other = sg_reader_find(b->reader, d->path);
    const int64_t n = sg_dataset_bytes(d);
    char *x = sg_calloc((size_t)n + 1, 1);
    char *y = sg_calloc((size_t)n + 1, 1);
    int same = sg_dataset_bytes(other) == n;

    SG_CHECK(x != NULL && y != NULL, SG_E_NOMEM, "no memory to compare %s", d->path);
    if (same) {
        SG_TRY(sg_reader_read(a->reader, d->path, -1, x));
        SG_TRY(sg_reader_read(b->reader, d->path, -1, y));
        same = memcmp(x, y, (size_t)n) == 0;
    }
    SG_CHECK(same, SG_E_ARG, "%s and %s cannot be joined: %s is not the same in them%s", a->path,
             b->path, d->path,
             strcmp(d->path, "provenance/kernel") == 0
                 ? ", so they were computed by different kernels"
             : strcmp(d->path, "provenance/dataset_range") == 0
                 ? ": noise relative to the range of the data set is relative to another one in "
                   "each (give noise.sigma, or range: domain)"
                 : "");
done:
    sg_free(x);
    sg_free(y);
    return status;
}

/* What `a` holds is alike in `b`; what both hold of the study is the same. */
static sg_status compare_lists(const struct sg_member *a, const struct sg_member *b) {
    sg_status status = SG_OK;

    for (int i = 0; i < sg_reader_n_datasets(a->reader); i++) {
        const struct sg_dataset *d = sg_reader_dataset(a->reader, i);
        const struct sg_dataset *other = sg_reader_find(b->reader, d->path);

        if (!d->per_item && is_free(d->path)) {
            continue;
        }
        SG_CHECK(other != NULL, SG_E_ARG, "%s and %s cannot be joined: %s is in the first alone",
                 a->path, b->path, d->path);
        SG_CHECK(sg_same_kind(d, other), SG_E_ARG,
                 "%s and %s cannot be joined: %s is not alike in them", a->path, b->path, d->path);
        if (!d->per_item) {
            SG_TRY(compare_data(a, b, d));
        }
    }
done:
    return status;
}

static sg_status compare_members(const struct sg_member *a, const struct sg_member *b) {
    sg_status status = SG_OK;

    SG_TRY(compare_identities(a, b));
    SG_TRY(compare_lists(a, b));
    SG_TRY(compare_lists(b, a));
done:
    return status;
}

/* ---- no item twice ---- */

struct key {
    uint64_t key;
    int64_t item;
    int part;
};

static int by_key(const void *x, const void *y) {
    const struct key *a = x;
    const struct key *b = y;

    return a->key != b->key ? (a->key > b->key) - (a->key < b->key)
                            : (a->part > b->part) - (a->part < b->part);
}

static sg_status refuse_twice(const struct sg_join *j, const struct key *k) {
    sg_status status = SG_OK;
    struct sg_reader *r = j->members[k[0].part].reader;
    const struct sg_dataset *d = sg_reader_find(r, "items/id");
    char *name = sg_calloc((size_t)(d != NULL ? sg_dataset_bytes(d) : 0) + 1, 1);

    SG_CHECK(name != NULL, SG_E_NOMEM, "no memory for the name of an item");
    if (d != NULL) {
        SG_TRY(sg_reader_read(r, d->path, k[0].item, name));
    }
    SG_CHECK(0, SG_E_ARG, "item '%s' is in %s and in %s: parts have no item in common", name,
             j->members[k[0].part].path, j->members[k[1].part].path);
done:
    sg_free(name);
    return status;
}

static sg_status check_items(const struct sg_join *j) {
    sg_status status = SG_OK;
    const char *path = "items/noise_key";
    struct key *keys = sg_calloc((size_t)j->n_items + 1, sizeof *keys);
    uint64_t *read = sg_calloc((size_t)j->n_items + 1, sizeof *read);

    SG_CHECK(keys != NULL && read != NULL, SG_E_NOMEM, "no memory for the keys of the items");
    for (int p = 0; p < j->n; p++) {
        const struct sg_dataset *d = sg_reader_find(j->members[p].reader, path);

        SG_CHECK(d != NULL && d->type == SG_TYPE_U64 && d->per_item && d->n_axes == 1, SG_E_FORMAT,
                 "%s: is damaged: the keys of its items are missing", j->members[p].path);
        SG_TRY(sg_reader_read(j->members[p].reader, path, -1, read));
        for (int64_t i = 0; i < j->parts[p].n; i++) {
            keys[j->parts[p].first + i] = (struct key){read[i], i, p};
        }
    }
    qsort(keys, (size_t)j->n_items, sizeof *keys, by_key);
    for (int64_t i = 1; i < j->n_items; i++) {
        if (keys[i].key == keys[i - 1].key && keys[i].part != keys[i - 1].part) {
            SG_TRY(refuse_twice(j, &keys[i - 1]));
        }
    }
done:
    sg_free(keys);
    sg_free(read);
    return status;
}

/* ---- the file ---- */

/* The folder of a path, with its links followed, without a '/' at its end. The caller's, free(). */
static sg_status folder_of(const char *path, char **out) {
    sg_status status = SG_OK;
    const char *end = strrchr(path, '/');
    char folder[SG_PATH_BYTES];
    char *real;

    SG_CHECK(strlen(path) < sizeof folder, SG_E_ARG, "%s: the name is too long", path);
    (void)snprintf(folder, sizeof folder, "%.*s", end != NULL ? (int)(end - path + 1) : 2,
                   end != NULL ? path : "./");
    real = realpath(folder, NULL);
    SG_CHECK(real != NULL, SG_E_IO, "%s: %s", folder, strerror(errno));
    if (strcmp(real, "/") == 0) {
        real[0] = '\0';
    }
    *out = real;
done:
    return status;
}

/* How the joined file names a part. */
static sg_status name_part(const char *folder, const char *path, struct sg_part *part) {
    sg_status status = SG_OK;
    const size_t n = strlen(folder);
    char *real = realpath(path, NULL);
    const char *name = real;

    SG_CHECK(real != NULL, SG_E_IO, "%s: %s", path, strerror(errno));
    if (strncmp(real, folder, n) == 0 && real[n] == '/') {
        name = real + n + 1;
    }
    SG_CHECK(strlen(name) < sizeof part->file && strchr(name, '\n') == NULL, SG_E_ARG,
             "%s: the name is too long, or has more than one line", path);
    (void)snprintf(part->file, sizeof part->file, "%s", name);
done:
    free(real);
    return status;
}

static sg_status name_parts(struct sg_join *j) {
    sg_status status = SG_OK;
    char *folder = NULL;

    SG_TRY(sg_disk_make_parents(j->out));
    SG_TRY(folder_of(j->out, &folder));
    for (int p = 0; p < j->n; p++) {
        SG_TRY(name_part(folder, j->members[p].path, &j->parts[p]));
    }
done:
    free(folder);
    return status;
}

/* The file under which the joined one is made may not be one of the parts. */
static sg_status check_temporary(const struct sg_join *j) {
    sg_status status = SG_OK;
    char temporary[SG_PATH_BYTES];
    struct stat a;
    struct stat b;

    SG_TRY(sg_disk_join(temporary, j->out, ".tmp"));
    for (int p = 0; p < j->n && stat(temporary, &a) == 0; p++) {
        SG_CHECK(stat(j->members[p].path, &b) != 0 || a.st_dev != b.st_dev || a.st_ino != b.st_ino,
                 SG_E_ARG, "%s: %s is made under this name: choose another output, or rename it",
                 j->members[p].path, j->out);
    }
done:
    return status;
}

/* Texts are as long as the longest of all parts. Nobody asks for the fields' places in a record. */
static void widen_texts(struct sg_join *j) {
    for (int i = 0; i < j->layout.record.n_fields; i++) {
        struct sg_field *f = &j->layout.record.fields[i];

        for (int p = 0; p < j->n && f->type == SG_TYPE_TEXT; p++) {
            const struct sg_dataset *d = sg_reader_find(j->members[p].reader, f->path);

            if (d->text_bytes > f->text_bytes) {
                f->bytes = f->bytes / f->text_bytes * d->text_bytes;
                f->text_bytes = d->text_bytes;
            }
        }
    }
}

/* The items are numbered anew; and how a part is packed says nothing of the others. */
static int is_left_out(const char *path) {
    return strcmp(path, "item") == 0 || strcmp(path, SG_PACKED) == 0;
}

static sg_status join_all(struct sg_join *j) {
    sg_status status = SG_OK;
    const struct sg_storage storage = {.n_parts = j->n, .parts = j->parts};
    struct sg_layout layout;

    SG_TRY(check_temporary(j));
    for (int p = 0; p < j->n; p++) {
        SG_TRY(open_member(&j->members[p]));
        if (p > 0) {
            SG_TRY(compare_members(&j->members[0], &j->members[p]));
        }
        j->parts[p].first = j->n_items;
        j->parts[p].n = sg_reader_n_items(j->members[p].reader);
        j->n_items += j->parts[p].n;
    }
    SG_TRY(check_items(j));
    SG_TRY(name_parts(j));
    SG_TRY(sg_relayout_read(j->members[0].path, j->members[0].reader, is_left_out, &j->layout));
    widen_texts(j);
    SG_TRY(sg_join_tables(j));
    layout = (struct sg_layout){.record = &j->layout.record,
                                .n_items = j->n_items,
                                .n_constants = j->layout.n_constants,
                                .constants = j->layout.constants,
                                .title = j->layout.title};
    SG_TRY(sg_result_create_in(j->out, &layout, &storage));
done:
    return status;
}

static void release(struct sg_join *j) {
    for (int p = 0; p < j->n && j->members != NULL; p++) {
        sg_reader_close(j->members[p].reader);
        sg_free(j->members[p].identity);
        sg_free(j->members[p].common);
    }
    for (int i = 0; i < j->layout.n_constants && j->data != NULL; i++) {
        sg_free(j->data[i]);
    }
    sg_free(j->data);
    sg_free(j->members);
    sg_free(j->parts);
    sg_relayout_free(&j->layout);
}

sg_status sg_join(const char *out, int n_parts, const char *const *parts, int64_t *n_items) {
    sg_status status = SG_OK;
    struct sg_join j = {.out = out, .n = n_parts};
    const int files_a_part = 3; /* the reader's, and HDF5's */
    const int is_held = sg_hdf_hold_files((int64_t)files_a_part * n_parts);
    struct stat info;

    SG_CHECK(n_parts >= 1 && n_parts <= SG_MAX_PARTS, SG_E_ARG,
             "%d results cannot be joined: 1 to %d are possible", n_parts, SG_MAX_PARTS);
    SG_CHECK(lstat(out, &info) != 0, SG_E_ARG, "%s exists: remove it, or name another file", out);
    j.members = sg_calloc((size_t)n_parts, sizeof *j.members);
    j.parts = sg_calloc((size_t)n_parts, sizeof *j.parts);
    SG_CHECK(j.members != NULL && j.parts != NULL, SG_E_NOMEM, "no memory for %d results", n_parts);
    for (int p = 0; p < n_parts; p++) {
        j.members[p].path = parts[p];
    }
    SG_CHECK(is_held, SG_E_IO,
             "%d results are more than the limit of open files allows: raise it (ulimit -n)",
             n_parts);
    SG_TRY(join_all(&j));
    *n_items = j.n_items;
done:
    if (is_held) {
        (void)sg_hdf_hold_files(-(int64_t)files_a_part * n_parts);
    }
    release(&j);
    return status;
}
