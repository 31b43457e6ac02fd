/* src/cli/arguments.h - a verb's command line as a table; not for other folders. */
#ifndef CLI_ARGUMENTS_H
#define CLI_ARGUMENTS_H

/* One option: a switch (operand NULL, flag), one value, or values that pile up. */
struct option_row {
    const char *name;
    const char *operand; /* "KEY=VALUE" in help; NULL: a switch */
    const char *about;
    int *flag;
    const char **value;
    const char **values;
    int *n_values;
};

struct verb_options {
    const char *verb;
    const char *usage; /* "run JOB.yaml [options]" */
    const char *about;
    int n_operands;
    const char *const *operand_names;
    const char **operands;            /* [n_operands + max_more], filled */
    int max_more;                     /* operands beyond these; 0: none are allowed */
    int *n_more;                      /* how many were given */
    const struct option_row *options; /* ends with a row without a name */
};

/* Parses argv[1..]; "-o X" is "--output X". Returns an exit code; *go_on 1 if the verb should do
 * its work, 0 if help was printed or something was wrong (and has been said). */
int sg_cli_parse(const struct verb_options *v, int argc, char **argv, int *go_on);

#endif
