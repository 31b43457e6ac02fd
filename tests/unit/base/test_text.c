/* Numbers for people: plain digits, never an exponent. */
#include "sgdist/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void counts_are_plain_digits(void **state) {
    static const struct {
        double v;
        const char *text;
    } rows[] = {
        {0, "0"},           {1, "1"},          {0.0312, "0.031"},       {4.518, "4.52"},
        {45.21, "45.2"},    {99.94, "99.9"},   {99.96, "100"},          {5400.2, "5400"},
        {9999.6, "10,000"}, {65536, "65,536"}, {999999.7, "1,000,000"}, {12345678, "12,345,678"}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char buf[32];

        assert_string_equal(sg_text_count(rows[i].v, buf, sizeof buf), rows[i].text);
    }
}

static void counts_stay_in_their_buffer(void **state) {
    char buf[8];

    (void)state;
    for (double v = 1e-300; v < 1e300; v *= 10) {
        assert_true(strnlen(sg_text_count(v, buf, sizeof buf), sizeof buf) < sizeof buf);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(counts_are_plain_digits),
                                       cmocka_unit_test(counts_stay_in_their_buffer)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
