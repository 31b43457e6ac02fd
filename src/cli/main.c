/* src/cli/main.c - the verbs by name. */
#include "cli/cli_impl.h"
#include "sgdist/log.h"
#include "sgdist/status.h"

#include <string.h>

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} verbs[] = {{"info", sg_cli_info}, {"eval", sg_cli_eval}};

int main(int argc, char **argv) {
    for (size_t i = 0; argc > 1 && i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(argv[1], verbs[i].name) == 0) {
            return verbs[i].run(argc - 1, argv + 1);
        }
    }
    sg_log(SG_LOG_ERROR, "usage: sgdist info|eval MODEL.onnx ...");
    return SG_EXIT_USAGE;
}
