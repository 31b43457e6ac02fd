/* include/sgdist/plan.h - from a job to work: which sweeps, how many samples, what is kept, what it
 * will cost.
 *
 * A pure function of job, model and item list: every rank makes the same plan. */
#ifndef SGDIST_PLAN_H
#define SGDIST_PLAN_H

#include "sgdist/counts.h"
#include "sgdist/job.h"
#include "sgdist/record.h"

#include <stdint.h>
#include <stdio.h>

/* One of the different things that the instances read of the network: all of them at the item
 * itself, some at the points of sweeps as well. Sorted by the pass that reads them: a backward
 * pass, or a walk along paths. */
struct sg_probed {
    struct sg_probing probing;
    int pass;              /* things of equal number are read together */
    int layer;             /* of the model's signature; -1: the input */
    struct sg_shape shape; /* of the tensor that is read */
    int64_t n_features;    /* D, its size */
    int64_t offset;        /* the sizes of those before it, added up */
};

static inline int sg_is_gradient(const struct sg_probed *p) {
    return p->probing.kind == SG_PROBE_GRADIENT;
}

/* Gates are no reading of one target: nothing is read of them at the item itself. */
static inline int sg_is_gates(const struct sg_probed *p) {
    return p->probing.kind == SG_PROBE_GATES;
}

static inline int sg_is_path(const struct sg_probed *p) {
    return p->probing.kind == SG_PROBE_PATH;
}

/* What a sweep reads at its points for the instances of equal probing: sums of their own. */
struct sg_reading {
    int probed;   /* index into the plan's list; readings stand in its order, so by pass */
    int n_powers; /* the most that a member wants */
    int n_groups;
    int n_members;
    int *members;   /* indices into job->instances */
    int64_t offset; /* the sizes of the readings before it in the same backward pass, or of all that
                     * paths of the sweep read, added up */
};

/* The gates that a sweep counts, if n_members is not 0. */
struct sg_gate_reading {
    int n_groups; /* the most that a member wants */
    int n_members;
    int *members; /* indices into job->instances */
};

/* Points that go through the network once, for all instances with equal sampler and sampling.
 * Readings of one rule, of signed or of absolute gradients, share the backward passes. */
struct sg_sweep {
    const struct sg_sampler *sampler;
    struct sg_sampling sampling;
    int64_t n_draws; /* points of an item */
    int weights;     /* of the plan's weight noises; -1: the weights are as in the model's file */
    /* Points that have the weights in common; n_draws without noise on them. Their last block may
     * be short: no block has points of two. */
    int64_t run;
    int64_t run_blocks;
    int64_t batch; /* points of a full block: the job's, or run if that is less */
    int64_t n_blocks;
    int n_passes; /* backward passes at a point for a target: different rules */
    int n_walks;  /* different paths to a point */
    int n_readings;
    struct sg_reading *readings;
    struct sg_gate_reading gates;
    int n_stages;
    int64_t *stage_ends; /* in blocks, ascending, the last one is n_blocks */
};

/* Block b of a sweep: which draw of the weights it is of, its first point, how many it has. */
static inline int64_t sg_sweep_draw(const struct sg_sweep *s, int64_t b) {
    return b / s->run_blocks;
}

static inline int64_t sg_sweep_first(const struct sg_sweep *s, int64_t b) {
    return b / s->run_blocks * s->run + b % s->run_blocks * s->batch;
}

static inline int64_t sg_sweep_n(const struct sg_sweep *s, int64_t b) {
    const int64_t left = s->run - b % s->run_blocks * s->batch;

    return left < s->batch ? left : s->batch;
}

/* The block of point k. */
static inline int64_t sg_sweep_block(const struct sg_sweep *s, int64_t k) {
    return k / s->run * s->run_blocks + k % s->run / s->batch;
}

/* Noise on the weights that sweeps have in common, as many draws of it as the largest wants. */
struct sg_plan_weights {
    struct sg_weight_noise noise;
    int64_t n_draws;
    int64_t first;     /* of all draws of the plan */
    int64_t n_tensors; /* that get noise, and their numbers: for whoever has the model to fill in */
    int64_t n_numbers;
};

/* Sums that a worker has memory for: of the largest reading that uses this place. */
struct sg_sums_need {
    int64_t n;
    int n_powers;
    int n_groups;
};

/* What it has for walks along paths; n_sums is 0 where there are none. */
struct sg_path_need {
    int64_t n_sums;  /* doubles that a target's readings of a block, or at the item, add up in */
    int64_t n_table; /* doubles of scores, nodes and weights */
    int is_stepwise; /* 1: some path keeps a place of its own for each sample of a batch */
    int is_drawn;    /* 1: or a begin */
};

/* What a worker needs for the largest of what it does one after the other. */
struct sg_needs {
    int64_t n_clean; /* floats of all readings at the item, of a target */
    int has_layers;  /* 1: as many again for the activations of layers at the item */
    int64_t n_pass; /* floats of a backward pass's readings, or of what a path reads, of a sample */
    int64_t n_map;  /* floats of a map */
    int64_t n_work; /* doubles of sg_instance_finish */
    int64_t n_blocks;            /* of a sweep */
    int n_readings;              /* of a sweep */
    struct sg_sums_need *sums;   /* [n_readings]: for each target */
    struct sg_sums_need one_sum; /* n is 0 where there are no sweeps */
    int64_t checkpoint_bytes;    /* of all sums of a sweep */
    struct sg_path_need paths;
    struct sg_counts_shape counts; /* n_groups is 0 where no gates are counted */
    int64_t n_expected;            /* floats of gradients with mean gates */
    int64_t n_gates;               /* floats of the largest node's gates */
};

/* Where a target's numbers lie among the outputs of a sample: [classes][positions] from offset on.
 */
struct sg_target_place {
    int output; /* of the model's signature */
    int64_t offset;
    int64_t n_classes;
    int64_t n_positions;
    int64_t first; /* of the targets with the same output and box, which are ranked together */
};

/* Samples that go through the network for an item. */
struct sg_cost {
    int64_t forwards;
    int64_t backwards;
};

struct sg_plan {
    const struct sg_job *job;         /* borrowed */
    const struct sg_signature *model; /* borrowed */
    struct sg_shape input;
    struct sg_domain domain;
    int64_t n_outputs; /* K: elements of all explained tensors */
    int64_t n_items;
    int64_t n_targets;
    struct sg_target_place *places; /* [n_targets] */
    int64_t mask_words; /* 64 positions each: of the largest region that is a set of positions */
    int64_t max_classes;
    int64_t block;
    int n_probed;
    struct sg_probed *probed;
    int n_clean_passes; /* backward passes at the item itself for a target: different rules */
    int n_sweeps;
    struct sg_sweep *sweeps;
    int n_batches;
    int64_t *batches; /* different ones of the sweeps and of paths, the largest first */
    int n_weights;
    struct sg_plan_weights *weights;
    int64_t n_weight_draws;  /* of all of these */
    int *probed_of;          /* [n_instances] */
    int *sweep_of;           /* [n_instances]: the instance's sweep, or -1 */
    int max_stages;          /* length of the axis "stage" */
    int scans_dataset;       /* 1: some noise is relative to the data set's range */
    struct sg_record record; /* what is kept of an item */
    struct sg_cost at_item;  /* for what is read at the item itself */
    struct sg_cost per_item; /* this, and that of the sweeps */
    struct sg_needs needs;   /* of a worker */
    int64_t sums_bytes;      /* exact sums and workspace of a rank */
    int64_t result_bytes;    /* of the result file, but for a few kilobytes */
};

/* Bytes of a worker that walk along paths; part of sums_bytes. */
int64_t sg_plan_path_bytes(const struct sg_plan *plan);

/* Paths of the fields that every record has (plan.c adds them, the master and the store read them).
 */
#define SG_FIELD_STATUS      "items/status"
#define SG_FIELD_MESSAGE     "items/message"
#define SG_FIELD_PREDICTED   "items/predicted"
#define SG_FIELD_TARGET      "items/target"
#define SG_FIELD_SCORE       "items/score"
#define SG_FIELD_PROBABILITY "items/probability"
#define SG_FIELD_NONFINITE   "items/nonfinite"

enum sg_item_status { SG_ITEM_PENDING = 0, SG_ITEM_DONE = 1, SG_ITEM_FAILED = 2 };
enum { SG_MESSAGE_BYTES = 240 };

/* Errors: SG_E_JOB where job and model do not fit (class out of range, top larger than K, a method
 * that needs a domain that is not given, too few samples for a method, channels reduced on an input
 * that has none); SG_E_NOMEM. */
sg_status sg_plan_create(const struct sg_job *job, const struct sg_signature *model,
                         const struct sg_items *items, struct sg_plan **out);
void sg_plan_destroy(struct sg_plan *plan);

/* Ends of the stages of n_blocks blocks, in blocks: 1, 2, 3, 4, 6, 8, 11, 16, ... (factor 1.41, at
 * least one more), the last one n_blocks. Writes at most cap of them, returns their number. */
int sg_plan_stage_ends(int64_t n_blocks, int64_t *ends, int cap);

/* Adds what target t is in words: "class 3 of masks in the box [0, 0, 8, 8] (sum)". */
void sg_plan_target_text(const struct sg_plan *plan, int64_t t, struct sg_text *out);

/* What a sweep's gates are counted in. */
struct sg_counts_shape sg_plan_counts_shape(const struct sg_plan *plan, const struct sg_sweep *s);

/* With the means of gates backward goes in batches of `block` targets while at least half of one is
 * left, then target by target: the size of the largest batch. */
int64_t sg_plan_gate_batch(const struct sg_plan *plan, int64_t n_targets_left);

/* Backward passes with means of gates that end a sweep of an item; one for each target, and for
 * each group that is left out. */
int64_t sg_plan_n_gate_passes(const struct sg_plan *plan, const struct sg_sweep *s);

/* The reading of the sweep that the scale of instance i, which counts gates, is fitted to; -1: it
 * has none. */
int sg_plan_scale_reading(const struct sg_plan *plan, const struct sg_sweep *s, int i_instance);

/* What an instance would cost an item if it were the only one; and the bytes of a rank that are its
 * sums, and what it reads at the item. */
struct sg_cost sg_plan_cost_alone(const struct sg_plan *plan, int i_instance);
int64_t sg_plan_bytes_alone(const struct sg_plan *plan, int i_instance);

/* The shape of what an instance reads, and that of its map. */
const struct sg_shape *sg_plan_read_shape(const struct sg_plan *plan, int i_instance);
void sg_plan_map_shape(const struct sg_plan *plan, int i_instance, struct sg_shape *out);

/* What a rank takes beside the plan's sums_bytes. */
struct sg_rank_bytes {
    int64_t program; /* the process with its libraries, before it has read anything */
    int64_t model;   /* the graph, and the weights unless they are shared */
    int64_t nets;    /* for one sample and for a block */
    int64_t
        start; /* beside the program, while the model is read and built: may be more than later */
    int64_t shared;       /* the weights, once a machine, where its ranks share them */
    int64_t draws;        /* models of draws of the weights, with these unless they are shared */
    int64_t shared_draws; /* their weights, once a machine */
    int64_t items;        /* the list of items */
};

/* How long a run is expected to take. */
struct sg_prediction {
    double open_s;     /* of what is done at the item itself; <= 0: unknown, and so is the rest */
    double block_s;    /* of a block, the mean over sweeps; 0 without sweeps */
    double seconds;    /* of the whole run */
    double efficiency; /* the share of all ranks' time that goes into blocks */
};

/* Blocks of an item; reading it, the clean pass and finishing the maps are counted as one more. */
int64_t sg_plan_blocks_per_item(const struct sg_plan *plan);
/* What the blocks of all sweeps cost on the mean, in blocks of the first: they may have fewer
 * points.
 */
double sg_plan_mean_block(const struct sg_plan *plan);

/* Prints sweeps, who shares them, gradients, memory, disk and time. For `sgdist check`. */
void sg_plan_print(const struct sg_plan *plan, const struct sg_rank_bytes *bytes, int n_ranks,
                   const struct sg_prediction *time, FILE *out);

#endif
