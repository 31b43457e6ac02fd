/* tests/fuzz/fuzz_tar.c - any bytes as a tar archive: its entries, and as a source with all that
 * its names and labels mean. */
#include "data/data_impl.h"
#include "fuzz.h"
#include "sgdist/memory.h"

#include <string.h>

struct bounds {
    int64_t size;
    int64_t at; /* entries come in their order */
};

static sg_status visit(void *context, const struct sg_tar_entry *entry) {
    struct bounds *b = context;

    FUZZ_CHECK(entry->offset >= b->at && entry->bytes >= 0);
    FUZZ_CHECK(entry->bytes <= b->size - entry->offset && strlen(entry->name) < (size_t)b->size);
    b->at = entry->offset + entry->bytes;
    return SG_OK;
}

static void scan(const uint8_t *data, size_t size) {
    struct bounds b = {.size = (int64_t)size};
    struct sg_stream *s = NULL;

    if (sg_stream_open_memory(data, size, 0, &s) == SG_OK) {
        (void)sg_tar_scan(s, 0, (int64_t)size, "fuzz", visit, &b);
    }
    sg_stream_close(s);
}

static void open_source(char *path) {
    const struct sg_data_options options = {
        .source = SG_SOURCE_TAR, .path = path, .preprocess = {.scale = 1.0}};
    const struct sg_shape input = {.n_axes = 3, .axes = {3, 2, 3}};
    struct sg_items *items = NULL;
    float x[18];

    if (sg_items_open(&options, &input, &items) == SG_OK) {
        (void)sg_items_load(items, sg_items_count(items) - 1, x);
    }
    sg_items_close(items);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const int64_t before = sg_memory_balance();
    char path[FUZZ_PATH_CAP];
    const int fd = fuzz_file(data, size, path);

    scan(data, size);
    open_source(path);
    (void)close(fd);
    FUZZ_CHECK(sg_memory_balance() == before);
    return 0;
}
