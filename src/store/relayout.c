/* src/store/relayout.c - the layout of a result that exists, from its datasets and attributes: what
 * else than a run makes results of results. */
#include "store/store_impl.h"

#include "sgdist/memory.h"

#include <stdio.h>
#include <string.h>

/* ---- nothing that another program added may be lost ---- */

struct search {
    const struct sg_reader *from;
    char object[SG_MAX_PATH + 1];
    char found[256]; /* what is not ours; "" */
};

static herr_t look_at_attribute(hid_t object, const char *name, const H5A_info_t *info,
                                void *data) {
    static const char *const ours[] = {"format",         "format_version", "title",        "fields",
                                       "long_name",      "axes",           "CLASS",        "NAME",
                                       "REFERENCE_LIST", "DIMENSION_LIST", "_Netcdf4Dimid"};
    struct search *s = data;

    (void)object;
    (void)info;
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        if (strcmp(name, ours[i]) == 0) {
            return 0;
        }
    }
    (void)snprintf(s->found, sizeof s->found, "the attribute '%.60s' of /%.150s", name, s->object);
    return 1;
}

static herr_t look_at_object(hid_t group, const char *name, const H5L_info_t *info, void *data) {
    struct search *s = data;
    const hid_t object = H5Oopen(group, name, H5P_DEFAULT);

    (void)info;
    (void)snprintf(s->object, sizeof s->object, "%s", name);
    if (object >= 0 && H5Iget_type(object) == H5I_GROUP) {
        (void)H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_INC, NULL, look_at_attribute, s);
    } else if (sg_reader_find(s->from, name) == NULL || H5Aexists(object, "long_name") <= 0) {
        (void)snprintf(s->found, sizeof s->found, "/%.150s", name);
    } else {
        (void)H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_INC, NULL, look_at_attribute, s);
    }
    (void)H5Oclose(object);
    return s->found[0] != '\0';
}

sg_status sg_relayout_check(const char *path, const struct sg_reader *from) {
    sg_status status = SG_OK;
    struct search s = {.from = from};
    hid_t file = H5I_INVALID_HID;

    SG_TRY(sg_hdf_open(path, &file));
    (void)H5Aiterate2(file, H5_INDEX_NAME, H5_ITER_INC, NULL, look_at_attribute, &s);
    if (s.found[0] == '\0') {
        (void)H5Lvisit(file, H5_INDEX_NAME, H5_ITER_INC, look_at_object, &s);
    }
    SG_CHECK(
        s.found[0] == '\0', SG_E_ARG,
        "%s: %s was added by another program, and would be left out: keep it in a file of its own",
        path, s.found);
done:
    (void)H5Fclose(file);
    return status;
}

/* ---- the layout ---- */

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
