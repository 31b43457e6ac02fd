/* src/cli/check.c - `sgdist check`: everything but the run. */
#include "cli/arguments.h"
#include "cli/cli.h"
#include "cli/result.h"
#include "sgdist/log.h"
#include "sgdist/memory.h"
#include "sgdist/simulate.h"
#include "sgdist/text.h"
#include "sgdist/worker.h"

#include <stdio.h>
#include <string.h>

static int never(void *context) {
    (void)context;
    return 0;
}

/* A worker outside a run: for `check` and `sample`, which give it no orders. */
sg_status sg_cli_lone_worker(const struct study *s, const double *range, struct sg_worker **out) {
    const struct sg_worker_options options = {
        .plan = s->plan,
        .baselines = s->baselines,
        .model = s->model,
        .draws = (const struct sg_model *const *)s->draws,
        .items = s->items,
        .upstream = {.stop_requested = never},
        .result = s->job->output,
        .dataset_min = range,
        .dataset_max = range != NULL ? range + s->plan->input.axes[0] : NULL};

    return sg_worker_create(&options, out);
}

/* On the first item that can be read; 0 where nothing but the item itself is looked at. */
static sg_status measure(const struct study *s, struct sg_prediction *time) {
    sg_status status = SG_OK;
    struct sg_worker *worker = NULL;
    double range[2 * SG_MAX_CHANNELS];
    int64_t item = 0;

    if (s->lack[0] != '\0' || (s->plan->n_sweeps == 0 && s->plan->needs.paths.n_sums == 0)) {
        return SG_OK;
    }
    for (int64_t c = 0; c < s->plan->input.axes[0]; c++) { /* stands in for the data set's range */
        range[c] = 0;
        range[s->plan->input.axes[0] + c] = 1;
    }
    SG_TRY(sg_cli_lone_worker(s, range, &worker));
    do {
        status = sg_worker_measure(worker, item, &time->open_s, &time->block_s);
        item++;
    } while ((status == SG_E_INPUT || status == SG_E_NUMBERS) && item < s->plan->n_items);
    SG_TRY(status);
done:
    sg_worker_destroy(worker);
    return status;
}

/* What a run would do to the result file; SG_E_JOB where it would refuse it. */
static sg_status print_result_state(const struct study *s) {
    sg_status status = SG_OK;
    const char *output = s->job->output;

    if (!sg_result_exists(output)) {
        printf("  %-15s %s (new)\n", "result", output);
    } else {
        status = sg_result_check_identity(s);
        printf("  %-15s %s (exists, %s)\n", "result", output,
               status == SG_OK ? "the same study: a run would go on with it"
                               : "another study: a run would refuse it");
    }
    (void)fflush(stdout); /* before an error on stderr */
    return status;
}

enum { MAX_STAGES = 96 }; /* as the plan has them at most */

/* The run as the dispatcher would conduct it, with blocks that take as long as those here. Beyond a
 * million items more of them only prolong it. One rank does one block after the other. */
static sg_status predict(const struct sg_plan *plan, int n_ranks, struct sg_prediction *time) {
    sg_status status = SG_OK;
    const int64_t most = 1000000;
    const int64_t n_blocks = sg_plan_blocks_per_item(plan) - 1;
    const double alone = (double)plan->n_items * ((double)n_blocks * time->block_s + time->open_s);
    int64_t *ends = NULL;
    struct sg_simulated run = {.n_ranks = n_ranks,
                               .n_items = plan->n_items < most ? plan->n_items : most,
                               .n_blocks = n_blocks,
                               .block_s = time->block_s,
                               .open_s = time->open_s,
                               .opening_bytes = 4.0 * (double)sg_shape_size(&plan->input),
                               .sums_bytes = (double)plan->needs.checkpoint_bytes,
                               .record_bytes = (double)plan->record.bytes};
    struct sg_simulation simulated;

    time->seconds = alone;
    time->efficiency = 1;
    if (n_ranks < 3 || time->open_s <= 0) {
        return SG_OK;
    }
    if (n_blocks == 0) { /* items alone are dealt out */
        time->seconds /= (double)(n_ranks - 1 < plan->n_items ? n_ranks - 1 : plan->n_items);
        return SG_OK;
    }
    ends = sg_calloc(MAX_STAGES, sizeof *ends);
    SG_CHECK(ends != NULL, SG_E_NOMEM, "no memory to simulate %d ranks", n_ranks);
    run.n_stages = sg_plan_stage_ends(n_blocks, ends, MAX_STAGES); /* as if it were one sweep */
    run.stage_ends = ends;
    SG_TRY(sg_simulate(&sg_machine_usual, &run, &simulated));
    time->seconds = simulated.seconds * (double)plan->n_items / (double)run.n_items;
    time->efficiency = simulated.efficiency;
done:
    sg_free(ends);
    return status;
}

static sg_status print_plan(const struct study *s, int n_ranks) {
    sg_status status = SG_OK;
    struct sg_reserve reserve = {0};
    struct sg_prediction time = {0};
    const struct sg_rank_bytes bytes = sg_study_memory(s, n_ranks);
    const double limit = 1e6 * s->job->memory_mb;
    char reason[1024];
    const sg_status measured = measure(s, &time);

    (void)snprintf(reason, sizeof reason, "%s", sg_trace_message());
    SG_TRY(predict(s->plan, n_ranks, &time));
    SG_TRY(sg_result_layout(s, NULL, &reserve, NULL));
    s->plan->result_bytes = reserve.bytes;
    sg_plan_print(s->plan, &bytes, n_ranks, &time, stdout);
    SG_TRY(print_result_state(s));
    SG_TRY(sg_study_check_draws(s));
    SG_CHECK(limit <= 0 || (double)sg_study_rank_bytes(s) <= limit, SG_E_JOB,
             "%s: a rank needs more than run.memory_mb allows: lower sampling.block, or the number "
             "of targets",
             s->job->file);
    SG_CHECK(measured == SG_OK, measured, "every item would fail; the last one: %s", reason);
done:
    return status;
}

int sg_cli_check(int argc, char **argv) {
    static const char *const operand_names[] = {"the job file"};
    struct job_arguments arguments = {.n_sets = 0};
    const char *ranks = NULL;
    const struct option_row options[] = {{"set", "KEY=VALUE", "override a key of the job", NULL,
                                          NULL, arguments.sets, &arguments.n_sets},
                                         {"ranks", "N",
                                          "predict for this many ranks (default: as started)", NULL,
                                          &ranks, NULL, NULL},
                                         {NULL, NULL, NULL, NULL, NULL, NULL, NULL}};
    const struct verb_options v = {.verb = "check",
                                   .usage = "check JOB.yaml [options]",
                                   .about = "Checks job, model and data, and prints the plan: "
                                            "work, memory, disk, predicted time.",
                                   .n_operands = 1,
                                   .operand_names = operand_names,
                                   .operands = &arguments.file,
                                   .options = options};
    struct sg_comm *world = NULL;
    struct study study = {0};
    int64_t n_ranks = 0;
    int go_on;
    int exit_code = sg_cli_parse(&v, argc, argv, &go_on);
    sg_status status;

    if (!go_on) {
        return exit_code;
    }
    if (ranks != NULL && (sg_text_to_int(ranks, &n_ranks) != SG_OK || n_ranks < 1)) {
        return sg_cli_usage("check", "--ranks needs a whole number from 1, not '%s'", ranks);
    }
    sg_single_thread(argv - 1);
    if (sg_start_ranks(&argc, &argv, &world) != SG_OK) {
        return SG_EXIT_INTERNAL;
    }
    sg_log_setup(SG_LOG_INFO, sg_comm_rank(world));
    status = sg_study_open(world, &arguments, &study);
    if (status == SG_OK) {
        n_ranks = n_ranks > 0 ? n_ranks : sg_comm_size(world);
        status =
            sg_agree(world, sg_comm_rank(world) == 0 ? print_plan(&study, (int)n_ranks) : SG_OK);
        sg_study_close(&study);
    }
    sg_comm_stop(world);
    return sg_status_exit_code(status);
}
