/* src/cli/model_file.h - a model from its file, for verbs that work on one. */
#ifndef CLI_MODEL_FILE_H
#define CLI_MODEL_FILE_H

#include "sgdist/net.h"

/* Errors: SG_E_MODEL, SG_E_NOMEM. */
sg_status sg_cli_open_model(const char *path, const struct sg_explain *what, struct sg_model **out);

/* "3,224,224" of --shape. Returns 1, or 0 if it is something else. */
int sg_cli_parse_shape(const char *text, struct sg_shape *out);

#endif
