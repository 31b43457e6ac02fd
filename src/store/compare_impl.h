/* src/store/compare_impl.h - between compare.c, which walks two files, and elements.c, which looks
 * at bytes. */
#ifndef SGDIST_COMPARE_IMPL_H
#define SGDIST_COMPARE_IMPL_H

#include "sgdist/compare.h"

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
