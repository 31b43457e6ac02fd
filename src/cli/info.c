/* src/cli/info.c - sgdist info MODEL.onnx: what the model is, layer by layer. */
#include "cli/cli.h"
#include "cli/model_file.h"
#include "sgdist/log.h"

#include <getopt.h>

static int usage(void) {
    sg_log(SG_LOG_ERROR, "usage: sgdist info MODEL.onnx [--tensor NAME]");
    return SG_EXIT_USAGE;
}

int sg_cli_info(int argc, char **argv) {
    static const struct option options[] = {{"tensor", required_argument, NULL, 't'}, {0}};
    const char *tensor = NULL;
    struct model_file f = {0};
    sg_status status = SG_OK;
    int option;

    optind = 1;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option != 't') {
            return usage();
        }
        tensor = optarg;
    }
    if (argc - optind != 1) {
        return usage();
    }
    SG_TRY(model_file_open(argv[optind], tensor, &f));
    sg_model_print(f.model, stdout);
done:
    model_file_close(&f);
    if (status != SG_OK) {
        sg_log(SG_LOG_ERROR, "%s", sg_trace_message());
    }
    return sg_status_exit_code(status);
}
