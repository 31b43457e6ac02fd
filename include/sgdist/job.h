/* include/sgdist/job.h - the job file: YAML to a struct, by a strict table.
 *
 * Every error names file:line:column, the key's path, what is wrong, what is allowed and the
 * nearest name. */
#ifndef SGDIST_JOB_H
#define SGDIST_JOB_H

#include "sgdist/data.h"
#include "sgdist/methods.h"
#include "sgdist/shape.h"
#include "sgdist/status.h"
#include "sgdist/text.h"

#include <stdint.h>

enum sg_score { SG_SCORE_LOGIT, SG_SCORE_PROBABILITY, SG_SCORE_LOG_PROBABILITY };
enum sg_choice { SG_CHOICE_RANK, SG_CHOICE_CLASS, SG_CHOICE_LABEL, SG_CHOICE_GIVEN };
enum sg_region { SG_REGION_ALL, SG_REGION_PREDICTED };
enum sg_reduce { SG_REDUCE_SUM, SG_REDUCE_MEAN, SG_REDUCE_MAX };
enum { SG_MAX_BOX_AXES = SG_MAX_AXES - 1 };
enum sg_nonfinite { SG_NONFINITE_FAIL, SG_NONFINITE_SKIP };

/* A score of the outputs that is explained. An output is [classes][positions]: a vector of logits
 * has one position, a field has many. What depends on the item is fixed by its clean outputs. */
struct sg_target {
    char output[SG_MAX_TENSOR + 1]; /* the tensor; "": the first explained one */
    int32_t choice;                 /* enum sg_choice */
    int64_t number; /* the class; the rank, 0 is the predicted class; of given ones which */
    int32_t region; /* enum sg_region: all positions, or those predicted as it */
    int32_t reduce; /* enum sg_reduce: how positions become a number */
    int n_box;      /* axes of the box, 0: all positions */
    int64_t box[2 * SG_MAX_BOX_AXES]; /* first of each axis, then the one past the last */
    int n_element;                    /* axes of a single element that was asked for, or 0 */
};

/* An input of the model that is held fixed: a number for all elements, or an array in a file. */
struct sg_job_input {
    char name[SG_MAX_TENSOR + 1];
    char *file; /* NULL: `value` */
    double value;
};

enum { SG_MAX_BLOCK = 4096 }; /* samples of a batch */

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
    int n_tensors;         /* to explain: that one, and those that targets name, each once */
    const char **tensors;
    enum sg_score score;

    char *input;  /* "auto", or the input whose elements are explained */
    int n_inputs; /* the others */
    struct sg_job_input *inputs;
    int n_baseline_files; /* .npy files where paths begin, each once; they belong to instances */
    const char **baseline_files;
    int n_layers; /* tensors that instances read beside the input, each once */
    const char **layers;

    int32_t precision; /* enum sg_precision of net.h */

    struct sg_data_options data;

    int64_t n_targets; /* maps an item */
    struct sg_target *targets;
    char *target_text;      /* all of them, as in the echo */
    char *target_file;      /* of {from: ..}, else NULL: the result whose targets are taken; whoever
                             * opens the items fills in n_targets, targets and given_targets from it */
    int32_t *given_targets; /* [n_items][n_targets] */

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
    int events;     /* 1: the run's story as JSON lines beside the result */

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

/* {from: ..}: makes n_targets targets, whose classes will be in job->given_targets. Errors:
 * SG_E_NOMEM. */
sg_status sg_job_give_targets(struct sg_job *job, int64_t n_targets);

/* Instances that read the layer "auto" read the one that the model has found for it: it stands in
 * their options and in the echo from now on. Errors: SG_E_NOMEM. */
sg_status sg_job_name_layers(struct sg_job *job, const struct sg_signature *model);

/* 1 if a target is the item's label. */
int sg_job_uses_labels(const struct sg_job *job);

/* Adds the target in words: "class 3 of masks in the box [0, 0, 8, 8] (mean)"; where the output
 * has no classes, "value of rain ..". */
void sg_target_text(const struct sg_target *target, int has_classes, struct sg_text *t);

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
