/* src/report/values.c - numbers, texts and maps out of a result, in the form in which they are
 * shown. */
#include "report/report_impl.h"

#include "sgdist/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* An item's part (or with i = -1 the whole) of a dataset, for the caller (sg_free). */
static sg_status read_bytes(struct sg_reader *r, const struct sg_dataset *d, int64_t i,
                            void **out) {
    sg_status status = SG_OK;
    void *bytes = sg_calloc((size_t)sg_dataset_bytes(d) + 1, 1);

    SG_CHECK(bytes != NULL, SG_E_NOMEM, "no memory to read %s", d->path);
    SG_TRY(sg_reader_read(r, d->path, d->per_item ? i : -1, bytes));
    *out = bytes;
    bytes = NULL;
done:
    sg_free(bytes);
    return status;
}

static double to_double(enum sg_type type, const void *bytes) {
    switch (type) {
    case SG_TYPE_F32:
        return (double)*(const float *)bytes;
    case SG_TYPE_F64:
        return *(const double *)bytes;
    case SG_TYPE_I32:
        return (double)*(const int32_t *)bytes;
    case SG_TYPE_I64:
        return (double)*(const int64_t *)bytes;
    case SG_TYPE_U64:
        return (double)*(const uint64_t *)bytes;
    case SG_TYPE_U8:
        return (double)*(const unsigned char *)bytes;
    case SG_TYPE_TEXT:
        break;
    }
    return NAN;
}

sg_status sg_value_number(struct sg_reader *r, const char *path, int64_t item, double *out) {
    sg_status status = SG_OK;
    const struct sg_dataset *d = sg_reader_find(r, path);
    void *bytes = NULL;

    *out = NAN;
    if (d == NULL || sg_dataset_bytes(d) == 0) {
        return SG_OK;
    }
    SG_TRY(read_bytes(r, d, item, &bytes));
    *out = to_double(d->type, bytes);
done:
    sg_free(bytes);
    return status;
}

sg_status sg_value_text(struct sg_reader *r, const char *path, int64_t i, char **out) {
    sg_status status = SG_OK;
    const struct sg_dataset *d = sg_reader_find(r, path);
    void *bytes = NULL;
    char *text = NULL;
    size_t at;

    *out = NULL;
    if (d == NULL || d->type != SG_TYPE_TEXT || d->n_axes < 1 || i < 0 || i >= d->axes[0]) {
        return SG_OK;
    }
    at = d->per_item ? 0 : (size_t)(i * d->text_bytes);
    SG_TRY(read_bytes(r, d, i, &bytes));
    text = sg_calloc((size_t)d->text_bytes + 1, 1);
    SG_CHECK(text != NULL, SG_E_NOMEM, "no memory to read %s", path);
    memcpy(text, (const char *)bytes + at, (size_t)d->text_bytes);
    *out = text;
done:
    sg_free(bytes);
    return status;
}

/* [item, target, (channel,) row, column] */
int sg_value_is_plane(const struct sg_dataset *d, int64_t *channels, int64_t *rows,
                      int64_t *columns) {
    if (!d->per_item || d->type != SG_TYPE_F32 || d->n_axes < 4 || d->n_axes > 5) {
        return 0;
    }
    *channels = d->n_axes == 5 ? d->axes[2] : 1;
    *rows = d->axes[d->n_axes - 2];
    *columns = d->axes[d->n_axes - 1];
    return d->axes[1] > 0 && *channels > 0 && *rows > 0 && *columns > 0;
}

static void merge_channels(const float *map, int64_t channels, int64_t n, enum sg_merge merge,
                           double *out) {
    for (int64_t i = 0; i < n; i++) {
        double sum = 0.0;

        for (int64_t c = 0; c < channels; c++) {
            const double v = (double)map[c * n + i];

            sum += merge == SG_MERGE_ABS_SUM ? fabs(v) : v * v;
        }
        out[i] = merge == SG_MERGE_ABS_SUM ? sum : sqrt(sum);
    }
}

sg_status sg_value_plane(struct sg_reader *r, const char *path, int64_t item, enum sg_merge merge,
                         struct sg_plane *out) {
    sg_status status = SG_OK;
    const struct sg_dataset *d = sg_reader_find(r, path);
    void *map = NULL;
    int64_t channels;
    int64_t n;

    SG_CHECK(d != NULL && sg_value_is_plane(d, &channels, &out->rows, &out->columns), SG_E_FORMAT,
             "%s is no map of rows and columns", path);
    n = out->rows * out->columns;
    SG_TRY(read_bytes(r, d, item, &map));
    out->values = sg_calloc((size_t)n, sizeof *out->values);
    SG_CHECK(out->values != NULL, SG_E_NOMEM, "no memory to read %s", path);
    if (channels > 1) {
        merge_channels(map, channels, n, merge, out->values);
    } else {
        for (int64_t i = 0; i < n; i++) {
            out->values[i] = (double)((const float *)map)[i];
        }
    }
done:
    sg_free(map);
    return status;
}

static int compare(const void *a, const void *b) {
    const double x = *(const double *)a;
    const double y = *(const double *)b;

    return (x > y) - (x < y);
}

sg_status sg_value_percentile(const double *values, int64_t n, double percentile, double *out) {
    sg_status status = SG_OK;
    double *sorted = sg_calloc((size_t)n, sizeof *sorted);
    int64_t n_finite = 0;
    int64_t rank;

    SG_CHECK(sorted != NULL, SG_E_NOMEM, "no memory for a percentile of %lld values", (long long)n);
    for (int64_t i = 0; i < n; i++) {
        if (isfinite(values[i])) {
            sorted[n_finite++] = fabs(values[i]);
        }
    }
    qsort(sorted, (size_t)n_finite, sizeof *sorted, compare);
    rank = (int64_t)ceil(percentile / 100.0 * (double)n_finite) - 1;
    rank = rank < 0 ? 0 : rank >= n_finite ? n_finite - 1 : rank;
    *out = n_finite > 0 ? sorted[rank] : 0.0;
    if (*out <= 0.0 && n_finite > 0) {
        *out = sorted[n_finite - 1];
    }
    *out = *out > 0.0 ? *out : 1.0;
done:
    sg_free(sorted);
    return status;
}
