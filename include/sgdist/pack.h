/* include/sgdist/pack.h - a finished result made smaller: compressed by pieces (shuffle, deflate),
 * maps and standard errors as float16 if wished. All readers of results read it; nothing writes it.
 */
#ifndef SGDIST_PACK_H
#define SGDIST_PACK_H

#include "sgdist/status.h"

#include <stdint.h>

/* The dataset that says how a result was packed; in no other result. */
#define SG_PACKED "provenance/packed"

enum sg_pack_phase { SG_PACK_WRITING, SG_PACK_CHECKING };

struct sg_pack_options {
    int level; /* of deflate, 1 to 9 */
    int half;  /* 1: maps and standard errors as float16 */
    /* Called at least once a piece with the bytes of the result that are through this phase, not
     * packed; another status than SG_OK ends the packing with it. */
    sg_status (*tick)(void *context, enum sg_pack_phase phase, int64_t done, int64_t total);
    void *context;
};

/* What float16 has rounded: the largest over items, targets and methods. Of a map: the L2 norm of
 * the rounding by the norm of the map, by that of its standard error, and at an element by its
 * standard error; of a standard error by its norm. NaN where there is none. */
struct sg_pack_report {
    int64_t bytes_before;
    int64_t bytes_after;
    double map;
    double map_by_se;
    double map_most;
    double se;
};

/* Packs the result `path` into `out`, which is replaced if it exists and may be `path` itself
 * (which then keeps its mode and owner). Written as <out>.tmp, read back and compared with the
 * original, synced, renamed: before that, and after any failure, `out` is as it was, and no
 * temporary file is left. Errors: SG_E_ARG for a result that is not complete, was packed as float16
 * before, holds what sgdist did not write, or whose maps would lose by float16 more than a tenth of
 * their standard error; SG_E_IO with the system's reason; SG_E_FORMAT; SG_E_NOMEM; those of `tick`.
 */
sg_status sg_pack(const char *path, const char *out, const struct sg_pack_options *options,
                  struct sg_pack_report *report);

#endif
