/* tests/unit/worker/test_resume.c - wherever a run is stopped, going on ends with the same bits.
 *
 * The judge is the undisturbed run of the same study: the claim is that nothing of the schedule
 * shows, not what the numbers are (test_numbers.c says that). Each case runs the item once without
 * a stop, then with a stop at every single meeting and a second run to the end, then as a chain of
 * runs each of which is stopped after one block. */
#include "worker_test.h"

/* Without a checkpoint but at stops; with 0 every meeting and every stage's end takes one. */
#define RUN_STOPS  "run: {checkpoint_seconds: 0.9}\n"
#define RUN_ALWAYS "run: {checkpoint_seconds: 0}\n"
#define METHODS                                                                                    \
    "methods:\n"                                                                                   \
    "  - gradient\n"                                                                               \
    "  - [smoothgrad, vargrad]\n"                                                                  \
    "  - {method: vargrad, as: hidden, layer: r, channels: none}\n"                                \
    "  - {method: adaptgrad, confidence: 0.9, samples: 21}\n"                                      \
    "  - {method: smoothdiff, scale: smoothgrad, groups: 4, standard_error: true}\n"               \
    "  - {method: smoothdiff, as: alone, samples: 9}\n"
#define MANY "sampling: {samples: 50, block: 4, noise: {level: 0.3}}\n" METHODS

/* Stopped at question k, then to the end. Returns 0 if the item ended before question k. */
static int stop_and_go_on(const struct study *s, const struct fake *whole, int k) {
    struct fake first = run_item(s, 1, k);
    struct fake second;
    int n_partial;

    if (first.outcome.kind == SG_OUTCOME_RECORD) {
        assert_same_record(s, whole, &first);
        forget(&first);
        sg_partial_remove(s->result, -1); /* as the master does */
        return 0;
    }
    assert_int_equal(first.outcome.kind, SG_OUTCOME_STOPPED);
    n_partial = sg_partial_exists(s->result, 1);
    assert_int_equal(n_partial, k > 0); /* nothing is lost that was begun */
    second = run_item(s, 1, -1);
    assert_int_equal(second.outcome.kind, SG_OUTCOME_RECORD);
    assert_same_record(s, whole, &second);
    forget(&second);
    sg_partial_remove(s->result, -1);
    return 1;
}

/* Each run does one block; the number of runs tells that each of them got somewhere. */
static void go_on_block_by_block(const struct study *s, const struct fake *whole, int n_meetings) {
    int n_runs = 0;
    struct fake f;

    do {
        f = run_item(s, 1, 1);
        assert_true(++n_runs <= 2 * n_meetings + 2);
    } while (f.outcome.kind == SG_OUTCOME_STOPPED);
    assert_int_equal(f.outcome.kind, SG_OUTCOME_RECORD);
    assert_same_record(s, whole, &f);
    forget(&f);
    sg_partial_remove(s->result, -1);
}

static void check_all_stops(const struct weights *w, const char *rest, int status,
                            int min_meetings) {
    struct study s;
    struct fake whole;
    int k = 0;

    study_open(&s, w, rest);
    whole = run_item(&s, 1, -1);
    assert_int_equal(whole.outcome.kind, SG_OUTCOME_RECORD);
    assert_int_equal(status_of(&s, &whole), status);
    sg_partial_remove(s.result, -1);
    while (stop_and_go_on(&s, &whole, k)) {
        k++;
    }
    assert_true(k > min_meetings);
    go_on_block_by_block(&s, &whole, k);
    forget(&whole);
    study_close(&s);
}

static void stopped_after_any_block(void **state) {
    const struct weights w = ordinary_weights();

    (void)state;
    check_all_stops(&w, MANY RUN_STOPS, SG_ITEM_DONE,
                    12 + 5); /* all blocks of both sweeps but the last */
}

static void with_a_checkpoint_at_every_meeting(void **state) {
    const struct weights w = ordinary_weights();

    (void)state;
    check_all_stops(&w, MANY RUN_ALWAYS, SG_ITEM_DONE, 12 + 5);
}

static void with_three_targets_and_a_jackknife(void **state) {
    const struct weights w = ordinary_weights();

    (void)state;
    check_all_stops(&w, "target: {top: 3}\nmaps: {channels: l2}\n" MANY RUN_STOPS, SG_ITEM_DONE,
                    12 + 5);
}

/* Unit 3 is asleep at the item and all but a few samples; its gradient is 2^21 times the others',
 * far more than the grid's head-room. */
static void with_values_off_the_grid(void **state) {
    const struct weights w = spiked_weights(0.75f, 2048, 1024);

    (void)state;
    check_all_stops(&w, MANY RUN_STOPS, SG_ITEM_DONE,
                    12 + 5 + 1); /* more meetings: it started again */
}

static void with_samples_skipped(void **state) {
    const struct weights w = spiked_weights(0.75f, 1e30f, 1e30f);

    (void)state;
    check_all_stops(&w,
                    "sampling: {samples: 50, block: 4, nonfinite: skip, noise: {level: 0.3}}\n"
                    "methods: [smoothgrad, vargrad]\n" RUN_STOPS,
                    SG_ITEM_DONE, 12);
}

static void an_item_that_fails_fails_alike(void **state) {
    const struct weights w = spiked_weights(0.75f, 1e30f, 1e30f);

    (void)state;
    check_all_stops(&w, MANY RUN_ALWAYS, SG_ITEM_FAILED, 1);
}

static void with_a_clean_gradient_of_zero(void **state) {
    struct weights w = ordinary_weights();

    (void)state;
    for (int j = 0; j < HIDDEN; j++) {
        w.b[j] = -2.0f;
    }
    check_all_stops(&w,
                    "sampling: {samples: 50, block: 4, noise: {sigma: 1.0}}\n" METHODS RUN_STOPS,
                    SG_ITEM_DONE, 12 + 5);
}

/* ---- checkpoints that are worth nothing ---- */

static void damage(const struct study *s, int what) {
    char path[160];

    (void)snprintf(path, sizeof path, "%s.partial/item-1", s->result);
    if (what == 0) {
        assert_int_equal(truncate(path, 100), 0);
    } else {
        FILE *f = fopen(path, "r+b");

        assert_non_null(f);
        assert_int_equal(fseek(f, 200, SEEK_SET), 0);
        (void)fputc(0x5a, f);
        (void)fputc(0xa5, f);
        assert_int_equal(fclose(f), 0);
    }
}

static void a_damaged_checkpoint_costs_its_work_alone(void **state) {
    const struct weights w = ordinary_weights();
    struct study s;
    struct fake whole;

    (void)state;
    study_open(&s, &w, MANY RUN_STOPS);
    whole = run_item(&s, 1, -1);
    for (int what = 0; what < 2; what++) {
        struct fake f = run_item(&s, 1, 5);

        assert_int_equal(f.outcome.kind, SG_OUTCOME_STOPPED);
        damage(&s, what);
        f = run_item(&s, 1, -1);
        assert_same_record(&s, &whole, &f);
        assert_int_equal(f.outcome.n_gradients, whole.outcome.n_gradients);
        forget(&f);
        sg_partial_remove(s.result, -1);
    }
    forget(&whole);
    study_close(&s);
}

/* ---- what is counted ---- */

static void gradients_are_those_of_the_run(void **state) {
    const struct weights w = ordinary_weights();
    struct study s;
    struct fake first;
    struct fake second;

    (void)state;
    study_open(&s, &w,
               "target: {top: 2}\nsampling: {samples: 50, block: 4}\n"
               "methods: [smoothgrad]\n" RUN_STOPS);
    first = run_item(&s, 1, 5); /* after five blocks */
    assert_int_equal(first.outcome.n_gradients, 2 * (1 + 5 * 4));
    second = run_item(&s, 1, -1);
    assert_int_equal(second.outcome.n_gradients, 2 * (1 + 50 - 5 * 4));
    assert_int_equal(*(int64_t *)at(&s, &second, "items/forwards"), 1 + 50);
    assert_int_equal(*(int64_t *)at(&s, &second, "items/backwards"), 2 * (1 + 50));
    forget(&second);
    study_close(&s);
}

/* The first run is made to look as if it had begun 1000 s ago. */
static void seconds_add_up_over_runs(void **state) {
    const struct weights w = ordinary_weights();
    struct study s;
    struct fake f;

    (void)state;
    study_open(&s, &w, "sampling: {samples: 50, block: 4}\nmethods: [smoothgrad]\n" RUN_STOPS);
    f = (struct fake){.item = 1, .stop_at = 3, .older_s = 1000};
    run_fake(&s, &f);
    assert_int_equal(f.outcome.kind, SG_OUTCOME_STOPPED);
    for (int i = 0; i < 2; i++) { /* time that was carried over is carried on */
        f = run_item(&s, 1, 1);
        assert_int_equal(f.outcome.kind, SG_OUTCOME_STOPPED);
    }
    f = run_item(&s, 1, -1);
    assert_close(*(double *)at(&s, &f, "items/seconds"), 1000, 100);
    forget(&f);
    study_close(&s);
}

/* ---- no memory ---- */

static void creation_without_memory_leaves_nothing(void **state) {
    const struct weights w = ordinary_weights();
    struct study s;
    struct sg_worker *worker = NULL;
    sg_status status = SG_E_NOMEM;
    int64_t n = 1;
    int64_t before;

    (void)state;
    study_open(&s, &w, MANY);
    before = sg_memory_balance();
    for (; status != SG_OK; n++) {
        const struct sg_worker_options options = {
            .plan = s.plan, .model = s.model, .items = s.items, .result = s.result};

        sg_memory_fail_at(n);
        status = sg_worker_create(&options, &worker);
        sg_memory_fail_at(0);
        assert_true(status == SG_OK || status == SG_E_NOMEM);
        if (status != SG_OK) {
            assert_null(worker);
            assert_int_equal(sg_memory_balance(), before);
        }
    }
    assert_true(n > 20);
    sg_worker_destroy(worker);
    study_close(&s);
}

/* A checkpoint that cannot be written ends the run with its reason. */
static void a_checkpoint_that_cannot_be_written_is_an_error(void **state) {
    const struct weights w = ordinary_weights();
    struct study s;
    struct fake f;
    char path[160];
    FILE *in_the_way;

    (void)state;
    study_open(&s, &w, MANY RUN_STOPS);
    (void)snprintf(path, sizeof path, "%s.partial", s.result);
    in_the_way = fopen(path, "w"); /* a file where the folder should be */
    assert_non_null(in_the_way);
    (void)fclose(in_the_way);
    f = run_item(&s, 1, 3);
    assert_int_equal(f.outcome.kind, SG_OUTCOME_ERROR);
    assert_int_equal(f.outcome.status, SG_E_IO);
    assert_non_null(strstr(f.outcome.message, ".partial"));
    study_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stopped_after_any_block),
        cmocka_unit_test(with_a_checkpoint_at_every_meeting),
        cmocka_unit_test(with_three_targets_and_a_jackknife),
        cmocka_unit_test(with_values_off_the_grid),
        cmocka_unit_test(with_samples_skipped),
        cmocka_unit_test(an_item_that_fails_fails_alike),
        cmocka_unit_test(with_a_clean_gradient_of_zero),
        cmocka_unit_test(a_damaged_checkpoint_costs_its_work_alone),
        cmocka_unit_test(gradients_are_those_of_the_run),
        cmocka_unit_test(seconds_add_up_over_runs),
        cmocka_unit_test(creation_without_memory_leaves_nothing),
        cmocka_unit_test(a_checkpoint_that_cannot_be_written_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
