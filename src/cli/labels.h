/* src/cli/labels.h - the methods of a study, from its identity; not for other folders. */
#ifndef CLI_LABELS_H
#define CLI_LABELS_H

#include "sgdist/status.h"

/* The labels in the order of the job. */
struct sg_labels {
    char *text;
    const char **names; /* into text */
    int n;
};

/* From the text of provenance/identity. Errors: SG_E_NOMEM. */
sg_status sg_labels_read(const char *identity, struct sg_labels *out);
void sg_labels_free(struct sg_labels *l);

#endif
