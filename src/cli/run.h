/* src/cli/run.h - a run in hand; for the files of the verb `run`. */
#ifndef CLI_RUN_H
#define CLI_RUN_H

#include "cli/result.h"
#include "sgdist/master.h"
#include "sgdist/worker.h"

/* All that a run holds; on ranks other than 0 there is no lock, no master and no table. */
struct run {
    struct job_arguments arguments;
    int fresh;
    int retry_failed;
    int verbose;
    int quiet;
    struct sg_comm *world;
    struct study study;
    uint64_t identity;
    double range[2 * SG_MAX_CHANNELS]; /* of the data set: least, largest */
    struct sg_lock *lock;
    struct sg_master *master;
    struct sg_worker *worker;
    struct sg_comm *workers; /* ranks 1, 2, ...; NULL on rank 0 */
    struct sg_upstream link; /* of a worker to the master */
    struct sg_runs runs;
    int64_t is_packed; /* the result is complete and packed, and ended like this: */
    struct sg_run_summary ended;
    int was_complete; /* the result bore the mark when it was opened, and nothing is to be tried
                         again */
};

static inline int sg_run_is_root(const struct run *r) {
    return sg_comm_rank(r->world) == 0;
}

/* run_open.c: refuses a run that needs more memory than it may have (rank 0); locks the result, and
 * finds the file of an earlier run or lays out a new one (collective). */
sg_status sg_run_check_memory(const struct run *r);
sg_status sg_run_open_result(struct run *r);

/* run_say.c: what rank 0 says at the beginning and at the end. */
void sg_run_announce(const struct run *r);
sg_status sg_run_print_summary(const struct run *r);
void sg_run_print_phases(const struct sg_runs *t);
/* What each rank did, with --verbose. */
struct sg_rank_detail {
    char host[64];
    struct sg_phases phases;
};
void sg_run_print_ranks(const struct sg_rank_detail *all, int n_ranks);
void sg_run_conclude(const struct run *r, const struct sg_run_summary *s, sg_status run_status,
                     int exit_code);

/* run_end.c: the workers' times (collective), the run's last words (rank 0), whether every item has
 * ended (collective), and then the statistics and the mark (collective). */
sg_status sg_run_gather_phases(struct run *r);
sg_status sg_run_close_books(struct run *r, sg_status run_status, int *exit_code);
int sg_run_exit_code(const struct sg_run_summary *s, sg_status status);
int sg_run_has_ended(const struct run *r, int exit_code);
sg_status sg_run_complete(struct run *r);

#endif
