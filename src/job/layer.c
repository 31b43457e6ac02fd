/* src/job/layer.c - the key `layer`: which tensor an instance reads. */
#include "job_impl.h"

#include "sgdist/memory.h"

#include <string.h>

void sg_read_layer(struct sg_reader *r, const struct sg_node *node, const char *path, void *at) {
    struct sg_probing *p = at;

    if (node->kind != SG_NODE_SCALAR || node->text[0] == '\0') {
        sg_problem(r, &node->at, path, "must be the name of a tensor (sgdist info lists them)");
    } else if (strlen(node->text) > SG_MAX_TENSOR) {
        sg_problem(r, &node->at, path, "names of more than %d bytes are not supported",
                   SG_MAX_TENSOR);
    } else {
        memset(p->layer, 0, sizeof p->layer);
        memcpy(p->layer, node->text, strlen(node->text));
    }
}

int sg_echo_layer(struct sg_text *t, const void *at) {
    const struct sg_probing *p = at;

    sg_text_add(t, "%s", p->layer);
    return p->layer[0] != '\0';
}

static int is_listed(const struct sg_job *job, const char *layer) {
    for (int i = 0; i < job->n_layers; i++) {
        if (strcmp(job->layers[i], layer) == 0) {
            return 1;
        }
    }
    return 0;
}

sg_status sg_job_list_layers(struct sg_job *job) {
    sg_status status = SG_OK;

    job->layers = sg_calloc((size_t)job->n_instances, sizeof(const char *));
    SG_CHECK(job->layers != NULL, SG_E_NOMEM, "%s: no memory for the job", job->file);
    for (int i = 0; i < job->n_instances; i++) {
        const char *layer = job->instances[i].params.probing.layer;

        if (layer[0] != '\0' && !is_listed(job, layer)) {
            job->layers[job->n_layers++] = layer;
        }
    }
done:
    return status;
}
