/* src/job/scope.c - the keys `only` and `except` of noise on weights: patterns for names of
 * tensors.
 */
#include "job_impl.h"

#include <string.h>

/* Appends one pattern and its newline; 0 after a problem. */
static int add(struct sg_reader *r, const struct sg_node *node, const char *path, char *scope) {
    const size_t used = strlen(scope);
    const size_t n = node->kind == SG_NODE_SCALAR ? strlen(node->text) : 0;

    if (n == 0 || strchr(node->text, '\n') != NULL) {
        sg_problem(r, &node->at, path,
                   "must be a pattern for names of tensors, or a list of them, like "
                   "['classifier.*', 'layer4.*.weight']");
        return 0;
    }
    if (used + n + 1 > SG_MAX_SCOPE) {
        sg_problem(r, &node->at, path, "patterns of more than %d bytes together are not supported",
                   SG_MAX_SCOPE);
        return 0;
    }
    memcpy(scope + used, node->text, n);
    scope[used + n] = '\n';
    return 1;
}

void sg_read_scope(struct sg_reader *r, const struct sg_node *node, const char *path, void *at) {
    char scope[SG_MAX_SCOPE + 1] = "";

    if (node->kind != SG_NODE_LIST) {
        if (!add(r, node, path, scope)) {
            return;
        }
    }
    for (int i = 0; node->kind == SG_NODE_LIST && i < node->n; i++) {
        if (!add(r, node->children[i], path, scope)) {
            return;
        }
    }
    memcpy(at, scope, sizeof scope);
}

int sg_echo_scope(struct sg_text *t, const void *at) {
    const char *scope = at;

    for (const char *p = scope; *p != '\0';) {
        const int n = (int)strcspn(p, "\n");

        sg_text_add(t, "%s%.*s", p > scope ? ", " : "", n, p);
        p += n + 1;
    }
    return scope[0] != '\0';
}
