/* src/cli/model_file.h - a model and the bytes of its file, which it refers to. */
#ifndef CLI_MODEL_FILE_H
#define CLI_MODEL_FILE_H

#include "sgdist/net.h"

struct model_file {
    void *bytes;
    size_t n;
    struct sg_model *model;
};

/* Reads the bytes of `path`, without a model. Errors: SG_E_MODEL, SG_E_NOMEM. */
sg_status model_file_read(const char *path, struct model_file *out);

/* Builds the model that is asked for from the bytes. Same errors. */
sg_status model_file_build(struct model_file *f, const char *path, const struct sg_explain *what);

/* Both. */
sg_status model_file_open(const char *path, const struct sg_explain *what, struct model_file *out);
void model_file_close(struct model_file *f);

#endif
