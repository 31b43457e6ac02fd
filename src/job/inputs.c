/* src/job/inputs.c - the key `model.inputs`: what the inputs are that do not change from item to
 * item, {name: 0.5} or {name: file.npy}. */
#include "job_impl.h"

#include "sgdist/memory.h"

#include <math.h>
#include <string.h>

static void read_one(struct sg_reader *r, const struct sg_node *node, const char *path,
                     struct sg_job_input *out) {
    static const struct sg_key file = {.kind = SG_KIND_FILE};
    char full[SG_JOB_MAX_PATH];

    (void)sg_path_join(path, node->key, full, sizeof full);
    if (strlen(node->key) > SG_MAX_TENSOR) {
        sg_problem(r, &node->key_at, path, "names of more than %d bytes are not supported",
                   SG_MAX_TENSOR);
        return;
    }
    memcpy(out->name, node->key, strlen(node->key));
    if (node->kind != SG_NODE_SCALAR || sg_node_is_null(node)) {
        sg_problem(r, &node->at, full, "must be a number, or a .npy file");
    } else if (node->is_quoted || sg_text_to_double(node->text, &out->value) != SG_OK) {
        sg_read_value(r, &file, node, full, &out->file);
    }
}

void sg_read_inputs(struct sg_reader *r, const struct sg_node *node, const char *path, void *at) {
    struct sg_job *job = at;

    if (node->kind != SG_NODE_MAP || node->n == 0) {
        sg_problem(r, &node->at, path, "must be a map of inputs, like {mask: 1, time: time.npy}");
        return;
    }
    job->inputs = sg_calloc((size_t)node->n, sizeof job->inputs[0]);
    r->out_of_memory |= job->inputs == NULL;
    for (int i = 0; job->inputs != NULL && i < node->n; i++) {
        read_one(r, node->children[i], path, &job->inputs[job->n_inputs++]);
    }
}

int sg_echo_inputs(struct sg_text *t, const void *at) {
    const struct sg_job *job = at;
    char number[40];

    for (int i = 0; i < job->n_inputs; i++) {
        const struct sg_job_input *in = &job->inputs[i];

        sg_text_add(t, "%s%s: %s", i > 0 ? ", " : "", in->name,
                    in->file != NULL ? sg_base_name(in->file)
                                     : sg_number_text(in->value, number, sizeof number));
    }
    return job->n_inputs > 0;
}
