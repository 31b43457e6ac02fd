/* src/cli/diff.c - `sgdist diff A B`: exit 0 if two results are equal, 1 if not. */
#include "cli/arguments.h"
#include "cli/cli.h"
#include "sgdist/compare.h"

#include <stdio.h>
#include <string.h>

enum { DIFFERENT = 1 };

struct arguments {
    const char *files[2];
    struct sg_tolerance tolerance;
};

/* Reads the number of an option that was given; an exit code. */
static int read_tolerance(const char *name, const char *text, double *out) {
    if (text != NULL && (sg_text_to_double(text, out) != SG_OK || *out < 0)) {
        return sg_cli_usage("diff", "--%s needs a number of 0 or more, not '%s'", name, text);
    }
    return SG_EXIT_OK;
}

/* Returns an exit code; *go_on as in sg_cli_parse. */
static int parse(int argc, char **argv, struct arguments *out, int *go_on) {
    static const char *const operand_names[] = {"the first result", "the second result"};
    const char *rtol = NULL;
    const char *atol = NULL;
    const struct option_row options[] = {
        {"rtol", "X", "numbers a and b are equal if |a - b| <= atol + rtol |b|", NULL, &rtol, NULL,
         NULL},
        {"atol", "X", "(without these two: bit for bit)", NULL, &atol, NULL, NULL},
        {NULL, NULL, NULL, NULL, NULL, NULL, NULL}};
    const struct verb_options v = {
        .verb = "diff",
        .usage = "diff A.h5 B.h5 [--rtol X] [--atol X]",
        .about = "Compares two results, items matched by name: items, maps, convergence and the "
                 "data set's\nstatistics, bit for bit; not times, hosts and other circumstances of "
                 "the runs.\nExit code: 0 equal, 1 different, 2 wrong usage, 4 a file cannot be "
                 "read.",
        .n_operands = 2,
        .operand_names = operand_names,
        .operands = out->files,
        .options = options};
    int exit_code = sg_cli_parse(&v, argc, argv, go_on);

    if (*go_on) {
        exit_code = read_tolerance("rtol", rtol, &out->tolerance.rtol);
    }
    if (*go_on && exit_code == SG_EXIT_OK) {
        exit_code = read_tolerance("atol", atol, &out->tolerance.atol);
    }
    *go_on = *go_on && exit_code == SG_EXIT_OK;
    return exit_code;
}

static void print_difference(const struct sg_difference *d, int width) {
    if (d->note[0] != '\0') {
        printf("%-*s  %s\n", width, d->path, d->note);
        return;
    }
    printf("%-*s  %9lld %12lld %12.4g %12.4g  ", width, d->path, (long long)d->n_items,
           (long long)d->n_elements, d->max_abs, d->max_rel);
    if (d->first_item[0] != '\0') {
        printf("%s ", d->first_item);
    }
    printf("[%lld]: %s, %s", (long long)d->first_index, d->first_a, d->first_b);
    if (d->n_zero_sign > 0) {
        printf("; %lld in the sign of a zero only", (long long)d->n_zero_sign);
    }
    if (d->n_nan > 0) {
        printf("; %lld with NaN or infinity", (long long)d->n_nan);
    }
    printf("\n");
}

static void print_table(const struct sg_comparison *c) {
    int width = (int)strlen("dataset");

    for (int i = 0; i < c->n_differences; i++) {
        const int n = (int)strlen(c->differences[i].path);

        width = n > width ? n : width;
    }
    printf("%-*s  %9s %12s %12s %12s  %s\n", width, "dataset", "items", "elements", "max abs",
           "max rel", "first place: A, B");
    for (int i = 0; i < c->n_differences; i++) {
        print_difference(&c->differences[i], width);
    }
}

static void print_count(int64_t n, const char *what) {
    if (n > 0) {
        printf("%lld %s %s\n", (long long)n, n == 1 ? "item is" : "items are", what);
    }
}

static void print_comparison(const struct sg_comparison *c, const struct arguments *args) {
    const int exact = args->tolerance.rtol < 0 && args->tolerance.atol < 0;

    printf("A %s: %lld items\nB %s: %lld items\n", args->files[0], (long long)c->n_items_a,
           args->files[1], (long long)c->n_items_b);
    print_count(c->n_items_a - c->n_common, "only in A");
    print_count(c->n_items_b - c->n_common, "only in B");
    print_count(c->n_pending_a, "pending in A only");
    print_count(c->n_pending_b, "pending in B only");
    print_count(c->n_pending_both, "pending in both, not compared");
    if (c->notes.data != NULL) {
        printf("%s", c->notes.data);
    }
    if (c->n_differences > 0) {
        printf("\n");
        print_table(c);
        printf("\n");
    }
    printf("%lld items, %lld datasets compared%s: %s\n", (long long)c->n_compared,
           (long long)c->n_datasets, exact ? " bit for bit" : " within the tolerances",
           sg_comparison_is_equal(c) ? "no difference" : "they differ");
}

int sg_cli_diff(int argc, char **argv) {
    struct arguments args = {.tolerance = {-1, -1}};
    struct sg_comparison c = {0};
    int go_on;
    const int exit_code = parse(argc, argv, &args, &go_on);
    sg_status status;
    int equal;

    if (!go_on) {
        return exit_code;
    }
    status = sg_compare(args.files[0], args.files[1], &args.tolerance, &c);
    if (status != SG_OK) {
        return sg_cli_fail(status);
    }
    print_comparison(&c, &args);
    equal = sg_comparison_is_equal(&c);
    sg_comparison_free(&c);
    return equal ? SG_EXIT_OK : DIFFERENT;
}
