/* include/sgdist/compare.h - what differs between two results: items matched by name, bit for bit.
 *
 * Compared is all below items/, maps/, convergence/ and dataset/, and the scales of the axes, but
 * not what may differ between equal runs (times, hosts; the list is in compare.c). */
#ifndef SGDIST_COMPARE_H
#define SGDIST_COMPARE_H

#include "sgdist/record.h"
#include "sgdist/status.h"
#include "sgdist/text.h"

#include <stdint.h>

/* Floats a and b count as equal if |a - b| <= atol + rtol |b|, or both are NaN. With both negative
 * only equal bits are equal: a NaN equals the same NaN, -0 differs from 0. */
struct sg_tolerance {
    double rtol;
    double atol;
};

/* One dataset that differs. */
struct sg_difference {
    char path[SG_MAX_PATH + 1];
    char note[160];      /* instead of numbers: missing, or other shapes; else "" */
    int64_t n_items;     /* items that differ; 1 for a dataset that is not per item */
    int64_t n_elements;  /* elements that differ, */
    int64_t n_zero_sign; /* of them: only in the sign of a zero */
    int64_t n_nan;       /* of them: one is NaN or infinite, or both are and their bits differ */
    double max_abs;      /* over the others that are numbers */
    double max_rel;      /* |a - b| / max(|a|, |b|) */
    char first_item[80]; /* its name, "" for a dataset that is not per item */
    int64_t first_index; /* of the element in the item's part, in C order */
    char first_a[48];
    char first_b[48];
};

struct sg_comparison {
    int64_t n_items_a;
    int64_t n_items_b;
    int64_t n_common;    /* items with the same name in both */
    int64_t n_compared;  /* of them: pending in neither, so that their data counts */
    int64_t n_pending_a; /* of the common ones: pending in A, in B, in both */
    int64_t n_pending_b;
    int64_t n_pending_both;
    int64_t n_datasets; /* compared */
    int n_differences;
    int capacity;
    struct sg_difference *differences; /* in order of path */
    struct sg_text notes;              /* lines on what was found beside: identities that differ */
};

/* Compares two results. *out is the caller's (sg_comparison_free). Errors: SG_E_IO, SG_E_FORMAT,
 * SG_E_NOMEM. */
sg_status sg_compare(const char *a, const char *b, const struct sg_tolerance *tolerance,
                     struct sg_comparison *out);
void sg_comparison_free(struct sg_comparison *c);

/* 1 if nothing differs: the same items, in the same states, with the same data. */
int sg_comparison_is_equal(const struct sg_comparison *c);

#endif
