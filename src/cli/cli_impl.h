/* src/cli/cli_impl.h - the verbs; argv[0] is the verb itself. Each returns the program's exit code.
 */
#ifndef CLI_IMPL_H
#define CLI_IMPL_H

int sg_cli_info(int argc, char **argv);
int sg_cli_eval(int argc, char **argv);

#endif
