/* src/store/reader.c - reading results, finished, growing or packed: HDF5 tells where things are,
 * and reads what is packed; the rest is read at its place, so that nothing old comes out of a
 * cache. */
#include "store/store_impl.h"

#include "sgdist/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct sg_reader {
    char *path;
    hid_t file;
    int fd; /* of the same file */
    struct sg_places places;
};

sg_status sg_reader_open(const char *path, struct sg_reader **out) {
    sg_status status = SG_OK;
    struct sg_reader *r = sg_calloc(1, sizeof *r);

    SG_CHECK(r != NULL, SG_E_NOMEM, "%s: no memory to open it", path);
    r->file = H5I_INVALID_HID;
    r->fd = -1;
    r->path = sg_strdup(path);
    SG_CHECK(r->path != NULL, SG_E_NOMEM, "%s: no memory to open it", path);
    SG_TRY(sg_hdf_open(path, &r->file));
    SG_TRY(sg_hdf_list(r->file, path, &r->places));
    r->fd = open(path, O_RDONLY | O_CLOEXEC);
    SG_CHECK(r->fd >= 0, SG_E_IO, "%s: %s", path, strerror(errno));
    *out = r;
    r = NULL;
done:
    sg_reader_close(r);
    return status;
}

void sg_reader_close(struct sg_reader *r) {
    if (r == NULL) {
        return;
    }
    if (r->file >= 0) {
        (void)H5Fclose(r->file);
    }
    if (r->fd >= 0) {
        (void)close(r->fd);
    }
    sg_places_free(&r->places);
    sg_free(r->path);
    sg_free(r);
}

int64_t sg_reader_n_items(const struct sg_reader *r) {
    return r->places.n_items;
}

int sg_reader_n_datasets(const struct sg_reader *r) {
    return r->places.n;
}

const struct sg_dataset *sg_reader_dataset(const struct sg_reader *r, int i) {
    SG_ASSERT(i >= 0 && i < r->places.n);
    return &r->places.places[i].dataset;
}

const struct sg_dataset *sg_reader_find(const struct sg_reader *r, const char *path) {
    const struct sg_place *place = sg_places_find(&r->places, path);

    return place != NULL ? &place->dataset : NULL;
}

int64_t sg_dataset_bytes(const struct sg_dataset *d) {
    int64_t bytes = sg_type_bytes(d->type, d->text_bytes);

    for (int i = d->per_item ? 1 : 0; i < d->n_axes; i++) {
        bytes *= d->axes[i];
    }
    return bytes;
}

/* Leaves of the dataset's space only item i. */
static int select_item(hid_t space, const struct sg_dataset *d, int64_t i) {
    hsize_t start[SG_MAX_FIELD_AXES + 1] = {(hsize_t)i};
    hsize_t count[SG_MAX_FIELD_AXES + 1] = {1};

    for (int k = 1; k < d->n_axes; k++) {
        count[k] = (hsize_t)d->axes[k];
    }
    return H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL) < 0 ? -1 : 0;
}

static int read_selected(hid_t dataset, const struct sg_dataset *d, int64_t i, void *out) {
    const hid_t type = H5Dget_type(dataset);
    const hid_t space = H5Dget_space(dataset);
    hid_t memory = H5I_INVALID_HID;
    hsize_t n;
    int failed = i >= 0 && select_item(space, d, i) != 0;

    if (!failed) {
        n = (hsize_t)H5Sget_select_npoints(space);
        memory = H5Screate_simple(1, &n, NULL);
        failed =
            memory < 0 || (n > 0 && H5Dread(dataset, type, memory, space, H5P_DEFAULT, out) < 0);
    }
    (void)H5Sclose(memory);
    (void)H5Sclose(space);
    (void)H5Tclose(type);
    return failed ? -1 : 0;
}

/* What is packed has to go through HDF5. */
static sg_status read_packed(struct sg_reader *r, const struct sg_dataset *d, int64_t i,
                             void *out) {
    sg_status status = SG_OK;
    const hid_t dataset = H5Dopen2(r->file, d->path, H5P_DEFAULT);
    char reason[256];

    SG_CHECK(dataset >= 0 && read_selected(dataset, d, i, out) == 0, SG_E_IO,
             "%s: reading %s failed (HDF5: %s)", r->path, d->path,
             sg_hdf_reason(reason, sizeof reason));
done:
    (void)H5Dclose(dataset);
    return status;
}

sg_status sg_reader_read(struct sg_reader *r, const char *path, int64_t i, void *out) {
    sg_status status = SG_OK;
    const struct sg_place *place = sg_places_find(&r->places, path);
    int64_t part;

    SG_CHECK(place != NULL, SG_E_FORMAT, "%s: has no dataset %s", r->path, path);
    SG_ASSERT(i < (place->dataset.per_item ? r->places.n_items : 0));
    if (place->offset < 0) {
        SG_TRY(read_packed(r, &place->dataset, i, out));
    } else if (i < 0) {
        SG_TRY(sg_disk_read(r->fd, r->path, out, place->bytes, place->offset));
    } else {
        part = sg_dataset_bytes(&place->dataset);
        SG_TRY(sg_disk_read(r->fd, r->path, out, part, place->offset + i * part));
    }
done:
    return status;
}

sg_status sg_reader_statuses(struct sg_reader *r, unsigned char *status_of) {
    sg_status status = SG_OK;
    const struct sg_dataset *d = sg_reader_find(r, "items/status");

    SG_CHECK(d != NULL && d->type == SG_TYPE_U8 && d->per_item && d->n_axes == 1, SG_E_FORMAT,
             "%s: is damaged: the states of its items are missing", r->path);
    SG_TRY(sg_reader_read(r, d->path, -1, status_of));
done:
    return status;
}

sg_status sg_reader_text(struct sg_reader *r, const char *path, char **out) {
    sg_status status = SG_OK;
    const struct sg_dataset *d = sg_reader_find(r, path);
    char *text = NULL;

    SG_CHECK(d != NULL && d->type == SG_TYPE_TEXT && sg_dataset_bytes(d) == d->text_bytes,
             SG_E_FORMAT, "%s: has no text %s", r->path, path);
    text = sg_calloc((size_t)d->text_bytes + 1, 1);
    SG_CHECK(text != NULL, SG_E_NOMEM, "%s: no memory for %s", r->path, path);
    SG_TRY(sg_reader_read(r, path, d->per_item ? 0 : -1, text));
    *out = text;
    text = NULL;
done:
    sg_free(text);
    return status;
}
