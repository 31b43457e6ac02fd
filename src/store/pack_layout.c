/* src/store/pack_layout.c - what a packed result holds: all that the original does, from whose
 * datasets and attributes a layout is made again. */
#include "store/pack_impl.h"

#include "sgdist/join.h"
#include "sgdist/memory.h"

#include <stdio.h>
#include <string.h>

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

/* ---- the layout ---- */

/* The scale of a float16 dataset, and what was rounded, along item and target. */
static sg_status add_half(struct sg_record *record, const struct sg_dataset *d) {
    sg_status status = SG_OK;
    const int is_se = strcmp(strrchr(d->path, '/'), "/se") == 0;
    const struct sg_field *f = sg_record_find(record, d->path);
    const int n_axes = f->n_axes > 0;
    const struct sg_axis target = f->axes[0];
    char path[SG_MAX_PATH + 1];

    sg_pack_scale_path(d->path, path);
    SG_TRY(sg_record_add(record, path, SG_TYPE_F32, 0, n_axes, &target,
                         "what the numbers of float16 are multiplied with"));
    for (int k = 0; k < SG_ROUNDINGS; k++) {
        if ((k == SG_ROUNDING_SE) == is_se) {
            sg_pack_rounding_path(d->path, k, path);
            SG_TRY(
                sg_record_add(record, path, SG_TYPE_F32, 0, n_axes, &target, rounding_abouts[k]));
        }
    }
done:
    return status;
}

static sg_status add_halves(const struct sg_pack *p, struct sg_record *record) {
    sg_status status = SG_OK;

    for (int i = 0; i < sg_reader_n_datasets(p->from); i++) {
        const struct sg_dataset *d = sg_reader_dataset(p->from, i);

        if (sg_packing_halves(&p->packing, d->path, d->type)) {
            struct sg_field *f = &record->fields[sg_record_find(record, d->path) - record->fields];
            const size_t n = strlen(f->about);

            (void)snprintf(f->about + n, sizeof f->about - n, "; here to be multiplied with %s%s",
                           strrchr(d->path, '/') + 1, SG_HALF_SCALE);
            SG_TRY(add_half(record, d));
        }
    }
done:
    return status;
}

/* SG_PACKED is new, even where the original was packed before; the packed one has all in itself. */
int sg_pack_leaves_out(const char *path) {
    return strcmp(path, SG_PACKED) == 0 || strcmp(path, SG_JOINED) == 0;
}

static void add_packed(const struct sg_pack *p, struct sg_relayout *r) {
    struct sg_constant *c = &r->constants[r->n_constants++];

    *c = (struct sg_constant){.path = SG_PACKED,
                              .about = "how the result was packed, after the run",
                              .type = SG_TYPE_TEXT,
                              .text_bytes = (int64_t)strlen(p->how)};
}

sg_status sg_pack_lay_out(struct sg_pack *p) {
    sg_status status = SG_OK;
    const struct sg_storage storage = {.packing = &p->packing};
    struct sg_relayout r = {.n_constants = 0};
    struct sg_scales scales = {0};
    int64_t *offsets = NULL;
    struct sg_layout layout;

    SG_TRY(sg_relayout_check(p->path, p->from));
    SG_TRY(sg_relayout_read(p->path, p->from, sg_pack_leaves_out, &r));
    SG_TRY(add_halves(p, &r.record));
    add_packed(p, &r);
    layout = (struct sg_layout){.record = &r.record,
                                .n_items = sg_reader_n_items(p->from),
                                .n_constants = r.n_constants,
                                .constants = r.constants,
                                .title = r.title};
    SG_TRY(sg_scales_collect(&layout, &scales));
    offsets = sg_calloc((size_t)(sg_layout_n_entries(&layout) + scales.n), sizeof *offsets);
    SG_CHECK(offsets != NULL, SG_E_NOMEM, "%s: no memory for its layout", p->path);
    SG_TRY(sg_layout_make(p->temporary, &layout, &storage, &scales, offsets));
done:
    sg_free(offsets);
    sg_relayout_free(&r);
    sg_scales_free(&scales);
    return status;
}
