/* src/cli/model_file.c - a model from its file, for verbs that work on one. */
#include "cli/model_file.h"

sg_status model_file_read(const char *path, struct model_file *out) {
    *out = (struct model_file){0};
    return sg_model_image_read(path, &out->image);
}

sg_status model_file_build(struct model_file *f, const char *path, const struct sg_explain *what) {
    sg_status status = SG_OK;

    SG_TRY(sg_model_open(f->image.bytes, f->image.n, path, what, &f->model));
    SG_TRY(sg_model_place(f->model, NULL, 1));
done:
    return status;
}

sg_status model_file_open(const char *path, const struct sg_explain *what, struct model_file *out) {
    sg_status status = SG_OK;
    struct model_file f = {0};

    SG_TRY(model_file_read(path, &f));
    SG_TRY(model_file_build(&f, path, what));
    sg_model_image_free(&f.image);
    *out = f;
    f = (struct model_file){0};
done:
    model_file_close(&f);
    return status;
}

void model_file_close(struct model_file *f) {
    sg_model_destroy(f->model);
    sg_model_image_free(&f->image);
    *f = (struct model_file){0};
}
