/* src/net/survey.c - what an ONNX file holds, for people, whether or not a model can be made of it.
 */
#include "net/external.h"
#include "net/net_impl.h"
#include "sgdist/memory.h"
#include "sgdist/text.h"

#include <stdlib.h>
#include <string.h>

enum { LINE = 100, INDENT = 15 };

/* Words in lines of LINE columns. */
struct lines {
    FILE *out;
    int indent;
    int column;
};

static void add_word(struct lines *l, const char *word, const char *after) {
    const int n = (int)(strlen(word) + strlen(after));

    if (l->column > l->indent && l->column + 1 + n > LINE) {
        (void)fprintf(l->out, "\n%*s", l->indent, "");
        l->column = l->indent;
    }
    (void)fprintf(l->out, l->column > l->indent ? " %s%s" : "%s%s", word, after);
    l->column += n + (l->column > l->indent);
}

/* A node of the file, and what is against it (NULL: nothing). */
struct entry {
    const struct onnx_node *node;
    int64_t i;
    const char *why;
};

/* Entries first..first + n - 1 have one operator, and one reason. */
struct group {
    int64_t first;
    int64_t n;
};

static int compare_texts(const char *a, const char *b) {
    return a == b ? 0 : a == NULL ? -1 : b == NULL ? 1 : strcmp(a, b);
}

static int by_operator(const void *a, const void *b) {
    const struct entry *x = a;
    const struct entry *y = b;
    int order = compare_texts(x->node->domain, y->node->domain);

    order = order != 0 ? order : compare_texts(x->node->op_type, y->node->op_type);
    order = order != 0 ? order : compare_texts(x->why, y->why);
    return order != 0 ? order : (x->i > y->i) - (x->i < y->i);
}

static int by_count(const void *a, const void *b) {
    const struct group *x = a;
    const struct group *y = b;

    return x->n != y->n ? (x->n < y->n) - (x->n > y->n)
                        : (x->first > y->first) - (x->first < y->first);
}

static int is_alike(const struct entry *a, const struct entry *b) {
    return compare_texts(a->node->domain, b->node->domain) == 0 &&
           compare_texts(a->node->op_type, b->node->op_type) == 0 &&
           compare_texts(a->why, b->why) == 0;
}

/* The graph's nodes by operator and reason, the most frequent first. */
static sg_status group_nodes(const struct onnx_graph *g, const char *file, struct sg_region *region,
                             struct entry **entries, struct group **groups, int64_t *n_groups) {
    sg_status status = SG_OK;
    char why[256];

    *n_groups = 0;
    *entries = sg_region_take(region, (size_t)g->n_nodes, sizeof **entries);
    *groups = sg_region_take(region, (size_t)g->n_nodes, sizeof **groups);
    SG_CHECK(*entries != NULL && *groups != NULL, SG_E_NOMEM, "%s: no memory for its nodes", file);
    for (int64_t i = 0; i < g->n_nodes; i++) {
        const char *text = sg_why_not(g, &g->nodes[i], why, sizeof why);

        (*entries)[i] = (struct entry){.node = &g->nodes[i], .i = i};
        if (text != NULL) {
            (*entries)[i].why = sg_region_text(region, text, strlen(text));
            SG_CHECK((*entries)[i].why != NULL, SG_E_NOMEM, "%s: no memory for its nodes", file);
        }
    }
    qsort(*entries, (size_t)g->n_nodes, sizeof **entries, by_operator);
    for (int64_t i = 0; i < g->n_nodes; i++) {
        if (i == 0 || !is_alike(&(*entries)[i - 1], &(*entries)[i])) {
            (*groups)[(*n_groups)++] = (struct group){.first = i};
        }
        (*groups)[*n_groups - 1].n++;
    }
    qsort(*groups, (size_t)*n_groups, sizeof **groups, by_count);
done:
    return status;
}

static void print_counts(const struct onnx_graph *g, const struct entry *entries,
                         const struct group *groups, int64_t n_groups, FILE *out) {
    struct lines l = {.out = out, .indent = INDENT, .column = INDENT};
    char text[256];

    (void)snprintf(text, sizeof text, "%lld:", (long long)g->n_nodes);
    (void)fprintf(out, "nodes          ");
    add_word(&l, text, "");
    for (int64_t i = 0; i < n_groups; i++) {
        (void)snprintf(text, sizeof text, "%lld %s", (long long)groups[i].n,
                       entries[groups[i].first].node->op_type);
        add_word(&l, text, i + 1 < n_groups ? "," : "");
    }
    (void)fprintf(out, "\n");
}

static void print_name(struct lines *l, const struct onnx_node *node, int is_last) {
    char text[256];

    if (node->name[0] != '\0') {
        add_word(l, node->name, is_last ? "" : ",");
    } else {
        (void)snprintf(text, sizeof text, "(makes '%s')", node->n_out > 0 ? node->out[0] : "");
        add_word(l, text, is_last ? "" : ",");
    }
}

static void add_text(struct lines *l, const char *text) {
    while (*text != '\0') {
        char word[64];
        const int n = (int)strcspn(text, " ");

        (void)snprintf(word, sizeof word, "%.*s", n, text);
        add_word(l, word, "");
        text += n + (text[n] == ' ');
    }
}

static void print_refused(const struct entry *entries, const struct group *groups, int64_t n_groups,
                          FILE *out) {
    for (int64_t i = 0; i < n_groups; i++) {
        const struct entry *of = entries + groups[i].first;
        struct lines l = {.out = out, .indent = INDENT, .column = INDENT};
        char text[256];

        if (of->why == NULL) {
            continue;
        }
        (void)fprintf(out, "cannot run     ");
        (void)snprintf(text, sizeof text, "%lld %s:", (long long)groups[i].n, of->node->op_type);
        add_text(&l, text);
        add_text(&l, of->why);
        l = (struct lines){.out = out, .indent = INDENT + 4, .column = INDENT + 4};
        (void)fprintf(out, "\n%*s", l.indent, "");
        for (int64_t k = 0; k < groups[i].n; k++) {
            print_name(&l, of[k].node, k + 1 == groups[i].n);
        }
        (void)fprintf(out, "\n");
    }
}

/* "[N,3,224,224]"; "?" where the file leaves a length open. */
static void print_value(const struct onnx_value *v, const char *title, FILE *out) {
    (void)fprintf(out, "%-14s %s ", title, v->name);
    if (!v->has_shape) {
        (void)fprintf(out, "(shape not said)");
    }
    for (int i = 0; i < v->n_axes; i++) {
        (void)fprintf(out, i == 0 ? "[" : ",");
        if (v->axes[i] >= 0) {
            (void)fprintf(out, "%lld", (long long)v->axes[i]);
        } else {
            (void)fprintf(out, i == 0 ? "N" : "?");
        }
    }
    (void)fprintf(out, v->n_axes > 0 ? "]" : "");
}

static int is_initialiser(const struct onnx_graph *g, const char *name) {
    for (int64_t i = 0; i < g->n_tensors; i++) {
        if (strcmp(g->tensors[i].name, name) == 0) {
            return 1;
        }
    }
    return 0;
}

static void print_ends(const struct onnx_graph *g, FILE *out) {
    for (int64_t i = 0; i < g->n_inputs; i++) {
        const struct onnx_value *v = &g->inputs[i];

        if (g->ir_version >= 4 || !is_initialiser(g, v->name)) {
            print_value(v, "input", out);
            if (v->n_axes > 0 && v->axes[0] > 0) {
                (void)fprintf(out, "  (batch of %lld in the file; every sample is run as its own)",
                              (long long)v->axes[0]);
            }
            (void)fprintf(out, "\n");
        }
    }
    for (int64_t i = 0; i < g->n_outputs; i++) {
        print_value(&g->outputs[i], "output", out);
        (void)fprintf(out, "\n");
    }
}

struct weights {
    int64_t n;
    int64_t n_external;
    int64_t n_in_nodes;
    int64_t bytes;
};

static void add_tensor(const struct onnx_tensor *t, struct weights *w) {
    w->n_external += t->is_external;
    w->bytes += (int64_t)(t->has_raw ? t->raw.n : t->body.n);
}

static void print_weights(const struct onnx_graph *g, FILE *out) {
    struct weights w = {.n = g->n_tensors};
    char bytes[32];

    for (int64_t i = 0; i < g->n_tensors; i++) {
        add_tensor(&g->tensors[i], &w);
    }
    for (int64_t i = 0; i < g->n_nodes; i++) {
        for (int64_t k = 0; k < g->nodes[i].n_attributes; k++) {
            if (g->nodes[i].attributes[k].tensor != NULL) {
                add_tensor(g->nodes[i].attributes[k].tensor, &w);
                w.n_in_nodes++;
            }
        }
    }
    (void)fprintf(out, "weights        %lld tensor%s", (long long)w.n, sg_text_plural(w.n));
    if (w.n_in_nodes > 0) {
        (void)fprintf(out, " and %lld in Constant nodes", (long long)w.n_in_nodes);
    }
    (void)fprintf(out, ", %s in the file", sg_text_bytes((double)w.bytes, bytes, sizeof bytes));
    if (w.n_external > 0) {
        (void)fprintf(out, "; %lld of them in files beside it", (long long)w.n_external);
    }
    (void)fprintf(out, "\n");
}

int64_t sg_graph_n_refused(const struct onnx_graph *g) {
    int64_t n = 0;
    char why[256];

    for (int64_t i = 0; i < g->n_nodes; i++) {
        n += sg_why_not(g, &g->nodes[i], why, sizeof why) != NULL;
    }
    return n;
}

sg_status sg_model_survey(const char *path, FILE *out) {
    sg_status status = SG_OK;
    struct sg_region region = {0};
    struct onnx_graph g;
    struct entry *entries;
    struct group *groups;
    int64_t n_groups;
    unsigned char *bytes = NULL;
    size_t n_bytes = 0;
    char size[32];

    SG_TRY(sg_file_read(path, &bytes, &n_bytes));
    SG_TRY(onnx_decode(bytes, n_bytes, path, &region, &g));
    SG_TRY(group_nodes(&g, path, &region, &entries, &groups, &n_groups));
    (void)fprintf(out, "%s\n", path);
    (void)fprintf(out, "file           %s, made by %s, IR version %lld, operator set %lld%s\n",
                  sg_text_bytes((double)n_bytes, size, sizeof size),
                  g.producer[0] != '\0' ? g.producer : "an unknown program",
                  (long long)g.ir_version, (long long)g.opset,
                  sg_graph_is_readable(&g) ? "" : " (7 to 17 can be read)");
    print_weights(&g, out);
    print_counts(&g, entries, groups, n_groups, out);
    print_ends(&g, out);
    print_refused(entries, groups, n_groups, out);
done:
    sg_free(bytes);
    sg_region_free(&region);
    return status;
}
