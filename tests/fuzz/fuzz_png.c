/* tests/fuzz/fuzz_png.c - any bytes as a PNG picture. */
#include "data/data_impl.h"
#include "fuzz.h"
#include "sgdist/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const int64_t before = sg_memory_balance();
    struct sg_image image = {0};

    if (sg_decode_png(data, size, &image) == SG_OK) {
        FUZZ_CHECK(image.width > 0 && image.height > 0 &&
                   (image.pixels != NULL || image.values != NULL));
        FUZZ_CHECK(sg_image_turn(&image) == SG_OK);
    }
    sg_image_free(&image);
    FUZZ_CHECK(sg_memory_balance() == before);
    return 0;
}
