/* src/job/echo.c - the canonical text of a job: every key of its identity with its value, defaults
 * filled in, in the order of the table. Equal texts are the same study.
 *
 * Files stand by their last name: a study that moves to another disk stays the same. The runner
 * adds the hashes of the model and of the item list. */
#include "job_impl.h"

#include "sgdist/memory.h"

#include <string.h>

const char *sg_base_name(const char *path) {
    size_t n = strlen(path);

    while (n > 1 && path[n - 1] == '/') {
        n--;
    }
    while (n > 0 && path[n - 1] != '/') {
        n--;
    }
    return path + n;
}

static void add_text(struct sg_text *t, const struct sg_key *key, const void *at) {
    const char *text;

    memcpy(&text, at, sizeof text);
    sg_text_add(t, "%s",
                text == NULL                ? "none"
                : key->kind == SG_KIND_TEXT ? text
                                            : sg_base_name(text));
}

/* Adds the value; 0 if there is nothing to show. */
static int add_value(struct sg_text *t, const struct sg_key *key, const void *at) {
    int64_t i;
    int32_t word;
    double v;
    char buf[40];

    switch (key->kind) {
    case SG_KIND_INT:
        memcpy(&i, at, sizeof i);
        sg_text_add(t, "%lld", (long long)i);
        return 1;
    case SG_KIND_NUMBER:
        memcpy(&v, at, sizeof v);
        sg_text_add(t, "%s", sg_number_text(v, buf, sizeof buf));
        return 1;
    case SG_KIND_WORD:
        memcpy(&word, at, sizeof word);
        sg_text_add(t, "%s", key->words[word]);
        return 1;
    case SG_KIND_TEXT:
    case SG_KIND_FILE:
    case SG_KIND_FOLDER:
        add_text(t, key, at);
        return 1;
    case SG_KIND_CUSTOM:
        return key->echo(t, at);
    case SG_KIND_MAP:
        break;
    }
    return 0;
}

/* 0 for a text, path or number that the job does not give. */
static int is_given(const struct sg_key *key, const void *at) {
    const char *text;
    double v;

    if (key->kind == SG_KIND_NUMBER) {
        memcpy(&v, at, sizeof v);
        return v != 0.0;
    }
    memcpy(&text, at, sizeof text);
    return text != NULL;
}

/* A line that turns out to have no value is taken back. */
static void add_line(struct sg_text *t, const struct sg_key *key, const char *path,
                     const void *at) {
    const size_t before = t->length;

    if ((key->flags & SG_KEY_QUIET) != 0 && !is_given(key, at)) {
        return;
    }
    sg_text_add(t, "%s: ", path);
    if (add_value(t, key, at)) {
        sg_text_add(t, "\n");
    } else if (!t->failed) {
        t->length = before;
        t->data[before] = '\0';
    }
}

static void add_map(struct sg_text *t, const struct sg_key *keys, const char *path, unsigned uses,
                    const char *base) {
    char full[SG_JOB_MAX_PATH];

    for (const struct sg_key *k = keys; k->name != NULL; k++) {
        (void)sg_path_join(path, k->name, full, sizeof full);
        if ((k->flags & SG_KEY_LOCAL) != 0 || (k->uses != 0 && (k->uses & uses) == 0)) {
            continue;
        }
        if (k->kind == SG_KIND_MAP) {
            add_map(t, k->keys, full, uses, base + k->offset);
        } else {
            add_line(t, k, full, base + k->offset);
        }
    }
}

void sg_echo_params(struct sg_text *t, const char *path, const struct sg_instance *inst) {
    add_map(t, sg_instance_keys, path, sg_instance_uses(inst), (const char *)&inst->params);
}

void sg_echo_add(struct sg_text *t, const struct sg_draft *draft) {
    char path[SG_JOB_MAX_PATH];

    add_map(t, sg_job_keys, "", ~0u, (const char *)draft);
    for (int i = 0; i < draft->job.n_instances; i++) {
        const struct sg_instance *inst = &draft->job.instances[i];

        (void)sg_path_join("methods", inst->label, path, sizeof path);
        sg_text_add(t, "%s.method: %s\n", path, sg_instance_outer(inst)->name);
        if (sg_instance_inner(inst) != NULL) {
            sg_text_add(t, "%s.of: %s\n", path, sg_instance_inner(inst)->name);
        }
        sg_echo_params(t, path, inst);
    }
}

/* The line of `echo` with this key of n bytes, or NULL. */
static const char *find_line(const char *echo, const char *key, size_t n) {
    while (*echo != '\0') {
        const size_t length = strcspn(echo, "\n");

        if (length > n && strncmp(echo, key, n) == 0 && echo[n] == ':') {
            return echo;
        }
        echo += length + (echo[length] == '\n');
    }
    return NULL;
}

/* Bytes of the value behind "key: ", and where it begins; "(not there)" for no line. */
static int value_of(const char *line, size_t key_bytes, const char **value) {
    *value = line != NULL ? line + key_bytes + 1 : "(not there)";
    *value += **value == ' ';
    return (int)strcspn(*value, "\n");
}

void sg_echo_add_changes(const char *from, const char *to, struct sg_text *out) {
    const char *comma = ", but ";

    for (const char *line = to; *line != '\0';) {
        const int n = (int)strcspn(line, "\n");
        const char *other = find_line(from, line, strcspn(line, ":\n"));

        if (other == NULL || strcspn(other, "\n") != (size_t)n ||
            strncmp(other, line, (size_t)n) != 0) {
            sg_text_add(out, "%s%.*s", comma, n, line);
            comma = ", ";
        }
        line += n + (line[n] == '\n');
    }
}

/* "methods.x." of the line "methods.x.method: ..", with which each method begins; 0 of others. */
static size_t method_prefix(const char *line, size_t key) {
    static const char end[] = ".method";
    const size_t n = strlen(end);

    return strncmp(line, "methods.", strlen("methods.")) == 0 && key > n &&
                   strncmp(line + key - n, end, n) == 0
               ? key - n + 1
               : 0;
}

/* Keys of `from` that `to` has not, or (once, `changes`) has with another value. Of a method that
 * `to` has not at all its first line says enough. */
static int64_t compare(const char *from, const char *to, int changes, struct sg_text *out) {
    int64_t n = 0;
    const char *missing = from; /* begins the keys of a method that is missing */
    size_t n_missing = 0;

    for (const char *line = from; *line != '\0';) {
        const size_t key = strcspn(line, ":\n");
        const char *other = find_line(to, line, key);
        const size_t prefix = method_prefix(line, key);
        const int is_said = n_missing > 0 && strncmp(line, missing, n_missing) == 0;
        const char *a;
        const char *b;
        const int n_a = value_of(line, key, &a);
        const int n_b = value_of(other, key, &b);

        if (prefix > 0) {
            missing = line;
            n_missing = other == NULL ? prefix : 0;
        }
        if (!is_said &&
            (other == NULL || (changes && (n_a != n_b || strncmp(a, b, (size_t)n_a) != 0)))) {
            sg_text_add(out, "%.*s: %.*s -> %.*s\n", (int)key, line, changes ? n_a : n_b,
                        changes ? a : b, changes ? n_b : n_a, changes ? b : a);
            n++;
        }
        line += strcspn(line, "\n");
        line += *line == '\n';
    }
    return n;
}

int64_t sg_job_compare(const char *old_echo, const char *new_echo, struct sg_text *out) {
    const int64_t n = compare(old_echo, new_echo, 1, out);

    return n + compare(new_echo, old_echo, 0, out);
}
