/* src/worker/upstream.c - the master seen from a rank of its own: orders and outcomes as messages.
 *
 * A stop travels twice: as a hint (SG_TAG_STOP) that a leader sees between blocks, and as the last order of the queue,
 * which every worker takes after those before it, so that no member of a team misses an order that the others obey. */
#include "worker/worker_impl.h"

/* At the end the hint is taken out of the queue: MPI wants no message left. */
static void drop_hint(const struct sg_comm *world) {
    struct sg_order order;
    int from = 0;
    int tag = SG_TAG_STOP;

    if (sg_comm_probe(world, &from, &tag)) {
        sg_comm_recv(world, from, tag, &order, sizeof order);
    }
}

static void next(void *context, struct sg_order *order) {
    const struct sg_comm *world = context;
    int idle = 0;
    int from = 0;
    int tag = SG_TAG_ORDER;

    while (!sg_comm_probe(world, &from, &tag)) {
        sg_comm_idle(&idle);
    }
    sg_comm_recv(world, 0, SG_TAG_ORDER, order, sizeof *order);
    if (order->kind == SG_ORDER_END) {
        drop_hint(world);
    }
}

static void deliver(void *context, const struct sg_outcome *outcome, const void *record,
                    int64_t bytes) {
    const struct sg_comm *world = context;

    sg_comm_send(world, 0, SG_TAG_OUTCOME, outcome, sizeof *outcome);
    if (record != NULL) {
        sg_comm_send(world, 0, SG_TAG_RECORD, record, (size_t)bytes);
    }
}

/* The hint stays in the queue: once there, it is there for good. */
static int stop_requested(void *context) {
    int from = 0;
    int tag = SG_TAG_STOP;

    return sg_comm_probe(context, &from, &tag);
}

struct sg_upstream sg_upstream_messages(const struct sg_comm *world) {
    return (struct sg_upstream){.context = (void *)(uintptr_t)world,
                                .next = next,
                                .deliver = deliver,
                                .stop_requested = stop_requested};
}
