/* worker/team.h - what the leader and the helpers of an item say to each other.
 *
 * Helpers come at any time of a sweep, and stay to the item's end. All messages go between two
 * workers by their numbers: a worker is at one item at a time, so none can be taken for another
 * one's. A member says when it has done its blocks and wants more; the leader answers with blocks,
 * asks for sums, and says when it is over. What the leader tells comes in order to each member, so
 * that all do the same. Nobody waits for another one's block: messages are looked for between the
 * layers of the network (sg_team_pause). */
#ifndef WORKER_TEAM_H
#define WORKER_TEAM_H

#include "worker/worker_impl.h"

enum {
    SG_TAG_SAID = 1, /* to the leader */
    SG_TAG_TOLD,     /* by the leader */
    SG_TAG_OPEN,     /* by the leader: what a helper has to know */
    SG_TAG_SAVED,    /* gifts for a checkpoint */
    SG_TAG_STAGE     /* gifts for stage 0; those behind it follow */
};

/* The first word to a helper; x, aims and masks follow. */
struct opening {
    int64_t item;
    int64_t member; /* its number from now on */
};

/* To the leader. */
struct said {
    int64_t member;   /* who says it */
    int64_t is_done;  /* with the blocks it was dealt first */
    int64_t asks;     /* for more */
    int64_t is_told;  /* to stop, by a signal */
    int64_t is_gone;  /* the last word of the sweep */
    int64_t block_ns; /* its last block took; 0: it has done none */
};

/* A sweep begins (its grids follow, and the blocks that are done), and it ends; the item ends. */
enum told_kind { TOLD_SWEEP, TOLD_BLOCKS, TOLD_GIFT, TOLD_END, TOLD_LEAVE };

/* By the leader. */
struct told {
    int64_t kind;
    int64_t first; /* blocks: todo[first] and those behind it */
    int64_t n;
    struct gift gift;
    int64_t i_sweep;
    int64_t n_stages_done;
    int64_t gate_exponent;
};

/* lead.c: all stages of a sweep, or as far as they come; *again: it has to begin once more. The
 * blocks that are left stand in w->todo[n_todo]. sg_lead_dismiss: the helpers may go, the item has
 * ended. */
sg_status sg_lead(struct sg_worker *w, const struct sg_sweep *sweep, int64_t n_todo, int *again);
void sg_lead_dismiss(struct sg_worker *w);

/* help.c, leader: what a helper has to know of the item, and of a sweep. */
void sg_send_opening(struct sg_worker *w, int member);
void sg_send_sweep(struct sg_worker *w, int member);

/* item.c: nothing is known of the item yet. */
void sg_item_reset(struct sg_worker *w, int64_t index);

/* follow.c: a sweep of the leader's item. */
void sg_follow(struct sg_worker *w, const struct sg_sweep *sweep, int64_t n_todo);

/* sweep.c: the blocks that are not done, into w->todo; their number. And what lead and follow begin
 * with. */
int64_t sg_sweep_list(struct sg_worker *w, const struct sg_sweep *sweep);
sg_status sg_sweep_prepare(struct sg_worker *w, const struct sg_sweep *sweep);

/* What a team has to do between two layers of the network: a pause of all nets (net.h). */
void sg_team_pause(void *worker);
void sg_lead_serve(struct sg_worker *w);
void sg_follow_look(struct sg_worker *w);

/* stages.c, leader, with the sums of the whole team: maps, or a coarser grid (*start_again); a
 * checkpoint where one is due. */
sg_status sg_stage_close(struct sg_worker *w, const struct sg_sweep *sweep, int s,
                         int *start_again);

#endif
