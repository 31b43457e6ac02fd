/* src/worker/stages.c - the end of a stage at the leader: judges the sums, finishes the maps. */
#include "worker/team.h"

enum { COARSER = 8 }; /* octaves of a coarser grid */

/* Slopes without end have no mean, whatever samples are skipped. */
static sg_status judge_gates(struct sg_worker *w, int *start_again) {
    sg_status status = SG_OK;
    const int64_t n_skipped = sg_counts_n_skipped(w->counts);
    const char *item = sg_items_name(w->o.items, w->item.index);

    SG_CHECK(n_skipped == 0 || w->plan->job->nonfinite == SG_NONFINITE_SKIP, SG_E_NUMBERS,
             "%s: the outputs of %lld of %lld noisy samples are not finite (to go on without them "
             "set sampling.nonfinite: skip)",
             item, (long long)n_skipped, (long long)(sg_counts_n_added(w->counts) + n_skipped));
    SG_CHECK(sg_counts_n_nonfinite(w->counts) == 0, SG_E_NUMBERS,
             "%s: %lld slopes of the network's nonlinearities are not finite; their mean does not "
             "exist",
             item, (long long)sg_counts_n_nonfinite(w->counts));
    if (sg_counts_n_off_grid(w->counts) > 0) {
        w->item.gate_exponent += COARSER;
        *start_again = 1;
    }
done:
    return status;
}

/* Leader: what the sums of a whole stage say. Off-grid values choose coarser grids. */
static sg_status judge(struct sg_worker *w, int *start_again) {
    sg_status status = SG_OK;

    *start_again = 0;
    for (int64_t i = 0; i < sg_item_n_sums(w); i++) {
        const int64_t n_bad = sg_sums_n_nonfinite(w->sums[i]);

        SG_CHECK(n_bad == 0 || w->plan->job->nonfinite == SG_NONFINITE_SKIP, SG_E_NUMBERS,
                 "%s: %lld of %lld noisy gradients are not finite (to go on without them set "
                 "sampling.nonfinite: skip)",
                 sg_items_name(w->o.items, w->item.index), (long long)n_bad,
                 (long long)(sg_sums_n_added(w->sums[i]) + n_bad));
        if (sg_sums_n_off_grid(w->sums[i]) > 0) {
            w->item.exponents[i] += COARSER;
            *start_again = 1;
        }
    }
    if (sg_has_gates(w)) {
        SG_TRY(judge_gates(w, start_again));
    }
done:
    return status;
}

static int has_all_blocks(const struct sg_worker *w, int64_t end) {
    for (int64_t b = 0; b < end; b++) {
        if ((w->item.done[b / 64] >> (b % 64) & 1) == 0) {
            return 0;
        }
    }
    return 1;
}

sg_status sg_stage_close(struct sg_worker *w, const struct sg_sweep *sweep, int s,
                         int *start_again) {
    sg_status status = SG_OK;

    SG_ASSERT(has_all_blocks(w, sweep->stage_ends[s]));
    SG_TRY(judge(w, start_again));
    if (!*start_again) {
        status = sg_item_finish_stage(w, sweep, s);
        if (status == SG_E_INTERRUPTED) { /* it can be long where the network has to run for it */
            SG_TRY(sg_item_save(w));
            return SG_E_INTERRUPTED;
        }
        SG_TRY(status);
        w->item.n_stages_done = s + 1;
        if (sg_item_is_save_due(w) &&
            !(s + 1 == sweep->n_stages && w->item.i_sweep + 1 == w->plan->n_sweeps)) {
            sg_phase_enter(w, SG_PHASE_OUTPUT);
            SG_TRY(sg_item_save(w));
        }
    }
done:
    return status;
}
