/* src/net/ops/einsum.c - ONNX Einsum of one or two operands, by the operators that it is made of.
 * Each operand gets its axes in order and loses those that it alone has; two are multiplied as
 * matrices: [batch][left only][summed] x [batch][summed][right only]. */
#include "net/ops/ops_impl.h"

#include <string.h>

enum { ELLIPSIS = '0', MAX_LABELS = 2 * SG_CONSTANT_AXES };

/* Labels of axes: letters, and ELLIPSIS.. for the axes that "..." stands for, counted from the
 * right. */
struct labels {
    int n;
    char of[MAX_LABELS];
};

struct einsum {
    int n_in;
    struct labels in[2];
    struct labels out;
    int64_t length[128];
};

static int has(const struct labels *l, char label) {
    return memchr(l->of, label, (size_t)l->n) != NULL;
}

static void add(struct labels *l, char label) {
    l->of[l->n++] = label;
}

/* One term of the equation up to a comma or the arrow; `more` axes are those of its "...". */
static sg_status read_term(const struct sg_node *node, const char **text, int more,
                           struct labels *out) {
    sg_status status = SG_OK;
    const char *at = *text;

    *out = (struct labels){0};
    for (; *at != '\0' && *at != ',' && strncmp(at, "->", 2) != 0; at++) {
        if (*at == ' ') {
            continue;
        }
        if (strncmp(at, "...", 3) == 0) {
            SG_NODE_CHECK(out->n + more <= SG_CONSTANT_AXES, node,
                          "its equation has too many axes");
            for (int k = more - 1; k >= 0; k--) {
                add(out, (char)(ELLIPSIS + k));
            }
            at += 2;
            continue;
        }
        SG_NODE_CHECK(((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z')) &&
                          out->n < SG_CONSTANT_AXES,
                      node, "its equation cannot be read at '%s'", at);
        add(out, *at);
    }
    *text = at;
done:
    return status;
}

/* Letters of a term, to find out how many axes its "..." has. */
static int n_letters(const char *term) {
    int n = 0;

    for (; *term != '\0' && *term != ',' && strncmp(term, "->", 2) != 0; term++) {
        n += (*term >= 'a' && *term <= 'z') || (*term >= 'A' && *term <= 'Z');
    }
    return n;
}

/* Without an arrow: the axes of "...", then the letters that occur once, in alphabetical order. */
static void implicit_output(struct einsum *e, int more) {
    for (int k = more - 1; k >= 0; k--) {
        add(&e->out, (char)(ELLIPSIS + k));
    }
    for (char label = 'A'; label <= 'z'; label++) {
        int times = 0;

        for (int i = 0; i < e->n_in; i++) {
            for (int k = 0; k < e->in[i].n; k++) {
                times += e->in[i].of[k] == label;
            }
        }
        if (times == 1) {
            add(&e->out, label);
        }
    }
}

static sg_status read_lengths(const struct sg_node *node, int i, struct einsum *e) {
    sg_status status = SG_OK;
    int64_t axes[SG_CONSTANT_AXES] = {0};
    const int n_axes = sg_input_axes(node, i, axes);

    SG_NODE_CHECK(n_axes == e->in[i].n, node, "operand %d has %d axes, its equation names %d",
                  i + 1, n_axes, e->in[i].n);
    for (int k = 0; k < n_axes; k++) {
        int64_t *length = &e->length[(int)e->in[i].of[k]];

        SG_NODE_CHECK(*length == 0 || *length == axes[k], node,
                      "the axes that its equation calls '%c' have the lengths %lld and %lld",
                      e->in[i].of[k], (long long)*length, (long long)axes[k]);
        *length = axes[k];
    }
done:
    return status;
}

static sg_status read_equation(const struct sg_node *node, struct einsum *e) {
    sg_status status = SG_OK;
    const char *text;
    int most = 0;

    SG_NODE_CHECK(node->n_in >= 1 && node->n_in <= 2, node,
                  "it has %d operands; one and two are supported", node->n_in);
    SG_TRY(sg_check_inputs(node, node->n_in, node->n_in));
    SG_TRY(sg_attribute_text(node, "equation", "", &text));
    e->n_in = node->n_in;
    for (int i = 0; i < e->n_in; i++) {
        int64_t axes[SG_CONSTANT_AXES];
        const int more = sg_input_axes(node, i, axes) - n_letters(text);

        SG_TRY(read_term(node, &text, more > 0 ? more : 0, &e->in[i]));
        SG_TRY(read_lengths(node, i, e));
        most = more > most ? more : most;
        SG_NODE_CHECK((*text == ',') == (i + 1 < e->n_in), node,
                      "its equation and its %d operands do not fit", e->n_in);
        text += *text == ',';
    }
    if (strncmp(text, "->", 2) == 0) {
        text += 2;
        SG_TRY(read_term(node, &text, most, &e->out));
        SG_NODE_CHECK(*text == '\0', node, "its equation has more than one result");
    } else {
        implicit_output(e, most);
    }
    for (int k = 0; k < e->out.n; k++) {
        SG_NODE_CHECK(e->length[(int)e->out.of[k]] > 0, node,
                      "its result has the axis '%c', which no operand has", e->out.of[k]);
        for (int j = 0; j < k; j++) {
            SG_NODE_CHECK(e->out.of[j] != e->out.of[k], node, "its result repeats the axis '%c'",
                          e->out.of[k]);
        }
    }
done:
    return status;
}

/* The operand's axes in the order of `wanted`, which names each of them once. */
static sg_status in_order(struct sg_node *node, const struct labels *had,
                          const struct labels *wanted, struct sg_value **v) {
    sg_status status = SG_OK;
    int64_t perm[MAX_LABELS];

    if (had->n < 2 || memcmp(had->of, wanted->of, (size_t)had->n) == 0) {
        return SG_OK;
    }
    for (int k = 0; k < wanted->n; k++) {
        perm[k] = (const char *)memchr(had->of, wanted->of[k], (size_t)had->n) - had->of;
    }
    SG_TRY(sg_lower_ints(node, "Transpose", *v, "perm", wanted->n, perm, v));
done:
    return status;
}

/* Of an axis that is named twice the diagonal: both last, as one, every (length + 1)th element. */
static sg_status take_diagonal(struct sg_node *node, const struct einsum *e, struct labels *l,
                               int first, int second, struct sg_value **v) {
    sg_status status = SG_OK;
    const char label = l->of[first];
    const int64_t length = e->length[(int)label];
    int64_t perm[MAX_LABELS], axes[MAX_LABELS], *index;
    struct labels left = {0};
    struct sg_value *list = NULL;

    for (int k = 0; k < l->n; k++) {
        if (k != first && k != second) {
            perm[left.n] = k;
            axes[left.n] = e->length[(int)l->of[k]];
            add(&left, l->of[k]);
        }
    }
    perm[left.n] = first;
    perm[left.n + 1] = second;
    axes[left.n] = length * length;
    SG_TRY(sg_lower_ints(node, "Transpose", *v, "perm", l->n, perm, v));
    SG_TRY(sg_lower_reshape(node, *v, left.n + 1, axes, v));
    index = sg_region_take(&node->model->scratch, (size_t)length, sizeof *index);
    SG_NODE_NOMEM(index, node);
    for (int64_t i = 0; i < length; i++) {
        index[i] = i * (length + 1);
    }
    SG_TRY(sg_new_ints(node, length, index, &list));
    SG_TRY(sg_lower_pick(node, *v, left.n, list, v));
    add(&left, label);
    *l = left;
done:
    return status;
}

/* Every axis once, and none that neither the result nor the other operand has. */
static sg_status tidy(struct sg_node *node, const struct einsum *e, int i, struct labels *l,
                      struct sg_value **v) {
    sg_status status = SG_OK;
    const struct labels *other = e->n_in > 1 ? &e->in[1 - i] : NULL;
    int64_t gone[MAX_LABELS];
    struct labels left = {0};
    int n_gone = 0;

    for (int a = 0; a < l->n; a++) {
        for (int b = a + 1; b < l->n; b++) {
            if (l->of[a] == l->of[b]) {
                SG_TRY(take_diagonal(node, e, l, a, b, v));
                a = -1;
                break;
            }
        }
    }
    for (int k = 0; k < l->n; k++) {
        if (has(&e->out, l->of[k]) || (other != NULL && has(other, l->of[k]))) {
            add(&left, l->of[k]);
        } else {
            gone[n_gone++] = k;
        }
    }
    if (n_gone > 0) {
        const int64_t none = 0;
        struct sg_value *summed = NULL;

        SG_TRY(sg_lower_ints(node, "ReduceSum", *v, "axes", n_gone, gone, &summed));
        for (int k = 0; k < left.n; k++) {
            gone[k] = e->length[(int)left.of[k]];
        }
        SG_TRY(sg_lower_reshape(node, summed, left.n, left.n > 0 ? gone : &none, v));
        *l = left;
    }
done:
    return status;
}

static int64_t size_of(const struct einsum *e, const struct labels *l) {
    int64_t n = 1;

    for (int k = 0; k < l->n; k++) {
        n *= e->length[(int)l->of[k]];
    }
    return n;
}

/* a before b before c. */
static struct labels joined(const struct labels *a, const struct labels *b,
                            const struct labels *c) {
    const struct labels *const parts[] = {a, b, c};
    struct labels all = {0};

    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < parts[i]->n; k++) {
            add(&all, parts[i]->of[k]);
        }
    }
    return all;
}

static sg_status multiply(struct sg_node *node, const struct einsum *e, const struct labels *l,
                          struct sg_value **v, struct labels *result) {
    sg_status status = SG_OK;
    struct labels batch = {0}, only[2] = {{0}}, summed = {0}, order;
    int64_t axes[MAX_LABELS];

    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < l[i].n; k++) {
            const char label = l[i].of[k];
            const int shared = has(&l[1 - i], label);

            if (!shared) {
                add(&only[i], label);
            } else if (i == 0) {
                add(has(&e->out, label) ? &batch : &summed, label);
            }
        }
    }
    order = joined(&batch, &only[0], &summed);
    SG_TRY(in_order(node, &l[0], &order, &v[0]));
    SG_TRY(sg_lower_reshape(
        node, v[0], 3,
        (const int64_t[]){size_of(e, &batch), size_of(e, &only[0]), size_of(e, &summed)}, &v[0]));
    order = joined(&batch, &summed, &only[1]);
    SG_TRY(in_order(node, &l[1], &order, &v[1]));
    SG_TRY(sg_lower_reshape(
        node, v[1], 3,
        (const int64_t[]){size_of(e, &batch), size_of(e, &summed), size_of(e, &only[1])}, &v[1]));
    SG_TRY(sg_lower(node, "MatMul", v[0], v[1], &v[0]));
    *result = joined(&batch, &only[0], &only[1]);
    for (int k = 0; k < result->n; k++) {
        axes[k] = e->length[(int)result->of[k]];
    }
    SG_TRY(sg_lower_reshape(node, v[0], result->n, axes, &v[0]));
done:
    return status;
}

static sg_status einsum(struct sg_node *node) {
    sg_status status = SG_OK;
    struct einsum e = {0};
    struct labels l[2], result;
    struct sg_value *v[2];

    SG_TRY(read_equation(node, &e));
    for (int i = 0; i < e.n_in; i++) {
        v[i] = node->in[i];
        l[i] = e.in[i];
        SG_TRY(tidy(node, &e, i, &l[i], &v[i]));
    }
    result = l[0];
    if (e.n_in > 1) {
        SG_TRY(multiply(node, &e, l, v, &result));
    }
    SG_TRY(in_order(node, &result, &e.out, &v[0]));
    SG_TRY(sg_become(node, v[0]));
done:
    return status;
}

const struct sg_op sg_op_einsum = {
    .name = "Einsum", .opset_min = 12, .flags = SG_OP_TAKES_WHOLE, .fold = einsum, .infer = einsum};
