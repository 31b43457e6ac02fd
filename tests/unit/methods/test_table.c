/* What holds for every method, read from the table: a new line in methods.def is tested by it. */
#include "methods/toys.h"

#include "sgdist/memory.h"

static const struct sg_method *next_method(int *i) {
    return sg_method_at((*i)++);
}

/* Of those that are finished from sums. */
static const struct sg_method *next_of_sums(int *i) {
    const struct sg_method *m = next_method(i);

    return m != NULL && m->probe == SG_PROBE_GATES ? next_of_sums(i) : m;
}

static void names_are_unique_and_found(void **state) {
    const struct sg_method *m;
    int n = 0;

    (void)state;
    while ((m = next_method(&n)) != NULL) {
        assert_true(strlen(m->name) > 0 && strlen(m->name) <= SG_MAX_LABEL);
        assert_ptr_equal(sg_method_find(m->name), m);
        for (int i = 0; i < n - 1; i++) {
            assert_string_not_equal(m->name, sg_method_at(i)->name);
        }
    }
    assert_true(n > 6);
    assert_null(sg_method_at(-1));
    assert_null(sg_method_at(n));
    assert_null(sg_method_find("smoothgrade"));
    assert_null(sg_method_find(""));
}

static void entries_are_complete(void **state) {
    const struct sg_method *m;
    int i = 0;

    (void)state;
    while ((m = next_method(&i)) != NULL) {
        assert_true(strlen(m->summary) > 10 && strlen(m->summary) < 80);
        assert_true(strlen(m->cite) > 4);
        assert_true(m->bibtex[0] == '@' && strchr(m->bibtex, '{') != NULL);
        assert_non_null(strstr(m->bibtex, "title = {"));
        assert_non_null(strstr(m->bibtex, "year = {"));
        assert_string_equal(m->bibtex + strlen(m->bibtex) - 3, "\n}\n");
        assert_non_null(m->sampler);
        assert_non_null(m->finish);
        assert_true(m->min_samples >= 1);
        assert_true(m->n_powers >= 0 && m->n_powers <= SG_SUMS_MAX_POWERS);
        assert_int_equal(m->n_powers == 0, m->sampler->is_clean || m->probe == SG_PROBE_GATES);
        assert_int_equal(m->sampler->is_stochastic, !m->sampler->is_clean);
    }
}

/* An item at the lower bound of its domain has no noise by AdaptGrad, one of amount 0 none by the
 * others: means are the gradient, mean squares its square, variances 0, and all errors 0. */
static void zero_noise_is_vanilla(void **state) {
    const struct sg_method *m;
    int i_method = 0;

    (void)state;
    while ((m = next_of_sums(&i_method)) != NULL) {
        struct sg_instance inst = toy_instance(m->name, 40);
        struct toy t;
        float map[TOY_MAX];
        float se[TOY_MAX];
        const int is_square = strstr(m->name, "squared") != NULL;
        const int is_variance = strstr(m->name, "var") != NULL;
        const int is_product = strstr(m->name, "input") != NULL;

        if (m->probe == SG_PROBE_NOTHING || m->over == SG_OVER_PLACES) {
            continue;
        }
        inst.params.sampling.amount = 0;
        toy_init(&t, 3, 3, 4, toy_quadratic);
        for (int i = 0; i < t.n; i++) {
            t.x[i] = (float)t.domain.lower[i / 12];
        }
        (void)t.score(t.n, t.x, t.clean);
        toy_run(&t, &inst, map, se);
        for (int i = 0; i < t.n; i++) {
            const double g = t.clean[i];
            const double expected =
                is_variance ? 0 : g * (is_square ? g : (is_product ? t.x[i] : 1));

            assert_true(fabs(map[i] - expected) <= 1e-6 * fabs(expected) + 1e-6);
            assert_true(se[i] >= 0 && se[i] < 1e-9);
        }
        toy_fini(&t);
    }
}

/* Three ranks that take every third block of 7 samples, merged: the same bytes in map and error. */
static void merge_order_never_shows(void **state) {
    const struct sg_method *m;
    int i_method = 0;

    (void)state;
    while ((m = next_of_sums(&i_method)) != NULL) {
        struct sg_instance inst = toy_instance(m->name, 100);
        struct toy t;
        float expected[2][TOY_MAX];
        float got[2][TOY_MAX];
        float scale[TOY_MAX];
        float at[TOY_MAX];
        float g[TOY_MAX];

        if (!m->sampler->is_stochastic) {
            continue;
        }
        toy_init(&t, 3, 3, 4, toy_relu);
        inst.params.reduction = SG_CHANNELS_L2;
        toy_run(&t, &inst, expected[0], expected[1]);
        const int exponent = sg_sums_exponent(t.sums);
        const int n_powers = sg_instance_n_powers(&inst);

        sg_sums_reset(t.sums, exponent);
        assert_int_equal(m->sampler->prepare(&inst.params.sampling, &t.view, scale, t.sigma),
                         SG_OK);
        for (int rank = 2; rank >= 0; rank--) {
            struct sg_sums *part;

            assert_int_equal(sg_sums_create(t.n, n_powers, 16, &part), SG_OK);
            sg_sums_reset(part, exponent);
            for (int64_t k = 0; k < 100; k++) {
                if (k / 7 % 3 == rank) {
                    (void)m->sampler->draw(&inst.params.sampling, &t.view, scale, k, at);
                    (void)t.score(t.n, at, g);
                    sg_sums_add_block(part, k, g, 1);
                }
            }
            sg_sums_merge(t.sums, part);
            sg_sums_destroy(part);
        }
        assert_int_equal(toy_finish(&t, &inst, got[0], got[1]), SG_OK);
        assert_memory_equal(got[0], expected[0], 12 * sizeof(float));
        assert_memory_equal(got[1], expected[1], 12 * sizeof(float));
        toy_fini(&t);
    }
}

/* Twice the gradients, twice the map of a mean, four times that of squares, bit for bit (a power of
 * two moves the grid along); errors likewise. */
static double doubled(int n, const float *x, float *g) {
    const double f = toy_relu(n, x, g);

    for (int i = 0; i < n; i++) {
        g[i] *= 2;
    }
    return 2 * f;
}

static void maps_scale_with_the_score(void **state) {
    const struct sg_method *m;
    int i_method = 0;

    (void)state;
    while ((m = next_of_sums(&i_method)) != NULL) {
        struct sg_instance inst = toy_instance(m->name, 50);
        struct toy t;
        float map[2][TOY_MAX];
        float se[2][TOY_MAX];
        const int is_second_power = strstr(m->name, "squared") != NULL || strstr(m->name, "var");
        const int factor = m->probe == SG_PROBE_NOTHING ? 1 : is_second_power ? 4 : 2;

        if (strstr(m->name, "plus_plus") != NULL) {
            continue; /* its weights are no homogeneous function of the gradient */
        }
        toy_init(&t, 3, 3, 4, toy_relu);
        toy_run(&t, &inst, map[0], se[0]);
        toy_fini(&t);
        toy_init(&t, 3, 3, 4, doubled);
        toy_run(&t, &inst, map[1], se[1]);
        for (int i = 0; i < (m->over == SG_OVER_PLACES ? 12 : t.n); i++) {
            assert_true(map[1][i] == map[0][i] * (float)factor);
            assert_true(se[1][i] == se[0][i] * (float)factor);
        }
        toy_fini(&t);
    }
}

/* Drawing, adding and finishing leave the heap alone: the failure that is set for the next
 * allocation is still there afterwards. */
static void hot_paths_do_not_allocate(void **state) {
    const struct sg_method *m;
    int i_method = 0;

    (void)state;
    while ((m = next_of_sums(&i_method)) != NULL) {
        struct sg_instance inst = toy_instance(m->name, 40);
        struct toy t;
        float map[TOY_MAX];
        float se[TOY_MAX];
        float scale[TOY_MAX];
        float at[TOY_MAX];

        inst.params.reduction = SG_CHANNELS_ABS_MAX;
        toy_init(&t, 3, 3, 4, toy_relu);
        if (m->sampler->is_stochastic) {
            toy_sweep(&t, &inst, 3, 16);
        }
        sg_memory_fail_at(1);
        assert_int_equal(m->sampler->prepare(&inst.params.sampling, &t.view, scale, t.sigma),
                         SG_OK);
        (void)m->sampler->draw(&inst.params.sampling, &t.view, scale, 41, at);
        if (t.sums != NULL) {
            sg_sums_add_block(t.sums, 41, at, 1);
        }
        assert_int_equal(toy_finish(&t, &inst, map, se), SG_OK);
        assert_null(sg_calloc(1, 1));
        sg_memory_fail_at(0);
        toy_fini(&t);
    }
    assert_int_equal(sg_memory_balance(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_unique_and_found), cmocka_unit_test(entries_are_complete),
        cmocka_unit_test(hot_paths_do_not_allocate),  cmocka_unit_test(zero_noise_is_vanilla),
        cmocka_unit_test(merge_order_never_shows),    cmocka_unit_test(maps_scale_with_the_score),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
