/* src/job/layer.c - tensors by name: the key `layer`, and what the job asks of its model. */
#include "job_impl.h"

#include "sgdist/memory.h"

#include <string.h>

int sg_read_tensor(struct sg_reader *r, const struct sg_node *node, const char *path, char *out) {
    if (node->kind != SG_NODE_SCALAR || node->text[0] == '\0') {
        sg_problem(r, &node->at, path, "must be the name of a tensor (sgdist info lists them)");
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

sg_status sg_job_list_tensors(struct sg_job *job) {
    sg_status status = SG_OK;

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
