/* tests/fuzz/fuzz_idx.c - any bytes as an IDX file of pictures and of labels, plain or gzipped. */
#include "fuzz_array.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const int64_t before = sg_memory_balance();
    struct sg_stream *s = NULL;

    if (sg_stream_open_memory(data, size, 1, &s) == SG_OK) {
        fuzz_array(s, sg_idx_head);
    }
    sg_stream_close(s);
    FUZZ_CHECK(sg_memory_balance() == before);
    return 0;
}
