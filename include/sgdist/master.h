/* include/sgdist/master.h - the master: hands out items, writes the result, tells how far the run
 * is. It never sees a network. */
#ifndef SGDIST_MASTER_H
#define SGDIST_MASTER_H

#include "sgdist/comm.h"
#include "sgdist/plan.h"
#include "sgdist/store.h"
#include "sgdist/work.h"

#include <signal.h>

struct sg_master;

/* All borrowed for the life of the master. */
struct sg_master_options {
    const struct sg_plan *plan;
    const struct sg_items *items;
    const char *path; /* of the result, which exists, and is locked by the caller */
    struct sg_lock *lock;
    int n_workers;
    int retry_failed; /* 1: items that failed before are tried again */
    const volatile sig_atomic_t *stop;
};

/* How a run ended. */
struct sg_run_summary {
    int64_t n_items;
    int64_t n_done; /* in the file, of this run and of earlier ones */
    int64_t n_failed;
    int64_t n_done_now; /* of this run */
    int64_t n_gradients;
    double seconds;
    int stopped; /* on request, by a signal or by run.max_hours */
};

/* Opens the result and lists what is left. Errors: those of sg_result_open. */
sg_status sg_master_create(const struct sg_master_options *options, struct sg_master **out);
void sg_master_destroy(struct sg_master *m);

int64_t sg_master_n_pending(const struct sg_master *m);

/* Drives workers that are ranks 1, 2, ... of the world until all is done or the run is stopped; at
 * the end every worker has been told so. Errors: SG_E_IO of the result; SG_E_INPUT if more than
 * run.max_failed items failed; what a worker reported. */
sg_status sg_master_run(struct sg_master *m, const struct sg_comm *world);

/* For a single rank: the upstream of the one worker, which drives the master from its own calls;
 * sg_master_finish then gives the status of the run. */
struct sg_upstream sg_master_upstream(struct sg_master *m);
sg_status sg_master_finish(struct sg_master *m);

void sg_master_summary(const struct sg_master *m, struct sg_run_summary *out);

/* The open result, for what is written at the end of a run. */
struct sg_result *sg_master_result(struct sg_master *m);

#endif
