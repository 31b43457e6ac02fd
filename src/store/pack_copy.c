/* src/store/pack_copy.c - the data of a packed result, written through HDF5's filters a piece at a
 * time: memory is that of a few items, whatever the size of the result. */
#include "store/pack_impl.h"

#include "sgdist/memory.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Above a tenth, the rounding adds half a percent to the standard error. */
static const double largest_map_by_se = 0.1;

struct target {
    struct sg_pack *pack;
    hid_t file;
};

/* ---- writing ---- */

/* What HDF5 was asked to write before may have failed with errno, which was 0: a full disk. */
static sg_status check_written(const struct sg_pack *p, int failed, const char *what) {
    sg_status status = SG_OK;
    char reason[256];

    if (failed && errno != 0) {
        SG_TRY(sg_disk_error("writing failed", p->temporary));
    }
    SG_CHECK(!failed, SG_E_IO, "%s: writing %s failed (HDF5: %s)", p->temporary, what,
             sg_hdf_reason(reason, sizeof reason));
done:
    return status;
}

/* The space of n rows of the first axis, and in the file's the choice of them; of all of it with
 * first -1. It has the file's axes, without which HDF5 looks up the place of every element. */
static hid_t memory_space(hid_t space, int64_t first, int64_t n) {
    hsize_t start[SG_MAX_FIELD_AXES + 1] = {0};
    hsize_t count[SG_MAX_FIELD_AXES + 1];

    if (first < 0) {
        return H5Scopy(space);
    }
    if (H5Sget_simple_extent_dims(space, count, NULL) < 0) {
        return H5I_INVALID_HID;
    }
    start[0] = (hsize_t)first;
    count[0] = (hsize_t)n;
    return H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL) < 0
               ? H5I_INVALID_HID
               : H5Screate_simple(H5Sget_simple_extent_ndims(space), count, NULL);
}

/* n rows of the first axis from `first` on; with first -1 all. */
static sg_status write_rows(const struct target *t, hid_t dataset, const char *path, int64_t first,
                            int64_t n, const void *rows) {
    sg_status status;
    const hid_t type = H5Dget_type(dataset);
    const hid_t space = H5Dget_space(dataset);
    const hid_t memory = memory_space(space, first, n);
    int failed;

    errno = 0;
    failed = memory < 0 || (H5Sget_select_npoints(space) > 0 &&
                            H5Dwrite(dataset, type, memory, space, H5P_DEFAULT, rows) < 0);
    status = check_written(t->pack, failed, path);
    (void)H5Sclose(memory);
    (void)H5Sclose(space);
    (void)H5Tclose(type);
    return status;
}

static sg_status open_dataset(const struct target *t, const char *path, hid_t *out) {
    sg_status status = SG_OK;
    char reason[256];

    *out = H5Dopen2(t->file, path, H5P_DEFAULT);
    SG_CHECK(*out >= 0, SG_E_IO, "%s: %s cannot be opened (HDF5: %s)", t->pack->temporary, path,
             sg_hdf_reason(reason, sizeof reason));
done:
    return status;
}

/* What is still in the cache of the dataset is written now, so that a full disk is told of. */
static sg_status close_dataset(const struct target *t, hid_t dataset, sg_status before) {
    int failed;

    errno = 0;
    failed = dataset >= 0 && H5Dclose(dataset) < 0;
    return before != SG_OK ? before : check_written(t->pack, failed, "a dataset's last piece");
}

/* ---- bit for bit ---- */

/* Rows that lie in one piece, so that each is packed once. */
static int64_t rows_at_a_time(const struct sg_pack *p, const struct sg_dataset *d) {
    int64_t chunk[SG_MAX_FIELD_AXES + 1];

    return sg_packing_chunk(&p->packing, d, chunk) ? chunk[0] : d->axes[0];
}

static sg_status copy_items(const struct target *t, const struct sg_dataset *d, hid_t dataset) {
    sg_status status = SG_OK;
    struct sg_pack *p = t->pack;
    const int64_t most = rows_at_a_time(p, d);
    const int64_t bytes = sg_dataset_bytes(d);
    char *rows = sg_calloc((size_t)most, (size_t)bytes);

    SG_CHECK(rows != NULL, SG_E_NOMEM, "no memory to pack %s", d->path);
    for (int64_t first = 0; first < d->axes[0]; first += most) {
        const int64_t n = d->axes[0] - first < most ? d->axes[0] - first : most;

        for (int64_t i = 0; i < n; i++) {
            SG_TRY(sg_reader_read(p->from, d->path, first + i, rows + i * bytes));
        }
        SG_TRY(write_rows(t, dataset, d->path, first, n, rows));
        SG_TRY(sg_pack_tick(p, SG_PACK_WRITING, n * bytes));
    }
done:
    sg_free(rows);
    return status;
}

static sg_status copy_whole(const struct target *t, const struct sg_dataset *d, hid_t dataset) {
    sg_status status = SG_OK;
    const int64_t bytes = sg_dataset_bytes(d);
    void *data = sg_calloc((size_t)bytes, 1);

    SG_CHECK(data != NULL, SG_E_NOMEM, "no memory to pack %s", d->path);
    SG_TRY(sg_reader_read(t->pack->from, d->path, -1, data));
    SG_TRY(write_rows(t, dataset, d->path, -1, 0, data));
    SG_TRY(sg_pack_tick(t->pack, SG_PACK_WRITING, bytes));
done:
    sg_free(data);
    return status;
}

/* ---- float16 ---- */

enum { SCALE = SG_ROUNDINGS, COLUMNS }; /* what is stored beside: the roundings, the scale */

/* A float16 dataset on its way: a piece of rows, and of each column beside it. */
struct half {
    const struct sg_dataset *d;
    const char *se;  /* the standard error of a map, or NULL */
    int64_t n;       /* numbers of an item, */
    int64_t n_parts; /* in so many parts with a scale each */
    int64_t n_rows;
    float *exact;   /* [n] */
    float *error;   /* [n] */
    float *rounded; /* [n] */
    uint16_t *rows; /* [n_rows][n] */
    hid_t datasets[COLUMNS];
    float *columns[COLUMNS]; /* [n_rows][n_parts]; NULL: this kind has it not */
};

/* What rounding did to a part. */
static void measure(const struct half *h, int64_t at, int64_t n, double out[SG_ROUNDINGS]) {
    double change = 0;
    double size = 0;
    double error = 0;
    double most = NAN;

    for (int64_t i = at; i < at + n; i++) {
        const double v = (double)h->exact[i];
        const double by = fabs((double)h->rounded[i] - v);
        const double se = h->se != NULL ? (double)h->error[i] : 0;

        if (!isfinite(v)) {
            continue;
        }
        change += by * by;
        size += v * v;
        if (se > 0 && isfinite(se)) {
            error += se * se;
            most = fmax(most, by / se);
        }
    }
    out[SG_ROUNDING_MAP] = size > 0 ? sqrt(change / size) : 0;
    out[SG_ROUNDING_SE] = out[SG_ROUNDING_MAP];
    out[SG_ROUNDING_MAP_BY_SE] = error > 0 ? sqrt(change / error) : NAN;
    out[SG_ROUNDING_MAP_MOST] = most;
}

static void report(struct sg_pack_report *r, const struct half *h, const double v[SG_ROUNDINGS]) {
    double *const to[SG_ROUNDINGS] = {&r->map, &r->map_by_se, &r->map_most, &r->se};

    for (int k = 0; k < SG_ROUNDINGS; k++) {
        if (h->columns[k] != NULL) {
            *to[k] = fmax(*to[k], v[k]);
        }
    }
}

/* A map that is known better than float16 tells is no map to round. */
static sg_status refuse(struct sg_pack *p, const struct half *h, int64_t item, double by_se) {
    sg_status status = SG_OK;

    SG_CHECK(!(by_se > largest_map_by_se), SG_E_ARG,
             "%s: float16 would change %s of item %lld by %.2g of its standard error (L2 norm), "
             "more than %g: so many samples are worth float32; pack it without --float16",
             p->path, h->d->path, (long long)item, by_se, largest_map_by_se);
done:
    return status;
}

static sg_status round_item(struct sg_pack *p, struct half *h, int64_t item, int64_t row) {
    sg_status status = SG_OK;
    const int64_t part = h->n_parts > 0 ? h->n / h->n_parts : 0;
    const int is_done = p->states[item] == 1; /* or its data means nothing */

    SG_TRY(sg_reader_read(p->from, h->d->path, item, h->exact));
    if (h->se != NULL) {
        SG_TRY(sg_reader_read(p->from, h->se, item, h->error));
    }
    for (int64_t k = 0; k < h->n_parts; k++) {
        const float scale = sg_half_scale(h->exact + k * part, part);
        uint16_t *to = h->rows + row * h->n + k * part;
        double rounding[SG_ROUNDINGS] = {NAN, NAN, NAN, NAN};

        sg_half_encode(h->exact + k * part, part, scale, to);
        sg_half_decode(to, part, scale, h->rounded + k * part);
        if (is_done) {
            measure(h, k * part, part, rounding);
            report(&p->report, h, rounding);
            SG_TRY(refuse(p, h, item, rounding[SG_ROUNDING_MAP_BY_SE]));
        }
        for (int c = 0; c < COLUMNS; c++) {
            if (h->columns[c] != NULL) {
                h->columns[c][row * h->n_parts + k] = c == SCALE ? scale : (float)rounding[c];
            }
        }
    }
done:
    return status;
}

static sg_status open_columns(const struct target *t, struct half *h, int is_se) {
    sg_status status = SG_OK;
    char path[SG_MAX_PATH + 1];

    for (int c = 0; c < COLUMNS; c++) {
        if (c != SCALE && (c == SG_ROUNDING_SE) != is_se) {
            continue;
        }
        if (c == SCALE) {
            sg_pack_scale_path(h->d->path, path);
        } else {
            sg_pack_rounding_path(h->d->path, c, path);
        }
        SG_TRY(open_dataset(t, path, &h->datasets[c]));
        h->columns[c] = sg_calloc((size_t)(h->n_rows * h->n_parts), sizeof *h->columns[c]);
        SG_CHECK(h->columns[c] != NULL, SG_E_NOMEM, "no memory to pack %s", h->d->path);
    }
done:
    return status;
}

static sg_status copy_half(const struct target *t, const struct sg_dataset *d, hid_t dataset) {
    sg_status status = SG_OK;
    const int is_se = strcmp(strrchr(d->path, '/'), "/se") == 0;
    const int64_t n = sg_dataset_bytes(d) / (int64_t)sizeof(float);
    char se[SG_MAX_PATH + 1];
    struct half h = {
        .d = d, .n = n, .n_parts = sg_pack_n_scales(d), .n_rows = rows_at_a_time(t->pack, d)};
    const struct sg_dataset *other;

    (void)snprintf(se, sizeof se, "%.*s/se", (int)(strrchr(d->path, '/') - d->path), d->path);
    other = is_se ? NULL : sg_reader_find(t->pack->from, se);
    h.se = other != NULL && sg_dataset_bytes(other) == sg_dataset_bytes(d) ? other->path : NULL;
    for (int c = 0; c < COLUMNS; c++) {
        h.datasets[c] = H5I_INVALID_HID;
    }
    h.exact = sg_calloc((size_t)n, sizeof *h.exact);
    h.error = sg_calloc((size_t)n, sizeof *h.error);
    h.rounded = sg_calloc((size_t)n, sizeof *h.rounded);
    h.rows = sg_calloc((size_t)(h.n_rows * n), sizeof *h.rows);
    SG_CHECK(h.exact != NULL && h.error != NULL && h.rounded != NULL && h.rows != NULL, SG_E_NOMEM,
             "no memory to pack %s", d->path);
    SG_TRY(open_columns(t, &h, is_se));
    for (int64_t first = 0; first < d->axes[0]; first += h.n_rows) {
        const int64_t rows = d->axes[0] - first < h.n_rows ? d->axes[0] - first : h.n_rows;

        for (int64_t i = 0; i < rows; i++) {
            SG_TRY(round_item(t->pack, &h, first + i, i));
        }
        SG_TRY(write_rows(t, dataset, d->path, first, rows, h.rows));
        for (int c = 0; c < COLUMNS; c++) {
            if (h.columns[c] != NULL) {
                SG_TRY(write_rows(t, h.datasets[c], d->path, first, rows, h.columns[c]));
            }
        }
        SG_TRY(sg_pack_tick(t->pack, SG_PACK_WRITING, rows * sg_dataset_bytes(d)));
    }
done:
    for (int c = 0; c < COLUMNS; c++) {
        status = close_dataset(t, h.datasets[c], status);
        sg_free(h.columns[c]);
    }
    sg_free(h.rows);
    sg_free(h.rounded);
    sg_free(h.error);
    sg_free(h.exact);
    return status;
}

/* ---- all of it ---- */

static sg_status copy_dataset(const struct target *t, const struct sg_dataset *d) {
    sg_status status = SG_OK;
    const int halves = sg_packing_halves(&t->pack->packing, d->path, d->type);
    hid_t dataset;

    SG_TRY(open_dataset(t, d->path, &dataset));
    status = !d->per_item ? copy_whole(t, d, dataset)
             : halves     ? copy_half(t, d, dataset)
                          : copy_items(t, d, dataset);
    SG_TRY(close_dataset(t, dataset, status));
done:
    return status;
}

static sg_status copy_all(const struct target *t) {
    sg_status status = SG_OK;
    hid_t packed = H5I_INVALID_HID;

    for (int i = 0; i < sg_reader_n_datasets(t->pack->from); i++) {
        const struct sg_dataset *d = sg_reader_dataset(t->pack->from, i);

        if (!sg_pack_leaves_out(d->path)) {
            SG_TRY(copy_dataset(t, d));
        }
    }
    SG_TRY(open_dataset(t, SG_PACKED, &packed));
    SG_TRY(close_dataset(t, packed, write_rows(t, packed, SG_PACKED, -1, 0, t->pack->how)));
done:
    return status;
}

sg_status sg_pack_copy(struct sg_pack *p) {
    sg_status status = SG_OK;
    const hid_t access = sg_hdf_access();
    struct target t = {.pack = p, .file = H5I_INVALID_HID};
    char reason[256];
    int failed;

    SG_CHECK(access >= 0, SG_E_NOMEM, "%s: no memory to write it", p->temporary);
    t.file = H5Fopen(p->temporary, H5F_ACC_RDWR, access);
    SG_CHECK(t.file >= 0, SG_E_IO, "%s: cannot be opened again (HDF5: %s)", p->temporary,
             sg_hdf_reason(reason, sizeof reason));
    status = copy_all(&t);
    errno = 0;
    failed = H5Fclose(t.file) < 0;
    status = status != SG_OK ? status : check_written(p, failed, "the end of the file");
done:
    (void)H5Pclose(access);
    return status;
}
