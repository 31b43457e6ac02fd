/* src/cli/cli.h - the verbs; not for other folders. Each takes its own arguments (argv[0] is the
 * verb) and returns the exit code. Those that need ranks start MPI themselves. */
#ifndef CLI_H
#define CLI_H

#include "sgdist/comm.h"
#include "sgdist/data.h"
#include "sgdist/job.h"
#include "sgdist/net.h"
#include "sgdist/plan.h"
#include "sgdist/shared.h"

#include <signal.h>

/* name, operands, what it does, whether all ranks take part: the table behind main, help and error
 * messages. */
#define SG_VERB_LIST(X)                                                                            \
    X(run, "JOB.yaml", "run a study; goes on where a stopped run left off", 1)                     \
    X(check, "JOB.yaml", "all but the run: errors, plan, memory, disk, predicted time", 1)         \
    X(status, "RESULT.h5", "how far, how fast, what failed; also while it runs", 0)                \
    X(diff, "A.h5 B.h5", "compare two results bit for bit", 0)                                     \
    X(pack, "RESULT.h5", "compress a complete result; every command reads it as before", 0)        \
    X(join, "A.h5 B.h5 ...", "results of one study with different items, as one file", 0)           \
    X(show, "RESULT.h5", "a contact sheet of items and maps as a PNG picture", 0)                  \
    X(describe, "RESULT.h5", "the study in a paragraph for a methods section, with citations", 0)  \
    X(sample, "JOB.yaml", "the noisy inputs and gradients of single samples, for audit", 1)        \
    X(info, "MODEL.onnx", "inputs, outputs, layers, parameters and cost of a model", 0)            \
    X(eval, "MODEL.onnx", "outputs and input gradients of a model for a NumPy array", 0)           \
    X(bench, "MODEL.onnx", "where a model's time goes, layer by layer; seconds a gradient", 0)     \
    X(list, "methods|ops|presets", "the methods, operators or presets that are built in", 0)

#define SG_VERB_DECLARE(name, operands, about, parallel) int sg_cli_##name(int argc, char **argv);
SG_VERB_LIST(SG_VERB_DECLARE)

/* Prints "sgdist VERB: message" and where to find help; returns the exit code for wrong usage. */
int sg_cli_usage(const char *verb, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* 1 if this process may print what every rank would say (usage, help): the first of its launcher.
 */
int sg_cli_speaks(void);

/* Prints the failure in the thread's trace as the one error line of the program; returns its exit
 * code. */
int sg_cli_fail(sg_status status);

/* What a precision below float32 does to gradients and maps, measured on SG_EFFECT_DRAWS noisy
 * inputs of a few items. Relative norms (L2); NaN for an item that cannot be read. */
enum { SG_EFFECT_ITEMS = 4, SG_EFFECT_DRAWS = 16 };
struct sg_effect {
    int n; /* items, 0: float32 */
    int64_t item[SG_EFFECT_ITEMS];
    double gradient[SG_EFFECT_ITEMS]; /* median of the differences of single gradients */
    double map[SG_EFFECT_ITEMS];      /* difference of the means over the draws */
    double error[SG_EFFECT_ITEMS];    /* standard error of the mean, for comparison */
};

/* ---- a study: job, model, items and plan, the same on all ranks ---- */

struct study {
    char *job_text;
    struct sg_job *job;
    char model_sha256[65]; /* on all ranks, since it is part of the identity */
    char *inputs;          /* those that are held fixed, and baselines, packed */
    size_t n_inputs;
    const float **baselines; /* into them: those of job->baseline_files */
    struct sg_model *model;
    struct sg_model_image image;    /* its bytes: on rank 0, until they are shared or used up */
    struct sg_shared *shared_image; /* until the model is built; NULL where one rank runs alone */
    struct sg_shared *weights;      /* NULL where one rank runs alone */
    int share_weights;
    struct sg_model **draws; /* [n_weight_draws of the plan] with their own weights; or NULL */
    struct sg_shared *draw_weights;
    char lack[512]; /* why the draws were not made, for want of memory; "" */
    struct sg_items *items;
    struct sg_plan *plan;
    struct sg_effect effect; /* of a precision below float32, once it was measured */
    int64_t net_bytes;       /* sg_worker_net_bytes */
    int64_t program_bytes;   /* of this process, before it read anything */
};

/* The inputs that the job holds fixed, and its baselines from files: read by rank 0 into bytes
 * (sg_free), and taken from them by all. *out (sg_free) points into the bytes and the job. */
sg_status sg_study_read_inputs(const struct sg_job *job, char **bytes, size_t *n);
sg_status sg_study_take_inputs(const struct sg_job *job, const char *bytes,
                               struct sg_fixed_input **out);
sg_status sg_study_take_baselines(const struct sg_job *job, const char *bytes,
                                  const struct sg_shape *input, const float ***out);

/* Options that verbs on jobs share. */
struct job_arguments {
    const char *file;
    const char *sets[64];
    int n_sets;
};

/* Rank 0 reads job, model and the list of items, the others get them from it. Collective. On
 * failure one rank has printed the message and all return the same status. */
sg_status sg_study_open(const struct sg_comm *world, const struct job_arguments *arguments,
                        struct study *out);
void sg_study_close(struct study *s);

/* The targets of `target: {from: ...}` into the job, for these items; nothing for other jobs. Rank
 * 0 only. Errors: SG_E_JOB with the item's name where the other result has none for it. */
sg_status sg_study_read_targets(struct sg_job *job, const struct sg_items *items);

/* The family of kernels that computes it, with its precision. Static string. */
const char *sg_study_kernels(const struct study *s);

/* Bytes of a rank that do not depend on the result: model, nets, worker; without what it shares. */
int64_t sg_study_rank_bytes(const struct study *s);
/* SG_E_JOB where the plan has draws of the weights that memory is too small for. */
sg_status sg_study_check_draws(const struct study *s);
/* Its parts; n_ranks: for a study that one rank opened, where so many would share the weights. */
struct sg_rank_bytes sg_study_memory(const struct study *s, int n_ranks);

/* A worker outside a run, which gets no orders (check, sample). range: [2][C] of the data set, or
 * NULL. */
struct sg_worker;
sg_status sg_cli_lone_worker(const struct study *s, const double *range, struct sg_worker **out);

/* Fills in s->effect where the precision is not float32; rank 0. study_effect.c. Errors: SG_E_MODEL
 * (the file has gone), SG_E_NOMEM, SG_E_INTERRUPTED. */
sg_status sg_study_measure_effect(struct study *s);
/* Bytes that this takes at most; and of which items it is. */
int64_t sg_study_effect_bytes(const struct study *s);
int sg_study_effect_items(const struct study *s, int64_t item[SG_EFFECT_ITEMS]);

/* The same status on all ranks: the first bad one, whose rank prints its message. Collective. */
sg_status sg_agree(const struct sg_comm *world, sg_status status);

/* Room on rank 0 (sg_free; NULL elsewhere) for `size` bytes from every rank, or the same failure on
 * all. Collective. */
sg_status sg_take_for_all(const struct sg_comm *world, size_t size, const char *what, void **out);

/* As sg_comm_start; a failure has been told of. */
sg_status sg_start_ranks(int *argc, char ***argv, struct sg_comm **world);

/* Set by SIGUSR1, SIGTERM and SIGINT once sg_catch_signals was called. */
extern volatile sig_atomic_t sg_stop;
void sg_catch_signals(void);

/* One BLAS thread: where the library has more, sets the environment and runs the program again.
 * Before MPI starts. */
void sg_single_thread(char **argv);

#endif
