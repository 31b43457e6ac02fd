/* tests/unit/net/test_rows.c - tokens that nobody reads are not computed, whatever is asked for as
 * a layer: a block with a residual sum, of which one token is read, against double loops. */
#include "model_bytes.h"
#include "net/net_impl.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { TOKENS = 5, WIDE = 8, INNER = 16, CLASSES = 3, READ = 3, BATCH = 4, FLOAT = 1, INT64 = 7 };

static float w[WIDE * INNER], v[INNER * WIDE], u[WIDE * CLASSES];
static float x[BATCH * TOKENS * WIDE], dy[BATCH * CLASSES];

static void draw(float *to, int n) {
    static uint32_t state = 1;

    for (int i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        to[i] = (float)(int32_t)state * 0x1p-31f;
    }
}

static void add_matrix(struct bytes *graph, const char *name, int64_t rows, int64_t columns,
                       float *values) {
    draw(values, (int)(rows * columns));
    put_part(graph, 5,
             tensor_of(name, 2, (const int64_t[]){rows, columns}, FLOAT, values,
                       (size_t)(rows * columns) * sizeof *values));
}

/* a = x w, b = relu(a), d = x + b v, y = d[READ] u */
static struct bytes file_of(void) {
    static const int64_t read = READ;
    struct bytes g = {0}, gather = node_of("Gather", "t", "d", "read", "t");

    put_attribute_int(&gather, "axis", 1);
    add_matrix(&g, "w", WIDE, INNER, w);
    add_matrix(&g, "v", INNER, WIDE, v);
    add_matrix(&g, "u", WIDE, CLASSES, u);
    put_part(&g, 5, tensor_of("read", 0, NULL, INT64, &read, sizeof read));
    put_part(&g, 11, value_of("x", FLOAT, 3, (const int64_t[]){-1, TOKENS, WIDE}));
    put_part(&g, 1, node_of("MatMul", "a", "x", "w", "a"));
    put_part(&g, 1, node_of("Relu", "b", "a", NULL, "b"));
    put_part(&g, 1, node_of("MatMul", "c", "b", "v", "c"));
    put_part(&g, 1, node_of("Add", "d", "x", "c", "d"));
    put_part(&g, 1, gather);
    put_part(&g, 1, node_of("MatMul", "y", "t", "u", "y"));
    put_part(&g, 12, value_of("y", FLOAT, 2, (const int64_t[]){-1, CLASSES}));
    return model_of(13, g);
}

struct values {
    double a[TOKENS * INNER], d[TOKENS * WIDE], y[CLASSES];
    double da[TOKENS * INNER], dd[TOKENS * WIDE], dx[TOKENS * WIDE];
};

static void run_forward(int sample, struct values *out) {
    const float *in = x + sample * TOKENS * WIDE;

    *out = (struct values){0};
    for (int t = 0; t < TOKENS; t++) {
        for (int i = 0; i < INNER; i++) {
            for (int k = 0; k < WIDE; k++) {
                out->a[t * INNER + i] += (double)in[t * WIDE + k] * (double)w[k * INNER + i];
            }
        }
        for (int k = 0; k < WIDE; k++) {
            out->d[t * WIDE + k] = (double)in[t * WIDE + k];
            for (int i = 0; i < INNER; i++) {
                out->d[t * WIDE + k] += fmax(out->a[t * INNER + i], 0) * (double)v[i * WIDE + k];
            }
        }
    }
    for (int c = 0; c < CLASSES; c++) {
        for (int k = 0; k < WIDE; k++) {
            out->y[c] += out->d[READ * WIDE + k] * (double)u[k * CLASSES + c];
        }
    }
}

/* The gradients of all tokens but the one that is read are 0. */
static void run_backward(int sample, struct values *out) {
    double *dd = out->dd + READ * WIDE, *da = out->da + READ * INNER, *dx = out->dx + READ * WIDE;

    for (int k = 0; k < WIDE; k++) {
        for (int c = 0; c < CLASSES; c++) {
            dd[k] += (double)dy[sample * CLASSES + c] * (double)u[k * CLASSES + c];
        }
    }
    for (int i = 0; i < INNER; i++) { /* of b; what is read at a is cut by the Relu */
        for (int k = 0; k < WIDE && out->a[READ * INNER + i] > 0; k++) {
            da[i] += dd[k] * (double)v[i * WIDE + k];
        }
    }
    for (int k = 0; k < WIDE; k++) {
        dx[k] = dd[k];
        for (int i = 0; i < INNER; i++) {
            dx[k] += da[i] * (double)w[k * INNER + i];
        }
    }
}

static void check(const float *got, const double *want, int n) {
    for (int i = 0; i < n; i++) {
        assert_true(fabs((double)got[i] - want[i]) <= 4e-6);
    }
}

/* All samples at a time, with some of the tensors a and d as layers. */
static void check_layers(int n_layers, const char *const *names, int n_cut) {
    const struct bytes file = file_of();
    const struct sg_explain what = {.n_layers = n_layers, .layers = names};
    float y[BATCH * CLASSES], dx[BATCH * TOKENS * WIDE];
    float at[2][BATCH * TOKENS * INNER], d_at[2][BATCH * TOKENS * INNER];
    float *const layers[] = {at[0], at[1]}, *const d_layers[] = {d_at[0], d_at[1]};
    struct sg_model *m = NULL;
    struct sg_net *net = NULL;
    struct values want;

    draw(x, BATCH * TOKENS * WIDE);
    draw(dy, BATCH * CLASSES);
    assert_int_equal(sg_model_open(file.data, file.n, "net.onnx", &what, &m), SG_OK);
    assert_int_equal(sg_model_place(m, NULL, 1), SG_OK);
    for (int64_t i = 0; i < m->n_nodes; i++) {
        n_cut -= m->nodes[i]->is_cut;
    }
    assert_int_equal(n_cut, 0);
    assert_int_equal(sg_net_create(m, BATCH, &net), SG_OK);
    assert_int_equal(sg_net_forward_as(net,
                                       &(struct sg_pass){.layers = n_layers > 0 ? layers : NULL}, x,
                                       y, NULL),
                     SG_OK);
    assert_int_equal(
        sg_net_backward_at(net, SG_RULE_GRADIENT, dy, dx, n_layers > 0 ? d_layers : NULL, NULL),
        SG_OK);
    for (int j = 0; j < BATCH; j++) {
        run_forward(j, &want);
        run_backward(j, &want);
        check(y + j * CLASSES, want.y, CLASSES);
        check(dx + j * TOKENS * WIDE, want.dx, TOKENS * WIDE);
        for (int l = 0; l < n_layers; l++) {
            const int n = TOKENS * (names[l][0] == 'a' ? INNER : WIDE);

            check(at[l] + j * n, names[l][0] == 'a' ? want.a : want.d, n);
            check(d_at[l] + j * n, names[l][0] == 'a' ? want.da : want.dd, n);
        }
    }
    sg_net_destroy(net);
    sg_model_destroy(m);
    free(file.data);
}

static void only_what_is_read_is_computed(void **state) {
    (void)state;
    check_layers(0, NULL, 3); /* x w with its Relu, b v, the sum with the token */
}

/* From a layer back all is whole; behind it rows are left out. */
static void layers_are_whole(void **state) {
    static const char *const names[] = {"a", "d"};

    (void)state;
    check_layers(1, names, 3); /* the Relu by itself, b v, the sum */
    check_layers(1, names + 1, 0);
    check_layers(2, names, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_is_read_is_computed),
        cmocka_unit_test(layers_are_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
