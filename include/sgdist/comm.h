/* include/sgdist/comm.h - ranks and communicators: the one place that knows MPI.
 *
 * Waiting never spins: pending operations are tested with short sleeps, so that ranks may outnumber
 * cores. While it waits a rank looks at its stop flag, but a collective that was begun is always
 * finished. */
#ifndef SGDIST_COMM_H
#define SGDIST_COMM_H

#include "sgdist/status.h"

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

struct sg_comm;

/* Starts MPI (works without mpirun: one rank) and gives the world's communicator. Collective. */
sg_status sg_comm_start(int *argc, char ***argv, struct sg_comm **world);
void sg_comm_stop(struct sg_comm *world); /* Collective. */

/* Ends all ranks of the world at once with this exit code. */
void sg_comm_abort(int exit_code) __attribute__((noreturn));

int sg_comm_rank(const struct sg_comm *c);
int sg_comm_size(const struct sg_comm *c);

/* Ranks with equal color (>= 0) form a communicator, ordered by their rank in c; color -1 gets
 * NULL. Collective. */
sg_status sg_comm_split(const struct sg_comm *c, int color, struct sg_comm **out);
/* The ranks of c that can share memory, ordered by their rank in c. Collective. */
sg_status sg_comm_split_machine(const struct sg_comm *c, struct sg_comm **out);
void sg_comm_free(struct sg_comm *c); /* Collective; NULL is allowed. */

/* All are collective over c. Byte counts may exceed 2 GiB: longer messages go in pieces of 1 GiB.
 */
void sg_comm_barrier(const struct sg_comm *c);
void sg_comm_bcast(const struct sg_comm *c, int root, void *bytes, size_t n);
void sg_comm_reduce_sum(const struct sg_comm *c, int root, int64_t *values,
                        int64_t n); /* in place at root */
void sg_comm_allreduce_max(const struct sg_comm *c, int64_t *values, int64_t n); /* in place */
void sg_comm_allreduce_max_double(const struct sg_comm *c, double *values, int64_t n);
void sg_comm_gather(const struct sg_comm *c, int root, const void *mine, size_t n, void *all);

/* `mine` where it is a failure, SG_E_PEER where only others have failed: before a collective that
 * not all could go through. */
sg_status sg_comm_together(const struct sg_comm *c, sg_status mine);

/* Point to point: messages of bytes with a tag. send returns when the bytes may be reused. */
void sg_comm_send(const struct sg_comm *c, int to, int tag, const void *bytes, size_t n);

/* Begins to send; the bytes must stay as they are until sg_comm_sent, which waits for the end (NULL
 * is allowed). */
struct sg_sending;
sg_status sg_comm_send_begin(const struct sg_comm *c, int to, int tag, const void *bytes, size_t n,
                             struct sg_sending **out);
void sg_comm_sent(struct sg_sending *sending);

/* 1 if the bytes may be reused: sg_comm_sent would not wait. */
int sg_comm_is_sent(const struct sg_sending *sending);

/* Looks for a message from rank *from (-1: any) with tag *tag (-1: any): 1 and both filled in if
 * one waits, else 0. */
int sg_comm_probe(const struct sg_comm *c, int *from, int *tag);
void sg_comm_recv(const struct sg_comm *c, int from, int tag, void *bytes, size_t n);

/* Pieces of `bytes` instead of 1 GiB, the same on all ranks. For tests. */
void sg_comm_set_piece(size_t bytes);

/* Sleeps a little, longer the more often it is called in a row (1 us; 1 ms after some 2 ms, 8 ms
 * after 2 s); *idle counts, set it to 0 after work. */
void sg_comm_idle(int *idle);

/* "Open MPI v4.1.4, ..." for the record. Static string. */
const char *sg_comm_library(void);

#endif
