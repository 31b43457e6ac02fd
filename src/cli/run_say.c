/* src/cli/run_say.c - what a run says of itself. */
#include "cli/run.h"

#include "sgdist/events.h"
#include "sgdist/log.h"
#include "sgdist/memory.h"

#include <stdio.h>

static void tell_of_start(const struct run *r) {
    const struct sg_plan *plan = r->study.plan;
    struct sg_event e;

    sg_event_begin(&e, "run_started");
    sg_event_text(&e, "version", SGDIST_VERSION);
    sg_event_text(&e, "study", r->study.job->name);
    sg_event_text(&e, "job", r->study.job->file);
    sg_event_text(&e, "kernel", sg_study_kernels(&r->study));
    sg_event_count(&e, "ranks", sg_comm_size(r->world));
    sg_event_count(&e, "items", plan->n_items);
    sg_event_count(&e, "items_pending", sg_master_n_pending(r->master));
    sg_event_count(&e, "gradients_per_item", plan->per_item.backwards);
    sg_event_number(&e, "bytes_per_rank", (double)sg_study_rank_bytes(&r->study));
    sg_event_end(&e);
}

static void tell_of_end(const struct run *r, const struct sg_run_summary *s, int exit_code) {
    const int run = r->runs.n - 1;
    struct sg_event e;

    sg_event_begin(&e, "run_ended");
    sg_event_count(&e, "exit_code", exit_code);
    sg_event_count(&e, "items_done", s->n_done);
    sg_event_count(&e, "items_failed", s->n_failed);
    sg_event_count(&e, "items", s->n_items);
    sg_event_count(&e, "items_done_in_run", s->n_done_now);
    sg_event_count(&e, "gradients_in_run", s->n_gradients);
    sg_event_number(&e, "seconds", s->seconds);
    for (int p = 0; p < SG_N_PHASES; p++) {
        char name[32];

        (void)snprintf(name, sizeof name, "seconds_%s", sg_phase_name((enum sg_phase)p));
        sg_event_number(&e, name, r->runs.seconds[run][p][1]);
    }
    sg_event_end(&e);
}

void sg_run_announce(const struct run *r) {
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
           sg_text_count((double)plan->per_item.backwards, gradients, sizeof gradients),
           sg_text_plural(plan->per_item.backwards), n_workers, sg_text_plural(n_workers),
           sg_text_bytes((double)sg_study_rank_bytes(&r->study), memory, sizeof memory),
           sg_study_kernels(&r->study));
    if (plan->needs.counts.n_groups > 0 && plan->model->gates.n_linearised > 0) {
        sg_log(SG_LOG_INFO, "smoothdiff: no gates, taken as linear around the item itself: %s",
               plan->model->gates.linearised);
    }
    tell_of_start(r);
    if (n_pending < plan->n_items) {
        sg_log(SG_LOG_INFO, "going on: %lld of %lld items are finished",
               (long long)(plan->n_items - n_pending), (long long)plan->n_items);
    }
}

sg_status sg_run_print_summary(const struct run *r) {
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
void sg_run_print_phases(const struct sg_runs *t) {
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

void sg_run_print_ranks(const struct sg_rank_detail *all, int n_ranks) {
    for (int rank = n_ranks > 1 ? 1 : 0; rank < n_ranks; rank++) {
        const struct sg_phases *p = &all[rank].phases;
        struct sg_text times = {0};

        for (int i = 0; i < SG_N_PHASES; i++) {
            sg_text_add(&times, "%s %s %.2f s", i > 0 ? "," : "", sg_phase_name((enum sg_phase)i),
                        p->seconds[i]);
        }
        sg_log(SG_LOG_DEBUG, "rank %d on %s: %lld items led, %lld helped, %lld gradients;%s", rank,
               all[rank].host, (long long)p->n_led, (long long)p->n_helped,
               (long long)p->n_backwards, times.failed ? "" : times.data);
        sg_text_free(&times);
    }
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

void sg_run_conclude(const struct run *r, const struct sg_run_summary *s, sg_status run_status,
                     int exit_code) {
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
    tell_of_end(r, s, exit_code);
}
