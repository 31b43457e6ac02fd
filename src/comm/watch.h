/* src/comm/watch.h - notices a host that is gone.
 *
 * A rank that dies ends the run through its launcher at once. A host that loses power or its
 * network says nothing to anybody: its peers would wait in a collective for ever. So the first rank
 * of every other host holds one TCP connection to rank 0, on which nothing is said. The kernels at
 * its ends ask each other from time to time whether they are still there; a process that computes,
 * is stopped or sleeps with its machine need do nothing for it, and is never taken for dead. */
#ifndef COMM_WATCH_H
#define COMM_WATCH_H

#include "sgdist/comm.h"

struct sg_watch;

/* Begins to watch: a run on one host gets NULL. Hosts that cannot be watched are named in a
 * warning, and the run goes on without. When a host is lost, rank 0 says so and ends with the exit
 * code of SG_E_PEER, which makes the launcher end the others; they end by themselves where it
 * cannot reach them. Collective over world. */
struct sg_watch *sg_watch_start(const struct sg_comm *world);

/* Ends in good order; NULL is allowed. */
void sg_watch_stop(struct sg_watch *watch);

#endif
