/* src/cli/study_draws.c - draws of the model's weights: all of them before the run, once a machine.
 *
 * A draw is a model of its own, built from the same image with noise on its parameters. Its graph
 * is every rank's, its weights lie in one block of memory beside those of the other draws: the
 * ranks of a machine make them in turn, each its share. */
#include "cli/study_impl.h"
#include "sgdist/memory.h"
#include "sgdist/text.h"

#include <stdio.h>
#include <string.h>

enum { NAMES_SHOWN = 3 };

/* ---- what the patterns mean ---- */

/* An instance whose sweep has this noise. */
static const char *label_of(const struct study *s, int i_weights) {
    int i = 0;

    while (s->plan->sweep_of[i] < 0 || s->plan->sweeps[s->plan->sweep_of[i]].weights != i_weights) {
        i++;
    }
    return s->job->instances[i].label;
}

/* "conv1.weight, conv1.bias, bn1.weight, .." */
static void names_text(const struct sg_model *m, struct sg_text *out) {
    const struct sg_parameter *p;

    for (int64_t i = 0; (p = sg_model_parameter(m, i)) != NULL && i < NAMES_SHOWN; i++) {
        sg_text_add(out, "%s%s", i > 0 ? ", " : "", p->name);
    }
    sg_text_add(out, "%s", sg_model_parameter(m, NAMES_SHOWN) != NULL ? ", .." : "");
}

/* One pattern of a key must fit some parameter. */
static sg_status check_pattern(const struct study *s, const char *label, const char *key,
                               const char *pattern, int n) {
    sg_status status = SG_OK;
    const struct sg_parameter *p;
    struct sg_text names = {0};
    char one[SG_MAX_SCOPE + 1];

    (void)snprintf(one, sizeof one, "%.*s\n", n, pattern);
    for (int64_t i = 0; (p = sg_model_parameter(s->model, i)) != NULL; i++) {
        if (sg_scope_has(one, p->name)) {
            return SG_OK;
        }
    }
    names_text(s->model, &names);
    status = sg_fail(SG_E_JOB, __FILE__, __LINE__,
                     "%s: methods.%s.weights.%s: '%.*s' fits none of the model's parameters: %s; * "
                     "stands for any letters",
                     s->job->file, label, key, n, pattern, names.data != NULL ? names.data : "");
    sg_text_free(&names);
    return status;
}

static sg_status check_patterns(const struct study *s, const char *label, const char *key,
                                const char *patterns) {
    sg_status status = SG_OK;

    while (*patterns != '\0') {
        const int n = (int)strcspn(patterns, "\n");

        SG_TRY(check_pattern(s, label, key, patterns, n));
        patterns += n + 1;
    }
done:
    return status;
}

static void count(const struct sg_model *m, struct sg_plan_weights *w) {
    const struct sg_parameter *p;

    for (int64_t i = 0; (p = sg_model_parameter(m, i)) != NULL; i++) {
        if (sg_weight_noise_takes(&w->noise, p->name)) {
            w->n_tensors++;
            w->n_numbers += p->n;
        }
    }
}

sg_status sg_study_check_scopes(const struct study *s) {
    sg_status status = SG_OK;

    for (int i = 0; i < s->plan->n_weights; i++) {
        struct sg_plan_weights *w = &s->plan->weights[i];
        const char *label = label_of(s, i);

        SG_TRY(check_patterns(s, label, "only", w->noise.only));
        SG_TRY(check_patterns(s, label, "except", w->noise.except));
        count(s->model, w);
        SG_CHECK(w->n_tensors > 0, SG_E_JOB,
                 "%s: methods.%s.weights: no parameter of the model would get noise%s",
                 s->job->file, label,
                 sg_model_parameter(s->model, 0) != NULL ? "; let `only` and `except` leave some"
                                                         : ", because its file keeps none");
    }
done:
    return status;
}

/* ---- memory ---- */

void sg_study_measure_draws(const struct study *s, int is_shared, struct sg_rank_bytes *bytes) {
    const int64_t n = s->plan->n_weight_draws;
    const int64_t weights = sg_model_weight_bytes(s->model);
    const int64_t graph = sg_model_bytes(s->model) - (s->weights == NULL ? weights : 0);

    bytes->draws = n * (graph + (is_shared ? 0 : weights));
    bytes->shared_draws = is_shared ? n * weights : 0;
}

/* Says in s->lack why there is too little memory for them, if so. `available`: of the machine
 * before they took any. */
static void judge_memory(struct study *s, int n_sharing, int on_machine, int64_t available) {
    const double all = (double)s->plan->n_weight_draws * (double)sg_model_weight_bytes(s->model);
    const double need = n_sharing > 1 ? all : all * on_machine;
    const double rank = (double)sg_study_rank_bytes(s) + (n_sharing > 1 ? all / n_sharing : 0);
    const double limit = 1e6 * s->job->memory_mb;
    const char *label = s->plan->n_weights > 0 ? label_of(s, 0) : "";
    char text[2][32];

    if (limit > 0 && rank > limit) {
        (void)snprintf(
            s->lack, sizeof s->lack,
            "%s: methods.%s.weights.draws: %lld draws of the weights in all, of %s each, "
            "are more than run.memory_mb allows; make them fewer%s",
            s->job->file, label, (long long)s->plan->n_weight_draws,
            sg_text_bytes((double)sg_model_weight_bytes(s->model), text[0], 32),
            s->job->share_weights ? "" : ", or set run.share_weights: true");
    } else if (available >= 0 && need > (double)available) {
        (void)snprintf(
            s->lack, sizeof s->lack,
            "%s: methods.%s.weights.draws: %lld draws of the weights in all need %s on a "
            "machine that has %s left; make them fewer%s",
            s->job->file, label, (long long)s->plan->n_weight_draws,
            sg_text_bytes(need, text[0], 32), sg_text_bytes((double)available, text[1], 32),
            n_sharing > 1 ? "" : ", or let ranks share them (run.share_weights, /dev/shm)");
    }
}

sg_status sg_study_check_draws(const struct study *s) {
    sg_status status = SG_OK;

    SG_CHECK(s->lack[0] == '\0', SG_E_JOB, "%s", s->lack);
done:
    return status;
}

/* ---- making them ---- */

/* Where the draws of this rank lie, and which of them it fills. */
struct making {
    char *memory; /* NULL: each model takes its own */
    int rank;     /* among those that share the memory */
    int n_ranks;
};

static sg_status make_draw(const struct study *s, const struct making *k, struct sg_explain *what,
                           const struct sg_plan_weights *w, int64_t m, struct sg_model **out) {
    sg_status status = SG_OK;
    const int64_t at = w->first + m;
    const int fills = at % k->n_ranks == k->rank;
    const struct sg_weight_draw draw = {
        .noise = &w->noise, .seed = (uint64_t)s->job->seed, .number = (uint32_t)m};
    struct sg_model *model = NULL;

    what->draw = &draw;
    what->is_filled_elsewhere = !fills;
    SG_TRY(sg_model_open(sg_study_image(s), s->image.n, s->job->model_file, what, &model));
    SG_CHECK(sg_model_is_alike(model, s->model), SG_E_MODEL,
             "%s: noise on its weights gives another graph: leave the tensors that are no weights "
             "to weights.except",
             s->job->model_file);
    SG_TRY(sg_model_place(
        model, k->memory != NULL ? k->memory + at * sg_model_weight_bytes(model) : NULL, fills));
    *out = model;
    model = NULL;
done:
    sg_model_destroy(model);
    return status;
}

static sg_status make_all(struct study *s, const struct making *k) {
    sg_status status = SG_OK;
    struct sg_fixed_input *fixed = NULL;
    struct sg_explain what;

    s->draws = sg_calloc((size_t)s->plan->n_weight_draws, sizeof(struct sg_model *));
    SG_CHECK(s->draws != NULL, SG_E_NOMEM, "no memory for the draws of the weights");
    sg_memory_return_blocks();
    SG_TRY(sg_study_explain(s, &fixed, &what));
    for (int i = 0; i < s->plan->n_weights; i++) {
        const struct sg_plan_weights *w = &s->plan->weights[i];

        for (int64_t m = 0; m < w->n_draws; m++) {
            SG_TRY(make_draw(s, k, &what, w, m, &s->draws[w->first + m]));
        }
    }
done:
    sg_free(fixed);
    return status;
}

/* Takes the block of memory; the machine's first rank that finds too little speaks for all. */
static sg_status take_block(const struct sg_comm *world, struct study *s, struct making *k) {
    sg_status status = SG_OK;
    const int64_t available = sg_memory_available();
    const size_t bytes = (size_t)(s->plan->n_weight_draws * sg_model_weight_bytes(s->model));
    int64_t lacks;
    int on_machine = 1;

    if (sg_comm_size(world) > 1) {
        SG_TRY(
            sg_agree(world, sg_shared_create(world, bytes,
                                             s->share_weights ? SG_SHARE_ALL_WRITE : SG_SHARE_NOT,
                                             "the draws of the weights", &s->draw_weights)));
        k->memory = sg_shared_bytes(s->draw_weights);
        k->rank = sg_shared_rank(s->draw_weights);
        k->n_ranks = sg_shared_n_ranks(s->draw_weights);
        on_machine = sg_shared_on_machine(s->draw_weights);
    }
    judge_memory(s, k->n_ranks, on_machine, available);
    lacks = s->lack[0] != '\0';
    sg_comm_allreduce_max(world, &lacks, 1);
    if (lacks && s->lack[0] == '\0') {
        (void)snprintf(s->lack, sizeof s->lack,
                       "another machine of the run has too little memory for the draws of the "
                       "weights; make them fewer");
    }
done:
    return status;
}

sg_status sg_study_make_draws(const struct sg_comm *world, struct study *s) {
    sg_status status = SG_OK;
    struct making k = {.n_ranks = 1};

    if (s->plan->n_weight_draws == 0) {
        return SG_OK;
    }
    SG_TRY(take_block(world, s, &k));
    if (s->lack[0] != '\0') {
        return SG_OK;
    }
    SG_TRY(sg_agree(world, make_all(s, &k)));
    if (s->draw_weights != NULL) {
        sg_shared_written(s->draw_weights);
    }
done:
    return status;
}

void sg_study_close_draws(struct study *s) {
    for (int64_t i = 0; s->draws != NULL && i < s->plan->n_weight_draws; i++) {
        sg_model_destroy(s->draws[i]);
    }
    sg_free(s->draws);
    s->draws = NULL;
    sg_shared_destroy(s->draw_weights);
    s->draw_weights = NULL;
}
