/* tests/python/preprocess_dump.c - one item's model input as raw float32 on standard output, for
 * test_preprocess.py.
 *
 * preprocess_dump FOLDER POSITION C H W RESIZE CROP_ROWS CROP_COLUMNS COLOR SCALE EXIF [MEAN
 * STD]... */
#include "sgdist/data.h"
#include "sgdist/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIXED_ARGUMENTS = 12 };

static void read_preprocess(int argc, char **argv, struct sg_preprocess *p) {
    p->resize = atoll(argv[6]);
    p->crop[0] = atoll(argv[7]);
    p->crop[1] = atoll(argv[8]);
    p->color = (enum sg_color)atoi(argv[9]);
    p->scale = atof(argv[10]);
    p->exif = (enum sg_exif)atoi(argv[11]);
    for (int i = FIXED_ARGUMENTS; i + 1 < argc; i += 2) {
        p->mean[p->n_mean++] = atof(argv[i]);
        p->std[p->n_std++] = atof(argv[i + 1]);
    }
}

static sg_status dump(const struct sg_data_options *options, const struct sg_shape *input) {
    sg_status status = SG_OK;
    const size_t n = (size_t)sg_shape_size(input);
    float *x = sg_calloc(n, sizeof *x);
    struct sg_items *items = NULL;

    SG_CHECK(x != NULL, SG_E_NOMEM, "no memory");
    SG_TRY(sg_items_open(options, input, &items));
    SG_TRY(sg_items_load(items, 0, x));
    SG_CHECK(fwrite(x, sizeof *x, n, stdout) == n, SG_E_IO, "standard output failed");
done:
    sg_items_close(items);
    sg_free(x);
    return status;
}

int main(int argc, char **argv) {
    struct sg_data_options options = {.source = SG_SOURCE_FOLDER, .n_indices = 1};
    struct sg_shape input = {.n_axes = 3};
    int64_t position;

    if (argc < FIXED_ARGUMENTS) {
        return SG_EXIT_USAGE;
    }
    position = atoll(argv[2]);
    options.path = argv[1];
    options.indices = &position;
    for (int a = 0; a < 3; a++) {
        input.axes[a] = atoll(argv[3 + a]);
    }
    read_preprocess(argc, argv, &options.preprocess);
    if (dump(&options, &input) != SG_OK) {
        fprintf(stderr, "%s\n", sg_trace_message());
        return 1;
    }
    return 0;
}
