/* src/master/simulate.c - discrete events around the dispatcher, and around the dealing of a team.
 *
 * A worker takes its orders in turn and a team's members are free when they get one, so an order's
 * beginning and end are known as soon as it is given, and teams are simulated one by one: between
 * them the only events are outcomes on their way to the master. */
#include "sgdist/simulate.h"

#include "sgdist/deal.h"
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

/* A member has done what it was dealt; or, member -1, the leader has the sums of a stage. */
struct turn {
    double time;
    int member;
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
    /* The team whose order is looked at. */
    struct sg_deal *deal;
    int64_t *todo;      /* [n_blocks] */
    struct turn *turns; /* [n_workers + n_stages] a heap */
    int n_turns;
    int *waiting; /* [n_workers] members for whom nothing was there */
    int n_waiting;
    int *givers;    /* [n_workers] */
    double *behind; /* [n_workers] seconds that a member has spent on sums */
    double *told;   /* [n_workers] what a leader knows of a worker's blocks; 0: it has done none */
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

/* A step of the sums' way up the tree of members. */
static double step_s(const struct simulation *s) {
    return s->machine->reduce_s + s->machine->reduce_byte_s * s->run->sums_bytes;
}

static double block_s(const struct simulation *s, int worker) {
    return s->run->block_s * s->speed[worker];
}

/* ---- a team at work on an item: events in the order of their times ---- */

static void add_turn(struct simulation *s, struct turn t) {
    int i = s->n_turns++;

    s->turns[i] = t;
    for (; i > 0 && s->turns[(i - 1) / 2].time > s->turns[i].time; i = (i - 1) / 2) {
        const struct turn up = s->turns[i];

        s->turns[i] = s->turns[(i - 1) / 2];
        s->turns[(i - 1) / 2] = up;
    }
}

static struct turn next_turn(struct simulation *s) {
    const struct turn first = s->turns[0];
    const struct turn last = s->turns[--s->n_turns];
    int i = 0;

    for (int child = 1; child < s->n_turns; child = 2 * i + 1) {
        if (child + 1 < s->n_turns && s->turns[child + 1].time < s->turns[child].time) {
            child++;
        }
        if (last.time <= s->turns[child].time) {
            break;
        }
        s->turns[i] = s->turns[child];
        i = child;
    }
    s->turns[i] = last;
    return first;
}

static void deal_to(struct simulation *s, int first_worker, int member, double now) {
    const double seconds = block_s(s, first_worker + member);
    int64_t k;
    const int64_t n = sg_deal_next(s->deal, member, s->told[first_worker + member], &k);

    if (n > 0) {
        add_turn(s, (struct turn){now + s->behind[member] + (double)n * seconds, member});
        s->behind[member] = 0;
    } else {
        s->waiting[s->n_waiting++] = member;
    }
}

static void deal_to_waiting(struct simulation *s, int first_worker, double now) {
    const int n = s->n_waiting;

    s->n_waiting = 0;
    for (int i = 0; i < n; i++) {
        deal_to(s, first_worker, s->waiting[i], now);
    }
}

/* The sums of stage `called` set out: each giver loses the time of a step, with its next block, and
 * the leader has them after as many steps as the tree is high. It takes stage after stage. */
static void call_gifts(struct simulation *s, int called, double now, double *arrival) {
    const int n = sg_deal_take(s->deal, called, 0, s->givers);
    int n_steps = 0;

    while (1 << n_steps < n + 1) {
        n_steps++;
    }
    for (int i = 0; i < n; i++) {
        s->behind[s->givers[i]] += step_s(s);
    }
    *arrival = fmax(*arrival, now) + n_steps * step_s(s);
    add_turn(s, (struct turn){*arrival, -1});
}

/* All blocks of an item by a team that begins at `begun`, dealt as a leader deals them; the time at
 * which it has the last stage's sums. */
static double work_off(struct simulation *s, const struct sg_dispatch_order *o, double begun) {
    const struct sg_simulated *r = s->run;
    double arrival = begun;
    double now = begun;
    int n_called = 0;

    sg_deal_begin(s->deal, o->n_workers, s->todo, r->n_blocks, r->stage_ends, r->n_stages, 0);
    s->n_turns = 0;
    s->n_waiting = 0;
    for (int m = 0; m < o->n_workers; m++) {
        s->behind[m] = 0;
        deal_to(s, o->first_worker, m, begun);
    }
    while (s->n_turns > 0) {
        const struct turn t = next_turn(s);

        now = t.time;
        if (t.member < 0) {
            sg_deal_close(s->deal);
            deal_to_waiting(s, o->first_worker, now);
        } else {
            sg_deal_done(s->deal, t.member);
            s->told[o->first_worker + t.member] = block_s(s, o->first_worker + t.member);
            if (sg_deal_is_complete(s->deal, n_called)) {
                while (sg_deal_is_complete(s->deal, n_called)) {
                    call_gifts(s, n_called++, now, &arrival);
                }
                deal_to_waiting(s, o->first_worker, now);
            }
            deal_to(s, o->first_worker, t.member, now);
        }
    }
    return now;
}

/* The order reaches its team at `at`. */
static void begin(struct simulation *s, const struct sg_dispatch_order *o, double at) {
    double end = at;

    for (int i = o->first_worker; i < o->first_worker + o->n_workers; i++) {
        end = fmax(end, s->free_at[i]);
    }
    end += s->run->open_s * s->speed[o->first_worker];
    if (o->n_workers == 1) {
        end += (double)s->run->n_blocks * block_s(s, o->first_worker);
    } else {
        end = work_off(s, o, end);
    }
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
    s->todo = sg_calloc((size_t)s->run->n_blocks + 1, sizeof *s->todo);
    s->turns = sg_calloc(n + (size_t)s->run->n_stages, sizeof *s->turns);
    s->waiting = sg_calloc(n, sizeof *s->waiting);
    s->givers = sg_calloc(n, sizeof *s->givers);
    s->behind = sg_calloc(n, sizeof *s->behind);
    s->told = sg_calloc(n, sizeof *s->told);
    SG_CHECK(items && s->speed && s->free_at && s->heap && s->todo && s->turns && s->waiting &&
                 s->givers && s->behind && s->told,
             SG_E_NOMEM, "no memory to simulate %d workers", s->n_workers);
    for (int64_t i = 0; i < s->run->n_items; i++) {
        items[i] = i;
    }
    for (int64_t i = 0; i < s->run->n_blocks; i++) {
        s->todo[i] = i;
    }
    SG_TRY(sg_deal_create(s->n_workers, s->run->n_stages, &s->deal));
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
    sg_deal_destroy(s.deal);
    sg_free(s.todo);
    sg_free(s.turns);
    sg_free(s.waiting);
    sg_free(s.givers);
    sg_free(s.behind);
    sg_free(s.told);
    return status;
}
