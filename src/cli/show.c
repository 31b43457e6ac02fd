/* src/cli/show.c - `sgdist show`: a contact sheet of a result. */
#include "cli/arguments.h"
#include "cli/cli.h"
#include "cli/labels.h"
#include "sgdist/log.h"
#include "sgdist/memory.h"
#include "sgdist/report.h"
#include "sgdist/store.h"
#include "sgdist/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_ROWS = 200 };

/* Where the pictures come from: the data set that the result's job names, if it is still there. */
struct pictures {
    struct sg_reader *reader; /* of the result */
    char *name;               /* of an item */
    int64_t next;             /* where the next item's picture is looked for first */
    struct sg_job *job;
    struct sg_items *items;
    struct sg_shape input;
    struct sg_domain domain;
    float *x;
};

/* The shape of the model's input: maps may be of layers, or without channels. */
static sg_status find_input(struct sg_reader *r, struct sg_shape *out) {
    sg_status status = SG_OK;
    char *text = NULL;
    char *rest = NULL;

    *out = (struct sg_shape){.n_axes = 0};
    SG_TRY(sg_reader_text(r, "provenance/input", &text));
    for (char *word = strtok_r(text, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        SG_CHECK(out->n_axes < SG_MAX_AXES, SG_E_FORMAT, "the model's input has too many axes");
        SG_TRY(sg_text_to_int(word, &out->axes[out->n_axes++]));
    }
done:
    sg_free(text);
    return status;
}

/* The record of a job ends with its --set arguments as comments: they are taken off the text and
 * listed. */
static int split_sets(char *text, const char **sets, int cap) {
    static const char mark[] = "\n# --set ";
    int n = 0;

    for (;;) {
        char *last = NULL;

        for (char *at = strstr(text, mark); at != NULL; at = strstr(at + 1, mark)) {
            last = at;
        }
        if (last == NULL || n == cap) {
            return n;
        }
        last[0] = '\0';
        last += strlen(mark + 1) + 1;
        last[strcspn(last, "\n")] = '\0';
        sets[n++] = last;
    }
}

static sg_status open_pictures(struct sg_reader *r, const char *identity, struct pictures *p) {
    sg_status status = SG_OK;
    const struct sg_dataset *id = sg_reader_find(r, "items/id");
    char *text = NULL;
    char *file = NULL;
    const char *sets[64];
    int n_sets;

    SG_TRY(find_input(r, &p->input));
    SG_TRY(sg_reader_text(r, "provenance/job_text", &text));
    SG_TRY(sg_reader_text(r, "provenance/job_file", &file));
    n_sets = split_sets(text, sets, 64);
    SG_TRY(sg_job_parse(text, strlen(text), file, sets, n_sets, &p->job));
    if (strstr(identity, "\ndata: ") != NULL) { /* joined: the job is of one part's items alone */
        p->job->data.limit = 0;
        p->job->data.n_indices = 0;
    }
    SG_TRY(sg_items_open(&p->job->data, &p->input, &p->items));
    p->reader = r;
    SG_CHECK(id != NULL && id->type == SG_TYPE_TEXT && id->per_item && id->n_axes == 1, SG_E_FORMAT,
             "the names of the items are missing");
    p->name = sg_calloc((size_t)id->text_bytes + 1, 1);
    SG_CHECK(p->name != NULL, SG_E_NOMEM, "no memory for the name of an item");
    sg_domain_init(&p->job->data, (int)p->input.axes[0], &p->domain);
    p->x = sg_malloc_aligned((size_t)sg_shape_size(&p->input), sizeof *p->x);
    SG_CHECK(p->x != NULL, SG_E_NOMEM, "no memory for a picture");
done:
    sg_free(text);
    sg_free(file);
    return status;
}

static void close_pictures(struct pictures *p) {
    sg_free(p->x);
    sg_free(p->name);
    sg_items_close(p->items);
    sg_job_destroy(p->job);
}

/* The data may have other items before it than when the study ran: it goes by its name. */
static sg_status read_input(void *context, int64_t item, float *pixel) {
    sg_status status = SG_OK;
    struct pictures *p = context;
    const int64_t n = sg_items_count(p->items);
    int64_t passed = 0;

    SG_TRY(sg_reader_read(p->reader, "items/id", item, p->name));
    while (passed < n && strcmp(sg_items_name(p->items, p->next % n), p->name) != 0) {
        p->next++;
        passed++;
    }
    SG_CHECK(passed < n, SG_E_INPUT, "it is not among the job's data");
    SG_TRY(sg_items_load(p->items, p->next++ % n, p->x));
    sg_domain_to_pixels(&p->domain, &p->input, p->x, pixel);
done:
    if (status != SG_OK) {
        sg_log(SG_LOG_WARN, "the picture of '%s' is left out: %s", p->name, sg_trace_message());
    }
    return status;
}

/* "results/quickstart.h5" -> "results/quickstart.png". */
static void default_output(const char *result, char *out, size_t cap) {
    const char *dot = strrchr(result, '.');
    const size_t n =
        dot != NULL && strchr(dot, '/') == NULL ? (size_t)(dot - result) : strlen(result);

    (void)snprintf(out, cap, "%.*s.png", (int)n, result);
}

/* "3,17,40" into items. */
static sg_status parse_items(const char *words, int64_t *items, int64_t *n) {
    sg_status status = SG_OK;
    char text[2048];
    char *rest = NULL;

    (void)snprintf(text, sizeof text, "%s", words);
    *n = 0;
    for (char *w = strtok_r(text, ",", &rest); w != NULL; w = strtok_r(NULL, ",", &rest)) {
        SG_CHECK(*n < MAX_ROWS, SG_E_ARG, "--items: more than %d items", (int)MAX_ROWS);
        SG_TRY(sg_text_to_int(w, &items[(*n)++]));
    }
done:
    return status;
}

/* "a,c" of the labels a, b, c: those alone, in this order. */
static sg_status choose_labels(const char *words, const struct sg_labels *l, const char **chosen,
                               int *n) {
    sg_status status = SG_OK;
    char text[8192];
    char *rest = NULL;

    SG_CHECK(strlen(words) < sizeof text, SG_E_ARG, "--methods: the list is too long");
    memcpy(text, words, strlen(words) + 1);
    *n = 0;
    for (char *w = strtok_r(text, ",", &rest); w != NULL; w = strtok_r(NULL, ",", &rest)) {
        const char *near = sg_text_nearest(w, l->names, l->n);

        SG_CHECK(near != NULL, SG_E_ARG,
                 "--methods: '%s' is not in this result, which begins with '%s'", w,
                 l->n > 0 ? l->names[0] : "");
        SG_CHECK(strcmp(near, w) == 0, SG_E_ARG,
                 "--methods: '%s' is not in this result; did you mean '%s'?", w, near);
        SG_CHECK(*n < l->n, SG_E_ARG, "--methods: more names than the result has methods");
        chosen[(*n)++] = near;
    }
    SG_CHECK(*n > 0, SG_E_ARG, "--methods: it names none");
done:
    return status;
}

/* Pictures are grey or have three colours; other items cannot be drawn beside their maps. */
static int are_pictures(const struct sg_shape *input) {
    return input->n_axes == 3 && (input->axes[0] == 1 || input->axes[0] == 3);
}

/* `methods`: the labels to draw, with commas; NULL: all. */
static sg_status draw(const char *result, const char *methods, struct sg_sheet_options *options,
                      const char *out) {
    sg_status status = SG_OK;
    struct sg_reader *reader = NULL;
    struct pictures pictures = {.job = NULL};
    struct sg_labels labels = {.n = 0};
    const char **chosen = NULL;
    char *identity = NULL;

    SG_TRY(sg_reader_open(result, &reader));
    SG_TRY(sg_reader_text(reader, "provenance/identity", &identity));
    SG_TRY(sg_labels_read(identity, &labels));
    options->n_labels = labels.n;
    options->labels = labels.names;
    if (methods != NULL) {
        chosen = sg_calloc((size_t)labels.n + 1, sizeof *chosen);
        SG_CHECK(chosen != NULL, SG_E_NOMEM, "no memory for the list of methods");
        SG_TRY(choose_labels(methods, &labels, chosen, &options->n_labels));
        options->labels = chosen;
    }
    if (open_pictures(reader, identity, &pictures) != SG_OK) {
        sg_log(SG_LOG_WARN,
               "the pictures are left out: %s (relative paths start where the study was started)",
               sg_trace_message());
    } else if (!are_pictures(&pictures.input)) {
        sg_log(SG_LOG_WARN, "the items are left out: they are no grey or coloured pictures");
    } else {
        options->read_input = read_input;
        options->context = &pictures;
        options->input = pictures.input;
        options->is_bgr = pictures.job->data.preprocess.color == SG_COLOR_BGR;
    }
    options->title = pictures.job != NULL ? pictures.job->name : NULL;
    SG_TRY(sg_report_sheet(result, options, out));
    printf("%s\n", out);
done:
    sg_free(chosen);
    sg_labels_free(&labels);
    sg_free(identity);
    close_pictures(&pictures);
    sg_reader_close(reader);
    return status;
}

static int ends_in_png(const char *path) {
    const size_t n = strlen(path);

    return n > 4 && strcasecmp(path + n - 4, ".png") == 0;
}

int sg_cli_show(int argc, char **argv) {
    static const char *const operand_names[] = {"the result"};
    const char *result = NULL;
    const char *output = NULL;
    const char *items = NULL;
    const char *rows = NULL;
    const char *methods = NULL;
    const struct option_row options[] = {
        {"output", "F.png", "picture to write (also -o; default: beside the result)", NULL, &output,
         NULL, NULL},
        {"items", "I,J,...", "numbers of the items to show (default: the first ones)", NULL, &items,
         NULL, NULL},
        {"rows", "N", "how many of the first items", NULL, &rows, NULL, NULL},
        {"methods", "A,B,...", "the methods to show, by their labels (default: all)", NULL,
         &methods, NULL, NULL},
        {NULL, NULL, NULL, NULL, NULL, NULL, NULL}};
    const struct verb_options v = {.verb = "show",
                                   .usage = "show RESULT.h5 [-o F.png] [options]",
                                   .about = "Draws a contact sheet: a row an item, a column the "
                                            "picture, then each method's map and standard error.",
                                   .n_operands = 1,
                                   .operand_names = operand_names,
                                   .operands = &result,
                                   .options = options};
    struct sg_sheet_options sheet = {.n_items = 0};
    int64_t numbers[MAX_ROWS];
    char path[4096];
    int go_on;
    const int exit_code = sg_cli_parse(&v, argc, argv, &go_on);
    sg_status status;

    if (!go_on) {
        return exit_code;
    }
    if (rows != NULL && (sg_text_to_int(rows, &sheet.n_items) != SG_OK || sheet.n_items < 1 ||
                         sheet.n_items > MAX_ROWS)) {
        return sg_cli_usage("show", "--rows needs a number from 1 to %d, not '%s'", MAX_ROWS, rows);
    }
    if (items != NULL) {
        if (parse_items(items, numbers, &sheet.n_items) != SG_OK) {
            return sg_cli_usage("show", "--items %s: %s", items, sg_trace_message());
        }
        sheet.items = numbers;
    }
    if (output != NULL && !ends_in_png(output)) {
        return sg_cli_usage("show", "it draws PNG pictures: --output '%s' must end in .png",
                            output);
    }
    default_output(result, path, sizeof path);
    status = draw(result, methods, &sheet, output != NULL ? output : path);
    return status == SG_OK ? SG_EXIT_OK : sg_cli_fail(status);
}
