/* src/job/set.c - --set key.path=value: puts a value into the tree before it is checked, so that a
 * wrong one is refused by the same table and with the same words as in the file. */
#include "job_impl.h"

#include "sgdist/memory.h"

#include <stdio.h>
#include <string.h>

/* The map below `map` with the key of n bytes, made if it is not there. */
static sg_status descend(struct sg_node *map, const char *key, size_t n, const char *set,
                         struct sg_node **out) {
    sg_status status = SG_OK;
    const struct sg_place at = {.set = set};
    char name[SG_JOB_MAX_PATH];
    struct sg_node *child;

    (void)snprintf(name, sizeof name, "%.*s", (int)n, key);
    child = sg_node_find(map, name);
    if (child != NULL && sg_node_is_null(child)) {
        sg_node_remove(map, name);
        child = NULL;
    }
    if (child == NULL) {
        SG_TRY(sg_node_create(SG_NODE_MAP, &at, &child));
        child->key_at = at;
        child->key = sg_strdup(name);
        status = sg_node_append(map, child);
        SG_CHECK(status == SG_OK && child->key != NULL, SG_E_NOMEM, "no memory for the job");
    }
    SG_CHECK(child->kind == SG_NODE_MAP, SG_E_JOB,
             "--set %s: '%s' is not a map, so it has no keys; set it as a whole", set, name);
    *out = child;
done:
    return status;
}

/* Replaces the map's value under `key` by the tree of `text`; an empty one takes the key away. */
static sg_status replace(struct sg_node *map, const char *key, const char *text, const char *set,
                         const char *file) {
    sg_status status = SG_OK;
    struct sg_node *value = NULL;

    SG_TRY(sg_yaml_parse(text, strlen(text), file, set, &value));
    sg_node_remove(map, key);
    if (value == NULL || sg_node_is_null(value)) {
        goto done;
    }
    value->key_at = (struct sg_place){.set = set};
    value->key = sg_strdup(key);
    SG_CHECK(value->key != NULL, SG_E_NOMEM, "no memory for the job");
    status = sg_node_append(map, value);
    value = NULL;
done:
    sg_node_destroy(value);
    return status;
}

sg_status sg_set_apply(struct sg_node *root, const char *set, const char *file) {
    sg_status status = SG_OK;
    const char *equals = strchr(set, '=');
    const char *key = set;
    struct sg_node *map = root;
    char last[SG_JOB_MAX_PATH];

    SG_CHECK(equals != NULL && equals > set && equals - set < SG_JOB_MAX_PATH, SG_E_JOB,
             "--set %s: write key.path=value, for instance --set sampling.samples=200", set);
    for (const char *dot = memchr(key, '.', (size_t)(equals - key)); dot != NULL;
         dot = memchr(key, '.', (size_t)(equals - key))) {
        SG_TRY(descend(map, key, (size_t)(dot - key), set, &map));
        key = dot + 1;
    }
    (void)snprintf(last, sizeof last, "%.*s", (int)(equals - key), key);
    SG_TRY(replace(map, last, equals + 1, set, file));
done:
    return status;
}
