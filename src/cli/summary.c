/* src/cli/summary.c - the table at the end of a run: what noise was used, and how certain the maps
 * are. */
#include "cli/result.h"

#include "sgdist/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Values of finished items, one an item. */
struct column {
    double *values;
    int64_t n;
};

static int compare_doubles(const void *a, const void *b) {
    const double x = *(const double *)a;
    const double y = *(const double *)b;

    return (x > y) - (x < y);
}

static double quantile(struct column *c, double q) {
    if (c->n == 0) {
        return NAN;
    }
    qsort(c->values, (size_t)c->n, sizeof *c->values, compare_doubles);
    return c->values[(int64_t)(q * (double)(c->n - 1) + 0.5)];
}

static void add(struct column *c, double value) {
    if (isfinite(value)) {
        c->values[c->n++] = value;
    }
}

/* The last stage that has a number. */
static double last(const double *stages, int64_t n) {
    while (n > 0 && isnan(stages[n - 1])) {
        n--;
    }
    return n > 0 ? stages[n - 1] : NAN;
}

struct summary {
    const struct sg_plan *plan;
    struct sg_reader *reader;
    const unsigned char *states;
    double *item;          /* one item's part of a dataset */
    struct column *sigmas; /* [C] */
    struct column errors;
    struct column outside;
    int width; /* of the longest label */
};

static int read_item(struct summary *s, const char *label, const char *group, const char *name,
                     int64_t i) {
    char path[SG_MAX_PATH + 1];

    (void)snprintf(path, sizeof path, "%s/%s/%s", group, label, name);
    return sg_reader_find(s->reader, path) != NULL &&
           sg_reader_read(s->reader, path, i, s->item) == SG_OK;
}

static void read_method(struct summary *s, const char *label) {
    const int64_t n_channels = s->plan->input.axes[0];

    s->errors.n = 0;
    s->outside.n = 0;
    for (int64_t c = 0; c < n_channels; c++) {
        s->sigmas[c].n = 0;
    }
    for (int64_t i = 0; i < s->plan->n_items; i++) {
        if (s->states[i] != SG_ITEM_DONE) {
            continue;
        }
        if (read_item(s, label, "convergence", "relative_error", i)) {
            add(&s->errors, last(s->item, s->plan->max_stages));
        }
        if (read_item(s, label, "maps", "out_of_range", i)) {
            add(&s->outside, s->item[0]);
        }
        if (read_item(s, label, "maps", "sigma", i)) {
            for (int64_t c = 0; c < n_channels; c++) {
                add(&s->sigmas[c], s->item[c]);
            }
        }
    }
}

/* Samples of all draws of the weights together, as `check` counts them. */
static int64_t points(const struct sg_instance *inst) {
    const struct sg_sampling *p = &inst->params.sampling;

    return p->draws > 0 ? sg_sampling_n_draws(p) : p->samples;
}

static void add_method(struct summary *s, const struct sg_instance *inst, struct sg_text *out) {
    enum { SHOWN = 4 }; /* channels */
    const int64_t n_channels = s->plan->input.axes[0];

    read_method(s, inst->label);
    sg_text_add(out, "  %-*s %8lld", s->width, inst->label, (long long)points(inst));
    if (s->errors.n > 0) {
        sg_text_add(out, "   %8.3g  %8.3g", quantile(&s->errors, 0.5), quantile(&s->errors, 0.9));
    } else {
        sg_text_add(out, "   %8s  %8s", "-", "-");
    }
    if (s->outside.n > 0) {
        sg_text_add(out, "  %7.2f %%", 100 * quantile(&s->outside, 0.5));
    } else {
        sg_text_add(out, "  %9s", "-");
    }
    sg_text_add(out, " ");
    for (int64_t c = 0; c < n_channels && c < SHOWN; c++) {
        if (s->sigmas[c].n > 0) { /* not every sampler makes noise */
            sg_text_add(out, " %.4g", quantile(&s->sigmas[c], 0.5));
        }
    }
    sg_text_add(out, n_channels > SHOWN ? " ...\n" : "\n");
}

/* Labels are of very different lengths. */
static void find_width(struct summary *s) {
    s->width = 22;
    for (int i = 0; i < s->plan->job->n_instances; i++) {
        const int n = (int)strlen(s->plan->job->instances[i].label);

        s->width = s->plan->sweep_of[i] >= 0 && n > s->width ? n : s->width;
    }
}

static sg_status take_memory(struct summary *s) {
    sg_status status = SG_OK;
    const size_t n_items = (size_t)s->plan->n_items;
    const int64_t n_channels = s->plan->input.axes[0];
    const int64_t n_stages = s->plan->n_targets * s->plan->max_stages;

    s->item = sg_calloc((size_t)(n_stages > n_channels ? n_stages : n_channels), sizeof(double));
    s->sigmas = sg_calloc((size_t)n_channels, sizeof *s->sigmas);
    s->errors.values = sg_calloc(n_items, sizeof(double));
    s->outside.values = sg_calloc(n_items, sizeof(double));
    SG_CHECK(s->item && s->sigmas && s->errors.values && s->outside.values, SG_E_NOMEM,
             "no memory for the summary");
    for (int64_t c = 0; c < n_channels; c++) {
        s->sigmas[c].values = sg_calloc(n_items, sizeof(double));
        SG_CHECK(s->sigmas[c].values != NULL, SG_E_NOMEM, "no memory for the summary");
    }
done:
    return status;
}

static void free_memory(struct summary *s) {
    for (int64_t c = 0; s->sigmas != NULL && c < s->plan->input.axes[0]; c++) {
        sg_free(s->sigmas[c].values);
    }
    sg_free(s->sigmas);
    sg_free(s->errors.values);
    sg_free(s->outside.values);
    sg_free(s->item);
}

sg_status sg_cli_print_summary(const struct study *study, const unsigned char *states) {
    sg_status status = SG_OK;
    struct summary s = {.plan = study->plan, .states = states};
    struct sg_text out = {0};

    if (s.plan->n_sweeps == 0) {
        return SG_OK;
    }
    SG_TRY(sg_reader_open(study->job->output, &s.reader));
    SG_TRY(take_memory(&s));
    find_width(&s);
    sg_text_add(&out, "\n  %-*s %8s   %18s  %9s   %s\n", s.width, "method", "samples",
                "relative error   ", "outside", "sigma in model-input units");
    sg_text_add(&out, "  %-*s %8s   %8s  %8s  %9s   %s\n", s.width, "", "", "median", "90 %",
                "domain", "a channel, median of items");
    for (int i = 0; i < study->job->n_instances; i++) {
        if (s.plan->sweep_of[i] >= 0) {
            add_method(&s, &study->job->instances[i], &out);
        }
    }
    SG_CHECK(!out.failed, SG_E_NOMEM, "no memory for the summary");
    fprintf(stderr, "%s", out.data);
done:
    sg_text_free(&out);
    free_memory(&s);
    sg_reader_close(s.reader);
    return status;
}
