/* tests/fuzz/fuzz_onnx.c - any bytes as an ONNX file: decoded, built, and run once if it is small.
 *
 * What a file may ask for legitimately (gigabytes of activations) is no finding, so larger networks
 * are only built. */
#include "fuzz.h"
#include "net/image.h"
#include "sgdist/memory.h"
#include "sgdist/net.h"

enum { MAX_NET_BYTES = 1 << 22, MAX_MULTIPLY_ADDS = 1 << 22 };

static void run(const struct sg_model *m) {
    const size_t d = (size_t)sg_shape_size(sg_model_input(m));
    const size_t k = (size_t)sg_model_n_outputs(m);
    float *x = sg_calloc(d, sizeof *x);
    float *dx = sg_calloc(d, sizeof *dx);
    float *y = sg_calloc(k, sizeof *y);
    struct sg_net *net = NULL;

    if (x != NULL && dx != NULL && y != NULL && sg_net_create(m, 1, &net) == SG_OK) {
        for (size_t i = 0; i < d; i++) {
            x[i] = (float)(i % 7) * 0.25f - 0.5f;
        }
        FUZZ_CHECK(sg_net_forward(net, x, y, NULL) == SG_OK);
        FUZZ_CHECK(sg_net_backward(net, y, dx, NULL) == SG_OK);
    }
    sg_net_destroy(net);
    sg_free(x);
    sg_free(dx);
    sg_free(y);
}

/* The way of `sgdist`: the same model comes out of its image. No other files are found there. */
static void by_image(const uint8_t *data, size_t size, const struct sg_model *same) {
    struct sg_model_image image = {0};
    struct sg_model *m = NULL;

    if (sg_image_pack(data, size, "/nowhere/fuzz.onnx", &image) == SG_OK &&
        sg_model_create(image.bytes, image.n, "fuzz.onnx", NULL, &m) == SG_OK && same != NULL) {
        FUZZ_CHECK(sg_model_n_outputs(m) == sg_model_n_outputs(same) &&
                   sg_model_weight_bytes(m) == sg_model_weight_bytes(same));
    }
    sg_model_destroy(m);
    sg_model_image_free(&image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const int64_t before = sg_memory_balance();
    struct sg_model *m = NULL;

    if (sg_model_create(data, size, "fuzz.onnx", NULL, &m) == SG_OK) {
        if (sg_net_bytes_for(m, 1) <= MAX_NET_BYTES &&
            sg_model_n_multiply_adds(m) <= MAX_MULTIPLY_ADDS) {
            run(m);
        }
    }
    by_image(data, size, m);
    sg_model_destroy(m);
    FUZZ_CHECK(sg_memory_balance() == before);
    return 0;
}
