/* tests/fuzz/fuzz_jpeg.c - any bytes as a JPEG picture. */
#include "data/data_impl.h"
#include "fuzz.h"
#include "sgdist/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const int64_t before = sg_memory_balance();
    struct sg_image image = {0};

    if (sg_decode_jpeg(data, size, &image) == SG_OK) {
        FUZZ_CHECK(image.width > 0 && image.height > 0 && image.pixels != NULL);
        FUZZ_CHECK(sg_image_turn(&image) == SG_OK);
    }
    sg_image_free(&image);
    FUZZ_CHECK(sg_memory_balance() == before);
    return 0;
}
