/* src/cli/run_end.c - the end of a run: times, tables, statistics, the mark. */
#include "cli/run.h"

#include "sgdist/log.h"
#include "sgdist/memory.h"

#include <unistd.h>

/* Minimum, mean and maximum of each phase over the workers, into the table of runs (rank 0).
 * Collective. */
sg_status sg_run_gather_phases(struct run *r) {
    sg_status status = SG_OK;
    const int size = sg_comm_size(r->world);
    const int first = size > 1 ? 1 : 0;
    struct sg_rank_detail mine = {.host = ""};
    void *room = NULL;
    const struct sg_rank_detail *all;

    (void)gethostname(mine.host, sizeof mine.host - 1);
    if (r->worker != NULL) {
        mine.phases = *sg_worker_phases(r->worker);
    }
    SG_TRY(sg_take_for_all(r->world, sizeof mine, "the times", &room));
    sg_comm_gather(r->world, 0, &mine, sizeof mine, room);
    all = room;
    if (sg_run_is_root(r)) {
        sg_run_print_ranks(all, size);
    }
    for (int w = first; sg_run_is_root(r) && w < size; w++) {
        const int run = r->runs.n - 1;

        r->runs.forwards[run] += all[w].phases.n_forwards;
        r->runs.gradients[run] += all[w].phases.n_backwards;
        for (int p = 0; p < SG_N_PHASES; p++) {
            double *s = r->runs.seconds[run][p];
            const double v = all[w].phases.seconds[p];

            s[0] = w == first || v < s[0] ? v : s[0];
            s[1] += v / (size - first);
            s[2] = w == first || v > s[2] ? v : s[2];
        }
    }
done:
    sg_free(room);
    return status;
}

/* A study of which nothing came out is no success, whatever run.max_failed allows. */
int sg_run_exit_code(const struct sg_run_summary *s, sg_status status) {
    if (status != SG_OK) {
        return sg_status_exit_code(status);
    }
    if (s->n_failed == s->n_items) {
        return sg_status_exit_code(SG_E_INPUT);
    }
    return s->n_done + s->n_failed < s->n_items ? SG_EXIT_STOPPED : SG_EXIT_OK;
}

/* The run's last words into the file. */
static sg_status write_books(struct run *r) {
    sg_status status = SG_OK;
    struct sg_result *result = sg_master_result(r->master);

    SG_TRY(sg_runs_write(result, &r->runs));
    SG_TRY(sg_result_commit(result));
done:
    return status;
}

/* Rank 0. A disk that has failed the run, and has been told of, may fail the books, too. */
sg_status sg_run_close_books(struct run *r, sg_status run_status, int *exit_code) {
    sg_status status = SG_OK;
    struct sg_run_summary s;

    sg_master_summary(r->master, &s);
    *exit_code = sg_run_exit_code(&s, run_status);
    sg_runs_end(&r->runs, s.n_done_now, *exit_code);
    status = write_books(r);
    if (run_status != SG_OK) {
        status = SG_OK;
    }
    SG_TRY(status);
    if (!r->quiet) {
        SG_TRY(sg_run_print_summary(r));
        sg_run_print_phases(&r->runs);
    }
    sg_run_conclude(r, &s, run_status, *exit_code);
done:
    return status;
}

static sg_status put_mark(struct run *r, int64_t n_failed) {
    sg_status status = SG_OK;
    const unsigned char complete = 1;
    struct sg_result *result = sg_master_result(r->master);

    sg_partial_remove(r->study.job->output, -1);
    SG_TRY(sg_result_commit(result));
    SG_TRY(sg_result_put(result, "provenance/complete", &complete, 1));
    SG_TRY(sg_result_commit(result));
    sg_log(SG_LOG_INFO, "%s: %s", n_failed > 0 ? "written" : "complete", r->study.job->output);
done:
    return status;
}

/* When every item has ended: statistics over all of them, then the mark, last of all. The worker's
 * memory is given back first, so that the statistics need no more than was foretold. Collective. */
sg_status sg_run_complete(struct run *r) {
    sg_status status = SG_OK;
    struct sg_result *result = sg_run_is_root(r) ? sg_master_result(r->master) : NULL;

    sg_worker_destroy(r->worker);
    r->worker = NULL;
    SG_TRY(sg_agree(r->world,
                    sg_dataset_statistics(r->world, r->study.plan, r->study.job->output, result)));
    if (sg_run_is_root(r)) {
        struct sg_run_summary s;

        sg_master_summary(r->master, &s);
        status = put_mark(r, s.n_failed);
    }
    SG_TRY(sg_agree(r->world, status));
done:
    return status;
}

/* 1 on all ranks if every item has ended, done or failed, and is in the file. Collective. */
int sg_run_has_ended(const struct run *r, int exit_code) {
    int64_t ended = 0;

    if (sg_run_is_root(r)) {
        struct sg_run_summary s;

        sg_master_summary(r->master, &s);
        ended = s.n_done + s.n_failed == s.n_items &&
                (exit_code == SG_EXIT_OK || exit_code == sg_status_exit_code(SG_E_INPUT));
    }
    sg_comm_bcast(r->world, 0, &ended, sizeof ended);
    return (int)ended;
}
