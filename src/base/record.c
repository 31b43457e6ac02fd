/* src/base/record.c - fields in the order they were added, each on a multiple of 8 bytes. */
#include "sgdist/record.h"

#include "sgdist/memory.h"

#include <stdio.h>
#include <string.h>

int64_t sg_type_bytes(enum sg_type type, int64_t text_bytes) {
    static const int64_t bytes[] = {[SG_TYPE_F32] = 4, [SG_TYPE_F64] = 8, [SG_TYPE_I32] = 4,
                                    [SG_TYPE_I64] = 8, [SG_TYPE_U64] = 8, [SG_TYPE_U8] = 1};

    return type == SG_TYPE_TEXT ? text_bytes : bytes[type];
}

static sg_status grow(struct sg_record *r) {
    sg_status status = SG_OK;
    const int capacity = r->capacity > 0 ? 2 * r->capacity : 32;
    struct sg_field *fields;

    if (r->n_fields < r->capacity) {
        return SG_OK;
    }
    fields = sg_realloc(r->fields, (size_t)capacity, sizeof *fields);
    SG_CHECK(fields != NULL, SG_E_NOMEM, "no memory for the fields of the result");
    r->fields = fields;
    r->capacity = capacity;
done:
    return status;
}

sg_status sg_record_add(struct sg_record *r, const char *path, enum sg_type type,
                        int64_t text_bytes, int n_axes, const struct sg_axis *axes,
                        const char *about) {
    sg_status status = SG_OK;
    struct sg_field *f;

    SG_ASSERT(sg_record_find(r, path) == NULL);
    SG_ASSERT(strlen(path) <= SG_MAX_PATH && n_axes >= 0 && n_axes <= SG_MAX_FIELD_AXES);
    SG_TRY(grow(r));
    f = &r->fields[r->n_fields++];
    *f = (struct sg_field){.type = type, .text_bytes = text_bytes, .n_axes = n_axes};
    (void)snprintf(f->path, sizeof f->path, "%s", path);
    (void)snprintf(f->about, sizeof f->about, "%s", about);
    f->bytes = sg_type_bytes(type, text_bytes);
    for (int i = 0; i < n_axes; i++) {
        f->axes[i] = axes[i];
        f->bytes *= axes[i].length;
    }
    f->offset = r->bytes;
    r->bytes += (f->bytes + 7) / 8 * 8;
done:
    return status;
}

void sg_record_free(struct sg_record *r) {
    sg_free(r->fields);
    *r = (struct sg_record){0};
}

const struct sg_field *sg_record_find(const struct sg_record *r, const char *path) {
    for (int i = 0; i < r->n_fields; i++) {
        if (strcmp(r->fields[i].path, path) == 0) {
            return &r->fields[i];
        }
    }
    return NULL;
}

void *sg_record_at(const struct sg_record *r, void *bytes, const char *path) {
    const struct sg_field *f = sg_record_find(r, path);

    SG_ASSERT(f != NULL);
    return (char *)bytes + f->offset;
}
