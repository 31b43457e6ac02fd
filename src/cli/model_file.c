/* src/cli/model_file.c - a model from its file, for verbs that work on one. */
#include "cli/model_file.h"

sg_status sg_cli_read_model(const char *path, const char *tensor, struct sg_model **out) {
    sg_status status = SG_OK;
    struct sg_model_image image = {0};

    SG_TRY(sg_model_image_read(path, &image));
    SG_TRY(sg_model_create(image.bytes, image.n, path, tensor, out));
done:
    sg_model_image_free(&image);
    return status;
}
