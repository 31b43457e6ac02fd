/* tests/unit/job/test_plan.c - sweeps, stages, the record, what does not fit, and the print. */
#include "job/job_text.h"

#include "sgdist/plan.h"
#include "sgdist/worker.h"

#include <unistd.h>

enum { N_ITEMS = 12, SIDE = 6 };

static struct {
    char folder[32];
    struct sg_shape input;
    struct sg_job *job;
    struct sg_items *items;
    struct sg_plan *plan;
} now;

/* IDX: two zero bytes, type 8 (unsigned bytes), number of axes, lengths in big-endian order. */
static void write_idx(const char *name, int n_axes, int64_t n_bytes) {
    const unsigned char head[16] = {
        0, 0, 8, (unsigned char)n_axes, 0, 0, 0, N_ITEMS, 0, 0, 0, SIDE, 0, 0, 0, SIDE};
    char path[64];
    FILE *f;

    (void)snprintf(path, sizeof path, "%s/%s", now.folder, name);
    f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(head, 1, 4 + 4 * (size_t)n_axes, f), 4 + 4 * n_axes);
    for (int64_t i = 0; i < n_bytes; i++) {
        assert_true(fputc((int)(i % 7), f) != EOF);
    }
    assert_int_equal(fclose(f), 0);
}

static int make_data(void **state) {
    (void)state;
    (void)snprintf(now.folder, sizeof now.folder, "/tmp/sgdist-plan-XXXXXX");
    assert_non_null(mkdtemp(now.folder));
    write_idx("images", 3, N_ITEMS * SIDE * SIDE);
    write_idx("labels", 1, N_ITEMS); /* 0 to 6 */
    now.input = (struct sg_shape){.n_axes = 3, .axes = {1, SIDE, SIDE}};
    return 0;
}

static int remove_data(void **state) {
    char path[64];

    (void)state;
    (void)snprintf(path, sizeof path, "%s/images", now.folder);
    (void)unlink(path);
    (void)snprintf(path, sizeof path, "%s/labels", now.folder);
    (void)unlink(path);
    return rmdir(now.folder);
}

static void drop(void) {
    sg_plan_destroy(now.plan);
    sg_items_close(now.items);
    sg_job_destroy(now.job);
    now.plan = NULL;
    now.items = NULL;
    now.job = NULL;
    assert_int_equal(sg_memory_balance(), 0);
}

/* A model of one vector of outputs, with a layer 'conv' of 4 x 3 x 3. */
static const struct sg_signature *signature(int64_t n_outputs) {
    static struct sg_tensor output;
    static const struct sg_tensor layer = {
        .name = "conv", .shape = {.n_axes = 3, .axes = {4, 3, 3}}, .size = 36};
    static struct sg_signature s;

    output = (struct sg_tensor){
        .name = "y", .shape = {.n_axes = 1, .axes = {n_outputs}}, .size = n_outputs};
    s = (struct sg_signature){.input = {.name = "x", .shape = now.input},
                              .n_outputs = 1,
                              .outputs = &output,
                              .n_elements = n_outputs,
                              .n_layers = 1,
                              .layers = &layer,
                              .gates = {.n_counters = 100,
                                        .n_slopes = 36,
                                        .largest = 64,
                                        .n_linearised = 1,
                                        .linearised = "1 Softmax"}};
    return &s;
}

/* Plans the job that has `rest` behind model and data, for K outputs. */
static sg_status plan(const char *rest, int64_t n_outputs) {
    char text[2048];

    (void)snprintf(text, sizeof text,
                   "model: {file: net.onnx}\ndata: {idx: %s/images, labels: %s/labels, domain: "
                   "{bounds: [0, 1]}}\n%s",
                   now.folder, now.folder, rest);
    now.job = good(text, NULL);
    assert_int_equal(sg_items_open(&now.job->data, &now.input, &now.items), SG_OK);
    return sg_plan_create(now.job, signature(n_outputs), now.items, &now.plan);
}

static void plan_good(const char *rest) {
    if (plan(rest, 10) != SG_OK) {
        fail_msg("%s", sg_trace_message());
    }
}

static int sweep_of(const char *label) {
    for (int i = 0; i < now.job->n_instances; i++) {
        if (strcmp(now.job->instances[i].label, label) == 0) {
            return now.plan->sweep_of[i];
        }
    }
    fail_msg("no instance %s", label);
    return -1;
}

static void equal_samples_share_a_sweep(void **state) {
    (void)state;
    plan_good("methods:\n"
              "- [smoothgrad, smoothgrad_squared, gradient]\n"
              "- {method: vargrad, channels: sum, divisor: population}\n"
              "- {method: smoothgrad, as: more, samples: 64}\n"
              "- {method: smoothgrad, as: wide, noise: {level: 0.3}}\n"
              "- {method: smoothgrad, as: clip, noise: {outside: clip}}\n"
              "- {method: vargrad, as: wide2, noise: {level: 0.3}, standard_error: false}\n"
              "- adaptgrad\n"
              "- {method: adaptgrad, as: same, channels: l2}\n"
              "- {method: adaptgrad, confidence: [0.9]}\n");
    assert_int_equal(sweep_of("gradient"), -1);
    assert_int_equal(sweep_of("smoothgrad"), 0);
    assert_int_equal(sweep_of("smoothgrad_squared"), 0);
    assert_int_equal(sweep_of("vargrad"), 0);
    assert_int_equal(sweep_of("more"), 1);
    assert_int_equal(sweep_of("wide"), 2);
    assert_int_equal(sweep_of("clip"), 3);
    assert_int_equal(sweep_of("wide2"), 2);
    assert_int_equal(sweep_of("adaptgrad"), 4);
    assert_int_equal(sweep_of("same"), 4);
    assert_int_equal(sweep_of("adaptgrad-c0.9"), 5);
    assert_int_equal(now.plan->n_sweeps, 6);
    assert_int_equal(now.plan->sweeps[0].readings[0].n_members, 3);
    assert_int_equal(now.plan->per_item.backwards, 1 + 50 + 64 + 4 * 50);
    drop();
}

/* A sweep keeps what its most demanding member wants. */
static void powers_and_groups_are_the_most(void **state) {
    (void)state;
    plan_good("methods: [smoothgrad, vargrad]\n");
    for (int i = 0; i < 2; i++) {
        const struct sg_instance *inst = &now.job->instances[i];

        assert_true(now.plan->sweeps[0].readings[0].n_powers >= sg_instance_n_powers(inst));
        assert_true(now.plan->sweeps[0].readings[0].n_groups >= sg_instance_n_groups(inst));
    }
    assert_int_equal(now.plan->sweeps[0].readings[0].n_powers,
                     sg_instance_n_powers(&now.job->instances[1]));
    assert_int_equal(now.plan->sweeps[0].readings[0].n_groups,
                     SG_SUMS_MAX_GROUPS); /* VarGrad's jackknife */
    drop();
}

static void options_that_do_not_matter_do_not_part(void **state) {
    (void)state;
    plan_good("methods:\n- {method: smoothgrad, noise: {sigma: 0.1}}\n"
              "- {method: smoothgrad, as: b, noise: {sigma: 0.1, space: pixel}}\n"
              "- {method: smoothgrad, as: c, channels: sum, noise: {sigma: 1e-1}}\n"
              "sampling: {noise: {range: domain}}\n");
    assert_int_equal(sweep_of("c"), 0);
    assert_int_equal(sweep_of("b"), 1);
    drop();
}

static void blocks_round_up(void **state) {
    static const struct {
        int samples, block, blocks;
    } rows[] = {{1, 16, 1}, {16, 16, 1}, {17, 16, 2}, {50, 16, 4}, {50, 1, 50}, {3, 4096, 1}};
    char text[200];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        (void)snprintf(text, sizeof text,
                       "methods: [smoothgrad]\nsampling: {samples: %d, block: %d}\n",
                       rows[i].samples, rows[i].block);
        plan_good(text);
        assert_int_equal(now.plan->sweeps[0].n_blocks, rows[i].blocks);
        drop();
    }
    plan_good("methods: [smoothgrad]\nsampling: {samples: 17, noise: {clean: one_of_n}}\n");
    assert_int_equal(now.plan->sweeps[0].n_draws, 16);
    assert_int_equal(now.plan->sweeps[0].n_blocks, 1);
    drop();
}

/* Draws of the weights have blocks of their own, at whose ends the stages are. */
static void draws_have_blocks_of_their_own(void **state) {
    static const int64_t ends[] = {2, 4, 6, 8, 12};
    static const int64_t first[] = {0, 16, 20, 36, 40};
    const struct sg_sweep *s;

    (void)state;
    plan_good("methods: [{method: fusiongrad, samples: 20, weights: {draws: 6}}]\n");
    s = &now.plan->sweeps[0];
    assert_int_equal(s->n_draws, 120);
    assert_int_equal(s->n_blocks, 12);
    assert_int_equal(s->batch, 16);
    assert_int_equal(s->n_stages, 5);
    assert_memory_equal(s->stage_ends, ends, sizeof ends);
    for (int b = 0; b < 5; b++) {
        assert_int_equal(sg_sweep_draw(s, b), b / 2);
        assert_int_equal(sg_sweep_first(s, b), first[b]);
        assert_int_equal(sg_sweep_n(s, b), b % 2 == 0 ? 16 : 4);
        for (int64_t k = 0; k < sg_sweep_n(s, b); k++) {
            assert_int_equal(sg_sweep_block(s, first[b] + k), b);
        }
    }
    drop();
}

/* Equal noise on the weights is drawn once, and no batch has places that nothing needs. */
static void draws_and_batches_are_shared(void **state) {
    const struct sg_plan *p;

    (void)state;
    plan_good(
        "methods: [gradient, smoothgrad, {method: noisegrad, weights: {draws: 20}}, fusiongrad, "
        "{method: [smoothgrad, vargrad], as: noisy, weights: {}}, "
        "{method: noisegrad, as: other, weights: {tau: 0.1}}]\n");
    p = now.plan;
    assert_int_equal(p->n_sweeps, 4); /* smoothgrad; noisegrad; fusiongrad and two; other */
    assert_int_equal(sweep_of("noisy-smoothgrad"), sweep_of("fusiongrad"));
    assert_int_equal(sweep_of("noisy-vargrad"), sweep_of("fusiongrad"));
    assert_int_equal(p->sweeps[sweep_of("smoothgrad")].weights, -1);
    assert_int_equal(p->n_weights, 2);
    assert_int_equal(p->weights[0].n_draws, 20);
    assert_int_equal(p->weights[1].n_draws, 10);
    assert_int_equal(p->weights[1].first, 20);
    assert_int_equal(p->n_weight_draws, 30);
    assert_int_equal(p->n_batches, 3);
    assert_int_equal(p->batches[0], 16); /* smoothgrad */
    assert_int_equal(p->batches[1], 10); /* fusiongrad */
    assert_int_equal(p->batches[2], 1);
    drop();
}

static void stages_grow_by_the_root_of_two(void **state) {
    static const int64_t first[] = {1,  2,  3,  4,  6,   8,   11,  16,  23,
                                    32, 45, 64, 91, 128, 181, 256, 362, 512};
    int64_t ends[96];
    int64_t few[4];

    (void)state;
    assert_int_equal(sg_plan_stage_ends(512, ends, 96), 18);
    assert_memory_equal(ends, first, sizeof first);
    for (int64_t n_blocks = 1; n_blocks < 3000; n_blocks++) {
        const int n = sg_plan_stage_ends(n_blocks, ends, 96);

        assert_int_equal(ends[n - 1], n_blocks);
        for (int i = 0; i < n; i++) {
            assert_true(i == 0 ? ends[0] == 1 : ends[i] > ends[i - 1]);
            assert_true(i >= 17 || i == n - 1 || ends[i] == first[i]);
        }
    }
    assert_true(sg_plan_stage_ends(INT64_C(1) << 31, ends, 96) < 96);
    assert_int_equal(sg_plan_stage_ends(512, few, 4), 4);
    assert_int_equal(few[3], 512);
    assert_int_equal(sg_plan_stage_ends(0, ends, 96), 0);
}

static void assert_field(const char *path, enum sg_type type, int n_axes, const char *axes,
                         int64_t bytes) {
    const struct sg_field *f = sg_record_find(&now.plan->record, path);
    char names[100] = "";

    if (f == NULL) {
        fail_msg("no field %s", path);
        return;
    }
    for (int i = 0; i < f->n_axes; i++) {
        (void)snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s",
                       i > 0 ? "," : "", f->axes[i].name);
    }
    assert_int_equal(f->type, type);
    assert_int_equal(f->n_axes, n_axes);
    assert_string_equal(names, axes);
    assert_int_equal(f->bytes, bytes);
    assert_true(strlen(f->about) > 10 && strlen(f->about) + 1 < sizeof f->about);
}

static void the_record_holds_what_is_promised(void **state) {
    const int64_t map = 3 * SIDE * SIDE * 4;
    const int64_t stages = 3 * 4 * 8;

    (void)state;
    plan_good("methods: [gradient, smoothgrad, {method: vargrad, channels: sum, standard_error: "
              "false}]\ntarget: {top: 3}\n");
    assert_int_equal(now.plan->max_stages, 4);
    assert_field(SG_FIELD_STATUS, SG_TYPE_U8, 0, "", 1);
    assert_field(SG_FIELD_MESSAGE, SG_TYPE_TEXT, 0, "", SG_MESSAGE_BYTES);
    assert_field(SG_FIELD_PREDICTED, SG_TYPE_I32, 0, "", 4);
    assert_field(SG_FIELD_TARGET, SG_TYPE_I32, 1, "target", 12);
    assert_field(SG_FIELD_SCORE, SG_TYPE_F64, 1, "target", 24);
    assert_field(SG_FIELD_PROBABILITY, SG_TYPE_F64, 1, "target", 24);
    assert_field(SG_FIELD_NONFINITE, SG_TYPE_I64, 0, "", 8);
    assert_field("items/forwards", SG_TYPE_I64, 0, "", 8);
    assert_field("items/backwards", SG_TYPE_I64, 0, "", 8);
    assert_field("items/seconds", SG_TYPE_F64, 0, "", 8);
    assert_field("maps/smoothgrad/map", SG_TYPE_F32, 4, "target,channel,y,x", map);
    assert_field("maps/smoothgrad/se", SG_TYPE_F32, 4, "target,channel,y,x", map);
    assert_field("maps/smoothgrad/samples", SG_TYPE_I64, 1, "target", 24);
    assert_field("maps/smoothgrad/sigma", SG_TYPE_F64, 1, "channel", 8);
    assert_field("maps/smoothgrad/out_of_range", SG_TYPE_F64, 0, "", 8);
    assert_field("maps/vargrad/map", SG_TYPE_F32, 3, "target,y,x", map);
    assert_field("convergence/vargrad/samples", SG_TYPE_I64, 2, "target,stage", stages);
    assert_field("convergence/vargrad/norm", SG_TYPE_F64, 2, "target,stage", stages);
    assert_field("convergence/vargrad/error", SG_TYPE_F64, 2, "target,stage", stages);
    assert_field("convergence/vargrad/relative_error", SG_TYPE_F64, 2, "target,stage", stages);
    assert_field("convergence/vargrad/change", SG_TYPE_F64, 2, "target,stage", stages);
    assert_field("maps/gradient/map", SG_TYPE_F32, 4, "target,channel,y,x", map);
    assert_null(sg_record_find(&now.plan->record, "maps/vargrad/se"));
    assert_null(sg_record_find(&now.plan->record, "maps/gradient/sigma"));
    assert_null(sg_record_find(&now.plan->record, "convergence/gradient/norm"));
    assert_true(now.plan->result_bytes >= N_ITEMS * (4 * map + 10 * stages));
    assert_true(now.plan->result_bytes <= N_ITEMS * (now.plan->record.bytes + 300));
    drop();
}

/* Gates are counted on the forward passes of a sweep's readings; without these nothing goes
 * backward but through their means, not even at the item. */
static void gates_belong_to_the_sweep(void **state) {
    const struct sg_sweep *s;

    (void)state;
    plan_good("methods: [smoothgrad, smoothdiff, {method: smoothdiff, as: scaled, scale: "
              "smoothgrad, standard_error: false}]\ntarget: {top: 3}\n");
    s = &now.plan->sweeps[0];
    assert_int_equal(now.plan->n_sweeps, 1);
    assert_int_equal(s->n_readings, 1);
    assert_int_equal(s->gates.n_members, 2);
    assert_int_equal(s->gates.n_groups, 16);
    assert_int_equal(now.plan->per_item.forwards, 1 + s->n_draws + 2);
    assert_int_equal(now.plan->per_item.backwards, 3 * (1 + s->n_draws + 17 + 1));
    drop();
    plan_good("methods: [{method: smoothdiff, groups: 4}]\ntarget: {top: 3}\n");
    s = &now.plan->sweeps[0];
    assert_int_equal(s->n_readings, 0);
    assert_int_equal(now.plan->per_item.forwards, 1 + s->n_draws + 1);
    assert_int_equal(now.plan->per_item.backwards, 3 * (1 + 4));
    drop();
}

/* The forecast is what a worker says that it takes, whichever sweep is the largest. */
static void memory_is_what_a_worker_takes(void **state) {
    static const char *const rests[] = {
        "methods: [gradient]\n",
        "methods: [smoothgrad]\ntarget: {top: 3}\n",
        "methods: [vargrad, {method: adaptgrad, samples: 1e6}]\nsampling: {block: 3}\n",
        "methods: [integrated_gradients]\ntarget: {top: 3}\n",
        "methods: [[left_ig, right_ig], {method: vargrad, of: guided_ig}, expected_gradients]\n",
        "methods: [smoothdiff]\nmaps: {channels: l2}\n",
        ("methods: [vargrad, smoothdiff, {method: smoothdiff, as: s, scale: smoothgrad, groups: "
         "4}, "
         "{method: smoothdiff, as: n, samples: 200, standard_error: false}]\ntarget: {top: 3}\n")};

    (void)state;
    for (size_t i = 0; i < sizeof rests / sizeof rests[0]; i++) {
        plan_good(rests[i]);
        assert_int_equal(now.plan->sums_bytes, sg_worker_bytes(now.plan));
        drop();
    }
}

/* A second target adds its sums, their copy for a checkpoint, and its clean gradient. */
static void memory_grows_with_targets(void **state) {
    int64_t bytes[3];
    int64_t sums = 0;

    (void)state;
    for (int top = 1; top < 3; top++) {
        char text[100];

        (void)snprintf(text, sizeof text, "methods: [smoothgrad]\ntarget: {top: %d}\n", top);
        plan_good(text);
        bytes[top] = now.plan->sums_bytes - 3 * now.plan->record.bytes;
        sums = sg_sums_bytes(SIDE * SIDE, now.plan->sweeps[0].readings[0].n_powers,
                             now.plan->sweeps[0].readings[0].n_groups);
        drop();
    }
    assert_int_equal(bytes[2] - bytes[1], 2 * sums + SIDE * SIDE * (int64_t)sizeof(float));
}

static void the_data_set_is_scanned_where_noise_asks(void **state) {
    (void)state;
    plan_good("methods: [smoothgrad]\n");
    assert_false(now.plan->scans_dataset);
    drop();
    plan_good("methods: [gradient]\nsampling: {noise: {range: dataset}}\n");
    assert_false(now.plan->scans_dataset);
    drop();
    plan_good("methods: [smoothgrad]\nsampling: {noise: {range: dataset}}\n");
    assert_true(now.plan->scans_dataset);
    drop();
}

static void what_does_not_fit_is_refused(void **state) {
    static const struct {
        const char *rest;
        int64_t n_outputs;
        const char *words;
    } rows[] = {
        {"methods: [gradient]\ntarget: {class: 10}\n", 10,
         "jobs/x.yaml: target.class: 10 is not a class of the model; it has 10 outputs, 0 to 9"},
        {"methods: [gradient]\ntarget: {top: 11}\n", 10, "target.top: 11 is more than the 10"},
        {"methods: [gradient]\ntarget: label\n", 6, "the label 6 of the item 'images#6'"},
        {"methods: [vargrad]\nsampling: {samples: 1}\n", 10,
         "methods.vargrad.samples: 1 is too few, vargrad needs 2"},
        {"methods: [vargrad]\nsampling: {samples: 2, noise: {clean: one_of_n}}\n", 10,
         "methods.vargrad.samples: 2 are too few, vargrad needs 3 where the clean input is one"},
        {"methods: [smoothgrad]\nsampling: {noise: {channels: [1]}}\n", 10,
         "methods.smoothgrad.noise.channels: the model's input has the channels 0 to 0"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(plan(rows[i].rest, rows[i].n_outputs), SG_E_JOB);
        if (strstr(sg_trace_message(), rows[i].words) == NULL) {
            fail_msg("row %zu: \"%s\" is not in \"%s\"", i, rows[i].words, sg_trace_message());
        }
        assert_null(now.plan);
        drop();
    }
}

static void the_domain_must_be_known(void **state) {
    static const char *const rests[] = {
        "methods: [adaptgrad]\n", "methods: [smoothgrad]\nsampling: {noise: {range: domain}}\n",
        "methods: [smoothgrad]\nsampling: {noise: {outside: clip}}\n"};
    static const char *const words[] = {"methods.adaptgrad: adaptgrad needs the range of the data",
                                        "noise.range: domain needs", "noise.outside: clip and"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char text[400];

        (void)snprintf(text, sizeof text, "model: {file: net.onnx}\ndata: {idx: %s/images}\n%s",
                       now.folder, rests[i]);
        now.job = good(text, NULL);
        assert_int_equal(sg_items_open(&now.job->data, &now.input, &now.items), SG_OK);
        assert_int_equal(sg_plan_create(now.job, signature(10), now.items, &now.plan), SG_E_JOB);
        assert_non_null(strstr(sg_trace_message(), words[i]));
        assert_non_null(strstr(sg_trace_message(), "give data.domain"));
        drop();
    }
}

static void every_allocation_may_fail(void **state) {
    static const char rest[] = "methods: [gradient, smoothgrad, vargrad, adaptgrad]\n";
    sg_status s = SG_E_NOMEM;
    int64_t at = 1;

    (void)state;
    plan_good(rest);
    for (; s != SG_OK && at < 100; at++) {
        sg_plan_destroy(now.plan);
        now.plan = NULL;
        sg_memory_fail_at(at);
        s = sg_plan_create(now.job, signature(10), now.items, &now.plan);
        sg_memory_fail_at(0);
        assert_true(s == SG_OK || s == SG_E_NOMEM);
    }
    assert_true(at > 8 && at < 100);
    drop();
}

/* What is printed names the study's numbers. With SGDIST_SHOW set it goes to the terminal, too. */
static void the_print_tells_the_plan(void **state) {
    static const char *const words[] = {"items           12\n",
                                        "1 x 6 x 6 = 36 elements, 10 outputs",
                                        "top 3, 3 maps an item and method",
                                        "the item itself",
                                        "level 0.15 of the item's range",
                                        "smoothgrad, vargrad\n",
                                        "confidence 0.95, z centred, channel bounds",
                                        "100,000",
                                        "3: a master and 2 workers, each on items of its own",
                                        "model 5.0 MB + network 20.0 MB + sums",
                                        "results/x.h5",
                                        ("at 10 ms a block; 50.0 % of the ranks' time goes "
                                         "into blocks; this run ends after 3 h 00 min")};
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);

    (void)state;
    assert_non_null(f);
    plan_good("methods: [gradient, smoothgrad, vargrad, adaptgrad, {method: smoothgrad, as: long, "
              "samples: 100000, noise: {sigma: 0.5, space: pixel, clean: extra, outside: clip}}]\n"
              "target: {top: 3}\nrun: {max_hours: 3}\n");
    sg_plan_print(
        now.plan, &(struct sg_rank_bytes){.model = 5000000, .nets = 20000000, .items = 1000}, 3,
        &(struct sg_prediction){.open_s = 0.01, .block_s = 0.01, .seconds = 60, .efficiency = 0.5},
        f);
    assert_int_equal(fclose(f), 0);
    if (getenv("SGDIST_SHOW") != NULL) {
        puts(text);
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strstr(text, words[i]) == NULL) {
            fail_msg("\"%s\" is not in\n%s", words[i], text);
        }
    }
    free(text);
    drop();
}

/* One rank, two, many: what the print says of them. */
static void the_ranks_are_told(void **state) {
    static const struct {
        int n_ranks;
        const char *words;
    } rows[] = {{1, "1: master and worker in one"},
                {2, "2: a master and one worker, no faster than one rank"},
                {13, "13: a master and 12 workers, each on items of its own"},
                {25, "25: a master and 24 workers, at first 2 on an item"},
                {1000, "1000: a master and 999 workers, at first 4 on an item"}};

    (void)state;
    plan_good("methods: [smoothgrad]\n"); /* 12 items of 4 blocks */
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *text = NULL;
        size_t n = 0;
        FILE *f = open_memstream(&text, &n);

        assert_non_null(f);
        sg_plan_print(now.plan,
                      &(struct sg_rank_bytes){.program = 1, .model = 1, .nets = 1, .items = 1},
                      rows[i].n_ranks, &(struct sg_prediction){0}, f);
        assert_int_equal(fclose(f), 0);
        if (strstr(text, rows[i].words) == NULL) {
            fail_msg("\"%s\" is not in\n%s", rows[i].words, text);
        }
        assert_null(strstr(text, "time"));
        free(text);
    }
    drop();
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(equal_samples_share_a_sweep),
                                       cmocka_unit_test(powers_and_groups_are_the_most),
                                       cmocka_unit_test(options_that_do_not_matter_do_not_part),
                                       cmocka_unit_test(blocks_round_up),
                                       cmocka_unit_test(draws_have_blocks_of_their_own),
                                       cmocka_unit_test(draws_and_batches_are_shared),
                                       cmocka_unit_test(stages_grow_by_the_root_of_two),
                                       cmocka_unit_test(the_record_holds_what_is_promised),
                                       cmocka_unit_test(gates_belong_to_the_sweep),
                                       cmocka_unit_test(memory_is_what_a_worker_takes),
                                       cmocka_unit_test(memory_grows_with_targets),
                                       cmocka_unit_test(the_data_set_is_scanned_where_noise_asks),
                                       cmocka_unit_test(what_does_not_fit_is_refused),
                                       cmocka_unit_test(the_domain_must_be_known),
                                       cmocka_unit_test(every_allocation_may_fail),
                                       cmocka_unit_test(the_print_tells_the_plan),
                                       cmocka_unit_test(the_ranks_are_told)};

    return cmocka_run_group_tests(tests, make_data, remove_data);
}
