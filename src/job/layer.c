/* src/job/layer.c - tensors by name: the key `layer`, what the job asks of its model, and the files
 * that it names for baselines. */
#include "job_impl.h"

#include "sgdist/memory.h"

#include <string.h>

int sg_read_tensor(struct sg_reader *r, const struct sg_node *node, const char *path, char *out) {
    if (node->kind != SG_NODE_SCALAR || node->text[0] == '\0') {
        sg_problem(r, &node->at, path,
                   "must be the name of a tensor (`sgdist info --layers` lists them)");
        return 0;
    }
    if (strlen(node->text) > SG_MAX_TENSOR) {
        sg_problem(r, &node->at, path, "names of more than %d bytes are not supported",
                   SG_MAX_TENSOR);
        return 0;
    }
    memset(out, 0, SG_MAX_TENSOR + 1);
    memcpy(out, node->text, strlen(node->text));
    return 1;
}

void sg_read_layer(struct sg_reader *r, const struct sg_node *node, const char *path, void *at) {
    (void)sg_read_tensor(r, node, path, ((struct sg_probing *)at)->layer);
}

int sg_echo_layer(struct sg_text *t, const void *at) {
    const struct sg_probing *p = at;

    sg_text_add(t, "%s", p->layer);
    return p->layer[0] != '\0';
}

/* Adds a name that is not there yet. */
static void add_once(const char **list, int *n, const char *name) {
    for (int i = 0; i < *n; i++) {
        if (strcmp(list[i], name) == 0) {
            return;
        }
    }
    list[(*n)++] = name;
}

/* The echo with the lines "methods.LABEL.layer: auto" naming `layer`. */
static char *echo_with(const char *echo, const char *layer) {
    static const char end[] = ".layer: " SG_LAYER_AUTO;
    const size_t n_end = strlen(end);
    struct sg_text t = {0};
    char *out;

    while (*echo != '\0') {
        const size_t n = strcspn(echo, "\n");
        const int is_auto = n > n_end && strncmp(echo, "methods.", strlen("methods.")) == 0 &&
                            strncmp(echo + n - n_end, end, n_end) == 0;

        sg_text_add(&t, "%.*s", (int)(is_auto ? n - strlen(SG_LAYER_AUTO) : n), echo);
        sg_text_add(&t, "%s%s", is_auto ? layer : "", echo[n] == '\n' ? "\n" : "");
        echo += n + (echo[n] == '\n');
    }
    out = t.failed ? NULL : sg_strdup(t.data != NULL ? t.data : "");
    sg_text_free(&t);
    return out;
}

sg_status sg_job_name_layers(struct sg_job *job, const struct sg_signature *model) {
    sg_status status = SG_OK;
    const char *found = NULL;
    char *echo = NULL;

    for (int i = 0; i < job->n_layers; i++) {
        found = strcmp(job->layers[i], SG_LAYER_AUTO) == 0 ? model->layers[i].name : found;
    }
    if (found == NULL) {
        return SG_OK;
    }
    SG_CHECK(strlen(found) <= SG_MAX_TENSOR, SG_E_JOB,
             "%s: methods: layer: auto finds a tensor whose name has more than %d bytes; name "
             "another layer",
             job->file, SG_MAX_TENSOR);
    echo = echo_with(job->echo, found);
    SG_CHECK(echo != NULL, SG_E_NOMEM, "%s: no memory for the job", job->file);
    for (int i = 0; i < job->n_instances; i++) {
        char *layer = job->instances[i].params.probing.layer;

        if (strcmp(layer, SG_LAYER_AUTO) == 0) {
            memset(layer, 0, SG_MAX_TENSOR + 1);
            memcpy(layer, found, strlen(found));
        }
    }
    sg_free(job->echo);
    job->echo = echo;
done:
    return status;
}

static sg_status list_baselines(struct sg_job *job) {
    sg_status status = SG_OK;

    job->baseline_files =
        sg_calloc((size_t)job->n_instances * SG_MAX_BASELINES + 1, sizeof(const char *));
    SG_CHECK(job->baseline_files != NULL, SG_E_NOMEM, "%s: no memory for the job", job->file);
    for (int i = 0; i < job->n_instances; i++) {
        const struct sg_path *path = &job->instances[i].params.probing.path;

        for (int b = 0; b < path->n_baselines; b++) {
            if (path->baselines[b].kind == SG_BASELINE_FILE) {
                add_once(job->baseline_files, &job->n_baseline_files, path->baselines[b].file);
            }
        }
    }
done:
    return status;
}

sg_status sg_job_list_tensors(struct sg_job *job) {
    sg_status status = SG_OK;

    SG_TRY(list_baselines(job));
    job->tensors = sg_calloc((size_t)job->n_targets + 1, sizeof(const char *));
    job->layers = sg_calloc((size_t)job->n_instances, sizeof(const char *));
    SG_CHECK(job->tensors != NULL && job->layers != NULL, SG_E_NOMEM, "%s: no memory for the job",
             job->file);
    add_once(job->tensors, &job->n_tensors, job->tensor);
    for (int64_t i = 0; i < job->n_targets; i++) {
        if (job->targets[i].output[0] != '\0') {
            add_once(job->tensors, &job->n_tensors, job->targets[i].output);
        }
    }
    for (int i = 0; i < job->n_instances; i++) {
        const char *layer = job->instances[i].params.probing.layer;

        if (layer[0] != '\0') {
            add_once(job->layers, &job->n_layers, layer);
        }
    }
done:
    return status;
}
