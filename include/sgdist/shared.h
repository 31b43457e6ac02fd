/* include/sgdist/shared.h - bytes that the ranks of a machine have in common.
 *
 * A block in /dev/shm that every rank of a machine maps; one of them writes it. Its name is gone
 * before it takes any space, so that a killed run leaves no memory behind, and the space is
 * reserved before it is written: a full /dev/shm is found here and not by a SIGBUS later. (MPI's
 * own shared windows do neither.) Where it cannot be had, each rank of the machine gets bytes of
 * its own and writes them itself; what runs on them need not know. */
#ifndef SGDIST_SHARED_H
#define SGDIST_SHARED_H

#include "sgdist/comm.h"

struct sg_shared;

/* Whether ranks of a machine have the bytes in common, and who may write them: its first rank, or
 * all of them. */
enum sg_share { SG_SHARE_NOT, SG_SHARE_ONE_WRITES, SG_SHARE_ALL_WRITE };

/* n bytes (not zeroed, aligned to 64) for all ranks of `world`. SG_SHARE_NOT: each rank gets its
 * own. `what` ("the weights") begins the line in the log where sharing failed on a machine.
 * Collective; all ranks return the same status. Errors: SG_E_NOMEM. */
sg_status sg_shared_create(const struct sg_comm *world, size_t n, enum sg_share share,
                           const char *what, struct sg_shared **out);
void sg_shared_destroy(struct sg_shared *s); /* NULL is allowed; the bytes end with it */

void *sg_shared_bytes(const struct sg_shared *s);
int sg_shared_is_writer(const struct sg_shared *s);  /* this rank writes the bytes that it sees */
int sg_shared_n_ranks(const struct sg_shared *s);    /* that see them; 1: this rank's own */
int sg_shared_rank(const struct sg_shared *s);       /* among these */
int sg_shared_on_machine(const struct sg_shared *s); /* ranks of the machine, sharing or not */

/* Rank 0's bytes to those of all machines. Collective over the world. */
void sg_shared_bcast(const struct sg_shared *s);

/* After the writers have written: nobody returns before. Collective over the world. */
void sg_shared_written(const struct sg_shared *s);

#endif
