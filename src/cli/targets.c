/* src/cli/targets.c - `target: {from: other.h5}`: each item is explained for the classes that it
 * was explained for in another result, where items are known by their names. */
#include "cli/cli.h"
#include "sgdist/memory.h"
#include "sgdist/store.h"

#include <stdlib.h>
#include <string.h>

/* The other result, as far as it is of interest here. */
struct other {
    const char *path;
    int64_t n;
    int64_t id_bytes;
    char *ids;               /* [n][id_bytes], NULs behind the names */
    unsigned char *statuses; /* [n] */
    int64_t n_targets;
    int32_t *targets;    /* [n][n_targets] */
    const char **sorted; /* [n], into ids */
};

static void free_other(struct other *o) {
    sg_free(o->ids);
    sg_free(o->statuses);
    sg_free(o->targets);
    sg_free(o->sorted);
}

static sg_status measure(struct sg_reader *r, struct other *o) {
    sg_status status = SG_OK;
    const struct sg_dataset *id = sg_reader_find(r, "items/id");
    const struct sg_dataset *target = sg_reader_find(r, SG_FIELD_TARGET);

    SG_CHECK(id != NULL && target != NULL && id->type == SG_TYPE_TEXT && id->n_axes == 1 &&
                 target->type == SG_TYPE_I32 && target->per_item && target->n_axes <= 2 &&
                 id->axes[0] == target->axes[0],
             SG_E_JOB, "target.from: %s has no names and targets of items", o->path);
    o->n = id->axes[0];
    o->id_bytes = id->text_bytes;
    o->n_targets = target->n_axes == 2 ? target->axes[1] : 1;
done:
    return status;
}

static int compare(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static sg_status read_other(const char *path, struct other *o) {
    sg_status status = SG_OK;
    struct sg_reader *r = NULL;

    o->path = path;
    status = sg_reader_open(path, &r);
    SG_CHECK(status == SG_OK, status == SG_E_NOMEM ? status : SG_E_JOB, "target.from: %s",
             sg_trace_message());
    SG_TRY(measure(r, o));
    o->ids = sg_calloc((size_t)(o->n * o->id_bytes) + 1, 1);
    o->statuses = sg_calloc((size_t)o->n, 1);
    o->targets = sg_calloc((size_t)(o->n * o->n_targets), sizeof *o->targets);
    o->sorted = sg_calloc((size_t)o->n, sizeof *o->sorted);
    SG_CHECK(o->ids != NULL && o->statuses != NULL && o->targets != NULL && o->sorted != NULL,
             SG_E_NOMEM, "no memory for the targets of %lld items", (long long)o->n);
    SG_TRY(sg_reader_read(r, "items/id", -1, o->ids));
    SG_TRY(sg_reader_read(r, SG_FIELD_TARGET, -1, o->targets));
    SG_TRY(sg_reader_statuses(r, o->statuses));
    for (int64_t i = 0; i < o->n; i++) {
        char *id = o->ids + i * o->id_bytes;

        id[o->id_bytes - 1] = '\0'; /* as it was written; holds against a damaged file */
        o->sorted[i] = id;
    }
    qsort(o->sorted, (size_t)o->n, sizeof *o->sorted, compare);
done:
    sg_reader_close(r);
    return status;
}

static sg_status take_targets(const struct other *o, const char *name, int32_t *targets) {
    sg_status status = SG_OK;
    const char **found = bsearch(&name, o->sorted, (size_t)o->n, sizeof *o->sorted, compare);
    const int64_t i = found != NULL ? (*found - o->ids) / o->id_bytes : 0;

    SG_CHECK(found != NULL, SG_E_JOB,
             "target.from: %s has no item '%s': its data set must have every item of this one",
             o->path, name);
    SG_CHECK(o->statuses[i] == SG_ITEM_DONE, SG_E_JOB,
             "target.from: %s has no target for the item '%s', which %s there", o->path, name,
             o->statuses[i] == SG_ITEM_FAILED ? "failed" : "has not been finished");
    memcpy(targets, o->targets + i * o->n_targets, (size_t)o->n_targets * sizeof *targets);
done:
    return status;
}

sg_status sg_study_read_targets(struct sg_job *job, const struct sg_items *items) {
    sg_status status = SG_OK;
    struct other o = {.n = 0};
    const int64_t n = sg_items_count(items);

    if (job->target != SG_TARGET_FROM) {
        return SG_OK;
    }
    SG_TRY(read_other(job->target_file, &o));
    job->n_targets = o.n_targets;
    job->targets = sg_calloc((size_t)(n * o.n_targets), sizeof *job->targets);
    SG_CHECK(job->targets != NULL, SG_E_NOMEM, "no memory for the targets of %lld items",
             (long long)n);
    for (int64_t i = 0; i < n; i++) {
        SG_TRY(take_targets(&o, sg_items_name(items, i), job->targets + i * o.n_targets));
    }
done:
    free_other(&o);
    return status;
}
