/* master/simulate_impl.h - what the two files of the simulation share. */
#ifndef MASTER_SIMULATE_IMPL_H
#define MASTER_SIMULATE_IMPL_H

#include "sgdist/deal.h"
#include "sgdist/dispatch.h"
#include "sgdist/simulate.h"

enum event_kind {
    EVENT_OUTCOME, /* at the master */
    EVENT_LOOK,    /* the master looks again whom to help */
    EVENT_HELPER,  /* a leader hears of a helper */
    EVENT_JOINED,  /* and that has what it needs */
    EVENT_ALONE,   /* a leader without helpers has done the item */
    EVENT_BLOCK,   /* a member has done what it was dealt */
    EVENT_SUMS     /* a leader has the sums of a stage */
};

struct event {
    double time;
    enum event_kind kind;
    int leader;
    int who;      /* worker, or member */
    int64_t item; /* that it is about: it may be over */
};

/* A leader and its item; n_members 0: none. */
struct work {
    int64_t item;
    int64_t next_item;    /* waits behind it; -1: none */
    double began;         /* to open it */
    double opened;        /* and to work on it */
    double sent;          /* the last helper has what it needs */
    double arrival;       /* of the sums called last */
    double told;          /* seconds that the leader has spent on messages */
    struct sg_deal *deal; /* NULL: the leader is alone */
    int n_members;
    int n_places;
    int *members; /* [n_places] workers */
    double *joined;
    int *waiting; /* [n_places] members for whom nothing was there */
    int n_waiting;
    int n_called;
    int n_closed;
};

struct simulation {
    const struct sg_machine *machine;
    const struct sg_simulated *run;
    int n_workers;
    struct sg_dispatch *dispatch;
    double *speed;      /* [n_workers] seconds by usual seconds */
    double *behind;     /* [n_workers] seconds spent on sums and messages since the last block */
    double *told;       /* [n_workers] what a leader knows of a worker's blocks; 0: it did none */
    struct work *works; /* [n_workers] by leader */
    int64_t *todo;      /* [n_blocks] */
    int *givers;        /* [n_workers] */
    struct event *heap; /* the earliest first */
    int64_t n_heap;
    int64_t n_places;
    int is_out_of_memory;
    int will_look;
    double master_free;
    double master_busy;
    double ended;
    double in_items; /* seconds of workers: at items, */
    double in_blocks;
    double in_opening;
    double in_steps;
    double leader_share;
    int64_t n_messages;
    int largest_team;
};

void sg_simulate_push(struct simulation *s, struct event e);

/* A worker's item, at the earliest at `at`; it may be behind another one. */
void sg_simulate_begin(struct simulation *s, int leader, int64_t item, double at);

/* All events but the master's. */
void sg_simulate_event(struct simulation *s, const struct event *e);

void sg_simulate_free_work(struct work *w);

#endif
