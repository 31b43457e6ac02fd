/* src/job/scalars.c - single values: numbers, words, texts, files. */
#include "job_impl.h"

#include "sgdist/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const char *sg_number_text(double v, char *buf, size_t cap) {
    for (int digits = 1; digits <= 17; digits++) {
        (void)snprintf(buf, cap, "%.*g", digits, v);
        if (strtod(buf, NULL) == v) {
            break;
        }
    }
    /* 50, not 5e+01: whole numbers of up to 15 digits are written out. */
    if (fabs(v) < 1e15 && floor(v) == v) {
        (void)snprintf(buf, cap, "%.0f", v == 0.0 ? 0.0 : v);
    }
    return buf;
}

static int is_scalar(struct sg_reader *r, const struct sg_node *node, const char *path,
                     const char *wanted) {
    if (node->kind != SG_NODE_SCALAR) {
        sg_problem(r, &node->at, path, "must be %s, not a %s", wanted,
                   node->kind == SG_NODE_LIST ? "list" : "map");
    }
    return node->kind == SG_NODE_SCALAR;
}

int sg_is_list(struct sg_reader *r, const struct sg_node *node, const char *path, int min,
               int max) {
    if (node->kind != SG_NODE_LIST) {
        sg_problem(r, &node->at, path, "must be a list, like [1, 2]");
        return 0;
    }
    if (min == max && node->n != min) {
        sg_problem(r, &node->at, path, "must have %d entries, not %d", min, node->n);
    } else if (node->n < min || node->n > max) {
        sg_problem(r, &node->at, path, "must have %d to %d entries, not %d", min, max, node->n);
    }
    return node->n >= min && node->n <= max;
}

/* Whole numbers may be written as 1e6, too. */
static int to_int(const char *text, int64_t *out) {
    double v;

    if (sg_text_to_int(text, out) == SG_OK) {
        return 1;
    }
    if (sg_text_to_double(text, &v) != SG_OK || floor(v) != v || fabs(v) > 9e15) {
        return 0;
    }
    *out = (int64_t)v;
    return 1;
}

int sg_read_int(struct sg_reader *r, const struct sg_node *node, const char *path, int64_t min,
                int64_t max, int64_t *out) {
    int64_t v = 0;
    char range[64];

    if (!is_scalar(r, node, path, "a whole number")) {
        return 0;
    }
    (void)snprintf(range, sizeof range, max < INT64_MAX - 1 ? "from %lld to %lld" : "at least %lld",
                   (long long)min, (long long)max);
    if (node->is_quoted || !to_int(node->text, &v)) {
        sg_problem(r, &node->at, path, "'%.60s' is not a whole number; it must be %s%s", node->text,
                   range, node->is_quoted ? ", without quotes" : "");
        return 0;
    }
    if (v < min || v > max) {
        sg_problem(r, &node->at, path, "must be %s, not %lld", range, (long long)v);
        return 0;
    }
    *out = v;
    return 1;
}

static void range_text(const struct sg_key *key, char *buf, size_t cap) {
    const char *above = (key->flags & SG_KEY_ABOVE) != 0 ? "greater than" : "at least";
    const char *below = (key->flags & SG_KEY_BELOW) != 0 ? "less than" : "at most";

    if (isinf(key->low) && isinf(key->high)) {
        (void)snprintf(buf, cap, "any number");
    } else if (isinf(key->high)) {
        (void)snprintf(buf, cap, "%s %g", above, key->low);
    } else {
        (void)snprintf(buf, cap, "%s %g and %s %g", above, key->low, below, key->high);
    }
}

static int in_range(const struct sg_key *key, double v) {
    const int is_above = (key->flags & SG_KEY_ABOVE) != 0 ? v > key->low : v >= key->low;
    const int is_below = (key->flags & SG_KEY_BELOW) != 0 ? v < key->high : v <= key->high;

    return is_above && is_below;
}

int sg_read_number(struct sg_reader *r, const struct sg_key *key, const struct sg_node *node,
                   const char *path, double *out) {
    double v = 0.0;
    char range[80];

    if (!is_scalar(r, node, path, "a number")) {
        return 0;
    }
    range_text(key, range, sizeof range);
    if (node->is_quoted || sg_text_to_double(node->text, &v) != SG_OK) {
        sg_problem(r, &node->at, path, "'%.60s' is not a number; it must be %s%s", node->text,
                   range, node->is_quoted ? ", without quotes" : "");
        return 0;
    }
    if (!in_range(key, v)) {
        sg_problem(r, &node->at, path, "must be %s, not %.60s", range, node->text);
        return 0;
    }
    *out = v;
    return 1;
}

static void read_word(struct sg_reader *r, const struct sg_key *key, const struct sg_node *node,
                      const char *path, void *at) {
    char allowed[200] = "";
    size_t used = 0;
    int64_t n = 0;
    const char *near;

    if (!is_scalar(r, node, path, "a word")) {
        return;
    }
    for (; key->words[n] != NULL; n++) {
        if (strcmp(key->words[n], node->text) == 0) {
            const int32_t v = (int32_t)n;

            memcpy(at, &v, sizeof v);
            return;
        }
        used += (size_t)snprintf(allowed + used, sizeof allowed - used, "%s%s", n > 0 ? ", " : "",
                                 key->words[n]);
    }
    near = sg_text_nearest(node->text, key->words, n);
    sg_problem(r, &node->at, path, "'%.60s' is not allowed;%s%s%s allowed: %s", node->text,
               near != NULL ? " did you mean '" : "", near != NULL ? near : "",
               near != NULL ? "'?" : "", allowed);
}

static void keep(struct sg_reader *r, char *text, char **out) {
    r->out_of_memory |= text == NULL;
    sg_free(*out);
    *out = text;
}

static int is_text(struct sg_reader *r, const struct sg_node *node, const char *path) {
    if (!is_scalar(r, node, path, "a text")) {
        return 0;
    }
    for (const unsigned char *c = (const unsigned char *)node->text; *c != '\0'; c++) {
        if (*c < ' ' || *c == 0x7f) {
            sg_problem(r, &node->at, path, "has a line break or another control character");
            return 0;
        }
    }
    if (node->text[0] == '\0') {
        sg_problem(r, &node->at, path, "must not be empty");
        return 0;
    }
    return 1;
}

static void check_file(struct sg_reader *r, const struct sg_key *key, const struct sg_node *node,
                       const char *path, const char *file) {
    const int wants_folder = key->kind == SG_KIND_FOLDER;
    struct stat st;

    if (stat(file, &st) != 0) {
        sg_problem(r, &node->at, path, "%s: no such %s (relative paths start at the job file)",
                   file, wants_folder ? "folder" : "file");
    } else if (S_ISDIR(st.st_mode) != wants_folder) {
        sg_problem(r, &node->at, path, "%s: is %sa folder", file, wants_folder ? "not " : "");
    }
}

int sg_read_path(struct sg_reader *r, const struct sg_node *node, const char *path,
                 struct sg_text *out) {
    if (!is_text(r, node, path)) {
        return 0;
    }
    sg_text_add(out, "%s%s", node->text[0] == '/' ? "" : r->folder, node->text);
    return 1;
}

static void read_file(struct sg_reader *r, const struct sg_key *key, const struct sg_node *node,
                      const char *path, char **out) {
    struct sg_text full = {0};

    if (!sg_read_path(r, node, path, &full)) {
        return;
    }
    if (!full.failed && r->check_files) {
        check_file(r, key, node, path, full.data);
    }
    keep(r, full.failed ? NULL : sg_strdup(full.data), out);
    sg_text_free(&full);
}

void sg_read_value(struct sg_reader *r, const struct sg_key *key, const struct sg_node *node,
                   const char *path, void *at) {
    switch (key->kind) {
    case SG_KIND_INT:
        (void)sg_read_int(r, node, path, key->min, key->max, at);
        break;
    case SG_KIND_NUMBER:
        (void)sg_read_number(r, key, node, path, at);
        break;
    case SG_KIND_TEXT:
        if (is_text(r, node, path)) {
            keep(r, sg_strdup(node->text), at);
        }
        break;
    case SG_KIND_FILE:
    case SG_KIND_FOLDER:
        read_file(r, key, node, path, at);
        break;
    case SG_KIND_WORD:
        read_word(r, key, node, path, at);
        break;
    case SG_KIND_CUSTOM:
        key->read(r, node, path, at);
        break;
    case SG_KIND_MAP:
        break;
    }
}
