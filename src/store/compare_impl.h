/* src/store/compare_impl.h - between compare.c, which walks two files, match.c, which finds what
 * belongs together, and elements.c, which looks at bytes. */
#ifndef SGDIST_COMPARE_IMPL_H
#define SGDIST_COMPARE_IMPL_H

#include "sgdist/compare.h"
#include "sgdist/store.h"

/* An item of both files. */
struct sg_pair {
    int64_t a;
    int64_t b;
    int compare; /* 0: pending in one of them */
};

struct sg_walk {
    struct sg_reader *a;
    struct sg_reader *b;
    const struct sg_tolerance *tolerance;
    struct sg_comparison *out;
    char *ids; /* names of A's items, id_bytes each; NULL if a file has none */
    int64_t id_bytes;
    int64_t n_pairs;
    struct sg_pair *pairs; /* in A's order */
};

/* Fills pairs and the counts of `out`. Errors: SG_E_IO, SG_E_FORMAT, SG_E_NOMEM. */
sg_status sg_walk_match(struct sg_walk *w);

/* Adds the lines of the identities that differ to the notes. */
sg_status sg_walk_identities(struct sg_walk *w);

/* n elements of two datasets of one type; texts may be of different field lengths. */
struct sg_piece {
    enum sg_type type;
    int64_t n;
    int64_t a_bytes; /* of an element */
    int64_t b_bytes;
    const void *a;
    const void *b;
    const struct sg_tolerance *tolerance;
};

/* Adds what differs to d; returns the number of elements that do. The first element is kept in d
 * while d counts none. */
int64_t sg_compare_piece(const struct sg_piece *p, struct sg_difference *d);

#endif
