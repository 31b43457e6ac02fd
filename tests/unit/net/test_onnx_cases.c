/* tests/unit/net/test_onnx_cases.c - the operator tests of the ONNX project (Debian's
 * libonnx-testdata): outputs against theirs, and gradients against central differences along random
 * directions. Their second and further inputs become constants: only the first is the network's. */
#include "model_bytes.h"
#include "net/onnx.h"
#include "net/wire.h"
#include "sgdist/memory.h"
#include "sgdist/net.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

static const char folder[] = "/usr/share/libonnx-testdata/data/node";

/* Every case of a supported operator whose batch axis comes first and stays. */
static const char *const cases[] = {"averagepool_2d_ceil",
                                    "averagepool_2d_default",
                                    "averagepool_2d_pads",
                                    "averagepool_2d_pads_count_include_pad",
                                    "averagepool_2d_precomputed_pads",
                                    "averagepool_2d_precomputed_pads_count_include_pad",
                                    "averagepool_2d_precomputed_same_upper",
                                    "averagepool_2d_precomputed_strides",
                                    "averagepool_2d_same_lower",
                                    "averagepool_2d_same_upper",
                                    "averagepool_2d_strides",
                                    "basic_conv_with_padding",
                                    "basic_conv_without_padding",
                                    "batchnorm_epsilon",
                                    "batchnorm_example",
                                    "cast_DOUBLE_to_FLOAT",
                                    "clip",
                                    "clip_default_max",
                                    "clip_default_min",
                                    "conv_with_autopad_same",
                                    "conv_with_strides_and_asymmetric_padding",
                                    "conv_with_strides_no_padding",
                                    "conv_with_strides_padding",
                                    "div_bcast",
                                    "dropout_default",
                                    "dropout_default_ratio",
                                    "flatten_axis1",
                                    "flatten_default_axis",
                                    "flatten_negative_axis3",
                                    "gemm_alpha",
                                    "gemm_beta",
                                    "gemm_default_no_bias",
                                    "gemm_default_scalar_bias",
                                    "gemm_default_single_elem_vector_bias",
                                    "gemm_default_vector_bias",
                                    "gemm_default_zero_bias",
                                    "gemm_transposeB",
                                    "globalaveragepool",
                                    "globalaveragepool_precomputed",
                                    "identity",
                                    "leakyrelu",
                                    "leakyrelu_default",
                                    "logsoftmax_axis_1",
                                    "logsoftmax_axis_2",
                                    "logsoftmax_default_axis",
                                    "logsoftmax_example_1",
                                    "logsoftmax_large_number",
                                    "logsoftmax_negative_axis",
                                    "matmul_2d",
                                    "maxpool_2d_ceil",
                                    "maxpool_2d_default",
                                    "maxpool_2d_pads",
                                    "maxpool_2d_precomputed_pads",
                                    "maxpool_2d_precomputed_same_upper",
                                    "maxpool_2d_precomputed_strides",
                                    "maxpool_2d_same_lower",
                                    "maxpool_2d_same_upper",
                                    "maxpool_2d_strides",
                                    "mul_bcast",
                                    "constant_pad",
                                    "reduce_mean_do_not_keepdims_example",
                                    "reduce_mean_do_not_keepdims_random",
                                    "reduce_mean_keepdims_example",
                                    "reduce_mean_keepdims_random",
                                    "reduce_mean_negative_axes_keepdims_example",
                                    "reduce_mean_negative_axes_keepdims_random",
                                    "relu",
                                    "reshape_zero_dim",
                                    "sigmoid",
                                    "softmax_axis_1",
                                    "softmax_axis_2",
                                    "softmax_default_axis",
                                    "softmax_example",
                                    "softmax_large_number",
                                    "softmax_negative_axis",
                                    "softplus",
                                    "squeeze_negative_axes",
                                    "sub_bcast",
                                    "tanh",
                                    "unsqueeze_axis_1",
                                    "unsqueeze_axis_2",
                                    "unsqueeze_axis_3",
                                    "unsqueeze_negative_axes",
                                    "unsqueeze_three_axes",
                                    "unsqueeze_two_axes"};

struct opened {
    struct sg_region region;
    struct bytes model;
    struct bytes files[8];
    int n_files;
    struct onnx_tensor x;
    struct onnx_tensor y;
};

static struct onnx_span span(struct bytes b) {
    return (struct onnx_span){.data = b.data, .n = b.n};
}

/* The graph with its further inputs as initialisers. Some cases say operator set 1, for operators
 * that have not changed up to 7. */
static struct bytes with_constants(struct bytes file, const struct opened *o,
                                   const struct onnx_graph *g) {
    struct wire_reader r = wire_over(span(file));
    struct wire_field f;
    struct bytes b = {0};

    while (wire_next(&r, &f) > 0) {
        if (f.number == 7) {
            struct bytes graph = {0};

            put(&graph, f.bytes.data, f.bytes.n);
            for (int i = 1; i < o->n_files; i++) {
                struct bytes t = {0};

                put(&t, o->files[i].data, o->files[i].n);
                put_text(&t, 8, g->inputs[i].name);
                put_part(&graph, 5, t);
            }
            put_part(&b, 7, graph);
        } else if (f.number == 8) {
            struct bytes version = {0};

            put_int(&version, 2, g->opset < 7 ? 7 : g->opset);
            put_part(&b, 8, version);
        } else if (f.type == WIRE_VARINT) {
            put_int(&b, f.number, (int64_t)f.value);
        } else {
            put_field(&b, f.number, f.bytes.data, f.bytes.n);
        }
    }
    return b;
}

static void open_case(const char *name, struct opened *o) {
    char path[256];
    struct onnx_graph g;
    struct bytes file, y;

    *o = (struct opened){0};
    (void)snprintf(path, sizeof path, "%s/test_%s/model.onnx", folder, name);
    file = file_bytes(path);
    if (file.n == 0) {
        skip();
    }
    assert_int_equal(onnx_decode(file.data, file.n, name, &o->region, &g), SG_OK);
    for (int i = 0; i < 8; i++) {
        (void)snprintf(path, sizeof path, "%s/test_%s/test_data_set_0/input_%d.pb", folder, name,
                       i);
        o->files[i] = file_bytes(path);
        o->n_files += o->files[i].n > 0;
    }
    (void)snprintf(path, sizeof path, "%s/test_%s/test_data_set_0/output_0.pb", folder, name);
    y = file_bytes(path);
    o->files[7] = y; /* no case has eight inputs */
    assert_int_equal(onnx_decode_tensor(span(o->files[0]), name, &o->region, &o->x), SG_OK);
    assert_int_equal(onnx_decode_tensor(span(y), name, &o->region, &o->y), SG_OK);
    o->model = with_constants(file, o, &g);
    free(file.data);
}

static void close_case(struct opened *o) {
    sg_region_free(&o->region);
    free(o->model.data);
    for (int i = 0; i < 8; i++) {
        free(o->files[i].data);
    }
}

static float *numbers(struct opened *o, const struct onnx_tensor *t, const char *name) {
    const int64_t n = onnx_tensor_count(t);
    float *v = sg_region_floats(&o->region, n);

    assert_int_equal(onnx_read_floats(t, name, n, v), SG_OK);
    return v;
}

/* Uniform in -1..1; a fixed generator, so that a failure repeats. */
static float draw(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (float)(*state >> 40) / (float)(1 << 23) - 1.0f;
}

static double inner(const float *a, const float *b, int64_t n) {
    double s = 0.0;

    for (int64_t i = 0; i < n; i++) {
        s += (double)a[i] * (double)b[i];
    }
    return s;
}

/* <dx, v> against (L(x + h v) - L(x - h v)) / 2h with L = <dy, y>. In float32 the quotient carries
 * some 1e-7 |L| / h of rounding: with h = 1/256 a bound of 1e-3 of the sizes at hand. Kinks within
 * h of an element spoil it: two of five directions may fail. */
static void check_gradient(struct opened *o, struct sg_net *net, const float *x, int64_t n,
                           int64_t k, const char *name) {
    const float h = 1.0f / 256.0f;
    float *v = sg_region_floats(&o->region, n), *at = sg_region_floats(&o->region, n);
    float *dx = sg_region_floats(&o->region, n), *again = sg_region_floats(&o->region, n);
    float *y = sg_region_floats(&o->region, k), *dy = sg_region_floats(&o->region, k);
    uint64_t state = 11;
    int good = 0;

    for (int trial = 0; trial < 5; trial++) {
        double sides[2], slope, size = 0.0;

        for (int64_t i = 0; i < n; i++) {
            v[i] = draw(&state);
        }
        for (int64_t i = 0; i < k; i++) {
            dy[i] = draw(&state);
        }
        for (int side = 0; side < 2; side++) {
            for (int64_t i = 0; i < n; i++) {
                at[i] = x[i] + (side == 0 ? h : -h) * v[i];
            }
            assert_int_equal(sg_net_forward(net, at, y, NULL), SG_OK);
            sides[side] = inner(dy, y, k);
        }
        assert_int_equal(sg_net_forward(net, x, y, NULL), SG_OK);
        assert_int_equal(sg_net_backward(net, dy, dx, NULL), SG_OK);
        assert_int_equal(sg_net_backward(net, dy, again, NULL), SG_OK);
        assert_memory_equal(dx, again, (size_t)n * sizeof *dx);
        slope = inner(dx, v, n);
        for (int64_t i = 0; i < k; i++) {
            size += fabs((double)dy[i] * (double)y[i]);
        }
        for (int64_t i = 0; i < n; i++) {
            size += fabs((double)dx[i] * (double)v[i]);
        }
        good += fabs(slope - (sides[0] - sides[1]) / (2.0 * (double)h)) <= 1e-3 * size + 1e-6;
    }
    if (good < 3) {
        fail_msg("%s: the gradient agrees in %d of 5 directions", name, good);
    }
}

static void run_case(const char *name) {
    struct opened o;
    struct sg_model *m = NULL;
    struct sg_net *net = NULL;
    const int64_t balance = sg_memory_balance();
    float *x, *want, *y;
    int64_t n, k;

    open_case(name, &o);
    if (sg_model_create(o.model.data, o.model.n, name, NULL, &m) != SG_OK ||
        sg_net_create(m, o.x.axes[0], &net) != SG_OK) {
        fail_msg("%s", sg_trace_message());
    }
    n = onnx_tensor_count(&o.x);
    k = onnx_tensor_count(&o.y);
    x = numbers(&o, &o.x, name);
    want = numbers(&o, &o.y, name);
    y = sg_region_floats(&o.region, k);
    /* Their softmax is the end of the graph, where `auto` would explain what goes into it. */
    if (sg_model_n_outputs(m) * o.x.axes[0] != k || strstr(name, "softmax") != NULL) {
        struct onnx_graph g;

        assert_int_equal(onnx_decode(o.model.data, o.model.n, name, &o.region, &g), SG_OK);
        sg_net_destroy(net);
        sg_model_destroy(m);
        m = NULL;
        net = NULL;
        assert_int_equal(sg_model_create(o.model.data, o.model.n, name, g.outputs[0].name, &m),
                         SG_OK);
        assert_int_equal(sg_net_create(m, o.x.axes[0], &net), SG_OK);
    }
    assert_int_equal(sg_model_n_outputs(m) * o.x.axes[0], k);
    assert_int_equal(sg_net_forward(net, x, y, NULL), SG_OK);
    for (int64_t i = 0; i < k; i++) {
        if (!(fabsf(y[i] - want[i]) <= 1e-5f + 1e-4f * fabsf(want[i]))) {
            fail_msg("%s: element %lld is %g instead of %g", name, (long long)i, (double)y[i],
                     (double)want[i]);
        }
    }
    if (strstr(name, "large_number") == NULL) { /* at 1e4 float32 has no room for differences */
        check_gradient(&o, net, x, n, k, name);
    }
    sg_net_destroy(net);
    sg_model_destroy(m);
    close_case(&o);
    assert_int_equal(sg_memory_balance(), balance);
}

static void one_case(void **state) {
    run_case((const char *)*state);
}

int main(void) {
    enum { N = sizeof cases / sizeof cases[0] };
    struct CMUnitTest tests[N];
    void *names[N];

    if (access(folder, R_OK) != 0) {
        return 77;
    }
    for (int i = 0; i < N; i++) {
        memcpy(&names[i], &cases[i], sizeof names[i]);
        tests[i] =
            (struct CMUnitTest){.name = cases[i], .test_func = one_case, .initial_state = names[i]};
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
