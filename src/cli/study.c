/* src/cli/study.c - job, model, items and plan on all ranks: read once, by rank 0. */
#include "cli/study_impl.h"
#include "sgdist/log.h"
#include "sgdist/memory.h"
#include "sgdist/text.h"
#include "sgdist/worker.h"

#include <string.h>

enum { MAX_JOB_BYTES = 1 << 20 };

sg_status sg_agree(const struct sg_comm *world, sg_status status) {
    const int size = sg_comm_size(world);
    const int from_end = size - sg_comm_rank(world);
    /* The lowest failing rank, of those that do not just say that another one failed; from the end
     * so that a maximum finds it. And its status. */
    const int64_t mine = status == SG_OK ? 0 : status == SG_E_PEER ? from_end : size + from_end;
    int64_t words[2] = {mine, 0};

    sg_comm_allreduce_max(world, words, 1);
    if (words[0] == 0) {
        return SG_OK;
    }
    if (words[0] == mine) {
        words[1] = status;
        if (status != SG_E_INTERRUPTED) {
            sg_log(SG_LOG_ERROR, "%s", sg_trace_message());
        }
    }
    sg_comm_allreduce_max(world, words + 1, 1);
    return (sg_status)words[1];
}

sg_status sg_take_for_all(const struct sg_comm *world, size_t size, const char *what, void **out) {
    sg_status status = SG_OK;

    *out = NULL;
    if (sg_comm_rank(world) == 0) {
        *out = sg_calloc((size_t)sg_comm_size(world), size);
        SG_CHECK(*out != NULL, SG_E_NOMEM, "no memory for %s of %d ranks", what,
                 sg_comm_size(world));
    }
done:
    return sg_agree(world, status);
}

/* Rank 0's bytes to all; the others' buffer is made here (one byte longer, a NUL). */
static sg_status share_bytes(const struct sg_comm *world, char **bytes, size_t *n) {
    sg_status status = SG_OK;
    uint64_t size = *n;

    sg_comm_bcast(world, 0, &size, sizeof size);
    if (sg_comm_rank(world) != 0) {
        *n = size;
        *bytes = sg_calloc(size + 1, 1);
        SG_CHECK(*bytes != NULL, SG_E_NOMEM, "no memory for %llu bytes from rank 0",
                 (unsigned long long)size);
    }
done:
    status = sg_agree(world, status);
    if (status == SG_OK) {
        sg_comm_bcast(world, 0, *bytes, *n);
    }
    return status;
}

/* ---- rank 0 ---- */

/* A rule of the backward pass that meets nothing it could change would be taken for one. */
static sg_status check_rules(const struct study *s) {
    sg_status status = SG_OK;

    for (int i = 0; i < s->job->n_instances; i++) {
        const struct sg_instance *inst = &s->job->instances[i];

        SG_CHECK(inst->params.probing.rule == SG_RULE_GRADIENT || sg_model_n_relus(s->model) > 0,
                 SG_E_JOB,
                 "%s: methods.%s.rule: it has no effect, because the model has no Relu; the rules "
                 "leave Clip, LeakyRelu and all other operators as they are",
                 s->job->file, inst->label);
    }
done:
    return status;
}

static sg_status read_all(const struct job_arguments *a, struct study *s, size_t *n_job) {
    sg_status status = SG_OK;

    SG_TRY(sg_job_read_file(a->file, MAX_JOB_BYTES, &s->job_text, n_job));
    SG_TRY(sg_job_read(a->file, a->sets, a->n_sets, &s->job));
    SG_TRY(sg_study_read_model(s));
    SG_TRY(sg_study_read_inputs(s->job, &s->inputs, &s->n_inputs));
done:
    return status;
}

/* What can be wrong between job, model and items is located in the job. */
static sg_status plan_all(const struct job_arguments *a, struct study *s, size_t n_job) {
    sg_status status = SG_OK;

    SG_TRY(sg_study_open_model(s));
    SG_TRY(sg_study_take_baselines(s->job, s->inputs, sg_model_input(s->model), &s->baselines));
    status = sg_items_open(&s->job->data, sg_model_input(s->model), &s->items);
    if (status == SG_OK) {
        status = sg_study_read_targets(s->job, s->items);
    }
    if (status == SG_OK) {
        status = sg_plan_create(s->job, sg_model_signature(s->model), s->items, &s->plan);
    }
    if (status == SG_OK) {
        status = sg_worker_net_bytes(s->plan, s->model, &s->net_bytes);
    }
    if (status == SG_OK) {
        status = check_rules(s);
    }
    if (status == SG_OK) {
        status = sg_study_check_scopes(s);
    }
    if (status != SG_OK) {
        SG_TRY(sg_job_locate(s->job, s->job_text, n_job, a->sets, a->n_sets, status));
    }
done:
    return status;
}

/* ---- the others ---- */

/* What rank 0 alone has looked up, as bytes. */
struct shared {
    size_t n_job;
    char *items;
    size_t n_items;
    char *targets; /* of `target: {from: ...}` */
    size_t n_targets;
};

/* The targets become the job's; it frees them. */
static sg_status take_targets(struct study *s, struct shared *from) {
    const size_t each = sizeof(int32_t) * (size_t)sg_items_count(s->items);

    if (s->job->target_file == NULL) {
        return SG_OK;
    }
    s->job->given_targets = (int32_t *)(void *)from->targets;
    from->targets = NULL;
    return sg_job_give_targets(s->job, (int64_t)(from->n_targets / each));
}

static sg_status build_all(const struct job_arguments *a, struct study *s, struct shared *from) {
    sg_status status = SG_OK;

    SG_TRY(sg_job_parse(s->job_text, from->n_job, a->file, a->sets, a->n_sets, &s->job));
    SG_TRY(sg_study_open_model(s));
    SG_TRY(sg_study_take_baselines(s->job, s->inputs, sg_model_input(s->model), &s->baselines));
    SG_TRY(sg_items_unpack(&s->job->data, sg_model_input(s->model), from->items, from->n_items,
                           &s->items));
    SG_TRY(take_targets(s, from));
    SG_TRY(sg_plan_create(s->job, sg_model_signature(s->model), s->items, &s->plan));
    SG_TRY(sg_worker_net_bytes(s->plan, s->model, &s->net_bytes));
done:
    return status;
}

/* Rank 0's part; its targets stay the job's. */
static sg_status pack_all(const struct study *s, struct shared *out) {
    sg_status status = SG_OK;
    void *items = NULL;

    SG_TRY(sg_items_pack(s->items, &items, &out->n_items));
    out->items = items;
    if (s->job->target_file != NULL) {
        out->targets = (char *)s->job->given_targets;
        out->n_targets = sizeof(int32_t) * (size_t)(sg_items_count(s->items) * s->job->n_targets);
    }
done:
    return status;
}

static sg_status share_all(const struct sg_comm *world, const struct job_arguments *a,
                           struct study *s, size_t n_job) {
    sg_status status = SG_OK;
    const int is_root = sg_comm_rank(world) == 0;
    struct shared shared = {.n_job = n_job};

    if (is_root) {
        status = pack_all(s, &shared);
    }
    SG_TRY(sg_agree(world, status));
    SG_TRY(share_bytes(world, &s->job_text, &shared.n_job));
    SG_TRY(share_bytes(world, &s->inputs, &s->n_inputs));
    SG_TRY(share_bytes(world, &shared.items, &shared.n_items));
    SG_TRY(share_bytes(world, &shared.targets, &shared.n_targets));
    if (!is_root) {
        status = build_all(a, s, &shared);
    }
    SG_TRY(sg_agree(world, status));
done:
    sg_free(shared.items);
    if (!is_root) {
        sg_free(shared.targets);
    }
    return status;
}

enum { KERNEL_LENGTH = 64 };

/* Different kernels give different bits: a run on mixed machines must be told to use the same ones.
 * all[n_ranks][KERNEL_LENGTH] */
static sg_status check_kernels(const char *all, int n_ranks) {
    sg_status status = SG_OK;

    for (int r = 1; r < n_ranks; r++) {
        const char *other = all + (size_t)r * KERNEL_LENGTH;

        SG_CHECK(strcmp(other, all) == 0, SG_E_ARG,
                 "rank 0 computes with %s, rank %d with %s: results would differ in their last "
                 "bits. Set OPENBLAS_CORETYPE (e.g. Haswell) and SGDIST_SIMD (avx2 or portable) to "
                 "the same for all ranks",
                 all, r, other);
    }
done:
    return status;
}

static sg_status compare_kernels(const struct sg_comm *world) {
    sg_status status = SG_OK;
    char mine[KERNEL_LENGTH] = "";
    void *all = NULL;

    (void)strncat(mine, sg_kernel_family(), KERNEL_LENGTH - 1);
    SG_TRY(sg_take_for_all(world, KERNEL_LENGTH, "the kernels", &all));
    sg_comm_gather(world, 0, mine, KERNEL_LENGTH, all);
    SG_TRY(sg_agree(world, all != NULL ? check_kernels(all, sg_comm_size(world)) : SG_OK));
done:
    sg_free(all);
    return status;
}

sg_status sg_study_open(const struct sg_comm *world, const struct job_arguments *arguments,
                        struct study *out) {
    sg_status status = SG_OK;
    const int64_t program = sg_memory_of_process(sg_comm_size(world));
    struct study s = {.program_bytes = program > 0 ? program : 0};
    size_t n_job = 0;

    if (sg_comm_rank(world) == 0) {
        status = read_all(arguments, &s, &n_job);
    }
    SG_TRY(sg_agree(world, status));
    SG_TRY(compare_kernels(world));
    SG_TRY(sg_study_share_image(world, &s));
    if (sg_comm_rank(world) == 0) {
        status = plan_all(arguments, &s, n_job);
    }
    SG_TRY(sg_agree(world, status));
    SG_TRY(share_all(world, arguments, &s, n_job));
    SG_TRY(sg_study_place_weights(world, &s));
    SG_TRY(sg_study_make_draws(world, &s));
    sg_study_drop_image(&s);
    *out = s;
    s = (struct study){0};
done:
    sg_study_close(&s);
    return status;
}

void sg_study_close(struct study *s) {
    sg_study_close_model(s);
    sg_plan_destroy(s->plan);
    sg_items_close(s->items);
    sg_job_destroy(s->job);
    sg_free(s->baselines);
    sg_free(s->inputs);
    sg_free(s->job_text);
    *s = (struct study){0};
}

int64_t sg_study_rank_bytes(const struct study *s) {
    const struct sg_rank_bytes b = sg_study_memory(s, 1);
    const int64_t working = b.model + b.draws + b.nets + b.items + sg_worker_bytes(s->plan);

    return b.program + (working > b.start ? working : b.start);
}
