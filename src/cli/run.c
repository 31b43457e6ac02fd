/* src/cli/run.c - `sgdist JOB.yaml`: the life of a study from its files to its result. */
#include "cli/arguments.h"
#include "cli/cli.h"
#include "cli/result.h"
#include "sgdist/log.h"
#include "sgdist/master.h"
#include "sgdist/memory.h"
#include "sgdist/worker.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* All that a run holds; on ranks other than 0 there is no lock, no master and no table. */
struct run {
    struct job_arguments arguments;
    int fresh;
    int retry_failed;
    int verbose;
    int quiet;
    struct sg_comm *world;
    struct study study;
    uint64_t identity;
    double range[2 * SG_MAX_CHANNELS]; /* of the data set: least, largest */
    struct sg_lock *lock;
    struct sg_master *master;
    struct sg_worker *worker;
    struct sg_comm *workers; /* ranks 1, 2, ...; NULL on rank 0 */
    struct sg_upstream link; /* of a worker to the master */
    struct sg_runs runs;
    int was_complete; /* the result bore the mark when it was opened, and nothing is to be tried
                         again */
};

static int is_root(const struct run *r) {
    return sg_comm_rank(r->world) == 0;
}

/* ---- before anything is written ---- */

static sg_status check_memory(const struct run *r) {
    sg_status status = SG_OK;
    const double limit = 1e6 * r->study.job->memory_mb;
    const double need = (double)sg_study_rank_bytes(&r->study);
    char need_text[32];
    char limit_text[32];

    SG_CHECK(limit <= 0 || need <= limit, SG_E_JOB,
             "%s: a rank needs %s, more than run.memory_mb allows (%s): lower sampling.block, or "
             "the number of targets",
             r->study.job->file, sg_text_bytes(need, need_text, sizeof need_text),
             sg_text_bytes(limit, limit_text, sizeof limit_text));
done:
    return status;
}

/* ---- the result file ---- */

/* --fresh must not take the study's own files for an old result. */
static sg_status check_output(const struct sg_job *job) {
    const struct {
        const char *path, *name;
    } inputs[] = {{job->file, "the job file itself"},
                  {job->model_file, "model.file"},
                  {job->data.path, "where the items are"},
                  {job->data.labels, "data.labels"},
                  {job->data.class_names, "data.class_names"}};
    sg_status status = SG_OK;
    struct stat output;
    struct stat input;

    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        SG_CHECK(inputs[i].path == NULL || stat(job->output, &output) != 0 ||
                     stat(inputs[i].path, &input) != 0 || output.st_dev != input.st_dev ||
                     output.st_ino != input.st_ino,
                 SG_E_JOB, "study.output: %s is %s: choose another", job->output, inputs[i].name);
    }
done:
    return status;
}

static void remove_old(const char *path) {
    (void)remove(path);
    sg_partial_remove(path, -1);
}

static sg_status read_range(struct run *r) {
    sg_status status = SG_OK;
    struct sg_reader *reader = NULL;

    SG_TRY(sg_reader_open(r->study.job->output, &reader));
    SG_TRY(sg_reader_read(reader, "provenance/dataset_range", -1, r->range));
done:
    sg_reader_close(reader);
    return status;
}

/* Rank 0: lock, and the file of an earlier run if there is one. */
static sg_status take_result(struct run *r, int *exists) {
    sg_status status = SG_OK;
    const double patience_s = 15; /* ranks of a killed run go down within seconds */
    const char *path = r->study.job->output;

    SG_TRY(check_output(r->study.job));
    SG_TRY(sg_lock_take(path, patience_s, &r->lock));
    if (r->fresh) {
        remove_old(path);
    }
    *exists = sg_result_exists(path);
    if (*exists) {
        status = sg_result_check_identity(&r->study);
        SG_CHECK(status != SG_E_FORMAT, SG_E_FORMAT,
                 "%s. Choose another study.output, or replace it with --fresh", sg_trace_message());
        SG_TRY(status);
        if (r->study.plan->scans_dataset) {
            SG_TRY(read_range(r));
        }
    }
done:
    return status;
}

static sg_status scan(struct run *r) {
    const int64_t n_channels = r->study.plan->input.axes[0];

    if (is_root(r)) {
        sg_log(SG_LOG_INFO, "reading all items once: noise is relative to the data set's range");
    }
    return sg_scan_dataset(r->world, r->study.plan, r->study.items, r->range,
                           r->range + n_channels);
}

static sg_status lay_out(struct run *r) {
    /* Checkpoints without their result belong to nothing. */
    sg_partial_remove(r->study.job->output, -1);
    return sg_result_layout(&r->study, r->study.plan->scans_dataset ? r->range : NULL, NULL,
                            r->study.job->output);
}

static sg_status open_result(struct run *r) {
    sg_status status = SG_OK;
    int64_t exists = 0;

    if (is_root(r)) {
        int found = 0;

        status = take_result(r, &found);
        exists = found;
    }
    SG_TRY(sg_agree(r->world, status));
    sg_comm_bcast(r->world, 0, &exists, sizeof exists);
    if (!exists && r->study.plan->scans_dataset) {
        SG_TRY(sg_agree(r->world, scan(r)));
    }
    if (!exists && is_root(r)) {
        status = lay_out(r);
    }
    SG_TRY(sg_agree(r->world, status));
    sg_comm_bcast(r->world, 0, r->range, sizeof r->range);
done:
    return status;
}

/* ---- master and workers ---- */

/* Failures of earlier runs count, or the same command would end with another exit code. */
static sg_status check_failures(const struct run *r) {
    sg_status status = SG_OK;
    const long long limit = r->study.job->max_failed;
    struct sg_run_summary s;

    sg_master_summary(r->master, &s);
    SG_CHECK(
        limit < 0 || s.n_failed <= limit, SG_E_INPUT,
        "%s: %lld item%s failed in earlier runs, more than run.max_failed: %lld allows. `sgdist "
        "status %s` lists them: allow more, or mend the data and give --retry-failed",
        r->study.job->output, (long long)s.n_failed, sg_text_plural(s.n_failed), limit,
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

    SG_TRY(sg_runs_read(r->study.job->output, &r->runs));
    SG_TRY(sg_master_create(&options, &r->master));
    SG_TRY(check_failures(r));
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
                                        .model = r->study.model,
                                        .items = r->study.items,
                                        .workers = r->workers,
                                        .stop = &sg_stop,
                                        .result = r->study.job->output,
                                        .identity = r->identity};

    if (alone) {
        options.upstream = sg_master_upstream(r->master);
    } else {
        SG_TRY(sg_upstream_open(r->world, plan->record.bytes, &r->link));
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
    const int is_worker = !is_root(r) || sg_comm_size(r->world) == 1;

    SG_TRY(sg_agree(r->world, sg_study_identity(&r->study, &r->identity)));
    if (is_root(r)) {
        status = create_master(r);
    }
    SG_TRY(sg_agree(r->world, status));
    SG_TRY(sg_agree(r->world, sg_comm_split(r->world, is_root(r) ? -1 : 0, &r->workers)));
    SG_TRY(sg_agree(r->world, is_worker ? create_worker(r) : SG_OK));
done:
    return status;
}

/* ---- what is said at the beginning and at the end ---- */

static void announce(const struct run *r) {
    const struct sg_plan *plan = r->study.plan;
    const int n_workers = sg_comm_size(r->world) > 1 ? sg_comm_size(r->world) - 1 : 1;
    const int n_methods = r->study.job->n_instances;
    const int64_t n_pending = sg_master_n_pending(r->master);
    char items[32];
    char gradients[32];
    char memory[32];

    sg_log(SG_LOG_INFO,
           "%s: %s item%s, %d method%s in %d sweep%s, %s gradient%s an item; %d worker%s, %s a "
           "rank, %s",
           r->study.job->name, sg_text_count((double)plan->n_items, items, sizeof items),
           sg_text_plural(plan->n_items), n_methods, sg_text_plural(n_methods), plan->n_sweeps,
           sg_text_plural(plan->n_sweeps),
           sg_text_count((double)plan->gradients_per_item, gradients, sizeof gradients),
           sg_text_plural(plan->gradients_per_item), n_workers, sg_text_plural(n_workers),
           sg_text_bytes((double)sg_study_rank_bytes(&r->study), memory, sizeof memory),
           sg_kernel_family());
    if (n_pending < plan->n_items) {
        sg_log(SG_LOG_INFO, "going on: %lld of %lld items are finished",
               (long long)(plan->n_items - n_pending), (long long)plan->n_items);
    }
}

static sg_status print_summary(const struct run *r) {
    sg_status status = SG_OK;
    unsigned char *states = sg_calloc((size_t)r->study.plan->n_items, 1);

    SG_CHECK(states != NULL, SG_E_NOMEM, "no memory for the summary");
    SG_TRY(sg_result_statuses(sg_master_result(r->master), states));
    SG_TRY(sg_cli_print_summary(&r->study, states));
done:
    sg_free(states);
    return status;
}

/* Where the workers' time went. To stderr as one text: mpirun does not keep stdout and stderr in
 * order. */
static void print_phases(const struct sg_runs *t) {
    const int run = t->n - 1;
    struct sg_text table = {0};
    double total = 0;

    for (int p = 0; p < SG_N_PHASES; p++) {
        total += t->seconds[run][p][1];
    }
    sg_text_add(&table, "\n  %-15s %10s %10s %10s   %7s\n", "a worker's time", "min s", "mean s",
                "max s", "share");
    for (int p = 0; p < SG_N_PHASES; p++) {
        const double *s = t->seconds[run][p];

        sg_text_add(&table, "  %-15s %10.2f %10.2f %10.2f   %5.1f %%\n",
                    sg_phase_name((enum sg_phase)p), s[0], s[1], s[2],
                    total > 0 ? 100 * s[1] / total : 0);
    }
    if (!table.failed) {
        fprintf(stderr, "%s\n", table.data);
    }
    sg_text_free(&table);
}

static void say_speed(const struct sg_run_summary *s) {
    char words[4][32];
    char seconds[32];

    if (s->seconds > 0 && s->n_done_now > 0) {
        sg_log(SG_LOG_INFO, "%s item%s and %s gradients in %s: %s items/s, %s gradients/s",
               sg_text_count((double)s->n_done_now, words[0], sizeof words[0]),
               sg_text_plural(s->n_done_now),
               sg_text_count((double)s->n_gradients, words[1], sizeof words[1]),
               sg_text_seconds(s->seconds, seconds, sizeof seconds),
               sg_text_count((double)s->n_done_now / s->seconds, words[2], sizeof words[2]),
               sg_text_count((double)s->n_gradients / s->seconds, words[3], sizeof words[3]));
    }
}

static void conclude(const struct run *r, const struct sg_run_summary *s, sg_status run_status) {
    const char *output = r->study.job->output;
    const int too_many = run_status == SG_E_INPUT;
    const int is_open = s->n_done + s->n_failed < s->n_items;

    say_speed(s);
    if (s->n_failed > 0) {
        sg_log(SG_LOG_WARN,
               "%lld of %lld items failed: `sgdist status %s` lists them; %s--retry-failed tries "
               "them again",
               (long long)s->n_failed, (long long)s->n_items, output,
               too_many ? "allow more, or mend the data: " : "");
    }
    if (is_open && !too_many) {
        sg_log(SG_LOG_INFO, "%lld of %lld items are finished; the same command goes on",
               (long long)(s->n_done + s->n_failed), (long long)s->n_items);
    }
}

/* ---- the end ---- */

/* Minimum, mean and maximum of each phase over the workers, into the table of runs (rank 0).
 * Collective. */
static sg_status gather_phases(struct run *r) {
    sg_status status = SG_OK;
    const int size = sg_comm_size(r->world);
    const int first = size > 1 ? 1 : 0;
    const struct sg_phases none = {.n_forwards = 0};
    const struct sg_phases *mine = r->worker != NULL ? sg_worker_phases(r->worker) : &none;
    struct sg_phases *all = is_root(r) ? sg_calloc((size_t)size, sizeof *all) : NULL;

    SG_TRY(sg_agree(r->world, is_root(r) && all == NULL ? SG_E_NOMEM : SG_OK));
    sg_comm_gather(r->world, 0, mine, sizeof *mine, all);
    for (int w = first; is_root(r) && w < size; w++) {
        const int run = r->runs.n - 1;

        r->runs.forwards[run] += all[w].n_forwards;
        r->runs.gradients[run] += all[w].n_backwards;
        for (int p = 0; p < SG_N_PHASES; p++) {
            double *s = r->runs.seconds[run][p];
            const double v = all[w].seconds[p];

            s[0] = w == first || v < s[0] ? v : s[0];
            s[1] += v / (size - first);
            s[2] = w == first || v > s[2] ? v : s[2];
        }
    }
done:
    sg_free(all);
    return status;
}

/* A study of which nothing came out is no success, whatever run.max_failed allows. */
static int exit_code_of(const struct sg_run_summary *s, sg_status status) {
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
static sg_status close_books(struct run *r, sg_status run_status, int *exit_code) {
    sg_status status = SG_OK;
    struct sg_run_summary s;

    sg_master_summary(r->master, &s);
    *exit_code = exit_code_of(&s, run_status);
    sg_runs_end(&r->runs, s.n_done_now, *exit_code);
    status = write_books(r);
    if (run_status != SG_OK) {
        status = SG_OK;
    }
    SG_TRY(status);
    if (!r->quiet) {
        SG_TRY(print_summary(r));
        print_phases(&r->runs);
    }
    conclude(r, &s, run_status);
done:
    return status;
}

static sg_status work(struct run *r, int *exit_code) {
    sg_status status = SG_OK;
    sg_status run_status = SG_OK;

    if (is_root(r)) {
        announce(r);
    }
    if (r->worker != NULL) {
        sg_worker_run(r->worker);
    }
    if (is_root(r)) {
        run_status = sg_comm_size(r->world) > 1 ? sg_master_run(r->master, r->world)
                                                : sg_master_finish(r->master);
        if (run_status != SG_OK) {
            sg_log(SG_LOG_ERROR, "%s", sg_trace_message());
        }
    }
    SG_TRY(gather_phases(r));
    if (is_root(r)) {
        status = close_books(r, run_status, exit_code);
    }
    SG_TRY(sg_agree(r->world, status));
done:
    return status;
}

/* ---- the whole data set ---- */

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
static sg_status complete(struct run *r) {
    sg_status status = SG_OK;
    struct sg_result *result = is_root(r) ? sg_master_result(r->master) : NULL;

    sg_worker_destroy(r->worker);
    r->worker = NULL;
    SG_TRY(sg_agree(r->world,
                    sg_dataset_statistics(r->world, r->study.plan, r->study.job->output, result)));
    if (is_root(r)) {
        struct sg_run_summary s;

        sg_master_summary(r->master, &s);
        status = put_mark(r, s.n_failed);
    }
    SG_TRY(sg_agree(r->world, status));
done:
    return status;
}

/* 1 on all ranks if every item has ended, done or failed, and is in the file. Collective. */
static int has_ended(const struct run *r, int exit_code) {
    int64_t ended = 0;

    if (is_root(r)) {
        struct sg_run_summary s;

        sg_master_summary(r->master, &s);
        ended = s.n_done + s.n_failed == s.n_items &&
                (exit_code == SG_EXIT_OK || exit_code == sg_status_exit_code(SG_E_INPUT));
    }
    sg_comm_bcast(r->world, 0, &ended, sizeof ended);
    return (int)ended;
}

static sg_status run_study(struct run *r, int *exit_code) {
    sg_status status = SG_OK;
    int64_t was_complete;

    SG_TRY(sg_study_open(r->world, &r->arguments, &r->study));
    SG_TRY(sg_agree(r->world, is_root(r) ? check_memory(r) : SG_OK));
    SG_TRY(open_result(r));
    SG_TRY(create_ranks(r));
    was_complete = r->was_complete;
    sg_comm_bcast(r->world, 0, &was_complete, sizeof was_complete);
    if (!was_complete) {
        SG_TRY(work(r, exit_code));
        if (has_ended(r, *exit_code)) {
            SG_TRY(complete(r));
        }
    } else if (is_root(r)) {
        struct sg_run_summary s;

        sg_master_summary(r->master, &s);
        *exit_code = exit_code_of(&s, SG_OK);
        sg_log(SG_LOG_INFO, "%s is complete: nothing to do (--fresh starts over)",
               r->study.job->output);
    }
done:
    return status;
}

static void close_run(struct run *r) {
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
        {"verbose", NULL, "more detail", &r->verbose, NULL, NULL, NULL},
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
    if (sg_comm_start(&argc, &argv, &r.world) != SG_OK) {
        return SG_EXIT_INTERNAL;
    }
    sg_catch_signals();
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
