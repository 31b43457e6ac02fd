/* src/cli/list.c - `sgdist list`: what is built in. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

static void list_methods(void) {
    for (int i = 0; sg_method_at(i) != NULL; i++) {
        const struct sg_method *m = sg_method_at(i);

        printf("%-26s %s\n%-26s   %s\n", m->name, m->summary, "", m->cite);
    }
}

static void list_ops(void) {
    const char *name;
    int opset_min;
    int opset_max;

    for (int i = 0; (name = sg_op_name(i, &opset_min, &opset_max)) != NULL; i++) {
        printf("%-22s opset %d to %d\n", name, opset_min, opset_max);
    }
}

static void list_presets(void) {
    for (int i = 0; sg_preset_at(i) != NULL; i++) {
        const struct sg_preset *p = sg_preset_at(i);

        printf("%-15s %-13s %s\n%-15s   %s\n", p->name, p->version, p->tool, "", p->settings);
    }
}

int sg_cli_list(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "methods") == 0) {
        list_methods();
        return SG_EXIT_OK;
    }
    if (argc == 2 && strcmp(argv[1], "ops") == 0) {
        list_ops();
        return SG_EXIT_OK;
    }
    if (argc == 2 && strcmp(argv[1], "presets") == 0) {
        list_presets();
        return SG_EXIT_OK;
    }
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        printf(
            "sgdist list methods|ops|presets\n\nThe attribution methods or the ONNX operators that "
            "are built in, or the conventions of other tools (`like` in a job).\n");
        return SG_EXIT_OK;
    }
    return argc < 2 ? sg_cli_usage("list", "say what: methods, ops or presets")
                    : sg_cli_usage("list", "'%s' is none of methods, ops and presets", argv[1]);
}
