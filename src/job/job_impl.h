/* src/job/job_impl.h - what the files of this room share: the tree of a YAML text, the list of
 * problems found in it, and the table of keys. */
#ifndef SGDIST_JOB_IMPL_H
#define SGDIST_JOB_IMPL_H

#include "sgdist/job.h"

#include <stddef.h>

enum {
    SG_JOB_MAX_BYTES = 1 << 20,
    SG_JOB_MAX_DEPTH = 64,
    SG_JOB_MAX_KEYS = 256,       /* of one map; bounds the search for keys that stand twice */
    SG_JOB_MAX_PATH = 200,       /* bytes of a key's path in messages */
    SG_JOB_MAX_PROBLEMS = 20,    /* errors that are collected before the rest is only counted */
    SG_JOB_MAX_INSTANCES = 1000, /* after lists are expanded */
    SG_JOB_MAX_INDICES = 100000000,
    SG_JOB_SAMPLES_A_DRAW = 10, /* of the weights, where an entry does not say */
    SG_JOB_MAX_AXES = 32        /* keys of a method's map that a list may stand under */
};

/* Where something stands: a --set argument, or a line and column of the file (0: the whole of it).
 */
struct sg_place {
    const char *set;
    int line;
    int column;
};

enum sg_node_kind { SG_NODE_SCALAR, SG_NODE_LIST, SG_NODE_MAP };

/* A node of the tree. Children of a map carry their keys. */
struct sg_node {
    enum sg_node_kind kind;
    struct sg_place at;
    char *key; /* NULL outside a map */
    struct sg_place key_at;
    char *text; /* of a scalar, "" if it was left empty */
    int is_quoted;
    int n;
    int capacity;
    struct sg_node **children;
};

sg_status sg_node_create(enum sg_node_kind kind, const struct sg_place *at, struct sg_node **out);
void sg_node_destroy(struct sg_node *node);
struct sg_node *sg_node_find(const struct sg_node *map, const char *key); /* NULL: none */

/* Appends `child`, which belongs to the parent afterwards (it is destroyed if this fails). */
sg_status sg_node_append(struct sg_node *parent, struct sg_node *child);

/* Takes the child with this key out of the map and destroys it, if there is one. */
void sg_node_remove(struct sg_node *map, const char *key);

/* 1 for an empty value, ~ and null. */
int sg_node_is_null(const struct sg_node *node);

/* The tree of one YAML document, strict: no anchors, aliases, tags, keys that stand twice, second
 * documents. `set` is NULL, or the --set argument that the text belongs to (borrowed by the nodes).
 * *out is NULL for an empty text. Errors: SG_E_JOB with the place, SG_E_NOMEM. */
sg_status sg_yaml_parse(const char *text, size_t n, const char *file, const char *set,
                        struct sg_node **out);

/* The tree of a job with its --set arguments: a map. Errors: as above. */
sg_status sg_job_tree(const char *text, size_t n, const char *file, const char *const *sets,
                      int n_sets, struct sg_node **out);

/* "file:line:column", "file" or "--set text" into buf[cap], returned. */
const char *sg_place_text(const struct sg_place *at, const char *file, char *buf, size_t cap);

/* What is known while a job is checked. Problems are collected, so that one run shows them all. */
struct sg_reader {
    const char *file;
    const char *folder; /* the job file's own, with a slash at its end; "" for the current one */
    int check_files;    /* 1: files that the job names must exist */
    int out_of_memory;
    int n_problems;
    struct sg_text problems; /* whole lines */
};

void sg_problem(struct sg_reader *r, const struct sg_place *at, const char *path, const char *fmt,
                ...) __attribute__((format(printf, 4, 5)));

/* SG_OK if nothing was found, else SG_E_JOB with the problems as message, one a line. */
sg_status sg_problems_status(const struct sg_reader *r);

enum sg_kind {
    SG_KIND_MAP,
    SG_KIND_INT,    /* int64_t, min to max */
    SG_KIND_NUMBER, /* double, low to high */
    SG_KIND_TEXT,   /* char *, not empty */
    SG_KIND_FILE,   /* char *, path from the job file's folder */
    SG_KIND_FOLDER,
    SG_KIND_WORD, /* int32_t, int or an enum: position in `words` */
    SG_KIND_CUSTOM
};

enum {
    SG_KEY_REQUIRED = 1,
    SG_KEY_ABOVE = 2,    /* a number must be greater than `low`, not equal */
    SG_KEY_BELOW = 4,    /* and less than `high` */
    SG_KEY_INHERITS = 8, /* keys of this map that are not given keep what stands there */
    SG_KEY_EXPANDS = 16, /* in a method's map: a list makes one instance of each value */
    SG_KEY_QUIET = 64,   /* not in the echo where it is not given */
    SG_KEY_LOCAL = 32    /* not in the echo: no part of the identity, or echoed by instance */
};

/* One key of a map: all that is known of it. Parsing, messages, defaults and --set follow. */
struct sg_key {
    const char *name; /* NULL ends a table */
    enum sg_kind kind;
    unsigned flags;
    size_t offset; /* of the value in the struct that the table fills */
    int64_t min;   /* of an int */
    int64_t max;
    double low; /* of a number */
    double high;
    const char *const *words;  /* NULL at the end */
    const char *fallback;      /* YAML text used where the key is not given; NULL: keep zero */
    const char *excludes;      /* a key of the same map that must not stand beside this one */
    const char *needs;         /* a key of the same map that must */
    const struct sg_key *keys; /* of a map */
    void (*read)(struct sg_reader *r, const struct sg_node *node, const char *path, void *at);
    int (*echo)(struct sg_text *t, const void *at); /* prints the value; 0: nothing to show */
    unsigned uses;      /* a method must use one of these for the key to have a meaning */
    const char *suffix; /* of labels where a list expands; NULL: the word itself */
};

/* Reads `map` by the table into `base`. `map` may be NULL (nothing given): only the fallbacks are
 * read. With `inherits` keys that are not given keep what stands in `base`. */
void sg_read_map(struct sg_reader *r, const struct sg_key *keys, const struct sg_node *map,
                 const char *path, int inherits, void *base);

/* Reads one value of any kind but a map into `at`. */
void sg_read_value(struct sg_reader *r, const struct sg_key *key, const struct sg_node *node,
                   const char *path, void *at);

/* The names of a table in alphabetical order, "a, b, c"; with `uses` only those that have a meaning
 * for it. */
void sg_key_names(const struct sg_key *keys, unsigned uses, char *buf, size_t cap);

/* Scalars, with messages. Return 1 if all is well. */
int sg_read_int(struct sg_reader *r, const struct sg_node *node, const char *path, int64_t min,
                int64_t max, int64_t *out);
int sg_read_number(struct sg_reader *r, const struct sg_key *key, const struct sg_node *node,
                   const char *path, double *out);
/* A file's or folder's path in full: relative ones start at the job file's folder. `out` is the
 * caller's. */
int sg_read_path(struct sg_reader *r, const struct sg_node *node, const char *path,
                 struct sg_text *out);

/* A path without its folders. */
const char *sg_base_name(const char *path);

/* 1 if it is a list of min to max entries. */
int sg_is_list(struct sg_reader *r, const struct sg_node *node, const char *path, int min, int max);

/* The shortest text that reads back as the same double. */
const char *sg_number_text(double v, char *buf, size_t cap);

/* "parent.name" into buf, returned. */
const char *sg_path_join(const char *parent, const char *name, char *buf, size_t cap);

/* A job in the making: what instances inherit stands beside it. */
struct sg_draft {
    struct sg_job job;
    struct sg_params defaults;
    const struct sg_preset *preset; /* of the whole job, or NULL */
    struct sg_text presets;         /* becomes job.presets */
    struct {
        char *path;
        char *array;
        char *labels;
    } sources[SG_SOURCE_COUNT]; /* one of them becomes that of job.data */
    int32_t domain_space;       /* these two have one value yet */
    int32_t dtype;
};

extern const struct sg_key sg_job_keys[]; /* fills struct sg_draft */
extern const struct sg_key
    sg_default_keys[]; /* those that instances inherit, where a job is silent */
extern const struct sg_key sg_instance_keys[]; /* a method's map; fills struct sg_params */

/* The values that are more than one scalar: how they are read and echoed. */
void sg_read_tar(struct sg_reader *r, const struct sg_node *node, const char *path, void *at);
void sg_read_target(struct sg_reader *r, const struct sg_node *node, const char *path, void *at);
void sg_read_indices(struct sg_reader *r, const struct sg_node *node, const char *path, void *at);
void sg_read_shape(struct sg_reader *r, const struct sg_node *node, const char *path, void *at);
void sg_read_crop(struct sg_reader *r, const struct sg_node *node, const char *path, void *at);
void sg_read_mean(struct sg_reader *r, const struct sg_node *node, const char *path, void *at);
void sg_read_std(struct sg_reader *r, const struct sg_node *node, const char *path, void *at);
void sg_read_bounds(struct sg_reader *r, const struct sg_node *node, const char *path, void *at);
void sg_read_level(struct sg_reader *r, const struct sg_node *node, const char *path, void *at);
void sg_read_sigma(struct sg_reader *r, const struct sg_node *node, const char *path, void *at);
void sg_read_channels(struct sg_reader *r, const struct sg_node *node, const char *path, void *at);
void sg_read_inputs(struct sg_reader *r, const struct sg_node *node, const char *path, void *at);
void sg_read_layer(struct sg_reader *r, const struct sg_node *node, const char *path, void *at);
void sg_read_scope(struct sg_reader *r, const struct sg_node *node, const char *path, void *at);
void sg_read_maps(struct sg_reader *r, const struct sg_node *node, const char *path, void *at);
void sg_read_neurons(struct sg_reader *r, const struct sg_node *node, const char *path, void *at);
void sg_read_filter(struct sg_reader *r, const struct sg_node *node, const char *path, void *at);
void sg_read_baseline(struct sg_reader *r, const struct sg_node *node, const char *path, void *at);
void sg_read_nodes(struct sg_reader *r, const struct sg_node *node, const char *path, void *at);
void sg_read_methods(struct sg_reader *r, const struct sg_node *node, const char *path, void *at);
void sg_read_name(struct sg_reader *r, const struct sg_node *node, const char *path, void *at);
int sg_echo_tar(struct sg_text *t, const void *at);
int sg_echo_target(struct sg_text *t, const void *at);
int sg_echo_indices(struct sg_text *t, const void *at);
int sg_echo_shape(struct sg_text *t, const void *at);
int sg_echo_crop(struct sg_text *t, const void *at);
int sg_echo_mean(struct sg_text *t, const void *at);
int sg_echo_std(struct sg_text *t, const void *at);
int sg_echo_bounds(struct sg_text *t, const void *at);
int sg_echo_level(struct sg_text *t, const void *at);
int sg_echo_sigma(struct sg_text *t, const void *at);
int sg_echo_channels(struct sg_text *t, const void *at);
int sg_echo_inputs(struct sg_text *t, const void *at);
int sg_echo_layer(struct sg_text *t, const void *at);
int sg_echo_scope(struct sg_text *t, const void *at);
int sg_echo_maps(struct sg_text *t, const void *at);
int sg_echo_neurons(struct sg_text *t, const void *at);
int sg_echo_filter(struct sg_text *t, const void *at);
int sg_echo_baseline(struct sg_text *t, const void *at);
int sg_echo_nodes(struct sg_text *t, const void *at);
int sg_echo_methods(struct sg_text *t, const void *at);
int sg_echo_name(struct sg_text *t, const void *at);

/* Reads the name of a tensor into out[SG_MAX_TENSOR + 1]; 1 if all is well. */
int sg_read_tensor(struct sg_reader *r, const struct sg_node *node, const char *path, char *out);

/* A list of at most `max` whole numbers from 0; their number, 0 after a problem. */
int sg_read_numbers(struct sg_reader *r, const struct sg_node *node, const char *path, int max,
                    int64_t *out);

/* A box of at most max_axes axes, [y0, x0, y1, x1] into box[2 * axes]; its axes, 0 after a problem.
 */
int sg_read_box(struct sg_reader *r, const struct sg_node *node, const char *path, int max_axes,
                int64_t *box);

/* An entry of a list of positions, "5" or "10:20", as first and end; 0 with a problem. */
int sg_read_range(struct sg_reader *r, const struct sg_node *node, const char *path, int64_t *first,
                  int64_t *end);

/* Collects the tensors that targets and instances name. */
sg_status sg_job_list_tensors(struct sg_job *job);

/* The preset that the node names, or NULL after a problem. */
const struct sg_preset *sg_preset_read(struct sg_reader *r, const struct sg_node *node,
                                       const char *path);

/* Sets what the preset says; the rest stays. */
void sg_preset_apply(struct sg_reader *r, const struct sg_preset *preset, struct sg_params *params);

/* Adds "label: name version" for an instance that has the preset, and ", but key: value, .." where
 * the job says otherwise. */
void sg_preset_add_line(struct sg_reader *r, const struct sg_preset *preset,
                        const struct sg_instance *inst, struct sg_text *lines);

/* A method by its name in the job; NULL after a problem. */
const struct sg_method *sg_method_read(struct sg_reader *r, const struct sg_node *node,
                                       const char *path);

/* What `of` says: the method that the entry's is taken of, and the map with its options. */
struct sg_of {
    const struct sg_method *method; /* NULL: no `of` */
    const struct sg_node *map;      /* NULL: a name alone */
    enum sg_path_noise noise;
};

/* Reads the `of` of an entry (`map` may be NULL); 0 after a problem. */
int sg_of_read(struct sg_reader *r, const struct sg_node *map, const char *path,
               const struct sg_method *outer, struct sg_of *out);

/* Makes the instance of `outer`, of which `params` are read, the composed one: which method has the
 * sampler and the sums, and which the path. */
void sg_of_apply(const struct sg_of *of, const struct sg_method *outer, struct sg_instance *inst);

/* Fills what the path of an instance needs beside its keys. */
void sg_path_settle(struct sg_instance *inst);

/* Zeroes what a method with these uses does not look at: equal samples must be equal bytes. */
void sg_clear_unused(struct sg_params *p, unsigned uses);

/* What an instance's method and sampler use, of enum sg_uses; SG_USES_SAMPLES where samples are
 * drawn, SG_USES_NOISE where they are noisy ones, SG_USES_CLEAN where the gradient without any
 * noise may count as one, SG_USES_DRAWS where they may be of other weights than the file's,
 * SG_USES_RULE where derivatives of the network are read by a rule that can be chosen,
 * SG_USES_ABSOLUTE where their absolute values can be asked for, SG_USES_CHANNELS where the map has
 * channels. */
enum {
    SG_USES_SAMPLES = 1 << 16,
    SG_USES_NOISE = 1 << 17,
    SG_USES_RULE = 1 << 18,
    SG_USES_CLEAN = 1 << 19,
    SG_USES_DRAWS = 1 << 20,
    SG_USES_CHANNELS = 1 << 21,
    SG_USES_ABSOLUTE = 1 << 22
};
unsigned sg_method_uses(const struct sg_method *method);
/* What an instance uses; a composed one what both its methods do. */
unsigned sg_instance_uses(const struct sg_instance *inst);

/* The lists under keys that expand, of one map. While a combination is read, each list stands in
 * the tree as the scalar that was chosen of it. */
struct sg_expansion_axis {
    const struct sg_key *key;
    struct sg_node *list;
    struct sg_node saved;
    int i; /* of the value */
};

struct sg_expansion {
    int n_axes;
    struct sg_expansion_axis axes[SG_JOB_MAX_AXES];
};

/* Finds the lists (`map` may be NULL: none); 0 after a problem. */
int sg_expansion_init(struct sg_expansion *x, struct sg_reader *r, const struct sg_key *keys,
                      const struct sg_node *map, const char *path);

/* Puts the values of this combination into the tree, and takes them out again. */
void sg_expansion_apply(struct sg_expansion *x);
void sg_expansion_restore(struct sg_expansion *x);

/* Goes to the next combination, the last list fastest; 0 past the last one. */
int sg_expansion_next(struct sg_expansion *x);

/* While applied: the base and what tells the chosen values apart, "adaptgrad-c0.95". */
void sg_expansion_label(const struct sg_expansion *x, const char *base, char *label, size_t cap);

/* Complains unless exactly one source is given, and of keys that it does not know. */
void sg_source_check(struct sg_reader *r, const struct sg_node *root, const struct sg_draft *d);

/* Moves the source's values into d->job.data, and frees those of others. */
void sg_source_settle(struct sg_draft *d);

/* Applies one "key.path=value" to the tree. */
sg_status sg_set_apply(struct sg_node *root, const char *set, const char *file);

/* Adds the canonical text of an instance's options, each key below `path`. */
void sg_echo_params(struct sg_text *t, const char *path, const struct sg_instance *inst);

/* Adds ", but key: value, key: value" for the lines of `to` that are not in `from`. */
void sg_echo_add_changes(const char *from, const char *to, struct sg_text *out);

/* Adds the canonical text of a checked draft to `t`. */
void sg_echo_add(struct sg_text *t, const struct sg_draft *draft);

#endif
