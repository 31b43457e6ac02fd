/* src/cli/join.c - `sgdist join A.h5 B.h5 ...`: many results of one study as one. */
#include "sgdist/join.h"
#include "cli/arguments.h"
#include "cli/cli.h"
#include "sgdist/log.h"

#include <stdlib.h>

int sg_cli_join(int argc, char **argv) {
    static const char *operands[SG_MAX_PARTS];
    static const char *const operand_names[] = {"the first result"};
    const char *output = NULL;
    int n_more = 0;
    int64_t n_items = 0;
    const struct option_row options[] = {
        {"output", "F.h5", "file to write (also -o)", NULL, &output, NULL, NULL},
        {NULL, NULL, NULL, NULL, NULL, NULL, NULL}};
    const struct verb_options v = {
        .verb = "join",
        .usage = "join -o F.h5 A.h5 B.h5 ...",
        .about =
            "Makes a small file through which complete results of one study, each with other items "
            "(data.indices),\nare read as one, in the order given. The maps stay where they are: "
            "keep the files, and move them\ntogether. All commands, h5py and xarray read it; "
            "`sgdist pack F.h5` makes a file of its own of it.\nExit code: 0 joined, 2 refused, 4 "
            "a file cannot be read or written, 6 out of memory.",
        .n_operands = 1,
        .operand_names = operand_names,
        .operands = operands,
        .max_more = SG_MAX_PARTS - 1,
        .n_more = &n_more,
        .options = options};
    int go_on;
    const int exit_code = sg_cli_parse(&v, argc, argv, &go_on);
    sg_status status;

    if (!go_on) {
        return exit_code;
    }
    if (output == NULL) {
        return sg_cli_usage("join", "-o F.h5 is missing: the file to write");
    }
    sg_log_setup(SG_LOG_INFO, 0);
    status = sg_join(output, 1 + n_more, operands, &n_items);
    if (status != SG_OK) {
        return sg_cli_fail(status);
    }
    sg_log(SG_LOG_INFO, "%s: %lld items of %d results, which stay where they are", output,
           (long long)n_items, 1 + n_more);
    return SG_EXIT_OK;
}
