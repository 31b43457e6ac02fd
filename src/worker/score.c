/* src/worker/score.c - what is explained: logits, their probability, or the logarithm of that,
 * added up over the positions of a target.
 *
 * At a position p = softmax(y) over the classes; d p_t/d y_k = p_t (1[k = t] - p_k), d log p_t/d
 * y_k = 1[k = t] - p_k. Sums run in double, in the order of index. */
#include "worker/worker_impl.h"

#include <math.h>
#include <string.h>

/* log sum_k exp(y_k) over the classes of a position, safe for large outputs. */
static double log_sum_exp(const struct sg_aim *aim, const float *y) {
    const int64_t step = aim->n_positions;
    double top = (double)y[0];
    double sum = 0;

    for (int64_t k = 1; k < aim->n_classes; k++) {
        top = (double)y[k * step] > top ? (double)y[k * step] : top;
    }
    for (int64_t k = 0; k < aim->n_classes; k++) {
        sum += exp((double)y[k * step] - top);
    }
    return top + log(sum);
}

static double value_at(enum sg_score score, const struct sg_aim *aim, const float *y) {
    const double logit = (double)y[aim->class * aim->n_positions];

    switch (score) {
    case SG_SCORE_PROBABILITY:
        return exp(logit - log_sum_exp(aim, y));
    case SG_SCORE_LOG_PROBABILITY:
        return logit - log_sum_exp(aim, y);
    default:
        return logit;
    }
}

/* The derivative by the outputs of a position, times the target's weight. */
static void gradient_at(enum sg_score score, const struct sg_aim *aim, const float *y, float *dy) {
    const int64_t step = aim->n_positions;
    double log_sum;
    double factor = aim->weight;

    if (score == SG_SCORE_LOGIT) {
        dy[aim->class * step] = (float)aim->weight;
        return;
    }
    log_sum = log_sum_exp(aim, y);
    factor *= score == SG_SCORE_PROBABILITY ? exp((double)y[aim->class * step] - log_sum) : 1.0;
    for (int64_t k = 0; k < aim->n_classes; k++) {
        const double p = exp((double)y[k * step] - log_sum);

        dy[k * step] = (float)(factor * ((k == aim->class ? 1.0 : 0.0) - p));
    }
}

static int is_in(const struct sg_aim *aim, const uint64_t *mask, int64_t position) {
    return aim->position >= 0 ? position == aim->position
                              : (int)(mask[position / 64] >> (position % 64) & 1);
}

double sg_score_value(enum sg_score score, const float *y, const struct sg_aim *aim,
                      const uint64_t *mask) {
    double sum = 0;

    for (int64_t p = 0; p < aim->n_positions; p++) {
        if (is_in(aim, mask, p)) {
            sum += value_at(score, aim, y + aim->offset + p);
        }
    }
    return aim->weight * sum;
}

double sg_score_probability(const float *y, const struct sg_aim *aim, const uint64_t *mask) {
    double sum = 0;
    int64_t n = 0;

    for (int64_t p = 0; p < aim->n_positions; p++) {
        if (is_in(aim, mask, p)) {
            sum += value_at(SG_SCORE_PROBABILITY, aim, y + aim->offset + p);
            n++;
        }
    }
    return aim->n_classes > 1 ? sum / (double)n : NAN;
}

void sg_score_gradient(enum sg_score score, const float *y, int64_t n_outputs,
                       const struct sg_aim *aim, const uint64_t *mask, float *dy) {
    memset(dy, 0, (size_t)n_outputs * sizeof *dy);
    for (int64_t p = 0; p < aim->n_positions; p++) {
        if (is_in(aim, mask, p)) {
            gradient_at(score, aim, y + aim->offset + p, dy + aim->offset + p);
        }
    }
}
