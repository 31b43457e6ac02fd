/* include/sgdist/job.h - the job file: YAML to a struct, by a strict table.
 *
 * Every error names file:line:column, the key's path, what is wrong, what is allowed and the
 * nearest name. */
#ifndef SGDIST_JOB_H
#define SGDIST_JOB_H

#include "sgdist/data.h"
#include "sgdist/methods.h"
#include "sgdist/status.h"
#include "sgdist/text.h"

#include <stdint.h>

enum sg_score { SG_SCORE_LOGIT, SG_SCORE_PROBABILITY, SG_SCORE_LOG_PROBABILITY };
enum sg_target {
    SG_TARGET_PREDICTED,
    SG_TARGET_LABEL,
    SG_TARGET_CLASS,
    SG_TARGET_TOP,
    SG_TARGET_FROM
};
enum sg_nonfinite { SG_NONFINITE_FAIL, SG_NONFINITE_SKIP };

/* A checked job. All strings and arrays belong to it; paths are relative to the working directory
 * of the run (a relative path in the file is taken from the job file's own folder, study.output
 * from the working directory). */
struct sg_job {
    char *file; /* the job file */

    char *name; /* study */
    char *output;
    int64_t seed;

    char *model_file;      /* model */
    struct sg_shape shape; /* of a sample, where the model's file leaves lengths open; or no axes */
    char *tensor;          /* "auto" or the name of a tensor */
    enum sg_score score;

    int n_layers; /* tensors that instances read beside the input, each once */
    const char **layers;

    struct sg_data_options data;

    enum sg_target target;
    int64_t target_class; /* SG_TARGET_CLASS */
    int64_t n_targets;    /* maps an item: SG_TARGET_TOP's number, else 1 */
    char *target_file;    /* SG_TARGET_FROM: the result whose targets are taken; whoever opens the
                           * items fills in n_targets and targets[n_items][n_targets] from it */
    int32_t *targets;

    int64_t block; /* sampling.block: samples of a block; part of the identity */
    enum sg_nonfinite nonfinite;

    int n_instances; /* methods, lists expanded, labels unique */
    struct sg_instance *instances;

    double max_hours; /* run, nothing of it is part of the identity; 0: no limit */
    double checkpoint_seconds;
    double memory_mb; /* 0: no limit */
    int share_weights;
    int64_t
        max_failed; /* items that may fail before the run ends with exit code 3; -1: any number */

    char *echo;    /* "key: value\n" for every key of the identity, defaults filled in, in a fixed
                    * order: two jobs are  the same study if and only if these texts are equal */
    char *presets; /* "label: name version" for every instance that has a preset, and what the job
                    * says otherwise; "" if there are none */
    char *given;   /* the job file's own text followed by the --set arguments as comments, for the
                      record */
};

/* Reads and checks the job. `sets`: n_sets "key.path=value" texts that override the file. Files
 * that the job names must exist. Rank 0 only. Errors: SG_E_JOB. */
sg_status sg_job_read(const char *file, const char *const *sets, int n_sets, struct sg_job **out);

/* The same from the text of a file; `file` is for messages and for relative paths. All ranks parse
 * the text that rank 0 read. */
sg_status sg_job_parse(const char *text, size_t n, const char *file, const char *const *sets,
                       int n_sets, struct sg_job **out);
void sg_job_destroy(struct sg_job *job);

/* The conventions of another tool: options of an instance, as YAML. */
struct sg_preset {
    const char *name;
    const char *version;  /* of the tool */
    const char *tool;     /* what of it */
    const char *settings; /* "{key: value, ..}" with the keys of an entry of `methods` */
};

/* The table, NULL past its end. */
const struct sg_preset *sg_preset_at(int i);

/* For a failure that only model and items have shown, and whose message begins with a key's path:
 * puts the place of the key in the job's text in front. Returns `status`, the message is the
 * thread's. */
sg_status sg_job_locate(const struct sg_job *job, const char *text, size_t n,
                        const char *const *sets, int n_sets, sg_status status);

/* The whole of a file as bytes that the caller frees with sg_free (a NUL is put behind the last).
 * Files above `limit` bytes are refused (SG_E_JOB). */
sg_status sg_job_read_file(const char *path, size_t limit, char **bytes, size_t *n);

/* Lists the keys on which two echoes differ, one "key: old -> new" a line, into `out`; returns
 * their number. */
int64_t sg_job_compare(const char *old_echo, const char *new_echo, struct sg_text *out);

#endif
