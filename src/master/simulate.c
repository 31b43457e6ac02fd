/* src/master/simulate.c - discrete events around the dispatcher, and around the dealing of teams
 * (simulate_item.c). */
#include "master/simulate_impl.h"

#include "sgdist/memory.h"

#include <math.h>

/* The master's costs are measured (bench/messages: two cores of a shared machine, Open MPI through
 * shared memory), and a leader's follow from them: it hears twice and answers once. The others are
 * assumptions: a network of 5 us and 2 GB/s to a rank, a middling parallel file system, one node in
 * a thousand half as fast again. docs/scaling.md has them all. */
const struct sg_machine sg_machine_usual = {.order_s = 1e-6,
                                            .outcome_s = 4e-6,
                                            .record_byte_s = 0.3e-9,
                                            .message_s = 5e-6,
                                            .told_s = 9e-6,
                                            .reduce_s = 5e-6,
                                            .reduce_byte_s = 0.5e-9,
                                            .spread = 0.02,
                                            .slow_share = 0.001,
                                            .slow_factor = 1.5,
                                            .read_bytes_per_s = 20e9,
                                            .write_bytes_per_s = 2e9};

/* ---- a heap of events ---- */

static void swap(struct event *a, struct event *b) {
    const struct event c = *a;

    *a = *b;
    *b = c;
}

static int has_room(struct simulation *s) {
    if (s->n_heap == s->n_places) {
        struct event *more = sg_realloc(s->heap, 2 * (size_t)s->n_places, sizeof *more);

        s->is_out_of_memory |= more == NULL;
        s->heap = more != NULL ? more : s->heap;
        s->n_places *= more != NULL ? 2 : 1;
    }
    return s->n_heap < s->n_places;
}

void sg_simulate_push(struct simulation *s, struct event e) {
    int64_t i;

    if (!has_room(s)) {
        return;
    }
    i = s->n_heap++;
    s->heap[i] = e;
    for (; i > 0 && s->heap[(i - 1) / 2].time > s->heap[i].time; i = (i - 1) / 2) {
        swap(&s->heap[(i - 1) / 2], &s->heap[i]);
    }
}

static struct event pop(struct simulation *s) {
    const struct event first = s->heap[0];
    int64_t i = 0;

    s->heap[0] = s->heap[--s->n_heap];
    for (int64_t child = 1; child < s->n_heap; child = 2 * i + 1) {
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
    const uint64_t stream = m->draw * UINT64_C(0xD1342543DE82EF95);
    uint64_t words[2];
    double u[2];
    double z;

    for (uint64_t i = 0; i < 2; i++) { /* SplitMix64's finaliser */
        uint64_t x = (2 * (uint64_t)worker + i + 1 + stream) * UINT64_C(0x9E3779B97F4A7C15);

        x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
        x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
        words[i] = x ^ (x >> 31);
        u[i] = ((double)(words[i] >> 11) + 0.5) / 9007199254740992.0;
    }
    z = sqrt(-2 * log(u[0])) * cos(6.283185307179586 * u[1]);
    return fmax(0.2, 1 + m->spread * z) *
           ((double)(words[0] & 0xFFFFF) / 0x100000 < m->slow_share ? m->slow_factor : 1);
}

/* ---- the master ---- */

static void spend(struct simulation *s, double seconds) {
    s->master_free += seconds;
    s->master_busy += seconds;
}

/* A real master asks all the time; here it does so when something has ended, and, because what is
 * late becomes worth a helper, every quarter of a block. */
static void give_orders(struct simulation *s) {
    struct sg_dispatch_order o;

    while (sg_dispatch_next(s->dispatch, s->master_free, &o)) {
        const int is_help = o.helper >= 0;

        spend(s, s->machine->order_s);
        s->n_messages++;
        if (is_help) {
            sg_simulate_push(s, (struct event){s->master_free + s->machine->message_s, EVENT_HELPER,
                                               o.leader, o.helper, o.item});
        } else {
            sg_simulate_begin(s, o.leader, o.item, s->master_free + s->machine->message_s);
        }
    }
    if (!s->will_look && sg_dispatch_n_waiting(s->dispatch) == 0 &&
        sg_dispatch_n_running(s->dispatch) > 0) {
        sg_simulate_push(
            s, (struct event){.time = s->master_free + s->run->block_s / 4, .kind = EVENT_LOOK});
        s->will_look = 1;
    }
}

static void take(struct simulation *s, const struct event *e) {
    s->master_free = fmax(s->master_free, e->time);
    if (e->kind == EVENT_LOOK) {
        s->will_look = 0;
        return;
    }
    spend(s, s->machine->outcome_s + s->machine->record_byte_s * s->run->record_bytes);
    sg_dispatch_ended(s->dispatch, e->leader, e->item, s->master_free);
    s->ended = s->master_free;
}

/* ---- all of it ---- */

static sg_status open_simulation(struct simulation *s) {
    sg_status status = SG_OK;
    const size_t n = (size_t)s->n_workers;
    int64_t *items = sg_calloc((size_t)s->run->n_items, sizeof *items);

    s->n_places = 4 * (int64_t)n;
    s->speed = sg_calloc(n, sizeof *s->speed);
    s->behind = sg_calloc(n, sizeof *s->behind);
    s->told = sg_calloc(n, sizeof *s->told);
    s->works = sg_calloc(n, sizeof *s->works);
    s->todo = sg_calloc((size_t)s->run->n_blocks + 1, sizeof *s->todo);
    s->givers = sg_calloc(n, sizeof *s->givers);
    s->heap = sg_calloc((size_t)s->n_places, sizeof *s->heap);
    SG_CHECK(items && s->speed && s->behind && s->told && s->works && s->todo && s->givers &&
                 s->heap,
             SG_E_NOMEM, "no memory to simulate %d workers", s->n_workers);
    for (int64_t i = 0; i < s->run->n_items; i++) {
        items[i] = i;
    }
    for (int64_t i = 0; i < s->run->n_blocks; i++) {
        s->todo[i] = i;
    }
    for (int i = 0; i < s->n_workers; i++) {
        s->speed[i] = speed_of(s->machine, i);
    }
    SG_TRY(
        sg_dispatch_create(s->n_workers, items, s->run->n_items, s->run->n_blocks, &s->dispatch));
done:
    sg_free(items);
    return status;
}

static void close_simulation(struct simulation *s) {
    sg_dispatch_destroy(s->dispatch);
    for (int i = 0; s->works != NULL && i < s->n_workers; i++) {
        sg_simulate_free_work(&s->works[i]);
    }
    sg_free(s->speed);
    sg_free(s->behind);
    sg_free(s->told);
    sg_free(s->works);
    sg_free(s->todo);
    sg_free(s->givers);
    sg_free(s->heap);
}

static void judge(const struct simulation *s, struct sg_simulation *out) {
    const struct sg_simulated *r = s->run;
    const double n_items = (double)r->n_items;
    const double work = n_items * (double)r->n_blocks * r->block_s;
    const double all = r->n_ranks * s->ended;

    *out = (struct sg_simulation){
        .seconds = s->ended,
        .efficiency = work / all,
        .master_share = s->master_busy / s->ended,
        .read_share = n_items * r->read_bytes / s->machine->read_bytes_per_s / s->ended,
        .write_share = n_items * r->record_bytes / s->machine->write_bytes_per_s / s->ended,
        .leader_share = s->leader_share,
        .n_messages = s->n_messages,
        .largest_team = s->largest_team,
        .opened = s->in_opening / all,
        .waited = fmax(s->in_items - s->in_blocks - s->in_opening - s->in_steps, 0) / all,
        .idled = (s->n_workers * s->ended - s->in_items) / all,
        .stepped = s->in_steps / all};
}

sg_status sg_simulate(const struct sg_machine *machine, const struct sg_simulated *run,
                      struct sg_simulation *out) {
    sg_status status = SG_OK;
    struct simulation s = {.machine = machine, .run = run, .n_workers = run->n_ranks - 1};

    SG_ASSERT(run->n_ranks >= 2);
    SG_TRY(open_simulation(&s));
    give_orders(&s);
    while (s.n_heap > 0 && !s.is_out_of_memory) {
        const struct event e = pop(&s);

        if (e.kind == EVENT_OUTCOME || e.kind == EVENT_LOOK) {
            take(&s, &e);
            give_orders(&s);
        } else {
            sg_simulate_event(&s, &e);
        }
    }
    SG_CHECK(!s.is_out_of_memory, SG_E_NOMEM, "no memory to simulate %d workers", s.n_workers);
    judge(&s, out);
done:
    close_simulation(&s);
    return status;
}
