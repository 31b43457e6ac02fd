/* src/data/sources.c - the table of sources: where items may come from. */
#include "data/data_impl.h"

static const struct sg_source_kind *const kinds[SG_SOURCE_COUNT] = {
    [SG_SOURCE_FOLDER] = &sg_source_folder, [SG_SOURCE_LIST] = &sg_source_list,
    [SG_SOURCE_TAR] = &sg_source_tar,       [SG_SOURCE_IDX] = &sg_source_idx,
    [SG_SOURCE_NPY] = &sg_source_npy,       [SG_SOURCE_NPZ] = &sg_source_npz,
    [SG_SOURCE_HDF5] = &sg_source_hdf5,
};

const struct sg_source_kind *sg_source_find(enum sg_source source) {
    SG_ASSERT((int)source >= 0 && source < SG_SOURCE_COUNT);
    return kinds[source];
}

const char *sg_source_name(enum sg_source source) {
    return sg_source_find(source)->name;
}

sg_status sg_source_refuse(const struct sg_items *items, sg_status status) {
    if (status == SG_E_INPUT || status == SG_E_JOB) {
        return sg_fail(SG_E_JOB, __FILE__, __LINE__, "data.%s: %s: %s", items->kind->name,
                       items->path, sg_trace_message());
    }
    return status;
}
