/* tests/unit/master/test_simulate.c - simulated runs whose times are arithmetic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sgdist/memory.h"
#include "sgdist/simulate.h"

#include <math.h>

enum { N_WORKERS = 8 };

static const int64_t ten = 10; /* the end of the only stage */
static const int64_t sixteen = 16;

/* A machine on which only blocks take time. */
static const struct sg_machine ideal = {
    .slow_factor = 1, .read_bytes_per_s = 1e9, .write_bytes_per_s = 1e9};

static struct sg_simulation simulate(const struct sg_machine *machine,
                                     const struct sg_simulated *run) {
    struct sg_simulation out;

    assert_int_equal(sg_simulate(machine, run, &out), SG_OK);
    assert_int_equal(sg_memory_balance(), 0);
    return out;
}

static struct sg_simulated ten_blocks(int64_t n_items) {
    return (struct sg_simulated){.n_ranks = N_WORKERS + 1,
                                 .n_items = n_items,
                                 .n_blocks = 10,
                                 .n_stages = 1,
                                 .stage_ends = &ten,
                                 .block_s = 0.5};
}

static void near(double value, double expected) {
    if (!(fabs(value - expected) <= 1e-9 * fabs(expected))) {
        fail_msg("%.12g is not %.12g", value, expected);
    }
}

/* 80 items of 5 s on 8 workers: ten one after the other. */
static void equal_items_fill_all_workers(void **state) {
    const struct sg_simulated run = ten_blocks(80);
    const struct sg_simulation s = simulate(&ideal, &run);

    (void)state;
    near(s.seconds, 50);
    near(s.efficiency, 8.0 / 9);
    assert_int_equal(s.largest_team, 1);
    assert_int_equal(s.n_messages, 3 * 80); /* an order, an outcome, a record */
    near(s.master_share + 1, 1);
}

/* One item of 16 blocks of half a second: two rounds by all eight. */
static void one_item_is_shared(void **state) {
    struct sg_simulated run = ten_blocks(1);
    struct sg_simulation s;

    (void)state;
    run.n_blocks = 16;
    run.stage_ends = &sixteen;
    run.open_s = 0.25;
    s = simulate(&ideal, &run);
    near(s.seconds, 0.25 + 2 * 0.5);
    assert_int_equal(s.largest_team, N_WORKERS);
    /* The order, the outcome, its record; for each helper the master's word, ten of the leader's
     * about the item, three for each of two blocks, two for its sums. */
    assert_int_equal(s.n_messages, 3 + (N_WORKERS - 1) * (1 + 10 + 2 * 3 + 2));
}

/* Two workers and two stages of two blocks. The order is there after 0.1 s and the leader begins.
 * The helper has what it needs 0.01 s and two messages later, ends its block at 0.81 s, and gives
 * its sums in a step of 0.05 s, which it loses before its next block. The leader, which has waited
 * for them, does the last block from 0.86 s on, after the 0.01 s that the helper cost it; a step
 * and a message follow. */
static void sums_and_messages_take_time(void **state) {
    static const int64_t ends[] = {2, 4};
    struct sg_machine machine = ideal;
    struct sg_simulated run = ten_blocks(1);

    (void)state;
    machine.reduce_s = 0.01;
    machine.reduce_byte_s = 1e-3;
    machine.message_s = 0.1;
    run.n_ranks = 3;
    run.n_blocks = 4;
    run.stage_ends = ends;
    run.n_stages = 2;
    run.sums_bytes = 40;
    near(simulate(&machine, &run).seconds, 0.86 + 0.01 + 0.5 + 0.05 + 0.1);
}

/* A team of eight of which about half take three times as long: 4,000 blocks end when the rates of
 * all have done them, a slow block later at most for each of the two stages. */
static void one_slow_member_takes_fewer_blocks(void **state) {
    static const int64_t ends[] = {2000, 4000};
    struct sg_machine machine = ideal;
    struct sg_simulated run = ten_blocks(1);
    struct sg_simulation s;
    double slow;

    (void)state;
    machine.slow_share = 0.5;
    machine.slow_factor = 3;
    run.n_blocks = 4000;
    run.n_stages = 2;
    run.stage_ends = ends;
    s = simulate(&machine, &run);
    assert_int_equal(s.largest_team, N_WORKERS);
    for (slow = 0; slow <= N_WORKERS; slow++) { /* how many are slow is the simulation's business */
        const double least = 4000 * 0.5 / (N_WORKERS - slow + slow / 3);

        if (s.seconds >= least && s.seconds < least + 2 * 1.5) {
            break;
        }
    }
    assert_true(slow > 0 && slow < N_WORKERS);
}

/* Show 7: equal items, as many as do not divide. 7 items of 400 blocks on 3 workers: 466.7 s at
 * best. 3 items on 2 workers: 300 s. */
static void seven_items_on_three_workers_end_together(void **state) {
    static const int64_t ends[] = {1,  2,  3,  4,  6,   8,   11,  16,  23,
                                   32, 45, 64, 91, 128, 181, 256, 362, 400};

    (void)state;
    for (int n_workers = 2; n_workers <= 3; n_workers++) {
        const int64_t n_items = n_workers == 3 ? 7 : 3;
        struct sg_simulated run = ten_blocks(n_items);
        double ideal_s = (double)n_items * 400 * 0.5 / n_workers;
        struct sg_simulation s;

        run.n_ranks = n_workers + 1;
        run.n_blocks = 400;
        run.n_stages = sizeof ends / sizeof ends[0];
        run.stage_ends = ends;
        run.open_s = 0.05;
        s = simulate(&sg_machine_usual, &run);
        if (!(s.seconds >= 0.97 * ideal_s && s.seconds <= 1.05 * ideal_s)) {
            fail_msg("%d items on %d workers took %g s, ideal is %g s", (int)n_items, n_workers,
                     s.seconds, ideal_s);
        }
    }
}

/* All seconds of all workers are somewhere: at blocks, opening, in steps of sums and messages,
 * waiting, idle. With equal speeds those at blocks are the efficiency. */
static void no_time_is_lost_from_the_books(void **state) {
    struct sg_machine machine = sg_machine_usual;
    struct sg_simulated run = ten_blocks(37);
    struct sg_simulation s;

    (void)state;
    machine.spread = 0;
    machine.slow_share = 0;
    run.open_s = 0.1;
    run.sums_bytes = 1e6;
    s = simulate(&machine, &run);
    assert_true(s.waited >= 0 && s.idled >= 0 && s.stepped > 0 && s.opened > 0);
    near(s.efficiency + s.opened + s.stepped + s.waited + s.idled, 8.0 / 9);
}

/* Outcomes that take the master a second each are the run's length, once the first has come. */
static void a_slow_master_is_the_limit(void **state) {
    struct sg_machine machine = ideal;
    const struct sg_simulated run = ten_blocks(80);
    struct sg_simulation s;

    (void)state;
    machine.outcome_s = 1;
    s = simulate(&machine, &run);
    near(s.seconds, 5 + 80);
    near(s.master_share, 80.0 / 85);
}

static void records_cost_the_master_and_the_disk(void **state) {
    struct sg_machine machine = ideal;
    struct sg_simulated run = ten_blocks(80);
    struct sg_simulation s;

    (void)state;
    machine.record_byte_s = 1e-3;
    run.record_bytes = 1000;
    run.read_bytes = 2000;
    s = simulate(&machine, &run);
    near(s.seconds, 5 + 80);
    near(s.write_share, 80 * 1000 / 1e9 / 85);
    near(s.read_share, 80 * 2000 / 1e9 / 85);
}

static void slow_workers_take_longer(void **state) {
    struct sg_machine machine = ideal;
    const struct sg_simulated run = ten_blocks(80);

    (void)state;
    machine.slow_share = 1;
    machine.slow_factor = 3;
    near(simulate(&machine, &run).seconds, 150);
}

/* Speeds spread by a tenth: the ideal is the sum of the workers' rates, and the schedule of many
 * items comes near it. */
static void uneven_workers_get_uneven_shares(void **state) {
    struct sg_machine machine = ideal;
    const struct sg_simulated run = ten_blocks(8000);
    struct sg_simulation s;

    (void)state;
    machine.spread = 0.1;
    s = simulate(&machine, &run);
    assert_true(s.seconds > 5000 * 0.85 && s.seconds < 5000 * 1.15);
    assert_true(fabs(s.seconds - 5000) > 1);
}

/* A hundred thousand workers, each order in microseconds: seconds, where looking at all workers for
 * each order would take hours. */
static void a_large_machine_is_simulated_in_seconds(void **state) {
    enum { RANKS = 100001 };
    struct sg_simulated run = ten_blocks(400000);
    struct sg_simulation s;

    (void)state;
    run.n_ranks = RANKS;
    assert_int_equal(sg_simulate(&ideal, &run, &s), SG_OK);
    near(s.seconds, 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_items_fill_all_workers),
        cmocka_unit_test(one_item_is_shared),
        cmocka_unit_test(sums_and_messages_take_time),
        cmocka_unit_test(one_slow_member_takes_fewer_blocks),
        cmocka_unit_test(seven_items_on_three_workers_end_together),
        cmocka_unit_test(no_time_is_lost_from_the_books),
        cmocka_unit_test(a_slow_master_is_the_limit),
        cmocka_unit_test(records_cost_the_master_and_the_disk),
        cmocka_unit_test(slow_workers_take_longer),
        cmocka_unit_test(uneven_workers_get_uneven_shares),
        cmocka_unit_test(a_large_machine_is_simulated_in_seconds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
