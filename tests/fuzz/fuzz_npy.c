/* tests/fuzz/fuzz_npy.c - any bytes as a .npy file: read whole, and as items. */
#include "fuzz_array.h"
#include "sgdist/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const int64_t before = sg_memory_balance();
    struct sg_npy array = {0};
    char path[FUZZ_PATH_CAP];
    const int fd = fuzz_file(data, size, path);
    volatile float sum = 0;
    struct sg_stream *s = NULL;

    if (sg_npy_read(path, &array) == SG_OK) {
        for (int64_t i = 0; i < array.n; i++) {
            sum += array.data[i]; /* all of them can be read */
        }
        (void)sum;
        sg_npy_free(&array);
    }
    (void)close(fd);
    if (sg_stream_open_memory(data, size, 1, &s) == SG_OK) {
        fuzz_array(s, sg_npy_head);
    }
    sg_stream_close(s);
    FUZZ_CHECK(sg_memory_balance() == before);
    return 0;
}
