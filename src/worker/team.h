/* worker/team.h - what the leader and the members of a team say to each other over a sweep.
 *
 * A member says when it has done its blocks and wants more; the leader answers with blocks, asks
 * for sums, and says when it is over. What the leader tells comes in order to each member, so that
 * all do the same. Nobody waits for another one's block: messages are looked for between the layers
 * of the network (sg_team_pause). */
#ifndef WORKER_TEAM_H
#define WORKER_TEAM_H

#include "worker/worker_impl.h"

enum {
    SG_TAG_SAID = 1, /* to the leader */
    SG_TAG_TOLD,     /* by the leader */
    SG_TAG_SAVED,    /* gifts for a checkpoint */
    SG_TAG_STAGE     /* gifts for stage 0; those behind it follow */
};

/* To the leader. */
struct said {
    int64_t is_done;  /* with the blocks it was dealt first */
    int64_t asks;     /* for more */
    int64_t is_told;  /* to stop, by a signal */
    int64_t is_gone;  /* the last word of the sweep */
    int64_t block_ns; /* its last block took; 0: it has done none */
};

enum told_kind { TOLD_BLOCKS, TOLD_GIFT, TOLD_END };

/* By the leader. */
struct told {
    int64_t kind;
    int64_t first; /* blocks: todo[first] and those behind it */
    int64_t n;
    struct gift gift;
    int64_t status; /* the end: of the leader */
    int64_t again;  /* the sweep begins once more, on a coarser grid */
};

/* lead.c and follow.c: all stages of a sweep, or as far as they come; *again: it has to begin once
 * more. The blocks that are left stand in w->todo[n_todo]. The result is the same on all ranks of
 * the team. */
sg_status sg_lead(struct sg_worker *w, const struct team *team, const struct sg_sweep *sweep,
                  int64_t n_todo, int *again);
sg_status sg_follow(struct sg_worker *w, const struct team *team, const struct sg_sweep *sweep,
                    int64_t n_todo, int *again);

/* What a team has to do between two layers of the network: a pause of all nets (net.h). */
void sg_team_pause(void *worker);
void sg_lead_serve(struct sg_worker *w);
void sg_follow_look(struct sg_worker *w);

/* stages.c, leader, with the sums of the whole team: maps, or a coarser grid (*start_again); a
 * checkpoint where one is due. */
sg_status sg_stage_close(struct sg_worker *w, const struct sg_sweep *sweep, int s,
                         int *start_again);

#endif
