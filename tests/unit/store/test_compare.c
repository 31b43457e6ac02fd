/* tests/unit/store/test_compare.c - what differs is found, named and measured; what may differ is
 * not. */
#include "sample.h"

#include "sgdist/compare.h"

#include <math.h>

static const struct sg_tolerance bits = {-1, -1};

/* How one file departs from the sample. */
struct change {
    const char *path; /* a float32 or float64 field; NULL: none */
    int64_t item;
    int64_t element;
    double value;
    int64_t pending; /* this item is not written; -1: all are */
};

static const struct change none = {.pending = -1};

static void make(const char *path, struct sample *s, const struct change *c) {
    struct sg_result *r = NULL;

    assert_int_equal(sg_result_create(path, &s->layout), SG_OK);
    assert_int_equal(sg_result_open(path, &s->record, &r), SG_OK);
    for (int64_t i = 0; i < s->layout.n_items; i++) {
        void *item = sample_item(s, i);

        if (c->path != NULL && c->item == i) {
            const struct sg_field *f = sg_record_find(&s->record, c->path);
            void *at = sg_record_at(&s->record, item, c->path);

            if (f->type == SG_TYPE_F32) {
                ((float *)at)[c->element] = (float)c->value;
            } else {
                ((double *)at)[c->element] = c->value;
            }
        }
        if (c->pending != i) {
            assert_int_equal(sg_result_write(r, i, item), SG_OK);
        }
        sg_free(item);
    }
    assert_int_equal(sg_result_commit(r), SG_OK);
    sg_result_close(r);
}

struct pair_of_files {
    char a[256];
    char b[300];
};

static void make_two(struct pair_of_files *p, const struct change *a, const struct change *b) {
    struct sample s;

    sample_init(&s);
    scratch_path(p->a, sizeof p->a);
    (void)snprintf(p->b, sizeof p->b, "%s.b", p->a);
    make(p->a, &s, a);
    make(p->b, &s, b);
    sample_free(&s);
}

static void compare(const struct pair_of_files *p, const struct sg_tolerance *t,
                    struct sg_comparison *c) {
    assert_int_equal(sg_compare(p->a, p->b, t, c), SG_OK);
}

static void equal_files_are_equal(void **state) {
    /* a time may differ */
    const struct change time = {.path = "items/seconds", .value = 99, .pending = -1};
    struct pair_of_files p;
    struct sg_comparison c;

    (void)state;
    make_two(&p, &none, &time);
    compare(&p, &bits, &c);
    assert_true(sg_comparison_is_equal(&c));
    assert_int_equal(c.n_compared, N_ITEMS);
    assert_null(c.notes.data);
    /* 6 fields but for the excluded seconds, the data set's mean, 5 scales but for the items' */
    assert_int_equal(c.n_datasets, 7 + 1 + 5);
    sg_comparison_free(&c);
    scratch_remove(p.a);
    assert_int_equal(sg_memory_balance(), 0);
}

static void one_element_is_found(void **state) {
    /* Element 77 of item 4 is 4078 (sample.h); 4080 is 2 off: 2 / 4080 relatively. */
    const struct change change = {
        .path = "maps/smoothgrad/map", .item = 4, .element = 77, .value = 4080, .pending = -1};
    const struct sg_tolerance wide = {0, 2};
    const struct sg_tolerance narrow = {0, 1.99};
    const struct sg_tolerance relative = {1e-3, 0};
    struct pair_of_files p;
    struct sg_comparison c;

    (void)state;
    make_two(&p, &none, &change);
    compare(&p, &bits, &c);
    assert_false(sg_comparison_is_equal(&c));
    assert_int_equal(c.n_differences, 1);
    assert_string_equal(c.differences[0].path, "maps/smoothgrad/map");
    assert_int_equal(c.differences[0].n_items, 1);
    assert_int_equal(c.differences[0].n_elements, 1);
    assert_true(c.differences[0].max_abs == 2.0);
    assert_true(c.differences[0].max_rel == 2.0 / 4080.0);
    assert_string_equal(c.differences[0].first_item, "cat/004.png");
    assert_int_equal(c.differences[0].first_index, 77);
    assert_string_equal(c.differences[0].first_a, "4078");
    assert_string_equal(c.differences[0].first_b, "4080");
    sg_comparison_free(&c);
    compare(&p, &wide, &c);
    assert_true(sg_comparison_is_equal(&c));
    sg_comparison_free(&c);
    compare(&p, &narrow, &c);
    assert_false(sg_comparison_is_equal(&c));
    sg_comparison_free(&c);
    compare(&p, &relative, &c);
    assert_true(sg_comparison_is_equal(&c));
    sg_comparison_free(&c);
    scratch_remove(p.a);
}

/* Signs of zeros and NaNs: bits decide, unless tolerances are given. */
static void zeros_and_nans(void **state) {
    static const char path[] = "convergence/smoothgrad/change";
    const struct sg_tolerance numbers = {0, 0};
    const struct {
        double a;
        double b;
        int equal_bits;
        int equal_numbers;
        int zero_sign;
        int nan;
    } cases[] = {
        {0.0, -0.0, 0, 1, 1, 0},   {NAN, NAN, 1, 1, 0, 0},      {NAN, -NAN, 0, 1, 0, 1},
        {NAN, 1.0, 0, 0, 0, 1},    {INFINITY, 1.0, 0, 0, 0, 1}, {INFINITY, INFINITY, 1, 1, 0, 0},
        {5e-324, 0.0, 0, 0, 0, 0},
    };

    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        const struct change a = {path, 2, 5, cases[k].a, -1};
        const struct change b = {path, 2, 5, cases[k].b, -1};
        struct pair_of_files p;
        struct sg_comparison c;

        make_two(&p, &a, &b);
        compare(&p, &bits, &c);
        assert_int_equal(sg_comparison_is_equal(&c), cases[k].equal_bits);
        if (!cases[k].equal_bits) {
            assert_int_equal(c.differences[0].n_zero_sign, cases[k].zero_sign);
            assert_int_equal(c.differences[0].n_nan, cases[k].nan);
        }
        sg_comparison_free(&c);
        compare(&p, &numbers, &c);
        assert_int_equal(sg_comparison_is_equal(&c), cases[k].equal_numbers);
        sg_comparison_free(&c);
        scratch_remove(p.a);
    }
}

static void pending_items_are_told(void **state) {
    const struct change pending = {.pending = 6};
    struct pair_of_files p;
    struct sg_comparison c;

    (void)state;
    make_two(&p, &none, &pending);
    compare(&p, &bits, &c);
    assert_false(sg_comparison_is_equal(&c));
    assert_int_equal(c.n_pending_b, 1);
    assert_int_equal(c.n_pending_a, 0);
    assert_int_equal(c.n_compared, N_ITEMS - 1);
    assert_int_equal(c.n_differences, 1); /* the status, not the data that is not there yet */
    assert_string_equal(c.differences[0].path, "items/status");
    sg_comparison_free(&c);
    scratch_remove(p.a);
    make_two(&p, &pending, &pending);
    compare(&p, &bits, &c);
    assert_true(sg_comparison_is_equal(&c));
    assert_int_equal(c.n_pending_both, 1);
    sg_comparison_free(&c);
    scratch_remove(p.a);
}

/* B has the items of A in another order, with longer names' room, and one in place of another. */
static void items_are_matched_by_name(void **state) {
    struct sample s;
    struct sg_comparison c;
    struct pair_of_files p;
    char ids[N_ITEMS][24] = {"cat/006.png", "cat/005.png", "cat/004.png", "cat/003.png",
                             "cat/002.png", "cat/001.png", "dog"};
    struct sg_result *r = NULL;

    (void)state;
    make_two(&p, &none, &none);
    (void)unlink(p.b);
    sample_init(&s);
    s.constants[0].data = ids;
    s.constants[0].text_bytes = 24;
    assert_int_equal(sg_result_create(p.b, &s.layout), SG_OK);
    assert_int_equal(sg_result_open(p.b, &s.record, &r), SG_OK);
    for (int64_t i = 0; i < N_ITEMS; i++) {
        void *item = sample_item(&s, N_ITEMS - 1 - i);

        assert_int_equal(sg_result_write(r, i, item), SG_OK);
        sg_free(item);
    }
    assert_int_equal(sg_result_commit(r), SG_OK);
    sg_result_close(r);
    compare(&p, &bits, &c);
    assert_int_equal(c.n_common, 6);
    assert_int_equal(c.n_differences, 0);
    assert_false(sg_comparison_is_equal(&c)); /* cat/000.png is in one, dog in the other */
    sg_comparison_free(&c);
    sample_free(&s);
    scratch_remove(p.a);
    assert_int_equal(sg_memory_balance(), 0);
}

static void shapes_fields_and_jobs(void **state) {
    struct sample s;
    struct sg_comparison c;
    struct pair_of_files p;
    char echo[60] = "study.seed: 2\nstudy.name: \xc3\xa9t\xc3\xa9\nmaps.space: pixel\n";

    (void)state;
    make_two(&p, &none, &none);
    (void)unlink(p.b);
    sample_init(&s);
    s.record.fields[7].axes[0].length = 5; /* stages */
    s.record.fields[7].bytes = 40;
    (void)snprintf(s.record.fields[6].path, sizeof s.record.fields[6].path, "maps/vargrad/map");
    s.constants[1].data = echo;
    s.constants[1].text_bytes = (int64_t)strlen(echo);
    assert_int_equal(sg_result_create(p.b, &s.layout), SG_OK);
    compare(&p, &bits, &c);
    assert_int_equal(c.n_differences, 5);
    assert_string_equal(c.differences[0].path, "convergence/smoothgrad/change");
    assert_string_equal(c.differences[0].note, "is [item][6] in A, [item][5] in B");
    assert_string_equal(c.differences[1].path, "items/status");
    assert_string_equal(c.differences[2].path, "maps/smoothgrad/map");
    assert_string_equal(c.differences[2].note, "is missing in B");
    assert_string_equal(c.differences[3].note, "is missing in A");
    assert_string_equal(c.differences[4].path, "stage");
    assert_string_equal(c.notes.data, "the jobs differ: study.seed: 1 in A, 2 in B\n"
                                      "the jobs differ: maps.space: pixel in B alone\n");
    sg_comparison_free(&c);
    sample_free(&s);
    scratch_remove(p.a);
}

static void every_allocation_may_fail(void **state) {
    const struct change change = {"maps/smoothgrad/map", 4, 77, 1, -1};
    struct pair_of_files p;
    sg_status status = SG_E_NOMEM;
    int n = 0;

    (void)state;
    make_two(&p, &none, &change);
    while (status != SG_OK && n < 1000) {
        struct sg_comparison c = {0};

        sg_memory_fail_at(++n);
        status = sg_compare(p.a, p.b, &bits, &c);
        sg_memory_fail_at(0);
        assert_true(status == SG_OK || status == SG_E_NOMEM);
        sg_comparison_free(&c);
        assert_int_equal(sg_memory_balance(), 0);
    }
    assert_true(n > 20);
    scratch_remove(p.a);
}

static void unreadable_files(void **state) {
    struct sg_comparison c = {0};

    (void)state;
    assert_int_equal(sg_compare("/nowhere/a.h5", "/nowhere/b.h5", &bits, &c), SG_E_IO);
    assert_non_null(strstr(sg_trace_message(), "/nowhere/a.h5"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_files_are_equal),
        cmocka_unit_test(one_element_is_found),
        cmocka_unit_test(zeros_and_nans),
        cmocka_unit_test(pending_items_are_told),
        cmocka_unit_test(items_are_matched_by_name),
        cmocka_unit_test(shapes_fields_and_jobs),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(unreadable_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
