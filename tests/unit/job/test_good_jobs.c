/* tests/unit/job/test_good_jobs.c - what a good job means: values, defaults, lists that expand,
 * --set, the echo as the study's identity. */
#include "job/job_text.h"

#include <glob.h>

static const char full[] = "study: {name: wide, output: out/w.h5, seed: 11}\n"
                           "model: {file: nets/r.onnx, explain: {tensor: logits, score: "
                           "log_probability}}\n"
                           "data:\n"
                           "  idx: /d/images.gz\n"
                           "  labels: labels.gz\n"
                           "  class_names: names.txt\n"
                           "  limit: 7\n"
                           "  indices: [3, 10:13, \"20:22\", 5]\n"
                           "  domain: {space: pixel, bounds: [-1, 2.5]}\n"
                           "  preprocess:\n"
                           "    resize: 256\n"
                           "    crop: [224, 192]\n"
                           "    color: bgr\n"
                           "    scale: 255\n"
                           "    mean: [0.485, 0.456, 4.06e-1]\n"
                           "    std: 0.5\n"
                           "target: {top: 5}\n"
                           "sampling:\n"
                           "  samples: 1e3\n"
                           "  block: 8\n"
                           "  nonfinite: skip\n"
                           "  noise: {level: 0.3, range: item_channel, space: pixel,\n"
                           "          channels: [0, 2], clean: extra, outside: reflect}\n"
                           "methods:\n"
                           "  - [smoothgrad, smoothgrad_squared, vargrad]\n"
                           "  - gradient\n"
                           "  - {method: adaptgrad, confidence: [0.95, 0.99], bounds: global}\n"
                           "  - {method: vargrad, as: vg, divisor: population, samples: 64,\n"
                           "     channels: l2, standard_error: false, noise: {sigma: 2}}\n"
                           "maps: {channels: abs_sum, dtype: float32, standard_error: true}\n"
                           "run: {max_hours: 1.5, checkpoint_seconds: 5, memory_mb: 900,\n"
                           "      max_failed: 3}\n";

static void every_key_arrives(void **state) {
    struct sg_job *job = good(full, NULL);
    const struct sg_data_options *d = &job->data;
    const int64_t indices[] = {3, 10, 11, 12, 20, 21, 5};

    (void)state;
    assert_string_equal(job->file, "jobs/x.yaml");
    assert_string_equal(job->name, "wide");
    assert_string_equal(job->output, "out/w.h5"); /* from the working directory */
    assert_int_equal(job->seed, 11);
    assert_string_equal(job->model_file, "jobs/nets/r.onnx"); /* from the job's folder */
    assert_string_equal(job->tensor, "logits");
    assert_int_equal(job->score, SG_SCORE_LOG_PROBABILITY);
    assert_int_equal(d->source, SG_SOURCE_IDX);
    assert_string_equal(d->path, "/d/images.gz");
    assert_string_equal(d->labels, "jobs/labels.gz");
    assert_string_equal(d->class_names, "jobs/names.txt");
    assert_int_equal(d->limit, 7);
    assert_int_equal(d->n_indices, 7);
    assert_memory_equal(d->indices, indices, sizeof indices);
    assert_true(d->has_domain && d->domain[0] == -1.0 && d->domain[1] == 2.5);
    assert_int_equal(d->preprocess.resize, 256);
    assert_int_equal(d->preprocess.crop[0], 224);
    assert_int_equal(d->preprocess.crop[1], 192);
    assert_int_equal(d->preprocess.color, SG_COLOR_BGR);
    assert_true(d->preprocess.scale == 255.0);
    assert_int_equal(d->preprocess.n_mean, 3);
    assert_true(d->preprocess.mean[2] == 0.406);
    assert_int_equal(d->preprocess.n_std, 1);
    assert_true(d->preprocess.std[0] == 0.5);
    assert_int_equal(job->n_targets, 5);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(job->targets[i].choice, SG_CHOICE_RANK);
        assert_int_equal(job->targets[i].number, i);
    }
    assert_int_equal(job->block, 8);
    assert_int_equal(job->nonfinite, SG_NONFINITE_SKIP);
    assert_true(job->max_hours == 1.5 && job->checkpoint_seconds == 5 && job->memory_mb == 900);
    assert_int_equal(job->max_failed, 3);
    sg_job_destroy(job);
    assert_int_equal(sg_memory_balance(), 0);
}

static void instances_inherit_and_override(void **state) {
    struct sg_job *job = good(full, NULL);
    const struct sg_params *sg = &instance(job, "smoothgrad")->params;
    const struct sg_params *vg = &instance(job, "vg")->params;
    const struct sg_params *ag = &instance(job, "adaptgrad-c0.99")->params;
    const struct sg_params *g = &instance(job, "gradient")->params;

    (void)state;
    assert_int_equal(job->n_instances, 7);
    assert_int_equal(sg->sampling.samples, 1000);
    assert_true(sg->sampling.amount == 0.3 && !sg->sampling.absolute);
    assert_int_equal(sg->sampling.range, SG_RANGE_ITEM_CHANNEL);
    assert_int_equal(sg->sampling.space, SG_SPACE_PIXEL);
    assert_int_equal(sg->sampling.channels, 5);
    assert_int_equal(sg->sampling.clean, SG_CLEAN_EXTRA);
    assert_int_equal(sg->sampling.outside, SG_OUTSIDE_REFLECT);
    assert_int_equal(sg->reduction, SG_CHANNELS_ABS_SUM);
    assert_true(sg->standard_error);
    assert_true(sg->sampling.confidence == 0.0); /* smoothgrad does not use it */
    assert_int_equal(vg->sampling.samples, 64);
    assert_true(vg->sampling.amount == 2.0 && vg->sampling.absolute);
    assert_int_equal(vg->sampling.range, 0); /* means nothing beside sigma */
    assert_int_equal(vg->sampling.channels, 5);
    assert_int_equal(vg->divisor, SG_DIVISOR_POPULATION);
    assert_int_equal(vg->reduction, SG_CHANNELS_L2);
    assert_false(vg->standard_error);
    assert_true(ag->sampling.confidence == 0.99 && ag->sampling.amount == 0.0);
    assert_int_equal(ag->sampling.bounds, SG_BOUNDS_GLOBAL);
    assert_int_equal(g->sampling.samples, 1);
    assert_int_equal(g->sampling.channels, 0);
    sg_job_destroy(job);
}

static void what_is_not_given_has_a_default(void **state) {
    struct sg_job *job = good(SMALL, NULL);
    const struct sg_params *p = &job->instances[0].params;

    (void)state;
    assert_string_equal(job->name, "x");
    assert_string_equal(job->output, "results/x.h5");
    assert_int_equal(job->seed, 2017);
    assert_string_equal(job->tensor, "auto");
    assert_int_equal(job->score, SG_SCORE_LOGIT);
    assert_int_equal(job->data.source, SG_SOURCE_FOLDER);
    assert_string_equal(job->data.path, "jobs/images");
    assert_null(job->data.labels);
    assert_int_equal(job->data.n_indices, 0);
    assert_false(job->data.has_domain);
    assert_true(job->data.preprocess.scale == 1.0);
    assert_int_equal(job->data.preprocess.n_std, 0);
    assert_int_equal(job->n_targets, 1);
    assert_int_equal(job->targets[0].choice, SG_CHOICE_RANK);
    assert_int_equal(job->targets[0].number, 0);
    assert_int_equal(job->block, 16);
    assert_int_equal(job->nonfinite, SG_NONFINITE_FAIL);
    assert_true(job->max_hours == 0.0 && job->checkpoint_seconds == 60 && job->memory_mb == 0.0);
    assert_int_equal(job->max_failed, -1);
    assert_int_equal(job->n_instances, 1);
    assert_int_equal(p->sampling.samples, 50);
    assert_true(p->sampling.amount == 0.15 && !p->sampling.absolute);
    assert_int_equal(p->sampling.range, SG_RANGE_ITEM);
    assert_true(p->sampling.channels == UINT64_MAX);
    assert_int_equal(p->reduction, SG_CHANNELS_NONE);
    assert_true(p->standard_error);
    sg_job_destroy(job);
}

static void lists_expand(void **state) {
    struct sg_job *job =
        good(HEAD "methods:\n"
                  "  - {method: [smoothgrad, vargrad], samples: [1e1, 20], noise: {level: [0.1, "
                  "2e-1], clean: [none, extra]}}\n"
                  "  - {method: [smoothgrad, vargrad], as: abs, noise: {sigma: [1e6, 1e20]}}\n"
                  "  - {method: smoothgrad, as: q, channels: [sum, l2]}\n"
                  "sampling: {noise: {range: dataset}}\n",
             NULL);

    (void)state;
    assert_int_equal(job->n_instances, 2 * 8 + 2 * 2 + 2);
    assert_string_equal(job->instances[0].label, "smoothgrad-n10-l0.1-none");
    assert_true(instance(job, "vargrad-n20-l0.2-extra")->params.sampling.amount == 0.2);
    assert_int_equal(instance(job, "vargrad-n20-l0.2-extra")->params.sampling.clean,
                     SG_CLEAN_EXTRA);
    assert_int_equal(instance(job, "vargrad-n20-l0.2-extra")->params.sampling.samples, 20);
    assert_true(instance(job, "abs-vargrad-s1000000")->params.sampling.absolute);
    assert_true(instance(job, "abs-smoothgrad-s1e20")->params.sampling.amount == 1e20);
    assert_int_equal(instance(job, "q-l2")->params.reduction, SG_CHANNELS_L2);
    sg_job_destroy(job);
}

static void set_overrides_any_key(void **state) {
    static const char *const sets[] = {
        "sampling.samples=200", "sampling.noise={sigma: 0.5}",
        "study.output=a b.h5",  "methods=[gradient, {method: smoothgrad, as: s}]",
        "target={class: 3}",    "data.preprocess.resize=",
        "sampling.samples=300"};
    struct sg_job *job = NULL;

    (void)state;
    assert_int_equal(sg_job_parse(full, strlen(full), "jobs/x.yaml", sets, 7, &job), SG_OK);
    assert_int_equal(job->n_instances, 2);
    assert_int_equal(instance(job, "s")->params.sampling.samples, 300); /* the last one holds */
    assert_true(instance(job, "s")->params.sampling.absolute);
    assert_int_equal(instance(job, "s")->params.sampling.clean, SG_CLEAN_NONE);
    assert_string_equal(job->output, "a b.h5");
    assert_int_equal(job->targets[0].choice, SG_CHOICE_CLASS);
    assert_int_equal(job->targets[0].number, 3);
    assert_int_equal(job->data.preprocess.resize, 0); /* taken away: the default */
    assert_memory_equal(job->given, full, strlen(full));
    assert_non_null(strstr(job->given, "\n# --set sampling.samples=200\n"));
    sg_job_destroy(job);
}

/* What was given to the run reads as the job again, the --set arguments being comments. */
static void given_is_still_yaml(void **state) {
    struct sg_job *a = good(SMALL, "study.name=a\n b");
    struct sg_job *b = good(a->given, NULL);

    (void)state;
    assert_string_equal(b->name, "x");
    assert_non_null(strstr(a->given, "# --set study.name=a\n#  b\n"));
    sg_job_destroy(a);
    sg_job_destroy(b);
}

static void assert_echo(const char *text, const char *set, const char *other, int is_same) {
    struct sg_job *a = good(text, NULL);
    struct sg_job *b = good(other, set);
    struct sg_text differences = {0};
    const int64_t n = sg_job_compare(a->echo, b->echo, &differences);

    if ((strcmp(a->echo, b->echo) == 0) != is_same || (n == 0) != is_same) {
        fail_msg("--set %s: echo is %s, %lld differences:\n%s", set != NULL ? set : "(none)",
                 is_same ? "another" : "the same", (long long)n,
                 differences.data != NULL ? differences.data : "");
    }
    sg_text_free(&differences);
    sg_job_destroy(a);
    sg_job_destroy(b);
}

static void order_and_spelling_are_not_identity(void **state) {
    (void)state;
    assert_echo(HEAD "methods: [{method: adaptgrad, confidence: 0.5, samples: 100}]\n"
                     "study: {seed: 3, name: a}\nsampling: {block: 4, samples: 100}\n",
                NULL,
                "sampling:\n  samples: 1e2\n  block: 4   # comment\n"
                "methods:\n- samples: 100.0\n  confidence: 5e-1\n  method: adaptgrad\n"
                "study: {name: 'a', seed: 3}\n"
                "data: {folder: images}\nmodel:\n  file: net.onnx\n",
                1);
    assert_echo(SMALL, "data.indices=[0, 1, 2]", SMALL, 0);
    assert_echo(HEAD "methods: [gradient]\nsampling: {samples: 9}\n", NULL,
                HEAD "methods: [gradient]\n", 1); /* a gradient has no samples */
}

static void places_and_runs_are_not_identity(void **state) {
    static const char *const sets[] = {"study.output=other.h5",
                                       "run.max_hours=3",
                                       "run.checkpoint_seconds=1",
                                       "run.memory_mb=1",
                                       "run.max_failed=0",
                                       "model.file=/elsewhere/r.onnx",
                                       "data.idx=/elsewhere/images.gz",
                                       "data.labels=/elsewhere/labels.gz",
                                       "data.indices=[3, 10, 11, 12, 20, 21, 5]"};

    (void)state;
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        assert_echo(full, sets[i], full, 1);
    }
}

static void every_other_key_is_identity(void **state) {
    static const char *const sets[] = {"study.name=other",
                                       "study.seed=12",
                                       "model.file=other.onnx",
                                       "model.shape=[3, 224, 224]",
                                       "model.explain.tensor=auto",
                                       "model.explain.score=logit",
                                       "data.idx=other",
                                       "data.labels=other",
                                       "data.class_names=other",
                                       "data.limit=8",
                                       "data.indices=[3]",
                                       "data.domain.bounds=[0, 1]",
                                       "data.domain=",
                                       "data.preprocess.resize=255",
                                       "data.preprocess.crop=224",
                                       "data.preprocess.color=rgb",
                                       "data.preprocess.scale=1",
                                       "data.preprocess.mean=[0.485, 0.456, 0.4060000000000001]",
                                       "data.preprocess.std=0.25",
                                       "target=predicted",
                                       "target={class: 5}",
                                       "target={top: 4}",
                                       "sampling.samples=1001",
                                       "sampling.block=16",
                                       "sampling.nonfinite=fail",
                                       "sampling.noise.level=0.30000000000000004",
                                       "sampling.noise={sigma: 0.3}",
                                       "sampling.noise.range=item",
                                       "sampling.noise.space=input",
                                       "sampling.noise.channels=all",
                                       "sampling.noise.clean=none",
                                       "sampling.noise.outside=clip",
                                       "methods=[gradient]",
                                       "maps.channels=none",
                                       "maps.filter={absolute: true}",
                                       "maps.filter={lowpass: 15}",
                                       "maps.filter={clip: 99}",
                                       "maps.standard_error=false"};

    (void)state;
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        assert_echo(full, sets[i], full, 0);
    }
    assert_echo(SMALL, "data={idx: images}", SMALL, 0);
    assert_echo(HEAD "methods: [gradient, smoothgrad]\n", NULL,
                HEAD "methods: [smoothgrad, gradient]\n", 0);
}

static void the_difference_is_named(void **state) {
    struct sg_job *a = good(SMALL, NULL);
    struct sg_job *b = good(SMALL, "sampling.samples=100");
    struct sg_job *c = good(HEAD "methods: [{method: smoothgrad, noise: {sigma: 0.5}}]\n", NULL);
    struct sg_job *d = good(HEAD "methods: [smoothgrad, gradient]\n", NULL);
    struct sg_text t = {0};

    (void)state;
    assert_int_equal(sg_job_compare(a->echo, b->echo, &t), 1);
    assert_string_equal(t.data, "methods.smoothgrad.samples: 50 -> 100\n");
    sg_text_free(&t);
    assert_int_equal(sg_job_compare(a->echo, c->echo, &t), 2);
    assert_string_equal(t.data, "methods.smoothgrad.noise.level: 0.15 -> (not there)\n"
                                "methods.smoothgrad.noise.sigma: (not there) -> 0.5\n");
    sg_text_free(&t);
    assert_int_equal(sg_job_compare(a->echo, d->echo, &t), 2); /* a new method is one line */
    assert_string_equal(t.data, "methods: smoothgrad -> smoothgrad, gradient\n"
                                "methods.gradient.method: (not there) -> gradient\n");
    sg_text_free(&t);
    sg_job_destroy(d);
    sg_job_destroy(a);
    sg_job_destroy(b);
    sg_job_destroy(c);
}

/* The text itself, so that a change of it, which makes old results foreign, is seen. */
static void the_echo_is_stable(void **state) {
    struct sg_job *job = good(HEAD "methods: [gradient, {method: adaptgrad, as: a}]\n", NULL);

    (void)state;
    assert_string_equal(job->echo, "study.name: x\n"
                                   "study.seed: 2017\n"
                                   "model.file: net.onnx\n"
                                   "model.explain.tensor: auto\n"
                                   "model.explain.input: auto\n"
                                   "model.explain.score: logit\n"
                                   "data.folder: images\n"
                                   "data.labels: none\n"
                                   "data.layout: auto\n"
                                   "data.class_names: none\n"
                                   "data.limit: 0\n"
                                   "data.indices: all\n"
                                   "data.domain.space: pixel\n"
                                   "data.domain.bounds: []\n"
                                   "data.preprocess.resize: 0\n"
                                   "data.preprocess.crop: [0, 0]\n"
                                   "data.preprocess.exif: ignore\n"
                                   "data.preprocess.color: rgb\n"
                                   "data.preprocess.scale: 1\n"
                                   "data.preprocess.mean: []\n"
                                   "data.preprocess.std: []\n"
                                   "target: predicted\n"
                                   "precision: float32\n"
                                   "sampling.block: 16\n"
                                   "sampling.nonfinite: fail\n"
                                   "maps.dtype: float32\n"
                                   "methods: gradient, a\n"
                                   "methods.gradient.method: gradient\n"
                                   "methods.gradient.rule: gradient\n"
                                   "methods.gradient.absolute: false\n"
                                   "methods.gradient.channels: none\n"
                                   "methods.gradient.filter: none\n"
                                   "methods.gradient.space: input\n"
                                   "methods.gradient.standard_error: true\n"
                                   "methods.a.method: adaptgrad\n"
                                   "methods.a.samples: 50\n"
                                   "methods.a.noise.channels: all\n"
                                   "methods.a.noise.clean: none\n"
                                   "methods.a.noise.outside: keep\n"
                                   "methods.a.rule: gradient\n"
                                   "methods.a.absolute: false\n"
                                   "methods.a.confidence: 0.95\n"
                                   "methods.a.bounds: channel\n"
                                   "methods.a.z: centred\n"
                                   "methods.a.channels: none\n"
                                   "methods.a.filter: none\n"
                                   "methods.a.space: input\n"
                                   "methods.a.standard_error: true\n");
    sg_job_destroy(job);
}

/* The jobs that come with the program are good ones. */
static void shipped_jobs_are_good(void **state) {
    glob_t found;

    (void)state;
    assert_int_equal(glob(SGDIST_SOURCE_DIR "/jobs/*.yaml", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct sg_job *job = NULL;
        char *text = NULL;
        size_t n = 0;

        assert_int_equal(sg_job_read_file(found.gl_pathv[i], 1 << 20, &text, &n), SG_OK);
        if (sg_job_parse(text, n, found.gl_pathv[i], NULL, 0, &job) != SG_OK) {
            fail_msg("%s", sg_trace_message());
        }
        sg_job_destroy(job);
        sg_free(text);
    }
    globfree(&found);
}

/* Any beginning of a good job is a job or is refused; nothing leaks (and, with the sanitizers,
 * nothing is read past its end). */
static void every_truncation_is_survived(void **state) {
    (void)state;
    for (size_t n = 0; n < strlen(full); n++) {
        char *text = malloc(n + 1); /* exactly as long, so that a sanitizer sees one byte more */
        struct sg_job *job = NULL;
        sg_status s;

        assert_non_null(text);
        memcpy(text, full, n);
        s = sg_job_parse(text, n, "x", NULL, 0, &job);
        assert_true(s == SG_E_JOB || s == SG_OK);
        assert_true((job != NULL) == (s == SG_OK));
        sg_job_destroy(job);
        free(text);
    }
    assert_int_equal(sg_memory_balance(), 0);
}

/* One byte replaced anywhere, by a quarter of the bytes in turn. */
static void every_slip_is_survived(void **state) {
    static const char bytes[] = "{}[]:,-#&*!|>'\"%@\t\n \xc3x0";
    char text[sizeof full];

    (void)state;
    for (size_t i = 0; i < strlen(full); i++) {
        for (size_t b = i % 4; b < sizeof bytes - 1; b += 4) {
            struct sg_job *job = NULL;
            sg_status s;

            memcpy(text, full, sizeof full);
            text[i] = bytes[b];
            s = sg_job_parse(text, strlen(full), "x", NULL, 0, &job);
            assert_true(s == SG_E_JOB || s == SG_OK);
            sg_job_destroy(job);
        }
    }
    assert_int_equal(sg_memory_balance(), 0);
}

/* Each allocation fails in turn: always SG_E_NOMEM, nothing leaks. */
static void every_allocation_may_fail(void **state) {
    const char *set = "sampling.noise.outside=keep";
    int64_t n_failed = 0;

    (void)state;
    for (int64_t at = 1; at < 10000; at++) {
        struct sg_job *job = NULL;
        sg_status s;

        sg_memory_fail_at(at);
        s = sg_job_parse(full, strlen(full), "jobs/x.yaml", &set, 1, &job);
        sg_memory_fail_at(0);
        sg_job_destroy(job);
        assert_int_equal(sg_memory_balance(), 0);
        if (s == SG_OK) {
            break;
        }
        assert_int_equal(s, SG_E_NOMEM);
        n_failed++;
    }
    assert_true(n_failed > 100 && n_failed < 9000);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_key_arrives),
                                       cmocka_unit_test(instances_inherit_and_override),
                                       cmocka_unit_test(what_is_not_given_has_a_default),
                                       cmocka_unit_test(lists_expand),
                                       cmocka_unit_test(set_overrides_any_key),
                                       cmocka_unit_test(given_is_still_yaml),
                                       cmocka_unit_test(order_and_spelling_are_not_identity),
                                       cmocka_unit_test(places_and_runs_are_not_identity),
                                       cmocka_unit_test(every_other_key_is_identity),
                                       cmocka_unit_test(the_difference_is_named),
                                       cmocka_unit_test(the_echo_is_stable),
                                       cmocka_unit_test(shipped_jobs_are_good),
                                       cmocka_unit_test(every_truncation_is_survived),
                                       cmocka_unit_test(every_slip_is_survived),
                                       cmocka_unit_test(every_allocation_may_fail)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
