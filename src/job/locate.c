/* src/job/locate.c - where in the job a problem lies that only model and items have shown. */
#include "job_impl.h"

#include "sgdist/memory.h"

#include <stdio.h>
#include <string.h>

static int is_word(const struct sg_node *node, const char *word) {
    return node != NULL && node->kind == SG_NODE_SCALAR && strcmp(node->text, word) == 0;
}

/* The deepest node on the way along "a.b.c" from `map`; NULL if not even `a` is there. */
static const struct sg_node *walk(const struct sg_node *map, const char *path) {
    const struct sg_node *found = NULL;

    while (map != NULL && map->kind == SG_NODE_MAP && *path != '\0') {
        const size_t n = strcspn(path, ".");
        char part[SG_JOB_MAX_PATH + 1];

        (void)snprintf(part, sizeof part, "%.*s", (int)n, path);
        map = sg_node_find(map, part);
        found = map != NULL ? map : found;
        path += n + (path[n] == '.');
    }
    return found;
}

/* The entry of `methods` that made the instance: the map whose `as` is its label, else the first
 * one of its method. */
static const struct sg_node *find_entry(const struct sg_node *methods,
                                        const struct sg_instance *instance) {
    const struct sg_node *entry = NULL;

    for (int i = 0; methods != NULL && i < methods->n; i++) {
        const struct sg_node *node = methods->children[i];

        if (node->kind == SG_NODE_MAP && is_word(sg_node_find(node, "as"), instance->label)) {
            return node;
        }
        if (entry == NULL && (is_word(node, instance->method->name) ||
                              is_word(sg_node_find(node, "method"), instance->method->name))) {
            entry = node;
        }
    }
    return entry;
}

/* A key of an instance stands in its own map, or in `sampling` for all of them. */
static const struct sg_node *
find_of_instance(const struct sg_node *root, const struct sg_instance *instance, const char *path) {
    const struct sg_node *methods = sg_node_find(root, "methods");
    const struct sg_node *entry = find_entry(methods, instance);
    const struct sg_node *own = walk(entry, path);
    const struct sg_node *shared = walk(sg_node_find(root, "sampling"), path);

    return own != NULL ? own : shared != NULL ? shared : entry != NULL ? entry : methods;
}

static const struct sg_node *find(const struct sg_job *job, const struct sg_node *root,
                                  const char *path) {
    static const char methods[] = "methods.";

    for (int i = 0; strncmp(path, methods, strlen(methods)) == 0 && i < job->n_instances; i++) {
        const char *label = job->instances[i].label;
        const char *rest = path + strlen(methods);
        const size_t n = strlen(label);

        if (strncmp(rest, label, n) == 0 && (rest[n] == '.' || rest[n] == '\0')) {
            return find_of_instance(root, &job->instances[i], rest + n + (rest[n] == '.'));
        }
    }
    return walk(root, path);
}

sg_status sg_job_locate(const struct sg_job *job, const char *text, size_t n,
                        const char *const *sets, int n_sets, sg_status status) {
    struct sg_node *root = NULL;
    const struct sg_node *node = NULL;
    const size_t n_file = strlen(job->file);
    char *whole = sg_strdup(sg_trace_message());
    const char *message = whole;
    char path[SG_JOB_MAX_PATH + 1];
    char place[SG_JOB_MAX_PATH + 64];

    if (whole == NULL || sg_job_tree(text, n, job->file, sets, n_sets, &root) != SG_OK) {
        sg_free(whole);
        return status;
    }
    if (strncmp(message, job->file, n_file) == 0 && strncmp(message + n_file, ": ", 2) == 0) {
        message += n_file + 2;
    }
    (void)snprintf(path, sizeof path, "%.*s", (int)strcspn(message, ":"), message);
    node = find(job, root, path);
    if (node != NULL) {
        status = sg_fail(status, __FILE__, __LINE__, "%s: %s",
                         sg_place_text(node->key != NULL ? &node->key_at : &node->at, job->file,
                                       place, sizeof place),
                         message);
    } else {
        status = sg_fail(status, __FILE__, __LINE__, "%s", whole);
    }
    sg_node_destroy(root);
    sg_free(whole);
    return status;
}
