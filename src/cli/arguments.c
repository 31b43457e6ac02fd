/* src/cli/arguments.c - the arguments that all verbs on jobs share: a job file, --set, and a verb's
 * own switches. */
#include "cli/arguments.h"

#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

enum { MAX_SETS = sizeof((struct job_arguments *)0)->sets / sizeof(char *) };

static void print_help(const struct verb_options *v) {
    printf("sgdist %s\n\n%s\n\n", v->usage, v->about);
    for (const struct option_row *o = v->options; o->name != NULL; o++) {
        char left[48];

        (void)snprintf(left, sizeof left, "--%s%s%s", o->name, o->operand != NULL ? " " : "",
                       o->operand != NULL ? o->operand : "");
        printf("  %-26s %s\n", left, o->about);
    }
}

static const struct option_row *find(const struct verb_options *v, const char *name) {
    for (const struct option_row *o = v->options; o->name != NULL; o++) {
        if (strcmp(o->name, name) == 0) {
            return o;
        }
    }
    return NULL;
}

static int unknown_option(const struct verb_options *v, const char *word) {
    const char *names[32];
    const char *nearest;
    int n = 0;

    for (const struct option_row *o = v->options; o->name != NULL && n < 32; o++) {
        names[n++] = o->name;
    }
    nearest = sg_text_nearest(word + 2, names, n);
    return nearest != NULL
               ? sg_cli_usage(v->verb, "unknown option '%s'; did you mean '--%s'?", word, nearest)
               : sg_cli_usage(v->verb, "unknown option '%s'", word);
}

/* Splits "--name=value" at the sign; `word` is changed in a copy. */
static const char *split(const char *word, char *name, size_t cap) {
    const char *sign = strchr(word, '=');
    const size_t n = sign != NULL ? (size_t)(sign - word) : strlen(word);

    (void)snprintf(name, cap, "%.*s", (int)(n < cap ? n : cap - 1), word);
    return sign != NULL ? sign + 1 : NULL;
}

static int take_option(const struct verb_options *v, int argc, char **argv, int *i) {
    char name[64];
    const char *value = split(argv[*i] + 2, name, sizeof name);
    const struct option_row *o = find(v, name);

    if (o == NULL) {
        return unknown_option(v, argv[*i]);
    }
    if (o->operand == NULL) {
        if (value != NULL) {
            return sg_cli_usage(v->verb, "--%s takes no value", name);
        }
        *o->flag = 1;
        return SG_EXIT_OK;
    }
    if (value == NULL && *i + 1 >= argc) {
        return sg_cli_usage(v->verb, "--%s needs %s", name, o->operand);
    }
    value = value != NULL ? value : argv[++*i];
    if (o->values == NULL) {
        *o->value = value;
    } else if (*o->n_values >= MAX_SETS) {
        return sg_cli_usage(v->verb, "more than %d --%s", (int)MAX_SETS, name);
    } else {
        o->values[(*o->n_values)++] = value;
    }
    return SG_EXIT_OK;
}

int sg_cli_parse(const struct verb_options *v, int argc, char **argv, int *go_on) {
    int n_operands = 0;
    int code = SG_EXIT_OK;

    *go_on = 0;
    for (int i = 1; i < argc && code == SG_EXIT_OK; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            if (sg_cli_speaks()) {
                print_help(v);
            }
            return SG_EXIT_OK;
        }
        if (strncmp(argv[i], "--", 2) == 0) {
            code = take_option(v, argc, argv, &i);
        } else if (argv[i][0] == '-' && argv[i][1] != '\0' && strcmp(argv[i], "-o") != 0) {
            code = sg_cli_usage(v->verb, "unknown option '%s'", argv[i]);
        } else if (strcmp(argv[i], "-o") == 0) {
            char as_long[] = "--output";
            char *words[] = {as_long, i + 1 < argc ? argv[i + 1] : NULL};
            int at = 0;

            code = take_option(v, i + 1 < argc ? 2 : 1, words, &at);
            i++;
        } else if (n_operands < v->n_operands + v->max_more) {
            v->operands[n_operands++] = argv[i];
        } else {
            code = sg_cli_usage(v->verb, "'%s' is one argument too many: %d are possible", argv[i],
                                v->n_operands + v->max_more);
        }
    }
    if (code == SG_EXIT_OK && n_operands < v->n_operands) {
        code = sg_cli_usage(v->verb, "%s is missing", v->operand_names[n_operands]);
    }
    if (v->n_more != NULL) {
        *v->n_more = n_operands - v->n_operands;
    }
    *go_on = code == SG_EXIT_OK;
    return code;
}
