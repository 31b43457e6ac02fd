/* src/job/job.c - from a file or a text to a checked job. */
#include "job_impl.h"

#include "sgdist/memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

sg_status sg_job_read_file(const char *path, size_t limit, char **bytes, size_t *n) {
    sg_status status = SG_OK;
    FILE *f = fopen(path, "rb");
    char *buf = NULL;
    size_t used = 0;
    size_t capacity = 1 << 16;

    SG_CHECK(f != NULL, SG_E_JOB, "%s: %s", path, strerror(errno));
    for (;;) {
        char *grown = sg_realloc(buf, capacity + 1, 1);

        SG_CHECK(grown != NULL, SG_E_NOMEM, "%s: no memory to read it", path);
        buf = grown;
        used += fread(buf + used, 1, capacity - used, f);
        SG_CHECK(!ferror(f), SG_E_JOB, "%s: %s", path, strerror(errno));
        SG_CHECK(used <= limit, SG_E_JOB, "%s: larger than the %zu bytes that are allowed", path,
                 limit);
        if (used < capacity) {
            break;
        }
        capacity *= 2;
    }
    buf[used] = '\0';
    *n = used;
    *bytes = buf;
    buf = NULL;
done:
    sg_free(buf);
    if (f != NULL) {
        (void)fclose(f);
    }
    return status;
}

static void fini(struct sg_job *job) {
    sg_free(job->file);
    sg_free(job->name);
    sg_free(job->output);
    sg_free(job->model_file);
    sg_free(job->tensor);
    sg_free(job->input);
    for (int i = 0; i < job->n_inputs; i++) {
        sg_free(job->inputs[i].file);
    }
    sg_free(job->inputs);
    sg_free(job->target_file);
    sg_free(job->given_targets);
    sg_free(job->data.path);
    sg_free(job->data.array);
    sg_free(job->data.labels);
    sg_free(job->data.class_names);
    sg_free(job->data.indices);
    sg_free(job->tensors);
    sg_free(job->layers);
    sg_free(job->baseline_files);
    sg_free(job->targets);
    sg_free(job->target_text);
    sg_free(job->instances);
    sg_free(job->echo);
    sg_free(job->given);
    sg_free(job->presets);
}

void sg_job_destroy(struct sg_job *job) {
    if (job != NULL) {
        fini(job);
        sg_free(job);
    }
}

/* The job file's name without folder and ending. */
static char *name_of(const char *file) {
    const char *slash = strrchr(file, '/');
    char *name = sg_strdup(slash != NULL ? slash + 1 : file);
    char *dot = name != NULL ? strrchr(name, '.') : NULL;

    if (dot != NULL && dot != name) {
        *dot = '\0';
    }
    return name;
}

/* Defaults that other values decide. */
static void fill_names(struct sg_reader *r, struct sg_draft *d) {
    struct sg_text output = {0};

    d->job.file = sg_strdup(r->file);
    if (d->job.name == NULL) {
        d->job.name = name_of(r->file);
    }
    if (d->job.output == NULL && d->job.name != NULL) {
        sg_text_add(&output, "results/%s.h5", d->job.name);
        d->job.output = sg_strdup(output.data);
    }
    sg_text_free(&output);
    r->out_of_memory |= d->job.file == NULL || d->job.name == NULL || d->job.output == NULL;
}

static struct sg_place place_of(const struct sg_node *root, const char *group, const char *key) {
    const struct sg_node *map = sg_node_find(root, group);
    const struct sg_node *node = map != NULL && key != NULL ? sg_node_find(map, key) : map;

    return node != NULL ? node->key_at : root->at;
}

/* sampling.noise.range where the job's preset gives a sigma. */
static void check_range(struct sg_reader *r, const struct sg_node *root, const struct sg_draft *d) {
    const struct sg_node *sampling = sg_node_find(root, "sampling");
    const struct sg_node *noise =
        sampling != NULL && sampling->kind == SG_NODE_MAP ? sg_node_find(sampling, "noise") : NULL;
    const struct sg_node *range =
        noise != NULL && noise->kind == SG_NODE_MAP ? sg_node_find(noise, "range") : NULL;

    if (range != NULL && d->preset != NULL && d->defaults.sampling.absolute &&
        sg_node_find(noise, "sigma") == NULL) {
        sg_problem(r, &range->key_at, "sampling.noise.range",
                   "has no effect, because like: %s gives a sigma; give a level, too",
                   d->preset->name);
    }
}

/* What no single key can tell. */
static void check_whole(struct sg_reader *r, const struct sg_node *root, const struct sg_draft *d) {
    const struct sg_place name_at = place_of(root, "study", "name");

    sg_source_check(r, root, d);
    check_range(r, root, d);
    if (d->job.name != NULL && (strchr(d->job.name, '/') != NULL || strlen(d->job.name) > 100)) {
        sg_problem(r, &name_at, "study.name", "must have at most 100 bytes and no '/'");
    }
}

/* The file's text, then the --set arguments as comments (a line break in one stays a comment). */
static char *given_text(const char *text, size_t n, const char *const *sets, int n_sets) {
    struct sg_text t = {0};
    char *given;

    sg_text_add(&t, "%.*s%s", (int)n, text, n > 0 && text[n - 1] != '\n' ? "\n" : "");
    for (int i = 0; i < n_sets; i++) {
        sg_text_add(&t, "# --set ");
        for (const char *c = sets[i]; *c != '\0'; c++) {
            sg_text_add(&t, "%c%s", *c, *c == '\n' ? "# " : "");
        }
        sg_text_add(&t, "\n");
    }
    given = t.failed ? NULL : sg_strdup(t.data);
    sg_text_free(&t);
    return given;
}

sg_status sg_job_tree(const char *text, size_t n, const char *file, const char *const *sets,
                      int n_sets, struct sg_node **out) {
    sg_status status = SG_OK;
    struct sg_node *root = NULL;

    SG_CHECK(memchr(text, '\0', n) == NULL, SG_E_JOB, "%s: not a text: it has a byte 0", file);
    SG_TRY(sg_yaml_parse(text, n, file, NULL, &root));
    SG_CHECK(root != NULL, SG_E_JOB, "%s: the job is empty", file);
    SG_CHECK(root->kind == SG_NODE_MAP, SG_E_JOB,
             "%s:%d:%d: a job is a map of keys, like 'model: {file: net.onnx}'", file,
             root->at.line, root->at.column);
    for (int i = 0; i < n_sets; i++) {
        SG_TRY(sg_set_apply(root, sets[i], file));
    }
    *out = root;
    root = NULL;
done:
    sg_node_destroy(root);
    return status;
}

/* What instances inherit where the job says nothing: the defaults, above them the job's preset. */
static void read_defaults(struct sg_reader *r, const struct sg_node *root, struct sg_draft *d) {
    const struct sg_node *like = sg_node_find(root, "like");

    sg_read_map(r, sg_instance_keys, NULL, "", 0, &d->defaults);
    sg_read_map(r, sg_default_keys, NULL, "", 0, d);
    if (like != NULL && !sg_node_is_null(like)) {
        d->preset = sg_preset_read(r, like, "like");
    }
    if (d->preset != NULL) {
        sg_preset_apply(r, d->preset, &d->defaults);
    }
}

static sg_status check_tree(struct sg_reader *r, const struct sg_node *root, struct sg_draft *d) {
    sg_status status = SG_OK;
    struct sg_text echo = {0};

    read_defaults(r, root, d);
    sg_read_map(r, sg_job_keys, root, "", 0, d);
    fill_names(r, d);
    check_whole(r, root, d);
    SG_TRY(sg_problems_status(r));
    sg_echo_add(&echo, d);
    d->job.echo = echo.failed ? NULL : sg_strdup(echo.data);
    d->job.presets = sg_strdup(d->presets.data != NULL ? d->presets.data : "");
    SG_CHECK(d->job.echo != NULL && d->job.presets != NULL, SG_E_NOMEM, "%s: no memory for the job",
             r->file);
done:
    sg_text_free(&echo);
    sg_text_free(&d->presets);
    return status;
}

static char *folder_of(const char *file) {
    const char *slash = strrchr(file, '/');
    char *folder = sg_strdup(file);

    if (folder != NULL) {
        folder[slash != NULL ? slash - file + 1 : 0] = '\0';
    }
    return folder;
}

static sg_status parse(const char *text, size_t n, const char *file, const char *const *sets,
                       int n_sets, int check_files, struct sg_job **out) {
    sg_status status = SG_OK;
    char *folder = folder_of(file);
    struct sg_draft *d = sg_calloc(1, sizeof *d);
    struct sg_job *job = sg_calloc(1, sizeof *job);
    struct sg_node *root = NULL;
    struct sg_reader r = {.file = file, .folder = folder, .check_files = check_files};

    SG_CHECK(folder != NULL && d != NULL && job != NULL, SG_E_NOMEM, "%s: no memory for the job",
             file);
    SG_TRY(sg_job_tree(text, n, file, sets, n_sets, &root));
    status = check_tree(&r, root, d);
    sg_source_settle(d);
    *job = d->job;
    sg_free(d);
    d = NULL;
    SG_TRY(status);
    SG_TRY(sg_job_list_tensors(job));
    job->given = given_text(text, n, sets, n_sets);
    SG_CHECK(job->given != NULL, SG_E_NOMEM, "%s: no memory for the job", file);
    *out = job;
    job = NULL;
done:
    sg_text_free(&r.problems);
    sg_node_destroy(root);
    sg_job_destroy(job);
    sg_free(d);
    sg_free(folder);
    return status;
}

sg_status sg_job_parse(const char *text, size_t n, const char *file, const char *const *sets,
                       int n_sets, struct sg_job **out) {
    return parse(text, n, file, sets, n_sets, 0, out);
}

sg_status sg_job_read(const char *file, const char *const *sets, int n_sets, struct sg_job **out) {
    sg_status status = SG_OK;
    char *text = NULL;
    size_t n = 0;

    SG_TRY(sg_job_read_file(file, SG_JOB_MAX_BYTES, &text, &n));
    SG_TRY(parse(text, n, file, sets, n_sets, 1, out));
done:
    sg_free(text);
    return status;
}
