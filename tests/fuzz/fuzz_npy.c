/* tests/fuzz/fuzz_npy.c - any bytes as a .npy file. */
#include "fuzz.h"
#include "sgdist/memory.h"
#include "sgdist/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const int64_t before = sg_memory_balance();
    struct sg_npy array = {0};
    char path[FUZZ_PATH_CAP];
    const int fd = fuzz_file(data, size, path);
    volatile float sum = 0;

    if (sg_npy_read(path, &array) == SG_OK) {
        for (int64_t i = 0; i < array.n; i++) {
            sum += array.data[i]; /* all of them can be read */
        }
        sg_npy_free(&array);
    }
    (void)close(fd);
    FUZZ_CHECK(sg_memory_balance() == before);
    return 0;
}
