/* tests/unit/master/test_dispatch.c - who works on what, simulated with exact times.
 *
 * The simulation is strict where MPI is: a leader takes its orders in the order in which they were
 * given, and helpers must have nothing else to do. All at an item share its work evenly; the
 * dispatcher is asked at each end of an item, and now and then. Ideal times are arithmetic: all
 * work spread evenly over all workers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above */
#include <cmocka.h>

#include "sgdist/dispatch.h"
#include "sgdist/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WORKERS = 128 };

static const double a_look = 0.01;

struct leader {
    int64_t items[2]; /* the first one is in hand */
    int n_items;
    double left; /* worker-seconds of the first */
    int n_members;
    int members[MAX_WORKERS]; /* the leader, and helpers as they came */
};

struct world {
    struct sg_dispatch *d;
    int n_workers;
    int64_t n_items;
    double (*seconds)(int64_t item); /* of an item, by one worker */
    struct leader leaders[MAX_WORKERS];
    int is_busy[MAX_WORKERS]; /* orders of its own, and 1 as a helper */
    int *n_given;             /* [n_items]: orders of each item */
    int64_t n_ordered;
    int64_t n_ended;
    int most_queued;
    int largest_team;
    double now;
};

static void world_open(struct world *w, int n_workers, int64_t n_items, int64_t blocks,
                       double (*seconds)(int64_t)) {
    int64_t *items = calloc((size_t)n_items + 1, sizeof *items);

    assert_non_null(items);
    memset(w, 0, sizeof *w);
    w->n_workers = n_workers;
    w->n_items = n_items;
    w->seconds = seconds;
    w->n_given = calloc((size_t)n_items + 1, sizeof *w->n_given);
    assert_non_null(w->n_given);
    for (int64_t i = 0; i < n_items; i++) {
        items[i] = n_items - 1 - i; /* any list of items will do */
    }
    assert_int_equal(sg_dispatch_create(n_workers, items, n_items, blocks, &w->d), SG_OK);
    free(items);
}

static void world_close(struct world *w) {
    sg_dispatch_destroy(w->d);
    free(w->n_given);
    assert_int_equal(sg_memory_balance(), 0);
}

static void begin_item(struct world *w, int worker) {
    struct leader *l = &w->leaders[worker];

    l->left = w->seconds(l->items[0]);
    l->n_members = 1;
    l->members[0] = worker;
}

static void lead(struct world *w, const struct sg_dispatch_order *o) {
    struct leader *l = &w->leaders[o->leader];

    assert_true(l->n_items < 2);
    assert_int_equal(w->is_busy[o->leader], l->n_items); /* not as a helper */
    w->n_given[o->item]++;
    w->n_ordered++;
    l->items[l->n_items++] = o->item;
    w->is_busy[o->leader] = l->n_items;
    w->most_queued = l->n_items > w->most_queued ? l->n_items : w->most_queued;
    if (l->n_items == 1) {
        begin_item(w, o->leader);
    }
}

static void help(struct world *w, const struct sg_dispatch_order *o) {
    struct leader *l = &w->leaders[o->leader];

    assert_true(l->n_items > 0 && l->items[0] == o->item);
    assert_int_equal(w->is_busy[o->helper], 0);
    w->is_busy[o->helper] = 1;
    l->members[l->n_members++] = o->helper;
    w->largest_team = l->n_members > w->largest_team ? l->n_members : w->largest_team;
}

static void take_orders(struct world *w) {
    struct sg_dispatch_order o;

    while (sg_dispatch_next(w->d, w->now, &o)) {
        assert_in_range(o.item, 0, w->n_items - 1);
        assert_in_range(o.leader, 0, w->n_workers - 1);
        assert_in_range(o.helper + 1, 0, w->n_workers);
        if (o.helper < 0) {
            lead(w, &o);
        } else {
            help(w, &o);
        }
    }
}

/* The leader whose item ends next, and when; -1: nobody works. */
static int next_end(const struct world *w, double *end) {
    int best = -1;

    for (int i = 0; i < w->n_workers; i++) {
        const struct leader *l = &w->leaders[i];
        const double t = l->n_items > 0 ? w->now + l->left / l->n_members : INFINITY;

        if (l->n_items > 0 && (best < 0 || t < *end)) {
            best = i;
            *end = t;
        }
    }
    return best;
}

static void pass(struct world *w, double until) {
    for (int i = 0; i < w->n_workers; i++) {
        struct leader *l = &w->leaders[i];

        l->left -= l->n_items > 0 ? (until - w->now) * l->n_members : 0;
    }
    w->now = until;
}

static void end_item(struct world *w, int worker) {
    struct leader *l = &w->leaders[worker];
    const int64_t item = l->items[0];

    for (int i = 1; i < l->n_members; i++) {
        w->is_busy[l->members[i]] = 0;
    }
    l->items[0] = l->items[1];
    w->is_busy[worker] = --l->n_items;
    w->n_ended++;
    if (l->n_items > 0) {
        begin_item(w, worker);
    }
    sg_dispatch_ended(w->d, worker, item, w->now);
}

/* Until the next end of an item; 0: there is nothing to wait for. */
static int step(struct world *w) {
    double end = 0;
    int worker;

    for (;;) {
        take_orders(w);
        worker = next_end(w, &end);
        if (worker < 0) {
            return 0;
        }
        if (end <= w->now + a_look) {
            break;
        }
        pass(w, w->now + a_look);
    }
    pass(w, end);
    end_item(w, worker);
    return 1;
}

static double one_second(int64_t item) {
    (void)item;
    return 1;
}

/* 0.5 to 1.5 s, by a fixed rule. */
static double uneven_seconds(int64_t item) {
    const uint64_t mixed = (uint64_t)(item + 1) * UINT64_C(0x9E3779B97F4A7C15);

    return 0.5 + (double)(mixed >> 40) / (double)(1 << 24);
}

static double one_long_item(int64_t item) {
    return item == 0 ? 100 : 1;
}

static double one_of_four_seconds(int64_t item) {
    return item == 0 ? 4 : 1;
}

static double total_seconds(double (*seconds)(int64_t), int64_t n) {
    double sum = 0;

    for (int64_t i = 0; i < n; i++) {
        sum += seconds(i);
    }
    return sum;
}

/* Seconds that n items take. */
static double finish_of(int n_workers, int64_t n_items, int64_t blocks, double (*seconds)(int64_t),
                        struct world *w) {
    world_open(w, n_workers, n_items, blocks, seconds);
    while (step(w)) {
    }
    assert_int_equal(sg_dispatch_n_running(w->d), 0);
    assert_int_equal(sg_dispatch_n_waiting(w->d), 0);
    for (int64_t i = 0; i < n_items; i++) {
        assert_int_equal(w->n_given[i], 1);
    }
    world_close(w);
    return w->now;
}

static void assert_near(double value, double expected, double tolerance) {
    if (!(fabs(value - expected) <= tolerance)) {
        fail_msg("%g is not within %g of %g", value, tolerance, expected);
    }
}

/* ---- facts ---- */

static void every_item_is_led_once_and_helpers_are_free(void **state) {
    (void)state;
    for (int n_workers = 1; n_workers <= 17; n_workers++) {
        for (int64_t n_items = 0; n_items <= 60; n_items += n_items < 8 ? 1 : 13) {
            for (int64_t blocks = 0; blocks <= 256; blocks = 4 * blocks + 1) {
                struct world w;

                (void)finish_of(n_workers, n_items, blocks, uneven_seconds, &w);
                assert_int_equal(w.n_ended, n_items);
            }
        }
    }
}

static void one_worker_has_two_orders_at_most(void **state) {
    struct world w;

    (void)state;
    assert_near(finish_of(1, 50, 8, one_second, &w), 50, 1e-9);
    assert_int_equal(w.most_queued, 2);
}

/* The seconds of a block are learned from the first item: here a block is as long as the machine
 * takes it to be before. */
static void equal_items_end_within_a_tenth_of_the_ideal(void **state) {
    (void)state;
    for (int n_workers = 2; n_workers <= 17; n_workers++) {
        for (int64_t n_items = 1; n_items <= 40; n_items++) {
            struct world w;
            const double ideal = (double)n_items / n_workers;
            const double took = finish_of(n_workers, n_items, 4096, one_second, &w);

            if (took > 1.02 * ideal) { /* Show 7 asks for a tenth */
                fail_msg("%lld items on %d workers took %g, ideal is %g", (long long)n_items,
                         n_workers, took, ideal);
            }
        }
    }
}

static void uneven_items_end_soon_after_the_ideal(void **state) {
    struct world w;
    const double ideal = total_seconds(uneven_seconds, 64) / 16;
    const double took = finish_of(16, 64, 4096, uneven_seconds, &w);

    (void)state;
    assert_true(took < 1.05 * ideal);
}

static void a_single_item_of_many_blocks_has_everyone(void **state) {
    (void)state;
    for (int n_workers = 2; n_workers <= 17; n_workers++) {
        struct world w;

        assert_near(finish_of(n_workers, 1, 10000, one_second, &w), 1.0 / n_workers, 1e-9);
        assert_int_equal(w.largest_team, n_workers);
    }
}

static void there_are_no_more_members_than_blocks(void **state) {
    (void)state;
    for (int64_t blocks = 2; blocks <= 16; blocks++) {
        struct world w;

        (void)finish_of(16, 1, blocks, one_second, &w);
        assert_int_equal(w.largest_team, blocks);
    }
}

/* Items of one block cannot be shared: the best is as many rounds as it takes. */
static void items_of_one_block_are_never_shared(void **state) {
    (void)state;
    for (int n_workers = 1; n_workers <= 17; n_workers++) {
        struct world w;

        assert_near(finish_of(n_workers, 20, 1, one_second, &w), ceil(20.0 / n_workers), 1e-9);
        assert_int_equal(w.largest_team, 0);
    }
}

/* One item is a hundred times as long as the others: when these are done everybody helps with it,
 * although nothing but its lateness tells. */
static void a_late_item_is_helped(void **state) {
    struct world w;
    const double took = finish_of(8, 100, 512, one_long_item, &w);

    (void)state;
    assert_true(took < 1.1 * (100 + 99) / 8);
    assert_int_equal(w.largest_team, 8);
}

/* A slow worker's item: 63 of 64 workers are idle after a second, when three quarters of it are
 * left. The later it is the more help it gets, and it ends less than an eighth of a second after
 * that; were its lateness counted anew from each helper on, it would take longer. */
static void what_stays_late_gets_more_and_more_helpers(void **state) {
    struct world w;
    const double took = finish_of(64, 64, 64, one_of_four_seconds, &w);

    (void)state;
    if (took > 1.125) {
        fail_msg("it took %g", took);
    }
    assert_in_range(w.largest_team, 16, 64);
}

/* Four items on sixteen workers: each leader's helpers are the three workers after it. */
static void helpers_are_beside_their_leader(void **state) {
    struct world w;

    (void)state;
    world_open(&w, 16, 4, 1000, one_second);
    take_orders(&w);
    for (int i = 0; i < 16; i += 4) {
        assert_int_equal(w.leaders[i].n_items, 1);
        assert_int_equal(w.leaders[i].n_members, 4);
        for (int m = 1; m < 4; m++) {
            assert_int_equal(w.leaders[i].members[m], i + m);
        }
    }
    while (step(&w)) {
    }
    world_close(&w);
}

static void large_runs_are_efficient(void **state) {
    struct world w;
    const int64_t n = 10000;
    const double took = finish_of(MAX_WORKERS, n, 512, uneven_seconds, &w);
    const double efficiency = total_seconds(uneven_seconds, n) / MAX_WORKERS / took;

    (void)state;
    if (efficiency < 0.998) {
        fail_msg("128 workers, 10,000 uneven items: efficiency %.4f", efficiency);
    }
}

static void after_a_stop_what_was_given_ends_and_nothing_is_added(void **state) {
    (void)state;
    for (int64_t stop_at = 0; stop_at <= 20; stop_at++) {
        struct world w;
        int64_t n = 0;

        world_open(&w, 3, 20, 100, uneven_seconds);
        while (w.n_ended < stop_at) {
            assert_true(step(&w));
        }
        sg_dispatch_stop(w.d);
        assert_int_equal(sg_dispatch_n_waiting(w.d), 0);
        assert_int_equal(sg_dispatch_n_running(w.d), w.n_ordered - stop_at);
        n = w.n_ordered;
        w.largest_team = 0;
        while (step(&w)) {
        }
        assert_int_equal(w.n_ordered, n);
        assert_int_equal(w.largest_team, 0); /* and no helper */
        assert_int_equal(sg_dispatch_n_running(w.d), 0);
        world_close(&w);
    }
}

static void creation_without_memory_leaves_nothing(void **state) {
    static const int64_t items[] = {3, 1};
    struct sg_dispatch *d = NULL;
    sg_status status = SG_E_NOMEM;

    (void)state;
    for (int64_t n = 1; status != SG_OK; n++) {
        sg_memory_fail_at(n);
        status = sg_dispatch_create(5, items, 2, 10, &d);
        sg_memory_fail_at(0);
    }
    sg_dispatch_destroy(d);
    assert_int_equal(sg_memory_balance(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_item_is_led_once_and_helpers_are_free),
        cmocka_unit_test(one_worker_has_two_orders_at_most),
        cmocka_unit_test(equal_items_end_within_a_tenth_of_the_ideal),
        cmocka_unit_test(uneven_items_end_soon_after_the_ideal),
        cmocka_unit_test(a_single_item_of_many_blocks_has_everyone),
        cmocka_unit_test(there_are_no_more_members_than_blocks),
        cmocka_unit_test(items_of_one_block_are_never_shared),
        cmocka_unit_test(a_late_item_is_helped),
        cmocka_unit_test(what_stays_late_gets_more_and_more_helpers),
        cmocka_unit_test(helpers_are_beside_their_leader),
        cmocka_unit_test(large_runs_are_efficient),
        cmocka_unit_test(after_a_stop_what_was_given_ends_and_nothing_is_added),
        cmocka_unit_test(creation_without_memory_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
