/* src/worker/checkpoint.c - an unfinished item as bytes: the record so far, and the running sweep's
 * sums and blocks.
 *
 * Sums are exact, so a checkpoint does not know how many ranks made it: any team goes on from it,
 * to the same bits. */
#include "worker/worker_impl.h"

#include "sgdist/log.h"
#include "sgdist/memory.h"
#include "sgdist/store.h"

#include <string.h>

enum { VERSION = 3 };

struct head {
    int64_t version;
    int64_t i_sweep;
    int64_t n_stages_done;
    int64_t n_sums; /* of the sweep's readings and targets */
    int64_t record_bytes;
    int64_t n_words;
    int64_t n_limbs;  /* of all these sums */
    int64_t n_counts; /* words of gates */
};

/* What a checkpoint within sweep i_sweep, whose shapes the sums have, must look like. */
static struct head head_of(struct sg_worker *w, int64_t i_sweep) {
    struct head h = {.version = VERSION,
                     .i_sweep = i_sweep,
                     .n_stages_done = w->item.n_stages_done,
                     .n_sums = w->plan->sweeps[i_sweep].n_readings * w->plan->n_targets,
                     .record_bytes = w->plan->record.bytes,
                     .n_words = w->n_words};

    for (int64_t i = 0; i < h.n_sums; i++) {
        h.n_limbs += sg_sums_n_limbs(w->sums[i]);
    }
    if (w->plan->sweeps[i_sweep].gates.n_members > 0) {
        h.n_counts = sg_counts_n_words(w->counts);
    }
    return h;
}

static int64_t n_bytes(const struct head *h) {
    return (int64_t)sizeof *h + h->record_bytes +
           8 * (h->n_sums + 2 + h->n_words + h->n_limbs + h->n_counts);
}

static void put(char **at, const void *bytes, int64_t n) {
    memcpy(*at, bytes, (size_t)n);
    *at += n;
}

static void take(const char **at, void *bytes, int64_t n) {
    memcpy(bytes, *at, (size_t)n);
    *at += n;
}

int64_t sg_packed_bytes(const struct sg_plan *plan) {
    const struct sg_needs *needs = &plan->needs;

    /* Or a gift (collect.c), which has no record, but times of the readings. */
    return (int64_t)sizeof(struct head) + plan->record.bytes + needs->checkpoint_bytes +
           8 * (needs->n_readings * (plan->n_targets + 1) + 2 + SG_SPENT_READINGS +
                (needs->n_blocks + 63) / 64);
}

sg_status sg_item_save(struct sg_worker *w) {
    sg_status status = SG_OK;
    const struct head h = head_of(w, w->item.i_sweep);
    char *at = w->packed;

    SG_ASSERT(n_bytes(&h) <= sg_packed_bytes(w->plan));
    sg_item_put_seconds(w);
    sg_spent_settle(w);
    put(&at, &h, sizeof h);
    put(&at, w->item.record, h.record_bytes);
    put(&at, w->item.exponents, 8 * h.n_sums);
    put(&at, &w->item.gate_exponent, 8);
    put(&at, &w->item.n_finished, 8);
    put(&at, w->item.done, 8 * h.n_words);
    for (int64_t i = 0; i < h.n_sums; i++) {
        put(&at, sg_sums_limbs(w->sums[i]), 8 * sg_sums_n_limbs(w->sums[i]));
    }
    if (h.n_counts > 0) {
        put(&at, sg_counts_words(w->counts), 8 * h.n_counts);
    }
    SG_TRY(sg_partial_save(w->o.result, w->o.identity, w->item.index, w->packed, n_bytes(&h)));
    w->item.saved_s = sg_now();
done:
    return status;
}

/* Exponents and sums wait in the sums themselves: first the grid is set, then the limbs are laid
 * over it. */
static void restore(struct sg_worker *w, const struct head *h, const char *at) {
    w->item.i_sweep = h->i_sweep;
    w->item.n_stages_done = h->n_stages_done;
    take(&at, w->item.record, h->record_bytes);
    w->item.before_s = sg_item_seconds(w);
    take(&at, w->item.exponents, 8 * h->n_sums);
    take(&at, &w->item.gate_exponent, 8);
    take(&at, &w->item.n_finished, 8);
    take(&at, w->item.done, 8 * h->n_words);
    for (int64_t i = 0; i < h->n_sums; i++) {
        sg_sums_reset(w->sums[i], (int)w->item.exponents[i]);
        take(&at, sg_sums_limbs(w->sums[i]), 8 * sg_sums_n_limbs(w->sums[i]));
    }
    if (h->n_counts > 0) {
        sg_counts_reset(w->counts, (int)w->item.gate_exponent);
        take(&at, sg_counts_words(w->counts), 8 * h->n_counts);
    }
}

/* 1 if the checkpoint is one of this study; the sums have the shapes of its sweep then. */
static int fits(struct sg_worker *w, const struct head *h, int64_t n) {
    struct head expected;

    if (h->version != VERSION || h->i_sweep < 0 || h->i_sweep >= w->plan->n_sweeps) {
        return 0;
    }
    sg_worker_shape_sums(w, &w->plan->sweeps[h->i_sweep]);
    expected = head_of(w, h->i_sweep);
    return h->n_sums == expected.n_sums && h->record_bytes == expected.record_bytes &&
           h->n_words == expected.n_words && h->n_limbs == expected.n_limbs &&
           h->n_counts == expected.n_counts && n == n_bytes(h);
}

sg_status sg_item_restore(struct sg_worker *w, int *found) {
    sg_status status = SG_OK;
    struct head h;
    void *bytes = NULL;
    int64_t n = 0;

    *found = 0;
    if (!sg_partial_exists(w->o.result, w->item.index)) {
        return SG_OK;
    }
    SG_TRY(sg_partial_load(w->o.result, w->o.identity, w->item.index, &bytes, &n));
    if (bytes == NULL || n < (int64_t)sizeof h) {
        goto done;
    }
    memcpy(&h, bytes, sizeof h);
    if (fits(w, &h, n)) {
        restore(w, &h, (const char *)bytes + sizeof h);
        *found = 1;
    } else {
        sg_log(SG_LOG_WARN, "%s: its checkpoint does not fit this program; it starts again",
               sg_items_name(w->o.items, w->item.index));
    }
done:
    sg_free(bytes);
    return status;
}
