/* src/job/source.c - where the items come from: exactly one of the sources, and its keys. */
#include "job_impl.h"

#include "sgdist/memory.h"

#include <string.h>

/* data.tar: a file or a pattern, or a list of them; kept as lines, which no path holds. */

void sg_read_tar(struct sg_reader *r, const struct sg_node *node, const char *path, void *at) {
    enum { MAX_FILES = 1 << 16 };
    struct sg_text lines = {0};
    char **out = at;
    int ok = node->kind == SG_NODE_SCALAR ? sg_read_path(r, node, path, &lines)
                                          : sg_is_list(r, node, path, 1, MAX_FILES);

    for (int i = 0; ok && node->kind == SG_NODE_LIST && i < node->n; i++) {
        sg_text_add(&lines, "%s", i > 0 ? "\n" : "");
        ok = sg_read_path(r, node->children[i], path, &lines);
    }
    if (ok) {
        *out = lines.failed ? NULL : sg_strdup(lines.data);
        r->out_of_memory |= *out == NULL;
    }
    sg_text_free(&lines);
}

int sg_echo_tar(struct sg_text *t, const void *at) {
    const char *text;

    memcpy(&text, at, sizeof text);
    while (text != NULL && *text != '\0') {
        const size_t n = strcspn(text, "\n");
        size_t start = n;

        while (start > 0 && text[start - 1] != '/') {
            start--;
        }
        sg_text_add(t, "%.*s%s", (int)(n - start), text + start, text[n] != '\0' ? ", " : "");
        text += n + (text[n] != '\0');
    }
    return text != NULL;
}

/* The sources that the job names: their number, and the last one. */
static int count_sources(const struct sg_draft *d, enum sg_source *last) {
    int n = 0;

    for (int s = 0; s < SG_SOURCE_COUNT; s++) {
        if (d->sources[s].path != NULL) {
            *last = (enum sg_source)s;
            n++;
        }
    }
    return n;
}

static void check_one_source(struct sg_reader *r, const struct sg_node *data,
                             const struct sg_draft *d) {
    struct sg_text names = {0};
    enum sg_source last = SG_SOURCE_FOLDER;
    const int n = count_sources(d, &last);
    const struct sg_node *node = sg_node_find(data, sg_source_name(last));

    for (int s = 0; s < SG_SOURCE_COUNT; s++) {
        const char *name = sg_source_name((enum sg_source)s);

        if (n == 0 || d->sources[s].path != NULL) {
            sg_text_add(&names, "%s'%s'", names.length > 0 ? ", " : "", name);
        }
        /* A source that was given wrongly has been complained of already. */
        if (n == 0 && sg_node_find(data, name) != NULL) {
            sg_text_free(&names);
            return;
        }
    }
    if (n == 0) {
        sg_problem(r, &data->key_at, "data", "one of %s must say where the items are",
                   names.data != NULL ? names.data : "");
    } else if (n > 1) {
        sg_problem(r, &node->key_at, "data",
                   "%s cannot stand beside each other: the items come from one of them",
                   names.data != NULL ? names.data : "");
    }
    sg_text_free(&names);
}

/* Keys that only some sources know. */
static void check_keys(struct sg_reader *r, const struct sg_node *root, const struct sg_node *data,
                       const struct sg_draft *d) {
    const struct sg_node *labels = sg_node_find(data, "labels");
    const struct sg_node *layout = sg_node_find(data, "layout");
    const struct sg_node *target = sg_node_find(root, "target");
    enum sg_source s = SG_SOURCE_FOLDER;
    const int known = count_sources(d, &s) == 1;
    const int has_file = s == SG_SOURCE_IDX || s == SG_SOURCE_NPY;
    const int has_array = s == SG_SOURCE_NPZ || s == SG_SOURCE_HDF5;

    if (known && !has_file && labels != NULL) {
        sg_problem(r, &labels->key_at, "data.labels",
                   "has a meaning only together with 'idx' or 'npy'%s",
                   has_array ? "; name the array of labels as 'labels' beside 'file'" : "");
    }
    if (known && !has_file && !has_array && layout != NULL) {
        sg_problem(r, &layout->key_at, "data.layout",
                   "is for arrays: it has a meaning only together with 'npy', 'npz', 'hdf5' or "
                   "'idx'");
    }
    if (known && d->job.target == SG_TARGET_LABEL &&
        ((has_file && d->job.data.labels == NULL) || (has_array && d->sources[s].labels == NULL))) {
        sg_problem(r, &target->key_at, "target", "label needs 'data.%s%slabels', %s",
                   has_array ? sg_source_name(s) : "", has_array ? "." : "",
                   has_array ? "the array of labels" : "a file of labels");
    }
}

void sg_source_check(struct sg_reader *r, const struct sg_node *root, const struct sg_draft *d) {
    const struct sg_node *data = sg_node_find(root, "data");

    if (data != NULL && data->kind == SG_NODE_MAP) {
        check_one_source(r, data, d);
        check_keys(r, root, data, d);
    }
}

/* One of the sources becomes the data's; where there are more the job is refused. */
void sg_source_settle(struct sg_draft *d) {
    struct sg_data_options *data = &d->job.data;

    (void)count_sources(d, &data->source);
    for (int s = 0; s < SG_SOURCE_COUNT; s++) {
        if ((enum sg_source)s != data->source) {
            sg_free(d->sources[s].path);
            sg_free(d->sources[s].array);
            sg_free(d->sources[s].labels);
        }
    }
    data->path = d->sources[data->source].path;
    data->array = d->sources[data->source].array;
    if (data->labels == NULL) {
        data->labels = d->sources[data->source].labels;
    } else {
        sg_free(d->sources[data->source].labels);
    }
}
