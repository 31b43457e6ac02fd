/* src/master/simulate.c - discrete events around the dispatcher.
 *
 * A worker takes its orders in turn and a team's members are free when they get one, so an order's
 * beginning and end are known as soon as it is given: the only events are outcomes on their way to
 * the master. */
#include "sgdist/simulate.h"

#include "sgdist/dispatch.h"
#include "sgdist/memory.h"

#include <math.h>

/* The master's costs are measured (bench/messages: two cores of a shared machine, Open MPI through
 * shared memory). The others are assumptions: a network of 5 us and 2 GB/s to a rank, a middling
 * parallel file system, one node in a thousand half as fast again. docs/scaling.md has them all. */
const struct sg_machine sg_machine_usual = {.order_s = 1e-6,
                                            .outcome_s = 4e-6,
                                            .record_byte_s = 0.3e-9,
                                            .message_s = 5e-6,
                                            .reduce_s = 5e-6,
                                            .reduce_byte_s = 0.5e-9,
                                            .spread = 0.02,
                                            .slow_share = 0.001,
                                            .slow_factor = 1.5,
                                            .read_bytes_per_s = 20e9,
                                            .write_bytes_per_s = 2e9};

struct outcome {
    double time; /* at the master */
    int64_t item;
    int leader;
};

struct simulation {
    const struct sg_machine *machine;
    const struct sg_simulated *run;
    int n_workers;
    struct sg_dispatch *dispatch;
    double *speed;        /* [n_workers] seconds by usual seconds */
    double *free_at;      /* [n_workers] */
    struct outcome *heap; /* [2 n_workers]: the earliest first */
    int n_heap;
    double master_free;
    double master_busy;
    double ended;
    int64_t n_messages;
    int largest_team;
};

/* ---- a heap of outcomes ---- */

static void swap(struct outcome *a, struct outcome *b) {
    const struct outcome c = *a;

    *a = *b;
    *b = c;
}

static void push(struct simulation *s, struct outcome o) {
    int i = s->n_heap++;

    s->heap[i] = o;
    for (; i > 0 && s->heap[(i - 1) / 2].time > s->heap[i].time; i = (i - 1) / 2) {
        swap(&s->heap[(i - 1) / 2], &s->heap[i]);
    }
}

static struct outcome pop(struct simulation *s) {
    const struct outcome first = s->heap[0];
    int i = 0;

    s->heap[0] = s->heap[--s->n_heap];
    for (int child = 1; child < s->n_heap; child = 2 * i + 1) {
        if (child + 1 < s->n_heap && s->heap[child + 1].time < s->heap[child].time) {
            child++;
        }
        if (s->heap[i].time <= s->heap[child].time) {
            break;
        }
        swap(&s->heap[i], &s->heap[child]);
        i = child;
    }
    return first;
}

/* ---- workers ---- */

/* Two uniforms of a worker's number, then a normal one (Box and Muller 1958), cut at a fifth. */
static double speed_of(const struct sg_machine *m, int worker) {
    uint64_t words[2];
    double u[2];
    double z;

    for (uint64_t i = 0; i < 2; i++) { /* SplitMix64's finaliser */
        uint64_t x = (2 * (uint64_t)worker + i + 1) * UINT64_C(0x9E3779B97F4A7C15);

        x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
        x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
        words[i] = x ^ (x >> 31);
        u[i] = ((double)(words[i] >> 11) + 0.5) / 9007199254740992.0;
    }
    z = sqrt(-2 * log(u[0])) * cos(6.283185307179586 * u[1]);
    return fmax(0.2, 1 + m->spread * z) *
           ((double)(words[0] & 0xFFFFF) / 0x100000 < m->slow_share ? m->slow_factor : 1);
}

static double reduction_s(const struct simulation *s, int size) {
    const struct sg_machine *m = s->machine;
    int n_steps = 0;

    while (1 << n_steps < size) {
        n_steps++;
    }
    return (double)s->run->n_stages * n_steps *
           (m->reduce_s + m->reduce_byte_s * s->run->sums_bytes);
}

/* The order reaches its team at `at`. */
static void begin(struct simulation *s, const struct sg_dispatch_order *o, double at) {
    double slowest = 0;
    double end = at;

    for (int i = o->first_worker; i < o->first_worker + o->n_workers; i++) {
        slowest = fmax(slowest, s->speed[i]);
        end = fmax(end, s->free_at[i]);
    }
    end += s->run->open_s * s->speed[o->first_worker] +
           s->run->block_s * slowest * (double)(s->run->rounds[o->n_workers - 1] - 1) +
           reduction_s(s, o->n_workers);
    for (int i = o->first_worker; i < o->first_worker + o->n_workers; i++) {
        s->free_at[i] = end;
    }
    push(s, (struct outcome){end + s->machine->message_s, o->item, o->first_worker});
    s->n_messages += o->n_workers + 2; /* orders, the outcome and its record */
    s->largest_team = o->n_workers > s->largest_team ? o->n_workers : s->largest_team;
}

/* ---- the master ---- */

static void spend(struct simulation *s, double seconds) {
    s->master_free += seconds;
    s->master_busy += seconds;
}

static void give_orders(struct simulation *s) {
    struct sg_dispatch_order o;

    while (sg_dispatch_next(s->dispatch, s->master_free, &o)) {
        spend(s, o.n_workers * s->machine->order_s);
        begin(s, &o, s->master_free + s->machine->message_s);
    }
}

static void take(struct simulation *s, const struct outcome *o) {
    s->master_free = fmax(s->master_free, o->time);
    spend(s, s->machine->outcome_s + s->machine->record_byte_s * s->run->record_bytes);
    sg_dispatch_ended(s->dispatch, o->leader, o->item, s->master_free);
    s->ended = s->master_free;
}

/* ---- all of it ---- */

static sg_status open_simulation(struct simulation *s) {
    sg_status status = SG_OK;
    const size_t n = (size_t)s->n_workers;
    int64_t *items = sg_calloc((size_t)s->run->n_items, sizeof *items);

    s->speed = sg_calloc(n, sizeof *s->speed);
    s->free_at = sg_calloc(n, sizeof *s->free_at);
    s->heap = sg_calloc(2 * n, sizeof *s->heap);
    SG_CHECK(items != NULL && s->speed != NULL && s->free_at != NULL && s->heap != NULL, SG_E_NOMEM,
             "no memory to simulate %d workers", s->n_workers);
    for (int64_t i = 0; i < s->run->n_items; i++) {
        items[i] = i;
    }
    for (int i = 0; i < s->n_workers; i++) {
        s->speed[i] = speed_of(s->machine, i);
    }
    SG_TRY(sg_dispatch_create(s->n_workers, items, s->run->n_items, s->run->rounds, &s->dispatch));
done:
    sg_free(items);
    return status;
}

static void judge(const struct simulation *s, struct sg_simulation *out) {
    const struct sg_simulated *r = s->run;
    const double n_items = (double)r->n_items;
    const double work = n_items * (double)r->n_blocks * r->block_s;

    *out = (struct sg_simulation){
        .seconds = s->ended,
        .efficiency = work / (r->n_ranks * s->ended),
        .master_share = s->master_busy / s->ended,
        .read_share = n_items * r->read_bytes / s->machine->read_bytes_per_s / s->ended,
        .write_share = n_items * r->record_bytes / s->machine->write_bytes_per_s / s->ended,
        .n_messages = s->n_messages,
        .largest_team = s->largest_team};
}

sg_status sg_simulate(const struct sg_machine *machine, const struct sg_simulated *run,
                      struct sg_simulation *out) {
    sg_status status = SG_OK;
    struct simulation s = {.machine = machine, .run = run, .n_workers = run->n_ranks - 1};

    SG_ASSERT(run->n_ranks >= 2);
    SG_TRY(open_simulation(&s));
    give_orders(&s);
    while (s.n_heap > 0) {
        const struct outcome o = pop(&s);

        take(&s, &o);
        give_orders(&s);
    }
    judge(&s, out);
done:
    sg_dispatch_destroy(s.dispatch);
    sg_free(s.speed);
    sg_free(s.free_at);
    sg_free(s.heap);
    return status;
}
