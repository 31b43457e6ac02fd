/* src/store/pack_layout.c - what a packed result holds: all that the original does, from whose
 * datasets and attributes a layout is made again. */
#include "store/pack_impl.h"

#include "sgdist/memory.h"

#include <stdio.h>
#include <string.h>

struct plan {
    const struct sg_pack *pack;
    hid_t file; /* the original */
    struct sg_record record;
    struct sg_constant *constants;
    int n_constants;
};

static const char *const rounding_names[SG_ROUNDINGS] = {"map", "map_by_se", "map_most", "se"};
static const char *const rounding_abouts[SG_ROUNDINGS] = {
    "what float16 rounded: L2 norm of the map's change, by that of the map",
    "the same by the L2 norm of the map's standard error; NaN: it has none",
    "largest change of an element of the map, by its standard error; NaN: none has one",
    "L2 norm of the standard error's change, by that of the standard error"};

void sg_pack_scale_path(const char *path, char out[SG_MAX_PATH + 1]) {
    (void)snprintf(out, SG_MAX_PATH + 1, "%.*s%s", (int)(SG_MAX_PATH - strlen(SG_HALF_SCALE)), path,
                   SG_HALF_SCALE);
}

void sg_pack_rounding_path(const char *path, int rounding, char out[SG_MAX_PATH + 1]) {
    const char *label = path + strlen("maps/");
    const int n = (int)(strrchr(path, '/') - label);

    (void)snprintf(out, SG_MAX_PATH + 1, "rounding/%.*s/%s", n, label, rounding_names[rounding]);
}

int64_t sg_pack_n_scales(const struct sg_dataset *d) {
    return d->n_axes > 1 ? d->axes[1] : 1;
}

/* ---- nothing that another program added may be lost ---- */

struct search {
    const struct plan *plan;
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
    } else if (sg_reader_find(s->plan->pack->from, name) == NULL ||
               H5Aexists(object, "long_name") <= 0) {
        (void)snprintf(s->found, sizeof s->found, "/%.150s", name);
    } else {
        (void)H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_INC, NULL, look_at_attribute, s);
    }
    (void)H5Oclose(object);
    return s->found[0] != '\0';
}

static sg_status check_ours(const struct plan *plan) {
    sg_status status = SG_OK;
    struct search s = {.plan = plan};

    (void)H5Aiterate2(plan->file, H5_INDEX_NAME, H5_ITER_INC, NULL, look_at_attribute, &s);
    if (s.found[0] == '\0') {
        (void)H5Lvisit(plan->file, H5_INDEX_NAME, H5_ITER_INC, look_at_object, &s);
    }
    SG_CHECK(s.found[0] == '\0', SG_E_ARG,
             "%s: %s was added by another program, and would be lost: keep it in a file of its own",
             plan->pack->path, s.found);
done:
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

static void add_constant(struct plan *plan, const struct sg_dataset *d, const struct sg_axis *axes,
                         const char *about) {
    struct sg_constant *c = &plan->constants[plan->n_constants++];

    *c = (struct sg_constant){.type = d->type, .text_bytes = d->text_bytes, .n_axes = d->n_axes};
    (void)snprintf(c->path, sizeof c->path, "%s", d->path);
    (void)snprintf(c->about, sizeof c->about, "%s", about);
    for (int i = 0; i < d->n_axes; i++) {
        c->axes[i] = axes[i];
    }
}

/* The scale of a float16 dataset, and what was rounded, along item and target. */
static sg_status add_half(struct plan *plan, const struct sg_dataset *d,
                          const struct sg_axis *axes) {
    sg_status status = SG_OK;
    const int is_se = strcmp(strrchr(d->path, '/'), "/se") == 0;
    const int n_axes = d->n_axes > 1;
    char path[SG_MAX_PATH + 1];

    sg_pack_scale_path(d->path, path);
    SG_TRY(sg_record_add(&plan->record, path, SG_TYPE_F32, 0, n_axes, axes + 1,
                         "what the numbers of float16 are multiplied with"));
    for (int k = 0; k < SG_ROUNDINGS; k++) {
        if ((k == SG_ROUNDING_SE) == is_se) {
            sg_pack_rounding_path(d->path, k, path);
            SG_TRY(sg_record_add(&plan->record, path, SG_TYPE_F32, 0, n_axes, axes + 1,
                                 rounding_abouts[k]));
        }
    }
done:
    return status;
}

static sg_status add_dataset(struct plan *plan, const struct sg_dataset *d) {
    sg_status status = SG_OK;
    const int is_half = sg_packing_halves(&plan->pack->packing, d->path, d->type);
    const hid_t dataset = H5Dopen2(plan->file, d->path, H5P_DEFAULT);
    struct sg_axis axes[SG_MAX_FIELD_AXES + 1] = {{.length = 0}};
    char about[200] = "";

    SG_CHECK(dataset >= 0 && read_axes(dataset, d, axes) == 0, SG_E_FORMAT,
             "%s: is damaged: the axes of %s are not told", plan->pack->path, d->path);
    (void)sg_hdf_get_prose(dataset, "long_name", about, sizeof about);
    if (!d->per_item || strchr(d->path, '/') == NULL) { /* scales of axes are constants */
        add_constant(plan, d, axes, about);
        goto done;
    }
    if (is_half) {
        const size_t n = strlen(about);

        (void)snprintf(about + n, sizeof about - n, "; here to be multiplied with %s%s",
                       strrchr(d->path, '/') + 1, SG_HALF_SCALE);
    }
    SG_TRY(sg_record_add(&plan->record, d->path, d->type, d->text_bytes, d->n_axes - 1, axes + 1,
                         about));
    if (is_half) {
        SG_TRY(add_half(plan, d, axes));
    }
done:
    (void)H5Dclose(dataset);
    return status;
}

/* The datasets of the original in a layout of the packed one; SG_PACKED is new, even where the
 * original was packed before. */
static sg_status add_all(struct plan *plan) {
    sg_status status = SG_OK;
    const struct sg_pack *p = plan->pack;
    const int n = sg_reader_n_datasets(p->from);
    struct sg_dataset packed = {.path = SG_PACKED, .type = SG_TYPE_TEXT};

    plan->constants = sg_calloc((size_t)n + 1, sizeof *plan->constants);
    SG_CHECK(plan->constants != NULL, SG_E_NOMEM, "%s: no memory for its layout", p->path);
    for (int i = 0; i < n; i++) {
        const struct sg_dataset *d = sg_reader_dataset(p->from, i);

        if (strcmp(d->path, SG_PACKED) != 0) {
            SG_TRY(add_dataset(plan, d));
        }
    }
    packed.text_bytes = (int64_t)strlen(p->how);
    add_constant(plan, &packed, NULL, "how the result was packed, after the run");
done:
    return status;
}

sg_status sg_pack_lay_out(struct sg_pack *p) {
    sg_status status = SG_OK;
    struct plan plan = {.pack = p, .file = H5I_INVALID_HID};
    struct sg_scales scales = {0};
    char title[200] = "";
    int64_t *offsets = NULL;
    struct sg_layout layout;

    SG_TRY(sg_hdf_open(p->path, &plan.file));
    SG_TRY(check_ours(&plan));
    SG_TRY(add_all(&plan));
    (void)sg_hdf_get_prose(plan.file, "title", title, sizeof title);
    layout = (struct sg_layout){.record = &plan.record,
                                .n_items = sg_reader_n_items(p->from),
                                .n_constants = plan.n_constants,
                                .constants = plan.constants,
                                .title = title};
    SG_TRY(sg_scales_collect(&layout, &scales));
    offsets = sg_calloc((size_t)(sg_layout_n_entries(&layout) + scales.n), sizeof *offsets);
    SG_CHECK(offsets != NULL, SG_E_NOMEM, "%s: no memory for its layout", p->path);
    SG_TRY(sg_layout_make(p->temporary, &layout, &p->packing, &scales, offsets));
done:
    (void)H5Fclose(plan.file);
    sg_free(offsets);
    sg_free(plan.constants);
    sg_record_free(&plan.record);
    sg_scales_free(&scales);
    return status;
}
