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

/* The arrays of one trial. */
struct arrays {
    float *in, *out, *weight, *prepared, *work;
};

static float *take(int64_t n) {
    return sg_malloc_aligned((size_t)(n > 0 ? n : 1), sizeof(float));
}

static void fill(uint32_t sample, int64_t n, float *z) {
    const struct sg_rng_address at = {.stream = SG_STREAM_INPUT, .sample = sample};

    sg_rng_normals(&at, n, z);
}

/* 1 if there is memory for all of them. */
static int take_arrays(const struct sg_conv *s, const struct sg_corr *q,
                       const struct sg_algorithm *a, struct arrays *out) {
    const int64_t n_in = q->n * q->y.in * q->x.in * q->groups * q->c;
    const int64_t n_out = q->n * q->y.full * q->x.full * q->groups * q->k;
    const int64_t n_weights = s->k * (s->c / s->groups) * s->kh * s->kw;

    *out = (struct arrays){.in = take(n_in),
                           .out = take(n_out),
                           .weight = take(n_weights),
                           .prepared = take(a->weights_size(q)),
                           .work = take(a->work_size(q))};
    if (!out->in || !out->out || !out->weight || !out->prepared || !out->work) {
        return 0;
    }
    fill(0, n_in, out->in);
    fill(1, n_weights, out->weight);
    return 1;
}

static void free_arrays(struct arrays *x) {
    sg_free(x->in);
    sg_free(x->out);
    sg_free(x->weight);
    sg_free(x->prepared);
    sg_free(x->work);
}

/* The least of several runs, after one that is not counted. */
static double least_time(const struct sg_corr *q, const struct sg_algorithm *a,
                         const struct arrays *x, double seconds) {
    const struct sg_corr_call call = {.in = x->in, .out = x->out, .work = x->work};
    double spent = 0;
    double least = -1;

    a->run(q, x->prepared, &call);
    while (least < 0 || spent + 0.5 * least < seconds) {
        const double begun = sg_processor_seconds();
        double taken;

        a->run(q, x->prepared, &call);
        taken = sg_processor_seconds() - begun;
        spent += taken;
        least = least < 0 || taken < least ? taken : least;
    }
    return least;
}

const char *sg_conv_try(const struct sg_conv *s, int64_t i, int a, double seconds, int *is_chosen,
                        double *taken) {
    const struct sg_algorithm *algorithm = sg_algorithm_at(a);
    struct sg_weights w;
    struct sg_corr q = sg_corr_of(s, i, NULL, &w);
    struct arrays x = {0};

    *taken = -1;
    *is_chosen = algorithm == sg_corr_choose(&q);
    if (algorithm == NULL) {
        return NULL;
    }
    if (!sg_algorithm_nothing.applies(&q) && algorithm->applies(&q)) {
        if (take_arrays(s, &q, algorithm, &x)) {
            q = sg_corr_of(s, i, x.weight, &w);
            algorithm->prepare(&q, &w, x.prepared);
            *taken = least_time(&q, algorithm, &x, seconds);
        }
        free_arrays(&x);
    }
    return algorithm->name;
}
