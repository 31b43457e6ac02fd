/* tests/unit/net/test_segments.c - a batch that goes through a network in parts, and residual
 * connections that disappear into a convolution: neither shows. All numbers are small whole ones,
 * so that sums are exact in any order; for Winograd there are too few channels. */
#include "model_bytes.h"
#include "net/plan.h"
#include "sgdist/memory.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { SIDE = 96, CHANNELS = 7, CLASSES = 600, BATCH = 5, FLOAT = 1 };
enum { IN = 3 * SIDE * SIDE, MAP = CHANNELS * SIDE * SIDE };

static float number(uint32_t *state, int range) {
    *state = *state * 1664525u + 1013904223u;
    return (float)((int)(*state >> 16) % range);
}

/* Weights of -1, 0 and 1. */
static void add_weights(struct bytes *graph, const char *name, int n_axes, const int64_t *axes) {
    uint32_t state = (uint32_t)name[0];
    int64_t n = 1;
    float *v;

    for (int i = 0; i < n_axes; i++) {
        n *= axes[i];
    }
    v = calloc((size_t)n, sizeof *v);
    assert_non_null(v);
    for (int64_t i = 0; i < n; i++) {
        v[i] = number(&state, 3) - 1.0f;
    }
    put_part(graph, 5, tensor_of(name, n_axes, axes, FLOAT, v, (size_t)n * sizeof *v));
    free(v);
}

static struct bytes window(const char *op, const char *in, const char *weight, const char *out,
                           int64_t size, int64_t pad) {
    struct bytes n = node_of(op, out, in, weight, out);

    put_attribute_ints(&n, "kernel_shape", 2, (const int64_t[]){size, size});
    if (pad > 0) {
        put_attribute_ints(&n, "pads", 4, (const int64_t[]){pad, pad, pad, pad});
    } else {
        put_attribute_ints(&n, "strides", 2, (const int64_t[]){size, size});
    }
    return n;
}

/* Two convolutions on large maps, the second beside a residual connection that goes on behind it;
 * then a layer of more weights than activations. */
static struct bytes residual_file(void) {
    struct bytes g = {0};

    add_weights(&g, "v", 4, (const int64_t[]){CHANNELS, 3, 3, 3});
    add_weights(&g, "w", 4, (const int64_t[]){CHANNELS, CHANNELS, 3, 3});
    add_weights(&g, "u", 2, (const int64_t[]){CHANNELS * 64, CLASSES});
    put_part(&g, 11, value_of("x", FLOAT, 4, (const int64_t[]){-1, 3, SIDE, SIDE}));
    put_part(&g, 1, window("Conv", "x", "v", "a", 3, 1));
    put_part(&g, 1, node_of("Relu", "b", "a", NULL, "b"));
    put_part(&g, 1, window("Conv", "b", "w", "c", 3, 1));
    put_part(&g, 1, node_of("Add", "d", "c", "a", "d"));
    put_part(&g, 1, node_of("Relu", "e", "d", NULL, "e"));
    put_part(&g, 1, node_of("Add", "h", "e", "a", "h"));
    put_part(&g, 1, window("MaxPool", "h", NULL, "f", SIDE / 8, 0));
    put_part(&g, 1, node_of("Flatten", "g", "f", NULL, "g"));
    put_part(&g, 1, node_of("Gemm", "y", "g", "u", "y"));
    put_part(&g, 12, value_of("y", FLOAT, 2, (const int64_t[]){-1, CLASSES}));
    return model_of(13, g);
}

static struct sg_model *open_model(struct bytes file, const char *layer) {
    const char *tensor = "y";
    const char *layers[] = {"e", layer};
    const struct sg_explain what = {
        .n_tensors = 1, .tensors = &tensor, .n_layers = layer != NULL ? 2 : 1, .layers = layers};
    struct sg_model *m = NULL;

    assert_int_equal(sg_model_open(file.data, file.n, "net.onnx", &what, &m), SG_OK);
    assert_int_equal(sg_model_place(m, NULL, 1), SG_OK);
    return m;
}

/* All that comes out of a batch. */
struct results {
    float y[BATCH * CLASSES];
    float dx[BATCH * IN];
    float layer[BATCH * MAP];
    float dlayer[BATCH * MAP];
};

/* The samples in batches of n, one after the other. */
static struct results *run(const struct sg_model *m, int64_t n) {
    struct results *r = calloc(1, sizeof *r);
    float *x = calloc((size_t)BATCH * IN, sizeof *x);
    float *dy = calloc((size_t)BATCH * CLASSES, sizeof *dy);
    struct sg_net *net = NULL;
    uint32_t state = 1;

    assert_true(r != NULL && x != NULL && dy != NULL);
    for (int i = 0; i < BATCH * IN; i++) {
        x[i] = number(&state, 4);
    }
    for (int i = 0; i < BATCH; i++) {
        dy[i * CLASSES + 7 * i] = 1.0f;
    }
    assert_int_equal(sg_net_create(m, n, &net), SG_OK);
    for (int64_t i = 0; i < BATCH; i += n) {
        float *const layers[] = {r->layer + i * MAP, NULL};
        float *const dlayers[] = {r->dlayer + i * MAP, NULL};

        assert_int_equal(sg_net_forward_as(net, &(struct sg_pass){.layers = layers}, x + i * IN,
                                           r->y + i * CLASSES, NULL),
                         SG_OK);
        assert_int_equal(sg_net_backward_at(net, SG_RULE_GRADIENT, dy + i * CLASSES, r->dx + i * IN,
                                            dlayers, NULL),
                         SG_OK);
    }
    sg_net_destroy(net);
    free(x);
    free(dy);
    return r;
}

static void parts_never_show(void **state) {
    struct bytes file = residual_file();
    struct sg_model *m = open_model(file, NULL);
    struct results *whole = run(m, BATCH);
    struct results *single = run(m, 1);
    struct sg_net_plan plan;

    (void)state;
    assert_int_equal(sg_net_plan_create(m, BATCH, &plan), SG_OK);
    assert_true(plan.n_segments > 1 && plan.segments[0].n_parts > 1);
    assert_int_equal(plan.segments[plan.n_segments - 1].n_parts, 1);
    sg_net_plan_free(&plan);
    assert_memory_equal(whole, single, sizeof *whole);
    free(whole);
    free(single);
    sg_model_destroy(m);
    free(file.data);
    assert_int_equal(sg_memory_balance(), 0);
}

/* A layer between the convolution and the sum keeps them apart. */
static void a_fused_sum_is_the_sum(void **state) {
    struct bytes file = residual_file();
    struct sg_model *fused = open_model(file, NULL);
    struct sg_model *apart = open_model(file, "c");
    struct results *a = run(fused, BATCH);
    struct results *b = run(apart, BATCH);

    (void)state;
    assert_int_equal(fused->n_nodes + 1, apart->n_nodes);
    assert_memory_equal(a, b, sizeof *a);
    assert_true(a->y[1] != 0.0f || a->y[2] != 0.0f);
    free(a);
    free(b);
    sg_model_destroy(fused);
    sg_model_destroy(apart);
    free(file.data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_never_show),
        cmocka_unit_test(a_fused_sum_is_the_sum),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
