/* src/worker/phases.c - where the time goes. */
#include "worker/worker_impl.h"

#define TEXT(name, text) text,
static const char *const names[] = {SG_PHASE_LIST(TEXT)};

const char *sg_phase_name(enum sg_phase phase) {
    return names[phase];
}

void sg_phase_enter(struct sg_worker *w, enum sg_phase phase) {
    const double now = sg_now();

    w->phases.seconds[w->clock.phase] += now - w->clock.since;
    w->clock = (struct clock){.phase = phase, .since = now};
}

const struct sg_phases *sg_worker_phases(const struct sg_worker *w) {
    return &w->phases;
}
