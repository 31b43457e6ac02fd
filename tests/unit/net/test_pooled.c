/* tests/unit/net/test_pooled.c - convolutions that go together with the max pooling behind them,
 * against the same network where the convolutions' outputs are explained too, so that nothing can:
 * forward the same bits, backward other sums of the same terms, under every rule. What else is
 * asked for - layers, counts - changes no bit. */
#include "model_bytes.h"
#include "net/net_impl.h"
#include "sgdist/memory.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { SIDE = 12, FIRST = 6, SECOND = 18, CLASSES = 5, BATCH = 5, FLOAT = 1 };
enum { IN = SIDE * SIDE, A = FIRST * SIDE * SIDE, C = SECOND * SIDE * SIDE / 4 };

static uint32_t noise_state;

static float noise(void) {
    noise_state = noise_state * 1664525u + 1013904223u;
    return (float)(int32_t)noise_state * 0x1p-31f;
}

static void add_weights(struct bytes *graph, const char *name, int n_axes, const int64_t *axes) {
    float v[SECOND * FIRST * 9 + SECOND * SIDE * SIDE / 16 * CLASSES];
    int64_t n = 1;

    for (int i = 0; i < n_axes; i++) {
        n *= axes[i];
    }
    assert_true(n <= (int64_t)(sizeof v / sizeof v[0]));
    for (int64_t i = 0; i < n; i++) {
        v[i] = noise();
    }
    put_part(graph, 5, tensor_of(name, n_axes, axes, FLOAT, v, (size_t)n * sizeof *v));
}

static struct bytes window(const char *op, const char *in, const char *weight, const char *out,
                           int64_t size) {
    struct bytes n = node_of(op, out, in, weight, out);

    put_attribute_ints(&n, "kernel_shape", 2, (const int64_t[]){size, size});
    if (weight != NULL) {
        put_attribute_ints(&n, "pads", 4, (const int64_t[]){1, 1, 1, 1});
    } else {
        put_attribute_ints(&n, "strides", 2, (const int64_t[]){size, size});
    }
    return n;
}

/* An image of one channel, a convolution with a Relu and one without, each with its pooling. */
static struct bytes file_of(void) {
    struct bytes g = {0};

    noise_state = 1;
    add_weights(&g, "v", 4, (const int64_t[]){FIRST, 1, 3, 3});
    add_weights(&g, "w", 4, (const int64_t[]){SECOND, FIRST, 3, 3});
    add_weights(&g, "u", 2, (const int64_t[]){SECOND * SIDE * SIDE / 16, CLASSES});
    put_part(&g, 11, value_of("x", FLOAT, 4, (const int64_t[]){-1, 1, SIDE, SIDE}));
    put_part(&g, 1, window("Conv", "x", "v", "a0", 3));
    put_part(&g, 1, node_of("Relu", "a", "a0", NULL, "a"));
    put_part(&g, 1, window("MaxPool", "a", NULL, "b", 2));
    put_part(&g, 1, window("Conv", "b", "w", "c", 3));
    put_part(&g, 1, window("MaxPool", "c", NULL, "d", 2));
    put_part(&g, 1, node_of("Flatten", "f", "d", NULL, "f"));
    put_part(&g, 1, node_of("Gemm", "y", "f", "u", "y"));
    put_part(&g, 12, value_of("y", FLOAT, 2, (const int64_t[]){-1, CLASSES}));
    put_part(&g, 12, value_of("a", FLOAT, 4, (const int64_t[]){-1, FIRST, SIDE, SIDE}));
    put_part(&g, 12, value_of("c", FLOAT, 4, (const int64_t[]){-1, SECOND, SIDE / 2, SIDE / 2}));
    return model_of(13, g);
}

/* With one tensor explained, or with three. */
static struct sg_model *open_model(struct bytes file, int n_tensors) {
    static const char *const tensors[] = {"y", "a", "c"};
    static const char *const layers[] = {"a", "c"};
    const struct sg_explain what = {
        .n_tensors = n_tensors, .tensors = tensors, .n_layers = 2, .layers = layers};
    struct sg_model *m = NULL;

    assert_int_equal(sg_model_open(file.data, file.n, "net.onnx", &what, &m), SG_OK);
    assert_int_equal(sg_model_place(m, NULL, 1), SG_OK);
    assert_int_equal(m->nodes[0]->is_pooled, n_tensors == 1);
    assert_int_equal(m->nodes[2]->is_pooled, n_tensors == 1);
    return m;
}

struct results {
    float y[BATCH * CLASSES];
    float dx[BATCH * IN];
    float a[BATCH * A];
    float c[BATCH * C];
    float da[BATCH * A];
    float dc[BATCH * C];
};

/* How a pass is run; `layers` are asked for in both directions. */
struct pass {
    int64_t batch;
    enum sg_rule rule;
    int is_noisy, is_counted, layers;
};

static struct results *run(const struct sg_model *m, const struct pass *p) {
    const int64_t n_y = sg_model_n_outputs(m);
    struct results *r = calloc(1, sizeof *r);
    float *x = calloc((size_t)BATCH * IN, sizeof *x);
    float *y = calloc((size_t)(BATCH * n_y), sizeof *y);
    float *dy = calloc((size_t)(BATCH * n_y), sizeof *dy);
    struct sg_net *net = NULL;

    assert_true(r != NULL && x != NULL && y != NULL && dy != NULL);
    noise_state = 7;
    for (int i = 0; i < BATCH * IN; i++) {
        x[i] = noise();
    }
    for (int j = 0; j < BATCH; j++) {
        for (int k = 0; k < CLASSES; k++) {
            dy[j * n_y + k] = noise();
        }
    }
    assert_int_equal(sg_net_create(m, p->batch, &net), SG_OK);
    for (int64_t i = 0; i < BATCH; i += p->batch) {
        float *const layers[] = {r->a + i * A, r->c + i * C};
        float *const dlayers[] = {r->da + i * A, r->dc + i * C};
        const struct sg_pass how = {.is_noisy = p->is_noisy,
                                    .is_counted = p->is_counted,
                                    .layers = p->layers ? layers : NULL};

        assert_int_equal(sg_net_forward_as(net, &how, x + i * IN, y + i * n_y, NULL), SG_OK);
        assert_int_equal(sg_net_backward_at(net, p->rule, dy + i * n_y, r->dx + i * IN,
                                            p->layers ? dlayers : NULL, NULL),
                         SG_OK);
    }
    for (int j = 0; j < BATCH; j++) {
        memcpy(r->y + j * CLASSES, y + j * n_y, CLASSES * sizeof *y);
    }
    sg_net_destroy(net);
    free(x);
    free(y);
    free(dy);
    return r;
}

/* Sums of up to 9 * SECOND products twice, of numbers about 1: 1e-5 of the largest is 80 roundings
 * of it, and a term in the wrong place is a hundred times as much. */
static void check_close(const float *got, const float *want, int64_t n) {
    float most = 0;

    for (int64_t i = 0; i < n; i++) {
        most = fmaxf(most, fabsf(want[i]));
    }
    assert_true(most > 0);
    for (int64_t i = 0; i < n; i++) {
        assert_true(fabsf(got[i] - want[i]) <= 1e-5f * most);
    }
}

static void check_rule(const struct sg_model *pooled, const struct sg_model *apart,
                       enum sg_rule rule, int is_noisy) {
    const struct pass plain = {.batch = BATCH, .rule = rule, .is_noisy = is_noisy};
    struct pass other = plain;
    struct results *want, *got, *again;

    other.layers = 1;
    want = run(apart, &other);
    got = run(pooled, &plain);
    assert_memory_equal(got->y, want->y, sizeof got->y);
    check_close(got->dx, want->dx, BATCH * IN);

    again = run(pooled, &other); /* with layers */
    assert_memory_equal(again->y, got->y, sizeof got->y);
    assert_memory_equal(again->dx, got->dx, sizeof got->dx);
    assert_memory_equal(again->a, want->a, sizeof want->a);
    assert_memory_equal(again->c, want->c, sizeof want->c);
    check_close(again->dc, want->dc, BATCH * C);
    check_close(again->da, want->da, BATCH * A);
    free(again);

    other = plain;
    other.is_counted = 1;
    again = run(pooled, &other);
    assert_memory_equal(again, got, sizeof *got);
    free(again);

    other = plain;
    other.batch = 1;
    again = run(pooled, &other);
    assert_memory_equal(again, got, sizeof *got);
    free(again);
    free(got);
    free(want);
}

static void together_as_apart(void **state) {
    struct bytes file = file_of();
    struct sg_model *pooled = open_model(file, 1);
    struct sg_model *apart = open_model(file, 3);

    (void)state;
    for (int rule = SG_RULE_GRADIENT; rule <= SG_RULE_DECONVNET; rule++) {
        check_rule(pooled, apart, (enum sg_rule)rule, 0);
        check_rule(pooled, apart, (enum sg_rule)rule, 1);
    }
    sg_model_destroy(pooled);
    sg_model_destroy(apart);
    free(file.data);
    assert_int_equal(sg_memory_balance(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(together_as_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
