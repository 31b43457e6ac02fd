/* ReLU and its bits, sums, transposes, SGEMM, and the choice of the instruction set. */
#include "net_kernels/helper.h"

#include <sys/wait.h>
#include <unistd.h>

static int same_float(float a, float b) {
    return memcmp(&a, &b, sizeof a) == 0;
}

/* Lengths round every vector width and word boundary. */
static void check_relu(void) {
    static const float special[] = {NAN, -0.0f, 0.0f, INFINITY, -INFINITY, 1e-45f, -1e-45f};

    for (int64_t n = 1; n <= 131; n++) {
        float *x = guarded(n);
        float *y = guarded(n);
        float *dx = guarded(n);
        uint32_t mask[6] = {7, 7, 7, 7, 7, 7};

        for (int64_t i = 0; i < n; i += 3) {
            x[i] = special[random_int(0, 6)];
        }
        sg_relu_forward(x, y, n);
        sg_relu_mask(y, mask, n);
        sg_relu_backward(mask, x, dx, n, 0);
        check_guard(y, n);
        check_guard(dx, n);
        assert_int_equal(mask[(n + 31) / 32], 7);
        for (int64_t i = 0; i < n; i++) {
            assert_true(same_float(y[i], x[i]) || (x[i] < 0 && same_float(y[i], 0.0f)));
            assert_true(!(x[i] < 0) || y[i] == 0.0f);
            assert_int_equal(mask[i / 32] >> (i % 32) & 1, y[i] > 0.0f);
            assert_true(same_float(dx[i], y[i] > 0.0f ? x[i] : 0.0f));
        }
        if (n % 32 != 0) {
            assert_int_equal(mask[n / 32] >> (n % 32), 0); /* no bit behind the last element */
        }
        for (int64_t i = 0; i < n; i++) {
            dx[i] = 0.5f;
        }
        sg_relu_backward(mask, x, dx, n, 1);
        for (int64_t i = 0; i < n; i++) {
            assert_true(same_float(dx[i], 0.5f + (y[i] > 0.0f ? x[i] : 0.0f)));
        }
        sg_relu_forward(x, x, n);
        assert_memory_equal(x, y, (size_t)n * sizeof *x);
        sg_free(x);
        sg_free(y);
        sg_free(dx);
    }
}

static void relu_and_its_bits(void **state) {
    (void)state;
    for_each_simd(check_relu);
}

/* min(max(x, low), high), NaN kept, and the bits strictly between; the mask's other words stay. */
static void check_clip(void) {
    static const float special[] = {NAN, -0.0f, 0.0f, 0.5f, -0.25f, INFINITY, -INFINITY};
    const float low = -0.25f;
    const float high = 0.5f;

    for (int64_t n = 1; n <= 4200; n += n < 131 ? 1 : 517) {
        float *x = guarded(n);
        float *y = guarded(n);
        uint32_t mask[140], again[140];

        memset(mask, 7, sizeof mask);
        for (int64_t i = 0; i < n; i += 3) {
            x[i] = special[random_int(0, 6)];
        }
        sg_clip(low, high, x, y, mask, n);
        check_guard(y, n);
        assert_int_equal(mask[(n + 31) / 32], 0x07070707);
        for (int64_t i = 0; i < n; i++) {
            const float want = x[i] < low ? low : x[i] > high ? high : x[i];

            assert_true(same_float(y[i], want));
            assert_int_equal(mask[i / 32] >> (i % 32) & 1, x[i] > low && x[i] < high);
        }
        memset(again, 7, sizeof again);
        sg_clip_mask(low, high, y, again, n);
        assert_memory_equal(again, mask, sizeof mask);
        sg_clip(low, high, x, x, again, n);
        assert_memory_equal(x, y, (size_t)n * sizeof *x);
        assert_memory_equal(again, mask, sizeof mask);
        sg_free(x);
        sg_free(y);
    }
}

static void clip_and_its_bits(void **state) {
    (void)state;
    for_each_simd(check_clip);
}

/* By the definitions of the rules: not negative, and for guided backpropagation through an open
 * gate alone. In place, and added to what is there. */
static void rules_of_relu(void **state) {
    static const enum sg_rule rules[] = {SG_RULE_GRADIENT, SG_RULE_GUIDED_BACKPROP,
                                         SG_RULE_DECONVNET};

    (void)state;
    for (int64_t n = 1; n <= 100; n += 9) {
        float *x = guarded(n);
        float *dy = guarded(n);
        float *dx = guarded(n);
        uint32_t mask[5] = {0};

        dy[0] = -0.0f;
        sg_relu_mask(x, mask, n);
        for (int r = 0; r < 3; r++) {
            float *in_place = guarded(n);

            memcpy(in_place, dy, (size_t)n * sizeof *dy);
            for (int64_t i = 0; i < n; i++) {
                dx[i] = 0.25f;
            }
            sg_relu_backward_by(rules[r], mask, dy, dx, n, 1);
            sg_relu_backward_by(rules[r], mask, in_place, in_place, n, 0);
            check_guard(dx, n);
            check_guard(in_place, n);
            for (int64_t i = 0; i < n; i++) {
                const int passes = (r == 2 || x[i] > 0) && (r == 0 || dy[i] > 0);
                const float expected = passes ? dy[i] : 0.0f;

                assert_true(in_place[i] == expected && dx[i] == 0.25f + expected);
            }
            sg_free(in_place);
        }
        dy[n - 1] = NAN; /* shows */
        x[n - 1] = 1;
        sg_relu_mask(x, mask, n);
        for (int r = 0; r < 3; r++) {
            sg_relu_backward_by(rules[r], mask, dy, dx, n, 0);
            assert_true(isnan(dx[n - 1]));
        }
        sg_free(x);
        sg_free(dy);
        sg_free(dx);
    }
}

/* A gradient that is not finite does not pass a closed gate, and does pass an open one. */
static void check_gates(void) {
    float dy[64];
    float dx[64];
    const uint32_t mask[2] = {0x0f0f0f0f, 0xffff0000};

    for (int i = 0; i < 64; i++) {
        dy[i] = i % 2 ? NAN : INFINITY;
    }
    sg_relu_backward(mask, dy, dx, 64, 0);
    for (int i = 0; i < 64; i++) {
        const int open = mask[i / 32] >> (i % 32) & 1;
        assert_true(open ? !isfinite(dx[i]) : dx[i] == 0.0f);
    }
}

static void closed_gates_stop_nan(void **state) {
    (void)state;
    for_each_simd(check_gates);
}

static void sums(void **state) {
    enum { N = 37 };
    float *a = guarded(N);
    float *b = guarded(N);
    float *y = guarded(N);

    (void)state;
    sg_add(a, b, y, N);
    check_guard(y, N);
    for (int i = 0; i < N; i++) {
        assert_true(y[i] == a[i] + b[i]);
    }
    sg_accumulate(a, b, N);
    assert_memory_equal(b, y, N * sizeof *y);
    sg_free(a);
    sg_free(b);
    sg_free(y);
}

static void transposes(void **state) {
    (void)state;
    for (int i = 0; i < 60; i++) {
        const int64_t n = random_int(1, 3);
        const int64_t c = random_int(1, 50);
        const int64_t plane = random_int(1, 50);
        float *x = guarded(n * c * plane);
        float *y = guarded(n * c * plane);
        float *back = guarded(n * c * plane);

        sg_nchw_to_nhwc(n, c, plane, x, y);
        sg_nhwc_to_nchw(n, c, plane, y, back);
        check_guard(y, n * c * plane);
        check_guard(back, n * c * plane);
        for (int64_t j = 0; j < n * c * plane; j++) {
            const int64_t channel = j % c;
            const int64_t px = j / c % plane;
            assert_true(y[j] == x[(j / c / plane * c + channel) * plane + px]);
        }
        assert_memory_equal(back, x, (size_t)(n * c * plane) * sizeof *x);
        sg_free(x);
        sg_free(y);
        sg_free(back);
    }
}

/* c = 2 op(a) op(b) + 0.5 c against a loop in double, inside larger arrays. */
static void gemm_is_its_loop(void **state) {
    enum { M = 5, N = 7, K = 9, LD = 12 };

    (void)state;
    for (int trans = 0; trans < 4; trans++) {
        float *a = guarded(LD * LD);
        float *b = guarded(LD * LD);
        float *c = guarded(LD * LD);
        float *old = guarded(LD * LD);
        memcpy(old, c, LD * LD * sizeof *c);
        sg_gemm(trans & 1, trans & 2, M, N, K, 2.0f, a, LD, b, LD, 0.5f, c, LD);
        for (int i = 0; i < LD * LD; i++) {
            const int row = i / LD;
            const int col = i % LD;
            double want = 0.5 * (double)old[i];
            for (int k = 0; k < K; k++) {
                want += 2.0 * (double)(trans & 1 ? a[k * LD + row] : a[row * LD + k]) *
                        (double)(trans & 2 ? b[col * LD + k] : b[k * LD + col]);
            }
            want = row < M && col < N ? want : (double)old[i];
            assert_true(fabs((double)c[i] - want) <= 2 * (K + 2) * 0x1p-24 * (2 * K + 0.5));
        }
        sg_free(a);
        sg_free(b);
        sg_free(c);
        sg_free(old);
    }
}

/* SGDIST_SIMD is read once a process, so each value gets its own. */
static int simd_in_child_is(const char *value, const char *want) {
    int status = 0;
    const pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        (void)setenv("SGDIST_SIMD", value, 1);
        _exit(strcmp(sg_kernels_simd(), want) == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Runs first: the parent must not have chosen yet. */
static void environment_limits_the_instruction_set(void **state) {
    (void)state;
    assert_true(simd_in_child_is("portable", "portable"));
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        assert_true(simd_in_child_is("avx2", "avx2"));
        assert_false(simd_in_child_is("", "portable"));
    }
#endif
}

static void blas_is_named(void **state) {
    (void)state;
    assert_int_equal(strncmp(sg_blas_name(), "openblas-", 9), 0);
    assert_true(strlen(sg_blas_name()) > 9);
    assert_int_equal(sg_blas_set_one_thread(), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(environment_limits_the_instruction_set),
        cmocka_unit_test(blas_is_named),
        cmocka_unit_test(relu_and_its_bits),
        cmocka_unit_test(clip_and_its_bits),
        cmocka_unit_test(rules_of_relu),
        cmocka_unit_test(closed_gates_stop_nan),
        cmocka_unit_test(sums),
        cmocka_unit_test(transposes),
        cmocka_unit_test(gemm_is_its_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
