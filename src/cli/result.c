/* src/cli/result.c - the parts of a result that are not per item: provenance, names, the layout of
 * its tables; and whether a file that exists belongs to this study. */
#include "cli/result.h"

#include "sgdist/join.h"
#include "sgdist/memory.h"
#include "sgdist/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { FIXED_CONSTANTS = 48, CONSTANTS_PER_INSTANCE = 3 };

/* ---- the identity ---- */

uint64_t sg_study_items_hash(const struct study *s) {
    uint64_t h = 0;

    for (int64_t i = 0; i < sg_items_count(s->items); i++) {
        const uint64_t pair[2] = {h, sg_items_key(s->items, i)};

        h = sg_hash64(pair, sizeof pair);
    }
    return h;
}

/* 1 if paths begin at other items of the study. */
static int draws_from_items(const struct sg_job *job) {
    int found = 0;

    for (int i = 0; i < job->n_instances; i++) {
        found = found || job->instances[i].params.probing.path.kind == SG_PATH_DRAWN;
    }
    return found;
}

/* One text that two runs must share to be the same study: the job's echo, and what it was applied
 * to. */
static sg_status identity_text(const struct study *s, struct sg_text *out) {
    sg_status status = SG_OK;

    sg_text_add(out, "%s", s->job->echo);
    sg_text_add(out, "model.sha256: %s\n", s->model_sha256);
    if (s->n_inputs > 0) {
        sg_text_add(out, "%s: %016llx\n",
                    s->job->n_inputs > 0 ? "model.inputs.hash" : "baselines.hash",
                    (unsigned long long)sg_hash64(s->inputs, s->n_inputs));
    }
    sg_text_add(out, "data.items: %lld\n", (long long)sg_items_count(s->items));
    sg_text_add(out, "data.hash: %016llx\n", (unsigned long long)sg_study_items_hash(s));
    if (draws_from_items(s->job)) { /* so that results of other items are never joined */
        sg_text_add(out, "baselines.items: %016llx\n", (unsigned long long)sg_study_items_hash(s));
    }
    if (s->job->target_file != NULL) {
        const int64_t n = sg_items_count(s->items) * s->job->n_targets;

        sg_text_add(out, "target.hash: %016llx\n",
                    (unsigned long long)sg_hash64(s->job->given_targets,
                                                  (size_t)n * sizeof *s->job->given_targets));
    }
    sg_text_add(out, "kernel: %s\n", sg_study_kernels(s));
    SG_CHECK(!out->failed, SG_E_NOMEM, "no memory for the identity of the study");
done:
    return status;
}

sg_status sg_study_identity(const struct study *s, uint64_t *hash) {
    sg_status status = SG_OK;
    struct sg_text text = {0};

    SG_TRY(identity_text(s, &text));
    *hash = sg_hash64(text.data, text.length);
done:
    sg_text_free(&text);
    return status;
}

int sg_result_exists(const char *path) {
    struct stat st;

    return stat(path, &st) == 0;
}

sg_status sg_result_check_identity(const struct study *s) {
    sg_status status = SG_OK;
    struct sg_reader *reader = NULL;
    struct sg_text mine = {0};
    struct sg_text differences = {0};
    char *theirs = NULL;

    SG_TRY(identity_text(s, &mine));
    SG_TRY(sg_reader_open(s->job->output, &reader));
    SG_CHECK(sg_reader_find(reader, SG_JOINED) == NULL, SG_E_JOB,
             "%s is joined from other results, and nothing can be added to it; give the study "
             "another study.output, or start over with --fresh (the joined file is replaced, its "
             "parts stay)",
             s->job->output);
    SG_TRY(sg_reader_text(reader, "provenance/identity", &theirs));
    if (strcmp(theirs, mine.data) != 0) {
        (void)sg_job_compare(theirs, mine.data, &differences);
        if (differences.length > 0) {
            differences.data[differences.length - 1] = '\0'; /* the last line's end */
        }
        SG_CHECK(0, SG_E_JOB,
                 "%s holds another study than %s asks for; give it another study.output, or start "
                 "over with --fresh (the old file is replaced). What differs:\n%s",
                 s->job->output, s->job->file, differences.data != NULL ? differences.data : "");
    }
done:
    sg_reader_close(reader);
    sg_text_free(&mine);
    sg_text_free(&differences);
    sg_free(theirs);
    return status;
}

/* ---- constants ---- */

struct constants {
    struct sg_constant *list;
    int n;
    int capacity;
};

static struct sg_constant *add(struct constants *c, const char *path, enum sg_type type,
                               int64_t text_bytes, const void *data, const char *about) {
    struct sg_constant *k = &c->list[c->n];

    SG_ASSERT(c->n < c->capacity);
    c->n++;
    *k = (struct sg_constant){.type = type, .text_bytes = text_bytes, .data = data};
    (void)snprintf(k->path, sizeof k->path, "%s", path);
    (void)snprintf(k->about, sizeof k->about, "%s", about);
    return k;
}

static void add_axis(struct sg_constant *k, const char *name, int64_t length) {
    struct sg_axis *axis = &k->axes[k->n_axes++];

    (void)snprintf(axis->name, sizeof axis->name, "%s", name);
    axis->length = length;
}

static void add_text(struct constants *c, const char *path, const char *text, const char *about) {
    const int64_t n = (int64_t)strlen(text);

    (void)add(c, path, SG_TYPE_TEXT, n > 0 ? n : 1, text, about);
}

static void add_run_tables(struct constants *c) {
    static const struct {
        const char *path;
        enum sg_type type;
        int64_t text_bytes;
        const char *about;
    } columns[] = {
        {"provenance/runs/start", SG_TYPE_F64, 0, "seconds since 1970 at which the run began"},
        {"provenance/runs/end", SG_TYPE_F64, 0,
         "seconds since 1970 at which it ended, 0: it did not tell"},
        {"provenance/runs/ranks", SG_TYPE_I32, 0, "number of ranks"},
        {"provenance/runs/items_done", SG_TYPE_I64, 0, "items finished by the run"},
        {"provenance/runs/host", SG_TYPE_TEXT, SG_RUN_HOST, "host of rank 0"},
        {"provenance/runs/exit_code", SG_TYPE_I32, 0, "exit code, -1: it did not tell"},
    };
    static const char stats[3][4] = {"min", "mean", "max"};

    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
        add_axis(
            add(c, columns[i].path, columns[i].type, columns[i].text_bytes, NULL, columns[i].about),
            "run", SG_MAX_RUNS);
    }
    add_axis(add(c, "statistic", SG_TYPE_TEXT, sizeof stats[0], stats,
                 "over ranks: minimum, mean, maximum"),
             "statistic", 3);
}

enum { PHASE_BYTES = 16 };

static void add_performance(struct constants *c, char phases[SG_N_PHASES * PHASE_BYTES]) {
    struct sg_constant *k;

    for (int p = 0; p < SG_N_PHASES; p++) {
        (void)strncpy(phases + p * PHASE_BYTES, sg_phase_name((enum sg_phase)p), PHASE_BYTES - 1);
    }
    add_axis(add(c, "phase", SG_TYPE_TEXT, PHASE_BYTES, phases, "what a worker's time went into"),
             "phase", SG_N_PHASES);
    k = add(c, "performance/seconds", SG_TYPE_F64, 0, NULL,
            "seconds of each phase in each run, over the workers");
    add_axis(k, "run", SG_MAX_RUNS);
    add_axis(k, "phase", SG_N_PHASES);
    add_axis(k, "statistic", 3);
    add_axis(add(c, "performance/forwards", SG_TYPE_I64, 0, NULL, "samples through the network"),
             "run", SG_MAX_RUNS);
    add_axis(add(c, "performance/gradients", SG_TYPE_I64, 0, NULL, "input gradients computed"),
             "run", SG_MAX_RUNS);
}

/* What the precision does; nothing for float32. */
static void add_effect(struct constants *c, const struct sg_effect *e) {
    const struct {
        const char *path;
        const double *values;
        const char *about;
    } columns[] = {
        {"precision/gradient", e->gradient,
         "median over noisy inputs of |g - g32| / |g32|, g32 the gradient in float32"},
        {"precision/map", e->map, "the same of the mean gradient over these inputs"},
        {"precision/error", e->error, "standard error of that mean, / |mean|"},
    };

    if (e->n > 0) {
        add_axis(add(c, "precision/item", SG_TYPE_I64, 0, e->item,
                     "items at which the effect of the precision was measured"),
                 "measured", e->n);
        for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
            add_axis(add(c, columns[i].path, SG_TYPE_F64, 0, columns[i].values, columns[i].about),
                     "measured", e->n);
        }
    }
}

/* Names, keys and labels of the items as arrays. */
struct item_columns {
    char *ids;
    uint64_t *keys;
    int32_t *labels;
    int64_t id_bytes;
    char *classes;
    int64_t class_bytes;
    int64_t n_classes;
};

static void fill_classes(const struct study *s, struct item_columns *columns) {
    for (int64_t k = 0; k < columns->n_classes; k++) {
        const char *name = sg_items_class_name(s->items, k);

        if (name != NULL) {
            (void)snprintf(columns->classes + k * columns->class_bytes,
                           (size_t)columns->class_bytes, "%s", name);
        }
    }
}

static sg_status make_columns(const struct study *s, struct item_columns *out) {
    sg_status status = SG_OK;
    const int64_t n = sg_items_count(s->items);

    out->id_bytes = sg_items_max_name(s->items) + 1;
    out->n_classes = sg_items_n_classes(s->items);
    out->class_bytes = 64;
    out->ids = sg_calloc((size_t)n, (size_t)out->id_bytes);
    out->keys = sg_calloc((size_t)n, sizeof *out->keys);
    out->labels = sg_calloc((size_t)n, sizeof *out->labels);
    out->classes = sg_calloc((size_t)out->n_classes + 1, (size_t)out->class_bytes);
    SG_CHECK(out->ids && out->keys && out->labels && out->classes, SG_E_NOMEM,
             "no memory for the list of items");
    for (int64_t i = 0; i < n; i++) {
        (void)snprintf(out->ids + i * out->id_bytes, (size_t)out->id_bytes, "%s",
                       sg_items_name(s->items, i));
        out->keys[i] = sg_items_key(s->items, i);
        out->labels[i] = (int32_t)sg_items_label(s->items, i);
    }
    fill_classes(s, out);
done:
    return status;
}

static void free_columns(struct item_columns *c) {
    sg_free(c->ids);
    sg_free(c->keys);
    sg_free(c->labels);
    sg_free(c->classes);
}

static void add_items(struct constants *c, const struct study *s,
                      const struct item_columns *columns) {
    const int64_t n = sg_items_count(s->items);

    add_axis(add(c, "items/id", SG_TYPE_TEXT, columns->id_bytes, columns->ids,
                 "canonical name of the item"),
             "item", n);
    add_axis(add(c, "items/noise_key", SG_TYPE_U64, 0, columns->keys,
                 "hash of the name: addresses the item's noise"),
             "item", n);
    add_axis(add(c, "items/label", SG_TYPE_I32, 0, columns->labels, "class number, -1: none"),
             "item", n);
    if (columns->n_classes > 0 && sg_items_class_name(s->items, 0) != NULL) {
        add_axis(add(c, "classes", SG_TYPE_TEXT, columns->class_bytes, columns->classes,
                     "names of the classes"),
                 "class", columns->n_classes);
    }
}

/* Statistics over the data set: the axes of the method's map without its target. */
static void add_statistics(struct constants *c, const struct study *s, const char *label) {
    static const char *const names[CONSTANTS_PER_INSTANCE][2] = {
        {"mean", "mean over the finished items of the first target's map"},
        {"mean_abs", "mean over the finished items of the map's absolute value"},
        {"std", "standard deviation of the map over the finished items, divisor N - 1"}};
    char path[SG_MAX_PATH + 1];
    const struct sg_field *map;

    (void)snprintf(path, sizeof path, "maps/%s/map", label);
    map = sg_record_find(&s->plan->record, path);
    for (int i = 0; i < CONSTANTS_PER_INSTANCE; i++) {
        struct sg_constant *k;

        (void)snprintf(path, sizeof path, "dataset/%s/%s", label, names[i][0]);
        k = add(c, path, SG_TYPE_F32, 0, NULL, names[i][1]);
        for (int a = 1; a < map->n_axes; a++) {
            add_axis(k, map->axes[a].name, map->axes[a].length);
        }
    }
}

/* One text a target, of equal length. The caller frees *out. */
static sg_status target_table(const struct sg_plan *plan, char **out, int64_t *bytes) {
    sg_status status = SG_OK;
    struct sg_text t = {0};

    *bytes = 1;
    for (int pass = 0; pass < 2; pass++) { /* the first one finds the longest */
        for (int64_t i = 0; i < plan->n_targets; i++) {
            t.length = 0;
            sg_plan_target_text(plan, i, &t);
            SG_CHECK(!t.failed, SG_E_NOMEM, "no memory for the provenance");
            if (pass == 0) {
                *bytes = (int64_t)t.length > *bytes ? (int64_t)t.length : *bytes;
            } else {
                memcpy(*out + i * *bytes, t.data, t.length);
            }
        }
        if (pass == 0) {
            *out = sg_calloc((size_t)plan->n_targets, (size_t)*bytes);
            SG_CHECK(*out != NULL, SG_E_NOMEM, "no memory for the provenance");
        }
    }
done:
    sg_text_free(&t);
    return status;
}

/* "3 224 224": channels first, without the batch. */
static void describe_input(const struct sg_shape *input, struct sg_text *out) {
    for (int a = 0; a < input->n_axes; a++) {
        sg_text_add(out, "%s%lld", a > 0 ? " " : "", (long long)input->axes[a]);
    }
}

static void describe_versions(const struct study *s, struct sg_text *out) {
    sg_text_add(out, "sgdist %s, %s, %s, HDF5 %s", SGDIST_VERSION, sg_comm_library(),
                sg_study_kernels(s), sg_store_library());
}

sg_status sg_result_layout(const struct study *s, const double *range, struct sg_reserve *reserve,
                           const char *path) {
    sg_status status = SG_OK;
    const int capacity = FIXED_CONSTANTS + CONSTANTS_PER_INSTANCE * s->job->n_instances;
    struct constants c = {.capacity = capacity};
    struct item_columns columns = {0};
    struct sg_text identity = {0};
    struct sg_text input = {0};
    struct sg_text versions = {0};
    struct sg_text algorithms = {0};
    char phases[SG_N_PHASES * PHASE_BYTES] = {0};
    const unsigned char incomplete = 0;
    char *targets = NULL;
    int64_t target_bytes;
    char *job_file = NULL; /* the whole path, so that pictures are found from any folder */

    c.list = sg_calloc((size_t)capacity, sizeof *c.list);
    SG_CHECK(c.list != NULL, SG_E_NOMEM, "no memory for the provenance");
    SG_TRY(identity_text(s, &identity));
    SG_TRY(make_columns(s, &columns));
    SG_TRY(target_table(s->plan, &targets, &target_bytes));
    describe_input(&s->plan->input, &input);
    describe_versions(s, &versions);
    sg_model_algorithms(s->model, &algorithms);
    SG_CHECK(!versions.failed && !input.failed && !algorithms.failed, SG_E_NOMEM,
             "no memory for the provenance");
    add_text(
        &c, "provenance/identity", identity.data,
        "every setting that decides the numbers, defaults filled in; equal texts, equal studies");
    add_text(&c, "provenance/presets", s->job->presets,
             "instances with the conventions of another tool, and what they have otherwise");
    add_text(&c, "provenance/job_text", s->job->given, "the job file as it was given");
    job_file = realpath(s->job->file, NULL);
    add_text(&c, "provenance/job_file", job_file != NULL ? job_file : s->job->file, "its path");
    add_text(&c, "provenance/model_file", s->job->model_file, "path of the model");
    add_text(&c, "provenance/model_sha256", s->model_sha256, "SHA-256 of the model's file");
    add_text(&c, "provenance/tensor", sg_model_tensor(s->model),
             "the explained tensor, the first of them");
    add_text(&c, "provenance/input", input.data,
             "lengths of the axes of the model's input, without the batch");
    if (s->plan->needs.counts.n_groups > 0) {
        add_text(&c, "provenance/linearised", sg_model_signature(s->model)->gates.linearised,
                 "operators of the network that are no gates, with the number of their nodes");
    }
    add_axis(add(&c, "provenance/targets", SG_TYPE_TEXT, target_bytes, targets,
                 "what is explained, of what tensor"),
             "target", s->plan->n_targets);
    add_text(&c, "provenance/kernel", sg_study_kernels(s),
             "family of kernels: equal ones give equal bits");
    add_text(&c, "provenance/algorithms", algorithms.data,
             "how many convolutions of the network ran by which algorithm");
    add_text(&c, "provenance/versions", versions.data,
             "program and libraries that began the study");
    (void)add(&c, "provenance/seed", SG_TYPE_I64, 0, &s->job->seed, "seed of all noise");
    (void)add(&c, "provenance/complete", SG_TYPE_U8, 0, &incomplete,
              "1: every item has ended, done or failed");
    if (range != NULL) {
        struct sg_constant *k =
            add(&c, "provenance/dataset_range", SG_TYPE_F64, 0, range,
                "least and largest input value of each channel over the data set");
        add_axis(k, "bound", 2);
        add_axis(k, "channel", s->plan->input.axes[0]);
    }
    add_run_tables(&c);
    add_performance(&c, phases);
    add_effect(&c, &s->effect);
    add_items(&c, s, &columns);
    for (int i = 0; i < s->job->n_instances; i++) {
        add_statistics(&c, s, s->job->instances[i].label);
    }
    {
        const struct sg_layout layout = {.record = &s->plan->record,
                                         .n_items = s->plan->n_items,
                                         .n_constants = c.n,
                                         .constants = c.list,
                                         .title = s->job->name};

        if (reserve != NULL) {
            reserve->bytes = sg_layout_bytes(&layout);
        } else {
            SG_TRY(sg_result_create(path, &layout));
        }
    }
done:
    free(job_file);
    sg_free(targets);
    sg_free(c.list);
    free_columns(&columns);
    sg_text_free(&identity);
    sg_text_free(&input);
    sg_text_free(&versions);
    sg_text_free(&algorithms);
    return status;
}
