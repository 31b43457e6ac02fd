/* tests/unit/master/test_dispatch.c - who works on what, simulated with exact times.
 *
 * The simulation is strict where MPI is: a worker takes its orders in the order in which they were
 * given, an order begins when all members of its team have come to it, and a worker that waits for
 * a member that waits for it is a deadlock, which the simulation would show as work without an end.
 * Ideal times are arithmetic: all work spread evenly over all workers. */
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

enum { MAX_WORKERS = 128, MAX_QUEUE = 4 };

struct order {
    struct sg_dispatch_order o;
    double end; /* < 0: not begun */
};

struct world {
    struct sg_dispatch *d;
    int n_workers;
    int64_t n_items;
    const int64_t *rounds;
    double (*seconds)(int64_t item); /* of an item, by one worker */
    struct order *orders;            /* [n_items], in the order in which they were given */
    int64_t n_orders;
    int64_t queue[MAX_WORKERS][MAX_QUEUE]; /* indices into orders */
    int n_queued[MAX_WORKERS];
    int *n_given; /* [n_items]: orders of each item */
    int most_queued;
    int largest_team;
    double now;
    double busy; /* worker-seconds */
};

/* An item splits into `blocks` equal pieces that are worked off in turn by the members. */
static int64_t *rounds_of_blocks(int n_workers, int64_t blocks) {
    int64_t *rounds = calloc((size_t)n_workers, sizeof *rounds);

    assert_non_null(rounds);
    for (int i = 0; i < n_workers; i++) {
        rounds[i] = (blocks + i) / (i + 1);
    }
    return rounds;
}

static void world_open(struct world *w, int n_workers, int64_t n_items, const int64_t *rounds,
                       double (*seconds)(int64_t)) {
    int64_t *items = calloc((size_t)n_items + 1, sizeof *items);

    assert_non_null(items);
    *w = (struct world){
        .n_workers = n_workers, .n_items = n_items, .rounds = rounds, .seconds = seconds};
    w->orders = calloc((size_t)n_items + 1, sizeof *w->orders);
    w->n_given = calloc((size_t)n_items + 1, sizeof *w->n_given);
    assert_true(w->orders != NULL && w->n_given != NULL);
    for (int64_t i = 0; i < n_items; i++) {
        items[i] = n_items - 1 - i; /* any list of items will do */
    }
    assert_int_equal(sg_dispatch_create(n_workers, items, n_items, rounds, &w->d), SG_OK);
    free(items);
}

static void world_close(struct world *w) {
    sg_dispatch_destroy(w->d);
    free(w->orders);
    free(w->n_given);
    assert_int_equal(sg_memory_balance(), 0);
}

static void check_team(const struct world *w, const struct sg_dispatch_order *o) {
    const int size = 1 << o->level;
    const int left = w->n_workers - o->first_worker;

    assert_in_range(o->item, 0, w->n_items - 1);
    assert_int_equal(o->first_worker % size, 0);
    assert_true(left >= 1);
    assert_int_equal(o->n_workers, left < size ? left : size);
    for (int i = 0; o->n_workers > 1 && i < o->n_workers; i++) {
        assert_int_equal(w->n_queued[o->first_worker + i], 0); /* all members are free */
    }
}

static void take_orders(struct world *w) {
    struct sg_dispatch_order o;

    while (sg_dispatch_next(w->d, w->now, &o)) {
        check_team(w, &o);
        w->n_given[o.item]++;
        w->largest_team = o.n_workers > w->largest_team ? o.n_workers : w->largest_team;
        for (int i = 0; i < o.n_workers; i++) {
            const int worker = o.first_worker + i;

            assert_true(w->n_queued[worker] < MAX_QUEUE);
            w->queue[worker][w->n_queued[worker]++] = w->n_orders;
            w->most_queued =
                w->n_queued[worker] > w->most_queued ? w->n_queued[worker] : w->most_queued;
        }
        w->orders[w->n_orders++] = (struct order){.o = o, .end = -1};
    }
}

static int is_first_of_all(const struct world *w, int64_t k) {
    const struct sg_dispatch_order *o = &w->orders[k].o;

    for (int i = 0; i < o->n_workers; i++) {
        if (w->queue[o->first_worker + i][0] != k) {
            return 0;
        }
    }
    return 1;
}

static void begin_orders(struct world *w) {
    for (int worker = 0; worker < w->n_workers; worker++) {
        const int64_t k = w->queue[worker][0];
        struct order *order = &w->orders[k];

        if (w->n_queued[worker] > 0 && order->end < 0 && is_first_of_all(w, k)) {
            const double s = w->seconds(order->o.item) * (double)w->rounds[order->o.n_workers - 1] /
                             (double)w->rounds[0];

            order->end = w->now + s;
            w->busy += s * order->o.n_workers;
        }
    }
}

/* The order that ends next, or -1. */
static int64_t next_end(const struct world *w) {
    int64_t best = -1;

    for (int worker = 0; worker < w->n_workers; worker++) {
        const int64_t k = w->queue[worker][0];

        if (w->n_queued[worker] > 0 && w->orders[k].end >= 0 &&
            (best < 0 || w->orders[k].end < w->orders[best].end)) {
            best = k;
        }
    }
    return best;
}

static void end_order(struct world *w, int64_t k) {
    const struct sg_dispatch_order *o = &w->orders[k].o;

    for (int i = 0; i < o->n_workers; i++) {
        const int worker = o->first_worker + i;

        w->n_queued[worker]--;
        memmove(w->queue[worker], w->queue[worker] + 1, sizeof w->queue[0] - sizeof(int64_t));
    }
    sg_dispatch_ended(w->d, o->first_worker, o->item, w->now);
}

/* Until nothing is left; `stop_at` (< 0: never) stops the dispatch after so many ends. */
static void run(struct world *w, int64_t stop_at) {
    for (int64_t n = 0;; n++) {
        int64_t k;

        if (n == stop_at) {
            sg_dispatch_stop(w->d);
        }
        take_orders(w);
        begin_orders(w);
        k = next_end(w);
        if (k < 0) {
            break;
        }
        w->now = w->orders[k].end;
        end_order(w, k);
    }
    assert_int_equal(sg_dispatch_n_running(w->d), 0);
    assert_int_equal(sg_dispatch_n_waiting(w->d), 0);
    assert_true(w->most_queued <= 2); /* one at work and one ahead */
    for (int64_t i = 0; i < w->n_items; i++) {
        assert_int_equal(w->n_given[i], 1);
    }
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
    return item == 0 ? 1000 : 1;
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
    int64_t *rounds = rounds_of_blocks(n_workers, blocks);

    world_open(w, n_workers, n_items, rounds, seconds);
    run(w, -1);
    world_close(w);
    free(rounds);
    return w->now;
}

static void assert_near(double value, double expected, double tolerance) {
    if (!(fabs(value - expected) <= tolerance)) {
        fail_msg("%g is not within %g of %g", value, tolerance, expected);
    }
}

/* ---- facts ---- */

static void every_item_is_ordered_once_by_teams_that_are_free(void **state) {
    (void)state;
    for (int n_workers = 1; n_workers <= 17; n_workers++) {
        for (int64_t n_items = 0; n_items <= 60; n_items += n_items < 8 ? 1 : 13) {
            for (int64_t blocks = 1; blocks <= 256; blocks *= 4) {
                struct world w;

                (void)finish_of(n_workers, n_items, blocks, uneven_seconds, &w);
                assert_int_equal(w.n_orders, n_items);
            }
        }
    }
}

static void one_worker_has_two_orders_at_most_and_none_of_a_team(void **state) {
    struct world w;

    (void)state;
    assert_near(finish_of(1, 50, 8, one_second, &w), 50, 1e-9);
    assert_int_equal(w.largest_team, 1);
    assert_int_equal(w.most_queued, 2);
}

static void equal_items_end_within_a_tenth_of_the_ideal(void **state) {
    (void)state;
    for (int n_workers = 2; n_workers <= 17; n_workers++) {
        for (int64_t n_items = 1; n_items <= 40; n_items++) {
            struct world w;
            const double ideal = (double)n_items / n_workers;
            const double took = finish_of(n_workers, n_items, 4096, one_second, &w);

            if (took > 1.1 * ideal && n_workers == 3 && n_items == 7) {
                fail_msg("7 items on 3 workers took %g, ideal is %g", took, ideal);
            }
            /* Teams are powers of two: with other numbers some workers are left over at times. */
            if (took > 1.35 * ideal) {
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
    assert_true(took < 1.15 * ideal);
}

static void a_single_item_of_many_blocks_has_everyone(void **state) {
    (void)state;
    for (int n_workers = 1; n_workers <= 17; n_workers++) {
        struct world w;

        assert_near(finish_of(n_workers, 1, 10000, one_second, &w), 1.0 / n_workers, 0.01);
        assert_int_equal(w.largest_team, n_workers);
    }
}

/* 16 workers, one item: a team of 8 works off 8 blocks in one round, 5 blocks as well (a team of 4
 * would take two); nothing is won by 16. */
static void a_team_has_no_half_that_is_idle(void **state) {
    static const struct {
        int64_t blocks;
        int team;
    } rows[] = {{1, 1}, {2, 2}, {3, 4}, {4, 4}, {5, 8}, {8, 8}, {9, 16}, {16, 16}, {1000, 16}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct world w;

        (void)finish_of(16, 1, rows[i].blocks, one_second, &w);
        assert_int_equal(w.largest_team, rows[i].team);
    }
}

/* Items of one block cannot be shared: the best is as many rounds as it takes. */
static void items_of_one_block_are_never_shared(void **state) {
    (void)state;
    for (int n_workers = 1; n_workers <= 17; n_workers++) {
        struct world w;

        assert_near(finish_of(n_workers, 20, 1, one_second, &w), ceil(20.0 / n_workers), 1e-9);
        assert_int_equal(w.largest_team, 1);
    }
}

/* One item is a thousand times as long as the others: they are done long before it, and not one
 * waits for its worker. */
static void nobody_waits_for_a_late_item(void **state) {
    struct world w;
    int64_t *rounds = rounds_of_blocks(8, 4096);
    double last = 0;

    (void)state;
    world_open(&w, 8, 100, rounds, one_long_item);
    run(&w, -1);
    for (int64_t k = 0; k < w.n_orders; k++) {
        if (w.orders[k].o.item != 0 && w.orders[k].o.n_workers < 8 && w.orders[k].end > last) {
            last = w.orders[k].end;
        }
    }
    world_close(&w);
    free(rounds);
    assert_true(last < 40); /* 99 items on 7 workers are 14 s */
}

static void large_runs_are_efficient(void **state) {
    struct world w;
    const int64_t n = 10000;
    const double took = finish_of(MAX_WORKERS, n, 512, uneven_seconds, &w);
    const double efficiency = total_seconds(uneven_seconds, n) / MAX_WORKERS / took;

    (void)state;
    if (efficiency < 0.99) {
        fail_msg("128 workers, 10,000 uneven items: efficiency %.4f", efficiency);
    }
}

static void after_a_stop_what_was_given_ends_and_nothing_is_added(void **state) {
    (void)state;
    for (int64_t stop_at = 0; stop_at <= 20; stop_at++) {
        struct world w;
        int64_t *rounds = rounds_of_blocks(3, 100);
        int64_t n = 0;

        world_open(&w, 3, 20, rounds, uneven_seconds);
        for (; n < stop_at; n++) {
            take_orders(&w);
            begin_orders(&w);
            w.now = w.orders[next_end(&w)].end;
            end_order(&w, next_end(&w));
        }
        sg_dispatch_stop(w.d);
        assert_int_equal(sg_dispatch_n_waiting(w.d), 0);
        assert_int_equal(sg_dispatch_n_running(w.d), w.n_orders - stop_at);
        n = w.n_orders;
        for (int64_t left = sg_dispatch_n_running(w.d); left > 0; left--) {
            take_orders(&w);
            begin_orders(&w);
            w.now = w.orders[next_end(&w)].end;
            end_order(&w, next_end(&w));
        }
        assert_int_equal(w.n_orders, n);
        assert_int_equal(sg_dispatch_n_running(w.d), 0);
        world_close(&w);
        free(rounds);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_item_is_ordered_once_by_teams_that_are_free),
        cmocka_unit_test(one_worker_has_two_orders_at_most_and_none_of_a_team),
        cmocka_unit_test(equal_items_end_within_a_tenth_of_the_ideal),
        cmocka_unit_test(uneven_items_end_soon_after_the_ideal),
        cmocka_unit_test(a_single_item_of_many_blocks_has_everyone),
        cmocka_unit_test(a_team_has_no_half_that_is_idle),
        cmocka_unit_test(items_of_one_block_are_never_shared),
        cmocka_unit_test(nobody_waits_for_a_late_item),
        cmocka_unit_test(large_runs_are_efficient),
        cmocka_unit_test(after_a_stop_what_was_given_ends_and_nothing_is_added),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
