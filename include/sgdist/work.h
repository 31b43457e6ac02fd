/* include/sgdist/work.h - what master and workers say to each other, without saying how it travels.
 *
 * The master gives orders (an item to lead, a helper for it), leaders deliver outcomes (a record, a
 * failure, a checkpoint). Between processes orders and outcomes are messages; on a single rank they
 * are calls. */
#ifndef SGDIST_WORK_H
#define SGDIST_WORK_H

#include "sgdist/status.h"

#include <stdint.h>

enum sg_order_kind {
    SG_ORDER_ITEM, /* to lead */
    SG_ORDER_HELP, /* for the item in hand: a worker that waits for the leader's word */
    SG_ORDER_END
};

struct sg_order {
    int64_t kind; /* enum sg_order_kind */
    int64_t item;
    int64_t worker; /* SG_ORDER_HELP: which one, from 0 */
};

enum sg_outcome_kind {
    SG_OUTCOME_RECORD,  /* the item is done, or has failed for a reason in its record; the record
                           follows */
    SG_OUTCOME_STOPPED, /* stopped on request, a checkpoint stands where work would have been lost
                         */
    SG_OUTCOME_ERROR    /* the run cannot go on (disk, memory): `status` and `message` */
};

enum { SG_OUTCOME_MESSAGE = 2048 };

struct sg_outcome {
    int64_t kind; /* enum sg_outcome_kind */
    int64_t item;
    int64_t n_gradients; /* computed for this item in this run */
    int64_t status;      /* sg_status of SG_OUTCOME_ERROR */
    char message[SG_OUTCOME_MESSAGE];
};

/* A worker's view of the master. */
struct sg_upstream {
    void *context;
    /* 1 and the next order, an item or the end; 0: none is here yet. */
    int (*next)(void *context, struct sg_order *order);
    /* Leaders only, called while they work: 1 and one more helper for this item. Who has not been
     * asked for when the item ends has never heard of it. May be NULL: there are none. */
    int (*helper)(void *context, int64_t item, int64_t *worker);
    /* 1 and the item of the order behind the current one, if it is here already. May be NULL. */
    int (*ahead)(void *context, int64_t *item);
    /* Leaders only: hands over an outcome, with its record for SG_OUTCOME_RECORD. */
    void (*deliver)(void *context, const struct sg_outcome *outcome, const void *record,
                    int64_t record_bytes);
    /* Leaders only, called between blocks: 1 if the master wants the run stopped. */
    int (*stop_requested)(void *context);
};

/* Phases of a worker's time, for the performance table. */
#define SG_PHASE_LIST(X)                                                                           \
    X(INPUT, "input")                                                                              \
    X(NOISE, "noise")                                                                              \
    X(FORWARD, "forward")                                                                          \
    X(BACKWARD, "backward")                                                                        \
    X(SUMS, "sums")                                                                                \
    X(REDUCE, "reduce")                                                                            \
    X(FINISH, "finish")                                                                            \
    X(OUTPUT, "output")                                                                            \
    X(WAIT, "wait")

#define SG_PHASE_ENUM(name, text) SG_PHASE_##name,
enum sg_phase { SG_PHASE_LIST(SG_PHASE_ENUM) SG_N_PHASES };

struct sg_phases {
    double seconds[SG_N_PHASES];
    int64_t n_forwards;  /* samples through the network */
    int64_t n_backwards; /* gradients */
    int64_t n_led;       /* items, and those of others that it helped with */
    int64_t n_helped;
};

const char *sg_phase_name(enum sg_phase phase);

/* Message tags between ranks. */
enum { SG_TAG_ORDER = 1, SG_TAG_HELP, SG_TAG_STOP, SG_TAG_OUTCOME, SG_TAG_RECORD };

#endif
