/* src/store/scales.c - dimension scales, by the HDF5 dimension scale specification and the rules of
 * netCDF-4.
 *
 * The library that comes with HDF5 for this rewrites the list of references with every dataset it
 * attaches; here each attribute is written once. */
#include "store/store_impl.h"

#include "sgdist/memory.h"

#include <stdio.h>
#include <string.h>

/* An element of REFERENCE_LIST: a dataset and which of its axes lies along the scale. */
struct use {
    hobj_ref_t dataset;
    int32_t axis;
    int32_t padding;
};

static int find_name(const struct sg_scales *s, const char *name) {
    for (int i = 0; i < s->n; i++) {
        if (strcmp(s->scales[i].name, name) == 0) {
            return i;
        }
    }
    return SG_SCALE_NONE;
}

int sg_scales_find(const struct sg_scales *s, const struct sg_axis *axis) {
    for (int i = 0; i < s->n; i++) {
        if (strcmp(s->scales[i].axis.name, axis->name) == 0 &&
            s->scales[i].axis.length == axis->length) {
            return i;
        }
    }
    return SG_SCALE_NONE;
}

static sg_status grow(struct sg_scales *s) {
    sg_status status = SG_OK;
    const int capacity = s->capacity > 0 ? 2 * s->capacity : 16;
    struct sg_scale *scales = sg_realloc(s->scales, (size_t)capacity, sizeof *scales);

    SG_CHECK(scales != NULL, SG_E_NOMEM, "no memory for the axes of the result");
    s->scales = scales;
    s->capacity = capacity;
done:
    return status;
}

/* 1 if some dataset of several axes is called as its axis is ("items/target" along item and
 * target): xarray refuses a group in which a variable of several axes has the name of one of them.
 */
static int is_variable(const struct sg_layout *layout, const struct sg_axis *axis) {
    for (int i = 0; i < sg_layout_n_entries(layout); i++) {
        const struct sg_entry e = sg_layout_entry(layout, i);
        const char *slash = strrchr(e.path, '/');

        for (int k = 0; slash != NULL && k < e.n_axes; k++) {
            if (strcmp(slash + 1, axis->name) == 0 && strcmp(e.axes[k].name, axis->name) == 0) {
                return 1;
            }
        }
    }
    return 0;
}

static sg_status add(struct sg_scales *s, const struct sg_layout *layout,
                     const struct sg_axis *axis) {
    sg_status status = SG_OK;
    struct sg_scale *scale;

    if (axis->name[0] == '.' || sg_scales_find(s, axis) != SG_SCALE_NONE) {
        return SG_OK;
    }
    if (s->n == s->capacity) {
        SG_TRY(grow(s));
    }
    scale = &s->scales[s->n];
    *scale = (struct sg_scale){.axis = *axis};
    (void)snprintf(scale->name, sizeof scale->name, "%s%s", axis->name,
                   is_variable(layout, axis) ? "_index" : "");
    if (find_name(s, scale->name) != SG_SCALE_NONE) {
        (void)snprintf(scale->name, sizeof scale->name, "%s_%lld", axis->name,
                       (long long)axis->length);
    }
    s->n++;
done:
    return status;
}

sg_status sg_scales_collect(const struct sg_layout *layout, struct sg_scales *out) {
    sg_status status = SG_OK;
    struct sg_scales s = {0};
    const struct sg_axis item = {.name = "item", .length = layout->n_items};

    SG_TRY(add(&s, layout, &item));
    for (int i = 0; i < sg_layout_n_entries(layout); i++) {
        const struct sg_entry e = sg_layout_entry(layout, i);

        for (int k = 0; k < e.n_axes; k++) {
            SG_TRY(add(&s, layout, &e.axes[k]));
        }
    }
    for (int i = 0; i < layout->n_constants; i++) {
        const struct sg_constant *c = &layout->constants[i];
        const int k = find_name(&s, c->path);

        if (k != SG_SCALE_NONE) {
            SG_ASSERT(c->n_axes == 1 && sg_scales_find(&s, &c->axes[0]) == k);
            s.scales[k].given = 1;
        }
    }
    *out = s;
    s = (struct sg_scales){0};
done:
    sg_scales_free(&s);
    return status;
}

void sg_scales_free(struct sg_scales *s) {
    sg_free(s->scales);
    *s = (struct sg_scales){0};
}

/* An attribute of n elements (n = 0: a scalar). Returns 0, or -1 on failure. */
static int put_attribute(hid_t object, const char *name, hid_t type, int64_t n, const void *data) {
    const hsize_t length = (hsize_t)n;
    const hid_t space = n > 0 ? H5Screate_simple(1, &length, NULL) : H5Screate(H5S_SCALAR);
    const hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    const int failed = attribute < 0 || H5Awrite(attribute, type, data) < 0;

    (void)H5Aclose(attribute);
    (void)H5Sclose(space);
    return failed ? -1 : 0;
}

/* The specification wants these as fixed strings with a NUL at the end. */
static int put_fixed_text(hid_t object, const char *name, const char *text) {
    const hid_t type = H5Tcopy(H5T_C_S1);
    const int failed =
        H5Tset_size(type, strlen(text) + 1) < 0 || put_attribute(object, name, type, 0, text) != 0;

    (void)H5Tclose(type);
    return failed ? -1 : 0;
}

static int put_uses(hid_t dataset, const struct use *uses, int64_t n) {
    const hid_t type = H5Tcreate(H5T_COMPOUND, sizeof(struct use));
    int failed = H5Tinsert(type, "dataset", offsetof(struct use, dataset), H5T_STD_REF_OBJ) < 0 ||
                 H5Tinsert(type, "dimension", offsetof(struct use, axis), H5T_NATIVE_INT32) < 0;

    failed = failed || (n > 0 && put_attribute(dataset, "REFERENCE_LIST", type, n, uses) != 0);
    (void)H5Tclose(type);
    return failed ? -1 : 0;
}

/* uses[], an element for every axis of the layout's datasets that lies along scale k. Returns their
 * number, or -1. */
static int64_t collect_uses(const struct sg_scales *s, int k, hid_t file,
                            const struct sg_layout *layout, struct use *uses) {
    int64_t n = 0;

    for (int i = 0; i < sg_layout_n_entries(layout); i++) {
        const struct sg_entry e = sg_layout_entry(layout, i);

        for (int axis = 0; axis < e.n_axes && strcmp(e.path, s->scales[k].name) != 0; axis++) {
            if (sg_scales_find(s, &e.axes[axis]) != k) {
                continue;
            }
            uses[n] = (struct use){.axis = axis};
            if (H5Rcreate(&uses[n++].dataset, file, e.path, H5R_OBJECT, H5I_INVALID_HID) < 0) {
                return -1;
            }
        }
    }
    return n;
}

static sg_status write_scale(const struct sg_scales *s, int k, hid_t file,
                             const struct sg_layout *layout) {
    sg_status status = SG_OK;
    const size_t most = (size_t)sg_layout_n_entries(layout) * (SG_MAX_FIELD_AXES + 1);
    struct use *uses = sg_calloc(most, sizeof *uses);
    const hid_t dataset = H5Dopen2(file, s->scales[k].name, H5P_DEFAULT);
    const int32_t number = k;
    char reason[256];
    int64_t n;

    SG_CHECK(uses != NULL, SG_E_NOMEM, "no memory for the axes of the result");
    n = collect_uses(s, k, file, layout, uses);
    SG_CHECK(n >= 0 && dataset >= 0 && put_uses(dataset, uses, n) == 0 &&
                 put_fixed_text(dataset, "CLASS", "DIMENSION_SCALE") == 0 &&
                 put_fixed_text(dataset, "NAME", s->scales[k].name) == 0 &&
                 put_attribute(dataset, "_Netcdf4Dimid", H5T_NATIVE_INT32, 0, &number) == 0,
             SG_E_IO, "axis %s of the result cannot be written (HDF5: %s)", s->scales[k].name,
             sg_hdf_reason(reason, sizeof reason));
done:
    (void)H5Dclose(dataset);
    sg_free(uses);
    return status;
}

static int put_scales_of(hid_t dataset, const hvl_t *scales, int n_axes) {
    const hid_t type = H5Tvlen_create(H5T_STD_REF_OBJ);
    const int failed = put_attribute(dataset, "DIMENSION_LIST", type, n_axes, scales) != 0;

    (void)H5Tclose(type);
    return failed ? -1 : 0;
}

/* Tells a dataset which scales its axes lie along. */
static sg_status write_links(const struct sg_scales *s, hid_t file, const struct sg_entry *e) {
    sg_status status = SG_OK;
    hid_t dataset = H5I_INVALID_HID;
    hobj_ref_t refs[SG_MAX_FIELD_AXES + 1];
    hvl_t scales[SG_MAX_FIELD_AXES + 1];
    char reason[256];
    int any = 0;

    for (int axis = 0; axis < e->n_axes; axis++) {
        const int k = sg_scales_find(s, &e->axes[axis]);

        scales[axis] = (hvl_t){.len = k != SG_SCALE_NONE, .p = &refs[axis]};
        any = any || k != SG_SCALE_NONE;
        SG_CHECK(k == SG_SCALE_NONE || H5Rcreate(&refs[axis], file, s->scales[k].name, H5R_OBJECT,
                                                 H5I_INVALID_HID) >= 0,
                 SG_E_IO, "the axes of %s cannot be found (HDF5: %s)", e->path,
                 sg_hdf_reason(reason, sizeof reason));
    }
    dataset = H5Dopen2(file, e->path, H5P_DEFAULT);
    SG_CHECK(dataset >= 0 && (!any || put_scales_of(dataset, scales, e->n_axes) == 0), SG_E_IO,
             "the axes of %s cannot be written (HDF5: %s)", e->path,
             sg_hdf_reason(reason, sizeof reason));
done:
    (void)H5Dclose(dataset);
    return status;
}

sg_status sg_scales_write(const struct sg_scales *s, hid_t file, const struct sg_layout *layout) {
    sg_status status = SG_OK;

    for (int k = 0; k < s->n; k++) {
        SG_TRY(write_scale(s, k, file, layout));
    }
    for (int i = 0; i < sg_layout_n_entries(layout); i++) {
        const struct sg_entry e = sg_layout_entry(layout, i);

        if (find_name(s, e.path) == SG_SCALE_NONE) { /* a scale has no scales */
            SG_TRY(write_links(s, file, &e));
        }
    }
done:
    return status;
}
