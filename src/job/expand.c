/* src/job/expand.c - lists of values in a method's map: every combination is an instance. */
#include "job_impl.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static void find_axes(struct sg_expansion *x, const struct sg_key *keys,
                      const struct sg_node *map) {
    for (const struct sg_key *k = keys; k->name != NULL; k++) {
        struct sg_node *node = sg_node_find(map, k->name);

        if (node == NULL) {
            continue;
        }
        if (k->kind == SG_KIND_MAP && node->kind == SG_NODE_MAP) {
            find_axes(x, k->keys, node);
        } else if ((k->flags & SG_KEY_EXPANDS) != 0 && node->kind == SG_NODE_LIST && node->n > 0) {
            SG_ASSERT(x->n_axes < SG_JOB_MAX_AXES); /* the tables have fewer keys that expand */
            x->axes[x->n_axes++] = (struct sg_expansion_axis){.key = k, .list = node};
        }
    }
}

int sg_expansion_init(struct sg_expansion *x, struct sg_reader *r, const struct sg_key *keys,
                      const struct sg_node *map, const char *path) {
    x->n_axes = 0;
    find_axes(x, keys, map);
    for (int i = 0; i < x->n_axes; i++) {
        for (int k = 0; k < x->axes[i].list->n; k++) {
            const struct sg_node *value = x->axes[i].list->children[k];

            if (value->kind != SG_NODE_SCALAR) {
                sg_problem(r, &value->at, path, "'%s' must be one value or a list of values",
                           x->axes[i].key->name);
                return 0;
            }
        }
    }
    return 1;
}

void sg_expansion_apply(struct sg_expansion *x) {
    for (int i = 0; i < x->n_axes; i++) {
        struct sg_expansion_axis *a = &x->axes[i];
        const struct sg_node *value = a->list->children[a->i];

        a->saved = *a->list;
        a->list->kind = SG_NODE_SCALAR;
        a->list->text = value->text;
        a->list->is_quoted = value->is_quoted;
        a->list->at = value->at;
    }
}

void sg_expansion_restore(struct sg_expansion *x) {
    for (int i = 0; i < x->n_axes; i++) {
        *x->axes[i].list = x->axes[i].saved;
    }
}

int sg_expansion_next(struct sg_expansion *x) {
    for (int i = x->n_axes - 1; i >= 0; i--) {
        if (++x->axes[i].i < x->axes[i].list->n) {
            return 1;
        }
        x->axes[i].i = 0;
    }
    return 0;
}

/* Names of tensors look like "/layer4/layer4.1/Relu_output_0": what a label cannot hold becomes
 * '_', and of a long one the end stays. */
static const char *tensor_text(const char *text, char *buf, size_t cap) {
    enum { LONGEST = 40 };
    const size_t n = strlen(text);

    text += n > LONGEST ? n - LONGEST : 0;
    text += strspn(text, "/_:");
    (void)snprintf(buf, cap, "%s", text);
    for (char *c = buf; *c != '\0'; c++) {
        *c = isalnum((unsigned char)*c) || strchr("._-+", *c) != NULL ? *c : '_';
    }
    return buf;
}

void sg_expansion_label(const struct sg_expansion *x, const char *base, char *label, size_t cap) {
    size_t used = (size_t)snprintf(label, cap, "%s", base);

    for (int i = 0; i < x->n_axes && used < cap; i++) {
        const struct sg_key *key = x->axes[i].key;
        const char *text = x->axes[i].list->text;
        char tensor[64];
        char number[40];
        double v;

        if (key->suffix != NULL && sg_text_to_double(text, &v) == SG_OK) {
            text = sg_number_text(v, number, sizeof number);
        }
        used += (size_t)snprintf(label + used, cap - used, "-%s%s",
                                 key->suffix != NULL ? key->suffix : "",
                                 tensor_text(text, tensor, sizeof tensor));
    }
    for (char *plus = strchr(label, '+'); plus != NULL; plus = strchr(plus, '+')) {
        memmove(plus, plus + 1, strlen(plus)); /* 1e+20 */
    }
}
