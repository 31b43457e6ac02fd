/* src/job/read.c - reads a map by a table of keys: the same code checks every key of every map. */
#include "job_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TABLE = 64 };

const char *sg_path_join(const char *parent, const char *name, char *buf, size_t cap) {
    (void)snprintf(buf, cap, "%s%s%s", parent, parent[0] != '\0' ? "." : "", name);
    return buf;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int collect_names(const struct sg_key *keys, unsigned uses, const char **names) {
    int n = 0;

    for (const struct sg_key *k = keys; k->name != NULL; k++) {
        if (k->uses == 0 || (k->uses & uses) != 0) {
            SG_ASSERT(n < MAX_TABLE);
            names[n++] = k->name;
        }
    }
    qsort(names, (size_t)n, sizeof names[0], by_name);
    return n;
}

void sg_key_names(const struct sg_key *keys, unsigned uses, char *buf, size_t cap) {
    const char *names[MAX_TABLE];
    const int n = collect_names(keys, uses, names);
    size_t used = 0;

    buf[0] = '\0';
    for (int i = 0; i < n && used < cap; i++) {
        used += (size_t)snprintf(buf + used, cap - used, "%s%s", i > 0 ? ", " : "", names[i]);
    }
}

static const struct sg_key *find_key(const struct sg_key *keys, const char *name) {
    for (const struct sg_key *k = keys; k->name != NULL; k++) {
        if (strcmp(k->name, name) == 0) {
            return k;
        }
    }
    return NULL;
}

/* The path of the map below `keys` that has a key of this name; 0 if there is none. */
static int find_home(const struct sg_key *keys, const char *name, const char *path, char *home,
                     size_t cap) {
    char full[SG_JOB_MAX_PATH];

    for (const struct sg_key *k = keys; k->name != NULL; k++) {
        if (k->kind != SG_KIND_MAP) {
            continue;
        }
        (void)sg_path_join(path, k->name, full, sizeof full);
        if (find_key(k->keys, name) != NULL) {
            (void)snprintf(home, cap, "%s", full);
            return 1;
        }
        if (find_home(k->keys, name, full, home, cap)) {
            return 1;
        }
    }
    return 0;
}

static void unknown_key(struct sg_reader *r, const struct sg_key *keys, const struct sg_node *node,
                        const char *path) {
    const char *names[MAX_TABLE];
    const int n = collect_names(keys, ~0u, names);
    const char *near = sg_text_nearest(node->key, names, n);
    char allowed[400];
    char home[SG_JOB_MAX_PATH];

    sg_key_names(keys, ~0u, allowed, sizeof allowed);
    if (strchr(node->key, ':') != NULL) { /* {top:5} is the key "top:5" without a value */
        sg_problem(r, &node->key_at, path,
                   "unknown key; YAML wants a space behind a colon; allowed here: %s", allowed);
    } else if (find_home(sg_job_keys, node->key, "", home,
                         sizeof home)) { /* a whole name, no slip */
        sg_problem(r, &node->key_at, path, "unknown key; it belongs under '%s'; allowed here: %s",
                   home, allowed);
    } else if (near != NULL) {
        sg_problem(r, &node->key_at, path, "unknown key; did you mean '%s'? allowed here: %s", near,
                   allowed);
    } else {
        sg_problem(r, &node->key_at, path, "unknown key; allowed here: %s", allowed);
    }
}

static void find_unknown(struct sg_reader *r, const struct sg_key *keys, const struct sg_node *map,
                         const char *path) {
    char full[SG_JOB_MAX_PATH];

    for (int i = 0; i < map->n; i++) {
        if (find_key(keys, map->children[i]->key) == NULL) {
            unknown_key(r, keys, map->children[i],
                        sg_path_join(path, map->children[i]->key, full, sizeof full));
        }
    }
}

static void read_fallback(struct sg_reader *r, const struct sg_key *key, const char *path,
                          void *at) {
    struct sg_node *node = NULL;

    if (sg_yaml_parse(key->fallback, strlen(key->fallback), r->file, NULL, &node) != SG_OK) {
        r->out_of_memory = 1;
        return;
    }
    sg_read_value(r, key, node, path, at);
    sg_node_destroy(node);
}

static void read_absent(struct sg_reader *r, const struct sg_key *key, const struct sg_node *map,
                        const char *path, int inherits, char *base) {
    if ((key->flags & SG_KEY_REQUIRED) != 0 && map != NULL && !inherits) {
        sg_problem(r, &map->at, path, "is missing");
    } else if (key->kind == SG_KIND_MAP && !inherits && (key->flags & SG_KEY_INHERITS) == 0) {
        sg_read_map(r, key->keys, NULL, path, 0, base + key->offset);
    } else if (key->fallback != NULL && !inherits &&
               (key->excludes == NULL || sg_node_find(map, key->excludes) == NULL)) {
        read_fallback(r, key, path, base + key->offset);
    }
}

static void read_present(struct sg_reader *r, const struct sg_key *key, const struct sg_node *map,
                         const struct sg_node *node, const char *path, int inherits, char *base) {
    char allowed[400];

    if (sg_node_is_null(node)) {
        sg_problem(r, &node->key_at, path, "has no value; leave the key out for its default");
    } else if (key->excludes != NULL && sg_node_find(map, key->excludes) != NULL) {
        sg_problem(r, &node->key_at, path, "cannot stand beside '%s'; leave one of them out",
                   key->excludes);
    } else if (key->needs != NULL && sg_node_find(map, key->needs) == NULL) {
        sg_problem(r, &node->key_at, path, "has a meaning only together with '%s'", key->needs);
    } else if (key->kind != SG_KIND_MAP) {
        sg_read_value(r, key, node, path, base + key->offset);
    } else if (node->kind != SG_NODE_MAP) {
        sg_key_names(key->keys, ~0u, allowed, sizeof allowed);
        sg_problem(r, &node->at, path, "must be a map with keys; allowed: %s", allowed);
    } else {
        sg_read_map(r, key->keys, node, path, inherits || (key->flags & SG_KEY_INHERITS) != 0,
                    base + key->offset);
    }
}

void sg_read_map(struct sg_reader *r, const struct sg_key *keys, const struct sg_node *map,
                 const char *path, int inherits, void *base) {
    char full[SG_JOB_MAX_PATH];

    if (map != NULL) {
        find_unknown(r, keys, map, path);
    }
    for (const struct sg_key *k = keys; k->name != NULL; k++) {
        const struct sg_node *node = sg_node_find(map, k->name);

        (void)sg_path_join(path, k->name, full, sizeof full);
        if (node != NULL) {
            read_present(r, k, map, node, full, inherits, base);
        } else {
            read_absent(r, k, map, full, inherits, base);
        }
    }
}
