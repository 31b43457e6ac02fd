/* src/job/node.c - the tree of a YAML text. */
#include "job_impl.h"

#include "sgdist/memory.h"

#include <string.h>

sg_status sg_node_create(enum sg_node_kind kind, const struct sg_place *at, struct sg_node **out) {
    sg_status status = SG_OK;
    struct sg_node *node = sg_calloc(1, sizeof *node);

    SG_CHECK(node != NULL, SG_E_NOMEM, "no memory for the job");
    node->kind = kind;
    node->at = *at;
    *out = node;
done:
    return status;
}

/* The depth is limited by the parser, so the recursion is, too. */
void sg_node_destroy(struct sg_node *node) {
    if (node == NULL) {
        return;
    }
    for (int i = 0; i < node->n; i++) {
        sg_node_destroy(node->children[i]);
    }
    sg_free(node->children);
    sg_free(node->key);
    sg_free(node->text);
    sg_free(node);
}

static int find(const struct sg_node *map, const char *key) {
    for (int i = 0; i < map->n; i++) {
        if (map->children[i]->key != NULL && strcmp(map->children[i]->key, key) == 0) {
            return i;
        }
    }
    return -1;
}

struct sg_node *sg_node_find(const struct sg_node *map, const char *key) {
    const int i = map != NULL ? find(map, key) : -1;

    return i >= 0 ? map->children[i] : NULL;
}

sg_status sg_node_append(struct sg_node *parent, struct sg_node *child) {
    sg_status status = SG_OK;

    if (parent->n == parent->capacity) {
        const int capacity = parent->capacity > 0 ? 2 * parent->capacity : 8;
        struct sg_node **grown =
            sg_realloc(parent->children, (size_t)capacity, sizeof parent->children[0]);

        SG_CHECK(grown != NULL, SG_E_NOMEM, "no memory for the job");
        parent->children = grown;
        parent->capacity = capacity;
    }
    parent->children[parent->n++] = child;
    child = NULL;
done:
    sg_node_destroy(child);
    return status;
}

void sg_node_remove(struct sg_node *map, const char *key) {
    const int i = find(map, key);

    if (i < 0) {
        return;
    }
    sg_node_destroy(map->children[i]);
    map->n--;
    memmove(map->children + i, map->children + i + 1,
            (size_t)(map->n - i) * sizeof map->children[0]);
}

int sg_node_is_null(const struct sg_node *node) {
    return node->kind == SG_NODE_SCALAR && !node->is_quoted &&
           (node->text[0] == '\0' || strcmp(node->text, "~") == 0 ||
            strcmp(node->text, "null") == 0);
}
