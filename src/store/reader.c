/* src/store/reader.c - reading results, finished, growing or packed: HDF5 tells where things are,
 * and reads what is packed; the rest is read at its place, so that nothing old comes out of a
 * cache. */
#include "store/store_impl.h"

#include "sgdist/join.h"
#include "sgdist/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of packed datasets the last few stay open, each with the pieces that HDF5 keeps of it: going
 * through the items of some datasets unpacks each piece once. */
enum { N_OPEN = 4 };

struct opened {
    const struct sg_place *place; /* NULL: free */
    hid_t dataset;
};

struct sg_reader {
    char *path;
    hid_t file;
    int fd; /* of the same file */
    struct sg_places places;
    struct sg_places
        scales; /* of what is float16 in the file; no datasets of their own to readers */
    struct opened opened[N_OPEN];
    int next; /* to be given up */
    int64_t file_bytes;
    int64_t n_parts; /* of a joined result: files that are held open */
};

/* 1 if the dataset is only the scale of one that is float16. */
static int is_scale(const struct sg_places *places, const struct sg_place *place) {
    const char *path = place->dataset.path;
    const size_t tail = strlen(SG_HALF_SCALE);
    const size_t n = strlen(path);
    char of[SG_MAX_PATH + 1] = "";
    const struct sg_place *scaled;

    if (n > tail && strcmp(path + n - tail, SG_HALF_SCALE) == 0) {
        memcpy(of, path, n - tail);
    }
    scaled = sg_places_find(places, of);
    return scaled != NULL && scaled->is_half && place->dataset.type == SG_TYPE_F32;
}

/* Takes the scales out of the list of datasets. */
static sg_status split_scales(struct sg_reader *r, struct sg_places *all) {
    sg_status status = SG_OK;

    r->places = *all;
    r->places.places = sg_calloc((size_t)all->n + 1, sizeof *all->places);
    r->places.n = 0;
    r->scales.places = sg_calloc((size_t)all->n + 1, sizeof *all->places);
    SG_CHECK(r->places.places != NULL && r->scales.places != NULL, SG_E_NOMEM,
             "%s: no memory for the list of its datasets", r->path);
    for (int i = 0; i < all->n; i++) {
        struct sg_places *to = is_scale(all, &all->places[i]) ? &r->scales : &r->places;

        to->places[to->n++] = all->places[i];
    }
done:
    return status;
}

/* What HDF5 would read of a part that is not what it was are values that nobody has computed. */
static sg_status check_parts(struct sg_reader *r) {
    sg_status status = SG_OK;
    char *parts = NULL;
    struct stat info;

    SG_CHECK(fstat(r->fd, &info) == 0, SG_E_IO, "%s: %s", r->path, strerror(errno));
    r->file_bytes = (int64_t)info.st_size;
    if (sg_reader_find(r, SG_JOINED) != NULL) {
        SG_TRY(sg_reader_text(r, SG_JOINED, &parts));
        SG_TRY(sg_joined_check(r->path, parts, &r->n_parts, &r->file_bytes));
    }
done:
    sg_free(parts);
    return status;
}

int sg_reader_is_half(const struct sg_reader *r) {
    return r->scales.n > 0;
}

int sg_same_kind(const struct sg_dataset *a, const struct sg_dataset *b) {
    int same = a->type == b->type && a->n_axes == b->n_axes && a->per_item == b->per_item;

    for (int i = a->per_item; same && i < a->n_axes; i++) {
        same = a->axes[i] == b->axes[i];
    }
    return same;
}

int64_t sg_reader_file_bytes(const struct sg_reader *r) {
    return r->file_bytes;
}

sg_status sg_reader_open(const char *path, struct sg_reader **out) {
    sg_status status = SG_OK;
    struct sg_reader *r = sg_calloc(1, sizeof *r);
    struct sg_places all = {0};

    SG_CHECK(r != NULL, SG_E_NOMEM, "%s: no memory to open it", path);
    r->file = H5I_INVALID_HID;
    r->fd = -1;
    r->path = sg_strdup(path);
    SG_CHECK(r->path != NULL, SG_E_NOMEM, "%s: no memory to open it", path);
    SG_TRY(sg_hdf_open(path, &r->file));
    SG_TRY(sg_hdf_list(r->file, path, &all));
    SG_TRY(split_scales(r, &all));
    r->fd = open(path, O_RDONLY | O_CLOEXEC);
    SG_CHECK(r->fd >= 0, SG_E_IO, "%s: %s", path, strerror(errno));
    SG_TRY(check_parts(r));
    *out = r;
    r = NULL;
done:
    sg_places_free(&all);
    sg_reader_close(r);
    return status;
}

void sg_reader_close(struct sg_reader *r) {
    if (r == NULL) {
        return;
    }
    for (int k = 0; k < N_OPEN; k++) {
        if (r->opened[k].place != NULL) {
            (void)H5Dclose(r->opened[k].dataset);
        }
    }
    if (r->file >= 0) {
        (void)H5Fclose(r->file);
    }
    if (r->fd >= 0) {
        (void)close(r->fd);
    }
    (void)sg_hdf_hold_files(-r->n_parts);
    sg_places_free(&r->places);
    sg_places_free(&r->scales);
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

/* The space of what is read: item i's part, or the whole (i < 0). It has the axes of the file's:
 * for other ones HDF5 looks up the place of every single element. */
static hid_t memory_space(hid_t space, const struct sg_dataset *d, int64_t i) {
    hsize_t start[SG_MAX_FIELD_AXES + 1] = {(hsize_t)i};
    hsize_t count[SG_MAX_FIELD_AXES + 1] = {1};

    for (int k = 1; k < d->n_axes; k++) {
        count[k] = (hsize_t)d->axes[k];
    }
    if (i < 0) {
        return H5Scopy(space);
    }
    return H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL) < 0
               ? H5I_INVALID_HID
               : H5Screate_simple(d->n_axes, count, NULL);
}

/* 0, or -1 with HDF5's reason, which the next call of it forgets. */
static int read_selected(hid_t dataset, const struct sg_dataset *d, int64_t i, void *out,
                         char *reason, size_t cap) {
    const hid_t type = H5Dget_type(dataset);
    const hid_t space = H5Dget_space(dataset);
    const hid_t memory = memory_space(space, d, i);
    const int failed = memory < 0 || (H5Sget_select_npoints(space) > 0 &&
                                      H5Dread(dataset, type, memory, space, H5P_DEFAULT, out) < 0);

    (void)sg_hdf_reason(reason, cap);
    (void)H5Sclose(memory);
    (void)H5Sclose(space);
    (void)H5Tclose(type);
    return failed ? -1 : 0;
}

static hid_t open_packed(struct sg_reader *r, const struct sg_place *place) {
    struct opened *o = &r->opened[r->next];

    for (int k = 0; k < N_OPEN; k++) {
        if (r->opened[k].place == place) {
            return r->opened[k].dataset;
        }
    }
    if (o->place != NULL) {
        (void)H5Dclose(o->dataset);
    }
    o->dataset = H5Dopen2(r->file, place->dataset.path, H5P_DEFAULT);
    o->place = o->dataset >= 0 ? place : NULL;
    r->next = (r->next + 1) % N_OPEN;
    return o->dataset;
}

/* What is packed has to go through HDF5. */
static sg_status read_packed(struct sg_reader *r, const struct sg_place *place, int64_t i,
                             void *out) {
    sg_status status = SG_OK;
    const hid_t dataset = open_packed(r, place);
    char reason[256];

    SG_CHECK(dataset >= 0, SG_E_FORMAT, "%s: is damaged: %s cannot be opened (HDF5: %s)", r->path,
             place->dataset.path, sg_hdf_reason(reason, sizeof reason));
    SG_CHECK(read_selected(dataset, &place->dataset, i, out, reason, sizeof reason) == 0, SG_E_IO,
             "%s: reading %s failed, it may be damaged (HDF5: %s)", r->path, place->dataset.path,
             reason);
done:
    return status;
}

/* An item's part (i >= 0) or the whole of a dataset, as it is in the file. */
static sg_status read_stored(struct sg_reader *r, const struct sg_place *place, int64_t i,
                             void *out) {
    const int64_t part = sg_dataset_bytes(&place->dataset);

    if (place->offset < 0) {
        return read_packed(r, place, i, out);
    }
    return i < 0 ? sg_disk_read(r->fd, r->path, out, place->bytes, place->offset)
                 : sg_disk_read(r->fd, r->path, out, part, place->offset + i * part);
}

/* float16 into the upper half of out[n], from where it becomes float32, each of equal parts by its
 * scale. */
static sg_status read_half(struct sg_reader *r, const struct sg_place *place, int64_t i,
                           float *out) {
    sg_status status = SG_OK;
    const int64_t n = (i < 0 ? place->bytes : sg_dataset_bytes(&place->dataset)) / 4;
    const char *stored = (const char *)out + 2 * n;
    char path[SG_MAX_PATH + sizeof SG_HALF_SCALE];
    const struct sg_place *scale;
    float *scales = NULL;
    int64_t n_scales = 1;

    (void)snprintf(path, sizeof path, "%s%s", place->dataset.path, SG_HALF_SCALE);
    scale = sg_places_find(&r->scales, path);
    if (scale != NULL) {
        n_scales = (i < 0 ? scale->bytes : sg_dataset_bytes(&scale->dataset)) / 4;
    }
    SG_CHECK(n_scales > 0 && n % n_scales == 0, SG_E_FORMAT, "%s: is damaged: %s does not fit %s",
             r->path, path, place->dataset.path);
    scales = sg_calloc((size_t)n_scales, sizeof *scales);
    SG_CHECK(scales != NULL, SG_E_NOMEM, "%s: no memory to read %s", r->path, path);
    scales[0] = 1; /* of numbers that someone else has stored */
    if (scale != NULL) {
        SG_TRY(read_stored(r, scale, i, scales));
    }
    SG_TRY(read_packed(r, place, i, (char *)out + 2 * n));
    for (int64_t k = 0; k < n_scales; k++) {
        const int64_t at = k * (n / n_scales);

        sg_half_decode(stored + 2 * at, n / n_scales, scales[k], out + at);
    }
done:
    sg_free(scales);
    return status;
}

sg_status sg_reader_read(struct sg_reader *r, const char *path, int64_t i, void *out) {
    sg_status status = SG_OK;
    const struct sg_place *place = sg_places_find(&r->places, path);

    SG_CHECK(place != NULL, SG_E_FORMAT, "%s: has no dataset %s", r->path, path);
    SG_ASSERT(i < (place->dataset.per_item ? r->places.n_items : 0));
    SG_TRY(place->is_half ? read_half(r, place, i, out) : read_stored(r, place, i, out));
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
