/* src/worker/item.c - the life of an item at its leader: begun, sampled with whoever helps,
 * finished. */
#include "worker/team.h"

#include <stdio.h>
#include <string.h>

static int is_stopped(struct sg_worker *w) {
    return (w->o.stop != NULL && *w->o.stop) || w->o.upstream.stop_requested(w->o.upstream.context);
}

/* Opens the item, and takes up a checkpoint where there is one. */
static sg_status open_item(struct sg_worker *w, int *resumed) {
    sg_status status = SG_OK;

    *resumed = 0;
    if (is_stopped(w)) {
        return SG_E_INTERRUPTED;
    }
    SG_TRY(sg_item_begin(w, w->item.index));
    SG_TRY(sg_item_finish_clean(w));
    SG_TRY(sg_item_restore(w, resumed));
done:
    return status;
}

static void deliver(struct sg_worker *w, sg_status status) {
    struct sg_outcome outcome = {.item = w->item.index, .status = status};
    const int is_item_failure =
        status == SG_E_INPUT || status == SG_E_NUMBERS; /* others end the run */

    outcome.n_gradients = w->item.n_gradients;
    if (status == SG_E_INTERRUPTED) {
        outcome.kind = SG_OUTCOME_STOPPED;
    } else if (status == SG_OK || is_item_failure) {
        outcome.kind = SG_OUTCOME_RECORD;
        if (is_item_failure) {
            sg_item_fail(w);
        } else {
            sg_item_finish_cost(w);
        }
        sg_item_put_seconds(w);
    } else {
        outcome.kind = SG_OUTCOME_ERROR;
        (void)snprintf(outcome.message, sizeof outcome.message, "%s", sg_trace_message());
    }
    sg_phase_enter(w, SG_PHASE_OUTPUT);
    w->o.upstream.deliver(w->o.upstream.context, &outcome,
                          outcome.kind == SG_OUTCOME_RECORD ? w->item.record : NULL,
                          w->plan->record.bytes);
}

void sg_item_reset(struct sg_worker *w, int64_t index) {
    w->item.index = index;
    w->item.i_sweep = 0;
    w->item.n_stages_done = 0;
    w->item.n_gradients = 0;
    memset(w->item.spent_ns, 0,
           (size_t)(SG_SPENT_READINGS + w->plan->needs.n_readings) * sizeof *w->item.spent_ns);
    w->item.before_s = 0;
    w->item.begun_s = sg_now();
    w->item.saved_s = w->item.begun_s;
    w->met_s = w->item.begun_s;
}

/* The file of the next item is read by the system while this one is worked on. */
static void prefetch_next(struct sg_worker *w) {
    const struct sg_upstream *u = &w->o.upstream;
    int64_t item;

    if (u->ahead != NULL && u->ahead(u->context, &item)) {
        sg_items_prefetch(w->o.items, item);
    }
}

void sg_item_lead(struct sg_worker *w, int64_t index) {
    sg_status status;
    int resumed = 0;

    sg_item_reset(w, index);
    w->phases.n_led++;
    w->crew.n_members = 1;
    status = open_item(w, &resumed);
    prefetch_next(w);
    for (; status == SG_OK && w->item.i_sweep < w->plan->n_sweeps; w->item.i_sweep++) {
        status = sg_sweep_run(w, &w->plan->sweeps[w->item.i_sweep], resumed);
        resumed = 0;
    }
    sg_lead_dismiss(w);
    deliver(w, status);
}
