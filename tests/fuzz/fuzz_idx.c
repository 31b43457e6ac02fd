/* tests/fuzz/fuzz_idx.c - any bytes as an IDX file of pictures, plain or gzipped, and of labels. */
#include "data/data_impl.h"
#include "fuzz.h"
#include "sgdist/memory.h"

static void read_image(const char *path, const struct sg_idx *idx, int64_t index) {
    struct sg_image image = {0};
    gzFile file = NULL;

    if (sg_idx_read(path, idx, &file, index, &image) == SG_OK) {
        FUZZ_CHECK(image.width == idx->columns && image.height == idx->rows);
    }
    sg_image_free(&image);
    if (file != NULL) {
        (void)gzclose(file);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const int64_t before = sg_memory_balance();
    struct sg_idx idx = {0};
    int32_t *labels = NULL;
    int64_t n = 0;
    char path[FUZZ_PATH_CAP];
    const int fd = fuzz_file(data, size, path);

    if (sg_idx_check(path, &idx) == SG_OK && idx.n > 0) {
        read_image(path, &idx, 0);
        read_image(path, &idx, idx.n - 1);
    }
    (void)sg_idx_labels(path, &n, &labels);
    sg_free(labels);
    (void)close(fd);
    FUZZ_CHECK(sg_memory_balance() == before);
    return 0;
}
