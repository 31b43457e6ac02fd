/* src/worker/lead.c - the leader of a team: welcomes helpers, deals blocks, gathers sums, ends
 * stages, and works itself.
 *
 * It runs blocks of the running stage alone, so that its sums are always those of whole stages and
 * of blocks of the running one: what a checkpoint holds. Alone it is its own team. */
#include "sgdist/deal.h"
#include "worker/team.h"

static const double meeting_s = 0.25;  /* how soon a stop by the master, or a save, is seen */
static const double a_pause_s = 0.001; /* messages are not looked for more often */
static const double helpers_s = 0.02;  /* nor helpers: to look is to let others have the core */

static void tell(const struct sg_worker *w, int member, const struct told *t) {
    sg_comm_send(w->o.workers, w->crew.workers[member], SG_TAG_TOLD, t, sizeof *t);
}

/* ---- blocks ---- */

static void deal_to(struct sg_worker *w, int member) {
    struct crew *c = &w->crew;
    struct told t = {.kind = TOLD_BLOCKS};

    t.n = sg_deal_next(c->deal, member, 1e-9 * (double)c->block_ns[member], &t.first);
    if (t.n > 0) {
        tell(w, member, &t);
    } else {
        c->waiting[c->n_waiting++] = member;
    }
}

static void deal_to_waiting(struct sg_worker *w) {
    const int n = w->crew.n_waiting;

    w->crew.n_waiting = 0;
    for (int i = 0; i < n; i++) { /* who waits on takes a place that has been read */
        deal_to(w, w->crew.waiting[i]);
    }
}

/* ---- gifts ---- */

/* Asks those who have sums of a stage for them. They form a binomial tree in the order of the list,
 * the leader is number 0 of it; returns how many gifts come to the leader itself. */
static int call_gifts(struct sg_worker *w, int stage, int tag, int with_hands) {
    const int n = sg_deal_take(w->crew.deal, stage, with_hands, w->crew.givers);
    int n_mine = 0;

    for (int p = 1; p <= n; p++) {
        const int above = p & (p - 1); /* without its lowest bit */
        struct told t = {.kind = TOLD_GIFT, .gift = {.tag = tag, .stage = stage}};

        t.gift.parent = w->crew.workers[above > 0 ? w->crew.givers[above - 1] : 0];
        for (int step = 1; step < (p & -p) && p + step <= n; step *= 2) {
            t.gift.n_children++;
        }
        n_mine += above == 0;
        tell(w, w->crew.givers[p - 1], &t);
    }
    return n_mine;
}

/* Stages whose blocks are all done: their sums begin to travel while the leader is at others. */
static void call_complete(struct sg_worker *w) {
    struct crew *c = &w->crew;
    const int before = c->n_called;

    while (!c->is_ending && sg_deal_is_complete(c->deal, c->n_called)) {
        c->n_gifts[c->n_called] = call_gifts(w, c->n_called, SG_TAG_STAGE + c->n_called, 0);
        c->n_called++;
    }
    if (c->n_called > before) {
        deal_to_waiting(w);
    }
}

static void take_gifts(struct sg_worker *w, int tag, int n) {
    int idle = 0;

    sg_phase_enter(w, SG_PHASE_REDUCE);
    while (n > 0) {
        if (sg_gift_take(w, tag)) {
            n--;
            idle = 0;
        } else {
            sg_comm_idle(&idle);
        }
        sg_lead_serve(w);
    }
}

/* ---- messages ---- */

static void hear(struct sg_worker *w, const struct said *s) {
    struct crew *c = &w->crew;
    const int member = (int)s->member;

    c->block_ns[member] = s->block_ns;
    c->is_told |= s->is_told != 0;
    c->n_gone += s->is_gone != 0;
    if (s->is_done) {
        sg_deal_done(c->deal, member);
        call_complete(w);
    }
    if (s->asks && !c->is_ending) {
        deal_to(w, member);
    }
}

/* Who has been sent to help waits for our word. A helper for whom there is no room has never heard
 * of us. */
static void take_helpers(struct sg_worker *w) {
    struct crew *c = &w->crew;
    const struct sg_upstream *u = &w->o.upstream;
    const double now = sg_now();
    int64_t worker;

    if (now - c->asked_s < helpers_s) {
        return;
    }
    c->asked_s = now;
    while (!c->is_ending && u->helper != NULL && u->helper(u->context, w->item.index, &worker) &&
           sg_deal_join(c->deal) == SG_OK) {
        const int member = c->n_members++;

        c->workers[member] = (int)worker;
        c->block_ns[member] = 0;
        sg_send_opening(w, member);
        sg_send_sweep(w, member);
    }
}

void sg_lead_serve(struct sg_worker *w) {
    int from = -1;
    int tag = SG_TAG_SAID;

    take_helpers(w);
    while (w->crew.n_members > 1 && sg_comm_probe(w->o.workers, &from, &tag)) {
        struct said s;

        sg_comm_recv(w->o.workers, from, SG_TAG_SAID, &s, sizeof s);
        hear(w, &s);
        from = -1;
    }
}

void sg_team_pause(void *worker) {
    struct sg_worker *w = worker;
    const enum sg_phase phase = w->clock.phase;
    const double now = sg_now();

    if (w->crew.role == CREW_RESTS || w->o.workers == NULL || now - w->crew.looked_s < a_pause_s) {
        return;
    }
    w->crew.looked_s = now;
    sg_phase_enter(w, SG_PHASE_REDUCE);
    if (w->crew.role == CREW_LEADS) {
        sg_lead_serve(w);
    } else {
        sg_follow_look(w);
    }
    sg_phase_enter(w, phase);
}

/* ---- stages ---- */

static sg_status close_stages(struct sg_worker *w, int *again) {
    sg_status status = SG_OK;
    struct crew *c = &w->crew;

    while (!*again && w->item.n_stages_done < c->n_called) {
        const int s = (int)w->item.n_stages_done;

        take_gifts(w, SG_TAG_STAGE + s, c->n_gifts[s]);
        SG_TRY(sg_stage_close(w, c->sweep, s, again));
        if (!*again) {
            sg_deal_close(c->deal);
            deal_to_waiting(w);
        }
    }
done:
    return status;
}

/* ---- stops and checkpoints ---- */

int sg_item_is_save_due(const struct sg_worker *w) {
    return sg_now() - w->item.saved_s >= w->plan->job->checkpoint_seconds;
}

static sg_status save(struct sg_worker *w) {
    sg_phase_enter(w, SG_PHASE_OUTPUT);
    return sg_item_save(w);
}

/* The last that members hear: they end the block in hand, give what they were asked for, and go. */
static void tell_end(struct sg_worker *w) {
    const struct told t = {.kind = TOLD_END};

    w->crew.is_ending = 1;
    for (int m = 1; m < w->crew.n_members; m++) {
        tell(w, m, &t);
    }
}

void sg_lead_dismiss(struct sg_worker *w) {
    const struct told t = {.kind = TOLD_LEAVE};

    for (int m = 1; m < w->crew.n_members; m++) {
        tell(w, m, &t);
    }
}

/* Until no message of theirs is left. */
static void wait_for_all(struct sg_worker *w) {
    struct crew *c = &w->crew;
    int idle = 0;

    sg_phase_enter(w, SG_PHASE_REDUCE);
    while (c->n_gone < c->n_members - 1) {
        const int before = c->n_gone;

        sg_lead_serve(w);
        if (c->n_gone > before) {
            idle = 0;
        } else {
            sg_comm_idle(&idle);
        }
    }
}

/* However little there is, it is saved: runs of a second must get somewhere, too. */
static sg_status stop(struct sg_worker *w) {
    sg_status status = SG_OK;
    int n;

    n = call_gifts(w, (int)w->item.n_stages_done, SG_TAG_SAVED, 1);
    tell_end(w);
    take_gifts(w, SG_TAG_SAVED, n);
    SG_TRY(save(w));
    status = SG_E_INTERRUPTED;
done:
    return status;
}

/* Has anyone been told to stop, is a checkpoint due? */
static sg_status look_up(struct sg_worker *w) {
    sg_status status = SG_OK;
    int must_stop = w->crew.is_told || (w->o.stop != NULL && *w->o.stop);
    const double now = sg_now();

    if (!must_stop && now - w->met_s < meeting_s) {
        return SG_OK;
    }
    w->met_s = now;
    must_stop |= w->o.upstream.stop_requested(w->o.upstream.context);
    if (must_stop) {
        return stop(w);
    }
    if (sg_item_is_save_due(w)) {
        take_gifts(w, SG_TAG_SAVED, call_gifts(w, (int)w->item.n_stages_done, SG_TAG_SAVED, 0));
        SG_TRY(save(w));
    }
done:
    return status;
}

/* ---- the sweep ---- */

static void begin(struct sg_worker *w, const struct sg_sweep *sweep, int64_t n_todo) {
    struct crew *c = &w->crew;

    sg_deal_begin(c->deal, c->n_members, w->todo, n_todo, sweep->stage_ends, sweep->n_stages,
                  (int)w->item.n_stages_done);
    c->role = CREW_LEADS;
    c->sweep = sweep;
    c->n_waiting = 0;
    c->n_called = (int)w->item.n_stages_done;
    c->is_ending = 0;
    c->n_gone = 0;
    c->is_told = 0;
    for (int m = 1; m < c->n_members; m++) {
        c->block_ns[m] = 0;
        sg_send_sweep(w, m);
    }
    call_complete(w); /* a checkpoint may hold all blocks of a stage that was not ended */
}

/* A block of its own, or a little patience. */
static void work(struct sg_worker *w, int *idle) {
    int64_t k;

    sg_lead_serve(w);
    if (sg_deal_next(w->crew.deal, 0, 0, &k) > 0) {
        if (sg_block_run(w, w->crew.sweep, w->todo[k]) == SG_OK) {
            sg_deal_done(w->crew.deal, 0);
            call_complete(w);
        }
        *idle = 0;
    } else if (w->crew.n_called == w->item.n_stages_done) { /* others have the stage's blocks */
        sg_phase_enter(w, SG_PHASE_REDUCE);
        sg_comm_idle(idle);
    }
}

/* Gifts that are on their way when a stage turns out to be the last. */
static void drop_gifts(struct sg_worker *w) {
    for (int s = (int)w->item.n_stages_done + 1; s < w->crew.n_called; s++) {
        take_gifts(w, SG_TAG_STAGE + s, w->crew.n_gifts[s]);
    }
}

sg_status sg_lead(struct sg_worker *w, const struct sg_sweep *sweep, int64_t n_todo, int *again) {
    sg_status status;
    int idle = 0;

    begin(w, sweep, n_todo);
    status = close_stages(w, again);
    while (status == SG_OK && !*again && w->item.n_stages_done < sweep->n_stages) {
        work(w, &idle);
        status = close_stages(w, again);
        if (status == SG_OK && !*again && w->item.n_stages_done < sweep->n_stages) {
            status = look_up(w);
        }
    }
    if (!w->crew.is_ending) {
        w->crew.is_ending = 1;
        drop_gifts(w);
        tell_end(w);
    }
    wait_for_all(w);
    w->crew.role = CREW_RESTS;
    return status;
}
