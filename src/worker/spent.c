/* src/worker/spent.c - who had the time: every instance has an account of the passes that it took
 * part in. Passes that several share stand in all their accounts, as if each had been alone. */
#include "worker/worker_impl.h"

#include <string.h>

void sg_spend(struct sg_worker *w, int slot, double begun) {
    w->item.spent_ns[slot] += (int64_t)(1e9 * (sg_now() - begun));
}

void sg_spend_on(struct sg_worker *w, int i_instance, double seconds) {
    *(double *)sg_instance_field(w, i_instance, "cost", "seconds") += seconds;
}

static double seconds_of(const struct sg_worker *w, int slot) {
    return 1e-9 * (double)w->item.spent_ns[slot];
}

void sg_spent_settle(struct sg_worker *w) {
    const struct sg_sweep *s = &w->plan->sweeps[w->item.i_sweep];
    const double noise = seconds_of(w, SG_SPENT_NOISE);
    const double forward = seconds_of(w, SG_SPENT_FORWARD);

    for (int r = 0; r < s->n_readings; r++) {
        const double walked = sg_is_path(sg_probed_of(w, &s->readings[r])) ? 0 : forward;

        for (int m = 0; m < s->readings[r].n_members; m++) {
            sg_spend_on(w, s->readings[r].members[m],
                        noise + walked + seconds_of(w, SG_SPENT_READINGS + r));
        }
    }
    for (int m = 0; m < s->gates.n_members; m++) {
        sg_spend_on(w, s->gates.members[m], noise + forward + seconds_of(w, SG_SPENT_GATES));
    }
    memset(w->item.spent_ns, 0,
           (size_t)(SG_SPENT_READINGS + s->n_readings) * sizeof *w->item.spent_ns);
}

void sg_spent_put(struct sg_worker *w) {
    for (int i = 0; i < w->plan->job->n_instances; i++) {
        const struct sg_cost alone = sg_plan_cost_alone(w->plan, i);

        *(int64_t *)sg_instance_field(w, i, "cost", "forwards") = alone.forwards;
        *(int64_t *)sg_instance_field(w, i, "cost", "backwards") = alone.backwards;
        *(int64_t *)sg_instance_field(w, i, "cost", "bytes") = sg_plan_bytes_alone(w->plan, i);
        sg_spend_on(w, i, w->item.forward_s + w->item.clean_s[w->plan->probed_of[i]]);
    }
}
