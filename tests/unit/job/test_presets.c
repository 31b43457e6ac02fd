/* The key `like`: what each preset sets, from the sources of the tools, and what stands above it.
 */
#include "job/job_text.h"

/* The defaults in the tools' own code: captum/attr/_core/noise_tunnel.py, xplique's
 * gradient_statistic.py and vargrad.py, saliency/core/base.py, zennit/attribution.py, AdaptGrad's
 * saliency.py and experiments/get_salience_imagenet.py; for roar the paper's 15 samples with the
 * noise of the saliency library, which its script calls. */
static const struct {
    const char *like;
    const char *version;
    int64_t samples;
    double amount;
    int absolute;
    enum sg_noise_range range;
    enum sg_noise_clean clean;
    enum sg_divisor divisor;
    enum sg_reduction reduction;
} expected[] = {{"captum", "0.8.0", 5, 1, 1, SG_RANGE_ITEM, SG_CLEAN_NONE, SG_DIVISOR_POPULATION,
                 SG_CHANNELS_NONE},
                {"xplique", "2.0.0", 50, 0.2, 1, SG_RANGE_ITEM, SG_CLEAN_NONE, SG_DIVISOR_UNBIASED,
                 SG_CHANNELS_MEAN},
                {"saliency", "0.2.1", 25, 0.15, 0, SG_RANGE_ITEM, SG_CLEAN_NONE,
                 SG_DIVISOR_UNBIASED, SG_CHANNELS_NONE},
                {"zennit", "1.0.0", 20, 0.1, 0, SG_RANGE_ITEM, SG_CLEAN_ONE_OF_N,
                 SG_DIVISOR_UNBIASED, SG_CHANNELS_NONE},
                {"adaptgrad-code", "2026-05-22", 50, 0.2, 0, SG_RANGE_DOMAIN, SG_CLEAN_EXTRA,
                 SG_DIVISOR_UNBIASED, SG_CHANNELS_SUM},
                {"roar", "1806.10758v3", 15, 0.15, 0, SG_RANGE_ITEM, SG_CLEAN_NONE,
                 SG_DIVISOR_UNBIASED, SG_CHANNELS_NONE}};
enum { N_EXPECTED = sizeof expected / sizeof expected[0] };

static void check_values(const struct sg_params *p, int i) {
    assert_int_equal(p->sampling.samples, expected[i].samples);
    assert_true(p->sampling.amount == expected[i].amount);
    assert_int_equal(p->sampling.absolute, expected[i].absolute);
    assert_int_equal(p->sampling.range, expected[i].range);
    assert_int_equal(p->sampling.clean, expected[i].clean);
    assert_int_equal(p->sampling.space, SG_SPACE_INPUT);
    assert_int_equal(p->sampling.outside, SG_OUTSIDE_KEEP);
    assert_true(p->sampling.channels == UINT64_MAX);
    assert_int_equal(p->divisor, expected[i].divisor);
    assert_int_equal(p->reduction, expected[i].reduction);
    assert_int_equal(p->space, SG_SPACE_INPUT);
    assert_false(p->probing.absolute);
}

/* Of the whole job, and of an entry in a job that says something else everywhere. */
static void values_of_every_preset(void **state) {
    char text[600];

    (void)state;
    for (int i = 0; i < N_EXPECTED; i++) {
        struct sg_job *job;

        (void)snprintf(text, sizeof text, HEAD "like: %s\nmethods: [vargrad]\n", expected[i].like);
        job = good(text, NULL);
        check_values(&job->instances[0].params, i);
        sg_job_destroy(job);
        (void)snprintf(text, sizeof text,
                       HEAD "sampling: {samples: 77, noise: {level: 0.7, range: dataset, space: "
                            "pixel, clean: %s, outside: clip, channels: [1]}}\n"
                            "maps: {channels: l2, space: pixel}\n"
                            "methods: [{method: vargrad, like: %s}]\n",
                       expected[i].clean == SG_CLEAN_NONE ? "extra" : "none", expected[i].like);
        job = good(text, NULL);
        check_values(&job->instances[0].params, i);
        sg_job_destroy(job);
    }
    assert_non_null(sg_preset_at(N_EXPECTED - 1));
    assert_null(sg_preset_at(N_EXPECTED));
    assert_null(sg_preset_at(-1));
}

static void versions_may_be_given(void **state) {
    char text[300];
    char line[100];

    (void)state;
    for (int i = 0; i < N_EXPECTED; i++) {
        struct sg_job *job;

        assert_string_equal(sg_preset_at(i)->name, expected[i].like);
        (void)snprintf(text, sizeof text, HEAD "like: %s-%s\nmethods: [vargrad]\n",
                       expected[i].like, expected[i].version);
        job = good(text, NULL);
        check_values(&job->instances[0].params, i);
        (void)snprintf(line, sizeof line, "vargrad: %s %s\n", expected[i].like,
                       expected[i].version);
        assert_string_equal(job->presets, line);
        sg_job_destroy(job);
    }
}

static void adaptgrad_of_its_authors(void **state) {
    struct sg_job *job =
        good(HEAD "like: adaptgrad-code\nmethods: [adaptgrad, smoothgrad]\n", NULL);
    const struct sg_params *ag = &instance(job, "adaptgrad")->params;
    const struct sg_params *sg = &instance(job, "smoothgrad")->params;

    (void)state;
    assert_int_equal(ag->sampling.samples, 50);
    assert_true(ag->sampling.confidence == 0.95 && ag->sampling.amount == 0);
    assert_int_equal(ag->sampling.bounds, SG_BOUNDS_GLOBAL);
    assert_int_equal(ag->sampling.z, SG_Z_CENTRED);
    assert_int_equal(ag->sampling.clean, SG_CLEAN_EXTRA);
    assert_int_equal(ag->reduction, SG_CHANNELS_SUM);
    assert_true(sg->sampling.confidence == 0 && sg->sampling.amount == 0.2);
    sg_job_destroy(job);
}

/* Defaults < like of the job < sampling and maps < like of the entry < the entry's own keys. */
static void nearer_words_hold(void **state) {
    struct sg_job *job = good(HEAD "like: xplique\n"
                                   "sampling: {samples: 30, noise: {clean: extra}}\n"
                                   "maps: {standard_error: false}\n"
                                   "methods:\n"
                                   "  - smoothgrad\n"
                                   "  - {method: vargrad, like: captum, as: a}\n"
                                   "  - {method: vargrad, like: captum, samples: 9, divisor: "
                                   "unbiased, noise: {level: 0.1}, as: b}\n"
                                   "  - {method: smoothgrad, noise: {sigma: 3}, as: c}\n"
                                   "  - gradient\n",
                              NULL);
    const struct sg_params *sg = &instance(job, "smoothgrad")->params;
    const struct sg_params *a = &instance(job, "a")->params;
    const struct sg_params *b = &instance(job, "b")->params;
    const struct sg_params *c = &instance(job, "c")->params;

    (void)state;
    assert_int_equal(sg->sampling.samples, 30);
    assert_true(sg->sampling.amount == 0.2 && sg->sampling.absolute);
    assert_int_equal(sg->sampling.clean, SG_CLEAN_EXTRA);
    assert_int_equal(sg->reduction, SG_CHANNELS_MEAN);
    assert_false(sg->standard_error);
    assert_int_equal(a->sampling.samples, 5);
    assert_int_equal(a->sampling.clean, SG_CLEAN_NONE);
    assert_int_equal(a->divisor, SG_DIVISOR_POPULATION);
    assert_int_equal(a->reduction, SG_CHANNELS_NONE);
    assert_false(a->standard_error); /* no preset has a word on it */
    assert_int_equal(b->sampling.samples, 9);
    assert_true(b->sampling.amount == 0.1 && !b->sampling.absolute);
    assert_int_equal(b->divisor, SG_DIVISOR_UNBIASED);
    assert_true(c->sampling.amount == 3 && c->sampling.absolute);
    assert_int_equal(instance(job, "gradient")->params.reduction, SG_CHANNELS_MEAN);
    assert_string_equal(job->presets,
                        "smoothgrad: xplique 2.0.0, but samples: 30, noise.clean: extra\n"
                        "a: captum 0.8.0\n"
                        "b: captum 0.8.0, but samples: 9, noise.level: 0.1, divisor: unbiased\n"
                        "c: xplique 2.0.0, but samples: 30, noise.sigma: 3, noise.clean: extra\n");
    sg_job_destroy(job);
}

/* The identity is what was set, not who set it. */
static void a_preset_is_its_values(void **state) {
    struct sg_job *like = good(HEAD "methods: [{method: vargrad, like: captum}]\n", NULL);
    struct sg_job *words = good(HEAD "methods: [{method: vargrad, samples: 5, divisor: population, "
                                     "noise: {sigma: 1}}]\n",
                                NULL);

    (void)state;
    assert_string_equal(like->echo, words->echo);
    assert_string_equal(words->presets, "");
    sg_job_destroy(like);
    sg_job_destroy(words);
}

static void a_list_compares_conventions(void **state) {
    struct sg_job *job = good(
        HEAD "methods: [{method: smoothgrad, like: [captum, zennit], samples: [8, 16]}]\n", NULL);

    (void)state;
    assert_int_equal(job->n_instances, 4);
    assert_true(instance(job, "smoothgrad-captum-n8")->params.sampling.absolute);
    assert_int_equal(instance(job, "smoothgrad-zennit-n16")->params.sampling.samples, 16);
    assert_int_equal(instance(job, "smoothgrad-zennit-n16")->params.sampling.clean,
                     SG_CLEAN_ONE_OF_N);
    sg_job_destroy(job);
}

static void refusals(void **state) {
    static const struct {
        const char *text;
        const char *says;
    } bad[] = {
        {SMALL "like: captun\n", "jobs/x.yaml:4:7: like: must be a preset, with or without its "
                                 "version; did you mean 'captum'? allowed: captum, xplique"},
        {SMALL "like: captum-0.1\n", "like: must be a preset"},
        {SMALL "like: [captum]\n", "like: must be a preset"},
        {SMALL "like:\n", "like: has no value"},
        {SMALL "like: captum\nsampling: {noise: {range: domain}}\n",
         "jobs/x.yaml:5:20: sampling.noise.range: has no effect, because like: captum gives a "
         "sigma; give a level, too"},
        {HEAD "methods: [{method: gradient, like: captum}]\n",
         "methods[0].like: has no effect on gradient"},
        {HEAD "methods: [{method: smoothgrad, like: []}]\n", "methods[0].like: must be a preset"},
        {HEAD "methods: [{method: smoothgrad, like: captum, noise: {range: domain}}]\n",
         "methods[0]: noise.range has no effect here, because like gives a sigma"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct sg_job *job = NULL;

        assert_int_equal(parse_with(bad[i].text, NULL, &job), SG_E_JOB);
        if (strstr(sg_trace_message(), bad[i].says) == NULL) {
            fail_msg("row %zu: %s", i, sg_trace_message());
        }
    }
    assert_int_equal(sg_memory_balance(), 0);
}

/* A job whose words are not touched by its preset's range: a level beside it is enough. */
static void a_level_makes_room_for_a_range(void **state) {
    struct sg_job *job =
        good(SMALL "like: captum\nsampling: {noise: {level: 0.3, range: item_channel}}\n", NULL);

    (void)state;
    assert_false(job->instances[0].params.sampling.absolute);
    assert_int_equal(job->instances[0].params.sampling.range, SG_RANGE_ITEM_CHANNEL);
    sg_job_destroy(job);
}

static void every_allocation_may_fail(void **state) {
    static const char text[] = HEAD "like: zennit\nmethods: [{method: vargrad, like: [captum, "
                                    "roar], samples: 9}, smoothgrad]\n";
    sg_status status = SG_E_NOMEM;
    int64_t n = 0;

    (void)state;
    while (status != SG_OK) {
        struct sg_job *job = NULL;

        sg_memory_fail_at(++n);
        status = parse_with(text, NULL, &job);
        sg_memory_fail_at(0);
        assert_true(status == SG_OK || status == SG_E_NOMEM);
        sg_job_destroy(job);
        assert_int_equal(sg_memory_balance(), 0);
    }
    assert_true(n > 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_every_preset),
        cmocka_unit_test(versions_may_be_given),
        cmocka_unit_test(adaptgrad_of_its_authors),
        cmocka_unit_test(nearer_words_hold),
        cmocka_unit_test(a_preset_is_its_values),
        cmocka_unit_test(a_list_compares_conventions),
        cmocka_unit_test(refusals),
        cmocka_unit_test(a_level_makes_room_for_a_range),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
