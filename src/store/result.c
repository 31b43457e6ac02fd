/* src/store/result.c - writing items into a laid-out file, at places read once. */
#include "store/store_impl.h"

#include "sgdist/join.h"
#include "sgdist/memory.h"
#include "sgdist/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char status_path[] = "items/status";

struct waiting {
    int64_t item;
    unsigned char status;
};

struct sg_result {
    char *path;
    int fd;
    int broken; /* 1: a sync failed; the system may have dropped data, so none must be called done
                 */
    const struct sg_record *record; /* borrowed */
    int64_t *offsets;               /* [n_fields] of the first item */
    struct sg_places places;
    int64_t n_waiting;
    int64_t capacity;
    struct waiting *waiting; /* written items whose status is not yet in the file */
};

static const char *const type_names[] = {"float32", "float64", "int32", "int64",
                                         "uint64",  "uint8",   "text"};

/* "float32 [512,1,28,28]" */
static void describe(char *buf, size_t cap, enum sg_type type, int64_t text_bytes, int n_axes,
                     const int64_t *axes) {
    int used = snprintf(buf, cap, "%s", type_names[type]);

    if (type == SG_TYPE_TEXT) {
        used += snprintf(buf + used, cap - (size_t)used, " of %lld bytes", (long long)text_bytes);
    }
    for (int i = 0; i < n_axes; i++) {
        used += snprintf(buf + used, cap - (size_t)used, "%s%lld", i > 0 ? "," : " [",
                         (long long)axes[i]);
    }
    if (n_axes > 0) {
        (void)snprintf(buf + used, cap - (size_t)used, "]");
    }
}

/* Finds the field in the file and checks that it is what the record says. */
static sg_status match_field(const struct sg_result *r, const struct sg_field *f, int64_t *offset) {
    sg_status status = SG_OK;
    const struct sg_place *place = sg_places_find(&r->places, f->path);
    int64_t axes[SG_MAX_FIELD_AXES + 1] = {r->places.n_items};
    char want[192];
    char have[192];
    const struct sg_dataset *d;

    SG_CHECK(place != NULL, SG_E_FORMAT,
             "%s: was made for another job: it has no dataset %s (choose another study.output, or "
             "start over with --fresh)",
             r->path, f->path);
    d = &place->dataset;
    for (int i = 0; i < f->n_axes; i++) {
        axes[i + 1] = f->axes[i].length;
    }
    describe(want, sizeof want, f->type, f->text_bytes, f->n_axes + 1, axes);
    describe(have, sizeof have, d->type, d->text_bytes, d->n_axes, d->axes);
    SG_CHECK(strcmp(want, have) == 0, SG_E_FORMAT,
             "%s: was made for another job: %s is %s, this job needs %s (choose another "
             "study.output, or start over with --fresh)",
             r->path, f->path, have, want);
    SG_CHECK(place->offset >= 0 || place->bytes == 0, SG_E_FORMAT,
             "%s: %s is compressed or chunked: a packed result can be read, not written", r->path,
             f->path);
    *offset = place->offset;
done:
    return status;
}

static sg_status match_record(struct sg_result *r) {
    sg_status status = SG_OK;

    SG_CHECK(sg_places_find(&r->places, SG_PACKED) == NULL, SG_E_FORMAT,
             "%s: is packed: it can be read, not written", r->path);
    SG_CHECK(sg_places_find(&r->places, SG_JOINED) == NULL, SG_E_FORMAT,
             "%s: is joined from other results: it can be read, not written", r->path);
    for (int i = 0; i < r->record->n_fields; i++) {
        SG_TRY(match_field(r, &r->record->fields[i], &r->offsets[i]));
    }
    SG_CHECK(r->places.n_fields == r->record->n_fields, SG_E_FORMAT,
             "%s: was made for another job: it keeps %lld fields of an item, this job %d (choose "
             "another study.output, or start over with --fresh)",
             r->path, (long long)r->places.n_fields, r->record->n_fields);
done:
    return status;
}

static sg_status read_places(struct sg_result *r) {
    sg_status status = SG_OK;
    hid_t file = H5I_INVALID_HID;

    SG_TRY(sg_hdf_open(r->path, &file));
    SG_TRY(sg_hdf_list(file, r->path, &r->places));
done:
    (void)H5Fclose(file);
    return status;
}

sg_status sg_result_open(const char *path, const struct sg_record *record, struct sg_result **out) {
    sg_status status = SG_OK;
    struct sg_result *r = sg_calloc(1, sizeof *r);

    SG_CHECK(r != NULL, SG_E_NOMEM, "%s: no memory to open it", path);
    r->fd = -1;
    r->record = record;
    r->path = sg_strdup(path);
    r->offsets = sg_calloc((size_t)record->n_fields, sizeof *r->offsets);
    SG_CHECK(r->path != NULL && r->offsets != NULL, SG_E_NOMEM, "%s: no memory to open it", path);
    SG_TRY(read_places(r));
    SG_TRY(match_record(r));
    r->fd = open(path, O_RDWR | O_CLOEXEC);
    SG_CHECK(r->fd >= 0, SG_E_IO, "%s: %s", path, strerror(errno));
    *out = r;
    r = NULL;
done:
    sg_result_close(r);
    return status;
}

void sg_result_close(struct sg_result *r) {
    if (r == NULL) {
        return;
    }
    if (r->fd >= 0) {
        (void)close(r->fd);
    }
    sg_places_free(&r->places);
    sg_free(r->waiting);
    sg_free(r->offsets);
    sg_free(r->path);
    sg_free(r);
}

/* Room for one more waiting status, before anything is written. */
static sg_status reserve_waiting(struct sg_result *r) {
    sg_status status = SG_OK;
    const int64_t capacity = r->capacity > 0 ? 2 * r->capacity : 64;
    struct waiting *grown;

    if (r->n_waiting < r->capacity) {
        return SG_OK;
    }
    grown = sg_realloc(r->waiting, (size_t)capacity, sizeof *grown);
    SG_CHECK(grown != NULL, SG_E_NOMEM, "%s: no memory for the list of items to commit", r->path);
    r->waiting = grown;
    r->capacity = capacity;
done:
    return status;
}

sg_status sg_result_write(struct sg_result *r, int64_t i, const void *record) {
    sg_status status = SG_OK;
    const char *bytes = record;
    struct waiting w = {.item = i};

    SG_ASSERT(i >= 0 && i < r->places.n_items);
    SG_TRY(reserve_waiting(r));
    for (int k = 0; k < r->record->n_fields; k++) {
        const struct sg_field *f = &r->record->fields[k];

        if (strcmp(f->path, status_path) == 0) {
            w.status = (unsigned char)bytes[f->offset];
        } else if (f->bytes > 0) {
            SG_TRY(sg_disk_write(r->fd, r->path, bytes + f->offset, f->bytes,
                                 r->offsets[k] + i * f->bytes));
        }
    }
    r->waiting[r->n_waiting++] = w;
done:
    return status;
}

/* After a failed sync the system forgets which data it could not write, and a second sync would
 * report success: from then on nothing is committed through this handle. */
static sg_status sync_data(struct sg_result *r) {
    const sg_status status = sg_disk_sync(r->fd, r->path);

    r->broken = r->broken || status != SG_OK;
    return status;
}

sg_status sg_result_commit(struct sg_result *r) {
    sg_status status = SG_OK;
    const struct sg_place *place = sg_places_find(&r->places, status_path);

    SG_CHECK(!r->broken, SG_E_IO, "%s: an earlier write could not be made durable", r->path);
    SG_TRY(sync_data(r));
    if (r->n_waiting == 0) {
        return SG_OK;
    }
    SG_ASSERT(place != NULL);
    for (int64_t k = 0; k < r->n_waiting; k++) {
        SG_TRY(sg_disk_write(r->fd, r->path, &r->waiting[k].status, 1,
                             place->offset + r->waiting[k].item));
    }
    SG_TRY(sync_data(r));
    r->n_waiting = 0;
done:
    return status;
}

int64_t sg_result_n_uncommitted(const struct sg_result *r) {
    return r->n_waiting;
}

static const struct sg_place *constant_place(const struct sg_result *r, const char *path,
                                             int64_t bytes) {
    const struct sg_place *place = sg_places_find(&r->places, path);

    SG_ASSERT(place != NULL && place->bytes == bytes && (place->offset >= 0 || bytes == 0));
    return place;
}

sg_status sg_result_put(struct sg_result *r, const char *path, const void *data, int64_t bytes) {
    return sg_disk_write(r->fd, r->path, data, bytes, constant_place(r, path, bytes)->offset);
}

sg_status sg_result_get(struct sg_result *r, const char *path, void *data, int64_t bytes) {
    return sg_disk_read(r->fd, r->path, data, bytes, constant_place(r, path, bytes)->offset);
}

sg_status sg_result_statuses(struct sg_result *r, unsigned char *status) {
    const struct sg_place *place = sg_places_find(&r->places, status_path);

    SG_ASSERT(place != NULL && place->bytes == r->places.n_items);
    return sg_disk_read(r->fd, r->path, status, place->bytes, place->offset);
}
