/* include/sgdist/deal.h - which blocks of a sweep go to which member of a team: to whoever asks.
 *
 * A pure state machine of the team's leader, without messages and without a clock: the simulation
 * drives it, too. Blocks go out in order. A stage is complete when all blocks below its end are
 * done; until the leader has closed it, a member may do a little behind its end, whose sums it
 * keeps apart (worker/collect.c): of two stages at most. The leader, member 0, does nothing behind
 * the running stage, since its sums are those of the team. */
#ifndef SGDIST_DEAL_H
#define SGDIST_DEAL_H

#include "sgdist/status.h"

#include <stdint.h>

enum { SG_PIECE_WORDS = 1 << 17 }; /* a megabyte: of the sums that members give, a message */

struct sg_deal;

/* With room for n_members and for sweeps of up to max_stages. Errors: SG_E_NOMEM. */
sg_status sg_deal_create(int n_members, int max_stages, struct sg_deal **out);
void sg_deal_destroy(struct sg_deal *d);

/* todo[n] (borrowed): the blocks that are left, ascending. ends[n_stages] (borrowed): in blocks;
 * the first n_closed stages are closed already. */
void sg_deal_begin(struct sg_deal *d, int n_members, const int64_t *todo, int64_t n,
                   const int64_t *ends, int n_stages, int n_closed);

/* One more member, n_members until now: it may ask for blocks at once. Errors: SG_E_NOMEM, where
 * there is no room. */
sg_status sg_deal_join(struct sg_deal *d);

/* The next blocks for a member, todo[*first] and those behind it, all of one stage: their number.
 * 0: none, now or ever. block_s: what a block takes it, in seconds; 0: unknown. Cheap ones go out
 * several at a time, and the last ones not to a member that others would be done before. A member
 * may be dealt blocks while it has some in hand. */
int64_t sg_deal_next(struct sg_deal *d, int member, double block_s, int64_t *first);

/* A member has done what it was dealt, the earliest that it had in hand. */
void sg_deal_done(struct sg_deal *d, int member);

/* The stage of todo[k]. */
int sg_deal_stage(const struct sg_deal *d, int64_t k);

int sg_deal_is_complete(const struct sg_deal *d, int stage);

/* The leader has all sums of the running stage: the next one runs. */
void sg_deal_close(struct sg_deal *d);

/* Who but the leader has sums of a stage, ascending: their number. They are taken as given away.
 * with_hands 1: and who may have some when it has done what it has in hand. */
int sg_deal_take(struct sg_deal *d, int stage, int with_hands, int *members);

#endif
