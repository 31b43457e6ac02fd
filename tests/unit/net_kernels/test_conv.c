/* Every convolution algorithm, both directions, on random shapes against loops in double.
 *
 * Bound: a sum of K products in float, in any order, fused or not, errs by at most
 * (K + 1) 2^-24 sum |x w| to first order (Higham, Accuracy and Stability, section 3.1); bias, old
 * value and the reference's own rounding add less than the factor 2. Sums by blocks err less. */
#include "net_kernels/helper.h"

struct arrays {
    struct sg_conv s;
    int64_t n_in, n_out, n_weight;
    float *weight, *bias, *x, *y, *dy, *dx;
    float *abs_weight, *abs_x, *abs_dy; /* for the bounds */
    float *plain_y, *want_y;            /* without and with bias and ReLU */
    float *plain_dx, *want_dx;          /* alone, and added to x */
    float *sum_y, *sum_dx;              /* sums of magnitudes */
};

static float *magnitudes(const float *p, int64_t n) {
    float *a = guarded(n);

    for (int64_t i = 0; i < n; i++) {
        a[i] = fabsf(p[i]);
    }
    return a;
}

static void setup(struct arrays *a) {
    const struct sg_conv *s = &a->s;

    a->n_in = s->n * s->h * s->w * s->c;
    a->n_out = s->n * s->oh * s->ow * s->k;
    a->n_weight = s->k * (s->c / s->groups) * s->kh * s->kw;
    a->weight = guarded(a->n_weight);
    a->bias = guarded(s->k);
    a->x = guarded(a->n_in);
    a->dy = guarded(a->n_out);
    a->y = guarded(a->n_out);
    a->dx = guarded(a->n_in);
    a->want_y = guarded(a->n_out);
    a->want_dx = guarded(a->n_in);
    a->sum_y = guarded(a->n_out);
    a->sum_dx = guarded(a->n_in);
    a->abs_weight = magnitudes(a->weight, a->n_weight);
    a->abs_x = magnitudes(a->x, a->n_in);
    a->abs_dy = magnitudes(a->dy, a->n_out);
    a->plain_y = guarded(a->n_out);
    a->plain_dx = guarded(a->n_in);
    sg_ref_conv_forward(s, a->weight, a->bias, 1, a->x, a->want_y);
    sg_ref_conv_forward(s, a->weight, NULL, 0, a->x, a->plain_y);
    memcpy(a->want_dx, a->x, (size_t)a->n_in * sizeof(float));
    sg_ref_conv_backward(s, a->weight, a->dy, a->want_dx, 1);
    sg_ref_conv_backward(s, a->weight, a->dy, a->plain_dx, 0);
    sg_ref_conv_forward(s, a->abs_weight, NULL, 0, a->abs_x, a->sum_y);
    sg_ref_conv_backward(s, a->abs_weight, a->abs_dy, a->sum_dx, 0);
}

static void teardown(struct arrays *a) {
    float *all[] = {a->weight,     a->bias,   a->x,       a->y,       a->dy,
                    a->dx,         a->want_y, a->want_dx, a->plain_y, a->plain_dx,
                    a->abs_weight, a->abs_x,  a->abs_dy,  a->sum_y,   a->sum_dx};

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        sg_free(all[i]);
    }
}

/* |got - want| <= 2 (K + 2) 2^-24 (sum |x w| + extra), K the largest number of terms. */
static void check_close(const float *got, const float *want, const float *sum, int64_t n,
                        int64_t n_terms, double extra) {
    check_guard(got, n);
    for (int64_t i = 0; i < n; i++) {
        const double bound =
            2.0 * (double)(n_terms + 2) * 0x1p-24 * ((double)sum[i] + extra) + 1e-30;
        if (!(fabs((double)got[i] - (double)want[i]) <= bound)) {
            fail_msg("element %lld of %lld: got %.9g, want %.9g, bound %.3g", (long long)i,
                     (long long)n, (double)got[i], (double)want[i], bound);
        }
    }
}

static int64_t forward_terms(const struct sg_conv *s) {
    return s->kh * s->kw * s->c / s->groups;
}

static int64_t backward_terms(const struct sg_conv *s) {
    return s->kh * s->kw * s->k / s->groups;
}

static double dot(const float *a, const float *b, int64_t n) {
    double sum = 0;

    for (int64_t i = 0; i < n; i++) {
        sum += (double)a[i] * (double)b[i];
    }
    return sum;
}

/* <dy, conv x> = <conv' dy, x>: true of the adjoint and of nothing else. */
static void check_adjoint(const struct arrays *a) {
    const double left = dot(a->dy, a->y, a->n_out);
    const double right = dot(a->dx, a->x, a->n_in);
    const double scale = dot(a->abs_dy, a->sum_y, a->n_out);
    const int64_t n_terms = forward_terms(&a->s) + backward_terms(&a->s);

    assert_true(fabs(left - right) <= 2.0 * (double)n_terms * 0x1p-24 * scale);
}

/* Added to what dx holds, then alone; the workspace holds nothing that may be used. */
static void check_backward(struct arrays *a, const float *prepared, float *work, int64_t n_work) {
    const struct sg_conv *s = &a->s;

    memcpy(a->dx, a->x, (size_t)a->n_in * sizeof(float));
    fill_nan(work, n_work);
    sg_conv_backward(s, prepared, a->dy, a->dx, 1, work);
    check_close(a->dx, a->want_dx, a->sum_dx, a->n_in, backward_terms(s), 1.0);

    fill_nan(a->dx, a->n_in);
    fill_nan(work, n_work);
    sg_conv_backward(s, prepared, a->dy, a->dx, 0, work);
    check_close(a->dx, a->plain_dx, a->sum_dx, a->n_in, backward_terms(s), 0.0);
}

/* The residual form on 8 dy as the shortcut: relu(8 dy + conv x + bias), or cut at 6 as well, which
 * a tenth of the elements are. `want` is for scratch. */
static void check_residual(struct arrays *a, const float *prepared, float *work, float *want,
                           int relu) {
    const struct sg_conv *s = &a->s;

    for (int64_t i = 0; i < a->n_out; i++) {
        const float v = 8.0f * a->dy[i] + a->plain_y[i] + a->bias[i % s->k];
        const float cut = v < 0.0f ? 0.0f : v;

        want[i] = relu == SG_RELU_6 && cut > 6.0f ? 6.0f : cut;
        a->y[i] = 8.0f * a->dy[i];
    }
    sg_conv_forward_add(s, prepared, a->bias, relu, a->x, a->y, work);
    check_close(a->y, want, a->sum_y, a->n_out, forward_terms(s), 32.0);
}

static void check_forward(struct arrays *a, const float *prepared, float *work, int64_t n_work) {
    const struct sg_conv *s = &a->s;
    float *want = guarded(a->n_out);

    fill_nan(work, n_work);
    check_residual(a, prepared, work, want, SG_RELU_PLAIN);
    check_residual(a, prepared, work, want, SG_RELU_6);
    sg_free(want);

    fill_nan(a->y, a->n_out);
    fill_nan(work, n_work);
    sg_conv_forward(s, prepared, a->bias, 1, a->x, a->y, work);
    check_close(a->y, a->want_y, a->sum_y, a->n_out, forward_terms(s), 1.0);

    fill_nan(work, n_work);
    sg_conv_forward(s, prepared, NULL, 0, a->x, a->y, work);
    check_close(a->y, a->plain_y, a->sum_y, a->n_out, forward_terms(s), 0.0);
}

/* Bits that are made, and applied, in the same pass are those of a pass of their own over the
 * results y and dx. */
static void check_masks(const struct arrays *a, const float *prepared, float *work, float *y,
                        float *dx) {
    const int64_t n = a->n_out > a->n_in ? a->n_out : a->n_in;
    uint32_t *want = sg_calloc((size_t)n / 32 + 1, sizeof *want);
    uint32_t *mask = sg_calloc((size_t)n / 32 + 1, sizeof *mask);

    assert_true(want != NULL && mask != NULL);
    sg_conv_forward_masked(&a->s, prepared, NULL, 0, 0, a->x, y, mask, work);
    sg_relu_mask(y, want, a->n_out);
    assert_memory_equal(y, a->y, (size_t)a->n_out * sizeof(float));
    assert_memory_equal(mask, want, (size_t)(a->n_out + 31) / 32 * sizeof *mask);

    for (int64_t i = 0; i < a->n_out; i++) { /* with a shortcut of 8 dy, many are cut at 6 */
        y[i] = 8.0f * a->dy[i];
    }
    sg_conv_forward_masked(&a->s, prepared, a->bias, SG_RELU_6, 1, a->x, y, mask, work);
    for (int64_t i = 0; i < a->n_out; i++) {
        assert_int_equal(mask[i / 32] >> (i % 32) & 1, y[i] > 0.0f && y[i] < 6.0f);
    }

    sg_relu_mask(a->x, mask, a->n_in);
    sg_conv_backward_masked(&a->s, prepared, a->dy, dx, 0, mask, work);
    sg_relu_backward(mask, a->dx, a->dx, a->n_in, 0);
    assert_memory_equal(dx, a->dx, (size_t)a->n_in * sizeof(float));
    sg_free(want);
    sg_free(mask);
}

/* The same call gives the same bits, whatever the workspace held. */
static void check_repeats(struct arrays *a, const float *prepared, float *work) {
    float *y = guarded(a->n_out);
    float *dx = guarded(a->n_in);

    sg_conv_forward(&a->s, prepared, NULL, 0, a->x, y, work);
    sg_conv_backward(&a->s, prepared, a->dy, dx, 0, work);
    assert_memory_equal(y, a->y, (size_t)a->n_out * sizeof(float));
    assert_memory_equal(dx, a->dx, (size_t)a->n_in * sizeof(float));
    check_masks(a, prepared, work, y, dx);
    sg_free(y);
    sg_free(dx);
}

/* Nets of several batch sizes share one copy of the weights. */
static void check_weights_fit_any_batch(struct sg_conv s) {
    const int64_t n_prepared = sg_conv_prepared_size(&s);

    s.n += 13;
    assert_int_equal(sg_conv_prepared_size(&s), n_prepared);
}

static void check_public(struct arrays *a) {
    const int64_t n_work = sg_conv_work_size(&a->s);
    const int64_t n_prepared = sg_conv_prepared_size(&a->s);
    float *prepared = guarded(n_prepared);
    float *work = guarded(n_work);

    check_weights_fit_any_batch(a->s);
    sg_conv_prepare(&a->s, a->weight, prepared);
    check_guard(prepared, n_prepared);
    check_forward(a, prepared, work, n_work);
    check_backward(a, prepared, work, n_work);
    check_adjoint(a);
    check_repeats(a, prepared, work);
    check_guard(work, n_work);
    sg_free(prepared);
    sg_free(work);
}

/* The algorithms that add products one by one, so that the bound above holds. */
static const struct sg_algorithm *const summing[] = {
    &sg_algorithm_nothing, &sg_algorithm_depthwise, &sg_algorithm_dots,
    &sg_algorithm_direct,  &sg_algorithm_pointwise, &sg_algorithm_columns};
enum { N_ALGORITHMS = sizeof summing / sizeof summing[0] };
static int64_t n_runs[N_ALGORITHMS][2]; /* forward, backward */

static void run_one(const struct arrays *a, int64_t phase, const struct sg_algorithm *algorithm,
                    struct sg_corr_call call) {
    struct sg_weights w;
    const struct sg_corr q = sg_corr_of(&a->s, phase, a->weight, &w);
    const int64_t n_prepared = algorithm->weights_size(&q);
    const int64_t n_work = algorithm->work_size(&q);
    float *prepared = guarded(n_prepared);

    call.work = guarded(n_work);
    algorithm->prepare(&q, &w, prepared);
    algorithm->run(&q, prepared, &call);
    check_guard(prepared, n_prepared);
    check_guard(call.work, n_work);
    sg_free(prepared);
    sg_free(call.work);
}

/* Where the table would not choose it, an algorithm that applies must be right all the same. Phases
 * it cannot do are left to the table's choice. */
static void check_algorithm(struct arrays *a, int index) {
    const struct sg_algorithm *algorithm = summing[index];
    const struct sg_corr_call forward = {.in = a->x, .out = a->y, .bias = a->bias, .relu = 1};
    const struct sg_corr_call backward = {.in = a->dy, .out = a->dx, .accumulate = 1};
    struct sg_weights w;
    struct sg_corr q = sg_corr_of(&a->s, -1, NULL, &w);

    if (algorithm->applies(&q)) {
        run_one(a, -1, algorithm, forward);
        check_close(a->y, a->want_y, a->sum_y, a->n_out, forward_terms(&a->s), 1.0);
        n_runs[index][0]++;
    }
    memcpy(a->dx, a->x, (size_t)a->n_in * sizeof(float));
    for (int64_t i = 0; i < sg_corr_n_phases(&a->s); i++) {
        q = sg_corr_of(&a->s, i, NULL, &w);
        n_runs[index][1] += algorithm->applies(&q);
        run_one(a, i, algorithm->applies(&q) ? algorithm : sg_corr_choose(&q), backward);
    }
    check_close(a->dx, a->want_dx, a->sum_dx, a->n_in, backward_terms(&a->s), 1.0);
}

/* Columns take everything, but need at least one tap. */
static int has_empty_phase(const struct sg_conv *s) {
    for (int64_t i = 0; i < sg_corr_n_phases(s); i++) {
        struct sg_weights w;
        const struct sg_corr q = sg_corr_of(s, i, NULL, &w);
        if (sg_algorithm_nothing.applies(&q)) {
            return 1;
        }
    }
    return 0;
}

static void check_shape(const struct sg_conv *s, int each_algorithm) {
    struct arrays a = {.s = *s};

    setup(&a);
    check_public(&a);
    for (int i = 0; each_algorithm && i < N_ALGORITHMS; i++) {
        if (i == 0 || !has_empty_phase(s)) {
            check_algorithm(&a, i);
        }
    }
    teardown(&a);
}

static int64_t output_extent(int64_t in, int64_t pads, int64_t kernel, int64_t dilation,
                             int64_t stride) {
    return (in + pads - dilation * (kernel - 1) - 1) / stride + 1;
}

/* Fills oh and ow; 0 if the kernel is larger than the padded image. */
static int complete(struct sg_conv *s) {
    const int64_t left_h = s->h + s->pad_top + s->pad_bottom - s->dilation_h * (s->kh - 1);
    const int64_t left_w = s->w + s->pad_left + s->pad_right - s->dilation_w * (s->kw - 1);

    s->oh = output_extent(s->h, s->pad_top + s->pad_bottom, s->kh, s->dilation_h, s->stride_h);
    s->ow = output_extent(s->w, s->pad_left + s->pad_right, s->kw, s->dilation_w, s->stride_w);
    return left_h >= 1 && left_w >= 1;
}

static struct sg_conv random_shape(void) {
    static const int64_t channels[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 20, 31, 32, 33, 40};
    struct sg_conv s;

    do {
        const int64_t groups = random_int(0, 3) == 0 ? random_int(2, 9) : 1;
        const int depthwise = groups > 1 && random_int(0, 1);
        s = (struct sg_conv){.n = random_int(0, 7) == 0 ? random_int(1, 17) : random_int(1, 3),
                             .h = random_int(1, 14),
                             .w = random_int(1, 17),
                             .kh = random_int(1, 5),
                             .kw = random_int(1, 5),
                             .stride_h = random_int(1, 3),
                             .stride_w = random_int(1, 3),
                             .dilation_h = random_int(0, 2) == 0 ? random_int(1, 4) : 1,
                             .dilation_w = random_int(0, 2) == 0 ? random_int(1, 4) : 1,
                             .pad_top = random_int(0, 4),
                             .pad_left = random_int(0, 4),
                             .pad_bottom = random_int(0, 4),
                             .pad_right = random_int(0, 4),
                             .groups = groups,
                             .may_keep_ties = (int)random_int(0, 1)};
        s.keeps_ties = s.may_keep_ties && random_int(0, 1);
        s.c = groups * (depthwise ? 1 : channels[random_int(0, groups > 1 ? 6 : 15)]);
        s.k = groups * (depthwise ? 1 : channels[random_int(0, groups > 1 ? 6 : 15)]);
        if (random_int(0, 4) == 0) { /* pointwise shapes would be rare otherwise */
            s.kh = s.kw = s.stride_h = s.stride_w = 1;
            s.pad_top = s.pad_left = s.pad_bottom = s.pad_right = 0;
        }
    } while (!complete(&s));
    return s;
}

static void random_shapes(void) {
    for (int i = 0; i < 150; i++) {
        const struct sg_conv s = random_shape();
        check_shape(&s, 1);
    }
    for (int i = 0; i < N_ALGORITHMS; i++) { /* every algorithm had its share */
        assert_true(n_runs[i][0] >= 5 || summing[i] == &sg_algorithm_nothing); /* taps reach it */
        assert_true(n_runs[i][1] >= 10);
        n_runs[i][0] = n_runs[i][1] = 0;
    }
}

static void every_algorithm_is_the_convolution(void **state) {
    (void)state;
    for_each_simd(random_shapes);
}

/* Shapes of networks that people run, thinned where the reference would take long; they cross the
 * limits of row blocks and column blocks. n h w c k kh kw stride pad dilation groups */
static const int64_t network_shapes[][11] = {
    {2, 28, 28, 1, 16, 3, 3, 1, 1, 1, 1},   {1, 14, 14, 16, 32, 3, 3, 1, 1, 1, 1},
    {1, 57, 61, 3, 24, 7, 7, 2, 3, 1, 1},   {2, 14, 14, 64, 40, 1, 1, 1, 0, 1, 1},
    {1, 14, 14, 64, 48, 3, 3, 2, 1, 1, 1},  {1, 15, 15, 64, 32, 1, 1, 2, 0, 1, 1},
    {1, 7, 7, 130, 33, 3, 3, 1, 1, 1, 1},   {2, 9, 9, 1100, 5, 1, 1, 1, 0, 1, 1},
    {1, 70, 90, 8, 8, 3, 3, 1, 1, 1, 1},    {1, 30, 30, 36, 36, 3, 3, 1, 1, 1, 36},
    {1, 70, 70, 35, 35, 5, 5, 2, 2, 1, 35}, {1, 20, 20, 64, 64, 3, 3, 1, 1, 1, 16},
    {1, 33, 33, 21, 9, 3, 3, 1, 12, 12, 1}, {1, 1, 40, 6, 10, 1, 9, 1, 4, 1, 1},
    {5, 4, 4, 40, 3, 4, 4, 4, 0, 1, 1},     {2, 3, 3, 5, 6, 7, 7, 1, 3, 1, 1},
    {1, 6, 6, 300, 20, 2, 2, 2, 0, 1, 1},   {2, 5, 5, 24, 48, 3, 3, 1, 1, 1, 2},
    {3, 18, 17, 64, 72, 3, 3, 1, 1, 1, 1},  {2, 6, 5, 70, 64, 3, 3, 1, 1, 1, 1},
};

static void check_network_shapes(void) {
    for (size_t i = 0; i < sizeof network_shapes / sizeof network_shapes[0]; i++) {
        const int64_t *v = network_shapes[i];
        struct sg_conv s = {.n = v[0],
                            .h = v[1],
                            .w = v[2],
                            .c = v[3],
                            .k = v[4],
                            .kh = v[5],
                            .kw = v[6],
                            .stride_h = v[7],
                            .stride_w = v[7],
                            .dilation_h = v[9],
                            .dilation_w = v[9],
                            .pad_top = v[8],
                            .pad_left = v[8],
                            .pad_bottom = v[8],
                            .pad_right = v[8],
                            .groups = v[10]};
        if (s.h == 1) {
            s.pad_top = s.pad_bottom = 0;
        }
        assert_true(complete(&s));
        check_shape(&s, 1);
    }
}

static void network_shapes_are_right(void **state) {
    (void)state;
    for_each_simd(check_network_shapes);
}

/* Winograd's sums are of whole tiles, so their error has no bound by the terms of one output alone.
 * It is held to the root mean square of all outputs instead. Measured on such arrays, up
 * to 40 channels, all instruction sets: relative L2 up to 2.5e-7 (2x2) and 7.5e-7 (4x4), single
 * elements up to 13 times their array's. The bounds are 2 to 2.7 times the largest values. */
static void check_close_to_rms(const float *got, const float *want, int64_t n, double l2) {
    const double rms = sqrt(dot(want, want, n) / (double)n);
    double sum = 0;

    check_guard(got, n);
    for (int64_t i = 0; i < n; i++) {
        const double error = (double)got[i] - (double)want[i];
        assert_true(fabs(error) <= 10 * l2 * rms);
        sum += error * error;
    }
    assert_true(sqrt(sum / (double)n) <= l2 * rms);
}

static struct sg_conv shape_3x3(int64_t n, int64_t h, int64_t w, int64_t c, int64_t k) {
    struct sg_conv s = conv_shape(n, h, w, c, k, 3, 1, 1);

    random_border(&s);
    assert_true(complete(&s));
    return s;
}

/* The adjoint with the weights of the forward pass. */
static void check_shared_weights(const struct arrays *a, const struct sg_algorithm *algorithm,
                                 double l2) {
    struct sg_weights w;
    const struct sg_corr adjoint = sg_corr_of(&a->s, 0, NULL, &w);
    const struct sg_corr forward = sg_corr_of(&a->s, -1, a->weight, &w);
    const int64_t n_work = algorithm->work_size(&adjoint);
    float *prepared = guarded(algorithm->weights_size(&forward));
    const struct sg_corr_call call = {
        .in = a->dy, .out = a->dx, .accumulate = 1, .adjoint = 1, .work = guarded(n_work)};

    algorithm->prepare(&forward, &w, prepared);
    memcpy(a->dx, a->x, (size_t)a->n_in * sizeof(float));
    fill_nan(call.work, n_work);
    algorithm->run(&adjoint, prepared, &call);
    check_close_to_rms(a->dx, a->want_dx, a->n_in, l2);
    check_guard(call.work, n_work);
    sg_free(call.work);
    sg_free(prepared);
}

/* Both directions by one algorithm: with everything that may follow, and with nothing. */
static void check_winograd(struct sg_conv s, const struct sg_algorithm *algorithm, double l2) {
    struct arrays a = {.s = s};

    setup(&a);
    run_one(&a, -1, algorithm,
            (struct sg_corr_call){.in = a.x, .out = a.y, .bias = a.bias, .relu = 1});
    check_close_to_rms(a.y, a.want_y, a.n_out, l2);
    run_one(&a, -1, algorithm, (struct sg_corr_call){.in = a.x, .out = a.y});
    check_close_to_rms(a.y, a.plain_y, a.n_out, l2);
    run_one(&a, 0, algorithm, (struct sg_corr_call){.in = a.dy, .out = a.dx});
    check_close_to_rms(a.dx, a.plain_dx, a.n_in, l2);
    memcpy(a.dx, a.x, (size_t)a.n_in * sizeof(float));
    run_one(&a, 0, algorithm, (struct sg_corr_call){.in = a.dy, .out = a.dx, .accumulate = 1});
    check_close_to_rms(a.dx, a.want_dx, a.n_in, l2);
    if (algorithm->serves_adjoint) {
        check_shared_weights(&a, algorithm, l2);
    }
    teardown(&a);
}

static void winograd_shapes(void) {
    for (int i = 0; i < 24; i++) {
        const struct sg_conv s = shape_3x3(random_int(1, 3), random_int(3, 14), random_int(3, 14),
                                           random_int(1, 40), random_int(1, 40));
        check_winograd(s, &sg_algorithm_winograd2, 5e-7);
        check_winograd(s, &sg_algorithm_winograd4, 2e-6);
        check_winograd(s, &sg_algorithm_strips, 2e-6);
    }
    /* Blocks of tiles end within samples. */
    check_winograd(shape_3x3(3, 40, 36, 36, 33), &sg_algorithm_winograd4, 2e-6);
    check_winograd(shape_3x3(3, 26, 30, 36, 33), &sg_algorithm_winograd2, 5e-7);
    check_winograd(shape_3x3(2, 70, 90, 9, 18), &sg_algorithm_strips, 2e-6);
    /* Rows that are longer than a block. */
    check_winograd(shape_3x3(1, 9, 700, 16, 8), &sg_algorithm_strips, 2e-6);
}

static void winograd_is_the_convolution(void **state) {
    (void)state;
    for_each_simd(winograd_shapes);
}

/* Nothing in the table is left untested. */
static void tests_know_the_table(void **state) {
    const struct sg_algorithm *a;

    (void)state;
    for (int i = 0; (a = sg_algorithm_at(i)) != NULL; i++) {
        int n = a == &sg_algorithm_winograd2 || a == &sg_algorithm_winograd4 ||
                a == &sg_algorithm_strips || a == &sg_algorithm_bfloat16; /* test_bfloat16.c */
        for (int j = 0; j < N_ALGORITHMS; j++) {
            n += a == summing[j];
        }
        assert_int_equal(n, 1);
    }
}

static const char *chosen(int64_t extent, int64_t c, int64_t k, int64_t phase) {
    struct sg_conv s = shape_3x3(1, extent, extent, c, k);
    struct sg_weights w;

    s.pad_top = s.pad_left = s.pad_bottom = s.pad_right = 1;
    assert_true(complete(&s));
    const struct sg_corr q = sg_corr_of(&s, phase, NULL, &w);
    return sg_corr_choose(&q)->name;
}

/* The table is part of what a result means: a change of it changes bits. */
static void choices_are_fixed(void **state) {
    (void)state;
    for (int64_t phase = -1; phase <= 0; phase++) {
        assert_string_equal(chosen(56, 64, 64, phase), "winograd 4x4");
        assert_string_equal(chosen(7, 512, 512, phase), "winograd 4x4");
        assert_string_equal(chosen(6, 256, 256, phase), "winograd 2x2");
        assert_string_equal(chosen(14, 16, 32, phase), "winograd strips");
        assert_string_equal(chosen(14, 4, 32, phase), "direct");
    }
}

/* A NaN pixel reaches the outputs whose windows hold it, and no other. */
static void nan_stays_in_its_window(void) {
    const struct sg_conv s = conv_shape(1, 9, 9, 5, 3, 3, 1, 1);
    struct arrays a = {.s = s};
    float *prepared = guarded(sg_conv_prepared_size(&s));
    float *work = guarded(sg_conv_work_size(&s));

    setup(&a);
    a.x[(4 * 9 + 4) * 5 + 2] = NAN;
    sg_conv_prepare(&s, a.weight, prepared);
    sg_conv_forward(&s, prepared, a.bias, 1, a.x, a.y, work);
    for (int64_t i = 0; i < a.n_out; i++) {
        const int64_t px = i / 3;
        const int near = llabs(px / 9 - 4) <= 1 && llabs(px % 9 - 4) <= 1;
        assert_int_equal(isnan(a.y[i]) != 0, near);
    }
    teardown(&a);
    sg_free(prepared);
    sg_free(work);
}

static void nan_reaches_what_it_should(void **state) {
    (void)state;
    for_each_simd(nan_stays_in_its_window);
}

/* 3 x 3 ones over an image of ones: 9 inside, 6 at edges, 4 in corners. */
static void ones_count_taps(void **state) {
    const struct sg_conv s = conv_shape(1, 3, 3, 1, 1, 3, 1, 1);
    const float ones[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    const float want[9] = {4, 6, 4, 6, 9, 6, 4, 6, 4};
    float prepared[512];
    float work[512];
    float y[9];

    (void)state;
    assert_true(sg_conv_prepared_size(&s) <= 512 && sg_conv_work_size(&s) <= 512);
    sg_conv_prepare(&s, ones, prepared);
    sg_conv_forward(&s, prepared, NULL, 0, ones, y, work);
    assert_memory_equal(y, want, sizeof want);
    sg_conv_backward(&s, prepared, ones, y, 0, work);
    assert_memory_equal(y, want, sizeof want);
    sg_ref_conv_forward(&s, ones, NULL, 0, ones, y);
    assert_memory_equal(y, want, sizeof want);
    sg_ref_conv_backward(&s, ones, ones, y, 0);
    assert_memory_equal(y, want, sizeof want);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ones_count_taps),
        cmocka_unit_test(every_algorithm_is_the_convolution),
        cmocka_unit_test(network_shapes_are_right),
        cmocka_unit_test(winograd_is_the_convolution),
        cmocka_unit_test(tests_know_the_table),
        cmocka_unit_test(choices_are_fixed),
        cmocka_unit_test(nan_reaches_what_it_should),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
