/* src/cli/study_effect.c - what a precision below float32 does to gradients and maps: measured when
 * a study begins, by rank 0, on a few items in both precisions.
 *
 * At each item: 16 noisy inputs as SmoothGrad has them (noise of 0.15 of the item's range, the
 * study's seed), the class whose mean output over them is the largest, and its gradients. Both
 * networks see the same inputs, so that nothing but the precision differs. */
#include "cli/study_impl.h"
#include "sgdist/log.h"
#include "sgdist/memory.h"
#include "sgdist/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = SG_EFFECT_DRAWS };

struct measure {
    struct sg_model *model; /* in float32 */
    struct sg_net *net[2];  /* in float32, and in the study's precision */
    int64_t d, k;           /* elements of input and output */
    float *clean, *x;       /* [d], [N][d] */
    float *y;               /* [N][k], of both */
    float *gradient[2];     /* [N][d] */
};

int sg_study_effect_items(const struct study *s, int64_t item[SG_EFFECT_ITEMS]) {
    const int64_t n = sg_items_count(s->items);
    const int n_measured = n < SG_EFFECT_ITEMS ? (int)n : SG_EFFECT_ITEMS;

    if (s->job->precision == SG_PRECISION_FLOAT32) {
        return 0;
    }
    for (int i = 0; i < n_measured; i++) {
        item[i] = i * n / n_measured;
    }
    return n_measured;
}

/* Weights in float32 are at most four times as large as the file's (winograd.c). */
int64_t sg_study_effect_bytes(const struct study *s) {
    const int64_t d = sg_shape_size(sg_model_input(s->model));

    return 5 * (int64_t)s->image.n + 3 * sg_net_bytes_for(s->model, N) +
           (3 * N + 1) * d * (int64_t)sizeof(float);
}

static sg_status build(const struct study *s, struct measure *m) {
    sg_status status = SG_OK;
    struct sg_model_image image = {0};
    struct sg_fixed_input *fixed = NULL;
    struct sg_explain what;

    SG_TRY(sg_study_explain(s, &fixed, &what));
    what.precision = SG_PRECISION_FLOAT32;
    SG_TRY(sg_model_image_read(s->job->model_file, &image));
    SG_TRY(sg_model_open(image.bytes, image.n, s->job->model_file, &what, &m->model));
    SG_TRY(sg_model_place(m->model, NULL, 1));
    SG_TRY(sg_net_create(m->model, N, &m->net[0]));
    SG_TRY(sg_net_create(s->model, N, &m->net[1]));
    m->d = sg_shape_size(sg_model_input(s->model));
    m->k = sg_model_n_outputs(s->model);
    m->clean = sg_malloc_aligned((size_t)m->d, sizeof *m->clean);
    m->x = sg_malloc_aligned((size_t)(N * m->d), sizeof *m->x);
    m->y = sg_malloc_aligned((size_t)(N * m->k), sizeof *m->y);
    m->gradient[0] = sg_malloc_aligned((size_t)(N * m->d), sizeof(float));
    m->gradient[1] = sg_malloc_aligned((size_t)(N * m->d), sizeof(float));
    SG_CHECK(m->clean && m->x && m->y && m->gradient[0] && m->gradient[1], SG_E_NOMEM,
             "no memory to measure the effect of the precision");
done:
    sg_model_image_free(&image);
    sg_free(fixed);
    return status;
}

static void release(struct measure *m) {
    for (int i = 0; i < 2; i++) {
        sg_net_destroy(m->net[i]);
        sg_free(m->gradient[i]);
    }
    sg_model_destroy(m->model);
    sg_free(m->clean);
    sg_free(m->x);
    sg_free(m->y);
}

static void draw(const struct study *s, int64_t item, struct measure *m) {
    struct sg_rng_address at = {.seed = (uint64_t)s->job->seed,
                                .stream = SG_STREAM_INPUT,
                                .item = sg_items_key(s->items, item)};
    float least = m->clean[0];
    float largest = m->clean[0];

    for (int64_t i = 1; i < m->d; i++) {
        least = fminf(least, m->clean[i]);
        largest = fmaxf(largest, m->clean[i]);
    }
    for (uint32_t k = 0; k < N; k++) {
        float *x = m->x + k * m->d;
        at.sample = k;
        sg_rng_normals(&at, m->d, x);
        for (int64_t i = 0; i < m->d; i++) {
            x[i] = m->clean[i] + 0.15f * (largest - least) * x[i];
        }
    }
}

/* The class with the largest sum over the batch. */
static int64_t find_class(const float *y, int64_t n_classes) {
    int64_t best = 0;
    double most = -INFINITY;

    for (int64_t c = 0; c < n_classes; c++) {
        double sum = 0;
        for (int64_t k = 0; k < N; k++) {
            sum += (double)y[k * n_classes + c];
        }
        best = sum > most ? c : best;
        most = sum > most ? sum : most;
    }
    return best;
}

static sg_status differentiate(struct measure *m) {
    sg_status status = SG_OK;
    int64_t target = 0;

    for (int i = 0; i < 2; i++) {
        SG_TRY(
            sg_net_forward_as(m->net[i], &(struct sg_pass){.is_noisy = 1}, m->x, m->y, &sg_stop));
        target = i == 0 ? find_class(m->y, m->k) : target;
        memset(m->y, 0, (size_t)(N * m->k) * sizeof *m->y);
        for (int64_t k = 0; k < N; k++) {
            m->y[k * m->k + target] = 1.0f;
        }
        SG_TRY(sg_net_backward(m->net[i], m->y, m->gradient[i], &sg_stop));
    }
done:
    return status;
}

static int by_size(const void *a, const void *b) {
    const double x = *(const double *)a;
    const double y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The median over the draws of |g - g32| / |g32|. */
static double of_gradients(const struct measure *m) {
    double each[N];

    for (int64_t k = 0; k < N; k++) {
        double difference = 0;
        double norm = 0;
        for (int64_t i = k * m->d; i < (k + 1) * m->d; i++) {
            const double g = (double)m->gradient[0][i];
            difference += pow((double)m->gradient[1][i] - g, 2);
            norm += g * g;
        }
        each[k] = sqrt(difference / norm);
    }
    qsort(each, N, sizeof each[0], by_size);
    return (each[N / 2 - 1] + each[N / 2]) / 2;
}

/* The difference of the means and the standard error of that in float32, by the mean's norm. */
static void of_means(const struct measure *m, double *map, double *error) {
    double difference = 0;
    double variance = 0;
    double norm = 0;

    for (int64_t i = 0; i < m->d; i++) {
        double sum[3] = {0};
        for (int64_t k = 0; k < N; k++) {
            const double g = (double)m->gradient[0][k * m->d + i];
            sum[0] += g;
            sum[1] += (double)m->gradient[1][k * m->d + i] - g;
            sum[2] += g * g;
        }
        norm += pow(sum[0] / N, 2);
        difference += pow(sum[1] / N, 2);
        variance += (sum[2] - sum[0] * sum[0] / N) / (N - 1) / N;
    }
    *map = sqrt(difference / norm);
    *error = sqrt(variance / norm);
}

sg_status sg_study_measure_effect(struct study *s) {
    sg_status status = SG_OK;
    struct sg_effect *e = &s->effect;
    struct measure m = {0};

    e->n = sg_study_effect_items(s, e->item);
    if (e->n == 0) {
        return SG_OK;
    }
    SG_TRY(build(s, &m));
    for (int i = 0; i < e->n; i++) {
        e->gradient[i] = e->map[i] = e->error[i] = NAN;
        if (sg_items_load(s->items, e->item[i], m.clean) == SG_OK) { /* else the run will say so */
            draw(s, e->item[i], &m);
            SG_TRY(differentiate(&m));
            e->gradient[i] = of_gradients(&m);
            of_means(&m, &e->map[i], &e->error[i]);
            sg_log(SG_LOG_INFO,
                   "%s: the precision changes a gradient by %.2g %%, the mean of %d by %.2g %% "
                   "(whose standard error is %.2g %%)",
                   sg_items_name(s->items, e->item[i]), 100 * e->gradient[i], N, 100 * e->map[i],
                   100 * e->error[i]);
        }
    }
done:
    release(&m);
    return status;
}
