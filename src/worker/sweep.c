/* src/worker/sweep.c - a sweep of an item at its leader: grids, the list of blocks, and once more
 * where a grid was too fine. Who does which block is the business of lead.c and follow.c. */
#include "worker/team.h"

#include <math.h>
#include <string.h>

static int is_done(const struct sg_worker *w, int64_t b) {
    return (int)(w->item.done[b / 64] >> (b % 64) & 1);
}

static double largest_of(const float *v, int64_t n) {
    double largest = 0;

    for (int64_t i = 0; i < n; i++) {
        const double a = fabs((double)v[i]);

        largest = isfinite(a) && a > largest ? a : largest;
    }
    return largest;
}

/* All zeros at the item say nothing of the scale of noisy ones: the first block is looked at
 * instead. It is not given up for a stop, which the leader sees after the first block: by then
 * there is something to save. */
static void take_exponent(void *context, int r, int64_t t, const float *values) {
    struct sg_worker *w = context;
    const struct sg_sweep *sweep = &w->plan->sweeps[w->item.i_sweep];
    const struct sg_reading *reading = &sweep->readings[r];

    if (sg_clean_max(w, reading, t) <= 0) {
        w->item.exponents[r * w->plan->n_targets + t] = sg_sums_exponent_for(
            largest_of(values, sg_sweep_n(sweep, 0) * sg_probed_of(w, reading)->n_features));
    }
}

static sg_status exponents_from_block(struct sg_worker *w, const struct sg_sweep *sweep) {
    int64_t n_outside;

    return sg_block_read(w, sweep, 0, NULL, &n_outside, take_exponent, w);
}

static sg_status choose_exponents(struct sg_worker *w, const struct sg_sweep *sweep) {
    int any_zero = 0;

    w->item.gate_exponent = SG_COUNTS_EXPONENT;
    for (int i = 0; i < sweep->n_readings; i++) {
        for (int64_t t = 0; t < w->plan->n_targets; t++) {
            const double largest = sg_clean_max(w, &sweep->readings[i], t);

            w->item.exponents[i * w->plan->n_targets + t] = sg_sums_exponent_for(largest);
            any_zero |= largest <= 0;
        }
    }
    return any_zero ? exponents_from_block(w, sweep) : SG_OK;
}

int64_t sg_sweep_list(struct sg_worker *w, const struct sg_sweep *sweep) {
    int64_t n = 0;

    for (int64_t b = 0; b < sweep->n_blocks; b++) {
        if (!is_done(w, b)) {
            w->todo[n++] = b;
        }
    }
    return n;
}

static void forget_progress(struct sg_worker *w) {
    w->item.n_stages_done = 0;
    w->item.n_finished = 0;
    memset(w->item.done, 0, (size_t)w->n_words * sizeof *w->item.done);
}

sg_status sg_sweep_prepare(struct sg_worker *w, const struct sg_sweep *sweep) {
    const struct sg_item_view view = sg_worker_view(w);

    return sweep->sampler->prepare(&sweep->sampling, &view, w->scale, w->sigma);
}

sg_status sg_sweep_run(struct sg_worker *w, const struct sg_sweep *sweep, int resumed) {
    sg_status status = SG_OK;
    int keeps_sums = resumed; /* a checkpoint has filled them */
    int start_again = 0;

    SG_TRY(sg_sweep_prepare(w, sweep));
    if (!resumed) {
        sg_worker_shape_sums(w, sweep);
        forget_progress(w);
        SG_TRY(choose_exponents(w, sweep));
    }
    do {
        const int64_t n_todo = sg_sweep_list(w, sweep);

        memcpy(w->crew.begun, w->item.done, (size_t)w->n_words * sizeof *w->item.done);
        if (!keeps_sums) {
            sg_item_reset_sums(w);
        }
        keeps_sums = 0;
        start_again = 0;
        SG_TRY(sg_lead(w, sweep, n_todo, &start_again));
        if (start_again) {
            forget_progress(w);
        }
    } while (start_again);
done:
    return status;
}
