/* src/store/join_tables.c - what a joined result holds beside its items: most of it is the same in
 * all parts; here is what is not. */
#include "store/join_impl.h"

#include "sgdist/memory.h"
#include "sgdist/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char runs_start[] = "provenance/runs/start";

static int64_t bytes_of(const struct sg_constant *c) {
    int64_t bytes = sg_type_bytes(c->type, c->text_bytes);

    for (int i = 0; i < c->n_axes; i++) {
        bytes *= c->axes[i].length;
    }
    return bytes;
}

/* ---- statistics over the data set ---- */

/* out[n] = a table "dataset/<label>/<name>" of one part. */
static sg_status read_floats(const struct sg_member *m, const char *path, int64_t n, float *out) {
    sg_status status = SG_OK;
    const struct sg_dataset *d = sg_reader_find(m->reader, path);

    SG_CHECK(d != NULL && d->type == SG_TYPE_F32 && !d->per_item && sg_dataset_bytes(d) == 4 * n,
             SG_E_FORMAT, "%s: is damaged: %s is missing or of another size", m->path, path);
    SG_TRY(sg_reader_read(m->reader, path, -1, out));
done:
    return status;
}

/* mean[n] = the mean over the items of all parts of what has the means of each at `path`. */
static sg_status pool_means(const struct sg_join *j, const char *path, int64_t n, float *buf,
                            double *mean) {
    sg_status status = SG_OK;
    int64_t n_items = 0;

    memset(mean, 0, (size_t)n * sizeof *mean);
    for (int p = 0; p < j->n; p++) {
        const double count = (double)j->members[p].n_done;

        SG_TRY(read_floats(&j->members[p], path, n, buf));
        for (int64_t i = 0; i < n && count > 0; i++) {
            mean[i] += count * (double)buf[i];
        }
        n_items += j->members[p].n_done;
    }
    for (int64_t i = 0; i < n && n_items > 0; i++) {
        mean[i] /= (double)n_items;
    }
done:
    return status;
}

/* std[n]: the squares within the parts, and those of their means around the common one. */
static sg_status pool_deviations(const struct sg_join *j, const char *path, const char *mean_path,
                                 int64_t n, float *buf, double *mean, double *squares) {
    sg_status status = SG_OK;
    int64_t n_items = 0;

    SG_TRY(pool_means(j, mean_path, n, buf, mean));
    memset(squares, 0, (size_t)n * sizeof *squares);
    for (int p = 0; p < j->n; p++) {
        const double count = (double)j->members[p].n_done;

        if (count == 0) {
            continue;
        }
        SG_TRY(read_floats(&j->members[p], path, n, buf));
        for (int64_t i = 0; i < n; i++) {
            squares[i] += (count - 1) * (double)buf[i] * (double)buf[i];
        }
        SG_TRY(read_floats(&j->members[p], mean_path, n, buf));
        for (int64_t i = 0; i < n; i++) {
            squares[i] += count * ((double)buf[i] - mean[i]) * ((double)buf[i] - mean[i]);
        }
        n_items += j->members[p].n_done;
    }
    for (int64_t i = 0; i < n; i++) {
        squares[i] = n_items > 1 ? sqrt(squares[i] / (double)(n_items - 1)) : 0;
    }
done:
    return status;
}

static sg_status pool(const struct sg_join *j, const char *path, int64_t n, float *out) {
    sg_status status = SG_OK;
    const char *name = strrchr(path, '/') + 1;
    float *buf = sg_calloc((size_t)n, sizeof *buf);
    double *mean = sg_calloc((size_t)n, sizeof *mean);
    double *squares = sg_calloc((size_t)n, sizeof *squares);
    const int is_std = strcmp(name, "std") == 0;
    char mean_path[SG_MAX_PATH + 1];

    SG_CHECK(buf != NULL && mean != NULL && squares != NULL, SG_E_NOMEM, "no memory for %s", path);
    (void)snprintf(mean_path, sizeof mean_path, "%.*smean", (int)(name - path), path);
    SG_TRY(is_std ? pool_deviations(j, path, mean_path, n, buf, mean, squares)
                  : pool_means(j, path, n, buf, mean));
    for (int64_t i = 0; i < n; i++) {
        out[i] = (float)(is_std ? squares[i] : mean[i]);
    }
done:
    sg_free(squares);
    sg_free(mean);
    sg_free(buf);
    return status;
}

/* ---- the runs of all parts, in the order of their starts ---- */

struct row {
    double start;
    int part;
    int64_t row;
};

static int by_start(const void *x, const void *y) {
    const struct row *a = x;
    const struct row *b = y;

    return a->start != b->start ? (a->start > b->start) - (a->start < b->start)
           : a->part != b->part ? (a->part > b->part) - (a->part < b->part)
                                : (a->row > b->row) - (a->row < b->row);
}

/* The rows that are kept, at most n_rows of them: the first, and the last of the others, as in any
 * result. *n of rows[], which is the caller's. */
static sg_status find_rows(const struct sg_join *j, int64_t n_rows, struct row **rows, int64_t *n) {
    sg_status status = SG_OK;
    struct row *list = sg_calloc((size_t)(j->n * n_rows) + 1, sizeof *list);
    double *starts = sg_calloc((size_t)n_rows, sizeof *starts);

    *n = 0;
    SG_CHECK(list != NULL && starts != NULL, SG_E_NOMEM, "no memory for the list of runs");
    for (int p = 0; p < j->n; p++) {
        const struct sg_dataset *d = sg_reader_find(j->members[p].reader, runs_start);

        SG_CHECK(d != NULL && d->type == SG_TYPE_F64 && d->n_axes == 1 && d->axes[0] == n_rows,
                 SG_E_FORMAT, "%s: is damaged: its list of runs is missing", j->members[p].path);
        SG_TRY(sg_reader_read(j->members[p].reader, runs_start, -1, starts));
        for (int64_t i = 0; i < n_rows; i++) {
            if (starts[i] > 0) {
                list[(*n)++] = (struct row){starts[i], p, i};
            }
        }
    }
    qsort(list, (size_t)*n, sizeof *list, by_start);
    if (*n > n_rows) {
        memmove(list + 1, list + *n - (n_rows - 1), (size_t)(n_rows - 1) * sizeof *list);
        *n = n_rows;
    }
    *rows = list;
    list = NULL;
done:
    sg_free(list);
    sg_free(starts);
    return status;
}

static sg_status merge_rows(const struct sg_join *j, const struct sg_constant *c, char *out) {
    sg_status status = SG_OK;
    const int64_t n_rows = c->axes[0].length;
    const int64_t bytes = bytes_of(c) / n_rows;
    char *whole = sg_calloc((size_t)bytes_of(c), 1);
    struct row *rows = NULL;
    int64_t n = 0;

    SG_CHECK(whole != NULL, SG_E_NOMEM, "no memory for %s", c->path);
    SG_TRY(find_rows(j, n_rows, &rows, &n));
    memset(out, 0, (size_t)bytes_of(c));
    for (int64_t i = 0; i < n; i++) {
        const struct sg_member *m = &j->members[rows[i].part];
        const struct sg_dataset *d = sg_reader_find(m->reader, c->path);

        SG_CHECK(d != NULL && d->type == c->type && sg_dataset_bytes(d) == bytes_of(c), SG_E_FORMAT,
                 "%s: is damaged: %s is missing or of another size", m->path, c->path);
        SG_TRY(sg_reader_read(m->reader, c->path, -1, whole));
        memcpy(out + i * bytes, whole + rows[i].row * bytes, (size_t)bytes);
    }
done:
    sg_free(whole);
    sg_free(rows);
    return status;
}

/* ---- texts ---- */

static sg_status put_text(struct sg_constant *c, const char *text, void **data) {
    sg_status status = SG_OK;

    sg_free(*data);
    *data = sg_strdup(text);
    SG_CHECK(*data != NULL, SG_E_NOMEM, "no memory for %s", c->path);
    c->text_bytes = (int64_t)strlen(text);
done:
    return status;
}

static sg_status put_identity(const struct sg_join *j, struct sg_constant *c, void **data) {
    sg_status status = SG_OK;
    struct sg_text text = {0};

    sg_text_add(&text, "%sdata: of several results\n", j->members[0].common);
    SG_CHECK(!text.failed, SG_E_NOMEM, "no memory for %s", c->path);
    SG_TRY(put_text(c, text.data, data));
done:
    sg_text_free(&text);
    return status;
}

/* ---- all of it ---- */

static int begins(const char *path, const char *group) {
    return strncmp(path, group, strlen(group)) == 0;
}

static sg_status make_data(const struct sg_join *j, struct sg_constant *c, void **data) {
    sg_status status = SG_OK;
    const int64_t bytes = bytes_of(c);

    *data = sg_calloc((size_t)bytes + 1, 1);
    SG_CHECK(*data != NULL, SG_E_NOMEM, "no memory for %s", c->path);
    if (strcmp(c->path, "provenance/identity") == 0) {
        SG_TRY(put_identity(j, c, data));
    } else if (begins(c->path, "dataset/")) {
        SG_TRY(pool(j, c->path, bytes / (int64_t)sizeof(float), *data));
    } else if ((begins(c->path, "provenance/runs/") || begins(c->path, "performance/")) &&
               c->n_axes > 0 && c->axes[0].length > 0) {
        SG_TRY(merge_rows(j, c, *data));
    } else {
        SG_TRY(sg_reader_read(j->members[0].reader, c->path, -1, *data));
    }
    c->data = *data;
done:
    return status;
}

sg_status sg_join_tables(struct sg_join *j) {
    sg_status status = SG_OK;
    struct sg_relayout *r = &j->layout;
    struct sg_constant *parts = &r->constants[r->n_constants];
    struct sg_text text = {0};

    *parts = (struct sg_constant){
        .path = SG_JOINED,
        .about = "the results that this one is joined from, in the "
                 "order of their items: file, number of items, hash of its identity",
        .type = SG_TYPE_TEXT};
    j->data = sg_calloc((size_t)r->n_constants + 1, sizeof *j->data);
    SG_CHECK(j->data != NULL, SG_E_NOMEM, "%s: no memory to join it", j->out);
    for (int i = 0; i < r->n_constants; i++) {
        SG_TRY(make_data(j, &r->constants[i], &j->data[i]));
    }
    for (int p = 0; p < j->n; p++) {
        sg_joined_add(&text, &j->parts[p], j->members[p].identity);
    }
    SG_CHECK(!text.failed, SG_E_NOMEM, "%s: no memory to join it", j->out);
    r->n_constants++;
    SG_TRY(put_text(parts, text.data, &j->data[r->n_constants - 1]));
    parts->data = j->data[r->n_constants - 1];
done:
    sg_text_free(&text);
    return status;
}
