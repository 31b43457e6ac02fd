/* src/cli/describe_rounding.c - what float16 did to the maps of a packed result, for a methods
 * section. */
#include "cli/describe_rounding.h"

#include "sgdist/memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The largest number of a dataset, over all items; NaN where there is none. */
static double largest_of(struct sg_reader *r, const struct sg_dataset *d) {
    const int64_t n = sg_dataset_bytes(d) / (int64_t)sizeof(float) * sg_reader_n_items(r);
    float *values = sg_calloc((size_t)n, sizeof *values);
    double largest = NAN;

    if (values != NULL && sg_reader_read(r, d->path, -1, values) == SG_OK) {
        for (int64_t i = 0; i < n; i++) {
            largest = fmax(largest, (double)values[i]);
        }
    }
    sg_free(values);
    return largest;
}

void sg_describe_rounding(struct sg_reader *reader) {
    static const char group[] = "rounding/";
    double map = NAN;
    double by_se = NAN;

    for (int i = 0; i < sg_reader_n_datasets(reader); i++) {
        const struct sg_dataset *d = sg_reader_dataset(reader, i);
        const char *name = strrchr(d->path, '/');

        if (strncmp(d->path, group, strlen(group)) != 0 || d->type != SG_TYPE_F32 || !d->per_item) {
            continue;
        }
        if (strcmp(name, "/map") == 0) {
            map = fmax(map, largest_of(reader, d));
        } else if (strcmp(name, "/map_by_se") == 0) {
            by_se = fmax(by_se, largest_of(reader, d));
        }
    }
    if (!isnan(map)) {
        printf(
            " Maps and standard errors are stored as float16, which changed a map by at most %.2g "
            "of its L2 norm",
            map);
        if (!isnan(by_se)) {
            printf(" and %.2g of the norm of its standard error", by_se);
        }
        printf(".");
    }
}
