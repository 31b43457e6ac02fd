/* src/job/yaml.c - from YAML to a tree, through libyaml's events.
 *
 * libyaml has no limits of its own and takes quadratic time on deep nesting, so depth and size are
 * limited here, where a text is refused before the parser has gone through it. A job needs none of
 * anchors, tags and several documents; without them what is written is what is meant. */
#include "job_impl.h"

#include "sgdist/memory.h"

#include <string.h>
#include <yaml.h>

struct builder {
    const char *file;
    const char *set;
    const char *text; /* n bytes, not terminated */
    size_t n;
    struct sg_node *root;
    struct sg_node *open[SG_JOB_MAX_DEPTH]; /* lists and maps that have begun, outermost first */
    int depth;
    int n_documents;
    char *key; /* read, its value is still to come */
    struct sg_place key_at;
};

const char *sg_place_text(const struct sg_place *at, const char *file, char *buf, size_t cap) {
    if (at->set != NULL) {
        (void)snprintf(buf, cap, "--set %s", at->set);
    } else if (at->line > 0) {
        (void)snprintf(buf, cap, "%s:%d:%d", file, at->line, at->column);
    } else {
        (void)snprintf(buf, cap, "%s", file);
    }
    return buf;
}

static struct sg_place place_of(const struct builder *b, const yaml_mark_t *mark) {
    return (struct sg_place){
        .set = b->set, .line = (int)mark->line + 1, .column = (int)mark->column + 1};
}

static sg_status refuse(const struct builder *b, const struct sg_place *at, const char *what) {
    char place[256];

    return sg_fail(SG_E_JOB, __FILE__, __LINE__, "%s: %s",
                   sg_place_text(at, b->file, place, sizeof place), what);
}

/* 1 if there is a tab in the line (counted from 0). */
static int line_has_tab(const struct builder *b, size_t line) {
    for (size_t i = 0; i < b->n && line != SIZE_MAX; i++) {
        if (line == 0 && b->text[i] == '\t') {
            return 1;
        }
        line -= b->text[i] == '\n';
    }
    return 0;
}

static sg_status syntax_error(const struct builder *b, const yaml_parser_t *p) {
    const struct sg_place at = place_of(b, &p->problem_mark);
    const char *problem = p->problem != NULL ? p->problem : "unreadable text";
    char place[256];
    char what[256];

    if (p->error == YAML_MEMORY_ERROR) {
        return sg_fail(SG_E_NOMEM, __FILE__, __LINE__, "no memory for the job");
    }
    (void)sg_place_text(&at, b->file, place, sizeof place);
    if (p->error == YAML_READER_ERROR) { /* it has no line, only an offset */
        return sg_fail(SG_E_JOB, __FILE__, __LINE__,
                       "%s: byte %zu: not a text in UTF-8 without control characters (%s)",
                       b->set != NULL ? place : b->file, p->problem_offset, problem);
    }
    (void)snprintf(what, sizeof what, "not YAML: %s%s%s", problem, p->context != NULL ? ", " : "",
                   p->context != NULL ? p->context : "");
    if (p->context != NULL && p->context_mark.line != p->problem_mark.line) {
        const size_t n = strlen(what);

        (void)snprintf(what + n, sizeof what - n, " that begins in line %zu",
                       p->context_mark.line + 1);
    }
    return sg_fail(SG_E_JOB, __FILE__, __LINE__, "%s: %s%s", place, what,
                   line_has_tab(b, p->problem_mark.line)
                       ? "; there is a tab in this line: indent with spaces"
                       : "");
}

/* Hangs the node below the innermost open one; it is the tree's from here. */
static sg_status attach(struct builder *b, struct sg_node *node) {
    sg_status status = SG_OK;

    if (b->depth == 0) {
        b->root = node;
        return SG_OK;
    }
    if (b->open[b->depth - 1]->kind == SG_NODE_MAP) {
        node->key = b->key;
        node->key_at = b->key_at;
        b->key = NULL;
    }
    SG_TRY(sg_node_append(b->open[b->depth - 1], node));
done:
    return status;
}

static int wants_key(const struct builder *b) {
    return b->depth > 0 && b->open[b->depth - 1]->kind == SG_NODE_MAP && b->key == NULL;
}

static sg_status on_key(struct builder *b, const char *key, const struct sg_place *at) {
    sg_status status = SG_OK;
    const struct sg_node *map = b->open[b->depth - 1];
    const struct sg_node *earlier = sg_node_find(map, key);
    char place[256];
    char first[256];

    SG_CHECK(earlier == NULL, SG_E_JOB, "%s: %s: this key stands twice in its map, first at %s",
             sg_place_text(at, b->file, place, sizeof place), key,
             sg_place_text(&earlier->key_at, b->file, first, sizeof first));
    SG_CHECK(map->n < SG_JOB_MAX_KEYS, SG_E_JOB, "%s: more than %d keys in one map",
             sg_place_text(at, b->file, place, sizeof place), SG_JOB_MAX_KEYS);
    b->key = sg_strdup(key);
    b->key_at = *at;
    SG_CHECK(b->key != NULL, SG_E_NOMEM, "no memory for the job");
done:
    return status;
}

static sg_status on_scalar(struct builder *b, const yaml_event_t *e, const struct sg_place *at) {
    sg_status status = SG_OK;
    const char *value = (const char *)e->data.scalar.value;
    struct sg_node *node = NULL;

    if (strlen(value) != e->data.scalar.length) {
        return refuse(b, at, "a character with the code 0 in a text");
    }
    if (wants_key(b)) {
        return on_key(b, value, at);
    }
    SG_TRY(sg_node_create(SG_NODE_SCALAR, at, &node));
    node->is_quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    node->text = sg_strdup(value);
    SG_CHECK(node->text != NULL, SG_E_NOMEM, "no memory for the job");
    status = attach(b, node);
    node = NULL;
done:
    sg_node_destroy(node);
    return status;
}

static sg_status on_begin(struct builder *b, enum sg_node_kind kind, const struct sg_place *at) {
    sg_status status = SG_OK;
    struct sg_node *node = NULL;

    if (b->depth == SG_JOB_MAX_DEPTH) {
        return refuse(b, at, "lists and maps are nested more than 64 deep");
    }
    if (wants_key(b)) {
        return refuse(b, at, "a key must be a word, not a list or a map");
    }
    SG_TRY(sg_node_create(kind, at, &node));
    SG_TRY(attach(b, node));
    b->open[b->depth++] = node;
done:
    return status;
}

static sg_status on_document(struct builder *b, const struct sg_place *at) {
    if (b->n_documents++ > 0) {
        return refuse(b, at, "a second document begins here; a job is one document");
    }
    return SG_OK;
}

/* Anchors and tags hang on three kinds of events. */
static void decoration(const yaml_event_t *e, const yaml_char_t **anchor, const yaml_char_t **tag) {
    switch (e->type) {
    case YAML_SCALAR_EVENT:
        *anchor = e->data.scalar.anchor;
        *tag = e->data.scalar.tag;
        break;
    case YAML_SEQUENCE_START_EVENT:
        *anchor = e->data.sequence_start.anchor;
        *tag = e->data.sequence_start.tag;
        break;
    case YAML_MAPPING_START_EVENT:
        *anchor = e->data.mapping_start.anchor;
        *tag = e->data.mapping_start.tag;
        break;
    default:
        break;
    }
}

static sg_status on_event(struct builder *b, const yaml_event_t *e) {
    const struct sg_place at = place_of(b, &e->start_mark);
    const yaml_char_t *anchor = NULL;
    const yaml_char_t *tag = NULL;

    decoration(e, &anchor, &tag);
    if (anchor != NULL || e->type == YAML_ALIAS_EVENT) {
        return refuse(b, &at,
                      "anchors (&name) and aliases (*name) are not allowed in a job; write the "
                      "value out, or quote a text that begins with & or *");
    }
    if (tag != NULL) {
        return refuse(b, &at,
                      "tags (!name) are not allowed in a job; quote a text that begins with !");
    }
    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        return on_document(b, &at);
    case YAML_SCALAR_EVENT:
        return on_scalar(b, e, &at);
    case YAML_SEQUENCE_START_EVENT:
        return on_begin(b, SG_NODE_LIST, &at);
    case YAML_MAPPING_START_EVENT:
        return on_begin(b, SG_NODE_MAP, &at);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        b->depth--;
        return SG_OK;
    default:
        return SG_OK;
    }
}

sg_status sg_yaml_parse(const char *text, size_t n, const char *file, const char *set,
                        struct sg_node **out) {
    sg_status status = SG_OK;
    struct builder b = {.file = file, .set = set, .text = text, .n = n};
    yaml_parser_t parser;
    int has_parser = 0;

    SG_CHECK(n <= SG_JOB_MAX_BYTES, SG_E_JOB, "%s: more than 1 MiB; a job is a short text", file);
    has_parser = yaml_parser_initialize(&parser);
    SG_CHECK(has_parser, SG_E_NOMEM, "no memory for the job");
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, n);
    for (int is_done = 0; !is_done;) {
        yaml_event_t event;

        if (!yaml_parser_parse(&parser, &event)) {
            SG_TRY(syntax_error(&b, &parser));
        }
        is_done = event.type == YAML_STREAM_END_EVENT;
        status = on_event(&b, &event);
        yaml_event_delete(&event);
        SG_TRY(status);
    }
    *out = b.root;
    b.root = NULL;
done:
    sg_free(b.key);
    sg_node_destroy(b.root);
    if (has_parser) {
        yaml_parser_delete(&parser);
    }
    return status;
}
