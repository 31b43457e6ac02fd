/* tests/unit/worker/worker_test.h - a study small enough to be looked through: a network of known
 * weights, three pictures of 4 x 4, one worker, and a master that does what the test says. */
#ifndef WORKER_TEST_H
#define WORKER_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above */
#include <cmocka.h>

#include "net/model_bytes.h"
#include "sgdist/memory.h"
#include "sgdist/store.h"
#include "worker/worker_impl.h"

#include <ftw.h>
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { D = 16, HIDDEN = 4, CLASSES = 3, ITEMS = 3 };

/* y = V relu(U x + b): units 0 to 2 are ordinary, unit 3 may be a spike that noise seldom wakes. */
struct weights {
    float u[HIDDEN][D];
    float b[HIDDEN];
    float v[CLASSES][HIDDEN];
};

static inline struct weights ordinary_weights(void) {
    struct weights w;

    for (int j = 0; j < HIDDEN; j++) {
        for (int i = 0; i < D; i++) {
            w.u[j][i] = 0.5f * sinf((float)(1 + j * D + i)); /* any numbers will do */
        }
        w.b[j] = 0.25f * (float)j;
        for (int k = 0; k < CLASSES; k++) {
            w.v[k][j] = 0.75f * cosf((float)(2 + k * HIDDEN + j));
        }
    }
    return w;
}

/* Unit 3 looks at the first pixel alone, and wakes where that is above `threshold`. */
static inline struct weights spiked_weights(float threshold, float in, float out) {
    struct weights w = ordinary_weights();

    memset(w.u[3], 0, sizeof w.u[3]);
    w.u[3][0] = in;
    w.b[3] = -in * threshold;
    for (int k = 0; k < CLASSES; k++) {
        w.v[k][3] = out;
    }
    return w;
}

static inline void put_tensor(struct bytes *g, const char *name, int n_axes, const int64_t *axes,
                              const float *values) {
    size_t n = sizeof *values;

    for (int i = 0; i < n_axes; i++) {
        n *= (size_t)axes[i];
    }
    put_part(g, 5, tensor_of(name, n_axes, axes, 1, values, n));
}

static inline void put_gemm(struct bytes *g, const char *in, const char *weights, const char *bias,
                            const char *out) {
    struct bytes n = node_of("Gemm", out, in, weights, out);

    if (bias != NULL) {
        put_text(&n, 1, bias);
    }
    put_attribute_int(&n, "transB", 1);
    put_part(g, 1, n);
}

static inline struct bytes model_bytes(const struct weights *w) {
    struct bytes g = {0};

    put_part(&g, 11, value_of("x", 1, 4, (const int64_t[]){-1, 1, 4, 4}));
    put_tensor(&g, "u", 2, (const int64_t[]){HIDDEN, D}, &w->u[0][0]);
    put_tensor(&g, "b", 1, (const int64_t[]){HIDDEN}, w->b);
    put_tensor(&g, "v", 2, (const int64_t[]){CLASSES, HIDDEN}, &w->v[0][0]);
    put_part(&g, 1, node_of("Flatten", "flat", "x", NULL, "f"));
    put_gemm(&g, "f", "u", "b", "h");
    put_part(&g, 1, node_of("Relu", "relu", "h", NULL, "r"));
    put_gemm(&g, "r", "v", NULL, "y");
    put_part(&g, 12, value_of("y", 1, 2, (const int64_t[]){-1, CLASSES}));
    return model_of(13, g);
}

/* ---- the study ---- */

struct study {
    char folder[64];
    char result[96];
    struct bytes model_file;
    struct sg_job *job;
    struct sg_model *model;
    struct sg_items *items;
    struct sg_plan *plan;
    int64_t n_allocated; /* before: a test that fails leaves some behind, the next one must not */
};

static inline void write_images(const char *folder) {
    unsigned char head[16] = {0, 0, 8, 3, 0, 0, 0, ITEMS, 0, 0, 0, 4, 0, 0, 0, 4};
    char path[96];
    FILE *f;

    (void)snprintf(path, sizeof path, "%s/images", folder);
    f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(head, 1, sizeof head, f), sizeof head);
    for (int i = 0; i < ITEMS * D; i++) {
        (void)fputc(i * 37 % 256, f);
    }
    assert_int_equal(fclose(f), 0);
    (void)snprintf(path, sizeof path, "%s/net.onnx", folder);
    f = fopen(path, "wb"); /* jobs name a model; the bytes go to it by hand */
    assert_non_null(f);
    (void)fclose(f);
}

/* `rest`: the job's YAML behind model and data. */
static inline void study_open(struct study *s, const struct weights *w, const char *rest) {
    char text[2048];
    char path[96];
    int n;

    *s = (struct study){.folder = "/tmp/sgdist-worker-XXXXXX", .n_allocated = sg_memory_balance()};
    assert_non_null(mkdtemp(s->folder));
    write_images(s->folder);
    n = snprintf(text, sizeof text,
                 "model: {file: net.onnx}\n"
                 "data: {idx: images, domain: {bounds: [0, 1]}}\n%s",
                 rest);
    assert_in_range(n, 1, sizeof text - 1);
    (void)snprintf(path, sizeof path, "%s/job.yaml", s->folder);
    (void)snprintf(s->result, sizeof s->result, "%s/out.h5", s->folder);
    s->model_file = model_bytes(w);
    if (sg_job_parse(text, strlen(text), path, NULL, 0, &s->job) != SG_OK ||
        sg_model_open(s->model_file.data, s->model_file.n, "net.onnx",
                      &(struct sg_explain){.n_tensors = s->job->n_tensors,
                                           .tensors = s->job->tensors,
                                           .n_layers = s->job->n_layers,
                                           .layers = s->job->layers},
                      &s->model) != SG_OK ||
        sg_model_place(s->model, NULL, 1) != SG_OK ||
        sg_items_open(&s->job->data, sg_model_input(s->model), &s->items) != SG_OK ||
        sg_plan_create(s->job, sg_model_signature(s->model), s->items, &s->plan) != SG_OK) {
        fail_msg("the study was refused: %s", sg_trace_message());
    }
}

static inline int remove_entry(const char *path, const struct stat *st, int kind,
                               struct FTW *place) {
    (void)st;
    (void)kind;
    (void)place;
    return remove(path);
}

static inline void study_close(struct study *s) {
    sg_plan_destroy(s->plan);
    sg_items_close(s->items);
    sg_model_destroy(s->model);
    sg_job_destroy(s->job);
    free(s->model_file.data);
    (void)nftw(s->folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    assert_int_equal(sg_memory_balance(), s->n_allocated);
}

/* ---- the master's part ---- */

/* Gives one item, may ask for a stop at one of the worker's questions, and keeps what comes back.
 * The worker asks when it opens an item (question 0) and at every meeting. */
struct fake {
    struct sg_worker *worker;
    int64_t item;
    int n_given;
    int n_questions;
    int stop_at;    /* the number of the question, or -1 */
    double older_s; /* the item is made to look as if it had begun so much earlier */
    struct sg_outcome outcome;
    int n_outcomes;
    char *record; /* a copy, or NULL */
    struct sg_phases phases;
    double seconds; /* from the worker's creation to the end of its loop */
};

static inline int fake_next(void *context, struct sg_order *order) {
    struct fake *f = context;

    *order = (struct sg_order){.kind = f->n_given++ == 0 ? SG_ORDER_ITEM : SG_ORDER_END,
                               .item = f->item};
    return 1;
}

static inline void fake_deliver(void *context, const struct sg_outcome *outcome, const void *record,
                                int64_t record_bytes) {
    struct fake *f = context;

    f->outcome = *outcome;
    f->n_outcomes++;
    if (record != NULL) {
        f->record = malloc((size_t)record_bytes);
        assert_non_null(f->record);
        memcpy(f->record, record, (size_t)record_bytes);
    }
}

/* Meetings follow the clock, and these blocks take microseconds: the clock is turned back, so that
 * the team meets after every block. */
static inline int fake_stop_requested(void *context) {
    struct fake *f = context;

    f->worker->met_s -= 1e6;
    f->worker->item.begun_s -= f->n_questions == 0 ? f->older_s : 0;
    return f->n_questions++ == f->stop_at;
}

static inline void worker_open(const struct study *s, struct fake *f, struct sg_worker **out) {
    const struct sg_worker_options options = {.plan = s->plan,
                                              .model = s->model,
                                              .items = s->items,
                                              .upstream = {.context = f,
                                                           .next = fake_next,
                                                           .deliver = fake_deliver,
                                                           .stop_requested = fake_stop_requested},
                                              .result = s->result,
                                              .identity = 7};

    assert_int_equal(sg_worker_create(&options, out), SG_OK);
    f->worker = *out;
}

/* One process's life: a new worker, one item, at most one stop. */
static inline void run_fake(const struct study *s, struct fake *f) {
    struct sg_worker *w = NULL;
    const double begun = sg_now();

    worker_open(s, f, &w);
    sg_worker_run(w);
    f->seconds = sg_now() - begun;
    f->phases = *sg_worker_phases(w);
    sg_worker_destroy(w);
    assert_int_equal(f->n_outcomes, 1);
    assert_int_equal(f->outcome.item, f->item);
}

static inline struct fake run_item(const struct study *s, int64_t item, int stop_at) {
    struct fake f = {.item = item, .stop_at = stop_at};

    run_fake(s, &f);
    return f;
}

static inline void *at(const struct study *s, const struct fake *f, const char *path) {
    return sg_record_at(&s->plan->record, f->record, path);
}

static inline int status_of(const struct study *s, const struct fake *f) {
    return *(const unsigned char *)at(s, f, SG_FIELD_STATUS);
}

static inline void forget(struct fake *f) {
    free(f->record);
    f->record = NULL;
}

/* items/seconds, and cost/<label>/seconds. */
static inline int is_time(const struct sg_field *f) {
    const char *last = strrchr(f->path, '/');

    return last != NULL && strcmp(last, "/seconds") == 0;
}

/* All bytes of two records are equal but the times that the item and its methods took. */
static inline void assert_same_record(const struct study *s, const struct fake *a,
                                      const struct fake *b) {
    assert_non_null(a->record);
    assert_non_null(b->record);
    for (int i = 0; i < s->plan->record.n_fields; i++) {
        const struct sg_field *f = &s->plan->record.fields[i];

        if (!is_time(f) &&
            memcmp(a->record + f->offset, b->record + f->offset, (size_t)f->bytes) != 0) {
            fail_msg("%s differs", f->path);
        }
    }
}

/* Noisy inputs and gradients of all draws of a sweep, as `sgdist sample` gives them. */
struct samples {
    int64_t n;
    float *inputs;    /* [n][D] */
    float *gradients; /* [n][n_targets][D] */
    int32_t targets[CLASSES];
};

static inline struct samples take_samples(const struct study *s, int64_t item, int sweep) {
    struct samples a = {.n = s->plan->sweeps[sweep].n_draws};
    const size_t n = (size_t)a.n * D;
    struct fake f = {.stop_at = -1};
    struct sg_worker *w = NULL;

    a.inputs = calloc(n, sizeof *a.inputs);
    a.gradients = calloc(n * (size_t)s->plan->n_targets, sizeof *a.gradients);
    assert_true(a.inputs != NULL && a.gradients != NULL);
    worker_open(s, &f, &w);
    assert_int_equal(
        sg_worker_samples(w, &(struct sg_sample_range){.item = item, .i_sweep = sweep, .n = a.n},
                          a.inputs, a.gradients, a.targets),
        SG_OK);
    sg_worker_destroy(w);
    return a;
}

static inline void free_samples(struct samples *a) {
    free(a->inputs);
    free(a->gradients);
}

static inline const float *gradient_of(const struct study *s, const struct samples *a, int64_t k,
                                       int64_t target) {
    return a->gradients + (k * s->plan->n_targets + target) * D;
}

static inline void assert_close(double value, double expected, double tolerance) {
    if (!(fabs(value - expected) <= tolerance)) {
        fail_msg("%.9g is not within %g of %.9g", value, tolerance, expected);
    }
}

#endif
