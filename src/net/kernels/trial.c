/* src/net/kernels/trial.c - names and times of algorithms. Nothing here decides which one runs: the
 * table in corr.c does, which people remake with these times. */
#include "net/kernels/kernels_impl.h"

#include "sgdist/memory.h"
#include "sgdist/rng.h"

#include <stdio.h>
#include <string.h>

/* 1 if the text, names joined by +, has the name. */
static int has_name(const char *text, const char *name) {
    const size_t n = strlen(name);

    for (const char *at = text; *at != '\0'; at += strcspn(at, "+"), at += *at == '+') {
        if (strcspn(at, "+") == n && strncmp(at, name, n) == 0) {
            return 1;
        }
    }
    return 0;
}

const char *sg_conv_algorithms(const struct sg_conv *s, int backward, char *buf, size_t cap) {
    const int64_t first = backward ? 0 : sg_corr_forward(s);
    const int64_t end = backward ? sg_corr_n_phases(s) : first + 1;

    if (backward && s->is_pooled) {
        (void)snprintf(buf, cap, "%s", sg_pooled_name(s));
        return buf;
    }
    buf[0] = '\0';
    for (int64_t i = first; i < end; i++) {
        struct sg_weights w;
        const struct sg_corr q = sg_corr_of(s, i, NULL, &w);
        const struct sg_algorithm *a = sg_corr_choose(&q);
        const size_t used = strlen(buf);

        if (a != &sg_algorithm_nothing && !has_name(buf, a->name)) {
            (void)snprintf(buf + used, cap - used, "%s%s", used > 0 ? "+" : "", a->name);
        }
    }
    return buf;
}

static float *take(int64_t n) {
    return sg_malloc_aligned((size_t)(n > 0 ? n : 1), sizeof(float));
}

static void fill(uint32_t sample, int64_t n, float *z) {
    const struct sg_rng_address at = {.stream = SG_STREAM_INPUT, .sample = sample};

    sg_rng_normals(&at, n, z);
}

/* One trial. */
struct trial {
    const struct sg_conv *s;
    struct sg_corr q;
    const struct sg_algorithm *algorithm; /* NULL: pooled.c */
    float *in, *out, *weight, *prepared, *work;
    int is_routed; /* what is backward from behind the pooling begins with the pooling's own pass */
    float *pooled;
    uint8_t *winner;
};

/* 1 if there is memory for all. */
static int take_arrays(struct trial *t, int64_t n_prepared, int64_t n_work) {
    const struct sg_corr *q = &t->q;
    const int64_t n_in = q->n * q->y.in * q->x.in * q->groups * q->c;
    const int64_t n_out = q->n * q->y.full * q->x.full * q->groups * q->k;
    const int64_t n_weights = t->s->k * (t->s->c / t->s->groups) * t->s->kh * t->s->kw;

    t->in = take(n_in);
    t->out = take(n_out);
    t->weight = take(n_weights);
    t->prepared = take(n_prepared);
    t->work = take(n_work);
    t->pooled = take(n_in);
    t->winner = sg_calloc((size_t)n_in, 1);
    if (!t->in || !t->out || !t->weight || !t->prepared || !t->work || !t->pooled || !t->winner) {
        return 0;
    }
    fill(0, n_in, t->in);
    fill(2, n_in, t->pooled);
    fill(1, n_weights, t->weight);
    for (int64_t i = 0; i < n_in; i++) { /* any of the four, from the bits of the numbers */
        memcpy(&t->winner[i], &t->in[i], 1);
        t->winner[i] &= 3;
    }
    return 1;
}

static void free_arrays(struct trial *t) {
    sg_free(t->in);
    sg_free(t->out);
    sg_free(t->weight);
    sg_free(t->prepared);
    sg_free(t->work);
    sg_free(t->pooled);
    sg_free(t->winner);
}

static void run_once(const struct trial *t) {
    const struct sg_corr_call call = {.in = t->in, .out = t->out, .work = t->work};
    const struct sg_winners won = {t->winner, UINT8_MAX};
    const struct sg_pool pool = sg_pool_behind(t->s);

    if (t->is_routed) {
        sg_max_pool_backward(&pool, t->winner, t->pooled, t->in, 0, 1);
    }
    if (t->algorithm == NULL) {
        sg_pooled_run(t->s, t->prepared, &won, &call);
    } else {
        t->algorithm->run(&t->q, t->prepared, &call);
    }
}

/* The least of several runs, after one that is not counted. */
static double least_time(const struct trial *t, double seconds) {
    double spent = 0;
    double least = -1;

    run_once(t);
    while (least < 0 || spent + 0.5 * least < seconds) {
        const double begun = sg_processor_seconds();
        double taken;

        run_once(t);
        taken = sg_processor_seconds() - begun;
        spent += taken;
        least = least < 0 || taken < least ? taken : least;
    }
    return least;
}

/* Number i of the convolution by the algorithm. */
static double try_algorithm(const struct sg_conv *s, int64_t i, const struct sg_algorithm *a,
                            double seconds) {
    struct sg_weights w;
    struct trial t = {.s = s,
                      .q = sg_corr_of(s, i, NULL, &w),
                      .algorithm = a,
                      .is_routed = i >= 0 && s->is_pooled};
    double taken = -1;

    if (take_arrays(&t, a->weights_size(&t.q), a->work_size(&t.q))) {
        t.q = sg_corr_of(s, i, t.weight, &w);
        a->prepare(&t.q, &w, t.prepared);
        taken = least_time(&t, seconds);
    }
    free_arrays(&t);
    return taken;
}

static double try_pooled(const struct sg_conv *s, double seconds) {
    struct sg_weights w;
    struct trial t = {.s = s, .q = sg_corr_of(s, 0, NULL, &w)};
    double taken = -1;

    if (take_arrays(&t, sg_pooled_weights_size(s), sg_pooled_work_size(s))) {
        sg_pooled_prepare(s, t.weight, t.prepared);
        taken = least_time(&t, seconds);
    }
    free_arrays(&t);
    return taken;
}

const char *sg_conv_try(const struct sg_conv *s, int64_t i, int a, double seconds, int *is_chosen,
                        double *taken) {
    const int is_pooled = i >= 0 && s->is_pooled;
    struct sg_weights w;
    const struct sg_corr q = sg_corr_of(s, i, NULL, &w);
    const struct sg_algorithm *algorithm;

    *taken = -1;
    if (is_pooled && a == 0) { /* before the table */
        *is_chosen = 1;
        *taken = try_pooled(s, seconds);
        return sg_pooled_name(s);
    }
    algorithm = sg_algorithm_at(a - is_pooled);
    *is_chosen = !is_pooled && algorithm == sg_corr_choose(&q);
    if (algorithm == NULL) {
        return NULL;
    }
    if (!sg_algorithm_nothing.applies(&q) && algorithm->applies(&q)) {
        *taken = try_algorithm(s, i, algorithm, seconds);
    }
    return algorithm->name;
}
