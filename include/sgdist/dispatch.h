/* include/sgdist/dispatch.h - who works on what: a pure state machine, without messages and without
 * a clock.
 *
 * An item has a leader, who begins it and ends it. While items wait, whoever is free leads the next
 * one, and while there are plenty every worker has one more waiting behind its own. When none is
 * left, whoever is free helps: it joins the item that is predicted to end last, and is free again
 * when that ends. So nobody waits for a team to come together, and all work ends at nearly the same
 * time. The machine is told when items end and what time it is, and answers with orders. */
#ifndef SGDIST_DISPATCH_H
#define SGDIST_DISPATCH_H

#include "sgdist/status.h"

#include <stdint.h>

struct sg_dispatch;

struct sg_dispatch_order {
    int64_t item;
    int leader;
    int helper; /* joins the leader's work on the item; -1: the leader begins it */
};

/* items[n_items] in the order in which they are to be handed out (copied). n_blocks: what an item
 * is made of; a block is one worker's. Errors: SG_E_NOMEM. */
sg_status sg_dispatch_create(int n_workers, const int64_t *items, int64_t n_items, int64_t n_blocks,
                             struct sg_dispatch **out);
void sg_dispatch_destroy(struct sg_dispatch *d);

/* 1 and an order that can be given now, or 0: ask again when an item has ended, or a little later.
 * Call until it says 0. Helpers are sent to the item that a leader works on, never to the one that
 * waits behind it. */
int sg_dispatch_next(struct sg_dispatch *d, double now, struct sg_dispatch_order *out);

/* The item that a leader works on has ended (done, failed or stopped). */
void sg_dispatch_ended(struct sg_dispatch *d, int leader, int64_t item, double now);

/* No more orders: what has been given ends, the rest stays. */
void sg_dispatch_stop(struct sg_dispatch *d);

int64_t sg_dispatch_n_waiting(const struct sg_dispatch *d); /* items not yet ordered */
int64_t sg_dispatch_n_running(const struct sg_dispatch *d); /* ordered and not ended */

#endif
