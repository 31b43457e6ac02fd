/* src/cli/labels.c - the methods of a study, from its identity. */
#include "cli/labels.h"

#include "sgdist/memory.h"

#include <string.h>

/* The value of the line "methods: a, b, c", or NULL. */
static const char *find_line(const char *identity) {
    static const char key[] = "methods: ";
    const char *line = identity;

    while (line != NULL && strncmp(line, key, strlen(key)) != 0) {
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    return line != NULL ? line + strlen(key) : NULL;
}

sg_status sg_labels_read(const char *identity, struct sg_labels *out) {
    sg_status status = SG_OK;
    struct sg_labels l = {.n = 0};
    const char *line = find_line(identity);
    const size_t length = line != NULL ? strcspn(line, "\n") : 0;
    char *rest = NULL;

    l.text = sg_calloc(length + 1, 1);
    l.names = sg_calloc(length + 1, sizeof *l.names); /* a label has at least a letter */
    SG_CHECK(l.text != NULL && l.names != NULL, SG_E_NOMEM, "no memory for the list of methods");
    if (line != NULL) {
        memcpy(l.text, line, length);
    }
    for (char *w = strtok_r(l.text, ", ", &rest); w != NULL; w = strtok_r(NULL, ", ", &rest)) {
        l.names[l.n++] = w;
    }
    *out = l;
    l = (struct sg_labels){0};
done:
    sg_labels_free(&l);
    return status;
}

void sg_labels_free(struct sg_labels *l) {
    sg_free(l->text);
    sg_free(l->names);
    *l = (struct sg_labels){0};
}
