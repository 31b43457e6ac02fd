/* src/worker/sweep.c - the blocks of a sweep, dealt to a team, in stages.
 *
 * A team works in rounds: the blocks that are not done yet are dealt to its members in turn, one
 * each. After some rounds the team meets (one small reduction): has anyone been told to stop, does
 * the leader want a checkpoint? Where a stage ends, and for a checkpoint, the members' sums and
 * block lists move to the leader's. Nobody waits for a stage's end: who has a block behind it keeps
 * that apart (collect.c), so the leader's sums are those of whole stages, and of blocks of the
 * running one. Because sums are exact, none of this shows in the result. */
#include "worker/worker_impl.h"

#include <math.h>
#include <string.h>

enum { COARSER = 8, MAX_ROUNDS = 64 }; /* octaves of a coarser grid; rounds between two meetings */

static const double meeting_s = 0.25; /* seconds between two meetings: how soon a stop is seen */

static int is_leader(const struct team *team) {
    return team->rank == 0;
}

static int is_done(const struct sg_worker *w, int64_t b) {
    return (int)(w->item.done[b / 64] >> (b % 64) & 1);
}

/* The leader's status for all: nobody may wait in a collective that the leader has given up. */
static sg_status agree(const struct team *team, sg_status status) {
    int64_t word = status;

    if (team->comm == NULL) {
        return status;
    }
    sg_comm_bcast(team->comm, 0, &word, sizeof word);
    if (!is_leader(team) && word != SG_OK) {
        (void)sg_fail((sg_status)word, __FILE__, __LINE__, "the leader of the team gave up");
    }
    return (sg_status)word;
}

static sg_status save(struct sg_worker *w, const struct team *team) {
    sg_status status = SG_OK;

    sg_item_collect(w, team, 0);
    if (is_leader(team)) {
        sg_phase_enter(w, SG_PHASE_OUTPUT);
        status = sg_item_save(w);
    }
    return agree(team, status);
}

/* ---- meetings ---- */

struct meeting {
    int64_t stop;       /* any member */
    int64_t checkpoint; /* the leader */
    int64_t rounds;     /* the leader: until the next meeting */
};

static int64_t rounds_until_meeting(double seconds, int64_t rounds) {
    const double n = seconds > 0 ? meeting_s * (double)rounds / seconds : MAX_ROUNDS;

    return n < 1 ? 1 : n > MAX_ROUNDS ? MAX_ROUNDS : (int64_t)n;
}

int sg_item_is_save_due(const struct sg_worker *w) {
    return sg_now() - w->item.saved_s >= w->plan->job->checkpoint_seconds;
}

static struct meeting meet(struct sg_worker *w, const struct team *team) {
    struct meeting m = {.stop = w->o.stop != NULL && *w->o.stop};

    sg_phase_enter(w, SG_PHASE_REDUCE);
    if (is_leader(team)) {
        m.stop |= w->o.upstream.stop_requested(w->o.upstream.context);
        m.checkpoint = sg_item_is_save_due(w);
        m.rounds = rounds_until_meeting(sg_now() - w->met_s, w->rounds);
    }
    if (team->comm != NULL) {
        sg_comm_allreduce_max(team->comm, (int64_t *)&m, sizeof m / sizeof(int64_t));
    }
    w->rounds = m.rounds;
    w->rounds_left = m.rounds;
    w->met_s = sg_now();
    return m;
}

/* ---- stages ---- */

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
        if (!is_done(w, b)) {
            return 0;
        }
    }
    return 1;
}

/* Leader, with the sums of the whole team: maps, or a coarser grid; a checkpoint where one is due.
 * Blocks are missing where a signal reached a member in the middle of one: the item is kept as it
 * is then. */
static sg_status close_stage(struct sg_worker *w, const struct sg_sweep *sweep, int s,
                             int *start_again) {
    sg_status status = SG_OK;

    if (!has_all_blocks(w, sweep->stage_ends[s])) {
        SG_TRY(sg_item_save(w));
        return SG_E_INTERRUPTED;
    }
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

/* The end of stage s: sums to the leader, who finishes the maps; all learn what comes next. `mine`:
 * the block that this member has done last, which may lie behind the end. */
static sg_status end_stage(struct sg_worker *w, const struct team *team,
                           const struct sg_sweep *sweep, int s, int64_t mine, int *start_again) {
    sg_status status = SG_OK;
    int64_t again = 0;

    sg_item_collect(w, team, mine >= sweep->stage_ends[s]);
    if (is_leader(team)) {
        status = close_stage(w, sweep, s, start_again);
        again = *start_again;
    }
    sg_phase_enter(w, SG_PHASE_REDUCE);
    SG_TRY(agree(team, status));
    if (team->comm != NULL) {
        sg_comm_bcast(team->comm, 0, &again, sizeof again);
    }
    *start_again = (int)again;
    w->item.n_stages_done = again ? 0 : s + 1;
done:
    return status;
}

/* All stages that end up to block `next`, below which all are done or dealt. */
static sg_status end_stages(struct sg_worker *w, const struct team *team,
                            const struct sg_sweep *sweep, int64_t next, int64_t mine,
                            int *start_again) {
    sg_status status = SG_OK;

    *start_again = 0;
    while (!*start_again && w->item.n_stages_done < sweep->n_stages &&
           sweep->stage_ends[w->item.n_stages_done] <= next) {
        SG_TRY(end_stage(w, team, sweep, (int)w->item.n_stages_done, mine, start_again));
    }
done:
    return status;
}

/* ---- rounds ---- */

/* The blocks that are left, in order: the same list on all ranks of a team. */
struct todo {
    const int64_t *blocks;
    int64_t n;
};

/* The k-th of them; past the last the end of the sweep. */
static int64_t block_at(const struct sg_sweep *sweep, const struct todo *todo, int64_t k) {
    return k < todo->n ? todo->blocks[k] : sweep->n_blocks;
}

/* Round r: this member's block, then the stages that the team's blocks have brought to their end. A
 * stop in mid-block is seen where a stage ends, or at the meeting. */
static sg_status run_round(struct sg_worker *w, const struct team *team,
                           const struct sg_sweep *sweep, const struct todo *todo, int64_t r,
                           int *start_again, int *interrupted) {
    const int64_t k = r * team->size + team->rank;
    const int64_t mine = k < todo->n ? todo->blocks[k] : -1;
    const int64_t next = block_at(sweep, todo, (r + 1) * team->size);
    const int64_t end = sweep->stage_ends[w->item.n_stages_done];

    if (end <= next && mine >= end) {
        sg_item_put_aside(w);
    }
    *interrupted = mine >= 0 && sg_block_run(w, sweep, mine) == SG_E_INTERRUPTED;
    return end_stages(w, team, sweep, next, mine, start_again);
}

/* Has anyone been told to stop, is a checkpoint due? However little there is, it is saved: runs of
 * a second must get somewhere, too. */
static sg_status look_up(struct sg_worker *w, const struct team *team) {
    sg_status status = SG_OK;
    const struct meeting m = meet(w, team);

    if (m.stop || m.checkpoint) {
        SG_TRY(save(w, team));
    }
    if (m.stop) {
        status = SG_E_INTERRUPTED;
    }
done:
    return status;
}

/* From where the item stands to the last stage's end, or to a coarser grid. A checkpoint may hold
 * all blocks of a stage whose end was not reached. */
static sg_status run_rounds(struct sg_worker *w, const struct team *team,
                            const struct sg_sweep *sweep, const struct todo *todo,
                            int *start_again) {
    sg_status status = SG_OK;

    SG_TRY(end_stages(w, team, sweep, block_at(sweep, todo, 0), -1, start_again));
    for (int64_t r = 0; w->item.n_stages_done < sweep->n_stages && !*start_again; r++) {
        int interrupted;

        SG_TRY(run_round(w, team, sweep, todo, r, start_again, &interrupted));
        w->rounds_left--;
        if (w->item.n_stages_done < sweep->n_stages && !*start_again &&
            (w->rounds_left <= 0 || (interrupted && team->size == 1))) {
            SG_TRY(look_up(w, team));
        }
    }
done:
    return status;
}

/* ---- the start of a sweep ---- */

static double largest_of(const float *v, int64_t n) {
    double largest = 0;

    for (int64_t i = 0; i < n; i++) {
        const double a = fabs((double)v[i]);

        largest = isfinite(a) && a > largest ? a : largest;
    }
    return largest;
}

/* All zeros at the item say nothing of the scale of noisy ones: the first block is looked at
 * instead. It is not given up for a stop, which the first meeting sees: by then there is something
 * to save. */
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

/* All ranks agree on grids, on the stages that are finished and the blocks that are done, which the
 * leader knows. */
static void share_start(struct sg_worker *w, const struct team *team) {
    if (team->comm == NULL) {
        return;
    }
    sg_phase_enter(w, SG_PHASE_REDUCE);
    sg_comm_bcast(team->comm, 0, &w->item.n_stages_done, sizeof w->item.n_stages_done);
    sg_comm_bcast(team->comm, 0, w->item.exponents,
                  (size_t)sg_item_n_sums(w) * sizeof *w->item.exponents);
    sg_comm_bcast(team->comm, 0, &w->item.gate_exponent, sizeof w->item.gate_exponent);
    sg_comm_bcast(team->comm, 0, w->item.done, (size_t)w->n_words * sizeof *w->item.done);
}

static int64_t list_todo(struct sg_worker *w, const struct sg_sweep *sweep) {
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

sg_status sg_sweep_run(struct sg_worker *w, const struct team *team, const struct sg_sweep *sweep,
                       int resumed) {
    sg_status status = SG_OK;
    const struct sg_item_view view = sg_worker_view(w);
    int keeps_sums = is_leader(team) && resumed;
    int start_again = 0;
    struct todo todo;

    SG_TRY(sweep->sampler->prepare(&sweep->sampling, &view, w->scale, w->sigma));
    if (!keeps_sums) { /* a checkpoint has filled the leader's */
        sg_worker_shape_sums(w, sweep);
    }
    if (is_leader(team) && !resumed) {
        forget_progress(w);
        status = choose_exponents(w, sweep);
    }
    SG_TRY(agree(team, status));
    do {
        share_start(w, team);
        todo = (struct todo){w->todo, list_todo(w, sweep)};
        if (!keeps_sums) {
            sg_item_reset_sums(w);
        }
        keeps_sums = 0;
        SG_TRY(run_rounds(w, team, sweep, &todo, &start_again));
        if (start_again) {
            forget_progress(w);
        }
    } while (start_again);
done:
    return status;
}
