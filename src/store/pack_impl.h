/* src/store/pack_impl.h - between pack.c, which packs a result, pack_layout.c, which says what the
 * packed one holds, pack_copy.c, which writes its data, and pack_check.c, which reads them back. */
#ifndef SGDIST_PACK_IMPL_H
#define SGDIST_PACK_IMPL_H

#include "sgdist/pack.h"
#include "store/store_impl.h"

/* What float16 does to a part of a dataset; the fields of rounding/<label>. */
enum { SG_ROUNDING_MAP, SG_ROUNDING_MAP_BY_SE, SG_ROUNDING_MAP_MOST, SG_ROUNDING_SE, SG_ROUNDINGS };

/* One packing in hand. */
struct sg_pack {
    const char *path;
    char temporary[SG_PATH_BYTES];
    const struct sg_pack_options *options;
    struct sg_packing packing;
    struct sg_reader *from;
    unsigned char *states; /* of the items */
    char how[160];         /* SG_PACKED */
    int64_t total;         /* bytes of all datasets, as they are read */
    int64_t done;          /* of them in this phase */
    struct sg_pack_report report;
};

/* Paths of what is stored beside a float16 dataset `path` ("maps/<label>/map"): its scale, and
 * rounding/<label>/..., where NULL is given for what its kind (map, se) does not have. */
void sg_pack_scale_path(const char *path, char out[SG_MAX_PATH + 1]);
void sg_pack_rounding_path(const char *path, int rounding, char out[SG_MAX_PATH + 1]);

/* pack_layout.c: the structure of the packed file, made under its temporary name. Errors: SG_E_ARG
 * if something in the original would be lost; SG_E_IO, SG_E_FORMAT, SG_E_NOMEM. */
sg_status sg_pack_lay_out(struct sg_pack *p);

/* 1 for a dataset that is not carried over. */
int sg_pack_leaves_out(const char *path);

/* pack_copy.c: all data, into the file that was laid out. */
sg_status sg_pack_copy(struct sg_pack *p);

/* pack_check.c: reads the file back and compares it with the original. Errors: SG_E_IO if it
 * differs. */
sg_status sg_pack_check(struct sg_pack *p);

/* Parts of an item that have a scale each: its targets. */
int64_t sg_pack_n_scales(const struct sg_dataset *d);

/* Counts the bytes as through the phase, and tells the caller. */
sg_status sg_pack_tick(struct sg_pack *p, enum sg_pack_phase phase, int64_t bytes);

#endif
