/* src/job/plan_impl.h - what the files of the plan share. */
#ifndef SGDIST_PLAN_IMPL_H
#define SGDIST_PLAN_IMPL_H

#include "sgdist/plan.h"

enum { SG_MAX_MAP_AXES = 4 };
enum { SG_PLAN_MAX_STAGES = 96 }; /* a factor of 1.41 passes 2^31 blocks after some 65 */

/* Merges the job's instances: fills probed, sweeps with their readings, probed_of, sweep_of,
 * max_stages. */
sg_status sg_plan_make_sweeps(struct sg_plan *plan);

/* Finds the targets among the outputs of the model: fills places, mask_words, max_classes. Errors:
 * SG_E_JOB. */
sg_status sg_plan_place_targets(struct sg_plan *plan);

/* Refuses a job that the model, the items or its own methods do not fit. Needs input, n_outputs,
 * domain and sweep_of. */
sg_status sg_plan_check(const struct sg_plan *plan, const struct sg_items *items);

/* plan_cost.c: fills at_item and per_item. */
void sg_plan_count(struct sg_plan *plan);

/* Fills the record. */
sg_status sg_plan_make_record(struct sg_plan *plan);

/* Fills needs; after the record. */
sg_status sg_plan_find_needs(struct sg_plan *plan);

/* Fills sums_bytes and result_bytes. */
void sg_plan_measure(struct sg_plan *plan, const struct sg_items *items);

#endif
