/* src/store/relayout.c - the layout of a result that exists, from its datasets and attributes: what
 * else than a run makes results of results. */
#include "store/store_impl.h"

#include "sgdist/memory.h"

#include <stdio.h>
#include <string.h>

/* The names of the axes, as the attribute 'axes' has them. */
static int read_axes(hid_t dataset, const struct sg_dataset *d,
                     struct sg_axis axes[SG_MAX_FIELD_AXES + 1]) {
    char words[512];
    char *rest = NULL;
    int n = 0;

    if (d->n_axes == 0) {
        return 0;
    }
    if (!sg_hdf_get_word(dataset, "axes", words, sizeof words)) {
        return -1;
    }
    for (char *w = strtok_r(words, " ", &rest); w != NULL; w = strtok_r(NULL, " ", &rest)) {
        if (n == d->n_axes || strlen(w) > SG_MAX_AXIS_NAME) {
            return -1;
        }
        axes[n] = (struct sg_axis){.length = d->axes[n]};
        (void)snprintf(axes[n++].name, sizeof axes[0].name, "%s", w);
    }
    return n == d->n_axes ? 0 : -1;
}

static void add_constant(struct sg_relayout *r, const struct sg_dataset *d,
                         const struct sg_axis *axes, const char *about) {
    struct sg_constant *c = &r->constants[r->n_constants++];

    *c = (struct sg_constant){.type = d->type, .text_bytes = d->text_bytes, .n_axes = d->n_axes};
    (void)snprintf(c->path, sizeof c->path, "%s", d->path);
    (void)snprintf(c->about, sizeof c->about, "%s", about);
    for (int i = 0; i < d->n_axes; i++) {
        c->axes[i] = axes[i];
    }
}

static sg_status add_dataset(const char *path, hid_t file, const struct sg_dataset *d,
                             struct sg_relayout *r) {
    sg_status status = SG_OK;
    const hid_t dataset = H5Dopen2(file, d->path, H5P_DEFAULT);
    struct sg_axis axes[SG_MAX_FIELD_AXES + 1] = {{.length = 0}};
    char about[200] = "";

    SG_CHECK(dataset >= 0 && read_axes(dataset, d, axes) == 0, SG_E_FORMAT,
             "%s: is damaged: the axes of %s are not told", path, d->path);
    (void)sg_hdf_get_prose(dataset, "long_name", about, sizeof about);
    if (!d->per_item || strchr(d->path, '/') == NULL) { /* scales of axes are constants */
        add_constant(r, d, axes, about);
    } else {
        SG_TRY(sg_record_add(&r->record, d->path, d->type, d->text_bytes, d->n_axes - 1, axes + 1,
                             about));
    }
done:
    (void)H5Dclose(dataset);
    return status;
}

sg_status sg_relayout_read(const char *path, const struct sg_reader *from,
                           int (*is_left_out)(const char *path), struct sg_relayout *out) {
    sg_status status = SG_OK;
    const int n = sg_reader_n_datasets(from);
    hid_t file = H5I_INVALID_HID;

    *out = (struct sg_relayout){.n_constants = 0};
    SG_TRY(sg_hdf_open(path, &file));
    out->constants = sg_calloc((size_t)n + 1, sizeof *out->constants);
    SG_CHECK(out->constants != NULL, SG_E_NOMEM, "%s: no memory for its layout", path);
    (void)sg_hdf_get_prose(file, "title", out->title, sizeof out->title);
    for (int i = 0; i < n; i++) {
        const struct sg_dataset *d = sg_reader_dataset(from, i);

        if (!is_left_out(d->path)) {
            SG_TRY(add_dataset(path, file, d, out));
        }
    }
done:
    (void)H5Fclose(file);
    return status;
}

void sg_relayout_free(struct sg_relayout *r) {
    sg_record_free(&r->record);
    sg_free(r->constants);
    *r = (struct sg_relayout){.n_constants = 0};
}
