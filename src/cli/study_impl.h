/* src/cli/study_impl.h - the parts of opening a study. */
#ifndef CLI_STUDY_IMPL_H
#define CLI_STUDY_IMPL_H

#include "cli/cli.h"

/* In this order. Rank 0 reads the model's file. */
sg_status sg_study_read_model(struct study *s);
/* All ranks see what it read. Collective. */
sg_status sg_study_share_image(const struct sg_comm *world, struct study *s);
/* Each rank builds the model, all but the weights; it has the job by then. */
sg_status sg_study_open_model(struct study *s);
/* The weights, once a machine; what was read is given back. Collective. */
sg_status sg_study_place_weights(const struct sg_comm *world, struct study *s);

/* The draws of the weights that the plan has, side by side by the ranks of a machine; none where
 * they do not fit into memory, see sg_study_check_draws. Collective. */
sg_status sg_study_make_draws(const struct sg_comm *world, struct study *s);
void sg_study_close_draws(struct study *s);
/* Their part of a rank's memory and of its machine's. */
void sg_study_measure_draws(const struct study *s, int is_shared, struct sg_rank_bytes *bytes);
/* Rank 0: what the patterns of the noise on the weights mean for this model. SG_E_JOB where one of
 * them fits no parameter, or nothing is left. */
sg_status sg_study_check_scopes(const struct study *s);
/* What was read is given back. */
void sg_study_drop_image(struct study *s);

/* What the job asks of its model; `fixed` (sg_free) is in it. */
sg_status sg_study_explain(const struct study *s, struct sg_fixed_input **fixed,
                           struct sg_explain *out);
static inline const void *sg_study_image(const struct study *s) {
    return s->shared_image != NULL ? sg_shared_bytes(s->shared_image) : s->image.bytes;
}

void sg_study_close_model(struct study *s);

#endif
