/* include/sgdist/record.h - what the result keeps of one item: a fixed-size record of named fields.
 *
 * The plan makes one record; workers fill it, the wire carries it as bytes, the store lays out one
 * dataset a field with the item as first axis. Nobody on the way needs to know what a field means.
 */
#ifndef SGDIST_RECORD_H
#define SGDIST_RECORD_H

#include "sgdist/status.h"

#include <stdint.h>

enum sg_type {
    SG_TYPE_F32,
    SG_TYPE_F64,
    SG_TYPE_I32,
    SG_TYPE_I64,
    SG_TYPE_U64,
    SG_TYPE_U8,
    SG_TYPE_TEXT
};
enum { SG_MAX_PATH = 159, SG_MAX_FIELD_AXES = 6, SG_MAX_AXIS_NAME = 39 };

/* An axis is shared by all fields that name it: "target", "channel", "z", "y", "x", "stage". */
struct sg_axis {
    char name[SG_MAX_AXIS_NAME + 1];
    int64_t length;
};

struct sg_field {
    char path[SG_MAX_PATH + 1]; /* below the root of the result: "maps/smoothgrad/map" */
    char about[200];            /* what it is and its unit; becomes the attribute long_name */
    enum sg_type type;
    int64_t text_bytes; /* SG_TYPE_TEXT: bytes of one string, padded with NULs */
    int n_axes;         /* without the item axis */
    struct sg_axis axes[SG_MAX_FIELD_AXES];
    int64_t bytes;  /* of the field in a record */
    int64_t offset; /* in the record, a multiple of 8 */
};

struct sg_record {
    int n_fields;
    int capacity;
    struct sg_field *fields;
    int64_t bytes; /* of a whole record */
};

/* A record starts zeroed. Adds a field after the last one and places it. Errors: SG_E_NOMEM;
 * SG_ASSERT on a path that is taken. `axes` are copied. */
sg_status sg_record_add(struct sg_record *r, const char *path, enum sg_type type,
                        int64_t text_bytes, int n_axes, const struct sg_axis *axes,
                        const char *about);
void sg_record_free(struct sg_record *r);

/* The field with this path, or NULL. */
const struct sg_field *sg_record_find(const struct sg_record *r, const char *path);

/* The field's place inside the bytes of a record. SG_ASSERT if there is no such field. */
void *sg_record_at(const struct sg_record *r, void *bytes, const char *path);

int64_t sg_type_bytes(enum sg_type type, int64_t text_bytes);

#endif
