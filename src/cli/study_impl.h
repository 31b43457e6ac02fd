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

void sg_study_close_model(struct study *s);

#endif
