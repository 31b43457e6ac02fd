/* Paths without a network: rules of integration by their published values and by what they must
 * integrate exactly, the search for t*, where a decision path puts its nodes, steps of a guided
 * path, and the closed forms of linear and quadratic scores. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above */
#include <cmocka.h>

#include "methods/methods_impl.h"

#include <math.h>
#include <string.h>

enum { N = 6, MOST = 64 };

static double power(double t, int k) {
    double p = 1;

    for (int i = 0; i < k; i++) {
        p *= t;
    }
    return p;
}

/* Abramowitz and Stegun 1964, table 25.4, on -1..1. */
static void gauss_legendre_is_the_published_one(void **state) {
    static const double z3[] = {-0.774596669241483, 0, 0.774596669241483};
    static const double w3[] = {0.555555555555556, 0.888888888888889, 0.555555555555556};
    static const double z12 = 0.981560634246719; /* the last of twelve */
    static const double w12 = 0.047175336386512;
    double t[MOST];
    double w[MOST];

    (void)state;
    sg_quadrature(SG_QUADRATURE_GAUSS_LEGENDRE, 3, t, w);
    for (int i = 0; i < 3; i++) {
        assert_true(fabs(2 * t[i] - 1 - z3[i]) < 1e-14 && fabs(2 * w[i] - w3[i]) < 1e-14);
    }
    sg_quadrature(SG_QUADRATURE_GAUSS_LEGENDRE, 12, t, w);
    assert_true(fabs(2 * t[11] - 1 - z12) < 1e-14 && fabs(2 * w[11] - w12) < 1e-14);
}

/* n nodes integrate t^(2n-1) exactly, and not t^(2n). */
static void gauss_legendre_is_exact_to_its_degree(void **state) {
    (void)state;
    for (int n = 1; n <= MOST; n = n < 8 ? n + 1 : 2 * n) {
        double t[MOST];
        double w[MOST];
        double all = 0;
        double odd = 0;
        double even = 0;

        sg_quadrature(SG_QUADRATURE_GAUSS_LEGENDRE, n, t, w);
        for (int j = 0; j < n; j++) {
            assert_true(t[j] > 0 && t[j] < 1 && (j == 0 || t[j] > t[j - 1]));
            all += w[j];
            odd += w[j] * power(t[j], 2 * n - 1);
            even += w[j] * power(t[j], 2 * n);
        }
        assert_true(fabs(all - 1) < 1e-14);
        assert_true(fabs(odd - 1.0 / (2 * n)) < 1e-15);
        assert_true(n > 4 || fabs(even - 1.0 / (2 * n + 1)) > 1e-6);
    }
}

static void simple_rules(void **state) {
    static const struct {
        enum sg_quadrature rule;
        double t[4];
        double w[4];
    } rows[] = {
        {SG_QUADRATURE_MIDPOINT, {0.125, 0.375, 0.625, 0.875}, {0.25, 0.25, 0.25, 0.25}},
        {SG_QUADRATURE_TRAPEZOID, {0, 1.0 / 3, 2.0 / 3, 1}, {1.0 / 6, 1.0 / 3, 1.0 / 3, 1.0 / 6}},
        {SG_QUADRATURE_RIEMANN_LEFT, {0, 0.25, 0.5, 0.75}, {0.25, 0.25, 0.25, 0.25}},
        {SG_QUADRATURE_RIEMANN_RIGHT, {0.25, 0.5, 0.75, 1}, {0.25, 0.25, 0.25, 0.25}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        double t[4];
        double w[4];

        sg_quadrature(rows[i].rule, 4, t, w);
        for (int j = 0; j < 4; j++) {
            assert_true(fabs(t[j] - rows[i].t[j]) < 1e-15 && fabs(w[j] - rows[i].w[j]) < 1e-15);
        }
    }
}

/* ---- t* ---- */

/* t* for the score s(t) on the path. */
static double t_star(double (*s)(double t), double threshold) {
    const struct sg_path path = {.kind = SG_PATH_SPLIT, .threshold = threshold};
    double scan[MOST];
    struct sg_saturation search;
    const int n = sg_path_n_scan(&path);

    for (int i = 0; i < n; i++) {
        scan[i] = s((double)i / (n - 1));
    }
    sg_saturation_begin(&path, scan, &search);
    for (int i = 0; i < sg_path_n_search(&path); i++) {
        sg_saturation_add(&search, s(sg_saturation_middle(&search)));
    }
    return search.high;
}

static double rising(double t) {
    return 3 + sqrt(t);
}

static double falling(double t) {
    return -t;
}

static double wave(double t) { /* crosses its last value three times, first at t = 0.1 */
    return t < 0.2 ? 5 * t : t < 0.4 ? 2 - 5 * t : t < 0.6 ? 0.0 : (t - 0.6) * 1.25;
}

static double constant(double t) {
    (void)t;
    return 7;
}

static double unknown(double t) {
    (void)t;
    return NAN;
}

static void saturation(void **state) {
    (void)state;
    assert_true(fabs(t_star(rising, 0.9) - 0.81) < 1e-6);
    assert_true(fabs(t_star(rising, 0.5) - 0.25) < 1e-6);
    assert_true(t_star(falling, 0.9) == 1); /* methods.md 2.10: the whole path */
    assert_true(t_star(constant, 0.9) == 1);
    assert_true(t_star(unknown, 0.9) == 1);
    assert_true(fabs(t_star(wave, 0.99) - 0.099) < 1e-6); /* the first crossing */
}

/* The two parts of a split path together integrate what the whole does. */
static void parts_add_up(void **state) {
    const struct sg_path path = {.kind = SG_PATH_SPLIT, .nodes = 5};
    double t[MOST];
    double w[MOST];
    double sum[3] = {0};

    (void)state;
    sg_path_place(&path, 0.3, NULL, t, w);
    for (int j = 0; j < sg_path_n_nodes(&path); j++) {
        sum[sg_path_part_of(&path, j)] += w[j] * power(t[j], 9);
    }
    assert_true(fabs(sum[SG_PART_LEFT] - power(0.3, 10) / 10) < 1e-15);
    assert_true(fabs(sum[SG_PART_RIGHT] - (1 - power(0.3, 10)) / 10) < 1e-15);
}

/* ---- nodes of a decision path ---- */

static int n_between(const double *t, int n, double low, double high) {
    int count = 0;

    for (int j = 0; j < n; j++) {
        count += t[j] > low && t[j] < high;
    }
    return count;
}

static void nodes_lie_where_the_score_rises(void **state) {
    struct sg_path path = {.kind = SG_PATH_DECISION, .nodes = 40};
    const int n = sg_path_n_scan(&path) - 1;
    double scan[MOST] = {0};
    double t[MOST];
    double w[MOST];
    double all = 0;

    (void)state;
    for (int i = n / 2 + 1; i <= n; i++) {
        scan[i] = 1; /* it rises in one interval alone */
    }
    sg_path_place(&path, 1, scan, t, w);
    for (int j = 0; j < path.nodes; j++) {
        all += w[j];
        assert_true(j == 0 || t[j] > t[j - 1]);
    }
    assert_true(fabs(all - 1) < 1e-14);
    assert_int_equal(n_between(t, path.nodes, (n / 2) / (double)n, (n / 2 + 1) / (double)n),
                     path.nodes - 2 * (n - 1));
    for (int i = 0; i <= n; i++) {
        scan[i] = i; /* it rises everywhere: nodes everywhere */
    }
    sg_path_place(&path, 1, scan, t, w);
    assert_int_equal(n_between(t, path.nodes, 0, 0.5), path.nodes / 2);
    for (path.nodes = 1; path.nodes <= MOST; path.nodes++) { /* any number of nodes is met */
        for (int i = 0; i < sg_path_n_scan(&path); i++) {
            scan[i] = sin(9.0 * i);
        }
        sg_path_place(&path, 1, scan, t, w);
        all = 0;
        for (int j = 0; j < path.nodes; j++) {
            all += w[j];
        }
        assert_true(fabs(all - 1) < 1e-13);
    }
}

/* ---- what is added up ---- */

static const float x0[N] = {0.5f, -1, 2, 0, 0.25f, 3};
static const float x[N] = {1, 1, -1, 0, 4, 2.5f};

/* The gradient of the score a.x + (b.x)^2 / 2 at p. */
static const double a[N] = {1, -2, 0.5, 3, 0.25, -1};
static const double b[N] = {0.5, 1, -1, 2, 0.125, 0.75};

static void gradient(const float *p, float *g) {
    double along = 0;

    for (int i = 0; i < N; i++) {
        along += b[i] * (double)p[i];
    }
    for (int i = 0; i < N; i++) {
        g[i] = (float)(a[i] + along * b[i]);
    }
}

static double score(const float *p) {
    double linear = 0;
    double along = 0;

    for (int i = 0; i < N; i++) {
        linear += a[i] * (double)p[i];
        along += b[i] * (double)p[i];
    }
    return linear + along * along / 2;
}

/* The integrand is linear in t: one node of Gauss and Legendre is exact, and so is the midpoint:
 * (x - x0) grad S((x + x0) / 2), which is complete. */
static void quadratic_score(void **state) {
    const struct sg_path path = {.kind = SG_PATH_STRAIGHT, .nodes = 7};
    double t[MOST];
    double w[MOST];
    double sum[N] = {0};
    double all = 0;
    float p[N];
    float g[N];

    (void)state;
    sg_path_place(&path, 1, NULL, t, w);
    for (int j = 0; j < path.nodes; j++) {
        sg_path_point(x0, x, t[j], N, p);
        gradient(p, g);
        sg_path_add(&path, w[j], x0, x, g, N, sum);
    }
    for (int i = 0; i < N; i++) {
        p[i] = (x[i] + x0[i]) / 2;
    }
    gradient(p, g);
    for (int i = 0; i < N; i++) {
        assert_true(fabs(sum[i] - (double)((x[i] - x0[i]) * g[i])) < 1e-5);
        all += sum[i];
    }
    assert_true(fabs(all - (score(x) - score(x0))) < 1e-5);
}

static void ends_are_met_exactly(void **state) {
    float p[N];

    (void)state;
    sg_path_point(x0, x, 0, N, p);
    assert_memory_equal(p, x0, sizeof p);
    sg_path_point(x0, x, 1, N, p);
    assert_memory_equal(p, x, sizeof p);
}

/* A part of no length adds nothing, even where the gradient is not a number. */
static void no_length_no_value(void **state) {
    const struct sg_path path = {.kind = SG_PATH_SPLIT, .nodes = 1};
    const float g[N] = {NAN, INFINITY, 1, 1, 1, 1};
    double sum[N] = {0};

    (void)state;
    sg_path_add(&path, 0, x0, x, g, N, sum);
    for (int i = 0; i < N; i++) {
        assert_true(sum[i] == 0);
    }
}

/* Of a linear score every path gives (x - x0) g; a guided one arrives, keeps in its band and goes
 * steps of equal L1 length. */
static void guided_path_of_a_linear_score(void **state) {
    const struct sg_path path = {
        .kind = SG_PATH_GUIDED, .nodes = 10, .fraction = 0.25, .max_distance = 0.2};
    const float g[N] = {1, -2, 0.5f, 3, 0.25f, -1};
    double p[N];
    double scratch[2 * N];
    double sum[N] = {0};
    double whole = 0;

    (void)state;
    for (int i = 0; i < N; i++) {
        p[i] = (double)x0[i];
        whole += fabs((double)(x[i] - x0[i]));
    }
    for (int step = 0; step < path.nodes; step++) {
        const double done = (step + 1.0) / path.nodes;
        double left = 0;

        sg_guided_move(&path, step, 1, x0, x, g, N, p, scratch, sum);
        for (int i = 0; i < N; i++) {
            const double way = (double)(x[i] - x0[i]);
            const double share = way != 0 ? (p[i] - (double)x0[i]) / way : done;

            left += fabs((double)x[i] - p[i]);
            assert_true(share > done - path.max_distance - 1e-12 &&
                        share < done + path.max_distance + 1e-12);
        }
        assert_true(fabs(left - whole * (1 - done)) < 1e-12);
    }
    for (int i = 0; i < N; i++) {
        assert_true(p[i] == (double)x[i]);
        assert_true(fabs(sum[i] - (double)((x[i] - x0[i]) * g[i])) < 1e-12);
    }
}

/* By hand: of gradients 1, -2, 0.5, 3, 0.25, -1 the smallest two (k = floor(0.25 * 5) = 1) are
 * those of elements 4 and 2; a band of the whole path lets them take the first step alone. */
static void small_gradients_go_first(void **state) {
    const struct sg_path path = {
        .kind = SG_PATH_GUIDED, .nodes = 4, .fraction = 0.25, .max_distance = 1};
    const float g[N] = {1, -2, 0.5f, 3, 0.25f, -1};
    double p[N];
    double scratch[2 * N];
    double sum[N] = {0};

    (void)state;
    for (int i = 0; i < N; i++) {
        p[i] = (double)x0[i];
    }
    sg_guided_move(&path, 0, 1, x0, x, g, N, p, scratch, sum);
    assert_true(p[0] == 0.5 && p[1] == -1 && p[3] == 0 && p[5] == 3);
    /* the way is 0.5 + 2 + 3 + 0 + 3.75 + 0.5 = 9.75; a quarter of it of the two elements' 6.75 */
    assert_true(fabs(p[2] - (2 - 3 * 2.4375 / 6.75)) < 1e-12);
    assert_true(fabs(p[4] - (0.25 + 3.75 * 2.4375 / 6.75)) < 1e-12);
}

/* Equal ends, gradients that are no numbers, one element: nothing hangs, nothing is lost. */
static void guided_corners(void **state) {
    const struct sg_path path = {
        .kind = SG_PATH_GUIDED, .nodes = 3, .fraction = 0.25, .max_distance = 0.02};
    const float g[N] = {NAN, 0, 0, 0, INFINITY, 0};
    double p[N];
    double scratch[2 * N];
    double sum[N] = {0};

    (void)state;
    for (int i = 0; i < N; i++) {
        p[i] = (double)x0[i];
    }
    for (int step = 0; step < 3; step++) {
        sg_guided_move(&path, step, 1, x0, x, g, N, p, scratch, sum);
    }
    assert_true(!isfinite(sum[0]) && !isfinite(sum[4]) && sum[1] == 0);
    assert_true(p[1] == (double)x[1]);
    memset(sum, 0, sizeof sum);
    sg_guided_move(&path, 0, 1, x, x, g + 1, 1, p, scratch, sum);
    assert_true(sum[0] == 0);
}

/* ---- what can be taken of what ---- */

static int composes(const char *outer, const char *inner, enum sg_path_noise *noise) {
    return sg_method_can_compose(sg_method_find(outer), sg_method_find(inner), noise);
}

static void compositions(void **state) {
    enum sg_path_noise noise;

    (void)state;
    assert_true(composes("vargrad", "integrated_gradients", &noise));
    assert_int_equal(noise, SG_NOISE_OUTSIDE);
    assert_true(composes("integrated_gradients", "adaptgrad", &noise));
    assert_int_equal(noise, SG_NOISE_INSIDE);
    assert_true(composes("gradient_x_input", "smoothgrad", &noise));
    assert_false(composes("integrated_gradients", "vargrad", &noise)); /* no mean */
    assert_false(composes("left_ig", "smoothgrad", &noise));
    assert_false(composes("smoothgrad", "smoothgrad", &noise));
    assert_false(composes("integrated_gradients", "idg", &noise));
    assert_false(composes("gradient", "smoothgrad", &noise));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gauss_legendre_is_the_published_one),
        cmocka_unit_test(gauss_legendre_is_exact_to_its_degree),
        cmocka_unit_test(simple_rules),
        cmocka_unit_test(saturation),
        cmocka_unit_test(parts_add_up),
        cmocka_unit_test(nodes_lie_where_the_score_rises),
        cmocka_unit_test(quadratic_score),
        cmocka_unit_test(ends_are_met_exactly),
        cmocka_unit_test(no_length_no_value),
        cmocka_unit_test(guided_path_of_a_linear_score),
        cmocka_unit_test(small_gradients_go_first),
        cmocka_unit_test(guided_corners),
        cmocka_unit_test(compositions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
