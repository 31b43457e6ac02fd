/* src/job/path.c - options of paths: where they begin, how many nodes they have, and `of`. */
#include "job_impl.h"

#include "sgdist/memory.h"

#include <float.h>
#include <stdio.h>
#include <string.h>

enum { MAX_METHODS = 64 };

/* ---- baseline: zero, item_mean, {constant: 0.5}, {blurred: 10}, {file: x0.npy}, or a list ---- */

static const char forms[] = "zero, item_mean, {constant: 0.5} or one number a channel, {blurred: "
                            "10}, {file: x0.npy}, or a list of "
                            "these, over which the mean is taken";

static void read_constant(struct sg_reader *r, const struct sg_node *node, const char *path,
                          struct sg_baseline *b) {
    static const struct sg_key any = {.low = -FLT_MAX, .high = FLT_MAX};

    b->kind = SG_BASELINE_CONSTANT;
    b->n_values = 1;
    if (node->kind == SG_NODE_SCALAR) {
        (void)sg_read_number(r, &any, node, path, &b->values[0]);
        return;
    }
    if (sg_is_list(r, node, path, 1, SG_MAX_BASELINE_VALUES)) {
        b->n_values = node->n;
        for (int i = 0; i < node->n; i++) {
            (void)sg_read_number(r, &any, node->children[i], path, &b->values[i]);
        }
    }
}

static void read_blurred(struct sg_reader *r, const struct sg_node *node, const char *path,
                         struct sg_baseline *b) {
    static const struct sg_key width = {.low = 0, .high = SG_MAX_BLUR, .flags = SG_KEY_ABOVE};

    b->kind = SG_BASELINE_BLURRED;
    b->n_values = 1;
    (void)sg_read_number(r, &width, node, path, &b->values[0]);
}

static void read_file(struct sg_reader *r, const struct sg_node *node, const char *path,
                      struct sg_baseline *b) {
    static const struct sg_key key = {.kind = SG_KIND_FILE};
    char *file = NULL;

    b->kind = SG_BASELINE_FILE;
    sg_read_value(r, &key, node, path, &file);
    if (file != NULL && strlen(file) > SG_MAX_BASELINE_FILE) {
        sg_problem(r, &node->at, path, "paths of more than %d bytes are not supported",
                   SG_MAX_BASELINE_FILE);
    } else if (file != NULL) {
        memcpy(b->file, file, strlen(file));
    }
    sg_free(file);
}

static const struct {
    const char *name;
    void (*read)(struct sg_reader *r, const struct sg_node *node, const char *path,
                 struct sg_baseline *b);
} with_values[] = {{"constant", read_constant}, {"blurred", read_blurred}, {"file", read_file}};

static void read_one(struct sg_reader *r, const struct sg_node *node, const char *path,
                     struct sg_baseline *b) {
    if (node->kind == SG_NODE_SCALAR && strcmp(node->text, "zero") == 0) {
        b->kind = SG_BASELINE_ZERO;
        return;
    }
    if (node->kind == SG_NODE_SCALAR && strcmp(node->text, "item_mean") == 0) {
        b->kind = SG_BASELINE_ITEM_MEAN;
        return;
    }
    for (size_t i = 0; node->kind == SG_NODE_MAP && node->n == 1 &&
                       i < sizeof with_values / sizeof with_values[0];
         i++) {
        if (strcmp(node->children[0]->key, with_values[i].name) == 0) {
            with_values[i].read(r, node->children[0], path, b);
            return;
        }
    }
    sg_problem(r, &node->at, path, "must be %s", forms);
}

void sg_read_baseline(struct sg_reader *r, const struct sg_node *node, const char *path, void *at) {
    struct sg_path *p = at;

    memset(p->baselines, 0, sizeof p->baselines);
    p->n_baselines = 1;
    if (node->kind != SG_NODE_LIST) {
        read_one(r, node, path, &p->baselines[0]);
    } else if (sg_is_list(r, node, path, 1, SG_MAX_BASELINES)) {
        p->n_baselines = node->n;
        for (int i = 0; i < node->n; i++) {
            read_one(r, node->children[i], path, &p->baselines[i]);
        }
    }
}

static void echo_one(struct sg_text *t, const struct sg_baseline *b) {
    char number[40];

    switch ((enum sg_baseline_kind)b->kind) {
    case SG_BASELINE_ZERO:
        sg_text_add(t, "zero");
        break;
    case SG_BASELINE_ITEM_MEAN:
        sg_text_add(t, "item_mean");
        break;
    case SG_BASELINE_BLURRED:
        sg_text_add(t, "{blurred: %s}", sg_number_text(b->values[0], number, sizeof number));
        break;
    case SG_BASELINE_FILE:
        sg_text_add(t, "{file: %s}", sg_base_name(b->file));
        break;
    case SG_BASELINE_CONSTANT:
        sg_text_add(t, "{constant: [");
        for (int i = 0; i < b->n_values; i++) {
            sg_text_add(t, "%s%s", i > 0 ? ", " : "",
                        sg_number_text(b->values[i], number, sizeof number));
        }
        sg_text_add(t, "]}");
        break;
    }
}

int sg_echo_baseline(struct sg_text *t, const void *at) {
    const struct sg_path *p = at;

    for (int i = 0; i < p->n_baselines; i++) {
        sg_text_add(t, "%s", i > 0 ? ", " : p->n_baselines > 1 ? "[" : "");
        echo_one(t, &p->baselines[i]);
    }
    sg_text_add(t, "%s", p->n_baselines > 1 ? "]" : "");
    return 1;
}

/* ---- nodes: the method's own number where the job gives none ---- */

void sg_read_nodes(struct sg_reader *r, const struct sg_node *node, const char *path, void *at) {
    int64_t n = 0;

    if (sg_read_int(r, node, path, 1, SG_MAX_NODES, &n)) {
        *(int32_t *)at = (int32_t)n;
    }
}

int sg_echo_nodes(struct sg_text *t, const void *at) {
    sg_text_add(t, "%d", (int)*(const int32_t *)at);
    return 1;
}

/* ---- of ---- */

/* The methods that `outer` can be taken of, or that can be taken of something, as a list. */
static void allowed_text(const struct sg_method *outer, char *buf, size_t cap) {
    size_t used = 0;

    buf[0] = '\0';
    for (int i = 0; sg_method_at(i) != NULL && used < cap; i++) {
        enum sg_path_noise noise;

        if (sg_method_can_compose(outer, sg_method_at(i), &noise)) {
            used += (size_t)snprintf(buf + used, cap - used, "%s%s", used > 0 ? ", " : "",
                                     sg_method_at(i)->name);
        }
    }
}

/* Options of the result stand beside `of`; those of its own method in its map, but not in both. */
static int check_keys(struct sg_reader *r, const struct sg_node *entry, const struct sg_of *of,
                      const char *path) {
    const unsigned beside = SG_USES_CHANNELS | SG_USES_RULE | SG_USES_ABSOLUTE;
    const unsigned uses = sg_method_uses(of->method);
    int ok = 1;

    for (int i = 0; of->map != NULL && i < of->map->n; i++) {
        const struct sg_node *child = of->map->children[i];
        const struct sg_key *k = sg_instance_keys;

        while (k->name != NULL && strcmp(k->name, child->key) != 0) {
            k++;
        }
        if (k->name == NULL || strcmp(k->name, "method") == 0) {
            continue; /* an unknown key is found when the map is read */
        }
        if ((k->flags & SG_KEY_LOCAL) != 0 || k->uses == 0 || (k->uses & beside) != 0) {
            sg_problem(r, &child->key_at, path, "'%s' stands beside `of`, not in it", k->name);
            ok = 0;
        } else if ((k->uses & uses) == 0) {
            sg_problem(r, &child->key_at, path, "'%s' has no effect on %s", k->name,
                       of->method->name);
            ok = 0;
        } else if (k->kind != SG_KIND_MAP && sg_node_find(entry, k->name) != NULL) {
            sg_problem(r, &child->key_at, path, "'%s' stands in `of` and beside it, too", k->name);
            ok = 0;
        }
    }
    return ok;
}

static int refuse(struct sg_reader *r, const struct sg_node *node, const char *path,
                  const struct sg_method *outer, const struct sg_method *inner) {
    char allowed[400];

    enum sg_path_noise noise;

    allowed_text(outer, allowed, sizeof allowed);
    if (!sg_method_can_compose(sg_method_find("smoothgrad"), outer, &noise) && allowed[0] == '\0') {
        sg_problem(r, &node->at, path, "%s cannot be composed with another method", outer->name);
    } else if (allowed[0] != '\0') {
        sg_problem(r, &node->at, path, "%s cannot be taken of %s; allowed: %s", outer->name,
                   inner->name, allowed);
    } else {
        sg_problem(r, &node->at, path,
                   "%s cannot be taken of another method; it can be what a smoother is taken of, "
                   "like {method: smoothgrad, of: %s}",
                   outer->name, outer->name);
    }
    return 0;
}

int sg_of_read(struct sg_reader *r, const struct sg_node *map, const char *path,
               const struct sg_method *outer, struct sg_of *out) {
    const struct sg_node *node = sg_node_find(map, "of");
    const struct sg_node *name = node;
    char full[SG_JOB_MAX_PATH];

    *out = (struct sg_of){.method = NULL};
    if (node == NULL) {
        return 1;
    }
    (void)sg_path_join(path, "of", full, sizeof full);
    if (node->kind == SG_NODE_MAP) {
        out->map = node;
        name = sg_node_find(node, "method");
    }
    if (name == NULL || name->kind != SG_NODE_SCALAR) {
        sg_problem(r, &node->at, full,
                   "must be the name of a method, or a map like {method: integrated_gradients, "
                   "nodes: 25}");
        return 0;
    }
    out->method = sg_method_read(r, name, full);
    if (out->method == NULL) {
        return 0;
    }
    return sg_method_can_compose(outer, out->method, &out->noise)
               ? check_keys(r, map, out, full)
               : refuse(r, name, full, outer, out->method);
}

void sg_of_apply(const struct sg_of *of, const struct sg_method *outer, struct sg_instance *inst) {
    const int is_inside = of->method != NULL && of->noise == SG_NOISE_INSIDE;

    if (of->method != NULL && of->method->rule != 0) { /* no path: the outer method under a rule */
        inst->method = outer;
        inst->params.probing.rule = of->method->rule;
        return;
    }
    inst->method = is_inside ? of->method : outer;
    inst->path = is_inside ? outer : of->method;
    inst->params.probing.path.noise = of->method != NULL ? (int32_t)of->noise : 0;
}

void sg_path_settle(struct sg_instance *inst) {
    const struct sg_method *walker = inst->path != NULL ? inst->path : inst->method;
    struct sg_probing *probing = &inst->params.probing;
    struct sg_path *path = &probing->path;

    probing->kind = inst->path != NULL ? (int32_t)SG_PROBE_PATH : (int32_t)inst->method->probe;
    if (probing->kind != SG_PROBE_PATH) {
        memset(path, 0, sizeof *path);
        return;
    }
    memset(probing->layer, 0, sizeof probing->layer);
    path->kind = (int32_t)walker->path;
    path->part = (int32_t)walker->part;
    path->space = (int32_t)inst->params.space;
    if (path->kind == SG_PATH_STRAIGHT && path->threshold > 0) {
        path->kind = SG_PATH_SPLIT;
    }
    if (path->kind == SG_PATH_SPLIT && path->threshold == 0) {
        path->threshold = 0.9;
    }
    if (path->nodes == 0) {
        path->nodes = walker->nodes;
    }
    if (path->kind == SG_PATH_POINT || path->kind == SG_PATH_DRAWN) {
        path->n_baselines = 1;
        memset(path->baselines, 0, sizeof path->baselines);
    }
}
