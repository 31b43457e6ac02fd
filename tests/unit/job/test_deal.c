/* tests/unit/job/test_deal.c - who gets which blocks: every one once, in order, by speed.
 *
 * Members are simulated with exact times. The judge of the finish is arithmetic: members that work
 * without a pause have started all blocks at the least time by which the sum of what each can have
 * started is their number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above */
#include <cmocka.h>

#include "sgdist/deal.h"
#include "sgdist/memory.h"

#include <math.h>
#include <string.h>

enum { MEMBERS = 16, BLOCKS = 4096, STAGES = 64 };

struct team {
    struct sg_deal *deal;
    int n_members;
    int64_t todo[BLOCKS];
    int64_t n_todo;
    int64_t ends[STAGES];
    int n_stages;
    int n_called; /* stages whose sums have been taken */
    int n_closed;
    double seconds[MEMBERS]; /* of a block */
    int64_t first[MEMBERS];
    int64_t in_hand[MEMBERS];
    double free_at[MEMBERS];
    int64_t n_run[MEMBERS];
    int n_times[BLOCKS];      /* each block was dealt */
    int has[MEMBERS][STAGES]; /* sums of stages, not taken */
    double second;            /* in the seconds that the leader is told */
    int64_t joins_at;         /* so many deals have ended when n_joining more members come */
    int n_joining;
};

/* 1, 2, 3, 4, 6, 8, 11, ...: as the plan has them. */
static void open_team(struct team *t, int n_members, int64_t n_blocks) {
    double end = 1;

    memset(t, 0, sizeof *t);
    t->n_members = n_members;
    t->n_todo = n_blocks;
    t->second = 1;
    for (int64_t k = 0; k < n_blocks; k++) {
        t->todo[k] = k;
    }
    for (int64_t last = 0; last < n_blocks; end *= 1.4142135623730951) {
        const int64_t next = end < (double)n_blocks ? (int64_t)(end + 0.5) : n_blocks;

        if (next > last) {
            t->ends[t->n_stages++] = last = next;
        }
    }
    for (int m = 0; m < MEMBERS; m++) {
        t->seconds[m] = 1;
    }
    assert_int_equal(sg_deal_create(n_members, t->n_stages, &t->deal), SG_OK);
}

static void close_team(struct team *t) {
    sg_deal_destroy(t->deal);
    assert_int_equal(sg_memory_balance(), 0);
}

static void start_where_possible(struct team *t, double now) {
    for (int m = t->n_members - 1; m >= 0; m--) {
        if (t->in_hand[m] == 0) {
            t->in_hand[m] =
                sg_deal_next(t->deal, m, m > 0 ? t->second * t->seconds[m] : 0, &t->first[m]);
            t->free_at[m] = now + (double)t->in_hand[m] * t->seconds[m];
            for (int64_t i = 0; i < t->in_hand[m]; i++) {
                t->n_times[t->todo[t->first[m] + i]]++;
            }
        }
    }
}

static void take_complete(struct team *t) {
    int givers[MEMBERS];

    while (sg_deal_is_complete(t->deal, t->n_called)) {
        const int n = sg_deal_take(t->deal, t->n_called, 0, givers);

        for (int i = 0; i < n; i++) {
            assert_int_equal(t->has[givers[i]][t->n_called], 1);
            t->has[givers[i]][t->n_called] = 0;
        }
        for (int m = 1; m < t->n_members; m++) { /* nobody was forgotten */
            assert_int_equal(t->has[m][t->n_called], 0);
        }
        t->n_called++;
    }
    while (t->n_closed < t->n_called) {
        sg_deal_close(t->deal);
        t->n_closed++;
    }
}

static void check_member(const struct team *t, int m, int stage) {
    int n_stages = 0;

    for (int s = 0; s < t->n_stages; s++) {
        n_stages += t->has[m][s];
    }
    assert_true(n_stages <= 2); /* one aside, and that of its sums */
    assert_true(m > 0 || stage == t->n_closed);
}

static int next_to_end(const struct team *t) {
    int best = -1;

    for (int m = 0; m < t->n_members; m++) {
        if (t->in_hand[m] > 0 && (best < 0 || t->free_at[m] < t->free_at[best])) {
            best = m;
        }
    }
    return best;
}

static void join(struct team *t) {
    for (; t->n_joining > 0; t->n_joining--) {
        assert_int_equal(sg_deal_join(t->deal), SG_OK);
        t->n_members++;
    }
}

/* To the end, or until n_ends deals have ended; the time of the last one. */
static double run(struct team *t, int n_closed, int64_t n_ends) {
    double now = 0;
    int m;

    sg_deal_begin(t->deal, t->n_members, t->todo, t->n_todo, t->ends, t->n_stages, n_closed);
    t->n_called = n_closed;
    t->n_closed = n_closed;
    take_complete(t);
    start_where_possible(t, now);
    for (int64_t n = 0; n != n_ends && (m = next_to_end(t)) >= 0; n++) {
        const int stage = sg_deal_stage(t->deal, t->first[m]);

        now = t->free_at[m];
        if (n == t->joins_at) {
            join(t);
        }
        t->has[m][stage] = m > 0; /* the leader's are the team's */
        check_member(t, m, stage);
        sg_deal_done(t->deal, m);
        t->n_run[m] += t->in_hand[m];
        t->in_hand[m] = 0;
        take_complete(t);
        start_where_possible(t, now);
    }
    return now;
}

static void assert_each_block_once(const struct team *t) {
    for (int64_t k = 0; k < t->n_todo; k++) {
        assert_int_equal(t->n_times[t->todo[k]], 1);
    }
    assert_int_equal(t->n_closed, t->n_stages);
}

/* ---- facts ---- */

static void every_block_goes_out_once(void **state) {
    (void)state;
    for (int n_members = 1; n_members <= MEMBERS; n_members++) {
        for (int64_t n = 1; n <= 300; n += n < 20 ? 1 : 40) {
            for (int cheap = 0; cheap < 3; cheap++) { /* up to one, six, 40 at a time */
                struct team t;

                open_team(&t, n_members, n);
                t.second = cheap == 0 ? 1 : cheap == 1 ? 0.003 : 0.0005;
                for (int m = 0; m < n_members; m++) {
                    t.seconds[m] = 1 + 0.37 * (double)(m * 7 % 5);
                }
                (void)run(&t, 0, -1);
                assert_each_block_once(&t);
                close_team(&t);
            }
        }
    }
}

/* A member that is twice as slow does half as many, up to a block at either end. */
static void blocks_go_by_speed(void **state) {
    struct team t;
    double rate = 0;

    (void)state;
    open_team(&t, 8, 4000);
    for (int m = 0; m < 8; m++) {
        t.seconds[m] = m == 3 ? 2 : m == 5 ? 1.25 : 1;
        rate += 1 / t.seconds[m];
    }
    (void)run(&t, 0, -1);
    assert_each_block_once(&t);
    for (int m = 1; m < 8; m++) { /* the leader waits at the ends of stages */
        const double share = 4000 / (rate * t.seconds[m]);

        if (fabs((double)t.n_run[m] - share) > 0.01 * share + 1) {
            fail_msg("member %d has done %lld blocks, its share is %g", m, (long long)t.n_run[m],
                     share);
        }
    }
    close_team(&t);
}

/* Members but the leader never wait for a stage's end while they have a block's work behind it; so
 * the whole ends when all speeds together have done it, and one block of the slowest. */
static void slow_members_hold_up_nobody(void **state) {
    (void)state;
    for (int n_members = 2; n_members <= MEMBERS; n_members *= 2) {
        for (int64_t n = 500; n <= 4000; n *= 2) {
            struct team t;
            double rate = 0;
            double took;

            open_team(&t, n_members, n);
            t.seconds[n_members - 1] = 1.5;
            for (int m = 0; m < n_members; m++) {
                rate += 1 / t.seconds[m];
            }
            took = run(&t, 0, -1);
            /* The leader waits for one block at each end of a stage, at most. */
            if (took > (double)n / rate + 1.5 + 1.5 * t.n_stages / rate) {
                fail_msg("%lld blocks by %d members took %g", (long long)n, n_members, took);
            }
            close_team(&t);
        }
    }
}

/* What was done before does not go out again, in another team, from any moment on. */
static void another_team_goes_on(void **state) {
    (void)state;
    for (int64_t n_ends = 0; n_ends < 120; n_ends++) {
        struct team t;
        struct team u;
        int n_closed;

        open_team(&t, 5, 100);
        t.seconds[2] = 1.7;
        (void)run(&t, 0, n_ends);
        n_closed = t.n_closed;
        open_team(&u, 3, 100);
        u.n_todo = 0;
        for (int64_t b = 0; b < 100; b++) { /* a checkpoint has whole stages and the running one */
            const int in_it =
                n_closed == t.n_stages || (b < t.ends[n_closed] && t.n_times[b] == 1 && b % 3 > 0);

            if ((n_closed == 0 || b >= t.ends[n_closed - 1]) && !in_it) {
                u.todo[u.n_todo++] = b;
            }
        }
        (void)run(&u, n_closed, -1);
        assert_each_block_once(&u);
        sg_deal_destroy(u.deal);
        close_team(&t);
    }
}

/* Whoever comes in the middle has its share of what is left. */
static void helpers_come_at_any_time(void **state) {
    (void)state;
    for (int64_t at = 0; at < 200; at += at < 20 ? 1 : 17) {
        struct team t;
        double took;
        int64_t most;

        open_team(&t, 1, 200);
        t.joins_at = at;
        t.n_joining = 5;
        took = run(&t, 0, -1);
        assert_each_block_once(&t);
        assert_int_equal(t.n_members, 6);
        most = (200 - at) / 6 + 3 + t.n_stages; /* the leader waits at the ends of stages */
        if (took > (double)(at + most)) {
            fail_msg("with five helpers after %d of 200 blocks it took %g", (int)at, took);
        }
        close_team(&t);
    }
}

static void a_helper_without_room_is_not_taken(void **state) {
    struct team t;

    (void)state;
    open_team(&t, 1, 10);
    sg_deal_begin(t.deal, 1, t.todo, 10, t.ends, t.n_stages, 0);
    sg_memory_fail_at(1);
    assert_int_equal(sg_deal_join(t.deal), SG_E_NOMEM);
    sg_memory_fail_at(0);
    t.joins_at = -1;
    (void)run(&t, 0, -1);
    assert_each_block_once(&t);
    assert_int_equal(t.n_run[0], 10);
    close_team(&t);
}

/* What the others do meanwhile would be lost by a stop: it is little. */
static void a_stopped_member_holds_the_others_soon(void **state) {
    struct team t;
    int64_t n_behind = 0;

    (void)state;
    open_team(&t, 4, 1000);
    t.seconds[2] = 1e9; /* it never comes back from its first block */
    (void)run(&t, 0, 500);
    for (int64_t b = 0; b < 1000; b++) {
        n_behind += t.n_times[b] && b >= t.ends[t.n_closed];
    }
    assert_true(n_behind <= 3 * 2); /* what a stop would lose: two blocks of a member */
    close_team(&t);
}

/* One of four takes twice as long: of the last blocks it gets none that the others have done before
 * it, of the blocks before them it does. */
static void the_last_blocks_are_not_for_the_slow(void **state) {
    struct team t;
    double took;

    (void)state;
    open_team(&t, 4, 401);
    t.n_stages = 1; /* no other reason to wait */
    t.ends[0] = 401;
    t.seconds[3] = 2;
    took = run(&t, 0, -1);
    assert_each_block_once(&t);
    assert_true(t.n_run[3] > 50); /* 401 by rates of 1, 1, 1 and 1/2 are 57 */
    assert_true(took <= 401 / 3.5 + 1.5);
    close_team(&t);
}

static void givers_are_those_who_have_something(void **state) {
    struct team t;
    int givers[MEMBERS];
    int64_t k;

    (void)state;
    open_team(&t, 4, 100);
    sg_deal_begin(t.deal, 4, t.todo, 100, t.ends, t.n_stages, 0);
    assert_int_equal(sg_deal_next(t.deal, 1, 0, &k), 1); /* block 0: the whole first stage */
    assert_int_equal(k, 0);
    assert_int_equal(sg_deal_next(t.deal, 0, 0, &k), 0);
    assert_int_equal(sg_deal_next(t.deal, 2, 0, &k), 1); /* block 1, behind it */
    assert_int_equal(sg_deal_take(t.deal, 0, 0, givers), 0);
    assert_int_equal(sg_deal_take(t.deal, 0, 1, givers), 1); /* will have something */
    assert_int_equal(givers[0], 1);
    sg_deal_done(t.deal, 2);
    assert_false(sg_deal_is_complete(t.deal, 0));
    sg_deal_done(t.deal, 1);
    assert_true(sg_deal_is_complete(t.deal, 0));
    assert_int_equal(sg_deal_take(t.deal, 0, 0, givers), 1);
    assert_int_equal(givers[0], 1);
    assert_int_equal(sg_deal_take(t.deal, 0, 0, givers), 0); /* given away */
    assert_int_equal(sg_deal_take(t.deal, 1, 0, givers), 1);
    assert_int_equal(givers[0], 2);
    close_team(&t);
}

static void creation_without_memory_leaves_nothing(void **state) {
    struct sg_deal *deal = NULL;
    sg_status status = SG_E_NOMEM;

    (void)state;
    for (int64_t n = 1; status != SG_OK; n++) {
        sg_memory_fail_at(n);
        status = sg_deal_create(4, 10, &deal);
        sg_memory_fail_at(0);
    }
    sg_deal_destroy(deal);
    assert_int_equal(sg_memory_balance(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_block_goes_out_once),
        cmocka_unit_test(blocks_go_by_speed),
        cmocka_unit_test(slow_members_hold_up_nobody),
        cmocka_unit_test(another_team_goes_on),
        cmocka_unit_test(helpers_come_at_any_time),
        cmocka_unit_test(a_helper_without_room_is_not_taken),
        cmocka_unit_test(a_stopped_member_holds_the_others_soon),
        cmocka_unit_test(the_last_blocks_are_not_for_the_slow),
        cmocka_unit_test(givers_are_those_who_have_something),
        cmocka_unit_test(creation_without_memory_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
