/* include/sgdist/dispatch.h - who works on what: a pure state machine, without messages and without
 * a clock.
 *
 * Workers 0..n-1 form teams of powers of two: team i of level l is the workers [i 2^l, (i + 1)
 * 2^l), cut off at n; the highest level is everyone. The machine is told when items end and what
 * time it is, and answers with orders. While there are plenty of items every worker has one of its
 * own and the next one waiting; towards the end an item goes to the team by which all work is
 * predicted to end first. */
#ifndef SGDIST_DISPATCH_H
#define SGDIST_DISPATCH_H

#include "sgdist/status.h"

#include <stdint.h>

struct sg_dispatch;

struct sg_dispatch_order {
    int64_t item;
    int level;
    int first_worker; /* the leader */
    int n_workers;
};

/* items[n_items] in the order in which they are to be handed out (copied). rounds[n_workers]
 * (copied): what an item takes by a team of 1, 2, ... n_workers members, in any unit; blocks that
 * they work off side by side, say. A team of which a half would be as fast is never formed. Errors:
 * SG_E_NOMEM. */
sg_status sg_dispatch_create(int n_workers, const int64_t *items, int64_t n_items,
                             const int64_t *rounds, struct sg_dispatch **out);
void sg_dispatch_destroy(struct sg_dispatch *d);

/* 1 and an order that can be given now, or 0: wait for an item to end. Call until it says 0. */
int sg_dispatch_next(struct sg_dispatch *d, double now, struct sg_dispatch_order *out);

/* The item of an order has ended (done, failed or stopped); a team's orders end in the order in
 * which they were given. */
void sg_dispatch_ended(struct sg_dispatch *d, int first_worker, int64_t item, double now);

/* No more orders: what has been given ends, the rest stays. */
void sg_dispatch_stop(struct sg_dispatch *d);

int64_t sg_dispatch_n_waiting(const struct sg_dispatch *d); /* items not yet ordered */
int64_t sg_dispatch_n_running(const struct sg_dispatch *d); /* ordered and not ended */

#endif
