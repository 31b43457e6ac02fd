/* src/cli/model_file.c - see model_file.h. */
#include "cli/model_file.h"

#include "sgdist/text.h"

#include <stdio.h>
#include <string.h>

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

int sg_cli_parse_shape(const char *text, struct sg_shape *out) {
    char number[24];

    while (out->n_axes < SG_MAX_AXES) {
        const size_t n = strcspn(text, ",");

        (void)snprintf(number, sizeof number, "%.*s", (int)(n < sizeof number ? n : 0), text);
        if (sg_text_to_int(number, &out->axes[out->n_axes]) != SG_OK ||
            out->axes[out->n_axes] < 1) {
            return 0;
        }
        out->n_axes++;
        if (text[n] == '\0') {
            return 1;
        }
        text += n + 1;
    }
    return 0;
}
