/* src/job/plan_print.c - the plan as people read it. */
#include "plan_impl.h"

#include "job_impl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CELL = 160, MAX_ROWS_SHOWN = 40 };

enum { MARGIN = 67 }; /* of the column "serves", beside the options */

/* 1234567 as "1,234,567". */
static const char *count_text(int64_t n, char *buf, size_t cap) {
    char digits[24];
    const int n_digits = snprintf(digits, sizeof digits, "%lld", (long long)n);
    size_t used = 0;

    for (int i = 0; i < n_digits && used + 2 < cap; i++) {
        if (i > 0 && (n_digits - i) % 3 == 0 && digits[i - 1] != '-') {
            buf[used++] = ',';
        }
        buf[used++] = digits[i];
    }
    buf[used] = '\0';
    return buf;
}

/* "a, b, c" in lines of about 60 letters, those behind the first indented by `margin`. */
static void print_list(const char *text, int margin, FILE *out) {
    enum { WIDTH = 60 };
    int used = 0;

    while (*text != '\0') {
        const char *comma = strstr(text, ", ");
        const int n = comma != NULL ? (int)(comma - text) + 1 : (int)strlen(text);

        if (used > 0 && used + n > WIDTH) {
            fprintf(out, "\n%*s", margin, "");
            used = 0;
        }
        fprintf(out, "%s%.*s", used > 0 ? " " : "", n, text);
        used += n + 1;
        text += comma != NULL ? n + 1 : n;
    }
    fprintf(out, "\n");
}

static void print_line(FILE *out, const char *name, const char *text) {
    fprintf(out, "  %-15s %s\n", name, text);
}

static void print_items(const struct sg_plan *plan, FILE *out) {
    char text[CELL] = "";
    char number[32];
    size_t used = 0;

    print_line(out, "items", count_text(plan->n_items, number, sizeof number));
    for (int i = 0; i < plan->input.n_axes; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%lld", i > 0 ? " x " : "",
                                 (long long)plan->input.axes[i]);
    }
    fprintf(out, "  %-15s %s = %s elements", "input", text,
            count_text(sg_shape_size(&plan->input), number, sizeof number));
    fprintf(out, ", %s outputs\n", count_text(plan->n_outputs, number, sizeof number));
    fprintf(out, "  %-15s %s, %s map%s an item and method\n", "target", plan->job->target_text,
            count_text(plan->n_targets, number, sizeof number), plan->n_targets > 1 ? "s" : "");
}

/* An instance of the sweep: of the same sampler and sampling as all others. */
static int a_member(const struct sg_sweep *s) {
    for (int r = 0; r < s->n_readings; r++) {
        if (s->readings[r].n_members > 0) {
            return s->readings[r].members[0];
        }
    }
    return s->gates.members[0];
}

/* The sampling of a sweep in the words of the job: the keys that its members use. */
static void options_text(const struct sg_plan *plan, const struct sg_sweep *s, char *buf,
                         size_t cap) {
    static const char *const ranges[] = {"item's range", "item channel's range", "data set's range",
                                         "domain"};
    static const char *const forms[] = {"centred", "half", "one-sided", "exact"};
    static const char *const clean[] = {"", ", clean input extra", ", clean input one of them"};
    static const char *const outside[] = {"", ", clipped to the domain", ", reflected at bounds"};
    const unsigned uses = sg_instance_uses(&plan->job->instances[a_member(s)]);
    const struct sg_sampling *p = &s->sampling;
    struct sg_text channels = {0};
    char number[40];
    size_t used = 0;

    buf[0] = '\0';
    (void)sg_number_text((uses & SG_USES_AMOUNT) != 0 ? p->amount : p->confidence, number,
                         sizeof number);
    if ((uses & SG_USES_AMOUNT) != 0) {
        used += (size_t)snprintf(buf, cap, p->absolute ? "sigma %s" : "level %s of the %s", number,
                                 ranges[p->range]);
        used += (size_t)snprintf(buf + used, cap - used,
                                 p->space == SG_SPACE_PIXEL ? ", in pixels" : "");
    }
    if ((uses & SG_USES_CONFIDENCE) != 0) {
        used += (size_t)snprintf(buf + used, cap - used, "%sconfidence %s, z %s, %s bounds",
                                 used > 0 ? ", " : "", number, forms[p->z],
                                 p->bounds == SG_BOUNDS_GLOBAL ? "global" : "channel");
    }
    if ((uses & SG_USES_WEIGHTS) != 0) {
        (void)sg_number_text(p->weights.tau, number, sizeof number);
        used += (size_t)snprintf(buf + used, cap - used, "%sweights tau %s%s, %lld draw%s",
                                 used > 0 ? ", " : "", number,
                                 p->weights.kind == SG_WEIGHTS_ADDITIVE ? " added" : "",
                                 (long long)p->draws, sg_text_plural(p->draws));
        used = used < cap ? used : cap - 1;
    }
    if ((uses & SG_USES_NOISE) != 0 && p->channels != UINT64_MAX) {
        (void)sg_echo_channels(&channels, &p->channels);
    }
    if ((uses & SG_USES_CLEAN) == 0) {
        used += (size_t)snprintf(buf + used, cap - used, "%sthe item, from items of the data",
                                 used > 0 ? ", " : "");
    }
    (void)snprintf(buf + used, cap - used, "%s%s%s%s", channels.data != NULL ? ", channels " : "",
                   channels.data != NULL ? channels.data : "", clean[p->clean],
                   outside[p->outside]);
    sg_text_free(&channels);
}

static void members_text(const struct sg_plan *plan, int sweep, struct sg_text *t) {
    for (int i = 0; i < plan->job->n_instances; i++) {
        const struct sg_probed *p = &plan->probed[plan->probed_of[i]];

        if (plan->sweep_of[i] == sweep) {
            sg_text_add(t, "%s%s", t->length > 0 ? ", " : "", plan->job->instances[i].label);
            if (p->layer >= 0) {
                sg_text_add(t, " (layer %s)", p->probing.layer);
            }
        }
    }
}

static void add_labels(const struct sg_plan *plan, int n, const int *members, struct sg_text *t) {
    for (int i = 0; i < n; i++) {
        sg_text_add(t, "%s%s", i > 0 ? ", " : "", plan->job->instances[members[i]].label);
    }
}

/* What a sweep reads first stands in its line, the others below. */
static void print_reading(const struct sg_plan *plan, const struct sg_reading *r, int margin,
                          FILE *out) {
    struct sg_text members = {0};

    add_labels(plan, r->n_members, r->members, &members);
    if (r->n_members == 0) {
        sg_text_add(&members, "(gradients for a scale)");
    }
    if (plan->probed[r->probed].layer >= 0) {
        sg_text_add(&members, " (layer %s)", plan->probed[r->probed].probing.layer);
    }
    fprintf(out, "  %6d  %6d  ", r->n_powers, r->n_groups);
    print_list(members.data != NULL ? members.data : "", margin, out);
    sg_text_free(&members);
}

static void print_gates(const struct sg_plan *plan, const struct sg_gate_reading *g, FILE *out) {
    struct sg_text members = {0};

    add_labels(plan, g->n_members, g->members, &members);
    fprintf(out, "  %6s  %6d  %s (gates, forward only)\n", "-", g->n_groups,
            members.data != NULL ? members.data : "");
    sg_text_free(&members);
}

static void print_sweep(const struct sg_plan *plan, int i, int width, FILE *out) {
    const struct sg_sweep *s = &plan->sweeps[i];
    char options[CELL];
    char samples[32];
    char blocks[32];

    options_text(plan, s, options, sizeof options);
    fprintf(out, "  %5d  %-10s  %-*s  %13s  %11s", i + 1, s->sampler->name, width, options,
            count_text(s->n_draws, samples, sizeof samples),
            count_text(s->n_blocks, blocks, sizeof blocks));
    for (int k = 0; k < s->n_readings + (s->gates.n_members > 0); k++) {
        if (k > 0) {
            fprintf(out, "  %5s  %-10s  %-*s  %13s  %11s", "", "", width, "", "", "");
        }
        if (k < s->n_readings) {
            print_reading(plan, &s->readings[k], MARGIN + width, out);
        } else {
            print_gates(plan, &s->gates, out);
        }
    }
}

/* One line for each pass through the network, and who lives on it. */
static void print_sweeps(const struct sg_plan *plan, FILE *out) {
    char options[CELL];
    struct sg_text members = {0};
    int width = (int)strlen("the item itself");

    for (int i = 0; i < plan->n_sweeps; i++) {
        options_text(plan, &plan->sweeps[i], options, sizeof options);
        width = (int)strlen(options) > width ? (int)strlen(options) : width;
    }
    fprintf(out, "\n  %5s  %-10s  %-*s  %13s  %11s  %6s  %6s  %s\n", "sweep", "sampler", width,
            "options", "samples", "blocks", "powers", "groups", "serves");
    members_text(plan, -1, &members);
    if (members.data != NULL) {
        fprintf(out, "  %5s  %-10s  %-*s  %13d  %11s  %6s  %6s  ", "-", "clean", width,
                "the item itself", 1, "-", "-", "-");
        print_list(members.data, MARGIN + width, out);
    }
    for (int i = 0; i < plan->n_sweeps && i < MAX_ROWS_SHOWN; i++) {
        print_sweep(plan, i, width, out);
    }
    if (plan->n_sweeps > MAX_ROWS_SHOWN) {
        fprintf(out, "         and %d more\n", plan->n_sweeps - MAX_ROWS_SHOWN);
    }
    fprintf(out, "\n");
    sg_text_free(&members);
}

/* Which of the model's parameters the draws of the weights are of. */
static void print_weights(const struct sg_plan *plan, FILE *out) {
    const char *name = "weights";

    for (int i = 0; i < plan->n_weights; i++) {
        const struct sg_plan_weights *w = &plan->weights[i];
        struct sg_text scope = {0};
        char number[32];

        if (w->noise.only[0] != '\0') {
            sg_text_add(&scope, " only ");
            (void)sg_echo_scope(&scope, w->noise.only);
        }
        if (w->noise.except[0] != '\0') {
            sg_text_add(&scope, "%s except ", scope.length > 0 ? "," : "");
            (void)sg_echo_scope(&scope, w->noise.except);
        }
        fprintf(out,
                "  %-15s %lld draw%s of %lld tensors, %s parameters%s%s, the same for all items\n",
                name, (long long)w->n_draws, sg_text_plural(w->n_draws), (long long)w->n_tensors,
                count_text(w->n_numbers, number, sizeof number), scope.length > 0 ? ":" : "",
                scope.data != NULL ? scope.data : "");
        sg_text_free(&scope);
        name = "";
    }
}

/* The walk of probed thing p: who reads it, and what it costs. */
static void print_walk(const struct sg_plan *plan, int p, const char *name, FILE *out) {
    static const char *const kinds[] = {"the point itself",  "straight line", "line split at t*",
                                        "line by the slope", "guided path",   "line from an item"};
    const struct sg_path *path = &plan->probed[p].probing.path;
    struct sg_text members = {0};

    for (int i = 0; i < plan->job->n_instances; i++) {
        if (plan->probed[plan->probed_of[i]].pass == plan->probed[p].pass) {
            sg_text_add(&members, "%s%s", members.length > 0 ? ", " : "",
                        plan->job->instances[i].label);
        }
    }
    fprintf(out, "  %-15s %s%s, %d node%s%s: %s\n", name, kinds[path->kind],
            path->noise == SG_NOISE_INSIDE ? " with noise at each node" : "", sg_path_n_nodes(path),
            sg_path_n_nodes(path) > 1 ? "s" : "",
            path->n_baselines > 1 ? " from each baseline" : "",
            members.data != NULL ? members.data : "");
    sg_text_free(&members);
}

/* Each different path to a point, to the item itself or to samples, and who shares it. */
static void print_walks(const struct sg_plan *plan, FILE *out) {
    const char *name = "paths";

    for (int p = 0; p < plan->n_probed; p++) {
        if (sg_is_path(&plan->probed[p]) &&
            (p == 0 || plan->probed[p - 1].pass != plan->probed[p].pass)) {
            print_walk(plan, p, name, out);
            name = "";
        }
    }
}

/* Instances that follow another tool's conventions, a line each. */
static void print_presets(const struct sg_plan *plan, FILE *out) {
    const char *name = "like";

    for (const char *line = plan->job->presets; *line != '\0'; name = "") {
        const int n = (int)strcspn(line, "\n");

        fprintf(out, "  %-15s %.*s\n", name, n, line);
        line += n + (line[n] == '\n');
    }
}

/* What is counted, and what of the network cannot be. */
static void print_gate_totals(const struct sg_plan *plan, FILE *out) {
    const struct sg_gate_totals *totals = &plan->model->gates;
    const struct sg_counts_shape *shape = &plan->needs.counts;
    char counters[32], slopes[32], bytes[32];

    if (shape->n_groups == 0) {
        return;
    }
    fprintf(out, "  %-15s %s counters of %d bits, %s mean slopes, in %d group%s: %s\n", "gates",
            count_text(totals->n_counters, counters, sizeof counters), sg_counts_field_bits(shape),
            count_text(totals->n_slopes, slopes, sizeof slopes), shape->n_groups,
            shape->n_groups > 1 ? "s" : "",
            sg_text_bytes((double)sg_counts_bytes(shape), bytes, sizeof bytes));
    if (totals->n_linearised > 0) {
        fprintf(out, "  %-15s no gates, taken as linear around the item itself: %s\n", "",
                totals->linearised);
    }
}

static void print_work(const struct sg_plan *plan, FILE *out) {
    char each[32];
    char total[40];
    const double all = (double)plan->per_item.backwards * (double)plan->n_items;

    if (all < 9e18) {
        (void)count_text(plan->per_item.backwards * plan->n_items, total, sizeof total);
    } else {
        (void)snprintf(total, sizeof total, "%.3g", all);
    }
    fprintf(out, "  %-15s %s an item, %s in total%s\n", "gradients",
            count_text(plan->per_item.backwards, each, sizeof each), total,
            plan->scans_dataset ? ", after one look at every item for the data set's range" : "");
}

static void print_stages(const struct sg_plan *plan, FILE *out) {
    const struct sg_sweep *longest = NULL;

    for (int i = 0; i < plan->n_sweeps; i++) {
        if (longest == NULL || plan->sweeps[i].n_stages > longest->n_stages) {
            longest = &plan->sweeps[i];
        }
    }
    if (longest == NULL) {
        return;
    }
    fprintf(out, "  %-15s", "stages");
    for (int i = 0; i < longest->n_stages; i++) {
        if (longest->n_stages > 14 && i == 10) {
            fprintf(out, " ...");
            i = longest->n_stages - 2;
        }
        fprintf(out, " %lld", (long long)longest->stage_ends[i]);
    }
    fprintf(out, " blocks of %lld sample%s", (long long)longest->batch,
            sg_text_plural(longest->batch));
    if (plan->n_sweeps > 1) { /* they may differ in their blocks */
        fprintf(out, ", of sweep %d", (int)(longest - plan->sweeps) + 1);
    }
    fprintf(out, "\n");
}

/* The backward passes with mean gates count as half a block for each batch of targets. */
int64_t sg_plan_blocks_per_item(const struct sg_plan *plan) {
    int64_t n = 1;

    for (int i = 0; i < plan->n_sweeps; i++) {
        n += plan->sweeps[i].n_blocks;
        n += sg_plan_n_gate_passes(plan, &plan->sweeps[i]) / (2 * plan->block);
    }
    return n;
}

double sg_plan_mean_block(const struct sg_plan *plan) {
    double points = 0;
    double blocks = 0;

    for (int i = 0; i < plan->n_sweeps; i++) {
        points += (double)plan->sweeps[i].n_blocks * (double)plan->sweeps[i].batch;
        blocks += (double)plan->sweeps[i].n_blocks;
    }
    return blocks > 0 ? points / blocks / (double)plan->sweeps[0].batch : 1;
}

/* How many work on an item when the run begins: all that have a block to do. */
static int64_t team_size(const struct sg_plan *plan, int64_t n_workers) {
    const int64_t most = sg_plan_blocks_per_item(plan) - 1;
    const int64_t size = plan->n_items > 0 ? n_workers / plan->n_items : 1;

    return size < 1 || most < 1 ? 1 : size < most ? size : most;
}

static void print_ranks(const struct sg_plan *plan, int n_ranks, FILE *out) {
    const int64_t size = team_size(plan, n_ranks - 1);

    if (n_ranks <= 1) {
        print_line(out, "ranks", "1: master and worker in one");
    } else if (n_ranks == 2) {
        print_line(out, "ranks",
                   "2: a master and one worker, no faster than one rank; 3 begin to gain");
    } else {
        fprintf(out, "  %-15s %d: a master and %d workers, ", "ranks", n_ranks, n_ranks - 1);
        if (size > 1) {
            fprintf(out, "at first %lld on an item\n", (long long)size);
        } else {
            fprintf(out, "each on items of its own\n");
        }
    }
}

/* The most that a rank takes is mostly what it takes while it works; with large weights and small
 * activations it may be what it takes before, while it builds the model. */
static void print_memory(const struct sg_plan *plan, const struct sg_rank_bytes *bytes, FILE *out) {
    char all[32];
    char program[32];
    char model[32];
    char net[32];
    char sums[32];
    char start[32];
    const double before = (double)bytes->program + (double)bytes->start;
    char items[32];
    const double total = (double)bytes->program + (double)bytes->model + (double)bytes->draws +
                         (double)bytes->nets + (double)plan->sums_bytes + (double)bytes->items;

    (void)sg_text_bytes(total, all, sizeof all);
    if (before > total) {
        fprintf(out, "  %-15s %s at the start, while it reads the model; then %s\n",
                "memory a rank", sg_text_bytes(before, start, sizeof start), all);
    }
    fprintf(out,
            "  %-15s %s = program and libraries %s + model %s + network %s + sums and blocks %s + "
            "list of items %s\n",
            before > total ? "" : "memory a rank", all,
            sg_text_bytes((double)bytes->program, program, sizeof program),
            sg_text_bytes((double)bytes->model + (double)bytes->draws, model, sizeof model),
            sg_text_bytes((double)bytes->nets, net, sizeof net),
            sg_text_bytes((double)plan->sums_bytes, sums, sizeof sums),
            sg_text_bytes((double)bytes->items, items, sizeof items));
    if (bytes->draws > 0) {
        fprintf(out, "  %-15s %s of that for %lld draw%s of the weights%s\n", "",
                sg_text_bytes((double)bytes->draws, all, sizeof all),
                (long long)plan->n_weight_draws, sg_text_plural(plan->n_weight_draws),
                bytes->shared_draws > 0 ? ": their graphs" : "");
    }
    if (bytes->shared > 0) {
        fprintf(out, "  %-15s %s for the weights%s, which the ranks of a machine share\n",
                "memory a machine",
                sg_text_bytes((double)bytes->shared + (double)bytes->shared_draws, all, sizeof all),
                bytes->shared_draws > 0 ? " and the draws of them" : "");
    }
}

static void print_disk(const struct sg_plan *plan, FILE *out) {
    char all[32];
    char each[32];

    fprintf(out, "  %-15s %s = %s an item, %s\n", "disk",
            sg_text_bytes((double)plan->result_bytes, all, sizeof all),
            sg_text_bytes((double)plan->result_bytes / (double)plan->n_items, each, sizeof each),
            plan->job->output);
}

static void print_time(const struct sg_plan *plan, int n_ranks, const struct sg_prediction *time,
                       FILE *out) {
    char all[32];
    char limit[64] = "";
    char hours[32];
    char share[64] = "";
    const double each = plan->n_sweeps > 0 ? time->block_s : time->open_s;
    const int is_long = each >= 1.0;

    if (time->open_s <= 0.0) {
        return;
    }
    if (plan->job->max_hours > 0.0) {
        (void)snprintf(limit, sizeof limit, "; this run ends after %s",
                       sg_text_seconds(plan->job->max_hours * 3600.0, hours, sizeof hours));
    }
    if (n_ranks > 2 && plan->n_sweeps > 0) {
        (void)snprintf(share, sizeof share, "; %.1f %% of the ranks' time goes into blocks",
                       100 * time->efficiency);
    }
    fprintf(out, "  %-15s about %s at %.3g %s %s%s%s\n", "time",
            sg_text_seconds(time->seconds, all, sizeof all), is_long ? each : 1e3 * each,
            is_long ? "s" : "ms", plan->n_sweeps > 0 ? "a block" : "an item", share, limit);
}

void sg_plan_print(const struct sg_plan *plan, const struct sg_rank_bytes *bytes, int n_ranks,
                   const struct sg_prediction *time, FILE *out) {
    fprintf(out, "plan of %s\n", plan->job->file);
    print_items(plan, out);
    print_sweeps(plan, out);
    print_weights(plan, out);
    print_walks(plan, out);
    print_presets(plan, out);
    print_gate_totals(plan, out);
    print_work(plan, out);
    print_stages(plan, out);
    print_ranks(plan, n_ranks, out);
    print_memory(plan, bytes, out);
    print_disk(plan, out);
    print_time(plan, n_ranks, time, out);
}
