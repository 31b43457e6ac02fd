/* src/cli/sample.c - `sgdist sample`: single samples of a study made again, for audit. */
#include "cli/arguments.h"
#include "cli/cli.h"
#include "cli/result.h"
#include "sgdist/log.h"
#include "sgdist/memory.h"
#include "sgdist/text.h"
#include "sgdist/worker.h"

#include <stdio.h>
#include <string.h>

struct request {
    struct job_arguments arguments;
    const char *item;
    const char *samples;
    const char *method;
    const char *output;
};

struct answer {
    struct sg_sample_range range;
    int instance;     /* whose sweep and reading it is */
    float *inputs;    /* [n][D] */
    float *gradients; /* [n][n_targets][size of what is read] */
    int32_t *targets; /* [n_targets] */
};

/* By number, or by name. */
static sg_status find_item(const struct study *s, const char *word, int64_t *out) {
    sg_status status = SG_OK;
    const int64_t n = sg_items_count(s->items);
    int64_t number;

    for (int64_t i = 0; i < n; i++) {
        if (strcmp(sg_items_name(s->items, i), word) == 0) {
            *out = i;
            return SG_OK;
        }
    }
    SG_CHECK(sg_text_to_int(word, &number) == SG_OK, SG_E_ARG,
             "--item %s: no item has this name; a number from 0 to %lld works too", word,
             (long long)n - 1);
    SG_CHECK(number >= 0 && number < n, SG_E_ARG, "--item %s: the study has items 0 to %lld", word,
             (long long)n - 1);
    *out = number;
done:
    return status;
}

/* The reading of its sweep that serves the instance; -1: it counts gates. */
static int reading_of(const struct sg_sweep *sweep, int instance) {
    for (int r = 0; r < sweep->n_readings; r++) {
        for (int m = 0; m < sweep->readings[r].n_members; m++) {
            if (sweep->readings[r].members[m] == instance) {
                return r;
            }
        }
    }
    return -1;
}

static int first_with_sweep(const struct sg_plan *plan) {
    int i = 0;

    while (plan->sweep_of[i] != 0) {
        i++;
    }
    return i;
}

static sg_status find_reading(const struct study *s, const char *label, struct answer *a) {
    sg_status status = SG_OK;
    int i = 0;

    SG_CHECK(s->plan->n_sweeps > 0, SG_E_ARG, "%s: none of its methods takes noisy samples",
             s->job->file);
    a->instance = first_with_sweep(s->plan);
    if (label != NULL) {
        while (i < s->job->n_instances && strcmp(s->job->instances[i].label, label) != 0) {
            i++;
        }
        SG_CHECK(i < s->job->n_instances, SG_E_ARG,
                 "--method %s: the job has no method of this label", label);
        SG_CHECK(s->plan->sweep_of[i] >= 0, SG_E_ARG, "--method %s: it takes no noisy samples",
                 label);
        a->instance = i;
    }
    a->range.i_sweep = s->plan->sweep_of[a->instance];
    a->range.i_reading = reading_of(&s->plan->sweeps[a->range.i_sweep], a->instance);
done:
    return status;
}

/* "A:B" is A up to B, B not among them; "A" is A alone. */
static sg_status parse_range(const char *word, int64_t n_draws, int64_t *first, int64_t *n) {
    sg_status status = SG_OK;
    char text[64];
    char *colon;
    int64_t end;

    (void)snprintf(text, sizeof text, "%s", word);
    colon = strchr(text, ':');
    if (colon != NULL) {
        *colon = '\0';
    }
    SG_TRY(sg_text_to_int(text, first));
    end = *first + 1;
    if (colon != NULL) {
        SG_TRY(sg_text_to_int(colon + 1, &end));
    }
    *n = end - *first;
    SG_CHECK(*first >= 0 && *n >= 1 && end <= n_draws, SG_E_ARG,
             "--samples %s: the study draws samples 0 to %lld; A:B takes A to B - 1", word,
             (long long)n_draws - 1);
done:
    return status;
}

static void axis(struct sg_constant *k, const char *name, int64_t length) {
    (void)snprintf(k->axes[k->n_axes].name, sizeof k->axes[0].name, "%s", name);
    k->axes[k->n_axes++].length = length;
}

/* As the axes of maps are called. */
static void tensor_axes(struct sg_constant *k, const char *prefix, const struct sg_shape *shape) {
    static const char *const names[] = {"channel", "z", "y", "x"};

    for (int i = 0; i < shape->n_axes; i++) {
        char name[SG_MAX_AXIS_NAME + 1];

        (void)snprintf(name, sizeof name, "%s%s", prefix, names[i > 0 ? 4 - shape->n_axes + i : 0]);
        axis(k, name, shape->axes[i]);
    }
}

static struct sg_constant constant(const char *path, enum sg_type type, const void *data,
                                   const char *about) {
    struct sg_constant k = {.type = type, .data = data};

    (void)snprintf(k.path, sizeof k.path, "%s", path);
    (void)snprintf(k.about, sizeof k.about, "%s", about);
    return k;
}

static sg_status write_answer(const struct study *s, const struct answer *a, const char *path) {
    sg_status status = SG_OK;
    const struct sg_record none = {0};
    const char *name = sg_items_name(s->items, a->range.item);
    const uint64_t key = sg_items_key(s->items, a->range.item);
    const struct sg_probing *probing = &s->job->instances[a->instance].params.probing;
    const char *layer = probing->layer;
    int64_t *numbers = sg_calloc((size_t)a->range.n, sizeof *numbers);
    struct sg_constant k[] = {
        constant("sample", SG_TYPE_I64, numbers, "number of the sample"),
        constant("inputs", SG_TYPE_F32, a->inputs, "what the network saw, in model-input units"),
        constant("gradients", SG_TYPE_F32, a->gradients,
                 probing->kind == SG_PROBE_PATH ? "what the path to the input adds up"
                                                : "gradient of the target's score"),
        constant("target", SG_TYPE_I32, a->targets, "explained class"),
        constant("item_name", SG_TYPE_TEXT, name, "the item"),
        constant("item_key", SG_TYPE_U64, &key, "its noise key"),
        constant("provenance/identity", SG_TYPE_TEXT, s->job->echo, "settings of the study"),
    };
    enum { N = sizeof k / sizeof k[0], GRADIENTS = 2 };
    struct sg_layout layout = {
        .record = &none, .n_constants = N, .constants = k, .title = "samples of a study"};

    SG_CHECK(numbers != NULL, SG_E_NOMEM, "no memory for the numbers of the samples");
    for (int64_t i = 0; i < a->range.n; i++) {
        numbers[i] = a->range.first + i;
    }
    axis(&k[0], "sample", a->range.n);
    axis(&k[1], "sample", a->range.n);
    tensor_axes(&k[1], "", &s->plan->input);
    axis(&k[2], "sample", a->range.n);
    axis(&k[2], "target", s->plan->n_targets);
    tensor_axes(&k[2], layer[0] != '\0' ? "layer_" : "", sg_plan_read_shape(s->plan, a->instance));
    axis(&k[3], "target", s->plan->n_targets);
    k[4].text_bytes = (int64_t)strlen(name) + 1;
    k[6].text_bytes = (int64_t)strlen(s->job->echo) + 1;
    if (a->range.i_reading < 0) { /* nothing is read sample by sample */
        layout.n_constants--;
        memmove(&k[GRADIENTS], &k[GRADIENTS + 1], (N - GRADIENTS - 1) * sizeof k[0]);
    }
    SG_TRY(sg_result_create(path, &layout));
done:
    sg_free(numbers);
    return status;
}

/* Noise relative to the data set needs the same range as the run had: it is read from all items
 * again. */
static sg_status data_range(const struct sg_comm *world, const struct study *s, double *range) {
    return s->plan->scans_dataset
               ? sg_scan_dataset(world, s->plan, s->items, range, range + s->plan->input.axes[0])
               : SG_OK;
}

static sg_status take_samples(const struct request *q, const struct study *s, const double *range,
                              struct answer *a) {
    sg_status status = SG_OK;
    struct sg_worker *worker = NULL;
    const size_t d = (size_t)sg_shape_size(&s->plan->input);
    const size_t n_targets = (size_t)s->plan->n_targets;
    size_t n_read;

    SG_TRY(sg_study_check_draws(s));
    SG_TRY(find_item(s, q->item, &a->range.item));
    SG_TRY(find_reading(s, q->method, a));
    SG_TRY(parse_range(q->samples, s->plan->sweeps[a->range.i_sweep].n_draws, &a->range.first,
                       &a->range.n));
    n_read = (size_t)sg_shape_size(sg_plan_read_shape(s->plan, a->instance));
    a->inputs = sg_malloc_aligned((size_t)a->range.n * d, sizeof *a->inputs);
    a->gradients = sg_malloc_aligned((size_t)a->range.n * n_targets * n_read, sizeof *a->gradients);
    a->targets = sg_calloc(n_targets, sizeof *a->targets);
    SG_CHECK(a->inputs != NULL && a->gradients != NULL && a->targets != NULL, SG_E_NOMEM,
             "no memory for %lld samples; ask for fewer", (long long)a->range.n);
    SG_TRY(sg_cli_lone_worker(s, s->plan->scans_dataset ? range : NULL, &worker));
    SG_TRY(sg_worker_samples(worker, &a->range, a->inputs, a->gradients, a->targets));
    SG_TRY(write_answer(s, a, q->output));
    sg_log(SG_LOG_INFO, "%s: samples %lld to %lld of %s", q->output, (long long)a->range.first,
           (long long)(a->range.first + a->range.n - 1), sg_items_name(s->items, a->range.item));
done:
    sg_worker_destroy(worker);
    return status;
}

/* All ranks read what must be read of every item, the first one answers. */
static sg_status sample(const struct sg_comm *world, const struct request *q) {
    sg_status status = SG_OK;
    struct study study = {0};
    struct answer a = {0};
    double range[2 * SG_MAX_CHANNELS];

    SG_TRY(sg_study_open(world, &q->arguments, &study));
    SG_TRY(sg_agree(world, data_range(world, &study, range)));
    SG_TRY(sg_agree(world, sg_comm_rank(world) == 0 ? take_samples(q, &study, range, &a) : SG_OK));
done:
    sg_free(a.inputs);
    sg_free(a.gradients);
    sg_free(a.targets);
    sg_study_close(&study);
    return status;
}

int sg_cli_sample(int argc, char **argv) {
    static const char *const operand_names[] = {"the job file"};
    struct request q = {.arguments = {.n_sets = 0}};
    const struct option_row options[] = {
        {"item", "I", "the item: its number from 0, or its name", NULL, &q.item, NULL, NULL},
        {"samples", "A:B", "samples A to B - 1, or one sample A", NULL, &q.samples, NULL, NULL},
        {"output", "F.h5", "file to write (also -o)", NULL, &q.output, NULL, NULL},
        {"method", "LABEL", "a method of the sweep (default: the first sweep)", NULL, &q.method,
         NULL, NULL},
        {"set", "KEY=VALUE", "override a key of the job", NULL, NULL, q.arguments.sets,
         &q.arguments.n_sets},
        {NULL, NULL, NULL, NULL, NULL, NULL, NULL}};
    const struct verb_options v = {
        .verb = "sample",
        .usage = "sample JOB.yaml --item I --samples A:B -o F.h5 [options]",
        .about = "Makes single samples of a study again, bit for bit: noisy inputs and gradients.",
        .n_operands = 1,
        .operand_names = operand_names,
        .operands = &q.arguments.file,
        .options = options};
    struct sg_comm *world = NULL;
    int go_on;
    int exit_code = sg_cli_parse(&v, argc, argv, &go_on);
    sg_status status;

    if (!go_on) {
        return exit_code;
    }
    if (q.item == NULL || q.samples == NULL || q.output == NULL) {
        return sg_cli_usage("sample", "--item, --samples and -o are needed");
    }
    sg_single_thread(argv - 1);
    if (sg_start_ranks(&argc, &argv, &world) != SG_OK) {
        return SG_EXIT_INTERNAL;
    }
    sg_log_setup(SG_LOG_INFO, sg_comm_rank(world));
    status = sample(world, &q);
    sg_comm_stop(world);
    return sg_status_exit_code(status);
}
