/* tests/unit/job/test_bad_jobs.c - what is refused, and with which words: place, path, what is
 * wrong, what is allowed, the nearest name. */
#include "job/job_text.h"

#include <unistd.h>

enum { N_WORDS = 4 };

static const struct {
    const char *text;
    const char *set;
    const char *words[N_WORDS]; /* all must stand in the message */
} bad[] = {
    /* YAML itself */
    {"", NULL, {"jobs/x.yaml: the job is empty"}},
    {"# nothing but a comment\n", NULL, {"the job is empty"}},
    {"- a\n- b\n", NULL, {"jobs/x.yaml:1:1: a job is a map of keys"}},
    {"model: {file: a\n", NULL, {"jobs/x.yaml:2:1: not YAML"}},
    {"model:\n\tfile: a\n", NULL, {"jobs/x.yaml:2:", "not YAML", "tab", "spaces"}},
    {"model: &m {file: a}\n", NULL, {"jobs/x.yaml:1:8: anchors", "aliases", "quote"}},
    {"model: *m\n", NULL, {"jobs/x.yaml:1:8: anchors"}},
    {"study: {seed: !!int 3}\n", NULL, {"jobs/x.yaml:1:15: tags"}},
    {"model: {file: a}\nmodel: {file: b}\n",
     NULL,
     {"jobs/x.yaml:2:1: model: this key stands twice", "first at jobs/x.yaml:1:1"}},
    {"run: {max_hours: 1, max_hours: 2}\n", NULL, {"jobs/x.yaml:1:21: max_hours", "twice"}},
    {SMALL "---\na: b\n", NULL, {"jobs/x.yaml:4:1: a second document"}},
    {"? [a, b]\n: c\n", NULL, {"jobs/x.yaml:1:3: a key must be a word"}},
    {"study: {name: \"a\\0b\"}\n", NULL, {"jobs/x.yaml:1:15:", "code 0"}},
    {"study: {name: \x01}\n", NULL, {"jobs/x.yaml", "control characters"}},
    {"study: {name: \xff\xfe}\n", NULL, {"jobs/x.yaml", "UTF-8"}},
    /* keys */
    {SMALL "sampling:\n  noise:\n    levle: 0.1\n",
     NULL,
     {"jobs/x.yaml:6:5: sampling.noise.levle: unknown key; did you mean 'level'?",
      "allowed here: channels, clean, level, outside, range, sigma, space"}},
    {SMALL "sampels: 3\n", NULL, {"jobs/x.yaml:4:1: sampels: unknown key"}},
    {SMALL "target: {top:5}\n", NULL, {"target.top:5: unknown key; YAML wants a space behind"}},
    {SMALL "confidence: 0.9\n", NULL, {"4:1: confidence: unknown key; allowed here"}},
    {SMALL "samples: 3\n", NULL, {"samples: unknown key; it belongs under 'sampling'"}},
    {SMALL "sampling: {level: 3}\n", NULL, {"it belongs under 'sampling.noise'"}},
    {SMALL "smapling: {}\n", NULL, {"did you mean 'sampling'?"}},
    {SMALL "sampling: {zzzzzz: 3}\n", NULL, {"sampling.zzzzzz: unknown key; allowed here: block"}},
    {"data: {folder: a}\nmethods: [gradient]\n", NULL, {"jobs/x.yaml:1:1: model: is missing"}},
    {"model: {}\ndata: {folder: a}\nmethods: [gradient]\n",
     NULL,
     {"jobs/x.yaml:1:8: model.file: is missing"}},
    {"model: {file: a}\nmethods: [gradient]\n", NULL, {"data: is missing"}},
    {HEAD, NULL, {"methods: is missing"}},
    {SMALL "sampling: 3\n", NULL, {"jobs/x.yaml:4:11: sampling: must be a map", "block, noise"}},
    {SMALL "sampling: {samples: }\n", NULL, {"sampling.samples: has no value", "default"}},
    {SMALL "study: ~\n", NULL, {"study: has no value"}},
    /* numbers */
    {SMALL "sampling: {samples: many}\n",
     NULL,
     {"jobs/x.yaml:4:21: sampling.samples: 'many' is not a whole number; it must be from 1 to "
      "2147483648"}},
    {SMALL "sampling: {samples: 0}\n", NULL, {"must be from 1 to 2147483648, not 0"}},
    {SMALL "sampling: {samples: 2.5}\n", NULL, {"'2.5' is not a whole number"}},
    {SMALL "sampling: {samples: \"5\"}\n", NULL, {"without quotes"}},
    {SMALL "sampling: {samples: [5]}\n", NULL, {"must be a whole number, not a list"}},
    {SMALL "sampling: {block: 5000}\n", NULL, {"sampling.block: must be from 1 to 4096"}},
    {SMALL "study: {seed: 72057594037927936}\n", NULL, {"from 0 to 72057594037927935"}},
    {SMALL "study: {seed: -1}\n", NULL, {"study.seed: must be from 0"}},
    {SMALL "sampling: {noise: {level: -0.1}}\n",
     NULL,
     {"jobs/x.yaml:4:27: sampling.noise.level: must be at least 0, not -0.1"}},
    {SMALL "sampling: {noise: {level: nan}}\n", NULL, {"'nan' is not a number"}},
    {SMALL "sampling: {noise: {level: 1e999}}\n", NULL, {"'1e999' is not a number"}},
    {SMALL "run: {max_hours: 2h}\n", NULL, {"run.max_hours: '2h' is not a number"}},
    {SMALL "run: {max_failed: -2}\n", NULL, {"run.max_failed: must be at least -1"}},
    {HEAD "methods: [{method: adaptgrad, confidence: 1}]\n",
     NULL,
     {"methods[0].confidence: must be greater than 0 and less than 1, not 1"}},
    /* words */
    {SMALL "sampling: {noise: {range: itme}}\n",
     NULL,
     {"jobs/x.yaml:4:27: sampling.noise.range: 'itme' is not allowed; did you mean 'item'?",
      "allowed: item, item_channel, dataset, domain"}},
    {SMALL "maps: {dtype: float64}\n", NULL, {"maps.dtype", "allowed: float32"}},
    {SMALL "maps: {standard_error: yes}\n", NULL, {"'yes' is not allowed", "false, true"}},
    {"model: {file: a, explain: {score: logits}}\ndata: {folder: a}\nmethods: [gradient]\n",
     NULL,
     {"model.explain.score: 'logits'", "did you mean 'logit'?"}},
    /* exclusive and dependent keys */
    {SMALL "sampling: {noise: {level: 0.1, sigma: 2}}\n",
     NULL,
     {"jobs/x.yaml:4:20: sampling.noise.level: cannot stand beside 'sigma'"}},
    {SMALL "sampling: {noise: {range: item, sigma: 2}}\n", NULL, {"noise.range: cannot stand"}},
    {"model: {file: a}\ndata: {folder: a, idx: b}\nmethods: [gradient]\n",
     NULL,
     {"jobs/x.yaml:2:19: data: 'folder', 'idx' cannot stand beside each other"}},
    {"model: {file: a}\ndata: {limit: 3}\nmethods: [gradient]\n",
     NULL,
     {"jobs/x.yaml:2:1: data: one of 'folder', 'list', 'tar',"}},
    {"model: {file: a}\ndata: {folder: a, labels: b}\nmethods: [gradient]\n",
     NULL,
     {"data.labels: has a meaning only together with 'idx'"}},
    {"model: {file: a}\ndata: {idx: a}\ntarget: label\nmethods: [gradient]\n",
     NULL,
     {"jobs/x.yaml:3:1: target: label needs 'data.labels'"}},
    {"model: {file: a}\ndata: {npz: {file: a}}\ntarget: label\nmethods: [gradient]\n",
     NULL,
     {"jobs/x.yaml:3:1: target: label needs 'data.npz.labels', the array of labels"}},
    {"model: {file: a}\ndata: {hdf5: {file: a, dataset: x}, labels: b}\nmethods: [gradient]\n",
     NULL,
     {"data.labels: has a meaning only together with 'idx' or 'npy'", "beside 'file'"}},
    {"model: {file: a}\ndata: {hdf5: {file: a}}\nmethods: [gradient]\n",
     NULL,
     {"data.hdf5.dataset: is missing"}},
    {"model: {file: a}\ndata: {npz: {array: x}}\nmethods: [gradient]\n",
     NULL,
     {"data.npz.file: is missing"}},
    {"model: {file: a}\ndata: {folder: a, layout: channels_last}\nmethods: [gradient]\n",
     NULL,
     {"data.layout: is for arrays"}},
    {"model: {file: a}\ndata: {npy: a, layout: nhwc}\nmethods: [gradient]\n",
     NULL,
     {"data.layout: 'nhwc' is not allowed"}},
    {"model: {file: a}\ndata: {tar: []}\nmethods: [gradient]\n",
     NULL,
     {"data.tar: must have 1 to"}},
    {"model: {file: a}\ndata: {tar: [a, {b: 1}]}\nmethods: [gradient]\n",
     NULL,
     {"data.tar: must be a text"}},
    {"model: {file: a}\ndata: {tars: a}\nmethods: [gradient]\n",
     NULL,
     {"data.tars: unknown key; did you mean 'tar'?"}},
    /* values of several parts */
    {SMALL "target: class\n",
     NULL,
     {"jobs/x.yaml:4:9: target: must be one of predicted, label, {class: 207}, {top: 5}",
      "not 'class'"}},
    {SMALL "target: {class: 1, top: 2}\n", NULL, {"target.top: cannot stand beside 'class'"}},
    {SMALL "target: {}\n", NULL, {"target: needs a class, a top or a result"}},
    {SMALL "target: {top: 0}\n", NULL, {"target.top: must be from 1"}},
    {SMALL "target: {clas: 1}\n", NULL, {"target.clas: unknown key", "did you mean 'class'"}},
    {HEAD "methods: [gradient]\n", "data.indices=[5, 20:10]", {"'20:10' is not a range", "10:20"}},
    {HEAD "methods: [gradient]\n", "data.indices=[-1]", {"data.indices: must be at least 0"}},
    {HEAD "methods: [gradient]\n", "data.indices=[1:999999999999]", {"more than 100000000"}},
    {HEAD "methods: [gradient]\n", "data.indices=[]", {"data.indices: must have 1 to"}},
    {HEAD "methods: [gradient]\n", "data.domain.bounds=[1, 0]", {"lower bound must be less"}},
    {HEAD "methods: [gradient]\n", "data.domain.bounds=[1]", {"must have 2 entries, not 1"}},
    {HEAD "methods: [gradient]\n", "data.domain.space=pixel", {"data.domain.bounds: is missing"}},
    {HEAD "methods: [gradient]\n", "data.preprocess.std=[1, 0]", {"std: must be greater than 0"}},
    {HEAD "methods: [gradient]\n", "model.shape=[3, 0]", {"model.shape: must be from 1 to"}},
    {HEAD "methods: [gradient]\n", "model.shape=8", {"model.shape: must be a list"}},
    {HEAD "methods: [gradient]\n", "data.preprocess.crop=[1, 2, 3]", {"must have 2 entries"}},
    {HEAD "methods: [gradient]\n", "sampling.noise.channels=red", {"must be all, or a list"}},
    {HEAD "methods: [gradient]\n", "sampling.noise.channels=[64]", {"from 0 to 63, not 64"}},
    /* methods */
    {HEAD "methods: gradient\n", NULL, {"jobs/x.yaml:3:10: methods: must be a list"}},
    {HEAD "methods: []\n", NULL, {"methods: must be a list of methods"}},
    {HEAD "methods: [smothgrad]\n",
     NULL,
     {"jobs/x.yaml:3:11: methods[0]: 'smothgrad' is not a method; did you mean 'smoothgrad'?",
      "allowed: gradient, gradient_x_input"}},
    {HEAD "methods: [gradient, [vargrad, [gradient]]]\n",
     NULL,
     {"jobs/x.yaml:3:31: methods[1]: must be the name of a method"}},
    {HEAD "methods: [{as: a}]\n", NULL, {"methods[0].method: is missing"}},
    {HEAD "methods: [{method: gradient, sample: 3}]\n", NULL, {"methods[0].sample: unknown key"}},
    {HEAD "methods: [gradient, gradient]\n",
     NULL,
     {"jobs/x.yaml:3:21: methods[1]: the label 'gradient' is taken; set `as`"}},
    {HEAD "methods: [{method: smoothgrad, samples: [5, 5]}]\n",
     NULL,
     {"the label 'smoothgrad-n5' is taken"}},
    {HEAD "methods: [{method: gradient, as: a b}]\n", NULL, {"jobs/x.yaml:3:34:", "`as` must be"}},
    {HEAD "methods: [{method: gradient, as: ../a}]\n", NULL, {"`as` must be a label"}},
    {HEAD "methods: [{method: smoothgrad, confidence: 0.9}]\n",
     NULL,
     {"jobs/x.yaml:3:32: methods[0].confidence: has no effect on smoothgrad",
      "allowed for it here: absolute, as, channels, filter, layer, like, method, noise, of, rule, "
      "samples, "
      "space, "
      "standard_error"}},
    {HEAD "methods: [{method: gradient, noise: {level: 0.1}}]\n",
     NULL,
     {"methods[0].noise: has no effect on gradient",
      "allowed for it here: absolute, as, channels, filter, layer, method, rule, space, "
      "standard_error"}},
    {HEAD "methods: [{method: adaptgrad, noise: {level: 0.1}}]\n",
     NULL,
     {"methods[0].noise.level: has no effect on adaptgrad",
      "allowed for it here: channels, clean, outside"}},
    {HEAD "methods: [{method: smoothgrad, divisor: population}]\n",
     NULL,
     {"divisor: has no effect on smoothgrad"}},
    {HEAD "methods: [{method: smoothgrad, noise: {range: item}}]\n",
     "sampling.noise.sigma=1",
     {"noise.range has no effect here", "sampling.noise gives a sigma"}},
    {HEAD "methods: [{method: smoothgrad, samples: [[5]]}]\n",
     NULL,
     {"'samples' must be one value or a list of values"}},
    /* --set */
    {SMALL, "sampling.smaples=5", {"--set sampling.smaples=5: sampling.smaples: unknown key"}},
    {SMALL, "sampling.samples", {"--set sampling.samples: write key.path=value"}},
    {SMALL, "=5", {"--set =5: write key.path=value"}},
    {SMALL, "sampling.samples=x", {"--set sampling.samples=x: sampling.samples: 'x' is not"}},
    {SMALL, "model.file.name=x", {"--set model.file.name=x: 'file' is not a map"}},
    {SMALL, "sampling={samples: [}", {"--set sampling={samples: [}: not YAML"}},
    {SMALL, "a.b.c=1", {"--set a.b.c=1: a: unknown key"}},
    {SMALL, "model.file=", {"model.file: is missing"}},
    {SMALL "study: {name: a/b}\n", NULL, {"study.name: must have", "no '/'"}},
};

/* Tells what a row lacks; NULL if nothing. */
static const char *lacks(size_t row) {
    struct sg_job *job = NULL;

    if (parse_with(bad[row].text, bad[row].set, &job) != SG_E_JOB || job != NULL) {
        sg_job_destroy(job);
        return "(refusal)";
    }
    for (int k = 0; k < N_WORDS && bad[row].words[k] != NULL; k++) {
        if (strstr(sg_trace_message(), bad[row].words[k]) == NULL) {
            return bad[row].words[k];
        }
    }
    return NULL;
}

static void each_is_refused_in_words(void **state) {
    int n_failed = 0;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *words = lacks(i);

        if (words != NULL) {
            print_error("row %zu: %s\n  lacks: %s\n  has: %s\n", i, bad[i].text, words,
                        sg_trace_message());
            n_failed++;
        }
    }
    assert_int_equal(n_failed, 0);
    assert_int_equal(sg_memory_balance(), 0);
}

static int count_lines(const char *text) {
    int n = 1;

    for (; *text != '\0'; text++) {
        n += *text == '\n';
    }
    return n;
}

static void all_errors_in_one_run(void **state) {
    struct sg_job *job = NULL;

    (void)state;
    assert_int_equal(parse_with("model: {fil: a}\ndata: {folder: a}\nmethods: [gradint]\n"
                                "sampling: {samples: 0}\nfoo: 1\n",
                                NULL, &job),
                     SG_E_JOB);
    assert_int_equal(count_lines(sg_trace_message()), 5);
    assert_non_null(strstr(sg_trace_message(), "5:1: foo: unknown key"));
    assert_non_null(strstr(sg_trace_message(), "1:9: model.fil: unknown key"));
    assert_non_null(strstr(sg_trace_message(), "1:8: model.file: is missing"));
    assert_non_null(strstr(sg_trace_message(), "4:21: sampling.samples: must be"));
    assert_non_null(strstr(sg_trace_message(), "3:11: methods[0]: 'gradint'"));
}

/* Two methods that share a wrong map make one error of it. */
static void the_same_error_is_told_once(void **state) {
    struct sg_job *job = NULL;

    (void)state;
    assert_int_equal(
        parse_with(HEAD "methods: [{method: [smoothgrad, vargrad], samples: 0}]\n", NULL, &job),
        SG_E_JOB);
    assert_int_equal(count_lines(sg_trace_message()), 1);
}

/* 96 million combinations for each of two methods are refused after the first thousand. */
static void expansion_is_limited(void **state) {
    struct sg_text text = {0};
    struct sg_job *job = NULL;

    (void)state;
    sg_text_add(&text, HEAD "methods: [{method: [smoothgrad, vargrad], samples: [1");
    for (int i = 2; i <= 1200; i++) {
        sg_text_add(&text, ", %d", i);
    }
    sg_text_add(&text, "], noise: {level: [0");
    for (int i = 1; i < 20000; i++) {
        sg_text_add(&text, ", %d", i);
    }
    sg_text_add(&text, "], clean: [none, extra], space: [input, pixel]}}]\n");
    assert_int_equal(parse_with(text.data, NULL, &job), SG_E_JOB);
    assert_non_null(strstr(sg_trace_message(), "methods[0]: more than 1000 instances"));
    sg_text_free(&text);
}

/* A message has room for some; the rest is counted. */
static void many_errors_are_counted(void **state) {
    char text[4096] = SMALL;
    struct sg_job *job = NULL;
    int n_shown;
    int n_more = 0;
    const char *more;

    (void)state;
    for (int i = 0; i < 50; i++) {
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), "k%d: 1\n", i);
    }
    assert_int_equal(parse_with(text, NULL, &job), SG_E_JOB);
    more = strrchr(sg_trace_message(), '\n');
    assert_non_null(more);
    assert_int_equal(sscanf(more, "\n(%d more)", &n_more), 1);
    n_shown = count_lines(sg_trace_message()) - 1;
    assert_int_equal(n_shown + n_more, 50);
}

static void nesting_is_limited(void **state) {
    char text[20000] = "methods: ";
    struct sg_job *job = NULL;
    const size_t n = strlen(text);

    (void)state;
    for (int shape = 0; shape < 2; shape++) {
        memset(text + n, shape == 0 ? '[' : '{', 10000);
        assert_int_equal(sg_job_parse(text, n + 10000, "x", NULL, 0, &job), SG_E_JOB);
    }
    assert_non_null(strstr(sg_trace_message(), "x:1:"));
    memset(text + n, '[', 10000);
    assert_int_equal(sg_job_parse(text, n + 10000, "x", NULL, 0, &job), SG_E_JOB);
    assert_non_null(strstr(sg_trace_message(), "nested more than 64 deep"));
}

static void size_is_limited(void **state) {
    const size_t n = (1 << 20) + 1;
    char *text = malloc(n + 1);
    struct sg_job *job = NULL;

    (void)state;
    assert_non_null(text);
    memset(text, '\n', n);
    memcpy(text, SMALL, strlen(SMALL));
    text[n] = '\0';
    assert_int_equal(sg_job_parse(text, n, "x", NULL, 0, &job), SG_E_JOB);
    assert_non_null(strstr(sg_trace_message(), "1 MiB"));
    assert_int_equal(sg_job_parse(text, n - 1, "x", NULL, 0, &job), SG_OK);
    sg_job_destroy(job);
    free(text);
}

static void a_byte_0_is_refused(void **state) {
    const char text[] = SMALL "\0" SMALL;
    struct sg_job *job = NULL;

    (void)state;
    assert_int_equal(sg_job_parse(text, sizeof text - 1, "x", NULL, 0, &job), SG_E_JOB);
    assert_non_null(strstr(sg_trace_message(), "byte 0"));
}

static void write_file(const char *folder, const char *name, const char *text) {
    char path[256];
    FILE *f;

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* Files must exist where the job says, seen from the job file's own folder. */
static void files_must_exist(void **state) {
    char folder[] = "/tmp/sgdist-job-XXXXXX";
    char path[256];
    struct sg_job *job = NULL;

    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/x.yaml", folder);
    assert_int_equal(sg_job_read(path, NULL, 0, &job), SG_E_JOB);
    assert_non_null(strstr(sg_trace_message(), "x.yaml: No such file"));
    write_file(folder, "x.yaml", "model: {file: a}\ndata: {folder: a}\nmethods: [gradient]\n");
    assert_int_equal(sg_job_read(path, NULL, 0, &job), SG_E_JOB);
    assert_non_null(strstr(sg_trace_message(), "x.yaml:1:15: model.file: "));
    assert_non_null(strstr(sg_trace_message(), "/a: no such file"));
    assert_non_null(strstr(sg_trace_message(), "/a: no such folder"));
    write_file(folder, "a", "");
    assert_int_equal(sg_job_read(path, NULL, 0, &job), SG_E_JOB);
    assert_non_null(strstr(sg_trace_message(), "data.folder: "));
    assert_non_null(strstr(sg_trace_message(), "/a: is not a folder"));
    assert_null(strstr(sg_trace_message(), "model.file"));
    assert_int_equal(sg_job_read(folder, NULL, 0, &job), SG_E_JOB);
    (void)unlink(path);
    (void)snprintf(path, sizeof path, "%s/a", folder);
    (void)unlink(path);
    (void)rmdir(folder);
    assert_int_equal(sg_memory_balance(), 0);
}

static void a_file_above_the_limit(void **state) {
    char path[] = "/tmp/sgdist-file-XXXXXX";
    char *bytes = NULL;
    size_t n = 0;
    const int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "0123456789", 10), 10);
    (void)close(fd);
    assert_int_equal(sg_job_read_file(path, 9, &bytes, &n), SG_E_JOB);
    assert_int_equal(sg_job_read_file(path, 10, &bytes, &n), SG_OK);
    assert_int_equal(n, 10);
    assert_string_equal(bytes, "0123456789");
    sg_free(bytes);
    (void)unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_is_refused_in_words),
                                       cmocka_unit_test(all_errors_in_one_run),
                                       cmocka_unit_test(the_same_error_is_told_once),
                                       cmocka_unit_test(expansion_is_limited),
                                       cmocka_unit_test(many_errors_are_counted),
                                       cmocka_unit_test(nesting_is_limited),
                                       cmocka_unit_test(size_is_limited),
                                       cmocka_unit_test(a_byte_0_is_refused),
                                       cmocka_unit_test(files_must_exist),
                                       cmocka_unit_test(a_file_above_the_limit)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
