/* tests/fuzz/fuzz_npz.c - any bytes as a .npz archive: its only array, and one called x. */
#include "fuzz_array.h"

static void enter(const uint8_t *data, size_t size, const char *name, const char *other) {
    struct sg_stream *s = NULL;
    char found[256];

    if (sg_stream_open_memory(data, size, 0, &s) == SG_OK &&
        sg_npz_enter(s, name, other, found, sizeof found) == SG_OK) {
        FUZZ_CHECK(name == NULL || strcmp(found, name) == 0);
        fuzz_array(s, sg_npy_head);
    }
    sg_stream_close(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const int64_t before = sg_memory_balance();

    enter(data, size, NULL, "y");
    enter(data, size, "x", NULL);
    FUZZ_CHECK(sg_memory_balance() == before);
    return 0;
}
