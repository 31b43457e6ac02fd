/* src/worker/score.c - what is explained: a logit, its probability, or the logarithm of that.
 * p = softmax(y) over the K outputs; d p_t/d y_k = p_t (1[k = t] - p_k), d log p_t/d y_k = 1[k = t]
 * - p_k. Sums run in double, in index order. */
#include "worker/worker_impl.h"

#include <math.h>
#include <string.h>

/* log sum_k exp(y_k), safe for large outputs. */
static double log_sum_exp(const float *y, int64_t n) {
    double top = (double)y[0];
    double sum = 0;

    for (int64_t k = 1; k < n; k++) {
        top = (double)y[k] > top ? (double)y[k] : top;
    }
    for (int64_t k = 0; k < n; k++) {
        sum += exp((double)y[k] - top);
    }
    return top + log(sum);
}

double sg_score_probability(const float *y, int64_t n, int64_t target) {
    return exp((double)y[target] - log_sum_exp(y, n));
}

double sg_score_value(enum sg_score score, const float *y, int64_t n, int64_t target) {
    switch (score) {
    case SG_SCORE_PROBABILITY:
        return sg_score_probability(y, n, target);
    case SG_SCORE_LOG_PROBABILITY:
        return (double)y[target] - log_sum_exp(y, n);
    default:
        return (double)y[target];
    }
}

void sg_score_gradient(enum sg_score score, const float *y, int64_t n, int64_t target, float *dy) {
    double log_sum;
    double factor;

    if (score == SG_SCORE_LOGIT) {
        memset(dy, 0, (size_t)n * sizeof *dy);
        dy[target] = 1;
        return;
    }
    log_sum = log_sum_exp(y, n);
    factor = score == SG_SCORE_PROBABILITY ? exp((double)y[target] - log_sum) : 1.0;
    for (int64_t k = 0; k < n; k++) {
        const double p = exp((double)y[k] - log_sum);

        dy[k] = (float)(factor * ((k == target ? 1.0 : 0.0) - p));
    }
}
