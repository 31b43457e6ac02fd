/* src/store/join_impl.h - between join.c, which decides what can be joined, and join_tables.c,
 * which makes the data that are not per item. */
#ifndef SGDIST_JOIN_IMPL_H
#define SGDIST_JOIN_IMPL_H

#include "sgdist/join.h"
#include "store/store_impl.h"

/* A result that becomes a part. */
struct sg_member {
    const char *path;
    struct sg_reader *reader;
    int64_t n_done; /* items without a failure: what the statistics over the data set are of */
    char *identity;
    char *common; /* the same without the lines that say which items there are */
};

struct sg_join {
    const char *out;
    int n;
    struct sg_member *members; /* [n] */
    struct sg_part *parts;     /* [n] */
    int64_t n_items;
    struct sg_relayout layout;
    void **data; /* [layout.n_constants], which the constants point to */
};

/* The data of all constants of the layout, and SG_JOINED at its end. */
sg_status sg_join_tables(struct sg_join *j);

#endif
