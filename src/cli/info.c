/* src/cli/info.c - sgdist info MODEL.onnx: what the model is, layer by layer. */
#include "cli/arguments.h"
#include "cli/cli.h"
#include "cli/model_file.h"

#include "sgdist/text.h"

#include <stdio.h>
#include <string.h>

/* A list whose entries end with a comma or semicolon, in lines of up to 100 columns. */
static void print_list(const char *text, int indent) {
    enum { LINE = 100 };
    int column = indent;

    while (*text != '\0') {
        const size_t entry = strcspn(text, ",;");
        const int n = (int)(text[entry] != '\0' ? entry + 1 : entry);

        if (column > indent && column + n > LINE) {
            text++; /* the blank before it */
            column = printf("\n%*s%.*s", indent, "", n - 1, text) - 1;
            text += n - 1;
        } else {
            column += printf("%.*s", n, text);
            text += n;
        }
    }
    (void)printf("\n");
}

/* The file as it is, then the model that is made of it: what cannot be run is listed even where
 * there is no model. */
static sg_status print(const char *path, const struct sg_explain *what, int64_t block, int layers) {
    sg_status status = SG_OK;
    struct sg_model *m = NULL;
    struct sg_text algorithms = {0};

    SG_TRY(sg_model_survey(path, stdout));
    SG_TRY(sg_cli_open_model(path, what, &m));
    sg_model_print(m, block, layers, stdout);
    sg_model_algorithms(m, &algorithms);
    SG_CHECK(!algorithms.failed, SG_E_NOMEM, "no memory for the list of algorithms");
    (void)printf("\nconvolutions   ");
    print_list(algorithms.data, 15);
    if (!layers) {
        (void)printf("\n--layers shows each layer, with the name of its tensor.\n");
    }
done:
    sg_text_free(&algorithms);
    sg_model_destroy(m);
    return status;
}

int sg_cli_info(int argc, char **argv) {
    static const char *const operand_names[] = {"the model"};
    const char *model = NULL;
    const char *tensor = NULL;
    const char *block_text = NULL;
    const char *shape_text = NULL;
    struct sg_shape shape = {0};
    struct sg_explain what = {.tensors = &tensor};
    int64_t block = 16; /* as in a job that does not say */
    int layers = 0;
    const struct option_row options[] = {
        {"tensor", "NAME", "the tensor to explain (default: the output, before a final softmax)",
         NULL, &tensor, NULL, NULL},
        {"shape", "C,H,W", "lengths of a sample, where the file leaves them open", NULL,
         &shape_text, NULL, NULL},
        {"layers", NULL, "each layer: shape, weights, multiply-adds, name of its tensor", &layers,
         NULL, NULL, NULL},
        {"block", "N", "samples that are run at a time, for the memory (default: 16)", NULL,
         &block_text, NULL, NULL},
        {NULL, NULL, NULL, NULL, NULL, NULL, NULL}};
    const struct verb_options v = {
        .verb = "info",
        .usage = "info MODEL.onnx [options]",
        .about = "Prints a model's inputs, outputs, layers and cost, and what cannot be run.",
        .n_operands = 1,
        .operand_names = operand_names,
        .operands = &model,
        .options = options};
    int go_on;
    const int exit_code = sg_cli_parse(&v, argc, argv, &go_on);
    sg_status status;

    if (!go_on) {
        return exit_code;
    }
    if (block_text != NULL &&
        (sg_text_to_int(block_text, &block) != SG_OK || block < 1 || block > 4096)) {
        return sg_cli_usage("info", "--block needs a number of samples from 1 to 4096, not '%s'",
                            block_text);
    }
    if (shape_text != NULL && !sg_cli_parse_shape(shape_text, &shape)) {
        return sg_cli_usage(
            "info", "--shape needs the lengths of a sample, like 3,224,224, not '%s'", shape_text);
    }
    what.n_tensors = tensor != NULL;
    what.shape = shape_text != NULL ? &shape : NULL;
    status = print(model, &what, block, layers);
    return status == SG_OK ? SG_EXIT_OK : sg_cli_fail(status);
}
