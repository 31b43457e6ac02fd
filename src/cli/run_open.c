/* src/cli/run_open.c - a run takes its result file: the one of an earlier run, or a new one. */
#include "cli/run.h"

#include "sgdist/events.h"
#include "sgdist/log.h"
#include "sgdist/memory.h"
#include "sgdist/pack.h"

#include <stdio.h>
#include <sys/stat.h>

sg_status sg_run_check_memory(const struct run *r) {
    sg_status status = SG_OK;
    const double limit = 1e6 * r->study.job->memory_mb;
    const double need = (double)sg_study_rank_bytes(&r->study);
    char need_text[32];
    char limit_text[32];

    SG_TRY(sg_study_check_draws(&r->study));
    SG_CHECK(limit <= 0 || need <= limit, SG_E_JOB,
             "%s: a rank needs %s, more than run.memory_mb allows (%s): lower sampling.block, or "
             "the number of targets",
             r->study.job->file, sg_text_bytes(need, need_text, sizeof need_text),
             sg_text_bytes(limit, limit_text, sizeof limit_text));
done:
    return status;
}

/* --fresh must not take the study's own files for an old result. */
static sg_status check_other(const struct sg_job *job, const char *path, const char *name) {
    sg_status status = SG_OK;
    struct stat output;
    struct stat input;

    SG_CHECK(path == NULL || stat(job->output, &output) != 0 || stat(path, &input) != 0 ||
                 output.st_dev != input.st_dev || output.st_ino != input.st_ino,
             SG_E_JOB, "study.output: %s is %s: choose another", job->output, name);
done:
    return status;
}

static sg_status check_output(const struct study *s) {
    const struct sg_job *job = s->job;
    const char *archive;
    sg_status status = SG_OK;
    struct stat output;

    SG_CHECK(stat(job->output, &output) != 0 || !S_ISDIR(output.st_mode), SG_E_IO,
             "%s: is a folder, not a result file: set study.output to a file in it", job->output);
    SG_TRY(check_other(job, job->file, "the job file itself"));
    SG_TRY(check_other(job, job->model_file, "model.file"));
    SG_TRY(check_other(job, job->target_file, "target.from"));
    SG_TRY(check_other(job, job->data.path, "where the items are"));
    SG_TRY(check_other(job, job->data.labels, "data.labels"));
    SG_TRY(check_other(job, job->data.class_names, "data.class_names"));
    for (int64_t k = 0; (archive = sg_items_file(s->items, k)) != NULL; k++) {
        SG_TRY(check_other(job, archive, "where items are"));
    }
done:
    return status;
}

static sg_status read_range(struct run *r) {
    sg_status status = SG_OK;
    struct sg_reader *reader = NULL;

    SG_TRY(sg_reader_open(r->study.job->output, &reader));
    SG_TRY(sg_reader_read(reader, "provenance/dataset_range", -1, r->range));
done:
    sg_reader_close(reader);
    return status;
}

/* A packed result is complete, and nothing can be written to it. */
static sg_status look_for_packed(struct run *r) {
    sg_status status = SG_OK;
    const char *path = r->study.job->output;
    struct sg_reader *reader = NULL;
    unsigned char *states = NULL;

    SG_TRY(sg_reader_open(path, &reader));
    if (sg_reader_find(reader, SG_PACKED) == NULL) {
        goto done;
    }
    SG_CHECK(!r->retry_failed, SG_E_FORMAT,
             "%s: is packed, and its items cannot be tried again: give the study another "
             "study.output, or start over with --fresh",
             path);
    r->is_packed = 1;
    r->ended.n_items = sg_reader_n_items(reader);
    states = sg_calloc((size_t)r->ended.n_items, 1);
    SG_CHECK(states != NULL, SG_E_NOMEM, "no memory for the list of items");
    SG_TRY(sg_reader_statuses(reader, states));
    for (int64_t i = 0; i < r->ended.n_items; i++) {
        r->ended.n_done += states[i] == SG_ITEM_DONE;
        r->ended.n_failed += states[i] == SG_ITEM_FAILED;
    }
done:
    sg_free(states);
    sg_reader_close(reader);
    return status;
}

/* Rank 0: lock, and the file of an earlier run if there is one. */
static sg_status take_result(struct run *r, int *exists) {
    sg_status status = SG_OK;
    const double patience_s = 15; /* ranks of a killed run go down within seconds */
    const char *path = r->study.job->output;

    SG_TRY(check_output(&r->study));
    SG_TRY(sg_lock_take(path, patience_s, &r->lock));
    *exists =
        !r->fresh && sg_result_exists(path); /* an old file is replaced by the new one's rename */
    if (*exists) {
        status = sg_result_check_identity(&r->study);
        SG_CHECK(status != SG_E_FORMAT, SG_E_FORMAT,
                 "%s. Choose another study.output, or replace it with --fresh", sg_trace_message());
        SG_TRY(status);
        SG_TRY(look_for_packed(r));
        if (r->study.plan->scans_dataset) {
            SG_TRY(read_range(r));
        }
    }
done:
    return status;
}

static sg_status scan(struct run *r) {
    const int64_t n_channels = r->study.plan->input.axes[0];

    if (sg_run_is_root(r)) {
        sg_log(SG_LOG_INFO, "reading all items once: noise is relative to the data set's range");
    }
    return sg_scan_dataset(r->world, r->study.plan, r->study.items, r->range,
                           r->range + n_channels);
}

static sg_status lay_out(struct run *r) {
    /* Checkpoints without their result belong to nothing. */
    sg_status status = SG_OK;

    sg_partial_remove(r->study.job->output, -1);
    SG_TRY(sg_study_measure_effect(&r->study));
    SG_TRY(sg_result_layout(&r->study, r->study.plan->scans_dataset ? r->range : NULL, NULL,
                            r->study.job->output));
done:
    return status;
}

/* Behind the lock, which has made the folder: only one run writes them. */
static void open_events(const struct run *r) {
    char path[4096];

    if (snprintf(path, sizeof path, "%s.events.jsonl", r->study.job->output) < (int)sizeof path) {
        sg_events_open(path);
    }
}

sg_status sg_run_open_result(struct run *r) {
    sg_status status = SG_OK;
    int64_t exists = 0;

    if (sg_run_is_root(r)) {
        int found = 0;

        status = take_result(r, &found);
        exists = found;
        if (status == SG_OK && r->study.job->events) {
            open_events(r);
        }
    }
    SG_TRY(sg_agree(r->world, status));
    sg_comm_bcast(r->world, 0, &exists, sizeof exists);
    sg_comm_bcast(r->world, 0, &r->is_packed, sizeof r->is_packed);
    if (!exists && r->study.plan->scans_dataset) {
        SG_TRY(sg_agree(r->world, scan(r)));
    }
    if (!exists && sg_run_is_root(r)) {
        status = lay_out(r);
    }
    SG_TRY(sg_agree(r->world, status));
    sg_comm_bcast(r->world, 0, r->range, sizeof r->range);
done:
    return status;
}
