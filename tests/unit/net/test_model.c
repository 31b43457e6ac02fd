/* tests/unit/net/test_model.c - what models are taken and what is refused, with which message;
 * memory as it was told; damaged files. Models are built by hand. */
#include "model_bytes.h"
#include "sgdist/memory.h"
#include "sgdist/net.h"

#include <malloc.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { FLOAT = 1, INT64 = 7, FLOAT16 = 10, DOUBLE = 11 };

static void add_floats(struct bytes *graph, const char *name, int n_axes, const int64_t *axes,
                       float first) {
    float v[512];
    int64_t n = 1;

    for (int i = 0; i < n_axes; i++) {
        n *= axes[i];
    }
    for (int64_t i = 0; i < n; i++) {
        v[i] = first + 0.25f * (float)(i % 7) - 0.125f * (float)(i % 5);
    }
    put_part(graph, 5, tensor_of(name, n_axes, axes, FLOAT, v, (size_t)n * sizeof v[0]));
}

static void add_value(struct bytes *graph, uint32_t field, const char *name, int n_axes,
                      const int64_t *axes) {
    put_part(graph, field, value_of(name, FLOAT, n_axes, axes));
}

/* x[N,2,4,4] -> Conv 3x3 -> Relu -> MaxPool 2x2 -> Flatten -> Gemm -> Softmax: y[N,3]. */
static struct bytes small_graph(void) {
    struct bytes g = {0}, n;

    add_floats(&g, "w", 4, (const int64_t[]){3, 2, 3, 3}, -0.5f);
    add_floats(&g, "v", 2, (const int64_t[]){3, 3}, -0.25f);
    add_value(&g, 11, "x", 4, (const int64_t[]){-1, 2, 4, 4});
    add_value(&g, 11, "w", 4, (const int64_t[]){3, 2, 3, 3}); /* as older files do */
    put_part(&g, 1, node_of("Conv", "conv", "x", "w", "a"));
    put_part(&g, 1, node_of("Relu", "relu", "a", NULL, "b"));
    n = node_of("MaxPool", "pool", "b", NULL, "c");
    put_attribute_ints(&n, "kernel_shape", 2, (const int64_t[]){2, 2});
    put_part(&g, 1, n);
    put_part(&g, 1, node_of("Flatten", "flat", "c", NULL, "d"));
    put_part(&g, 1, node_of("Gemm", "", "d", "v", "logits"));
    put_part(&g, 1, node_of("Softmax", "soft", "logits", NULL, "y"));
    add_value(&g, 12, "y", 2, (const int64_t[]){-1, 3});
    return g;
}

static sg_status try_model(struct bytes file, const char *tensor) {
    struct sg_model *m = NULL;
    const sg_status status = sg_model_create(file.data, file.n, "net.onnx", tensor, &m);

    sg_model_destroy(m);
    return status;
}

/* Refused, and the message holds all of the words. */
static void refused(struct bytes graph, int64_t opset, const char *a, const char *b) {
    struct bytes file = model_of(opset, graph);

    assert_int_equal(try_model(file, NULL), SG_E_MODEL);
    if (strstr(sg_trace_message(), "net.onnx") == NULL || strstr(sg_trace_message(), a) == NULL ||
        strstr(sg_trace_message(), b) == NULL) {
        fail_msg("message without '%s' or '%s': %s", a, b, sg_trace_message());
    }
    free(file.data);
    assert_int_equal(sg_memory_balance(), 0);
}

static void small_model_runs(void **state) {
    struct bytes file = model_of(13, small_graph());
    struct sg_model *m = NULL;

    (void)state;
    assert_int_equal(sg_model_create(file.data, file.n, "net.onnx", NULL, &m), SG_OK);
    assert_string_equal(sg_model_tensor(m), "logits"); /* before the final softmax */
    assert_int_equal(sg_model_n_outputs(m), 3);
    assert_int_equal(sg_model_n_parameters(m), 54 + 9);
    assert_int_equal(sg_model_n_multiply_adds(m), 4 * 54 + 9);
    assert_int_equal(sg_model_input(m)->axes[0], 2);
    sg_model_destroy(m);
    assert_int_equal(sg_model_create(file.data, file.n, "net.onnx", "b", &m), SG_OK);
    assert_int_equal(sg_model_n_outputs(m), 12); /* an inner tensor: [3,2,2] */
    sg_model_destroy(m);
    assert_int_equal(try_model(file, "logit"), SG_E_MODEL);
    assert_non_null(strstr(sg_trace_message(), "'logits'")); /* the nearest name */
    free(file.data);
}

static const struct sg_weight_noise noise = {.tau = 0.25, .except = "v\n"};

static sg_status open_draw(struct bytes file, uint32_t number, int is_filled_elsewhere,
                           struct sg_model **out) {
    const struct sg_weight_draw draw = {.noise = &noise, .seed = 7, .number = number};
    const struct sg_explain what = {.draw = &draw, .is_filled_elsewhere = is_filled_elsewhere};

    return sg_model_open(file.data, file.n, "net.onnx", &what, out);
}

/* A net that was made for the file's weights gives the bits of one that was made for a draw, and
 * those of the file again afterwards. */
static void a_net_runs_with_any_draw(void **state) {
    struct bytes file = model_of(13, small_graph());
    struct sg_model *m = NULL, *draw = NULL;
    struct sg_net *net = NULL, *own = NULL;
    float x[32], y[4][3];

    (void)state;
    for (int i = 0; i < 32; i++) {
        x[i] = (float)((i * 37) % 23) / 8.0f - 1.0f;
    }
    assert_int_equal(sg_model_create(file.data, file.n, "net.onnx", NULL, &m), SG_OK);
    assert_int_equal(open_draw(file, 3, 0, &draw), SG_OK);
    assert_int_equal(sg_model_place(draw, NULL, 1), SG_OK);
    assert_true(sg_model_is_alike(m, draw));
    assert_int_equal(sg_model_bytes(m), sg_model_bytes(draw));
    assert_int_equal(sg_net_create(m, 1, &net), SG_OK);
    assert_int_equal(sg_net_create(draw, 1, &own), SG_OK);
    assert_int_equal(sg_net_forward(net, x, y[0], NULL), SG_OK);
    assert_int_equal(sg_net_forward(own, x, y[1], NULL), SG_OK);
    sg_net_bind(net, draw);
    assert_int_equal(sg_net_forward(net, x, y[2], NULL), SG_OK);
    sg_net_bind(net, m);
    assert_int_equal(sg_net_forward(net, x, y[3], NULL), SG_OK);
    assert_memory_equal(y[1], y[2], sizeof y[1]);
    assert_memory_equal(y[0], y[3], sizeof y[0]);
    assert_memory_not_equal(y[0], y[1], sizeof y[0]);
    sg_net_destroy(net);
    sg_net_destroy(own);
    sg_model_destroy(draw);
    sg_model_destroy(m);
    free(file.data);
    assert_int_equal(sg_memory_balance(), 0);
}

/* The rank that fills writes what the others, who leave out the noise of large tensors, point to.
 */
static void a_draw_is_filled_by_one(void **state) {
    enum { N = 1200 };
    struct bytes g = {0}, file;
    struct sg_model *filler = NULL, *other = NULL;
    float *memory, w[N], before, x[1] = {1}, y[N];
    struct sg_net *net = NULL;

    (void)state;
    for (int i = 0; i < N; i++) {
        w[i] = 1.0f + (float)(i % 3);
    }
    put_part(&g, 5, tensor_of("w", 2, (const int64_t[]){1, N}, FLOAT, w, sizeof w));
    add_value(&g, 11, "x", 2, (const int64_t[]){-1, 1});
    put_part(&g, 1, node_of("MatMul", "product", "x", "w", "y"));
    add_value(&g, 12, "y", 2, (const int64_t[]){-1, N});
    file = model_of(13, g);
    assert_int_equal(open_draw(file, 0, 0, &filler), SG_OK);
    assert_int_equal(open_draw(file, 0, 1, &other), SG_OK);
    assert_int_equal(sg_model_weight_bytes(filler), sg_model_weight_bytes(other));
    memory = sg_malloc_aligned((size_t)sg_model_weight_bytes(filler), 1);
    assert_non_null(memory);
    assert_int_equal(sg_model_place(filler, memory, 1), SG_OK);
    before = memory[N - 1];
    assert_int_equal(sg_model_place(other, memory, 0), SG_OK);
    assert_true(memory[N - 1] == before && before != w[N - 1]);
    assert_int_equal(sg_net_create(other, 1, &net), SG_OK);
    assert_int_equal(sg_net_forward(net, x, y, NULL), SG_OK);
    assert_true(y[N - 1] == before);
    sg_net_destroy(net);
    sg_model_destroy(filler);
    sg_model_destroy(other);
    sg_free(memory);
    free(file.data);
}

static void parameters_are_listed(void **state) {
    struct bytes file = model_of(13, small_graph());
    struct sg_model *m = NULL;
    int64_t n = 0;

    (void)state;
    assert_int_equal(sg_model_create(file.data, file.n, "net.onnx", NULL, &m), SG_OK);
    for (int i = 0; i < 2; i++) {
        n += sg_model_parameter(m, i)->n;
    }
    assert_int_equal(n, 54 + 9);
    assert_null(sg_model_parameter(m, 2));
    assert_null(sg_model_parameter(m, -1));
    sg_model_destroy(m);
    for (int i = 1;; i++) { /* every allocation may fail */
        sg_status status;

        sg_memory_fail_at(i);
        status = open_draw(file, 0, 0, &m);
        sg_memory_fail_at(0);
        if (status == SG_OK) {
            break;
        }
        assert_int_equal(status, SG_E_NOMEM);
        assert_int_equal(sg_memory_balance(), 0);
    }
    sg_model_destroy(m);
    free(file.data);
}

/* All samples of a batch are computed alike, and the order outside is N, C, H, W: a permutation of
 * the samples permutes outputs and gradients. */
static void samples_are_independent(void **state) {
    struct bytes file = model_of(13, small_graph());
    struct sg_model *m = NULL;
    struct sg_net *net = NULL;
    float x[2][64], y[2][6], dy[2][6], dx[2][64];
    const volatile sig_atomic_t stop = 1;

    (void)state;
    for (int i = 0; i < 64; i++) {
        x[0][i] = (float)((i * 37) % 23) / 8.0f - 1.0f;
        x[1][(i + 32) % 64] = x[0][i];
    }
    for (int i = 0; i < 6; i++) {
        dy[0][i] = dy[1][(i + 3) % 6] = (float)i - 2.5f;
    }
    assert_int_equal(sg_model_create(file.data, file.n, "net.onnx", NULL, &m), SG_OK);
    assert_int_equal(sg_net_create(m, 2, &net), SG_OK);
    assert_int_equal(sg_net_forward(net, x[0], y[0], &stop), SG_E_INTERRUPTED);
    for (int k = 0; k < 2; k++) {
        assert_int_equal(sg_net_forward(net, x[k], y[k], NULL), SG_OK);
        assert_int_equal(sg_net_backward(net, dy[k], dx[k], NULL), SG_OK);
    }
    for (int i = 0; i < 6; i++) {
        assert_float_equal(y[0][i], y[1][(i + 3) % 6], 1e-5);
    }
    for (int i = 0; i < 64; i++) {
        assert_float_equal(dx[0][i], dx[1][(i + 32) % 64], 1e-5);
    }
    sg_net_destroy(net);
    sg_model_destroy(m);
    free(file.data);
}

/* The explained tensor's outputs y[12] and the gradient of their weighted sum. */
static void explain(struct bytes file, const char *tensor, float *y, float *dx) {
    struct sg_model *m = NULL;
    struct sg_net *net = NULL;
    float x[32], dy[12];

    for (int i = 0; i < 32; i++) {
        x[i] = (float)((i * 37) % 23) / 8.0f - 1.0f;
    }
    for (int i = 0; i < 12; i++) {
        dy[i] = (float)(i + 1);
    }
    assert_int_equal(sg_model_create(file.data, file.n, "net.onnx", tensor, &m), SG_OK);
    assert_int_equal(sg_model_n_outputs(m), 12);
    assert_int_equal(sg_net_create(m, 1, &net), SG_OK);
    assert_int_equal(sg_net_forward(net, x, y, NULL), SG_OK);
    assert_int_equal(sg_net_backward(net, dy, dx, NULL), SG_OK);
    sg_net_destroy(net);
    sg_model_destroy(m);
}

/* Flattening keeps the order C, H, W outside, whatever the order inside. */
static void flattening_keeps_the_order(void **state) {
    struct bytes g = {0}, file;
    float y[2][12], dx[2][32];
    struct sg_model *m = NULL;

    (void)state;
    add_floats(&g, "w", 4, (const int64_t[]){3, 2, 3, 3}, -0.5f);
    add_value(&g, 11, "x", 4, (const int64_t[]){1, 2, 4, 4});
    put_part(&g, 1, node_of("Conv", "conv", "x", "w", "a"));
    put_part(&g, 1, node_of("Flatten", "flat", "a", NULL, "b"));
    put_part(&g, 1, node_of("Softmax", "soft", "b", NULL, "c"));
    put_part(&g, 1, node_of("Identity", "same", "c", NULL, "d"));
    add_value(&g, 12, "d", 2, (const int64_t[]){1, 12});
    file = model_of(11, g);
    explain(file, "a", y[0], dx[0]);
    explain(file, "b", y[1], dx[1]);
    assert_memory_equal(y[0], y[1], sizeof y[0]);
    assert_memory_equal(dx[0], dx[1], sizeof dx[0]);
    assert_int_equal(sg_model_create(file.data, file.n, "net.onnx", "auto", &m), SG_OK);
    assert_string_equal(sg_model_tensor(m), "b"); /* through the Identity, before the softmax */
    sg_model_destroy(m);
    free(file.data);
}

/* Every sample is a batch of its own: a shape is taken if a batch of 1 has its size; a batch that
 * is written into the file counts as 1. */
static void reshaping_keeps_samples_apart(void **state) {
    static const struct {
        int64_t batch;
        int64_t shape[2];
        int allowed;
    } rows[] = {{-1, {-1, 64}, 1}, {-1, {0, -1}, 1},  {1, {1, -1}, 1},   {1, {-1, 64}, 1},
                {-1, {1, -1}, 1},  {-1, {-1, 32}, 1}, {1, {2, 32}, 1},   {1, {-1, 128}, 0},
                {4, {4, 64}, 1},   {4, {4, -1}, 1},   {-1, {-1, -1}, 0}, {1, {64, 1}, 1},
                {3, {2, 64}, 0},   {-1, {2, 64}, 0},  {4, {0, -1}, 1},   {4, {-1, 64}, 1},
                {4, {1, -1}, 0},   {4, {-1, 32}, 0},  {4, {16, 16}, 0},  {4, {8, -1}, 0},
                {2, {4, -1}, 0},   {4, {64, -1}, 0}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const int64_t axes[4] = {rows[i].batch, 4, 4, 4};
        struct bytes g = {0}, file;
        const int64_t two = 2;

        put_part(&g, 5, tensor_of("s", 1, &two, INT64, rows[i].shape, sizeof rows[i].shape));
        add_value(&g, 11, "x", 4, axes);
        put_part(&g, 1, node_of("Reshape", "reshape", "x", "s", "y"));
        add_value(&g, 12, "y", 2, axes);
        file = model_of(13, g);
        if (try_model(file, NULL) != (rows[i].allowed ? SG_OK : SG_E_MODEL)) {
            fail_msg("row %zu: %s", i, sg_trace_message());
        }
        free(file.data);
    }
}

/* One node of a network with the batch fixed in the file, and whether it can be run sample by
 * sample: if so, it gives what the same file with a symbolic batch gives. */
struct fixed_batch {
    const char *op, *attribute;
    int n_ints; /* -1: one whole number */
    int64_t ints[4];
    int n_second; /* axes of a constant as second operand: of lengths, or of numbers */
    int64_t second[4];
    int is_shape;
    int allowed;
};

static struct bytes fixed_batch_file(const struct fixed_batch *row, int64_t batch) {
    const int64_t axes[4] = {batch, 2, 4, 4}, n = row->n_second;
    const char *second = n > 0 ? "c" : NULL;
    struct bytes g = {0}, node = node_of(row->op, "the node", "b", second, "y");

    add_floats(&g, "w", 4, (const int64_t[]){2, 2, 3, 3}, -0.5f);
    add_value(&g, 11, "x", 4, axes);
    put_part(&g, 1, node_of("Relu", "relu", "x", NULL, "b"));
    if (row->is_shape) {
        int64_t lengths[4];

        memcpy(lengths, row->second, sizeof lengths);
        lengths[0] = batch == -1 ? 0 : lengths[0]; /* the axis as it is */
        put_part(&g, 5, tensor_of("c", 1, &n, INT64, lengths, (size_t)n * sizeof *lengths));
    } else if (n > 0) {
        add_floats(&g, "c", (int)n, row->second, 0.5f);
    }
    if (row->n_ints < 0) {
        put_attribute_int(&node, row->attribute, row->ints[0]);
    } else if (row->n_ints > 0) {
        put_attribute_ints(&node, row->attribute, row->n_ints, row->ints);
    }
    put_part(&g, 1, node);
    add_value(&g, 12, "y", 4, axes);
    return model_of(13, g);
}

static void run_fixed_batch(const struct fixed_batch *row, int64_t batch, float *y, int64_t *n) {
    struct bytes file = fixed_batch_file(row, batch);
    struct sg_model *m = NULL;
    struct sg_net *net = NULL;
    float x[64];

    for (int i = 0; i < 64; i++) {
        x[i] = (float)((i * 37) % 23) / 8.0f - 1.0f;
    }
    if (sg_model_create(file.data, file.n, "net.onnx", "y", &m) != SG_OK) {
        fail_msg("%s: %s", row->op, sg_trace_message());
    }
    *n = 2 * sg_model_n_outputs(m);
    assert_true(*n <= 512);
    assert_int_equal(sg_net_create(m, 2, &net), SG_OK);
    assert_int_equal(sg_net_forward(net, x, y, NULL), SG_OK);
    sg_net_destroy(net);
    sg_model_destroy(m);
    free(file.data);
}

static void a_fixed_batch_is_proven_or_refused(void **state) {
    static const struct fixed_batch rows[] = {
        {"Sigmoid", NULL, 0, {0}, 0, {0}, 0, 1},
        {"Add", NULL, 0, {0}, 4, {1, 2, 4, 4}, 0, 1},
        {"Add", NULL, 0, {0}, 4, {4, 2, 4, 4}, 0, 0}, /* another number for every sample */
        {"Mul", NULL, 0, {0}, 1, {4}, 0, 1},
        {"Transpose", "perm", 4, {0, 2, 3, 1}, 0, {0}, 0, 1},
        {"Transpose", "perm", 4, {1, 0, 2, 3}, 0, {0}, 0, 0},
        {"ReduceMean", "axes", 2, {2, 3}, 0, {0}, 0, 1},
        {"ReduceMean", "axes", 2, {0, 2}, 0, {0}, 0, 0},
        {"ReduceMax", NULL, 0, {0}, 0, {0}, 0, 0}, /* of all axes */
        {"Softmax", "axis", -1, {1}, 0, {0}, 0, 1},
        {"Softmax", "axis", -1, {0}, 0, {0}, 0, 0},
        {"Flatten", "axis", -1, {1}, 0, {0}, 0, 1},
        {"Flatten", "axis", -1, {0}, 0, {0}, 0, 0},
        {"ArgMax", "axis", -1, {-4}, 0, {0}, 0, 0},
        {"Concat", "axis", -1, {1}, 4, {1, 2, 4, 4}, 0, 1},
        {"Concat", "axis", -1, {0}, 4, {1, 2, 4, 4}, 0, 0},
        {"Reshape", NULL, 0, {0}, 3, {4, 8, -1}, 1, 1},
        {"Reshape", NULL, 0, {0}, 3, {4, 2, 16}, 1, 1},
        {"Reshape", NULL, 0, {0}, 3, {8, 4, 4}, 1, 0}, /* batch and channels in one axis */
        {"Expand", NULL, 0, {0}, 4, {4, 2, 4, 4}, 1, 1},
        {"Expand", NULL, 0, {0}, 4, {3, 2, 4, 4}, 1, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        float y[2][512];
        int64_t n[2];

        if (rows[i].allowed) {
            run_fixed_batch(&rows[i], 4, y[0], &n[0]);
            if (strcmp(rows[i].op, "Expand") != 0) { /* a symbolic batch cannot be a length */
                run_fixed_batch(&rows[i], -1, y[1], &n[1]);
                assert_int_equal(n[0], n[1]);
                assert_memory_equal(y[0], y[1], (size_t)n[0] * sizeof(float));
            }
        } else {
            struct bytes file = fixed_batch_file(&rows[i], 4);

            if (try_model(file, "y") != SG_E_MODEL || strstr(sg_trace_message(), "batch") == NULL) {
                fail_msg("row %zu (%s): %s", i, rows[i].op, sg_trace_message());
            }
            free(file.data);
        }
    }
}

/* Nothing is taken beyond what was told; every failing allocation is a status. */
static void memory_fails_cleanly(void **state) {
    struct bytes file = model_of(13, small_graph());
    const int64_t balance = sg_memory_balance();
    int done = 0;

    (void)state;
    for (int64_t k = 1; !done && k < 1000; k++) {
        struct sg_model *m = NULL;
        struct sg_net *net = NULL;
        sg_status status;

        sg_memory_fail_at(k);
        status = sg_model_create(file.data, file.n, "net.onnx", NULL, &m);
        status = status == SG_OK ? sg_net_create(m, 4, &net) : status;
        done = status == SG_OK;
        sg_memory_fail_at(0);
        assert_true(done || status == SG_E_NOMEM);
        sg_net_destroy(net);
        sg_model_destroy(m);
        assert_int_equal(sg_memory_balance(), balance);
    }
    assert_true(done);
    free(file.data);
}

/* What malloc gives out for a net is what was told, but for its own rounding. The sanitizers bring
 * another malloc, which does not tell. */
static void memory_is_as_told(void **state) {
    struct bytes file = model_of(13, small_graph());
    struct sg_model *m = NULL;
    struct mallinfo2 before;
    struct mallinfo2 after;

    (void)state;
    assert_int_equal(sg_model_create(file.data, file.n, "net.onnx", NULL, &m), SG_OK);
    for (int64_t batch = 1; batch <= 1024; batch *= 32) {
        const int64_t told = sg_net_bytes_for(m, batch);
        struct sg_net *net = NULL;
        int64_t taken;

        before = mallinfo2();
        assert_int_equal(sg_net_create(m, batch, &net), SG_OK);
        after = mallinfo2();
        taken =
            (int64_t)(after.uordblks + after.hblkhd) - (int64_t)(before.uordblks + before.hblkhd);
        if (after.uordblks > 0) {
            assert_in_range(taken, told, told + 8192);
        }
        sg_net_destroy(net);
    }
    sg_model_destroy(m);
    free(file.data);
}

static void huge_batches_are_refused(void **state) {
    struct bytes file = model_of(13, small_graph());
    struct sg_model *m = NULL;
    struct sg_net *net = NULL;

    (void)state;
    assert_int_equal(sg_model_create(file.data, file.n, "net.onnx", NULL, &m), SG_OK);
    assert_int_equal(sg_net_create(m, INT64_MAX / 4, &net), SG_E_NOMEM);
    assert_true(sg_net_bytes_for(m, 1) > 0);
    assert_true(sg_net_bytes_for(m, 64) > 64 * 32 * (int64_t)sizeof(float));
    sg_model_destroy(m);
    free(file.data);
}

/* One node on x[N,4,4,4], with an optional weight of the given shape. */
static struct bytes one_node(struct bytes node, int n_axes, const int64_t *axes) {
    struct bytes g = {0};

    if (n_axes > 0) {
        add_floats(&g, "w", n_axes, axes, 0.5f);
    }
    add_value(&g, 11, "x", 4, (const int64_t[]){-1, 4, 4, 4});
    put_part(&g, 1, node);
    add_value(&g, 12, "y", 2, (const int64_t[]){-1, 3});
    return g;
}

static void refusals_name_the_node(void **state) {
    struct bytes n, g;

    (void)state;
    refused(one_node(node_of("Bicubic", "odd", "x", NULL, "y"), 0, NULL), 13, "node 'odd'",
            "Bicubic");
    refused(one_node(node_of("Conv", "", "x", "w", "y"), 3, (const int64_t[]){2, 4, 3}), 13,
            "the node that makes 'y'", "[2,4,3]");
    refused(one_node(node_of("Conv", "c", "x", "w", "y"), 4, (const int64_t[]){2, 3, 3, 3}), 13,
            "node 'c' (Conv)", "4 input channels");
    refused(one_node(node_of("Relu", "r", "z", NULL, "y"), 0, NULL), 13, "'z'", "nothing makes");
    refused(one_node(node_of("Relu", "r", "y", NULL, "y"), 0, NULL), 13, "cycle", "'r'");
    refused(one_node(node_of("Relu", "r", "x", NULL, "x"), 0, NULL), 13, "same name", "'x'");
    refused(one_node(node_of("Relu", "r", "x", NULL, "y"), 0, NULL), 6, "operator set 6",
            "7 to 17");
    refused(one_node(node_of("Relu", "r", "x", NULL, "y"), 0, NULL), 18, "operator set 18", "17");

    n = node_of("Relu", "r", "x", NULL, "y");
    put_text(&n, 7, "com.example");
    refused(one_node(n, 0, NULL), 13, "com.example", "node 'r'");
    n = node_of("MaxPool", "p", "x", NULL, "y");
    put_attribute_ints(&n, "kernel_shape", 2, (const int64_t[]){9, 9});
    refused(one_node(n, 0, NULL), 13, "node 'p'", "does not fit");
    n = node_of("MaxPool", "p", "x", NULL, "y");
    put_attribute_int(&n, "kernel_shape", 2);
    refused(one_node(n, 0, NULL), 13, "'kernel_shape'", "list");
    n = node_of("Conv", "c", "x", "w", "y");
    put_attribute_ints(&n, "strides", 2, (const int64_t[]){0, 1});
    refused(one_node(n, 4, (const int64_t[]){2, 4, 3, 3}), 13, "strides", "1 to");
    n = node_of("Conv", "c", "x", "w", "y");
    put_attribute_int(&n, "group", 3);
    refused(one_node(n, 4, (const int64_t[]){2, 4, 3, 3}), 13, "3 groups", "node 'c'");
    n = node_of("Flatten", "f", "x", NULL, "y");
    put_attribute_int(&n, "axis", 5);
    refused(one_node(n, 0, NULL), 13, "node 'f'", "axis 5");
    n = node_of("Softmax", "s", "x", NULL, "t");
    put_attribute_int(&n, "axis", 0);
    g = one_node(n, 0, NULL);
    put_part(&g, 1, node_of("Relu", "r", "t", NULL, "y"));
    refused(g, 13, "node 's'", "axis 0");

    n = node_of("If", "branch", "x", NULL, "y");
    {
        struct bytes a = {0};

        put_text(&a, 1, "then_branch");
        put_text(&a, 6, "");
        put_int(&a, 20, 5);
        put_part(&n, 5, a);
    }
    refused(one_node(n, 0, NULL), 13, "node 'branch' (If)", "graph of its own");

    g = (struct bytes){0};
    for (int i = 0; i < 4; i++) {
        const char *const names[] = {"s", "b", "m", "v"};

        add_floats(&g, names[i], 1, (const int64_t[]){4}, 1.0f);
    }
    add_value(&g, 11, "x", 4, (const int64_t[]){1, 4, 4, 4});
    n = node_of("BatchNormalization", "bn", "x", "s", "y");
    put_text(&n, 1, "b");
    put_text(&n, 1, "m");
    put_text(&n, 1, "v");
    put_attribute_int(&n, "training_mode", 1);
    put_part(&g, 1, n);
    add_value(&g, 12, "y", 4, (const int64_t[]){1, 4, 4, 4});
    refused(g, 14, "node 'bn'", "training mode");
}

static void impossible_shapes_are_refused(void **state) {
    static const int64_t inputs[][4] = {{1, (int64_t)1 << 62, 4, 4},
                                        {1, (int64_t)1 << 31, (int64_t)1 << 31, 4},
                                        {1, -5, 4, 4},
                                        {1, 0, 4, 4},
                                        {1, -1, 4, 4},
                                        {0, 4, 4, 4}};
    static const int64_t weights[][2] = {
        {(int64_t)1 << 62, 4}, {-1, 4}, {(int64_t)1 << 32, (int64_t)1 << 32}, {1 << 20, 4}};

    (void)state;
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        struct bytes g = {0};

        add_value(&g, 11, "x", 4, inputs[i]);
        put_part(&g, 1, node_of("Relu", "r", "x", NULL, "y"));
        add_value(&g, 12, "y", 4, inputs[i]);
        refused(g, 13, "'x'", "axis");
    }
    for (size_t i = 0; i < sizeof weights / sizeof weights[0]; i++) {
        struct bytes g = {0};

        add_value(&g, 11, "x", 2, (const int64_t[]){-1, 4});
        put_part(&g, 5, tensor_of("w", 2, weights[i], FLOAT, "abcd", 4));
        put_part(&g, 1, node_of("MatMul", "m", "x", "w", "y"));
        add_value(&g, 12, "y", 2, (const int64_t[]){-1, 4});
        refused(g, 13, "'w'", "shape");
    }
}

static void external_data_is_refused(void **state) {
    struct bytes g = {0}, t = {0}, entry = {0};

    (void)state;
    put_int(&t, 1, 4);
    put_int(&t, 1, 4);
    put_int(&t, 2, FLOAT);
    put_text(&t, 8, "w");
    put_text(&entry, 1, "location");
    put_text(&entry, 2, "../../etc/passwd");
    put_part(&t, 13, entry);
    put_int(&t, 14, 1);
    put_part(&g, 5, t);
    add_value(&g, 11, "x", 2, (const int64_t[]){-1, 4});
    put_part(&g, 1, node_of("MatMul", "m", "x", "w", "y"));
    add_value(&g, 12, "y", 2, (const int64_t[]){-1, 4});
    refused(g, 13, "'w'", "another file");
}

/* A file cut at any byte is refused, or reads as a whole shorter file: never a crash. */
static void cut_files(void **state) {
    struct bytes file = model_of(13, small_graph());

    (void)state;
    for (size_t n = 0; n < file.n; n++) {
        struct bytes cut = {0};

        put(&cut, file.data, n); /* on the heap, so that the sanitizer sees its end */
        cut.data = realloc(cut.data, n > 0 ? n : 1);
        assert_non_null(cut.data);
        assert_int_equal(try_model(cut, NULL), SG_E_MODEL);
        free(cut.data);
    }
    free(file.data);
    assert_int_equal(sg_memory_balance(), 0);
}

/* Random changes: a status comes back, and what is taken as a model runs. */
static void changed_files(void **state) {
    struct bytes file = model_of(13, small_graph());
    uint64_t seed = 5;
    int taken = 0;

    (void)state;
    for (int trial = 0; trial < 20000; trial++) {
        struct bytes changed = {0};
        struct sg_model *m = NULL;

        put(&changed, file.data, file.n);
        for (int k = 0; k <= trial % 3; k++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            changed.data[(seed >> 33) % changed.n] = (uint8_t)(seed >> 25);
        }
        if (sg_model_create(changed.data, changed.n, "net.onnx", NULL, &m) == SG_OK) {
            struct sg_net *net = NULL;
            const int64_t d = sg_shape_size(sg_model_input(m));

            taken++;
            if (d < 4096 && sg_model_n_outputs(m) < 4096 &&
                sg_net_bytes_for(m, 2) < (int64_t)1 << 24 && sg_net_create(m, 2, &net) == SG_OK) {
                float *x = calloc((size_t)d * 2, sizeof *x);
                float *y = calloc((size_t)sg_model_n_outputs(m) * 2, sizeof *y);

                assert_int_equal(sg_net_forward(net, x, y, NULL), SG_OK);
                assert_int_equal(sg_net_backward(net, y, x, NULL), SG_OK);
                free(x);
                free(y);
            }
            sg_net_destroy(net);
        }
        sg_model_destroy(m);
        free(changed.data);
    }
    assert_true(taken > 100); /* most bytes are weights */
    free(file.data);
    assert_int_equal(sg_memory_balance(), 0);
}

/* fp16, fp64 and typed fields: the same weights give the same outputs. Values are from IEEE 754. */
static void weight_types(void **state) {
    static const uint16_t half[4] = {0x3c00, 0xc000, 0x3555, 0x0001}; /* 1, -2, 0.33325.., 2^-24 */
    static const float single[4] = {1.0f, -2.0f, 0.333251953125f, 0x1p-24f};
    const float x[4] = {1.0f, 2.0f, 3.0f, 4.0f};

    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        struct bytes g = {0}, t = {0}, file;
        struct sg_model *m = NULL;
        struct sg_net *net = NULL;
        double wide[4];
        float y;

        for (int i = 0; i < 4; i++) {
            wide[i] = (double)single[i];
        }
        put_int(&t, 1, 4);
        put_int(&t, 1, 1);
        put_int(&t, 2, kind == 0 || kind == 1 ? FLOAT16 : kind == 2 ? DOUBLE : FLOAT);
        put_text(&t, 8, "w");
        for (int i = 0; i < 4 && kind == 1; i++) {
            put_int(&t, 5, half[i]); /* not packed, as bits in int32_data */
        }
        if (kind == 0) {
            put_field(&t, 9, half, sizeof half);
        } else if (kind == 2) {
            put_field(&t, 10, wide, sizeof wide);
        } else if (kind == 3) {
            put_field(&t, 4, single, sizeof single); /* packed float_data */
        }
        put_part(&g, 5, t);
        add_value(&g, 11, "x", 2, (const int64_t[]){-1, 4});
        put_part(&g, 1, node_of("MatMul", "m", "x", "w", "y"));
        add_value(&g, 12, "y", 2, (const int64_t[]){-1, 1});
        file = model_of(13, g);
        assert_int_equal(sg_model_create(file.data, file.n, "net.onnx", NULL, &m), SG_OK);
        assert_int_equal(sg_net_create(m, 1, &net), SG_OK);
        assert_int_equal(sg_net_forward(net, x, &y, NULL), SG_OK);
        assert_float_equal(y, 1.0 - 4.0 + 3 * 0.333251953125 + 4 * 0x1p-24, 1e-6);
        sg_net_destroy(net);
        sg_model_destroy(m);
        free(file.data);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_model_runs),
        cmocka_unit_test(a_net_runs_with_any_draw),
        cmocka_unit_test(a_draw_is_filled_by_one),
        cmocka_unit_test(parameters_are_listed),
        cmocka_unit_test(samples_are_independent),
        cmocka_unit_test(flattening_keeps_the_order),
        cmocka_unit_test(reshaping_keeps_samples_apart),
        cmocka_unit_test(a_fixed_batch_is_proven_or_refused),
        cmocka_unit_test(memory_fails_cleanly),
        cmocka_unit_test(memory_is_as_told),
        cmocka_unit_test(huge_batches_are_refused),
        cmocka_unit_test(refusals_name_the_node),
        cmocka_unit_test(impossible_shapes_are_refused),
        cmocka_unit_test(external_data_is_refused),
        cmocka_unit_test(weight_types),
        cmocka_unit_test(cut_files),
        cmocka_unit_test(changed_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
