/* src/master/master_impl.h - what the files of this folder share; not for other folders. */
#ifndef MASTER_IMPL_H
#define MASTER_IMPL_H

#include "sgdist/dispatch.h"
#include "sgdist/master.h"

/* How far and how fast; shown as a bar on a terminal, as a line every so often elsewhere. */
struct progress {
    double begun;
    double shown; /* time of the last line or bar */
    double told;  /* time of the last event */
    double next_line_s;
    int64_t n_items;
    int64_t n_before; /* items that earlier runs finished */
    int64_t n_ended;  /* in this run */
    int64_t n_gradients;
    double gradients_per_item;
};

void sg_progress_begin(struct progress *p, double now, int64_t n_items, int64_t n_left,
                       double gradients_per_item);
void sg_progress_count(struct progress *p, double now, int64_t n_gradients);
void sg_progress_show(struct progress *p, double now);

struct sg_master {
    struct sg_master_options o;
    struct sg_result *result;
    struct sg_dispatch *dispatch;
    struct progress progress;
    char *record;     /* of the outcome in hand */
    int64_t *written; /* items written since the last commit */
    int64_t n_written;
    double begun;
    double committed;
    int64_t n_done;
    int64_t n_failed;
    int64_t n_done_now;
    int64_t n_failed_now;
    int64_t n_gradients;
    int is_stopped;
    sg_status status; /* the first thing that ends the run */
    char message[SG_OUTCOME_MESSAGE];
};

#endif
