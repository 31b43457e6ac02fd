/* src/cli/describe.c - `sgdist describe`: a study in words, from nothing but its result. */
#include "cli/arguments.h"
#include "cli/cli.h"
#include "cli/describe_rounding.h"
#include "cli/labels.h"
#include "sgdist/memory.h"
#include "sgdist/store.h"
#include "sgdist/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The identity as it stands in the file: lines "key: value". */
struct facts {
    char *text;
    struct sg_reader *reader;
    struct sg_labels labels;
    char *presets;    /* "label: name version, but key: value" */
    char *linearised; /* of a study that counts gates: "3 Softmax, 12 Mul" */
};

/* The value of a key, or `otherwise`; into one of a few static buffers that are used in turn. */
static const char *fact(const struct facts *f, const char *key, const char *otherwise) {
    enum { BUFFERS = 16, LENGTH = 512 };
    static char buffers[BUFFERS][LENGTH];
    static int turn;
    const size_t n = strlen(key);

    for (const char *line = f->text; line != NULL && *line != '\0';) {
        const char *end = strchr(line, '\n');

        if (strncmp(line, key, n) == 0 && strncmp(line + n, ": ", 2) == 0) {
            char *out = buffers[turn++ % BUFFERS];
            const size_t length = end != NULL ? (size_t)(end - line) - n - 2 : strlen(line) - n - 2;

            (void)snprintf(out, LENGTH, "%.*s", (int)length, line + n + 2);
            return out;
        }
        line = end != NULL ? end + 1 : NULL;
    }
    return otherwise;
}

static const char *method_fact(const struct facts *f, const char *label, const char *key,
                               const char *otherwise) {
    char path[SG_MAX_PATH + 1];

    (void)snprintf(path, sizeof path, "methods.%s.%s", label, key);
    return fact(f, path, otherwise);
}

/* ---- words for options ---- */

static void say_noise(const struct facts *f, const char *label) {
    static const char *const ranges[][2] = {{"item", "the item's range"},
                                            {"item_channel", "the item's range in each channel"},
                                            {"dataset", "the data set's range"},
                                            {"domain", "the range of the input domain"}};
    const char *level = method_fact(f, label, "noise.level", NULL);
    const char *range = method_fact(f, label, "noise.range", "item");
    const char *space = method_fact(f, label, "noise.space", "input");
    const char *words = range;

    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        words = strcmp(range, ranges[i][0]) == 0 ? ranges[i][1] : words;
    }
    if (level != NULL && strcmp(level, "none") != 0) {
        printf("Gaussian noise with a standard deviation of %s times %s (max - min), in %s space",
               level, words, space);
    } else {
        printf("Gaussian noise with a standard deviation of %s in %s space",
               method_fact(f, label, "noise.sigma", "?"), space);
    }
}

/* The four forms of z keep different promises: adaptgrad_width.c. */
static void say_adaptive(const struct facts *f, const char *label, const char *confidence) {
    static const char *const forms[][3] = {{"centred", "at least ", ""},
                                           {"half", "at least (1 + ", ") / 2"},
                                           {"one_sided", "", " next to a bound, less between them"},
                                           {"exact", "", " wherever it is not on a bound"}};
    const char *z = method_fact(f, label, "z", "centred");
    const char *const *words = forms[0];

    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        words = strcmp(z, forms[i][0]) == 0 ? forms[i] : words;
    }
    printf("noise scaled at each element so that it stays within the bounds of %s with a "
           "probability of %s%s%s (z: %s)",
           strcmp(method_fact(f, label, "bounds", "channel"), "channel") == 0 ? "its channel"
                                                                              : "all channels",
           words[1], confidence, words[2], z);
}

/* Which weights, and how they are changed in a draw. */
static void say_weights(const struct facts *f, const char *label, const char *draws) {
    const char *tau = method_fact(f, label, "weights.tau", "?");
    const char *only = method_fact(f, label, "weights.only", NULL);
    const char *except = method_fact(f, label, "weights.except", NULL);

    printf("%s draws of the network's parameters, the same for all items, %s Gaussian noise of "
           "mean %s and standard deviation %s",
           draws,
           strcmp(method_fact(f, label, "weights.noise", "?"), "additive") == 0 ? "plus" : "times",
           strcmp(method_fact(f, label, "weights.noise", "?"), "additive") == 0 ? "0" : "1", tau);
    if (only != NULL) {
        printf(", for those named %s", only);
    }
    if (except != NULL) {
        printf("%s except those named %s", only != NULL ? "" : ",", except);
    }
}

static void say_sampling(const struct facts *f, const char *label, const struct sg_method *m) {
    const char *draws = method_fact(f, label, "weights.draws", NULL);
    const char *confidence = method_fact(f, label, "confidence", NULL);
    const char *samples = method_fact(f, label, "samples", NULL);
    const char *clean = method_fact(f, label, "noise.clean", "none");
    const char *outside = method_fact(f, label, "noise.outside", "keep");

    if (samples == NULL && draws == NULL) {
        printf("%s", method_fact(f, label, "nodes", NULL) != NULL ? ""
                     : m != NULL && m->over == SG_OVER_PLACES     ? " (at the item itself)"
                     : m != NULL && m->probe == SG_PROBE_NOTHING
                         ? " (a control: the network is not asked)"
                         : " (from the gradient at the input itself)");
        return;
    }
    if (draws == NULL && method_fact(f, label, "noise.channels", NULL) == NULL) {
        printf(" (%s samples an item, each from an item of the data)", samples);
        return;
    }
    printf(" (");
    if (draws != NULL) {
        say_weights(f, label, draws);
    }
    if (samples != NULL) {
        printf("%s%s samples %s; ", draws != NULL ? "; " : "", samples,
               draws != NULL ? "of the input for each draw" : "an item");
    }
    if (samples != NULL && confidence != NULL) {
        say_adaptive(f, label, confidence);
    } else if (samples != NULL) {
        say_noise(f, label);
    }
    if (strcmp(clean, "none") != 0) {
        printf("; the clean gradient counts as %s",
               strcmp(clean, "extra") == 0 ? "one more sample" : "one of the samples");
    }
    if (strcmp(outside, "keep") != 0) {
        printf("; values outside the domain are %s",
               strcmp(outside, "clip") == 0 ? "clipped" : "reflected");
    }
    printf(")");
}

/* The path of a method that walks one. */
static void say_path(const struct facts *f, const char *label) {
    const char *nodes = method_fact(f, label, "nodes", NULL);
    const char *rule = method_fact(f, label, "quadrature", NULL);
    const char *threshold = method_fact(f, label, "threshold", NULL);
    const char *fraction = method_fact(f, label, "fraction", NULL);

    if (nodes == NULL) {
        return;
    }
    printf(" (baseline: %s in %s space; %s %s", method_fact(f, label, "baseline", "zero"),
           method_fact(f, label, "space", "input"), nodes, fraction != NULL ? "steps" : "nodes");
    if (rule != NULL) {
        printf(", %s", rule);
    }
    if (threshold != NULL) {
        printf("; split where the %s has gone %s of its way",
               method_fact(f, label, "threshold_on", "score"), threshold);
    }
    if (fraction != NULL) {
        printf("; %s of the elements at once, at most %s from the straight line", fraction,
               method_fact(f, label, "max_distance", "?"));
    }
    printf(")");
}

static void say_rule(const char *rule) {
    if (strcmp(rule, "guided_backprop") == 0) {
        printf(", with guided backpropagation in place of the gradient [Springenberg et al. 2015, "
               "arXiv:1412.6806]");
    } else if (strcmp(rule, "deconvnet") == 0) {
        printf(", with DeconvNet's rule in place of the gradient [Zeiler and Fergus 2014, "
               "arXiv:1311.2901]");
    }
}

/* What class activation maps add up, and where they end. */
static void say_cam(const struct facts *f, const char *label, const char *layer) {
    const char *maps = method_fact(f, label, "maps", "all");
    const char *neurons = method_fact(f, label, "neurons", "all");
    const char *numerator = method_fact(f, label, "numerator", "second");
    const char *denominator = method_fact(f, label, "denominator", "local");

    printf(", of the layer %s", layer);
    if (strcmp(maps, "all") != 0) {
        printf(", its feature maps %s alone", maps);
    }
    if (strcmp(neurons, "all") != 0) {
        printf(", its neurons in the box %s alone", neurons);
    }
    if (strcmp(numerator, "first") == 0) {
        printf(", with the first moment as alpha's numerator, as the paper prints it");
    }
    if (strcmp(denominator, "summed") == 0) {
        printf(
            ", with the layer times the third moment, summed over places, in alpha's denominator");
    }
    if (strcmp(method_fact(f, label, "relu", "true"), "false") == 0) {
        printf(", negative values kept");
    }
    if (strcmp(method_fact(f, label, "size", "layer"), "input") == 0) {
        printf(", brought to the input's size by bilinear interpolation (corners not aligned)");
    }
}

static void say_layer(const struct facts *f, const char *label) {
    const char *layer = method_fact(f, label, "layer", NULL);

    if (layer != NULL && method_fact(f, label, "size", NULL) != NULL) {
        say_cam(f, label, layer);
    } else if (layer != NULL) {
        printf(", at the layer %s instead of the input", layer);
    }
}

/* "absolute, lowpass 15, clip 99", in the order in which they are applied. */
static void say_filter(const char *filter) {
    const char *at;

    if (strcmp(filter, "none") == 0) {
        return;
    }
    printf(", then filtered:");
    printf(strncmp(filter, "absolute", strlen("absolute")) == 0 ? " absolute value" : "");
    at = strstr(filter, "lowpass ");
    if (at != NULL) {
        at += strlen("lowpass ");
        printf("%s frequencies up to a radius of %.*s kept [Muzellec et al. 2023, "
               "arXiv:2307.09591]",
               filter[0] == 'a' ? "," : "", (int)strcspn(at, ","), at);
    }
    at = strstr(filter, "clip ");
    if (at != NULL) {
        printf("%s cut at percentile %s of |value|", filter[0] != 'c' ? "," : "",
               at + strlen("clip "));
    }
}

/* What a map from mean gates is, beside its sampling. */
static void say_gates(const struct facts *f, const char *label) {
    const char *scale = method_fact(f, label, "scale", NULL);

    if (scale == NULL) {
        return;
    }
    if (f->linearised != NULL && f->linearised[0] != '\0') {
        printf(", with the derivative at the input itself for what is no gate (%s)", f->linearised);
    }
    if (strcmp(scale, "smoothgrad") == 0) {
        printf(", scaled to the mean gradient of the same samples by least squares");
    }
    printf(", errors by a jackknife over %s groups of samples",
           method_fact(f, label, "groups", "?"));
}

static void say_finish(const struct facts *f, const char *label) {
    const char *channels = method_fact(f, label, "channels", "none");
    const char *divisor = method_fact(f, label, "divisor", NULL);

    if (divisor != NULL) {
        printf(", variance divided by %s", strcmp(divisor, "unbiased") == 0 ? "N - 1" : "N");
    }
    say_rule(method_fact(f, label, "rule", "gradient"));
    if (strcmp(method_fact(f, label, "absolute", "false"), "true") == 0) {
        printf(", of the absolute values of the gradients");
    }
    say_layer(f, label);
    if (strcmp(method_fact(f, label, "space", "input"), "pixel") == 0 &&
        method_fact(f, label, "nodes", NULL) == NULL) {
        printf(", taken with respect to pixel values (0 to 1) before their standardisation");
    }
    if (strcmp(channels, "none") != 0) {
        printf(", channels reduced by %s", channels);
    }
    say_filter(method_fact(f, label, "filter", "none"));
}

/* The line of the instance in the presets, if it has one. */
static void say_preset(const struct facts *f, const char *label) {
    const size_t n = strlen(label);

    for (const char *line = f->presets; line != NULL && *line != '\0';) {
        const int length = (int)strcspn(line, "\n");

        if (strncmp(line, label, n) == 0 && strncmp(line + n, ": ", 2) == 0) {
            printf(", by the conventions of %.*s", length - (int)n - 2, line + n + 2);
        }
        line += length + (line[length] == '\n');
    }
}

/* ---- numbers from the maps ---- */

static int compare_doubles(const void *a, const void *b) {
    const double x = *(const double *)a;
    const double y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Median over finished items of the relative error at the last stage; NaN where there is none. */
static double median_error(const struct facts *f, const char *label) {
    char path[SG_MAX_PATH + 1];
    const struct sg_dataset *d;
    const int64_t n_items = sg_reader_n_items(f->reader);
    double *errors = NULL;
    double *one = NULL;
    double median = NAN;
    int64_t n = 0;

    (void)snprintf(path, sizeof path, "convergence/%s/relative_error", label);
    d = sg_reader_find(f->reader, path);
    if (d == NULL) {
        return NAN;
    }
    errors = sg_calloc((size_t)n_items + 1, sizeof *errors);
    one = sg_calloc((size_t)sg_dataset_bytes(d), 1);
    for (int64_t i = 0; errors != NULL && one != NULL && i < n_items; i++) {
        const int64_t n_stages = d->axes[d->n_axes - 1];
        unsigned char state = 0;
        int64_t s = n_stages - 1;

        if (sg_reader_read(f->reader, "items/status", i, &state) != SG_OK || state != 1 ||
            sg_reader_read(f->reader, path, i, one) != SG_OK) {
            continue;
        }
        while (s > 0 && isnan(one[s])) {
            s--;
        }
        if (isfinite(one[s])) {
            errors[n++] = one[s];
        }
    }
    if (n > 0) {
        qsort(errors, (size_t)n, sizeof *errors, compare_doubles);
        median = errors[n / 2];
    }
    sg_free(errors);
    sg_free(one);
    return median;
}

/* ---- the paragraph ---- */

static const char *cite(const char *name) {
    const struct sg_method *m = sg_method_find(name);

    return m != NULL ? m->cite : "?";
}

static void say_method(const struct facts *f, const char *label) {
    const char *name = method_fact(f, label, "method", label);
    const char *of = method_fact(f, label, "of", NULL);
    const double error = median_error(f, label);

    printf("%s%s%s [%s]", strcmp(label, name) == 0 ? "" : label,
           strcmp(label, name) == 0 ? "" : ": ", name, cite(name));
    if (of != NULL) {
        printf(" of %s [%s]", of, cite(of));
    }
    say_path(f, label);
    say_sampling(f, label, sg_method_find(name));
    say_gates(f, label);
    say_finish(f, label);
    say_preset(f, label);
    if (isfinite(error)) {
        printf("; median standard error of a map, relative to its norm: %.2g", error);
    }
}

static void say_methods(const struct facts *f) {
    for (int i = 0; i < f->labels.n; i++) {
        printf(i > 0 ? ";\n  " : "\n  ");
        say_method(f, f->labels.names[i]);
    }
}

enum { SOURCES_PER_INSTANCE = 4 };

/* Source number i of the study, or NULL: of an instance's method, of what it is taken of, of the
 * rule of its backward pass, of its filter. */
static const char *source(const struct facts *f, int i) {
    const char *label = f->labels.names[i / SOURCES_PER_INSTANCE];
    const char *names[] = {method_fact(f, label, "method", label), method_fact(f, label, "of", ""),
                           method_fact(f, label, "rule", "gradient")};
    const int which = i % SOURCES_PER_INSTANCE;
    const struct sg_method *m;

    if (which == SOURCES_PER_INSTANCE - 1) {
        const char *filter = method_fact(f, label, "filter", "none");

        return strstr(filter, "lowpass ") != NULL ? sg_lowpass_bibtex : NULL;
    }
    m = which == 2 && strcmp(names[2], "gradient") == 0 ? NULL : sg_method_find(names[which]);
    return m != NULL ? m->bibtex : NULL;
}

/* Each source once, where the first method of it stands. */
static void print_bibtex(const struct facts *f) {
    for (int i = 0; i < SOURCES_PER_INSTANCE * f->labels.n; i++) {
        const char *bibtex = source(f, i);
        int is_new = bibtex != NULL;

        for (int k = 0; k < i && is_new; k++) {
            const char *before = source(f, k);

            is_new = before == NULL || strcmp(before, bibtex) != 0;
        }
        if (is_new) {
            printf("\n%s", bibtex);
        }
    }
}

static void count_items(const struct facts *f, int64_t counts[3]) {
    for (int64_t i = 0; i < sg_reader_n_items(f->reader); i++) {
        unsigned char state = 0;

        if (sg_reader_read(f->reader, "items/status", i, &state) == SG_OK && state < 3) {
            counts[state]++;
        }
    }
}

static void say_all(const struct facts *f, const char *versions) {
    int64_t counts[3] = {0};

    count_items(f, counts);
    printf("Attributions were computed with %s for %lld items", versions,
           (long long)sg_reader_n_items(f->reader));
    if (counts[0] > 0 || counts[2] > 0) {
        printf(" (%lld finished, %lld failed, %lld not yet done)", (long long)counts[1],
               (long long)counts[2], (long long)counts[0]);
    }
    printf(
        ". The explained quantity is the %s of the target (%s) of the model %s (SHA-256 %.16s...), "
        "target fixed at the clean input. Noise comes from Philox4x32-10 with seed %s, addressed "
        "by "
        "item name, sample and element; sums over samples are exact, so the numbers do not "
        "depend on the number of processes. Methods:",
        fact(f, "model.explain.score", "logit"), fact(f, "target", "predicted"),
        fact(f, "model.file", "?"), fact(f, "model.sha256", "?"), fact(f, "study.seed", "?"));
    say_methods(f);
    printf(".\nStandard errors are those of a mean where a map is a mean, otherwise from a "
           "jackknife over 16 groups of samples (of draws, where weights were disturbed).");
    sg_describe_rounding(f->reader);
    printf("\n");
    print_bibtex(f);
}

static sg_status describe(const char *result) {
    sg_status status = SG_OK;
    struct facts f = {.text = NULL};
    char *versions = NULL;

    SG_TRY(sg_reader_open(result, &f.reader));
    SG_TRY(sg_reader_text(f.reader, "provenance/identity", &f.text));
    SG_TRY(sg_labels_read(f.text, &f.labels));
    if (sg_reader_find(f.reader, "provenance/presets") != NULL) {
        SG_TRY(sg_reader_text(f.reader, "provenance/presets", &f.presets));
    }
    if (sg_reader_find(f.reader, "provenance/linearised") != NULL) {
        SG_TRY(sg_reader_text(f.reader, "provenance/linearised", &f.linearised));
    }
    SG_TRY(sg_reader_text(f.reader, "provenance/versions", &versions));
    say_all(&f, versions);
done:
    sg_free(versions);
    sg_labels_free(&f.labels);
    sg_free(f.text);
    sg_free(f.presets);
    sg_free(f.linearised);
    sg_reader_close(f.reader);
    return status;
}

int sg_cli_describe(int argc, char **argv) {
    static const char *const operand_names[] = {"the result"};
    const char *result = NULL;
    const struct option_row options[] = {{NULL, NULL, NULL, NULL, NULL, NULL, NULL}};
    const struct verb_options v = {
        .verb = "describe",
        .usage = "describe RESULT.h5",
        .about = "The study in a paragraph for a paper's methods section, with citations.",
        .n_operands = 1,
        .operand_names = operand_names,
        .operands = &result,
        .options = options};
    int go_on;
    const int exit_code = sg_cli_parse(&v, argc, argv, &go_on);
    sg_status status;

    if (!go_on) {
        return exit_code;
    }
    status = describe(result);
    return status == SG_OK ? SG_EXIT_OK : sg_cli_fail(status);
}
