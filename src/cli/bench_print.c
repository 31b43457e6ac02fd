/* src/cli/bench_print.c - the tables of sgdist bench. */
#include "cli/bench_table.h"

#include "sgdist/memory.h"

#include <stdlib.h>
#include <string.h>

/* ---- one line ---- */

static double gflops(double multiply_adds, double seconds) {
    return seconds > 0 ? 2e-9 * multiply_adds / seconds : 0;
}

static double us(double seconds, int64_t block) {
    return 1e6 * seconds / (double)block;
}

/* A number of layers that multiply, or a dash. */
static const char *rate(double value, char buf[16]) {
    (void)snprintf(buf, 16, value > 0 ? "%.1f" : "-", value);
    return buf;
}

static const char *algorithm(const struct sg_node_view *v, const char *name) {
    return v->goes_along ? "above" : name[0] != '\0' ? name : "-";
}

/* "[N,64,56,56]". */
static const char *shape_text(const struct sg_shape *s, char *buf, size_t cap) {
    size_t n = (size_t)snprintf(buf, cap, "[N");

    for (int i = 0; i < s->n_axes && n < cap; i++) {
        n += (size_t)snprintf(buf + n, cap - n, ",%lld", (long long)s->axes[i]);
    }
    (void)snprintf(n < cap ? buf + n : buf, n < cap ? cap - n : 0, "]");
    return buf;
}

/* Widths of the columns of text. */
struct widths {
    int layer, shape, forward, backward;
};

static int wider(int width, const char *text) {
    const int n = (int)strlen(text);

    return n > width ? n : width;
}

static struct widths find_widths(const struct bench_table *t) {
    struct widths w = {5, 6, 7, 8};
    char text[160];

    for (int64_t i = 0; i < t->n; i++) {
        const struct sg_node_view *v = &t->rows[i].view;

        w.layer = wider(w.layer, v->layer);
        w.shape = wider(w.shape, shape_text(v->shape, text, sizeof text));
        w.forward = wider(w.forward, algorithm(v, v->forward));
        w.backward = wider(w.backward, algorithm(v, v->backward));
    }
    return w;
}

static void print_layer(const struct bench_table *t, int64_t i, const struct widths *w, FILE *out) {
    const struct bench_row *r = &t->rows[i];
    const double products = (double)r->view.multiply_adds;
    const double bytes = (double)(r->view.forward_bytes + r->view.backward_bytes);
    char shape[160];
    char rates[2][16];

    (void)fprintf(out, "%4lld %-*s %-*s %2lld %-*s %9.1f %6s %-*s %9.1f %6s %5.1f %6.2f\n",
                  (long long)i + 1, w->layer, r->view.layer, w->shape,
                  shape_text(r->view.shape, shape, sizeof shape), (long long)r->view.batch,
                  w->forward, algorithm(&r->view, r->view.forward), us(r->forward, t->block),
                  rate(gflops(products, r->forward), rates[0]), w->backward,
                  algorithm(&r->view, r->view.backward), us(r->backward, t->block),
                  rate(gflops(products, r->backward), rates[1]),
                  100 * (r->forward + r->backward) / t->total, 1e-6 * bytes / (double)t->block);
}

static void print_layers(const struct bench_table *t, FILE *out) {
    const struct widths w = find_widths(t);

    (void)fprintf(out, "\n%4s %-*s %-*s %2s %-*s %9s %6s %-*s %9s %6s %5s %6s\n", "", w.layer,
                  "layer", w.shape, "output", "N", w.forward, "forward", "us", "GF/s", w.backward,
                  "backward", "us", "GF/s", "%", "MB");
    for (int64_t i = 0; i < t->n; i++) {
        print_layer(t, i, &w, out);
    }
}

/* ---- all layers of a kind ---- */

struct kind {
    const char *name;
    int64_t n;
    double seconds;
    double multiply_adds;
    double bytes;
};

static void add_to_kind(struct kind *kinds, int64_t *n, const char *name, double seconds,
                        int64_t multiply_adds, int64_t bytes) {
    int64_t k = 0;

    while (k < *n && strcmp(kinds[k].name, name) != 0) {
        k++;
    }
    *n += k == *n;
    kinds[k].name = name;
    kinds[k].n++;
    kinds[k].seconds += seconds;
    kinds[k].multiply_adds += (double)multiply_adds;
    kinds[k].bytes += (double)bytes;
}

static int by_seconds(const void *a, const void *b) {
    const struct kind *x = a;
    const struct kind *y = b;

    return (x->seconds < y->seconds) - (x->seconds > y->seconds);
}

static void print_kind(const struct bench_table *t, const struct kind *k, FILE *out) {
    const double flops = gflops(k->multiply_adds, k->seconds);
    char rates[16];

    (void)fprintf(out, "%-24s %6lld %9.1f %6.1f %7s %8.0f %% %7.1f %8.0f %%\n", k->name,
                  (long long)k->n, us(k->seconds, t->block), 100 * k->seconds / t->total,
                  rate(flops, rates), 1e11 * flops / t->limits.gemm_flops,
                  k->seconds > 0 ? 1e-9 * k->bytes / k->seconds : 0,
                  k->seconds > 0 ? 100 * k->bytes / k->seconds / t->limits.copy_bytes : 0);
}

static void print_kinds(const struct bench_table *t, FILE *out) {
    struct kind *kinds = sg_calloc((size_t)(2 * t->n) + 2, sizeof *kinds);
    struct kind all = {.name = "all layers"};
    int64_t n = 0;

    for (int64_t i = 0; kinds != NULL && i < t->n; i++) {
        const struct bench_row *r = &t->rows[i];
        const struct sg_node_view *v = &r->view;

        if (v->goes_along) {
            continue;
        }
        add_to_kind(kinds, &n, v->forward[0] != '\0' ? v->forward : v->layer, r->forward,
                    v->multiply_adds, v->forward_bytes);
        add_to_kind(kinds, &n, v->backward[0] != '\0' ? v->backward : v->layer, r->backward,
                    v->multiply_adds, v->backward_bytes);
        all.n += 2;
        all.seconds += r->forward + r->backward;
        all.multiply_adds += 2 * (double)v->multiply_adds;
        all.bytes += (double)(v->forward_bytes + v->backward_bytes);
    }
    (void)fprintf(out, "\n%-24s %6s %9s %6s %7s %10s %7s %10s\n", "runs as", "passes", "us", "%",
                  "GF/s", "of SGEMM", "GB/s", "of copies");
    if (kinds != NULL) {
        qsort(kinds, (size_t)n, sizeof *kinds, by_seconds);
    }
    for (int64_t k = 0; k < n; k++) {
        print_kind(t, &kinds[k], out);
    }
    print_kind(t, &all, out);
    (void)fprintf(out, "%-24s %6s %9.1f %6.1f\n", "noise", "", us(t->noise, t->block),
                  100 * t->noise / t->total);
    (void)fprintf(out, "%-24s %6s %9.1f %6.1f\n", "samples in, gradients out", "",
                  us(t->total - t->noise - all.seconds, t->block),
                  100 * (t->total - t->noise - all.seconds) / t->total);
    sg_free(kinds);
}

void sg_bench_print(const struct bench_table *t, FILE *out) {
    print_layers(t, out);
    (void)fprintf(out,
                  "\nus: processor time of a sample. GF/s: operations of the plain loop, two a "
                  "multiply-add.\nN: samples at a time. %%: share of everything. MB: read and "
                  "written in both "
                  "directions, each number once. above: in the pass of the layer above.\n");
    print_kinds(t, out);
    (void)fprintf(out, "\nthis core: SGEMM %.1f GF/s, copies %.1f GB/s read and written\n",
                  1e-9 * t->limits.gemm_flops, 1e-9 * t->limits.copy_bytes);
}

/* ---- other algorithms ---- */

enum { MAX_TRIALS = 256 };

static int is_same_work(const struct sg_node_view *a, const struct sg_node_view *b) {
    return strcmp(a->layer, b->layer) == 0 && a->multiply_adds == b->multiply_adds &&
           a->forward_bytes == b->forward_bytes && a->backward_bytes == b->backward_bytes &&
           memcmp(a->shape, b->shape, sizeof *a->shape) == 0;
}

/* 1 if a layer before has the same shapes: its times are known. */
static int is_repeated(const struct bench_pass *pass, int64_t i) {
    struct sg_node_view v;
    struct sg_node_view other;

    sg_net_view_node(pass->net, i, &v);
    for (int64_t j = 0; j < i; j++) {
        sg_net_view_node(pass->net, j, &other);
        if (is_same_work(&v, &other)) {
            return 1;
        }
    }
    return 0;
}

static void print_part(int64_t batch, const struct sg_trial *trials, int first, int end,
                       FILE *out) {
    char part[32];

    (void)snprintf(part, sizeof part, trials[first].part < 0 ? "forward" : "backward %d",
                   trials[first].part + 1);
    (void)fprintf(out, "     %-12s", part);
    for (int k = first; k < end; k++) {
        (void)fprintf(out, "  %s%s %.1f", trials[k].is_chosen ? "*" : "", trials[k].algorithm,
                      us(trials[k].seconds, batch));
    }
    (void)fprintf(out, "\n");
}

void sg_bench_print_trials(const struct bench_pass *pass, double seconds, FILE *out) {
    struct sg_trial trials[MAX_TRIALS];
    struct sg_node_view v;
    char shape[160];

    (void)fprintf(out, "\nalgorithms that can do each convolution, us a sample; * is the table's "
                       "choice; backward by the phases of the stride\n");
    for (int64_t i = 0; i < sg_model_n_nodes(pass->model); i++) {
        const int n =
            is_repeated(pass, i) ? 0 : sg_net_try(pass->net, i, seconds, trials, MAX_TRIALS);

        if (n > 0) {
            sg_net_view_node(pass->net, i, &v);
            (void)fprintf(out, "%4lld %s %s\n", (long long)i + 1, v.layer,
                          shape_text(v.shape, shape, sizeof shape));
        }
        for (int first = 0, end = 0; first < n; first = end) {
            while (end < n && trials[end].part == trials[first].part) {
                end++;
            }
            print_part(v.batch, trials, first, end, out);
        }
    }
}

/* ---- for machines ---- */

sg_status sg_bench_json(const struct bench_table *t, struct sg_text *out) {
    sg_status status = SG_OK;

    sg_text_add(out, "{\"model\": ");
    sg_text_add_json(out, t->model);
    sg_text_add(out, ", \"kernel\": \"%s\", \"block\": %lld,\n", sg_kernel_family(),
                (long long)t->block);
    sg_text_add(out, " \"seconds_per_sample\": %.6g, \"noise_seconds\": %.6g,\n", t->seconds,
                t->noise / (double)t->block);
    sg_text_add(out, " \"gemm_flops\": %.6g, \"copy_bytes_per_second\": %.6g,\n \"layers\": [",
                t->limits.gemm_flops, t->limits.copy_bytes);
    for (int64_t i = 0; i < t->n; i++) {
        const struct bench_row *r = &t->rows[i];
        char shape[160];

        sg_text_add(out, "%s\n  {\"layer\": \"%s\", \"tensor\": ", i > 0 ? "," : "", r->view.layer);
        sg_text_add_json(out, r->view.tensor);
        sg_text_add(out, ", \"output\": \"%s\", \"multiply_adds\": %.0f, \"bytes\": [%lld, %lld],",
                    shape_text(r->view.shape, shape, sizeof shape),
                    (double)r->view.multiply_adds / (double)t->block,
                    (long long)r->view.forward_bytes, (long long)r->view.backward_bytes);
        sg_text_add(out, " \"forward\": \"%s\", \"forward_seconds\": %.6g,", r->view.forward,
                    r->forward / (double)t->block);
        sg_text_add(out, " \"backward\": \"%s\", \"backward_seconds\": %.6g}", r->view.backward,
                    r->backward / (double)t->block);
    }
    sg_text_add(out, "\n ]}\n");
    SG_CHECK(!out->failed, SG_E_NOMEM, "no memory for the table as JSON");
done:
    return status;
}
