/* src/cli/result.h - a study's result file as a whole; not for other folders. */
#ifndef CLI_RESULT_H
#define CLI_RESULT_H

#include "cli/cli.h"
#include "sgdist/store.h"
#include "sgdist/work.h"

enum { SG_MAX_RUNS = 32, SG_RUN_HOST = 64 };

/* Bytes the file would take, in place of making it. */
struct sg_reserve {
    int64_t bytes;
};

/* Lays out the result at `path`, or with `reserve` only tells its size. range: [2][C] least and
 * largest input value of the data set, or NULL. */
sg_status sg_result_layout(const struct study *s, const double *range, struct sg_reserve *reserve,
                           const char *path);

int sg_result_exists(const char *path);

/* Refuses (SG_E_JOB) a result of another study, with the keys that differ. */
sg_status sg_result_check_identity(const struct study *s);

/* Hash of the identity: no foreign checkpoint is taken up. */
sg_status sg_study_identity(const struct study *s, uint64_t *hash);
uint64_t sg_study_items_hash(const struct study *s);

/* Prints, for each sampled method, the samples, the relative error of the maps, the share of noisy
 * elements outside the domain, and the absolute noise scale that was used. states: sg_item_status
 * of each item. */
sg_status sg_cli_print_summary(const struct study *study, const unsigned char *states);

/* The table of runs, and what each run's time went into. */
struct sg_runs {
    int n;
    int is_complete; /* the mark provenance/complete, as read */
    double start[SG_MAX_RUNS];
    double end[SG_MAX_RUNS];
    int32_t ranks[SG_MAX_RUNS];
    int64_t items_done[SG_MAX_RUNS];
    char host[SG_MAX_RUNS][SG_RUN_HOST];
    int32_t exit_code[SG_MAX_RUNS];
    double seconds[SG_MAX_RUNS][SG_N_PHASES][3];
    int64_t forwards[SG_MAX_RUNS];
    int64_t gradients[SG_MAX_RUNS];
};

sg_status sg_runs_read(const char *path, struct sg_runs *out);
void sg_runs_begin(struct sg_runs *t, int n_ranks);
void sg_runs_end(struct sg_runs *t, int64_t items_done, int exit_code);
sg_status sg_runs_write(struct sg_result *r, const struct sg_runs *t);

#endif
