/* src/cli/run.c - `sgdist JOB.yaml`: the life of a study from its files to its result. */
#include "cli/run.h"

#include "cli/arguments.h"
#include "sgdist/events.h"
#include "sgdist/log.h"

#include <stdio.h>
#include <string.h>

/* Failures of earlier runs count, or the same command would end with another exit code. */
static sg_status check_failures(const struct run *r, const struct sg_run_summary *s) {
    sg_status status = SG_OK;
    const long long limit = r->study.job->max_failed;

    SG_CHECK(
        limit < 0 || s->n_failed <= limit, SG_E_INPUT,
        "%s: %lld item%s failed in earlier runs, more than run.max_failed: %lld allows. `sgdist "
        "status %s` lists them: allow more, or mend the data and give --retry-failed",
        r->study.job->output, (long long)s->n_failed, sg_text_plural(s->n_failed), limit,
        r->study.job->output);
done:
    return status;
}

static sg_status create_master(struct run *r) {
    sg_status status = SG_OK;
    const int size = sg_comm_size(r->world);
    const struct sg_master_options options = {.plan = r->study.plan,
                                              .items = r->study.items,
                                              .path = r->study.job->output,
                                              .lock = r->lock,
                                              .n_workers = size > 1 ? size - 1 : 1,
                                              .retry_failed = r->retry_failed,
                                              .stop = &sg_stop};
    struct sg_run_summary s;

    SG_TRY(sg_runs_read(r->study.job->output, &r->runs));
    SG_TRY(sg_master_create(&options, &r->master));
    sg_master_summary(r->master, &s);
    SG_TRY(check_failures(r, &s));
    r->was_complete = r->runs.is_complete && sg_master_n_pending(r->master) == 0;
    if (!r->was_complete) {
        const unsigned char incomplete = 0;

        sg_runs_begin(&r->runs, size);
        SG_TRY(sg_runs_write(sg_master_result(r->master), &r->runs));
        SG_TRY(sg_result_put(sg_master_result(r->master), "provenance/complete", &incomplete, 1));
    }
done:
    return status;
}

static sg_status create_worker(struct run *r) {
    sg_status status = SG_OK;
    const struct sg_plan *plan = r->study.plan;
    const int alone = sg_comm_size(r->world) == 1;
    struct sg_worker_options options = {.plan = plan,
                                        .baselines = r->study.baselines,
                                        .model = r->study.model,
                                        .draws = (const struct sg_model *const *)r->study.draws,
                                        .items = r->study.items,
                                        .workers = r->workers,
                                        .stop = &sg_stop,
                                        .result = r->study.job->output,
                                        .identity = r->identity};

    if (alone) {
        options.upstream = sg_master_upstream(r->master);
    } else {
        SG_TRY(
            sg_comm_together(r->workers, sg_upstream_open(r->world, plan->record.bytes, &r->link)));
        options.upstream = r->link;
    }
    if (plan->scans_dataset) {
        options.dataset_min = r->range;
        options.dataset_max = r->range + plan->input.axes[0];
    }
    SG_TRY(sg_worker_create(&options, &r->worker));
done:
    return status;
}

static sg_status create_ranks(struct run *r) {
    sg_status status = SG_OK;
    const int is_worker = !sg_run_is_root(r) || sg_comm_size(r->world) == 1;

    SG_TRY(sg_agree(r->world, sg_study_identity(&r->study, &r->identity)));
    if (sg_run_is_root(r)) {
        status = create_master(r);
    }
    SG_TRY(sg_agree(r->world, status));
    SG_TRY(sg_agree(r->world, sg_comm_split(r->world, sg_run_is_root(r) ? -1 : 0, &r->workers)));
    SG_TRY(sg_agree(r->world, is_worker ? create_worker(r) : SG_OK));
done:
    return status;
}

static sg_status work(struct run *r, int *exit_code) {
    sg_status status = SG_OK;
    sg_status run_status = SG_OK;

    if (sg_run_is_root(r)) {
        sg_run_announce(r);
    }
    if (r->worker != NULL) {
        sg_worker_run(r->worker);
    }
    if (sg_run_is_root(r)) {
        run_status = sg_comm_size(r->world) > 1 ? sg_master_run(r->master, r->world)
                                                : sg_master_finish(r->master);
        if (run_status != SG_OK) {
            sg_log(SG_LOG_ERROR, "%s", sg_trace_message());
        }
    }
    SG_TRY(sg_run_gather_phases(r));
    if (sg_run_is_root(r)) {
        status = sg_run_close_books(r, run_status, exit_code);
    }
    SG_TRY(sg_agree(r->world, status));
done:
    return status;
}

/* Rank 0, of a result to which nothing is left to do; returns the exit code. */
static int say_complete(const struct run *r, const struct sg_run_summary *s) {
    sg_log(SG_LOG_INFO, "%s is complete%s: nothing to do (--fresh starts over)",
           r->study.job->output, r->is_packed ? " and packed" : "");
    if (s->n_failed > 0) {
        sg_log(SG_LOG_WARN, "%lld of its %lld items failed: `sgdist status %s` lists them%s",
               (long long)s->n_failed, (long long)s->n_items, r->study.job->output,
               r->is_packed ? "" : ", --retry-failed tries them again");
    }
    return sg_run_exit_code(s, SG_OK);
}

static sg_status run_study(struct run *r, int *exit_code) {
    sg_status status = SG_OK;
    int64_t was_complete;

    SG_TRY(sg_study_open(r->world, &r->arguments, &r->study));
    SG_TRY(sg_agree(r->world, sg_run_is_root(r) ? sg_run_check_memory(r) : SG_OK));
    SG_TRY(sg_run_open_result(r));
    if (r->is_packed) {
        SG_TRY(sg_agree(r->world, sg_run_is_root(r) ? check_failures(r, &r->ended) : SG_OK));
        *exit_code = sg_run_is_root(r) ? say_complete(r, &r->ended) : SG_EXIT_OK;
        goto done;
    }
    SG_TRY(create_ranks(r));
    was_complete = r->was_complete;
    sg_comm_bcast(r->world, 0, &was_complete, sizeof was_complete);
    if (!was_complete) {
        SG_TRY(work(r, exit_code));
        if (sg_run_has_ended(r, *exit_code)) {
            SG_TRY(sg_run_complete(r));
        }
    } else if (sg_run_is_root(r)) {
        struct sg_run_summary s;

        sg_master_summary(r->master, &s);
        *exit_code = say_complete(r, &s);
    }
done:
    return status;
}

static void close_run(struct run *r) {
    sg_events_close();
    sg_worker_destroy(r->worker);
    sg_upstream_close(&r->link);
    sg_comm_free(r->workers);
    sg_master_destroy(r->master);
    sg_lock_release(r->lock);
    sg_study_close(&r->study);
}

static int parse(struct run *r, const char **max_hours, int argc, char **argv, int *go_on) {
    static const char *const operand_names[] = {"the job file"};
    const struct option_row options[] = {
        {"set", "KEY=VALUE", "override a key of the job, e.g. sampling.samples=200", NULL, NULL,
         r->arguments.sets, &r->arguments.n_sets},
        {"max-hours", "HOURS", "stop after this time with exit code 85; run again to go on", NULL,
         max_hours, NULL, NULL},
        {"fresh", NULL, "replace an existing result", &r->fresh, NULL, NULL, NULL},
        {"retry-failed", NULL, "try again the items that failed in earlier runs", &r->retry_failed,
         NULL, NULL, NULL},
        {"quiet", NULL, "warnings and errors only", &r->quiet, NULL, NULL, NULL},
        {"verbose", NULL, "at the end, what each rank did", &r->verbose, NULL, NULL, NULL},
        {NULL, NULL, NULL, NULL, NULL, NULL, NULL}};
    const struct verb_options v = {
        .verb = "run",
        .usage = "JOB.yaml [options]",
        .about = "Runs a study; the same command goes on where a stopped run left off.",
        .n_operands = 1,
        .operand_names = operand_names,
        .operands = &r->arguments.file,
        .options = options};

    return sg_cli_parse(&v, argc, argv, go_on);
}

int sg_cli_run(int argc, char **argv) {
    struct run r = {.fresh = 0};
    const char *max_hours = NULL;
    char set[80];
    int go_on;
    int exit_code = parse(&r, &max_hours, argc, argv, &go_on);
    sg_status status;

    if (!go_on) {
        return exit_code;
    }
    if (max_hours != NULL && r.arguments.n_sets == sizeof r.arguments.sets / sizeof(char *)) {
        return sg_cli_usage("run", "too many --set beside --max-hours");
    }
    if (max_hours != NULL) {
        (void)snprintf(set, sizeof set, "run.max_hours=%.40s", max_hours);
        r.arguments.sets[r.arguments.n_sets++] = set;
    }
    sg_single_thread(argv - (argv[0] != NULL && strcmp(argv[0], "run") == 0));
    sg_catch_signals(); /* a signal while MPI starts must not kill the rank either */
    if (sg_start_ranks(&argc, &argv, &r.world) != SG_OK) {
        return SG_EXIT_INTERNAL;
    }
    sg_catch_signals(); /* MPI may have set its own */
    sg_log_setup(r.quiet     ? SG_LOG_WARN
                 : r.verbose ? SG_LOG_DEBUG
                             : SG_LOG_INFO,
                 sg_comm_rank(r.world));
    status = run_study(&r, &exit_code);
    if (status != SG_OK) {
        exit_code = sg_status_exit_code(status);
    }
    {
        int64_t code = exit_code;

        sg_comm_bcast(r.world, 0, &code, sizeof code);
        exit_code = (int)code;
    }
    close_run(&r);
    sg_comm_stop(r.world);
    return exit_code;
}
