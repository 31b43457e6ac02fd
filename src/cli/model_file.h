/* src/cli/model_file.h - a model and what was read of its file. */
#ifndef CLI_MODEL_FILE_H
#define CLI_MODEL_FILE_H

#include "sgdist/net.h"

struct model_file {
    struct sg_model_image image;
    struct sg_model *model;
};

/* Reads the file at `path`, without a model. Errors: SG_E_MODEL, SG_E_NOMEM. */
sg_status model_file_read(const char *path, struct model_file *out);

/* Builds the model that is asked for from what was read. Same errors. */
sg_status model_file_build(struct model_file *f, const char *path, const struct sg_explain *what);

/* Both. */
sg_status model_file_open(const char *path, const struct sg_explain *what, struct model_file *out);
void model_file_close(struct model_file *f);

#endif
