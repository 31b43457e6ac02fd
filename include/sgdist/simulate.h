/* include/sgdist/simulate.h - a run as it would go on a machine of any size: the dispatcher of a
 * real run (dispatch.h) and the dealing in its teams (deal.h), driven by events instead of
 * messages.
 *
 * What is simulated: the master as one server that takes an outcome, its record and its write, then
 * gives orders; workers that differ in speed; teams whose members get a block when they have done
 * one, and give their sums at the end of each stage; messages that take time. What is not: reading
 * items, which is counted against the file system's bandwidth at the end; messages within a team,
 * which ask ahead. */
#ifndef SGDIST_SIMULATE_H
#define SGDIST_SIMULATE_H

#include "sgdist/status.h"

#include <stdint.h>

/* Seconds and bytes of a machine; docs/scaling.md says how they were measured. */
struct sg_machine {
    double order_s;           /* master: sending an order to a worker */
    double outcome_s;         /* master: taking an outcome, without its record */
    double record_byte_s;     /* master: receiving and writing a byte of a record */
    double message_s;         /* on the way */
    double reduce_s;          /* a step of the way of a team's sums, and */
    double reduce_byte_s;     /* for each byte of them */
    double spread;            /* of the speeds of workers: relative standard deviation */
    double slow_share;        /* of the workers that are slow, */
    double slow_factor;       /* and how much longer they take */
    double read_bytes_per_s;  /* of the file system, all ranks together */
    double write_bytes_per_s; /* to one file */
};

extern const struct sg_machine sg_machine_usual;

struct sg_simulated {
    int n_ranks; /* 2 or more: a master and workers */
    int64_t n_items;
    int64_t n_blocks;      /* of an item */
    const int64_t *rounds; /* [n_ranks - 1]: for the dispatcher, see sg_dispatch_create */
    int n_stages;
    const int64_t *stage_ends; /* [n_stages] in blocks, the last one is n_blocks */
    double block_s;            /* of a block, by a worker of usual speed */
    double open_s;             /* the leader alone: reading, clean pass, finishing the maps */
    double sums_bytes;         /* that a member sends at a stage's end */
    double read_bytes;         /* of an item */
    double record_bytes;
};

struct sg_simulation {
    double seconds;      /* until the last record is written */
    double efficiency;   /* block seconds of all items by all ranks' seconds */
    double master_share; /* of the time that the master is busy */
    double read_share;   /* of the file system's bandwidth; above 1 the run is slower than said */
    double write_share;
    int64_t n_messages;
    int largest_team;
};

/* Errors: SG_E_NOMEM. */
sg_status sg_simulate(const struct sg_machine *machine, const struct sg_simulated *run,
                      struct sg_simulation *out);

#endif
