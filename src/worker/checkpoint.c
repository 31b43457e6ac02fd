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

enum { VERSION = 1 };

struct head {
    int64_t version;
    int64_t i_sweep;
    int64_t n_stages_done;
    int64_t n_targets;
    int64_t record_bytes;
    int64_t n_words;
    int64_t n_limbs; /* of one target's sums */
};

static struct head head_of(struct sg_worker *w) {
    return (struct head){.version = VERSION,
                         .i_sweep = w->item.i_sweep,
                         .n_stages_done = w->item.n_stages_done,
                         .n_targets = w->plan->n_targets,
                         .record_bytes = w->plan->record.bytes,
                         .n_words = w->n_words,
                         .n_limbs = sg_sums_n_limbs(w->sums[0])};
}

static int64_t n_bytes(const struct head *h) {
    return (int64_t)sizeof *h + h->record_bytes +
           8 * (h->n_targets + h->n_words + h->n_targets * h->n_limbs);
}

static void put(char **at, const void *bytes, int64_t n) {
    memcpy(*at, bytes, (size_t)n);
    *at += n;
}

static void take(const char **at, void *bytes, int64_t n) {
    memcpy(bytes, *at, (size_t)n);
    *at += n;
}

sg_status sg_item_save(struct sg_worker *w) {
    sg_status status = SG_OK;
    const struct head h = head_of(w);
    char *bytes = sg_calloc((size_t)n_bytes(&h), 1);
    char *at = bytes;

    SG_CHECK(bytes != NULL, SG_E_NOMEM, "no memory for the checkpoint of %s",
             sg_items_name(w->o.items, w->item.index));
    sg_item_put_seconds(w);
    put(&at, &h, sizeof h);
    put(&at, w->item.record, h.record_bytes);
    put(&at, w->item.exponents, 8 * h.n_targets);
    put(&at, w->item.done, 8 * h.n_words);
    for (int64_t t = 0; t < h.n_targets; t++) {
        put(&at, sg_sums_limbs(w->sums[t]), 8 * h.n_limbs);
    }
    SG_TRY(sg_partial_save(w->o.result, w->o.identity, w->item.index, bytes, n_bytes(&h)));
    w->item.saved_s = sg_now();
done:
    sg_free(bytes);
    return status;
}

/* Exponents and sums wait in the sums themselves: first the grid is set, then the limbs are laid
 * over it. */
static void restore(struct sg_worker *w, const struct head *h, const char *at) {
    w->item.i_sweep = h->i_sweep;
    w->item.n_stages_done = h->n_stages_done;
    take(&at, w->item.record, h->record_bytes);
    w->item.before_s = sg_item_seconds(w);
    take(&at, w->item.exponents, 8 * h->n_targets);
    take(&at, w->item.done, 8 * h->n_words);
    for (int64_t t = 0; t < h->n_targets; t++) {
        sg_sums_reset(w->sums[t], (int)w->item.exponents[t]);
        take(&at, sg_sums_limbs(w->sums[t]), 8 * h->n_limbs);
    }
}

sg_status sg_item_restore(struct sg_worker *w, int *found) {
    sg_status status = SG_OK;
    const struct head expected = head_of(w);
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
    if (h.version == VERSION && h.n_targets == expected.n_targets &&
        h.record_bytes == expected.record_bytes && h.n_words == expected.n_words &&
        h.n_limbs == expected.n_limbs && h.i_sweep >= 0 && h.i_sweep < w->plan->n_sweeps &&
        n == n_bytes(&h)) {
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
