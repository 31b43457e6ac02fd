/* src/worker/upstream.c - the master seen from a rank of its own: orders and outcomes as messages.
 *
 * A stop travels twice: as a hint (SG_TAG_STOP) that a leader sees between blocks, and as the last
 * order of the queue, which every worker takes after those before it. */
#include "sgdist/memory.h"
#include "worker/worker_impl.h"

#include <string.h>

/* What is on its way to the master: the worker goes on with its next item meanwhile. */
struct link {
    const struct sg_comm *world;
    struct sg_order held; /* an order that was looked at before its turn */
    int has_held;
    struct sg_outcome outcome;
    char *record; /* a copy */
    struct sg_sending *outcome_sending;
    struct sg_sending *record_sending;
};

static void finish_sending(struct link *l) {
    sg_comm_sent(l->outcome_sending);
    sg_comm_sent(l->record_sending);
    l->outcome_sending = NULL;
    l->record_sending = NULL;
}

/* At the end hints, and helpers that came too late, are taken out of the queue: MPI wants no
 * message left. */
static void drop(const struct sg_comm *world, int tag) {
    struct sg_order order;
    int from = 0;

    while (sg_comm_probe(world, &from, &tag)) {
        sg_comm_recv(world, from, tag, &order, sizeof order);
    }
}

/* Takes an order into `held` if one is there. */
static int take_order(struct link *l) {
    int from = 0;
    int tag = SG_TAG_ORDER;

    if (!l->has_held && sg_comm_probe(l->world, &from, &tag)) {
        sg_comm_recv(l->world, 0, SG_TAG_ORDER, &l->held, sizeof l->held);
        l->has_held = 1;
    }
    return l->has_held;
}

static int next(void *context, struct sg_order *order) {
    struct link *l = context;

    if (!take_order(l)) {
        return 0;
    }
    *order = l->held;
    l->has_held = 0;
    if (order->kind == SG_ORDER_END) {
        drop(l->world, SG_TAG_STOP);
        drop(l->world, SG_TAG_HELP);
        finish_sending(l);
    }
    return 1;
}

/* The master sends helpers to the item that it believes us at: those of earlier ones have crossed
 * the news of their end. */
static int helper(void *context, int64_t item, int64_t *worker) {
    const struct link *l = context;
    struct sg_order order;
    int from = 0;
    int tag = SG_TAG_HELP;

    while (sg_comm_probe(l->world, &from, &tag)) {
        sg_comm_recv(l->world, from, tag, &order, sizeof order);
        if (order.item == item) {
            *worker = order.worker;
            return 1;
        }
    }
    return 0;
}

static int ahead(void *context, int64_t *item) {
    struct link *l = context;

    *item = take_order(l) && l->held.kind == SG_ORDER_ITEM ? l->held.item : -1;
    return *item >= 0;
}

static void send(struct link *l, int tag, const void *bytes, size_t n,
                 struct sg_sending **sending) {
    if (sg_comm_send_begin(l->world, 0, tag, bytes, n, sending) != SG_OK) {
        sg_comm_send(l->world, 0, tag, bytes, n);
    }
}

static void deliver(void *context, const struct sg_outcome *outcome, const void *record,
                    int64_t bytes) {
    struct link *l = context;

    finish_sending(l);
    l->outcome = *outcome;
    send(l, SG_TAG_OUTCOME, &l->outcome, sizeof l->outcome, &l->outcome_sending);
    if (record != NULL) {
        memcpy(l->record, record, (size_t)bytes);
        send(l, SG_TAG_RECORD, l->record, (size_t)bytes, &l->record_sending);
    }
}

/* The hint stays in the queue: once there, it is there for good. */
static int stop_requested(void *context) {
    int from = 0;
    int tag = SG_TAG_STOP;

    return sg_comm_probe(((const struct link *)context)->world, &from, &tag);
}

sg_status sg_upstream_open(const struct sg_comm *world, int64_t record_bytes,
                           struct sg_upstream *out) {
    sg_status status = SG_OK;
    struct link *l = sg_calloc(1, sizeof *l);

    SG_CHECK(l != NULL, SG_E_NOMEM, "no memory for messages");
    l->world = world;
    l->record = sg_calloc((size_t)record_bytes, 1);
    SG_CHECK(l->record != NULL, SG_E_NOMEM, "no memory for messages");
    *out = (struct sg_upstream){.context = l,
                                .next = next,
                                .helper = helper,
                                .ahead = ahead,
                                .deliver = deliver,
                                .stop_requested = stop_requested};
    l = NULL;
done:
    sg_free(l);
    return status;
}

void sg_upstream_close(struct sg_upstream *upstream) {
    struct link *l = upstream->context;

    if (l != NULL) {
        finish_sending(l);
        sg_free(l->record);
        sg_free(l);
    }
    upstream->context = NULL;
}
