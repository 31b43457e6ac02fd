/* src/job/target.c - the key `target`: one score, or a list of scores that are explained.
 *
 * predicted | label | {class: K} | {top: K} | {classes: [..]} | {element: [..]}, with output, box,
 * region and reduce in the same map, or a list of these; or {from: other.h5} alone. */
#include "job_impl.h"

#include "sgdist/memory.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum { MAX_TARGETS = 10000 };

static const char *const words_region[] = {"all", "predicted", NULL};
static const char *const words_reduce[] = {"sum", "mean", "max", NULL};

/* One map of the list; `top` and `classes` make several targets of it. */
struct entry {
    struct sg_target target;
    int64_t top;
    int n_classes;
    int64_t *classes;
    char *from;
};

static void read_output(struct sg_reader *r, const struct sg_node *node, const char *path,
                        void *at) {
    (void)sg_read_tensor(r, node, path, at);
}

static void read_class(struct sg_reader *r, const struct sg_node *node, const char *path,
                       void *at) {
    struct entry *e = at;

    e->target.choice = SG_CHOICE_CLASS;
    if (node->kind == SG_NODE_SCALAR && strcmp(node->text, "predicted") == 0) {
        e->target.choice = SG_CHOICE_RANK;
    } else if (node->kind == SG_NODE_SCALAR && strcmp(node->text, "label") == 0) {
        e->target.choice = SG_CHOICE_LABEL;
    } else {
        (void)sg_read_int(r, node, path, 0, INT32_MAX, &e->target.number);
    }
}

static void read_classes(struct sg_reader *r, const struct sg_node *node, const char *path,
                         void *at) {
    struct entry *e = at;

    e->target.choice = SG_CHOICE_CLASS;
    e->classes = sg_calloc(MAX_TARGETS, sizeof e->classes[0]);
    r->out_of_memory |= e->classes == NULL;
    if (e->classes != NULL) {
        e->n_classes = sg_read_numbers(r, node, path, MAX_TARGETS, e->classes);
    }
}

/* A box of one position, and the class of the first index. */
static void read_element(struct sg_reader *r, const struct sg_node *node, const char *path,
                         void *at) {
    struct entry *e = at;
    int64_t index[SG_MAX_AXES];
    const int n = sg_read_numbers(r, node, path, SG_MAX_AXES, index);

    e->target.choice = SG_CHOICE_CLASS;
    e->target.n_element = n;
    e->target.n_box = n > 1 ? n - 1 : 0;
    e->target.number = n > 0 ? index[0] : 0;
    for (int i = 0; i < e->target.n_box; i++) {
        e->target.box[i] = index[i + 1];
        e->target.box[e->target.n_box + i] = index[i + 1] + 1;
    }
}

static void read_box(struct sg_reader *r, const struct sg_node *node, const char *path, void *at) {
    struct entry *e = at;

    e->target.n_box = sg_read_box(r, node, path, SG_MAX_BOX_AXES, e->target.box);
}

static int echo_nothing(struct sg_text *t, const void *at) {
    (void)t;
    (void)at;
    return 0;
}

#define CUSTOM(name_, verb)                                                                        \
    .name = name_, .kind = SG_KIND_CUSTOM, .read = read_##verb, .echo = echo_nothing
#define WORD(name_, list) .name = name_, .kind = SG_KIND_WORD, .words = list

static const struct sg_key target_keys[] = {
    {CUSTOM("output", output), .offset = offsetof(struct entry, target.output)},
    {CUSTOM("class", class)},
    {CUSTOM("channel", class), .excludes = "class"},
    {.name = "top",
     .kind = SG_KIND_INT,
     .offset = offsetof(struct entry, top),
     .min = 1,
     .max = MAX_TARGETS,
     .excludes = "class"},
    {CUSTOM("classes", classes), .excludes = "top"},
    {.name = "from", .kind = SG_KIND_FILE, .offset = offsetof(struct entry, from)},
    {CUSTOM("element", element), .excludes = "box"},
    {CUSTOM("box", box)},
    {WORD("region", words_region), .offset = offsetof(struct entry, target.region),
     .fallback = "all", .excludes = "element"},
    {WORD("reduce", words_reduce), .offset = offsetof(struct entry, target.reduce),
     .fallback = "sum", .excludes = "element"},
    {0}};

static const char *const choices[] = {"class", "channel", "top", "classes", "element"};

/* At most one of the keys that choose. */
static int has_one_choice(struct sg_reader *r, const struct sg_node *node, const char *path) {
    const struct sg_node *first = NULL;

    for (size_t i = 0; i < sizeof choices / sizeof choices[0]; i++) {
        const struct sg_node *at = sg_node_find(node, choices[i]);

        if (at != NULL && first != NULL) {
            sg_problem(r, &at->key_at, path, "'%s' cannot stand beside '%s'; leave one of them out",
                       at->key, first->key);
            return 0;
        }
        first = at != NULL ? at : first;
    }
    return 1;
}

/* ---- as text ---- */

static void add_list(struct sg_text *t, const int64_t *v, int n) {
    sg_text_add(t, "[");
    for (int i = 0; i < n; i++) {
        sg_text_add(t, "%s%lld", i > 0 ? ", " : "", (long long)v[i]);
    }
    sg_text_add(t, "]");
}

static void add_choice(struct sg_text *t, const struct sg_target *target) {
    if (target->choice == SG_CHOICE_LABEL) {
        sg_text_add(t, "label");
    } else if (target->choice == SG_CHOICE_GIVEN) {
        sg_text_add(t, "given class");
    } else if (target->choice == SG_CHOICE_CLASS) {
        sg_text_add(t, "class %lld", (long long)target->number);
    } else if (target->number == 0) {
        sg_text_add(t, "predicted");
    } else {
        sg_text_add(t, "rank %lld", (long long)target->number + 1);
    }
}

/* What is not as in a vector of logits. */
static void add_place(struct sg_text *t, const struct sg_target *target) {
    if (target->output[0] != '\0') {
        sg_text_add(t, " of %s", target->output);
    }
    if (target->n_element > 1) {
        sg_text_add(t, " at ");
        add_list(t, target->box, target->n_box);
    } else if (target->n_box > 0) {
        sg_text_add(t, " in the box ");
        add_list(t, target->box, 2 * target->n_box);
    }
    if (target->region == SG_REGION_PREDICTED) {
        sg_text_add(t, " where it is predicted");
    }
    if (target->reduce != SG_REDUCE_SUM) {
        sg_text_add(t, " (%s)", words_reduce[target->reduce]);
    }
}

void sg_target_text(const struct sg_target *target, int has_classes, struct sg_text *t) {
    if (has_classes) {
        add_choice(t, target);
    } else {
        sg_text_add(t, "value");
    }
    add_place(t, target);
}

static void add_entry_text(struct sg_text *t, const struct entry *e) {
    sg_text_add(t, "%s", t->length > 0 ? "; " : "");
    if (e->top > 0) {
        sg_text_add(t, "top %lld", (long long)e->top);
    } else if (e->n_classes > 0) {
        sg_text_add(t, "classes ");
        add_list(t, e->classes, e->n_classes);
    } else {
        add_choice(t, &e->target);
    }
    add_place(t, &e->target);
}

int sg_echo_target(struct sg_text *t, const void *at) {
    const struct sg_job *job = at;

    sg_text_add(t, "%s", job->target_text);
    return 1;
}

sg_status sg_job_give_targets(struct sg_job *job, int64_t n_targets) {
    sg_status status = SG_OK;
    struct sg_target *targets = sg_calloc((size_t)n_targets, sizeof *targets);

    SG_CHECK(targets != NULL, SG_E_NOMEM, "%s: no memory for the job", job->file);
    for (int64_t i = 0; i < n_targets; i++) {
        targets[i] = job->targets[0];
        targets[i].number = i;
    }
    sg_free(job->targets);
    job->targets = targets;
    job->n_targets = n_targets;
done:
    return status;
}

int sg_job_uses_labels(const struct sg_job *job) {
    for (int64_t i = 0; i < job->n_targets; i++) {
        if (job->targets[i].choice == SG_CHOICE_LABEL) {
            return 1;
        }
    }
    return 0;
}

/* ---- the list ---- */

static void append(struct sg_reader *r, const struct sg_node *node, const char *path,
                   struct sg_job *job, const struct entry *e) {
    const int64_t n = e->top > 0 ? e->top : e->n_classes > 0 ? e->n_classes : 1;
    struct sg_target *grown;

    if (job->n_targets + n > MAX_TARGETS) {
        sg_problem(r, &node->at, path, "more than %d targets", MAX_TARGETS);
        return;
    }
    grown = sg_realloc(job->targets, (size_t)(job->n_targets + n), sizeof job->targets[0]);
    if (grown == NULL) {
        r->out_of_memory = 1;
        return;
    }
    job->targets = grown;
    for (int64_t i = 0; i < n; i++) {
        struct sg_target *t = &job->targets[job->n_targets++];

        *t = e->target;
        t->number = e->top > 0 ? i : e->n_classes > 0 ? e->classes[i] : t->number;
    }
}

static void read_word(struct sg_reader *r, const struct sg_node *node, const char *path,
                      struct entry *e) {
    const int is_label = node->kind == SG_NODE_SCALAR && strcmp(node->text, "label") == 0;
    const int is_known =
        is_label || (node->kind == SG_NODE_SCALAR && strcmp(node->text, "predicted") == 0);

    e->target.choice = is_label ? SG_CHOICE_LABEL : SG_CHOICE_RANK;
    if (!is_known) {
        sg_problem(
            r, &node->at, path,
            "must be one of predicted, label, {class: 207}, {top: 5}, {from: other.h5}%s%.60s%s",
            node->kind == SG_NODE_SCALAR ? ", not '" : "",
            node->kind == SG_NODE_SCALAR ? node->text : "",
            node->kind == SG_NODE_SCALAR ? "'" : "");
    }
}

/* {from: ..} is the only target; how many it stands for is in the file. */
static void settle_from(struct sg_reader *r, const struct sg_node *node, const char *path,
                        struct sg_job *job, struct entry *e) {
    if (e->from == NULL) {
        return;
    }
    if (node->n > 1) {
        sg_problem(r, &node->at, path, "from cannot stand beside another key");
    }
    e->target.choice = SG_CHOICE_GIVEN;
    job->target_file = e->from;
    e->from = NULL;
}

static void read_entry(struct sg_reader *r, const struct sg_node *node, const char *path,
                       struct sg_job *job, struct sg_text *text) {
    const int n_problems = r->n_problems;
    struct entry e = {.top = 0};

    if (node->kind != SG_NODE_MAP) {
        read_word(r, node, path, &e);
    } else if (node->n == 0) {
        sg_problem(
            r, &node->at, path,
            "needs a class, a top or a result, like {class: 207}, {top: 5} or {from: other.h5}");
    } else {
        sg_read_map(r, target_keys, node, path, 0, &e);
        if (n_problems == r->n_problems) {
            (void)has_one_choice(r, node, path);
            settle_from(r, node, path, job, &e);
        }
    }
    if (n_problems == r->n_problems) {
        append(r, node, path, job, &e);
        if (job->target_file != NULL) {
            sg_text_add(text, "from %s", sg_base_name(job->target_file));
        } else {
            add_entry_text(text, &e);
        }
    }
    sg_free(e.classes);
    sg_free(e.from);
}

void sg_read_target(struct sg_reader *r, const struct sg_node *node, const char *path, void *at) {
    struct sg_job *job = at; /* the first member of a draft */
    struct sg_text text = {0};

    if (node->kind != SG_NODE_LIST) {
        read_entry(r, node, path, job, &text);
    } else if (sg_is_list(r, node, path, 1, MAX_TARGETS)) {
        for (int i = 0; i < node->n; i++) {
            read_entry(r, node->children[i], path, job, &text);
        }
        if (job->target_file != NULL) {
            sg_problem(r, &node->at, path, "from cannot stand in a list");
        }
    }
    job->target_text = sg_strdup(text.data != NULL ? text.data : "");
    r->out_of_memory |= text.failed || job->target_text == NULL;
    sg_text_free(&text);
}
