/* src/cli/info.c - sgdist info MODEL.onnx: what the model is, layer by layer. */
#include "cli/arguments.h"
#include "cli/cli.h"
#include "cli/model_file.h"

#include <stdio.h>

int sg_cli_info(int argc, char **argv) {
    static const char *const operand_names[] = {"the model"};
    const char *model = NULL;
    const char *tensor = NULL;
    const struct option_row options[] = {
        {"tensor", "NAME", "the tensor to explain (default: the output, before a final softmax)",
         NULL, &tensor, NULL, NULL},
        {NULL, NULL, NULL, NULL, NULL, NULL, NULL}};
    const struct verb_options v = {
        .verb = "info",
        .usage = "info MODEL.onnx [--tensor NAME]",
        .about = "Prints a model's inputs, outputs, layers, parameters and cost.",
        .n_operands = 1,
        .operand_names = operand_names,
        .operands = &model,
        .options = options};
    struct sg_model *m = NULL;
    int go_on;
    const int exit_code = sg_cli_parse(&v, argc, argv, &go_on);
    sg_status status;

    if (!go_on) {
        return exit_code;
    }
    status = sg_cli_read_model(model, tensor, &m);
    if (status == SG_OK) {
        sg_model_print(m, stdout);
    }
    sg_model_destroy(m);
    return status == SG_OK ? SG_EXIT_OK : sg_cli_fail(status);
}
