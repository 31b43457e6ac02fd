/* src/master/master.c - one loop: outcomes in, orders out, results to disk. */
#include "sgdist/master.h"

#include "master/master_impl.h"
#include "sgdist/clock.h"
#include "sgdist/events.h"
#include "sgdist/log.h"
#include "sgdist/memory.h"
#include "sgdist/text.h"

#include <stdio.h>
#include <string.h>

static const double commit_s = 1.0; /* a killed run loses at most the finished items of this time */

/* ---- what is left to do ---- */

/* Failed items that are to be tried again become pending, in the file and at once: a run that is
 * killed meanwhile leaves no half-written item that is said to have ended, and the next one goes on
 * with the trial. */
static sg_status reopen_failed(struct sg_master *m, unsigned char *states) {
    sg_status status = SG_OK;
    const int64_t n_items = m->o.plan->n_items;
    int64_t n = 0;

    for (int64_t i = 0; i < n_items; i++) {
        if (states[i] == SG_ITEM_FAILED) {
            states[i] = SG_ITEM_PENDING;
            n++;
        }
    }
    if (n > 0) {
        SG_TRY(sg_result_put(m->result, SG_FIELD_STATUS, states, n_items));
        SG_TRY(sg_result_commit(m->result));
    }
done:
    return status;
}

/* Items with a checkpoint come first: they hold back nothing, and their files go away. */
static sg_status list_pending(struct sg_master *m, int64_t *items, int64_t *n) {
    sg_status status = SG_OK;
    const int64_t n_items = m->o.plan->n_items;
    unsigned char *states = sg_calloc((size_t)n_items, 1);
    unsigned char *begun = sg_calloc((size_t)n_items, 1);

    *n = 0;
    SG_CHECK(states != NULL && begun != NULL, SG_E_NOMEM, "no memory for the list of items");
    SG_TRY(sg_result_statuses(m->result, states));
    if (m->o.retry_failed) {
        SG_TRY(reopen_failed(m, states));
    }
    sg_partial_list(m->o.path, begun, n_items);
    for (int pass = 1; pass >= 0; pass--) {
        for (int64_t i = 0; i < n_items; i++) {
            if (states[i] == SG_ITEM_PENDING && begun[i] == pass) {
                items[(*n)++] = i;
            }
        }
    }
    for (int64_t i = 0; i < n_items; i++) {
        m->n_done += states[i] == SG_ITEM_DONE;
        m->n_failed += states[i] == SG_ITEM_FAILED;
    }
done:
    sg_free(states);
    sg_free(begun);
    return status;
}

sg_status sg_master_create(const struct sg_master_options *options, struct sg_master **out) {
    sg_status status = SG_OK;
    struct sg_master *m = sg_calloc(1, sizeof *m);
    int64_t *items = NULL;
    int64_t n = 0;

    SG_CHECK(m != NULL, SG_E_NOMEM, "no memory for the master");
    m->o = *options;
    m->begun = sg_now();
    m->committed = m->begun;
    items = sg_calloc((size_t)options->plan->n_items, sizeof *items);
    m->record = sg_calloc((size_t)options->plan->record.bytes, 1);
    m->written = sg_calloc((size_t)options->plan->n_items, sizeof *m->written);
    SG_CHECK(items != NULL && m->record != NULL && m->written != NULL, SG_E_NOMEM,
             "no memory for the master");
    SG_TRY(sg_result_open(options->path, &options->plan->record, &m->result));
    SG_TRY(list_pending(m, items, &n));
    SG_TRY(sg_dispatch_create(m->o.n_workers, items, n, sg_plan_blocks_per_item(m->o.plan) - 1,
                              &m->dispatch));
    sg_progress_begin(&m->progress, m->begun, options->plan->n_items, n,
                      (double)options->plan->per_item.backwards);
    *out = m;
    m = NULL;
done:
    sg_free(items);
    sg_master_destroy(m);
    return status;
}

void sg_master_destroy(struct sg_master *m) {
    if (m != NULL) {
        sg_dispatch_destroy(m->dispatch);
        sg_result_close(m->result);
        sg_free(m->record);
        sg_free(m->written);
        sg_free(m);
    }
}

int64_t sg_master_n_pending(const struct sg_master *m) {
    return sg_dispatch_n_waiting(m->dispatch) + sg_dispatch_n_running(m->dispatch);
}

struct sg_result *sg_master_result(struct sg_master *m) {
    return m->result;
}

/* ---- the result ---- */

/* Checkpoints go only when the finished items are on disk. */
static sg_status commit(struct sg_master *m) {
    sg_status status = SG_OK;

    SG_TRY(sg_result_commit(m->result));
    for (int64_t i = 0; i < m->n_written; i++) {
        if (sg_partial_exists(m->o.path, m->written[i])) {
            sg_partial_remove(m->o.path, m->written[i]);
        }
    }
    m->n_written = 0;
    m->committed = sg_now();
done:
    return status;
}

static void keep_first(struct sg_master *m, sg_status status) {
    if (status != SG_OK && m->status == SG_OK) {
        m->status = status;
        (void)snprintf(m->message, sizeof m->message, "%s", sg_trace_message());
    }
}

static const char *record_message(struct sg_master *m, const void *record) {
    return (const char *)record + sg_record_find(&m->o.plan->record, SG_FIELD_MESSAGE)->offset;
}

static void tell_of_failure(const struct sg_outcome *outcome, const char *message) {
    struct sg_event e;

    sg_event_begin(&e, "item_failed");
    sg_event_count(&e, "item", outcome->item);
    sg_event_text(&e, "message", message);
    sg_event_end(&e);
}

static void count_failure(struct sg_master *m, const struct sg_outcome *outcome,
                          const void *record) {
    enum { SHOWN = 10 };
    const int64_t limit = m->o.plan->job->max_failed;

    m->n_failed++;
    m->n_failed_now++;
    tell_of_failure(outcome, record_message(m, record));
    if (m->n_failed_now <= SHOWN) {
        sg_log(SG_LOG_WARN, "item failed: %s", record_message(m, record));
    } else if (m->n_failed_now == SHOWN + 1) {
        sg_log(SG_LOG_WARN, "more items fail; `sgdist status %s` lists them", m->o.path);
    }
    if (limit >= 0 && m->n_failed > limit) {
        keep_first(m,
                   sg_fail(SG_E_INPUT, __FILE__, __LINE__,
                           "%lld item%s failed, more than run.max_failed: %lld allows",
                           (long long)m->n_failed, sg_text_plural(m->n_failed), (long long)limit));
    }
}

static void take_record(struct sg_master *m, const struct sg_outcome *outcome, const void *record) {
    const unsigned char state = *((const unsigned char *)record +
                                  sg_record_find(&m->o.plan->record, SG_FIELD_STATUS)->offset);

    const sg_status status = sg_result_write(m->result, outcome->item, record);

    keep_first(m, status);
    if (status != SG_OK) {
        return; /* it stays pending, and its checkpoint stands */
    }
    m->written[m->n_written++] = outcome->item;
    if (state == SG_ITEM_FAILED) {
        count_failure(m, outcome, record);
    } else {
        m->n_done++;
        m->n_done_now++;
    }
}

/* From worker number `leader`. */
static void take_outcome(struct sg_master *m, int leader, const struct sg_outcome *outcome,
                         const void *record) {
    sg_dispatch_ended(m->dispatch, leader, outcome->item, sg_now());
    m->n_gradients += outcome->n_gradients;
    if (outcome->kind == SG_OUTCOME_RECORD) {
        take_record(m, outcome, record);
        sg_progress_count(&m->progress, sg_now(), outcome->n_gradients);
    } else if (outcome->kind == SG_OUTCOME_STOPPED) {
        m->is_stopped = 1;
    } else {
        keep_first(m,
                   sg_fail((sg_status)outcome->status, __FILE__, __LINE__, "%s", outcome->message));
    }
}

/* ---- time and stops ---- */

static void stop_because(struct sg_master *m, const char *reason) {
    struct sg_event e;

    if (!m->is_stopped) {
        m->is_stopped = 1;
        sg_event_begin(&e, "stopping");
        sg_event_text(&e, "reason", reason);
        sg_event_end(&e);
    }
}

static int must_stop(struct sg_master *m) {
    const double max_s = 3600 * m->o.plan->job->max_hours;

    if (m->o.stop != NULL && *m->o.stop) {
        stop_because(m, "signal");
    }
    if (max_s > 0 && sg_now() - m->begun >= max_s && sg_master_n_pending(m) > 0) {
        if (!m->is_stopped) {
            sg_log(SG_LOG_INFO, "run.max_hours is over: stopping");
        }
        stop_because(m, "max_hours");
    }
    return m->is_stopped || m->status != SG_OK;
}

static void housekeeping(struct sg_master *m) {
    const double now = sg_now();

    if (m->n_written > 0 && now - m->committed >= commit_s) {
        keep_first(m, commit(m));
    }
    sg_lock_beat(m->o.lock);
    sg_progress_show(&m->progress, now);
}

sg_status sg_master_finish(struct sg_master *m) {
    keep_first(m, commit(m));
    sg_log_progress(NULL);
    return m->status == SG_OK ? SG_OK : sg_fail(m->status, __FILE__, __LINE__, "%s", m->message);
}

void sg_master_summary(const struct sg_master *m, struct sg_run_summary *out) {
    *out = (struct sg_run_summary){.n_items = m->o.plan->n_items,
                                   .n_done = m->n_done,
                                   .n_failed = m->n_failed,
                                   .n_done_now = m->n_done_now,
                                   .n_gradients = m->n_gradients,
                                   .seconds = sg_now() - m->begun,
                                   .stopped = m->is_stopped};
}

/* ---- workers that are ranks ---- */

static void tell_all(const struct sg_comm *world, int tag, enum sg_order_kind kind) {
    const struct sg_order order = {.kind = kind};

    for (int rank = 1; rank < sg_comm_size(world); rank++) {
        sg_comm_send(world, rank, tag, &order, sizeof order);
    }
}

static int send_orders(struct sg_master *m, const struct sg_comm *world) {
    struct sg_dispatch_order o;
    int n = 0;

    while (sg_dispatch_next(m->dispatch, sg_now(), &o)) {
        const int is_help = o.helper >= 0;
        const struct sg_order order = {
            .kind = is_help ? SG_ORDER_HELP : SG_ORDER_ITEM, .item = o.item, .worker = o.helper};

        sg_comm_send(world, 1 + o.leader, is_help ? SG_TAG_HELP : SG_TAG_ORDER, &order,
                     sizeof order);
        n++;
    }
    return n;
}

static int receive_outcome(struct sg_master *m, const struct sg_comm *world) {
    struct sg_outcome outcome;
    int from = -1;
    int tag = SG_TAG_OUTCOME;

    if (!sg_comm_probe(world, &from, &tag)) {
        return 0;
    }
    sg_comm_recv(world, from, tag, &outcome, sizeof outcome);
    if (outcome.kind == SG_OUTCOME_RECORD) {
        sg_comm_recv(world, from, SG_TAG_RECORD, m->record, (size_t)m->o.plan->record.bytes);
    }
    take_outcome(m, from - 1, &outcome, m->record);
    return 1;
}

sg_status sg_master_run(struct sg_master *m, const struct sg_comm *world) {
    int told = 0;
    int idle = 0;

    while (sg_master_n_pending(m) > 0) {
        int busy = receive_outcome(m, world);

        if (must_stop(m) && !told) {
            sg_dispatch_stop(m->dispatch);
            tell_all(world, SG_TAG_STOP, SG_ORDER_END);
            told = 1;
        }
        busy += send_orders(m, world);
        housekeeping(m);
        if (busy) {
            idle = 0;
        } else {
            sg_comm_idle(&idle);
        }
    }
    tell_all(world, SG_TAG_ORDER, SG_ORDER_END);
    return sg_master_finish(m);
}

/* ---- one rank alone: the worker's calls are the master's turns ---- */

static int local_next(void *context, struct sg_order *order) {
    struct sg_master *m = context;
    struct sg_dispatch_order o;

    *order = (struct sg_order){.kind = SG_ORDER_END};
    housekeeping(m);
    if (!must_stop(m) && sg_dispatch_next(m->dispatch, sg_now(), &o)) {
        *order = (struct sg_order){.kind = SG_ORDER_ITEM, .item = o.item};
    }
    return 1;
}

static void local_deliver(void *context, const struct sg_outcome *outcome, const void *record,
                          int64_t record_bytes) {
    (void)record_bytes;
    take_outcome(context, 0, outcome, record);
}

static int local_stop_requested(void *context) {
    housekeeping(context);
    return must_stop(context);
}

struct sg_upstream sg_master_upstream(struct sg_master *m) {
    return (struct sg_upstream){.context = m,
                                .next = local_next,
                                .deliver = local_deliver,
                                .stop_requested = local_stop_requested};
}
