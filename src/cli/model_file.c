/* src/cli/model_file.c - see model_file.h. */
#include "cli/model_file.h"

sg_status sg_cli_open_model(const char *path, const struct sg_explain *what,
                            struct sg_model **out) {
    sg_status status = SG_OK;
    struct sg_model_image image = {0};
    struct sg_model *m = NULL;

    SG_TRY(sg_model_image_read(path, &image));
    SG_TRY(sg_model_open(image.bytes, image.n, path, what, &m));
    SG_TRY(sg_model_place(m, NULL, 1));
    *out = m;
    m = NULL;
done:
    sg_model_destroy(m);
    sg_model_image_free(&image);
    return status;
}
