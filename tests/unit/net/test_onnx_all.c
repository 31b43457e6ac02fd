/* tests/unit/net/test_onnx_all.c - all operator tests of the ONNX project (Debian's
 * libonnx-testdata): what the table of operators takes must give their outputs, and a gradient that
 * agrees with central differences. With the argument --list it prints every case with the reason
 * why it was skipped.
 *
 * The network's input is one long row per sample; slices of it, reshaped, are the inputs of the
 * case, so every operand is a value of the network and axes mean what they mean in the case. What
 * cannot be so is tried with the first operand as a value, then with that one as the network's own
 * input, whose first axis counts the samples, then with constants only: their sum with zeros of the
 * network is looked at. */
#include "model_bytes.h"
#include "net/onnx.h"
#include "net/wire.h"
#include "sgdist/memory.h"
#include "sgdist/net.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

static const char root[] = "/usr/share/libonnx-testdata/data";
enum { MAX_FILES = 16, LEAST_PASSED = 774 };

enum how { ALL_VALUES, ONE_VALUE, SAMPLES, NO_VALUE, N_WAYS };

struct part {
    struct bytes file;
    struct onnx_tensor t;
    int64_t start; /* in the row, or -1 */
    int64_t n;
};

struct opened {
    const char *name;
    struct sg_region region;
    struct bytes file;
    struct onnx_graph g;
    int n_in, n_out;
    struct part in[MAX_FILES];
    struct part out[MAX_FILES];
    int64_t row;
    float *x; /* [row] */
    int64_t batch;
};

static int is_listing;
static int n_passed, n_failed, n_skipped, n_gradients;

static struct onnx_span span(struct bytes b) {
    return (struct onnx_span){.data = b.data, .n = b.n};
}

static int open_parts(struct opened *o, const char *folder, const char *what, struct part *parts) {
    int n = 0;

    for (; n < MAX_FILES; n++) {
        char path[1024];

        (void)snprintf(path, sizeof path, "%s/test_data_set_0/%s_%d.pb", folder, what, n);
        parts[n].file = file_bytes(path);
        if (parts[n].file.n == 0 ||
            onnx_decode_tensor(span(parts[n].file), path, &o->region, &parts[n].t) != SG_OK) {
            break;
        }
        parts[n].n = onnx_tensor_count(&parts[n].t);
    }
    return n;
}

static int open_case(struct opened *o, const char *folder, const char *name) {
    char path[1024];

    *o = (struct opened){.name = name};
    (void)snprintf(path, sizeof path, "%s/model.onnx", folder);
    o->file = file_bytes(path);
    if (onnx_decode(o->file.data, o->file.n, name, &o->region, &o->g) != SG_OK) {
        return 0;
    }
    o->n_in = open_parts(o, folder, "input", o->in);
    o->n_out = open_parts(o, folder, "output", o->out);
    for (int i = 0; i < o->n_in; i++) {
        if (i >= o->g.n_inputs || o->g.inputs[i].type == 0) {
            return 0;
        }
    }
    return o->n_out > 0 && o->n_out == o->g.n_outputs && o->n_in <= o->g.n_inputs;
}

static void close_case(struct opened *o) {
    sg_region_free(&o->region);
    free(o->file.data);
    for (int i = 0; i < MAX_FILES; i++) {
        free(o->in[i].file.data);
        free(o->out[i].file.data);
    }
}

/* The inputs of the graph that are no initialisers, in order. */
static const char *input_name(const struct opened *o, int i) {
    for (int64_t k = 0; k < o->g.n_inputs; k++) {
        int is_weight = 0;

        for (int64_t t = 0; t < o->g.n_tensors; t++) {
            is_weight = is_weight || strcmp(o->g.tensors[t].name, o->g.inputs[k].name) == 0;
        }
        i -= !is_weight;
        if (i < 0) {
            return o->g.inputs[k].name;
        }
    }
    return "?";
}

static void lay_row(struct opened *o, enum how how) {
    o->row = 0;
    o->batch = 2;
    for (int i = 0; i < o->n_in; i++) {
        struct part *p = &o->in[i];
        const int is_value = how == ALL_VALUES || (how != NO_VALUE && o->row == 0);

        p->start = -1;
        if (is_value && onnx_type_class(p->t.type) == 1 && p->n > 0) {
            p->start = o->row;
            o->row += p->n;
        }
    }
    o->row += o->row == 0;
    o->x = sg_region_floats(&o->region, o->row);
    o->x[0] = 0.0f;
    for (int i = 0; i < o->n_in; i++) {
        if (o->in[i].start >= 0) {
            (void)onnx_read_floats(&o->in[i].t, o->name, o->in[i].n, o->x + o->in[i].start);
        }
    }
}

static void add_shape(struct bytes *graph, const char *name, int n_axes, const int64_t *axes) {
    const int64_t n = n_axes;

    put_part(graph, 5, tensor_of(name, 1, &n, ONNX_INT64, axes, (size_t)n_axes * sizeof *axes));
}

/* Input i: a slice of the row, or a constant. */
static void add_input(struct bytes *graph, const struct opened *o, int i) {
    const struct part *p = &o->in[i];
    const int64_t ends[2] = {p->start, p->start + p->n};
    char slice[64], shape[64];
    struct bytes n;

    if (p->start < 0) {
        struct bytes t = {0};

        put(&t, p->file.data, p->file.n);
        put_text(&t, 8, input_name(o, i));
        put_part(graph, 5, t);
        return;
    }
    (void)snprintf(slice, sizeof slice, "row part %d", i);
    (void)snprintf(shape, sizeof shape, "row shape %d", i);
    n = node_of("Slice", slice, "the row", NULL, slice);
    put_attribute_ints(&n, "starts", 1, &ends[0]);
    put_attribute_ints(&n, "ends", 1, &ends[1]);
    put_attribute_ints(&n, "axes", 1, (const int64_t[]){1});
    put_part(graph, 1, n);
    add_shape(graph, shape, p->t.n_axes, p->t.axes);
    put_part(graph, 1, node_of("Reshape", shape, slice, shape, input_name(o, i)));
}

/* A constant result plus the row's first number, which is zero. */
static void add_sum(struct bytes *graph, const struct opened *o, int i_out) {
    struct bytes n = node_of("Cast", "as number", o->g.outputs[i_out].name, NULL, "as number");
    const int64_t zero = 0, one = 1;

    put_attribute_int(&n, "to", ONNX_FLOAT);
    put_part(graph, 1, n);
    n = node_of("Slice", "zero", "the row", NULL, "zero");
    put_attribute_ints(&n, "starts", 1, &zero);
    put_attribute_ints(&n, "ends", 1, &one);
    put_attribute_ints(&n, "axes", 1, &one);
    put_part(graph, 1, n);
    add_shape(graph, "no axes", 0, NULL);
    put_part(graph, 1, node_of("Reshape", "scalar", "zero", "no axes", "scalar"));
    put_part(graph, 1, node_of("Add", "sum", "as number", "scalar", "the sum"));
}

static struct bytes wrap(const struct opened *o, enum how how, int i_out) {
    struct wire_reader r = wire_over(span(o->file));
    struct wire_field f, part;
    struct bytes b = {0};

    while (wire_next(&r, &f) > 0) {
        if (f.number == 7) {
            struct wire_reader inner = wire_over(f.bytes);
            struct bytes graph = {0};

            if (how == SAMPLES) {
                put_part(
                    &graph, 11,
                    value_of(input_name(o, 0), ONNX_FLOAT, o->in[0].t.n_axes, o->in[0].t.axes));
            } else {
                put_part(&graph, 11, value_of("the row", ONNX_FLOAT, 2, (int64_t[]){-1, o->row}));
            }
            for (int i = how == SAMPLES; i < o->n_in; i++) {
                add_input(&graph, o, i);
            }
            while (wire_next(&inner, &part) > 0) {
                if (part.number == 1 || part.number == 5 || part.number == 12) {
                    put_field(&graph, part.number, part.bytes.data, part.bytes.n);
                }
            }
            if (how == NO_VALUE) {
                add_sum(&graph, o, i_out);
            }
            put_part(&b, 7, graph);
        } else if (f.number == 8) {
            struct bytes version = {0};

            put_int(&version, 2, o->g.opset < 7 ? 7 : o->g.opset);
            put_part(&b, 8, version);
        } else if (f.type == WIRE_VARINT) {
            put_int(&b, f.number, (int64_t)f.value);
        } else {
            put_field(&b, f.number, f.bytes.data, f.bytes.n);
        }
    }
    return b;
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

/* <dx, v> against central differences of L = <dy, y> along random v, near the case's own x: in
 * float32 good to 1e-3 of the sizes at hand. Kinks within the step spoil a direction: two of five
 * may fail. `copies` equal samples run at a time and must give the same bits. */
static int gradient_agrees(struct opened *o, struct sg_net *net, int64_t copies, int64_t k) {
    const float h = 1.0f / 512.0f;
    const int64_t n = o->row;
    const size_t bytes = (size_t)n * sizeof(float);
    float *v = sg_region_floats(&o->region, n), *at = sg_region_floats(&o->region, copies * n);
    float *dx = sg_region_floats(&o->region, copies * n), *x = sg_region_floats(&o->region, n);
    float *y = sg_region_floats(&o->region, copies * k),
          *dy = sg_region_floats(&o->region, copies * k);
    uint64_t state = 11;
    int good = 0;

    for (int trial = 0; trial < 5; trial++) {
        double slope = 0.0, size = 1e-6, sides[2] = {0};

        for (int64_t i = 0; i < n; i++) {
            v[i] = draw(&state);
            x[i] = o->x[i] + 0.05f * draw(&state);
        }
        for (int64_t i = 0; i < k; i++) {
            dy[i] = dy[(copies - 1) * k + i] = draw(&state);
        }
        for (int side = 0; side < 3; side++) {
            for (int64_t i = 0; i < n; i++) {
                at[i] = at[(copies - 1) * n + i] = x[i] + (float)(side - 1) * h * v[i];
            }
            (void)sg_net_forward(net, at, y, NULL);
            sides[side / 2] = side != 1 ? inner(dy, y, k) : sides[0];
            if (side == 1) {
                (void)sg_net_backward(net, dy, dx, NULL);
                slope = inner(dx, v, n);
                for (int64_t i = 0; i < k; i++) {
                    size += fabs((double)dy[i] * (double)y[i]);
                }
            }
        }
        for (int64_t i = 0; i < n; i++) {
            size += fabs((double)dx[i] * (double)v[i]);
        }
        good += memcmp(dx, dx + (copies - 1) * n, bytes) == 0 &&
                !(fabs(slope - (sides[1] - sides[0]) / (2.0 * (double)h)) > 2e-3 * size);
    }
    return good >= 3;
}

static int is_close(float y, float want, float bound) {
    return (isnan(y) && isnan(want)) || y == want || fabsf(y - want) <= 2e-5f + bound * fabsf(want);
}

/* ONNX's own runner takes 1e-3; half numbers are not rounded here, and windows need it. */
static int values_agree(struct opened *o, const struct part *p, const float *y) {
    const int is_rough = p->t.type == ONNX_FLOAT16 || strstr(o->name, "window") != NULL;
    const float bound = is_rough ? 1e-3f : 2e-4f;
    float *want = sg_region_floats(&o->region, p->n);

    if (onnx_type_class(p->t.type) == 1) {
        if (onnx_read_floats(&p->t, o->name, p->n, want) != SG_OK) {
            return 0;
        }
    } else {
        int64_t *ints = sg_region_take(&o->region, (size_t)p->n, sizeof *ints);

        if (onnx_read_ints(&p->t, o->name, p->n, ints) != SG_OK) {
            return 0;
        }
        for (int64_t i = 0; i < p->n; i++) {
            want[i] = (float)ints[i];
        }
    }
    for (int64_t i = 0; i < p->n; i++) {
        if (!is_close(y[i], want[i], bound)) {
            printf("%s: element %lld is %g instead of %g\n", o->name, (long long)i, (double)y[i],
                   (double)want[i]);
            return 0;
        }
    }
    return 1;
}

/* 1 passed, 0 cannot be so (`reason` says why), -1 wrong. */
static int try_output(struct opened *o, enum how how, int i_out, char *reason, size_t cap) {
    const struct part *p = &o->out[i_out];
    const char *tensor = how == NO_VALUE ? "the sum" : o->g.outputs[i_out].name;
    struct sg_model *m = NULL;
    struct sg_net *net = NULL;
    struct bytes file;
    int result = 0;

    if (p->n <= 0 || onnx_type_class(p->t.type) == 0) {
        (void)snprintf(reason, cap, "its result is empty or of another kind than numbers");
        return 0;
    }
    lay_row(o, how);
    if (how == SAMPLES) {
        if (o->n_in == 0 || o->in[0].start != 0 || o->in[0].t.n_axes < 2 || p->t.n_axes < 1 ||
            p->t.axes[0] != o->in[0].t.axes[0]) {
            return 0;
        }
        o->batch = o->in[0].t.axes[0];
    }
    file = wrap(o, how, i_out);
    if (sg_model_create(file.data, file.n, o->name, tensor, &m) != SG_OK ||
        sg_net_create(m, o->batch, &net) != SG_OK) {
        if (how == ALL_VALUES || reason[0] == '\0') {
            (void)snprintf(reason, cap, "%s", sg_trace_message());
        }
    } else if (sg_model_n_outputs(m) * (how == SAMPLES ? o->batch : 1) != p->n) {
        printf("%s: %lld numbers instead of %lld\n", o->name, (long long)sg_model_n_outputs(m),
               (long long)p->n);
        result = -1;
    } else {
        const int64_t copies = how == SAMPLES ? 1 : 2;
        float *x = sg_region_floats(&o->region, 2 * o->row);
        float *y = sg_region_floats(&o->region, 2 * p->n);

        memcpy(x, o->x, (size_t)o->row * sizeof *x);
        memcpy(x + o->row, o->x, (size_t)o->row * sizeof *x);
        assert_int_equal(sg_net_forward(net, x, y, NULL), SG_OK);
        result = values_agree(o, p, y) && values_agree(o, p, y + (copies - 1) * p->n) ? 1 : -1;
        if (result > 0 && how != NO_VALUE && strstr(o->name, "large_number") == NULL) {
            n_gradients++;
            if (!gradient_agrees(o, net, copies, p->n)) {
                printf("%s: wrong gradient\n", o->name);
                result = -1;
            }
        }
    }
    sg_net_destroy(net);
    sg_model_destroy(m);
    free(file.data);
    return result;
}

static void run_case(const char *folder, const char *name) {
    const int64_t balance = sg_memory_balance();
    char reason[400] = "";
    struct opened o;
    int all = 0;

    if (open_case(&o, folder, name)) {
        all = 1;
        for (int i = 0; i < o.n_out && all > 0; i++) {
            int one = 0;

            for (int how = 0; how < N_WAYS && one == 0; how++) {
                one = try_output(&o, (enum how)how, i, reason, sizeof reason);
            }
            all = one;
        }
    } else {
        (void)snprintf(reason, sizeof reason, "its inputs or outputs are no tensors of numbers");
    }
    n_passed += all > 0;
    n_failed += all < 0;
    n_skipped += all == 0;
    if (is_listing) {
        printf("%-8s %s%s%s\n",
               all > 0   ? "passed"
               : all < 0 ? "FAILED"
                         : "skipped",
               name, all == 0 ? ": " : "", all == 0 ? reason : "");
    }
    close_case(&o);
    assert_int_equal(sg_memory_balance(), balance);
}

static int is_case(const struct dirent *entry) {
    return strncmp(entry->d_name, "test_", 5) == 0;
}

static void all_cases(void **state) {
    static const char *const groups[] = {"node", "pytorch-operator", "pytorch-converted", "simple"};

    (void)state;
    for (size_t g = 0; g < sizeof groups / sizeof groups[0]; g++) {
        struct dirent **entries;
        char folder[400];
        int n;

        (void)snprintf(folder, sizeof folder, "%s/%s", root, groups[g]);
        n = scandir(folder, &entries, is_case, alphasort);
        for (int i = 0; i < n; i++) {
            char path[700];

            (void)snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
            run_case(path, entries[i]->d_name);
            free(entries[i]);
        }
        if (n >= 0) {
            free(entries);
        }
    }
    printf("%d passed (%d gradients), %d skipped, %d failed\n", n_passed, n_gradients, n_skipped,
           n_failed);
    assert_int_equal(n_failed, 0);
    assert_true(n_passed >= LEAST_PASSED);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_cases)};

    is_listing = argc > 1 && strcmp(argv[1], "--list") == 0;
    return access(root, R_OK) != 0 ? 77 : cmocka_run_group_tests(tests, NULL, NULL);
}
