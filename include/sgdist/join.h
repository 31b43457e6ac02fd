/* include/sgdist/join.h - results of one study, each with other items, as one: many jobs with a
 * writer each, and one file in front of what they wrote. */
#ifndef SGDIST_JOIN_H
#define SGDIST_JOIN_H

#include "sgdist/status.h"

#include <stdint.h>

/* The dataset that says what a result is joined from, a line a part: file, number of items, hash
 * of its identity. In no other result. */
#define SG_JOINED "provenance/parts"

/* HDF5 holds all parts open, and fills in for those it cannot open. */
enum { SG_MAX_PARTS = 256 };

/* Makes `out`, which must not exist: what is per item are virtual datasets of HDF5 over the parts,
 * in their order, which stay where they are; the rest is small, and of the first part, but for the
 * statistics over the data set (put together from those of the parts), the runs (of all parts) and
 * what says where the items come from. Parts below the folder of `out` are found by their place
 * there, so that all may be moved together; others by their absolute path. Written as <out>.tmp,
 * synced, renamed. Errors: SG_E_ARG for a part that is not complete, rounded to float16, or joined
 * itself, for parts that are not of one study, or have an item in common; SG_E_IO, SG_E_FORMAT,
 * SG_E_NOMEM. */
sg_status sg_join(const char *out, int n_parts, const char *const *parts, int64_t *n_items);

#endif
