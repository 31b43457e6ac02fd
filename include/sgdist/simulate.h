/* include/sgdist/simulate.h - a run as it would go on a machine of any size: the dispatcher of a
 * real run (dispatch.h) and the dealing in its teams (deal.h), driven by events instead of
 * messages.
 *
 * What is simulated: the master as one server that takes an outcome, its record and its write, then
 * gives orders; workers that differ in speed; helpers who come to a leader when they are free, wait
 * for the item's data, and get blocks; sums that are given at the end of each stage; the time that
 * a leader spends on messages; messages that take time. What is not: reading items, which is
 * counted against the file system's bandwidth at the end; how long a block is asked for ahead. */
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
    double told_s;            /* leader: hearing a member and answering it */
    double reduce_s;          /* a step of the way of a team's sums, and */
    double reduce_byte_s;     /* for each byte of them; and of what a helper gets to begin with */
    double spread;            /* of the speeds of workers: relative standard deviation */
    double slow_share;        /* of the workers that are slow, */
    double slow_factor;       /* and how much longer they take */
    uint64_t draw;            /* of their speeds: another number, other workers */
    double read_bytes_per_s;  /* of the file system, all ranks together */
    double write_bytes_per_s; /* to one file */
};

extern const struct sg_machine sg_machine_usual;

struct sg_simulated {
    int n_ranks; /* 2 or more: a master and workers */
    int64_t n_items;
    int64_t n_blocks; /* of an item */
    int n_stages;
    const int64_t *stage_ends; /* [n_stages] in blocks, the last one is n_blocks */
    double block_s;            /* of a block, by a worker of usual speed */
    double open_s;             /* the leader alone: reading, clean pass, finishing the maps */
    double opening_bytes;      /* that a helper gets when it comes: the item */
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
    double leader_share; /* of an item's time that its leader spends on messages; the busiest */
    int64_t n_messages;  /* all, those within teams and pieces of sums included */
    int largest_team;
    /* Where the time of the workers went, as shares of all ranks' seconds. */
    double opened;  /* leaders opening items */
    double waited;  /* for the last blocks and sums of an item */
    double idled;   /* without an order */
    double stepped; /* on sums and messages within teams */
};

/* Errors: SG_E_NOMEM. */
sg_status sg_simulate(const struct sg_machine *machine, const struct sg_simulated *run,
                      struct sg_simulation *out);

#endif
