/* src/cli/cli_impl.h - the verbs: argv[0] is the verb, the value is the program's exit code. */
#ifndef SGDIST_CLI_IMPL_H
#define SGDIST_CLI_IMPL_H

int sg_cli_diff(int argc, char **argv);
int sg_cli_status(int argc, char **argv);

#endif
