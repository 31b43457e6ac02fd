/* src/cli/main.c - finds the verb. `sgdist JOB.yaml` is `sgdist run JOB.yaml`. */
#include "cli/cli.h"
#include "sgdist/log.h"
#include "sgdist/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct verb {
    const char *name;
    const char *operands;
    const char *about;
    int (*run)(int argc, char **argv);
    int parallel; /* 1: all ranks take part */
};

#define ENTRY(name, operands, about, parallel) {#name, operands, about, sg_cli_##name, parallel},
static const struct verb verbs[] = {SG_VERB_LIST(ENTRY)};

enum { N_VERBS = sizeof verbs / sizeof verbs[0] };

static void print_help(FILE *out) {
    fprintf(out,
            "sgdist %s: gradient-smoothing attributions for whole data sets\n\n"
            "  mpirun -n 8 sgdist JOB.yaml            run a study (one rank works too: sgdist "
            "JOB.yaml)\n\n",
            SGDIST_VERSION);
    for (int i = 0; i < N_VERBS; i++) {
        fprintf(out, "  sgdist %-9s%-19s %s\n", verbs[i].name, verbs[i].operands, verbs[i].about);
    }
    fprintf(out, "\nOptions of a verb: sgdist VERB --help. Exit codes: 0 complete; 1 diff found "
                 "differences;\n2 usage, job or model refused; 3 input data; 4 result file or "
                 "disk; 5 numbers;\n6 internal; 85 stopped early with a valid result, run it "
                 "again.\n");
}

/* Arguments are read before MPI starts: the launchers' environment tells which process is the
 * first. */
int sg_cli_speaks(void) {
    static const char *const ranks[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"};

    for (size_t i = 0; i < sizeof ranks / sizeof ranks[0]; i++) {
        const char *rank = getenv(ranks[i]);

        if (rank != NULL) {
            return strcmp(rank, "0") == 0;
        }
    }
    return 1;
}

int sg_cli_usage(const char *verb, const char *fmt, ...) {
    char message[512];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    if (!sg_cli_speaks()) {
        return SG_EXIT_USAGE;
    }
    fprintf(stderr, "sgdist %s: %s (see sgdist %s --help)\n", verb, message, verb);
    return SG_EXIT_USAGE;
}

int sg_cli_fail(sg_status status) {
    sg_log(SG_LOG_ERROR, "%s", sg_trace_message());
    return sg_status_exit_code(status);
}

static const struct verb *find(const char *name) {
    for (int i = 0; i < N_VERBS; i++) {
        if (strcmp(verbs[i].name, name) == 0) {
            return &verbs[i];
        }
    }
    return NULL;
}

static int looks_like_job(const char *word) {
    const char *dot = strrchr(word, '.');

    return word[0] == '-' || strchr(word, '/') != NULL ||
           (dot != NULL && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0));
}

static int unknown_verb(const char *word) {
    const char *names[N_VERBS];
    const char *nearest;

    for (int i = 0; i < N_VERBS; i++) {
        names[i] = verbs[i].name;
    }
    nearest = sg_text_nearest(word, names, N_VERBS);
    if (!sg_cli_speaks()) {
        return SG_EXIT_USAGE;
    }
    fprintf(stderr, "sgdist: '%s' is neither a command nor a job file (.yaml)", word);
    if (nearest != NULL) {
        fprintf(stderr, "; did you mean '%s'?", nearest);
    }
    fprintf(stderr, " (see sgdist --help)\n");
    return SG_EXIT_USAGE;
}

/* `sgdist help VERB` is `sgdist VERB --help`. */
static int help_of(char *name) {
    char option[] = "--help";
    char *arguments[] = {name, option, NULL};
    const struct verb *verb = find(name);

    if (verb == NULL) {
        return unknown_verb(name);
    }
    return sg_cli_speaks() ? verb->run(2, arguments) : SG_EXIT_OK;
}

int main(int argc, char **argv) {
    const struct verb *verb;

    if (argc < 2) {
        if (sg_cli_speaks()) {
            print_help(stderr);
        }
        return SG_EXIT_USAGE;
    }
    if (strcmp(argv[1], "help") == 0 && argc > 2) {
        return help_of(argv[2]);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        if (sg_cli_speaks()) {
            print_help(stdout);
        }
        return SG_EXIT_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        if (sg_cli_speaks()) {
            printf("sgdist %s\n", SGDIST_VERSION);
        }
        return SG_EXIT_OK;
    }
    verb = find(argv[1]);
    if (verb != NULL && !verb->parallel && !sg_cli_speaks()) {
        return SG_EXIT_OK; /* one process is enough for it */
    }
    if (verb != NULL) {
        return verb->run(argc - 1, argv + 1);
    }
    return looks_like_job(argv[1]) ? sg_cli_run(argc, argv) : unknown_verb(argv[1]);
}
