/* include/sgdist/worker.h - a worker: takes items from the master and works on them in teams. */
#ifndef SGDIST_WORKER_H
#define SGDIST_WORKER_H

#include "sgdist/comm.h"
#include "sgdist/net.h"
#include "sgdist/plan.h"
#include "sgdist/work.h"

#include <signal.h>

struct sg_worker;

/* All borrowed for the life of the worker. */
struct sg_worker_options {
    const struct sg_plan *plan;
    const struct sg_model *model;
    const struct sg_model *const *draws; /* the plan's draws of its weights; NULL: there are none */
    struct sg_items *items;
    const struct sg_comm *workers; /* the workers' communicator, or NULL: one alone */
    struct sg_upstream upstream;
    const volatile sig_atomic_t *stop; /* set by a signal */
    const char *result;                /* path of the result: checkpoints lie beside it */
    uint64_t identity;                 /* of the study, so that no foreign checkpoint is taken up */
    const double *dataset_min;         /* [C], or NULL */
    const double *dataset_max;
    const float *const *baselines; /* [D] each, of job->baseline_files */
};

/* Takes all memory the worker will ever need. Collective over `workers`. Errors: SG_E_NOMEM. */
sg_status sg_worker_create(const struct sg_worker_options *options, struct sg_worker **out);
void sg_worker_destroy(struct sg_worker *w); /* Collective over `workers`. */

/* Bytes that a worker takes besides its nets: arrays, sums, and the buffer of a checkpoint. */
int64_t sg_worker_bytes(const struct sg_plan *plan);

/* Bytes of its nets. Errors: SG_E_NOMEM, they cannot even be planned. */
sg_status sg_worker_net_bytes(const struct sg_plan *plan, const struct sg_model *model,
                              int64_t *bytes);

/* Works until the master says that it is over. */
void sg_worker_run(struct sg_worker *w);

const struct sg_phases *sg_worker_phases(const struct sg_worker *w);

/* The upstream of a worker that is a rank of its own: messages to and from rank 0 of `world`. A
 * record travels while the worker is at its next item. Closing waits for what is on its way.
 * Errors: SG_E_NOMEM. */
sg_status sg_upstream_open(const struct sg_comm *world, int64_t record_bytes,
                           struct sg_upstream *out);
void sg_upstream_close(struct sg_upstream *upstream);

/* Least and largest input value of each channel over all readable items, min[C] and max[C]; every
 * rank reads its share. Collective over world. Errors: SG_E_INPUT if no item could be read. */
sg_status sg_scan_dataset(const struct sg_comm *world, const struct sg_plan *plan,
                          struct sg_items *items, double *min, double *max);

/* Statistics of the maps over all finished items (of several targets the first), computed by all
 * ranks from the stored maps at `path` and written into dataset/<label>/{mean,mean_abs,std}: [map
 * shape] each. `result`: the open result on rank 0, NULL elsewhere. Collective over world; every
 * rank has its own status. Errors: SG_E_IO, SG_E_NOMEM, SG_E_PEER. */
struct sg_result;
sg_status sg_dataset_statistics(const struct sg_comm *world, const struct sg_plan *plan,
                                const char *path, struct sg_result *result);

/* Which samples are made again: [first, first + n) of an item, as a reading of a sweep sees them;
 * i_reading -1: as its gates do, of which nothing is read sample by sample. */
struct sg_sample_range {
    int64_t item;
    int i_sweep;
    int i_reading;
    int64_t first;
    int64_t n;
};

/* What single samples saw and gave, for audit, bit for bit as a run computes them: inputs[n][D] and
 * readings[n][n_targets][size of what is read]; targets[n_targets]. Errors: SG_E_ARG, SG_E_INPUT,
 * SG_E_NUMBERS. */
sg_status sg_worker_samples(struct sg_worker *w, const struct sg_sample_range *range, float *inputs,
                            float *readings, int32_t *targets);

/* Seconds of what is done at the item itself, and of a block (0 without sweeps), for `sgdist
 * check`. Measured is a block of the first sweep (noise, forward, backward, sums), the fastest of
 * three; where paths are walked one batch through the network, from which their length follows.
 * Errors: SG_E_INPUT, SG_E_NUMBERS: this item would fail. */
sg_status sg_worker_measure(struct sg_worker *w, int64_t item, double *open_s, double *block_s);

#endif
