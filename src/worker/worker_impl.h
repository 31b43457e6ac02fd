/* src/worker/worker_impl.h - what the files of this folder share; not for other folders. */
#ifndef WORKER_IMPL_H
#define WORKER_IMPL_H

#include "sgdist/clock.h"
#include "sgdist/worker.h"

#include <math.h>

enum { SG_MAX_PARTS = 8 }; /* different readings of a walk: three parts, signed and absolute */

/* Which phase the worker is in, and since when: every moment belongs to exactly one phase. */
struct clock {
    enum sg_phase phase;
    double since;
};

/* A target of the item in hand: the weighted sum of a class's scores over positions. */
struct sg_aim {
    int64_t offset; /* of the output in the outputs of a sample: [classes][positions] */
    int64_t n_classes;
    int64_t n_positions;
    int64_t class;
    int64_t position; /* the only one; or -1: those in the target's mask */
    double weight;    /* of each */
};

/* A class of an output, on the way to its rank. */
struct sg_ranked {
    int64_t n_largest; /* positions where it is the largest */
    double sum;
    int64_t class;
};

/* The item in hand. Leader: everything; members: what the blocks need. */
struct item {
    int64_t index;
    struct sg_aim *aims;   /* [n_targets] */
    uint64_t *masks;       /* [n_targets][mask_words] sets of positions */
    int64_t *exponents;    /* [readings][n_targets] grids of the running sweep */
    int64_t gate_exponent; /* grid of its slopes */
    int64_t n_finished;    /* batches of targets whose maps by mean gates are in the record */
    double *clean_max;     /* [n_probed][n_targets] largest |reading| at the item, leader only */
    int64_t i_sweep;       /* the running sweep */
    int64_t n_stages_done;
    uint64_t *done;    /* [n_words] blocks of the running sweep that are in the sums of this rank */
    char *record;      /* leader only: the record so far */
    int64_t *spent_ns; /* [SG_SPENT_READINGS + readings]: on the running sweep, not yet settled */
    double forward_s;  /* of the clean pass; and for all that is read at the item: leader only */
    double *clean_s;   /* [n_probed] */
    int64_t n_gradients; /* computed in this run; of the whole team once it has been collected */
    double begun_s;
    double saved_s;  /* time of the last checkpoint, or of the start */
    double before_s; /* seconds that earlier runs spent, by the checkpoint */
};

/* What walks along paths need; all NULL where the job has none. */
struct paths {
    float *points;   /* [block][D] */
    double *places;  /* [block][D] of stepwise paths */
    float *baseline; /* [D] */
    float *begins;   /* [block][D] of paths that are drawn */
    float *at;       /* [D] a point of a path that noise goes round */
    float *scale;    /* [D] of that noise */
    double *sigma;   /* [C] */
    double *scratch; /* [2 D] */
    double *sums;    /* what readings add up, see struct sg_walk */
    double *table;
};

/* What a walk says of the item itself; means over its baselines. */
struct sg_path_facts {
    double baseline_score;
    double t_star;      /* of a split path */
    double split_score; /* there */
};

/* A walk to n_points points for all targets. */
struct sg_walk {
    const struct sg_probing *probing; /* of one of its readings */
    int n_parts;
    int parts[SG_MAX_PARTS]; /* enum sg_path_part of each reading */
    const float *x;          /* [n_points][D] where the paths lead to */
    int64_t n_points;
    const struct sg_sampler *sampler; /* noise inside: paths lead to the item; or NULL */
    const struct sg_sampling *sampling;
    int64_t first_sample;        /* of the noise */
    double *sums;                /* [n_parts][n_targets][n_points][D] */
    struct sg_path_facts *facts; /* [n_targets], of a walk to the item itself; or NULL */
};

/* Sums that a member gives to the team's leader: up a tree, see collect.c. */
struct gift {
    int64_t tag; /* of its messages */
    int64_t stage;
    int64_t parent; /* the worker that it goes to */
    int64_t n_children;
};

/* A member's sums that are apart from those of the block in hand. They lie in `packed`. */
struct aside {
    enum { ASIDE_EMPTY, ASIDE_HELD, ASIDE_GOING } state;
    int64_t stage;
    int64_t n_words;
    struct gift gift;
    int64_t n_sending;           /* pieces on their way; -1: not sent yet */
    struct sg_sending **sending; /* [sg_aside_n_pieces] */
    int64_t *piece;              /* of a child's gift */
};

enum {
    SG_MAX_GIFTS = 4
}; /* that a member can have been asked for: of two stages, and for a save */

/* Who works on an item: a leader and its helpers, who come when they are free. The leader is member
 * 0; the others are numbered as they come, and stay until the item ends. */
struct crew {
    enum { CREW_RESTS, CREW_LEADS, CREW_FOLLOWS } role; /* in a sweep */
    const struct sg_sweep *sweep;
    double looked_s; /* for messages, in a pause */
    double asked_s;  /* for helpers */
    struct sg_deal *deal;
    /* The leader's. */
    int n_members;
    int *workers;      /* [workers]: which one a member is */
    uint64_t *begun;   /* [n_words] blocks that were done when the sweep began */
    int64_t *block_ns; /* [workers]: of each member, by its own word */
    int *waiting;      /* [workers]: members who have asked when there was nothing for them */
    int n_waiting;
    int *givers;  /* [workers] */
    int *n_gifts; /* [stages]: that come to the leader itself */
    int n_called; /* stages whose gifts have been asked for */
    int is_ending;
    int n_gone;
    int is_told; /* some member has been told to stop */
    /* A helper's. */
    int leader;            /* which worker it is, */
    int64_t member;        /* and the helper's number there */
    int64_t hand_first[2]; /* blocks in hand, places in the list; the second: asked for ahead */
    int64_t hand_n[2];
    int has_asked;
    int is_stopped;
    int is_in_block;
    double block_begun;
    int64_t block_ns_mine; /* of its last block, of whatever sweep */
    int64_t sums_stage;    /* of the sums; -1: they are empty */
    struct gift gifts[SG_MAX_GIFTS];
    int n_gifts_asked;
    int is_over;
};

struct sg_worker {
    struct sg_worker_options o;
    const struct sg_plan *plan;
    int64_t n_features;   /* D */
    int64_t n_outputs;    /* K */
    struct sg_net *one;   /* batch 1: the clean pass */
    struct sg_net **nets; /* [n_batches of the plan]: one after the other, in one arena */
    void *arena;
    struct sg_net *block;     /* that of the job's block, for walks; NULL where nothing needs it */
    struct sg_net *net;       /* that of the running sweep */
    int64_t batch;            /* its points */
    float *x;                 /* [D] */
    float *clean;             /* of each thing that is read: [n_targets][its D] */
    float *activations;       /* of each thing that is read: the layer at the item; or NULL */
    float **layers;           /* [layers of the model]: where the network puts them, or NULL */
    float *scale;             /* [D] */
    float *noisy;             /* [block][D] */
    float *gradient;          /* of each reading of a backward pass: [block][its D] */
    float *y;                 /* [block][K] */
    float *dy;                /* [block][K] */
    struct sg_ranked *ranked; /* [max_classes] */
    double *sigma;            /* [C] */
    double *work;             /* of sg_instance_finish */
    float *map;               /* scratch of a stage's end */
    struct paths path;
    struct sg_path_facts *facts; /* [n_targets] */
    struct sg_sums **sums;       /* [readings][n_targets], of the shapes of the running sweep */
    struct sg_sums *one_sum;     /* one group; NULL without sweeps */
    struct sg_counts *counts;    /* of gates, of the shape of the running sweep; NULL: none */
    float *expected;             /* gradients with their means, see gates.c */
    float *gate_means;           /* of one node */
    float *clean_y;              /* [K] outputs at the item; leader only */
    int64_t *todo;               /* [blocks of the largest sweep] */
    char *packed;    /* [sg_packed_bytes] a checkpoint in the making; members: collect.c */
    int64_t n_words; /* of the largest sweep's block bitmap */
    struct item item;
    struct aside aside;
    struct crew crew;
    double
        met_s; /* when a leader last asked the master, and the clock, if it has to stop or save */
    struct clock clock;
    struct sg_phases phases;
};

/* What the time of a sweep was spent on, and for whom: noise for all members, forward passes for
 * those that need them, gates for theirs; from SG_SPENT_READINGS on for the readings. */
enum { SG_SPENT_NOISE, SG_SPENT_FORWARD, SG_SPENT_GATES, SG_SPENT_READINGS };

/* phases.c */
void sg_phase_enter(struct sg_worker *w, enum sg_phase phase);

/* spent.c: the account of every instance (fields cost/<label>). The time since `begun` for a slot
 * of the running sweep; for instance i, straight into the record. The leader settles what has been
 * spent since the last time before the record leaves it; put says what does not change. */
void sg_spend(struct sg_worker *w, int slot, double begun);
void sg_spend_on(struct sg_worker *w, int i_instance, double seconds);
void sg_spent_settle(struct sg_worker *w);
void sg_spent_put(struct sg_worker *w);

/* score.c: from the outputs y[K] of a sample to the score of a target, and its derivative dy[K].
 * The probability is NaN where there are no classes. */
double sg_score_value(enum sg_score score, const float *y, const struct sg_aim *aim,
                      const uint64_t *mask);
double sg_score_probability(const float *y, const struct sg_aim *aim, const uint64_t *mask);
void sg_score_gradient(enum sg_score score, const float *y, int64_t n_outputs,
                       const struct sg_aim *aim, const uint64_t *mask, float *dy);

/* target.c, leader, after the clean pass: the aims; the class that is predicted, or -1. */
sg_status sg_target_choose(struct sg_worker *w);
int32_t sg_target_predicted(struct sg_worker *w);

static inline uint64_t *sg_mask_at(const struct sg_worker *w, int64_t t) {
    return w->item.masks + t * w->plan->mask_words;
}

/* Class of a target for the record: -1 where its output has none. */
static inline int32_t sg_class_of(const struct sg_aim *aim) {
    return aim->n_classes > 1 ? (int32_t)aim->class : -1;
}

/* Memory by what lies in it: the tensor that p reads, at the item; p's reading there for target t;
 * the sums of a sweep's reading r. */
static inline const float *sg_seen_at(const struct sg_worker *w, const struct sg_probed *p) {
    return p->layer < 0 ? w->x : w->activations + p->offset;
}

static inline float *sg_clean_at(const struct sg_worker *w, const struct sg_probed *p, int64_t t) {
    return w->clean + w->plan->n_targets * p->offset + t * p->n_features;
}

static inline struct sg_sums *sg_sums_at(const struct sg_worker *w, int r, int64_t t) {
    return w->sums[r * w->plan->n_targets + t];
}

static inline const struct sg_probed *sg_probed_of(const struct sg_worker *w,
                                                   const struct sg_reading *r) {
    return &w->plan->probed[r->probed];
}

/* The largest |value| at the item of what a reading reads; leader only. */
static inline double sg_clean_max(const struct sg_worker *w, const struct sg_reading *r,
                                  int64_t t) {
    return w->item.clean_max[r->probed * w->plan->n_targets + t];
}

/* The values [block][D] of a reading after its backward pass. */
static inline float *sg_read_at(const struct sg_worker *w, const struct sg_reading *r) {
    return w->gradient + w->plan->block * r->offset;
}

/* Of readings that are absolute values. */
static inline void sg_take_absolute(float *v, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        v[i] = fabsf(v[i]);
    }
}

/* path.c: a walk; then what reading r of it has for target t, as float [n_points][D]. Errors: only
 * SG_E_INTERRUPTED. */
sg_status sg_walk_run(struct sg_worker *w, const struct sg_walk *walk,
                      const volatile sig_atomic_t *cancel);
void sg_walk_values(const struct sg_worker *w, const struct sg_walk *walk, int r, int64_t t,
                    float *out);

/* block.c: the samples of one block through the network. `take` gets the values[n][size] of each
 * reading r and target t, as soon as they are there; they are gone when it returns. Interrupted
 * only before the first one: a block is taken whole or not at all. */
typedef void sg_block_taker(void *context, int r, int64_t t, const float *values);
sg_status sg_block_read(struct sg_worker *w, const struct sg_sweep *sweep, int64_t i_block,
                        const volatile sig_atomic_t *cancel, int64_t *n_outside,
                        sg_block_taker *take, void *context);
struct sg_item_view sg_worker_view(const struct sg_worker *w);
/* Into the sums. SG_E_INTERRUPTED leaves them as they were. */
sg_status sg_block_run(struct sg_worker *w, const struct sg_sweep *sweep, int64_t i_block);

/* gates.c: the gates of the block that has just run forward; and, leader, at the end of the sweep
 * the maps of instances that count gates. It may be interrupted, or saved, between two batches of
 * targets, and goes on from there. */
void sg_gates_count(struct sg_worker *w, const struct sg_sweep *sweep, int64_t i_block);
sg_status sg_gates_finish(struct sg_worker *w, const struct sg_sweep *sweep);

/* 1 if the running sweep counts gates. */
static inline int sg_has_gates(const struct sg_worker *w) {
    return w->plan->sweeps[w->item.i_sweep].gates.n_members > 0;
}

/* Counters that are merged along with a sweep's sums. */
static inline int64_t *sg_tallies(const struct sg_worker *w, const struct sg_sweep *sweep) {
    return sweep->n_readings > 0 ? sg_sums_tallies(w->sums[0]) : sg_counts_tallies(w->counts);
}

/* begin.c, leader: load the item, clean pass, targets, what the record says of the item itself. */
sg_status sg_item_begin(struct sg_worker *w, int64_t index);
sg_status sg_item_look(struct sg_worker *w, int64_t index); /* the same without walks */
void sg_item_fail(struct sg_worker *w); /* the trace's message becomes the record's */

/* finish.c, leader: what instance i needs to know of target t at the item. */
struct sg_finish sg_item_finish_of(const struct sg_worker *w, int i, int64_t t);

/* finish.c, leader: maps, errors and convergence at the end of a stage, and of methods without a
 * sweep. */
sg_status sg_item_finish_clean(struct sg_worker *w);
sg_status sg_item_finish_stage(struct sg_worker *w, const struct sg_sweep *sweep, int i_stage);
/* What a walk to the item says, where instance i keeps it. */
void sg_item_put_path(struct sg_worker *w, int i, int64_t t, const struct sg_path_facts *facts,
                      double gap);
/* A field of instance i, NULL where the plan has none: "maps/<label>/<name>",
 * "convergence/<label>/<name>". */
void *sg_instance_field(struct sg_worker *w, int i, const char *group, const char *name);
/* For a method that is finished with its sweep alone: the convergence record of target t. */
void sg_item_put_only_stage(struct sg_worker *w, int i, int64_t t, int i_stage, int64_t samples,
                            const float *map, const float *se, int64_t n);
void sg_item_finish_cost(struct sg_worker *w);
void sg_item_put_seconds(struct sg_worker *w); /* what the item took, earlier runs and this one */
double sg_item_seconds(const struct sg_worker *w);

/* collect.c. The sums of the running sweep, for all its readings and targets; zeros on the item's
 * grids, and no blocks. */
int64_t sg_item_n_sums(const struct sg_worker *w);
void sg_item_reset_sums(struct sg_worker *w);

/* A member's sums, or nothing of a stage, aside, where nothing may lie; zeros in their place. */
void sg_aside_put(struct sg_worker *w, int64_t stage);
void sg_aside_put_nothing(struct sg_worker *w, int64_t stage);
/* What is held aside goes on its way; as far as it comes without waiting. */
void sg_aside_give(struct sg_worker *w, const struct gift *gift);
void sg_aside_go_on(struct sg_worker *w);
int64_t sg_aside_n_pieces(const struct sg_plan *plan);

/* Leader: adds a gift to its sums and blocks; 0: none is there. */
int sg_gift_take(struct sg_worker *w, int tag);

/* checkpoint.c: the most bytes that a checkpoint has. */
int64_t sg_packed_bytes(const struct sg_plan *plan);

/* checkpoint.c, leader. Restoring fills record, sweep, blocks, grids and sums; *found 0: there is
 * nothing to go on from. */
sg_status sg_item_save(struct sg_worker *w);
int sg_item_is_save_due(const struct sg_worker *w);
sg_status sg_item_restore(struct sg_worker *w, int *found);

/* Gives the sums the shapes of this sweep's readings; they are zero then. */
void sg_worker_shape_sums(struct sg_worker *w, const struct sg_sweep *sweep);

/* sweep.c, leader: all blocks of a sweep, with whoever helps. SG_E_INTERRUPTED: stopped, saved
 * where it was worth it; another status: the item has failed or the run must end. */
sg_status sg_sweep_run(struct sg_worker *w, const struct sg_sweep *sweep, int resumed);

/* item.c: the whole life of an item at its leader. */
void sg_item_lead(struct sg_worker *w, int64_t index);

/* help.c: 1 if a leader has called, and it has been helped to the end of its item; else 0. */
int sg_item_help(struct sg_worker *w);

#endif
