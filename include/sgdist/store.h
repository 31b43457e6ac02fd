/* include/sgdist/store.h - the result file, its lock, checkpoints of unfinished items, and reading
 * results back.
 *
 * The file is laid out whole with HDF5, as a temporary file: contiguous datasets of fixed size
 * whose space is reserved, then synced and renamed. After that no metadata ever changes: records
 * are written by pwrite at the datasets' places, so that a kill at any moment leaves a file that
 * opens, and readers may look while it grows. */
#ifndef SGDIST_STORE_H
#define SGDIST_STORE_H

#include "sgdist/record.h"
#include "sgdist/status.h"

#include <stdint.h>

struct sg_result;

/* A dataset that is not per item: written at the layout, or (`writable`) whole at any time later.
 */
struct sg_constant {
    char path[SG_MAX_PATH + 1];
    char about[200];
    enum sg_type type;
    int64_t text_bytes;
    int n_axes;
    struct sg_axis
        axes[SG_MAX_FIELD_AXES]; /* a name that starts with '.' gets no dimension scale */
    const void *data;            /* borrowed; NULL: zeros */
};

/* Everything a file is laid out from. Axes named in the record or the constants get a dimension
 * scale of their name with values 0..length-1, unless a constant of that path gives the values; so
 * does "item". Two lengths of one name are told apart as "y" and "y_7"; an axis that shares its
 * name with a dataset of several axes along it ("target" with items/target) is called
 * "target_index", because xarray refuses such a pair. */
struct sg_layout {
    const struct sg_record *record; /* borrowed */
    int64_t n_items;
    int n_constants;
    const struct sg_constant *constants;
    const char *title; /* root attribute */
};

/* Bytes that the file will take, before it is made. */
int64_t sg_layout_bytes(const struct sg_layout *layout);

/* Lays out the file at `path` (temporary name, reserve, sync, rename); missing folders above it are
 * made. A left-over temporary file is replaced. Errors: SG_E_IO with the system's reason and what
 * to do (no space: how much is missing). */
sg_status sg_result_create(const char *path, const struct sg_layout *layout);

/* Opens for writing a file that sg_result_create made with an equal record. Errors: SG_E_IO,
 * SG_E_FORMAT. */
sg_status sg_result_open(const char *path, const struct sg_record *record, struct sg_result **out);
void sg_result_close(struct sg_result *r); /* NULL is allowed; does not sync */

/* Writes all fields of item i from the record's bytes, but not its status (the field SG_FIELD
 * "items/status"), which follows in sg_result_commit: data first, made durable, then the status. */
sg_status sg_result_write(struct sg_result *r, int64_t i, const void *record);

/* Makes what was written durable (fdatasync), then writes the statuses of the items written since
 * the last commit, and makes them durable too. */
sg_status sg_result_commit(struct sg_result *r);

/* Items written and not yet committed. */
int64_t sg_result_n_uncommitted(const struct sg_result *r);

/* Writes a constant dataset whole: `bytes` must be its size (SG_ASSERT). Not synced. */
sg_status sg_result_put(struct sg_result *r, const char *path, const void *data, int64_t bytes);

/* Reads a constant dataset whole, as it was last put. */
sg_status sg_result_get(struct sg_result *r, const char *path, void *data, int64_t bytes);

/* The statuses of all items (uint8[n_items], into status). */
sg_status sg_result_statuses(struct sg_result *r, unsigned char *status);

/* ---- the lock: one run at a time writes a result ---- */

struct sg_lock;

/* Takes <path>.lock. A lock of a process of this host that is gone, or of another host without a
 * sign of life for two minutes, is taken over; a living one is waited for up to wait_s seconds (a
 * killed run may still be going down). Errors: SG_E_BUSY: who holds it since when, and what to do;
 * SG_E_IO. */
sg_status sg_lock_take(const char *path, double wait_s, struct sg_lock **out);
void sg_lock_beat(struct sg_lock *lock);    /* a sign of life; cheap, at most one write in 10 s */
void sg_lock_release(struct sg_lock *lock); /* removes the file; NULL is allowed */

/* Who holds a result, for messages and `sgdist status`. */
struct sg_holder {
    char host[64];
    int64_t pid;
    int64_t since; /* unix time */
    double age_s;  /* since its last sign of life */
    int alive;     /* as far as can be told from this host */
    char job[64];  /* of the batch system, or "" */
};

/* 1 and *out if <path>.lock exists and can be read, else 0. */
int sg_lock_look(const char *path, struct sg_holder *out);

/* ---- checkpoints of unfinished items: <path>.partial/item-<i> ---- */

/* Writes `bytes` by write, fsync, rename; `identity` (a hash of the job) and the item are kept with
 * a checksum. */
sg_status sg_partial_save(const char *path, uint64_t identity, int64_t item, const void *bytes,
                          int64_t n);

/* The bytes (the caller's, sg_free), or NULL where there is no checkpoint for this item, or a torn
 * or foreign one, which is as good as none (a warning is logged). Errors: SG_E_IO, SG_E_NOMEM. */
sg_status sg_partial_load(const char *path, uint64_t identity, int64_t item, void **bytes,
                          int64_t *n);

/* Removes an item's checkpoint; with item -1 all of them and the folder. Never fails. */
void sg_partial_remove(const char *path, int64_t item);

/* Sets begun[i] to 1 for each of the n_items items that has a checkpoint file. One look at the
 * folder: a million items cost no more than the few that are unfinished. */
void sg_partial_list(const char *path, unsigned char *begun, int64_t n_items);

/* 1 if the item has a checkpoint file (it may still turn out to be torn). */
int sg_partial_exists(const char *path, int64_t item);

/* "1.10.8", for the record. Static string. */
const char *sg_store_library(void);

/* ---- reading results, finished or growing ---- */

struct sg_reader;

struct sg_dataset {
    char path[SG_MAX_PATH + 1];
    enum sg_type type;
    int64_t text_bytes;
    int n_axes; /* with the item axis where `per_item` */
    int64_t axes[SG_MAX_FIELD_AXES + 1];
    int per_item; /* 1: the first axis is the item */
};

/* Errors: SG_E_IO (cannot be opened), SG_E_FORMAT (not HDF5, or not a result of sgdist). */
sg_status sg_reader_open(const char *path, struct sg_reader **out);
void sg_reader_close(struct sg_reader *r);
int64_t sg_reader_n_items(const struct sg_reader *r);
int64_t
sg_reader_file_bytes(const struct sg_reader *r); /* when opened; with its parts, if joined */
int sg_reader_n_datasets(const struct sg_reader *r);
const struct sg_dataset *sg_reader_dataset(const struct sg_reader *r, int i); /* in order of path */
const struct sg_dataset *sg_reader_find(const struct sg_reader *r, const char *path); /* or NULL */

/* Bytes of one item's part (per_item) or of the whole of a dataset. */
int64_t sg_dataset_bytes(const struct sg_dataset *d);

/* Reads item i's part of a per-item dataset, or the whole of another one (i = -1), in its own type.
 */
sg_status sg_reader_read(struct sg_reader *r, const char *path, int64_t i, void *out);

/* The statuses of all items (uint8[n_items], into status). Errors: SG_E_FORMAT, SG_E_IO. */
sg_status sg_reader_statuses(struct sg_reader *r, unsigned char *status);

/* A text dataset with one string (provenance) as a new string (sg_free). */
sg_status sg_reader_text(struct sg_reader *r, const char *path, char **out);

#endif
