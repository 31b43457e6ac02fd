/* src/cli/diff.c - `sgdist diff A B`: exit 0 if two results are equal, 1 if not. */
#include "cli/cli.h"

#include "sgdist/compare.h"
#include "sgdist/log.h"

#include <stdio.h>
#include <string.h>

enum { DIFFERENT = 1 };

static const char usage[] =
    "usage: sgdist diff [--rtol X] [--atol X] A.h5 B.h5\n"
    "\n"
    "Compares two results: items matched by name, all data of items/, maps/, convergence/ and\n"
    "dataset/ bit for bit; not times, hosts and other circumstances of the runs.\n"
    "\n"
    "  --rtol X, --atol X   floats a and b are equal if |a - b| <= atol + rtol |b|\n"
    "\n"
    "Exit code: 0 equal, 1 different, 2 usage, 4 a file cannot be read.\n";

struct arguments {
    const char *files[2];
    int n_files;
    struct sg_tolerance tolerance;
    int help;
};

static sg_status read_tolerance(const char *name, const char *text, double *out) {
    sg_status status = SG_OK;

    SG_CHECK(text != NULL, SG_E_ARG, "%s: a number is missing", name);
    SG_CHECK(sg_text_to_double(text, out) == SG_OK && *out >= 0, SG_E_ARG,
             "%s: '%s' is no number of 0 or more", name, text);
done:
    return status;
}

/* Takes "--name X" or "--name=X" at argv[*i]: 1 if it was there. */
static int is_option(int argc, char **argv, int *i, const char *name, const char **value) {
    const size_t n = strlen(name);

    if (strncmp(argv[*i], name, n) != 0) {
        return 0;
    }
    if (argv[*i][n] == '=') {
        *value = argv[*i] + n + 1;
        return 1;
    }
    if (argv[*i][n] != '\0') {
        return 0;
    }
    *value = *i + 1 < argc ? argv[++*i] : NULL;
    return 1;
}

static sg_status parse(int argc, char **argv, struct arguments *out) {
    sg_status status = SG_OK;
    const char *value = NULL;

    *out = (struct arguments){.tolerance = {-1, -1}};
    for (int i = 1; i < argc; i++) {
        if (is_option(argc, argv, &i, "--rtol", &value)) {
            SG_TRY(read_tolerance("--rtol", value, &out->tolerance.rtol));
        } else if (is_option(argc, argv, &i, "--atol", &value)) {
            SG_TRY(read_tolerance("--atol", value, &out->tolerance.atol));
        } else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            out->help = 1;
        } else {
            SG_CHECK(argv[i][0] != '-', SG_E_ARG, "%s: there is no such option of diff", argv[i]);
            SG_CHECK(out->n_files < 2, SG_E_ARG, "%s: diff takes two results, not more", argv[i]);
            out->files[out->n_files++] = argv[i];
        }
    }
    SG_CHECK(out->help || out->n_files == 2, SG_E_ARG, "diff takes two results");
done:
    return status;
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
    struct arguments args;
    struct sg_comparison c = {0};
    sg_status status = parse(argc, argv, &args);
    int equal;

    if (status != SG_OK) {
        sg_log(SG_LOG_ERROR, "%s", sg_trace_message());
        (void)fputs(usage, stderr);
        return SG_EXIT_USAGE;
    }
    if (args.help) {
        (void)fputs(usage, stdout);
        return SG_EXIT_OK;
    }
    status = sg_compare(args.files[0], args.files[1], &args.tolerance, &c);
    if (status != SG_OK) {
        sg_log(SG_LOG_ERROR, "%s", sg_trace_message());
        return sg_status_exit_code(status);
    }
    print_comparison(&c, &args);
    equal = sg_comparison_is_equal(&c);
    sg_comparison_free(&c);
    return equal ? SG_EXIT_OK : DIFFERENT;
}
