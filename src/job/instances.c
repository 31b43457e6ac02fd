/* src/job/instances.c - the key `methods`: names, lists and maps become instances with labels. */
#include "job_impl.h"

#include "sgdist/memory.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { MAX_METHODS = 64 };

struct entry {
    struct sg_reader *r;
    struct sg_draft *draft;
    const struct sg_node *map; /* NULL: a name alone */
    struct sg_of of;
    char path[SG_JOB_MAX_PATH];
    struct sg_expansion expansion;
};

unsigned sg_method_uses(const struct sg_method *method) {
    const struct sg_sampler *s = method->sampler;
    const int has_noise = s->is_stochastic && !s->is_noiseless;
    const int has_gates = method->probe == SG_PROBE_GATES;
    const int reads_derivatives = method->probe != SG_PROBE_NOTHING && !has_gates;
    unsigned uses = method->uses | s->uses;

    uses |= s->is_stochastic && !s->is_still ? SG_USES_SAMPLES : 0;
    uses |= has_noise ? SG_USES_NOISE : 0;
    uses |= has_noise || s->is_still ? SG_USES_CLEAN : 0;
    uses |= s->is_stochastic && !has_gates ? SG_USES_DRAWS : 0;
    uses |= method->over == SG_OVER_TENSOR ? SG_USES_CHANNELS : 0;
    uses |= reads_derivatives && method->rule == 0 ? SG_USES_RULE : 0;
    return uses | (reads_derivatives ? SG_USES_ABSOLUTE : 0);
}

/* A path reads the input, and layers only as the gradient of a smoother could. Anything with
 * samples may have noise on the weights. */
unsigned sg_instance_uses(const struct sg_instance *inst) {
    const unsigned weights = inst->params.sampling.draws > 0 ? (unsigned)SG_USES_WEIGHTS : 0u;
    const unsigned uses = sg_method_uses(inst->method) | weights;

    return inst->path == NULL
               ? uses
               : (uses | sg_method_uses(inst->path)) & ~(unsigned)(SG_USES_LAYER | SG_USES_OF);
}

/* `method`, `as`, `like` and `of` are read by hand before the table sees the map; the label stands
 * for the first two in the echo, the options it sets for the third, and echo.c for the last. */
void sg_read_name(struct sg_reader *r, const struct sg_node *node, const char *path, void *at) {
    (void)r;
    (void)node;
    (void)path;
    (void)at;
}

int sg_echo_name(struct sg_text *t, const void *at) {
    (void)t;
    (void)at;
    return 0;
}

int sg_echo_methods(struct sg_text *t, const void *at) {
    const struct sg_draft *draft = at;

    for (int i = 0; i < draft->job.n_instances; i++) {
        sg_text_add(t, "%s%s", i > 0 ? ", " : "", draft->job.instances[i].label);
    }
    return 1;
}

const struct sg_method *sg_method_read(struct sg_reader *r, const struct sg_node *node,
                                       const char *path) {
    const char *names[MAX_METHODS];
    const struct sg_method *m = node->kind == SG_NODE_SCALAR ? sg_method_find(node->text) : NULL;
    char allowed[400] = "";
    size_t used = 0;
    int n = 0;
    const char *near;

    if (m != NULL) {
        return m;
    }
    if (node->kind != SG_NODE_SCALAR) {
        sg_problem(r, &node->at, path, "must be the name of a method");
        return NULL;
    }
    for (; n < MAX_METHODS && sg_method_at(n) != NULL; n++) {
        names[n] = sg_method_at(n)->name;
        if (used < sizeof allowed) {
            used += (size_t)snprintf(allowed + used, sizeof allowed - used, "%s%s",
                                     n > 0 ? ", " : "", names[n]);
        }
    }
    near = sg_text_nearest(node->text, names, n);
    sg_problem(r, &node->at, path, "'%.60s' is not a method;%s%s%s allowed: %s", node->text,
               near != NULL ? " did you mean '" : "", near != NULL ? near : "",
               near != NULL ? "'?" : "", allowed);
    return NULL;
}

static int is_label(const char *s) {
    for (const unsigned char *c = (const unsigned char *)s; *c != '\0'; c++) {
        if (!isalnum(*c) && *c != '.' && *c != '_' && *c != '-') {
            return 0;
        }
    }
    return s[0] != '\0' && s[0] != '.' && strlen(s) <= SG_MAX_LABEL;
}

static int is_taken(const struct sg_job *job, const char *label) {
    for (int i = 0; i < job->n_instances; i++) {
        if (strcmp(job->instances[i].label, label) == 0) {
            return 1;
        }
    }
    return 0;
}

/* Room for one more at the end; NULL after a problem. The array grows by doubling. */
static struct sg_instance *append(struct entry *e, const struct sg_node *at) {
    struct sg_job *job = &e->draft->job;
    const int n = job->n_instances;

    if (n == SG_JOB_MAX_INSTANCES) {
        sg_problem(e->r, &at->at, e->path, "more than %d instances, lists expanded",
                   SG_JOB_MAX_INSTANCES);
        return NULL;
    }
    if ((n & (n - 1)) == 0) {
        struct sg_instance *grown =
            sg_realloc(job->instances, n > 0 ? 2 * (size_t)n : 1, sizeof job->instances[0]);

        if (grown == NULL) {
            e->r->out_of_memory = 1;
            return NULL;
        }
        job->instances = grown;
    }
    memset(&job->instances[n], 0, sizeof job->instances[n]);
    return &job->instances[job->n_instances++];
}

void sg_clear_unused(struct sg_params *p, unsigned uses) {
    struct sg_sampling *s = &p->sampling;

    if ((uses & (SG_USES_SAMPLES | SG_USES_WEIGHTS)) == 0) {
        memset(s, 0, sizeof *s);
    }
    if ((uses & SG_USES_NOISE) == 0) {
        s->channels = 0;
        s->outside = 0;
    }
    if ((uses & SG_USES_CLEAN) == 0) {
        s->clean = 0;
    }
    if ((uses & SG_USES_SAMPLES) == 0) {
        s->samples = 1;
    }
    if ((uses & SG_USES_WEIGHTS) == 0) {
        s->draws = 0;
        memset(&s->weights, 0, sizeof s->weights);
    }
    if ((uses & SG_USES_AMOUNT) == 0) {
        s->amount = 0.0;
        s->absolute = 0;
        s->space = 0;
        s->range = 0;
    }
    if (s->absolute) {
        s->range = 0;
    }
    if ((uses & SG_USES_CONFIDENCE) == 0) {
        s->confidence = 0.0;
        s->bounds = 0;
        s->z = 0;
    }
    if ((uses & SG_USES_PATH) == 0) {
        p->probing.path.n_baselines = 0;
        memset(p->probing.path.baselines, 0, sizeof p->probing.path.baselines);
    }
    if ((uses & SG_USES_NODES) == 0) {
        p->probing.path.nodes = 0;
    }
    if ((uses & SG_USES_QUADRATURE) == 0) {
        p->probing.path.quadrature = 0;
    }
    if ((uses & SG_USES_THRESHOLD) == 0) {
        p->probing.path.threshold = 0;
        p->probing.path.threshold_on = 0;
    }
    if ((uses & SG_USES_GUIDANCE) == 0) {
        p->probing.path.fraction = 0;
        p->probing.path.max_distance = 0;
    }
    if ((uses & SG_USES_DIVISOR) == 0) {
        p->divisor = SG_DIVISOR_UNBIASED;
    }
    if ((uses & SG_USES_RULE) == 0) {
        p->probing.rule = 0;
    }
    if ((uses & SG_USES_ABSOLUTE) == 0) {
        p->probing.absolute = 0;
    }
    if ((uses & SG_USES_CHANNELS) == 0) {
        p->reduction = SG_CHANNELS_NONE;
    }
    if ((uses & SG_USES_CAM) == 0) {
        memset(&p->cam, 0, sizeof p->cam);
    }
    if ((uses & SG_USES_GATES) == 0) {
        p->scale = SG_SCALE_NONE;
        p->groups = 0;
    }
    if ((uses & SG_USES_SPACE) == 0 ||
        p->probing.layer[0] != '\0') { /* only the input has pixels */
        p->space = SG_SPACE_INPUT;
    }
}

static int given_of(const struct sg_node *map, const char *group, const char *key) {
    const struct sg_node *sub = sg_node_find(map, group);

    return sub != NULL && sub->kind == SG_NODE_MAP && sg_node_find(sub, key) != NULL;
}

/* noise: {range: ..} where a sigma is inherited, or the preset's. */
static void refuse_range(struct entry *e, const struct sg_params *params) {
    if (params->sampling.absolute && given_of(e->map, "noise", "range") &&
        !given_of(e->map, "noise", "sigma")) {
        sg_problem(e->r, &e->map->at, e->path,
                   "noise.range has no effect here, because %s gives a sigma; give a level, too",
                   sg_node_find(e->map, "like") != NULL ? "like" : "sampling.noise");
    }
}

/* What the entry says, above its preset, above what it inherits. Returns the preset, or NULL. */
static const struct sg_preset *read_params(struct entry *e, struct sg_params *params) {
    const struct sg_node *like = sg_node_find(e->map, "like");
    const struct sg_preset *preset = e->draft->preset;
    char path[SG_JOB_MAX_PATH];

    *params = e->draft->defaults;
    if (like != NULL && !sg_node_is_null(like)) {
        preset = sg_preset_read(e->r, like, sg_path_join(e->path, "like", path, sizeof path));
        if (preset != NULL) {
            sg_preset_apply(e->r, preset, params);
        }
    }
    sg_read_map(e->r, sg_instance_keys, e->map, e->path, 1, params);
    if (e->of.map != NULL) {
        sg_read_map(e->r, sg_instance_keys, e->of.map,
                    sg_path_join(e->path, "of", path, sizeof path), 1, params);
    }
    refuse_range(e, params);
    return preset;
}

/* What of the reading the method itself decides. */
static void choose_reading(const struct sg_method *method, struct sg_probing *probing) {
    if (method->rule != 0) {
        probing->rule = method->rule;
    }
    if ((method->uses & SG_USES_CAM) != 0 && probing->layer[0] == '\0') {
        memcpy(probing->layer, SG_LAYER_AUTO, sizeof SG_LAYER_AUTO);
    }
}

/* What an entry may say, beside its `of` and of draws of the weights, too. */
static unsigned uses_of_entry(const struct entry *e, const struct sg_method *method) {
    struct sg_instance inst = {.method = method};
    unsigned uses;

    sg_of_apply(&e->of, method, &inst);
    uses = sg_instance_uses(&inst) | (sg_method_uses(method) & (unsigned)SG_USES_OF);
    uses &= ~(unsigned)(inst.params.probing.rule != 0 ? SG_USES_RULE : 0); /* `of` has said it */
    return uses | ((uses & SG_USES_DRAWS) != 0 && sg_node_find(e->map, "weights") != NULL
                       ? (unsigned)SG_USES_WEIGHTS
                       : 0u);
}

/* `sampling.samples` is for an item; an entry with draws of the weights has so many for each. */
static int settle_weights(struct entry *e, const struct sg_method *method, const struct sg_node *at,
                          struct sg_params *params) {
    struct sg_sampling *s = &params->sampling;

    if ((uses_of_entry(e, method) & SG_USES_WEIGHTS) == 0) {
        s->draws = 0;
        return 1;
    }
    if (sg_node_find(e->map, "samples") == NULL && sg_node_find(e->map, "like") == NULL) {
        s->samples = SG_JOB_SAMPLES_A_DRAW;
    }
    if (s->clean == SG_CLEAN_ONE_OF_N) {
        sg_problem(e->r, &at->at, e->path,
                   "noise.clean: one_of_n has no meaning with draws of the weights, which are of "
                   "equal size; set noise: {clean: extra}, or none");
    }
    return s->clean != SG_CLEAN_ONE_OF_N;
}

/* Integrated gradients has no threshold unless it is given one. */
static void refuse_threshold(struct entry *e, const struct sg_method *outer,
                             const struct sg_params *params) {
    const struct sg_path *path = &params->probing.path;
    const struct sg_method *walker =
        e->of.method != NULL && e->of.noise == SG_NOISE_OUTSIDE ? e->of.method : outer;

    if ((walker->uses & SG_USES_THRESHOLD) == 0 || walker->path != SG_PATH_STRAIGHT) {
        return;
    }
    if (path->threshold_on != SG_THRESHOLD_SCORE && path->threshold == 0) {
        sg_problem(e->r, &e->map->at, e->path, "threshold_on has no effect without a threshold");
    }
    if (path->threshold > 0 && e->of.method != NULL && e->of.noise == SG_NOISE_INSIDE) {
        sg_problem(e->r, &e->map->at, e->path,
                   "threshold cannot be combined with noise on the path: t* would be another for "
                   "every sample; leave it out");
    }
}

/* 1 if there is one more instance. */
static int add_instance(struct entry *e, const struct sg_method *method, const struct sg_node *at,
                        const char *base) {
    char label[4 * SG_MAX_LABEL];
    struct sg_instance *inst;
    struct sg_params params;
    const struct sg_preset *preset = read_params(e, &params);

    if (!settle_weights(e, method, at, &params)) {
        return 0;
    }
    sg_expansion_label(&e->expansion, base, label, sizeof label);
    if (!is_label(label)) {
        sg_problem(e->r, &at->at, e->path,
                   "'%.80s' cannot be a label: 1 to %d letters, digits, '-', '_' and '.', not "
                   "first a '.'; set `as`",
                   label, SG_MAX_LABEL);
        return 0;
    }
    if (is_taken(&e->draft->job, label)) {
        sg_problem(e->r, &at->at, e->path,
                   "the label '%s' is taken; set `as` to another, like {method: %s, as: %.50s-2}",
                   label, method->name, label);
        return 0;
    }
    inst = append(e, at);
    if (inst != NULL) {
        memcpy(inst->label, label, strlen(label) + 1); /* is_label has looked at its length */
        inst->params = params;
        refuse_threshold(e, method, &params);
        sg_of_apply(&e->of, method, inst);
        sg_clear_unused(&inst->params, sg_instance_uses(inst));
        choose_reading(inst->method, &inst->params.probing);
        sg_path_settle(inst);
        if (preset != NULL && (sg_instance_uses(inst) & SG_USES_CLEAN) != 0) {
            sg_preset_add_line(e->r, preset, inst, &e->draft->presets);
        }
    }
    return inst != NULL;
}

static void add_expanded(struct entry *e, const struct sg_method *method, const struct sg_node *at,
                         const char *base) {
    struct sg_expansion *x = &e->expansion;
    int n_problems;
    int is_added;

    if (!sg_expansion_init(x, e->r, sg_instance_keys, e->map, e->path)) {
        return;
    }
    do {
        n_problems = e->r->n_problems;
        sg_expansion_apply(x);
        is_added = add_instance(e, method, at, base);
        sg_expansion_restore(x);
    } while (is_added && n_problems == e->r->n_problems && sg_expansion_next(x));
}

/* An option without an effect would make a reader of the job believe in one. */
static void refuse_unused(struct entry *e, const struct sg_key *keys, const struct sg_node *map,
                          const char *path, const struct sg_method *method) {
    const unsigned uses = uses_of_entry(e, method);
    char full[SG_JOB_MAX_PATH];
    char allowed[400];

    for (const struct sg_key *k = keys; k->name != NULL; k++) {
        const struct sg_node *node = sg_node_find(map, k->name);

        if (node == NULL) {
            continue;
        }
        (void)sg_path_join(path, k->name, full, sizeof full);
        if (k->uses != 0 && (k->uses & uses) == 0) {
            sg_key_names(keys, uses, allowed, sizeof allowed);
            sg_problem(e->r, &node->key_at, full, "has no effect on %s; allowed for it here: %s",
                       method->name, allowed);
        } else if (k->kind == SG_KIND_MAP && node->kind == SG_NODE_MAP) {
            refuse_unused(e, k->keys, node, full, method);
        }
    }
}

/* Only the input has pixels. */
static void refuse_space(struct entry *e) {
    const struct sg_node *space = sg_node_find(e->map, "space");

    if (space != NULL && sg_node_find(e->map, "layer") != NULL) {
        sg_problem(e->r, &space->at, e->path, "space has no meaning at a layer; leave it out");
    }
}

/* The `as` of a map ("" if there is none); NULL after a problem. */
static const char *read_as(struct entry *e) {
    const struct sg_node *as = sg_node_find(e->map, "as");

    if (as == NULL) {
        return "";
    }
    if (as->kind != SG_NODE_SCALAR || !is_label(as->text)) {
        sg_problem(e->r, &as->at, e->path,
                   "`as` must be a label: 1 to %d letters, digits, '-', '_' and '.', not first a "
                   "'.'",
                   SG_MAX_LABEL);
        return NULL;
    }
    return as->text;
}

static void add_named(struct entry *e, const struct sg_node *name, const char *as, int is_one) {
    const struct sg_method *method = sg_method_read(e->r, name, e->path);
    char own[2 * SG_MAX_LABEL + 2];
    char base[4 * SG_MAX_LABEL];

    if (method == NULL || !sg_of_read(e->r, e->map, e->path, method, &e->of)) {
        return;
    }
    (void)snprintf(own, sizeof own, "%s%s%s", method->name, e->of.method != NULL ? "_of_" : "",
                   e->of.method != NULL ? e->of.method->name : "");
    (void)snprintf(base, sizeof base, "%s%s%s", as, as[0] != '\0' && !is_one ? "-" : "",
                   as[0] != '\0' && is_one ? "" : own);
    if (e->map != NULL) {
        const int n_problems = e->r->n_problems;

        refuse_unused(e, sg_instance_keys, e->map, e->path, method);
        refuse_space(e);
        if (n_problems != e->r->n_problems) {
            return;
        }
    }
    add_expanded(e, method, name, base);
}

/* `names` is one name or a list of names. */
static void add_names(struct entry *e, const struct sg_node *names, const char *as) {
    if (names->kind != SG_NODE_LIST) {
        add_named(e, names, as, 1);
        return;
    }
    if (names->n == 0) {
        sg_problem(e->r, &names->at, e->path, "is an empty list");
    }
    for (int i = 0; i < names->n; i++) {
        add_named(e, names->children[i], as, 0);
    }
}

static void add_entry(struct entry *e, const struct sg_node *node) {
    const struct sg_node *method;
    const char *as;

    if (node->kind != SG_NODE_MAP) {
        e->map = NULL;
        add_names(e, node, "");
        return;
    }
    e->map = node;
    method = sg_node_find(node, "method");
    if (method == NULL) {
        struct sg_params params = e->draft->defaults;

        sg_read_map(e->r, sg_instance_keys, node, e->path, 0, &params);
        return;
    }
    as = read_as(e);
    if (as != NULL) {
        add_names(e, method, as);
    }
}

void sg_read_methods(struct sg_reader *r, const struct sg_node *node, const char *path, void *at) {
    struct entry *e;

    if (node->kind != SG_NODE_LIST || node->n == 0) {
        sg_problem(r, &node->at, path, "must be a list of methods, like [gradient, smoothgrad]");
        return;
    }
    e = sg_calloc(1, sizeof *e);
    r->out_of_memory |= e == NULL;
    for (int i = 0; e != NULL && i < node->n; i++) {
        e->r = r;
        e->draft = at;
        (void)snprintf(e->path, sizeof e->path, "%s[%d]", path, i);
        add_entry(e, node->children[i]);
    }
    sg_free(e);
}
