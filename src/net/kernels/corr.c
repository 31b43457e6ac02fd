/* src/net/kernels/corr.c - from convolutions to correlations, and the table of algorithms. */
#include "net/kernels/kernels_impl.h"

#include "sgdist/status.h"

/* In order of preference; the last one takes every shape. A new algorithm is one line here. */
static const struct sg_algorithm *const algorithms[] = {
    &sg_algorithm_nothing,   &sg_algorithm_bfloat16,  &sg_algorithm_depthwise,
    &sg_algorithm_dots,      &sg_algorithm_strips,    &sg_algorithm_winograd2,
    &sg_algorithm_winograd4, &sg_algorithm_pointwise, &sg_algorithm_direct,
    &sg_algorithm_columns,
};

const struct sg_algorithm *sg_algorithm_at(int a) {
    return a < (int)(sizeof algorithms / sizeof algorithms[0]) ? algorithms[a] : NULL;
}

const struct sg_algorithm *sg_corr_choose(const struct sg_corr *q) {
    const struct sg_algorithm *const *a = algorithms;

    while (!(*a)->applies(q)) {
        a++;
    }
    return *a;
}

static int64_t gcd(int64_t a, int64_t b) {
    return b == 0 ? a : gcd(b, a % b);
}

/* The adjoint on one axis for input pixels r, r + stride, ...: pixel i = r + stride q is reached
 * from output (i + pad - dilation t) / stride by those taps t that make this whole: t0, t0 + every,
 * ... They are taken in falling order, so that outputs come in rising order. Returns the last
 * tap through *tap and minus the distance of taps through *tap_step. */
static struct sg_axis phase_axis(int64_t in, int64_t out, int64_t kernel, int64_t stride,
                                 int64_t dilation, int64_t pad, int64_t r, int64_t *tap,
                                 int64_t *tap_step) {
    const int64_t common = gcd(stride, dilation);
    const int64_t every = stride / common;
    struct sg_axis a = {.in = out,
                        .out = r < in ? (in - r + stride - 1) / stride : 0,
                        .full = in,
                        .dilation = dilation / common,
                        .step = 1,
                        .first = r,
                        .spacing = stride};
    int64_t t0 = 0;

    while (t0 < every && (r + pad - dilation * t0) % stride != 0) {
        t0++;
    }
    a.taps = t0 < every && t0 < kernel ? (kernel - 1 - t0) / every + 1 : 0;
    a.origin = a.taps == 0 ? 0 : (r + pad - dilation * t0) / stride - (a.taps - 1) * a.dilation;
    *tap = t0 + (a.taps - 1) * every;
    *tap_step = -every;
    return a;
}

int64_t sg_corr_n_phases(const struct sg_conv *s) {
    return s->stride_h * s->stride_w;
}

static struct sg_corr forward_of(const struct sg_conv *s) {
    return (struct sg_corr){
        .precision = s->precision,
        .n = s->n,
        .groups = s->groups,
        .c = s->c / s->groups,
        .k = s->k / s->groups,
        .y = {s->h, s->oh, s->oh, s->kh, s->dilation_h, s->stride_h, -s->pad_top, 0, 1},
        .x = {s->w, s->ow, s->ow, s->kw, s->dilation_w, s->stride_w, -s->pad_left, 0, 1},
    };
}

struct sg_corr sg_corr_of(const struct sg_conv *s, int64_t i, const float *weight,
                          struct sg_weights *w) {
    const int64_t cg = s->c / s->groups;
    const int64_t plane = s->kh * s->kw;
    struct sg_corr q = forward_of(s);
    int64_t ty = 0;
    int64_t tx = 0;

    *w = (struct sg_weights){weight, q.k * cg * plane, s->kw, 1, plane, cg * plane};
    if (i < 0) {
        q.keeps_ties = i == SG_CORR_WITH_TIES;
        q.is_pooled = s->is_pooled;
        return q;
    }
    q.y = phase_axis(s->h, s->oh, s->kh, s->stride_h, s->dilation_h, s->pad_top, i / s->stride_w,
                     &ty, &w->y);
    q.x = phase_axis(s->w, s->ow, s->kw, s->stride_w, s->dilation_w, s->pad_left, i % s->stride_w,
                     &tx, &w->x);
    if (weight != NULL && q.y.taps > 0 && q.x.taps > 0) {
        w->at = weight + ty * s->kw + tx;
    }
    w->y *= s->kw;
    w->c = cg * plane;
    w->k = plane;
    q.c = s->k / s->groups;
    q.k = cg;
    return q;
}

int sg_corr_is_dense(const struct sg_corr *q) {
    return q->y.out == q->y.full && q->x.out == q->x.full && q->y.spacing == 1 && q->x.spacing == 1;
}

/* Each correlation's weights start at a multiple of 64 bytes. */
static int64_t weights_size(const struct sg_corr *q) {
    return sg_round_up(sg_corr_choose(q)->weights_size(q), 16);
}

/* Whether the backward pass uses the forward one's weights; of stride 1 there is one phase only. */
static int shares_weights(const struct sg_conv *s) {
    struct sg_weights w;
    const struct sg_corr forward = sg_corr_of(s, SG_CORR_FORWARD, NULL, &w);
    const struct sg_corr phase = sg_corr_of(s, 0, NULL, &w);
    const struct sg_algorithm *a = sg_corr_choose(&forward);

    return a->serves_adjoint && a == sg_corr_choose(&phase);
}

/* 1 if the forward pass that keeps ties is another one than that which need not. */
static int has_with_ties(const struct sg_conv *s) {
    struct sg_weights w;
    struct sg_corr forward;
    struct sg_corr with_ties;

    if (!s->may_keep_ties) {
        return 0;
    }
    forward = sg_corr_of(s, SG_CORR_FORWARD, NULL, &w);
    with_ties = sg_corr_of(s, SG_CORR_WITH_TIES, NULL, &w);
    return sg_corr_choose(&with_ties) != sg_corr_choose(&forward);
}

int64_t sg_corr_forward(const struct sg_conv *s) {
    return s->keeps_ties && has_with_ties(s) ? SG_CORR_WITH_TIES : SG_CORR_FORWARD;
}

/* The correlations with weights of their own, which lie in the order of these numbers. */
static int64_t first_prepared(const struct sg_conv *s) {
    return has_with_ties(s) ? SG_CORR_WITH_TIES : SG_CORR_FORWARD;
}

static int64_t end_prepared(const struct sg_conv *s) {
    return shares_weights(s) ? SG_CORR_FORWARD + 1 : sg_corr_n_phases(s);
}

/* Floats of all before number `end`. */
static int64_t prepared_before(const struct sg_conv *s, int64_t end) {
    int64_t size = 0;

    for (int64_t i = first_prepared(s); i < end; i++) {
        struct sg_weights w;
        const struct sg_corr q = sg_corr_of(s, i, NULL, &w);
        size += weights_size(&q);
    }
    return size;
}

int64_t sg_conv_prepared_size(const struct sg_conv *s) {
    return prepared_before(s, end_prepared(s)) + (s->is_pooled ? sg_pooled_weights_size(s) : 0);
}

void sg_conv_prepare(const struct sg_conv *s, const float *weight, float *prepared) {
    for (int64_t i = first_prepared(s); i < end_prepared(s); i++) {
        struct sg_weights w;
        const struct sg_corr q = sg_corr_of(s, i, weight, &w);
        sg_corr_choose(&q)->prepare(&q, &w, prepared);
        prepared += weights_size(&q);
    }
    if (s->is_pooled) {
        sg_pooled_prepare(s, weight, prepared);
    }
}

int64_t sg_conv_work_size(const struct sg_conv *s) {
    int64_t size = s->is_pooled ? sg_pooled_work_size(s) : 0;

    for (int64_t i = first_prepared(s); i < sg_corr_n_phases(s); i++) {
        struct sg_weights w;
        const struct sg_corr q = sg_corr_of(s, i, NULL, &w);
        size = sg_max(size, sg_corr_choose(&q)->work_size(&q));
    }
    return size;
}

void sg_corr_done(const struct sg_corr_call *call, int64_t n) {
    struct sg_last_pass *l = call->last;
    const int64_t to = l == NULL || n >= l->n ? l == NULL ? 0 : l->n : n / 32 * 32;

    if (l == NULL || to <= l->done) {
        return;
    }
    if (l->make != NULL && call->relu == SG_RELU_6) {
        sg_clip_mask(0.0f, 6.0f, l->at + l->done, l->make + l->done / 32, to - l->done);
    } else if (l->make != NULL) {
        sg_relu_mask(l->at + l->done, l->make + l->done / 32, to - l->done);
    }
    if (l->cut != NULL) {
        sg_relu_backward(l->cut + l->done / 32, l->at + l->done, l->at + l->done, to - l->done, 0);
    }
    l->done = to;
}

static void run_forward(const struct sg_conv *s, const float *prepared,
                        const struct sg_corr_call *call) {
    const int64_t i = sg_corr_forward(s);
    struct sg_weights w;
    const struct sg_corr q = sg_corr_of(s, i, NULL, &w);

    sg_corr_choose(&q)->run(&q, prepared + prepared_before(s, i), call);
}

void sg_conv_forward(const struct sg_conv *s, const float *prepared, const float *bias, int relu,
                     const float *x, float *y, float *work) {
    run_forward(
        s, prepared,
        &(struct sg_corr_call){.in = x, .out = y, .bias = bias, .relu = relu, .work = work});
}

void sg_conv_forward_add(const struct sg_conv *s, const float *prepared, const float *bias,
                         int relu, const float *x, float *y, float *work) {
    run_forward(s, prepared,
                &(struct sg_corr_call){
                    .in = x, .out = y, .bias = bias, .relu = relu, .accumulate = 1, .work = work});
}

void sg_conv_forward_masked(const struct sg_conv *s, const float *prepared, const float *bias,
                            int relu, int add, const float *x, float *y, uint32_t *mask,
                            float *work) {
    struct sg_last_pass last = {.at = y, .n = s->n * s->oh * s->ow * s->k, .make = mask};
    const struct sg_corr_call call = {.in = x,
                                      .out = y,
                                      .bias = bias,
                                      .relu = relu,
                                      .accumulate = add,
                                      .work = work,
                                      .last = &last};

    run_forward(s, prepared, &call);
    sg_corr_done(&call, last.n);
}

void sg_conv_backward(const struct sg_conv *s, const float *prepared, const float *dy, float *dx,
                      int accumulate, float *work) {
    sg_conv_backward_masked(s, prepared, dy, dx, accumulate, NULL, work);
}

void sg_conv_backward_masked(const struct sg_conv *s, const float *prepared, const float *dy,
                             float *dx, int accumulate, const uint32_t *mask, float *work) {
    const int shared = shares_weights(s);
    struct sg_last_pass last = {.at = dx, .n = s->n * s->h * s->w * s->c, .cut = mask};
    const struct sg_corr_call call = {.in = dy,
                                      .out = dx,
                                      .accumulate = accumulate,
                                      .adjoint = shared,
                                      .work = work,
                                      .last = &last};
    struct sg_weights w;

    prepared += prepared_before(s, shared ? SG_CORR_FORWARD : 0);
    for (int64_t i = 0; i < sg_corr_n_phases(s); i++) {
        const struct sg_corr q = sg_corr_of(s, i, NULL, &w);
        sg_corr_choose(&q)->run(&q, prepared, &call);
        prepared += weights_size(&q);
    }
    sg_corr_done(&call, last.n);
}

int sg_conv_may_pool(const struct sg_conv *s) {
    struct sg_weights w;

    if (!sg_pooled_applies(s)) {
        return 0;
    }
    for (int64_t i = first_prepared(s); i < 0; i++) {
        const struct sg_corr q = sg_corr_of(s, i, NULL, &w);
        const struct sg_algorithm *a = sg_corr_choose(&q);

        if (a->pools == NULL || !a->pools(&q)) {
            return 0;
        }
    }
    return 1;
}

void sg_conv_forward_pooled(const struct sg_conv *s, const float *prepared, const float *bias,
                            int relu, const float *x, float *y, uint8_t *winner, float *work) {
    SG_ASSERT(s->is_pooled);
    run_forward(s, prepared,
                &(struct sg_corr_call){
                    .in = x, .out = y, .bias = bias, .relu = relu, .work = work, .winner = winner});
}

void sg_conv_backward_pooled(const struct sg_conv *s, const float *prepared, const uint8_t *winner,
                             int cut, const float *dy, float *dx, int accumulate,
                             const uint32_t *mask, float *work) {
    const struct sg_winners won = {winner, cut ? UINT8_MAX : SG_POOL_CLOSED - 1};
    struct sg_last_pass last = {.at = dx, .n = s->n * s->h * s->w * s->c, .cut = mask};
    const struct sg_corr_call call = {
        .in = dy, .out = dx, .accumulate = accumulate, .work = work, .last = &last};

    SG_ASSERT(s->is_pooled);
    sg_pooled_run(s, prepared + prepared_before(s, end_prepared(s)), &won, &call);
    sg_corr_done(&call, last.n);
}
